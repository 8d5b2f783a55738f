"""Neural networks on data: losses with gradients and sharpness, and their training, in JAX.

The precision is that of the loss, whatever the caller's JAX is set to, and that setting is neither
changed nor needed: 64 bits are switched on around each call and no further.
"""

import os
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from gdbook import arguments
from gdbook.central_flow import CentralFlow, central_flow
from gdbook.lanczos import leading, random_block
from gdbook.outcome import ESCAPE_RADIUS

__all__ = [
    "CentralFlow",
    "MultilayerPerceptron",
    "NetworkEnsemble",
    "NetworkLoss",
    "Training",
    "central_flow",
    "ensemble",
    "train",
]

# Each takes the module (NumPy or JAX) and the array. Not a number stays what it is, and the
# derivative of relu at its crease is 0, as for all objectives of the book.
_ACTIVATIONS = {
    "relu": lambda xp, x: xp.where(x <= 0, 0.0, x),
    "tanh": lambda xp, x: xp.tanh(x),
    "gelu": lambda xp, x: x * (1 + _erf(xp, x / 2**0.5)) / 2,
    "softplus": lambda xp, x: xp.logaddexp(x, 0.0),
    "identity": lambda xp, x: x,
}
_GAINS = {"relu": 2.0, "gelu": 2.0}  # the others have 1
_LOSSES = ("cross-entropy", "squared", "logistic")
_PRECISIONS = {"double": np.float64, "single": np.float32}
_BLOCK = 256  # steps in one call of compiled code, which notes the loss of each
_BATCH = 8  # networks of an ensemble that go side by side
_FIRST_TOLERANCE, _MOVING_TOLERANCE, _WARM_TOLERANCE = 5e-3, 2e-2, 3e-2
_WATCH = 3  # each third measurement looks whether another eigenvalue has overtaken the largest,
_MOVING = 0.02  # and so does each after one that differs by more than this share from the last two
_TOLERANCES = {"double": 1e-5, "single": 1e-3}  # rounding leaves residuals of 1e-6 in single


@dataclass(frozen=True)
class MultilayerPerceptron:
    r"""A multilayer perceptron: linear layers with an activation between each two.

    .. math:: z_0 = x,\quad z_l = \phi(W_l z_{l-1} + b_l)\ (l < L),\quad
              \text{output } W_L z_{L-1} + b_L.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, of units in each hidden layer, of outputs: L + 1 numbers.
    activation : {"relu", "tanh", "gelu", "softplus", "identity"} or callable
        :math:`\phi`: max(x, 0), tanh x, x times the normal distribution function of x,
        ln(1 + exp x), x, or a function that JAX can trace, which takes an array entry by entry.

    Attributes
    ----------
    dimension : int
        Number d of parameters. They are one vector: :math:`W_1` row after row, :math:`b_1`,
        :math:`W_2`, and so on.

    Examples
    --------
    >>> network = MultilayerPerceptron([2, 3, 1], activation="relu")
    >>> network.dimension
    13
    >>> [weight.shape for weight, bias in network.layers(np.zeros(13))]
    [(3, 2), (1, 3)]
    """

    widths: tuple
    activation: str = "relu"

    def __post_init__(self):
        if not np.iterable(self.widths):
            raise TypeError(f"widths must be a sequence of whole numbers, not {self.widths!r}")
        widths = tuple(arguments.natural(width, "widths", least=1) for width in self.widths)
        if len(widths) < 2:
            raise ValueError(f"widths must name inputs and outputs at least, not {self.widths!r}")
        if not callable(self.activation) and self.activation not in tuple(_ACTIVATIONS):
            known = ", ".join(_ACTIVATIONS)
            raise ValueError(
                f"activation must be one of {known}, or a function, not {self.activation!r}"
            )
        object.__setattr__(self, "widths", widths)

    @property
    def dimension(self):
        """Number of weights and biases."""
        return sum((before + 1) * after for before, after in pairwise(self.widths))

    def initial(self, rng, scale=1.0):
        r"""Random parameters: independent normal weights, biases zero.

        The weights of a layer with m inputs have variance :math:`s^2\cdot2/m` for ReLU [1]_ and
        GELU, and :math:`s^2/m` for all others [2]_, so that with s = 1 signals keep about their
        size through the layers.

        Parameters
        ----------
        rng : numpy.random.Generator
        scale : float
            s.

        Returns
        -------
        ndarray, shape (d,)

        References
        ----------
        .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.
        .. [2] Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", in: Neural Networks:
           Tricks of the Trade, 1998.

        Examples
        --------
        >>> network = MultilayerPerceptron([1000, 500, 1], activation="relu")
        >>> (weight, bias), _ = network.layers(network.initial(np.random.default_rng(0)))
        >>> float((weight.var() * 1000).round(2)), float(np.abs(bias).max())
        (2.0, 0.0)
        """
        rng = arguments.generator(rng)
        scale = arguments.positive(scale, "scale")
        pieces = []
        for before, after in pairwise(self.widths):
            deviation = scale * np.sqrt(_GAINS.get(self.activation, 1.0) / before)
            pieces += [deviation * rng.standard_normal(before * after), np.zeros(after)]
        return np.concatenate(pieces)

    def layers(self, parameters):
        """The parameters as matrices and vectors.

        Parameters
        ----------
        parameters : array_like, shape (d,)

        Returns
        -------
        list of (ndarray, ndarray)
            :math:`W_l` of shape (outputs, inputs) and :math:`b_l` of shape (outputs,).

        Examples
        --------
        >>> MultilayerPerceptron([2, 1]).layers([1.0, 2.0, 3.0])
        [(array([[1., 2.]]), array([3.]))]
        """
        return self._layers(_one_point(parameters, self.dimension))

    def outputs(self, parameters, features):
        """Outputs of the network.

        Parameters
        ----------
        parameters : array_like, shape (d,)
        features : array_like, shape (..., inputs)

        Returns
        -------
        ndarray, shape (..., outputs)

        Examples
        --------
        >>> MultilayerPerceptron([2, 1]).outputs([1.0, 2.0, 3.0], [[1.0, 1.0], [0.0, 0.0]])
        array([[6.],
               [3.]])
        """
        features = arguments.points(features, self.widths[0], "features")
        with np.errstate(all="ignore"):  # of parameters that diverged
            return self._forward(np, self.layers(parameters), features)

    def _layers(self, parameters):
        layers, start = [], 0
        for before, after in pairwise(self.widths):
            middle, end = start + before * after, start + (before + 1) * after
            layers.append((parameters[start:middle].reshape(after, before), parameters[middle:end]))
            start = end
        return layers

    def _forward(self, xp, layers, signal):
        *hidden, (weight, bias) = layers
        for inner, offset in hidden:
            signal = self._activate(xp, signal @ inner.T + offset)
        return signal @ weight.T + bias

    def _activate(self, xp, x):
        if not callable(self.activation):
            return _ACTIVATIONS[self.activation](xp, x)
        if xp is not np:
            return self.activation(x)
        with _double_precision():
            return np.asarray(self.activation(x))


class NetworkLoss:
    r"""Loss of a network on data, as a function of its parameters.

    With :math:`z_i` the outputs for the i-th of n inputs it is

    .. math:: \frac1n\sum_i\Bigl(\ln\sum_j\mathrm e^{z_{ij}} - z_{i,y_i}\Bigr)
              \quad\text{(cross-entropy)},\qquad
              \frac1{2n}\sum_i\lVert z_i - t_i\rVert^2\quad\text{(squared)},\qquad
              \frac1n\sum_i\ln(1 + \mathrm e^{-y_iz_i})\quad\text{(logistic)},

    with labels :math:`y_i`, or with targets :math:`t_i`, which for labels are unit vectors. The
    logistic loss has one output and labels 1 and -1.

    Parameters
    ----------
    network : MultilayerPerceptron
    features : array_like, shape (n, inputs)
    targets : array_like, shape (n,) or (n, outputs)
        Labels (whole numbers from 0; 1 and -1 for the logistic loss), or for the squared loss also
        the targets themselves, which have the shape (n,) too if there is one output. A function
        gets them as they are.
    loss : {"cross-entropy", "squared", "logistic"} or callable
        The mean over the data is taken of it. A function is called with outputs (n, outputs) and
        targets, gives the losses (n,), and is one that JAX can trace.
    precision : {"double", "single"}
        What is computed with: single precision takes half the time. Results are arrays of doubles
        in both cases.

    Attributes
    ----------
    network : MultilayerPerceptron
    features : ndarray, shape (n, inputs)
    labels : ndarray of int, shape (n,), or None
    targets : ndarray, shape (n, outputs), or as they are for a function
    dimension : int
        Number d of parameters.

    Raises
    ------
    ValueError, TypeError
        If features and targets do not fit each other or the network.
    ImportError
        Where JAX is not installed.
    RuntimeError
        When it computes in a fork of a process that has computed before.

    Notes
    -----
    It is a `gdbook.Differentiable`: `gdbook.gradient_descent`, `gdbook.descend_many` and
    `gdbook.gradient_flow` take it. `train` is faster than they are. A sweep on processes needs
    such that are no forks: those of `loky`, or of the context ``"spawn"``.

    Examples
    --------
    A network without a hidden layer and with squared loss is least squares, whose Hessian is made
    of the second moments of the inputs:

    >>> network = MultilayerPerceptron([1, 1])
    >>> loss = NetworkLoss(network, [[3.0], [-3.0]], [[1.0], [5.0]], loss="squared")
    >>> loss.gradient([0.0, 0.0])
    array([ 6., -3.])
    >>> loss.value([[0.0, 0.0], [-2 / 3, 3.0]])
    array([6.5, 0. ])
    >>> round(float(loss.sharpness([0.0, 0.0])), 6)
    9.0
    """

    def __init__(self, network, features, targets, loss="cross-entropy", precision="double"):
        if not isinstance(network, MultilayerPerceptron):
            raise TypeError(f"network must be a MultilayerPerceptron, not {network!r}")
        if not callable(loss) and loss not in _LOSSES:
            known = ", ".join(_LOSSES)
            raise ValueError(f"loss must be one of {known}, or a function, not {loss!r}")
        if precision not in tuple(_PRECISIONS):
            raise ValueError(f'precision must be "double" or "single", not {precision!r}')
        self.network, self.loss, self.precision = network, loss, precision
        self.features = arguments.points(features, network.widths[0], "features")
        if self.features.ndim != 2 or not len(self.features):
            raise ValueError(f"features must have shape (n, inputs), not {self.features.shape}")
        self.labels, self.targets = _labels_and_targets(targets, self.features, network, loss)
        for name in ("features", "targets"):
            with np.errstate(over="ignore"):
                finite = np.isfinite(getattr(self, name).astype(self._dtype)).all()
            if not finite:
                raise ValueError(
                    f"{name} must be finite in {precision} precision, and some are not"
                )
        _jax()

    @property
    def dimension(self):
        """Number of parameters of the network."""
        return self.network.dimension

    def value(self, points):
        """Loss at each point of the space of parameters: shape (..., d) to shape (...)."""
        return self._rows("value", self._points(points), ())

    def gradient(self, points):
        """Gradient at each point: shape (..., d) to shape (..., d)."""
        return self._rows("gradient", self._points(points), (self.dimension,))

    def hessian_product(self, points, vectors):
        """Hessian at each point times a vector: shapes (..., d) and (..., d) to (..., d).

        Examples
        --------
        >>> loss = NetworkLoss(MultilayerPerceptron([1, 1]), [[3.0], [1.0]], [0, 0])
        >>> loss.hessian_product([0.0, 0.0], [1.0, 0.0])  # a single class is certain
        array([0., 0.])
        """
        points, vectors = arguments.pair(points, vectors, self.dimension)
        shape = np.broadcast_shapes(points.shape, vectors.shape)
        if points.ndim == 1:  # one point for all
            products = self._expanded(points)[2](vectors.reshape(-1, self.dimension))
        else:
            pairs = zip(*map(self._rows_of, np.broadcast_arrays(points, vectors)), strict=True)
            products = [self._expanded(point)[2]([vector]) for point, vector in pairs]
        return np.asarray(products, float).reshape(shape)

    def third_derivative(self, point, first, second):
        r"""Gradient of :math:`u^\top\nabla^2f\,v` for two fixed vectors, at one point.

        With u = v the eigenvector of the largest eigenvalue, if that is simple, this is the
        gradient of the sharpness.

        Parameters
        ----------
        point, first, second : array_like, shape (d,)
            The point, u, v.

        Returns
        -------
        ndarray, shape (d,)

        Examples
        --------
        The Hessian of :math:`\frac12(w_2\tanh w_1)^2` in the direction of the second weight is
        :math:`\tanh^2w_1`:

        >>> network = MultilayerPerceptron([1, 1, 1], "tanh")
        >>> loss = NetworkLoss(network, [[1.0]], [[0.0]], loss="squared")
        >>> unit = [0.0, 0.0, 1.0, 0.0]
        >>> slope = loss.third_derivative([0.5, 0.0, 1.0, 0.0], unit, unit)
        >>> bool(np.isclose(slope[0], 2 * np.tanh(0.5) / np.cosh(0.5) ** 2))
        True
        """
        vectors = (first, "first"), (second, "second")
        rows = [_one_point(vector, self.dimension, name) for vector, name in vectors]
        return self._doubles("third", _one_point(point, self.dimension, "point"), *rows)

    def eigenpairs(self, point, number=1):
        r"""The largest eigenvalues of the Hessian at one point, with their eigenvectors.

        Parameters
        ----------
        point : array_like, shape (d,)
        number : int
            k, at most d.

        Returns
        -------
        values : ndarray, shape (k,)
            From the largest on.
        vectors : ndarray, shape (k, d)
            Rows of length one. As for all eigenvectors, their signs say nothing.

        Examples
        --------
        >>> loss = NetworkLoss(MultilayerPerceptron([1, 1]), [[3.0]], [[1.0]], loss="squared")
        >>> values, vectors = loss.eigenpairs([0.0, 0.0], 2)
        >>> values.round(6), np.abs(vectors[0] * 10**0.5).round(6)
        (array([10.,  0.]), array([3., 1.]))
        """
        point = _one_point(point, self.dimension, "point")
        number = arguments.natural(number, "number", least=1)
        if number > self.dimension:
            raise ValueError(f"number must be at most {self.dimension}, not {number}")
        values, block = leading(
            self._expanded(point)[2],
            random_block(self.dimension, number).astype(self._dtype),
            _TOLERANCES[self.precision],
            number,
        )
        return values.astype(float), block[:number].astype(float)

    def sharpness(self, points):
        r"""Largest eigenvalue of the Hessian at each point: shape (..., d) to shape (...).

        Lanczos' method from a random vector, always the same one, until the residual
        :math:`\lVert Hv - \lambda v\rVert` of the eigenvector is at most :math:`10^{-5}` times the
        largest eigenvalue in modulus, :math:`10^{-3}` in single precision; in the eigenvalue the
        residual is squared. ``nan`` where the Hessian is not finite.
        """
        points = self._points(points)
        rows = self._rows_of(points)
        return np.reshape([self.eigenpairs(row)[0][0] for row in rows], points.shape[:-1])

    def accuracy(self, points):
        """Share of the inputs whose largest output is that of the label, at each point.

        For the logistic loss, the share whose output has the sign of the label. ``nan`` where an
        output is not a number.

        Parameters
        ----------
        points : array_like, shape (..., d)

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            If the loss was given targets instead of labels.

        Examples
        --------
        >>> loss = NetworkLoss(MultilayerPerceptron([1, 2]), [[3.0], [-1.0]], [0, 1])
        >>> loss.accuracy([[1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]])
        array([1., 0.])
        """
        if self.labels is None:
            raise ValueError("accuracy needs labels: give the loss whole numbers as its targets")
        points = self._points(points)
        rows = self._rows_of(points)
        outputs = (self.network.outputs(row, self.features) for row in rows)
        return np.reshape(
            [_share(some, self.labels, self.loss) for some in outputs], points.shape[:-1]
        )

    def _points(self, points):
        return arguments.points(points, self.dimension)

    def _rows_of(self, points):
        return points.reshape(-1, self.dimension)

    def _expanded(self, point):
        """Value and gradient at a point, and the function that takes rows to Hessian products."""
        value, gradient, linear = self._call("expanded", point)

        def product(rows):
            products = [self._call("applied", linear, np.asarray(row)) for row in rows]
            return np.reshape(products, (-1, self.dimension))

        return float(value), np.asarray(gradient), product

    def _rows(self, name, points, tail):
        rows = [self._doubles(name, row) for row in self._rows_of(points)]
        return np.reshape(rows, points.shape[:-1] + tail)

    def _doubles(self, name, *vectors):
        return np.asarray(self._call(name, *vectors), float)

    def _call(self, name, *values):
        """A compiled function of vectors, and perhaps of numbers, at the precision of the loss."""
        function = getattr(_compiled(self.network, self.loss), name)
        floats = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in values]
        vectors = (x.astype(self._dtype) if f else x for x, f in zip(values, floats, strict=True))
        with _double_precision(), np.errstate(over="ignore"):
            return function(*vectors, *self._data)

    @property
    def _dtype(self):
        return _PRECISIONS[self.precision]

    @cached_property
    def _data(self):
        labels = self.loss in ("cross-entropy", "logistic")
        targets = self.labels if labels else self.targets.astype(self._dtype)
        with _double_precision():  # where JAX computes, once
            put = _jax().device_put
            return put(self.features.astype(self._dtype)), put(targets)

    def __getstate__(self):  # processes of a sweep put the data where their own JAX computes
        return {name: value for name, value in vars(self).items() if name != "_data"}


@dataclass(frozen=True, eq=False)
class Training:
    """A run of gradient descent on the loss of a network.

    Attributes
    ----------
    steps : ndarray of int, shape (m,)
        The steps whose points were kept: 0, the last one n, and those between as asked for.
    points : ndarray, shape (m, d)
        Parameters after these steps.
    losses : ndarray, shape (n + 1,)
        Loss after every step.
    sharpness_steps : ndarray of int, shape (s,)
    sharpness : ndarray, shape (s,)
        Largest eigenvalue of the Hessian after these steps.

    All floats are ``nan`` after the run has diverged.
    """

    steps: np.ndarray
    points: np.ndarray
    losses: np.ndarray
    sharpness_steps: np.ndarray
    sharpness: np.ndarray

    @property
    def diverged(self):
        """Whether a parameter exceeded the escape radius, or stopped being a finite number."""
        return bool(np.isnan(self.points[-1, 0]))


def train(loss, start, learning_rate, steps, keep_every=1, sharpness_every=None):
    r"""Gradient descent :math:`x_{k+1} = x_k - h\nabla f(x_k)` on the loss of a network.

    All data are used in every step, and the loop is compiled.

    Parameters
    ----------
    loss : NetworkLoss
        :math:`f`.
    start : array_like, shape (d,)
        :math:`x_0`.
    learning_rate : float
        h.
    steps : int
        n.
    keep_every : int
        Points are kept at the multiples of this number, and after the last step.
    sharpness_every : int, optional
        Measure the sharpness at the multiples of this number. Each measurement starts from the
        eigenvector of the one before, and one or two Hessian products lead most of them to a
        residual of three per cent, which is squared in the error of the eigenvalue. Where several
        eigenvalues crowd, as at the edge of stability, it takes more products, and some
        measurements until the one that overtakes the others is seen; until then the sharpness is
        up to some per cent too low: ``loss.sharpness`` is the exact one. The step from there takes
        the gradient of the measurement, and may round it otherwise than a run without.

    Returns
    -------
    Training
        A run that diverges ends there; that is a result, not an error, as for
        `gdbook.gradient_descent`.

    Examples
    --------
    Least squares :math:`\frac12(3w + b - 1)^2` has the sharpness 10 everywhere:

    >>> loss = NetworkLoss(MultilayerPerceptron([1, 1]), [[3.0]], [[1.0]], loss="squared")
    >>> run = train(loss, [0.0, 0.0], 0.15, steps=3, sharpness_every=3)
    >>> run.losses
    array([0.5      , 0.125    , 0.03125  , 0.0078125])
    >>> run.sharpness.round(6), run.points.shape, run.diverged
    (array([10., 10.]), (4, 2), False)
    >>> train(loss, [0.0, 0.0], 0.25, steps=100).diverged
    True
    """
    if not isinstance(loss, NetworkLoss):
        raise TypeError(f"loss must be a NetworkLoss, not {loss!r}")
    point = arguments.point(start, loss, "start")
    rate = arguments.number(learning_rate, "learning_rate")
    steps = arguments.natural(steps, "steps")
    kept = arguments.kept_steps(keep_every, steps)
    measured = np.arange(0)
    if sharpness_every is not None:
        every = arguments.natural(sharpness_every, "sharpness_every", least=1)
        measured = np.arange(0, steps + 1, min(every, steps + 1))
    run = Training(
        kept,
        np.full((len(kept), loss.dimension), np.nan),
        np.full(steps + 1, np.nan),
        measured,
        np.full(len(measured), np.nan),
    )
    with _one_blas_thread() if len(measured) else nullcontext():
        _fill(run, loss, point, rate)
    return run


@dataclass(frozen=True, eq=False)
class NetworkEnsemble:
    """Runs of gradient descent, or with random batches, from many starts at many learning rates.

    Attributes
    ----------
    learning_rates : ndarray, shape (k,)
    points : ndarray, shape (m, k, d)
        Parameters after the last step, of m starts at k learning rates; ``nan`` where it diverged.
    losses : ndarray, shape (m, k)
        Loss there, of all data.
    gradient_norms : ndarray, shape (m, k)
        Length of the gradient there, of all data.
    sharpness : ndarray, shape (m, k), or None
        Largest eigenvalue of the Hessian there, if that was asked for.
    """

    learning_rates: np.ndarray
    points: np.ndarray
    losses: np.ndarray
    gradient_norms: np.ndarray
    sharpness: np.ndarray | None

    @property
    def diverged(self):
        """Which runs had a parameter beyond the escape radius, or not finite: shape (m, k)."""
        return np.isnan(self.points[..., 0])


def ensemble(loss, starts, learning_rates, steps, sharpness=False, batch_size=None, rng=None):
    r"""Gradient descent on the loss of a network, from each start at each learning rate.

    What `train` does one by one, in one compiled call; the smaller the network, the more it saves.
    With a batch size it is stochastic gradient descent,

    .. math:: x_{k+1} = x_k - \frac hb\sum_{i\in B_k}\nabla\ell_i(x_k),

    with :math:`\ell_i` the loss of the i-th of n data and random sets :math:`B_k` of b of them,
    drawn without replacement, each independently of those before.

    Parameters
    ----------
    loss : NetworkLoss
    starts : array_like, shape (m, d)
    learning_rates : array_like, shape (k,)
        h.
    steps : int
    sharpness : bool
        Find the sharpness after the last step too, one network after the other.
    batch_size : int, optional
        b, at most n. All data in every step if it is left out.
    rng : numpy.random.Generator, optional
        Draws the batches, ``rng.choice(n, batch_size, replace=False)`` for one step after the
        other; needed with a batch size, and then only. All runs see the same batches, so that they
        differ in their starts and learning rates alone.

    Returns
    -------
    NetworkEnsemble

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Examples
    --------
    Least squares with sharpness 10 converges below 2/10 and diverges above:

    >>> loss = NetworkLoss(MultilayerPerceptron([1, 1]), [[3.0]], [[1.0]], loss="squared")
    >>> runs = ensemble(loss, [[0.0, 0.0], [1.0, 2.0]], [0.1, 0.19, 0.21], 1000, sharpness=True)
    >>> runs.diverged
    array([[False, False,  True],
           [False, False,  True]])
    >>> runs.sharpness.round(6)
    array([[10., 10., nan],
           [10., 10., nan]])

    Two data that contradict each other, one at a time: the parameters never come to rest.

    >>> loss = NetworkLoss(MultilayerPerceptron([1, 1]), [[0.0]] * 2, [[1.0], [-1.0]], "squared")
    >>> for one_by_one in ({}, {"batch_size": 1, "rng": np.random.default_rng(0)}):
    ...     runs = ensemble(loss, [[0.0, 0.5]], [0.5], 100, **one_by_one)
    ...     print(bool(runs.gradient_norms[0, 0] < 1e-9))
    True
    False
    """
    if not isinstance(loss, NetworkLoss):
        raise TypeError(f"loss must be a NetworkLoss, not {loss!r}")
    starts = arguments.points(starts, loss.dimension, "starts")
    rates = arguments.reals(learning_rates, "learning_rates")
    for array, name, axes in ((starts, "starts", 2), (rates, "learning_rates", 1)):
        if array.ndim != axes or not np.isfinite(array).all() or not array.size:
            shape = "(m, d)" if axes == 2 else "(k,)"
            raise ValueError(f"{name} must be finite numbers of shape {shape}, not {array!r}")
    steps, shape = arguments.natural(steps, "steps"), (len(starts), len(rates))
    batches = _batches(steps, len(loss.features), batch_size, rng)
    pairs = np.arange(-(-starts.shape[0] * rates.size // _BATCH) * _BATCH) % np.prod(shape)
    chosen = starts[pairs // len(rates)], rates[pairs % len(rates)]
    found = (np.asarray(x, float) for x in loss._call("ensemble", *chosen, batches, steps))
    points, losses, norms = (x[: np.prod(shape)].reshape(*shape, *x.shape[1:]) for x in found)
    largest = None
    if sharpness:
        largest = np.where(np.isnan(points[..., 0]), np.nan, loss.sharpness(points))
    return NetworkEnsemble(rates, points, losses, norms, largest)


def _batches(steps, number, size, rng):
    """Indices of the data of each step, a row for each, or None for all data in all steps."""
    if size is None:
        if rng is not None:
            raise ValueError("rng draws the batches: give batch_size with it, or leave both out")
        return None
    size = arguments.natural(size, "batch_size", least=1)
    if size > number:
        raise ValueError(f"batch_size must be at most {number}, the number of data, not {size}")
    rng = arguments.generator(rng)
    batches = np.zeros((max(steps, 1), size), np.int32)  # JAX takes no row of none, even unused
    for batch in batches[:steps]:
        batch[:] = rng.choice(number, size, replace=False)
    return batches


def _fill(run, loss, point, rate):
    last = len(run.losses) - 1
    stops = np.unique([*run.steps, *run.sharpness_steps, *range(0, last, _BLOCK)])
    measured, kept = set(run.sharpness_steps.tolist()), set(run.steps.tolist())
    sharpness, point = _followed(loss), point.astype(loss._dtype)
    for stop, following in zip(stops.tolist(), [*stops[1:].tolist(), last + 1], strict=True):
        if not np.abs(point).max() <= ESCAPE_RADIUS:
            return
        if stop in kept:
            run.points[np.searchsorted(run.steps, stop)] = point
        done = 0
        if stop in measured:  # the first step from there has its gradient at hand
            run.losses[stop], gradient, product = loss._expanded(point)
            run.sharpness[np.searchsorted(run.sharpness_steps, stop)] = sharpness(product)
            with np.errstate(all="ignore"):  # of a run that diverges
                point, done = point - rate * gradient, 1
        count = following - stop - done
        if count:
            point, losses = loss._call("advance", point, rate, count)
            run.losses[stop + done : following] = np.asarray(losses)[:count]
        point = np.asarray(point)


def _followed(loss):
    """The sharpness at points that are near one another, from their Hessian products in turn."""
    block = random_block(loss.dimension, 2).astype(loss._dtype)
    forgotten, calls, recent, moving = 0.05 * block[1], 0, (np.nan, np.nan), True

    def sharpness(product):
        nonlocal calls, recent, moving
        watch = moving or calls % _WATCH == 0
        tolerance = _MOVING_TOLERANCE if moving else _WARM_TOLERANCE
        tolerance = tolerance if calls else _FIRST_TOLERANCE
        (largest,), (block[0], other) = leading(product, block[: 1 + watch], tolerance)
        if watch:
            size = np.linalg.norm(other)
            block[1] = other / (size if size > 0 else 1) + forgotten
        near = [abs(largest - before) <= _MOVING * abs(largest) for before in recent]
        calls, moving, recent = calls + 1, not any(near), (recent[1], largest)
        return largest

    return sharpness


def _share(outputs, labels, loss):
    if np.isnan(outputs).any():
        return np.nan
    if loss == "logistic":
        return np.mean(outputs[:, 0] * labels > 0)
    return np.mean(outputs.argmax(axis=1) == labels)


def _erf(xp, x):
    if xp is not np:
        return _jax().lax.erf(x)
    from scipy.special import erf

    return erf(x)


def _per_sample(kind, outputs, targets):
    """Losses of the outputs, one by one: shape (n,)."""
    jax = _jax()
    jnp = jax.numpy
    if kind == "squared":
        return jnp.sum((outputs - targets) ** 2, axis=1) / 2
    if kind == "logistic":
        return jnp.logaddexp(0.0, -targets * outputs[:, 0])
    if kind == "cross-entropy":
        chosen = jnp.take_along_axis(outputs, targets[:, None], axis=1)[:, 0]
        return jax.nn.logsumexp(outputs, axis=1) - chosen
    return kind(outputs, targets)


@lru_cache
def _compiled(network, kind):
    """Compiled functions of parameters and data. JAX compiles again for data of another shape."""
    jax = _jax()
    jnp = jax.numpy

    barrier = jax.lax.optimization_barrier  # else the products work on slices, which is slower

    def loss(layers, features, targets):
        return jnp.mean(_per_sample(kind, network._forward(jnp, layers, features), targets))

    def split(parameters):
        return barrier(network._layers(parameters))

    def join(layers):
        return jnp.concatenate([x.ravel() for layer in barrier(layers) for x in layer])

    def value(parameters, *data):
        return loss(split(parameters), *data)

    def gradient(parameters, *data):
        return join(jax.grad(loss)(split(parameters), *data))

    def expanded(parameters, *data):
        def slopes(layers):
            return jax.value_and_grad(loss)(layers, *data)[::-1]

        gradient, linear, value = jax.linearize(slopes, split(parameters), has_aux=True)
        return value, join(gradient), linear

    def applied(linear, vector, *data):
        return join(linear(split(vector)))

    def third(parameters, first, second, *data):
        def slope(function, vector):
            return lambda layers: jax.jvp(function, (layers,), (split(vector),))[1]

        curvature = slope(slope(lambda layers: loss(layers, *data), first), second)
        return join(jax.grad(curvature)(split(parameters)))

    def inside(layers):
        return jnp.array([jnp.abs(x).max() for x in jax.tree.leaves(layers)]).max() <= ESCAPE_RADIUS

    def descended(layers, rate, *data):
        value, slopes = jax.value_and_grad(loss)(layers, *data)
        return jax.tree.map(lambda x, slope: x - rate * slope, layers, slopes), value

    def advance(parameters, rate, count, *data):
        rate = jnp.asarray(rate, parameters.dtype)

        def step(state):
            k, layers, losses = state
            layers, value = descended(layers, rate, *data)
            return k + 1, layers, losses.at[k].set(value)

        state = 0, split(parameters), jnp.full(_BLOCK, jnp.nan, parameters.dtype)
        _, layers, losses = jax.lax.while_loop(
            lambda state: (state[0] < count) & inside(state[1]), step, state
        )
        return join(layers), losses

    def ensemble(starts, rates, batches, steps, *data):
        def one(pair):
            def step(k, layers):
                rate = jnp.where(inside(layers), pair[1], jnp.nan)
                seen = data if batches is None else [x[batches[k]] for x in data]
                return descended(layers, rate, *seen)[0]

            layers = jax.lax.fori_loop(0, steps, step, network._layers(pair[0]))
            point = jnp.where(inside(layers), join(layers), jnp.nan)
            return point, value(point, *data), jnp.linalg.norm(gradient(point, *data))

        return jax.lax.map(one, (starts, rates), batch_size=_BATCH)

    # Optimized more, they would take longer to compile and as long to run: matrices do the work.
    jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    return SimpleNamespace(
        value=jit(value),
        gradient=jit(gradient),
        expanded=jit(expanded),
        applied=jit(applied),
        third=jit(third),
        advance=jit(advance),
        ensemble=jit(ensemble),
    )


def _one_blas_thread():
    """Around Lanczos' method by NumPy, whose waiting threads would take the cores from JAX."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "blas")


def _double_precision():
    """Around all that JAX computes. Its threads are not in a fork, which would wait for ever."""
    if os.getpid() != _first_process():
        raise RuntimeError(
            "networks cannot be computed in a fork of a process that has computed with JAX: give "
            "the sweep loky.get_reusable_executor(), or "
            'ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))'
        )
    return _jax().enable_x64(True)


@lru_cache
def _first_process():
    return os.getpid()


@lru_cache
def _jax():
    try:
        import jax
    except ImportError as error:
        raise ImportError("networks need JAX: pip install 'gdbook[networks]'") from error
    return jax


def _one_point(value, dimension, name="parameters"):
    point = arguments.points(value, dimension, name)
    if point.ndim != 1:
        raise ValueError(f"{name} must have shape ({dimension},), not {point.shape}")
    return point


def _labels_and_targets(targets, features, network, loss):
    outputs = network.widths[-1]
    targets = arguments.reals(targets, "targets")
    if not np.isfinite(targets).all():
        raise ValueError("targets must be finite, and some are not")
    if callable(loss):
        return None, _targets_of(loss, targets, features, outputs)
    if loss == "logistic":
        return _signs(targets, features, outputs)
    shape = (len(features), outputs)
    if loss == "squared" and shape in (targets.shape, (*targets.shape, 1)):  # 1: not a lone class
        return None, targets.reshape(shape)
    if targets.shape != (len(features),):
        shapes = f"({len(features)},)" + f" or ({len(features)}, {outputs})" * (loss == "squared")
        raise ValueError(f"targets must have shape {shapes}, not {targets.shape}")
    wrong = (targets != np.floor(targets)) | (targets < 0) | (targets >= outputs)
    if wrong.any():
        raise ValueError(
            f"targets must be labels, whole numbers from 0 to {outputs - 1}, one for each output, "
            f"not {targets[wrong][0]:g}"
        )
    labels = targets.astype(int)
    return labels, np.eye(outputs)[labels]


def _signs(targets, features, outputs):
    if outputs != 1:
        raise ValueError(f"the logistic loss needs a network with one output, not {outputs}")
    if targets.shape != (len(features),) or not np.isin(targets, (-1, 1)).all():
        raise ValueError(
            f"targets of the logistic loss must be {len(features)} labels 1 or -1, not {targets!r}"
        )
    return targets.astype(int), targets[:, np.newaxis]


def _targets_of(loss, targets, features, outputs):
    """Targets for a function, which must give a loss for each of them."""
    number = len(features)
    if targets.shape[:1] != (number,):
        raise ValueError(f"targets must have shape ({number}, ...), not {targets.shape}")
    struct = _jax().ShapeDtypeStruct
    made = _jax().eval_shape(loss, struct((number, outputs), float), struct(targets.shape, float))
    if getattr(made, "shape", None) != (number,):
        raise ValueError(
            f"loss must give one number for each of {number} rows of outputs, so shape "
            f"({number},), not {made}"
        )
    return targets
