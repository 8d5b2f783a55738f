"""Gradient descent in one dimension under the reader's hand."""

import numpy as np
import traitlets

from gdbook import outcome
from gdbook.arguments import natural, number, positive
from gdbook.descent import gradient_descent
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import (
    LiveFigure,
    chosen_smoothness,
    draw_tangent_steps,
    lowest,
    parameter_values,
    rectangle,
    require_dimension,
    require_inside,
    value_limits,
)

__all__ = ["DescentExplorer1D"]


class DescentExplorer1D(LiveFigure):
    """Curve with tangent steps, cobweb, and loss against step; the regime named as it changes.

    Parameters
    ----------
    objective : Objective
        Of one variable.
    start : float
    learning_rate : float, optional
        Three fifths of the largest by default.
    steps : int
        Steps that are drawn.
    limits : (float, float), optional
        Between which the start can be dragged; two to either side by default, more if the start
        lies farther out.
    smoothness : float, optional
        The L of 1/L and 2/L. By default the sharpness at the lowest point between the limits.
    largest_learning_rate : float, optional
        Where the slider ends; 2.5/L by default.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.DescentExplorer1D(gd.catalogue.double_well(), start=0.3)
    >>> figure.smoothness, figure.learning_rate
    (2.0, 0.75)
    """

    source = "descent_explorer_1d.js"
    ratios = (0.62, 1.14)
    panels = ((0, 0, 0.6, 1), (0.6, 0, 0.4, 0.5), (0.6, 0.5, 0.4, 0.5))

    start = traitlets.Float().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    smoothness = traitlets.Float().tag(sync=True)
    _smoothness_origin = traitlets.Unicode().tag(sync=True)
    largest_learning_rate = traitlets.Float().tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)
    _value_limits = traitlets.List().tag(sync=True)
    _lowest_value = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        objective,
        start=1.0,
        learning_rate=None,
        *,
        steps=40,
        limits=None,
        smoothness=None,
        largest_learning_rate=None,
    ):
        require_dimension(objective, 1, "DescentExplorer1D")
        start = number(start, "start")
        reach = max(2.0, 1.25 * abs(start))
        limits = rectangle([-reach, reach] if limits is None else limits, 1)
        start = require_inside("start", start, *limits)
        smoothness, origin = chosen_smoothness(objective, limits, smoothness)
        largest = 2.5 / smoothness if largest_learning_rate is None else largest_learning_rate
        largest = positive(largest, "largest_learning_rate")
        learning_rate = 0.6 * largest if learning_rate is None else learning_rate
        learning_rate = require_inside("learning_rate", learning_rate, 0, largest)
        super().__init__(
            objective,
            name="Gradient descent on {f}",
            alt=f"Left, the graph of {{f}} with gradient descent from {start:g} at learning rate "
            f"{learning_rate:g} as tangent steps; right, the cobweb of the iteration and, on a "
            "logarithmic axis, the loss against the step.",
            texts={"outcome": outcome.javascript()},
            sliders=2,
            start=start,
            learning_rate=learning_rate,
            steps=natural(steps, "steps", 1),
            limits=limits,
            smoothness=smoothness,
            _smoothness_origin=origin,
            largest_learning_rate=largest,
            _parameters=parameter_values(objective),
            _value_limits=value_limits(objective, limits),
            _lowest_value=lowest(objective, limits)[1],
        )

    def _draw_still(self, curve, cobweb, losses):
        orbit = gradient_descent(self.objective, self.start, self.learning_rate, self.steps)
        x, variable = orbit.points[:, 0], self.objective.variables[0]
        colour = COLOURS["gradient descent"]
        draw_tangent_steps(curve, self.objective, orbit, self.limits, self._value_limits)
        curve.set_title(f"f({variable}), tangent steps", fontsize=9)

        grid = np.linspace(*self.limits, 201)
        step = grid - self.learning_rate * self.objective.gradient(grid[:, np.newaxis])[:, 0]
        cobweb.plot(self.limits, self.limits, "--", color="0.5", linewidth=0.8)
        cobweb.plot(grid, step, color="#1b1f24")
        corners = np.repeat(x, 2)
        cobweb.plot(corners[:-1], [self.limits[0], *corners[2:]], color=colour, linewidth=1)
        cobweb.set(xlim=self.limits, ylim=self.limits)
        cobweb.set_title(rf"${variable}_{{k+1}}$ against ${variable}_k$", fontsize=9)

        above = orbit.values - self._lowest_value
        losses.semilogy(np.where(above > 1e-16, above, np.nan), ".-", color=colour, linewidth=1)
        losses.set_xlim(0, self.steps)
        losses.set_title("$f - \\min f$ against step", fontsize=9)
