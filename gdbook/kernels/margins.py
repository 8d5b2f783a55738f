"""Kernels of classification: gradient descent on losses of margins."""

from functools import cache

import numpy as np

from gdbook import source
from gdbook.kernels import compile, generate, watched

__all__ = ["descend", "descend_numpy"]

_LANES, _ROWS, _WIDTH = 16, 4, 8


def descend(loss, rows, point, weights, rate, adaptive, keep, kept, losses, exponential):
    """Let a linear classifier make as many steps as there are places for losses.

    Parameters
    ----------
    loss : Objective
        Of one variable, the margin.
    rows : ndarray, shape (n, d)
        Row i times the point is the margin of input i.
    point : ndarray, shape (d,)
        Changed in place.
    weights : ndarray, shape (1, n) or (steps, n)
        Of the inputs in the gradient: always, or at each step.
    rate : float
    adaptive : bool
        Whether the rate is divided by the loss, as long as that is not 0.
    keep : ndarray of int
        Numbers, rising, of the steps before which the point is kept; those beyond are left.
    kept : ndarray, shape (len(keep), d)
        Gets these points.
    losses, exponential : ndarray, shape (steps,)
        Get the loss before each step and the mean of exp(-z). A run whose loss is not finite ends.
    """
    function = _linear(loss)
    if function is None:
        descend_numpy(
            *(loss, rows, point, weights, rate, adaptive, keep, kept, losses, exponential)
        )
        return
    n, d = rows.shape
    lanes, width = -(-n // _LANES) * _LANES, -(-d // _WIDTH) * _WIDTH
    function(
        *(lanes, width, d, len(losses), len(weights), len(keep), int(adaptive), rate),
        *(watched.parameters_of(loss), _packed(_padded(rows, (lanes, width)))),
        *(whole := _padded(point, (width,)), _padded(weights, (len(weights), lanes))),
        *(_padded(np.full(n, 1 / n), (lanes,)), keep, kept, losses, exponential),
        *(np.empty(width), np.empty((5, _LANES))),
    )
    point[:] = whole[:d]


def _padded(array, shape):
    """The array with zeros behind it; a vector of the processor never crosses a line of memory."""
    memory = np.zeros(int(np.prod(shape)) + 8)
    whole = memory[-(memory.ctypes.data // 8) % 8 :][: int(np.prod(shape))].reshape(shape)
    whole[tuple(map(slice, array.shape))] = array
    return whole


def _packed(rows):
    """Groups of rows in the order in which they are read: some numbers of each, then the next."""
    n, d = rows.shape
    groups = rows.reshape(n // _ROWS, _ROWS, d // _WIDTH, _WIDTH).transpose(0, 2, 1, 3)
    return _padded(groups, groups.shape)


# Some rows are read for their margins, and once more, from the nearest cache, for the gradient. The
# margins stand in lanes, so that the loss is computed for many of them together.
_BODY = """
$parameters
_place = 0
for k in range(steps):
    if _place < _places and keep[_place] == k:
        for j in range(_size):
            _kept[_place, j] = _w[j]
        _place += 1
    for j in range(d):
        _g[j] = 0.0
    for l in range($lanes):
        B[3, l] = 0.0
        B[4, l] = 0.0
    for first in range(0, n, $lanes):
        for i in range(0, $lanes, $rows):
            _dots(_X, first + i, _w, d, B, i)
        for l in range($lanes):
            B[1, l] = _share[first + l]
            B[2, l] = _weights[k % _draws, first + l]
        for l in range($lanes):
            $z = B[0, l]
            $lines
            B[0, l] = B[2, l] * ($slope)
            B[3, l] += B[1, l] * ($value)
            B[4, l] += B[1, l] * exp(-$z)
        for i in range(0, $lanes, $rows):
            _add(_g, _X, first + i, d, B, i)
    _f = 0.0
    _F = 0.0
    for l in range($lanes):
        _f += B[3, l]
        _F += B[4, l]
    _losses[k] = _f
    _exponential[k] = _F
    if not (_f - _f == 0.0 and _F == _F):
        return
    h = rate / _f if _adaptive and _f > 0.0 else rate
    for j in range(d):
        _w[j] -= h * _g[j]
"""

# Numba does not let sums be vectors without leave to change their order, which would make the
# result depend on the processor: here the order is that of vectors of eight numbers, on all.
_VECTORS = '''

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_INDEX, _VECTOR = ir.IntType(64), ir.VectorType(ir.DoubleType(), $width)


def _constant(k):
    return ir.Constant(_INDEX, k)


def _data(context, builder, signature, values, k):
    return context.make_array(signature.args[k])(context, builder, values[k]).data


def _vector(builder, pointer, k):
    return builder.bitcast(builder.gep(pointer, [k]), _VECTOR.as_pointer())


def _products(builder, pointer, start, count):
    """Numbers of columns, and pointers to the vectors of all rows there."""
    pointer = builder.gep(pointer, [builder.mul(start, count)])
    with cgutils.for_range_slice(builder, _constant(0), count, _constant($width)) as (j, _):
        first = builder.mul(j, _constant($rows))
        places = [builder.add(first, _constant($width * r)) for r in range($rows)]
        yield j, [builder.load(_vector(builder, pointer, k), align=8) for k in places]


@intrinsic
def _dots(context, X, start, w, count, B, lane):
    """Products of rows with a vector, into lanes of B."""

    def generate(context, builder, signature, values):
        X, w, B = (_data(context, builder, signature, values, k) for k in (0, 2, 4))
        zero = ir.Constant(_VECTOR, [0.0] * $width)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range($rows)]
        for j, rows in _products(builder, X, values[1], values[3]):
            column = builder.load(_vector(builder, w, j), align=8)
            for row, total in zip(rows, sums):
                product = builder.fmul(row, column)
                builder.store(builder.fadd(builder.load(total), product), total)
        for r, total in enumerate(sums):
            vector = builder.load(total)
            parts = [builder.extract_element(vector, _constant(l)) for l in range($width)]
            while len(parts) > 1:
                parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2])]
            builder.store(parts[0], builder.gep(B, [builder.add(values[5], _constant(r))]))
        return context.get_dummy_value()

    return types.void(X, start, w, count, B, lane), generate


@intrinsic
def _add(context, g, X, start, count, B, lane):
    """Add rows, times what is in lanes of B, to a vector."""

    def generate(context, builder, signature, values):
        g, X, B = (_data(context, builder, signature, values, k) for k in (0, 1, 4))
        weights = []
        for r in range($rows):
            weight = builder.load(builder.gep(B, [builder.add(values[5], _constant(r))]))
            vector = ir.Constant(_VECTOR, ir.Undefined)
            for l in range($width):
                vector = builder.insert_element(vector, weight, _constant(l))
            weights.append(vector)
        for j, rows in _products(builder, X, values[2], values[3]):
            place = _vector(builder, g, j)
            total = builder.load(place, align=8)
            for row, weight in zip(rows, weights):
                total = builder.fadd(total, builder.fmul(row, weight))
            builder.store(total, place, align=8)
        return context.get_dummy_value()

    return types.void(g, X, start, count, B, lane), generate
'''


@cache
def _linear(loss):
    formula = generate.formula_of(loss, [loss.smooth_expression])
    slope, value = formula.outputs
    pieces = {"lanes": _LANES, "rows": _ROWS, "width": _WIDTH}
    body = generate.fill(
        _BODY,
        parameters=formula.unpack_parameters(),
        z=formula.variables[0],
        lines="\n".join(formula.lines),
        slope=slope,
        value=value,
        **pieces,
    )
    numbers = ["n", "d", "_size", "steps", "_draws", "_places", "_adaptive"]
    arrays = [
        *(("p", "float64", f"({len(formula.parameters)},)"), ("_X", "float64", "(n * d,)")),
        *(("_w", "float64", "(d,)"), ("_weights", "float64", "(_draws, n)")),
        *(("_share", "float64", "(n,)"), ("keep", "int64", "(_places,)")),
        *(("_kept", "float64", "(_places, _size)"), ("_losses", "float64", "(steps,)")),
        *(("_exponential", "float64", "(steps,)"), ("_g", "float64", "(d,)")),
        ("B", "float64", f"(5, {_LANES})"),
    ]
    kernel = generate.Kernel(
        "margins", [*((name, "int64") for name in numbers), ("rate", "float64")], arrays, body
    )
    functions = sorted({*formula.functions, "exp"})
    vectors = "\n\n" + generate.fill(_VECTORS, **pieces)
    return compile.load(
        generate.text(f"margins: {loss}", kernel, functions, helpers=vectors), kernel
    )


@cache
def _value_and_slope(loss):
    """The loss and its derivative, of arrays of margins."""
    symbols = [*loss.variables, *loss.parameter_symbols]
    function = source.numpy_function(symbols, [loss.smooth_expression, loss.gradient_expression[0]])
    parameters = [float(value) for value in loss.parameters.values()]
    return lambda z: np.broadcast_arrays(z, *function(z, *parameters))[1:]


@np.errstate(all="ignore")
def descend_numpy(loss, rows, point, weights, rate, adaptive, keep, kept, losses, exponential):
    """What `descend` does, in NumPy."""
    function, place = _value_and_slope(loss), 0
    for k in range(len(losses)):
        if place < len(keep) and keep[place] == k:
            kept[place] = point
            place += 1
        z = rows @ point
        value, slope = function(z)
        losses[k], exponential[k] = np.mean(value), np.mean(np.exp(-z))
        if not np.isfinite(losses[k]) or np.isnan(exponential[k]):
            return
        step = rate / losses[k] if adaptive and losses[k] > 0 else rate
        point -= step * ((weights[k % len(weights)] * slope) @ rows)
