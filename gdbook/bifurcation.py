"""Bifurcation diagrams: where the orbits of gradient descent settle, learning rate by rate."""

from dataclasses import dataclass

import numpy as np

from gdbook import arguments
from gdbook.objective import require_formula

__all__ = ["BifurcationDiagram", "bifurcation_diagram"]


@dataclass(frozen=True, eq=False)
class BifurcationDiagram:
    """Points of one orbit for each of m learning rates.

    Attributes
    ----------
    learning_rates : ndarray, shape (m,)
    points : ndarray, shape (m, keep, d)
        ``points[j, k]`` is the point after ``burn_in + k + 1`` steps with learning rate j; ``nan``
        where the orbit diverged. In memory the learning rates lie side by side, so that going
        through all of them step by step is fastest.
    diverged : ndarray of bool, shape (m,)
        Whether the orbit, from its start on, ever had a coordinate beyond :math:`10^6` or not
        finite, as in :class:`gdbook.Outcome`.
    """

    learning_rates: np.ndarray
    points: np.ndarray
    diverged: np.ndarray

    def coordinate(self, i=0):
        """What a plot of coordinate i takes: learning rates and coordinates of all points.

        Returns
        -------
        learning_rates, coordinates : ndarray, shape (m * keep,)

        Examples
        --------
        >>> from gdbook.catalogue import double_well
        >>> bifurcation_diagram(double_well(), [0.5, 0.9], 0.3, 200, keep=2).coordinate()
        (array([0.5, 0.9, 0.5, 0.9]), array([1., 1., 1., 1.]))
        """
        coordinates = self.points[:, :, i].T
        return np.broadcast_to(self.learning_rates, coordinates.shape).ravel(), coordinates.ravel()


def bifurcation_diagram(
    objective,
    learning_rates,
    start,
    burn_in,
    keep,
    *,
    contract=False,
    workers=None,
    progress=True,
):
    r"""Iterate :math:`x_{k+1} = x_k - h \nabla f(x_k)` for many :math:`h` and keep late points.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    learning_rates : array_like, shape (m,)
        The :math:`h`.
    start : array_like, shape (d,) or (m, d)
        :math:`x_0`, one for all learning rates or one for each; where d = 1, numbers will do.
    burn_in : int
        Steps that are not kept.
    keep : int
        Steps that are kept, at least one.
    contract : bool
        Whether a product and a sum may be rounded once instead of twice: faster, but the bits then
        depend on the processor.
    workers : int, optional
        Threads; by default one for each processor. The points do not depend on it.
    progress : bool
        Whether to show a bar when the work takes over a second.

    Returns
    -------
    BifurcationDiagram

    Raises
    ------
    ValueError, TypeError
        If a start or a learning rate is not finite or has the wrong shape, or a number of steps
        is not a whole number.

    Notes
    -----
    For a rational formula the points are those of :func:`gdbook.gradient_descent`, bit by bit.

    References
    ----------
    R. May, "Simple mathematical models with very complicated dynamics", Nature 261 (1976).

    Examples
    --------
    Gradient descent on the double well has a fixed point at :math:`h < 1`; then periods 2 and 4:

    >>> from gdbook.catalogue import double_well
    >>> diagram = bifurcation_diagram(double_well(), [0.8, 1.1, 1.25, 2.5], 0.3, 5000, keep=64)
    >>> [len(np.unique(x.round(9))) for x in diagram.points[:3]]
    [1, 2, 4]
    >>> diagram.diverged
    array([False, False, False,  True])

    The points of period 2 satisfy :math:`x_1 x_2 = 1/h`:

    >>> (diagram.points[1, 0] * diagram.points[1, 1] * 1.1).round(12)
    array([1.])
    """
    require_formula(objective)
    rates = _learning_rates(learning_rates)
    starts = _starts(start, objective, len(rates))
    burn_in = arguments.natural(burn_in, "burn_in")
    keep = arguments.natural(keep, "keep", least=1)
    kept = _aligned(keep, objective.dimension, len(rates))
    inside = _record(objective, starts, rates, burn_in, kept, contract, workers, progress)
    kept = kept[:, :, : len(rates)]
    kept[:, :, ~inside] = np.nan
    return BifurcationDiagram(rates, kept.transpose(2, 0, 1), ~inside)


def _record(objective, starts, rates, burn_in, kept, contract, workers, progress):
    from gdbook.kernels import generate, parts, record

    inside = np.ones(len(rates), bool)

    def work(part, slices):
        points, h = np.array(starts[part].T, order="C"), rates[part]
        for begin, end in slices:
            rows = kept[max(0, begin - burn_in) : max(0, end - burn_in)]
            trace = end - begin - len(rows)
            inside[part] &= record.record(objective, points, h, trace, rows, part.start, contract)

    lanes = generate.lanes_for(objective.dimension)
    steps = burn_in + len(kept)
    parts.in_parts(work, len(rates), steps, lanes, workers, "bifurcation diagram", progress)
    return inside


def _aligned(keep, d, m):
    """Shape (keep, d, at least m), every row at the beginning of a line of the cache."""
    row = -(-m // 8) * 8
    memory = np.empty(keep * d * row + 8)
    first = -memory.ctypes.data % 64 // 8
    return memory[first : first + keep * d * row].reshape(keep, d, row)


def _learning_rates(value):
    rates = arguments.reals(value, "learning_rates")
    if rates.ndim != 1:
        raise ValueError(f"learning_rates must have shape (m,), not {rates.shape}")
    if not np.isfinite(rates).all():
        raise ValueError(f"learning_rates must be finite, not {rates[~np.isfinite(rates)][0]}")
    return rates


def _starts(start, objective, m):
    d = objective.dimension
    starts = arguments.starts(start, d, "start")
    if starts.shape not in ((d,), (m, d)):
        raise ValueError(
            f"start must be one point of shape ({d},) or one for each of the {m} learning rates, "
            f"shape ({m}, {d}), not {starts.shape}"
        )
    if not np.isfinite(starts).all():
        raise ValueError(f"start must be finite, not {starts[~np.isfinite(starts)][0]}")
    return np.broadcast_to(starts, (m, d))
