"""Logistic regression at any learning rate, under the reader's hand."""

import json
import string

import numpy as np
import traitlets

from gdbook import classification, data, source
from gdbook.arguments import natural
from gdbook.catalogue import logistic_loss
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import LiveFigure, require_inside, worker_javascript

__all__ = ["LogisticExplorer"]

TWO_POINTS = "two points"
PAIRS = ((0, 8), (3, 8), (1, 8), (8, 9), (5, 9))
NAMES = [TWO_POINTS, *(f"{first} or {second}" for first, second in PAIRS)]
RATES = [0.1, 1e4]
MARGINS = [0.01, 0.4]
STEPS = [100, 10000]
DEEPEST, DEEP = 1e-12, 1e-8  # losses that are drawn, as in logistic_explorer.js
LETTERS = string.ascii_letters + string.digits + "-_.~!*()+"
LEVELS = 17  # grey values of a digit's pixel
ROUNDING = 1e-12  # as `phases` counts increases
INK = "#1b1f24"


class LogisticExplorer(LiveFigure):
    r"""Gradient descent from 0 on logistic regression, with its two phases.

    Left the loss :math:`f(w_k)` against the step, for several learning rates: in the colour of the
    edge phase while :math:`f > 1/h`, then in that of the stable phase; diamonds are runs of
    :math:`T` steps with :math:`h = T`. Right the weights, for two points the plane with the path,
    and below them the loss after :math:`T` steps against the learning rate, with the largest
    learning rate whose run is monotone.

    Parameters
    ----------
    data : {"two points", "0 or 8", "3 or 8", "1 or 8", "8 or 9", "5 or 9"}
        The two points :math:`(\gamma, 0.9)` and :math:`(\gamma, -0.5)`, both of class 1, or the
        images of two digits.
    learning_rate : float
        From 0.1 to 10 000.
    margin : float
        :math:`\gamma` of the two points, from 0.01 to 0.4.
    steps : int
        :math:`T`, from 100 to 10 000.

    Attributes
    ----------
    problem : int
        Number of the data in the order above.
    step : int
        The step that is shown, or anything larger for the last.

    Raises
    ------
    ValueError
        For a setting that no handle can reach.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.LogisticExplorer(learning_rate=50)
    >>> figure.problem, figure.margin, figure.steps
    (0, 0.05, 2000)
    """

    source = "logistic_explorer.js"
    ratios = (0.66, 2.0)
    panels = ((0, 0, 0.58, 1), (0.58, 0, 0.42, 0.5), (0.58, 0.5, 0.42, 0.5))
    lines = 5
    rows = 2

    problem = traitlets.Int().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    margin = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    step = traitlets.Int(STEPS[1]).tag(sync=True)
    _names = traitlets.List([name.capitalize() for name in NAMES]).tag(sync=True)
    _rates = traitlets.List(RATES).tag(sync=True)
    _margins = traitlets.List(MARGINS).tag(sync=True)
    _steps = traitlets.List(STEPS).tag(sync=True)

    def __init__(self, data=TWO_POINTS, learning_rate=50, *, margin=0.05, steps=2000):
        if data not in NAMES:
            raise ValueError(f"data must be one of {', '.join(NAMES)}, not {data!r}")
        learning_rate = require_inside("learning_rate", learning_rate, *RATES)
        margin = require_inside("margin", margin, *MARGINS)
        steps = int(require_inside("steps", natural(steps, "steps", 1), *STEPS))
        loss = logistic_loss()
        self._model = _model(data, margin)
        problem = NAMES.index(data)
        self._run = self._model.descend(
            learning_rate, steps, keep_every=1 if problem == 0 else steps
        )
        self._phases = classification.phases(self._run)
        self._threshold = classification.monotone_threshold(self._model, steps)
        super().__init__(
            loss,
            name="Logistic regression by gradient descent",
            alt=self._description(data, learning_rate, steps),
            texts={
                "worker": worker_javascript(loss, "logistic_worker.js", _both(loss), _samples())
            },
            sliders=3,
            problem=problem,
            learning_rate=learning_rate,
            margin=margin,
            steps=steps,
        )

    def _description(self, data, h, steps):
        count, entry = self._phases.increases, self._phases.transition
        often = "once" if count == 1 else f"{count} times"
        course = f"increases {often}" if count else "falls in every step"
        below = f"below 1/h from step {entry} on" if entry is not None else "not yet below 1/h"
        beyond = (
            f"goes on falling beyond the largest learning rate with a monotone run, "
            f"{self._threshold:.4g}."
            if self._threshold < RATES[1]
            else "falls all the way, and no run ever increases."
        )
        shown = "a plane with the path of the weights" if data == TWO_POINTS else "the weights"
        return (
            f"Left, the logistic loss on {data} against the step, both axes logarithmic, for "
            f"several learning rates: each curve in one colour while the loss is above 1/h and in "
            f"another after that, when it falls in every step. At learning rate {h:g} the loss "
            f"{course}, and is {below}; after {steps} steps it is {self._run.losses[-1]:.2g}. "
            "Diamonds, runs whose learning rate is their number of steps, fall like 1/T² or "
            f"faster. Right, {shown}; below, the loss at the end against the learning rate, which "
            f"{beyond}"
        )

    def _draw_still(self, curves, weights, ends):
        decades = 10.0 ** np.arange(np.log10(RATES[0]), np.log10(RATES[1]) + 0.5)
        monotone = [self._threshold] if self._threshold < RATES[1] else []
        best = [self._model.descend(h, self.steps) for h in monotone]
        others = [self._model.descend(h, self.steps) for h in decades]
        ladder = [self._model.descend(number, number).losses[-1] for number in _ladder(self.steps)]
        # a last diamond that falls out of the line has no room of its own, as in the browser
        deep = [1, *(run.losses[-1] for run in best), max(ladder[-2] / 50, ladder[-1])]
        least = min(self._run.losses[-1], max(DEEP, min(deep)), 1e-2)
        low = 10.0 ** np.floor(np.log10(max(DEEPEST, least)))
        self._draw_curves(curves, [*others, *best], ladder)
        curves.set_ylim(low, max(2, 1.4 * self._run.losses.max()))
        if self.problem == 0:
            self._draw_plane(weights)
        else:
            self._draw_digits(weights)
        self._draw_ends(ends, low)

    def _draw_curves(self, axes, others, ladder):
        """The run under the hand, others beside it, and runs with h = T."""
        h, entry = self.learning_rate, self._phases.transition
        border = max(1, self.steps if entry is None else entry)
        axes.axvspan(1, border, color=COLOURS["edge"], alpha=0.13, linewidth=0)
        axes.axvspan(border, self.steps, color=COLOURS["stable"], alpha=0.13, linewidth=0)
        for run in others:
            _draw_phases(axes, run, linewidth=1, alpha=0.55)
        axes.plot(_ladder(self.steps), ladder, "D:", color=COLOURS["chaotic"], markersize=5, lw=1)
        axes.axhline(1 / h, color=INK, linestyle="--", linewidth=1)
        _draw_phases(axes, self._run, linewidth=2.4)
        if entry is not None:
            axes.plot(border, self._run.losses[entry], "o", color=COLOURS["stable"], zorder=4)
        losses = self._run.losses
        rises = np.flatnonzero(losses[1:] > losses[:-1] * (1 + ROUNDING)) + 1
        along = axes.get_xaxis_transform()
        axes.vlines(rises, 0.97, 1, color=COLOURS["diverged"], linewidth=1, transform=along)
        axes.set(xscale="log", yscale="log", xlim=(1, self.steps), xlabel="", ylabel="")
        axes.set_title("loss $f(w_k)$ against step k", fontsize=9)

    def _draw_plane(self, axes):
        """The plane of the weights: the path, the region f ≤ 1/h, where both points are right."""
        entry = self._phases.transition
        path = self._run.points[: None if entry is None else max(12, int(1.15 * entry)) + 1]
        right = path[:, 0].max() * 1.1
        reach = 1.12 * np.abs(path[:, 1]).max()
        plane = np.stack(
            np.meshgrid(np.linspace(-0.06 * right, right, 161), np.linspace(-reach, reach, 161)), -1
        )
        inside = {"levels": [0, 1 / self.learning_rate], "alpha": 0.16}
        axes.contourf(
            *np.moveaxis(plane, -1, 0),
            self._model.value(plane),
            **inside,
            colors=[COLOURS["stable"]],
        )
        for x, y in self._model.features:
            axes.plot([0, right], [0, -x / y * right], ":", color=INK, linewidth=1)
        for part, colour in _phase_parts(entry, len(path)):
            axes.plot(*path[part].T, ".-", color=COLOURS[colour], linewidth=1, markersize=4)
        axes.set(xlim=(-0.06 * right, right), ylim=(-reach, reach), xlabel="", ylabel="")
        axes.set_title("weights, and where $f \\leq 1/h$", fontsize=9)
        axes.grid(False)

    def _draw_digits(self, axes):
        """The weights at the end, as a picture."""
        picture = self._run.points[-1].reshape(8, 8)
        most = np.abs(picture).max()
        axes.imshow(picture, cmap="RdBu", vmin=-most, vmax=most)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"weights after {self.steps} steps", fontsize=9)
        axes.grid(False)

    def _draw_ends(self, axes, low):
        """The loss at the end against the learning rate."""
        rates = 10.0 ** np.linspace(*np.log10(RATES), 61 if self.problem == 0 else 21)
        runs = [self._model.descend(h, self.steps) for h in rates]
        rising = np.array([classification.phases(run).increases > 0 for run in runs])
        losses = np.array([run.losses[-1] for run in runs])
        end = min(self._threshold, RATES[1])
        axes.axvspan(RATES[0], end, color=COLOURS["stable"], alpha=0.13, linewidth=0)
        axes.axvline(end, color=COLOURS["stable"], linewidth=1.6)
        axes.plot(rates, losses, color="0.5", linewidth=1)
        axes.plot(rates[~rising], losses[~rising], "o", color=COLOURS["stable"], markersize=4)
        axes.plot(rates[rising], losses[rising], "o", color=COLOURS["edge"], markersize=4)
        axes.axvline(self.learning_rate, color=INK, linewidth=1.2)
        ring = {"color": INK, "markerfacecolor": "white", "zorder": 4}
        axes.plot(self.learning_rate, self._run.losses[-1], "o", markersize=8, **ring)
        axes.set(xscale="log", yscale="log", xlim=RATES, ylim=(low, 2), xlabel="", ylabel="")
        axes.set_title("loss at the end against learning rate h", fontsize=9)


def _draw_phases(axes, run, **options):
    steps = np.arange(len(run.losses))
    for part, colour in _phase_parts(classification.phases(run).transition, len(steps)):
        axes.plot(steps[part], run.losses[part], color=COLOURS[colour], **options)


def _phase_parts(transition, count):
    """Which entries are of the edge phase and which of the stable one, with their colours."""
    if transition is None or transition >= count:
        return [(slice(0, count), "edge")]
    return [(slice(0, transition + 1), "edge"), (slice(transition, count), "stable")]


def _ladder(steps):
    """Numbers of steps, halved again and again; as in the browser."""
    ladder = [steps]
    while (half := int(ladder[-1] / 2 + 0.5)) >= 8:
        ladder.append(half)
    return ladder[::-1]


def _model(name, margin):
    """The classifier for the data of that name."""
    if name == TWO_POINTS:
        features, labels = classification.two_points(margin)
    else:
        features, labels = data.digits().pair(*PAIRS[NAMES.index(name) - 1])
    return classification.LogisticRegression(features, labels)


def _both(loss):
    """Text of a function in JavaScript that gives the loss of a margin and its derivative."""
    expressions = [loss.smooth_expression, *loss.gradient_expression]
    return source.javascript_function("lossAndSlope", loss.variables, [], expressions)


def _samples():
    """Text of an ES module with the two points of margin 1, and the digits packed."""
    features, _ = classification.two_points(1.0)
    images = data.digits()
    grey = np.rint(16 * images.features).astype(int)
    digits = sorted({digit for pair in PAIRS for digit in pair})
    parts = {
        "points": features.tolist(),
        "pairs": PAIRS,
        "letters": LETTERS,
        "images": {digit: _packed(grey[images.labels == digit]) for digit in digits},
    }
    return "".join(f"export const {name} = {json.dumps(part)};\n" for name, part in parts.items())


def _packed(values):
    """Numbers below 17 as a text, three in two letters."""
    three = np.pad(values.ravel(), (0, -values.size % 3)).reshape(-1, 3) @ [LEVELS**2, LEVELS, 1]
    return "".join(np.array(list(LETTERS))[np.stack(np.divmod(three, len(LETTERS)), axis=-1)].flat)
