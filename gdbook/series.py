r"""The modified field of gradient descent at one point, as a series in the learning rate.

At one point nothing is symbolic: the series comes from the iterates themselves, exactly and to
order 70 and more, far enough to see that it diverges and where it is best cut off.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from operator import mul

import numpy as np
import sympy

from gdbook.arguments import natural, rational
from gdbook.objective import require_formula
from gdbook.trees import derivative_weights

__all__ = ["Truncation", "modified_coefficients", "optimal_truncation"]

_LONGEST_ORBIT = 50_000
_NEAR, _FAR = 1e-6, 1e6


def modified_coefficients(objective, start, order):
    r"""Exact coefficients of the modified field of gradient descent at one point.

    With :math:`\Delta` for the forward difference along the orbit :math:`x_0, x_1, \dots`,

    .. math:: h\tilde F(x_0) = \log(1 + \Delta)\,x_0
              = \sum_{m\ge1} \frac{(-1)^{m+1}}{m} \Delta^m x_0 .

    The iterates are polynomials in h, and :math:`\Delta^m x_0` begins with :math:`h^m`, so finitely
    many iterates give each coefficient exactly. They are computed with whole numbers.

    Parameters
    ----------
    objective : Objective
        A polynomial with rational coefficients and parameters. A float counts as the exact binary
        fraction that it is.
    start : rational, or sequence of d rationals
        :math:`x_0`: whole numbers, Fractions, strings such as ``"1/2"``, or floats.
    order : int
        Highest power of h.

    Returns
    -------
    list of tuple of Fraction
        For each power 0, ..., `order` of h one Fraction for each variable.

    Raises
    ------
    ValueError
        If the objective is not a polynomial with rational coefficients, the start not rational or
        not of dimension d, or the order negative.

    Examples
    --------
    >>> import gdbook as gd
    >>> f = gd.Objective("x^2/2 + x^4/4", "x")
    >>> [str(c) for c, in modified_coefficients(f, 1, order=4)]
    ['-2', '-4', '-38/3', '-48', '-2956/15']
    """
    require_formula(objective)
    order = natural(order, "order", 0)
    gradient = _rational_gradient(objective)
    start = _rational_point(start, objective.dimension)
    # Whole numbers throughout: coordinates in units of 1/unit, learning rate in units of 1/rate.
    unit = lcm(*(x.denominator for x in start))
    scaled = [
        {m: -c * Fraction(unit) ** (1 - sum(m)) for m, c in component.items()}
        for component in gradient
    ]
    rate = lcm(*(c.denominator for component in scaled for c in component.values()))
    field = [{m: int(c * rate) for m, c in component.items()} for component in scaled]
    start = [int(x * unit) for x in start]

    weights = derivative_weights(order + 1)
    common = lcm(*(w.denominator for w in weights))
    totals = [[0] * (order + 2) for _ in start]
    for weight, point in zip(weights, _orbit_in_powers(field, start, order + 1), strict=True):
        weight = int(weight * common)
        totals = [
            [t + weight * c for t, c in zip(total, series, strict=True)]
            for total, series in zip(totals, point, strict=True)
        ]
    return [
        tuple(Fraction(total[n], common * unit * rate**n) for total in totals)
        for n in range(1, order + 2)
    ]


def _orbit_in_powers(field, start, degree):
    """The first `degree` iterates of x + h*field(x), each coordinate a list of powers of h."""
    point = [[x] + [0] * degree for x in start]
    yield point
    for _ in range(degree):
        slope = _evaluate(field, point)
        point = [
            [x[0], *(a + b for a, b in zip(x[1:], g, strict=False))]
            for x, g in zip(point, slope, strict=True)
        ]
        yield point


def _evaluate(field, point):
    """Each component of a polynomial field at a point of power series."""
    length = len(point[0])
    one = [1] + [0] * (length - 1)
    powers = {(0,) * len(point): one}

    def power(monomial):
        if monomial not in powers:
            i = next(i for i, k in enumerate(monomial) if k)
            smaller = (*monomial[:i], monomial[i] - 1, *monomial[i + 1 :])
            powers[monomial] = _product(power(smaller), point[i])
        return powers[monomial]

    values = []
    for component in field:
        value = [0] * length
        for monomial, coefficient in component.items():
            value = [v + coefficient * p for v, p in zip(value, power(monomial), strict=True)]
        values.append(value)
    return values


def _product(a, b):
    n = len(a)
    backwards = b[::-1]
    return [sum(map(mul, a[: i + 1], backwards[n - 1 - i :])) for i in range(n)]


def _rational_gradient(objective):
    """Each component of the gradient as a dict from exponents to Fractions."""
    values = {
        symbol: _sympy_rational(rational(value, f"parameter {symbol.name!r}"))
        for symbol, value in zip(
            objective.parameter_symbols, objective.parameters.values(), strict=True
        )
    }
    polynomials = []
    for component in objective.gradient_expression:
        floats = {x: _sympy_rational(Fraction(float(x))) for x in component.atoms(sympy.Float)}
        try:
            polynomial = sympy.Poly(
                component.xreplace({**floats, **values}), *objective.variables, domain=sympy.QQ
            )
        except sympy.polys.polyerrors.BasePolynomialError:
            raise ValueError(
                f"objective must be a polynomial with rational coefficients, not {objective}; "
                "modified_field takes others"
            ) from None
        polynomials.append(
            {m: Fraction(int(c.p), int(c.q)) for m, c in polynomial.terms() if c != 0}
        )
    return polynomials


def _sympy_rational(fraction):
    return sympy.Rational(fraction.numerator, fraction.denominator)


def _rational_point(start, dimension):
    entries = np.atleast_1d(np.asarray(start, dtype=object))
    if entries.shape != (dimension,):
        raise ValueError(
            f"start must have {dimension} coordinates, one for each variable, not {start!r}"
        )
    return [rational(x, "start") for x in entries]


@dataclass(frozen=True, eq=False)
class Truncation:
    r"""The series of the modified field at one point against its exact value.

    Attributes
    ----------
    exact : mpmath.mpf
        :math:`\tilde F_*(x_0)`.
    coefficients : tuple of Fraction, length max_order
        Coefficients of :math:`h^0, h^1, \dots`
    errors : ndarray, shape (max_order,)
        ``errors[n - 1]`` is the distance of the sum of the first n terms from `exact`.
    terms : int
        Number of terms with the smallest error.
    error : float
        The smallest error.

    Examples
    --------
    On :math:`x^2/2` the series is that of :math:`\log(1 - h)/h`, which converges:

    >>> import gdbook as gd
    >>> result = optimal_truncation(gd.Objective("x^2/2", "x"), 1, "1/2", max_order=3)
    >>> float(result.exact), result.terms
    (-1.3862943611198906, 3)
    """

    exact: object
    coefficients: tuple
    errors: np.ndarray

    @property
    def terms(self):
        """Number of terms with the smallest error."""
        return int(np.argmin(self.errors)) + 1

    @property
    def error(self):
        """The smallest error."""
        return float(self.errors.min())


def optimal_truncation(objective, start, learning_rate, max_order):
    r"""Where to cut off the divergent series of the modified field, in one dimension.

    Near a minimum :math:`x_*` with :math:`0 < h\lambda < 1`, :math:`\lambda = f''(x_*)`, one step
    of gradient descent is conjugate to multiplication by :math:`1 - h\lambda`, and there is a field
    whose flow for time h is exactly that step [1]_:

    .. math:: \tilde F_*(x) = \frac{\log(1 - h\lambda)}{h}\, \frac{\varphi(x)}{\varphi'(x)}, \qquad
              \varphi(x_0) = \lim_{k\to\infty} \frac{x_k - x_*}{(1 - h\lambda)^k} .

    The modified equation is its formal series in h. The limit is accelerated by Richardson's
    extrapolation in powers of :math:`1 - h\lambda`, with as many digits as the smallest term of
    the series asks for.

    Parameters
    ----------
    objective : Objective
        A polynomial of one variable with rational coefficients.
    start : rational
        :math:`x_0`. Floats count as the binary fractions that they are, here and below.
    learning_rate : rational
        h.
    max_order : int
        Largest number of terms tried; n terms have the powers :math:`h^0, \dots, h^{n-1}`.

    Returns
    -------
    Truncation

    Raises
    ------
    ValueError
        If the objective has more than one variable or is no rational polynomial, if h is not
        positive, if the orbit does not converge to a minimum with :math:`0 < h\lambda < 1` (within
        50000 steps), or if it meets a point where :math:`hf'' = 1` and the exact field has a pole.

    References
    ----------
    .. [1] G. Koenigs, "Recherches sur les intégrales de certaines équations fonctionnelles",
       Annales scientifiques de l'École Normale Supérieure 1 (1884).

    Examples
    --------
    >>> import gdbook as gd
    >>> f = gd.Objective("x^2/2 + x^4/4", "x")
    >>> best = optimal_truncation(f, 1, "1/10", max_order=60)
    >>> best.terms, f"{best.error:.1e}", f"{best.errors[-1]:.1f}"
    (21, '1.4e-09', '3.6')
    """
    import mpmath

    require_formula(objective)
    if objective.dimension != 1:
        raise ValueError(
            f"objective must have one variable, not {objective.dimension}: only there an exact "
            "field is known to exist"
        )
    max_order = natural(max_order, "max_order", 1)
    h = rational(learning_rate, "learning_rate")
    if h <= 0:
        raise ValueError(f"learning_rate must be positive, not {learning_rate!r}")
    (x,) = _rational_point(start, 1)
    coefficients = tuple(c for (c,) in modified_coefficients(objective, [x], max_order - 1))
    terms = [c * h**n for n, c in enumerate(coefficients)]
    smallest = min((abs(t) for t in terms if t), default=1)
    digits = 25 - min(0, _decimal_exponent(smallest))
    with mpmath.workdps(2 * digits + 30):
        exact = _exact_field(mpmath, objective, x, h, mpmath.mpf(10) ** -digits)
        errors, total = [], mpmath.mpf(0)
        for t in terms:
            total += mpmath.mpf(t.numerator) / t.denominator
            errors.append(float(abs(total - exact)))
    return Truncation(exact, coefficients, np.array(errors))


def _decimal_exponent(fraction):
    return (fraction.numerator.bit_length() - fraction.denominator.bit_length()) * 3 // 10


def _exact_field(mpmath, objective, start, h, tolerance):
    """log(1 - h*curvature)/h * phi/phi' at the start, to a relative error of `tolerance`."""

    def number(fraction):
        return mpmath.mpf(fraction.numerator) / fraction.denominator

    (gradient,) = _rational_gradient(objective)
    degree = max((k for (k,) in gradient), default=0)
    slope = [number(gradient.get((k,), Fraction(0))) for k in range(degree, -1, -1)]
    h = number(h)

    def derivatives(x):
        return mpmath.polyval(slope, x, derivative=True)

    def step(x, product):
        g, curvature = derivatives(x)
        return x - h * g, product * (1 - h * curvature)

    x, product = _near_minimum(derivatives, step, number(start))
    if product == 0:
        raise ValueError("learning_rate times f'' is 1 on the orbit: the exact field has a pole")
    minimum = _newton(derivatives, x, tolerance)
    factor = 1 - h * derivatives(minimum)[1]
    if not 0 < factor < 1:
        raise ValueError(
            "learning_rate times the curvature at the minimum must lie between 0 and 1; "
            f"it is {float(1 - factor):.6g}"
        )
    # (x_k - minimum) / (d x_k / d x_0) tends to phi/phi', with an error that is a power series in
    # factor**k: each level of the table removes one power.
    stride = int(mpmath.ceil(-mpmath.log(2) / mpmath.log(factor)))
    ratio, row = factor**stride, []
    while True:
        new = [(x - minimum) / product]
        for level, old in enumerate(row, start=1):
            new.append((new[-1] - ratio**level * old) / (1 - ratio**level))
        if len(row) > 1 and abs(new[-1] - row[-1]) <= tolerance * abs(new[-1]):
            return mpmath.log(factor) / h * new[-1]
        row = new
        for _ in range(stride):
            x, product = step(x, product)


def _near_minimum(derivatives, step, x):
    """The orbit up to where Newton's method takes over, and d x_k / d x_0 there."""
    start, product = x, 1
    for _ in range(_LONGEST_ORBIT):
        g, curvature = derivatives(x)
        if curvature > 0 and abs(g) <= _NEAR * curvature * (1 + abs(x)):
            return x, product
        if g == 0 or abs(x) > _FAR:
            break
        x, product = step(x, product)
    raise ValueError(
        f"the orbit from start = {float(start):g} does not converge to a minimum with f'' > 0: "
        "choose another start or a smaller learning_rate"
    )


def _newton(derivatives, x, tolerance):
    while True:
        g, curvature = derivatives(x)
        x -= g / curvature
        if abs(g) <= tolerance**2 * curvature:
            return x
