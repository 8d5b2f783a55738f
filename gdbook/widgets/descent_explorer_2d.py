"""Gradient descent in the plane under the reader's hand."""

import json
from collections.abc import Mapping

import numpy as np
import traitlets

from gdbook import outcome, source
from gdbook.arguments import natural, point, positive
from gdbook.descent import gradient_descent
from gdbook.ensemble import descend_many
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    HERE,
    LiveFigure,
    parameter_values,
    require_dimension,
    require_inside,
    view,
)

__all__ = ["DescentExplorer2D"]

BASIN_STEPS = 200  # as in descent_explorer_2d.js
LABEL_COLOURS = ("stable", "diverged", "periodic", "chaotic")  # as in basin_picture.js


class DescentExplorer2D(LiveFigure):
    """Level lines and orbit, and behind them what becomes of every start after 200 steps.

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

    Raises
    ------
    ValueError
        For a setting that no handle can reach, an objective without a finite value in the limits,
        or a curve whose formula has unknown symbols or no variable of the objective.

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
        self._fate = descend_many(
            objective, _grid(limits, 160), learning_rate, BASIN_STEPS, keep="steps", progress=False
        )
        starts = _in_words(self._fate.counts)
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
                "worker": _worker(objective),
                "shader": _shader(objective),
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
        )

    def _draw_still(self, plane, losses, edge):
        from gdbook.plots import plot_contours

        orbit = gradient_descent(self.objective, self.start, self.learning_rate, self.steps)
        colour = COLOURS["gradient descent"]
        plane.imshow(_painted(self._fate), origin="lower", extent=self.limits, aspect="auto")
        plot_contours(self.objective, (self.limits[:2], self.limits[2:]), plane)
        self._draw_curves(plane)
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
        if self._curve_levels:
            plane.legend(
                loc="lower right", fontsize=8, frameon=True, facecolor="white", edgecolor="none"
            )


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


def _worker(objective):
    """The loop of the basin picture with the objective's step in it."""
    loop = (HERE / "basin_worker.js").read_text(encoding="utf-8")
    step = source.javascript_step(
        objective.variables, objective.parameter_symbols, objective.gradient_expression
    )
    before, after = loop.split("/* one step */")
    return "\n".join([objective.javascript(), outcome.javascript(), f"{before}{step}{after}"])


def _shader(objective):
    """What the graphics processor needs of the objective, as an ES module."""
    names = json.dumps(list(objective.parameters))
    gradient = json.dumps(objective.glsl())
    return f"export const parameters = {names};\nexport const gradient = {gradient};\n"


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


def _painted(fate):
    """The starts in the colours of what becomes of them, shape (rows, columns, 3).

    What happens early is full, what happens late is pale, as in basin_picture.js.
    """
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(COLOURS[name]) for name in LABEL_COLOURS])
    strength = 0.2 + 0.4 * np.exp(-fate.steps[:, np.newaxis] / 40)
    return (1 - strength * (1 - colours[fate.labels])).reshape(*fate.shape, 3)


def _in_words(counts):
    """How the starts are painted, of which so many have each outcome."""
    colours = {
        "converged": "green where they converge",
        "periodic": "blue where they end in a cycle",
        "bounded": f"purple where they do neither in {BASIN_STEPS} steps",
        "diverged": "vermilion where they diverge",
    }
    *others, last = [words for label, words in colours.items() if counts[label]]
    return f"{', '.join(others)} and {last}" if others else last
