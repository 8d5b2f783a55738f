"""Which minimum gradient descent selects, under the reader's hand."""

import numpy as np
import traitlets

from gdbook.arguments import natural, number, points
from gdbook.descent import gradient_descent
from gdbook.ensemble import descend_many
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    FARTHEST,
    FINEST,
    LiveFigure,
    draw_tangent_steps,
    parameter_values,
    rectangle,
    require_dimension,
    require_inside,
    value_limits,
    worker_javascript,
)
from gdbook.widgets.reached import (
    COLOUR_WORDS,
    colour_of_target,
    number_of_target,
    target_javascript,
    targets_of,
)

__all__ = ["SelectionExplorer"]

MOST_STEPS = 10000
LONGEST_FORMULA = 60
"""Characters of a formula that may stand in names and alternative texts."""

NONE, DIVERGED = 4, 5
"""Fates beside the numbers of targets, as in selection_worker.js."""

COLUMNS, ROWS = 320, 214


class SelectionExplorer(LiveFigure):
    r"""A map of start and learning rate, coloured by the minimum that is reached.

    Above it the curve with an orbit, beside it the share of the starts in view that reach each
    target, which is at the height :math:`h`. Each cell of the map is an orbit that is followed for
    `steps` steps; its colour is that of the first target which the limit meets, as for
    `gdbook.descend_many`. Dashed lines are the learning rates :math:`2/f''` up to which minima are
    stable.

    Parameters
    ----------
    objective : Objective
        Of one variable.
    targets : mapping of str to str, sympy.Boolean or point
        One to four names with conditions on the limit, or points.
    start : float
    learning_rate : float, optional
        In the middle of the map by default.
    limits : (float, float), optional
        Ends of the starts; two to either side by default, more if the start lies farther out.
    rates : (float, float), optional
        Lowest and highest learning rate, on a logarithmic axis where their ratio is above 30. By
        default from a fifth of the lowest threshold :math:`2/f''` to twice the highest.
    steps : int
        Of each orbit, at most 10000.
    values : (float, float), optional
        Between which the curve is drawn; all that it fills by default.

    Examples
    --------
    >>> import gdbook as gd
    >>> wells = {"left": "x < 0", "right": "x > 0"}
    >>> figure = gd.widgets.SelectionExplorer(gd.catalogue.double_well(), wells, start=0.3)
    >>> figure.limits, figure.rates, figure.learning_rate
    ([-2.0, 2.0], [0.2, 2.0], 1.1)
    """

    source = "selection_explorer.js"
    ratios = (0.74, 1.86)
    panels = (
        (0, 0, 0.62, 0.42),
        (0, 0.42, 0.62, 0.58),
        (0.62, 0, 0.38, 0.42),
        (0.62, 0.42, 0.38, 0.58),
    )
    legend = True
    lines = 4

    start = traitlets.Float().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    rates = traitlets.List().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    _logarithmic = traitlets.Bool().tag(sync=True)
    _targets = traitlets.List().tag(sync=True)
    _minima = traitlets.List().tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)
    _value_limits = traitlets.List().tag(sync=True)
    _clipped = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        objective,
        targets,
        start=1.0,
        learning_rate=None,
        *,
        limits=None,
        rates=None,
        steps=1000,
        values=None,
    ):
        require_dimension(objective, 1, "SelectionExplorer")
        self._conditions = targets_of(targets, objective)
        start = number(start, "start")
        reach = max(2.0, 1.25 * abs(start))
        limits = _starts([-reach, reach] if limits is None else limits)
        start = require_inside("start", start, *limits)
        minima = _minima(objective, number_of_target(targets, objective), limits)
        rates = _default_rates(minima) if rates is None else _rates(rates)
        logarithmic = rates[1] > 30 * rates[0] > 0
        if learning_rate is None:
            middle = np.sqrt(rates[0] * rates[1]) if logarithmic else np.mean(rates)
            learning_rate = float(f"{middle:.3g}")
        learning_rate = require_inside("learning_rate", learning_rate, *rates)
        steps = int(require_inside("steps", natural(steps, "steps", 1), 1, MOST_STEPS))
        names = list(self._conditions)
        target = target_javascript(targets, objective)
        formula = "{f}" if len(str(objective)) <= LONGEST_FORMULA else _head(objective)
        super().__init__(
            objective,
            name=f"Selection of minima of {formula} by gradient descent",
            alt=_description(formula, names, minima, start, learning_rate, limits, rates, steps),
            texts={"worker": worker_javascript(objective, "selection_worker.js", target)},
            sliders=2,
            start=start,
            learning_rate=learning_rate,
            limits=limits,
            rates=rates,
            steps=steps,
            _logarithmic=logarithmic,
            _targets=names,
            _minima=minima,
            _parameters=parameter_values(objective),
            _value_limits=value_limits(objective, limits)
            if values is None
            else rectangle(values, 1),
            _clipped=values is not None,
        )

    def _draw_still(self, curve, chart, path, shares):
        h, names = self.learning_rate, self._targets
        colours = [colour_of_target(i) for i in range(len(names))]
        colours += [COLOURS["chaotic"]] * (NONE + 1 - len(names)) + [COLOURS["diverged"]]
        orbit = gradient_descent(self.objective, self.start, h, self.steps)
        variable = self.objective.variables[0]

        first = gradient_descent(self.objective, self.start, h, min(40, self.steps))
        draw_tangent_steps(curve, self.objective, first, self.limits, self._value_limits)
        for x, i, _ in self._minima:
            y = float(self.objective.value([x]))
            curve.plot(x, y, "o", color=colours[i], markersize=6, zorder=3)
        curve.set_title(f"f({variable}), tangent steps", fontsize=9)

        fates = self._fates()
        ends = self.limits + self.rates
        edges = np.linspace(*self.limits, COLUMNS + 1), _between(self.rates, ROWS + 1, False)
        chart.pcolormesh(*edges, _image(fates, colours), rasterized=True)
        chart.axhline(h, color="#1b1f24", linewidth=1)
        chart.axvline(self.start, color="#1b1f24", linewidth=1)
        chart.plot(self.start, h, "o", markersize=8, color="#1b1f24", markerfacecolor="white")
        chart.set(xlim=ends[:2], ylim=ends[2:])
        chart.set_title(f"learning rate, against start ${variable}_0$", fontsize=9)

        path.plot(orbit.points[:101, 0], ".-", color=COLOURS["gradient descent"], linewidth=1)
        path.set(xlim=(0, 100), ylim=self.limits)
        for name, colour in zip(
            [*names, f"none in {self.steps} steps", "diverges"],
            [*colours[: len(names)], *colours[NONE:]],
            strict=True,
        ):
            path.plot([], [], "s", color=colour, label=name)
        path.legend(loc="upper right", fontsize=7)
        path.set_title(f"${variable}_k$ against step", fontsize=9)

        across = np.linspace(0, 1, COLUMNS + 1)
        shares.pcolormesh(across, edges[1], _image(np.sort(fates), colours), rasterized=True)
        shares.axhline(h, color="#1b1f24", linewidth=1)
        shares.set(xlim=(0, 1), ylim=self.rates)
        shares.set_title("share of the starts, by learning rate", fontsize=9)
        for ax in (chart, shares):
            ax.set_yscale("log" if self._logarithmic else "linear")
            ax.grid(False)
            for _, _, sharpness in self._minima:
                if sharpness and self.rates[0] < 2 / sharpness < self.rates[1]:
                    ax.axhline(2 / sharpness, color="#1b1f24", linestyle="--", linewidth=1)

    def _fates(self):
        """What becomes of every cell of the map, shape (ROWS, COLUMNS)."""
        starts = _between(self.limits, COLUMNS, True)
        rates = _between(self.rates, ROWS, True)
        found = descend_many(
            self.objective,
            np.broadcast_to(starts[:, np.newaxis], (ROWS, COLUMNS, 1)),
            rates[:, np.newaxis],
            self.steps,
            targets=self._conditions,
            keep="reached",
            progress=False,
        )
        fates = np.where(found.reached < 0, NONE, found.reached)
        return np.where(found.diverged, DIVERGED, fates).reshape(ROWS, COLUMNS)


def _starts(limits):
    ends = rectangle(limits, 1)
    if not (max(map(abs, ends)) <= FARTHEST and ends[1] - ends[0] > FINEST * (1 + abs(ends[0]))):
        raise ValueError(
            f"limits must be at most {FARTHEST:g} from the origin, and not closer to each other "
            f"than {FINEST:g} of that, not {limits!r}"
        )
    return ends


def _rates(rates):
    low, high = ends = points(rates, 2, "rates").tolist()
    if not (0 <= low < high <= FARTHEST and high - low > FINEST * (1 + high)):
        raise ValueError(
            "rates must be a lowest learning rate of 0 or more and a larger highest one of at "
            f"most {FARTHEST:g}, not {rates!r}"
        )
    return ends


def _default_rates(minima):
    thresholds = [2 / sharpness for _, _, sharpness in minima if sharpness > 0]
    if not thresholds:
        raise ValueError(
            "rates must be given, because no target has a minimum with curvature between the limits"
        )
    return [float(f"{rate:.2g}") for rate in (min(thresholds) / 5, 2 * max(thresholds))]


def _minima(objective, number_of, limits):
    """Minima between the limits that are targets: [x, number of the target, sharpness]."""
    grid = np.linspace(*limits, 8001)
    values = np.pad(objective.value(grid[:, np.newaxis]), 1, constant_values=np.inf)
    with np.errstate(invalid="ignore"):
        lower = (values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:])
    found = []
    for places in np.split(*_runs(np.flatnonzero(lower))):
        if not len(places):
            continue
        x = _polished(objective, float(grid[places[len(places) // 2]]), grid[1] - grid[0])
        target = int(number_of.value([x]))
        sharpness = float(objective.hessian([x])[0, 0])
        # at an end of the limits the lowest value need not be that of a minimum
        inside = limits[0] < x < limits[1] or abs(objective.gradient([x])[0]) < 1e-9
        if inside and target >= 0 and np.isfinite(sharpness) and sharpness >= 0:
            found.append([x, target, sharpness])
    return found


def _runs(places):
    """Numbers, and where to split them into runs of neighbours: the bottom of a plateau is one."""
    return places, np.flatnonzero(np.diff(places) > 1) + 1


def _polished(objective, x, near):
    """The minimum beside a point of a grid, by Newton's method; the point where it leaves it."""
    here = x
    for _ in range(50):
        slope, curvature = objective.gradient([x])[0], objective.hessian([x])[0, 0]
        if not (np.isfinite(slope) and curvature > 0):
            break
        x = float(x - slope / curvature)
    return x if abs(x - here) <= 2 * near else here


def _between(ends, count, middles):
    """Middles or edges of equal parts; equal in their logarithms where the ratio is above 30."""
    low, high = ends
    part = (np.arange(count) + 0.5) / count if middles else np.linspace(0, 1, count)
    if high > 30 * low > 0:
        return low * (high / low) ** part
    return low + (high - low) * part


def _image(fates, colours):
    from matplotlib.colors import to_rgb

    rgb = np.array([to_rgb(colour) for colour in colours])
    return (0.75 * rgb + 0.25)[fates]  # as in selection_picture.js


def _head(objective):
    return f"{objective.name}({objective.variables[0]})"


def _description(formula, names, minima, start, rate, limits, rates, steps):
    coloured = [f"{name} in {colour}" for name, colour in zip(names, COLOUR_WORDS, strict=False)]
    thresholds = sorted({2 / sharpness for _, _, sharpness in minima if sharpness})
    lost = ", ".join(f"{h:.3g}" for h in thresholds)
    lines = f"; dashed lines at {lost}, where minima lose their stability" if lost else ""
    return (
        f"Above, the graph of {formula} with gradient descent from {start:g} at learning rate "
        f"{rate:g} as tangent steps, and the iterates against the step; below, a map of the starts "
        f"from {limits[0]:g} to {limits[1]:g} and the learning rates from {rates[0]:g} to "
        f"{rates[1]:g}, coloured by what they lead to: {', '.join(coloured)}, none of these in "
        f"{steps} steps in pink, divergence in red{lines}; beside it the share of the starts for "
        "each of these."
    )
