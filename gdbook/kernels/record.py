"""Kernel of bifurcation diagrams: a number of steps without a trace, then every point kept."""

from functools import cache

import numpy as np

from gdbook.kernels import generate, watched

__all__ = ["record", "record_numpy"]


def record(objective, points, rates, burn_in, kept, column=0, contract=False):
    """Let every orbit make `burn_in` steps, then keep it for as many steps as `kept` has rows.

    Parameters
    ----------
    objective : Objective
    points : ndarray, shape (d, n)
        Changed in place.
    rates : ndarray, shape (n,)
    burn_in : int
    kept : ndarray, shape (keep, d, m)
        Its columns from `column` to `column` + n are filled.
    column : int
    contract : bool

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether the orbit was inside the radius of escape before and after every step.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> kept = np.empty((2, 1, 2))
    >>> record(quadratic(), np.array([[1.0, 1.0]]), np.array([0.5, 1.5]), 1, kept)
    array([ True,  True])
    >>> kept[:, 0]
    array([[ 0.25 ,  0.25 ],
           [ 0.125, -0.125]])
    """
    d, n = points.shape
    lanes = generate.lanes_for(d)
    map = watched.Map.of(objective)
    function = _kernel(map, lanes, contract)
    if function is None:
        return record_numpy(objective, points, rates, burn_in, kept, column)
    state, B = np.vstack([points, rates, np.zeros(n)]), np.empty((d + 2, lanes))
    keep, _, columns = kept.shape
    numbers = n, len(state), burn_in, keep, column, columns
    function(*numbers, watched.parameters_of(objective), state, B, kept)
    points[:] = state[:d]
    return watched.stayed(map, state)


_BODY = """
    $parameters
    for first in range(0, n, $lanes):
        count = min($lanes, n - first)
        $load
        for k in range(burn_in):
            for l in range($lanes):
                $step
        at = np.uint64(column + first)  # an index that may be negative is stored lane by lane
        for k in range(keep):
            for l in range($lanes):
                $step
            if count == $lanes:
                for i in range($d):
                    for l in range($lanes):
                        kept[k, i, at + np.uint64(l)] = B[i, l]
            else:
                for i in range($d):
                    for l in range(count):
                        kept[k, i, at + np.uint64(l)] = B[i, l]
        $store
"""


@cache
def _kernel(map, lanes, contract):
    return watched.compiled(
        *("record", _BODY, ["burn_in", "keep", "column", "columns"]),
        *([("kept", "float64", "(keep, $d, columns)")], map, contract),
        rows=map.dimension + 2,
        lanes=lanes,
    )


def record_numpy(objective, points, rates, burn_in, kept, column=0):
    """What `record` does, in NumPy."""
    columns = slice(column, column + points.shape[1])
    inside = watched.inside(points)
    with np.errstate(all="ignore"):
        for k in range(-burn_in, len(kept)):
            points -= rates * objective.gradient(points.T).T
            inside &= watched.inside(points)
            if k >= 0:
                kept[k, :, columns] = points
    return inside
