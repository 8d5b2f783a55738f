"""Periodic orbits of gradient descent: all of them, the attracting one, and where periods double.

Orbits are found by Newton's method on all p points at once (multiple shooting): an orbit of which
no iterate can be followed, because it repels, is found as easily as one that attracts.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from gdbook import arguments
from gdbook.objective import require_formula
from gdbook.outcome import ESCAPE_RADIUS, LONGEST_PERIOD, PERIOD_TOLERANCE

__all__ = [
    "PeriodicOrbit",
    "attracting_period",
    "multipliers",
    "period_doublings",
    "periodic_orbits",
]

# Two points are one, relative to one plus their size, when they are closer than this.
_SAME = 1e-7

# With a multiplier this close to 1 an orbit is taken for one of a continuum.
_ISOLATED = 1e-6

# Multipliers this close to the unit circle count as inside: those of continua are on it.
_NEUTRAL = 1e-7

_NEWTON_STEPS = 60


@dataclass(frozen=True, eq=False)
class PeriodicOrbit:
    """A periodic orbit of gradient descent.

    Attributes
    ----------
    points : ndarray, shape (p, d)
        In the order in which they are visited, from the smallest (in the first coordinate, then the
        second, and so on). Numbers of ``mpmath`` where `digits` were asked for.
    multipliers : ndarray, shape (d,)
        Eigenvalues of the derivative of p steps, the largest modulus first; complex only where one
        of them is. Numbers of ``mpmath`` where `digits` were asked for.

    Examples
    --------
    >>> orbit = PeriodicOrbit(np.array([[-1.0], [1.0]]), np.array([0.25]))
    >>> orbit.period, orbit.attracting
    (2, True)
    """

    points: np.ndarray
    multipliers: np.ndarray

    @property
    def period(self):
        """The number p of points."""
        return len(self.points)

    @property
    def attracting(self):
        """Whether all multipliers are inside the unit circle."""
        return all(bool(abs(multiplier) < 1) for multiplier in self.multipliers)


def periodic_orbits(objective, learning_rate, period, window, rng=0, *, starts=10_000, digits=None):
    r"""Periodic orbits of least period p in a window, attracting or not.

    With :math:`F(x) = x - h\nabla f(x)`, the p equations :math:`F(x_k) = x_{k+1}`, where
    :math:`x_p = x_0`, are solved together by Newton's method with limited steps, from many random
    starts at once. Points are right to rounding.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    learning_rate : float
        :math:`h`. Where `digits` are asked for it counts exactly, so ``Fraction(19, 10)`` or
        ``"19/10"`` is another number than ``1.9``.
    period : int
        :math:`p \ge 1`. Orbits of a period that divides p are not listed.
    window : array_like, shape (d, 2)
        Lowest and highest value of each coordinate; ``(low, high)`` where d = 1. All points of an
        orbit must be inside.
    rng : int or numpy.random.Generator
        Source of the starts.
    starts : int
        How many. Nothing proves that all orbits were found: more starts find rarer ones.
    digits : int, optional
        Compute points and multipliers with this many digits.

    Returns
    -------
    tuple of PeriodicOrbit
        Sorted by their first points.

        Orbits that are not isolated are left out, and cannot be listed: the minima
        :math:`xy = \mu` of a factorisation form a curve of fixed points. They have the multiplier
        1; an orbit with a multiplier within :math:`10^{-6}` of 1 is taken for one of them.

    Raises
    ------
    ValueError, TypeError
        For an argument of the wrong kind, shape or sign.
    ArithmeticError
        If Newton's method does not reach the digits asked for, as at a kink of the objective.

    Examples
    --------
    At :math:`h = 1.9` the double well has the 2-cycle
    :math:`\tfrac12(\sqrt{1 + 3/h} \pm \sqrt{1 - 1/h})` with the multiplier
    :math:`9 - 2(1 + h)^2 = -7.82`, its mirror image, and one that goes around both wells.

    >>> from gdbook.catalogue import double_well
    >>> for orbit in periodic_orbits(double_well(), 1.9, 2, window=(-2, 2)):
    ...     print(orbit.points.ravel().round(6), orbit.multipliers.round(6))
    [-1.432701  1.432701] [77.44]
    [-1.147079 -0.458831] [-7.82]
    [0.458831 1.147079] [-7.82]
    >>> orbits = periodic_orbits(double_well(), "19/10", 2, (0, 2), digits=30)
    >>> import mpmath
    >>> mpmath.nstr(orbits[0].points[0, 0], 30)
    '0.458831467741123531814419156196'
    """
    require_formula(objective)
    exact = None if digits is None else arguments.rational(learning_rate, "learning_rate")
    h = arguments.number(learning_rate if exact is None else exact, "learning_rate")
    period = arguments.natural(period, "period", least=1)
    low, high = _window(window, objective.dimension)
    starts = arguments.natural(starts, "starts", least=1)
    digits = digits if digits is None else arguments.natural(digits, "digits", least=1)
    points = _generator(rng).uniform(low, high, (starts, objective.dimension))
    found = []
    for cycle in _distinct(_search(objective, h, points, period, low, high), low, high):
        factors = multipliers(objective, cycle, h)
        if np.abs(factors - 1).min() > _ISOLATED:
            found.append(PeriodicOrbit(cycle, factors))
    found.sort(key=lambda orbit: orbit.points.round(9).ravel().tolist())
    if digits is not None:
        found = [_in_digits(objective, exact, orbit.points, digits) for orbit in found]
    return tuple(found)


def multipliers(objective, points, learning_rate):
    r"""Eigenvalues of :math:`(I - h\nabla^2 f(x_{p-1})) \cdots (I - h\nabla^2 f(x_0))`.

    They are what one turn along a periodic orbit does to small deviations: inside the unit circle
    the orbit attracts.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    points : array_like, shape (p, d) or (d,)
        :math:`x_0, \dots, x_{p-1}`, or one fixed point.
    learning_rate : float
        :math:`h`.

    Returns
    -------
    ndarray, shape (d,)
        The largest modulus first. Small ones are as accurate as large ones. ``nan`` where a
        Hessian is not finite.

    Examples
    --------
    At a minimum of :math:`\tfrac12(1 - xy)^2` they are 1 and :math:`1 - h(x^2 + y^2)`:

    >>> from gdbook.catalogue import scalar_factorization
    >>> multipliers(scalar_factorization(), [1.0, 1.0], 0.75)
    array([ 1. , -0.5])
    """
    require_formula(objective)
    points = np.atleast_2d(arguments.points(points, objective.dimension))
    if points.ndim != 2 or len(points) == 0:
        raise ValueError(f"points must have shape (p, d) with p of 1 or more, not {points.shape}")
    return _eigenvalues_of_product(
        _jacobians(objective, arguments.number(learning_rate, "learning_rate"), points)
    )


def attracting_period(objective, start, learning_rate, *, burn_in=10_000, longest=LONGEST_PERIOD):
    r"""Period of the attracting periodic orbit that gradient descent falls on.

    The iterates after `burn_in` steps only suggest a period. It counts when Newton's method finds a
    periodic orbit beside them, of this least period, with all multipliers inside the unit circle
    (or outside by :math:`10^{-7}` at most), and when the iterates are on it, within the tolerance
    of :class:`~gdbook.outcome.Outcome`, or nearer to it after another `burn_in` steps. So the
    answer is right also near a doubling, where iterates take very long to settle and at first look
    like half the period.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    start : array_like, shape (d,)
        :math:`x_0`; a number where d = 1.
    learning_rate : float or array_like, shape (n,)
        :math:`h`, or several, which are iterated together.
    burn_in : int
        Steps before anything is looked at.
    longest : int
        Longest period that is looked for.

    Returns
    -------
    int or ndarray of int, shape (n,)
        1 for convergence to a point, which may be one of a continuum of minima; 0 for an orbit that
        diverges, is chaotic or on its way, has a longer period, or rests on something that repels.

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> attracting_period(double_well(), 0.3, [0.9, 1.1, 1.25, 1.455, 1.9, 2.1])
    array([1, 2, 4, 3, 0, 0])
    """
    require_formula(objective)
    start = arguments.point(start, objective, "start")
    rates = _rates(learning_rate)
    burn_in = arguments.natural(burn_in, "burn_in")
    longest = arguments.natural(longest, "longest", least=1)
    tails = _tails(objective, start, rates.reshape(-1), burn_in, 2 * longest)
    periods = np.array(
        [
            len(_attractor(objective, h, tails[:, i], burn_in))
            for i, h in enumerate(rates.reshape(-1).tolist())
        ],
        dtype=int,
    )
    return periods if rates.ndim else int(periods[0])


def period_doublings(objective, start, learning_rates, count):
    r"""Learning rates at which the period of the attracting orbit doubles, one after another.

    From the attracting orbit at the lowest rate on, each orbit is continued until a multiplier is
    :math:`-1`, where the orbit of twice its period takes over. The ratios of the distances tend to
    Feigenbaum's :math:`\delta = 4.669201609\dots` [1]_.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    start : array_like, shape (d,)
        At the lowest rate, gradient descent from here must fall on an attracting orbit.
    learning_rates : tuple of float
        Lowest and highest rate.
    count : int
        How many doublings.

    Returns
    -------
    ndarray, shape (n,)
        In ascending order, right to rounding; :math:`n < count` where the highest rate comes first,
        or where no attracting orbit of twice the period takes over.

    Raises
    ------
    ValueError
        If nothing isolated attracts the start at the lowest rate, or an argument is wrong.

    References
    ----------
    .. [1] M. Feigenbaum, "Quantitative universality for a class of nonlinear transformations",
       Journal of Statistical Physics 19 (1978).

    Examples
    --------
    The first two are 1 and :math:`\sqrt5 - 1`:

    >>> from gdbook.catalogue import double_well
    >>> period_doublings(double_well(), 0.3, (0.8, 1.4), count=3)
    array([1.        , 1.23606798, 1.28803175])
    """
    require_formula(objective)
    start = arguments.point(start, objective, "start")
    low, high = _interval(learning_rates, "learning_rates")
    count = arguments.natural(count, "count")
    tail = _tails(objective, start, np.array([low]), 10_000, 2 * LONGEST_PERIOD)[:, 0]
    cycle = _attractor(objective, low, tail, 10_000)
    factors = multipliers(objective, cycle, low) if len(cycle) else np.ones(1)
    if np.abs(factors).max() >= 1 or np.abs(factors - 1).min() <= _ISOLATED:
        raise ValueError(f"start must fall on an isolated attracting orbit at {low}, not {start}")
    found, rate, stride = [], low, (high - low) / 64
    while len(found) < count:
        doubling, cycle = _next_doubling(objective, cycle, rate, high, stride)
        if doubling is None:
            break
        # Feigenbaum's ratio: the next doubling is about a fifth of the last distance away.
        distance = doubling - (found[-1] if found else low)
        found.append(doubling)
        rate, stride = doubling + distance / 50, distance / 50
        cycle = _doubled(objective, cycle, rate)
        if cycle is None:
            break
    return np.array(found)


# Arguments


def _window(window, dimension):
    limits = arguments.reals(window, "window")
    if dimension == 1 and limits.shape == (2,):
        limits = limits[np.newaxis]
    if limits.shape != (dimension, 2):
        raise ValueError(f"window must have shape ({dimension}, 2), not {limits.shape}")
    with np.errstate(all="ignore"):
        widths = limits[:, 1] - limits[:, 0]
    if not (np.isfinite(widths).all() and (widths >= np.finfo(float).tiny).all()):
        raise ValueError(f"window must be finite, from low to high in each row, not {window!r}")
    return limits.T


def _interval(interval, name):
    ends = arguments.reals(interval, name)
    if ends.shape != (2,) or not (np.isfinite(ends).all() and ends[0] < ends[1]):
        raise ValueError(f"{name} must be (low, high) with low < high, not {interval!r}")
    return ends.tolist()


def _rates(learning_rate):
    rates = arguments.reals(learning_rate, "learning_rate")
    if rates.ndim > 1:
        raise ValueError(f"learning_rate must be a number or of shape (n,), not {rates.shape}")
    if not np.isfinite(rates).all():
        raise ValueError(f"learning_rate must be finite, not {learning_rate!r}")
    return rates


def _generator(rng):
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise TypeError(
            f"rng must be a whole number or a numpy.random.Generator, not {rng!r}"
        ) from None


# Newton's method on whole cycles: arrays of shape (n, p, d) hold n of them


def _search(objective, h, points, period, low, high):
    """Cycles found from the points, many of them more than once; continua are left out."""
    portion = max(1, 2**22 // (period * points.shape[1]) ** 2)  # matrices of 32 MB at once
    cycles = []
    for first in range(0, len(points), portion):
        guesses = _segments(objective, h, points[first : first + portion], period, low, high)
        solved = _solutions(objective, h, guesses, (high - low) / 4)
        cycles.append(_isolated(objective, h, solved))
    return np.concatenate(cycles)


def _segments(objective, h, points, period, low, high):
    """First guesses: what the map does to each point, kept inside the window."""
    guesses = [points]
    with np.errstate(all="ignore"):
        for _ in range(period - 1):
            step = points - h * objective.gradient(points)
            points = np.where(np.isnan(step), points, np.clip(step, low, high))
            guesses.append(points)
    return np.stack(guesses, axis=1)


def _solutions(objective, h, cycles, limit):
    """Cycles to which Newton's method converges; no coordinate moves by more than its limit."""
    solved = []
    for _ in range(_NEWTON_STEPS):
        steps = _newton_steps(objective, h, cycles)
        usable = np.isfinite(steps).all(axis=(1, 2))
        cycles, steps = cycles[usable], steps[usable]
        with np.errstate(over="ignore"):
            excess = (np.abs(steps) / limit).max(axis=(1, 2), initial=1.0)
        cycles = cycles + steps / excess[:, np.newaxis, np.newaxis]
        done = _size(steps) <= 1e-13 * (1 + _size(cycles))
        solved.append(cycles[done])
        cycles = cycles[~done]
        if not len(cycles):
            break
    # Where an orbit is hardly isolated, rounding keeps the steps from getting that small.
    solved = np.concatenate([*solved, cycles])
    return solved[_closed(objective, h, solved)]


def _newton_steps(objective, h, cycles):
    r"""Newton's step for each cycle, the shortest one where there are many.

    The matrix A has :math:`I - h\nabla^2 f(x_k)` in its diagonal blocks and -I beside them;
    :math:`(A^T A + \mu I)^{-1} A^T` is its inverse unless it is singular to rounding.
    """
    _, p, d = cycles.shape
    defects = _defects(objective, h, cycles)
    jacobians = _jacobians(objective, h, cycles)
    steps = np.full(cycles.shape, np.nan)
    usable = np.isfinite(defects).all(axis=(1, 2)) & (np.abs(jacobians) < 1e100).all(axis=(1, 2, 3))
    if p * d > 128:
        for i in np.flatnonzero(usable):
            steps[i] = _long_newton_step(defects[i], jacobians[i])
        return steps
    k = np.arange(p)
    matrix = np.zeros((usable.sum(), p, d, p, d))
    matrix[:, k, :, k, :] += np.moveaxis(jacobians[usable], 1, 0)
    matrix[:, k, :, (k + 1) % p, :] -= np.eye(d)
    matrix = matrix.reshape(-1, p * d, p * d)
    transposed = np.swapaxes(matrix, 1, 2)
    normal = transposed @ matrix
    mu = 1e-14 * np.trace(normal, axis1=1, axis2=2) + np.finfo(float).tiny
    normal += mu[:, np.newaxis, np.newaxis] * np.eye(p * d)
    right = transposed @ defects[usable].reshape(-1, p * d, 1)
    steps[usable] = -np.linalg.solve(normal, right).reshape(-1, p, d)
    return steps


def _long_newton_step(defects, jacobians):
    """The same for one long cycle, whose matrix is almost all zeros."""
    from scipy import sparse

    p, d = defects.shape
    blocks = np.stack([jacobians, np.broadcast_to(-np.eye(d), (p, d, d))], axis=1)
    columns = np.stack([np.arange(p), (np.arange(p) + 1) % p], axis=1)
    matrix = sparse.bsr_array(
        (blocks.reshape(2 * p, d, d), columns.ravel(), np.arange(0, 2 * p + 1, 2)),
        shape=(p * d, p * d),
    ).tocsc()
    normal = matrix.T @ matrix
    mu = 1e-14 * normal.trace() + np.finfo(float).tiny
    solver = sparse.linalg.splu((normal + mu * sparse.eye_array(p * d)).tocsc())
    return -solver.solve(matrix.T @ defects.ravel()).reshape(p, d)


def _defects(objective, h, cycles):
    with np.errstate(all="ignore"):
        return cycles - h * objective.gradient(cycles) - np.roll(cycles, -1, axis=-2)


def _jacobians(objective, h, points):
    with np.errstate(all="ignore"):
        return np.eye(objective.dimension) - h * objective.hessian(points)


def _closed(objective, h, cycles):
    """Whether each cycle is one, to rounding."""
    return _size(_defects(objective, h, cycles)) <= 1e-12 * (1 + _size(cycles))


def _size(cycles):
    return np.abs(cycles).max(axis=(-2, -1), initial=0.0)


# Which cycles are the same


def _isolated(objective, h, cycles):
    """Without most cycles of continua: there may be as many as starts, all different."""
    products = np.eye(objective.dimension)
    with np.errstate(all="ignore"):
        for jacobians in np.moveaxis(_jacobians(objective, h, cycles), 1, 0):
            products = jacobians @ products
    # A larger multiplier would drown the digits of the one that may be 1.
    clear = (np.abs(products) < 1e6).all(axis=(1, 2))
    values = np.linalg.eigvals(np.where(clear[:, np.newaxis, np.newaxis], products, 0.0))
    return cycles[np.abs(values - 1).min(axis=1) > _ISOLATED]


def _distinct(cycles, low, high):
    """Each cycle inside the window once, if its period is not less than its length."""
    slack = 1e-9 * (high - low)  # a point on the edge may be found a rounding outside
    inside = ((low - slack <= cycles) & (cycles <= high + slack)).all(axis=(1, 2))
    cycles = cycles[inside]
    while len(cycles):
        cycle = cycles[0]
        if _least_period(cycle) == len(cycle):
            yield _from_smallest(cycle)
        distances = np.abs(cycles[:, :1] - cycle).max(axis=2).min(axis=1)
        cycles = cycles[distances > _SAME * (1 + np.abs(cycle).max())]


def _least_period(cycle):
    p = len(cycle)
    tolerance = _SAME * (1 + np.abs(cycle).max())
    return next(
        q
        for q in range(1, p + 1)
        if p % q == 0 and np.abs(cycle - np.roll(cycle, q, axis=0)).max() <= tolerance
    )


def _from_smallest(cycle):
    keys = cycle.round(9).tolist()
    return np.roll(cycle, -keys.index(min(keys)), axis=0) + 0.0  # no negative zero


# Multipliers


def _eigenvalues_of_product(jacobians):
    """Eigenvalues of the product of the matrices, the last one leftmost, by decreasing modulus.

    In a basis that the product takes to itself (up to triangles: simultaneous iteration), a
    large eigenvalue does not drown the digits of a small one.
    """
    d = jacobians.shape[-1]
    if not np.isfinite(jacobians).all():
        return np.full(d, np.nan)
    if d == 1:
        with np.errstate(all="ignore"):
            return jacobians[:, 0].prod(axis=0)
    basis = np.eye(d)
    for _ in range(8):
        first, triangle, scale = basis, np.eye(d), 0.0
        for jacobian in jacobians:
            basis, factor = np.linalg.qr(jacobian @ basis)
            triangle = factor @ triangle
            size = np.abs(triangle).max() or 1.0
            triangle, scale = triangle / size, scale + math.log(size)
    values = np.linalg.eigvals(first.T @ basis @ triangle)
    values = values[np.argsort(-np.abs(values), kind="stable")]
    with np.errstate(all="ignore"):
        return values * np.exp(scale)


# What attracts


def _tails(objective, start, rates, burn_in, length):
    """The points after `burn_in` steps, shape (length, n, d); nan where an orbit has diverged."""
    if len(rates) == 1:
        points = _last_points(objective, rates.item(), start, burn_in + length - 1, length)
        return points[:, np.newaxis]
    points = np.tile(start, (len(rates), 1))
    tails = np.empty((length, *points.shape))
    with np.errstate(all="ignore"):
        for k in range(burn_in + length):
            if k >= burn_in:
                tails[k - burn_in] = points
            points = points - rates[:, np.newaxis] * objective.gradient(points)
            points[~(np.abs(points) <= ESCAPE_RADIUS)] = np.nan
    return tails


def _attractor(objective, h, tail, burn_in):
    """The attracting cycle beside the end of an orbit, shape (p, d); p = 0 where there is none."""
    none = tail[:0]
    if not np.isfinite(tail).all():
        return none
    scale = 1 + np.abs(tail).max()
    for p in range(1, len(tail) // 2 + 1):
        cycle = _beside(objective, h, tail[-p:]) if _return(tail, p) <= 0.1 * scale else none
        if not len(cycle) or np.abs(multipliers(objective, cycle, h)).max() > 1 + _NEUTRAL:
            continue
        distance = np.abs(tail[-len(cycle) :] - cycle).max()
        if distance <= PERIOD_TOLERANCE * scale:
            return cycle
        if _later_distance(objective, h, tail[-1], cycle, burn_in) < distance:
            return cycle
    return none


def _return(tail, period):
    half = len(tail) // 2
    return np.abs(tail[half:] - tail[half - period : len(tail) - period]).max()


def _beside(objective, h, points):
    """The cycle that Newton's method finds near the points, once around; or nothing."""
    cycle = _continued(objective, h, points)
    if len(cycle) and np.abs(cycle - points).max() <= 0.5 * (1 + np.abs(points).max()):
        return cycle[-_least_period(cycle) :]
    return points[:0]


def _later_distance(objective, h, point, cycle, steps):
    """Distance of an orbit, which begins beside the last point of the cycle, after more steps."""
    p = len(cycle)
    orbit = _last_points(objective, h, point, p * max(1, steps // p), p)
    return np.nan_to_num(np.abs(orbit - cycle).max(), nan=np.inf)


def _last_points(objective, h, point, steps, count):
    """The last points of one orbit, shape (count, d); nan where it has diverged."""
    points = deque([point.tolist()], maxlen=count)
    for _ in range(steps):
        gradient = objective.gradient_at(points[-1])
        points.append([x - h * g for x, g in zip(points[-1], gradient, strict=True)])
        if not all(abs(x) <= ESCAPE_RADIUS for x in points[-1]):
            return np.full((count, len(point)), np.nan)
    return np.array(points)


def _next_doubling(objective, cycle, rate, high, stride):
    """Where the continued cycle has the multiplier -1, and the cycle there; or nothing."""
    from scipy.optimize import brentq

    while rate < high:
        further = min(rate + stride, high)
        ahead = _continued(objective, further, cycle)
        if not _flip(objective, further, ahead) > 0:  # no cycle any more is a nan
            break
        rate, cycle, stride = further, ahead, 1.25 * stride
    if rate >= high or not len(ahead):
        return None, cycle

    def between(h):
        share = (h - rate) / (further - rate)
        return _continued(objective, h, cycle + share * (ahead - cycle))

    tolerances = {"xtol": 1e-300, "rtol": 4 * np.finfo(float).eps}
    root = brentq(lambda h: _flip(objective, h, between(h)), rate, further, **tolerances)
    return root, between(root)


def _continued(objective, h, cycle):
    limit = np.full(cycle.shape[1], 0.1 * (1 + np.abs(cycle).max()))
    found = _solutions(objective, h, cycle[np.newaxis], limit)
    return found[0] if len(found) else cycle[:0]


def _flip(objective, h, cycle):
    """A function of the cycle that vanishes where a multiplier is -1; nan for no cycle."""
    return np.prod(1 + multipliers(objective, cycle, h)).real if len(cycle) else np.nan


def _doubled(objective, cycle, rate):
    """The attracting cycle of twice the period beside one that no longer attracts, or None."""
    period = 2 * len(cycle)
    point = cycle[0] + 1e-4 * (1 + np.abs(cycle[0]))
    for _ in range(20):
        points = _last_points(objective, rate, point, 200 * period, period)
        point, doubled = points[-1], _beside(objective, rate, points)
        attracts = len(doubled) and np.abs(multipliers(objective, doubled, rate)).max() < 1
        if len(doubled) == period and attracts:
            return doubled
    return None


# Many digits


def _in_digits(objective, h, points, digits):
    """The orbit near the points by Newton's method in mpmath."""
    import mpmath

    growth = np.abs(multipliers(objective, points, float(h))).max()
    with mpmath.workdps(digits + 20 + int(math.log10(1 + growth))):
        gradient, hessian = _exact_derivatives(objective)
        h = mpmath.mpf(h.numerator) / h.denominator
        cycle = [[mpmath.mpf(x) for x in point] for point in points.tolist()]
        tolerance = mpmath.mpf(10) ** -(digits + 5) * (1 + float(np.abs(points).max()))
        for _ in range(20):
            step = _exact_step(mpmath, cycle, h, gradient, hessian)
            cycle = [
                [x + s for x, s in zip(*rows, strict=True)]
                for rows in zip(cycle, step, strict=True)
            ]
            if max(abs(s) for row in step for s in row) <= tolerance:
                break
        else:
            raise ArithmeticError(f"Newton's method does not reach {digits} digits at {points}")
        product = mpmath.eye(objective.dimension)
        for point in cycle:
            product = _exact_jacobian(mpmath, point, h, hessian) * product
        values = [product[0]] if len(product) == 1 else mpmath.eig(product, right=False)
        values = sorted(values, key=abs, reverse=True)
        if all(abs(mpmath.im(value)) <= 10 * tolerance * abs(value) for value in values):
            values = [mpmath.re(value) for value in values]
    with mpmath.workdps(digits):
        return PeriodicOrbit(
            np.array([[+x for x in point] for point in cycle], dtype=object),
            np.array([+value for value in values], dtype=object),
        )


def _exact_derivatives(objective):
    """Gradient and Hessian as functions of one point in mpmath, parameters as exact as given."""
    import sympy

    values = [sympy.sympify(value) for value in objective.parameters.values()]
    parameters = sympy.lambdify([], values, "mpmath")()
    symbols = [*objective.variables, *objective.parameter_symbols]

    def function(expression):
        compiled = sympy.lambdify(symbols, list(expression), "mpmath", dummify=True)
        return lambda point: compiled(*point, *parameters)

    return function(objective.gradient_expression), function(objective.hessian_expression)


def _exact_jacobian(mpmath, point, h, hessian):
    d, entries = len(point), hessian(point)
    rows = [entries[i * d : (i + 1) * d] for i in range(d)]
    return mpmath.eye(d) - h * mpmath.matrix(rows)


def _exact_step(mpmath, cycle, h, gradient, hessian):
    p, d = len(cycle), len(cycle[0])
    matrix, right = mpmath.zeros(p * d), mpmath.zeros(p * d, 1)
    for k, point in enumerate(cycle):
        here, following = k * d, (k + 1) % p * d
        jacobian, slope = _exact_jacobian(mpmath, point, h, hessian), gradient(point)
        for i in range(d):
            right[here + i] = cycle[(k + 1) % p][i] - point[i] + h * slope[i]
            matrix[here + i, following + i] -= 1
            for j in range(d):
                matrix[here + i, here + j] += jacobian[i, j]
    step = mpmath.lu_solve(matrix, right)
    return [[step[k * d + i] for i in range(d)] for k in range(p)]
