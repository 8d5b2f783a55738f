"""Histograms of orbits: how often gradient descent visits each part of space."""

import math
from dataclasses import dataclass

import numpy as np

from gdbook import arguments
from gdbook.objective import require_formula

__all__ = ["OrbitHistogram", "orbit_histogram"]


@dataclass(frozen=True, eq=False)
class OrbitHistogram:
    """Numbers of visits of one orbit, or of several together.

    Attributes
    ----------
    counts : ndarray of int, shape (bins,) * d
        Number of visits in each bin.
    edges : ndarray, shape (bins + 1,), or tuple of d such arrays where d > 1
        A bin has its lower edge, and the last one both.
    density : ndarray, shape of `counts`
        Share of all visits in each bin divided by its length, area or volume; its integral is the
        share of the visits inside the limits.
    outside : int
        Number of visits outside the limits.
    diverged : ndarray of bool, shape of the starts without the last axis
        Whether the orbit ever had a coordinate beyond :math:`10^6` or not finite, as in
        :class:`gdbook.Outcome`. Its visits count all the same, later ones as outside.
    """

    counts: np.ndarray
    edges: np.ndarray | tuple
    density: np.ndarray
    outside: int
    diverged: np.ndarray


def orbit_histogram(
    objective,
    start,
    learning_rate,
    steps,
    bins,
    limits,
    *,
    burn_in=0,
    contract=False,
    workers=None,
    progress=True,
):
    r"""Histogram of the points :math:`x_{b+1}, \dots, x_{b+n}` of gradient descent.

    The points themselves are not stored. Long orbits fill it like their invariant density, and
    several orbits together, each after its own burn-in, do so much faster than one that is as long
    as all of them: their steps do not wait for each other.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    start : array_like, shape (d,) or (n, d)
        :math:`x_0` of one orbit or of each; where d = 1, a number or shape (n,) will do. 64 orbits
        keep a processor busy.
    learning_rate : float
        :math:`h`.
    steps : int
        :math:`n`, the visits of each orbit that are counted.
    bins : int, or sequence of d ints
        Number of bins of each coordinate.
    limits : (float, float), or sequence of d pairs
        Lower and upper limit of each coordinate.
    burn_in : int
        :math:`b`, steps that are not counted.
    contract : bool
        Whether a product and a sum may be rounded once instead of twice: faster, but the bits then
        depend on the processor.
    workers : int, optional
        Threads; by default one for each processor. The counts do not depend on it.
    progress : bool
        Whether to show a bar when the work takes over a second.

    Returns
    -------
    OrbitHistogram

    Raises
    ------
    ValueError, TypeError
        If a start or the learning rate is not finite, a number is not a whole number, or limits are
        not in order.

    Notes
    -----
    Edges and counts are exactly those of :func:`numpy.histogram`, coordinate by coordinate: where a
    point is nearer to an edge than rounding allows to tell, it is compared with the edge.

    References
    ----------
    A. Lasota, M. Mackey, *Chaos, Fractals, and Noise*, Springer (1994).

    Examples
    --------
    On :math:`x^2/2` with h = 2 the point 1 goes to -1 and back:

    >>> from gdbook.catalogue import double_well, quadratic
    >>> orbit_histogram(quadratic(), 1.0, 2.0, 100, 4, (-1, 1)).counts
    array([50,  0,  0, 50])

    On the double well with h = 2 the density is :math:`1 / (\pi \sqrt{2 - x^2})`, and the share
    of the visits in :math:`[0, 1/2]` is :math:`\arcsin(1 / \sqrt 8) / \pi = 0.1150`:

    >>> starts = np.linspace(-1, 1, 66)[1:-1, np.newaxis]
    >>> found = orbit_histogram(double_well(), starts, 2.0, 10**5, 4, (-1, 1), burn_in=100)
    >>> (found.counts / 64e5).round(3), found.outside / 64e5 > 0.49
    (array([0.135, 0.115, 0.115, 0.135]), True)
    """
    require_formula(objective)
    d = objective.dimension
    starts = _starts(start, d)
    rate = arguments.number(learning_rate, "learning_rate")
    steps = arguments.natural(steps, "steps", least=1)
    burn_in = arguments.natural(burn_in, "burn_in")
    edges = _edges(bins, limits, d)
    points = starts.reshape(-1, d)
    counts, inside = _count(
        objective, points, rate, burn_in, steps, edges, contract, workers, progress
    )
    inner = counts[(slice(1, -1),) * d]
    cell = math.prod((axis[-1] - axis[0]) / (len(axis) - 1) for axis in edges)
    density = inner / (max(1, counts.sum()) * cell)
    return OrbitHistogram(
        *(np.ascontiguousarray(inner), edges[0] if d == 1 else tuple(edges), density),
        *(int(counts.sum() - inner.sum()), ~inside.reshape(starts.shape[:-1])),
    )


def _count(objective, starts, rate, burn_in, steps, edges, contract, workers, progress):
    """Visits of the bins and of what is below and above them, and which orbits stayed inside."""
    from gdbook.kernels import generate, histogram, parts

    shape = [len(axis) + 1 for axis in edges]
    cells = math.prod(shape)
    columns = 4 if cells <= 4096 else 1  # more would not stay in the fastest memory
    rates = np.full(len(starts), rate)

    def work(part, slices):
        points, counts = np.array(starts[part].T, order="C"), np.zeros((cells, columns), np.int64)
        inside = np.ones(points.shape[1], bool)
        for begin, end in slices:
            trace = max(0, min(end, burn_in) - begin)
            numbers = trace, end - begin - trace
            inside &= histogram.count(
                objective, points, rates[part], *numbers, edges, counts, contract
            )
        return counts.sum(axis=1), inside

    lanes = generate.lanes_for(objective.dimension)
    found = parts.in_parts(
        work, len(starts), burn_in + steps, lanes, workers, "histogram", progress
    )
    counts = sum((counts for counts, _ in found), np.zeros(cells, np.int64))
    inside = np.concatenate([np.empty(0, bool), *(inside for _, inside in found)])
    return counts.reshape(shape), inside


def _starts(start, d):
    starts = arguments.starts(start, d, "start")
    if starts.ndim > 2:
        raise ValueError(f"start must have shape ({d},) or (n, {d}), not {starts.shape}")
    if not np.isfinite(starts).all():
        raise ValueError(f"start must be finite, not {starts[~np.isfinite(starts)][0]}")
    return starts


def _edges(bins, limits, d):
    bins = [bins] * d if np.ndim(bins) == 0 else list(bins)
    limits = arguments.reals(limits, "limits")
    limits = limits[np.newaxis] if limits.shape == (2,) and d == 1 else limits
    if len(bins) != d:
        raise ValueError(f"bins must be one number or {d}, not {bins!r}")
    if limits.shape != (d, 2):
        raise ValueError(
            f"limits must be {'a pair' if d == 1 else f'{d} pairs'} of numbers, "
            f"not of shape {limits.shape}"
        )
    edges = []
    for (low, high), count in zip(limits.tolist(), bins, strict=True):
        if not (math.isfinite(high - low) and low < high):
            raise ValueError(f"limits must be finite and in order, not {low} and {high}")
        edges.append(np.linspace(low, high, arguments.natural(count, "bins", least=1) + 1))
        if not ((np.diff(edges[-1]) > 0).all() and math.isfinite(count / (high - low))):
            raise ValueError(f"limits {low} and {high} are too close for {count} bins")
    return edges
