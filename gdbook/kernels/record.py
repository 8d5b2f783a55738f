"""Kernel of bifurcation diagrams: a number of steps without a trace, then every point kept."""

from functools import cache

import numpy as np

from gdbook import outcome
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
    function = _kernel(watched.Map.of(objective), lanes, contract)
    if function is None:
        return record_numpy(objective, points, rates, burn_in, kept, column)
    keep, _, columns = kept.shape
    largest, B = np.zeros(n), np.empty((d + 2, lanes))
    parameters = watched.parameters_of(objective)
    function(n, burn_in, keep, column, columns, parameters, points, rates, largest, kept, B)
    return (largest <= outcome.ESCAPE_RADIUS) & watched.inside(points)


_BODY = """
    # Column j of Z is an orbit.
    $parameters
    for first in range(0, n, $lanes):
        count = min($lanes, n - first)
        for l in range($lanes):
            j = first + min(l, count - 1)
            for i in range($d):
                B[i, l] = Z[i, j]
            B[$d, l] = rates[j]
            B[$d + 1, l] = 0.0
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
        for l in range(count):
            for i in range($d):
                Z[i, first + l] = B[i, l]
            largest[first + l] = B[$d + 1, l]
"""


@cache
def _kernel(map, lanes, contract):
    formula = map.formula()
    arrays = [("Z", "float64", "($d, n)"), ("rates", "float64", "(n,)")]
    arrays += [("largest", "float64", "(n,)"), ("kept", "float64", "(keep, $d, columns)")]
    arrays += [("B", "float64", "($d + 2, $lanes)")]
    numbers = ["n", "burn_in", "keep", "column", "columns"]
    step = watched.watched_step(formula)
    return watched.compiled(
        *("record", _BODY, numbers, arrays, map, formula, contract), lanes=lanes, step=step
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
