"""Kernel of histograms: orbits of which every point is counted in the cell that it lies in."""

from functools import cache

import numpy as np

from gdbook import outcome
from gdbook.kernels import generate, watched

__all__ = ["count", "count_numpy"]


def count(objective, points, rates, burn_in, steps, edges, counts, contract=False):
    """Let every orbit make `burn_in` steps, then count the point after each of `steps` more.

    Parameters
    ----------
    objective : Objective
    points : ndarray, shape (d, n)
        Changed in place.
    rates : ndarray, shape (n,)
    burn_in, steps : int
    edges : list of ndarray
        Equidistant edges of the bins of each coordinate.
    counts : ndarray of int64, shape (cells, r)
        The numbers of visits are added to it. The cells are the bins and, in each coordinate, one
        below and one above them, in the order of C. Each row is to be summed up: neighbouring
        lanes count in different columns, and do not wait.
    contract : bool

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether the orbit stayed inside the radius of escape.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> counts = np.zeros((6, 1), np.int64)
    >>> edges = [np.linspace(0.0, 1.0, 5)]
    >>> count(quadratic(), np.array([[4.0]]), np.array([0.5]), 0, 4, edges, counts)
    array([ True])
    >>> counts.ravel()
    array([0, 0, 1, 1, 1, 1])
    """
    d, n = points.shape
    # The steps of few orbits wait for each other: they should be few vectors.
    lanes = generate.lanes_for(d) if n > 16 else 16
    map = watched.Map.of(objective)
    function = _kernel(map, lanes, counts.shape[1], contract)
    if function is None:
        return count_numpy(objective, points, rates, burn_in, steps, edges, counts)
    state, B = np.vstack([points, rates, np.abs(points).max(axis=0)]), np.empty((d + 2, lanes))
    bins, limits = (
        np.array([len(axis) - 1 for axis in edges]),
        np.array([_axis(axis) for axis in edges]),
    )
    function(
        *(n, len(state), burn_in, steps, len(counts), bins.sum() + d),
        *(watched.parameters_of(objective), state, B),
        *(bins, limits, np.concatenate(edges), counts, np.empty(lanes, np.uint64)),
    )
    points[:] = state[:d]
    return watched.stayed(map, state)


def _axis(edges):
    """Factor and summand that make a coordinate its place in bins, and how far it may be off."""
    low, high, bins = edges[0], edges[-1], len(edges) - 1
    scale = bins / (high - low)
    off = 8 * np.spacing(max(bins + 2, scale * max(abs(low), abs(high))))
    return scale, 0.5 - low * scale, off


# A place is the number of a cell, from 0 on, plus what is between -1/2 and 1/2; where it may be
# nearer to another cell than rounding allows to tell, the point is compared with the edges. The
# largest of what decides is found among integers: the bits of floats without sign are in the order
# of the floats, with infinity and nan above them, and a loop that leads to one integer is one that
# LLVM lets advance several vectors at a time.
_BODY = """
    $parameters
    $limits
    _escape = np.float64($radius).view(np.int64)
    for first in range(0, n, $lanes):
        count = min($lanes, n - first)
        $load
        for k in range(burn_in):
            $advance
        for k in range(steps):
            $advance
            $zeros
            for l in range($lanes):
                _cell = 0
                $place
                cells[l] = np.uint64($sets * _cell + l % $sets)
            if $near:
                for l in range(count):
                    _cell = 0
                    _first = 0
                    $compare
                    cells[l] = np.uint64($sets * _cell + l % $sets)
            for l in range(count):
                counts[cells[l]] += 1
        $store
"""

_ADVANCE = """
outside = 0
for l in range($lanes):
    $move
if outside > _escape:
    for l in range($lanes):
        _largest = B[$d + 1, l]
        $watch
        B[$d + 1, l] = _largest
"""

_WATCH = """
_size = abs(B[$i, l])
_largest = _size if _size > _largest else _largest
"""

_LIMITS = """
_bins$i = bins[$i]
_scale$i = limits[$i, 0]
_shift$i = limits[$i, 1]
_near$i = np.float64(0.5 - limits[$i, 2]).view(np.int64)
_top$i = _bins$i + 1.0
"""

# Adding and subtracting 1.5 * 2^52 rounds to an integer.
_BIN = """
_place = B[$i, l] * _scale$i + _shift$i
_place = _place if _place > 0.0 else 0.0
_place = _place if _place < _top$i else _top$i
_whole = (_place + 6755399441055744.0) - 6755399441055744.0
_bin = int(_whole)
"""

_PLACE = """
$bin
_part = np.float64(_place - _whole).view(np.int64) & 0x7FFFFFFFFFFFFFFF
_nearest$i = _part if _part > _nearest$i else _nearest$i
_cell = _cell * (_bins$i + 2) + _bin
"""

_COMPARE = """
$bin
_bin = min(_bin, _bins$i)
_x = B[$i, l]
while _bin > 0 and _x < edges[_first + _bin - 1]:
    _bin -= 1
while _bin < _bins$i and _x >= edges[_first + _bin]:
    _bin += 1
if _bin == _bins$i and _x > edges[_first + _bin]:
    _bin += 1
_cell = _cell * (_bins$i + 2) + _bin
_first += _bins$i + 1
"""


def _move(formula):
    """Lines of one step, and of the largest coordinate that it leads to."""
    lines = [f"{x} = B[{i}, l]" for i, x in enumerate(formula.variables)]
    lines += [f"h = B[{formula.dimension}, l]", *formula.lines]
    for i, moved in enumerate(formula.moved()):
        lines += [f"_moved = {moved}", f"B[{i}, l] = _moved"]
        lines += ["_size = np.float64(_moved).view(np.int64) & 0x7FFFFFFFFFFFFFFF"]
        lines += ["outside = _size if _size > outside else outside"]
    return "\n".join(lines)


@cache
def _kernel(map, lanes, sets, contract):
    axes = range(map.dimension)
    arrays = [("bins", "int64", "($d,)"), ("limits", "float64", "($d, 3)")]
    arrays += [("edges", "float64", "(edge_count,)"), ("counts", "int64", "($sets * size,)")]
    arrays += [("cells", "uint64", "($lanes,)")]
    return watched.compiled(
        *("histogram", _BODY, ["burn_in", "steps", "size", "edge_count"], arrays, map, contract),
        rows=map.dimension + 2,
        lanes=lanes,
        sets=sets,
        advance=_ADVANCE,
        radius=outcome.ESCAPE_RADIUS,
        zeros="\n".join(f"_nearest{i} = 0" for i in axes),
        near=" or ".join(f"_nearest{i} >= _near{i}" for i in axes),
        move=_move(map.formula()),
        watch="\n".join(generate.fill(_WATCH, i=i) for i in axes),
        limits="\n".join(generate.fill(_LIMITS, i=i) for i in axes),
        place="\n".join(generate.fill(_PLACE, bin=_BIN, i=i) for i in axes),
        compare="\n".join(generate.fill(_COMPARE, bin=_BIN, i=i) for i in axes),
    )


def count_numpy(objective, points, rates, burn_in, steps, edges, counts):
    """What `count` does, in NumPy."""
    inside = watched.inside(points)
    shape = [len(axis) + 1 for axis in edges]
    with np.errstate(all="ignore"):
        for k in range(-burn_in, steps):
            points -= rates * objective.gradient(points.T).T
            inside &= watched.inside(points)
            if k >= 0:
                places = [_place(x, axis) for x, axis in zip(points, edges, strict=True)]
                cells = np.ravel_multi_index(places, shape)
                counts[:, 0] += np.bincount(cells, minlength=len(counts))
    return inside


def _place(x, edges):
    """Number of the bin, from 1 on; the last has both its edges, and nan is below all."""
    place = np.searchsorted(edges, x, side="right")
    place[x == edges[-1]] -= 1
    place[np.isnan(x)] = 0
    return place
