"""Gradient descent on a landscape with ripples, under the reader's hand."""

import numpy as np
import traitlets

from gdbook import multiscale, outcome
from gdbook.arguments import positive
from gdbook.bifurcation import bifurcation_diagram
from gdbook.catalogue import multiscale as with_ripples
from gdbook.descent import gradient_descent
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    HERE,
    LiveFigure,
    parameter_values,
    rectangle,
    require_dimension,
    require_inside,
    value_limits,
)

__all__ = ["MultiscaleExplorer"]

PATH = 40
BINS = 110
MOST_CELLS = 4000  # as in random_map.js
WINDOW = 12  # as in multiscale_explorer.js
SMALLEST, FINEST, COARSEST = 0.005, 1e-5, 0.2


class MultiscaleExplorer(LiveFigure):
    r"""Iterates on :math:`f_0(x) + \epsilon \sin(x/\epsilon)`, and the law that they come to.

    Left the potential at both scales with the iterates, and a magnifier in units of
    :math:`\epsilon`; right the histogram of the orbit, Gibbs' density at the temperature h/4 and
    the exact density of the random map.

    Parameters
    ----------
    macro : Objective, optional
        :math:`f_0` of one variable; by default :math:`x^2/2`.
    learning_rate : float
        Between 0.005 and the largest.
    scale : float
        :math:`\epsilon`, between 1e-5 and 0.2.
    start : float
    limits : (float, float), optional
        Ends of the axes, which the random map must not leave. By default the slopes there are a
        little steeper than the ripples'.
    largest_learning_rate : float
        Where the slider ends.

    Attributes
    ----------
    objective : Objective
        :math:`f`, with the given scale as its parameter ``epsilon``.
    macro : Objective

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.MultiscaleExplorer(learning_rate=0.2)
    >>> figure.limits, str(figure.objective)
    ([-1.1, 1.1], 'f(x) = epsilon*sin(x/epsilon) + x**2/2')
    """

    source = "multiscale_explorer.js"
    ratios = (0.62, 1.68)
    panels = ((0, 0, 0.55, 0.58), (0, 0.58, 0.55, 0.42), (0.55, 0, 0.45, 1))
    legend = True

    learning_rate = traitlets.Float().tag(sync=True)
    scale = traitlets.Float().tag(sync=True)
    start = traitlets.Float().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    largest_learning_rate = traitlets.Float().tag(sync=True)
    _smallest_learning_rate = traitlets.Float(SMALLEST).tag(sync=True)
    _scales = traitlets.List([FINEST, COARSEST]).tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)
    _value_limits = traitlets.List().tag(sync=True)

    def __init__(
        self,
        macro=None,
        learning_rate=0.1,
        scale=0.001,
        start=0.7,
        *,
        limits=None,
        largest_learning_rate=0.5,
    ):
        macro = Objective("x^2/2", "x") if macro is None else macro
        require_dimension(macro, 1, "MultiscaleExplorer")
        largest = positive(largest_learning_rate, "largest_learning_rate")
        learning_rate = require_inside("learning_rate", learning_rate, SMALLEST, largest)
        scale = require_inside("scale", scale, FINEST, COARSEST)
        limits = _valley(macro) if limits is None else rectangle(limits, 1)
        start = require_inside("start", start, *limits)
        widest = MOST_CELLS * learning_rate * np.sqrt(0.5)
        if limits[1] - limits[0] > widest:
            raise ValueError(
                f"limits must be at most {widest:g} apart at learning rate {learning_rate:g}, so "
                f"that the noise is wider than a cell, not {limits}"
            )
        self.macro = macro
        objective = with_ripples(macro, scale=scale)
        parts = ("random_map.js", "multiscale_worker.js")
        worker = [(HERE / name).read_text(encoding="utf-8") for name in parts]
        super().__init__(
            objective,
            name="Gradient descent on {f}",
            alt=f"Left, the graph of {{f}} with {PATH} steps of gradient descent from {start:g} at "
            f"learning rate {learning_rate:g} and epsilon = {scale:g}, and a magnified piece with "
            "the ripples about the last of them; right, the histogram of the orbit with the Gibbs "
            "density and the exact density of the random map.",
            texts={
                "macro": macro.javascript(),
                "outcome": outcome.javascript(),
                "worker": "\n".join([objective.javascript(), *worker]),
            },
            sliders=3,
            learning_rate=learning_rate,
            scale=scale,
            start=start,
            limits=limits,
            largest_learning_rate=largest,
            _parameters=parameter_values(objective),
            _value_limits=value_limits(macro, limits),
        )

    def _draw_still(self, potential, magnifier, visits):
        orbit = gradient_descent(self.objective, self.start, self.learning_rate, PATH)
        x, variable = orbit.points[:, 0], self.objective.variables[0]
        ink, blue = "#1b1f24", COLOURS["gradient descent"]
        grid = np.linspace(*self.limits, 801)[:, np.newaxis]
        if self.scale > (self.limits[1] - self.limits[0]) / 800:  # else ripples are below a pixel
            potential.plot(grid[:, 0], self.macro.value(grid), "--", color="0.5", linewidth=1)
            potential.plot(grid[:, 0], self.objective.value(grid), color=ink, linewidth=1)
        else:
            potential.plot(grid[:, 0], self.macro.value(grid), color=ink, linewidth=1)
        potential.plot(x, orbit.values, ".-", color=blue, linewidth=0.4, markersize=6)
        top = self.macro.value([self.start])
        potential.plot(self.start, top, "o", markersize=9, markerfacecolor="white", color=blue)
        potential.plot(x[-1], orbit.values[-1], "o", color=ink, markersize=6)
        potential.set(xlim=self.limits, ylim=self._value_limits)
        potential.set_title(f"f({variable}) and iterates 0 to {PATH}", fontsize=9)

        u = np.linspace(-WINDOW, WINDOW, 401)
        near = (x[-1] + self.scale * u)[:, np.newaxis]
        at = self.objective.value(x[-1:])
        magnifier.plot(u, (self.macro.value(near) - at) / self.scale, "--", color="0.5")
        magnifier.plot(u, (self.objective.value(near) - at) / self.scale, color=ink)
        magnifier.plot(0, 0, "o", color=ink, markersize=6)
        magnifier.set_xlim(-WINDOW, WINDOW)
        magnifier.set_title(rf"$f$ about ${variable}_k$, in units of $\epsilon$", fontsize=9)

        h = self.learning_rate
        late = bifurcation_diagram(
            self.objective, [h], self.start, int(np.ceil(5 / h)), 200_000, progress=False
        )
        seen = np.histogram(late.points, BINS, self.limits, density=True)
        visits.stairs(*seen, fill=True, color=blue, alpha=0.45)
        law = multiscale.transfer_operator(self.macro, h, self.limits, _cells(self.limits, h))
        visits.plot(law.centres, law.density, color=ink)
        gibbs = multiscale.gibbs_density(self.macro, h / 4, law.centres)
        visits.plot(law.centres, gibbs, "--", color=COLOURS["gradient flow"], linewidth=1.8)
        visits.set(xlim=self.limits, ylim=(0, 1.25 * max(law.density.max(), gibbs.max())))
        visits.set_title("density of the iterates", fontsize=9)


def _cells(limits, learning_rate):
    """As many cells as random_map.js takes."""
    noise = learning_rate * np.sqrt(0.5)
    return int(np.clip(np.ceil(3 * (limits[1] - limits[0]) / noise), 400, MOST_CELLS))


def _valley(macro):
    """Ends of the valley about the origin where the slopes are a tenth steeper than the ripples."""
    steps = np.arange(201) / 20
    ends = []
    for side in (-1, 1):
        climbed = np.flatnonzero(side * macro.gradient(side * steps[:, np.newaxis]) < 1.1 - 1e-9)
        last = climbed[-1] + 1 if climbed.size else 0
        if last == len(steps):
            raise ValueError(
                f"limits must be given, because {macro} does not rise on both sides, within 10 of "
                "the origin, more steeply than the ripples"
            )
        ends.append(float(side * steps[last]))
    return ends
