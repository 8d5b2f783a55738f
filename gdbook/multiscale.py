r"""Gradient descent on objectives with two scales, seen as a random walk on the coarse one.

On :math:`f(x) = f_0(x) + \epsilon f_1(x/\epsilon)` with a periodic :math:`f_1` one step is
:math:`x - h f_0'(x) - h f_1'(x/\epsilon)`. Where :math:`\epsilon \ll h`, the phase
:math:`x/\epsilon` modulo the period is as good as uniform and new in every step. What remains is
the *random map* :math:`x \mapsto x - h f_0'(x) - h f_1'(U)` with independent uniform phases U.
This module computes its law: to leading order in h (`temperature`, `gibbs_density`), for rare
events (`quasi_potential`) and exactly (`transfer_operator`).

Throughout, ``macro`` is :math:`f_0`, and ``micro`` is :math:`f_1`, :math:`2\pi`-periodic in each
variable and the sine if it is not given.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gdbook import arguments
from gdbook.objective import Objective, require_formula

__all__ = [
    "TransferOperator",
    "gibbs_density",
    "noise_covariance",
    "quasi_potential",
    "temperature",
    "transfer_operator",
]

# Phases over a cell of the micro-scale, all variables together.
_PHASES = 2**16
# Chances of all cells to go to others, at the most.
_LARGEST = 2**24
# A weight below exp(-40) is nothing beside one, in double precision.
_NEGLIGIBLE = 40.0


def noise_covariance(micro=None):
    r"""Covariance of the noise :math:`-\nabla f_1(U)`, U uniform over a cell.

    Parameters
    ----------
    micro : Objective, optional
        :math:`f_1`.

    Returns
    -------
    ndarray, shape (d, d)
        From sums over equispaced phases, which are exact for trigonometric polynomials whose degree
        is less than half of their number, :math:`2^{16/d}` for each variable.

    Raises
    ------
    ValueError, TypeError
        If :math:`f_1` is not :math:`2\pi`-periodic in each variable, has no finite gradient or
        more than eight variables, or is no formula.

    Examples
    --------
    >>> from gdbook import Objective
    >>> noise_covariance(Objective("sin(x) + sin(2*y)/2", "x y")).round(12) + 0.0
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    noise = _noise(micro)
    return noise.T @ noise / len(noise)


def temperature(learning_rate, micro=None):
    r"""Temperature :math:`T = h\sigma^2/2` of the law :math:`\propto e^{-f_0/T}` for small h.

    The drift :math:`-h f_0'` and the variance :math:`h^2\sigma^2` of a step are those of
    :math:`dX = -f_0'\,dt + \sqrt{h}\,\sigma\,dW` over the time h, whose stationary law has the
    temperature T. For the sine :math:`\sigma^2 = \tfrac12` and :math:`T = h/4`.

    Parameters
    ----------
    learning_rate : float
        :math:`h > 0`.
    micro : Objective, optional
        :math:`f_1`. In several variables its noise must be isotropic, with the covariance
        :math:`\sigma^2 I`: otherwise the stationary law is no function of :math:`f_0` alone.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If the learning rate is not positive, or the noise not isotropic.

    References
    ----------
    L. Kong, M. Tao, "Stochasticity of deterministic gradient descent: large learning rate for
    multiscale objective function", NeurIPS 2020.

    Examples
    --------
    >>> round(temperature(0.1), 12)
    0.025
    """
    rate = arguments.positive(learning_rate, "learning_rate")
    covariance = noise_covariance(micro)
    variance = np.trace(covariance) / len(covariance)
    if not np.allclose(covariance, variance * np.eye(len(covariance)), atol=1e-9 * variance):
        raise ValueError(
            "the noise of micro is not isotropic, so there is no temperature: its covariance is "
            f"{covariance.round(6).tolist()}; use noise_covariance, or a micro with variables alike"
        )
    return float(rate * variance / 2)


def gibbs_density(macro, temperature, points):
    r"""The Gibbs density :math:`e^{-f_0(x)/T} / Z`, normalised over the line or the plane.

    Parameters
    ----------
    macro : Objective
        :math:`f_0` of one or two variables. It must grow, and its deep minima must be at most 16
        from the origin or less than twice as far as a point.
    temperature : float
        :math:`T > 0`.
    points : array_like, shape (...) or (..., 1) for one variable, (..., 2) for two

    Returns
    -------
    ndarray, shape (...)
        Z is a sum over a grid that is fitted to the mass, exact to about ten digits.

    Raises
    ------
    ValueError, TypeError
        If the temperature is not positive, or too low to see several wells at once; if a point is
        not finite; if :math:`f_0` has other than one or two variables or does not grow.

    Examples
    --------
    >>> from gdbook import Objective
    >>> float(gibbs_density(Objective("x^2/2", "x"), 0.25, 0.0).round(12))  # 1 / sqrt(2 pi T)
    0.797884560803
    """
    _require_dimension(macro, "macro", (1, 2))
    heat = arguments.positive(temperature, "temperature")
    points = _columns(points, macro.dimension)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lowest, log_mass = _log_mass(macro, heat, np.abs(points).max(initial=8.0))
        return np.exp((lowest - macro.value(points)) / heat - log_mass)


def quasi_potential(macro, points, micro=None):
    r"""The V for which the random map has the law :math:`\asymp e^{-V/h}` as :math:`h \to 0`.

    Its slope is the root :math:`p \ne 0` of :math:`\ln E\, e^{-p f_1'(U)} = p f_0'(x)`, which for
    the sine is :math:`\ln I_0(V') = V' f_0'`. It begins with :math:`f_0/T`: for the sine
    :math:`V' = 4 f_0' + 4 f_0'^3 + \dots`, while Gibbs' law keeps the first term alone and so
    overrates points that can only be reached by climbing a slope comparable with the noise. V
    knows the exponent, not the factor before the exponential.

    Parameters
    ----------
    macro : Objective
        :math:`f_0` of one variable.
    points : array_like, shape (...) or (..., 1)
    micro : Objective, optional
        :math:`f_1` of one variable.

    Returns
    -------
    ndarray, shape (...)
        V, which is 0 at its lowest in the interval that the points span. ``inf`` where no noise
        leads: beyond a slope :math:`f_0'` as steep as the largest :math:`-f_1'`, seen from
        the lowest point of :math:`f_0`.

    Raises
    ------
    ValueError, TypeError
        If a point is not finite, a formula has more than one variable, or :math:`f_1` is constant.

    References
    ----------
    M. Freidlin, A. Wentzell, *Random Perturbations of Dynamical Systems*, Springer (1984), for maps
    Y. Kifer, *Random Perturbations of Dynamical Systems*, Birkhäuser (1988).

    Examples
    --------
    >>> from gdbook import Objective
    >>> quasi_potential(Objective("x^2/2", "x"), [0.0, 0.1, 1.5]).round(6)
    array([0.      , 0.020101,      inf])
    """
    _require_dimension(macro, "macro", (1,))
    points = _columns(points, 1)[..., 0]
    if not points.size:
        raise ValueError("points must be at least one, because V is 0 at the lowest of them")
    slope = _climbing_slope(_noise_1d(micro))
    grid = np.union1d(points, np.linspace(points.min(), points.max(), 2001))
    # Eight nodes of Gauss in each interval: exact for polynomials of degree 15.
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(grid)[:, np.newaxis] / 2
    inner = slope(macro.gradient((grid[:-1, np.newaxis] + half * (1 + nodes))[..., np.newaxis]))
    known = np.isfinite(slope(macro.gradient(grid[:, np.newaxis])[:, 0]))
    climbed = known[1:] & known[:-1] & np.isfinite(inner[..., 0]).all(axis=1)
    rise = np.where(climbed, half[:, 0] * (inner[..., 0] @ weights), np.nan)
    lowest = int(np.argmin(np.where(known, macro.value(grid[:, np.newaxis]), np.inf)))
    left, right = np.cumsum(-rise[:lowest][::-1])[::-1], np.cumsum(rise[lowest:])
    values = np.concatenate([left, [0.0 if known[lowest] else np.nan], right])
    values -= np.min(values, initial=0.0, where=~np.isnan(values))
    return np.where(np.isnan(values), np.inf, values)[np.searchsorted(grid, points)]


def transfer_operator(macro, learning_rate, limits, cells=1000, micro=None):
    r"""The random map :math:`x \mapsto x - h f_0'(x) - h f_1'(U)` as a Markov chain of cells.

    From the centre of a cell the map leads to a point between two centres, which share its
    probability as in linear interpolation. The expected shares are second differences of
    :math:`G(z) = E \max(z + f_1'(U), 0)`, the integral of the distribution function of the noise:
    for the sine :math:`G(z) = z (\tfrac12 + \arcsin(z)/\pi) + \sqrt{1 - z^2}/\pi`, and
    otherwise a sum over :math:`2^{16}` equispaced phases. Sharing keeps the mean of every step and
    adds :math:`w^2/6` to its variance, w the width of a cell, so the noise is made narrower by as
    much.

    Parameters
    ----------
    macro : Objective
        :math:`f_0` of one variable.
    learning_rate : float
        :math:`h > 0`.
    limits : (float, float)
        An interval that the random map never leaves. It does not if :math:`h` is moderate and at
        its ends :math:`f_0` rises outwards more steeply than the noise can climb: for the sine,
        :math:`|f_0'| \ge 1`.
    cells : int
        Number of cells; their width must be less than the standard deviation of the noise. Time
        grows with the number of cells times the square of how many the noise spans.
    micro : Objective, optional
        :math:`f_1` of one variable.

    Returns
    -------
    TransferOperator

    Raises
    ------
    ValueError, TypeError
        If a step from inside the limits can lead out of them, the cells are too wide or more than
        memory is for, :math:`f_1` is constant, or there is more than one stationary law because the
        noise is too weak to join the wells.

    References
    ----------
    S. Ulam, *A Collection of Mathematical Problems*, Interscience (1960). W. Grassmann, M. Taksar,
    D. Heyman, "Regenerative analysis and steady state distributions for Markov chains", Operations
    Research 33 (1985), for the stationary law without a subtraction.

    Examples
    --------
    >>> from gdbook import Objective
    >>> operator = transfer_operator(Objective("x^2/2", "x"), 0.1, (-1.25, 1.25))
    >>> round(operator.mean(2), 7), round(0.1 / (2 * (2 - 0.1)), 7)
    (0.0263158, 0.0263158)
    >>> round(operator.gap, 6)
    0.1
    """
    _require_dimension(macro, "macro", (1,))
    rate = arguments.positive(learning_rate, "learning_rate")
    cells = arguments.natural(cells, "cells", least=4)
    edges = _edges(limits, cells)
    noise = _noise_1d(micro)
    deviation = rate * np.std(noise)
    width = (edges[-1] - edges[0]) / cells
    if width > deviation:
        needed = np.ceil((edges[-1] - edges[0]) / deviation)
        raise ValueError(
            f"cells must be at least {needed:.10g} for limits {limits} and learning_rate {rate}, "
            f"so that one is narrower than the noise, not {cells}"
        )
    reach = rate * np.sqrt(1 - (width / deviation) ** 2 / 6)
    excess = _arcsine_excess if micro is None else _sampled_excess(noise)
    matrix = _matrix(macro, rate, edges, reach, noise, excess)
    return TransferOperator(edges, matrix, _stationary(matrix) / width)


@dataclass(frozen=True, eq=False)
class TransferOperator:
    """A random map on an interval as a Markov chain of n cells, with its stationary law.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
    matrix : scipy.sparse.csr_array, shape (n, n)
        Row i holds the probabilities to go from cell i to each cell; every row has the sum 1. A
        density goes forward by ``matrix.T``.
    density : ndarray, shape (n,)
        Stationary probability of each cell divided by its width, each with a small relative error,
        however small it is.
    """

    edges: np.ndarray
    matrix: object
    density: np.ndarray

    @property
    def centres(self):
        """Centres of the cells, shape (n,)."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    @cached_property
    def _weights(self):
        return self.density * (self.edges[-1] - self.edges[0]) / len(self.density)

    def mean(self, function=1):
        """Stationary mean of ``function(x)``, or of the power of x that `function` is.

        A function is called once, with the centres of all cells.
        """
        if callable(function):
            values = arguments.reals(function(self.centres), "values of function")
        else:
            values = self.centres ** arguments.natural(function, "function")
        if values.shape not in ((), self.density.shape):
            raise ValueError(
                f"function must give one value for each of {self.density.shape} points, "
                f"not {values.shape}"
            )
        return float(np.sum(values * self._weights))

    def share(self, low, high):
        """Stationary probability of the interval from `low` to `high`; they may be infinite."""
        cumulative = np.concatenate([[0.0], np.cumsum(self._weights)])
        ends = arguments.reals([low, high], "low and high")
        if not ends[0] <= ends[1]:
            raise ValueError(f"low must not be above high, not {low!r} and {high!r}")
        below_low, below_high = np.interp(ends, self.edges, cumulative)
        return float(below_high - below_low)

    def eigenvalues(self, count=2):
        """The `count` eigenvalues of largest modulus, largest first; the first one is 1."""
        from scipy.sparse.linalg import eigs

        cells = len(self.density)
        count = arguments.natural(count, "count", least=1)
        if count > cells - 2:
            raise ValueError(f"count must be at most {cells - 2} for {cells} cells, not {count}")
        # A start with a part along every eigenvector; constants are the first one.
        start = np.cos(np.arange(cells))
        found = eigs(self.matrix, count, v0=start, return_eigenvectors=False)
        return found[np.argsort(-np.abs(found), kind="stable")]

    @cached_property
    def gap(self):
        """One minus the modulus of the second eigenvalue: the rate at which the law is reached."""
        return float(1 - np.abs(self.eigenvalues(2)[1]))


# How it is done


def _require_dimension(objective, name, dimensions):
    require_formula(objective, name)
    if objective.dimension not in dimensions:
        allowed = " or ".join(map(str, dimensions))
        raise ValueError(
            f"{name} must have {allowed} variable{'s' * (dimensions != (1,))} here, "
            f"not {objective.dimension}"
        )


def _columns(points, dimension):
    points = arguments.reals(points, "points")
    if dimension == 1 and points.shape[-1:] != (1,):
        points = points[..., np.newaxis]
    if not np.isfinite(points).all():
        raise ValueError(f"points must be finite, not {points[~np.isfinite(points)][0]}")
    return arguments.points(points, dimension)


def _noise(micro):
    """-grad f1 at equispaced phases, shape (n, d)."""
    micro = Objective("sin(x)", "x") if micro is None else micro
    _require_dimension(micro, "micro", range(1, 9))
    count = round(_PHASES ** (1 / micro.dimension))
    phases = (np.arange(count) + 0.5) * (2 * np.pi / count)
    points = np.stack(np.meshgrid(*[phases] * micro.dimension), -1).reshape(-1, micro.dimension)
    values, noise = micro.value(points), -micro.gradient(points)
    if not np.abs(noise).max() < 1e150:  # its square is to be a number too
        raise ValueError(f"micro must have a finite gradient everywhere, not so {micro}")
    for shift in 2 * np.pi * np.eye(micro.dimension):
        with np.errstate(invalid="ignore"):  # not numbers are not periodic
            again = np.allclose(micro.value(points + shift), values, atol=1e-9 * np.ptp(values))
        if not again:
            raise ValueError(f"micro must have the period 2 pi in each variable, not so {micro}")
    return noise


def _noise_1d(micro):
    if micro is not None:
        _require_dimension(micro, "micro", (1,))
    noise = _noise(micro)[:, 0]
    if np.std(noise) <= 1e-9 * np.abs(noise).max():
        raise ValueError(f"micro must not be constant, because its slopes are the noise: {micro}")
    return noise


def _log_mass(macro, heat, far):
    """The lowest value of f0, and log of the integral of exp((lowest - f0) / T)."""
    d = macro.dimension
    count = 2**14 if d == 1 else 2**10
    low, high = np.full(d, -2 * far), np.full(d, 2 * far)
    for _ in range(60):
        axes = np.linspace(low, high, count + 1, axis=-1)
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        energy = macro.value(points) / heat
        if not np.isfinite(energy).any():
            break
        inside = energy - np.nanmin(energy) < _NEGLIGIBLE
        spans = [np.flatnonzero(inside.any(axis=tuple(set(range(d)) - {i}))) for i in range(d)]
        first, last = np.array([(span[0], span[-1]) for span in spans]).T
        if (first == 0).any() or (last == count).any():  # mass on the border
            low, high = 2 * low - high, 2 * high - low
        elif ((last - first) < count / 2).any():  # most of the grid without mass
            step = (high - low) / count
            low, high = low + (first - 1) * step, low + (last + 1) * step
        else:
            weights = np.exp(np.nanmin(energy) - energy)
            mass = np.nansum(weights)
            if abs(np.nansum(weights[(slice(None, None, 2),) * d]) * 2**d - mass) > 1e-2 * mass:
                raise ValueError(
                    f"temperature must be larger, not {heat}: the wells of {macro} are too narrow "
                    "to be seen at once"
                )
            cell = np.prod((high - low) / count)
            return np.nanmin(energy) * heat, np.log(mass * cell)
    raise ValueError(f"exp(-macro / temperature) has no finite integral for {macro}")


def _climbing_slope(noise):
    """The root p of ln E exp(p noise) = p s as a function of s; infinite beyond the noise."""
    from scipy.interpolate import CubicSpline

    scale = np.std(noise)
    noise = noise[:: len(noise) // 2**13] / scale
    t = np.linspace(-10, 10, 1200)  # p = sinh t; an even number leaves out p = 0
    p = np.sinh(t)[:, np.newaxis]
    highest = np.where(p > 0, noise.max(), noise.min()) * p
    mean = np.mean(np.exp(p * noise - highest), axis=1, keepdims=True)
    slopes = ((highest + np.log(mean)) / p)[:, 0]
    root = CubicSpline(slopes, t)

    def slope(s):
        s = s / scale
        inner = np.sinh(root(np.clip(s, slopes[0], slopes[-1]))) / scale
        inner = np.where(s >= noise.max(), np.inf, inner)
        return np.where(s <= noise.min(), -np.inf, inner)

    return slope


def _edges(limits, cells):
    limits = arguments.reals(limits, "limits")
    if limits.shape != (2,) or not np.isfinite(limits).all() or limits[0] >= limits[1]:
        raise ValueError(f"limits must be two finite numbers in order, not {limits.tolist()}")
    return np.linspace(*limits, cells + 1)


def _arcsine_excess(z):
    inner = np.clip(z, -1, 1)
    value = inner * (0.5 + np.arcsin(inner) / np.pi) + np.sqrt(1 - inner**2) / np.pi
    return np.where(z > 1, z, value)


def _sampled_excess(noise):
    values = np.sort(noise)
    sums = np.concatenate([[0.0], np.cumsum(values)])

    def excess(z):
        below = np.searchsorted(values, z)
        return (z * below - sums[below]) / len(values)

    return excess


def _matrix(macro, rate, edges, reach, noise, excess):
    from scipy.sparse import csr_array

    cells = len(edges) - 1
    width = (edges[-1] - edges[0]) / cells
    centres = (edges[:-1] + edges[1:]) / 2
    means = centres - rate * macro.gradient(centres[:, np.newaxis])[:, 0]
    lowest, highest = means + reach * noise.min(), means + reach * noise.max()
    out = ~((lowest >= centres[0]) & (highest <= centres[-1]))
    if out.any():
        i = int(np.argmax(out))
        raise ValueError(
            f"limits ({edges[0]:g}, {edges[-1]:g}) are left: a step from {centres[i]:.6g} leads to "
            f"between {lowest[i]:.6g} and {highest[i]:.6g}; widen them to where macro rises "
            f"outwards more steeply than {np.abs(noise).max():.6g}, or lower learning_rate"
        )
    first = np.floor((lowest - centres[0]) / width).astype(int)
    count = int(np.ceil((highest - lowest).max() / width)) + 2
    if cells * count > _LARGEST:
        raise ValueError(
            f"cells must be fewer, not {cells}: the noise spans {count} of them, more chances than "
            "memory is for"
        )
    columns = first[:, np.newaxis] + np.arange(-1, count + 1)
    z = (centres[0] + width * columns - means[:, np.newaxis]) / reach
    chances = np.diff(excess(z), 2, axis=1)
    # Beyond the noise there is nothing but rounding.
    chances[(z[:, 2:] <= noise.min()) | (z[:, :-2] >= noise.max()) | (chances < 0)] = 0
    chances /= chances.sum(axis=1, keepdims=True)
    rows, places = np.nonzero(chances)
    entries = chances[rows, places], (rows, first[rows] + places)
    return csr_array(entries, shape=(cells, cells))


def _stationary(matrix):
    """Stationary law by elimination of states in GTH's way, which adds and never subtracts."""
    from scipy.sparse.csgraph import connected_components

    _, classes = connected_components(matrix, connection="strong")
    begin, end = matrix.tocoo().coords
    closed = np.setdiff1d(classes, classes[begin[classes[begin] != classes[end]]])
    if len(closed) > 1:
        raise ValueError(
            f"the random map has {len(closed)} stationary laws: the noise is too weak to join its "
            "wells; choose limits around one of them, or a larger learning_rate"
        )
    (states,) = np.nonzero(classes == closed[0])
    chain, band = _banded(matrix[states][:, states])
    for k in range(len(chain) - 1, 0, -1):
        near = slice(max(0, k - band), k)
        chain[near, k] /= chain[k, near].sum()
        chain[near, near] += np.outer(chain[near, k], chain[k, near])
    law = np.zeros(len(chain))
    law[0] = 1
    for k in range(1, len(chain)):
        law[k] = law[max(0, k - band) : k] @ chain[max(0, k - band) : k, k]
        if law[k] > 1e200:
            law /= law[k]
    result = np.zeros(matrix.shape[0])
    result[states] = law / law.sum()
    return result


def _banded(matrix):
    """A view by row and column of the band about the diagonal, with zeros, and its half width.

    Beyond the band it shows entries of other rows.
    """
    entries = matrix.tocoo()
    begin, end = entries.coords
    band, size = int(np.abs(begin - end).max()), len(matrix.indptr) - 1
    rows = np.zeros(size * (2 * band + 1))
    rows[band + 2 * band * begin + end] = entries.data
    strides = (2 * band * rows.itemsize, rows.itemsize)
    return np.lib.stride_tricks.as_strided(rows[band:], (size, size), strides), band
