"""Neural networks on data: losses with gradients and sharpness, and their training, in JAX.

All numbers are double precision, whatever the caller's JAX is set to, and that setting is neither
changed nor needed: 64 bits are switched on around each call and no further.
"""

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from gdbook import arguments
from gdbook.outcome import ESCAPE_RADIUS

__all__ = ["MultilayerPerceptron", "NetworkLoss", "Training", "train"]

# Each takes the module (NumPy or JAX) and the array. Not a number stays what it is, and the
# derivative of relu at its crease is 0, as for all objectives of the book.
_ACTIVATIONS = {
    "relu": lambda xp, x: xp.where(x <= 0, 0.0, x),
    "tanh": lambda xp, x: xp.tanh(x),
}
_GAINS = {"relu": 2.0, "tanh": 1.0}
_LOSSES = ("cross-entropy", "squared")
_BLOCK = 256  # steps in one call of compiled code, which notes the loss of each
_WARM_TOLERANCE = 5e-2
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class MultilayerPerceptron:
    r"""A multilayer perceptron: linear layers with an activation between each two.

    .. math:: z_0 = x,\quad z_l = \phi(W_l z_{l-1} + b_l)\ (l < L),\quad
              \text{output } W_L z_{L-1} + b_L.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, of units in each hidden layer, of outputs: L + 1 numbers.
    activation : {"relu", "tanh"}
        :math:`\phi`.

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
        if self.activation not in tuple(_ACTIVATIONS):
            known = ", ".join(_ACTIVATIONS)
            raise ValueError(f"activation must be one of {known}, not {self.activation!r}")
        object.__setattr__(self, "widths", widths)

    @property
    def dimension(self):
        """Number of weights and biases."""
        return sum((before + 1) * after for before, after in pairwise(self.widths))

    def initial(self, rng, scale=1.0):
        r"""Random parameters: independent normal weights, biases zero.

        The weights of a layer with m inputs have variance :math:`s^2\cdot2/m` for ReLU [1]_ and
        :math:`s^2/m` for tanh [2]_, so that with s = 1 signals keep their size through the layers.

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
        scale = arguments.positive(scale, "scale")
        pieces = []
        for before, after in pairwise(self.widths):
            deviation = scale * np.sqrt(_GAINS[self.activation] / before)
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
            signal = _ACTIVATIONS[self.activation](xp, signal @ inner.T + offset)
        return signal @ weight.T + bias


class NetworkLoss:
    r"""Loss of a network on data, as a function of its parameters.

    With :math:`z_i` the outputs for the i-th of n inputs it is

    .. math:: \frac1n\sum_i\Bigl(\ln\sum_j\mathrm e^{z_{ij}} - z_{i,y_i}\Bigr)
              \quad\text{(cross-entropy)},\qquad
              \frac1{2n}\sum_i\lVert z_i - t_i\rVert^2\quad\text{(squared)},

    with labels :math:`y_i`, or with targets :math:`t_i`, which for labels are unit vectors.

    Parameters
    ----------
    network : MultilayerPerceptron
    features : array_like, shape (n, inputs)
    targets : array_like, shape (n,) or (n, outputs)
        Labels (whole numbers from 0), or for the squared loss also the targets themselves, which
        have the shape (n,) too if there is one output.
    loss : {"cross-entropy", "squared"}

    Attributes
    ----------
    network : MultilayerPerceptron
    features : ndarray, shape (n, inputs)
    labels : ndarray of int, shape (n,), or None
    targets : ndarray, shape (n, outputs)
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

    def __init__(self, network, features, targets, loss="cross-entropy"):
        if not isinstance(network, MultilayerPerceptron):
            raise TypeError(f"network must be a MultilayerPerceptron, not {network!r}")
        if loss not in _LOSSES:
            raise ValueError(f"loss must be one of {', '.join(_LOSSES)}, not {loss!r}")
        self.network, self.loss = network, loss
        self.features = arguments.points(features, network.widths[0], "features")
        if self.features.ndim != 2 or not len(self.features):
            raise ValueError(f"features must have shape (n, inputs), not {self.features.shape}")
        if not np.isfinite(self.features).all():
            raise ValueError("features must be finite, and some are not")
        self.labels, self.targets = _labels_and_targets(targets, self.features, network, loss)
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
        points, vectors = np.broadcast_arrays(*arguments.pair(points, vectors, self.dimension))
        pairs = np.stack([points, vectors], axis=-2).reshape(-1, 2, self.dimension)
        products = [self._hessian(point)(vector) for point, vector in pairs]
        return np.reshape(products, points.shape)

    def sharpness(self, points):
        r"""Largest eigenvalue of the Hessian at each point: shape (..., d) to shape (...).

        Lanczos' method from a random vector, always the same one, until the residual
        :math:`\lVert Hv - \lambda v\rVert` of the eigenvector is at most :math:`10^{-5}` times the
        largest eigenvalue in modulus. ``nan`` where the Hessian is not finite.
        """
        points = self._points(points)
        rows = points.reshape(-1, self.dimension)
        values = [
            _largest(self._hessian(row), [_random(self.dimension)], _TOLERANCE)[0] for row in rows
        ]
        return np.reshape(values, points.shape[:-1])

    def accuracy(self, points):
        """Share of the inputs whose largest output is that of the label, at each point.

        ``nan`` where an output is not a number.

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
        rows = points.reshape(-1, self.dimension)
        outputs = (self.network.outputs(row, self.features) for row in rows)
        return np.reshape([_share(some, self.labels) for some in outputs], points.shape[:-1])

    def _points(self, points):
        return arguments.points(points, self.dimension)

    def _rows(self, name, points, tail):
        rows = [np.asarray(self._call(name, row)) for row in points.reshape(-1, self.dimension)]
        return np.reshape(rows, points.shape[:-1] + tail)

    def _hessian(self, point):
        """The Hessian at a point as a function of a vector; the forward pass is made once."""
        product, apply = self._call("linearized", point), _compiled(self.network, self.loss).apply

        def hessian(vector):
            with _double_precision():
                return np.asarray(apply(product, vector))

        return hessian

    def _call(self, name, *values):
        function = getattr(_compiled(self.network, self.loss), name)
        with _double_precision():
            return function(*values, *self._data)

    @cached_property
    def _data(self):
        targets = self.targets if self.loss == "squared" else self.labels
        with _double_precision():  # where JAX computes, once
            return tuple(_jax().device_put(array) for array in (self.features, targets))

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
        two leading vectors of the one before, and most of them take two Hessian products to a
        residual of five per cent, which is squared in the error of the eigenvalue.

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
    kept = _multiples(arguments.natural(keep_every, "keep_every", least=1), steps, last=True)
    measured = np.arange(0)
    if sharpness_every is not None:
        measured = _multiples(arguments.natural(sharpness_every, "sharpness_every", 1), steps)
    run = Training(
        kept,
        np.full((len(kept), loss.dimension), np.nan),
        np.full(steps + 1, np.nan),
        measured,
        np.full(len(measured), np.nan),
    )
    _fill(run, loss, point, rate)
    return run


def _fill(run, loss, point, rate):
    last = len(run.losses) - 1
    stops = np.unique([*run.steps, *run.sharpness_steps, *range(0, last, _BLOCK)])
    block = [_random(loss.dimension)]
    for stop, following in zip(stops, [*stops[1:], last + 1], strict=True):
        if not np.abs(point).max() <= ESCAPE_RADIUS:
            return
        if stop in run.sharpness_steps:
            sharpness, (vector, second) = _largest(loss._hessian(point), block, _WARM_TOLERANCE)
            block = [vector, second + 0.05 * np.linalg.norm(second) * _random(loss.dimension)]
            run.sharpness[run.sharpness_steps == stop] = sharpness
        run.points[run.steps == stop] = point
        count = following - stop
        point, losses = loss._call("advance", point, rate, count)
        run.losses[stop:following] = losses[:count]


def _multiples(every, steps, last=False):
    multiples = np.arange(0, steps + 1, min(every, steps + 1))
    return multiples if not last or multiples[-1] == steps else np.append(multiples, steps)


def _share(outputs, labels):
    if np.isnan(outputs).any():
        return np.nan
    return np.mean(outputs.argmax(axis=1) == labels)


def _random(dimension):
    vector = np.random.default_rng(0).standard_normal(dimension)
    return vector / np.linalg.norm(vector)


def _largest(product, block, tolerance):
    """Largest eigenvalue of a symmetric matrix, and a block to start from for a matrix near it.

    From one vector this is Lanczos' method with full orthogonalization. The second vector of the
    new block makes one step of the power method, orthogonal to the eigenvector, at every call: an
    eigenvalue that overtakes the largest one is seen.
    """
    basis, images = [], []
    added = _orthonormal(basis, block)
    while True:
        basis, images = basis + added, images + [product(vector) for vector in added]
        vectors, turned = np.array(basis), np.array(images)
        if not np.isfinite(turned).all():
            return np.nan, [block[0], block[-1]]
        values, weights = np.linalg.eigh(vectors @ turned.T)
        residual = weights[:, -1] @ turned - values[-1] * (weights[:, -1] @ vectors)
        added = _orthonormal(basis, [residual])
        small = np.linalg.norm(residual) <= tolerance * np.abs(values).max()
        if small or not added:
            second = weights[:, -2] @ turned if len(values) > 1 else 0 * residual
            return values[-1], [weights[:, -1] @ vectors, second]


def _orthonormal(basis, block):
    """What the vectors of the block add to an orthonormal basis, as far as it can be told."""
    added = []
    for vector in block:
        size = np.linalg.norm(vector)
        for other in 2 * (basis + added):  # twice is enough
            vector = vector - (other @ vector) * other
        if np.linalg.norm(vector) > 1e-13 * size and len(basis + added) < len(vector):
            added.append(vector / np.linalg.norm(vector))
    return added


@lru_cache
def _compiled(network, kind):
    """Compiled functions of parameters and data. JAX compiles again for data of another shape."""
    jax = _jax()
    jnp = jax.numpy

    def loss(layers, features, targets):
        outputs = network._forward(jnp, layers, features)
        if kind == "squared":
            return jnp.sum((outputs - targets) ** 2) / (2 * len(features))
        chosen = jnp.take_along_axis(outputs, targets[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(outputs, axis=1) - chosen)

    def value(parameters, features, targets):
        return loss(network._layers(parameters), features, targets)

    gradient = jax.grad(value)

    def linearized(parameters, *data):
        return jax.linearize(lambda p: gradient(p, *data), parameters)[1]

    def advance(parameters, rate, count, *data):
        rate = jnp.asarray(rate, parameters.dtype)

        def inside(state):
            k, layers, _ = state
            largest = jnp.array([jnp.abs(x).max() for layer in layers for x in layer]).max()
            return (k < count) & (largest <= ESCAPE_RADIUS)

        def step(state):
            k, layers, losses = state
            value, slopes = jax.value_and_grad(loss)(layers, *data)
            layers = jax.tree.map(lambda x, slope: x - rate * slope, layers, slopes)
            return k + 1, layers, losses.at[k].set(value)

        losses = jnp.full(_BLOCK, jnp.nan, parameters.dtype)
        _, layers, losses = jax.lax.while_loop(
            inside, step, (0, network._layers(parameters), losses)
        )
        return jnp.concatenate([x.ravel() for layer in layers for x in layer]), losses

    return SimpleNamespace(
        value=jax.jit(value),
        gradient=jax.jit(gradient),
        linearized=jax.jit(linearized),
        apply=jax.jit(lambda product, vector: product(vector)),
        advance=jax.jit(advance),
    )


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


def _one_point(parameters, dimension):
    parameters = arguments.points(parameters, dimension, "parameters")
    if parameters.ndim != 1:
        raise ValueError(f"parameters must have shape ({dimension},), not {parameters.shape}")
    return parameters


def _labels_and_targets(targets, features, network, loss):
    outputs = network.widths[-1]
    targets = arguments.reals(targets, "targets")
    if not np.isfinite(targets).all():
        raise ValueError("targets must be finite, and some are not")
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
