"""Gradient descent from many starts, or with many learning rates, at once."""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from types import SimpleNamespace

import numpy as np

from gdbook import arguments
from gdbook.kernels import descent
from gdbook.kernels.parts import processors
from gdbook.objective import Objective, require_differentiable
from gdbook.outcome import CHECK_INTERVAL, LABELS, LONGEST_PERIOD
from gdbook.targets import FoundTargets, GivenTargets

__all__ = ["Ensemble", "Grid", "descend_many"]

_FOUND = ("labels", "steps", "periods")
_KEPT = ("points", *_FOUND, "reached")


@dataclass(frozen=True)
class Grid:
    r"""A regular grid of starts in a box, of which only what is asked for is ever made.

    Parameters
    ----------
    limits : sequence of (float, float), or one pair
        Lowest and highest value of each coordinate, both on the grid. One pair holds for all.
    shape : sequence of int, or int
        Number of values of each coordinate. One number holds for all.

    Attributes
    ----------
    axes : list of ndarray
        The values of each coordinate.
    size, dimension : int
        Number of points and of coordinates.
    points : ndarray, shape (size, d)
        All points, made each time they are asked for. ``grid[index]`` makes some of them: those
        with the given number, slice, array of numbers or array of booleans.

    Notes
    -----
    The last coordinate runs fastest, as in ``np.meshgrid(*axes, indexing="ij")``: what belongs to
    the points, reshaped to `shape`, has at ``[i, j]`` what belongs to ``(axes[0][i], axes[1][j])``.
    Pictures want the first coordinate from left to right, which is the transposed array.

    Examples
    --------
    >>> grid = Grid([(0, 2), (0, 1)], (3, 2))
    >>> grid[:3]
    array([[0., 0.],
           [0., 1.],
           [1., 0.]])
    >>> values = grid.points.sum(axis=1).reshape(grid.shape)
    >>> bool(values[2, 1] == grid.axes[0][2] + grid.axes[1][1])
    True
    >>> import matplotlib.pyplot as plt
    >>> contours = plt.contourf(*grid.axes, values.T)
    >>> image = plt.imshow(values.T, origin="lower", extent=np.ravel(grid.limits))
    >>> plt.close()
    """

    limits: tuple
    shape: tuple

    def __post_init__(self):
        limits = np.atleast_2d(arguments.reals(self.limits, "limits"))
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(np.diff(limits)).all()
        if limits.ndim != 2 or limits.shape[1] != 2 or not finite:
            raise ValueError(f"limits must be finite pairs (low, high), not {self.limits!r}")
        if (limits[:, 0] > limits[:, 1]).any():
            raise ValueError(f"limits must be pairs (low, high) in this order, not {self.limits!r}")
        shape = self.shape if isinstance(self.shape, Iterable) else (self.shape,)
        shape = tuple(arguments.natural(n, "shape") for n in shape)
        dimension = max(len(limits), len(shape))
        if not shape or {len(limits), len(shape)} - {1, dimension}:
            raise ValueError(
                f"shape must be one number or {len(limits)}, one for each pair of limits, "
                f"not {self.shape!r}"
            )
        pairs = [(low, high) for low, high in limits.tolist()]
        object.__setattr__(self, "limits", tuple(pairs * (dimension // len(limits))))
        object.__setattr__(self, "shape", shape * (dimension // len(shape)))

    @cached_property
    def axes(self):
        return [np.linspace(*pair, n) for pair, n in zip(self.limits, self.shape, strict=True)]

    @property
    def dimension(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)

    @property
    def points(self):
        return self[:]

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        places = np.unravel_index(self._numbers(index), self.shape)
        return np.stack([axis[i] for axis, i in zip(self.axes, places, strict=True)], axis=-1)

    def _numbers(self, index):
        if isinstance(index, slice):
            return np.arange(*index.indices(self.size))
        numbers = np.asarray(index)
        if numbers.dtype == bool and numbers.size == self.size:
            return np.flatnonzero(numbers)
        if numbers.size == 0:
            return numbers.astype(int)
        whole = numbers.dtype.kind in "iu"
        if not (whole and -self.size <= numbers.min() and numbers.max() < self.size):
            raise IndexError(f"a grid of {self.size} points has none with the index {index!r}")
        return np.where(numbers < 0, numbers + self.size, numbers)


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """Many orbits of gradient descent, by what became of them.

    What was not kept is not there: to ask for it is an error that says how it is kept.

    Attributes
    ----------
    shape : tuple of int
        Of the starts and learning rates; n is the number of orbits, the product of these.
        ``labels.reshape(shape)`` and so on give everything in the form in which the starts came.
    labels : ndarray of uint8, shape (n,)
        What became of each orbit, as its place in :data:`gdbook.outcome.LABELS`: 0 converged,
        1 diverged, 2 periodic, 3 bounded.
    points : ndarray, shape (n, d)
        Where each orbit was when its label was earned; after all steps for the last two labels.
    steps : ndarray of int64, shape (n,)
        When that was.
    periods : ndarray of uint8, shape (n,)
        Zero where an orbit is not periodic.
    reached : ndarray of int16, shape (n,)
        Number, in the order of `targets`, of the first target where the orbit has converged to it;
        -1 where there is none.
    targets : ndarray, shape (k, d), or dict
        The targets as they were given; or the limits that were found, in lexicographic order.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> ensemble = descend_many(quadratic(), 1.0, [0.5, 1.0, 2.0, 2.5], 1000)
    >>> ensemble
    Ensemble of 4 orbits: 2 converged, 1 diverged, 1 periodic, 0 bounded
    >>> ensemble.steps, ensemble.periods
    (array([  64,   32, 1000,   35]), array([0, 0, 2, 0], dtype=uint8))
    """

    shape: tuple
    points: np.ndarray
    labels: np.ndarray
    steps: np.ndarray
    periods: np.ndarray
    reached: np.ndarray
    targets: object

    def __post_init__(self):
        for name in (*_KEPT, "targets"):
            if getattr(self, name) is None:
                object.__delattr__(self, name)

    def __getattr__(self, name):
        if name in (*LABELS, "counts"):
            name = "labels"
        if name in (*_KEPT, "targets"):
            how = {"labels": "detect=True", "targets": 'keep=("reached", ...) or targets=...'}
            how = how.get(name, f'keep=("{name}", ...)')
            raise AttributeError(f"{name} were not kept; descend_many keeps them with {how}")
        raise AttributeError(f"an Ensemble has no attribute {name!r}")

    @property
    def converged(self):
        """Which orbits converged: ndarray of bool, shape (n,)."""
        return self.labels == LABELS.index("converged")

    @property
    def diverged(self):
        """Which orbits diverged: ndarray of bool, shape (n,)."""
        return self.labels == LABELS.index("diverged")

    @property
    def periodic(self):
        """Which orbits became periodic: ndarray of bool, shape (n,)."""
        return self.labels == LABELS.index("periodic")

    @property
    def bounded(self):
        """Which orbits are none of the other three: ndarray of bool, shape (n,)."""
        return self.labels == LABELS.index("bounded")

    @property
    def counts(self):
        """How many orbits have each label: dict of str to int.

        Examples
        --------
        >>> from gdbook.catalogue import double_well
        >>> descend_many(double_well(), Grid((-2, 2), 100), 1.5, 1000).counts
        {'converged': 0, 'diverged': 24, 'periodic': 0, 'bounded': 76}
        """
        return {
            label: int(np.count_nonzero(self.labels == code)) for code, label in enumerate(LABELS)
        }

    def __repr__(self):
        count = math.prod(self.shape)
        text = f"Ensemble of {count} orbit{'s' if count != 1 else ''}"
        if "labels" in vars(self):
            text += ": " + ", ".join(f"{count} {label}" for label, count in self.counts.items())
        return text


def descend_many(
    objective,
    starts,
    learning_rate,
    steps,
    *,
    keep=None,
    targets=None,
    detect=True,
    contract=False,
    workers=None,
    progress=True,
):
    r"""Gradient descent :math:`x_{k+1} = x_k - h \nabla f(x_k)` from many starts at once.

    What became of every orbit is found by the definition in :mod:`gdbook.outcome`, at each step of
    the orbit; its last step is the exact one. The result is that of
    :func:`~gdbook.gradient_descent`, orbit by orbit, to the bit where the formula is rational with
    powers up to 64.

    Parameters
    ----------
    objective : Objective or Differentiable
        :math:`f`. For a formula the steps are compiled, and a million orbits make a thousand steps
        in about the time of a blink; for a loss on data the gradient of many points is asked for at
        once, by NumPy.
    starts : Grid, or array_like of shape (..., d)
        :math:`x_0` of each orbit; shape (n,) will do where d = 1. A start that is not finite has
        diverged at step 0.
    learning_rate : float or array_like
        :math:`h`: one number, or one for each start: n numbers, or an array that broadcasts with
        the shape of the starts. A column of learning rates with a row of starts is a table.
    steps : int
        Largest number of steps.
    keep : str or sequence of str, optional
        What is kept beside ``"labels"``: some of ``"points"``, ``"steps"``, ``"periods"`` and
        ``"reached"``; unless given, the first three, and the last where there are targets. An orbit
        takes one byte for its label, 8 d for its point, 8 for its step, 1 for its period and 2 for
        its target. The work itself needs little memory, however many orbits there are, so that
        ``keep="labels"`` is enough for the basin of a hundred million starts.
    targets : array_like of shape (k, d), or mapping of str to point or condition, optional
        Where orbits may converge to, for `reached`. A condition on the limit is a string or a
        SymPy relation in the variables, as in ``{"left": "x < 0", "right": "x > 0"}``, joined by
        ``& | ~``. A point is reached where the largest coordinate of the difference is at most
        :math:`10^{-6}(1 + |x|)`. Without targets ``keep="reached"`` finds the limits: those nearer
        to each other than this are one. Where there are more than 64, they are taken for a
        continuum: then `targets` is empty and no target is reached.
    detect : bool
        Whether to find out what became of the orbits. Without, every orbit makes all steps, also
        after it diverged, and `points` is all there is.
    contract : bool
        Whether a product and a sum may be rounded once instead of twice: up to a fifth faster, and
        the last bits, or the whole future of a chaotic orbit, then depend on the machine.
    workers : int, optional
        Number of threads; unless given, one for each processor, or 1 for a loss on data. The result
        does not depend on it. In the cells of a sweep that has workers of its own, 1 is best.
    progress : bool
        Whether to show a bar when the work takes over a second. The variable ``TQDM_DISABLE=1`` of
        the environment turns it off everywhere.

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, a learning rate is not finite, a name to keep is
        unknown, or a condition cannot be read.

    References
    ----------
    .. [1] Liang, Montúfar, "Gradient descent with large step sizes: chaos and fractal convergence
       region", arXiv 2509.25351, 2025.

    Examples
    --------
    A basin of attraction: whether, when and where to each of 40 000 starts converges.

    >>> from gdbook.catalogue import double_well, scalar_factorization
    >>> grid = Grid([(-4, 4), (-4, 4)], 200)
    >>> sides = {"left": "x < 0", "right": "x > 0"}
    >>> basin = descend_many(scalar_factorization(), grid, 0.5, 1000, targets=sides)
    >>> basin
    Ensemble of 40000 orbits: 15038 converged, 24962 diverged, 0 periodic, 0 bounded
    >>> int(basin.steps[basin.diverged].max())
    14
    >>> picture = basin.reached.reshape(grid.shape).T  # for plt.imshow(picture, origin="lower")

    What does not diverge starts in the ellipse :math:`x^2 + y^2 - hxy < 4/h - h` [1]_:

    >>> x, y = grid.points.T
    >>> bool(((x**2 + y**2 - 0.5 * x * y < 4 / 0.5 - 0.5) == ~basin.diverged).all())
    True

    A table, one row for each learning rate and one column for each start:

    >>> rates = np.linspace(0.5, 1.5, 3)
    >>> table = descend_many(double_well(), Grid((-2, 2), 5), rates[:, np.newaxis], 1000)
    >>> table.labels.reshape(table.shape)
    array([[0, 0, 0, 0, 0],
           [1, 0, 0, 0, 1],
           [1, 0, 0, 0, 1]], dtype=uint8)

    The minima, found:

    >>> wells = descend_many(double_well(), [-1.5, -0.1, 0.1, 0.2], 0.2, 1000, keep="reached")
    >>> wells.targets.round(6), wells.reached
    (array([[-1.],
           [ 1.]]), array([0, 0, 1, 1], dtype=int16))
    """
    require_differentiable(objective)
    orbits = _Orbits(starts, learning_rate, objective)
    steps = arguments.natural(steps, "steps")
    keep = _names_to_keep(keep, targets, detect)
    if workers is not None:
        workers = arguments.natural(workers, "workers", least=1)
    reach = _reach(targets, objective, orbits.dimension) if "reached" in keep else None
    follow = _Follow(objective, steps, detect, contract)
    kept = {name: _room(name, len(orbits), orbits.dimension) for name in keep}

    def work(first, last):
        # What is kept is computed where it is kept.
        room = {name: array[first:last] for name, array in kept.items()}
        points = room.get("points", np.empty((last - first, orbits.dimension)))
        found = follow(points, orbits.part(first, last, points), room)
        found["points"] = points
        if reach:
            found["reached"] = reach.find(first, found["labels"], points)
        for name, array in room.items():
            if array is not found[name]:
                array[:] = found[name]

    _in_chunks(work, len(orbits), follow, workers, progress)
    if reach:
        reach.finish(kept["reached"])
        kept["targets"] = reach.targets
    return Ensemble(orbits.shape, **{name: kept.get(name) for name in (*_KEPT, "targets")})


def _names_to_keep(keep, targets, detect):
    names = () if keep is None else (keep,) if isinstance(keep, str) else keep
    if not isinstance(names, Iterable):
        raise TypeError(f"keep must be some of {', '.join(_KEPT)}, not {keep!r}")
    names = tuple(names)
    for name in names:
        if name not in _KEPT:
            raise ValueError(f"keep must be some of {', '.join(_KEPT)}; it has {name!r}")
    if not detect:
        if targets is not None or set(names) - {"points"}:
            raise ValueError("with detect=False there are only points: no targets, no other keep")
        return {"points"}
    if keep is None:
        return set(_KEPT if targets is not None else _KEPT[:-1])
    if targets is not None and "reached" not in names:
        raise ValueError(f"targets are given, but keep={keep!r} leaves out 'reached'")
    return {*names, "labels"}


def _room(name, count, dimension):
    dtypes = {"points": float, "steps": np.int64, "reached": np.int16}
    return np.empty((count, dimension) if name == "points" else count, dtypes.get(name, np.uint8))


def _reach(targets, objective, dimension):
    if targets is None:
        return FoundTargets(dimension)
    return GivenTargets(targets, objective, dimension)


# The starts and learning rates


class _Orbits:
    """Starts and learning rates of all orbits, of which a part at a time is made."""

    def __init__(self, starts, learning_rate, objective):
        blocks = _blocks(starts, getattr(objective, "dimension", None))
        starts_shape = np.broadcast_shapes(*(block.shape[:-1] for block in blocks))
        rates = _rates(learning_rate, starts_shape)
        self.dimension = sum(block.shape[-1] for block in blocks)
        self.shape = np.broadcast_shapes(starts_shape, rates.shape)
        # A part is taken along the first axis: there is one, around a single orbit too.
        self._axes = self.shape or (1,)
        self._rates = np.broadcast_to(rates, self._axes)
        self._blocks = [np.broadcast_to(b, (*self._axes, b.shape[-1])) for b in blocks]

    def __len__(self):
        return math.prod(self.shape)

    def part(self, first, last, points):
        """Put the starts of some orbits into `points`, shape (m, d); their learning rates."""
        column = 0
        for block in self._blocks:
            part = _part(block, self._axes, first, last)
            points[:, column : column + part.shape[1]] = part
            column += part.shape[1]
        return np.array(_part(self._rates, self._axes, first, last), dtype=float, order="C")


def _blocks(starts, dimension):
    """Arrays with one or more of the coordinates along their last axis."""
    if isinstance(starts, Grid):
        blocks = np.meshgrid(*starts.axes, indexing="ij", sparse=True, copy=False)
        blocks, found = [block[..., np.newaxis] for block in blocks], starts.dimension
    else:
        array = _numbers(starts, "starts")
        if dimension == 1 and array.ndim < 2:
            array = array[..., np.newaxis]
        blocks, found = [array], array.shape[-1] if array.ndim else 0
    if found == 0 or found != (dimension or found):
        text = (
            f"a Grid of dimension {found}" if isinstance(starts, Grid) else f"shape {array.shape}"
        )
        raise ValueError(
            f"starts must be a Grid of dimension {dimension or 'd'} or an array of shape "
            f"(..., {dimension or 'd'}), not {text}"
        )
    return blocks


def _rates(learning_rate, shape):
    """Learning rates that broadcast with the shape of the starts."""
    rates, count = _numbers(learning_rate, "learning_rate"), math.prod(shape)
    if not np.isfinite(rates).all():
        raise ValueError(f"learning_rate must be finite, not {learning_rate!r}")
    if rates.shape == (count,):
        return rates.reshape(shape)
    try:
        np.broadcast_shapes(shape, rates.shape)
    except ValueError:
        raise ValueError(
            f"learning_rate must be one number, one for each of the {count} starts, or an array "
            f"that broadcasts with their shape {shape}; its shape is {rates.shape}"
        ) from None
    return rates


def _numbers(value, name):
    """`value` as an array of real numbers, not copied where it is one."""
    if isinstance(value, np.ndarray) and np.can_cast(value.dtype, float):
        return np.asarray(value)
    return arguments.reals(value, name)


def _part(array, shape, first, last):
    """Entries from `first` up to `last`, in C order of the axes `shape`, of a broadcast array.

    Only these are made, by whole rows, which is many times faster than one by one.
    """
    if len(shape) == 1:
        return array[first:last]
    row = math.prod(shape[1:])
    i, j = -(-first // row), last // row
    if i > j:
        return _part(array[j], shape[1:], first - j * row, last - j * row)
    pieces = [array[i:j].reshape(-1, *array.shape[len(shape) :])]
    if first < i * row:
        pieces.insert(0, _part(array[i - 1], shape[1:], first - (i - 1) * row, row))
    if j * row < last:
        pieces.append(_part(array[j], shape[1:], 0, last - j * row))
    return np.concatenate(pieces)


# The work

# One coordinate, one step further, is the unit of cost: about 0.1 ns for a polynomial, 2 in NumPy.
_WORTH_A_THREAD = 2**24
_WORTH_A_BAR = 2**26
_ONE_CALL = 2**28  # nothing interrupts a call
_LARGEST_CHUNK = 2**15
_SMALLEST_CHUNK = 2**12
_CHUNK_OF_DATA = 2**10  # points at which a loss on data is asked for its gradient at once
_LANES = 64  # a call for fewer orbits takes as long


class _Follow:
    """What a thread does with the orbits of a chunk: calls that do not take long, one by one."""

    def __init__(self, objective, steps, detect, contract):
        self.steps, self.detect = steps, detect
        self.stopped = Event()
        self.compiled = isinstance(objective, Objective)
        if self.compiled:
            self.kernel = descent.detect if detect else descent.iterate
            self.arguments, self.options = (objective,), {"contract": contract}
            self.dimension = objective.dimension
        else:
            self.kernel = descent.detect_numpy if detect else descent.iterate_numpy
            self.arguments, self.options = (_gradient(objective),), {}
            self.dimension = 1

    def cost(self, count):
        return max(count, _LANES) * max(self.steps, 1) * self.dimension

    def long(self, count):
        return not self.compiled or self.cost(count) > _WORTH_A_BAR

    def workers(self, count):
        if not self.compiled or self.cost(count) < _WORTH_A_THREAD:
            return 1
        return processors()

    def chunk(self, count, workers):
        """How many orbits make a chunk: enough to fill the lanes, some chunks for each worker."""
        if not self.compiled:
            return _CHUNK_OF_DATA
        affordable = _ONE_CALL * count // self.cost(count)
        size = max(min(affordable, count // (4 * workers), _LARGEST_CHUNK), _SMALLEST_CHUNK)
        return min(size, -(-count // (workers * _LANES)) * _LANES)

    def call(self, points, rates, steps, *out):
        return self.kernel(*self.arguments, points, rates, steps, *out, **self.options)

    def __call__(self, points, rates, room):
        """What became of the orbits, whose points are changed to the last ones.

        The arrays are those of `room`, where that has some which can be filled at once.
        """
        if not self.detect:
            for length in self.segments(len(rates)):
                if not self.stopped.is_set():
                    self.call(points, rates, length)
            return {}
        if self.longest(len(rates)) >= self.steps:
            found = self.call(points, rates, self.steps, [room.get(name) for name in _FOUND])
        else:
            found = self.in_segments(points, rates)
        return dict(zip(_FOUND, found, strict=True))

    def longest(self, count):
        """How many steps of so many orbits make a call: a multiple of those between two checks."""
        if not self.compiled:
            return self.steps
        affordable = _ONE_CALL // (max(count, _LANES) * self.dimension)
        return max(affordable // CHECK_INTERVAL, 1) * CHECK_INTERVAL

    def segments(self, count):
        """Numbers of steps, one for each call: in the last is room to look for all periods."""
        left, longest = self.steps, self.longest(count)
        while left > longest + 2 * LONGEST_PERIOD:
            yield longest
            left -= longest
        yield left

    def in_segments(self, points, rates):
        labels, periods = np.empty((2, len(rates)), np.uint8)
        at = np.empty(len(rates), np.int64)
        running, done = np.arange(len(rates)), 0
        for length in self.segments(len(rates)):
            part = points[running]
            labels[running], k, periods[running] = self.call(part, rates[running], length)
            points[running] = part
            at[running] = done + k
            done += length
            running = running[labels[running] >= LABELS.index("periodic")]
            if not len(running) or self.stopped.is_set():
                break
        return labels, at, periods


def _gradient(objective):
    """Gradient of an objective without formula, shapes (n, d) to (n, d)."""

    def gradient(points):
        result = _numbers(objective.gradient(points), "what objective.gradient gives")
        if result.shape != points.shape:
            raise ValueError(
                f"objective.gradient must give shape {points.shape} for that many points, "
                f"not {result.shape}"
            )
        return result

    return gradient


def _in_chunks(work, count, follow, workers, progress):
    """Do the work on all chunks, in this thread or in others, until it is done or interrupted."""
    workers = workers or follow.workers(count)
    size = max(follow.chunk(count, workers), 1)
    chunks = [(first, min(first + size, count)) for first in range(0, count, size)]
    with _bar(count, progress and follow.long(count)) as bar:
        if min(workers, len(chunks)) <= 1:
            for first, last in chunks:
                work(first, last)
                bar.update(last - first)
            return
        with ThreadPoolExecutor(workers) as pool:
            try:
                futures = [pool.submit(work, *chunk) for chunk in chunks]
                for future, (first, last) in zip(futures, chunks, strict=True):
                    while not wait([future], timeout=0.5).done:
                        pass  # on Windows nothing interrupts a wait that has no end
                    future.result()
                    bar.update(last - first)
            except BaseException:
                follow.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _bar(count, wanted):
    if not wanted:
        return nullcontext(SimpleNamespace(update=lambda done: None))
    from tqdm import tqdm

    return tqdm(desc="descend_many", total=count, unit="orbit", unit_scale=True, delay=1)
