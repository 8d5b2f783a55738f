"""The network that is trained in the page: its engine in Node against plain JavaScript."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks import harness

HERE = Path(__file__).resolve().parent
ENGINE = HERE.parent / "gdbook" / "widgets" / "network_engine.js"
FILES = (HERE / "browser.js", HERE / "browser_reference.js", ENGINE)

# What is promised, in steps a second on a machine whose reference loop takes 30-50 ms, and against
# plain JavaScript, which spends as much as the public simulators do: they make about 4000 steps a
# second, and 65 to 100 with the sharpness at every step, the time of 40 to 60 gradients.
BARS = {"steps": 10_000, "tracked": 1_500}
RATIOS = {"steps": 2.5, "tracked": 15}
ACCURACY = 0.01
WORDS = {"steps": "gradient descent alone", "tracked": "with the sharpness at every step"}


def report():
    measured = measure()
    ours, plain = measured["ours"], measured["plain"]
    rows = []
    for name, words in WORDS.items():
        promise = f"{BARS[name]} per second: {_kept(ours[name] >= BARS[name])}"
        rows.append((words, "the live figure", f"{ours[name]:.0f}", "1", promise))
        times = ours[name] / plain[name]
        promise = f"at most 1/{RATIOS[name]:g}: {_kept(times >= RATIOS[name])}"
        rows.append((words, "plain JavaScript", f"{plain[name]:.0f}", f"1/{times:.3g}", promise))
    stopped = plain["stopped"]
    ratio = f"1/{ours['tracked'] / stopped:.3g}"
    rows.append((words, "the same, stopped early", f"{stopped:.0f}", ratio, ""))
    return (
        "Widths 1-30-20-1, tanh, 20 points of the sixth Chebyshev polynomial, h = 0.2, from step "
        "1000 on, at the edge: steps per second of processor time in Node, median. Plain "
        "JavaScript: arrays of arrays, Hessian products by differences, 20 steps of Lanczos' "
        "method from a random vector at every step, or fewer when its eigenvalue has settled to a "
        "thousandth; the live figure's engine finds the two largest eigenvalues.\n\n"
        + harness.table(("problem", "method", "per second", "ratio", "promised"), rows)
        + f"\n\nLargest error of the two eigenvalues over 400 steps: {ours['error']:.2g} "
        f"(promised {ACCURACY:g}: {_kept(ours['error'] <= ACCURACY)}); plain JavaScript, once: "
        f"{plain['error']:.2g}."
    )


def measure():
    """Steps per second and errors, of the figure's engine and of the reference."""
    with tempfile.TemporaryDirectory() as folder:
        for path in FILES:
            shutil.copy(path, folder)
        Path(folder, "package.json").write_text('{"type": "module"}', encoding="utf-8")
        run = subprocess.run(
            [_node(), "browser.js"], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(run.stdout)


def _kept(holds):
    return "kept" if holds else "MISSED"


def _node():
    """Node of Playwright's wheel, which the browser tests use as well, or the machine's own."""
    try:
        import playwright

        for name in ("node", "node.exe"):
            program = Path(playwright.__file__).parent / "driver" / name
            if program.is_file():
                return program
    except ImportError:
        pass
    program = shutil.which("node")
    if program is None:
        raise harness.Missing("no Node: install the extra with Playwright, or Node itself")
    return program
