"""What became of an orbit: the one definition that text, figures, NumPy and JavaScript share."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gdbook import arguments

__all__ = ["LABELS", "Outcome", "javascript", "outcome_of"]

LABELS = ("converged", "diverged", "periodic", "bounded")

ESCAPE_RADIUS = 1e6
"""An orbit has diverged when a coordinate exceeds this, or stops being a finite number."""

CONVERGENCE_TOLERANCE = 1e-10
"""Largest last move of an orbit that has converged, relative to one plus its size."""

CHECK_INTERVAL = 32
"""Convergence is tested at every multiple of this number of steps, and at the last step."""

PERIOD_TOLERANCE = 1e-9
"""How closely, relative to one plus its size, a periodic orbit must return, twice in a row."""

RETURN_RATIO = 1e-3
"""How closely, relative to its last move, a periodic orbit must return, twice in a row."""

LONGEST_PERIOD = 64
"""Longer periods are not looked for."""


@dataclass(frozen=True)
class Outcome:
    r"""What became of an orbit :math:`x_0, \dots, x_n`.

    With :math:`|x|` the largest absolute coordinate, the first of these that applies:

    * ``"diverged"``: :math:`|x_k| > 10^6` or :math:`x_k` not finite; `step` is the first such k.
    * ``"converged"``: :math:`|x_k - x_{k-1}| \le 10^{-10}(1 + |x_k|)` for a k that is a multiple
      of 32, or n; `step` is the first such k. Whichever of these two comes first in k counts.
    * ``"periodic"``: for some :math:`2 \le p \le 64` the orbit returned twice in a row,
      :math:`|x_k - x_{k-p}| \le 10^{-9}(1 + |x_k|)` at k = n and k = n - p, and both times a
      thousand times closer than it moves, :math:`|x_k - x_{k-p}| \le 10^{-3} |x_n - x_{n-1}|`;
      `period` is the least such p.
    * ``"bounded"``: none of these within n steps: the orbit is still on its way, or chaotic.

    Without the second condition small moves would pass for returns. An orbit that in every step
    changes sides and shrinks by a factor q is after two steps :math:`(1 - q)/q` times its last move
    away from where it was, and on its way.

    Attributes
    ----------
    label : str
        One of ``"converged"``, ``"diverged"``, ``"periodic"``, ``"bounded"``.
    step : int
        The step at which the label was earned; n for the last two.
    period : int
        Zero unless the orbit is periodic.

    Examples
    --------
    >>> import gdbook as gd
    >>> gd.gradient_descent(gd.catalogue.quadratic(), 1.0, 2.0, steps=100).outcome.period
    2
    """

    label: str
    step: int
    period: int = 0


def outcome_of(points):
    """Outcome of the orbit with the given points.

    Parameters
    ----------
    points : array_like, shape (n + 1, d)
        Start and n iterates.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> import numpy as np
    >>> outcome_of((-1.0) ** np.arange(101)[:, np.newaxis])
    Outcome(label='periodic', step=100, period=2)
    >>> outcome_of(1.5 ** np.arange(101)[:, np.newaxis])
    Outcome(label='diverged', step=35, period=0)
    """
    points = arguments.reals(points, "points")
    if points.ndim != 2 or len(points) == 0:
        raise ValueError(f"points must have shape (n + 1, d), not {points.shape}")
    steps = len(points) - 1
    sizes = np.abs(points).max(axis=1, initial=0.0)
    escape = _first(np.arange(steps + 1), ~(sizes <= ESCAPE_RADIUS))
    checks = np.array([*range(CHECK_INTERVAL, steps, CHECK_INTERVAL), steps])
    settled = _near(points, sizes, checks, checks - 1, CONVERGENCE_TOLERANCE) & (checks > 0)
    convergence = _first(checks, settled)
    if escape < np.inf and escape <= convergence:
        return Outcome("diverged", int(escape))
    if convergence < np.inf:
        return Outcome("converged", int(convergence))
    for period in range(2, min(LONGEST_PERIOD, steps // 2) + 1):
        if _returns(points, sizes, steps, period) and _returns(
            points, sizes, steps - period, period
        ):
            return Outcome("periodic", steps, period)
    return Outcome("bounded", steps)


def _first(steps, holds):
    return steps[holds][0] if holds.any() else np.inf


def _returns(points, sizes, k, period):
    moved = RETURN_RATIO * _distance(points[-1], points[-2])
    near = _near(points, sizes, k, k - period, PERIOD_TOLERANCE)
    return near and _distance(points[k], points[k - period]) <= moved


def _near(points, sizes, k, j, tolerance):
    return _distance(points[k], points[j]) <= tolerance * (1 + sizes[k])


def _distance(x, y):
    with np.errstate(all="ignore"):  # an orbit that overflowed is not near anything
        return np.abs(x - y).max(axis=-1, initial=0.0)


def javascript():
    """Text of an ES module with the same definition.

    It exports ``rules`` (the constants above) and
    ``outcomeOf(step, start, h, p, steps) -> {label, step, period}``, where ``step`` is the function
    of that name in the module which an objective writes.

    Examples
    --------
    >>> "export function outcomeOf" in javascript()
    True
    """
    rules = {
        "escapeRadius": ESCAPE_RADIUS,
        "convergenceTolerance": CONVERGENCE_TOLERANCE,
        "checkInterval": CHECK_INTERVAL,
        "periodTolerance": PERIOD_TOLERANCE,
        "returnRatio": RETURN_RATIO,
        "longestPeriod": LONGEST_PERIOD,
    }
    code = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    return f"export const rules = {json.dumps(rules)};\n{code}"
