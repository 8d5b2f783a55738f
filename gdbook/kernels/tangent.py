"""Kernels of Lyapunov exponents: how much the derivative of a map stretches along its orbits.

A block of the derivative I - hH, of size b x b, acts on tangent vectors. For b up to 2, one vector
and the determinant are multiplied on and on; every few steps a power of two is taken out of each,
without rounding. Where the steps between were too many, an orbit is computed again with a frame of
b vectors, which is made orthonormal after every step; so are all orbits for larger b.
"""

import math
from functools import cache

import numpy as np

from gdbook import source
from gdbook.kernels import generate, watched

__all__ = ["growth"]

# 2^512 is taken out of a product that is beyond 2^256, and put into one that is below 2^-256.
_POWER = 512
_INTERVAL = 16  # steps between, safe for factors from 2^-32 to 2^32


def growth(map, block, parameters, points, rates, burn_in, slices, contract=False):
    """Logarithms of the growth of b independent tangent vectors after `burn_in` steps.

    Parameters
    ----------
    map : gdbook.kernels.watched.Map
    block : range
        Which of its expressions are the b*b entries of H, row by row.
    parameters : ndarray
    points : ndarray, shape (d, n)
    rates : ndarray, shape (n,)
    burn_in : int
        Steps in which the vectors turn and are not measured.
    slices : iterable of (int, int)
        Begin and end of the steps that are made at once.
    contract : bool

    Returns
    -------
    logarithms : ndarray, shape (b, n)
    inside : ndarray of bool, shape (n,)
        Whether the orbit stayed inside the radius of escape.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> map = watched.Map.of(quadratic(), quadratic().hessian_expression)
    >>> points, rates = np.array([[1.0, 1.0]]), np.array([0.5, 3.0])
    >>> logarithms, inside = growth(
    ...     map, range(1), np.array([1.0]), points, rates, 5, [(0, 25)]
    ... )
    >>> np.exp(logarithms / 20)
    array([[0.5, 2. ]])
    """
    arguments = map, block, parameters, points, rates, burn_in
    if _size(block) > 2:
        return _frames(*arguments, slices, contract)
    if _product_kernel(map, block, contract)[0] is None:
        return frames_numpy(*arguments, slices)
    logarithms, inside, failed, steps = _products(*arguments, slices, contract)
    again = np.flatnonzero(inside & failed)
    if len(again):
        arguments = map, block, parameters, points[:, again], rates[again], burn_in
        slices = [(k, min(k + 4096, steps)) for k in range(0, steps, 4096)]
        logarithms[:, again], _ = _frames(*arguments, slices, contract)
    return logarithms, inside


def _size(block):
    return math.isqrt(len(block))


def _entries(outputs, block):
    return [outputs[i] for i in block]


def _split(slices, at):
    """The same slices, none of which goes on after step `at` from before it."""
    for begin, end in slices:
        if begin < at < end:
            yield begin, at
            begin = at
        yield begin, end


def _logarithm(products, exponents):
    """Logarithm of products of which powers were taken out; the same however many they were."""
    with np.errstate(all="ignore"):
        mantissas, powers = np.frexp(products)
        return np.log(mantissas) + (powers + _POWER * exponents) * math.log(2)


_LIMITS = {
    "power": repr(2.0**_POWER),
    "inverse": repr(2.0**-_POWER),
    "large": repr(2.0 ** (_POWER // 2)),
    "small": repr(2.0 ** -(_POWER // 2)),
    "huge": repr(2.0 ** (3 * _POWER // 2)),
    "tiny": repr(2.0 ** -(3 * _POWER // 2)),
}


# One vector and the determinant

# Rows, after point, learning rate and largest coordinate: the members of each product, then the
# powers taken out of each, then whether one was too large or too small.
_MEMBERS = {1: [[0]], 2: [[0, 1], [2]]}


def _products(map, block, parameters, points, rates, burn_in, slices, contract):
    """Growth, whether inside, whether the growth could not be followed, number of steps."""
    function, lanes = _product_kernel(map, block, contract)
    b, (d, n) = _size(block), points.shape
    members = _MEMBERS[b]
    size = sum(len(rows) for rows in members)
    failed = size + len(members)
    state, B = np.zeros((d + 3 + failed, n)), np.empty((d + 3 + failed, lanes))
    state[:d], state[d] = points, rates
    products = state[d + 2 :]
    products[0], products[b:size] = 1, 1  # the vector begins as an axis, the determinant as one
    with np.errstate(all="ignore"):
        for begin, end in _split(slices, burn_in):
            if begin == burn_in:  # of what happened before, the direction of the vector is kept
                products[:b] /= np.hypot.reduce(np.abs(products[:b]))
                products[b:size], products[size:failed] = 1, 0
            function(n, len(state), end - begin, parameters, state, B)
        sizes = np.array([np.hypot.reduce(np.abs(products[rows])) for rows in members])
        logarithms = _logarithm(sizes, products[size:failed])
        logarithms[1:] -= logarithms[:-1]
    inside = watched.stayed(map, state)
    return logarithms, inside, products[failed] > 0, end


_PRODUCTS = """
    $parameters
    for first in range(0, n, $lanes):
        count = min($lanes, n - first)
        $load
        done = 0
        while done < steps:
            for k in range(min($interval, steps - done)):
                for l in range($lanes):
                    $step
                    $multiply
            for l in range($lanes):
                $scale
            done += $interval
        $store
"""

_MULTIPLY = {
    1: "B[$vector, l] = B[$vector, l]*(1.0 - h*($H0))",
    2: """
    _a = 1.0 - h*($H0)
    _b = h*($H1)
    _c = h*($H2)
    _d = 1.0 - h*($H3)
    _v = B[$vector, l]
    _w = B[$vector + 1, l]
    B[$vector, l] = _a*_v - _b*_w
    B[$vector + 1, l] = _d*_w - _c*_v
    B[$vector + 2, l] = B[$vector + 2, l]*(_a*_d - _b*_c)
    """,
}

_SCALE = """
_size = $size
B[$failed, l] = B[$failed, l] if (_size > $tiny) & (_size < $huge) else 1.0
_factor = $inverse if _size > $large else ($power if _size < $small else 1.0)
B[$exponent, l] += 1.0 if _size > $large else (-1.0 if _size < $small else 0.0)
"""


@cache
def _product_kernel(map, block, contract):
    formula = map.formula()
    d, b = formula.dimension, _size(block)
    members = _MEMBERS[b]
    size = sum(len(rows) for rows in members)
    failed = d + 2 + size + len(members)
    scale = []
    for i, rows in enumerate(members):
        texts = [f"B[{d + 2 + row}, l]" for row in rows]
        size_text = " + ".join(f"abs({text})" for text in texts)
        places = {"failed": failed, "exponent": d + 2 + size + i}
        scale.append(generate.fill(_SCALE, size=size_text, **places, **_LIMITS))
        scale += [f"{text} *= _factor" for text in texts]
    entries = {f"H{i}": text for i, text in enumerate(_entries(formula.outputs[d:], block))}
    lanes = 64 if b == 1 else 24
    function = watched.compiled(
        *("products", _PRODUCTS, ["steps"], [], map, contract),
        rows=failed + 1,
        lanes=lanes,
        interval=_INTERVAL,
        multiply=generate.fill(_MULTIPLY[b], vector=d + 2, **entries),
        scale="\n".join(scale),
    )
    return function, lanes


# Frames of b vectors


def _frames(map, block, parameters, points, rates, burn_in, slices, contract):
    function, lanes = _frame_kernel(map, block, contract)
    if function is None:
        return frames_numpy(map, block, parameters, points, rates, burn_in, slices)
    b, (d, n) = _size(block), points.shape
    kept, work = _frame_rows(d, b)
    state, B = np.zeros((kept, n)), np.empty((kept + work, lanes))
    state[:d], state[d] = points, rates
    frame, lengths = state[d + 2 : -2 * b], state[-2 * b :]
    frame[:: b + 1] = 1
    for begin, end in _split(slices, burn_in):
        if begin == burn_in:
            lengths[:b], lengths[b:] = 1, 0
        function(n, len(state), end - begin, b, parameters, state, B)
    inside = watched.stayed(map, state)
    return _logarithm(lengths[:b], lengths[b:]), inside


def _frame_rows(d, b):
    """Rows that are kept between calls, and rows to work in."""
    return d + 2 + b**2 + 2 * b, b**2 + b + 2


_FRAMES = """
    # V: the frame, vector after vector; q: products of its lengths; e:
    # powers taken out; J: the derivative; W: a vector, its largest entry and its length.
    $parameters
    for first in range(0, n, $lanes):
        count = min($lanes, n - first)
        $load
        for k in range(steps):
            for l in range($lanes):
                $step
                $derivative
            for v in range(_b):
                for i in range(_b):
                    for l in range($lanes):
                        B[$W + i, l] = 0.0
                    for j in range(_b):
                        for l in range($lanes):
                            B[$W + i, l] += B[$J + $b * i + j, l] * B[$V + $b * v + j, l]
                for l in range($lanes):
                    B[$W + $b, l] = 0.0
                for i in range(_b):
                    for l in range($lanes):
                        _size = abs(B[$W + i, l])
                        _most = B[$W + $b, l]
                        B[$W + $b, l] = _size if _size > _most else _most
                for i in range(_b):
                    for l in range($lanes):
                        _most = B[$W + $b, l]
                        B[$W + i, l] /= _most if _most > 0.0 else 1.0
                for u in range(v):
                    for l in range($lanes):
                        B[$W + $b + 1, l] = 0.0
                    for i in range(_b):
                        for l in range($lanes):
                            B[$W + $b + 1, l] += B[$W + i, l] * B[$V + $b * u + i, l]
                    for i in range(_b):
                        for l in range($lanes):
                            B[$W + i, l] -= B[$W + $b + 1, l] * B[$V + $b * u + i, l]
                for l in range($lanes):
                    B[$W + $b + 1, l] = 0.0
                for i in range(_b):
                    for l in range($lanes):
                        B[$W + $b + 1, l] += B[$W + i, l] * B[$W + i, l]
                for l in range($lanes):
                    _length = math.sqrt(B[$W + $b + 1, l])
                    B[$W + $b + 1, l] = _length
                    _most = B[$W + $b, l]
                    _e = B[$e + v, l]
                    _e += 1.0 if _most > $power else (-1.0 if _most < $inverse else 0.0)
                    _most *= $inverse if _most > $power else ($power if _most < $inverse else 1.0)
                    _q = B[$q + v, l] * (_most * _length)
                    _e += 1.0 if _q > $large else (-1.0 if _q < $small else 0.0)
                    _q *= $inverse if _q > $large else ($power if _q < $small else 1.0)
                    B[$e + v, l] = _e
                    B[$q + v, l] = _q
                for i in range(_b):
                    for l in range($lanes):
                        _length = B[$W + $b + 1, l]
                        B[$V + $b * v + i, l] = B[$W + i, l] / (_length if _length > 0.0 else 1.0)
        $store
"""


@cache
def _frame_kernel(map, block, contract):
    formula = map.formula()
    d, b = formula.dimension, _size(block)
    lanes = 16 if b <= 6 else 8
    kept, work = _frame_rows(d, b)
    derivative = [
        f"B[{kept + i}, l] = {'1.0' if i % (b + 1) == 0 else '0.0'} - h*({text})"
        for i, text in enumerate(_entries(formula.outputs[d:], block))
    ]
    function = watched.compiled(
        *("frames", _FRAMES, ["steps", "_b"], [], map, contract),
        **{"rows": kept, "work": work, "lanes": lanes, "b": b, "derivative": "\n".join(derivative)},
        **{"V": d + 2, "q": kept - 2 * b, "e": kept - b, "J": kept, "W": kept + b**2},
        **_LIMITS,
    )
    return function, lanes


def frames_numpy(map, block, parameters, points, rates, burn_in, slices):
    """What `growth` does, in NumPy."""
    function = source.numpy_function(
        [*map.variables, *map.parameter_symbols], [*map.gradient_expression, *map.expressions]
    )
    b, (d, n), x = _size(block), points.shape, points.copy()
    V = np.zeros((b, b, n))
    V[np.arange(b), np.arange(b)] = 1
    one, inside = V.copy(), watched.inside(map.coordinates_at(x))
    with np.errstate(all="ignore"):
        for k in (k for begin, end in slices for k in range(begin, end)):
            if k in (0, burn_in):
                products, powers = np.ones((b, n)), np.zeros((b, n))
            outputs = [np.broadcast_to(output, n) for output in function(*x, *parameters)]
            J = one - rates * np.reshape(_entries(outputs[d:], block), (b, b, n))
            x -= rates * np.array(outputs[:d])
            inside &= watched.inside(map.coordinates_at(x))
            sizes, lengths = _orthonormalised(J, V)
            sizes, of_size = np.frexp(sizes)
            products, of_product = np.frexp(products * (sizes * lengths))
            powers += of_size + of_product
    return _logarithm(products, powers / _POWER), inside


def _orthonormalised(J, V):
    """Put J V, made orthonormal, in the place of the frame V; sizes and lengths of its vectors."""
    b = len(V)
    sizes, lengths = np.empty(V.shape[1:]), np.empty(V.shape[1:])
    for a in range(b):
        W = sum((J[:, j] * V[a, j] for j in range(b)), np.zeros_like(V[a]))
        sizes[a] = np.fmax.reduce(np.abs(W), initial=0.0)
        W /= np.where(sizes[a] > 0, sizes[a], 1.0)
        for c in range(a):
            W -= sum(W * V[c]) * V[c]
        lengths[a] = np.sqrt(sum(W * W))
        V[a] = W / np.where(lengths[a] > 0, lengths[a], 1.0)
    return sizes, lengths
