r"""Linear and two-layer classifiers on data: losses of margins, and their training.

A classifier is trained on n inputs :math:`x_i` with labels :math:`y_i = \pm1`. Its loss is the
mean of :math:`\ell(z_i)` over the margins :math:`z_i = y_i f(w; x_i)`, and :math:`\ell` is an
:class:`~gdbook.Objective` of one variable, so that any formula is a loss; the book's own are those
of the catalogue.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gdbook import arguments
from gdbook.catalogue import logistic_loss
from gdbook.kernels import margins
from gdbook.objective import require_formula

__all__ = [
    "ClassificationRun",
    "LogisticRegression",
    "Margin",
    "Phases",
    "TwoLayerNetwork",
    "TwoLayerRun",
    "margin",
    "monotone_threshold",
    "phases",
    "rho",
    "two_points",
]

_WORTH_COMPILING = 1000  # steps; it takes a second, once for each loss
_BLOCK = 256  # steps for which batches are drawn at a time
_FARTHEST = 1e6  # times 2/L, where the search for a run that rises ends
_ROUNDING = 1e-12  # an increase of the loss by less, relative to it, may be one of rounding


class LogisticRegression:
    r"""Linear classification without a bias, with the logistic loss or another one.

    .. math:: f(w) = \frac1n\sum_i\ell(z_i),\qquad z_i = y_i\,x_i^\top w.

    Parameters
    ----------
    features : array_like, shape (n, d)
        :math:`x_i`.
    labels : array_like, shape (n,)
        :math:`y_i`, all of them 1 or -1.
    loss : Objective of one variable, optional
        :math:`\ell`; by default `gdbook.catalogue.logistic_loss`.

    Attributes
    ----------
    features : ndarray, shape (n, d)
    labels : ndarray, shape (n,)
    loss : Objective
    dimension : int
        The number d of weights.

    Raises
    ------
    ValueError, TypeError
        If features and labels do not fit each other, or the loss is no formula in one variable.

    Notes
    -----
    It is a `gdbook.Differentiable`: `gdbook.gradient_descent`, `gdbook.descend_many` and
    `gdbook.gradient_flow` take it. `descend` is faster than they are.

    References
    ----------
    .. [1] J. Wu, P. Bartlett, M. Telgarsky, B. Yu, "Large stepsize gradient descent for logistic
       loss: non-monotonicity of the loss improves optimization efficiency", COLT 2024.

    Examples
    --------
    >>> model = LogisticRegression([[1.0, 0.0], [0.0, 2.0]], [1, -1])
    >>> model.value([[0.0, 0.0], [50.0, -50.0]]).round(6)
    array([0.693147, 0.      ])
    >>> model.gradient([0.0, 0.0])
    array([-0.25,  0.5 ])
    >>> float(model.sharpness([0.0, 0.0])), model.smoothness
    (0.5, 0.5)
    """

    def __init__(self, features, labels, loss=None):
        self.features, self.labels = _data(features, labels)
        self.loss = _loss(loss)
        # Row i times w is the margin of input i.
        self._signed = np.ascontiguousarray(self.labels[:, np.newaxis] * self.features)

    @property
    def dimension(self):
        """Number of weights."""
        return self.features.shape[1]

    @cached_property
    def smoothness(self):
        r"""A Lipschitz constant of the gradient, :math:`\sup\ell''\cdot\lambda_{\max}(X^\top X)/n`.

        Attained at w = 0 for the logistic loss, where :math:`\sup\ell''=\tfrac14`. ``inf`` where
        the derivative of :math:`\ell` is not Lipschitz: for the exponential loss and the
        perceptron's.
        """
        with np.errstate(over="ignore"):
            largest = np.linalg.norm(self.features, 2) ** 2 / len(self.features)
            return float(_largest_curvature(self.loss) * largest)

    def margins(self, points):
        """Margins of all inputs at each point: shape (..., d) to shape (..., n).

        Examples
        --------
        >>> LogisticRegression([[1.0, 0.0], [0.0, 2.0]], [1, -1]).margins([3.0, 4.0])
        array([ 3., -8.])
        """
        with np.errstate(all="ignore"):
            return arguments.points(points, self.dimension) @ self._signed.T

    def value(self, points):
        """Loss at each point: shape (..., d) to shape (...)."""
        with np.errstate(all="ignore"):
            return self._of_margins(self.loss.value, points).mean(axis=-1)

    def gradient(self, points):
        """Gradient at each point: shape (..., d) to shape (..., d)."""
        with np.errstate(all="ignore"):
            slopes = self._of_margins(self.loss.gradient, points)
            return slopes @ self._signed / len(self.labels)

    def hessian(self, points):
        """Hessian at each point: shape (..., d) to shape (..., d, d)."""
        with np.errstate(all="ignore"):
            bends = self._of_margins(self.loss.hessian, points)
            return np.einsum(
                "...i,ij,ik->...jk", bends, self._signed, self._signed, optimize=True
            ) / len(self.labels)

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., d) and (..., d) to (..., d).

        Examples
        --------
        >>> model = LogisticRegression([[1.0, 0.0], [0.0, 2.0]], [1, -1])
        >>> model.hessian_product([0.0, 0.0], [1.0, 1.0])
        array([0.125, 0.5  ])
        """
        points, vectors = arguments.pair(points, vectors, self.dimension)
        with np.errstate(all="ignore"):
            bends = self._of_margins(self.loss.hessian, points)
            return (bends * (vectors @ self._signed.T)) @ self._signed / len(self.labels)

    def sharpness(self, points):
        """Largest eigenvalue of the Hessian at each point: shape (..., d) to shape (...).

        ``nan`` where the Hessian is not finite.
        """
        hessian = self.hessian(points)
        finite = np.isfinite(hessian).all(axis=(-2, -1))
        safe = np.where(finite[..., np.newaxis, np.newaxis], hessian, 0.0)
        return np.where(finite, np.linalg.eigvalsh(safe)[..., -1], np.nan)

    def descend(
        self,
        learning_rate,
        steps,
        start=None,
        keep_every=None,
        adaptive=False,
        batch=None,
        rng=None,
    ):
        r"""Gradient descent :math:`w_{k+1} = w_k - h\nabla f(w_k)`.

        From a thousand steps on it is compiled, and every step reads the data from memory once.

        Parameters
        ----------
        learning_rate : float
            h.
        steps : int
        start : array_like, shape (d,), optional
            :math:`w_0`; by default 0.
        keep_every : int, optional
            Points are kept at the multiples of this number, and after the last step; by default
            only the first and the last one.
        adaptive : bool
            Whether the step is :math:`h/f(w_k)` times the gradient [1]_; where the loss
            has become 0, it moves no more.
        batch : int, optional
            Number of inputs in the gradient of a step, drawn anew with replacement. The losses are
            those of all inputs.
        rng : numpy.random.Generator
            What draws them.

        Returns
        -------
        ClassificationRun
            A run diverges when its loss or its weights overflow; that is a result, not an error.

        References
        ----------
        .. [1] R. Zhang, J. Wu, L. Lin, P. Bartlett, "Minimax optimal convergence of gradient
           descent in logistic regression via large and adaptive stepsizes", 2025.

        Examples
        --------
        A single input is separated at once: :math:`w_1 = h/2`, of which the loss is
        :math:`\ln(1 + e^{-h/2})`.

        >>> run = LogisticRegression([[1.0]], [1]).descend(4.0, steps=1)
        >>> run.points.ravel(), run.losses.round(6)
        (array([0., 2.]), array([0.693147, 0.126928]))
        """
        rate = arguments.number(learning_rate, "learning_rate")
        steps = arguments.natural(steps, "steps")
        start = np.zeros(self.dimension) if start is None else start
        point = arguments.point(start, self, "start").copy()
        run = ClassificationRun(*_empty(rate, steps, keep_every, self.dimension))
        advance = margins.descend if steps >= _WORTH_COMPILING else margins.descend_numpy
        for first, count, weights in _weights(len(self.labels), steps, batch, rng):
            here, place = slice(first, first + count), np.searchsorted(run.steps, first)
            advance(
                *(self.loss, self._signed, point, weights, rate, bool(adaptive)),
                *(run.steps[place:] - first, run.points[place:]),
                *(run.losses[here], run.exponential[here]),
            )
            if not np.isfinite(run.losses[here][-1]):
                break
        return run

    def _of_margins(self, function, points):
        z = self.margins(points)
        return function(z[..., np.newaxis]).reshape(z.shape)


@dataclass(frozen=True, eq=False)
class ClassificationRun:
    r"""A run of gradient descent on a loss of margins.

    Attributes
    ----------
    learning_rate : float
        h.
    losses : ndarray, shape (steps + 1,)
        :math:`f(w_k)`.
    exponential : ndarray, shape (steps + 1,)
        :math:`F(w_k) = \frac1n\sum_i e^{-z_i}`, the mean exponential loss.
    steps : ndarray of int, shape (m,)
        The steps whose points were kept: 0, the last one, and those between as asked for.
    points : ndarray, shape (m, d)
        Weights after these steps.

    A run that diverged has the loss ``inf`` (or ``nan``) where the loss overflowed, and ``nan`` in
    all floats after that.
    """

    learning_rate: float
    losses: np.ndarray
    exponential: np.ndarray
    steps: np.ndarray
    points: np.ndarray

    @property
    def diverged(self):
        """Whether the loss or the weights overflowed."""
        return not np.isfinite(self.losses[-1])


@dataclass(frozen=True, eq=False)
class Phases:
    r"""The two phases of a run: that of the edge, where the loss may rise, and the stable one.

    Attributes
    ----------
    increases : int
        Number of k with :math:`f(w_k) > f(w_{k-1})`. A rise by less than :math:`10^{-12}` of the
        loss is one of rounding and does not count.
    last_increase : int, or None
        The last of these k.
    transition : int, or None
        First k with :math:`f(w_k) \le 1/h`.
    average : ndarray, shape (steps + 1,)
        Running mean :math:`\frac1{k+1}\sum_{j\le k}f(w_j)`.
    """

    increases: int
    last_increase: int | None
    transition: int | None
    average: np.ndarray


def phases(run):
    """The phases of a run.

    Parameters
    ----------
    run : ClassificationRun or TwoLayerRun

    Returns
    -------
    Phases

    References
    ----------
    .. [1] J. Wu, P. Bartlett, M. Telgarsky, B. Yu, "Large stepsize gradient descent for logistic
       loss: non-monotonicity of the loss improves optimization efficiency", COLT 2024.

    Examples
    --------
    >>> found = phases(LogisticRegression(*two_points()).descend(50.0, steps=1000))
    >>> found.increases, found.last_increase < found.transition, found.transition
    (31, True, 368)
    """
    if not isinstance(run, ClassificationRun):
        raise TypeError(f"run must be a ClassificationRun, as descend returns, not {run!r}")
    losses = run.losses
    with np.errstate(over="ignore"):  # of runs that diverged
        rising = np.flatnonzero(losses[1:] > losses[:-1] * (1 + _ROUNDING))
        low = np.flatnonzero(run.learning_rate * losses <= 1)
        average = np.cumsum(losses) / np.arange(1, len(losses) + 1)
    return Phases(
        len(rising),
        int(rising[-1]) + 1 if len(rising) else None,
        int(low[0]) if len(low) else None,
        average,
    )


def monotone_threshold(model, steps):
    r"""Largest learning rate up to which the loss of a run never rises.

    Runs of so many steps from 0 are tried at learning rates that grow by a tenth from :math:`2/L`,
    below which no loss rises, with L the smoothness of the model, until one rises; bisection finds
    the boundary between the last two. Far above the boundary runs may be monotone again.

    Parameters
    ----------
    model : LogisticRegression
    steps : int

    Returns
    -------
    float
        Within :math:`10^{-9}` of its size; ``inf`` if no run up to :math:`10^6\cdot2/L` rises.

    Raises
    ------
    TypeError
        If the model is none.
    ValueError
        If the loss of the model is not smooth.

    Examples
    --------
    >>> round(monotone_threshold(LogisticRegression(*two_points()), steps=1000), 4)
    17.1662
    """
    if not isinstance(model, LogisticRegression):
        raise TypeError(f"model must be a LogisticRegression, not {model!r}")
    if not np.isfinite(model.smoothness):
        raise ValueError(
            f"model must have a smooth loss, and features of which the squares are floats: the "
            f"smoothness of {model.loss} on them is not finite"
        )

    def rises(rate):
        return phases(model.descend(rate, steps)).increases > 0

    if not model.smoothness > 0:  # the gradient does not change
        return np.inf
    low = high = 2 / model.smoothness
    while not rises(high):
        low, high = high, 1.1 * high
        if high > _FARTHEST * 2 / model.smoothness:
            return np.inf
    while high - low > 1e-9 * low:
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) else (middle, high)
    return low


@dataclass(frozen=True, eq=False)
class Margin:
    r"""The largest margin of a linear classifier without a bias.

    Attributes
    ----------
    value : float
        :math:`\gamma = \max_{|w|=1}\min_i y_i x_i^\top w`, or 0 for data that are not separable.
    direction : ndarray, shape (d,)
        The unit vector w that has it; ``nan`` for data that are not separable.
    separable : bool
        Whether some w has :math:`y_i x_i^\top w > 0` for all i.
    """

    value: float
    direction: np.ndarray
    separable: bool


def margin(features, labels):
    r"""The largest margin, exactly: no iteration stops before it is found.

    The shortest w with :math:`y_i x_i^\top w\ge1` for all i has the length :math:`1/\gamma`. It is
    found as a problem of least squares with nonnegative coefficients [1]_, which ends after
    finitely many steps; the inputs at the margin are then solved for once more.

    Parameters
    ----------
    features : array_like, shape (n, d)
    labels : array_like, shape (n,)
        All of them 1 or -1.

    Returns
    -------
    Margin
        Data count as not separable if their margin is below :math:`10^{-9}` of the longest input.

    References
    ----------
    .. [1] C. Lawson, R. Hanson, "Solving least squares problems", 1974, chapter 23.

    Examples
    --------
    >>> found = margin([[3.0, 1.0], [-3.0, 1.0]], [1, 1])
    >>> found.value, found.direction, found.separable
    (1.0, array([0., 1.]), True)
    >>> margin([[1.0], [2.0]], [1, -1]).separable
    False
    """
    features, labels = _data(features, labels)
    exponent = np.frexp(np.abs(features).max())[1]  # without it squares might leave the floats
    signed = np.ldexp(labels[:, np.newaxis] * features, -exponent)
    longest = np.linalg.norm(signed, axis=1).max()
    basis = None
    if longest > 0 and signed.shape[1] > len(signed):  # w is a combination of the inputs
        basis, triangle = np.linalg.qr(signed.T)
        signed = triangle.T
    shortest = _shortest(signed / longest) if longest > 0 else None
    if shortest is None:
        return Margin(0.0, np.full(features.shape[1], np.nan), False)
    direction = shortest / np.linalg.norm(shortest)
    value = float(np.ldexp((signed @ direction).min(), exponent))
    return Margin(value, direction if basis is None else basis @ direction, True)


def rho(loss, multiplier):
    r""":math:`\rho(\lambda) = \min_z\,\lambda\,\ell(z) + z^2`, for a convex and decreasing loss.

    It is what bounds the losses of a run and how far it moves. The minimum is where
    :math:`\lambda\ell'(z) + 2z` changes its sign, between 0 and :math:`-\lambda\ell'(0)/2`.

    Parameters
    ----------
    loss : Objective of one variable
        :math:`\ell`.
    multiplier : array_like, shape (...)
        :math:`\lambda \ge 0`.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError, TypeError
        If the loss is no formula in one variable or rises at 0, or a multiplier is negative.

    References
    ----------
    .. [1] J. Wu, "Reimagining gradient descent: large stepsize, oscillation, acceleration", slides
       of a talk, 2024.

    Examples
    --------
    >>> rho(logistic_loss(), [1e2, 1e4, 1e8]).round(3)
    array([ 13.742,  57.15 , 255.585])
    """
    loss = _loss(loss)
    scale = arguments.reals(multiplier, "multiplier")
    if not (np.isfinite(scale) & (scale >= 0)).all():
        raise ValueError(f"multiplier must be finite and not negative, not {multiplier!r}")
    slope = loss.gradient([0.0])[0]
    if not slope <= 0:
        raise ValueError(f"loss must be decreasing, and the slope of {loss} at 0 is {slope:g}")
    low, high = np.zeros_like(scale), -scale * slope / 2
    middle = high / 2
    while ((low < middle) & (middle < high)).any():
        beyond = scale * loss.gradient(middle[..., np.newaxis])[..., 0] + 2 * middle > 0
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        middle = low + (high - low) / 2
    return scale * loss.value(high[..., np.newaxis]) + high**2


def two_points(margin=0.05):
    r"""Two inputs of the same label: the smallest set on which the loss rises for large rates.

    The second coordinates have opposite signs, so that the first one is the largest margin.
    Source: Wu, Bartlett, Telgarsky, Yu (2024).

    Parameters
    ----------
    margin : float
        First coordinate of both.

    Returns
    -------
    features : ndarray, shape (2, 2)
    labels : ndarray, shape (2,)
        Both 1.

    Examples
    --------
    >>> two_points(0.1)
    (array([[ 0.1,  0.9],
           [ 0.1, -0.5]]), array([1., 1.]))
    """
    margin = arguments.number(margin, "margin")
    return np.array([[margin, 0.9], [margin, -0.5]]), np.ones(2)


class TwoLayerNetwork:
    r"""A network with one hidden layer of ReLU units, whose output weights are fixed signs.

    .. math:: f(w; x) = \frac1{\sqrt m}\sum_{s=1}^m a_s\max(x^\top w_s, 0),\qquad
              \frac1n\sum_i\ell\bigl(y_i f(w; x_i)\bigr).

    Of such a network the kernel is constant in the limit of large width: it is trained as if it
    were linear in w, as long as few units change which inputs they are active on.

    Parameters
    ----------
    features : array_like, shape (n, d)
    labels : array_like, shape (n,)
        All of them 1 or -1.
    width : int
        m.
    rng : numpy.random.Generator
        Draws the start, m rows of d standard normal numbers, and then the m signs.
    loss : Objective of one variable, optional
        :math:`\ell`; by default `gdbook.catalogue.logistic_loss`.

    Attributes
    ----------
    features : ndarray, shape (n, d)
    labels : ndarray, shape (n,)
    loss : Objective
    signs : ndarray, shape (m,)
        :math:`a_s`, each 1 or -1.
    start : ndarray, shape (m d,)
        :math:`w_0`, one row :math:`w_s` after the other, as all points of the space of weights.
    dimension : int
        m d.

    Raises
    ------
    ValueError, TypeError
        If features and labels do not fit each other, or the loss is no formula in one variable.

    Notes
    -----
    It is a `gdbook.Differentiable`. A unit with :math:`x^\top w_s = 0` is not active.

    References
    ----------
    .. [1] J. Wu, "Reimagining gradient descent: large stepsize, oscillation, acceleration", slides
       of a talk, 2024.

    Examples
    --------
    >>> network = TwoLayerNetwork([[1.0], [-1.0]], [1, -1], width=4, rng=np.random.default_rng(3))
    >>> network.signs
    array([-1., -1., -1., -1.])
    >>> network.outputs([1.0, 2.0, 3.0, -1.0])
    array([-3. , -0.5])
    """

    def __init__(self, features, labels, width, rng, loss=None):
        self.features, self.labels = _data(features, labels)
        self.loss = _loss(loss)
        self.width = arguments.natural(width, "width", least=1)
        arguments.generator(rng)
        self.start = rng.standard_normal(self.dimension)
        self.signs = rng.choice([-1.0, 1.0], self.width)

    @property
    def dimension(self):
        """Number of weights."""
        return self.width * self.features.shape[1]

    def outputs(self, points):
        """Outputs for all inputs at each point: shape (..., m d) to shape (..., n)."""
        return self._rows(lambda point: self._forward(point)[0], points, (len(self.labels),))

    def value(self, points):
        """Loss at each point: shape (..., m d) to shape (...)."""
        with np.errstate(all="ignore"):
            margins = self.outputs(points) * self.labels
            return self.loss.value(margins[..., np.newaxis]).mean(axis=-1)

    def gradient(self, points):
        """Gradient at each point: shape (..., m d) to shape (..., m d)."""

        def gradient(point):
            outputs, active = self._forward(point)
            return self._slope(outputs * self.labels, active)

        return self._rows(gradient, points, (self.dimension,))

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., m d) and (..., m d) to (..., m d)."""
        pair = np.broadcast_arrays(*arguments.pair(points, vectors, self.dimension))

        def product(both):
            point, vector = both.reshape(2, -1)
            outputs, active = self._forward(point)
            bends = self.loss.hessian((outputs * self.labels)[:, np.newaxis])[:, 0, 0]
            along = np.where(active, self._inputs(vector), 0.0) @ self.signs / self.width**0.5
            return self._backward(bends * along / len(self.labels), active)

        both = np.stack(pair, axis=-2).reshape(-1, 2 * self.dimension)
        with np.errstate(all="ignore"):
            return np.reshape([product(row) for row in both], pair[0].shape)

    def tangent_features(self):
        r"""Gradients of the outputs at the start, one row for each input: shape (n, m d).

        Linear classification with these features is what training the network tends to in the
        limit of large width, and their inner products are the tangent kernel.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> network = TwoLayerNetwork([[3.0, 4.0], [-4.0, 3.0]], [1, -1], width=10_000, rng=rng)
        >>> features = network.tangent_features()
        >>> (features @ features.T).round(0)  # half of the units are active on an input
        array([[13.,  0.],
               [ 0., 13.]])
        """
        through = self._forward(self.start)[1] * self.signs / self.width**0.5
        rows = through[..., np.newaxis] * self.features[:, np.newaxis]
        return rows.reshape(len(rows), -1)

    def descend(self, learning_rate, steps):
        r"""Gradient descent :math:`w_{k+1} = w_k - h\nabla f(w_k)` from the network's start.

        Parameters
        ----------
        learning_rate : float
            h.
        steps : int

        Returns
        -------
        TwoLayerRun
            A run diverges when its loss or its weights overflow; that is a result, not an error.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> network = TwoLayerNetwork([[1.0, 0.0], [0.0, 1.0]], [1, -1], width=100, rng=rng)
        >>> run = network.descend(1.0, steps=100)
        >>> bool(run.losses[-1] < 0.1 < 0.5 < run.losses[0]), run.distances[0]
        (True, np.float64(0.0))
        """
        rate = arguments.number(learning_rate, "learning_rate")
        steps = arguments.natural(steps, "steps")
        run = ClassificationRun(*_empty(rate, steps, None, self.dimension))
        distances, changed = np.full((2, steps + 1), np.nan)
        point, before = self.start.copy(), self._forward(self.start)[1]
        run.points[0] = point
        with np.errstate(all="ignore"):
            for k in range(steps + 1):
                outputs, active = self._forward(point)
                z = outputs * self.labels
                run.losses[k] = self.loss.value(z[:, np.newaxis]).mean()
                run.exponential[k] = np.exp(-z).mean()
                distances[k] = np.linalg.norm(point - self.start)
                changed[k] = np.mean(active != before)
                if k == steps:
                    run.points[-1] = point
                if not np.isfinite(run.losses[k]):
                    break
                point -= rate * self._slope(z, active)
        return TwoLayerRun(**vars(run), distances=distances, changed=changed)

    def _inputs(self, weights):
        """What the units receive: shape (n, m)."""
        return self.features @ weights.reshape(self.width, -1).T

    def _forward(self, point):
        """Outputs, and which units are active on which inputs."""
        received = self._inputs(point)
        active = ~(received <= 0)  # so that what is not a number stays that
        return np.where(active, received, 0.0) @ self.signs / self.width**0.5, active

    def _slope(self, margins, active):
        """Gradient of the loss where the outputs have such margins."""
        slopes = self.loss.gradient(margins[:, np.newaxis])[:, 0]
        return self._backward(slopes * self.labels / len(self.labels), active)

    def _backward(self, slopes, active):
        """Gradient from the slopes in the outputs."""
        through = np.where(active, slopes[:, np.newaxis], 0.0) * (self.signs / self.width**0.5)
        return (through.T @ self.features).ravel()

    def _rows(self, function, points, tail):
        points = arguments.points(points, self.dimension)
        with np.errstate(all="ignore"):
            rows = [function(point) for point in points.reshape(-1, self.dimension)]
        return np.reshape(rows, points.shape[:-1] + tail)


@dataclass(frozen=True, eq=False)
class TwoLayerRun(ClassificationRun):
    r"""A run on a two-layer network: a `ClassificationRun`, and how far it went.

    Attributes
    ----------
    distances : ndarray, shape (steps + 1,)
        :math:`|w_k - w_0|`.
    changed : ndarray, shape (steps + 1,)
        Share of the pairs of a unit and an input that are active at only one of :math:`w_k` and
        :math:`w_0`.
    """

    distances: np.ndarray
    changed: np.ndarray


# Arguments


def _data(features, labels):
    features = arguments.reals(features, "features")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must have shape (n, d), not {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite, and some are not")
    labels = arguments.reals(labels, "labels")
    if labels.shape != (len(features),):
        raise ValueError(
            f"labels must be as many as features, shape ({len(features)},), not {labels.shape}"
        )
    wrong = np.abs(labels) != 1
    if wrong.any():
        raise ValueError(f"labels must be 1 or -1, not {labels[wrong][0]:g}")
    return np.ascontiguousarray(features), labels


def _loss(loss):
    loss = logistic_loss() if loss is None else loss
    require_formula(loss, "loss")
    if loss.dimension != 1:
        raise ValueError(f"loss must have one variable, the margin, not {loss.dimension}")
    return loss


def _empty(rate, steps, keep_every, dimension):
    """The five fields of a run that has not begun."""
    every = max(steps, 1) if keep_every is None else keep_every
    kept = arguments.kept_steps(every, steps)
    losses, exponential = np.full((2, steps + 1), np.nan)
    return rate, losses, exponential, kept, np.full((len(kept), dimension), np.nan)


def _weights(n, steps, batch, rng):
    """Stretches of a run: first step, number of steps, and weights of the inputs in each."""
    if batch is None:
        yield 0, steps + 1, np.full((1, n), 1 / n)
        return
    batch = arguments.natural(batch, "batch", least=1)
    arguments.generator(rng)
    for first in range(0, steps + 1, _BLOCK):
        count = min(_BLOCK, steps + 1 - first)
        drawn = rng.integers(n, size=(count, batch)) + n * np.arange(count)[:, np.newaxis]
        yield first, count, np.bincount(drawn.ravel(), minlength=count * n).reshape(-1, n) / batch


# Facts about losses and data


def _largest_curvature(loss):
    """The Lipschitz constant of a loss's derivative, on a fine grid; inf where there is none."""
    far = 2.0 ** np.arange(-60, 300)  # of which even cubes do not overflow
    grid = np.unique([*-far, *np.linspace(-50, 50, 20_001), *far])
    bends = loss.hessian(grid[:, np.newaxis])[:, 0, 0]
    slopes = loss.gradient(grid[:, np.newaxis])[:, 0]
    if not (np.isfinite(bends).all() and np.isfinite(slopes).all()):
        return np.inf
    # Where the derivative jumps, it changes by more than its own derivative says.
    jumps = np.diff(slopes) > 2 * bends.max() * np.diff(grid) + 1e-9
    return np.inf if jumps.any() else bends.max()


def _shortest(rows):
    """The shortest w with ``rows @ w >= 1``, or None where there is none."""
    from scipy.optimize import nnls

    n, d = rows.shape
    target = np.append(np.zeros(d), 1.0)
    system = np.vstack([rows.T, np.ones(n)])
    weights, _ = nnls(system, target, maxiter=30 * n)
    residual = system @ weights - target
    # The residual is as long as the distance of the hull from 0, for short distances.
    if np.linalg.norm(residual) < 1e-9:
        return None
    binding = rows[weights > 0]
    return np.linalg.lstsq(binding, np.ones(len(binding)))[0]
