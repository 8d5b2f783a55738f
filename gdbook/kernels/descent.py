"""Gradient descent from many starts: a number of steps for all, and what becomes of each.

Orbits are detected in two passes. The first goes in chunks of as many steps as lie between two
checks, and gives the lane of an orbit that converged or diverged to the next one. It remembers the
largest coordinate of each orbit, and when that was too large goes through the chunk again for the
exact step; where many escape, orbits stop when they are outside. The last steps, in which an orbit
may turn out to be periodic, are the second pass's: it keeps them all. Both follow the definition in
:mod:`gdbook.outcome` to the bit.
"""

from functools import cache

import numpy as np

from gdbook import outcome
from gdbook.kernels import generate
from gdbook.kernels.watched import Map, function_of, parameters_of

__all__ = ["detect", "detect_numpy", "iterate", "iterate_numpy"]

PENDING = len(outcome.LABELS)  # label of an orbit on which the first pass does not decide
_CONVERGED, _DIVERGED, _PERIODIC, _BOUNDED = map(
    outcome.LABELS.index, ("converged", "diverged", "periodic", "bounded")
)


def iterate(objective, points, rates, steps, contract=False):
    """Let every orbit make a number of steps.

    Parameters
    ----------
    objective : Objective
    points : ndarray, shape (n, d)
        Changed in place; nan in all coordinates where one is not finite in the end.
    rates : ndarray, shape (n,)
        Learning rate of each orbit.
    steps : int
    contract : bool

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> points = np.array([[1.0], [2.0]])
    >>> iterate(quadratic(), points, np.array([0.5, 1.5]), 3)
    >>> points
    array([[ 0.125],
           [-0.25 ]])
    """
    function, lanes = _iterate_kernel(Map.of(objective), contract)
    if function is None:
        return iterate_numpy(objective.gradient, points, rates, steps)
    n, d = points.shape
    function(n, steps, parameters_of(objective), points, rates, np.empty((d + 1, lanes)))
    _clear_infinite(points)


def detect(objective, points, rates, steps, out=(None, None, None), contract=False):
    """Follow every orbit until its outcome is known.

    Parameters
    ----------
    objective : Objective
    points : ndarray, shape (n, d)
        Changed in place: the point at the step of the outcome.
    rates : ndarray, shape (n,)
    steps : int
    out : sequence of three arrays
        Where given, they are filled and returned.
    contract : bool

    Returns
    -------
    labels : ndarray of uint8, shape (n,)
        Codes: places in ``outcome.LABELS``.
    at : ndarray of int64, shape (n,)
        Step of the outcome.
    periods : ndarray of uint8, shape (n,)

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> points = np.ones((3, 1))
    >>> detect(quadratic(), points, np.array([0.5, 2.0, 2.5]), 1000)
    (array([0, 2, 1], dtype=uint8), array([  64, 1000,   35]), array([0, 2, 0], dtype=uint8))
    """
    n, d = points.shape
    labels, at, periods = _filled(out, n, PENDING)
    orbits = parameters_of(objective), points, rates, labels, at
    chunks, done = _first_pass(steps)
    if chunks:
        function, lanes = _detect_kernel(Map.of(objective), contract)
        if function is None:
            return detect_numpy(objective.gradient, points, rates, steps, out)
        begin = points.copy() if not done else points
        function(n, chunks, *orbits, np.empty((3 * d + 2, lanes)), np.empty((3, lanes), np.int64))
    left = np.flatnonzero(labels == PENDING)
    if len(left):
        if chunks and not done:
            points[left] = begin[left]
        function, lanes = _decide_kernel(Map.of(objective), contract)
        if function is None and not chunks:
            return detect_numpy(objective.gradient, points, rates, steps, out)
        history = np.empty((steps - done + 1, d, lanes))
        work = history, np.empty((2, lanes)), np.empty((4, lanes), np.int64)
        function(n, len(left), done, steps, *orbits, periods, left, *work)
    return labels, at, periods


def _filled(out, n, label):
    dtypes = np.uint8, np.int64, np.uint8
    arrays = [np.empty(n, t) if a is None else a for a, t in zip(out, dtypes, strict=True)]
    for array, value in zip(arrays, (label, 0, 0), strict=True):
        array.fill(value)
    return arrays


def _first_pass(steps):
    """Chunks of the first pass, and the step at which the second begins.

    The second needs the steps in which a period is looked for. Where these are nearly all, the
    second begins anew, for the few orbits on which the first has not decided.
    """
    chunks = max(0, steps - 2 * outcome.LONGEST_PERIOD) // outcome.CHECK_INTERVAL
    if chunks:
        return chunks, chunks * outcome.CHECK_INTERVAL
    return steps // outcome.CHECK_INTERVAL, 0


# Texts

_ITERATE = """
    # Row j of Z is an orbit. The last row of B has the learning rates.
    $parameters
    for first in range(0, n, $lanes):
        count = min($lanes, n - first)
        for l in range($lanes):
            j = first + min(l, count - 1)
            for i in range($d):
                B[i, l] = Z[j, i]
            B[$d, l] = rates[j]
        for k in range(steps):
            for l in range($lanes):
                h = B[$d, l]
                $step
        for l in range(count):
            for i in range($d):
                Z[first + l, i] = B[i, l]
"""

_DETECT = """
    # Rows of B: the point, its largest coordinate so far, the learning rate, the point at the
    # beginning of the chunk, the point before the last step. While many orbits escape, they stop
    # where they are outside, and the number of steps inside takes the row of the beginning.
    $parameters
    flag = W[0]  # 1: left the radius; 2: hardly moves
    lane = W[1]  # which orbit; -1: none
    born = W[2]  # the chunk it began in
    next = 0
    active = 0
    chunk = 0
    due = chunks
    many = False
    for l in range($lanes):
        lane[l] = -1
        for i in range($rows):
            B[i, l] = 0.0
        if next < n:
            $load
            active += 1
    while active > 0:
        if many:
            for l in range($lanes):
                B[$origin, l] = 0.0
            for part in range(2):
                for l in range($lanes):
                    for i in range($d):
                        B[$before + i, l] = B[i, l]
                for k in range($interval - 1 if part == 0 else 1):
                    for l in range($lanes):
                        h = B[$rate, l]
                        $stopping_step
        else:
            for l in range($lanes):
                m = B[$largest, l]
                $begin
                B[$largest, l] = m
            for part in range(2):
                for l in range($lanes):
                    for i in range($d):
                        B[$before + i, l] = B[i, l]
                for k in range($interval - 1 if part == 0 else 1):
                    for l in range($lanes):
                        h = B[$rate, l]
                        m = B[$largest, l]
                        $watched_step
                        B[$largest, l] = m
        chunk += 1
        found = 0
        for l in range($lanes):
            outside = 0 if B[$largest, l] <= $radius else 1
            $outside
            $near_before_step
            hit = outside | (2 if near else 0)
            flag[l] = hit
            found |= hit
        if found == 0 and chunk < due:
            many = False
            continue
        due = chunk + chunks
        gone = 0
        for l in range($lanes):
            j = lane[l]
            if j < 0:
                continue
            if flag[l] & 1:
                gone += 1
                labels[j] = $diverged
                if many:
                    at[j] = (chunk - 1 - born[l]) * $interval + int(B[$origin, l])
                    for i in range($d):
                        Z[j, i] = B[i, l]
                else:
                    h = B[$rate, l]
                    $recall
                    k = 0
                    while k < $interval and $inside:
                        $scalar_step
                        k += 1
                    at[j] = (chunk - 1 - born[l]) * $interval + k
                    $store
            elif flag[l] or chunk - born[l] == chunks:
                if flag[l]:
                    labels[j] = $converged
                at[j] = (chunk - born[l]) * $interval
                for i in range($d):
                    Z[j, i] = B[i, l]
            else:
                due = min(due, born[l] + chunks)
                continue
            if next < n:
                $load
                due = min(due, chunk + chunks)
            else:
                lane[l] = -1
                active -= 1
                for i in range($rows):
                    B[i, l] = 0.0
        many = gone > 2
"""

_LOAD = """
for i in range($d):
    B[i, l] = Z[next, i]
B[$rate, l] = rates[next]
B[$largest, l] = 0.0
lane[l] = next
born[l] = chunk
next += 1
"""

_DECIDE = """
    # H keeps all points. Rows of B: the largest coordinate, which later gives place to how near
    # the last point another must lie for a period; the learning rate, which gives place to the
    # part of the last move within which an orbit must return.
    $parameters
    label = W[0]
    at_step = W[1]
    period = W[2]
    escape = W[3]
    last = steps - done
    for first in range(0, count, $lanes):
        width = min($lanes, count - first)
        for l in range($lanes):
            j = which[first + min(l, width - 1)]
            for i in range($d):
                H[0, i, l] = Z[j, i]
            B[0, l] = 0.0
            B[1, l] = rates[j]
        for k in range(last):
            for l in range($lanes):
                m = B[0, l]
                h = B[1, l]
                $kept_step
                B[0, l] = m
        for l in range($lanes):
            label[l] = $bounded
            at_step[l] = last
            period[l] = 0
            escape[l] = last + 1
            inside = B[0, l] <= $radius
            for i in range($d):
                inside &= abs(H[0, i, l]) <= $radius
                inside &= abs(H[last, i, l]) <= $radius
            if not inside:
                k = -1
                inside = True
                while inside and k < last:
                    k += 1
                    for i in range($d):
                        inside &= abs(H[k, i, l]) <= $radius
                label[l] = $diverged
                at_step[l] = k
                escape[l] = k
        for check in range($interval, last + $interval, $interval):
            k = min(check, last)
            found = 0
            for l in range($lanes):
                $near_check
                found |= 1 if near else 0
            if found:
                for l in range($lanes):
                    $near_check
                    if near and k < escape[l] and label[l] != $converged:
                        label[l] = $converged
                        at_step[l] = k
        for l in range($lanes):
            size = 0.0
            moved = 0.0
            for i in range($d):
                size = max(size, abs(H[last, i, l]))
                moved = max(moved, abs(H[last, i, l] - H[max(last - 1, 0), i, l]))
            B[0, l] = $returning * (1.0 + size) if label[l] == $bounded else -1.0
            B[1, l] = $ratio * moved
        for q in range(2, min($longest, steps // 2) + 1):
            found = 0
            for l in range($lanes):
                found |= 1 if abs(H[last, 0, l] - H[last - q, 0, l]) <= B[0, l] else 0
            if found:
                for l in range($lanes):
                    $near_return
                    again = near and moved <= B[1, l]
                    $near_before
                    if again and near and moved <= B[1, l] and B[0, l] >= 0.0:
                        label[l] = $periodic
                        period[l] = q
                        B[0, l] = -1.0
        for l in range(width):
            j = which[first + l]
            labels[j] = label[l]
            at[j] = done + at_step[l]
            periods[j] = period[l]
            for i in range($d):
                Z[j, i] = H[at_step[l], i, l]
"""


_ORBITS = [("Z", "float64", "(n, $d)"), ("rates", "float64", "(n,)")]
_OUTCOMES = [("labels", "uint8", "(n,)"), ("at", "int64", "(n,)")]


@cache
def _iterate_kernel(map, contract):
    work = [("B", "float64", "($d + 1, $lanes)")]
    return _kernel("iterate", _ITERATE, ["n", "steps"], _ORBITS + work, map, contract)


@cache
def _detect_kernel(map, contract):
    work = [("B", "float64", "($rows, $lanes)"), ("W", "int64", "(3, $lanes)")]
    return _kernel("detect", _DETECT, ["n", "chunks"], _ORBITS + _OUTCOMES + work, map, contract)


@cache
def _decide_kernel(map, contract):
    numbers = ["n", "count", "done", "steps"]
    arrays = [*_ORBITS, *_OUTCOMES, ("periods", "uint8", "(n,)"), ("which", "int64", "(count,)")]
    arrays += [("H", "float64", "(steps - done + 1, $d, $lanes)")]
    arrays += [("B", "float64", "(2, $lanes)"), ("W", "int64", "(4, $lanes)")]
    return _kernel("decide", _DECIDE, numbers, arrays, map, contract)


def _kernel(name, template, numbers, arrays, map, contract):
    """Compiled function, and its number of lanes."""
    formula = map.formula()
    pieces = _pieces(formula)
    function = function_of(name, template, numbers, arrays, map, formula, contract, **pieces)
    return function, pieces["lanes"]


def _watched_step(formula, read, write):
    """Lines of a step that also keeps the largest coordinate `m` that the orbit has had."""
    lines = [f"{x} = {read.format(i=i)}" for i, x in enumerate(formula.variables)] + formula.lines
    lines += [f"_u{i} = {moved}" for i, moved in enumerate(formula.moved())]
    for i in range(formula.dimension):
        lines += [f"{write.format(i=i)} = _u{i}", f"_a = abs(_u{i})", "m = _a if _a > m else m"]
    return "\n".join(lines)


def _stopping_step(formula):
    """Lines of a step that only points inside make; they are counted."""
    names = formula.variables
    lines = [f"{x} = B[{i}, l]" for i, x in enumerate(names)]
    lines.append(f"inside = {' & '.join(f'(abs({x}) <= $radius)' for x in names)}")
    lines += [*formula.lines, *(f"_u{i} = {moved}" for i, moved in enumerate(formula.moved()))]
    lines += [f"B[{i}, l] = _u{i} if inside else {x}" for i, x in enumerate(names)]
    return "\n".join([*lines, "B[$origin, l] += 1.0 if inside else 0.0"])


def _near_lines(d, point, earlier, tolerance):
    """Lines that tell by `near` whether a point lies at an earlier one; nan lies nowhere."""
    lines = ["size = 0.0", "moved = 0.0"]
    for i in range(d):
        x, y = point.format(i=i), earlier.format(i=i)
        lines += [f"_a = abs({x})", "size = _a if _a > size else size"]
        lines += [f"_a = abs({x} - {y})", "moved = moved if _a <= moved else _a"]
    return "\n".join([*lines, f"near = moved <= {tolerance} * (1.0 + size)"])


def _pieces(formula):
    d, lanes = formula.dimension, generate.lanes_for(formula.dimension)
    point = [f"B[{i}, l]" for i in range(d)]
    outside = [f"outside |= 0 if abs({x}) <= $radius else 1" for x in point]
    return {
        "lanes": lanes,
        "largest": d,
        "rate": d + 1,
        "origin": d + 2,
        "before": 2 * d + 2,
        "rows": 3 * d + 2,
        "interval": outcome.CHECK_INTERVAL,
        "longest": outcome.LONGEST_PERIOD,
        "radius": outcome.ESCAPE_RADIUS,
        "tolerance": outcome.CONVERGENCE_TOLERANCE,
        "returning": outcome.PERIOD_TOLERANCE,
        "ratio": outcome.RETURN_RATIO,
        "converged": _CONVERGED,
        "diverged": _DIVERGED,
        "periodic": _PERIODIC,
        "bounded": _BOUNDED,
        "step": formula.step(),
        "scalar_step": formula.scalar_step(),
        "watched_step": _watched_step(formula, "B[{i}, l]", "B[{i}, l]"),
        "stopping_step": _stopping_step(formula),
        "kept_step": _watched_step(formula, "H[k, {i}, l]", "H[k + 1, {i}, l]"),
        "outside": "\n".join(outside),
        "near_before_step": _near_lines(d, "B[{i}, l]", "B[$before + {i}, l]", "$tolerance"),
        "near_check": _near_lines(d, "H[k, {i}, l]", "H[k - 1, {i}, l]", "$tolerance"),
        "near_return": _near_lines(d, "H[last, {i}, l]", "H[last - q, {i}, l]", "$returning"),
        "near_before": _near_lines(
            d, "H[last - q, {i}, l]", "H[last - 2 * q, {i}, l]", "$returning"
        ),
        "load": _LOAD,
        "begin": "\n".join(
            f"B[{d + 2 + i}, l] = {x}\n_a = abs({x})\nm = _a if _a > m else m"
            for i, x in enumerate(point)
        ),
        "recall": "\n".join(f"{x} = B[{d + 2 + i}, l]" for i, x in enumerate(formula.variables)),
        "inside": " and ".join(f"abs({x}) <= $radius" for x in formula.variables),
        "store": "\n".join(f"Z[j, {i}] = {x}" for i, x in enumerate(formula.variables)),
    }


def iterate_numpy(gradient, points, rates, steps):
    """What `iterate` does, in NumPy.

    Parameters
    ----------
    gradient : callable
        Of points of shape (n, d).
    """
    with np.errstate(all="ignore"):
        for _ in range(steps):
            points -= rates[:, np.newaxis] * gradient(points)
    _clear_infinite(points)


def _clear_infinite(points):
    points[~np.isfinite(points).all(axis=1)] = np.nan


def detect_numpy(gradient, points, rates, steps, out=(None, None, None)):
    """What `detect` does, in NumPy; orbits whose outcome is known are not followed further.

    Parameters
    ----------
    gradient : callable
        Of points of shape (n, d).
    """
    labels, at, periods = _filled(out, len(points), _BOUNDED)
    at.fill(steps)
    which, x, h = np.arange(len(points)), points.copy(), rates[:, np.newaxis]
    recent = []  # the last points, among which a period is looked for
    with np.errstate(all="ignore"):
        for k in range(steps + 1):
            before, x = x, x - h * gradient(x) if k else x
            outside = ~(_size(x) <= outcome.ESCAPE_RADIUS)
            settled = np.zeros_like(outside)
            if k and (k % outcome.CHECK_INTERVAL == 0 or k == steps):
                settled = ~outside & _near(x, before, outcome.CONVERGENCE_TOLERANCE)
            if (known := outside | settled).any():
                labels[which[outside]], labels[which[settled]] = _DIVERGED, _CONVERGED
                at[which[known]] = k
                points[which[known]] = x[known]
                which, x, h = which[~known], x[~known], h[~known]
                recent = [earlier[~known] for earlier in recent]
            if not len(which):
                return labels, at, periods
            if k >= steps - 2 * outcome.LONGEST_PERIOD:
                recent.append(x)
        points[which] = x
        for period in range(2, min(outcome.LONGEST_PERIOD, steps // 2) + 1):
            last, before, earlier = recent[-1], recent[-1 - period], recent[-1 - 2 * period]
            moved = outcome.RETURN_RATIO * _size(last - recent[-2])
            returns = _returns(last, before, moved) & _returns(before, earlier, moved)
            returns &= periods[which] == 0
            labels[which[returns]], periods[which[returns]] = _PERIODIC, period
    return labels, at, periods


def _size(x):
    return np.abs(x).max(axis=1, initial=0.0)


def _returns(x, y, moved):
    return _near(x, y, outcome.PERIOD_TOLERANCE) & (_size(x - y) <= moved)


def _near(x, y, tolerance):
    return _size(x - y) <= tolerance * (1 + _size(x))
