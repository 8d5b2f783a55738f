"""Kernels of gradient descent: a number of steps for every orbit, and what becomes of each."""

from functools import lru_cache

import numpy as np

from gdbook import outcome
from gdbook.kernels import generate

__all__ = ["detect", "iterate"]

_ITERATE = """
def iterate(Z, rates, p, steps):
    # Z[i, j] is coordinate i of orbit j; its length is a multiple of the lanes.
    $parameters
    B = np.empty(($rows, $lanes))
    for first in range(0, Z.shape[1], $lanes):
        for l in range($lanes):
            for i in range($d):
                B[i, l] = Z[i, first + l]
            B[$d, l] = rates[first + l]
        for k in range(steps):
            for l in range($lanes):
                h = B[$d, l]
                $step
        for l in range($lanes):
            for i in range($d):
                Z[i, first + l] = B[i, l]
"""

_DETECT = """
def detect(Z, rates, p, chunks, labels, at):
    # Lanes that are finished take the next orbit, so that no lane idles.
    $parameters
    n = Z.shape[1]
    # Rows of B: the point, its largest coordinate so far, the learning rate, the point at the
    # beginning of the chunk, the point before the last step.
    B = np.empty(($rows, $lanes))
    flag = np.zeros($lanes, np.int64)
    lane = np.full($lanes, -1)
    born = np.zeros($lanes, np.int64)
    next = 0
    active = 0
    for l in range($lanes):
        for i in range($rows):
            B[i, l] = 0.0
        if next < n:
            $load
            active += 1
    chunk = 0
    due = chunks
    while active > 0:
        for l in range($lanes):
            for i in range($d):
                B[$origin + i, l] = B[i, l]
        for k in range($interval - 1):
            for l in range($lanes):
                $watched_step
        for l in range($lanes):
            for i in range($d):
                B[$before + i, l] = B[i, l]
        for l in range($lanes):
            $watched_step
        chunk += 1
        found = 0
        for l in range($lanes):
            $size
            $moved
            inside = (B[$largest, l] <= $radius) and (size <= $radius)
            near = moved <= $tolerance * (1.0 + size)
            hit = (0 if inside else 1) | (2 if near else 0)
            flag[l] = hit
            found |= hit
        if found == 0 and chunk < due:
            continue
        due = chunk + chunks
        for l in range($lanes):
            j = lane[l]
            if j < 0:
                continue
            if flag[l] == 0:
                if chunk - born[l] < chunks:
                    due = min(due, born[l] + chunks)
                    continue
                at[j] = chunks * $interval
                for i in range($d):
                    Z[i, j] = B[i, l]
            elif flag[l] & 1:
                $recall
                h = B[$rate, l]
                k = 0
                while k < $interval and $inside:
                    $scalar_step
                    k += 1
                labels[j] = $diverged
                at[j] = (chunk - 1 - born[l]) * $interval + k
                $store
            else:
                labels[j] = $converged
                at[j] = (chunk - born[l]) * $interval
                for i in range($d):
                    Z[i, j] = B[i, l]
            if next < n:
                $load
                born[l] = chunk
                due = min(due, chunk + chunks)
            else:
                lane[l] = -1
                active -= 1
                for i in range($rows):
                    B[i, l] = 0.0
"""

_LOAD = """
for i in range($d):
    B[i, l] = Z[i, next]
B[$largest, l] = max($start)
B[$rate, l] = rates[next]
lane[l] = next
next += 1
"""


@lru_cache(maxsize=None)
def _text(formula_key, contract):
    pass


def _watched_step(formula):
    """A step that also keeps the largest coordinate that an orbit has had."""
    d = formula.dimension
    lines = [f"{x} = B[{i}, l]" for i, x in enumerate(formula.variables)]
    lines += ["h = B[$rate, l]", "m = B[$largest, l]", *formula.lines]
    lines += [f"_u{i} = {moved}" for i, moved in enumerate(formula.moved())]
    for i in range(d):
        lines += [f"B[{i}, l] = _u{i}", f"a = abs(_u{i})", "m = a if a > m else m"]
    return "\n".join([*lines, "B[$largest, l] = m"])


def _largest(name, terms):
    """Lines that take the largest of some texts; nan, where one is nan."""
    lines = [f"{name} = abs({terms[0]})"]
    for term in terms[1:]:
        lines += [f"a = abs({term})", f"{name} = {name} if a <= {name} else a"]
    return "\n".join(lines)


def text(objective, contract=False):
    formula = generate.formula_of(objective)
    d, lanes = formula.dimension, generate.lanes_for(formula.dimension)
    names = formula.variables
    point = [f"B[{i}, l]" for i in range(d)]
    rows = {"largest": d, "rate": d + 1, "origin": d + 2, "before": 2 * d + 2}
    pieces = dict(
        d=d,
        lanes=lanes,
        parameters=formula.unpack_parameters(),
        interval=outcome.CHECK_INTERVAL,
        radius=outcome.ESCAPE_RADIUS,
        tolerance=outcome.CONVERGENCE_TOLERANCE,
        converged=outcome.LABELS.index("converged"),
        diverged=outcome.LABELS.index("diverged"),
    )
    iterate = generate.fill(_ITERATE, **pieces, rows=d + 1, step=formula.step())
    detect = generate.fill(
        _DETECT,
        **pieces,
        **rows,
        rows=3 * d + 2,
        watched_step=_watched_step(formula),
        size=_largest("size", point),
        moved=_largest("moved", [f"{x} - B[{2 * d + 2 + i}, l]" for i, x in enumerate(point)]),
        load=_LOAD,
        start=", ".join(f"abs({x})" for x in point) if d > 1 else "abs(B[0, l]), 0.0",
        recall="\n".join(f"{x} = B[{d + 2 + i}, l]" for i, x in enumerate(names)),
        inside=" and ".join(f"abs({x}) <= {outcome.ESCAPE_RADIUS}" for x in names),
        scalar_step=formula.scalar_step(),
        store="\n".join(f"Z[{i}, j] = {x}" for i, x in enumerate(names)),
    )
    F, I = "float64", "int64"
    kernels = [
        (f"void({F}[:, ::1], {F}[::1], {F}[::1], {I})", iterate),
        (f"void({F}[:, ::1], {F}[::1], {F}[::1], {I}, uint8[::1], {I}[::1])", detect),
    ]
    return generate.module_text(f"Gradient descent on {objective}.", formula.functions, kernels, contract)
