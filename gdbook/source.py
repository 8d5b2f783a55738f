"""From SymPy expressions to Python and JavaScript source text, the same arithmetic in every form.

All forms are printed from one list of shared subexpressions, in one order, with integer powers up
to 64 written as products. A rational formula of such powers therefore gives the same bits in NumPy,
in plain Python, under Numba and in a browser; only transcendental functions, and higher powers,
differ, by their libraries' last digit.
"""

import json
import math

import numpy
import sympy
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

__all__ = [
    "javascript_function",
    "javascript_header",
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
    shared, outputs = sympy.cse(list(expressions), symbols=names)
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


def _is_power_of_compound(expression):
    return (
        expression.is_Pow
        and expression.exp.is_Integer
        and abs(expression.exp) > 1
        and not expression.base.is_Atom
    )


class _Products:
    """Integer powers as products; every printer of this module shares it."""

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
            return product if exponent > 0 else f"(1/{product})"
        if exponent == sympy.Rational(1, 2):
            return super()._print_Pow(expression, **options)
        if exponent == -sympy.Rational(1, 2):
            return f"(1/{self._print(sympy.sqrt(base))})"
        return self._general_power(self._print(base), self._print(exponent))

    def _product(self, base, exponent):
        if exponent == 1:
            return base
        half = self._product(base, exponent // 2)
        return f"({half}*{half})" if exponent % 2 == 0 else f"({half}*{half}*{base})"


class _NumPy(_Products, NumPyPrinter):
    """Reductions as nested calls of two arguments: a number may stand beside an array."""

    def _general_power(self, base, exponent):
        return f"numpy.power({base}, {exponent})"

    def _nested(self, function, arguments):
        first, *rest = arguments
        text = self._print(first)
        return f"{function}({text}, {self._nested(function, rest)})" if rest else text

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


class _JavaScript(_Products, JavascriptCodePrinter):
    reserved_words = frozenset(_JAVASCRIPT_KEYWORDS.split())

    def __init__(self):
        # A suffix that no name of Python can have.
        super().__init__({"reserved_word_suffix": "$"})

    def _general_power(self, base, exponent):
        return f"Math.pow({base}, {exponent})"

    def _print_Piecewise(self, expression):
        *branches, (otherwise, _) = expression.args
        text = self._print(otherwise)
        for value, condition in reversed(branches):
            text = f"({self._print(condition)} ? {self._print(value)} : {text})"
        return text


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
    printer = _JavaScript()
    assignments, outputs = program(expressions)
    names = [printer.doprint(symbol) for symbol in variables]
    lines = [f"const {local} = _x[{i}];" for i, local in enumerate(names)]
    lines += [
        f"const {printer.doprint(symbol)} = _p[{json.dumps(symbol.name)}];" for symbol in parameters
    ]
    lines += [f"const {symbol} = {printer.doprint(value)};" for symbol, value in assignments]
    texts = [printer.doprint(output) for output in outputs]
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
