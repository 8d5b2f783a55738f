r"""Backward error analysis: the differential equations that gradient descent solves.

Gradient descent with learning rate h leaves gradient flow at order h; a modified field
:math:`\tilde F = -\nabla f + hF_1 + h^2F_2 + \dots` follows it to any order. `modified_field` gives
it as formulas, `modified_coefficients` exactly at one point, `interpolated_field` from the iterates
alone, `tree_coefficients` for every Runge-Kutta method; `optimal_truncation` shows how far the
series may be trusted.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy

from gdbook import arguments, source
from gdbook.lie import modified_coefficients_of
from gdbook.objective import Objective, require_formula
from gdbook.series import modified_coefficients, optimal_truncation
from gdbook.trees import derivative_weights, tree_coefficients

__all__ = [
    "ModifiedField",
    "interpolated_field",
    "modified_coefficients",
    "modified_field",
    "optimal_truncation",
    "tree_coefficients",
]


def modified_field(objective, order):
    r"""Modified vector field of gradient descent, to any power of the learning rate.

    The flow of :math:`\tilde F = F_0 + hF_1 + \dots + h^nF_n`, :math:`F_0 = -\nabla f`, for time h
    agrees with one step :math:`x - h\nabla f(x)` up to :math:`O(h^{n+2})`. With :math:`g = \nabla
    f` and :math:`H = \nabla^2 f`, the first coefficients are [1]_

    .. math:: F_1 = -\tfrac12 Hg, \qquad F_2 = -\tfrac13 H^2g - \tfrac1{12} f'''(g, g).

    Parameters
    ----------
    objective : Objective
        Polynomials are fastest; any smooth formula will do. Parameters stay symbols.
    order : int
        Highest power n of h.

    Returns
    -------
    ModifiedField

    Raises
    ------
    TypeError
        If the objective is not a formula; `interpolated_field` needs only its iterates.
    ValueError
        If the order is negative.

    Notes
    -----
    Exact arithmetic on polynomials, by python-flint where SymPy has found it.

    References
    ----------
    .. [1] E. Hairer, C. Lubich, G. Wanner, "Geometric Numerical Integration", 2nd edition,
       Springer 2006, chapter IX.

    Examples
    --------
    >>> import gdbook as gd
    >>> modified_field(gd.Objective("x^2/2 + x^4/4", "x"), order=1).coefficients
    [Matrix([[-x**3 - x]]), Matrix([[-3*x**5/2 - 2*x**3 - x/2]])]
    """
    require_formula(objective)
    order = arguments.natural(order, "order", 0)
    vectors = modified_coefficients_of(-objective.gradient_expression, objective.variables, order)
    return ModifiedField(objective, [sympy.Matrix(vector) for vector in vectors])


@dataclass(frozen=True, eq=False)
class ModifiedField:
    r"""The field :math:`F_0 + hF_1 + \dots + h^nF_n` that `modified_field` returns.

    Attributes
    ----------
    objective : Objective
    coefficients : list of sympy.Matrix, each of shape (d, 1)
        :math:`F_0, \dots, F_n` in the variables and parameters of the objective.
    order : int
        Highest power n of h.

    Examples
    --------
    >>> import gdbook as gd
    >>> field = modified_field(gd.Objective("x*y", "x y"), order=1)
    >>> field.order, field.coefficients[1].T
    (1, Matrix([[-x/2, -y/2]]))
    """

    objective: Objective
    coefficients: list

    @property
    def order(self):
        """Highest power of h."""
        return len(self.coefficients) - 1

    def __reduce__(self):
        # Compiled functions cannot be saved.
        return ModifiedField, (self.objective, self.coefficients)

    def evaluate(self, points, learning_rate):
        """The field at each point, with the values that the objective's parameters have.

        Parameters
        ----------
        points : array_like, shape (..., d)
        learning_rate : float

        Returns
        -------
        ndarray, shape (..., d)
            ``inf`` or ``nan`` where the formulas have no finite value.

        Examples
        --------
        >>> import gdbook as gd
        >>> modified_field(gd.Objective("x^2/2", "x"), 2).evaluate([[1.0], [2.0]], 0.5)
        array([[-1.33333333],
               [-2.66666667]])
        """
        d = self.objective.dimension
        points = arguments.points(points, d)
        h = arguments.number(learning_rate, "learning_rate")
        parameters = [float(value) for value in self.objective.parameters.values()]
        out = np.zeros(points.shape)
        with np.errstate(all="ignore"):
            values = self._function(*np.moveaxis(points, -1, 0), *parameters)
            for i in range(d):
                for value in values[i::d][::-1]:
                    out[..., i] = out[..., i] * h + value
        return out

    @cached_property
    def _function(self):
        symbols = [*self.objective.variables, *self.objective.parameter_symbols]
        return source.numpy_function(symbols, self._flat)

    @property
    def _flat(self):
        return [component for vector in self.coefficients for component in vector]

    def curl(self):
        r"""For each power of h the matrix of :math:`\partial_i F_j - \partial_j F_i`.

        A field on the whole space is a gradient exactly where its curl vanishes. For gradient
        descent the coefficients of :math:`h^0` and :math:`h^1` have none; that of :math:`h^2` has
        :math:`\frac16[H, DH[g]]`.

        Returns
        -------
        list of sympy.Matrix, each of shape (d, d)
            Antisymmetric.

        Examples
        --------
        >>> import gdbook as gd
        >>> sympy.factor(modified_field(gd.Objective("x^2*y", "x y"), 2).curl()[2][0, 1])
        -2*x*(x**2 - 2*y**2)/3
        """
        variables = list(self.objective.variables)
        curls = []
        for vector in self.coefficients:
            jacobian = vector.jacobian(variables)
            curls.append((jacobian.T - jacobian).applyfunc(self._simplified))
        return curls

    def _simplified(self, expression):
        expression = sympy.expand(expression)
        if expression.is_polynomial(*self.objective.variables):
            return expression
        return sympy.simplify(expression)

    def potential(self, learning_rate=0.0):
        r"""The modified objective, whose negative gradient is this field.

        It begins with :math:`f + \frac h4\|\nabla f\|^2`.

        Parameters
        ----------
        learning_rate : float
            Value of the parameter ``h`` of the result; ``with_parameters(h=...)`` changes it.

        Returns
        -------
        Objective
            With the parameters of the objective and one more, ``h``.

        Raises
        ------
        ValueError
            If the field is not a gradient, naming the first power of h and its curl; if the
            objective has a variable or parameter named ``h``; if an integral has no closed form.

        Examples
        --------
        >>> import gdbook as gd
        >>> modified_field(gd.Objective("x^2/2", "x"), 3).potential(0.1)
        Objective('h**3*x**2/8 + h**2*x**2/6 + h*x**2/4 + x**2/2', 'x', {'h': 0.1})
        """
        f = self.objective
        if "h" in {symbol.name for symbol in (*f.variables, *f.parameter_symbols)}:
            raise ValueError(
                "objective has a variable or parameter named 'h', which is the learning rate here"
            )
        for power, curl in enumerate(self.curl()):
            if not curl.is_zero_matrix:
                raise ValueError(
                    f"the field is not a gradient: its curl at order h^{power} is "
                    f"{sympy.factor(curl[0, 1]) if f.dimension == 2 else curl}; "
                    f"modified_field(objective, {power - 1}) has a potential"
                )
        g = f.gradient_expression
        parts = [f.smooth_expression, sympy.expand(g.dot(g)) / 4]
        for n, vector in enumerate(self.coefficients):
            if n > 1:
                parts.append(_potential(vector, f.variables, n))
        h = sympy.Symbol("h", real=True)
        return Objective(
            sum(h**n * part for n, part in enumerate(parts[: self.order + 1])),
            f.variables,
            {**f.parameters, "h": learning_rate},
            f"{f.name}_{self.order}",
        )

    def javascript(self):
        """Text of an ES module that imports nothing and computes the coefficients.

        It exports ``variables``, ``parameters``, ``order`` and ``coefficients(x, p, out)``, which
        fills and returns ``out`` with (order + 1) times d numbers: those of power 0 of h first.

        Examples
        --------
        >>> import gdbook as gd
        >>> text = modified_field(gd.Objective("x^2/2", "x"), order=1).javascript()
        >>> [line for line in text.splitlines() if "_out[" in line]
        ['  _out[0] = -x;', '  _out[1] = -1/2*x;']
        """
        f = self.objective
        header = source.javascript_header(f"Modified field of {f}", f.variables, f.parameters)
        function = source.javascript_function(
            "coefficients", f.variables, f.parameter_symbols, self._flat
        )
        return f"{header}export const order = {self.order};\n{function}"


def _potential(vector, variables, power):
    """V with -grad V = vector, a field without curl; V = 0 at the origin for polynomials."""
    if all(component.is_polynomial(*variables) for component in vector):
        # The line integral of F(t x) . x over 0 <= t <= 1 divides each monomial by its degree.
        work = sympy.Poly(sum(F * x for F, x in zip(vector, variables, strict=True)), *variables)
        return -sum(
            coefficient
            * sympy.Mul(*(x**k for x, k in zip(variables, monomial, strict=True)))
            / (sum(monomial) or 1)  # the zero polynomial has one term, of degree 0
            for monomial, coefficient in work.terms()
        )
    potential = sympy.S.Zero
    for i, (F, x) in enumerate(zip(vector, variables, strict=True)):
        rest = F + potential.diff(x)
        # Without curl it depends on none of the variables before x, but only simplified.
        potential -= sympy.integrate(sympy.simplify(rest) if i else sympy.together(rest), x)
    if potential.has(sympy.Integral, sympy.RootSum):
        raise ValueError(f"the potential at order h^{power} has no closed form that SymPy finds")
    return potential


def interpolated_field(orbit_points, learning_rate, terms):
    r"""Modified field at the start of an orbit, from the iterates alone.

    .. math:: \frac1h \sum_{m=1}^{N} \frac{(-1)^{m+1}}{m} \Delta^m x_0
              = \tilde F(x_0) + O(h^N),

    the derivative at time 0 of the polynomial through :math:`x_0, \dots, x_N`. It needs no
    derivative and no formula, in any dimension; for near-identity maps such interpolating fields
    are due to Gelfreich and Vieiro [1]_.

    Parameters
    ----------
    orbit_points : array_like, shape (n, ..., d) with n > `terms`
        Iterates of gradient descent; `Orbit.points` for one orbit. What follows the first axis may
        have any shape.
    learning_rate : float
        h.
    terms : int
        N. Rounding errors grow like :math:`2^N/h`.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    ValueError
        If there are not more than `terms` points, `terms` is below 1, or h is not positive.

    References
    ----------
    .. [1] V. Gelfreich, A. Vieiro, "Interpolating vector fields for near identity maps and
       averaging", Nonlinearity 31 (2018).

    Examples
    --------
    On :math:`x^2/2` the exact field is :math:`\log(1 - h)x/h`:

    >>> orbit = 0.9 ** np.arange(9)
    >>> print(interpolated_field(orbit, 0.1, terms=8).round(7), (np.log(0.9) / 0.1).round(7))
    -1.0536052 -1.0536052
    """
    terms = arguments.natural(terms, "terms", 1)
    h = arguments.positive(learning_rate, "learning_rate")
    points = arguments.reals(orbit_points, "orbit_points")
    if points.ndim == 0 or len(points) <= terms:
        raise ValueError(
            f"orbit_points must have more than terms = {terms} points along the first axis; "
            f"the shape given is {points.shape}"
        )
    weights = np.array(derivative_weights(terms)[1:], dtype=float)
    with np.errstate(all="ignore"):
        # The weights sum to zero: differences from the start lose fewer digits.
        return np.tensordot(weights, points[1 : terms + 1] - points[0], axes=1) / h
