"""What all live figures share: their texts for the browser, their still, their way into Jupyter."""

import base64
import io
import re
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from gdbook import outcome, source
from gdbook.arguments import number, points, positive
from gdbook.objective import Objective
from gdbook.plots import COLOURS

__all__ = ["LiveFigure"]

HERE = Path(__file__).parent
WIDTH = 720
FARTHEST, FINEST = 1e4, 1e-9  # as in view.js
MARGINS = {"left": 46, "right": 12, "top": 26, "bottom": 36}


class LiveFigure(anywidget.AnyWidget):
    """A figure that answers the reader's hand, with no kernel behind it.

    All of its behaviour is JavaScript: one module named `source` beside this file, and texts made
    from the objective. JupyterLab gets all of it inside the widget; the site writes it to files and
    shows the still until the figure runs. Traits without underscore are the state that sliders and
    handles move, and that Python can read and set.

    A figure is a subclass that gives the class attributes below, the texts, `_draw_still`, and a
    name and an alternative text in which ``{f}`` stands for the formula.

    Attributes
    ----------
    source : str
        File name of the figure's module.
    ratios : (float, float)
        Height of the picture over its width: on a wide page and on a phone.
    panels : sequence of (left, top, width, height)
        Where the axes of the still stand, as fractions of the picture; as on a wide page.
    legend : bool
        Whether a legend stands beside the buttons; on a phone it stands below them.
    lines : int
        Lines of the status line on a phone.
    rows : int
        Rows of buttons on a phone.
    """

    source = ""
    ratios = (0.5, 1.0)
    panels = ((0, 0, 1, 1),)
    legend = False
    lines = 3
    rows = 1

    _source = traitlets.Unicode().tag(sync=True)
    _texts = traitlets.Dict().tag(sync=True)
    _still = traitlets.Unicode().tag(sync=True)
    _still_size = traitlets.List().tag(sync=True)
    _space = traitlets.List().tag(sync=True)
    _alt = traitlets.Unicode().tag(sync=True)
    _name = traitlets.Unicode().tag(sync=True)
    _colours = traitlets.Dict(COLOURS).tag(sync=True)
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    def __init__(self, objective, *, name, alt, texts, sliders, **state):
        self.objective = objective  # None for a figure that is not made from a formula
        glue = (HERE / "jupyter.js").read_text(encoding="utf-8")
        formula = str(objective).replace("**", "^")
        if objective is not None:
            texts = {"formula": objective.javascript(), **texts}
        wide, narrow = self.ratios
        super().__init__(
            _source=self.source,
            _texts=texts,
            _still_size=[WIDTH, round(WIDTH * wide)],
            # heights in pixels of status line, sliders and buttons, as style.css has them
            _space=[
                wide,
                52 + 44 * -(-sliders // 2) + 48,
                narrow,
                10 + 21 * self.lines + 44 * sliders + 48 * (self.rows + self.legend),
            ],
            _alt=alt.replace("{f}", formula),
            _name=name.replace("{f}", formula),
            _esm=_inlined(glue.replace("./figure.js", f"./{self.source}")),
            _css=(HERE / "style.css").read_text(encoding="utf-8"),
            **state,
        )
        self._still = self._png()

    def _draw_still(self, axes):
        """Draw the figure in its present state on one Matplotlib axes for each panel."""
        raise NotImplementedError

    def _png(self):
        import matplotlib
        import matplotlib.style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        width, height = self._still_size
        # orbits that diverge overflow, and are drawn as far as they are finite
        with matplotlib.style.context("gdbook.book"), np.errstate(all="ignore"):
            figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout="none")
            FigureCanvasAgg(figure)
            axes = [figure.add_axes(_axes_box(panel, width, height)) for panel in self.panels]
            for ax in axes:
                ax.tick_params(labelsize=8)
            self._draw_still(*axes)
            for ax in axes:
                ax.tick_params(which="minor", labelleft=False)
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
        return base64.b64encode(file.getvalue()).decode()


def parameter_values(objective):
    """Parameters of an objective as plain floats, which JavaScript understands."""
    return {name: float(value) for name, value in objective.parameters.items()}


def require_dimension(objective, dimension, figure):
    """Refuse what is no objective, and an objective that the figure cannot draw."""
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be an Objective, not {objective!r}")
    allowed = (dimension,) if isinstance(dimension, int) else dimension
    if objective.dimension not in allowed:
        raise ValueError(
            f"objective must have {' or '.join(map(str, allowed))} "
            f"variable{'s' * (allowed != (1,))} for {figure}; {objective} has {objective.dimension}"
        )


def require_inside(name, value, low, high):
    """Refuse a setting that no handle of the figure could reach."""
    value = number(value, name)
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value:g}")
    return value


def rectangle(limits, dimension):
    """Limits of the axes as floats, a lower and an upper one for each variable."""
    ends = points(limits, 2 * dimension, "limits")
    sound = ends.ndim == 1 and np.isfinite(ends).all() and (ends[::2] < ends[1::2]).all()
    if not sound:
        raise ValueError(
            "limits must be finite, for each variable a lower and then a larger upper one, "
            f"not {limits!r}"
        )
    return ends.tolist()


def view(limits):
    """Limits of a picture that zooms, as floats: those that `isView` of view.js takes."""
    ends = rectangle(limits, 2)
    for low, high in (ends[:2], ends[2:]):
        reach = max(abs(low), abs(high))
        if not (reach <= FARTHEST and high - low > FINEST * (1 + reach)):
            raise ValueError(
                f"limits must be at most {FARTHEST:g} from the origin, and apart by more than "
                f"{FINEST:g} of their distance from it, not {limits!r}"
            )
    return ends


def lowest(objective, limits):
    """Lowest point and value of a one-dimensional objective between two limits."""
    grid = np.linspace(*limits, 4001)
    x = grid[np.nanargmin(objective.value(grid[:, np.newaxis]))]
    for _ in range(5):  # Newton's method from the grid to the minimum
        slope, curvature = objective.gradient([x])[0], objective.hessian([x])[0, 0]
        if curvature > 0:
            x = np.clip(x - slope / curvature, *limits)
    return float(x), float(objective.value([x]))


def chosen_smoothness(objective, limits, smoothness=None):
    """The L of 1/L and 2/L, and in words where it comes from, unless that is plain.

    It is the sharpness where the objective is lowest; where that is 0 or at the edge, the largest
    between the limits.
    """
    if smoothness is not None:
        return positive(smoothness, "smoothness"), ""
    x, _ = lowest(objective, limits)
    sharpness = float(objective.sharpness([x]))
    if objective.hessian_expression.free_symbols.isdisjoint(objective.variables):
        words = ""
    elif limits[0] < x < limits[1] and sharpness > 1e-6:
        words = f"f″({round(x, 6) + 0.0:.3g})".replace("-", "−")
    else:
        sharpness = np.nanmax(objective.sharpness(np.linspace(*limits, 4001)[:, np.newaxis]))
        words = "the largest f″ in view"
    if not sharpness > 0:
        raise ValueError(
            f"smoothness must be given, because {objective} is nowhere curved upwards between "
            f"{limits[0]:g} and {limits[1]:g}"
        )
    return float(sharpness), words


def value_limits(objective, limits):
    """Limits of the vertical axis under the graph of a one-dimensional objective."""
    values = objective.value(np.linspace(*limits, 401)[:, np.newaxis])
    low, high = np.nanmin(values), np.nanmax(values)
    return [float(low - 0.3 * (high - low)), float(high + 0.02 * (high - low))]


def draw_tangent_steps(ax, objective, orbit, limits, heights):
    """Graph of the objective with the orbit as tangent steps, as regimes.js draws it."""
    from gdbook.plots import plot_objective

    plot_objective(objective, limits, ax, color="#1b1f24")
    points, values = orbit.points[:, 0], orbit.values
    slopes = objective.gradient(orbit.points)[:, 0]
    landings = values[:-1] + slopes[:-1] * np.diff(points)
    style = {"color": COLOURS["gradient descent"], "zorder": 2}
    for k, landing in enumerate(landings):
        ax.plot(points[k : k + 2], [values[k], landing], linewidth=1.4, **style)
        ax.plot(points[[k + 1, k + 1]], [landing, values[k + 1]], ":", linewidth=1, **style)
    ax.plot(points, values, "o", markersize=4, **style)
    ax.plot(points[0], values[0], "o", markersize=9, markerfacecolor="white", **style)
    ax.set(xlim=limits, ylim=heights, xlabel="", ylabel="")


def worker_javascript(objective, loop, *texts):
    """Text of a worker: formula, outcome, other texts, the loop of that file name, its frame.

    The formula's step comes in the place of the loop's comment "one step", if it has one.
    """
    loop, frame = ((HERE / name).read_text(encoding="utf-8") for name in (loop, "worker_frame.js"))
    step = source.javascript_step(
        objective.variables, objective.parameter_symbols, objective.gradient_expression
    )
    loop = loop.replace("/* one step */", step)
    return "\n".join([objective.javascript(), outcome.javascript(), *texts, loop, frame])


def _axes_box(panel, width, height):
    left, top, right, bottom = panel[0], panel[1], panel[0] + panel[2], panel[1] + panel[3]
    x0, x1 = left * width + MARGINS["left"], right * width - MARGINS["right"]
    y0, y1 = top * height + MARGINS["top"], bottom * height - MARGINS["bottom"]
    return [x0 / width, 1 - y1 / height, (x1 - x0) / width, (y1 - y0) / height]


def _inlined(text):
    """A module's text with the modules that it imports inside it as data addresses."""

    def inline(match):
        inner = _inlined((HERE / match[1]).read_text(encoding="utf-8"))
        return f'from "data:text/javascript;base64,{base64.b64encode(inner.encode()).decode()}"'

    return re.sub(r'from "\./([\w.]+\.js)"', inline, text)
