r"""Elementary functions as plain arithmetic, which LLVM turns into vector instructions.

A call to the mathematical library inside a loop over lanes keeps the whole loop scalar. The
functions here have no calls, no branches, no tables and no loops: a few sums, products and
selections, and casts between the bits of a number and an integer, all of which a vector has. Each
is within 2 units in the last place (ulp) of the true value on its whole range; the bound stated
with each function was exceeded at none of more than 10^8 random arguments, nor at those made to be
hard. Numba compiles them as they stand, with contraction or without; without, they give the bits
of plain Python. Sine and cosine, which need the most care, are made of fused products and sums,
rounded once: by one instruction where a processor has it, as all have since about 2013, and by the
library of C elsewhere, slowly. Their bits depend on nothing.

Three devices are used throughout.

* *Rounding by a large number*: near :math:`1.5 \cdot 2^{52}` floats are the integers, so that
  ``(y + _ROUND) - _ROUND`` is y rounded, and the last bits of ``y + _ROUND`` are that integer.
* *Parts of a constant*: for an integer n of few bits and a part c of few bits the product nc is
  exact, and with it :math:`x - nc`. Fusing it with the difference then changes nothing. Where it
  is fused, c may have all its bits, and what rounding took from the product w of n and c is
  exactly ``_fma(n, c, -w)``.
* *The rest of a sum*: with ``s = a + b``, :math:`|a| \ge |b|`, what rounding took away is exactly
  ``(a - s) + b``.

The coefficients are least-squares fits of the stated quotients at Chebyshev points, weighted for
the relative error of the function and computed in 100 digits. One coefficient after another, from
the lowest, is rounded to a float and the others are fitted again; the test of this module
derives them once more.
"""

import ast
import inspect
import math
from fractions import Fraction

import numpy as np

__all__ = ["ELEMENTARY", "cos", "definitions", "exp", "log", "log1p", "sin", "tanh"]

ELEMENTARY = ("cos", "exp", "log", "log1p", "sin", "tanh")
"""Names of the functions that :func:`definitions` writes out."""

_ROUND = 1.5 * 2.0**52
_ROUND_AND_ONE = _ROUND + 1.0
_LARGEST_ANGLE = 2.0**50

# pi/2 = 1 + 2 + 3: a float, the nearest float to the rest, and to the rest of that.
_HALF_PI_1 = 1.5707963267948966
_HALF_PI_2 = 6.123233995736766e-17
_HALF_PI_3 = -1.4973849048591698e-33

# log 2: 40 bits, so that products with 13 bits are exact, and the rest.
_LOG_2_HIGH = 0.6931471805592082
_LOG_2_LOW = 7.371002565167799e-13

_MAGNITUDE_BITS = 0x7FFFFFFFFFFFFFFF
_MANTISSA_BITS = 0x000FFFFFFFFFFFFF
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_SQRT_HALF_MANTISSA = 0x0006A09E667F3BCD
_TWO_52_BITS = 0x4330000000000000


def sin(x):
    r"""Sine, within 1.25 ulp for :math:`|x| \le 2^{30}`.

    :math:`|x| = n \pi / 2 + r` with the nearest integer n. The first difference is exact and the
    second keeps its rest, so r is known as a sum of two floats, right to the last bit however near
    x is to a multiple of :math:`\pi/2` (it comes no nearer than :math:`2^{-61}`). Then, up to
    signs, :math:`\sin x = \sin r` for even n, and :math:`\cos r = 1 - (2 \sin(r/2))^2 / 2` for
    odd n: one polynomial serves both, in :math:`\sin r = r + r^3 S(r^2)`, with relative error
    :math:`2^{-57.8}` on :math:`|r| \le \pi/4`.

    Between :math:`2^{30}` and :math:`2^{50}` the absolute error is below :math:`2^{-52} |x|`, about
    the distance of neighbouring arguments. Beyond, where floats are a quarter or more apart, a
    finite argument counts as zero. The result is never outside :math:`[-1, 1]`.

    Parameters
    ----------
    x : float

    Returns
    -------
    float
        ``nan`` for ``nan`` and infinities; ``-0.0`` for ``-0.0``.

    Examples
    --------
    >>> sin(0.5), sin(3.141592653589793)
    (0.479425538604203, 1.2246467991473532e-16)
    """
    angle = _angle(x)
    shifted = _fma(angle, 0.6366197723675814, _ROUND)
    y = _quarter_turns(angle, shifted - _ROUND, _bits(shifted))
    return _with_sign_of(x, y)


def cos(x):
    r"""Cosine, within 1.25 ulp for :math:`|x| \le 2^{30}`: :func:`sin`, one quarter turn on.

    Beyond it, too, is what is said there.

    Parameters
    ----------
    x : float

    Returns
    -------
    float
        ``nan`` for ``nan`` and infinities.

    Examples
    --------
    >>> cos(0.5), cos(1e9)
    (0.8775825618903728, 0.8378871813639023)
    """
    angle = _angle(x)
    shifted = _fma(angle, 0.6366197723675814, _ROUND_AND_ONE)
    return _quarter_turns(angle, shifted - _ROUND_AND_ONE, _bits(shifted))


def exp(x):
    r"""Exponential function, within 1 ulp.

    :math:`x = n \log 2 + r` with the nearest integer n, and
    :math:`e^x = 2^n (1 + r + r^2 E(r))`, where the relative error of the polynomial is below
    :math:`2^{-61}`. The power of two is applied as two factors, since :math:`2^n` alone may
    not be a float where the product is one.

    Parameters
    ----------
    x : float

    Returns
    -------
    float
        ``inf`` above 709.78, gradually less precise below -708.4, ``0.0`` below -745.13.

    Examples
    --------
    >>> exp(1.0), exp(-745.0), exp(1000.0)
    (2.718281828459045, 5e-324, inf)
    """
    x = float(x)
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    n = (x * 1.4426950408889634 + _ROUND) - _ROUND
    r = (x - n * _LOG_2_HIGH) - n * _LOG_2_LOW
    y = 1.0 + r
    y = y + (((1.0 - y) + r) + r * r * _exponential_rest(r))
    half = 0.5 * n + _ROUND
    other = (n - (half - _ROUND)) + _ROUND
    return y * _power_of_two(half) * _power_of_two(other)


def log(x):
    r"""Natural logarithm, within 1 ulp.

    :math:`x = 2^n (1 + f)` with :math:`\sqrt{1/2} \le 1 + f < \sqrt 2`, read off the bits. With
    :math:`s = f / (2 + f)`, :math:`\log(1 + f) = \log\frac{1 + s}{1 - s} = 2 s + s^3 L(s^2)`,
    relative error :math:`2^{-59}`, and :math:`2 s = f - s f` keeps the first term exact.

    Parameters
    ----------
    x : float

    Returns
    -------
    float
        ``-inf`` at zero of either sign, ``nan`` for negative numbers.

    Examples
    --------
    >>> log(2.0), log(5e-324), log(0.0), log(-1.0)
    (0.6931471805599453, -744.4400719213812, -inf, nan)
    """
    x = float(x)
    subnormal = x < 2.0**-1022
    bits = (_bits(x * 2.0**54 if subnormal else x) & _MAGNITUDE_BITS) - _SQRT_HALF_MANTISSA
    # An integer below 2^52 in the last bits of 2^52 is a float without a conversion.
    n = _number(((bits >> 52) & 0x7FF) | _TWO_52_BITS) - (2.0**52 + 1022.0)
    n = n - 54.0 if subnormal else n
    f = _number((bits & _MANTISSA_BITS) + _SQRT_HALF_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    high = n * _LOG_2_HIGH + f
    low = (n * _LOG_2_HIGH - high) + f
    y = high + (low - (s * (f - z * _logarithm_rest(z)) - n * _LOG_2_LOW))
    y = x if x == np.inf else y
    y = -np.inf if x == 0.0 else y
    return y if x >= 0.0 else np.nan


def log1p(x):
    r"""Logarithm of one plus the argument, within 2 ulp.

    With :math:`u` the float nearest to :math:`1 + x` it is :math:`\log u + ((1 + x) - u) / u`:
    what rounding took from the sum is known exactly, and small against u.

    Parameters
    ----------
    x : float

    Returns
    -------
    float
        ``-inf`` at -1, ``nan`` below; ``-0.0`` for ``-0.0``.

    Examples
    --------
    >>> log1p(1e-20), log1p(1.0), log1p(-1.0)
    (1e-20, 0.6931471805599453, -inf)
    """
    x = float(x)
    u = 1.0 + x
    rest = (x - (u - 1.0)) if abs(x) < 1.0 else (1.0 - (u - x))
    y = log(u) + rest / (u if u > 0.0 else 1.0)
    y = y if x < np.inf else x
    return y if abs(x) > 2.0**-54 else x


def tanh(x):
    r"""Hyperbolic tangent, within 1.5 ulp.

    :math:`\tanh |x| = -e / (2 + e)` with :math:`e = \exp(-2 |x|) - 1`, which is
    :math:`(2^n - 1) + 2^n (r + r^2 E(r))` with n, r and E as in :func:`exp`. Numerator and
    denominator are sums of two floats; the quotient q of the first is corrected for the second
    by :math:`1 / (2 + e) = (1 + q) / 2`.

    Parameters
    ----------
    x : float

    Returns
    -------
    float
        In :math:`[-1, 1]`; ``-0.0`` for ``-0.0``.

    Examples
    --------
    >>> tanh(0.5), tanh(-20.0)
    (0.46211715726000974, -1.0)
    """
    size = abs(float(x))
    y = -2.0 * (22.0 if size > 22.0 else size)
    shifted = y * 1.4426950408889634 + _ROUND
    n = shifted - _ROUND
    t = y - n * _LOG_2_HIGH
    r = t - n * _LOG_2_LOW
    rest = ((t - r) - n * _LOG_2_LOW) + r * r * _exponential_rest(r)
    scale = _power_of_two(shifted)
    high = (scale - 1.0) + scale * r
    low = (((scale - 1.0) - high) + scale * r) + scale * rest
    e = high + low
    low = (high - e) + low
    denominator = 2.0 + e
    denominator_low = ((2.0 - denominator) + e) + low
    q = (0.0 - e) / denominator  # unlike -e never -0.0
    return _with_sign_of(x, q - 0.5 * (1.0 + q) * (low + q * denominator_low))


def definitions(names, decorator):
    """Text that defines functions of this module in a file of its own.

    Parameters
    ----------
    names : iterable of str
        Some of `ELEMENTARY`.
    decorator : str
        The line before each definition, such as
        ``'@njit(forceinline=True, error_model="numpy")'``. Flags for fast mathematics have to
        stand here as well as on the function that calls.

    Returns
    -------
    str
        The constants and helpers they need, then the functions, without their docstrings. The
        file must have ``import numpy as np`` and import what the decorator names.

    Raises
    ------
    ValueError
        If a name is not in `ELEMENTARY`.

    Examples
    --------
    >>> print(definitions(["exp"], "@njit(forceinline=True)").splitlines()[0])
    _ROUND = 6755399441055744.0
    """
    constants, functions = {}, {}
    for name in names:
        if name not in ELEMENTARY:
            raise ValueError(f"names must be among {', '.join(ELEMENTARY)}, not {name!r}")
        _collect(name, decorator, constants, functions)
    lines = [f"{name} = {value!r}\n" for name, value in constants.items()]
    return "".join(lines) + "".join(f"\n\n{text}" for text in functions.values())


def _collect(name, decorator, constants, functions):
    """What a function uses of this module, then itself; dicts keep that order."""
    if name in functions:
        return
    function = globals()[name]
    if function is _fma:
        functions[name] = _FMA.lstrip()
        return
    for used in function.__code__.co_names:
        value = globals().get(used)
        if isinstance(value, int | float):
            constants[used] = value
        elif inspect.isfunction(value):
            _collect(used, decorator, constants, functions)
    functions[name] = f"{decorator}\n{_without_docstring(inspect.getsource(function))}"


def _without_docstring(source):
    first = ast.parse(source).body[0].body[0]
    lines = source.splitlines(keepends=True)
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        del lines[first.lineno - 1 : first.end_lineno]
    return "".join(lines)


def _bits(x):
    return np.float64(x).view(np.int64)


def _number(bits):
    return float(np.int64(bits).view(np.float64))


def _fma(x, y, z):
    """The product of x and y, plus z, rounded once."""
    if not all(isinstance(number, float) and math.isfinite(number) for number in (x, y, z)):
        return x * y + z
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    return float(exact) if exact else x * y + z  # which has the sign of zero


# The same as one instruction, which Numba has no name for.
_FMA = """
from numba import float64
from numba.extending import intrinsic


@intrinsic
def _fma(context, x, y, z):
    return float64(float64, float64, float64), lambda _, builder, __, numbers: builder.fma(*numbers)
"""


def _with_sign_of(x, y):
    # For a y without sign; a sign of x is where it differs from its size.
    return _number(_bits(y) ^ _bits(x) ^ _bits(abs(x)))


def _power_of_two(shifted):
    # 2^n for n = shifted - _ROUND: the bits of n + 1023 become the exponent, all others leave.
    return _number((_bits(shifted) + 1023) << 52)


def _angle(x):
    size = abs(float(x))
    return size - size if size > _LARGEST_ANGLE else size  # 0, or nan for infinity


def _quarter_turns(angle, n, quarters):
    """The sine of angle - n pi/2, turned on by `quarters` (of which the last two bits count)."""
    t = _fma(n, -_HALF_PI_1, angle)
    w = _fma(n, _HALF_PI_2, 0.0)  # a plain product might be fused with the differences
    r = t - w
    low = ((t - r) - w) - _fma(n, _HALF_PI_3, _fma(n, _HALF_PI_2, -w))
    odd = (quarters & 1) != 0
    z = r * r
    z = 0.25 * z if odd else z
    # Times cos r, low would be right to second order; without it at most 0.3 ulp is lost.
    y = r + _fma(r * z, _sine_rest(z), low)
    y = _fma(y * y, -0.5, 1.0) if odd else y
    return _number(_bits(y) ^ ((quarters >> 1) << 63))


def _sine_rest(z):
    """(sin r - r) / r^3 for z = r^2, |r| <= pi/4."""
    p = _fma(z, 1.5895917428109349e-10, -2.505074189436664e-08)
    p = _fma(z, p, 2.755731357977863e-06)
    p = _fma(z, p, -0.0001984126982945242)
    p = _fma(z, p, 0.008333333333321914)
    return _fma(z, p, -0.1666666666666663)


def _exponential_rest(r):
    """(exp r - 1 - r) / r^2 for |r| <= log(2)/2."""
    p = 2.5109136636541316e-08 + r * 2.088661145694916e-09
    p = 2.755736190325427e-07 + r * p
    p = 2.755724389187447e-06 + r * p
    p = 2.4801587227579444e-05 + r * p
    p = 0.00019841269886485663 + r * p
    p = 0.001388888888892833 + r * p
    p = 0.008333333333321463 + r * p
    p = 0.0416666666666666 + r * p
    p = 0.16666666666666677 + r * p
    return 0.5 + r * p


def _logarithm_rest(z):
    """(log((1 + s)/(1 - s)) - 2 s) / s^3 for z = s^2, s <= (sqrt(2) - 1)/(sqrt(2) + 1)."""
    p = 0.15313917988919654 + z * 0.147971321055873
    p = 0.18183570238726599 + z * p
    p = 0.22222198440384103 + z * p
    p = 0.2857142874394676 + z * p
    p = 0.3999999999940582 + z * p
    return 0.6666666666666736 + z * p
