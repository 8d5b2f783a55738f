"""Compiled kernels: the same bits as the definition, and a cache that nothing can spoil."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gdbook as gd
from gdbook import catalogue, outcome
from gdbook.kernels import compile, descent, generate

ROOT = Path(__file__).resolve().parent.parent
RATIONAL = [
    *(catalogue.quadratic(3), catalogue.quadratic_bowl(), catalogue.double_well()),
    *(catalogue.scalar_factorization(2), catalogue.rational_valley(), catalogue.huber()),
    catalogue.quadratic_plus_quartic(),
    gd.Objective("(1 - a*b*c*e)^2/2", "a b c e"),
    gd.Objective("(1 - u1*u2*u3*u4*u5)^2/2 + u6^2*u7^4*u8^2/9", "u1 u2 u3 u4 u5 u6 u7 u8"),
]


def starts(objective, count, seed=0, scale=2.0):
    return np.random.default_rng(seed).normal(0, scale, (count, objective.dimension))


@pytest.mark.parametrize("objective", RATIONAL, ids=str)
@pytest.mark.parametrize("steps", [0, 1, 31, 32, 33, 127, 128, 160, 200, 500])
def test_same_bits_as_the_fallback(objective, steps):
    rates = np.random.default_rng(1).uniform(-0.2, 2.2, 203)
    ours, theirs = starts(objective, 203), starts(objective, 203)
    found = descent.detect(objective, ours, rates, steps)
    expected = descent.detect_numpy(objective.gradient, theirs, rates, steps)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(ours, theirs)
    ours, theirs = starts(objective, 203), starts(objective, 203)
    descent.iterate(objective, ours, rates, min(steps, 40))
    descent.iterate_numpy(objective.gradient, theirs, rates, min(steps, 40))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("objective", RATIONAL, ids=str)
def test_same_outcome_as_one_orbit(objective):
    rng = np.random.default_rng(2)
    x, rates = starts(objective, 40, seed=3), rng.uniform(0, 2.2, 40)
    for steps in (100, 333):
        points = x.copy()
        labels, at, periods = descent.detect(objective, points, rates, steps)
        for j in range(40):
            orbit = gd.gradient_descent(objective, x[j], rates[j], steps)
            found = gd.Outcome(outcome.LABELS[labels[j]], int(at[j]), int(periods[j]))
            assert found == orbit.outcome
            np.testing.assert_array_equal(points[j], orbit.points[at[j]])


@pytest.mark.parametrize("steps", [3, 100, 186, 200, 225, 300])
def test_what_shrinks_and_changes_sides_is_not_periodic(steps):
    rates = np.array([0.01, 1.8, 1.9, 1.95, 1.998, 2.0, 2.0])
    for objective in (catalogue.quadratic(), catalogue.quadratic_bowl(1, 1)):
        x = np.ones((7, objective.dimension))
        x[-1] = 1e-9
        x[:2, -1] *= 1e-7
        found = descent.detect(objective, x.copy(), rates, steps)
        expected = descent.detect_numpy(objective.gradient, x.copy(), rates, steps)
        np.testing.assert_array_equal(found, expected)
        orbits = [
            gd.gradient_descent(objective, *each, steps) for each in zip(x, rates, strict=True)
        ]
        labels = [outcome.LABELS[code] for code in found[0]]
        told = zip(labels, *map(np.ndarray.tolist, found[1:]), strict=True)
        assert [gd.Outcome(*each) for each in told] == [orbit.outcome for orbit in orbits]
        assert labels[-2:] == (["periodic"] * 2 if steps > 3 else ["bounded"] * 2)
        assert "periodic" not in labels[:-2] and "bounded" in labels


def test_an_orbit_that_comes_back_has_escaped_all_the_same():
    # The steps of cos are as long as the learning rate: orbits leave the radius and return.
    objective = catalogue.huber()  # far out its steps are as long as the learning rate
    x, rates = np.linspace(-9e5, 9e5, 1001)[:, np.newaxis], np.full(1001, 1.7e6)
    ours, theirs = x.copy(), x.copy()
    found = descent.detect(objective, ours, rates, 301)
    expected = descent.detect_numpy(objective.gradient, theirs, rates, 301)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours, theirs)
    outside = np.abs(x[:, 0] - np.sign(x[:, 0]) * 1.7e6) > 1e6
    assert (found[0][outside] == outcome.LABELS.index("diverged")).all() and outside.any()
    orbit = gd.gradient_descent(objective, 1e4, 1.7e6, 301)
    assert orbit.outcome == gd.Outcome("diverged", 1) and abs(orbit.points[2, 0]) < 1e6


def test_transcendental_functions_agree_within_their_last_digits():
    objective = gd.Objective(
        "exp(sin(x)) + log(1 + y^2) + tanh(x*y) + cos(y) + sqrt(1 + x^2)", "x y"
    )
    x = starts(objective, 1000)
    ours, theirs = x.copy(), x.copy()
    rates = np.full(1000, 0.1)
    descent.iterate(objective, ours, rates, 1)
    descent.iterate_numpy(objective.gradient, theirs, rates, 1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)
    labels, at, _ = descent.detect(objective, ours, rates, 2000)
    expected, steps, _ = descent.detect_numpy(objective.gradient, theirs, rates, 2000)
    np.testing.assert_array_equal(labels, expected)
    assert np.mean(at == steps) > 0.9  # a check earlier or later where the tolerance is grazed


@pytest.mark.parametrize("name", ["B", "Z", "p", "h", "a", "m", "np", "size", "range", "Z_pointer"])
def test_any_name_will_do(name):
    plain = gd.Objective("mu*(x^2 - 1)^2/4", "x", {"mu": 1})
    for objective in (
        gd.Objective(f"mu*({name}^2 - 1)^2/4", name, {"mu": 1}),
        gd.Objective(f"{name}*(x^2 - 1)^2/4", "x", {name: 1}),
    ):
        points, expected = starts(objective, 50), starts(objective, 50)
        found = descent.detect(objective, points, np.linspace(0.1, 2.1, 50), 300)
        again = descent.detect(plain, expected, np.linspace(0.1, 2.1, 50), 300)
        np.testing.assert_array_equal(found, again)
        np.testing.assert_array_equal(points, expected)


def test_contraction_changes_digits_and_not_the_picture():
    objective = catalogue.scalar_factorization()
    x = np.random.default_rng(0).uniform(-4, 4, (20_000, 2))
    rates = np.full(20_000, 0.5)
    exact, contracted = x.copy(), x.copy()
    labels = descent.detect(objective, exact, rates, 1000)[0]
    fused = descent.detect(objective, contracted, rates, 1000, contract=True)[0]
    assert np.mean(labels != fused) < 2e-3
    converged = (labels == 0) & (fused == 0)
    assert 0 < np.abs(exact - contracted)[converged].max() < 1  # other bits, the same hyperbola
    assert np.abs(contracted[:, 0] * contracted[:, 1] - 1)[converged].max() < 1e-9


def test_parameters_are_not_compiled_in(monkeypatch):
    points = np.array([[1.0]])
    descent.iterate(catalogue.quadratic(2), points, np.array([0.25]), 1)
    monkeypatch.setattr(compile, "_compiled", None)  # would be called for another text
    descent.iterate(catalogue.quadratic(3), points, np.array([0.5]), 1)
    assert points[0, 0] == 0.5 * -0.5


def test_the_text_can_be_read():
    descent.iterate(catalogue.scalar_factorization(), np.ones((1, 2)), np.ones(1), 1)
    texts = [text for text in compile._functions if text.startswith('"""iterate: (-y*(mu - x*y)')]
    assert "_0 = mu - x*y" in texts[0] and "B[0, l] = x - h*(-_0*y)" in texts[0]


# The cache


def child(script, **environment):
    """What a fresh Python prints that runs a small descent."""
    program = f"""
import sys, json
import numpy as np
{script}
import gdbook as gd
from gdbook.kernels import descent
points = np.array([[2.0], [0.3], [0.3]])
rates = np.array([0.7, 0.7, 1.1])
short = descent.detect(gd.catalogue.double_well(), points.copy(), rates, 20)
assert short[0].tolist() == [1, 3, 3], short
labels, at, periods = descent.detect(gd.catalogue.double_well(), points, rates, 400)
print(json.dumps([labels.tolist(), at.tolist(), points.tolist(), "numba" in sys.modules]))
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and not run.stderr, run.stderr
    return json.loads(run.stdout)


def definition():
    well, starts = catalogue.double_well(), [(2.0, 0.7), (0.3, 0.7), (0.3, 1.1)]
    orbits = [gd.gradient_descent(well, x, rate, 400) for x, rate in starts]
    outcomes = [orbit.outcome for orbit in orbits]
    labels = [outcome.LABELS.index(o.label) for o in outcomes]
    points = [orbit.points[o.step, 0] for orbit, o in zip(orbits, outcomes, strict=True)]
    return [labels, [o.step for o in outcomes], [[x] for x in points]]


def files(folder):
    return sorted(path for path in Path(folder).rglob("kernel.*") if path.suffix != ".lock")


def test_a_kept_kernel_needs_no_compiler(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert child("", **cache) == [*definition(), True]
    kept = files(tmp_path)
    assert [path.name for path in kept] == ["kernel.o", "kernel.py"] * 2  # detect and decide
    assert "cfunc" in kept[1].read_text()
    assert child("", **cache) == [*definition(), False]  # Numba was not even imported
    assert files(tmp_path) == kept


def test_a_damaged_cache_is_made_anew(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    child("", **cache)
    whole = [path for path in files(tmp_path) if path.name == "kernel.o"]
    contents = [path.read_bytes() for path in whole]
    head, _, code = contents[0].partition(b"\n")
    flipped = bytearray(code)
    flipped[len(code) // 2] ^= 1
    for damage in (b"", b"\xff" * 100, head, head + b"\n" + code[:-7], head + b"\n" + flipped):
        whole[0].write_bytes(damage)
        assert child("", **cache) == [*definition(), True]
    for path in whole:
        path.unlink()
        path.mkdir()  # something else of that name
    assert child("", **cache) == [*definition(), True]


def test_a_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")  # no folder can be made below a file, whoever we are
    assert child("", NUMBA_CACHE_DIR=str(blocked)) == [*definition(), True]
    assert not list(tmp_path.glob("file?*"))


def test_a_cache_that_can_only_be_read(tmp_path):
    child("", NUMBA_CACHE_DIR=str(tmp_path))
    forbidden = """
import os, tempfile
def refuse(*args, **kwargs):
    raise PermissionError(13, "Read-only file system")
os.replace = os.mkdir = os.unlink = tempfile.NamedTemporaryFile = refuse
"""
    assert child(forbidden, NUMBA_CACHE_DIR=str(tmp_path)) == [*definition(), False]


def test_processes_may_fill_the_cache_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: child("", NUMBA_CACHE_DIR=str(tmp_path)), range(4)))
    assert [answer[:3] for answer in answers] == [definition()] * 4
    assert sum(answer[3] for answer in answers) <= 2  # each of two kernels was compiled once
    assert len(files(tmp_path)) == 4 and not list(tmp_path.rglob("tmp*"))
    assert child("", NUMBA_CACHE_DIR=str(tmp_path)) == [*definition(), False]


def test_another_processor_has_kernels_of_its_own(tmp_path):
    child("", NUMBA_CACHE_DIR=str(tmp_path))
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert child("", NUMBA_CACHE_DIR=str(tmp_path), **plain) == [*definition(), True]
    assert len(files(tmp_path)) == 8


@pytest.mark.parametrize(
    "missing",
    [
        "sys.modules['numba'] = sys.modules['llvmlite'] = sys.modules['llvmlite.binding'] = None",
        "sys.modules['numba'] = None",
        "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'",
    ],
)
def test_without_a_compiler_numpy_gives_the_same(missing, tmp_path):
    assert child(missing, NUMBA_CACHE_DIR=str(tmp_path)) == [*definition(), "None" in missing]
    assert not [path for path in files(tmp_path) if path.suffix == ".o"]


def test_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compile.cache_folder().name == "gdbook"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert compile.cache_folder() == tmp_path / "gdbook"


def test_threads_share_a_kernel():
    objective = gd.Objective("(1 - x*y)^4/4", "x y")
    x = np.random.default_rng(0).normal(size=(4000, 2))
    rates = np.full(1000, 0.3)
    parts = [part.copy() for part in np.split(x, 4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: descent.detect(objective, part, rates, 300), parts))
    whole = descent.detect(objective, x, np.full(4000, 0.3), 300)
    for i in range(3):
        np.testing.assert_array_equal(np.concatenate([part[i] for part in found]), whole[i])


def test_pieces_of_a_template_may_hold_pieces():
    text = generate.fill("if $a:\n    $b", a="$c > 0", b="x = $c\ny = x", c="z")
    assert text == "if z > 0:\n    x = z\n    y = x"
    with pytest.raises(KeyError):
        generate.fill("$unknown + 1")
