"""Gradient descent on a formula that the reader types."""

import re

import numpy as np
import traitlets

from gdbook import outcome
from gdbook.arguments import points
from gdbook.bifurcation import bifurcation_diagram
from gdbook.descent import gradient_descent
from gdbook.ensemble import descend_many
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    FARTHEST,
    HERE,
    LiveFigure,
    draw_tangent_steps,
    require_inside,
    value_limits,
    view,
)

__all__ = ["OwnObjective"]

LONGEST = 500
"""Characters of a formula, as in formula.js."""

LOWEST_RATE, HIGHEST_RATE = 1e-4, 100.0
BASIN_STEPS = 200
# heights of the formula and what is wrong with it, and more lines of the status, as style.css has
FIELD, NARROW_FIELD = 88 + 21, 88 + 68
MODULES = {
    "forward_mode.js": ("forward_mode", "compiled, jet, rules"),
    "formula.js": ("formulas", "parse"),
    "bifurcation_worker.js": ("diagrams", "regimeNames, OWN, diagramColumns, shade"),
    "basin_worker.js": ("basins", "PIECES, basinRows"),
    "own_worker.js": None,
    "worker_frame.js": None,
}
"""Files of the worker; those that are enclosed with their name and members, before who imports."""

ONE_STEP = (
    "place[0] = _x0; place[1] = _x1; step(place, _h, _p, place); _x0 = place[0]; _x1 = place[1];"
)


class OwnObjective(LiveFigure):
    r"""Gradient descent on whatever formula of one or two variables the reader types.

    For :math:`f(x)` it draws the graph with tangent steps and beside it, dashed, the modified
    objective :math:`f + \tfrac h4 f'^2`; for :math:`f(x, y)` level lines, the orbit, and what
    becomes of every start. The bifurcation diagram shows the orbit of the present start at all
    learning rates. The page reads formulas with a parser of its own and evaluates nothing else, so
    no kernel is needed; with one, `objective` is what was typed.

    Parameters
    ----------
    formula : str
        In ``x``, or in ``x`` and ``y``, at most 500 characters, as `Objective` reads it; ``e`` is
        Euler's number.
    start : float or (float, float), optional
        By default 0.3, or (0.3, 1).
    learning_rate : float
        Between 0.0001 and 100.
    limits : (float, float, float, float)
        Ends of the view, for each variable a lower and an upper one. Of a formula in x alone the
        last two are for the y that a reader may add.

    Attributes
    ----------
    objective : Objective
        What stands in `formula`.

    Raises
    ------
    ValueError
        For a formula that cannot be read or has other variables, or a setting out of reach; also
        when a trait is set later.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.OwnObjective("x^4/4 - x^2/2", start=0.3, learning_rate=1.2)
    >>> figure.formula = "(1 - x*y)^2/2"
    >>> figure.objective.dimension
    2
    """

    source = "own_objective.js"
    ratios = (0.56, 1.6)
    panels = ((0, 0, 0.56, 1), (0.56, 0, 0.44, 1))
    legend = True
    lines = 7
    rows = 2

    formula = traitlets.Unicode().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    start = traitlets.List().tag(sync=True)
    limits = traitlets.List().tag(sync=True)

    def __init__(
        self,
        formula="x^4/4 - x^2/2",
        start=None,
        learning_rate=1.2,
        *,
        limits=(-2, 2, -2, 2),
    ):
        dimension = objective_of(formula).dimension
        super().__init__(
            None,
            name="Gradient descent on your own objective",
            alt=_description(formula, dimension, learning_rate),
            texts={"worker": _worker()},
            sliders=4,
            formula=formula,
            start=_start(start, dimension),
            learning_rate=learning_rate,
            limits=list(limits),
        )
        wide, below, narrow, below_narrow = self._space
        self._space = [wide, below + FIELD, narrow, below_narrow + NARROW_FIELD]

    @traitlets.validate("formula")
    def _sound_formula(self, proposal):
        objective_of(proposal["value"])
        return proposal["value"]

    @traitlets.observe("formula")
    def _follow(self, change):
        self.objective = objective_of(change["new"])

    @traitlets.validate("learning_rate")
    def _sound_rate(self, proposal):
        return require_inside("learning_rate", proposal["value"], LOWEST_RATE, HIGHEST_RATE)

    @traitlets.validate("start")
    def _sound_start(self, proposal):
        start = points(proposal["value"], 2, "start")
        return [require_inside("start", x, -FARTHEST, FARTHEST) for x in start]

    @traitlets.validate("limits")
    def _sound_limits(self, proposal):
        return view(proposal["value"])

    def _draw_still(self, main, diagram):
        f, h = self.objective, self.learning_rate
        start, limits = self.start[: f.dimension], self.limits
        if f.dimension == 1:
            _draw_line(main, f, start, h, limits[:2])
        else:
            _draw_plane(main, f, start, h, limits)
        highest = max(2.0 / _sharpness(f, limits[: 2 * f.dimension]) * 2, 1.1 * h)
        rates = np.linspace(0, highest, 1201)[1:]
        late = bifurcation_diagram(f, rates, start, 2000, 200, progress=False)
        style = {"color": COLOURS["periodic"], "markersize": 0.6, "rasterized": True}
        diagram.plot(*late.coordinate(), ",", **style)
        diagram.axvline(h, color="#1b1f24", linewidth=1.2)
        diagram.set(xlim=(0, highest), ylim=limits[:2])
        diagram.set_title("x for late steps, against learning rate", fontsize=9)


def objective_of(formula):
    """The objective that a text stands for: of x, or of x and y.

    Raises
    ------
    ValueError
        For a text that is too long, no formula, or one with neither x nor y or with other names.
    """
    if not isinstance(formula, str) or len(formula) > LONGEST:
        raise ValueError(
            f"formula must be a text of at most {LONGEST} characters, not {str(formula)[:60]!r}"
        )
    expression = re.sub(r"(?<![\w.])e\b", "E", formula)  # as the page writes Euler's number
    try:
        objective = Objective(expression, "x y")
    except (ValueError, TypeError) as error:
        words = f"formula must be one in x, or in x and y, not {formula!r}: {error}"
        raise ValueError(words) from error
    used = {symbol.name for symbol in objective.expression.free_symbols}
    if not used:
        raise ValueError(f"formula must depend on x, which {formula!r} does not")
    return objective if "y" in used else Objective(expression, "x")


def _start(start, dimension):
    """Both coordinates of a start; the second waits for a formula that has it."""
    if start is None:
        return [0.3, 1.0]
    given = np.atleast_1d(points(start, dimension, "start")).tolist()
    return [*given, 1.0][:2]


def _worker():
    """Text of the worker: outcome, parser and loops, what joins them, and the frame."""
    texts = {name: (HERE / name).read_text(encoding="utf-8") for name in MODULES}
    texts["basin_worker.js"] = texts["basin_worker.js"].replace("/* one step */", ONE_STEP)
    enclosed = [_enclosed(texts[file], *what) for file, what in MODULES.items() if what]
    joined = [texts[name] for name in ("own_worker.js", "worker_frame.js")]
    return "\n".join([outcome.javascript(), *enclosed, *joined])


def _enclosed(text, name, members):
    """A module as one constant: what else is in it does not clash with other modules."""
    text = re.sub(r"^export ", "", text, flags=re.MULTILINE)
    text = re.sub(r'^import (.+) from "\./(\w+)\.js";', r"const \1 = \2;", text, flags=re.MULTILINE)
    return f"const {name} = (() => {{\n{text}\nreturn {{ {members} }};\n}})();"


def _description(formula, dimension, learning_rate):
    drawn = (
        "the graph with gradient descent as tangent steps and, dashed, the modified objective"
        if dimension == 1
        else "level lines, an orbit, and the starts in the colour of what becomes of them"
    )
    return (
        f"A field with the formula {formula}. Below it, left, {drawn}; right, the bifurcation "
        f"diagram: late iterates for all learning rates, with a line at {learning_rate:g}."
    )


# The still


def _draw_line(ax, objective, start, learning_rate, limits):
    orbit = gradient_descent(objective, start, learning_rate, 40)
    heights = value_limits(objective, limits)
    x = np.linspace(*limits, 401)[:, np.newaxis]
    modified = objective.value(x) + learning_rate / 4 * objective.gradient(x)[:, 0] ** 2
    ax.plot(x[:, 0], modified, "--", color=COLOURS["modified flow 1"], linewidth=1.4)
    draw_tangent_steps(ax, objective, orbit, limits, heights)
    ax.set_title("f(x), tangent steps; dashed: f + (h/4) f′²", fontsize=9)


def _draw_plane(ax, objective, start, learning_rate, limits):
    from gdbook.plots import plot_contours
    from gdbook.widgets.descent_explorer_2d import _grid, _painted

    grid = _grid(limits, 160)
    fate = descend_many(objective, grid, learning_rate, BASIN_STEPS, keep="steps", progress=False)
    orbit = gradient_descent(objective, start, learning_rate, 60)
    painted = _painted(fate, BASIN_STEPS, [])
    ax.imshow(painted, origin="lower", extent=limits, aspect="auto")
    plot_contours(objective, (limits[:2], limits[2:]), ax)
    ax.plot(*orbit.points.T, ".-", color=COLOURS["gradient descent"], linewidth=1.4)
    ax.plot(*start, "o", markersize=9, color="#1b1f24", markerfacecolor="white")
    ax.set(xlim=limits[:2], ylim=limits[2:], xlabel="", ylabel="")
    ax.set_title("level lines, orbit, and what becomes of each start", fontsize=9)


def _sharpness(objective, limits):
    """Smallest positive sharpness in the lowest hundredth of the view; 1 where there is none."""
    along = [np.linspace(low, high, 61) for low, high in np.reshape(limits, (-1, 2))]
    places = np.stack(np.meshgrid(*along), axis=-1).reshape(-1, len(along))
    values = objective.value(places)
    lowest = places[values <= np.nanquantile(np.where(np.isfinite(values), values, np.nan), 0.02)]
    sharpness = objective.sharpness(lowest)
    positive = sharpness[(sharpness > 1e-6) & np.isfinite(sharpness)]
    return float(positive.min()) if len(positive) else 1.0
