"""Linear classification: a step of gradient descent beside a single reading of the data."""

from functools import partial

import numpy as np

from benchmarks import harness, peers
from benchmarks.engine import promise, settle
from benchmarks.harness import duration, in_turn
from gdbook.classification import LogisticRegression

OURS, READING = "gdbook", "reading alone"
NUMPY, NUMBA, JAX = "NumPy, two products", "Numba, row by row", "JAX, fori_loop"

# What is promised: so many times the speed of another, taken in turn.
BARS = {
    ("in the cache", READING): 0.35,
    ("in the cache", NUMPY): 1.3,
    ("in the cache", JAX): 1.1,
    ("in memory", READING): 0.5,
    ("in memory", NUMPY): 1.7,
}

CASES = {"in the cache": (1000, 784), "in memory": (10_000, 784)}
STEPS, RATE, REPEATS = 1000, 10.0, 7
HEADER = ("how", "time per step", "GB/s", "10^5 steps", "speed of gdbook", "promised", "last loss")


def report():
    from threadpoolctl import threadpool_limits

    parts = [INTRODUCTION]
    with threadpool_limits(1):
        for case, (n, d) in CASES.items():
            size = f"{n} x {d}, {8e-6 * n * d:.3g} MB, {case}"
            parts.append(f"## {size}\n\n{harness.table(HEADER, rows(case, data(n, d)))}")
    return "\n\n".join(parts)


INTRODUCTION = (
    f"Logistic regression, {STEPS} steps from 0, double precision; processor time on one thread, "
    "candidates in turn, medians. All record the loss at every step, gdbook the mean of exp(-z) as "
    "well. *GB/s*: the size of the data over the time of a step, as if they were read once. "
    "*Reading alone*: the inner product of one half of the data with the other."
)


def data(n, d):
    """Signed inputs of a length of at most one, which some vector separates."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((n, d)) / (2 * d**0.5)
    return features * np.sign(features @ rng.standard_normal(d))[:, np.newaxis]


def rows(case, signed, steps=STEPS, repeats=REPEATS):
    """Lines of the table: gdbook, and the others that are here."""
    calls, losses, missing = {}, {}, []
    for name, make in WAYS.items():
        try:
            calls[name] = partial(make(signed), RATE, steps)
            losses[name] = calls[name]()
        except ImportError as reason:
            calls.pop(name, None)
            missing.append((name, str(reason), *[""] * 5))
    timings = in_turn(calls, repeats, before=settle)
    taken = {name: timing.median / steps for name, timing in timings.items()}
    lines = []
    for name, seconds in taken.items():
        ratio, bar = seconds / taken[OURS], BARS.get((case, name))
        against = "" if name == OURS else f"{ratio:.3g}"
        promised = "" if bar is None else promise(bar, ratio)
        last = "" if losses[name] is None else f"{losses[name][-1]:.12g}"
        speed = f"{signed.nbytes / seconds / 1e9:.3g}"
        lines.append(
            (name, duration(seconds), speed, duration(1e5 * seconds), against, promised, last)
        )
    return lines + missing


# The ways: from the signed inputs to a function of rate and steps that gives the losses.


def ours(signed):
    model = LogisticRegression(signed, np.ones(len(signed)))
    return lambda rate, steps: model.descend(rate, steps).losses


def reading(signed):
    numbers = signed.ravel()[: signed.size // 2 * 2].reshape(2, -1)

    def run(_, steps):
        for _ in range(steps):
            numbers[0] @ numbers[1]

    return run


def in_numpy(signed):
    def run(rate, steps):
        w, losses = np.zeros(signed.shape[1]), np.empty(steps + 1)
        for k in range(steps + 1):
            z = signed @ w
            losses[k] = np.logaddexp(0, -z).mean()
            w += rate / len(z) * ((1 / (1 + np.exp(z))) @ signed)
        return losses

    return run


def in_numba(signed):
    from numba import njit

    @njit(fastmath=True)
    def run(signed, rate, steps):
        n, d = signed.shape
        w, g, losses = np.zeros(d), np.zeros(d), np.zeros(steps + 1)
        for k in range(steps + 1):
            g[:] = 0
            for i in range(n):
                z = 0.0
                for j in range(d):
                    z += signed[i, j] * w[j]
                losses[k] += np.log1p(np.exp(-z)) / n
                slope = rate / n / (1 + np.exp(z))
                for j in range(d):
                    g[j] += slope * signed[i, j]
            w += g
        return losses

    return partial(run, signed)


def in_jax(signed):
    jax, jnp = peers.jax_modules()
    signed = jnp.asarray(signed)

    def step(k, state, rate):
        w, losses = state
        z = signed @ w
        losses = losses.at[k].set(jnp.logaddexp(0, -z).mean())
        return w + rate / len(z) * (jax.nn.sigmoid(-z) @ signed), losses

    @partial(jax.jit, static_argnums=1)
    def run(rate, steps):
        state = jnp.zeros(signed.shape[1]), jnp.zeros(steps + 1)
        return jax.lax.fori_loop(0, steps + 1, partial(step, rate=rate), state)[1]

    return lambda rate, steps: np.asarray(run(rate, steps))


WAYS = {OURS: ours, READING: reading, NUMPY: in_numpy, NUMBA: in_numba, JAX: in_jax}
