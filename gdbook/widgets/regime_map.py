"""The map of regimes: one learning rate, from gradient flow to divergence."""

import numpy as np
import traitlets

from gdbook import catalogue, outcome
from gdbook.arguments import positive
from gdbook.descent import gradient_descent
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    LiveFigure,
    chosen_smoothness,
    draw_tangent_steps,
    parameter_values,
    rectangle,
    require_dimension,
    require_inside,
    value_limits,
)

__all__ = ["RegimeMap"]


class RegimeMap(LiveFigure):
    """Where orbits end, for every learning rate at once, and the orbit at one of them.

    Parameters
    ----------
    objective : Objective, optional
        Of one variable; the double well by default.
    learning_rate : float
    start : float
    limits : (float, float)
        Between which the start can be dragged; also those of the map.
    smoothness : float, optional
        The L of 1/L and 2/L. By default the sharpness at the lowest point between the limits.
    largest_learning_rate : float, optional
        Where slider and map end; 4.4/L by default.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.RegimeMap(gd.catalogue.double_well(), learning_rate=0.8)
    >>> figure.smoothness, figure.largest_learning_rate
    (2.0, 2.2)
    """

    source = "regime_map.js"
    ratios = (0.46, 1.37)
    panels = ((0, 0, 0.4, 1), (0.4, 0, 0.6, 1))
    legend = True

    learning_rate = traitlets.Float().tag(sync=True)
    start = traitlets.Float().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    smoothness = traitlets.Float().tag(sync=True)
    _smoothness_origin = traitlets.Unicode().tag(sync=True)
    largest_learning_rate = traitlets.Float().tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)
    _value_limits = traitlets.List().tag(sync=True)

    def __init__(
        self,
        objective=None,
        learning_rate=1.15,
        start=0.2,
        *,
        limits=(-1.6, 1.6),
        smoothness=None,
        largest_learning_rate=None,
    ):
        objective = catalogue.double_well() if objective is None else objective
        require_dimension(objective, 1, "RegimeMap")
        limits = rectangle(limits, 1)
        start = require_inside("start", start, *limits)
        smoothness, origin = chosen_smoothness(objective, limits, smoothness)
        largest = 4.4 / smoothness if largest_learning_rate is None else largest_learning_rate
        largest = positive(largest, "largest_learning_rate")
        learning_rate = require_inside("learning_rate", learning_rate, 0, largest)
        super().__init__(
            objective,
            name="The regimes of gradient descent on {f}",
            alt=f"Left, the graph of {{f}} with the first steps of gradient descent from {start:g} "
            f"at learning rate {learning_rate:g}; right, where orbits end against the learning "
            "rate: a minimum up to 2/L, then cycles whose period doubles, chaos, and nothing where "
            "all orbits diverge.",
            texts={"outcome": outcome.javascript()},
            sliders=1,
            learning_rate=learning_rate,
            start=start,
            limits=limits,
            smoothness=smoothness,
            _smoothness_origin=origin,
            largest_learning_rate=largest,
            _parameters=parameter_values(objective),
            _value_limits=value_limits(objective, limits),
        )

    def _draw_still(self, curve, strip):
        orbit = gradient_descent(self.objective, self.start, self.learning_rate, 40)
        draw_tangent_steps(curve, self.objective, orbit, self.limits, self._value_limits)
        curve.set_title(f"f({self.objective.variables[0]}), first 40 steps", fontsize=9)

        rates = np.linspace(0, self.largest_learning_rate, 500)[1:]
        middle, reach = np.mean(self.limits), np.ptp(self.limits) / 20
        x = np.repeat([[middle + reach], [middle - reach]], len(rates), axis=1)
        visited = []
        for _ in range(800):
            x = x - rates * self.objective.gradient(x[..., np.newaxis])[..., 0]
            visited.append(x)
        visited = np.stack(visited[-160:])
        returns = np.abs(visited[-1] - visited[-65:-1]).min(axis=(0, 1))
        kinds = {
            "stable": rates < 1 / self.smoothness,
            "oscillating": (rates >= 1 / self.smoothness) & (rates <= 2 / self.smoothness),
            "periodic": (rates > 2 / self.smoothness) & (returns < 1e-6),
            "chaotic": (rates > 2 / self.smoothness) & ~(returns < 1e-6),
        }
        for kind, chosen in kinds.items():
            heights = visited[:, :, chosen].reshape(-1, chosen.sum()).T
            marker = "," if kind == "chaotic" else "."
            strip.plot(rates[chosen], heights, marker, markersize=2, color=COLOURS[kind])
        for multiple in (1, 2):
            rate = multiple / self.smoothness
            strip.axvline(rate, color=COLOURS["edge"], linestyle="--", linewidth=1.2)
            strip.text(rate, 0.94 * self.limits[0], f" {multiple}/L", fontsize=8)
        strip.axvline(self.learning_rate, color="#1b1f24", linewidth=1.2)
        strip.set(xlim=(0, self.largest_learning_rate), ylim=self.limits)
        strip.set_title(
            f"{self.objective.variables[0]} for large k, against learning rate", fontsize=9
        )
