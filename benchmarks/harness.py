"""How things are timed: processor time, candidates in turn, medians, in processes of their own.

A time says little about another machine; a ratio of two times taken in turn says much. The
reference loop beside each table tells machines, and busy and quiet hours, apart.
"""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "sympy", "python-flint", "kauri", "numba", "jax", "pynamicalsys")


class Missing(Exception):
    """What a line of a table needs is not on this machine; the message says what."""


@dataclass(frozen=True)
class Timing:
    """Processor seconds: the first call in a fresh process, and the median of the later ones."""

    first: float
    median: float
    repeats: int


def in_turn(candidates, repeats, before=lambda: None, enough=1.0):
    """Time functions one after the other, then all again, `repeats` times.

    Parameters
    ----------
    candidates : dict of str to callable
    repeats : int
    before : callable
        Called before each measurement, outside it; to empty caches, for example.
    enough : float
        A candidate that has used so many seconds is not repeated.

    Returns
    -------
    dict of str to Timing
    """
    times = {name: [] for name in candidates}
    for _ in range(repeats + 1):
        for name, call in candidates.items():
            if sum(times[name]) < enough:
                before()
                begin = time.process_time()
                call()
                times[name].append(time.process_time() - begin)
    return {
        name: Timing(taken[0], statistics.median(taken[1:] or taken), max(1, len(taken) - 1))
        for name, taken in times.items()
    }


def in_fresh_process(function, *arguments, environment=None, limit=120):
    """Result of a module's function, called in a new Python process.

    Parameters
    ----------
    function : str
        ``"package.module:name"``; it returns a dict of str to `Timing`.
    environment : dict, optional
        Variables to set.
    limit : float
        Seconds after which the process is stopped.

    Returns
    -------
    dict of str to Timing, or None
        None where the limit was reached.
    """
    root = Path(__file__).resolve().parent.parent
    try:
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.harness", function, json.dumps(arguments)],
            env={**os.environ, **(environment or {})},
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return None
    return {name: Timing(*values) for name, values in json.loads(run.stdout).items()}


def on_one_core():
    """Keep this process on one core, or ratios tell how busy the others are; before JAX comes."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _child(function, arguments):
    module, name = function.split(":")
    timings = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    print(json.dumps({k: (t.first, t.median, t.repeats) for k, t in timings.items()}))


def reference_loop():
    """Processor seconds of a million turns of an empty sum in plain Python: best of five."""
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        total = 0
        for i in range(1_000_000):
            total += i
        best = min(best, time.process_time() - begin)
    return best


def machine(compiler=""):
    """One paragraph: processor, its vector instructions, versions, compiler, reference loop."""
    from benchmarks import reference

    versions = ", ".join(f"{name} {v}" for name in PACKAGES if (v := installed(name)))
    versions += f"; {compiler}" * bool(compiler)
    return (
        f"{_processor()}, {reference.level()[0]}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}; {versions}. "
        f"A million turns of a plain Python loop: {1e3 * reference_loop():.0f} ms."
    )


def installed(package):
    """Version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor_flags():
    """What the processor says that it can: an empty set where it cannot be asked."""
    return set(_cpuinfo("flags").split())


def _processor():
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(name):
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def table(header, rows):
    """Markdown table, aligned for the terminal as well."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    lines = [[str(cell).ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows]
    head = [cell.ljust(w) for cell, w in zip(header, widths, strict=True)]
    rule = ["-" * w for w in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])


def milliseconds(seconds):
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def duration(seconds):
    """Three digits, in the unit that suits."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-12:.3g} ps"


if __name__ == "__main__":
    _child(*sys.argv[1:])
