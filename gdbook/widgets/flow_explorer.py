"""Gradient descent against gradient flow and modified flows, under the reader's hand."""

import numpy as np
import traitlets

from gdbook.arguments import natural, point, positive
from gdbook.backward_error import modified_field
from gdbook.descent import gradient_descent
from gdbook.flow import gradient_flow, modified_flow
from gdbook.plots import COLOURS, colour, plot_contours
from gdbook.widgets.live_figure import (
    LiveFigure,
    parameter_values,
    rectangle,
    require_dimension,
    require_inside,
)

__all__ = ["FlowExplorer"]


class FlowExplorer(LiveFigure):
    """Iterates and the flows of order 0, 1, 2, ... that shadow them, with the errors in numbers.

    Parameters
    ----------
    objective : Objective
        Of one variable (drawn against time) or of two (drawn in the plane).
    start : float or (float, float)
    learning_rate : float
    order : int
        Flows up to this power of the learning rate are shown.
    max_order : int
        Largest order that the slider offers.
    steps : int
    step : int
        The step whose errors stand in the status line.
    limits : sequence of 2 or 4 floats, optional
        Ends of the axis, or of both axes; by default the orbit fits.
    largest_learning_rate : float
        Where the slider ends; it begins at one two-hundredth of it.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.FlowExplorer(gd.catalogue.quadratic(), learning_rate=0.5, order=1)
    >>> figure.order, figure.learning_rate
    (1, 0.5)
    """

    source = "flow_explorer.js"
    ratios = (0.5, 1.4)
    panels = ((0, 0, 0.6, 1), (0.6, 0, 0.4, 1))
    legend = True

    start = traitlets.List().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)
    order = traitlets.Int().tag(sync=True)
    step = traitlets.Int().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    largest_learning_rate = traitlets.Float().tag(sync=True)
    _parameters = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        objective,
        start=1.0,
        learning_rate=0.5,
        *,
        order=2,
        max_order=3,
        steps=10,
        step=1,
        limits=None,
        largest_learning_rate=1.0,
    ):
        require_dimension(objective, (1, 2), "FlowExplorer")
        start = point(start, objective, "start").tolist()
        steps, max_order = natural(steps, "steps", 1), natural(max_order, "max_order")
        order, step = natural(order, "order"), natural(step, "step", 1)
        require_inside("order", order, 0, max_order)
        require_inside("step", step, 1, steps)
        largest = positive(largest_learning_rate, "largest_learning_rate")
        learning_rate = require_inside("learning_rate", learning_rate, largest / 200, largest)
        if limits is None:
            limits = _fitting(objective, start, learning_rate, steps)
        limits = rectangle(limits, objective.dimension)
        for i, x in enumerate(start):
            require_inside("start", x, *limits[2 * i : 2 * i + 2])
        super().__init__(
            objective,
            name="Gradient descent and its flows on {f}",
            alt=f"Gradient descent on {{f}} at learning rate {learning_rate:g} as points, with "
            f"gradient flow and the modified flows up to order {order} as curves; right, their "
            "distances from the iterates at each step on a logarithmic axis.",
            texts={"field": modified_field(objective, max_order).javascript()},
            sliders=3 + objective.dimension,
            start=start,
            learning_rate=learning_rate,
            order=order,
            step=step,
            steps=steps,
            limits=limits,
            largest_learning_rate=largest,
            _parameters=parameter_values(objective),
        )

    def _draw_still(self, main, errors):
        h, flat = self.learning_rate, self.objective.dimension == 1
        orbit = gradient_descent(self.objective, self.start, h, self.steps)
        times = np.arange(8 * self.steps + 1) * h / 8
        for order in range(self.order + 1):
            flow = modified_flow(self.objective, self.start, times, h, order)
            name = f"modified flow {order}" if order else "gradient flow"
            columns = (times, flow.points[:, 0]) if flat else flow.points.T
            main.plot(*columns, color=colour(name), label=name, zorder=2)
            distance = np.linalg.norm(flow.points[::8] - orbit.points, axis=1)
            errors.semilogy(np.where(distance > 0, distance, np.nan), ".-", color=colour(name))
        columns = (times[::8], orbit.points[:, 0]) if flat else orbit.points.T
        style = {"color": COLOURS["gradient descent"], "label": "gradient descent", "zorder": 3}
        main.plot(*columns, "o", **style)
        if flat:
            main.set(xlim=(0, 1.03 * times[-1]), ylim=self.limits)
            main.set_title(f"{self.objective.variables[0]} against time $t = kh$", fontsize=9)
        else:
            plot_contours(self.objective, (self.limits[:2], self.limits[2:]), main)
            main.set(xlim=self.limits[:2], ylim=self.limits[2:], xlabel="", ylabel="")
        main.legend(frameon=True, framealpha=1, edgecolor="none")
        errors.set_title("distance from the $k$-th iterate", fontsize=9)


def _fitting(objective, start, learning_rate, steps):
    """Limits that hold the flow: about its end in one dimension, about its middle in two."""
    times = np.linspace(0, steps * learning_rate, 101)
    points = gradient_flow(objective, start, times).points
    end = points[np.isfinite(points).all(axis=1)][-1]
    reach = np.abs(np.asarray(start) - end).max() or 1.0
    if objective.dimension == 1:
        return [end[0] - 1.3 * reach, end[0] + 1.3 * reach]
    middle = (np.asarray(start) + end) / 2
    return np.stack([middle - 0.9 * reach, middle + 0.9 * reach], axis=1).ravel()
