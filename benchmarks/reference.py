"""The C reference: ``reference.c`` with the map of an objective, compiled here and loaded.

The map is written from the same list of shared subexpressions as every other form of the formula,
`gdbook.source.program`, with the same rule for powers; without contraction its bits are the same.
"""

import atexit
import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sympy.printing.c import C99CodePrinter

from benchmarks.harness import Missing, processor_flags
from gdbook import source
from gdbook.outcome import LABELS

TEMPLATE = Path(__file__).with_name("reference.c")


class _C(source._Products, C99CodePrinter):
    """Every number is a double: C divides whole numbers by whole numbers."""

    def _print_Rational(self, number):
        text = super()._print_Rational(number)
        return "/".join(
            f"{part}.0" if part.lstrip("-").isdigit() else part for part in text.split("/")
        )

    _print_Integer = _print_Rational

    def _general_power(self, base, exponent):
        return f"pow({base}, {exponent})"


def map_text(objective):
    """Text of ``map.h``: one step of gradient descent, and one with tangent vectors."""
    d = objective.dimension
    gradient, hessian = list(objective.gradient_expression), list(objective.hessian_expression)
    lines = [f"#define DIMENSION {d}", ""]
    lines += ["INLINE void step(double *_p, long _apart, double _h) {"]
    lines += _locals(objective, [f"_p[{i}*_apart]" for i in range(d)])
    lines += _program(gradient, lambda i: f"_p[{i}*_apart]", objective.variables)
    lines += ["}", ""]
    lines += ["INLINE void step_with_tangents(double *_p, double (*_T)[DIMENSION], double _h) {"]
    lines += _locals(objective, [f"_p[{i}]" for i in range(d)])
    lines += [f"  double _H[{d * d}];"]
    lines += _program(
        [*gradient, *hessian],
        lambda i: f"_p[{i}]" if i < d else f"_H[{i - d}]",
        objective.variables,
    )
    lines += ["  for (int _t = 0; _t < DIMENSION; _t++) {", "    double *const _v = _T[_t];"]
    lines += [f"    const double _w{i} = {_row(i, d)};" for i in range(d)]
    lines += [f"    _v[{i}] -= _h*_w{i};" for i in range(d)] + ["  }", "}", ""]
    return "\n".join(lines)


def _row(i, d):
    return " + ".join(f"_H[{i * d + j}]*_v[{j}]" for j in range(d))


def _locals(objective, places):
    names = [*objective.variables, *objective.parameter_symbols]
    values = [*places, *map(repr, objective._parameter_values)]
    declared = zip(names, values, strict=True)
    return [f"  const double {_C().doprint(name)} = {value};" for name, value in declared]


def _program(expressions, place, variables):
    printer = _C()
    assignments, outputs = source.program(expressions)
    lines = [f"  const double {name} = {printer.doprint(value)};" for name, value in assignments]
    for i, output in enumerate(outputs):
        text = printer.doprint(output)
        text = f"{printer.doprint(variables[i])} - _h*({text})" if i < len(variables) else text
        lines.append(f"  {place(i)} = {text};")
    return lines


# Compiling


def compiler():
    """Name of the machine's C compiler, or None."""
    return next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)


def level():
    """Name of the vector instructions of this processor, and the compiler's flags for them.

    Compilers older than a processor take it for one of its ancestors, with shorter vectors: hence
    the flags go by what the processor says of itself.
    """
    flags = processor_flags()
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"} <= flags:
        return "AVX-512", ("-march=x86-64-v4", "-mprefer-vector-width=512")
    if {"avx2", "fma", "bmi2"} <= flags:
        return "AVX2", ("-march=x86-64-v3",)
    return platform.machine(), ("-march=native",)


def description():
    """What compiles the reference, and with which flags."""
    if compiler() is None:
        return "no C compiler here"
    version = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True)
    return f"{version.stdout.splitlines()[0]}, {' '.join(_flags())}"


def _flags():
    return "-O3", *level()[1], "-fopenmp-simd", "-fno-math-errno"


@functools.cache
def _folder():
    folder = tempfile.mkdtemp(prefix="gdbook-reference-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _library(map_header, contract, lanes):
    if compiler() is None:
        raise Missing("no C compiler here")
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    (folder / "map.h").write_text(map_header, encoding="utf-8")
    command = [compiler(), *_flags(), f"-ffp-contract={'fast' if contract else 'off'}"]
    command += [f"-DLANES={lanes}", "-shared", "-fPIC", "-I", folder, TEMPLATE]
    command += ["-o", folder / "reference.so", "-lm"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Missing(f"{compiler()} failed: {(run.stderr.splitlines() or ['?'])[0]}")
    return ctypes.CDLL(str(folder / "reference.so"))


class _Search(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("starts", "points", "labels", "periods", "when")),
        ("n", ctypes.c_long),
        ("steps", ctypes.c_long),
        ("h", ctypes.c_double),
    )


@dataclass(frozen=True)
class Found:
    """What became of n orbits: arrays of shape (n,); `labels` are places in ``outcome.LABELS``."""

    labels: np.ndarray
    steps: np.ndarray
    periods: np.ndarray
    points: np.ndarray | None = None

    def differences(self, other):
        """How many orbits differ in label, step or period."""
        equal = (self.labels == other.labels) & (self.steps == other.steps)
        return int((~(equal & (self.periods == other.periods))).sum())

    def count(self, label):
        return int((self.labels == LABELS.index(label)).sum())


class Reference:
    """The functions of ``reference.c`` for one objective; arrays are rows, shape (n, d).

    Parameters
    ----------
    objective : gdbook.Objective
    contract : bool
        Whether a product and a sum may become one instruction with one rounding.
    lanes : int
    """

    def __init__(self, objective, contract=False, lanes=32):
        self.dimension = objective.dimension
        self._library = _library(map_text(objective), contract, lanes)

    def fixed_steps(self, starts, steps, learning_rate, scalar=False):
        points = np.array(starts, dtype=float)
        self._call("fixed_steps", scalar, points, len(points), steps, float(learning_rate))
        return points

    def detect(self, starts, steps, learning_rate, scalar=False):
        starts, n = np.ascontiguousarray(starts, dtype=float), len(starts)
        found = Found(
            np.empty(n, "i1"), np.empty(n, "i4"), np.empty(n, "i1"), np.empty_like(starts)
        )
        arrays = starts, found.points, found.labels, found.periods, found.steps
        search = _Search(*(a.ctypes.data for a in arrays), n, steps, float(learning_rate))
        self._call("detect", scalar, ctypes.byref(search))
        return found

    def bifurcation(self, learning_rates, start, burn_in, keep, scalar=False):
        """Shape (keep, d, n)."""
        rates, start = np.array(learning_rates, dtype=float), np.array(start, dtype=float)
        out = np.empty((keep, self.dimension, len(rates)))
        self._call("bifurcation", scalar, rates, len(rates), start, burn_in, keep, out)
        return out

    def lyapunov(self, starts, steps, learning_rate, burn_in=0):
        starts = np.array(starts, dtype=float)
        out = np.empty_like(starts)
        n, h = len(starts), float(learning_rate)
        self._call("lyapunov", True, starts, n, burn_in, steps, h, out)
        return out

    def histogram(self, start, steps, learning_rate, bins, limits):
        counts = np.zeros(bins, dtype=np.int64)
        start, limits = np.array(start, dtype=float), map(float, limits)
        self._call("histogram", False, start, steps, float(learning_rate), bins, *limits, counts)
        return counts

    def _call(self, name, scalar, *arguments):
        kinds = {int: ctypes.c_long, float: ctypes.c_double}
        function = getattr(self._library, f"{name}_scalar" if scalar else name)
        function.restype = None
        function(
            *(
                a.ctypes.data_as(ctypes.c_void_p)
                if isinstance(a, np.ndarray)
                else kinds.get(type(a), lambda same: same)(a)
                for a in arguments
            )
        )
