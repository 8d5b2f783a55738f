"""The picture of the README: where gradient descent on the double well goes, learning rate by rate.

Make it again, in some seconds, with ``python book/picture.py``; it writes ``book/picture.png``.
"""

from pathlib import Path

import matplotlib
import numpy as np

import gdbook as gd

WIDTH, HEIGHT = 1280, 641  # of the diagram, in its own pixels
BURN_IN, KEPT, STARTS = 2000, 1500, 120
TOP = 1.6


def long_run(objective, learning_rates, starts):
    """What is left after the burn-in, per learning rate.

    Returns the share of the points in each of ``HEIGHT`` intervals of [-TOP, TOP], and the Lyapunov
    exponent, which is positive where neighbours part for ever.
    """
    counts = np.zeros(HEIGHT * len(learning_rates))
    columns = np.arange(len(learning_rates))[:, np.newaxis]
    for start in starts:
        diagram = gd.bifurcation_diagram(objective, learning_rates, start, BURN_IN, KEPT)
        rows = ((diagram.points[:, :, 0] / TOP + 1) / 2 * HEIGHT).astype(int)
        places = rows * len(columns) + columns
        counts += np.bincount(places.ravel(), minlength=len(counts))
    every = starts[:, np.newaxis, np.newaxis]
    exponents = gd.lyapunov_exponents(objective, every, learning_rates, KEPT, BURN_IN).exponents
    return counts.reshape(HEIGHT, -1) / (KEPT * len(starts)), exponents.mean(axis=(0, 2))


def regime(learning_rate, exponent, threshold):
    if learning_rate < threshold / 2:
        return "stable"
    if learning_rate < threshold:
        return "oscillating"
    return "chaotic" if exponent > 0 else "periodic"


def in_colour(share, regimes):
    """The shares as a picture on white, each learning rate in the colour of its regime."""
    lines = np.clip(share * 30, 0, 1)  # a line one pixel high would be lost on a small screen
    ink = np.clip((share * 150) ** 0.6, 0, 1)
    for shift in (-2, -1, 1, 2):
        ink = np.maximum(ink, np.roll(lines, shift, axis=0))
    colours = np.array([matplotlib.colors.to_rgb(gd.plots.COLOURS[name]) for name in regimes])
    return 1 - ink[..., np.newaxis] * (1 - colours)


def draw():
    import matplotlib.pyplot as plt

    objective = gd.catalogue.double_well()
    threshold = 2 / objective.sharpness([1.0])
    learning_rates = np.linspace(0.01, 2, WIDTH)
    starts = np.random.default_rng(2).uniform(-1.2, 1.2, STARTS)
    share, exponents = long_run(objective, learning_rates, starts)
    regimes = [
        regime(h, exponent, threshold)
        for h, exponent in zip(learning_rates, exponents, strict=True)
    ]

    gd.plots.use_style()
    figure, (well, ax) = plt.subplots(
        1, 2, sharey=True, figsize=(10, 4.6), dpi=150, width_ratios=[1, 9]
    )
    x = np.linspace(-TOP, TOP, 301)
    well.fill_betweenx(x, objective.value(x[:, None]), color="0.9")
    well.plot(objective.value(x[:, None]), x, color="0.35")
    well.set(xlim=(0.6, -0.01), xticks=[], yticks=[-1, 0, 1], ylabel="$x$", title="$f$")
    well.grid(False)

    ax.imshow(in_colour(share, regimes), origin="lower", extent=(0.01, 2, -TOP, TOP), aspect="auto")
    ax.grid(False)
    ax.axvline(threshold, color="0.35", linewidth=0.9, linestyle=(0, (5, 4)))
    ax.set(xlabel="learning rate $h$", xlim=(0, 2), ylim=(-TOP, TOP))
    ax.set_xticks(threshold / 2 * np.arange(5), ["0", "$1/L$", "$2/L$", "$3/L$", "$4/L$"])
    for place, name, words in (
        ((0.25, 1.12), "stable", "walks into a minimum"),
        ((0.75, 1.12), "oscillating", "swings into it"),
        ((1.2, 0), "periodic", "jumps between\n2, 4, 8 … points"),
        ((1.46, 1.4), "chaotic", "never comes to rest"),
    ):
        colour = gd.plots.COLOURS[name]
        ax.text(*place, words, color=colour, ha="center", va="center", fontsize=12)
    return figure


def save(figure, path):
    """Save in 96 colours: nobody sees the difference, and a clone stays small."""
    from PIL import Image

    figure.savefig(path)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(96, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    matplotlib.use("agg")
    save(draw(), Path(__file__).with_name("picture.png"))
