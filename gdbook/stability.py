r"""Which global minima gradient descent can converge to, and from when on to none of them.

A minimum is weakly stable for a learning rate h if its sharpness is at most :math:`2/h`.
"""

import math
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from scipy.special import ellipeinc, ellipkinc

from gdbook import arguments
from gdbook.factorization import InvariantEllipse
from gdbook.objective import Objective

__all__ = ["LinearNetwork", "critical_learning_rate", "trapping_share", "weakly_stable_length"]


def weakly_stable_length(learning_rate):
    r"""Length of the weakly stable part of the minima of :math:`\tfrac12(1 - xy)^2`.

    The minima are the hyperbola :math:`xy = 1`, with the sharpness :math:`x^2 + y^2`. Those with
    :math:`x^2 + y^2 \le 2/h` are two arcs, for :math:`h \le 1` of the length

    .. math:: 4\int_1^{x_h} \sqrt{1 + x^{-4}}\,dx
        = 4\sqrt{\frac{2(1 - h^2)}h} + 4F(\psi\,|\,\tfrac12) - 8E(\psi\,|\,\tfrac12), \qquad
        x_h^2 = \frac1h + \sqrt{\frac1{h^2} - 1}, \quad \sin^2\psi = 1 - h,

    with the incomplete elliptic integrals F and E [1]_. It goes to zero continuously, like
    :math:`4\sqrt{1 - h}`.

    Parameters
    ----------
    learning_rate : array_like, shape (...)
        :math:`h > 0`.

    Returns
    -------
    float or ndarray, shape (...)
        0 from :math:`h = 1` on, where the arcs are two points, or empty.

    Raises
    ------
    ValueError, TypeError
        If the learning rates are not positive finite numbers.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, chapter 19, "Elliptic Integrals".

    Examples
    --------
    >>> weakly_stable_length([0.1, 0.5, 0.99, 1.0, 1.1]).round(4)
    array([14.4698,  4.2468,  0.4024,  0.    ,  0.    ])
    """
    h = np.minimum(_positive(learning_rate, "learning_rate"), 1)
    psi = np.arctan2(np.sqrt(1 - h), np.sqrt(h))
    ends = np.sqrt(2 * (1 - h) * (1 + h)) / np.sqrt(h)
    return _plain(4 * ends + 4 * ellipkinc(psi, 0.5) - 8 * ellipeinc(psi, 0.5))


def trapping_share(limits, learning_rate):
    r"""Share of a rectangle from which gradient descent on :math:`\tfrac12(1 - xy)^2` converges.

    For :math:`h \le 1` almost every start inside of the `InvariantEllipse` converges to a minimum,
    and almost none outside of it [1]_: the share of the area is exact. At :math:`h = 1` the orbits
    only approach the minima :math:`\pm(1, 1)` like :math:`1/\sqrt k`. Beyond, no minimum is
    weakly stable, and the starts that converge have measure zero: the share jumps to 0.

    Parameters
    ----------
    limits : (float, float, float, float)
        Left, right, bottom and top of the rectangle.
    learning_rate : array_like, shape (...)
        :math:`h > 0`.

    Returns
    -------
    float or ndarray, shape (...)

    Raises
    ------
    ValueError, TypeError
        If the limits are no rectangle, or the learning rates not positive finite numbers.

    References
    ----------
    .. [1] S. Liang, G. Montúfar, "Gradient Descent with Large Step Sizes: Chaos and Fractal
       Convergence Region", arXiv:2509.25351.

    Examples
    --------
    >>> trapping_share((-3, 3, -3, 3), [0.4, 0.8, 1.0, 1.01]).round(4)
    array([0.8314, 0.3999, 0.3023, 0.    ])
    """
    rates = _positive(learning_rate, "learning_rate")
    inside = np.clip(rates, 1e-300, 1)  # of smaller ones the square of an axis overflows
    shares = [InvariantEllipse(h).share(limits) for h in inside.flat]
    return _plain(np.reshape(np.array(shares, dtype=float), rates.shape) * (rates <= 1))


def critical_learning_rate(depth, singular_value=1.0):
    r"""Learning rate beyond which no minimum of a deep linear network is weakly stable.

    .. math:: h_c = \frac2{N \sigma^{2 - 2/N}}

    It belongs to N layers on whitened inputs whose best product has the largest singular value
    :math:`\sigma`. For numbers it belongs to the chain :math:`\tfrac12(w_N \cdots w_1 - \sigma)^2`:
    `LinearNetwork.sharpness_bound` tells why.

    Parameters
    ----------
    depth : int
        :math:`N \ge 1`.
    singular_value : array_like, shape (...)
        :math:`\sigma > 0`.

    Returns
    -------
    float or ndarray, shape (...)

    Raises
    ------
    ValueError, TypeError
        If the depth is no whole number from 1 on, or a singular value not positive and finite.

    References
    ----------
    .. [1] R. Mulayoff, T. Michaeli, "Unique Properties of Flat Minima in Deep Networks", ICML 2020.

    Examples
    --------
    >>> [round(critical_learning_rate(depth), 4) for depth in (1, 2, 3, 4)]
    [2.0, 1.0, 0.6667, 0.5]
    >>> critical_learning_rate(2, [0.5, 4.0])
    array([2.  , 0.25])
    """
    depth = arguments.natural(depth, "depth", least=1)
    sigma = _positive(singular_value, "singular_value")
    with np.errstate(over="ignore", divide="ignore"):
        return _plain(2 / (depth * sigma ** (2 - 2 / depth)))


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    r"""The objective :math:`\frac1{2n}\|W_N \cdots W_1 X - Y\|_F^2` of a deep linear network.

    A point is the list of the layers :math:`W_1, \dots, W_N`, each written row by row, as one
    vector: `join` makes it and `layers` takes it apart. Without inputs the objective is
    :math:`\tfrac12\|W_N \cdots W_1 - Y\|_F^2`, that of whitened inputs, :math:`XX^\top = nI`.

    Parameters
    ----------
    widths : sequence of int
        :math:`d_0, \dots, d_N`: the layer :math:`W_l` has the shape :math:`(d_l, d_{l-1})`.
    targets : array_like, shape (d_N, n), or (d_N, d_0) without inputs
        :math:`Y`.
    inputs : array_like, shape (d_0, n), optional
        :math:`X`, one example a column.

    Raises
    ------
    ValueError, TypeError
        If a width is no whole number from 1 on, there are fewer than two widths, or targets or
        inputs are no matrices of finite real numbers with these shapes.

    References
    ----------
    .. [1] A. Crăciun, D. Ghoshdastidar, "On the Convergence of Gradient Descent for Large Learning
       Rates", arXiv:2402.13108.

    Examples
    --------
    With one number a layer it is :math:`\tfrac12(1 - xy)^2`:

    >>> network = LinearNetwork([1, 1, 1], [[1.0]])
    >>> float(network.value([3.0, 0.5])), network.gradient([3.0, 0.5])
    (0.125, array([0.25, 1.5 ]))
    >>> network.critical_learning_rate
    1.0

    Three layers, below and above the critical learning rate:

    >>> from gdbook import gradient_descent
    >>> network = LinearNetwork([2, 2, 2, 2], [[2.0, 0.0], [0.0, 1.0]])
    >>> h, start = network.critical_learning_rate, 1.01 * network.balanced_minimum()
    >>> [gradient_descent(network, start, c * h, 3000).outcome.label for c in (0.9, 1.1)]
    ['converged', 'periodic']
    """

    widths: tuple
    targets: np.ndarray
    inputs: np.ndarray | None = None

    def __reduce__(self):  # what is read back can be written to as little
        return LinearNetwork, (self.widths, self.targets, self.inputs)

    def __post_init__(self):
        object.__setattr__(self, "widths", _widths(self.widths))
        d_in, d_out = self.widths[0], self.widths[-1]
        columns = d_in
        if self.inputs is not None:
            inputs = _finite_matrix(self.inputs, "inputs", (d_in, "n"))
            if not inputs.any():
                raise ValueError("inputs must not all be 0, for nothing can be learnt from them")
            object.__setattr__(self, "inputs", inputs)
            columns = inputs.shape[1]
        targets = _finite_matrix(self.targets, "targets", (d_out, columns))
        object.__setattr__(self, "targets", targets)

    @property
    def dimension(self):
        """Number of coordinates of a point, the sum of the sizes of all layers.

        Examples
        --------
        >>> LinearNetwork([3, 4, 2], np.eye(2, 3)).dimension
        20
        """
        return sum(rows * columns for rows, columns in self._shapes)

    @property
    def is_filling(self):
        """Whether the products are all matrices: no width is below the smaller of first and last.

        Examples
        --------
        >>> [LinearNetwork([3, w, 2], np.eye(2, 3)).is_filling for w in (1, 2)]
        [False, True]
        """
        return min(self.widths) >= min(self.widths[0], self.widths[-1])

    # Points

    def layers(self, points):
        """The layers of points: shape (..., D) to a list of the (..., d_l, d_(l-1)).

        Examples
        --------
        >>> LinearNetwork([2, 1, 2], np.eye(2)).layers([1.0, 2.0, 3.0, 4.0])
        [array([[1., 2.]]), array([[3.],
               [4.]])]
        """
        return self._layers(arguments.points(points, self.dimension))

    def join(self, matrices):
        """The points with given layers: the (..., d_l, d_(l-1)) in order to shape (..., D).

        Raises
        ------
        ValueError
            If there are not as many matrices as layers, or one has not the shape of its layer.

        Examples
        --------
        >>> LinearNetwork([2, 1, 2], np.eye(2)).join([[[1.0, 2.0]], [[3.0], [4.0]]])
        array([1., 2., 3., 4.])
        """
        matrices = [arguments.reals(W, f"matrices[{i}]") for i, W in enumerate(matrices)]
        found = [W.shape for W in matrices]
        if [shape[-2:] for shape in found] != self._shapes:
            raise ValueError(
                f"matrices must be {len(self._shapes)} layers whose last two axes have the shapes "
                f"{self._shapes}, not {found}"
            )
        try:
            several = np.broadcast_shapes(*(shape[:-2] for shape in found))
        except ValueError:
            raise ValueError(
                f"matrices must be equally many for each layer, or one for all, not {found}"
            ) from None
        whole = [np.broadcast_to(W, several + W.shape[-2:]) for W in matrices]
        return _joined(whole)

    def product(self, points):
        r"""The matrix :math:`W_N \cdots W_1` of points: shape (..., D) to (..., d_N, d_0).

        Examples
        --------
        >>> LinearNetwork([2, 1, 2], np.eye(2)).product([1.0, 2.0, 3.0, 4.0])
        array([[3., 6.],
               [4., 8.]])
        """
        with np.errstate(all="ignore"):
            return reduce(lambda product, W: W @ product, self.layers(points))

    # The objective

    def value(self, points):
        """Value at each point: shape (..., D) to (...).

        Examples
        --------
        >>> LinearNetwork([1, 1, 1], [[6.0]]).value([[1.0, 2.0], [2.0, 3.0]])
        array([8., 0.])
        """
        with np.errstate(all="ignore"):
            residual = self._forward(self.layers(points))[-1] - self._data[1]
            return 0.5 * np.sum(residual**2, axis=(-2, -1)) + self._data[2]

    def gradient(self, points):
        r"""Gradient at each point: shape (..., D) to the same.

        .. math:: \nabla_{W_l} f = A_l^\top \tfrac1n(W_N \cdots W_1 X - Y) X^\top B_l^\top, \qquad
            A_l = W_N \cdots W_{l+1}, \quad B_l = W_{l-1} \cdots W_1

        Examples
        --------
        >>> LinearNetwork([1, 1, 1], [[6.0]]).gradient([1.0, 2.0])
        array([-8., -4.])
        """
        layers = self.layers(points)
        with np.errstate(all="ignore"):
            *signals, output = self._forward(layers)
            error = output - self._data[1]
            gradients = []
            for W, signal in zip(reversed(layers), reversed(signals), strict=True):
                gradients.append(error @ signal.mT)
                error = W.mT @ error
        return _joined(gradients[::-1])

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., D), twice, to the same.

        Examples
        --------
        >>> LinearNetwork([1, 1, 1], [[6.0]]).hessian_product([1.0, 2.0], [1.0, 0.0])
        array([ 4., -2.])
        """
        pair = np.broadcast_arrays(*arguments.pair(points, vectors, self.dimension))
        layers, changes = map(self._layers, pair)
        with np.errstate(all="ignore"):
            *signals, output = self._forward(layers)
            *moves, move = self._forward_change(layers, changes, signals)
            error, products = output - self._data[1], []
            steps = zip(layers, changes, signals, moves, strict=True)
            for W, V, signal, moved in reversed(list(steps)):
                products.append(move @ signal.mT + error @ moved.mT)
                error, move = W.mT @ error, V.mT @ error + W.mT @ move
        return _joined(products[::-1])

    def hessian(self, points):
        """Hessian at each point: shape (..., D) to (..., D, D).

        Examples
        --------
        >>> LinearNetwork([1, 1, 1], [[6.0]]).hessian([1.0, 2.0])
        array([[ 4., -2.],
               [-2.,  1.]])
        """
        points = arguments.points(points, self.dimension)
        return self.hessian_product(points[..., np.newaxis, :], np.eye(self.dimension))

    sharpness = Objective.sharpness  # all that it needs is the Hessian

    # Minima

    def minimum(self):
        r"""The product of the layers at the global minima, :math:`\hat W`, shape (d_N, d_0).

        The best one among the matrices of rank at most the smallest width k: of the whitened
        problem, where it is :math:`\hat W C^{1/2}` with the covariance :math:`C = XX^\top/n`, the
        singular value decomposition cut off after k values [1]_. It is the only one if the inputs
        span the space and the k-th value is larger than the next; otherwise this is one of them,
        and zero across the inputs.

        References
        ----------
        .. [1] C. Eckart, G. Young, "The approximation of one matrix by another of lower rank",
           Psychometrika 1 (1936).

        Examples
        --------
        >>> LinearNetwork([2, 1, 2], np.diag([3.0, 2.0])).minimum().round(12) + 0.0
        array([[3., 0.],
               [0., 0.]])
        """
        left, values, right = self._best
        with np.errstate(all="ignore"):
            return (left * values) @ right @ np.linalg.pinv(self._data[0])

    def balanced_minimum(self):
        r"""A global minimum whose layers all have the singular values :math:`\sigma_i^{1/N}`.

        The :math:`\sigma_i` are those of `minimum`. With it :math:`W_l W_l^\top =
        W_{l+1}^\top W_{l+1}`. On whitened inputs no minimum is flatter.

        Returns
        -------
        ndarray, shape (D,)

        Examples
        --------
        >>> LinearNetwork([1, 1, 1, 1], [[8.0]]).balanced_minimum().round(12)
        array([2., 2., 2.])
        """
        left, values, right = _signed_svd(self.minimum(), min(self.widths))
        rank, depth = len(values), len(self._shapes)
        lefts = [*(np.eye(rows, rank) for rows, _ in self._shapes[:-1]), left]
        rights = [right, *(np.eye(rank, columns) for _, columns in self._shapes[1:])]
        roots = values ** (1 / depth)
        return self.join([(L * roots) @ R for L, R in zip(lefts, rights, strict=True)])

    @cached_property
    def sharpness_bound(self):
        r"""A lower bound of the sharpness at all global minima, :math:`\lambda^*`, a float.

        On whitened inputs :math:`\lambda^* = N\sigma^{2 - 2/N}`, with the largest singular value
        :math:`\sigma` of `minimum`. In general, with :math:`Z = \hat W C^{1/2}`,

        .. math:: \lambda^* = N \max_{\|v\| = 1}
            \bigl(\|Zv\|^{N-1}\,\|C^{1/2}v\|\bigr)^{2/N}
            = \min_{\beta > 0}\ \lambda_{\max}\Bigl(\beta^{N-1} C + \frac{N-1}\beta Z^\top Z\Bigr).

        Notes
        -----
        The bound is proved, for networks of all widths. Follow a signal v with :math:`Zv \ne 0`
        through the layers, :math:`q_1 = C^{1/2} v` and :math:`q_{l+1} = W_l q_l`, to
        :math:`q_{N+1} = Zv`, and let :math:`\gamma_l = \|q_l\|/\|q_{l+1}\|`. Changing the layers by
        :math:`\gamma_l q_{l+1} q_l^\top/(\|q_{l+1}\| \|q_l\|)` moves
        :math:`W_N \cdots W_1 C^{1/2} v` at the rate :math:`\sum \gamma_l^2\,Zv`, and the square
        of the length of the change is :math:`\sum \gamma_l^2`. The second order of the change has
        columns that are multiples of Zv, to which those of the residual are orthogonal [2]_. So the
        sharpness is at least
        :math:`\|Zv\|^2 \sum \gamma_l^2 \ge N \|Zv\|^2 \prod \gamma_l^{2/N}`, for every v, and the
        quotients telescope. The maximum over v is the minimum over :math:`\beta`, for the pairs
        :math:`(v^\top C v, \|Zv\|^2)` make a convex set, or in two dimensions an ellipse [1]_.

        It is the smallest sharpness wherever no residual is left: the layers
        :math:`W_2, \dots, W_N` with all their nonzero singular values :math:`\sqrt\beta`, and
        :math:`W_1` with what is left to do, have at most the sharpness on the right. On whitened
        inputs it is that of `balanced_minimum`, with a residual too. With a residual and inputs
        that are not white, it can be smaller than that of all minima. If the best product is not
        the only one, it belongs to that of `minimum`.

        References
        ----------
        .. [1] L. Brickman, "On the field of values of a matrix", Proceedings of the American
           Mathematical Society 12 (1961).
        .. [2] C. Eckart, G. Young, "The approximation of one matrix by another of lower rank",
           Psychometrika 1 (1936).

        Examples
        --------
        >>> network = LinearNetwork([2, 2, 2, 2], np.diag([8.0, 1.0]))
        >>> round(network.sharpness_bound, 9)  # 3 times 8^(4/3)
        48.0
        >>> round(float(network.sharpness(network.balanced_minimum())), 9)
        48.0
        """
        _, values, right = self._best
        factor, depth = self._data[0], len(self._shapes)
        largest, width = values[0], np.linalg.norm(factor, 2)
        Z, root = (values / (largest or 1))[:, np.newaxis] * right, factor / width
        flattest = _least_of_largest(Z.T @ Z, root.T @ root, np.linalg.norm(root @ right[0]), depth)
        with np.errstate(over="ignore", under="ignore"):
            return float(largest ** (2 - 2 / depth) * width ** (2 / depth) * flattest)

    @property
    def critical_learning_rate(self):
        r"""Learning rate beyond which no global minimum is weakly stable, :math:`2/\lambda^*`.

        Beyond it only starts of measure zero converge to a global minimum [1]_. ``inf`` if
        there are minima as flat as one likes, which needs :math:`\hat W = 0`.

        References
        ----------
        .. [1] A. Crăciun, D. Ghoshdastidar, "On the Convergence of Gradient Descent for Large
           Learning Rates", arXiv:2402.13108.

        Examples
        --------
        >>> round(LinearNetwork([2, 3, 3, 1], [[3.0, 4.0]]).critical_learning_rate, 6)
        0.077974
        >>> round(critical_learning_rate(3, 5.0), 6)
        0.077974
        """
        bound = self.sharpness_bound
        return 2 / bound if bound else math.inf

    # How it is done

    @cached_property
    def _shapes(self):
        return list(zip(self.widths[1:], self.widths[:-1], strict=True))

    @cached_property
    def _data(self):
        """L, T, c of the same objective as |W_N ... W_1 L - T|^2 / 2 + c, L of full column rank."""
        if self.inputs is None:
            return np.eye(self.widths[0]), self.targets, 0.0
        root = math.sqrt(self.inputs.shape[1])
        left, values, right = np.linalg.svd(self.inputs / root, full_matrices=False)
        kept = values > np.finfo(float).eps * max(self.inputs.shape) * values[0]
        targets = self.targets / root
        known = targets @ right[kept].T
        with np.errstate(over="ignore"):
            rest = 0.5 * np.sum((targets - known @ right[kept]) ** 2)
        return left[:, kept] * values[kept], known, rest

    @cached_property
    def _best(self):
        return _signed_svd(self._data[1], min(self.widths))

    def _layers(self, points):
        ends = np.cumsum([rows * columns for rows, columns in self._shapes])[:-1]
        parts = np.split(points, ends, axis=-1)
        return [
            part.reshape(*points.shape[:-1], *shape)
            for part, shape in zip(parts, self._shapes, strict=True)
        ]

    def _forward(self, layers):
        """What enters each layer, and what leaves the last."""
        signals = [self._data[0]]
        for W in layers:
            signals.append(W @ signals[-1])
        return signals

    def _forward_change(self, layers, changes, signals):
        moves = [np.zeros_like(signals[0])]
        for W, V, signal in zip(layers, changes, signals, strict=True):
            moves.append(V @ signal + W @ moves[-1])
        return moves


def _positive(value, name):
    array = arguments.reals(value, name)
    if not ((array > 0) & np.isfinite(array)).all():
        raise ValueError(f"{name} must be positive and finite, not {value!r}")
    return array


def _plain(result):
    return result if np.ndim(result) else float(result)


def _widths(value):
    try:
        widths = tuple(value)
    except TypeError:
        widths = ()
    if len(widths) < 2:
        raise ValueError(
            f"widths must be at least two whole numbers, as in [3, 2, 3], not {value!r}"
        )
    return tuple(arguments.natural(d, f"widths[{i}]", least=1) for i, d in enumerate(widths))


def _finite_matrix(value, name, shape):
    matrix = arguments.reals(value, name)
    fits = matrix.ndim == 2 and matrix.size and matrix.shape[0] == shape[0]
    if not fits or shape[1] not in (matrix.shape[1], "n") or not np.isfinite(matrix).all():
        raise ValueError(
            f"{name} must be a matrix of finite numbers of the shape ({shape[0]}, {shape[1]}), "
            f"not {value!r}"
        )
    matrix.setflags(write=False)
    return matrix


def _joined(matrices):
    return np.concatenate(
        [W.reshape(*W.shape[:-2], math.prod(W.shape[-2:])) for W in matrices], axis=-1
    )


def _signed_svd(matrix, rank):
    """Singular value decomposition, at most `rank` values, with signs that are always the same."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    largest = np.abs(right).argmax(axis=1)
    signs = np.sign(right[np.arange(len(right)), largest])
    return (left * signs)[:, :rank], values[:rank], (right * signs[:, np.newaxis])[:rank]


def _least_of_largest(D, C, seen, depth):
    """Minimum of the largest eigenvalue of (N - 1) e^t D + e^(-(N - 1)t) C, convex in t.

    D and C have the norm 1, and `seen` is the square root of v'Cv at the top eigenvector v of D:
    that tells between which t the minimum is. Its slope is found by bisection, for the largest
    eigenvalue may have a corner there.
    """
    low = 2 / depth * math.log(seen)
    high = -low / max(depth - 1, 1)
    while True:
        t = (low + high) / 2
        rising, falling = (depth - 1) * math.exp(t) * D, math.exp(-(depth - 1) * t) * C
        values, vectors = np.linalg.eigh(rising + falling)
        if high - low < 1e-15 * max(1, -low):
            return values[-1]
        v = vectors[:, -1]
        low, high = (low, t) if v @ rising @ v > (depth - 1) * (v @ falling @ v) else (t, high)
