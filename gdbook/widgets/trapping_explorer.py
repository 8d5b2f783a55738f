"""What a large learning rate leaves of the stable minima and of their region, under the hand."""

import json

import numpy as np
import traitlets

from gdbook import source, stability
from gdbook.arguments import point
from gdbook.catalogue import scalar_factorization
from gdbook.descent import gradient_descent
from gdbook.ensemble import descend_many
from gdbook.factorization import InvariantEllipse
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    LiveFigure,
    parameter_values,
    require_inside,
    worker_javascript,
)

__all__ = ["TrappingExplorer"]

RATES = [0.1, 1.3]  # ends of the axis of the learning rates
REACHES = [1.5, 6.0]  # half-widths of the square
HIGHEST = 1.4  # of the right plot: above one stands the key
STARTS, SEED = 2000, 17
STEPS, DRAWN = 4096, 60  # of the starts and of the orbit that is drawn, as in the browser
KINDS = {"converged": "stable", "periodic": "periodic", "bounded": "chaotic"}  # and their colours
INK = "#1b1f24"

_LEVEL = Objective(InvariantEllipse.expression, "x y mu h")


class TrappingExplorer(LiveFigure):
    r"""How the weakly stable minima of :math:`\tfrac12(1 - xy)^2` and their region shrink.

    Left the square :math:`[-r, r]^2` with the hyperbola of the minima, strong where
    :math:`x^2 + y^2 \le 2/h`, the invariant ellipse, what becomes of 2000 starts, and one orbit;
    right, against the learning rate, the share of the square from which gradient descent reaches a
    minimum, exact and counted, and the length of the weakly stable part.

    Parameters
    ----------
    learning_rate : float
        Between 0.1 and 1.3.
    start : (float, float)
        Of the orbit that is drawn, in the square.
    reach : float
        :math:`r`, between 1.5 and 6.

    Raises
    ------
    ValueError
        For a setting that no handle can reach.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.TrappingExplorer(learning_rate=0.8)
    >>> figure.start, figure.reach
    ([2.0, 0.25], 3.0)
    """

    source = "trapping_explorer.js"
    ratios = (0.5, 1.72)
    panels = ((0, 0, 0.48, 1), (0.48, 0, 0.52, 1))
    legend = True
    lines = 5

    learning_rate = traitlets.Float().tag(sync=True)
    start = traitlets.List().tag(sync=True)
    reach = traitlets.Float().tag(sync=True)
    _rates = traitlets.List(RATES).tag(sync=True)
    _reaches = traitlets.List(REACHES).tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)

    def __init__(self, learning_rate=0.4, start=(2.0, 0.25), reach=3.0):
        objective = scalar_factorization()
        learning_rate = require_inside("learning_rate", learning_rate, *RATES)
        reach = require_inside("reach", reach, *REACHES)
        start = [
            require_inside("start", x, -reach, reach) for x in point(start, objective, "start")
        ]
        self._ends = descend_many(
            objective, reach * _starts(), learning_rate, STEPS, keep="labels", progress=False
        )
        self._orbit = gradient_descent(objective, start, learning_rate, STEPS)
        super().__init__(
            objective,
            name="Starts that reach a minimum of {f}",
            alt=self._description(learning_rate, reach),
            texts={
                "worker": worker_javascript(objective, "trapping_worker.js", _starts_javascript()),
                "geometry": source.javascript_function(
                    "level",
                    _LEVEL.variables[:2],
                    _LEVEL.variables[2:],
                    [_LEVEL.smooth_expression],
                    kind="number",
                ).replace("_p = parameters", "_p"),
            },
            sliders=4,
            learning_rate=learning_rate,
            start=start,
            reach=reach,
            _parameters=parameter_values(objective),
        )

    def _description(self, h, reach):
        counts = self._ends.counts
        converged = counts["converged"] / STARTS
        stays = (counts["periodic"] + counts["bounded"]) / STARTS
        length = float(stability.weakly_stable_length(h))
        return (
            f"Left, the square of half-width {reach:g} with the hyperbola of the minima of {{f}}. "
            f"At learning rate {h:g} its weakly stable part, drawn strong, is {length:.3f} long. "
            f"Of {STARTS} starts {converged:.1%} converge, {stays:.1%} stay without converging, "
            "and the others diverge; the invariant ellipse parts those that stay from those that "
            "diverge. Right, against the learning rate, the share of the square from which "
            "gradient descent converges falls, and at 1 jumps to zero; the length of the weakly "
            "stable part falls to zero there."
        )

    def _draw_still(self, plane, shares):
        self._draw_starts(plane)
        self._draw_minima(plane)
        self._draw_orbit(plane)
        square = (-self.reach, self.reach)
        plane.set(xlim=square, ylim=square, xlabel="", ylabel="")
        plane.set_title("starts, minima and an orbit", fontsize=9)
        plane.grid(False)
        self._draw_shares(shares)
        shares.set(xlim=RATES, ylim=(0, HIGHEST), xlabel="", ylabel="")
        shares.set_title("against the learning rate", fontsize=9)
        shares.legend(loc="upper left", fontsize=8)

    def _draw_starts(self, plane):
        x, y = self.reach * _starts().T
        for kind, name in {**KINDS, "diverged": "diverged"}.items():
            chosen = getattr(self._ends, kind)
            plane.scatter(x[chosen], y[chosen], s=2.5, color=COLOURS[name], linewidths=0)

    def _draw_minima(self, plane):
        """Both branches, strong where they are weakly stable, and the ellipse."""
        h = self.learning_rate
        rim = InvariantEllipse(h).points(np.linspace(0, 2 * np.pi, 361)).T
        plane.plot(*rim, color=INK, linewidth=1.2)
        lean = np.linspace(-1, 1, 2001) * np.log(self.reach + 2)
        for sign in (1, -1):
            branch = sign * np.exp([lean, -lean])
            weakly = h * self.objective.sharpness(branch.T) <= 2
            plane.plot(*branch, color="white", linewidth=4)
            plane.plot(*branch, color=COLOURS["edge"], linewidth=1.8)
            plane.plot(*branch[:, weakly], color="white", linewidth=7)
            plane.plot(*branch[:, weakly], color=COLOURS["stable"], linewidth=4.5)

    def _draw_orbit(self, plane):
        first, blue = self._orbit.points[: DRAWN + 1].T, COLOURS["gradient descent"]
        plane.plot(*first, color="white", linewidth=3, alpha=0.8)
        plane.plot(*first, ".-", color=blue, linewidth=1.2, markersize=5)
        if self._orbit.outcome.label == "converged":
            end = self._orbit.points[self._orbit.outcome.step]
            plane.plot(*end, "o", color=COLOURS["stable"], markersize=8, markeredgecolor=INK)
        plane.plot(*self.start, "o", markersize=9, color=INK, markerfacecolor="white")

    def _draw_shares(self, axes):
        """The two curves, the share that stays bounded beyond one, and what was counted."""
        h, (slowest, fastest) = self.learning_rate, RATES
        rates = 1 + (slowest - 1) * np.linspace(1, 0, 121) ** 2
        beyond = np.linspace(np.nextafter(1, 2), fastest, 31)
        square = [-self.reach, self.reach] * 2
        inside = [InvariantEllipse(rate).share(square) for rate in beyond]
        axes.axvspan(1, fastest, color=COLOURS["edge"], alpha=0.1, linewidth=0)
        axes.axvline(1, color=COLOURS["edge"], linewidth=1.6)
        both = np.append(rates, beyond)
        share = stability.trapping_share(square, both)
        axes.plot(both, share, color=COLOURS["stable"], linewidth=2.2, label="share reaching one")
        length = stability.weakly_stable_length(both) / stability.weakly_stable_length(slowest)
        axes.plot(both, length, "--", color=INK, linewidth=1.6, label="length / length at 0.1")
        words = "bounded, reaching none"
        axes.plot(beyond, inside, ":", color=COLOURS["periodic"], linewidth=1.8, label=words)
        axes.plot([h, h], [0, 1], color=INK, linewidth=1)
        ring = {"color": COLOURS["stable"], "markerfacecolor": "white", "markeredgewidth": 2.2}
        axes.plot(h, np.mean(self._ends.converged), "o", markersize=9, zorder=4, **ring)


def _starts():
    """The starts of the square [-1, 1]², shape (2000, 2), with few digits for the page."""
    return np.random.default_rng(SEED).uniform(-1, 1, (STARTS, 2)).round(4)


def _starts_javascript():
    return f"export const starts = {json.dumps(_starts().ravel().tolist())};\n"
