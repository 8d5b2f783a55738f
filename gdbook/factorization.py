r"""Gradient descent on factorisations: what is known exactly of :math:`\tfrac12(\mu - xy)^2`."""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from gdbook import arguments
from gdbook.objective import Objective

__all__ = ["InvariantEllipse", "critical_learning_rate"]

_LEVEL = Objective("x^2 + y^2 - h*mu*x*y - 4/h + h*mu^2", "x y", {"mu": 1, "h": 1})


@dataclass(frozen=True)
class InvariantEllipse:
    r"""The ellipse that gradient descent on :math:`\tfrac12(\mu - xy)^2` maps onto itself.

    It is the curve :math:`Q_h = 0` of

    .. math:: Q_h(x, y) = x^2 + y^2 - h\mu xy - \Bigl(\frac4h - h\mu^2\Bigr), \qquad
        Q_h(x^+, y^+) = \bigl(1 + h^2 xy\,(xy - \mu)\bigr)\, Q_h(x, y).

    For :math:`0 < h\mu < 2` the factor is at least :math:`1 - h^2\mu^2/4 > 0`, so no orbit crosses
    the ellipse, and every orbit from its inside is bounded. On it, in the angle of `points`, one
    step is :math:`\theta \mapsto \pi - 3\theta`.

    Parameters
    ----------
    learning_rate : float
        :math:`h`, between 0 and :math:`2/\mu`.
    product : float
        :math:`\mu > 0`.

    Attributes
    ----------
    expression : sympy.Expr
        :math:`Q_h(x, y)` in the symbols ``x``, ``y``, ``mu`` and ``h``, also of the class itself.

    Raises
    ------
    ValueError
        Unless :math:`\mu > 0` and :math:`0 < h\mu < 2`; beyond, :math:`Q_h = 0` is no ellipse.

    References
    ----------
    .. [1] S. Liang, G. Montúfar, "Gradient Descent with Large Step Sizes: Chaos and Fractal
       Convergence Region", arXiv:2509.25351.

    Examples
    --------
    >>> ellipse = InvariantEllipse(1.5)
    >>> ellipse.contains([[1.0, 1.0], [2.0, 1.0]])
    array([ True, False])
    >>> InvariantEllipse.expression
    h*mu**2 - h*mu*x*y + x**2 + y**2 - 4/h

    A step from a point of the ellipse leads to the point with the angle :math:`\pi - 3\theta`:

    >>> from gdbook.catalogue import scalar_factorization
    >>> start = ellipse.points(0.2)
    >>> image = start - 1.5 * scalar_factorization().gradient(start)
    >>> bool(np.isclose(ellipse.angles(image), np.pi - 3 * 0.2))
    True
    """

    learning_rate: float
    product: float = 1.0

    expression = _LEVEL.expression

    def __post_init__(self):
        h, mu = self.learning_rate, self.product
        object.__setattr__(self, "learning_rate", arguments.positive(h, "learning_rate"))
        object.__setattr__(self, "product", arguments.positive(mu, "product"))
        if not self.learning_rate * self.product < 2:
            raise ValueError(
                f"learning_rate must be below 2/product = {2 / self.product:g}, beyond which "
                f"orbits are not bounded by an ellipse, not {h!r}"
            )

    @property
    def semi_axes(self):
        r"""Half lengths :math:`a, b` along the lines :math:`x = y` and :math:`x = -y`.

        .. math:: a = \sqrt{2(2 + h\mu)/h}, \qquad b = \sqrt{2(2 - h\mu)/h}

        Examples
        --------
        >>> InvariantEllipse(0.5, product=2).semi_axes == (12**0.5, 2.0)
        True
        """
        h, mu = self.learning_rate, self.product
        return math.sqrt(2 * (2 + h * mu) / h), math.sqrt(2 * (2 - h * mu) / h)

    @property
    def area(self):
        r"""Area of the inside, :math:`\pi ab = 2\pi\sqrt{4 - h^2\mu^2}/h`.

        Examples
        --------
        >>> round(InvariantEllipse(1.2).area / np.pi, 12)
        2.666666666667
        """
        return math.pi * math.prod(self.semi_axes)

    @property
    def normal_exponent(self):
        r"""Lyapunov exponent of the direction that leads away from the ellipse.

        The mean over all angles of the logarithm of the factor of :math:`Q_h`,

        .. math:: \frac1{2\pi}\int_0^{2\pi} \log(1 + 2h\mu\cos\varphi + 4\cos^2\varphi)\,d\varphi
            = \operatorname{arcosh}\frac{1 + \sqrt{25 - 4h^2\mu^2}}4 .

        It is positive: almost every orbit beside the ellipse leaves it. The exponent along the
        ellipse is :math:`\log 3`.

        Examples
        --------
        >>> math.exp(InvariantEllipse(1.5).normal_exponent)
        2.0
        """
        return math.acosh((1 + math.sqrt(25 - 4 * (self.learning_rate * self.product) ** 2)) / 4)

    def level(self, points):
        """:math:`Q_h` at each point: shape (..., 2) to (...). Negative inside.

        Examples
        --------
        >>> InvariantEllipse(1.0).level([[0.0, 0.0], [2.0, 1.0]])
        array([-3.,  0.])
        """
        return self._level.value(points)

    def contains(self, points):
        """Which points are inside: shape (..., 2) to (...) of bool. The ellipse itself is not.

        Examples
        --------
        >>> InvariantEllipse(1.0).contains([0.0, 0.0])
        np.True_
        """
        return self.level(points) < 0

    def points(self, angles):
        r"""Points of the ellipse: shape (...) to (..., 2).

        .. math:: \frac{x + y}{\sqrt2} = a\cos\theta, \qquad \frac{x - y}{\sqrt2} = b\sin\theta

        Parameters
        ----------
        angles : array_like
            :math:`\theta`.

        Examples
        --------
        >>> InvariantEllipse(1.0).points([0, np.pi / 3, np.pi]).round(12)
        array([[ 1.73205081,  1.73205081],
               [ 1.73205081,  0.        ],
               [-1.73205081, -1.73205081]])
        """
        angles = arguments.reals(angles, "angles")
        a, b = self.semi_axes
        with np.errstate(invalid="ignore"):  # an infinite angle has no point
            u, v = a * np.cos(angles) / math.sqrt(2), b * np.sin(angles) / math.sqrt(2)
        return np.stack([u + v, u - v], axis=-1)

    def angles(self, points):
        r"""Angle :math:`\theta` in :math:`[0, 2\pi)` of each point: shape (..., 2) to (...).

        Of a point that is not on the ellipse: of that on the same ray from the origin.

        Examples
        --------
        >>> InvariantEllipse(1.0).angles([[3.0, 3.0], [-1.0, -1.0]]) / np.pi
        array([0., 1.])
        """
        disc = self._to_disc(arguments.points(points, 2))
        angles = np.mod(np.arctan2(disc[..., 1], disc[..., 0]), 2 * np.pi)
        return np.where(angles == 2 * np.pi, 0.0, angles)  # what a tiny negative one is rounded to

    def share(self, limits):
        """Share of a rectangle's area that is inside of the ellipse, up to rounding.

        Parameters
        ----------
        limits : (float, float, float, float)
            Left, right, bottom and top.

        Returns
        -------
        float

        Examples
        --------
        >>> ellipse = InvariantEllipse(1.9)
        >>> round(ellipse.share((-2, 2, -2, 2)), 6), round(ellipse.area / 16, 6)
        (0.129074, 0.129074)
        """
        left, right, bottom, top = _rectangle(limits)
        corners = self._to_disc(
            np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
        )
        # The corners run clockwise in the coordinates of the disc, which a reflection gave.
        inside = -sum(_sector(p, q) for p, q in zip(corners, np.roll(corners, -1, 0), strict=True))
        share = inside * math.prod(self.semi_axes) / ((right - left) * (top - bottom))
        return float(min(max(0.0, share), 1.0))  # rounding may lead beyond

    @cached_property
    def _level(self):
        return _LEVEL.with_parameters(mu=self.product, h=self.learning_rate)

    def _to_disc(self, points):
        """The linear map that takes the inside to the unit disc."""
        x, y = np.moveaxis(points, -1, 0)
        a, b = self.semi_axes
        with np.errstate(over="ignore", invalid="ignore"):
            return np.stack([(x + y) / (a * math.sqrt(2)), (x - y) / (b * math.sqrt(2))], axis=-1)


def critical_learning_rate(starts, product=1):
    r"""Learning rate up to which gradient descent on :math:`\tfrac12(\mu - xy)^2` converges.

    .. math:: h^* = \min\Bigl\{\frac1\mu,\
        \frac8{s + \sqrt{s^2 + 16\mu(\mu - p)}}\Bigr\},
        \qquad s = x_0^2 + y_0^2, \quad p = x_0 y_0.

    A start is inside of its `InvariantEllipse` exactly as long as :math:`h` is below the second
    number. For every h, almost every start with :math:`h^* > h` converges, and almost every one
    with :math:`h^* < h` does not.

    Parameters
    ----------
    starts : array_like, shape (..., 2)
        :math:`(x_0, y_0)`.
    product : float
        :math:`\mu > 0`.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        For a product that is not positive, or points that are not in the plane.

    References
    ----------
    .. [1] S. Liang, G. Montúfar, "Gradient Descent with Large Step Sizes: Chaos and Fractal
       Convergence Region", arXiv:2509.25351.

    Examples
    --------
    On the minima, where :math:`x_0 y_0 = \mu` and the sharpness is :math:`s`, it is :math:`4/s`:

    >>> critical_learning_rate([[4.0, 0.25], [1.0, 1.0]])
    array([0.24902724, 1.        ])
    >>> 4 / (4.0**2 + 0.25**2)
    0.2490272373540856
    """
    x, y = np.moveaxis(arguments.points(starts, 2, "starts"), -1, 0)
    mu = arguments.positive(product, "product")
    with np.errstate(over="ignore", invalid="ignore"):
        # s^2 + 16 mu (mu - p) as a sum of squares, which rounding cannot make negative
        root = np.hypot((x - y) * (x + y), 2 * (x * y - 2 * mu))
        return np.minimum(1 / mu, 8 / (x * x + y * y + root))


def _rectangle(limits):
    sides = arguments.reals(limits, "limits")
    in_order = sides.shape == (4,) and sides[0] < sides[1] and sides[2] < sides[3]
    # the squares of their lengths are to be floats too
    if not (in_order and np.abs(sides).max() < 1e100 and np.diff(sides)[::2].min() > 1e-100):
        raise ValueError(
            "limits must be left < right, bottom < top, four numbers neither too large nor too "
            f"close for an area, not {limits!r}"
        )
    return sides.tolist()


def _sector(p, q):
    """Area, with its sign, that the origin sees of the unit disc behind the segment from p to q."""
    along = q - p
    roots = np.roots([along @ along, 2 * (p @ along), p @ p - 1])
    cuts = sorted(t.real for t in roots if np.isreal(t) and 0 < t.real < 1)
    ends = [p + t * along for t in [0.0, *cuts, 1.0]]
    area = 0.0
    for start, end in pairwise(ends):
        cross = start[0] * end[1] - start[1] * end[0]
        middle = (start + end) / 2
        inside = middle @ middle < 1
        area += cross / 2 if inside else math.atan2(cross, start @ end) / 2
    return area
