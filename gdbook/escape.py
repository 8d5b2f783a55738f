r"""Escape from sharp minima: which of them a learning rate allows, and what is proved of that.

An objective is *L-smooth* on a set if :math:`\|\nabla f(x) - \nabla f(y)\| \le L \|x - y\|` for
all x and y of it, and *one-point strongly convex* with respect to :math:`x^*` on a set M if
:math:`\langle \nabla f(x), x - x^* \rangle \ge \mu \|x - x^*\|^2` for all x of M. With both, and
:math:`\nabla f(x^*) = 0`, a step from M leads to
:math:`\|x^+ - x^*\|^2 \le (1 - 2h\mu + h^2L^2)\, \|x - x^*\|^2`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import sympy

from gdbook import arguments
from gdbook.ensemble import Grid, descend_many
from gdbook.objective import require_formula
from gdbook.targets import condition

__all__ = [
    "SelectionMap",
    "avoidance_bound",
    "encounter_bound",
    "encounters",
    "one_point_convexity",
    "selection_map",
    "smoothness",
    "stability_threshold",
]

NO_CONVERGENCE, DIVERGED = -1, -2
_OTHERS = {"no convergence": NO_CONVERGENCE, "diverged": DIVERGED}


def stability_threshold(objective, minimum):
    r"""Learning rate :math:`2/\lambda_{\max}` below which a minimum is linearly stable.

    Parameters
    ----------
    objective : Objective
    minimum : array_like, shape (d,)
        Six digits are enough: Newton's method finds the rest.

    Returns
    -------
    float
        ``inf`` where the Hessian is zero.

    Raises
    ------
    ValueError, TypeError
        If the gradient near `minimum` is nowhere zero, or the Hessian has a negative eigenvalue
        there; if the objective is no formula.

    References
    ----------
    L. Wu, C. Ma, W. E, "How SGD selects the global minima in over-parameterized learning: a
    dynamical stability perspective", NeurIPS 2018.

    Examples
    --------
    >>> from gdbook.catalogue import sharp_and_flat_1d
    >>> [stability_threshold(sharp_and_flat_1d(), x) for x in (0.0, 2.5, 8.5)]
    [0.05, 0.000980392156862745, inf]
    """
    point = _critical_point(objective, minimum)
    eigenvalues = np.linalg.eigvalsh(objective.hessian(point))
    if eigenvalues[0] < -1e-9 * np.abs(eigenvalues).max():
        raise ValueError(
            f"minimum must be a minimum, not {minimum!r}: the Hessian has the eigenvalue "
            f"{eigenvalues[0]:g} there"
        )
    largest = float(eigenvalues[-1])
    return 2 / largest if largest > 0 else math.inf


def one_point_convexity(objective, minimum, limits, samples=2**14):
    r"""Largest :math:`\mu` for which f is one-point strongly convex on a box.

    .. math:: \mu = \inf_{x \in M,\ x \ne x^*}
        \frac{\langle \nabla f(x), x - x^* \rangle}{\|x - x^*\|^2}

    Parameters
    ----------
    objective : Objective
        Of at most six variables, twice differentiable at :math:`x^*`.
    minimum : array_like, shape (d,)
        :math:`x^*`, inside of M or not. Six digits are enough: Newton's method finds the rest.
    limits : sequence of (float, float), or one pair
        The closed box M: lowest and highest value of each coordinate. One pair holds for all.
    samples : int
        Number of points of the grid.

    Returns
    -------
    float
        Not positive if f is not one-point strongly convex on M.

    Raises
    ------
    ValueError, TypeError
        If the gradient near `minimum` is nowhere zero, or not finite somewhere in M; if the limits
        are no box; if the objective is no formula or has too many variables.

    Notes
    -----
    The infimum is searched for, not proved: on a grid with the corners of M; between neighbours of
    the grid where the gradient changes most, by halving, which finds narrow walls and jumps; and
    from the lowest place of each of 64 parts of M downhill to the last digits. In place of points
    very near to :math:`x^*` stands the smallest eigenvalue of its Hessian. Only a feature between
    two neighbours of the grid with like gradients is missed. What is found is never below the
    infimum by more than rounding.

    Examples
    --------
    >>> from gdbook.catalogue import sharp_and_flat_1d
    >>> for side in (0.46, 0.45, 0.4, 0.3):
    ...     print(round(one_point_convexity(sharp_and_flat_1d(), 2.5, (2.5 - side, 2.5 + side)), 2))
    21.89
    69.0
    312.0
    816.0
    """
    centre = _critical_point(objective, minimum)
    low, high = _box(limits, objective.dimension)
    points, _ = _sampled(objective, low, high, samples)
    reach = np.maximum(np.abs(low - centre), np.abs(high - centre)).max()
    size = 2.0 ** np.floor(np.log2(reach))  # the unit, for squares to be floats
    near = 1e-5 * (high - low).min() / size

    def ratio(points):
        away = (points - centre) / size
        square = np.einsum("...i,...i", away, away)
        slope = np.einsum("...i,...i", objective.gradient(points) / size, away)
        far = square > near**2
        return np.where(far, slope / np.where(far, square, 1.0), np.inf)

    lowest = _lowest(ratio, points, low, high, samples)
    if (low <= centre).all() and (centre <= high).all():
        lowest = min(lowest, np.linalg.eigvalsh(objective.hessian(centre))[0])
    return float(lowest)


def smoothness(objective, limits, samples=2**14):
    r"""Smallest L for which f is L-smooth on a box: the largest :math:`|\lambda|` of its Hessians.

    Parameters
    ----------
    objective : Objective
        Of at most six variables.
    limits : sequence of (float, float), or one pair
        The closed box: lowest and highest value of each coordinate. One pair holds for all.
    samples : int
        Number of points of the grid.

    Returns
    -------
    float
        ``inf`` if the gradient jumps, as it does at creases of ``Max`` and ``Abs``, also where they
        are the border of the box. A Hessian that is not bounded gives ``inf`` or a huge number.

    Raises
    ------
    ValueError, TypeError
        If the gradient is not finite somewhere in the box; if the limits are no box; if the
        objective is no formula or has too many variables.

    Notes
    -----
    The supremum is searched for in the same way as by `one_point_convexity`. What is found is
    never above it by more than rounding; a jump is a change of the gradient that stays, where the
    Hessian does not account for it, down to a millionth of the distance between neighbours.

    Examples
    --------
    >>> from gdbook.catalogue import sharp_and_flat_1d
    >>> smoothness(sharp_and_flat_1d(), (2, 3)), smoothness(sharp_and_flat_1d(), (8, 9))
    (5560.0, inf)
    """
    require_formula(objective)
    low, high = _box(limits, objective.dimension)
    points, (first, second) = _sampled(objective, low, high, samples)
    largest = -_lowest(lambda points: -_norm(objective.hessian(points)), points, low, high, samples)
    rounding = 1e-9 * np.abs(objective.gradient(points)).max()
    with np.errstate(over="ignore"):
        change = _length(objective.gradient(second) - objective.gradient(first))
        width = _length(second - first)
        jumps = (change > 2 * largest * width + rounding).any()
    return math.inf if jumps else float(largest)


@dataclass(frozen=True, eq=False)
class SelectionMap:
    """Which target each learning rate selects from each start.

    Attributes
    ----------
    starts : ndarray, shape (n, d)
    learning_rates : ndarray, shape (m,)
    names : tuple of str
        Of the targets.
    reached : ndarray of int16, shape (m, n)
        Number of the target to which the orbit converged; -1 if it did not within the steps, or
        converged to none of them; -2 if it diverged.
    """

    starts: np.ndarray
    learning_rates: np.ndarray
    names: tuple
    reached: np.ndarray

    @property
    def shares(self):
        """Share of the starts for each name, "no convergence", "diverged": dict of shape (m,)."""
        numbers = {name: number for number, name in enumerate(self.names)} | _OTHERS
        return {name: (self.reached == code).mean(axis=1) for name, code in numbers.items()}


def selection_map(objective, starts, learning_rates, targets, steps=1000):
    """Which minimum gradient descent selects, for all starts and all learning rates.

    Parameters
    ----------
    objective : Objective
    starts : array_like, shape (n, d), or Grid
        In one variable also shape (n,).
    learning_rates : array_like, shape (m,)
    targets : mapping of str to str, sympy.Boolean or point
        Names with conditions on the variables or points of shape (d,), as for
        `gdbook.descend_many`. The first that a limit meets counts.
    steps : int

    Returns
    -------
    SelectionMap
        :func:`gdbook.plots.plot_selection_map` draws it.

    Raises
    ------
    ValueError, TypeError
        If there are no starts, no learning rates or no targets; if one of them has the wrong form;
        if a target has the name of what else can happen; if the objective is no formula.

    Examples
    --------
    >>> from gdbook.catalogue import sharp_and_flat_1d
    >>> minima = {"flat": [0.0], "sharp": [2.5]}
    >>> starts = np.linspace(2.1, 2.9, 100)
    >>> found = selection_map(sharp_and_flat_1d(), starts, [9e-4, 1.1e-3, 2e-3, 0.06], minima)
    >>> found.reached[:, 0]
    array([ 1, -1,  0, -2], dtype=int16)
    >>> found.shares["flat"]
    array([0., 0., 1., 0.])
    """
    points = _starts(objective, starts)
    rates = arguments.reals(learning_rates, "learning_rates")
    if rates.ndim != 1 or not len(rates) or not np.isfinite(rates).all():
        raise ValueError(
            "learning_rates must be a sequence of one or more finite numbers, "
            f"not {learning_rates!r}"
        )
    names = _names(targets)
    ensemble = descend_many(
        objective, points, rates[:, np.newaxis], steps, targets=targets, keep="reached"
    )
    reached = np.where(ensemble.diverged, np.int16(DIVERGED), ensemble.reached)
    return SelectionMap(points, rates, names, reached.reshape(ensemble.shape))


def encounters(objective, starts, learning_rate, steps, region):
    """Which orbits of gradient descent meet a region in one of the steps 0, ..., T.

    Parameters
    ----------
    objective : Objective
    starts : array_like, shape (n, d), or Grid
        In one variable also shape (n,).
    learning_rate : float
    steps : int
        T.
    region : str, sympy.Boolean, or sequence of (float, float)
        A condition on the variables such as ``"x**2 + y**2 < 1"``, or a closed box: lowest and
        highest value of each coordinate, which may be infinite. One pair holds for all.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ValueError, TypeError
        If there are no starts, the learning rate is not positive, or the region is neither a
        condition nor a box; if the objective is no formula.

    Examples
    --------
    With :math:`h = \\tfrac12` every step on :math:`x^2/2` halves x. One interval of starts leads to
    the region within three steps, :math:`1.2 \\le x \\le 1.24`:

    >>> from gdbook.catalogue import quadratic
    >>> starts = np.linspace(1, 2, 10_000)
    >>> encounters(quadratic(), starts, 0.5, 3, (0.3, 0.31)).mean()
    np.float64(0.04)
    >>> encounter_bound(3, 1, ratio=0.01)
    0.16
    """
    points = _starts(objective, starts)
    rate = arguments.positive(learning_rate, "learning_rate")
    steps = arguments.natural(steps, "steps")
    inside = _region(region, objective)
    met = inside(points)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            left = np.flatnonzero(~met)
            points[left] -= rate * objective.gradient(points[left])
            met[left] = inside(points[left])
    return met


def encounter_bound(steps, dimension, ratio):
    r"""Upper bound :math:`2^{(T+1)d}\, |X|/|W|` for the chance to meet X within T steps.

    If f is L-smooth outside of X and :math:`h \le 1/(2L)`, two points outside of X are at most
    twice as far from each other as their images, so the points from which a step leads into a set
    have at most :math:`2^d` times its volume. Of starts that are uniform on W at most a share of
    :math:`2^{td}\, |X|/|W|` meets X in step t for the first time.

    Parameters
    ----------
    steps : int
        T.
    dimension : int
        d.
    ratio : float
        :math:`|X|/|W|`, volumes.

    Returns
    -------
    float
        Above 1 it says nothing.

    Raises
    ------
    ValueError, TypeError
        If a number is negative, or the dimension zero.

    References
    ----------
    A. Mohtashami, M. Jaggi, S. Stich, "Special properties of gradient descent with large learning
    rates", ICML 2023.

    Examples
    --------
    >>> encounter_bound(steps=3, dimension=1, ratio=0.01)
    0.16
    """
    steps = arguments.natural(steps, "steps")
    dimension = arguments.natural(dimension, "dimension", least=1)
    return _power(steps + 1, dimension, _ratio(ratio))


def avoidance_bound(learning_rate, strong_convexity, dimension, ratio, farthest, nearest):
    r"""Lower bound for the chance never to meet a set X on the way to a minimum.

    .. math:: 1 - 2^d\, \frac{|X|}{|W|}
        \left(\frac{r_W}{c_X}\right)^{-2d/\log_2(1 - h\mu)}

    Outside of X, with :math:`h \le \mu/L^2`, the square of the distance from the minimum shrinks by
    :math:`1 - h\mu` in a step. After :math:`T = -2 \log_2(r_W/c_X)/\log_2(1 - h\mu)` steps it is
    less than :math:`c_X^2`, nearer than X, and `encounter_bound` holds for the steps before. It
    asks for :math:`h \le 1/(2L)` too.

    Parameters
    ----------
    learning_rate : float
        :math:`h`.
    strong_convexity : float
        :math:`\mu`, of `one_point_convexity` outside of X.
    dimension : int
        :math:`d`.
    ratio : float
        :math:`|X|/|W|`, volumes.
    farthest : float
        :math:`r_W`, distance of the minimum from the farthest start.
    nearest : float
        :math:`c_X`, distance of the minimum from X.

    Returns
    -------
    float
        1 if all starts are nearer than X. Below 0 it says nothing.

    Raises
    ------
    ValueError, TypeError
        If a number is not positive, or :math:`h\mu > 1`.

    References
    ----------
    A. Mohtashami, M. Jaggi, S. Stich, "Special properties of gradient descent with large learning
    rates", ICML 2023.

    Examples
    --------
    >>> avoidance_bound(0.5, 0.5, dimension=1, ratio=0.01, farthest=2, nearest=3)
    1.0
    >>> round(avoidance_bound(0.5, 0.5, dimension=1, ratio=0.01, farthest=2, nearest=1), 6)
    0.435523
    """
    rate = arguments.positive(learning_rate, "learning_rate")
    strong_convexity = arguments.positive(strong_convexity, "strong_convexity")
    shrinking = rate * strong_convexity
    dimension = arguments.natural(dimension, "dimension", least=1)
    ratio = _ratio(ratio)
    farthest = arguments.positive(farthest, "farthest")
    nearest = arguments.positive(nearest, "nearest")
    if shrinking > 1:
        raise ValueError(
            f"learning_rate must be at most 1/strong_convexity = {1 / strong_convexity:g}, "
            f"not {learning_rate!r}"
        )
    if nearest > farthest:
        return 1.0
    factor = math.inf if shrinking == 1 else max(-math.log1p(-shrinking), 1e-300)
    steps = 2 * (math.log(farthest) - math.log(nearest)) / factor
    return 1 - _power(steps + 1, dimension, ratio)


# How it is done

_MOST_VARIABLES = 6
_MOST_SAMPLES = 2**22
_NEAR = 1e-5  # how far, relative to one plus its size, a point may be from the critical one


def _critical_point(objective, minimum):
    """The point near to a given one where the gradient is zero, by Newton's method."""
    require_formula(objective)
    given = arguments.point(minimum, objective, "minimum")
    point, scale = given, 1 + np.abs(given).max()
    for _ in range(6):
        gradient, hessian = objective.gradient(point), objective.hessian(point)
        if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            raise ValueError(
                f"minimum must be a point with a finite gradient and Hessian, not {minimum!r}"
            )
        point = point - np.linalg.pinv(hessian, rcond=1e-9, hermitian=True) @ gradient
        if not np.abs(point - given).max() <= _NEAR * scale:
            break
    else:
        residual = np.abs(objective.gradient(point)).max()
        if residual <= 1e-8 * max(1.0, _norm(objective.hessian(point))) * scale:
            return point
    raise ValueError(
        f"minimum must be given to six digits, not {minimum!r}: the gradient is "
        f"{objective.gradient(given).tolist()} there, and zero nowhere near"
    )


def _box(limits, dimension, name="limits", infinite=False):
    """Lowest and highest corner of a box."""
    pairs = np.atleast_2d(arguments.reals(limits, name))
    right = pairs.shape in ((1, 2), (dimension, 2)) and (pairs[:, 0] < pairs[:, 1]).all()
    with np.errstate(over="ignore"):
        right = right and (infinite or np.isfinite(np.diff(pairs)).all())
    if not right:
        raise ValueError(
            f"{name} must be {dimension} pair{'s' * (dimension > 1)} (low, high) of "
            f"{'' if infinite else 'finite '}numbers with low < high, not {limits!r}"
        )
    low, high = np.broadcast_to(pairs, (dimension, 2)).T
    return low, high


def _sampled(objective, low, high, samples):
    """Points of a grid and others where the gradient changes most, with the ends of the jumps."""
    dimension = objective.dimension
    if dimension > _MOST_VARIABLES:
        raise ValueError(
            f"objective must have at most {_MOST_VARIABLES} variables, because a grid of samples "
            f"is laid over them, not {dimension}"
        )
    axes = np.linspace(low, high, _count(samples, dimension))
    grid = np.stack(np.meshgrid(*axes.T, indexing="ij"), axis=-1)
    gradient = _finite_gradient(objective, grid)
    ends = []
    for axis in range(dimension):
        change = _length(np.diff(gradient, axis=axis))
        worst = np.unravel_index(np.argsort(change, axis=None)[-32:], change.shape)
        after = tuple(index + (i == axis) for i, index in enumerate(worst))
        ends.append((grid[worst], grid[after]))
    first, second = (np.concatenate(side) for side in zip(*ends, strict=True))
    found = [grid.reshape(-1, dimension)]
    for _ in range(20):
        middle = (first + second) / 2
        before, here, after = (_finite_gradient(objective, x) for x in (first, middle, second))
        left = _length(here - before) >= _length(after - here)
        first = np.where(left[:, np.newaxis], first, middle)
        second = np.where(left[:, np.newaxis], middle, second)
        found.append(middle)
    return np.concatenate(found), (first, second)


def _count(samples, dimension):
    """Points of the grid along each axis: an odd number, for the middle to be one of them."""
    samples = arguments.natural(samples, "samples", least=2)
    if samples > _MOST_SAMPLES:
        raise ValueError(f"samples must be at most {_MOST_SAMPLES}, not {samples}")
    return max(round(samples ** (1 / dimension)) | 1, 3)


def _finite_gradient(objective, points):
    gradient = objective.gradient(points)
    bad = ~np.isfinite(gradient).all(axis=-1)
    if bad.any():
        raise ValueError(
            f"limits must be a box in which the gradient is finite: at {points[bad][0].tolist()} "
            f"it is {gradient[bad][0].tolist()}"
        )
    return gradient


def _length(vectors):
    """Euclidean norm along the last axis, also where the squares would overflow."""
    return np.hypot.reduce(vectors, axis=-1, initial=0.0)


def _norm(hessian):
    """Largest absolute eigenvalue; infinite where an entry is not finite."""
    finite = np.isfinite(hessian).all(axis=(-2, -1))
    safe = np.where(finite[..., np.newaxis, np.newaxis], hessian, 0.0)
    return np.where(finite, np.abs(np.linalg.eigvalsh(safe)).max(axis=-1), np.inf)


def _lowest(function, points, low, high, samples):
    """Lowest value in a box: downhill from the best of each part of the points."""
    values = function(points)
    parts = np.array_split(np.arange(len(points)), 64)
    best = points[[part[np.argmin(values[part])] for part in parts if len(part)]]
    # A step to one of the neighbours, or none, is the first: that is where it stays at a tie.
    moves = np.array(sorted(product((-1, 0, 1), repeat=len(low)), key=np.any))
    width = np.full((len(best), 1, 1), 1 / (_count(samples, len(low)) - 1))
    for _ in range(60):
        trials = np.clip(best[:, np.newaxis] + width * (high - low) * moves, low, high)
        choice = np.argmin(function(trials), axis=1)
        best = trials[np.arange(len(best)), choice]
        width[choice == 0] /= 2
    return min(values.min(), function(best).min())


def _starts(objective, starts):
    """Starts as an array of shape (n, d), not empty, which may be written to."""
    require_formula(objective)
    points = starts.points if isinstance(starts, Grid) else starts
    points = arguments.starts(points, objective.dimension).reshape(-1, objective.dimension)
    if not len(points):
        raise ValueError("starts must be at least one point")
    return points


def _names(targets):
    if not isinstance(targets, Mapping) or not targets:
        raise TypeError(
            'targets must map names to conditions or points, as in {"flat": "x < 1"}, '
            f"not {targets!r}"
        )
    for name in targets:
        if not isinstance(name, str) or name in _OTHERS:
            raise ValueError(
                f"names of targets must be strings other than {' and '.join(map(repr, _OTHERS))}, "
                f"not {name!r}"
            )
    return tuple(targets)


def _region(region, objective):
    """Function of points, shape (m, d), that says which are in the region."""
    if isinstance(region, str | sympy.logic.boolalg.Boolean):
        meets = condition(region, objective, "region", "a box of pairs (low, high)")
        return lambda points: meets(points.T)
    low, high = _box(region, objective.dimension, "region", infinite=True)
    return lambda points: ((low <= points) & (points <= high)).all(axis=-1)


def _ratio(value):
    ratio = arguments.number(value, "ratio")
    if ratio < 0:
        raise ValueError(f"ratio must be that of two volumes, not negative, not {value!r}")
    return ratio


def _power(steps, dimension, ratio):
    """As many powers of two to the dimension as steps, times the ratio."""
    if ratio == 0:
        return 0.0
    try:
        whole = math.floor(exponent := steps * dimension)
        return math.ldexp(2.0 ** (exponent - whole) * ratio, whole)
    except OverflowError:
        return math.inf
