r"""Gradient descent on factorisations: :math:`\tfrac12(\mu - xy)^2`, and matrices."""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from gdbook import arguments
from gdbook.lanczos import leading, random_block
from gdbook.objective import Objective

__all__ = ["InvariantEllipse", "MatrixFactorization", "critical_learning_rate", "imbalance"]

_LARGEST_DENSE = 400  # coordinates up to which the Hessian is written down for its eigenvalues
_TOLERANCE = 1e-8  # of eigenvectors beyond; it is squared in the error of an eigenvalue
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


@dataclass(frozen=True, eq=False)
class MatrixFactorization:
    r"""The objective :math:`f(X, Y) = \tfrac12\|A - XY^\top\|_F^2`.

    A point is the pair of factors, X of shape (n, d) and Y of shape (m, d), written row by row as
    one vector: `join` makes it and `split` takes it apart. With the residual
    :math:`E = XY^\top - A`

    .. math:: \nabla_X f = EY, \qquad \nabla_Y f = E^\top X, \qquad
        \nabla^2 f\,[U, V] = \bigl(PY + EV,\ P^\top X + E^\top U\bigr), \quad
        P = UY^\top + XV^\top .

    The global minima are the pairs for which :math:`XY^\top` is a best approximation of A among the
    matrices of rank at most d, and there are no other local minima. At each of them the sharpness
    is :math:`\|X\|_2^2 + \|Y\|_2^2`, which is at least :math:`2\sigma_1(A)`, twice the largest
    singular value.

    Parameters
    ----------
    target : array_like, shape (n, m)
        :math:`A`.
    rank : int
        :math:`d \ge 1`, the number of columns of both factors. It may be larger than the rank of A.

    Raises
    ------
    ValueError, TypeError
        If the target is not a matrix of finite real numbers, or the rank no whole number from 1 on.

    References
    ----------
    .. [1] Y. Wang, M. Chen, T. Zhao, M. Tao, "Large Learning Rate Tames Homogeneity: Convergence
       and Balancing Effect", ICLR 2022, arXiv:2110.03677.

    Examples
    --------
    >>> from gdbook import gradient_descent
    >>> objective = MatrixFactorization(np.diag([3.0, 2.0, 1.0]), rank=2)
    >>> start = objective.join([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.eye(3, 2))
    >>> float(objective.value(start))
    2.5
    >>> orbit = gradient_descent(objective, start, 0.2, steps=1000)
    >>> orbit.outcome.label, round(float(orbit.values[-1]), 9)  # only the 1 cannot be fitted
    ('converged', 0.5)
    """

    target: np.ndarray
    rank: int

    def __reduce__(self):  # what is read back can be written to as little
        return MatrixFactorization, (self.target, self.rank)

    def __post_init__(self):
        target = arguments.reals(self.target, "target")
        if target.ndim != 2 or target.size == 0 or not np.isfinite(target).all():
            raise ValueError(
                "target must be a matrix of finite numbers with rows and columns, as in "
                f"[[1.0, 2.0], [3.0, 4.0]], not {self.target!r}"
            )
        target.setflags(write=False)
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "rank", arguments.natural(self.rank, "rank", least=1))

    @property
    def dimension(self):
        """Number of coordinates of a point, (n + m) d."""
        return sum(self.target.shape) * self.rank

    @property
    def critical_learning_rate(self):
        r"""Largest learning rate for which a global minimum can be stable, :math:`1/\sigma_1(A)`.

        The balanced minima are the flattest ones, and there their sharpness is :math:`2/h` exactly.
        ``inf`` where A = 0.

        Examples
        --------
        >>> MatrixFactorization([[0.0, 4.0], [1.0, 0.0]], rank=1).critical_learning_rate
        0.25
        """
        largest = float(self._singular[1][0])
        return 1 / largest if largest else math.inf

    def minimum(self, gauge=None):
        r"""A global minimum: from the singular value decomposition, balanced unless changed.

        With the d largest singular values S of A and their singular vectors U, V, it is

        .. math:: X = U S^{1/2} R, \qquad Y = V S^{1/2} R^{-\top},

        with columns of zeros where A has fewer than d singular values. Where the d-th one is
        positive and larger than the next, these are all the global minima.

        Parameters
        ----------
        gauge : array_like, shape (d, d), optional
            :math:`R`, invertible. Unless given, the identity, and :math:`X^\top X = Y^\top Y`.

        Returns
        -------
        ndarray, shape ((n + m) d,)

        Raises
        ------
        ValueError
            If the gauge is not an invertible matrix of this shape.

        Examples
        --------
        >>> objective = MatrixFactorization([[9.0]], rank=1)
        >>> np.abs(objective.minimum()), np.abs(objective.minimum([[3.0]]))
        (array([3., 3.]), array([9., 1.]))
        """
        left, values, right = self._singular
        d, kept = self.rank, min(self.rank, len(values))
        roots = np.zeros((kept, d))
        np.fill_diagonal(roots, np.sqrt(values[:kept]))
        R = np.eye(d) if gauge is None else _gauge(gauge, d)
        X, Y = left[:, :kept] @ roots, right[:kept].T @ roots
        return self.join(X @ R, np.linalg.solve(R, Y.T).T)

    def join(self, left, right):
        """The points with given factors: shapes (..., n, d) and (..., m, d) to (..., (n + m) d).

        Examples
        --------
        >>> MatrixFactorization([[6.0]], rank=2).join([[1.0, 2.0]], [[3.0, 4.0]])
        array([1., 2., 3., 4.])
        """
        n, m = self.target.shape
        left = _matrices(left, "left", (n, self.rank))
        right = _matrices(right, "right", (m, self.rank))
        several = _several(left, right)
        sizes = (n * self.rank, m * self.rank)
        rows = [F.reshape(*F.shape[:-2], k) for F, k in zip((left, right), sizes, strict=True)]
        flat = [np.broadcast_to(row, (*several, row.shape[-1])) for row in rows]
        return np.concatenate(flat, axis=-1)

    def split(self, points):
        """The factors X and Y of points: shape (..., (n + m) d) to (..., n, d) and (..., m, d).

        Examples
        --------
        >>> MatrixFactorization([[6.0]], rank=2).split([1.0, 2.0, 3.0, 4.0])
        (array([[1., 2.]]), array([[3., 4.]]))
        """
        return self._split(arguments.points(points, self.dimension))

    def value(self, points):
        """Value at each point: shape (..., (n + m) d) to (...).

        Examples
        --------
        >>> MatrixFactorization([[6.0]], rank=1).value([[1.0, 2.0], [2.0, 3.0]])
        array([8., 0.])
        """
        X, Y = self.split(points)
        with np.errstate(all="ignore"):
            return 0.5 * np.sum(self._residual(X, Y) ** 2, axis=(-2, -1))

    def gradient(self, points):
        """Gradient at each point: shape (..., (n + m) d) to the same.

        Examples
        --------
        >>> MatrixFactorization([[6.0]], rank=1).gradient([1.0, 2.0])
        array([-8., -4.])
        """
        X, Y = self.split(points)
        with np.errstate(all="ignore"):
            E = self._residual(X, Y)
            return self.join(E @ Y, E.mT @ X)

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., (n + m) d), twice, to the same.

        Examples
        --------
        >>> MatrixFactorization([[6.0]], rank=1).hessian_product([1.0, 2.0], [1.0, 0.0])
        array([ 4., -2.])
        """
        points, vectors = arguments.pair(points, vectors, self.dimension)
        (X, Y), (U, V) = self._split(points), self._split(vectors)
        with np.errstate(all="ignore"):
            E = self._residual(X, Y)
            P = U @ Y.mT + X @ V.mT
            return self.join(P @ Y + E @ V, P.mT @ X + E.mT @ U)

    def hessian(self, points):
        """Hessian at each point: shape (..., D) to (..., D, D), where D = (n + m) d.

        Examples
        --------
        >>> MatrixFactorization([[6.0]], rank=1).hessian([1.0, 2.0])
        array([[ 4., -2.],
               [-2.,  1.]])
        """
        points = arguments.points(points, self.dimension)
        return self.hessian_product(points[..., np.newaxis, :], np.eye(self.dimension))

    def sharpness(self, points):
        """Largest eigenvalue of the Hessian at each point: shape (..., (n + m) d) to (...).

        ``nan`` where the Hessian is not finite. Up to 400 coordinates from the whole Hessian,
        beyond from its products with vectors, by Lanczos' method.

        Examples
        --------
        At a global minimum it is the sum of the squares of the largest singular values of X and Y:

        >>> objective = MatrixFactorization(np.diag([3.0, 2.0, 1.0]), rank=2)
        >>> flat, sharp = objective.minimum(), objective.minimum(np.diag([1.0, 2.0]))
        >>> objective.sharpness([flat, sharp]).round(12)
        array([ 6., 11.])
        """
        points = arguments.points(points, self.dimension)
        largest = [self._largest_eigenvalue(point) for point in points.reshape(-1, self.dimension)]
        return np.reshape(np.array(largest, dtype=float), points.shape[:-1])

    @cached_property
    def _singular(self):
        return np.linalg.svd(self.target, full_matrices=False)

    def _residual(self, X, Y):
        return X @ Y.mT - self.target

    def _split(self, points):
        (n, m), d, several = self.target.shape, self.rank, points.shape[:-1]
        X, Y = points[..., : n * d], points[..., n * d :]
        return X.reshape(*several, n, d), Y.reshape(*several, m, d)

    def _largest_eigenvalue(self, point):
        if self.dimension > _LARGEST_DENSE:
            block = random_block(self.dimension, 1)
            return leading(partial(self.hessian_product, point), block, _TOLERANCE)[0][0]
        hessian = self.hessian(point)
        return np.linalg.eigvalsh(hessian)[-1] if np.isfinite(hessian).all() else np.nan


def critical_learning_rate(starts, product=1):
    r"""Learning rate up to which gradient descent on :math:`\tfrac12(\mu - xy)^2` converges.

    .. math:: h^* = \min\Bigl\{\frac1\mu,\
        \frac8{s + \sqrt{s^2 + 16\mu(\mu - p)}}\Bigr\},
        \qquad s = x_0^2 + y_0^2, \quad p = x_0 y_0.

    A start is inside of its `InvariantEllipse` exactly as long as :math:`h` is below the second
    number. For every h, almost every start with :math:`h^* > h` converges, and almost every one
    with :math:`h^* < h` does not: see the reference given with `InvariantEllipse`.

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


def imbalance(left, right):
    r"""How far two factors are from being balanced, :math:`X^\top X - Y^\top Y`.

    Gradient flow on `MatrixFactorization` keeps it [1]_. A step of gradient descent adds
    :math:`h^2(Y^\top E^\top E Y - X^\top E E^\top X)` to it, with :math:`E = XY^\top - A`.

    Parameters
    ----------
    left : array_like, shape (..., n, d)
        :math:`X`.
    right : array_like, shape (..., m, d)
        :math:`Y`.

    Returns
    -------
    ndarray, shape (..., d, d)
        Symmetric. Zero exactly for balanced factors.

    Raises
    ------
    ValueError
        If the factors do not have the same number of columns.

    References
    ----------
    .. [1] S. Du, W. Hu, J. Lee, "Algorithmic Regularization in Learning Deep Homogeneous Models:
       Layers are Automatically Balanced", NeurIPS 2018, arXiv:1806.00900.

    Examples
    --------
    >>> imbalance([[5.0]], [[0.25]])
    array([[24.9375]])
    >>> imbalance([[1.0, 0.0], [0.0, 2.0]], [[2.0, 1.0]])
    array([[-3., -2.],
           [-2.,  3.]])
    """
    X, Y = _matrices(left, "left"), _matrices(right, "right")
    if X.shape[-1] != Y.shape[-1]:
        raise ValueError(
            "left and right must have the same number of columns, shapes (..., n, d) and "
            f"(..., m, d), not {X.shape} and {Y.shape}"
        )
    _several(X, Y)
    with np.errstate(all="ignore"):
        return X.mT @ X - Y.mT @ Y


def _matrices(value, name, shape=None):
    array = arguments.reals(value, name)
    if array.ndim < 2 or (shape and array.shape[-2:] != shape):
        expected = "(..., rows, columns)" if shape is None else f"(..., {shape[0]}, {shape[1]})"
        raise ValueError(f"{name} must have the shape {expected}, not {array.shape}")
    return array


def _several(left, right):
    """The shape in which matrices come, as many of `left` as of `right`."""
    try:
        return np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ValueError(
            "left and right must be equally many matrices, or one for all, not "
            f"{left.shape[:-2]} and {right.shape[:-2]}"
        ) from None


def _gauge(gauge, d):
    R = _matrices(gauge, "gauge", (d, d))
    if R.ndim > 2 or not (np.isfinite(R).all() and np.linalg.matrix_rank(R) == d):
        raise ValueError(f"gauge must be one invertible matrix of shape {(d, d)}, not {gauge!r}")
    return R


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
