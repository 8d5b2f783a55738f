"""Many orbits: the engine against C, NumPy, scalar Numba, JAX and pynamicalsys."""

import gc
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import gdbook as gd
from benchmarks import harness, peers
from benchmarks.harness import Missing, Timing, duration, in_fresh_process, in_turn
from benchmarks.reference import Found, Reference

OURS, OURS_CONTRACTED = "gdbook", "gdbook, contracted"
C, C_CONTRACTED, C_SCALAR = "C, lanes", "C, lanes, contracted", "C, one by one"
PRODUCTS = "NumPy, powers as products"

# What the engine promises: so many times the speed of another, taken in turn.
BARS = {
    ("fixed", C): 0.90,
    ("fixed", C_CONTRACTED): 0.90,
    ("fixed", PRODUCTS): 15,
    ("functions", C): 0.90,
    ("escape", C): 0.90,
    ("escape", "NumPy, all points, all steps"): 200,
    ("chaos", C): 0.90,
    ("bifurcation", C): 0.75,
    ("bifurcation", "pynamicalsys"): 250,
    ("lyapunov", "NumPy over points"): 20,
    ("lyapunov", "pynamicalsys, ER"): 250,
    ("histogram", C_SCALAR): 20,
}

FACTORIZATION = "(1 - x*y)^2/2", "x y"
REPEATS = 9


def chain(dimension):
    """A valley in any dimension, each coordinate bound to the next."""
    names = [f"x{i}" for i in range(dimension)]
    terms = [f"(1 - {name})^2/2" for name in names]
    terms += [f"({b} - {a}^2)^2/2" for a, b in itertools.pairwise(names)]
    return gd.Objective(" + ".join(terms), names, name=f"chain of {dimension}")


FUNCTIONS = {
    "(1 - xy)^2/2": gd.Objective(*FACTORIZATION),
    "x^4/4 - x^2/2": gd.Objective("x^4/4 - x^2/2", "x"),
    "(1 - abcd)^2/2": gd.Objective("(1 - a*b*c*d)^2/2", "a b c d"),
    "|M - ab'|^2/2, 2 by 2": gd.Objective(
        "((2 - a*c)^2 + (1 - a*d)^2 + (1 - b*c)^2 + (1 - b*d)^2)/2", "a b c d"
    ),
    "chain of 10": chain(10),
    "1/(1 + x^2 + y^4)": gd.Objective("1/(1 + x^2 + y^4)", "x y"),
}


def report(*cases, scale=1.0):
    """The tables of all cases, or of those named; `scale` makes every case smaller."""
    unknown = sorted(set(cases) - set(CASES))
    if unknown:
        raise ValueError(f"no case named {unknown[0]!r}; there are: {', '.join(CASES)}")
    parts = [INTRODUCTION]
    for name in cases or CASES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        title, text = CASES[name](scale)
        parts.append(f"## {title}\n\n{text}")
    return "\n\n".join(parts)


INTRODUCTION = (
    "Processor time on one thread, candidates in turn in one process, medians; the first call of "
    "each, which compiles, is not counted. *Speed of gdbook*: the time of the candidate divided "
    "by that of gdbook, with the same contraction where both have the choice. C and gdbook start "
    "from the same formula, C and scalar Numba from the same list of shared subexpressions. What "
    "is missing on this machine says so."
)


# Candidates


@dataclass(frozen=True)
class Candidate:
    """One way to do it.

    `make` returns the call that is timed, or raises where something is missing. The call makes
    `steps` steps in all; a function of its result says how many where that is not known before.
    """

    name: str
    steps: float | Callable
    make: Callable
    base: str = OURS


def way(name, steps, make, *arguments, base=OURS, **options):
    return Candidate(name, steps, partial(make, *arguments, **options), base)


def settle():
    """Let the threads of the last candidate come to rest, and its memory go."""
    gc.collect()
    time.sleep(0.1)


def compare(case, candidates, judge, repeats=REPEATS):
    """Rows of a table: time for a step of one orbit, ratio, bar, and what `judge` says.

    ``judge(name, results)`` compares the result of a candidate with the others.
    """
    calls, missing, results = {}, {}, {}
    for candidate in candidates:
        try:
            calls[candidate.name] = candidate.make()
            results[candidate.name] = calls[candidate.name]()
        except (ImportError, Missing) as reason:
            calls.pop(candidate.name, None)
            missing[candidate.name] = str(reason)
    timings = in_turn(calls, repeats, before=settle)
    per_step = {
        c.name: timings[c.name].median
        / (c.steps(results[c.name]) if callable(c.steps) else c.steps)
        for c in candidates
        if c.name in timings
    }
    rows = []
    for c in candidates:
        if c.name in missing:
            rows.append((c.name, missing[c.name], "", "", ""))
            continue
        ratio = per_step[c.name] / per_step[c.base] if c.base in per_step else None
        verdict = judge(c.name, results)
        rows.append((c.name, duration(per_step[c.name]), *_against(case, c, ratio), verdict))
    return rows


def _against(case, candidate, ratio):
    if ratio is None or candidate.name == candidate.base:
        return "", ""
    bar = BARS.get((case, candidate.name))
    return f"{ratio:.3g}", "" if bar is None else promise(bar, ratio)


def promise(bar, ratio):
    return f"{bar:g}: {'kept' if ratio >= bar else 'MISSED'}"


HEADER = ("how", "time per step", "speed of gdbook", "promised", "result")


def descend(objective, starts, steps, h, **options):
    options = {"workers": 1, "progress": False, **options}
    return partial(gd.descend_many, objective, starts, h, steps, **options)


def fixed(objective, starts, steps, h, contract=False):
    run = descend(objective, starts, steps, h, detect=False, contract=contract)
    return lambda: run().points


def found(objective, starts, steps, h):
    run = descend(objective, starts, steps, h)

    def call():
        ensemble = run()
        return Found(ensemble.labels, ensemble.steps, ensemble.periods)

    return call


def ready(function, *arguments, **options):
    """A function of NumPy's, which nothing has to be made for."""
    return partial(function, *arguments, **options)


def in_c(objective, function, *arguments, contract=False, lanes=(32, 64), **options):
    """A function of the reference, with the number of lanes that is fastest here."""
    calls = {
        number: partial(
            getattr(Reference(objective, contract, number), function), *arguments, **options
        )
        for number in lanes
    }
    if len(calls) > 1:
        timings = in_turn(calls, repeats=2, enough=0.3)
        lanes = [min(timings, key=lambda number: timings[number].median)]
    return calls[lanes[0]]


def in_jax(objective, function, *arguments, **options):
    return partial(getattr(peers.Jax(objective), function), *arguments, **options)


def one_by_one(objective, function, *arguments, contract=False):
    return partial(getattr(peers.Scalar(objective, contract), function), *arguments)


def square(half, side):
    """A grid of side times side points on [-half, half]^2, as rows."""
    axis = np.linspace(-half, half, side)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def some(starts, number):
    """Rows chosen at random, for those who are slow."""
    rows = np.random.default_rng(0).permutation(len(starts))[:number]
    return np.ascontiguousarray(starts[rows])


def deviation(truth):
    """Judge by the largest difference from a candidate's result, where there is one."""

    def judge(name, results):
        if name == truth or truth not in results:
            return ""
        if results[name].shape != results[truth].shape:
            return "fewer points"
        difference = np.abs(results[name] - results[truth]).max()
        return "the same bits" if difference == 0 else f"within {difference:.1g}"

    return judge


# Cases


def fixed_steps(scale):
    objective, steps, h = gd.Objective(*FACTORIZATION), 1000, 0.1
    n = int(196_608 * scale) // 1024 * 1024
    starts = np.random.default_rng(0).uniform(-1.5, 1.5, (n, 2))
    few, here, work = some(starts, 1024), (starts, steps, h), n * steps
    products, plain = (peers.numpy_gradient(objective, choice) for choice in (True, False))

    def trajectories():
        system = peers.pynamicalsys_system(objective)
        return lambda: system.trajectory(few, steps, parameters=[h], transient_time=steps - 1)

    c, numba, jax = ((make, objective, "fixed_steps", *here) for make in (in_c, one_by_one, in_jax))
    numpy, contracted = (
        (ready, peers.numpy_fixed_steps),
        {"base": OURS_CONTRACTED, "contract": True},
    )
    candidates = [
        way(OURS, work, fixed, objective, *here),
        way(C, work, *c),
        way(OURS_CONTRACTED, work, fixed, objective, *here, contract=True),
        way(C_CONTRACTED, work, *c, **contracted),
        way(C_SCALAR, work, *c, scalar=True, lanes=[64]),
        way(PRODUCTS, work, *numpy, products, *here),
        way("NumPy, as SymPy writes it", work, *numpy, plain, *here),
        way("Numba, one by one", work, *numba),
        way("Numba, one by one, contracted", work, *numba, **contracted),
        way("JAX, all points", work, *jax),
        way("JAX, chunks of 1024", work, *jax, chunk=1024),
        way("pynamicalsys, trajectories", len(few) * steps, trajectories),
    ]
    rows = compare("fixed", candidates, deviation(PRODUCTS))
    return f"A fixed number of steps: (1 - xy)^2/2, {n} points, {steps} steps", table(rows)


def functions(scale):
    n, steps, h = max(64, int(16_384 * scale)), 1000, 1e-3
    rows = []
    for name, objective in FUNCTIONS.items():
        starts = np.random.default_rng(0).uniform(0.4, 0.9, (n, objective.dimension))
        here, work = (starts, steps, h), n * steps
        products, plain = (peers.numpy_gradient(objective, choice) for choice in (True, False))
        candidates = [
            way(OURS, work, fixed, objective, *here),
            way(C, work, in_c, objective, "fixed_steps", *here, lanes=(16, 32, 64)),
            way(PRODUCTS, work, ready, peers.numpy_fixed_steps, products, *here),
            way("plain", work, ready, peers.numpy_fixed_steps, plain, *here),
        ]
        lines = compare("functions", candidates, deviation(PRODUCTS), repeats=3)
        (_, time, *_, verdict), (_, alone, ratio, bar, _), *numpys = lines
        against = [line[2] for line in numpys]
        rows.append((name, objective.dimension, time, ratio or alone, bar, *against, verdict))
    header = (
        "function",
        "d",
        "gdbook, per step",
        C,
        "promised",
        PRODUCTS,
        "NumPy, SymPy's",
        "result",
    )
    title = f"Other functions: {n} points, {steps} steps; the speed of gdbook against each"
    return title, harness.table(header, rows)


def detection(case, half, side, h, title):
    def run(scale):
        objective, steps = gd.Objective(*FACTORIZATION), 1000
        starts = square(half, max(8, int(side * scale**0.5)))
        truth = peers.Scalar(objective).detect(starts, steps, h)
        useful, few, here = float(truth.steps.sum()), some(starts, 256), (starts, steps, h)

        def escapes():
            system, box = peers.pynamicalsys_system(objective), [[-1e6, 1e6]] * 2
            options = {"parameters": [h], "escape": "exiting"}
            return lambda: [system.escape_analysis(x, steps, box, **options) for x in few]

        def judge(name, results):
            if name.startswith("pynamicalsys"):
                return f"escapes only, {len(few)} points"
            differ = results[name].differences(truth)
            return f"differs at {differ}" if differ else "labels and steps the same"

        c, numba, jax = ((make, objective, "detect", *here) for make in (in_c, one_by_one, in_jax))
        numpy = ready, peers.numpy_detect, peers.numpy_gradient(objective), *here
        candidates = [
            way(OURS, useful, found, objective, *here),
            way(C, useful, *c),
            way(C_SCALAR, useful, *c, scalar=True, lanes=[32]),
            way("NumPy, all points, all steps", useful, *numpy),
            way("NumPy, chunks that shrink", useful, *numpy, chunk=8192),
            way("Numba, one by one", useful, *numba),
            way("JAX, chunks of 1024", useful, *jax),
            way("pynamicalsys", lambda results: sum(when for _, when in results), escapes),
        ]
        rows = compare(case, candidates, judge)
        size = f"{len(starts)} points, up to {steps} steps, {truth.steps.mean():.3g} on average"
        note = "Times are for a step that is needed, up to the one that decides.\n\n"
        return f"What becomes of the orbits, {title}: h = {h}, {size}", note + table(rows)

    return run


def bifurcation(scale):
    objective, burn_in, keep, start = gd.catalogue.double_well(), 2000, 500, np.array([0.3])
    rates = np.linspace(0.5, 2.0, max(16, int(2000 * scale)))
    rest, work = (start, burn_in, keep), len(rates) * (burn_in + keep)

    def ours():
        return lambda: gd.bifurcation_diagram(objective, rates, *rest, workers=1).points

    def theirs():
        system, times = peers.pynamicalsys_system(objective), burn_in + keep
        return lambda: system.bifurcation_diagram(start, 0, rates, times, transient_time=burn_in)[1]

    c, numba, jax = ((make, objective, "bifurcation", rates) for make in (in_c, one_by_one, in_jax))
    numpy = ready, peers.numpy_bifurcation, peers.numpy_gradient(objective), rates
    candidates = [
        way(OURS, work, ours),
        way(C, work, *c, *rest, lanes=(32, 64, 128)),
        way(C_SCALAR, work, *c, *rest, scalar=True, lanes=[64]),
        way(PRODUCTS, work, *numpy, *rest),
        way("Numba, one by one", work, *numba, start[np.newaxis], burn_in, keep),
        way("JAX", work, *jax, tuple(start), burn_in, keep),
        way("pynamicalsys", work, theirs),
    ]
    rows = compare("bifurcation", candidates, partial(_same_diagram, rates < 0.9))
    title = f"Bifurcation diagram of the double well: {len(rates)} rates, {burn_in} + {keep} steps"
    return title, table(rows)


def _same_diagram(settled, name, results):
    """Where orbits converge all agree; beyond, rounding decides where a chaotic orbit is."""
    if name == PRODUCTS:
        return ""
    truth, values = (_by_rate(results[way], len(settled)) for way in (PRODUCTS, name))
    if np.array_equal(values, truth):
        return "the same bits"
    difference = np.abs(values - truth)[settled].max()
    return f"within {difference:.1g} where orbits converge"


def _by_rate(values, number):
    values = np.squeeze(values)
    return values if len(values) == number else values.T


def lyapunov(scale):
    objective, h, burn_in, steps = gd.Objective(*FACTORIZATION), 1.45, 100, int(1e4 * scale**0.5)
    starts = np.random.default_rng(0).uniform(0.5, 1.1, (max(16, int(1024 * scale**0.5)), 2))
    few, here = some(starts, 16), (starts, steps, h, burn_in)
    each = steps + burn_in
    work = len(starts) * each

    def ours():
        return lambda: (
            gd.lyapunov_exponents(objective, starts, h, steps, burn_in, workers=1).exponents
        )

    def theirs(method):
        system = peers.pynamicalsys_system(objective)
        options = {"parameters": [h], "method": method, "transient_time": burn_in}
        return lambda: np.array([system.lyapunov(u, each, **options) for u in few])

    def judge(name, results):
        return "mean " + ", ".join(f"{mean:.3f}" for mean in results[name].mean(axis=0))

    candidates = [
        way(OURS, work, ours),
        way(C_SCALAR, work, in_c, objective, "lyapunov", *here, lanes=[64]),
        way("NumPy over points", work, ready, peers.numpy_lyapunov, objective, *here),
        way("Numba, one by one", work, one_by_one, objective, "lyapunov", *here),
        way("JAX", work, in_jax, objective, "lyapunov", *here),
        way("pynamicalsys, ER", len(few) * each, theirs, "ER"),
        way("pynamicalsys, QR", len(few) * each, theirs, "QR"),
    ]
    rows = compare("lyapunov", candidates, judge, repeats=3)
    return f"Lyapunov exponents: h = {h}, {len(starts)} points, {steps} steps", table(rows)


def histogram(scale):
    objective = gd.Objective("x^2/2 + eps*sin(x/eps)", "x", {"eps": 0.01})
    h, bins, limits = 0.1, 1000, (-0.5, 0.5)
    steps, each, start = max(64, int(1e6 * scale)), max(1, int(5e4 * scale)), np.array([[0.3]])
    rng = np.random.default_rng(0)
    starts, many = (rng.uniform(-0.3, 0.3, (n, 1)) for n in (64, max(8, int(2e4 * scale))))

    def ours():
        return lambda: gd.orbit_histogram(objective, starts, h, each, bins, limits).counts

    def judge(name, results):
        if name == C_SCALAR or C_SCALAR not in results:
            return ""
        one, other = (results[way] / results[way].sum() for way in (name, C_SCALAR))
        return f"L1 distance of densities {np.abs(one - other).sum():.2g}"

    c, numba = ((make, objective, "histogram") for make in (in_c, one_by_one))
    numpy = ready, peers.numpy_histogram, objective, many, 50
    candidates = [
        way(OURS, len(starts) * each, ours),
        way(C_SCALAR, steps, *c, start[0], steps, h, bins, limits, lanes=[64]),
        way("Numba, one orbit", steps, *numba, start, steps, h, bins, *limits),
        way(f"NumPy, {len(many)} orbits", len(many) * 50, *numpy, h, bins, limits),
    ]
    rows = compare("histogram", candidates, judge)
    return f"Histogram of a multiscale orbit: {bins} bins, 64 orbits of gdbook", table(rows)


# Growth


def growth(scale):
    parts = [
        ("points", _by_points(scale)),
        ("steps", _by_steps(scale)),
        ("dimension", _by_dimension(scale)),
    ]
    header = ("steps with outcomes", "steps alone", "C, steps alone")
    tables = [harness.table((name, *first, *header), rows) for name, (first, rows) in parts]
    note = "Time per step of one orbit; none is decided before the last step."
    return "How cost grows", "\n\n".join([note, *tables])


def _by_points(scale):
    objective, rows = gd.Objective(*FACTORIZATION), []
    for n in (1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000):
        if n > 1e7 * scale:
            break
        steps = int(np.clip(2e7 / n, 20, 10_000))
        starts = np.random.default_rng(0).uniform(0.5, 1.1, (n, 2))
        rows.append((n, steps, *_growing(objective, starts, steps, 1.45)))
    return ["steps"], rows


def _by_steps(scale):
    objective, n = gd.Objective(*FACTORIZATION), max(64, int(4096 * scale))
    starts = np.random.default_rng(0).uniform(0.5, 1.1, (n, 2))
    counts = (0, 1, 10, 100, 1000, 10_000)
    return ["points"], [(s, n, *_growing(objective, starts, s, 1.45)) for s in counts]


def _by_dimension(scale):
    n, rows = max(64, int(4096 * scale)), []
    for d in (1, 2, 3, 4, 6, 8, 10, 12) if scale >= 1 else (1, 3):
        objective = chain(d)
        starts = np.random.default_rng(0).uniform(0.4, 0.9, (n, d))
        operations = sum(map(_operations, peers.source.program(objective.gradient_expression)))
        rows.append((d, operations + 2 * d, *_growing(objective, starts, 300, 1e-3)))
    return ["operations per step"], rows


def _operations(expressions):
    import sympy

    return sum(int(sympy.count_ops(e[1] if isinstance(e, tuple) else e)) for e in expressions)


def _growing(objective, starts, steps, h):
    here, work = (objective, starts, steps, h), max(1, len(starts) * steps)
    lanes = [64 if objective.dimension < 8 else 32]
    candidates = [
        way("with outcomes", work, found, *here),
        way("alone", work, fixed, *here),
        way(C, work, in_c, objective, "fixed_steps", starts, steps, h, lanes=lanes),
    ]
    return [row[1] for row in compare("growth", candidates, lambda *_: "", repeats=3)]


# Latency


def latency(scale):
    first = _LATENCIES[: 2 if scale < 1 else None]
    columns = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in ("cold", "cached"):
            columns.append(
                in_fresh_process(
                    "benchmarks.engine:time_latency",
                    len(first),
                    environment={"NUMBA_CACHE_DIR": os.path.join(folder, "cache")},
                )
            )
    rows = [
        (name, *(harness.milliseconds(column[name].first) for column in columns))
        for name in columns[0]
    ]
    return (
        "Until the first answer: fresh processes, 64 orbits of 100 steps",
        harness.table(("", "empty cache", "kernels in the cache"), rows),
    )


_LATENCIES = [
    ("the first kernel", FACTORIZATION),
    ("a second kernel", ("x^4/4 - x^2/2", "x")),
    ("a third, with a sine", ("x^2/2 + sin(10*x)/10", "x")),
]


def time_latency(number):
    """Processor seconds from the start of the process on, one after the other."""
    from time import process_time

    import sympy  # noqa: F401  # the formula is read by it

    taken = {"Python, NumPy, SymPy and the package": process_time()}
    for name, formula in _LATENCIES[:number]:
        objective = gd.Objective(*formula)
        starts = np.full((64, objective.dimension), 0.5)
        begin = process_time()
        run = descend(objective, starts, 100, 0.1)
        run()
        taken[name] = process_time() - begin
        begin = process_time()
        run()
        taken[f"{name}, called again"] = process_time() - begin
    return {name: Timing(seconds, seconds, 1) for name, seconds in taken.items()}


def table(rows):
    return harness.table(HEADER, rows)


CASES = {
    "fixed": fixed_steps,
    "functions": functions,
    "escape": detection("escape", 4, 512, 0.5, "most of which escape early"),
    "chaos": detection("chaos", 1.5, 256, 1.45, "most of which are chaotic"),
    "bifurcation": bifurcation,
    "lyapunov": lyapunov,
    "histogram": histogram,
    "growth": growth,
    "latency": latency,
}
