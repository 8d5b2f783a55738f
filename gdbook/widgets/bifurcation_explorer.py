"""The bifurcation diagram of gradient descent under the reader's hand."""

import numpy as np
import traitlets

from gdbook.bifurcation import bifurcation_diagram
from gdbook.descent import gradient_descent
from gdbook.periodic import attracting_period, period_doublings
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    FARTHEST,
    LiveFigure,
    parameter_values,
    require_dimension,
    require_inside,
    view,
    worker_javascript,
)

__all__ = ["BifurcationExplorer"]

LATE = 2048
"""Iterates of each learning rate that the still draws."""

ROWS = 400
MARKS = 5


class BifurcationExplorer(LiveFigure):
    """Where orbits settle, for every learning rate; cobweb and orbit at one of them.

    Parameters
    ----------
    objective : Objective
        Of one variable.
    learning_rate : float, optional
        By default three fifths of the way through the limits.
    start : float
    limits : (float, float, float, float), optional
        Lowest and highest learning rate, and lower and upper end of the variable. By default a
        little more than what the bounded orbits of this start fill.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.BifurcationExplorer(gd.catalogue.double_well())
    >>> figure.limits[:2], figure.learning_rate
    ([0.0, 2.1], 1.26)
    """

    source = "bifurcation_explorer.js"
    ratios = (0.62, 1.52)
    panels = ((0, 0, 0.62, 1), (0.62, 0, 0.38, 0.5), (0.62, 0.5, 0.38, 0.5))
    legend = True

    learning_rate = traitlets.Float().tag(sync=True)
    start = traitlets.Float().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    first_step = traitlets.Int(0).tag(sync=True)
    _home = traitlets.List().tag(sync=True)
    _range = traitlets.List().tag(sync=True)
    _smoothness = traitlets.Float().tag(sync=True)
    _smoothness_origin = traitlets.Unicode().tag(sync=True)
    _doublings = traitlets.List().tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)

    def __init__(self, objective, learning_rate=None, start=0.3, *, limits=None):
        require_dimension(objective, 1, "BifurcationExplorer")
        start = require_inside("start", start, -FARTHEST, FARTHEST)
        minimum = _minimum(objective, start)
        smoothness, origin = _smoothness(objective, minimum)
        found = _home(objective, start, minimum, smoothness) if limits is None else limits
        home = view(found)
        if home[0] < 0:
            raise ValueError(f"limits must begin with a learning rate of 0 or more, not {limits!r}")
        if learning_rate is None:
            learning_rate = home[0] + 0.6 * (home[1] - home[0])
        learning_rate = require_inside("learning_rate", learning_rate, 0, home[1])
        doublings = _doublings(objective, start, home[1], smoothness)
        super().__init__(
            objective,
            name="Bifurcation diagram of gradient descent on {f}",
            alt=_description(home, doublings, start, learning_rate),
            texts={"worker": worker_javascript(objective, "bifurcation_worker.js")},
            sliders=2,
            learning_rate=round(learning_rate, 12),
            start=start,
            limits=home,
            _home=home,
            _range=home[2:] if limits is None else _range(objective, start, home),
            _smoothness=smoothness,
            _smoothness_origin=origin,
            _doublings=doublings,
            _parameters=parameter_values(objective),
        )

    def _draw_still(self, diagram, cobweb, series):
        h, start, ends = self.learning_rate, self.start, self._range
        diagram.imshow(
            _shades(self.objective, start, ends, self.limits),
            extent=self.limits,
            interpolation="nearest",
        )
        diagram.axvline(h, color="#1b1f24", linewidth=1.2)
        for rate in self._doublings:
            diagram.plot([rate, rate], [0.98, 1], color=COLOURS["edge"], transform=_along(diagram))
        diagram.set(xlim=self.limits[:2], ylim=self.limits[2:], aspect="auto")
        diagram.set_title(
            f"{self.objective.variables[0]} for large k, against learning rate", fontsize=9
        )
        diagram.grid(False)

        x = gradient_descent(self.objective, start, h, 60).points[:, 0]
        variable, colour = self.objective.variables[0], COLOURS["gradient descent"]
        grid = np.linspace(*ends, 201)
        step = grid - h * self.objective.gradient(grid[:, np.newaxis])[:, 0]
        cobweb.plot(ends, ends, "--", color="0.5", linewidth=0.8)
        cobweb.plot(grid, step, color="#1b1f24")
        corners = np.repeat(x, 2)
        cobweb.plot(corners[:-1], [ends[0], *corners[2:]], color=colour, linewidth=1)
        cobweb.set(xlim=ends, ylim=ends)
        cobweb.set_title(rf"${variable}_{{k+1}}$ against ${variable}_k$", fontsize=9)

        series.plot(x, ".-", color=colour, linewidth=1)
        series.set(xlim=(0, 59), ylim=ends)
        series.set_title(f"${variable}_k$ against step", fontsize=9)


def _minimum(objective, start):
    """Where descent in small steps ends; nothing where it does not settle."""
    reach = max(2.0, 1.25 * abs(start))
    window = np.linspace(start - reach, start + reach, 401)[:, np.newaxis]
    with np.errstate(all="ignore"):
        steepest = np.nanmax(np.abs(objective.hessian(window)), initial=0.0)
    if not 0 < steepest < np.inf:
        return None
    rate = np.array([0.25 / steepest])
    *_, before, last = bifurcation_diagram(objective, rate, start, 20000, 2).points[0, :, 0]
    settled = abs(last - before) <= 1e-6 * (1 + abs(last))
    return float(last) if settled else None


def _smoothness(objective, minimum):
    """The L of 2/L, and in words where it comes from; 0 where there is none."""
    sharpness = 0.0 if minimum is None else float(objective.hessian([minimum])[0, 0])
    # a degenerate minimum is approached so slowly that descent has not found it
    if not 1e-6 < sharpness < np.inf or abs(objective.gradient([minimum])[0]) > 1e-6 * sharpness:
        return 0.0, ""
    if objective.hessian_expression.free_symbols.isdisjoint(objective.variables):
        return sharpness, ""
    return sharpness, f"f″({round(minimum, 6) + 0.0:.3g})".replace("-", "−")


def _home(objective, start, minimum, smoothness):
    """Learning rates up to a little beyond where orbits stay bounded, and what these fill."""
    if minimum is None:
        raise ValueError(f"limits must be given, because {objective} has no minimum near {start:g}")
    scale = smoothness or abs(float(objective.hessian([start])[0, 0])) or 1.0
    rates = np.linspace(0, 8 / scale, 401)[1:]
    ends = bifurcation_diagram(objective, rates, start, 2000, 64).points[..., 0]
    bounded = (np.abs(ends - minimum) < 4 * (1 + abs(start - minimum))).all(axis=1)
    # up to where most orbits are bounded, and beyond it most are not
    split = np.argmax(np.cumsum(np.where(bounded, 1, -1)))
    reach = _reach(objective, start, rates[: split + 1])
    if reach is None or not bounded[0]:
        raise ValueError(f"limits must be given, because orbits from {start:g} diverge")
    highest = 4 / scale if bounded.all() else 1.05 * rates[split]
    return [0.0, _rounded_up(highest), *_with(minimum, reach)]


def _rounded_up(value):
    """The next number with two significant digits."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.2g}")


def _reach(objective, start, rates):
    """Two ends between which nearly all of the first iterates of bounded orbits are."""
    visited = bifurcation_diagram(objective, rates, start, 0, 500).points
    visited = visited[np.isfinite(visited)]
    if not len(visited):
        return None
    low, high = np.quantile(np.append(visited, start), [0.005, 0.995])
    return min(low, start), max(high, start)


def _range(objective, start, limits):
    """Ends of the axes of the cobweb when the diagram begins as a part of the whole."""
    reach = _reach(objective, start, np.linspace(*limits[:2], 201)[1:])
    return _with(start, limits[2:] if reach is None else reach)


def _with(point, ends):
    """Ends of an axis with a point and a margin."""
    low, high = min(point, *ends), max(point, *ends)
    margin = 0.06 * (high - low) or 1.0
    unit = 10.0 ** (np.floor(np.log10(margin)))
    ends = np.floor((low - margin) / unit), np.ceil((high + margin) / unit)
    return [round(float(end * unit), 12) for end in ends]


def _doublings(objective, start, highest, smoothness):
    """Where the period doubles one after another, from the minimum on."""
    if not smoothness:
        return []
    low = min(1 / smoothness, highest / 2)
    try:
        found = period_doublings(objective, start, (low, highest), MARKS).tolist()
    except ValueError:  # what the start falls on there is not an isolated cycle
        return []
    if 0 < len(found) < MARKS:  # after the last, the orbit of twice the period may be missing
        beyond = found[-1] + (found[-1] - [low, *found][-2]) / 50
        if attracting_period(objective, start, beyond) != 2 ** len(found):
            found.pop()
    return found


def _description(home, doublings, start, learning_rate):
    forks = ", ".join(f"{rate:.3g}" for rate in doublings[:3])
    doubling = f"; the curve forks at {forks} and becomes bands of chaos" if forks else ""
    return (
        "Left, the bifurcation diagram of gradient descent on {f}: the points among which the "
        f"orbit from {start:g} goes round in the long run, for learning rates from {home[0]:g} to "
        f"{home[1]:g}{doubling}. Right, at learning rate {learning_rate:g}, the cobweb of the "
        "orbit, and its points against the step."
    )


# The diagram of the still, as the worker and bifurcation_picture.js make it


def _shades(objective, start, ends, limits):
    """Pixels of shape (rows, columns, 4)."""
    edges = np.linspace(*limits[:2], 641)
    rates = (edges[1:] + edges[:-1]) / 2
    own = bifurcation_diagram(objective, rates, start, 3000, LATE)
    kinds = _kinds(own.points[..., 0], own.diverged)
    image = np.zeros((ROWS, len(rates), 4))
    image[:, kinds == "diverged"] = _rgba("diverged", 0.1)
    for share in (0.31, 0.81):
        other = ends[0] + share * (ends[1] - ends[0])
        others = bifurcation_diagram(objective, rates, other, 3000, LATE)
        strength = _strength(others.points[..., 0], limits)
        image = np.where(strength[..., np.newaxis] > 0, (0.35, 0.39, 0.43, 0), image)
        image[..., 3] = np.maximum(image[..., 3], 0.5 * strength)
    strength = _strength(own.points[..., 0], limits)
    beside = np.maximum(np.roll(strength, 1, axis=0), np.roll(strength, -1, axis=0))
    curve = np.where(kinds == "chaotic", 0, 0.6 * beside)  # so that curves do not look like dots
    strength = np.maximum(strength, curve)
    for kind in ("stable", "periodic", "chaotic"):
        seen = (strength > 0) & (kinds == kind)
        image[seen] = _rgba(kind, 0)
        image[seen, 3] = strength[seen]
    for kind in np.unique(kinds):
        image[-6:, kinds == kind] = _rgba(kind, 1)
    return image


def _kinds(points, diverged):
    """Name of the regime of each learning rate."""
    scale = 1e-6 * (1 + np.abs(points[:, -1]))
    rests = np.abs(points[:, -1] - points[:, -2]) <= scale
    returns = np.abs(points[:, -1:] - points[:, -65:-1]).min(axis=1) <= scale
    return np.select(
        [diverged, rests, returns], ["diverged", "stable", "periodic"], default="chaotic"
    )


def _strength(points, limits):
    """How full each pixel is: the logarithm of the density of visits, 0 where there are none."""
    columns, keep = points.shape
    # a little above the border between two heights, where rounding would decide
    with np.errstate(invalid="ignore"):
        rows = np.floor((limits[3] - points) / (limits[3] - limits[2]) * ROWS - 1e-6)
    inside = (rows >= 0) & (rows < ROWS)
    pixels = (rows * columns + np.arange(columns)[:, np.newaxis])[inside].astype(int)
    density = np.bincount(pixels, minlength=ROWS * columns).reshape(ROWS, columns) * (ROWS / keep)
    full = np.where(density > 0, np.minimum(1, 0.08 + 0.3 * np.log2(1 + density)), 0)
    return np.round(16 * full) / 16  # a few shades make a much smaller file


def _rgba(kind, alpha):
    from matplotlib.colors import to_rgba

    return to_rgba(COLOURS[kind], alpha)


def _along(ax):
    """Data along the horizontal axis, fractions of the axes along the vertical one."""
    return ax.get_xaxis_transform()
