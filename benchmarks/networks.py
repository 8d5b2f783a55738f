"""Networks: training against plain JAX, with its sharpness, and many networks at once."""

from functools import partial

import numpy as np

from benchmarks import harness
from benchmarks.harness import duration, in_fresh_process, in_turn

PLAIN, OURS, TRACKED = "plain JAX", "gdbook", "gdbook, sharpness every 5 steps"
SINGLY, TOGETHER = "gdbook, one by one", "gdbook, an ensemble"

# What is promised: so many times the time of plain JAX, and of one network after the other.
BARS = {OURS: 1.1, TRACKED: 1.8, TOGETHER: 1.0}
ACCURACY = 0.01

STEPS, EVERY = 300, 5
PHASES = {  # learning rate, steps before
    "784-200-200-10, sharpness rising": (0.2, 0),
    "784-200-200-10 at the edge": (0.5, 600),
}
ENSEMBLES = {"2-8-8-1": [2, 8, 8, 1], "1-20-20-1": [1, 20, 20, 1]}
STARTS, RATES, RUN = 8, [0.01, 0.02, 0.03, 0.04], 500


def report():
    rows, errors = [], {}
    for name, phase in PHASES.items():
        rows += lines(name, STEPS, measured("time_training", phase))
        errors[name] = error(*problem(*phase), STEPS // 5)
    for name, widths in ENSEMBLES.items():
        rows += lines(name, STARTS * len(RATES) * RUN, measured("time_ensemble", widths))
    errors = (f"{x:.2g} for {name} ({promise(ACCURACY, x)})" for name, x in errors.items())
    return (
        "Full-batch gradient descent: tanh, squared loss, for 784-200-200-10 in single precision "
        "with 1000 digits enlarged to 28 x 28; 20 inputs and double precision for the small ones, "
        f"{STARTS} starts at {len(RATES)} learning rates. Processor time per step and network on "
        "one core, in turn, median. Plain JAX: a step under jax.jit, called in a loop.\n\n"
        + harness.table(("problem", "method", "time per step", "ratio", "promised"), rows)
        + f"\n\nLargest error of the sharpness: {', '.join(errors)}."
    )


def measured(function, argument):
    return in_fresh_process(f"benchmarks.networks:{function}", argument, limit=600)


def lines(problem, steps, timings):
    """Rows of the table: the ratios are those to the first line."""
    base = next(iter(timings.values())).median
    return [
        (
            problem,
            name,
            duration(timing.median / steps),
            f"{timing.median / base:.3g}",
            promise(BARS[name], timing.median / base) if name in BARS else "",
        )
        for name, timing in timings.items()
    ]


def promise(bar, value):
    return f"{bar:g}: {'kept' if value <= bar else 'MISSED'}"


def problem(rate, before, hidden=(200, 200), side=28, number=1000):
    """A loss, the parameters after `before` steps from a random start, and the learning rate.

    The inputs have the size of those of MNIST: the digits of scikit-learn, enlarged.
    """
    from scipy.ndimage import zoom

    import gdbook as gd
    from gdbook.networks import MultilayerPerceptron, NetworkLoss, train

    rng = np.random.default_rng(0)
    images = gd.data.digits().split(number, rng)[0].centred()
    squares = images.features.reshape(-1, 8, 8)
    features = zoom(squares, (1, side / 8, side / 8), order=1).reshape(number, -1)
    features *= np.linalg.norm(images.features) / np.linalg.norm(features)
    network = MultilayerPerceptron([side**2, *hidden, 10], "tanh")
    loss = NetworkLoss(network, features, images.labels, "squared", precision="single")
    run = train(loss, network.initial(rng), rate, before, keep_every=before + 1)
    return loss, run.points[-1], rate


def time_training(phase):
    """One training, in three ways."""
    harness.on_one_core()
    from gdbook.networks import train

    loss, start, rate = problem(*phase)
    run = partial(train, loss, start, rate, STEPS, keep_every=STEPS)
    ways = {PLAIN: in_jax(loss, start, rate, STEPS), OURS: run}
    return in_turn(ways | {TRACKED: partial(run, sharpness_every=EVERY)}, 3, enough=60)


def time_ensemble(widths):
    """Many small networks: one after the other, and in one call."""
    harness.on_one_core()
    import gdbook as gd
    from gdbook.networks import MultilayerPerceptron, NetworkLoss, ensemble, train

    features, targets = gd.data.chebyshev(5)
    network, rng = MultilayerPerceptron(widths, "tanh"), np.random.default_rng(0)
    loss = NetworkLoss(network, np.repeat(features, widths[0], axis=1), targets, "squared")
    starts = [network.initial(rng) for _ in range(STARTS)]

    def singly():
        return [train(loss, x, h, RUN, keep_every=RUN) for x in starts for h in RATES]

    return in_turn(
        {SINGLY: singly, TOGETHER: lambda: ensemble(loss, starts, RATES, RUN)}, 5, enough=20
    )


def error(loss, start, rate, steps):
    """Largest relative error of the sharpness on the way, against double precision."""
    from gdbook.networks import NetworkLoss, train

    exact = NetworkLoss(loss.network, loss.features, loss.targets, loss.loss)
    run = train(loss, start, rate, steps, keep_every=EVERY, sharpness_every=EVERY)
    return np.abs(run.sharpness / exact.sharpness(run.points) - 1).max()


# The competitor


def in_jax(loss, start, rate, steps):
    """A training as one would write it: a call that returns weights and biases."""
    import jax
    import jax.numpy as jnp

    single = partial(jnp.asarray, dtype=np.float32)
    features, targets = single(loss.features), single(loss.targets)
    first = [(single(weight), single(bias)) for weight, bias in loss.network.layers(start)]

    def value(layers):
        *hidden, (weight, bias) = layers
        signal = features
        for inner, offset in hidden:
            signal = jnp.tanh(signal @ inner.T + offset)
        return jnp.mean(jnp.sum((signal @ weight.T + bias - targets) ** 2, axis=1)) / 2

    @jax.jit
    def step(layers):
        return jax.tree.map(lambda x, slope: x - rate * slope, layers, jax.grad(value)(layers))

    def run():
        layers = first
        for _ in range(steps):
            layers = step(layers)
        return jax.block_until_ready(layers)

    return run
