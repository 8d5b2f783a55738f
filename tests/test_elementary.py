"""Elementary functions in the lanes, against mpmath and against the definition of a float."""

import functools
import math
import re
import struct
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from gdbook.kernels import elementary
from gdbook.kernels.elementary import ELEMENTARY

PRECISION = 180  # bits: no float up to 2^30 comes nearer to a multiple of pi/2 than 2^-61
STATED = {"cos": 1.25, "exp": 1.0, "log": 1.0, "log1p": 2.0, "sin": 1.25, "tanh": 1.5}  # ulp
CONTRACTION = pytest.mark.parametrize("contract", [False, True], ids=["plain", "contract"])

EDGES = [0.0, -0.0, 5e-324, -5e-324, 2.0**-1022, -(2.0**-1023), 1e-300, 2.0**-54, 2.0**-27, 1.0]
EDGES += [
    -1.0,
    2.0,
    math.pi,
    math.pi / 2,
    -math.pi,
    22.0,
    -22.0,
    1e300,
    -1e300,
    2.0**50,
    -(2.0**51),
]
EDGES += [math.inf, -math.inf, math.nan, 709.782712893384, 709.7827128933841, -708.4, -745.13322]
EDGES += [-745.1332191019411, -745.1332191019412, -746.5, 710.5, math.sqrt(0.5), math.sqrt(2)]


@functools.cache
def compiled(contract):
    """Functions of arrays, from the text that kernels take; their loops are vectorised."""
    numba = pytest.importorskip("numba")
    flags = 'error_model="numpy", fastmath=' + ("{'contract'}" if contract else "False")
    text = elementary.definitions(ELEMENTARY, f"@njit(forceinline=True, {flags})")
    for name in ELEMENTARY:
        text += f"\n\n@njit({flags})\ndef all_{name}(x):\n    y = np.empty_like(x)\n"
        text += f"    for i in range(x.size):\n        y[i] = {name}(x[i])\n    return y\n"
    namespace = {"np": np, "njit": numba.njit}
    exec(text, namespace)
    return {name: namespace[f"all_{name}"] for name in ELEMENTARY}


def worst_ulp(name, x, y):
    """Largest error in ulp of the true value, and the argument where it is."""
    with mpmath.workprec(PRECISION):
        function = getattr(mpmath, name)
        errors = [_ulp(function(mpf(a)), b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    worst = int(np.argmax(errors))
    return errors[worst], float(x[worst])


def _ulp(true, found):
    if true == 0:
        return 0.0 if found == 0 else math.inf
    spacing = max(mpmath.frexp(true)[1] - 53, -1074)
    return float(abs(found - true) * mpf(2) ** -spacing)


def between(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def magnitudes(low, high, signs=(-1, 1)):
    return lambda rng, n: 2.0 ** rng.uniform(low, high, n) * rng.choice(signs, n)


def nearest_to_multiples_of_quarter_turns(rng, n):
    """Floats next to n multiples, and for each exponent those that come nearest of all."""
    with mpmath.workprec(400):
        quarter = mpmath.pi / 2
        near = [float(int(k) * quarter) for k in rng.integers(1, int(2**30 / quarter), n)]
        for exponent in range(-52, -22):  # spacing of floats below 2^(exponent + 53)
            near += [math.ldexp(p, exponent) for p in _numerators(quarter / mpf(2) ** exponent)]
    return np.array([x for x in near if x <= 2**30])


def _numerators(number):
    """Of the convergents p/q of a number, with p < 2^53: there |p - q number| is least."""
    p, before = 1, 0
    while p < 2**53:
        if p > 2**40:
            yield p
        whole = int(number)
        p, before = whole * p + before, p
        number = 1 / (number - whole)


ANGLES = {
    "one turn": between(-4, 4),
    "where cosine takes over": between(0.78, 0.79),
    "near one": between(1.2, 1.9),
    "many turns": between(-1e4, 1e4),
    "all turns": between(-(2.0**30), 2.0**30),
    "all magnitudes": magnitudes(-1070, 30),
    "multiples": nearest_to_multiples_of_quarter_turns,
}
REGIONS = {
    "sin": ANGLES,
    "cos": ANGLES,
    "exp": {
        "near zero": between(-1, 1),
        "all": between(-708.4, 709.78),
        "subnormal": between(-745.14, -708.3),
        "small": magnitudes(-60, 0),
        "halves of log 2": lambda rng, n: (rng.integers(-900, 900, n) + 0.5) * math.log(2),
    },
    "log": {
        "octave": between(0.5, 2),
        "near one": lambda rng, n: 1 + magnitudes(-52, -3)(rng, n),
        "neighbours of one": lambda rng, n: 1 + np.arange(-n, n) * 2.0**-53,
        "where the exponent changes": lambda rng, n: math.sqrt(2) * between(0.49, 0.51)(rng, n),
        "all": magnitudes(-1022, 1023.99, [1]),
        "subnormal": magnitudes(-1074, -1022, [1]),
    },
    "log1p": {
        "small": magnitudes(-1070, 0),
        "exponentials": lambda rng, n: np.exp(-rng.uniform(0, 745, n)),
        "near minus one": lambda rng, n: magnitudes(-52, -3, [1])(rng, n) - 1,
        "where the exponent changes": lambda rng, n: math.sqrt(2) * between(0.49, 0.51)(rng, n) - 1,
        "all": magnitudes(-1022, 1023.99, [1]),
    },
    "tanh": {
        "middle": between(-1, 1),
        "saturation": between(16, 20),
        "all": between(-25, 25),
        "small": magnitudes(-1070, 0),
        "halves of log 2": lambda rng, n: (rng.integers(-50, 50, n) + 0.5) * math.log(2) / 2,
    },
}


@CONTRACTION
@pytest.mark.parametrize(
    "name, region", [(name, region) for name in REGIONS for region in REGIONS[name]]
)
def test_error_in_units_of_the_last_place(name, region, contract):
    x = REGIONS[name][region](np.random.default_rng(7), 3000)
    error, where = worst_ulp(name, x, compiled(contract)[name](x))
    assert error <= STATED[name], where


def test_hard_angles_are_hard():
    x = nearest_to_multiples_of_quarter_turns(np.random.default_rng(7), 10)
    with mpmath.workprec(PRECISION):
        distances = [abs(mpmath.sin(2 * mpf(a))) for a in x.tolist()]
    assert 2.0**-62 < min(distances) < 2.0**-57


@CONTRACTION
@pytest.mark.parametrize(
    "name, values",
    [
        ("sin", [(0.0, 0.0), (-0.0, -0.0), (5e-324, 5e-324), (2.0**51, 0.0), (math.inf, math.nan)]),
        ("cos", [(0.0, 1.0), (-0.0, 1.0), (5e-324, 1.0), (-1e300, 1.0), (-math.inf, math.nan)]),
        ("exp", [(0.0, 1.0), (-0.0, 1.0), (1.0, math.e), (5e-324, 1.0)]),
        ("exp", [(math.inf, math.inf), (1e300, math.inf), (-math.inf, 0.0), (-1e300, 0.0)]),
        ("exp", [(709.7827128933841, math.inf), (-745.1332191019411, 5e-324), (-745.14, 0.0)]),
        ("log", [(1.0, 0.0), (0.0, -math.inf), (-0.0, -math.inf), (math.inf, math.inf)]),
        ("log", [(-5e-324, math.nan), (-math.inf, math.nan), (2.0, math.log(2))]),
        ("log1p", [(0.0, 0.0), (-0.0, -0.0), (-5e-324, -5e-324), (1.0, math.log(2))]),
        ("log1p", [(-1.0, -math.inf), (-1.5, math.nan), (math.inf, math.inf)]),
        ("tanh", [(0.0, 0.0), (-0.0, -0.0), (-5e-324, -5e-324), (19.1, 1.0), (-22.5, -1.0)]),
        ("tanh", [(math.inf, 1.0), (-math.inf, -1.0), (1e300, 1.0)]),
    ],
)
def test_edges(name, values, contract):
    for value, expected in [*values, (math.nan, math.nan)]:
        found = compiled(contract)[name](np.full(67, value))
        assert {bits(y) for y in found.tolist()} == {bits(expected)}, value


def bits(number):
    return "nan" if math.isnan(number) else struct.pack("d", number)


@pytest.mark.parametrize("name", ELEMENTARY)
def test_plain_python_gives_the_bits_of_the_compiled_form(name):
    rng = np.random.default_rng(11)
    x = [np.array(EDGES), *(sample(rng, 100) for sample in REGIONS[name].values())]
    x = np.concatenate([*x, np.ldexp(rng.normal(size=200), rng.integers(-1070, 1020, 200))])
    ours = compiled(False)[name](x).tolist()
    plain = getattr(elementary, name)
    for value, expected in zip(x.tolist(), ours, strict=True):
        assert bits(plain(value)) == bits(expected), value
        assert type(plain(value)) is float
    assert bits(plain(np.float64(3.0))) == bits(plain(3))


@CONTRACTION
@pytest.mark.parametrize("name, sign", [("sin", -1), ("tanh", -1), ("cos", 1)])
def test_parity(name, sign, contract):
    x = np.concatenate([s(np.random.default_rng(3), 500) for s in REGIONS[name].values()])
    function = compiled(contract)[name]
    assert (function(-x) == sign * function(x)).all()
    assert np.abs(function(x)).max() <= 1


@CONTRACTION
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_beyond_the_stated_range(name, contract):
    x = magnitudes(30, 50)(np.random.default_rng(5), 5000)
    y = compiled(contract)[name](x)
    assert np.abs(y).max() <= 1
    with mpmath.workprec(PRECISION):
        true = np.array([float(getattr(mpmath, name)(mpf(a))) for a in x.tolist()])
    assert (np.abs(y - true) <= 2.0**-52 * np.abs(x)).all()
    y = compiled(contract)[name](magnitudes(50.001, 1023)(np.random.default_rng(5), 100))
    assert (y == (name == "cos")).all()


def fitted(quotient, weight, low, high, count, given=()):
    """Coefficients of a polynomial near `quotient`, made as the module says; lowest first."""
    nodes = [
        (low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * (i + mpf(1) / 2) / 60)
        for i in range(60)
    ]
    samples = [(t, weight(t) ** 2, quotient(t)) for t in nodes]
    coefficients = list(given)
    while (first := len(coefficients)) < count:
        powers = range(first, count)
        matrix, right = mpmath.zeros(count - first), mpmath.zeros(count - first, 1)
        for t, w, q in samples:
            left_over = q - value(coefficients, t)
            for i in powers:
                right[i - first] += w * left_over * t**i
                for j in powers:
                    matrix[i - first, j - first] += w * t ** (i + j)
        coefficients.append(float(mpmath.lu_solve(matrix, right)[0]))
    return coefficients


def value(coefficients, t):
    return sum(mpf(c) * t**k for k, c in enumerate(coefficients))


def _sine_case():
    quotient = lambda z: (mpmath.sin(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1) / z  # noqa: E731
    weight = lambda z: z * mpmath.sqrt(z) / mpmath.sin(mpmath.sqrt(z))  # noqa: E731
    return quotient, weight, mpf(0), (mpmath.pi / 4 * mpf("1.0002")) ** 2, 6


def _exponential_case():
    quotient = lambda r: (mpmath.expm1(r) - r) / r**2  # noqa: E731
    end = mpmath.log(2) / 2 * mpf("1.0003")
    return quotient, lambda r: r**2 / mpmath.expm1(r), -end, end, 11, [0.5]


def _logarithm_case():
    def function(z):
        return 2 * mpmath.atanh(mpmath.sqrt(z))

    quotient = lambda z: (function(z) / mpmath.sqrt(z) - 2) / z  # noqa: E731
    end = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2
    return quotient, lambda z: z * mpmath.sqrt(z) / function(z), mpf(0), end, 7


@pytest.mark.parametrize(
    "polynomial, case, binary_digits",
    [
        (elementary._sine_rest, _sine_case, 57.8),
        (elementary._exponential_rest, _exponential_case, 61.5),
        (elementary._logarithm_rest, _logarithm_case, 59.4),
    ],
)
def test_polynomials_are_the_fits_and_their_errors_are_as_stated(polynomial, case, binary_digits):
    with mpmath.workdps(100):
        quotient, weight, low, high, *count = case()
        coefficients = fitted(quotient, weight, low, high, *count)
        for i in range(1, 200):  # with numbers of 100 digits the functions are exact
            t = low + (high - low) * i / 199
            assert abs(polynomial(t) - value(coefficients, t)) < 1e-90
            if t != 0:
                error = weight(t) * (polynomial(t) - quotient(t))
                assert abs(error) < mpf(2) ** -binary_digits


def test_parts_of_constants():
    with mpmath.workprec(300):
        rest = mpmath.pi / 2
        for part in range(1, 4):
            part = getattr(elementary, f"_HALF_PI_{part}")
            assert part == float(rest)
            rest -= mpf(part)
        high, low = mpf(elementary._LOG_2_HIGH), mpf(elementary._LOG_2_LOW)
        assert abs(high + low - mpmath.log(2)) < mpf(2) ** -93
        assert high.man.bit_length() <= 40
    assert bits(math.sqrt(0.5)) == struct.pack("q", elementary._SQRT_HALF_BITS)
    assert elementary._SQRT_HALF_MANTISSA == elementary._SQRT_HALF_BITS & elementary._MANTISSA_BITS
    assert bits(2.0**52) == struct.pack("q", elementary._TWO_52_BITS)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_bits_of_sine_and_cosine_do_not_depend_on_contraction(name):
    x = np.concatenate([s(np.random.default_rng(9), 500) for s in ANGLES.values()])
    assert (compiled(True)[name](x) == compiled(False)[name](x)).all()


@CONTRACTION
@pytest.mark.parametrize("name", ELEMENTARY)
def test_lanes_are_vectors_without_calls(name, contract):
    numba = pytest.importorskip("numba")
    flags = 'error_model="numpy", fastmath=' + ("{'contract'}" if contract else "False")
    text = elementary.definitions([name], f"@njit(forceinline=True, {flags})") + (
        f'\n\n@njit("void(f8[:, ::1], f8, f8, i8)", {flags})\ndef advance(B, h, eps, steps):\n'
        "    for _ in range(steps):\n        for l in range(64):\n            x = B[0, l]\n"
        f"            B[0, l] = x - h * (x + {name}(x / eps))\n"
    )
    namespace = {"np": np, "njit": numba.njit}
    exec(text, namespace)
    [code] = namespace["advance"].inspect_llvm().values()
    assert re.search(
        r"fdiv (contract )?<\d+ x double>", code
    )  # x / eps: the whole body is in the vector loop
    assert not re.search(r"call .*@(llvm\.)?(sin|cos|exp|log|tanh|ldexp|rint)\b", code)
    assert not re.search(r"\bf(mul|add|sub|div) (contract )?double", code)
    assert not re.search(r"(sitofp|fptosi)", code)


def test_fused_products_and_sums_are_rounded_once():
    rng = np.random.default_rng(5)
    numbers = [*rng.normal(size=5), *np.ldexp(rng.normal(size=5), -540), 0.0, -0.0, 1e150, 1.0]
    numbers += [math.inf, math.nan]
    numba = pytest.importorskip("numba")
    text = elementary.definitions(["sin"], "@njit")
    namespace = {"np": np, "njit": numba.njit}
    exec(f"{text}\n\n@njit\ndef fused(x, y, z):\n    return _fma(x, y, z)\n", namespace)
    cases = [(x, y, z) for x in numbers for y in numbers for z in numbers]
    cases += [(x, y, -x * y) for x in numbers for y in numbers]
    for x, y, z in cases:
        expected = namespace["fused"](float(x), float(y), float(z))
        assert bits(elementary._fma(float(x), float(y), float(z))) == bits(expected), (x, y, z)
    eps = 2.0**-52
    assert elementary._fma(1 + eps, 1 - eps, -1.0) == -(eps**2)


def test_definitions_hold_what_is_needed_and_no_more():
    text = elementary.definitions(["exp"], "@decorator")
    assert text.count("@decorator\ndef ") == text.count("def ") == 5
    assert "_HALF_PI" not in text and '"""' not in text and "Parameters" not in text
    assert text.index("def _bits") < text.index("def _power_of_two") < text.index("def exp")
    assert elementary.definitions([], "@decorator") == ""
    both = elementary.definitions(["sin", "cos", "sin"], "@decorator")
    assert both.count("def sin") == both.count("def cos") == both.count("def _bits") == 1
    with pytest.raises(
        ValueError, match="names must be among cos, exp, log, log1p, sin, tanh, not 'tan'"
    ):
        elementary.definitions(["tan"], "@decorator")


def test_module_does_not_load_numba():
    code = "import sys, gdbook.kernels.elementary; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
