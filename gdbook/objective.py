"""The one formula: an objective written once in SymPy, with all its forms."""

import ast
import keyword
import operator
import unicodedata
from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
import sympy
from sympy.parsing.sympy_parser import (
    convert_xor,
    rationalize,
    standard_transformations,
    stringify_expr,
)

from gdbook import arguments, source

__all__ = ["Differentiable", "Objective", "require_differentiable", "require_formula"]

FUNCTIONS = (
    *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "sqrt"),
    *("Abs", "Max", "Min", "sign", "Piecewise"),
)
_RELATIONS = ("Eq", "Ne")
_NUMBERS = ("Symbol", "Integer", "Float", "Rational", "Function")  # what the parser writes
_RESERVED = {
    *(*FUNCTIONS, *_RELATIONS, *_NUMBERS),
    *("abs", "max", "min", "pi", "E", "Math", "math", "numpy"),
}

_OPERATIONS = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul},
    **{ast.Div: operator.truediv, ast.Pow: operator.pow},
}
_PARTS = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Tuple, ast.Name, ast.Load),
    *(ast.Constant, *_OPERATIONS, ast.USub, ast.UAdd),
    *(ast.BitAnd, ast.BitOr, ast.Invert, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq),
)
# SymPy computes powers of numbers exactly: far beyond this, with nested ones, it does not end.
_LARGEST_EXPONENT = 1000
_LONGEST_NUMBER = 14_000  # bits, of numerator and denominator; Python prints little more
_DEEPEST_POWERS = 100


@runtime_checkable
class Differentiable(Protocol):
    """What an objective offers that need not be a formula (a loss on data, say).

    Gradient descent and gradient flow use the values and the gradients.

    Examples
    --------
    >>> isinstance(Objective("x^2", "x"), Differentiable)
    True
    """

    def value(self, points):
        """Value at each point: shape (..., d) to shape (...)."""

    def gradient(self, points):
        """Gradient at each point: shape (..., d) to shape (..., d)."""

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., d) and (..., d) to (..., d)."""


class Objective:
    r"""An objective :math:`f(x; p)`, written once; gradient, Hessian, code, LaTeX are made from it.

    Parameters
    ----------
    expression : str or sympy.Expr
        :math:`f`, made of the variables, the parameters, numbers, ``pi``, ``E`` and the functions
        ``exp log sin cos tan sinh cosh tanh asin acos atan sqrt Abs Max Min sign Piecewise``.
        In a string ``^`` is a power, a decimal such as ``0.1`` is the exact fraction, and the
        conditions of ``Piecewise`` are made of ``< <= > >= Eq Ne & | ~``.
    variables : str or sequence of str or sympy.Symbol
        Names of the coordinates of :math:`x`, in order: ``"x y"`` or ``["x", "y"]``. All are real.
    parameters : mapping of str to number, optional
        Names and values of :math:`p`. Exact numbers (``int``, ``Fraction``, SymPy's rationals)
        stay exact in symbolic results.
    name : str, optional

    Attributes
    ----------
    expression : sympy.Expr
    variables : tuple of sympy.Symbol
    parameters : mapping of str to number
        Read only, like all else: `with_parameters` makes another objective.
    dimension : int
    name : str

    Raises
    ------
    ValueError
        For an unknown symbol or function, a name used twice, a constant that is not real, a
        parameter that is not finite, or a ``Piecewise`` without a last branch for "otherwise".
    TypeError
        For a parameter that is not a real number, or an expression that is no formula.

    Notes
    -----
    ``Abs``, ``Max``, ``Min`` and ``sign`` become ``Piecewise`` before anything is differentiated:
    gradients and Hessians are those of the branch that holds. ``Abs`` and ``sign`` have derivative
    0 at their crease, and so has ``Max(x, 0)``: at a tie ``Max`` and ``Min`` take a constant
    argument first, and otherwise the last one in SymPy's order. All forms agree on that.

    Examples
    --------
    >>> import numpy as np
    >>> f = Objective("(mu - x*y)^2/2", "x y", {"mu": 1})
    >>> f.gradient([2.0, 1.0])
    array([1., 2.])
    >>> f.gradient_expression.T
    Matrix([[-y*(mu - x*y), -x*(mu - x*y)]])
    >>> float(f.sharpness([1.0, 1.0]))
    2.0
    >>> f.value(np.zeros((3, 2)))
    array([0.5, 0.5, 0.5])
    """

    def __init__(self, expression, variables, parameters=None, name=None):
        names = _names(variables)
        # Functions are compiled and kept for these names and values.
        self.parameters = MappingProxyType(_parameters(parameters))
        _refuse_clashes([*names, *self.parameters])
        symbols = {n: sympy.Symbol(n, real=True) for n in [*names, *self.parameters]}
        self.variables = tuple(symbols[n] for n in names)
        self.expression = _expression(expression, symbols)
        self.name = name or "f"
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a string, not {name!r}")

    def __setattr__(self, name, value):
        if name in vars(self):  # what was derived from it would be that of the old one
            raise AttributeError(
                f"the {name} of an objective cannot be changed: make another Objective, or use "
                "with_parameters"
            )
        super().__setattr__(name, value)

    def __reduce__(self):
        # What is made from the formula is made again: compiled functions cannot be saved.
        return Objective, (self.expression, self.variables, dict(self.parameters), self.name)

    @property
    def dimension(self):
        """The number d of variables."""
        return len(self.variables)

    # Symbolic forms

    @cached_property
    def parameter_symbols(self):
        """Symbols of the parameters, in the order of `parameters`."""
        return tuple(sympy.Symbol(name, real=True) for name in self.parameters)

    @cached_property
    def substituted(self):
        """The expression with the values of the parameters put in."""
        return self.expression.subs(
            dict(
                zip(
                    self.parameter_symbols,
                    map(sympy.sympify, self.parameters.values()),
                    strict=True,
                )
            )
        )

    @cached_property
    def smooth_expression(self):
        """The expression with ``Abs``, ``Max``, ``Min`` and ``sign`` written as ``Piecewise``."""
        # SymPy writes a condition on a Piecewise as if-then-else, which no array can answer.
        return _as_piecewise(self.expression).replace(
            sympy.ITE, lambda *branches: sympy.ITE(*branches).to_nnf(simplify=False)
        )

    @cached_property
    def gradient_expression(self):
        r"""The column :math:`\nabla f`, shape (d, 1), in variables and parameters."""
        return sympy.Matrix([self.smooth_expression.diff(v) for v in self.variables])

    @cached_property
    def hessian_expression(self):
        r"""The symmetric matrix :math:`\nabla^2 f`, shape (d, d), in variables and parameters."""
        return self.gradient_expression.jacobian(list(self.variables))

    def map(self, learning_rate):
        r"""One step of gradient descent, :math:`x - h \nabla f(x)`, as a column of expressions.

        Parameters
        ----------
        learning_rate : sympy.Expr, str or number
            A string is the name of a symbol.

        Examples
        --------
        >>> Objective("x^2/2", "x").map("h")
        Matrix([[-h*x + x]])
        """
        if isinstance(learning_rate, str):
            _refuse_clashes([*map(str, self.variables), *self.parameters, learning_rate])
            learning_rate = sympy.Symbol(learning_rate, real=True)
        h = _sympified(learning_rate, "learning_rate")
        return sympy.Matrix(self.variables) - h * self.gradient_expression

    def with_parameters(self, **values):
        """The same objective with other values of some of its parameters.

        Examples
        --------
        >>> Objective("a*x^2", "x", {"a": 1}).with_parameters(a=3).value([2.0])
        array(12.)
        """
        unknown = sorted(set(values) - set(self.parameters))
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise ValueError(f"unknown parameter {unknown[0]!r}; this objective has: {known}")
        return Objective(self.expression, self.variables, {**self.parameters, **values}, self.name)

    # Numbers

    def value(self, points):
        """Value at each point.

        Parameters
        ----------
        points : array_like, shape (..., d)

        Returns
        -------
        ndarray, shape (...)
            ``inf`` or ``nan`` where the formula has no finite value, without a warning; ``nan`` at
            points with a coordinate that is.

        Examples
        --------
        >>> Objective("x*y", "x y").value([[1.0, 2.0], [3.0, 4.0]])
        array([ 2., 12.])
        """
        return self._evaluate(self._value_function, points, ())

    def gradient(self, points):
        """Gradient at each point: shape (..., d) to shape (..., d).

        Examples
        --------
        >>> Objective("x*y", "x y").gradient([[1.0, 2.0], [3.0, 4.0]])
        array([[2., 1.],
               [4., 3.]])
        """
        return self._evaluate(self._gradient_function, points, (self.dimension,))

    def hessian(self, points):
        """Hessian at each point: shape (..., d) to shape (..., d, d).

        Examples
        --------
        >>> Objective("x^2*y", "x y").hessian([1.0, 2.0])
        array([[4., 2.],
               [2., 0.]])
        """
        return self._evaluate(self._hessian_function, points, (self.dimension, self.dimension))

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., d) and (..., d) to (..., d).

        Examples
        --------
        >>> Objective("x^2*y", "x y").hessian_product([1.0, 2.0], [0.0, 1.0])
        array([2., 0.])
        """
        points, vectors = arguments.pair(points, vectors, self.dimension)
        return np.einsum("...ij,...j->...i", self.hessian(points), vectors)

    def sharpness(self, points):
        """Largest eigenvalue of the Hessian at each point: shape (..., d) to shape (...).

        ``nan`` where the Hessian is not finite.

        Examples
        --------
        >>> Objective("(x^2 + 4*y^2)/2", "x y").sharpness([[0.0, 0.0], [1.0, np.nan]])
        array([ 4., nan])
        """
        hessian = self.hessian(points)
        finite = np.isfinite(hessian).all(axis=(-2, -1))
        safe = np.where(finite[..., np.newaxis, np.newaxis], hessian, 0.0)
        return np.where(finite, np.linalg.eigvalsh(safe)[..., -1], np.nan)

    def gradient_at(self, point):
        """Gradient at one point given as d plain floats: the fast way to iterate one orbit.

        The same bits as `gradient` for rational formulas.

        Parameters
        ----------
        point : sequence of float, length d

        Returns
        -------
        list of float, length d

        Examples
        --------
        >>> Objective("x*y", "x y").gradient_at([3.0, 4.0])
        [4.0, 3.0]
        """
        try:
            return self._scalar_gradient(*point, *self._parameter_values)
        except (ArithmeticError, ValueError):  # NumPy says inf or nan where `math` raises
            return self.gradient(point).tolist()

    # Code and text

    def javascript(self):
        """Text of an ES module that imports nothing and computes this objective.

        It exports ``variables`` (names), ``parameters`` (name to value), ``value(x, p)``,
        ``gradient(x, p, out)``, ``hessian(x, p, out)`` (rows one after the other) and
        ``step(x, h, p, out)``. ``p`` is an object like ``parameters``, which it is by default;
        ``out`` is filled and returned, and may be ``x`` itself.

        Examples
        --------
        >>> print(Objective("x^2", "x").javascript().partition("function step")[2])
        (_x, _h, _p = parameters, _out = []) {
          const x = _x[0];
          _out[0] = x - _h*(2*x);
          return _out;
        }
        <BLANKLINE>
        """
        symbols = self.variables, self.parameter_symbols
        text = source.javascript_header(str(self), self.variables, self.parameters)
        for name, expressions, kind in (
            ("value", [self.smooth_expression], "number"),
            ("gradient", self.gradient_expression, "array"),
            ("hessian", self.hessian_expression, "array"),
            ("step", self.gradient_expression, "step"),
        ):
            text += source.javascript_function(name, *symbols, expressions, kind=kind)
        return text

    def glsl(self):
        """Text of the gradient for graphics processors: GLSL ES 3.00, in single precision.

        It defines ``gradient(x, p, out)`` of arrays of float: d coordinates, the parameters in
        their order (or one number that is not read), and d results.

        Examples
        --------
        >>> print(Objective("x^2", "x").glsl())
        void gradient(float _x[1], float _p[1], out float _out[1]) {
          float x0 = _x[0];
          _out[0] = 2.0*x0;
        }
        <BLANKLINE>
        """
        return source.glsl_function(
            "gradient", self.variables, self.parameter_symbols, self.gradient_expression
        )

    def __str__(self):
        return f"{self.name}({', '.join(map(str, self.variables))}) = {self.expression}"

    def __repr__(self):
        names = " ".join(map(str, self.variables))
        values = f", {dict(self.parameters)}" if self.parameters else ""
        return f"Objective({str(self.expression)!r}, {names!r}{values})"

    def _repr_latex_(self):
        variables = ", ".join(sympy.latex(v) for v in self.variables)
        head = sympy.latex(sympy.Symbol(self.name))
        return rf"$\displaystyle {head}({variables}) = {sympy.latex(self.expression)}$"

    # How it is done

    @cached_property
    def _parameter_values(self):
        return tuple(float(value) for value in self.parameters.values())

    def _function(self, expressions):
        return source.numpy_function([*self.variables, *self.parameter_symbols], expressions)

    @cached_property
    def _value_function(self):
        return self._function([self.smooth_expression])

    @cached_property
    def _gradient_function(self):
        return self._function(self.gradient_expression)

    @cached_property
    def _hessian_function(self):
        return self._function(self.hessian_expression)

    @cached_property
    def _scalar_gradient(self):
        return source.scalar_function(
            [*self.variables, *self.parameter_symbols], self.gradient_expression
        )

    def _evaluate(self, function, points, shape):
        points = arguments.points(points, self.dimension)
        with np.errstate(all="ignore"):
            results = function(*np.moveaxis(points, -1, 0), *self._parameter_values)
        out = np.empty((*points.shape[:-1], len(results)))
        for i, result in enumerate(results):
            out[..., i] = result
        # No condition holds for nan: a Piecewise would answer with its last branch.
        out[np.isnan(points).any(axis=-1)] = np.nan
        return out.reshape(points.shape[:-1] + shape)


def require_differentiable(objective):
    """Refuse what has no values and gradients.

    Examples
    --------
    >>> require_differentiable(Objective("x^2", "x"))
    """
    if not (hasattr(objective, "value") and hasattr(objective, "gradient")):
        raise TypeError(
            "objective must be a gdbook.Objective or have its methods value and gradient, "
            f"not {objective!r}"
        )


def require_formula(objective, name="objective"):
    """Refuse objectives that are given by data or code instead of a formula.

    Examples
    --------
    >>> require_formula(Objective("x^2", "x"))
    """
    if not isinstance(objective, Objective):
        raise TypeError(
            f"{name} must be a gdbook.Objective, not {type(objective).__name__}; without a "
            "formula there are gradient_descent, descend_many and interpolated_field"
        )


def _names(variables):
    if isinstance(variables, str):
        variables = variables.replace(",", " ").split()
    elif isinstance(variables, sympy.Symbol):
        variables = [variables]
    elif isinstance(variables, Set) or not isinstance(variables, Iterable):
        raise TypeError(
            f'variables must be names in order, as in "x y" or ["x", "y"], not {variables!r}'
        )
    names = [str(variable) for variable in variables]
    if not names:
        raise ValueError('variables must name at least one coordinate, for example "x" or "x y"')
    return names


def _parameters(parameters):
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f'parameters must map names to numbers, as in {{"mu": 1}}, not {parameters!r}'
        )
    for name, value in parameters.items():
        real = isinstance(value, Real) or (isinstance(value, sympy.Expr) and value.is_extended_real)
        if not real or isinstance(value, bool | np.bool_) or getattr(value, "free_symbols", None):
            raise TypeError(f"parameter {str(name)!r} must be a real number, not {value!r}")
        try:
            finite = np.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise ValueError(f"parameter {str(name)!r} must be a finite float, not {value!r}")
    return {str(name): _plain(value) for name, value in parameters.items()}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _refuse_clashes(names):
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the name {name!r} is used twice")
        if name != (read := unicodedata.normalize("NFKC", name)):
            raise ValueError(f"{name!r} cannot be a name: Python reads it as {read!r}")
        identifier = name.isidentifier() and not keyword.iskeyword(name)
        if not identifier or name.startswith("_") or name in _RESERVED:
            raise ValueError(
                f"{name!r} cannot be a name: use a letter followed by letters, digits or "
                "underscores, but no keyword of Python and none of "
                f"{', '.join(sorted(_RESERVED))}"
            )


def _expression(expression, symbols):
    if isinstance(expression, str):
        expression = _parsed(expression, symbols)
    expression = _sympified(expression, "expression")
    # A caller's symbols may carry other assumptions; ours are real.
    expression = expression.xreplace(
        {s: symbols[s.name] for s in expression.free_symbols if s.name in symbols}
    )
    unknown = sorted(s.name for s in expression.free_symbols if s.name not in symbols)
    if unknown:
        raise ValueError(
            f"unknown symbol {unknown[0]!r} in {expression}: "
            f"name it among the variables or give it a value in parameters"
        )
    for part in sympy.preorder_traversal(expression):
        number = isinstance(part, sympy.Expr) and part.is_number
        if number and (part is sympy.nan or part.is_real is False):
            raise ValueError(f"expression must be real and finite, not {expression}")
    _refuse_unknown_functions(expression)
    return expression


def _sympified(value, name):
    try:
        expression = sympy.sympify(value)
    except sympy.SympifyError:
        expression = None
    if not isinstance(expression, sympy.Expr) or expression.is_Matrix:
        raise TypeError(f"{name} must be a formula or a number, not {value!r}")
    return expression


def _parsed(text, symbols):
    known = {
        **{name: getattr(sympy, name) for name in (*_NUMBERS, *FUNCTIONS, *_RELATIONS)},
        **{"abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min, "pi": sympy.pi, "E": sympy.E},
        "__builtins__": {},
    }
    known |= {"exp": _exp, "_power": _power}
    steps = (*standard_transformations, convert_xor, rationalize)
    try:
        _refuse_unreadable(text)
        code = ast.parse(stringify_expr(text, dict(symbols), known, steps), mode="eval")
        code = ast.fix_missing_locations(_PowersAsCalls().visit(code))
        return eval(compile(code, "<formula>", "eval"), known, dict(symbols))
    except Exception as error:
        raise ValueError(f"expression {text!r} cannot be read as a formula: {error}") from error


class _PowersAsCalls(ast.NodeTransformer):
    """Exponents may be numbers only when SymPy has computed them: 2**max(10**9, x - x)."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        return ast.Call(ast.Name("_power", ast.Load()), [node.left, node.right], [])


def _power(base, exponent):
    """A power, unless it makes a number that is too long."""
    if base == sympy.E:
        return _exp(exponent)
    bits = [
        max(number.p, -number.p, number.q).bit_length() for number in base.atoms(sympy.Rational)
    ]
    if max(bits, default=1) * abs(exponent.as_coeff_Add()[0]) > _LONGEST_NUMBER:
        raise ValueError("a power makes a number of too many digits")
    return base**exponent


def _exp(exponent):
    """The exponential function, unless SymPy makes a long number of it: exp(10**9*log(2))."""
    numbers = exponent.atoms(sympy.Rational) if exponent.has(sympy.log) else ()
    if any(abs(number) > _LARGEST_EXPONENT for number in numbers):
        raise ValueError(f"beside log, numbers in exp go up to {_LARGEST_EXPONENT}")
    return sympy.exp(exponent)


def _refuse_unreadable(text):
    """Refuse what is no formula, which SymPy would run, and numbers that it would not end with."""
    text = f"({text.replace('^', '**')})"
    values, nested, depth = {}, {}, {}  # of numbers; products of exponents; powers in powers
    for node in reversed(list(ast.walk(ast.parse(text, mode="eval")))):  # parts before the whole
        if not isinstance(node, _PARTS) or isinstance(getattr(node, "value", None), str | bytes):
            part = ast.get_source_segment(text, node) or type(node).__name__
            raise ValueError(f"{part} has no place in a formula")
        nested[node] = max((nested[part] for part in ast.iter_child_nodes(node)), default=1)
        values[node] = _number(node, values)
        power = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)
        depth[node] = power + max((depth[part] for part in ast.iter_child_nodes(node)), default=0)
        if depth[node] > _DEEPEST_POWERS:
            raise ValueError(f"powers nest deeper than {_DEEPEST_POWERS}")
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            digits = ast.get_source_segment(text, node).lower().partition("e")[2]
            nested[node] = abs(int(digits or 1))
        elif power:
            nested[node] = max(nested[node], nested[node.left] * abs(values[node.right] or 1))
        if not nested[node] <= _LARGEST_EXPONENT:
            raise ValueError(f"exponents, nested ones multiplied, go up to {_LARGEST_EXPONENT}")


def _number(node, values):
    """The value, as a float, of a part of a formula without names; otherwise None."""
    try:
        match node:
            case ast.Constant():
                return float(node.value)
            case ast.UnaryOp(op=ast.USub()) if values[node.operand] is not None:
                return -values[node.operand]
            case ast.BinOp() if type(node.op) in _OPERATIONS and None not in (
                values[node.left],
                values[node.right],
            ):
                return _OPERATIONS[type(node.op)](values[node.left], values[node.right])
    except ArithmeticError:
        return float("inf")
    return None


def _refuse_unknown_functions(expression):
    allowed = tuple(getattr(sympy, name) for name in FUNCTIONS if name != "sqrt")
    for function in expression.atoms(sympy.Function):
        if not isinstance(function, allowed):
            raise ValueError(
                f"unknown function {function.func.__name__!r} in {expression}; "
                f"known are {', '.join(FUNCTIONS)}"
            )
    for piecewise in expression.atoms(sympy.Piecewise):
        if piecewise.args[-1].cond != sympy.true:
            raise ValueError(f"the last branch of {piecewise} must hold otherwise: (value, True)")


def _as_piecewise(expression):
    """Abs, Max, Min and sign as Piecewise, whose derivatives are those of the branch that holds.

    Conditions are never differentiated and stay as they are.
    """
    if expression.is_Atom:
        return expression
    if isinstance(expression, sympy.Piecewise):
        return sympy.Piecewise(*[(_as_piecewise(value), when) for value, when in expression.args])
    if isinstance(expression, sympy.Max | sympy.Min):
        return _extreme(
            expression.args, sympy.Gt if isinstance(expression, sympy.Max) else sympy.Lt
        )
    parts = [_as_piecewise(argument) for argument in expression.args]
    u = expression.args[0]
    if isinstance(expression, sympy.Abs):
        (value,) = parts
        return sympy.Piecewise((value, u > 0), (0, sympy.Eq(u, 0)), (-value, True))
    if isinstance(expression, sympy.sign):
        return sympy.Piecewise((1, u > 0), (-1, u < 0), (0, True))
    return expression.func(*parts)


def _extreme(values, better):
    # Constants last: at a tie they win, so Max(x, 0) has derivative 0 at 0.
    ordered = sorted(values, key=lambda a: (a.is_number, a.sort_key()))
    return sympy.Piecewise(
        *[
            (
                _as_piecewise(argument),
                sympy.And(*[better(argument, other) for other in ordered[i + 1 :]]),
            )
            for i, argument in enumerate(ordered)
        ]
    )
