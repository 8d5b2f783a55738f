"""A small network trained in the page, at the edge of stability, under the reader's hand."""

from itertools import pairwise

import numpy as np
import traitlets

from gdbook import data
from gdbook.arguments import natural
from gdbook.plots import COLOURS
from gdbook.widgets.live_figure import HERE, LiveFigure, require_inside

__all__ = ["NetworkExplorer"]

SLOWEST, FASTEST = 0.02, 1.0  # learning rates
NARROWEST, WIDEST = 2, 64
STARTS = 99
OTHER_RATES = [0.05, 0.1, 0.4]
OTHERS = ["modified flow 1", "modified flow 2", "diverged"]  # colours, as in network_explorer.js
INK = "#1b1f24"


class NetworkExplorer(LiveFigure):
    r"""A tanh network trained on a Chebyshev polynomial, its sharpness, and the central flow.

    Gradient descent on half the mean square of what is missing, with everything that the chapter
    on the edge of stability speaks of: the loss for several learning rates, against the time
    :math:`h\cdot` step; the two largest eigenvalues of the Hessian against :math:`2/h`; the
    network with the data; and the path along the top eigenvector, across the central flow, with
    the deviation :math:`\pm\sigma` that it predicts.

    Parameters
    ----------
    degree : int
        Of the polynomial :math:`T_n`, from 1 to 9, which is given at 20 points of [-1, 1].
    widths : sequence of int
        Units of each hidden layer, one to three numbers from 2 to 64.
    learning_rate : float
        h, from 0.02 to 1.
    start : int
        Number of the random start, from 1 to 99.
    time : float
        Where the axes end: :math:`h\cdot` step, from 10 to 2000.

    Attributes
    ----------
    shown : float
        Which part of the time the picture of the network and the status line speak of.

    Raises
    ------
    ValueError
        For a setting that no handle can reach.

    Examples
    --------
    >>> import gdbook as gd
    >>> figure = gd.widgets.NetworkExplorer(degree=4, widths=[12, 8], time=40)
    >>> figure.learning_rate, figure.widths
    (0.2, [12, 8])
    """

    source = "network_explorer.js"
    ratios = (0.74, 2.0)
    panels = ((0, 0, 0.6, 0.5), (0.6, 0, 0.4, 0.5), (0, 0.5, 0.6, 0.5), (0.6, 0.5, 0.4, 0.5))
    legend = True
    lines = 4

    learning_rate = traitlets.Float().tag(sync=True)
    widths = traitlets.List().tag(sync=True)
    start = traitlets.Int().tag(sync=True)
    shown = traitlets.Float(1.0).tag(sync=True)
    _rates = traitlets.List([SLOWEST, FASTEST]).tag(sync=True)
    _width_limits = traitlets.List([NARROWEST, WIDEST]).tag(sync=True)
    _other_rates = traitlets.List(OTHER_RATES).tag(sync=True)
    _time = traitlets.Float().tag(sync=True)
    _data = traitlets.List().tag(sync=True)

    def __init__(self, degree=6, widths=(30, 20), learning_rate=0.2, start=1, time=700):
        degree = int(require_inside("degree", natural(degree, "degree", least=1), 1, 9))
        widths = [natural(width, "widths", least=1) for width in np.atleast_1d(widths)]
        if not 1 <= len(widths) <= 3:
            raise ValueError(f"widths must be one to three numbers, not {len(widths)}")
        for width in widths:
            require_inside("widths", width, NARROWEST, WIDEST)
        start = natural(start, "start", least=1)
        require_inside("start", start, 1, STARTS)
        self.features, self.targets = data.chebyshev(degree)
        parts = ("network_engine.js", "central_flow.js", "network_worker.js")
        worker = [(HERE / name).read_text(encoding="utf-8") for name in parts]
        learning_rate = require_inside("learning_rate", learning_rate, SLOWEST, FASTEST)
        layers = "-".join(map(str, [1, *widths, 1]))
        super().__init__(
            None,
            name=f"A network {layers} trained on the Chebyshev polynomial of degree {degree}",
            alt=f"Gradient descent with learning rate {learning_rate:g} on a tanh network {layers} "
            f"and 20 points of the Chebyshev polynomial of degree {degree}, beside the learning "
            "rates 0.05, 0.1 and 0.4. Top left the loss against learning rate times step, which "
            "falls on all curves, smoothly below the edge and with spikes at it; below it the "
            "sharpness of each, which grows towards a level of its own, two over the learning "
            "rate, and hovers about it once it is there. Top right the network with the data; "
            "below it how far the iterates lie to either side of the central flow.",
            texts={"worker": "\n".join(worker)},
            sliders=2 + len(widths),
            learning_rate=learning_rate,
            widths=widths,
            start=start,
            _time=require_inside("time", time, 10, 2000),
            _data=[self.features[:, 0].tolist(), self.targets[:, 0].tolist()],
        )

    def _draw_still(self, losses, fit, edge, across):
        from gdbook.networks import MultilayerPerceptron, NetworkLoss, train

        network = MultilayerPerceptron([1, *self.widths, 1], activation="tanh")
        loss = NetworkLoss(network, self.features, self.targets, loss="squared")
        first = initial(network.widths, self.start)
        for rate, name in [*zip(OTHER_RATES, OTHERS, strict=True), (self.learning_rate, None)]:
            steps = round(self._time / rate)
            kept = 7 if name is None else steps  # odd, so that both sides of the flow are seen
            run = train(loss, first, rate, steps, kept, 7 * -(-steps // 350))
            colour = COLOURS[name or "gradient descent"]
            style = {"color": colour, "linewidth": 1 if name else 1.6}
            losses.plot(rate * np.arange(steps + 1), run.losses, **style)
            edge.plot(rate * run.sharpness_steps, run.sharpness, **style)
            edge.axhline(2 / rate, color=colour if name else INK, linestyle="--", linewidth=1)
        self._draw_fit(fit, network, run)
        # at the edge half a step leads to the central flow
        away = self.learning_rate / 2 * np.linalg.norm(loss.gradient(run.points), axis=1)
        times = self.learning_rate * run.steps
        across.scatter(times, (-1) ** run.steps * away, s=2, color=colour, linewidths=0)
        across.axhline(0, color=COLOURS["edge"], linewidth=1.6)
        losses.set(yscale="log")
        losses.set_title(r"loss against time $h\cdot k$", fontsize=9)
        edge.set(yscale="log")
        edge.set_title(r"sharpness, and $2/h$ for each learning rate", fontsize=9)
        across.set_title("path across the central flow", fontsize=9)
        for axes in (losses, edge, across):
            axes.set_xlim(0, self._time)

    def _draw_fit(self, axes, network, run):
        grid = np.linspace(-1, 1, 141)
        outputs = network.outputs(run.points[-1], grid[:, None])[:, 0]
        axes.plot(grid, outputs, color=COLOURS["gradient descent"])
        axes.plot(self.features, self.targets, "o", color=INK, markersize=4)
        axes.set(xlim=(-1.06, 1.06), ylim=(-1.6, 1.6))
        axes.set_title(f"data, and the network at step {run.steps[-1]}", fontsize=9)


def initial(widths, number):
    """The start of a number, as network_engine.js has it: normal weights, biases zero."""
    pieces, count = [], 0
    for before, after in pairwise(widths):
        draws = np.arange(count, count + 2 * before * after, dtype=np.uint32)
        uniform = (_scrambled(np.uint32(number * 0x9E3779B9 % 2**32) + draws) + 0.5) / 2.0**32
        radius = np.sqrt(-2 * np.log(uniform[::2]) / before)
        pieces += [radius * np.cos(2 * np.pi * uniform[1::2]), np.zeros(after)]
        count += len(draws)
    return np.concatenate(pieces)


def _scrambled(k):
    with np.errstate(over="ignore"):
        for _ in range(2):
            k = (k ^ (k >> np.uint32(16))) * np.uint32(0x45D9F3B)
    return k ^ (k >> np.uint32(16))
