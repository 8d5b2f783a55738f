"""What the learning rate does to the balance of a factorisation, under the reader's hand."""

import numpy as np
import traitlets

from gdbook import outcome, source
from gdbook.arguments import point, positive
from gdbook.catalogue import scalar_factorization
from gdbook.descent import gradient_descent
from gdbook.ensemble import descend_many
from gdbook.factorization import InvariantEllipse, critical_learning_rate
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    HERE,
    LiveFigure,
    parameter_values,
    require_inside,
    view,
)

__all__ = ["BalancingExplorer"]

FARTHEST = 50  # of a start, in units of the square root of the product
SLOWEST, FASTEST = 5e-4, 1.25  # learning rates, in units of one over the product
BEYOND = 1.12  # where the axis ends, in units of the critical learning rate
DRAWN = 60  # steps of the orbit
COUNT, STEPS, BEND = 4096, 16384, 0.02  # as in balancing_curve.js
LIMITS = {1: "target 1", 2: "target 2", 4: "edge"}  # colours of kinds
INK = "#1b1f24"

_LEVEL = Objective(InvariantEllipse.expression, "x y mu h")
_BOUND = Objective("sqrt(2/h - 2*mu)", "h mu")
_SUM = "sqrt(sqrt((x^2 - y^2)^2 + 4*mu^2) + 2*mu)"
_FLOW = [Objective(f"sign(x + y)*({_SUM} {sign} (x^2 - y^2)/{_SUM})/2", "x y mu") for sign in "+-"]


class BalancingExplorer(LiveFigure):
    r"""Gradient descent on :math:`\tfrac12(\mu - xy)^2`, and how balanced it ends.

    Left the plane with the minima, the orbit and its limit; right the gap
    :math:`|x_\infty - y_\infty|` of the limit against the learning rate, up to a little beyond the
    critical one. Where the gap jumps from one learning rate to the next it is drawn as single
    points.

    Parameters
    ----------
    start : (float, float)
    learning_rate : float, optional
        Three quarters of the critical one by default.
    product : float
        :math:`\mu > 0`.
    limits : (float, float, float, float), optional
        Left, right, lower and upper end of the plane; by default with the start and both branches.

    Attributes
    ----------
    rate_limits : list of float
        Ends of the axis of the learning rates, in units of the critical one.

    Raises
    ------
    ValueError
        For a setting that no handle can reach.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.BalancingExplorer(start=(5, 0.25))
    >>> figure.learning_rate, figure.limits
    (0.12, [-6.0, 6.0, -6.0, 6.0])
    """

    source = "balancing_explorer.js"
    ratios = (0.5, 1.72)
    panels = ((0, 0, 0.48, 1), (0.48, 0, 0.52, 1))
    legend = True
    lines = 4

    start = traitlets.List().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    rate_limits = traitlets.List([0.0, BEYOND]).tag(sync=True)
    product = traitlets.Float().tag(sync=True)
    _rates = traitlets.List().tag(sync=True)
    _farthest = traitlets.Float().tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)

    def __init__(self, start=(5, 0.25), learning_rate=None, product=1, limits=None):
        product = positive(product, "product")
        objective = scalar_factorization(product)
        farthest = FARTHEST * product**0.5
        start = [
            require_inside("start", x, -farthest, farthest)
            for x in point(start, objective, "start")
        ]
        critical = float(critical_learning_rate(start, product))
        if learning_rate is None:
            learning_rate = float(f"{0.75 * critical:.3g}")
        rates = [SLOWEST / product, FASTEST / product]
        learning_rate = require_inside("learning_rate", learning_rate, *rates)
        limits = view(_around(start, product) if limits is None else limits)
        worker = (HERE / "balancing_worker.js").read_text(encoding="utf-8")
        super().__init__(
            objective,
            name="Balance of gradient descent on {f}",
            alt=_description(objective, start, learning_rate, critical),
            texts={
                "worker": "\n".join([objective.javascript(), outcome.javascript(), worker]),
                "geometry": _geometry(),
            },
            sliders=3,
            start=start,
            learning_rate=learning_rate,
            limits=limits,
            product=product,
            _rates=rates,
            _farthest=farthest,
            _parameters=parameter_values(objective),
        )

    def _draw_still(self, plane, gaps):
        self._draw_plane(plane)
        self._draw_gaps(gaps)

    def _draw_plane(self, plane):
        h, mu, start = self.learning_rate, self.product, np.array(self.start)
        rim = InvariantEllipse(h, mu).points(np.linspace(0, 2 * np.pi, 361)).T
        plane.fill(*rim, color=COLOURS["stable" if h * mu < 1 else "chaotic"], alpha=0.07)
        plane.plot(*rim, color=INK, linewidth=1.2)
        plane.plot(self.limits[:2], self.limits[:2], ":", color="0.6", linewidth=1)
        lean = np.linspace(-1, 1, 801) * np.log(max(map(abs, self.limits)) ** 2 / mu + 2)
        for sign, colour in ((1, COLOURS["target 1"]), (-1, COLOURS["target 2"])):
            branch = sign * np.sqrt(mu) * np.exp([lean, -lean])
            plane.plot(*branch, color="0.6", linewidth=1)
            stable = h * self.objective.sharpness(branch.T) <= 2
            plane.plot(*branch[:, stable], color=colour, linewidth=4, solid_capstyle="round")
        orbit = gradient_descent(self.objective, start, h, STEPS)
        flow = _flow_limit(start, mu)
        plane.plot(*_flow_path(start, flow).T, color=COLOURS["gradient flow"], linewidth=2)
        plane.plot(*flow, "o", color=COLOURS["gradient flow"], markersize=6)
        first = orbit.points[: DRAWN + 1].T
        plane.plot(*first, ".-", color=COLOURS["gradient descent"], linewidth=1.1, markersize=5)
        if orbit.outcome.label == "converged":
            end = orbit.points[orbit.outcome.step]
            colour = COLOURS["target 1" if end[0] > 0 else "target 2"]
            plane.plot(*end, "o", color=colour, markersize=10, markeredgecolor=INK)
        plane.plot(*start, "o", markersize=9, color=INK, markerfacecolor="white")
        plane.set(xlim=self.limits[:2], ylim=self.limits[2:], xlabel="", ylabel="")
        plane.set_title("minima, orbit and limit", fontsize=9)
        plane.grid(False)

    def _draw_gaps(self, axes):
        h, mu = self.learning_rate, self.product
        critical = float(critical_learning_rate(self.start, mu))
        curve = _limits(self.objective, self.start, BEYOND * critical)
        flow = _gap(_flow_limit(self.start, mu))
        limits = curve["gaps"][np.isin(curve["kinds"], list(LIMITS))]
        height = _rounded_up(1.08 * max(flow, limits.max(initial=0), 0.1 * mu**0.5))
        rates = curve["rates"]
        bound = _BOUND.value(np.stack([rates, np.full_like(rates, mu)], axis=-1))
        axes.fill_between(rates, np.where(rates * mu < 1, bound, 0), 1e9, color="0.5", alpha=0.12)
        axes.plot(rates, bound, color=INK, linewidth=1.2)
        axes.axhline(flow, color=COLOURS["gradient flow"], linestyle="--", linewidth=1.6)
        axes.axvspan(critical, rates[-1], color=COLOURS["diverged"], alpha=0.1, linewidth=0)
        axes.axvline(critical, color=COLOURS["diverged"], linewidth=1.4)
        runs, dots = _curve_and_dots(curve["kinds"], curve["gaps"], height)
        for first, last in runs:
            part = slice(first, last + 1)
            colour = _kind_colour(curve["kinds"][first])
            axes.plot(rates[part], curve["gaps"][part], color=colour, linewidth=2)
        colours = [_kind_colour(curve["kinds"][j]) for j in dots]
        axes.scatter(rates[dots], curve["gaps"][dots], s=2, c=colours, linewidths=0, zorder=3)
        axes.axvline(h, color=INK, linewidth=1.2)
        axes.set(xlim=(0, BEYOND * critical), ylim=(0, height), xlabel="", ylabel="")
        axes.set_title(r"gap $|x_\infty - y_\infty|$ against learning rate", fontsize=9)


def _geometry():
    """Text of an ES module with the ellipse's level, the bound, and the flow's limit."""
    x, y, mu, h = _LEVEL.variables
    functions = [
        ("level", [x, y], [mu, h], [_LEVEL.smooth_expression], "number"),
        ("bound", _BOUND.variables[:1], [mu], [_BOUND.smooth_expression], "number"),
        ("flow", [x, y], [mu], [part.smooth_expression for part in _FLOW], "array"),
    ]
    texts = [source.javascript_function(*parts, kind=kind) for *parts, kind in functions]
    return "".join(texts).replace("_p = parameters", "_p")


def _around(start, product):
    """A square about the origin with the start and the bend of both branches."""
    reach = 1.15 * max(*map(abs, start), 2 * product**0.5)
    return [-_rounded_up(reach), _rounded_up(reach)] * 2


def _rounded_up(value):
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten; as in the browser."""
    power = 10.0 ** np.floor(np.log10(value))
    steps = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])
    return float(power * steps[np.argmax(steps >= value / power - 1e-9)])


def _gap(end):
    return float(abs(end[0] - end[1]))


def _flow_limit(start, product):
    return np.array([part.value([*start, product]) for part in _FLOW])


def _flow_path(start, end):
    """The arc of x² - y² = constant from the start to the limit of gradient flow."""
    imbalance = start[0] ** 2 - start[1] ** 2
    i = int(imbalance > 0)  # the coordinate that may change its sign
    path = np.empty((101, 2))
    path[:, i] = np.linspace(start[i], end[i], 101)
    path[:, 1 - i] = np.sqrt(abs(imbalance) + path[:, i] ** 2) * np.sign(start[1 - i])
    return path


# The limits, as balancing_worker.js and balancing_curve.js have them


def _limits(objective, start, top, count=COUNT, steps=STEPS):
    """Learning rates up to `top`, and the gaps and the kinds of their limits."""
    rates = top * (np.arange(count) + 0.5) / count
    ends = descend_many(objective, start, rates, steps, keep=("points", "steps"), progress=False)
    x, y = ends.points.T
    with np.errstate(all="ignore"):
        unstable = ~(x * y > 0) | (rates * objective.sharpness(ends.points) > 2 + 1e-9)
        gaps = np.abs(x - y)
    kinds = np.select([ends.diverged, ~ends.converged, unstable, x > 0], [3, 0, 4, 1], default=2)
    return {"rates": rates, "gaps": gaps, "kinds": kinds}


def _curve_and_dots(kinds, gaps, height):
    """Runs (first, last) of a curve, and the numbers of what is drawn as single points."""
    alike = (kinds[1:-1] == kinds[:-2]) & (kinds[1:-1] == kinds[2:])
    with np.errstate(all="ignore"):
        even = np.abs(gaps[:-2] + gaps[2:] - 2 * gaps[1:-1]) <= BEND * height
    smooth = np.concatenate([[False], alike & even, [False, False]])
    limit = np.isin(kinds, list(LIMITS))
    runs, dots, j = [], [], 0
    while j < len(kinds):
        last = j
        while limit[j] and smooth[last] and smooth[last + 1]:
            last += 1
        if last - j >= 3:
            runs.append((j, last))
        elif limit[j]:
            dots.extend(range(j, last + 1))
        j = last + 1
    return runs, dots


def _kind_colour(kind):
    return COLOURS[LIMITS[int(kind)]]


def _description(objective, start, learning_rate, critical):
    orbit = gradient_descent(objective, start, learning_rate, STEPS)
    if orbit.outcome.label == "converged":
        x, y = orbit.points[orbit.outcome.step]
        words = f"converges to ({x:.3f}, {y:.3f})"
    else:
        words = "diverges" if orbit.outcome.label == "diverged" else "stays without converging"
    return (
        "Left, the hyperbola of the minima of {f}, with the part where they are stable at learning "
        f"rate {learning_rate:g} drawn strong, inside the invariant ellipse; gradient descent from "
        f"({start[0]:g}, {start[1]:g}) {words}, gradient flow goes along an arc. Right, the "
        "distance of the limit's coordinates against the learning rate: near gradient flow's at "
        "first, then below a bound that falls, in the end scattered points on both branches, up to "
        f"the critical learning rate {critical:.4g}, beyond which nothing converges."
    )
