"""The other ways to run many orbits: NumPy, one point at a time under Numba, JAX, pynamicalsys.

Each does what its users do, as well as they do it, and computes what the package computes: the
same arithmetic where its compiler lets it, the outcome by the definition of `gdbook.outcome`.
All take and give points as rows, shape (n, d).
"""

import functools
import os

import numpy as np
import sympy

from benchmarks.reference import Found
from gdbook import outcome, source
from gdbook.outcome import (
    CHECK_INTERVAL,
    CONVERGENCE_TOLERANCE,
    ESCAPE_RADIUS,
    LONGEST_PERIOD,
    RETURN_RATIO,
)

CONVERGED, DIVERGED, PERIODIC, BOUNDED = range(4)
OPEN = -1
RECENT = 2 * LONGEST_PERIOD  # so many of the last steps say whether an orbit is periodic


def last_steps_begin(steps):
    """A multiple of the check interval from which on the path of an orbit is kept."""
    return max(steps - RECENT, 0) // CHECK_INTERVAL * CHECK_INTERVAL


def size(x):
    """Largest absolute coordinate of points of shape (d, n)."""
    return functools.reduce(np.maximum, map(np.abs, x))


def inside(x):
    return size(x) <= ESCAPE_RADIUS


def near(x, y, tolerance):
    return distance(x, y) <= tolerance * (1 + size(x))


def distance(x, y):
    return size([a - b for a, b in zip(x, y, strict=True)])


# NumPy


def numpy_gradient(objective, powers_as_products=True):
    """Function of d arrays: the package's own, or what SymPy writes, with ``x**3``."""
    symbols = objective.variables
    gradient = with_values(objective, objective.gradient_expression)
    if powers_as_products:
        return source.numpy_function(symbols, gradient)
    return sympy.lambdify(symbols, gradient, "numpy", cse=True)


def with_values(objective, expressions):
    """Expressions in the variables alone."""
    values = dict(zip(objective.parameter_symbols, objective.parameters.values(), strict=True))
    return [expression.subs(values) for expression in expressions]


def numpy_step(gradient, x, h):
    return [a - h * g for a, g in zip(x, gradient(*x), strict=True)]


def numpy_fixed_steps(gradient, starts, steps, h):
    x = list(np.ascontiguousarray(starts.T))
    for _ in range(steps):
        x = numpy_step(gradient, x, h)
    return np.stack(x, axis=1)


def numpy_detect(gradient, starts, steps, h, chunk=None):
    """Outcomes with masks.

    Without `chunk` every point makes every step; with it, so many points go together, and those
    that are decided are left behind every 32 steps.
    """
    found = Found(
        np.full(len(starts), OPEN), np.full(len(starts), steps), np.zeros(len(starts), int)
    )
    with np.errstate(all="ignore"):
        for first in range(0, len(starts), chunk or len(starts)):
            who = np.arange(first, min(first + (chunk or len(starts)), len(starts)))
            _numpy_chunk(gradient, starts, steps, h, who, found, leave=chunk is not None)
    return found


def _numpy_chunk(gradient, starts, steps, h, who, found, leave):
    x, begin = list(np.ascontiguousarray(starts[who].T)), last_steps_begin(steps)
    undecided = np.ones(len(who), bool)

    def mark(holds, label, k):
        new = undecided & holds
        if new.any():
            found.labels[who[new]], found.steps[who[new]] = label, k
            np.logical_and(undecided, ~new, out=undecided)

    for k in range(steps + 1):
        if k > 0:
            last, x = x, numpy_step(gradient, x, h)
        mark(~inside(x), DIVERGED, k)
        if k > 0 and (k % CHECK_INTERVAL == 0 or k == steps):
            mark(near(x, last, CONVERGENCE_TOLERANCE), CONVERGED, k)
        if k == begin or (leave and k < begin and k % CHECK_INTERVAL == 0):
            if leave:
                who, x = who[undecided], [a[undecided] for a in x]
                undecided = undecided[undecided]
                if len(who) == 0:
                    return
            kept, path = undecided.copy(), []
        if k >= begin:
            path.append([a[kept] for a in x])
    periods, still = _periods(path), undecided[kept]
    who = who[kept][still]
    found.periods[who] = periods[still]
    found.labels[who] = np.where(periods[still] > 0, PERIODIC, BOUNDED)


def _periods(path):
    steps = len(path) - 1
    periods = np.zeros(len(path[0][0]), int)
    for p in range(min(LONGEST_PERIOD, steps // 2), 1, -1):
        returned = near(path[-1], path[-1 - p], outcome.PERIOD_TOLERANCE)
        if returned.any():
            returned &= near(path[-1 - p], path[-1 - 2 * p], outcome.PERIOD_TOLERANCE)
            farther = np.maximum(*(distance(path[-1 - j], path[-1 - j - p]) for j in (0, p)))
            returned &= farther <= RETURN_RATIO * distance(path[-1], path[-2])
            periods[returned] = p
    return periods


def numpy_bifurcation(gradient, rates, start, burn_in, keep):
    """Shape (keep, d, n)."""
    x = [np.full(len(rates), a) for a in start]
    out = np.empty((keep, len(start), len(rates)))
    for k in range(burn_in + keep):
        x = numpy_step(gradient, x, rates)
        if k >= burn_in:
            out[k - burn_in] = x
    return out


def numpy_lyapunov(objective, starts, steps, h, burn_in):
    """Gram and Schmidt after every step, vectorised over the points."""
    d, symbols = objective.dimension, objective.variables
    expressions = [*objective.gradient_expression, *objective.hessian_expression]
    expressions = with_values(objective, expressions)
    both, gradient = source.numpy_function(symbols, expressions), numpy_gradient(objective)
    x = list(np.ascontiguousarray(starts.T))
    for _ in range(burn_in):
        x = numpy_step(gradient, x, h)
    tangents = [[np.full(len(starts), float(i == j)) for i in range(d)] for j in range(d)]
    sums = [np.zeros(len(starts)) for _ in range(d)]
    for _ in range(steps):
        results = both(*x)
        x = [a - h * g for a, g in zip(x, results[:d], strict=True)]
        rows = [results[d + i * d : d + (i + 1) * d] for i in range(d)]
        for j, v in enumerate(tangents):
            v = [v[i] - h * sum(a * b for a, b in zip(rows[i], v, strict=True)) for i in range(d)]
            for u in tangents[:j]:
                along = sum(a * b for a, b in zip(u, v, strict=True))
                v = [a - along * b for a, b in zip(v, u, strict=True)]
            length = np.sqrt(sum(a * a for a in v))
            sums[j] += np.log(length)
            tangents[j] = [a / length for a in v]
    return np.stack(sums, axis=1) / steps


def numpy_histogram(objective, starts, steps, h, bins, limits):
    """Histogram of the first coordinate of many orbits."""
    gradient = numpy_gradient(objective)
    counts = np.zeros(bins, dtype=np.int64)
    x = list(np.ascontiguousarray(starts.T))
    for _ in range(steps):
        x = numpy_step(gradient, x, h)
        place = (x[0] - limits[0]) * (bins / (limits[1] - limits[0]))
        place = place[(place >= 0) & (place < bins)].astype(int)
        counts += np.bincount(place, minlength=bins)
    return counts


# One point at a time under Numba


class Scalar:
    """The obvious loops under ``numba.njit``, one orbit after the other, points as tuples."""

    def __init__(self, objective, contract=False):
        self.objective = objective
        jit = _jit({"contract"} if contract else False)
        code = {}
        exec(_scalar_text(objective), {"math": __import__("math"), "np": np}, code)
        self._mapping, self._jacobian = jit(code["mapping"]), jit(code["jacobian"])
        load, step, matrix = jit(code["load"]), jit(code["step"]), jit(code["matrix"])
        d = objective.dimension

        @jit
        def fixed_steps(starts, steps, h):
            out = np.empty_like(starts)
            for p in range(len(starts)):
                x = load(starts, p)
                for _ in range(steps):
                    x = step(x, h)
                for i in range(d):
                    out[p, i] = x[i]
            return out

        @jit
        def is_inside(x):
            good = True
            for i in range(d):
                good &= abs(x[i]) <= ESCAPE_RADIUS
            return good

        @jit
        def distance_of(x, y):
            apart = 0.0
            for i in range(d):
                apart = max(apart, abs(x[i] - y[i]))
            return apart

        @jit
        def are_near(x, y, tolerance):
            size = 0.0
            for i in range(d):
                size = max(size, abs(x[i]))
            return distance_of(x, y) <= tolerance * (1 + size)

        @jit
        def has_returned(x, y, moved):
            return are_near(x, y, outcome.PERIOD_TOLERANCE) and distance_of(x, y) <= moved

        @jit
        def detect_one(x, steps, h, path):
            if not is_inside(x):
                return DIVERGED, 0, 0
            for k in range(steps + 1):
                if k > 0:
                    last, x = x, step(x, h)
                    if not is_inside(x):
                        return DIVERGED, k, 0
                    check = k % CHECK_INTERVAL == 0 or k == steps
                    if check and are_near(x, last, CONVERGENCE_TOLERANCE):
                        return CONVERGED, k, 0
                if steps - k <= RECENT:
                    for i in range(d):
                        path[steps - k, i] = x[i]
            moved = RETURN_RATIO * distance_of(path[0], path[1])
            for p in range(2, min(LONGEST_PERIOD, steps // 2) + 1):
                again = has_returned(path[0], path[p], moved)
                if again and has_returned(path[p], path[2 * p], moved):
                    return PERIODIC, steps, p
            return BOUNDED, steps, 0

        @jit
        def detect(starts, steps, h):
            out = np.empty((3, len(starts)), np.int64)
            path = np.empty((RECENT + 1, d))
            for p in range(len(starts)):
                out[0, p], out[1, p], out[2, p] = detect_one(load(starts, p), steps, h, path)
            return out

        @jit
        def bifurcation(rates, start, burn_in, keep):
            out = np.empty((keep, d, len(rates)))
            for p in range(len(rates)):
                x = load(start, 0)
                for k in range(burn_in + keep):
                    x = step(x, rates[p])
                    if k >= burn_in:
                        for i in range(d):
                            out[k - burn_in, i, p] = x[i]
            return out

        @jit
        def lyapunov(starts, steps, h, burn_in):
            out = np.zeros(starts.shape)
            T, M = np.empty((d, d)), np.empty((d, d))
            moved = np.empty(d)
            for p in range(len(starts)):
                x = load(starts, p)
                for _ in range(burn_in):
                    x = step(x, h)
                T[:] = 0.0
                for i in range(d):
                    T[i, i] = 1.0
                for _ in range(steps):
                    matrix(x, h, M)
                    x = step(x, h)
                    for a in range(d):
                        for i in range(d):
                            moved[i] = 0.0
                            for j in range(d):
                                moved[i] += M[i, j] * T[a, j]
                        for b in range(a):
                            along = 0.0
                            for i in range(d):
                                along += moved[i] * T[b, i]
                            for i in range(d):
                                moved[i] -= along * T[b, i]
                        square = 0.0
                        for i in range(d):
                            square += moved[i] * moved[i]
                        length = np.sqrt(square)
                        out[p, a] += np.log(length)
                        for i in range(d):
                            T[a, i] = moved[i] / length
            return out / steps

        @jit
        def histogram(start, steps, h, bins, low, high):
            counts = np.zeros(bins, np.int64)
            x = load(start, 0)
            for _ in range(steps):
                x = step(x, h)
                place = (x[0] - low) * (bins / (high - low))
                if 0 <= place < bins:
                    counts[int(place)] += 1
            return counts

        self.fixed_steps, self.bifurcation = fixed_steps, bifurcation
        self.lyapunov, self.histogram = lyapunov, histogram
        self._detect = detect

    def detect(self, starts, steps, h):
        labels, when, periods = self._detect(starts, steps, h)
        return Found(labels, when, periods)


def _jit(fastmath):
    import numba

    return functools.partial(numba.njit, fastmath=fastmath, error_model="numpy")


def _scalar_text(objective):
    """Source of the map and its Jacobian on tuples, and on arrays as pynamicalsys wants them."""
    d = objective.dimension
    printer = source._Scalar(dict(source._PYTHON_SETTINGS))
    names = [printer.doprint(symbol) for symbol in objective.variables]
    values = zip(objective.parameter_symbols, objective._parameter_values, strict=True)
    constants = [f"{printer.doprint(symbol)} = {value!r}" for symbol, value in values]

    def program(expressions):
        assignments, outputs = source.program(expressions)
        lines = [f"{name} = {printer.doprint(value)}" for name, value in assignments]
        return lines, [printer.doprint(output) for output in outputs]

    def function(signature, before, body, result):
        return "\n    ".join([f"def {signature}:", *before, *constants, *body, result]) + "\n"

    body, gradient = program(objective.gradient_expression)
    moved = [f"{name} - _h*({g})" for name, g in zip(names, gradient, strict=True)]
    more, hessian = program(objective.hessian_expression)
    entries = [f"{float(i == j)} - _h*({hessian[i * d + j]})" for i in range(d) for j in range(d)]
    rows = ", ".join(f"[{', '.join(entries[i * d : (i + 1) * d])}]" for i in range(d))
    stores = [f"_M[{i // d}, {i % d}] = {entry}" for i, entry in enumerate(entries)]
    unpacked = [f"{name} = _x[{i}]" for i, name in enumerate(names)]
    of_arrays = [*unpacked, "_h = _p[0]"]
    columns = ", ".join(f"_points[_row, {i}]" for i in range(d))
    return (
        function("load(_points, _row)", [], [], f"return ({columns},)")
        + function("step(_x, _h)", unpacked, body, f"return ({', '.join(moved)},)")
        + function("matrix(_x, _h, _M)", unpacked, [*more, *stores], "return")
        + function("mapping(_x, _p)", of_arrays, body, f"return np.array([{', '.join(moved)}])")
        + function("jacobian(_x, _p, *_)", of_arrays, more, f"return np.array([{rows}])")
    )


# pynamicalsys


def pynamicalsys_system(objective):
    """The map as its documentation shows it; the learning rate is its one parameter."""
    from pynamicalsys import DiscreteDynamicalSystem

    scalar = Scalar(objective)
    return DiscreteDynamicalSystem(
        mapping=scalar._mapping,
        jacobian=scalar._jacobian,
        system_dimension=objective.dimension,
        number_of_parameters=1,
    )


# JAX


def jax_modules():
    """``jax`` and ``jax.numpy`` with doubles and on one thread."""
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax, jax.numpy


class Jax:
    """``fori_loop``, ``while_loop`` and ``scan`` over tuples of d arrays, compiled as a whole."""

    def __init__(self, objective):
        jax, jnp = jax_modules()
        lax, d = jax.lax, objective.dimension
        symbols = [*objective.variables, *objective.parameter_symbols]

        def function(expressions):
            printer = source._NumPy(dict(source._PYTHON_SETTINGS))
            compiled = sympy.lambdify(
                symbols, list(expressions), [{"numpy": jnp}], printer=printer, cse=source.program
            )
            return lambda *x: compiled(*x, *objective._parameter_values)

        gradient = function(objective.gradient_expression)
        hessian = function(objective.hessian_expression)

        def step(x, h):
            return tuple(a - h * g for a, g in zip(x, gradient(*x), strict=True))

        def size(x):
            return functools.reduce(jnp.maximum, map(jnp.abs, x))

        def near(x, y, tolerance):
            return distance(x, y) <= tolerance * (1 + size(x))

        def distance(x, y):
            return size([a - b for a, b in zip(x, y, strict=True)])

        def columns(starts):
            return tuple(starts[:, i] for i in range(d))

        def in_chunks(work, starts, chunk):
            """Apply to 1024 points after 1024 points; the number of points is a multiple of it."""
            x = tuple(a.reshape(-1, chunk) for a in columns(starts))
            results = lax.map(work, x)
            return jax.tree.map(
                lambda a: jnp.moveaxis(a, 0, -2).reshape(*a.shape[1:-1], -1), results
            )

        def go(x, steps, h):
            return lax.fori_loop(0, steps, lambda _, x: step(x, h), x)

        @functools.partial(jax.jit, static_argnames="chunk")
        def fixed_steps(starts, steps, h, chunk=None):
            if chunk is None:
                x = go(columns(starts), steps, h)
            else:
                x = in_chunks(lambda x: go(x, steps, h), starts, chunk)
            return jnp.stack(x, axis=1)

        def search(x, begin, h):
            """Until all are decided, or until the last steps begin."""

            def one(k, state):
                x, _, label, when = state
                moved = step(x, h)
                new = (label == OPEN) & ~(size(moved) <= ESCAPE_RADIUS)
                return moved, x, jnp.where(new, DIVERGED, label), jnp.where(new, k, when)

            def block(carry):
                k, x, label, when = carry
                state = lax.fori_loop(k + 1, k + 1 + CHECK_INTERVAL, one, (x, x, label, when))
                moved, last, label, when = state
                k = k + CHECK_INTERVAL
                new = (label == OPEN) & near(moved, last, CONVERGENCE_TOLERANCE)
                return k, moved, jnp.where(new, CONVERGED, label), jnp.where(new, k, when)

            def unfinished(carry):
                return (carry[0] < begin) & (carry[2] == OPEN).any()

            label = jnp.where(size(x) <= ESCAPE_RADIUS, OPEN, DIVERGED)
            first = 0, x, label, jnp.zeros_like(label)
            return lax.while_loop(unfinished, block, first)[1:]

        def finish(x, begin, steps, h):
            """The last steps with all their points: `steps` is static."""

            def keep(x, _):
                x = step(x, h)
                return x, x

            _, path = lax.scan(keep, x, None, length=steps - begin)
            path = jnp.concatenate([jnp.stack(x)[None], jnp.stack(path, axis=1)])  # (time, d, n)
            time = np.arange(begin, steps + 1)
            by_coordinate = jnp.moveaxis(path, 1, 0)
            escaped = ~(size(by_coordinate) <= ESCAPE_RADIUS)
            escape = jnp.where(escaped.any(axis=0), begin + escaped.argmax(axis=0), steps + 1)
            checks = ((time % CHECK_INTERVAL == 0) | (time == steps))[1:, None]
            settled = checks & near(
                by_coordinate[:, 1:], by_coordinate[:, :-1], CONVERGENCE_TOLERANCE
            )
            convergence = jnp.where(
                settled.any(axis=0), begin + 1 + settled.argmax(axis=0), steps + 1
            )
            p = np.arange(2, min(LONGEST_PERIOD, steps // 2) + 1)
            end, before, earlier = (by_coordinate[:, steps - begin - j * p] for j in range(3))
            moved = RETURN_RATIO * distance(by_coordinate[:, -1:], by_coordinate[:, -2:-1])
            returned = near(end, before, outcome.PERIOD_TOLERANCE) & near(
                before, earlier, outcome.PERIOD_TOLERANCE
            )
            returned &= jnp.maximum(distance(end, before), distance(before, earlier)) <= moved
            period = jnp.where(returned.any(axis=0), 2 + returned.argmax(axis=0), 0)
            label = jnp.where(period > 0, PERIODIC, BOUNDED)
            label = jnp.where(convergence <= steps, CONVERGED, label)
            label = jnp.where((escape <= steps) & (escape <= convergence), DIVERGED, label)
            when = jnp.minimum(jnp.minimum(escape, convergence), steps)
            return label, when, jnp.where(label == PERIODIC, period, 0)

        @functools.partial(jax.jit, static_argnames="chunk")
        def search_all(starts, begin, h, chunk):
            return in_chunks(lambda x: search(x, begin, h), starts, chunk)

        @functools.partial(jax.jit, static_argnames=("begin", "steps", "chunk"))
        def finish_all(points, begin, steps, h, chunk):
            return in_chunks(lambda x: finish(x, begin, steps, h), points, chunk)

        def detect(starts, steps, h, chunk=1024):
            begin = last_steps_begin(steps)
            x, *rest = search_all(_padded(starts, chunk), begin, h, chunk)
            labels, when = (np.array(a)[: len(starts)] for a in rest)
            points = np.stack(x, axis=1)[: len(starts)]
            periods, late = np.zeros(len(starts), int), np.flatnonzero(labels == OPEN)
            if len(late):
                results = finish_all(_padded(points[late], chunk), begin, steps, h, chunk)
                for out, result in zip((labels, when, periods), results, strict=True):
                    out[late] = np.asarray(result)[: len(late)]
            return Found(labels, when, periods)

        @functools.partial(jax.jit, static_argnames=("keep",))
        def bifurcation(rates, start, burn_in, keep):
            x = tuple(jnp.full(len(rates), a) for a in start)
            x = go(x, burn_in, rates)

            def record(x, _):
                x = step(x, rates)
                return x, jnp.stack(x)

            return lax.scan(record, x, None, length=keep)[1]

        @jax.jit
        def lyapunov(starts, steps, h, burn_in):
            n = starts.shape[0]
            x = go(columns(starts), burn_in, h)
            tangents = [tuple(jnp.full(n, float(i == j)) for i in range(d)) for j in range(d)]

            def one(_, state):
                x, tangents, sums = state
                H, done, total = hessian(*x), [], []
                for v, s in zip(tangents, sums, strict=True):
                    v = [v[i] - h * sum(H[i * d + j] * v[j] for j in range(d)) for i in range(d)]
                    for u in done:
                        along = sum(a * b for a, b in zip(u, v, strict=True))
                        v = [a - along * b for a, b in zip(v, u, strict=True)]
                    length = jnp.sqrt(sum(a * a for a in v))
                    total.append(s + jnp.log(length))
                    done.append(tuple(a / length for a in v))
                return step(x, h), done, total

            state = x, tangents, [jnp.zeros(n) for _ in range(d)]
            return jnp.stack(lax.fori_loop(0, steps, one, state)[2], axis=1) / steps

        def as_numpy(function):
            return lambda *a, **options: np.asarray(function(*a, **options))

        self.fixed_steps, self.bifurcation = as_numpy(fixed_steps), as_numpy(bifurcation)
        self.lyapunov, self.detect = as_numpy(lyapunov), detect


def _padded(points, chunk):
    return np.concatenate([points, np.repeat(points[:1], -len(points) % chunk, axis=0)])
