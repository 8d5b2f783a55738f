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
    LiveFigure,
    parameter_values,
    require_inside,
    view,
    worker_javascript,
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
        self._orbit = gradient_descent(objective, start, learning_rate, STEPS)
        self._end = self._orbit.points[self._orbit.outcome.step]
        self._kind = int(_kinds(objective, learning_rate, self._end, self._orbit.outcome.label))
        self._flow = _flow_limit(start, product)
        super().__init__(
            objective,
            name="Balance of gradient descent on {f}",
            alt=self._description(start, learning_rate, critical),
            texts={
                "worker": worker_javascript(objective, "balancing_worker.js"),
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

    def _description(self, start, learning_rate, critical):
        x, y = self._end
        words = {"converged": f"converges to ({x:.3f}, {y:.3f})", "diverged": "diverges"}
        becomes = words.get(self._orbit.outcome.label, "stays without converging")
        return (
            "Left, the hyperbola of the minima of {f}, with the part where they are stable at "
            f"learning rate {learning_rate:g} drawn strong, inside the invariant ellipse; gradient "
            f"descent from ({start[0]:g}, {start[1]:g}) {becomes}, gradient flow goes along an "
            "arc. Right, the distance of the limit's coordinates against the learning rate: near "
            "gradient flow's at first, then below a bound that falls, in arcs on both branches by "
            "turns that get narrower and narrower, and in the end scattered points, up to the "
            f"critical learning rate {critical:.4g}, beyond which nothing converges."
        )

    def _draw_still(self, plane, gaps):
        self._draw_minima(plane)
        self._draw_orbit(plane)
        plane.set(xlim=self.limits[:2], ylim=self.limits[2:], xlabel="", ylabel="")
        plane.set_title("minima, orbit and limit", fontsize=9)
        plane.grid(False)

        critical = float(critical_learning_rate(self.start, self.product))
        curve = _limits(self.objective, self.start, BEYOND * critical)
        known = curve["gaps"][np.isin(curve["kinds"], list(LIMITS))].max(initial=0)
        least = 0.1 * self.product**0.5
        height = _rounded_up(1.08 * max(_gap(self._flow), known, least))
        self._draw_comparisons(gaps, curve["rates"], critical)
        _draw_limits(gaps, curve, height)
        gaps.axvline(self.learning_rate, color=INK, linewidth=1.2)
        if self._kind in LIMITS:
            ring = {"color": COLOURS[LIMITS[self._kind]], "markerfacecolor": "white", "zorder": 4}
            gaps.plot(self.learning_rate, _gap(self._end), "o", markersize=9, **ring)
        _draw_multiples(gaps, BEYOND * critical, float(self.objective.sharpness(self.start)))
        gaps.set(xlim=(0, BEYOND * critical), ylim=(0, height), xlabel="", ylabel="")
        gaps.set_title(r"gap $|x_\infty - y_\infty|$ against learning rate", fontsize=9)

    def _draw_minima(self, plane):
        """Both branches, strong where they are stable, in the invariant ellipse."""
        h, mu = self.learning_rate, self.product
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

    def _draw_orbit(self, plane):
        """Gradient flow's arc and gradient descent's steps, each with its limit."""
        orange, blue = COLOURS["gradient flow"], COLOURS["gradient descent"]
        plane.plot(*_flow_path(self.start, self._flow).T, color=orange, linewidth=2)
        plane.plot(*self._flow, "o", color=orange, markersize=6)
        first = self._orbit.points[: DRAWN + 1].T
        plane.plot(*first, ".-", color=blue, linewidth=1.1, markersize=5)
        if self._kind in LIMITS:
            (x, y), colour = self._end, COLOURS[LIMITS[self._kind]]
            plane.plot([x, y], [y, y], color=INK, linewidth=1.6)
            plane.plot(x, y, "o", color=colour, markersize=10, markeredgecolor=INK)
        plane.plot(*self.start, "o", markersize=9, color=INK, markerfacecolor="white")

    def _draw_comparisons(self, axes, rates, critical):
        """The bound, gradient flow's gap and the critical learning rate."""
        mu = self.product
        bound = _BOUND.value(np.stack([rates, np.full_like(rates, mu)], axis=-1))
        axes.fill_between(rates, np.where(rates * mu < 1, bound, 0), 1e9, color="0.5", alpha=0.12)
        axes.plot(rates, bound, color=INK, linewidth=1.2)
        flow = {"color": COLOURS["gradient flow"], "linestyle": "--", "linewidth": 1.6}
        axes.axhline(_gap(self._flow), **flow)
        lost = COLOURS["diverged" if critical * mu < 1 else "chaotic"]
        axes.axvspan(critical, rates[-1], color=lost, alpha=0.1, linewidth=0)
        axes.axvline(critical, color=lost, linewidth=1.4)


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
    ends = descend_many(objective, start, rates, steps, keep="points", progress=False)
    kinds = _kinds(objective, rates, ends.points, np.take(outcome.LABELS, ends.labels))
    with np.errstate(all="ignore"):
        return {"rates": rates, "gaps": np.abs(ends.points @ [1, -1]), "kinds": kinds}


def _kinds(objective, rates, ends, labels):
    """What `kindOf` of balancing_worker.js gives: 1 and 2 for limits on the branches."""
    labels = np.asarray(labels)
    x, y = np.moveaxis(ends, -1, 0)
    with np.errstate(all="ignore"):
        unstable = ~(x * y > 0) | (rates * objective.sharpness(ends) > 2 + 1e-9)
    cases = [labels == "diverged", labels != "converged", unstable, x > 0]
    return np.select(cases, [3, 0, 4, 1], default=2)


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


def _draw_limits(axes, curve, height):
    """Curves, and single points where the limit jumps."""
    rates, gaps, kinds = (curve[name] for name in ("rates", "gaps", "kinds"))
    colours = np.array([COLOURS[LIMITS.get(kind, "edge")] for kind in kinds])
    runs, dots = _curve_and_dots(kinds, gaps, height)
    for first, last in runs:
        part = slice(first, last + 1)
        axes.plot(rates[part], gaps[part], color=colours[first], linewidth=2)
    axes.scatter(rates[dots], gaps[dots], s=2, c=colours[dots], linewidths=0, zorder=3)


def _draw_multiples(axes, top, sharpness):
    """Along the top, the learning rate in units of one over the sharpness of the start."""
    marks = np.arange(1, top * sharpness, max(1, top * sharpness // 5))
    along = axes.get_xaxis_transform()
    axes.vlines(marks / sharpness, 0.98, 1, color=INK, transform=along)
    halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for mark in marks:
        words = rf"${mark:g}/L_0$" if mark == marks[0] else f"{mark:g}"
        place, centred = (mark / sharpness, 0.945), {"ha": "center", "va": "center"}
        axes.annotate(words, place, xycoords=along, **centred, fontsize=8, bbox=halo)
