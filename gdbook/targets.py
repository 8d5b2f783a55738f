"""Which minimum, or which set, an orbit converged to: targets that are given, or are found."""

from collections.abc import Mapping
from threading import Lock

import numpy as np
import sympy

from gdbook import arguments
from gdbook.objective import Objective
from gdbook.outcome import LABELS

__all__ = ["FoundTargets", "GivenTargets", "condition"]

TOLERANCE = 1e-6
"""How close to a target, relative to one plus its size, a limit is that target."""

MOST_LIMITS = 64
"""More limits than this are taken for a continuum."""

_CONVERGED = LABELS.index("converged")


class GivenTargets:
    """Targets that are known beforehand.

    Parameters
    ----------
    targets : array_like, shape (k, d), or mapping of str to point or condition
    objective : Objective or Differentiable
    dimension : int

    Attributes
    ----------
    targets : ndarray, shape (k, d), or dict

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> targets = GivenTargets({"well": "Abs(x) > 1/2", "hill": [0.0]}, double_well(), 1)
    >>> targets.find(0, np.array([0, 0, 1]), np.array([[0.0], [-1.0], [np.inf]]))
    array([ 1,  0, -1], dtype=int16)
    """

    def __init__(self, targets, objective, dimension):
        if isinstance(targets, Mapping):
            self.targets = dict(targets)
            named = [(f"targets[{name!r}]", target) for name, target in targets.items()]
        else:
            self.targets = _points(targets, dimension)
            named = [("targets", point) for point in self.targets]
        if len(named) > np.iinfo(np.int16).max:
            raise ValueError(f"targets must be fewer than {2**15}, not {len(named)}")
        self._tests = [_test(target, objective, dimension, name) for name, target in named]

    def find(self, first, labels, points):
        """Number of the first target that each orbit reached, or -1.

        Parameters
        ----------
        first : int
            Number of the first of these orbits.
        labels : ndarray, shape (m,)
        points : ndarray, shape (m, d)
            The last ones.

        Returns
        -------
        ndarray of int16, shape (m,)
        """
        reached = np.full(len(labels), -1, np.int16)
        converged = np.flatnonzero(labels == _CONVERGED)
        limits = points[converged].T
        for number, test in reversed(list(enumerate(self._tests))):
            reached[converged[test(limits)]] = number
        return reached

    def finish(self, reached):
        """When all orbits are done: here nothing is left to do."""


def _points(targets, dimension):
    if isinstance(targets, str):
        raise TypeError(
            f'targets must map names to conditions, as in {{"left": "x < 0"}}, not {targets!r}'
        )
    points = arguments.reals(targets, "targets")
    if dimension == 1 and points.ndim == 1:
        points = points[:, np.newaxis]
    if points.ndim != 2 or points.shape[1] != dimension:
        raise ValueError(
            f"targets must be points, shape (k, {dimension}), or map names to points or "
            f"conditions; their shape is {points.shape}"
        )
    return points


def _test(target, objective, dimension, name):
    """Function of limits, shape (d, m), that says which of them are the target."""
    if isinstance(target, str | sympy.logic.boolalg.Boolean):
        return condition(target, objective, name)
    point = arguments.points(target, dimension, name)
    if point.shape != (dimension,) or not np.isfinite(point).all():
        raise ValueError(
            f"{name} must be a finite point with {dimension} coordinates or a condition such as "
            f'"x > 0", not {target!r}'
        )
    near = TOLERANCE * (1 + np.abs(point).max())
    return lambda limits: np.abs(limits - point[:, np.newaxis]).max(axis=0) <= near


def condition(text, objective, name, otherwise="a point"):
    """Function of points, shape (d, m), that says which of them meet a condition.

    Parameters
    ----------
    text : str or sympy.Boolean
    objective : Objective
        Has the variables and the parameters.
    name, otherwise : str
        For errors: what is a condition, and what else it might be.

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> condition("x > 0", double_well(), "region")(np.array([[-1.0, 2.0]]))
    array([False,  True])
    """
    if not isinstance(objective, Objective):
        raise ValueError(
            f"{name} must be {otherwise}: an objective without formula has no variables"
        )
    try:
        if isinstance(text, str):  # one that holds is a formula with the value 1
            formula = f"Piecewise((1, {text}), (0, True))"
        else:
            formula = sympy.Piecewise((1, text), (0, True))
        holds = Objective(formula, objective.variables, objective.parameters)
        holds.value(np.empty((0, objective.dimension)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'{name} must be {otherwise} or a condition such as "x > 0" in '
            f"{', '.join(map(str, objective.variables))}, not {text!r}"
        ) from error
    return lambda points: holds.value(points.T) == 1


# Limits are sorted into cells, which do not depend on the order of the orbits; cells that are near
# to each other hold one limit. Their width is relative to one plus the size of a coordinate, which
# is one width for all in log(1 + |x|).
_CELLS_IN_TOLERANCE = 10
_MOST_CELLS = 256


class FoundTargets:
    """Targets that are found: the limits of the orbits that converged.

    Parameters
    ----------
    dimension : int

    Attributes
    ----------
    targets : ndarray, shape (k, d)
        When all orbits are done: the limits in lexicographic order; none where they are more than
        `MOST_LIMITS`. Each is where the orbit ended that is the first to have it as its limit.

    Examples
    --------
    >>> targets = FoundTargets(1)
    >>> reached = targets.find(0, np.array([0, 0, 0, 1]), np.array([[2.0], [1.0], [2.0], [9.0]]))
    >>> targets.finish(reached)
    >>> targets.targets.ravel(), reached
    (array([1., 2.]), array([ 1,  0,  1, -1], dtype=int16))
    """

    def __init__(self, dimension):
        self.targets = np.empty((0, dimension))
        self._numbers = {}  # of the cells
        self._firsts = []  # for each cell, number and limit of the first orbit that ended there
        self._lock = Lock()

    def find(self, first, labels, points):
        """Number of the cell that each orbit ended in; otherwise as for targets that are given."""
        reached = np.full(len(labels), -1, np.int16)
        left = np.flatnonzero(labels == _CONVERGED)
        cells = _cells(points[left].T)
        while len(left) and len(self._firsts) <= _MOST_CELLS:
            same = (cells == cells[:, :1]).all(axis=0)
            number = self._number(cells[:, 0], first + int(left[0]), points[left[0]].copy())
            reached[left[same]] = number
            left, cells = left[~same], cells[:, ~same]
        return reached

    def _number(self, cell, orbit, limit):
        with self._lock:
            number = self._numbers.setdefault(tuple(cell.tolist()), len(self._firsts))
            if number == len(self._firsts):
                self._firsts.append((orbit, limit))
            elif orbit < self._firsts[number][0]:
                self._firsts[number] = orbit, limit
            return number

    def finish(self, reached):
        """When all orbits are done: numbers of limits in place of those of cells."""
        if not 0 < len(self._firsts) <= _MOST_CELLS:
            reached.fill(-1)
            return
        cells = np.array(list(self._numbers))
        group = _groups(cells)
        by_orbit = np.argsort([orbit for orbit, _ in self._firsts])
        best = by_orbit[np.unique(group[by_orbit], return_index=True)[1]]  # the first of each group
        best = sorted(best, key=lambda cell: tuple(cells[cell]))
        if len(best) > MOST_LIMITS:
            reached.fill(-1)
            return
        self.targets = np.array([self._firsts[cell][1] for cell in best])
        places = {group[cell]: place for place, cell in enumerate(best)}
        numbers = np.array([*(places[g] for g in group), -1], np.int16)  # the last stands for -1
        for part in np.split(reached, range(2**16, len(reached), 2**16)):  # views, of little memory
            part[:] = numbers[part]


def _cells(limits):
    width = TOLERANCE / _CELLS_IN_TOLERANCE
    return np.rint(np.copysign(np.log1p(np.abs(limits)), limits) / width)


def _groups(cells):
    """For each cell, the first of the cells that a chain of near ones connects with it."""
    near = np.abs(cells[:, np.newaxis] - cells).max(axis=-1) <= _CELLS_IN_TOLERANCE
    while (further := near @ near).sum() > near.sum():
        near = further
    return near.argmax(axis=1)
