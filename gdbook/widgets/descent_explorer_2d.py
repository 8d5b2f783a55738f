"""Gradient descent in the plane under the reader's hand."""

import json
from collections.abc import Mapping

import numpy as np
import sympy
import traitlets

from gdbook import outcome, source
from gdbook.arguments import natural, point, positive
from gdbook.descent import gradient_descent
from gdbook.ensemble import descend_many
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.widgets import reached
from gdbook.widgets.live_figure import (
    LiveFigure,
    parameter_values,
    require_dimension,
    require_inside,
    view,
    worker_javascript,
)

__all__ = ["DescentExplorer2D"]

MOST_BASIN_STEPS = 10000
LABEL_COLOURS = ("stable", "diverged", "periodic", "chaotic")  # as in basin_picture.js
STRENGTHS = {"outcomes": (0.2, 0.4), "targets": (0.4, 0.3)}  # as in basin_picture.js


class DescentExplorer2D(LiveFigure):
    r"""Level lines and orbit, and behind them what becomes of every start, or where it ends.

    What becomes of the starts is what `Outcome` defines, also in the browser. Where there is a
    graphics processor it draws the picture, in single precision, while a handle moves.

    Parameters
    ----------
    objective : Objective
        Of two variables. Each of its parameters gets a slider.
    start : (float, float)
    learning_rate : float, optional
        Two fifths of the largest by default.
    steps : int
        Steps that are drawn.
    limits : (float, float, float, float)
        Left, right, lower and upper end of the picture.
    largest_learning_rate : float, optional
        Where the slider ends; by default 2.5 over the smallest sharpness where f is low.
    curves : mapping of str to (str or sympy.Expr), optional
        Curves in the plane that are drawn over the picture: a name, as it is to stand after "the",
        and a formula in the variables, the parameters and the learning rate ``h`` that is zero on
        the curve. Where it is negative a start is said to lie inside.
    targets : mapping of str to str, sympy.Boolean or point, optional
        At most four names, with conditions on the variables or points, as for `descend_many`: the
        starts have the colour of the first target to which they converge, and one common colour
        where they do not diverge and reach none.
    basin_steps : int
        Steps from each start. Where the smallest eigenvalue at a minimum is :math:`\lambda` an
        orbit needs up to about :math:`23/(h \lambda)` steps to have converged.

    Raises
    ------
    ValueError
        For a setting that no handle can reach, an objective without a finite value in the limits,
        a curve whose formula has unknown symbols or no variable of the objective, or a target that
        is no condition and no point.

    Examples
    --------
    >>> import gdbook as gd
    >>> bowl = gd.catalogue.quadratic_bowl(1, 10)
    >>> figure = gd.widgets.DescentExplorer2D(bowl, start=(1.0, 0.6), learning_rate=0.2)
    >>> figure.largest_learning_rate, figure.parameters
    (0.25, [1.0, 10.0])

    With the ellipse on which no start converges, and inside which all are bounded:

    >>> figure = gd.widgets.DescentExplorer2D(
    ...     gd.catalogue.scalar_factorization(),
    ...     start=(0.3, 2.0),
    ...     learning_rate=0.5,
    ...     curves={"invariant ellipse": gd.factorization.InvariantEllipse.expression},
    ... )

    With the two branches of the hyperbola as targets:

    >>> figure = gd.widgets.DescentExplorer2D(
    ...     gd.catalogue.scalar_factorization(),
    ...     start=(0.3, 2.0),
    ...     learning_rate=0.5,
    ...     targets={"positive branch": "x > 0", "negative branch": "x < 0"},
    ... )
    """

    source = "descent_explorer_2d.js"
    ratios = (0.62, 1.52)
    panels = ((0, 0, 0.62, 1), (0.62, 0, 0.38, 0.5), (0.62, 0.5, 0.38, 0.5))
    legend = True
    lines = 4

    start = traitlets.List().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    parameters = traitlets.List().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    largest_learning_rate = traitlets.Float().tag(sync=True)
    _parameter_ranges = traitlets.List().tag(sync=True)
    _curves = traitlets.List().tag(sync=True)
    _targets = traitlets.List().tag(sync=True)
    _basin_steps = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        objective,
        start=(1.5, 0.5),
        learning_rate=None,
        *,
        steps=60,
        limits=(-2.5, 2.5, -2.5, 2.5),
        largest_learning_rate=None,
        curves=None,
        targets=None,
        basin_steps=200,
    ):
        require_dimension(objective, 2, "DescentExplorer2D")
        limits = view(limits)
        start = [
            require_inside("start", x, *limits[2 * i : 2 * i + 2])
            for i, x in enumerate(point(start, objective, "start"))
        ]
        if largest_learning_rate is None:
            largest_learning_rate = 2.5 / _smallest_sharpness(objective, limits)
        largest = positive(largest_learning_rate, "largest_learning_rate")
        learning_rate = 0.4 * largest if learning_rate is None else learning_rate
        learning_rate = require_inside("learning_rate", learning_rate, 0, largest)
        basin_steps = natural(basin_steps, "basin_steps", 1)
        basin_steps = int(require_inside("basin_steps", basin_steps, 1, MOST_BASIN_STEPS))
        if targets is not None:
            reached.targets_of(targets, objective)  # refuses what is no target
        targets = targets or {}
        self._fate = descend_many(
            objective,
            _grid(limits, 160),
            learning_rate,
            basin_steps,
            targets=targets or None,
            keep=("steps", "reached") if targets else "steps",
            progress=False,
        )
        starts = _in_words(self._fate, basin_steps, targets)
        values = list(parameter_values(objective).values())
        self._curve_levels = _curve_levels(curves or {}, objective)
        names = list(self._curve_levels)
        drawn = f"; over them {' and '.join(f'the {name}' for name in names)}" if names else ""
        super().__init__(
            objective,
            name="Gradient descent on {f}",
            alt=f"Level lines of {{f}} with gradient descent from ({start[0]:g}, {start[1]:g}) at "
            f"learning rate {learning_rate:g}; behind them the starts, {starts}{drawn}; "
            "right, the loss, and the learning rate times the sharpness, against the step.",
            texts={
                "outcome": outcome.javascript(),
                "worker": _worker(objective, targets),
                "shader": _shader(objective, targets),
                "curves": _curves_javascript(self._curve_levels, objective),
            },
            sliders=3 + len(values),
            start=start,
            learning_rate=learning_rate,
            parameters=values,
            steps=natural(steps, "steps", 1),
            limits=limits,
            largest_learning_rate=largest,
            _parameter_ranges=[
                sorted([0.2 * value, 2.5 * value]) if value else [-2.0, 2.0] for value in values
            ],
            _curves=names,
            _targets=list(targets),
            _basin_steps=basin_steps,
        )

    def _draw_still(self, plane, losses, edge):
        from gdbook.plots import plot_contours

        orbit = gradient_descent(self.objective, self.start, self.learning_rate, self.steps)
        colour = COLOURS["gradient descent"]
        painted = _painted(self._fate, self._basin_steps, self._targets)
        plane.imshow(painted, origin="lower", extent=self.limits, aspect="auto")
        plot_contours(self.objective, (self.limits[:2], self.limits[2:]), plane)
        self._draw_curves(plane)
        if self._targets:
            self._name_colours(plane)
        if self._curves or self._targets:
            plane.legend(
                loc="lower right", fontsize=8, frameon=True, facecolor="white", edgecolor="none"
            )
        plane.plot(*orbit.points.T, ".-", color=colour, linewidth=1.4)
        plane.plot(*self.start, "o", markersize=9, color="#1b1f24", markerfacecolor="white")
        plane.set(xlim=self.limits[:2], ylim=self.limits[2:], xlabel="", ylabel="")
        plane.set_title("level lines, orbit, and what becomes of each start", fontsize=9)

        above = orbit.values - _lowest_value(self.objective, self.limits)
        losses.semilogy(
            np.where((above > 1e-16) & (above < 1e12), above, np.nan),
            ".-",
            color=colour,
            linewidth=1,
        )
        losses.set_xlim(0, self.steps)
        losses.set_title("$f - \\min f$ against step", fontsize=9)
        edge.plot(
            self.learning_rate * self.objective.sharpness(orbit.points),
            ".-",
            color=colour,
            linewidth=1,
        )
        edge.axhline(2, color=COLOURS["edge"], linestyle="--")
        edge.set(xlim=(0, self.steps), ylim=(0, np.clip(1.1 * edge.get_ylim()[1], 2.2, 12)))
        edge.set_title("$h$ times sharpness", fontsize=9)

    def _name_colours(self, plane):
        none = (self._fate.reached < 0) & ~self._fate.diverged
        others = {
            f"none in {self._basin_steps} steps": ("chaotic", none),
            "diverges": ("diverged", self._fate.diverged),
        }
        colours = {name: reached.colour_of_target(i) for i, name in enumerate(self._targets)}
        colours |= {name: COLOURS[key] for name, (key, which) in others.items() if which.any()}
        for name, colour in colours.items():
            plane.plot([], [], "s", color=colour, label=name)

    def _draw_curves(self, plane):
        points = _grid(self.limits, 400)
        numbers = np.append(self.parameters, self.learning_rate)
        points = np.concatenate([points, np.broadcast_to(numbers, (400, 400, len(numbers)))], -1)
        for i, (name, level) in enumerate(self._curve_levels.items()):
            values = level.value(points)
            colour = ("#1b1f24", COLOURS["edge"])[i % 2]
            if np.nanmin(values) < 0 < np.nanmax(values):
                x, y = points[0, :, 0], points[:, 0, 1]
                plane.contour(x, y, values, [0], colors="white", linewidths=4, alpha=0.75)
                plane.contour(x, y, values, [0], colors=colour, linewidths=1.8)
            plane.plot([], [], color=colour, linewidth=1.8, label=name)


def _curve_levels(curves, objective):
    """Functions of variables, parameters and h, by the names of the curves where they are zero."""
    if not isinstance(curves, Mapping):
        raise TypeError(f"curves must map names to formulas, not {curves!r}")
    names = [*map(str, objective.variables), *objective.parameters]
    if curves and "h" in names:
        raise ValueError(f"curves need the name h for the learning rate, which {objective} uses")
    levels = {}
    for name, expression in curves.items():
        if not (isinstance(name, str) and name.strip()):
            raise TypeError(f"curves must have names in words, not {name!r}")
        try:
            levels[name] = Objective(expression, [*names, "h"])
        except (ValueError, TypeError) as error:
            raise type(error)(
                f"the curve {name!r} must be a formula in {', '.join(names)} and h: {error}"
            ) from error
        if levels[name].expression.free_symbols.isdisjoint(levels[name].variables[:2]):
            raise ValueError(
                f"the curve {name!r} must depend on {' or '.join(names[:2])}, not be {expression}"
            )
    return levels


def _curves_javascript(levels, objective):
    """Text of an ES module with one function of (x, p) for each curve; the p has h too."""
    text = ""
    for i, level in enumerate(levels.values()):
        variables, others = level.variables[:2], level.variables[2:]
        text += source.javascript_function(
            f"curve{i}", variables, others, [level.smooth_expression], kind="number"
        ).replace("_p = parameters", "_p")
    return text + f"export const curves = [{', '.join(f'curve{i}' for i in range(len(levels)))}];\n"


def _worker(objective, targets):
    """The loop of the basin picture with the objective's step in it, and the target of a limit."""
    target = "export const target = () => -1;"
    if targets:
        target = reached.target_javascript(targets, objective)
    return worker_javascript(objective, "basin_worker.js", target)


def _shader(objective, targets):
    """What the graphics processor needs of the objective and of targets, as an ES module."""
    symbols = objective.variables, objective.parameter_symbols
    target = source.glsl_function("target", *symbols, [sympy.Integer(-1)])
    if targets:
        target = reached.target_glsl(targets, objective)
    exports = {
        "parameters": list(objective.parameters),
        "gradient": objective.glsl(),
        "target": target,
    }
    return "".join(
        f"export const {name} = {json.dumps(value)};\n" for name, value in exports.items()
    )


def _grid(limits, size):
    """Centres of size × size small rectangles, shape (size, size, 2)."""
    along = (np.arange(size) + 0.5) / size
    x = limits[0] + (limits[1] - limits[0]) * along
    y = limits[2] + (limits[3] - limits[2]) * along
    return np.stack(np.meshgrid(x, y), axis=-1)


def _finite(objective, limits):
    """Points of a grid in a rectangle, and the values there, where these are finite."""
    points = _grid(limits, 201).reshape(-1, 2)
    values = objective.value(points)
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(
            f"limits must hold points where the objective is finite; {objective} has none in "
            f"{limits}"
        )
    return points[finite], values[finite]


def _smallest_sharpness(objective, limits):
    """Smallest positive sharpness in the lowest hundredth of a rectangle."""
    points, values = _finite(objective, limits)
    sharpness = objective.sharpness(points[values <= np.quantile(values, 0.01)])
    return float(sharpness[sharpness > 0].min(initial=1e6))


def _lowest_value(objective, limits):
    """Smallest value in a rectangle, by Newton's method from the lowest point of a grid."""
    points, values = _finite(objective, limits)
    x, lowest = points[values.argmin()], values.min()
    for _ in range(10):
        gradient, hessian = objective.gradient(x), objective.hessian(x)
        if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            break
        x = x - np.linalg.lstsq(hessian, gradient, rcond=1e-6)[0]
        lowest = np.fmin(lowest, objective.value(x))
    return float(lowest)


def _painted(fate, steps, targets):
    """The starts in the colours of what becomes of them, shape (rows, columns, 3).

    What happens early is full, what happens late is pale, as in basin_picture.js.
    """
    from matplotlib.colors import to_rgb

    numbers = fate.labels
    if targets:
        numbers = np.where(fate.reached < 0, numbers, len(LABEL_COLOURS) + fate.reached)
    colours = np.array([to_rgb(COLOURS[name]) for name in _basin_colours(len(targets))])
    late, early = STRENGTHS["targets" if targets else "outcomes"]
    strength = late + early * np.exp(-fate.steps[:, np.newaxis] / (steps / 5))
    return (1 - strength * (1 - colours[numbers])).reshape(*fate.shape, 3)


def _basin_colours(targets):
    """Names of colours for the labels, and for so many targets, as in basin_picture.js."""
    if not targets:
        return list(LABEL_COLOURS)
    others = [name if name == "diverged" else "chaotic" for name in LABEL_COLOURS]
    return others + [f"target {i + 1}" for i in range(targets)]


def _in_words(fate, steps, targets):
    """How the starts are painted, of which so many have each outcome or reach each target."""
    counts = fate.counts
    colours = {
        "green where they converge": counts["converged"],
        "blue where they end in a cycle": counts["periodic"],
        f"purple where they do neither in {steps} steps": counts["bounded"],
    }
    if targets:
        numbers = np.bincount(fate.reached + 1, minlength=1 + len(targets))
        pairs = zip(reached.COLOUR_WORDS, targets, numbers[1:], strict=False)
        colours = {f"{colour} where they reach “{name}”": count for colour, name, count in pairs}
        none = numbers[0] - counts["diverged"]
        colours[f"purple where they reach none in {steps} steps"] = none
    colours["vermilion where they diverge"] = counts["diverged"]
    *others, last = [words for words, count in colours.items() if count]
    return f"{', '.join(others)} and {last}" if others else last
