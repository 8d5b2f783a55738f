"""From SymPy expressions to source text, the same arithmetic in every form.

All forms are printed from one list of shared subexpressions, in one order, with integer powers up
to 64 written as products. A rational formula of such powers therefore gives the same bits in NumPy,
in plain Python, under Numba and in a browser; only transcendental functions, and higher powers,
differ, by their libraries' last digit. A logarithm of one plus something is computed by ``log1p``,
which loses no digit where the something is small. The form for graphics processors, GLSL, counts in
single precision.
"""

import json
import math
import re

import numpy
import sympy
from sympy.logic.boolalg import Boolean
from sympy.printing.glsl import GLSLPrinter
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

__all__ = [
    "glsl_function",
    "javascript_function",
    "javascript_header",
    "javascript_step",
    "numpy_function",
    "program",
    "python_lines",
    "scalar_function",
]

# Beyond this exponent a product is longer than it is worth.
_LONGEST_PRODUCT = 64


def program(expressions):
    """Shared subexpressions, in the order of their computation, and what is left of `expressions`.

    Parameters
    ----------
    expressions : sequence of sympy.Expr

    Returns
    -------
    assignments : list of (sympy.Symbol, sympy.Expr)
        Names begin with an underscore, which no variable of an objective does.
    outputs : list of sympy.Expr
        One for each expression.

    Examples
    --------
    >>> from sympy.abc import x, y
    >>> program([(1 - x * y) ** 2])
    ([(_0, -x*y + 1)], [_0**2])
    """
    names = sympy.numbered_symbols("_", real=True)
    expressions = [_with_log1p(expression) for expression in expressions]
    shared, outputs = sympy.cse(expressions, symbols=names)
    assignments = []

    def named_bases(expression):
        # A power of a sum would be printed as a product of sums: give the sum a name first.
        def name(power):
            assignments.append((next(names), power.base))
            return assignments[-1][0] ** power.exp

        return expression.replace(_is_power_of_compound, name)

    for symbol, expression in shared:
        simple = named_bases(expression)
        assignments.append((symbol, simple))
    return assignments, [named_bases(output) for output in outputs]


class log1p(sympy.Function):
    """Logarithm of one plus the argument; printers know it by its name."""


def _with_log1p(expression):
    return expression.replace(
        lambda part: isinstance(part, sympy.log) and part.args[0].as_coeff_Add()[0] == 1,
        lambda part: log1p(part.args[0] - 1),
    )


def _is_power_of_compound(expression):
    return (
        expression.is_Pow
        and expression.exp.is_Integer
        and abs(expression.exp) > 1
        and not expression.base.is_Atom
    )


class _Products:
    """Integer powers as products; every printer of this module shares it."""

    _one = "1"

    def _print_Rational(self, number):
        # Longer numbers are rounded here: the forms would do it each in its own way, or overflow.
        exact = max(abs(number.p), number.q) < 2**53
        return str(number) if exact else str(sympy.Float(number, 25))

    _print_Integer = _print_Rational

    def _print_Pow(self, expression, **options):
        base, exponent = expression.base, expression.exp
        if exponent.is_Integer and abs(exponent) <= _LONGEST_PRODUCT:
            text = self._print(base)
            text = text if text.isidentifier() else f"({text})"
            product = self._product(text, abs(int(exponent)))
            return product if exponent > 0 else f"({self._one}/{product})"
        if exponent == sympy.Rational(1, 2):
            return super()._print_Pow(expression, **options)
        if exponent == -sympy.Rational(1, 2):
            return f"({self._one}/{self._print(sympy.sqrt(base))})"
        return self._general_power(self._print(base), self._print(exponent))

    def _product(self, base, exponent):
        if exponent == 1:
            return base
        half = self._product(base, exponent // 2)
        return f"({half}*{half})" if exponent % 2 == 0 else f"({half}*{half}*{base})"


class _Nested:
    """Reductions as nested calls of two arguments."""

    def _nested(self, function, arguments):
        first, *rest = arguments
        text = self._print(first)
        return f"{function}({text}, {self._nested(function, rest)})" if rest else text


class _NumPy(_Nested, _Products, NumPyPrinter):
    """Reductions are nested because a number may stand beside an array."""

    def _general_power(self, base, exponent):
        return f"numpy.power({base}, {exponent})"

    def _print_And(self, expression):
        return self._nested("numpy.logical_and", expression.args)

    def _print_Or(self, expression):
        return self._nested("numpy.logical_or", expression.args)

    def _print_Max(self, expression):
        return self._nested("numpy.maximum", expression.args)

    def _print_Min(self, expression):
        return self._nested("numpy.minimum", expression.args)


class _Scalar(_Products, PythonCodePrinter):
    """Every result is a float: the branches of a condition must have one type under Numba."""

    def _print_Integer(self, number):
        text = super()._print_Integer(number)
        return f"{text}.0" if text.lstrip("-").isdigit() else text

    def _general_power(self, base, exponent):
        return f"math.pow({base}, {exponent})"  # a negative base is an error, never complex


class _Inserted(_Scalar):
    """For lines in a larger text: symbols give way to the names that it uses."""

    def __init__(self, settings, reserved):
        super().__init__(settings)
        self._reserved = frozenset(reserved)

    def _print_Symbol(self, symbol):
        name = symbol.name
        return f"__{name}" if name in self._reserved else name


_JAVASCRIPT_KEYWORDS = """
    arguments await break case catch class const continue debugger default delete do else enum eval
    export extends false finally for function if implements import in instanceof interface let new
    null package private protected public return static super switch this throw true try typeof
    undefined var void while with yield Infinity NaN
"""


class _Conditional:
    """Piecewise as nested conditional expressions."""

    def _print_Piecewise(self, expression):
        *branches, (otherwise, _) = expression.args
        text = self._print(otherwise)
        for value, condition in reversed(branches):
            text = f"({self._print(condition)} ? {self._print(value)} : {text})"
        return text


class _JavaScript(_Conditional, _Products, JavascriptCodePrinter):
    reserved_words = frozenset(_JAVASCRIPT_KEYWORDS.split())

    def __init__(self):
        # A suffix that no name of Python can have.
        super().__init__({"reserved_word_suffix": "$", "user_functions": {"log1p": "Math.log1p"}})

    def _general_power(self, base, exponent):
        return f"Math.pow({base}, {exponent})"


class _GLSL(_Conditional, _Nested, _Products, GLSLPrinter):
    """Every number is a float, and symbols give way to names that the language allows."""

    _one = "1.0"

    def __init__(self, names):
        functions = {name: f"{name}_" for name in ("sin", "cos", "tan")}
        super().__init__({"user_functions": {**functions, "sinh": "sinh", "cosh": "cosh"}})
        self._names = names

    def _print_Symbol(self, symbol):
        return self._names.get(symbol, symbol.name)

    def _print_Rational(self, number):
        if max(abs(number.p), number.q) >= 2**53:
            return self._print_number(number)
        return f"{number.p}.0" if number.q == 1 else f"{number.p}.0/{number.q}.0"

    _print_Integer = _print_Rational

    def _print_number(self, number):
        return str(sympy.Float(number, 17))

    _print_Float = _print_NumberSymbol = _print_Pi = _print_Exp1 = _print_number

    def _print_Pow(self, expression, **options):
        exponent = expression.exp
        if exponent.is_Integer and abs(exponent) > _LONGEST_PRODUCT:
            base = self._print(expression.base)
            power = self._general_power(f"abs({base})", self._print(exponent))
            return power if exponent % 2 == 0 else f"(sign({base})*{power})"
        return super()._print_Pow(expression, **options)

    def _general_power(self, base, exponent):
        return f"pow({base}, {exponent})"

    def _print_tanh(self, expression):
        # Graphics processors may form it from exponentials, which overflow.
        return f"tanh(clamp({self._print(expression.args[0])}, -10.0, 10.0))"

    def _print_log1p(self, expression):
        return f"log(1.0 + {self._print(expression.args[0])})"

    def _print_Max(self, expression):
        return self._nested("max", expression.args)

    def _print_Min(self, expression):
        return self._nested("min", expression.args)


# The language's own may be wrong in the fourth digit: distance from the nearest multiple of pi, in
# two parts, and the Taylor polynomial.
_GLSL_SINE = """\
float sin_(float x) {
  float k = floor(x/3.14159265 + 0.5);
  float r = (x - k*3.140625) - k*9.67653590e-4;
  float s = r*r;
  float t = s*(1.0/362880.0 - s/39916800.0);
  t = r + r*s*(-1.0/6.0 + s*(1.0/120.0 + s*(-1.0/5040.0 + t)));
  return mod(k, 2.0) == 0.0 ? t : -t;
}
float cos_(float x) {
  return sin_(x + 1.57079633);
}
float tan_(float x) {
  return sin_(x)/cos_(x);
}
"""


_PYTHON_SETTINGS = {
    "fully_qualified_modules": True,  # so that a parameter may be called "power" or "select"
    "inline": True,
    "allow_unknown_functions": True,
}


def numpy_function(arguments, expressions):
    """Function of arrays: ``f(*arguments)`` returns a list with one array or number per expression.

    Examples
    --------
    >>> import numpy as np, sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> numpy_function([x], [x**2, 2 * x])(np.array([1.0, 3.0]))
    [array([1., 9.]), array([2., 6.])]
    """
    return _compiled(arguments, expressions, {"numpy": numpy}, _NumPy)


def scalar_function(arguments, expressions):
    """Function of Python floats, for one orbit at a time; Numba compiles it as it is.

    Where NumPy and JavaScript give ``inf`` or ``nan`` it raises ``ArithmeticError`` or
    ``ValueError``.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> scalar_function([x], [sympy.sqrt(x)])(4.0)
    [2.0]
    """
    return _compiled(arguments, expressions, {"math": math}, _Scalar)


def python_lines(variables, expressions, *, reserved=(), functions=()):
    """Lines of Python that compute `expressions` from scalars, to be put into a larger text.

    Parameters
    ----------
    variables : sequence of sympy.Symbol
    expressions : sequence of sympy.Expr
    reserved : iterable of str
        Names that the larger text uses: a variable of such a name gets two underscores before it.
    functions : iterable of str
        Functions that the larger text defines; the others are those of `math`.

    Returns
    -------
    names : list of str
        Of the variables.
    lines : list of str
        Assignments of shared subexpressions.
    outputs : list of str
        One for each expression.

    Examples
    --------
    >>> x, h = sympy.symbols("x h", real=True)
    >>> python_lines([x, h], [(x - h) ** 2 + sympy.cos(h)], reserved=["h"], functions=["cos"])
    (['x', '__h'], ['_0 = -__h + x'], ['(_0*_0) + cos(__h)'])
    """
    settings = {**_PYTHON_SETTINGS, "user_functions": {name: name for name in functions}}
    printer = _Inserted(settings, reserved)
    assignments, outputs = program(expressions)
    names = [printer.doprint(variable) for variable in variables]
    lines = [f"{symbol} = {printer.doprint(value)}" for symbol, value in assignments]
    return names, lines, [printer.doprint(output) for output in outputs]


def _compiled(arguments, expressions, namespace, printer):
    return sympy.lambdify(
        list(arguments),
        list(expressions),
        modules=[namespace],
        printer=printer(dict(_PYTHON_SETTINGS)),
        cse=program,
    )


def javascript_header(title, variables, parameters):
    """Opening lines of an ES module: its names and the default values of its parameters.

    Examples
    --------
    >>> print(javascript_header("A parabola", ["x"], {"L": 2}))
    // A parabola
    export const variables = ["x"];
    export const parameters = {"L": 2.0};
    <BLANKLINE>
    """
    defaults = {name: float(value) for name, value in parameters.items()}
    return (
        f"// {title}\n"
        f"export const variables = {json.dumps([str(symbol) for symbol in variables])};\n"
        f"export const parameters = {json.dumps(defaults)};\n"
    )


def javascript_function(name, variables, parameters, expressions, *, kind="array"):
    """Text of an exported JavaScript function that computes `expressions`.

    Parameters
    ----------
    name : str
    variables, parameters : sequence of sympy.Symbol
        Read from ``_x[0], _x[1], ...`` and from the properties of ``_p``.
    expressions : sequence of sympy.Expr
    kind : {"number", "array", "step"}
        ``name(x, p)`` returns the one expression; ``name(x, p, out)`` fills ``out`` and returns it;
        ``name(x, h, p, out)`` fills ``out`` with ``x - h * expression`` (``out`` may be ``x``).

    Examples
    --------
    >>> x, L = sympy.symbols("x L", real=True)
    >>> print(javascript_function("value", [x], [L], [L * x**2], kind="number"))
    export function value(_x, _p = parameters) {
      const x = _x[0];
      const L = _p["L"];
      return L*(x*x);
    }
    <BLANKLINE>
    """
    names, lines, texts = _javascript_lines(variables, parameters, expressions, "_x[{}]")
    if kind == "number":
        signature, lines = "_x, _p = parameters", [*lines, f"return {texts[0]};"]
    else:
        signature = "_x, _p = parameters, _out = []"
        if kind == "step":
            signature = "_x, _h, _p = parameters, _out = []"
            texts = [f"{local} - _h*({text})" for local, text in zip(names, texts, strict=True)]
        # All results before the first store, since `out` may be `x`: names are read already.
        lines += [f"_out[{i}] = {text};" for i, text in enumerate(texts)]
        lines.append("return _out;")
    body = "\n".join("  " + line for line in lines)
    return f"export function {name}({signature}) {{\n{body}\n}}\n"


def javascript_step(variables, parameters, gradient):
    """A block of JavaScript that moves an orbit by one step, in scalars, for the inside of a loop.

    The same bits as the function of kind ``"step"``. The loop has the coordinates in ``_x0``,
    ``_x1``, ..., the learning rate in ``_h`` and the parameters in the properties of ``_p``.

    Examples
    --------
    >>> x, L = sympy.symbols("x L", real=True)
    >>> print(javascript_step([x], [L], [2 * L * x]))
    {
      const x = _x0;
      const L = _p["L"];
      _x0 = x - _h*(2*L*x);
    }
    """
    names, lines, texts = _javascript_lines(variables, parameters, gradient, "_x{}")
    lines += [
        f"_x{i} = {local} - _h*({text});"
        for i, (local, text) in enumerate(zip(names, texts, strict=True))
    ]
    return "{\n" + "".join(f"  {line}\n" for line in lines) + "}"


def _javascript_lines(variables, parameters, expressions, place):
    """Names of the variables, lines that read and compute, and what is left of the expressions."""
    printer = _JavaScript()
    assignments, outputs = program(expressions)
    names = [printer.doprint(symbol) for symbol in variables]
    lines = [f"const {local} = {place.format(i)};" for i, local in enumerate(names)]
    lines += [
        f"const {printer.doprint(symbol)} = _p[{json.dumps(symbol.name)}];" for symbol in parameters
    ]
    lines += [f"const {symbol} = {printer.doprint(value)};" for symbol, value in assignments]
    return names, lines, [printer.doprint(output) for output in outputs]


def glsl_function(name, variables, parameters, expressions):
    """Text of a function in GLSL ES 3.00, the language of WebGL2, in single precision.

    Parameters
    ----------
    name : str
        The function is called ``name(x, p, out)``, with arrays of float: one number for each
        variable, for each parameter (or one that is not read) and for each expression.
    variables, parameters : sequence of sympy.Symbol
    expressions : sequence of sympy.Expr

    Examples
    --------
    >>> x, L = sympy.symbols("x L", real=True)
    >>> print(glsl_function("gradient", [x], [L], [2 * L * x]))
    void gradient(float _x[1], float _p[1], out float _out[1]) {
      float x0 = _x[0];
      float p0 = _p[0];
      _out[0] = 2.0*p0*x0;
    }
    <BLANKLINE>
    """
    names = {symbol: f"x{i}" for i, symbol in enumerate(variables)}
    names |= {symbol: f"p{i}" for i, symbol in enumerate(parameters)}
    printer = _GLSL(names)
    assignments, outputs = program(expressions)
    lines = [f"float x{i} = _x[{i}];" for i in range(len(variables))]
    lines += [f"float p{i} = _p[{i}];" for i in range(len(parameters))]
    for symbol, value in assignments:
        kind = "bool" if isinstance(value, Boolean) and not value.is_Symbol else "float"
        lines.append(f"{kind} {symbol} = {printer.doprint(value)};")
    lines += [f"_out[{i}] = {printer.doprint(output)};" for i, output in enumerate(outputs)]
    body = "".join(f"  {line}\n" for line in lines)
    sine = _GLSL_SINE if re.search(r"\b(sin|cos|tan)_\(", body) else ""
    return (
        f"{sine}void {name}(float _x[{len(variables)}], float _p[{max(1, len(parameters))}], "
        f"out float _out[{len(outputs)}]) {{\n{body}}}\n"
    )
