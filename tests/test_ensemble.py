"""Many orbits at once: each is the orbit that gradient descent makes alone, to the bit."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbook import catalogue, ensemble, outcome, targets
from gdbook.descent import gradient_descent
from gdbook.ensemble import Ensemble, Grid, descend_many
from gdbook.objective import Objective

RATIONAL = {
    "double well": catalogue.double_well(),
    "factorization": catalogue.scalar_factorization(),
    "parabola": catalogue.quadratic(3),
    "valley": catalogue.rational_valley(),
    "quartic": catalogue.quadratic_plus_quartic(),
    "huber": catalogue.huber(),
    "four": Objective("(1 - a*b*c*d)^2/2", "a b c d"),
}


def by_definition(objective, starts, rates, steps):
    """Labels, steps, periods and points, one orbit after the other."""
    found = []
    for start, rate in zip(starts, rates, strict=True):
        orbit = gradient_descent(objective, start, rate, steps)
        end = orbit.outcome
        label = outcome.LABELS.index(end.label)
        found.append((label, end.step, end.period, *orbit.points[end.step]))
    return np.array(found).reshape(-1, 3 + objective.dimension)


def table(many):
    return np.column_stack([many.labels, many.steps, many.periods, many.points])


def equal(one, other):
    """Whether two ensembles are the same, to the bit."""
    return all(
        np.array_equal(vars(one)[name], vars(other)[name], equal_nan=name in ("points", "targets"))
        for name in vars(one)
    )


# Against the definition


@pytest.mark.parametrize("name", RATIONAL)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_orbit_is_that_of_gradient_descent(name, data):
    objective = RATIONAL[name]
    steps = data.draw(st.integers(0, 400), "steps")
    count = data.draw(st.integers(0, 70), "count")
    scale = data.draw(st.sampled_from([0.1, 1.0, 3.0, 1e6, 1e200]), "scale")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), "seed"))
    starts = scale * rng.normal(size=(count, objective.dimension))
    largest = data.draw(st.sampled_from([0.3, 1.0, 2.2, -1.0, 3e6]), "largest")
    rates = largest * rng.random(count)
    found = table(descend_many(objective, starts, rates, steps))
    np.testing.assert_array_equal(found, by_definition(objective, starts, rates, steps))


@pytest.mark.parametrize(
    "name, rate, least",
    [("quadratic_bowl", 0.19, 30_000), ("scalar_factorization", 0.02, 1000)],
)
def test_nothing_is_periodic_where_orbits_shrink_slowly(name, rate, least):
    objective, grid = getattr(catalogue, name)(), Grid([(-2.5, 2.5)] * 2, 200)
    many = descend_many(objective, grid, rate, 200)
    before, earlier = (
        descend_many(objective, grid, rate, k, detect=False).points for k in (198, 196)
    )
    back = np.maximum(np.abs(many.points - before), np.abs(before - earlier)).max(axis=1)
    small = back <= 1e-9 * (1 + np.abs(many.points).max(axis=1))
    assert np.count_nonzero(small & ~many.converged) > least
    assert many.counts["periodic"] == 0
    assert descend_many(objective, grid, rate, 2000).counts["periodic"] == 0
    edge = descend_many(catalogue.quadratic_bowl(), grid, 0.2, 400)
    assert edge.counts["periodic"] == 40_000 and set(edge.periods) == {2}


def test_an_orbit_that_leaves_and_comes_back_has_diverged():
    starts, rates = [[0.6], [0.4], [0.0], [0.6]], [2e6, 2e6, 2e6, 1e6]
    many = descend_many(catalogue.huber(), starts, rates, 100)
    assert many.labels.tolist() == [1, 1, 0, 2] and many.steps.tolist() == [1, 2, 32, 100]
    np.testing.assert_array_equal(table(many), by_definition(catalogue.huber(), starts, rates, 100))
    orbit = gradient_descent(catalogue.huber(), 0.6, 2e6, 100)
    assert abs(orbit.points[2, 0]) < 1e6  # it came back


def test_a_transcendental_objective_where_it_is_not_chaotic():
    starts = np.linspace(-6.0, 6.0, 101)
    many = descend_many(catalogue.cosine(), starts, 0.7, 400)
    expected = by_definition(catalogue.cosine(), starts, np.full(101, 0.7), 400)
    np.testing.assert_array_equal(table(many)[:, :3], expected[:, :3])
    np.testing.assert_allclose(many.points.ravel(), expected[:, 3], rtol=1e-12)


@pytest.fixture(scope="module")
def basin():
    return descend_many(catalogue.scalar_factorization(), Grid((-4, 4), (512, 512)), 0.5, 1000)


def test_a_basin_of_262144_points_is_that_of_the_scalar_definition(basin):
    starts = Grid((-4, 4), (512, 512)).points
    labels, steps = scalar_definition()(starts, 0.5, 1000)
    np.testing.assert_array_equal(np.minimum(basin.labels, 2), labels)
    np.testing.assert_array_equal(basin.steps, steps)
    assert len(np.unique(steps)) > 30  # the times are not all alike


def test_the_fast_scalar_definition_is_the_definition():
    starts = np.random.default_rng(5).uniform(-4, 4, (500, 2))
    for rate, steps in [(0.5, 1000), (0.9, 100), (1.1, 333)]:
        labels, at = scalar_definition()(starts, rate, steps)
        expected = by_definition(
            catalogue.scalar_factorization(), starts, np.full(500, rate), steps
        )
        np.testing.assert_array_equal(np.minimum(expected[:, 0], 2), labels)
        np.testing.assert_array_equal(expected[:, 1], at)


def scalar_definition():
    """Labels (2 for all that stay) and steps of (1 - xy)^2/2, by one plain loop for each orbit."""
    from numba import njit

    @njit
    def definition(starts, h, steps):
        labels = np.full(len(starts), 2)
        at = np.full(len(starts), steps)
        for j in range(len(starts)):
            x, y = starts[j]
            for k in range(steps + 1):
                if k > 0:
                    before_x, before_y = x, y
                    r = 1 - x * y
                    x, y = before_x - h * (-before_y * r), before_y - h * (-before_x * r)
                size = max(abs(x), abs(y))
                if not (abs(x) <= 1e6 and abs(y) <= 1e6):
                    labels[j], at[j] = 1, k
                    break
                if k > 0 and (k % 32 == 0 or k == steps):
                    moved = max(abs(x - before_x), abs(y - before_y))
                    if moved <= 1e-10 * (1 + size):
                        labels[j], at[j] = 0, k
                        break
        return labels, at

    return definition


def test_the_invariant_ellipse_tells_180000_of_180000_orbits():
    rng = np.random.default_rng(11)
    wrong = 0
    for h in (0.1, 0.3, 0.5, 0.9, 0.99, 1.1, 1.5, 1.9, 1.99):
        x, y = points = rng.uniform(-2.2, 2.2, (2, 20_000)) / np.sqrt(h)  # it reaches to 2/sqrt(h)
        inside = x**2 + y**2 - h * x * y < 4 / h - h
        assert 0.05 < inside.mean() < 0.95
        many = descend_many(
            catalogue.scalar_factorization(), points.T, h, 5000, keep="labels", progress=False
        )
        wrong += np.count_nonzero(inside == many.diverged)
    assert wrong == 0


# How the work is cut


def test_results_depend_neither_on_workers_nor_on_chunks(monkeypatch):
    monkeypatch.setattr(ensemble, "_WORTH_A_THREAD", 0)
    grid = Grid([(-3, 3), (-3, 3)], (61, 47))
    rates = np.linspace(0.2, 1.3, 47)
    keep = ("points", "labels", "steps", "periods", "reached")
    runs = []
    for largest, workers in [(10**6, 1), (64, 1), (100, 3), (1, 2), (999, None)]:
        monkeypatch.setattr(ensemble, "_LARGEST_CHUNK", largest)
        monkeypatch.setattr(ensemble, "_SMALLEST_CHUNK", min(largest, 2**12))
        for objective in (catalogue.scalar_factorization(), Objective("(x^2-1)^2+y^4-y^2", "x y")):
            runs.append(descend_many(objective, grid, rates / 10, 300, keep=keep, workers=workers))
    for run in runs[2:]:
        assert equal(run, runs[0] if len(run.targets) == len(runs[0].targets) else runs[1])
    assert len(runs[0].targets) == 0 and len(runs[1].targets) > 0


@pytest.mark.parametrize("steps", [128, 159, 160, 161, 288, 289, 400, 401, 1000])
def test_orbits_longer_than_a_call(monkeypatch, steps):
    rates = np.linspace(0.9, 2.3, 500)
    whole = descend_many(catalogue.double_well(), 0.3, rates, steps)
    fixed = descend_many(catalogue.double_well(), 0.3, rates, steps, detect=False)
    monkeypatch.setattr(ensemble, "_ONE_CALL", 1)
    assert equal(whole, descend_many(catalogue.double_well(), 0.3, rates, steps))
    assert equal(fixed, descend_many(catalogue.double_well(), 0.3, rates, steps, detect=False))
    assert steps < 200 or min(whole.counts.values()) > 0  # all labels are there


def test_very_many_steps():
    many = descend_many(catalogue.quadratic(), [1.0, 1.0, 1e7], [0.5, 2.5, 0.5], 10**9)
    assert [*many.labels] == [0, 1, 1] and [*many.steps] == [64, 35, 0]
    assert descend_many(catalogue.quadratic(), [1.0], 0.5, 10**18).steps == 64
    many = descend_many(catalogue.quadratic(), [1.0], 2.0, 10**7 + 1)
    assert (many.labels, many.steps, many.periods, many.points) == (2, 10**7 + 1, 2, -1)


def test_without_numba_the_results_are_the_same():
    code = """
import sys, zlib
from gdbook import catalogue
from gdbook.ensemble import Grid, descend_many
many = descend_many(catalogue.scalar_factorization(), Grid((-3, 3), (50, 40)), 0.7, 300)
print([zlib.crc32(array.tobytes()) for array in (many.labels, many.steps, many.points)])
"""
    compiled = child(code)
    assert child(code, NUMBA_DISABLE_JIT="1") == compiled


def child(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    ).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a process needed at most")
def test_labels_of_ten_million_orbits_need_little_memory():
    code = """
import json
from gdbook import catalogue
from gdbook.ensemble import Grid, descend_many
def peak():
    # What getrusage tells is never less than what the parent once needed.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if "VmHWM" in line) * 1024
f = catalogue.scalar_factorization()
descend_many(f, Grid((-4, 4), (300, 300)), 0.5, 100, keep="labels", workers=2)
before = peak()
many = descend_many(f, Grid((-4, 4), (2500, 4000)), 0.5, 100, keep="labels", workers=2)
print(json.dumps([before, peak() - before, len(many.labels), many.counts]))
"""
    before, more, count, counts = json.loads(child(code))
    assert count == 10**7 and sum(counts.values()) == count
    # One byte an orbit, and a little for two chunks: with 10^8 orbits all is below 500 MB.
    assert more < 1e7 + 30e6
    assert before + 10 * 1e7 + 30e6 < 500e6


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_an_interruption_stops_soon_and_leaves_no_thread():
    code = """
import signal, threading, time
from gdbook import catalogue
from gdbook.ensemble import descend_many
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background ignores it
print("ready", flush=True)
try:
    descend_many(catalogue.double_well(), [0.3] * 5000, 1.9, 10**9, workers=2, progress=False)
except KeyboardInterrupt:
    print("stopped", threading.active_count(), flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    try:
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert out == "stopped 1\n"


def test_an_error_in_a_thread_is_raised_and_ends_the_work():
    class Wrong:
        asked = 0

        def value(self, points):
            return np.zeros(points.shape[:-1])

        def gradient(self, points):
            self.asked += 1
            time.sleep(0.02)
            return np.zeros(3)

    for workers in (None, 1, 2):
        wrong = Wrong()
        with pytest.raises(ValueError, match=r"objective.gradient must give shape \(\d+, 2\)"):
            descend_many(wrong, np.zeros((100_000, 2)), 0.1, 10, workers=workers)
        assert wrong.asked < 50  # what had not begun was left undone


def test_the_bar_counts_orbits(monkeypatch, capsys):
    made = []

    class Bar:
        def __init__(self, **options):
            self.options, self.seen = options, 0
            made.append(self)

        def update(self, count):
            self.seen += count

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    descend_many(catalogue.quadratic(), np.ones(100), 0.5, 100)
    descend_many(catalogue.quadratic(), np.ones(3000), 0.5, 10**6)
    assert capsys.readouterr() == ("", "")  # quick
    monkeypatch.setattr("tqdm.tqdm", Bar)
    descend_many(catalogue.quadratic(), np.ones(100), 0.5, 100)
    descend_many(catalogue.quadratic(), np.ones(3000), 0.5, 10**6, progress=False)
    assert made == []
    for workers in (1, 2):
        descend_many(catalogue.quadratic(), np.ones(3000), 0.5, 10**6, workers=workers)
        assert made[-1].seen == made[-1].options["total"] == 3000
        assert made[-1].options["delay"] == 1


# Targets


def test_targets_that_are_points():
    starts = np.linspace(-1.6, 1.6, 33)
    wells = descend_many(catalogue.double_well(), starts, 0.4, 1000, targets=[-1.0, 1.0])
    assert wells.targets.tolist() == [[-1.0], [1.0]]
    np.testing.assert_array_equal(wells.reached, [*[0] * 16, -1, *[1] * 16])
    assert wells.converged.all()  # also at the hill, 0, which is no target


def test_targets_that_are_conditions():
    x, y = sympy.symbols("x y")
    f = catalogue.scalar_factorization()
    starts = np.random.default_rng(2).uniform(-2, 2, (2000, 2))
    named = {
        "saddle": [0, 0],
        "balanced": "(Abs(x - y) < 1e-6) & (x > 0)",
        "right": sympy.And(x > 0, y > 0),
        "mu": "(x*y > 2*mu) | False",
        "left": "~(x > 0)",
    }
    starts[:3] = [0, 0], [0.5, 0.5], [5, 5]
    many = descend_many(f, starts, 0.3, 3000, targets=named)
    assert list(many.targets) == list(named)
    assert [*many.reached[:3]] == [0, 1, -1] and many.diverged[2]
    rest = many.converged & (np.arange(2000) > 2)
    np.testing.assert_array_equal(many.reached[rest], np.where(many.points[rest, 0] > 0, 2, 4))
    assert (many.reached[~many.converged] == -1).all()


def test_targets_that_are_found():
    f = Objective("(x^2 - 1)^2/4 + (y^2 - 4)^2/16", "x y")
    many = descend_many(f, Grid((-1.4, 1.4), (40, 40)), 0.3, 2000, keep="reached")
    expected = [[-1, -2], [-1, 2], [1, -2], [1, 2]]
    np.testing.assert_allclose(many.targets, expected, atol=1e-8)
    x, y = Grid((-1.4, 1.4), (40, 40)).points.T
    np.testing.assert_array_equal(many.reached, 2 * (x > 0) + (y > 0))
    # The hill is a limit too, for the start that stands on it.
    assert descend_many(f, [[0.0, 0.0]], 0.3, 10, keep="reached").targets.tolist() == [[0, 0]]


def test_a_continuum_of_limits_has_no_targets(basin):
    many = descend_many(
        catalogue.scalar_factorization(), Grid((-4, 4), (100, 100)), 0.5, 1000, keep="reached"
    )
    assert many.targets.shape == (0, 2) and (many.reached == -1).all() and many.converged.any()


def test_cells_that_touch_are_one_limit():
    found = targets.FoundTargets(1)
    limits = np.array([1 + 3e-7, 1.0, 1 - 4e-7, 1.1, 1e6, 1e6 + 0.1, -1e-9, 0.0, 0.0 - 1e-9])
    limits = limits[:, np.newaxis]
    late = found.find(9, np.zeros(9, np.uint8), limits[::-1])
    reached = found.find(0, np.zeros(9, np.uint8), limits)
    both = np.append(reached, late)
    found.finish(both)
    np.testing.assert_array_equal(both[:9], [1, 1, 1, 2, 3, 3, 0, 0, 0])
    np.testing.assert_array_equal(both[9:], both[:9][::-1])
    assert found.targets.ravel().tolist() == [-1e-9, 1 + 3e-7, 1.1, 1e6]


def test_a_chain_of_near_limits_is_one():
    found = targets.FoundTargets(2)
    chain = 1 + 1.5e-6 * np.array([3, 0, 2, 5, 1, 4])  # within 1e-6 (1 + |x|) of the next
    limits = np.array([np.append(chain, 1 + 1.2e-5), np.ones(7)]).T
    reached = found.find(0, np.zeros(7, np.uint8), limits)
    found.finish(reached)
    assert reached.tolist() == [0, 0, 0, 0, 0, 0, 1]
    np.testing.assert_array_equal(found.targets, [[chain[0], 1], [1 + 1.2e-5, 1]])


# What is kept


def test_what_was_not_kept_says_how_to_keep_it():
    many = descend_many(catalogue.quadratic(), [1.0, 9e9], 0.5, 100, keep="labels")
    assert set(vars(many)) == {"shape", "labels"} and [*many.diverged] == [False, True]
    for name in ("points", "steps", "periods", "reached"):
        with pytest.raises(AttributeError, match=rf'{name} were .* keep=\("{name}", ...\)'):
            getattr(many, name)
    with pytest.raises(AttributeError, match=r'targets were .* keep=\("reached"'):
        _ = many.targets
    with pytest.raises(AttributeError, match="no attribute 'color'"):
        _ = many.color
    fixed = descend_many(catalogue.quadratic(), [1.0, 9e9], 0.5, 3, detect=False)
    assert repr(fixed) == "Ensemble of 2 orbits"
    for name in ("labels", "converged", "periodic", "counts"):
        with pytest.raises(AttributeError, match=r"labels were not kept.* detect=True"):
            getattr(fixed, name)


@pytest.mark.parametrize("keep", ["points", ("steps", "periods"), (), ["labels"], {"reached"}])
def test_what_is_kept_does_not_depend_on_what_else_is(keep):
    everything = descend_many(catalogue.double_well(), Grid((-2, 2), 99), 1.2, 300, targets=[[1.0]])
    many = descend_many(catalogue.double_well(), Grid((-2, 2), 99), 1.2, 300, keep=keep)
    names = {"labels", *([keep] if isinstance(keep, str) else keep)}
    assert set(vars(many)) - {"shape", "targets"} == names
    for name in names - {"reached"}:
        np.testing.assert_array_equal(getattr(many, name), getattr(everything, name))


def test_fixed_steps_go_on_after_divergence():
    starts = np.array([1.0, 3.0, np.nan])
    many = descend_many(catalogue.quadratic(), starts, [0.5, 2.5, 0.5], 50, detect=False)
    np.testing.assert_allclose(many.points[:, 0], [0.5**50, 3 * 1.5**50, np.nan], rtol=1e-14)


def test_an_ensemble_is_frozen_and_can_be_saved():
    many = descend_many(catalogue.quadratic(), [1.0, 2.0], 0.5, 100, keep=("points", "reached"))
    with pytest.raises(AttributeError):
        many.labels = None
    again = pickle.loads(pickle.dumps(many))
    assert isinstance(again, Ensemble) and equal(many, again) and not hasattr(again, "steps")


# Starts and learning rates


def test_forms_of_starts_and_learning_rates():
    f = catalogue.scalar_factorization()
    starts = np.random.default_rng(4).integers(-2, 3, (60, 2))
    expected = descend_many(f, starts.astype(float), np.linspace(0.1, 1.0, 60), 100)
    rates = np.linspace(0.1, 1.0, 60)
    wide = np.zeros((120, 4))
    wide[::2, ::2] = starts
    for same in (
        starts,
        starts.tolist(),
        starts.astype(np.float32),
        starts.astype(np.int8),
        np.asfortranarray(starts),
        wide[::2, ::2],
        starts.astype(object),
    ):
        assert equal(descend_many(f, same, rates, 100), expected)
    for same in (rates.tolist(), np.repeat(rates, 2)[::2]):
        assert equal(descend_many(f, starts, same, 100), expected)
    # In another shape it is the same table.
    shaped = descend_many(f, starts.reshape(5, 12, 2), rates.reshape(5, 12), 100)
    assert shaped.shape == (5, 12) and np.array_equal(table(shaped), table(expected))
    flat = descend_many(f, starts.reshape(5, 12, 2), rates, 100)
    assert flat.shape == (5, 12) and np.array_equal(table(flat), table(expected))
    lower = descend_many(f, starts, rates.astype(np.float32), 100)
    assert not np.array_equal(lower.points, expected.points)  # other numbers, other orbits


def test_what_comes_in_is_not_changed():
    starts, rates = np.ones((50, 2)), np.full(50, 0.3)
    starts.flags.writeable = rates.flags.writeable = False
    many = descend_many(catalogue.scalar_factorization(), starts, rates, 10)
    fixed = descend_many(catalogue.quadratic(), starts[:, :1], rates, 10, detect=False)
    many.points[:] = fixed.points[:] = 7
    assert (starts == 1).all() and (rates == 0.3).all()


def test_a_table_of_starts_and_learning_rates():
    rates = np.linspace(0.1, 2.5, 7)[:, np.newaxis]
    grid = Grid((-2, 2), 5)
    many = descend_many(catalogue.double_well(), grid, rates, 200)
    assert many.shape == (7, 5)
    starts, full = np.broadcast_arrays(grid.axes[0], rates)
    expected = by_definition(catalogue.double_well(), starts.ravel(), full.ravel(), 200)
    np.testing.assert_array_equal(table(many), expected)
    by_array = descend_many(catalogue.double_well(), grid.points, rates, 200)
    assert equal(by_array, many)


def test_a_single_orbit_and_none():
    one = descend_many(catalogue.scalar_factorization(), [2.0, 1.0], 0.1, 100)
    assert one.shape == () and one.points.shape == (1, 2) and one.labels.shape == (1,)
    one = descend_many(catalogue.quadratic(), 1.0, 0.5, 100)
    assert one.shape == () and [*one.steps] == [64]
    for none in (np.empty((0, 2)), Grid((-1, 1), (0, 3)), np.empty((4, 0, 2))):
        many = descend_many(catalogue.scalar_factorization(), none, 0.5, 10, keep="points")
        assert many.points.shape == (0, 2) and sum(many.counts.values()) == 0
    assert descend_many(catalogue.quadratic(), [], 0.5, 10, keep="reached").targets.shape == (0, 1)
    still = descend_many(catalogue.quadratic(), [1.0, 2e6, 0.0], 0.5, 0)
    assert [*still.labels] == [3, 1, 3] and [*still.steps] == [0, 0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -1.1e6])
def test_a_start_too_far_or_not_finite_has_diverged_and_spoils_no_other(bad):
    starts = np.random.default_rng(1).normal(size=(200, 2))
    expected = descend_many(catalogue.scalar_factorization(), starts, 0.3, 500)
    starts[77, 1] = bad
    many = descend_many(catalogue.scalar_factorization(), starts, 0.3, 500)
    assert many.diverged[77] and many.steps[77] == 0
    np.testing.assert_array_equal(many.points[77], starts[77])
    rest = np.arange(200) != 77
    np.testing.assert_array_equal(table(many)[rest], table(expected)[rest])


def test_nothing_warns(recwarn):
    warnings.simplefilter("always")
    starts = np.array([0.0, 1e308, -1e308, np.inf, np.nan, 1e-320, 3.0])
    for objective in RATIONAL.values():
        points = np.tile(starts[:, np.newaxis], objective.dimension)
        for rate in (1e300, -3.0, 0.0, 1.0):
            descend_many(objective, points, rate, 200)
            descend_many(objective, points, rate, 200, keep="reached")
            descend_many(objective, points, rate, 200, detect=False)
    assert not recwarn.list


def test_learning_rates_that_are_zero_or_negative():
    many = descend_many(catalogue.quadratic(), [1.0, 1.0], [0.0, -0.5], 100)
    assert [*many.labels] == [0, 1] and [*many.steps] == [32, 35]


def test_contraction_changes_no_label_where_nothing_is_chaotic():
    plain = descend_many(catalogue.double_well(), Grid((-1.5, 1.5), 1000), 0.3, 1000)
    quick = descend_many(catalogue.double_well(), Grid((-1.5, 1.5), 1000), 0.3, 1000, contract=True)
    np.testing.assert_array_equal(quick.labels, plain.labels)
    np.testing.assert_allclose(quick.points, plain.points, atol=1e-9)


@pytest.mark.parametrize("workers", [None, 2])
def test_objectives_without_a_formula(workers):
    class Wells:
        """The double well in each coordinate, by code."""

        def value(self, points):
            return ((np.asarray(points) ** 2 - 1) ** 2 / 4).sum(axis=-1)

        def gradient(self, points):
            x = np.asarray(points)
            assert x.size  # it is asked for something
            return x * (x * x - 1)

    starts = np.random.default_rng(8).uniform(-2, 2, (3000, 3))
    options = {"targets": np.array([[-1.0, -1, -1], [1.0, 1, 1]]), "workers": workers}
    formula = Objective("((x^2 - 1)^2 + (y^2 - 1)^2 + (z^2 - 1)^2)/4", "x y z")
    many = descend_many(Wells(), starts, 0.4, 500, **options)
    same = descend_many(formula, starts, 0.4, 500, **options)
    np.testing.assert_array_equal(many.labels, same.labels)
    np.testing.assert_array_equal(many.steps, same.steps)
    np.testing.assert_array_equal(many.reached, same.reached)
    np.testing.assert_allclose(many.points[many.converged], same.points[same.converged])
    np.testing.assert_array_equal(
        many.reached[many.converged],
        [1 if (p > 0).all() else 0 if (p < 0).all() else -1 for p in many.points[many.converged]],
    )
    some = by_definition(formula, starts[:20], np.full(20, 0.4), 500)
    np.testing.assert_array_equal(table(many)[:20, :3], some[:, :3])
    fixed = descend_many(Wells(), starts, 0.4, 5, detect=False)
    expected = descend_many(formula, starts, 0.4, 5, detect=False).points
    np.testing.assert_allclose(fixed.points, expected)
    with pytest.raises(ValueError, match="without formula has no variables"):
        descend_many(Wells(), starts, 0.4, 5, targets={"right": "x > 0"})


# Grids


def test_a_grid_and_its_order():
    grid = Grid([(0, 1), (-2, 2), (5, 5)], (3, 5, 1))
    assert (grid.size, len(grid), grid.dimension, grid.shape) == (15, 15, 3, (3, 5, 1))
    mesh = np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1)
    np.testing.assert_array_equal(grid.points.reshape(3, 5, 1, 3), mesh)
    np.testing.assert_array_equal(grid.points[[0, -1]], [[0, -2, 5], [1, 2, 5]])
    assert Grid((-4, 4), (2, 3)) == Grid([(-4, 4), (-4, 4)], (2, 3))
    assert Grid([(0, 1), (2, 3)], 4).shape == (4, 4) and Grid((0, 1), 4).dimension == 1
    assert hash(Grid((0, 1), 4)) == hash(Grid(np.array([0.0, 1.0]), np.int64(4)))
    assert Grid((0, 1), 1).points.tolist() == [[0.0]]


def test_some_points_of_a_grid():
    grid = Grid([(0, 1), (3, 4)], (7, 11))
    points = grid.points
    for index in (5, -1, np.int64(3), slice(3, 30), slice(None, None, -7), [4, 76, -77]):
        np.testing.assert_array_equal(grid[index], points[index])
    mask = points[:, 0] > 0.5
    np.testing.assert_array_equal(grid[mask], points[mask])
    np.testing.assert_array_equal(grid[mask.reshape(grid.shape)], points[mask])
    np.testing.assert_array_equal(list(grid), points)
    assert grid[[]].shape == (0, 2) and Grid((0, 1), (0, 2)).points.shape == (0, 2)
    for index in (77, -78, [0, 100], np.ones(3, bool), 0.5, "a"):
        with pytest.raises(IndexError):
            grid[index]
    huge = Grid((-1, 1), (10**6, 10**6))
    assert huge[10**12 - 3 :].shape == (3, 2)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_parts_of_starts_are_the_starts(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4), "shape"))
    grid = Grid((-1, 1), shape)
    objective = Objective(" + ".join(f"x{i}^2" for i in range(len(shape))), names(len(shape)))
    rates = np.arange(float(np.prod(shape[-1:])))
    orbits = ensemble._Orbits(grid, rates, objective)
    arrays = ensemble._Orbits(grid.points.reshape(*shape, -1), rates, objective)
    first = data.draw(st.integers(0, grid.size), "first")
    last = data.draw(st.integers(first, grid.size), "last")
    full = np.broadcast_to(rates, shape).ravel()
    for made in (orbits, arrays):
        points = np.empty((last - first, len(shape)))
        h = made.part(first, last, points)
        np.testing.assert_array_equal(points, grid.points[first:last])
        np.testing.assert_array_equal(h, full[first:last])
        assert h.flags.c_contiguous and h.flags.writeable


def names(dimension):
    return [f"x{i}" for i in range(dimension)]


def test_the_picture_of_a_grid_is_upright():
    grid = Grid([(0, 3), (0, 1)], (60, 20))
    many = descend_many(Objective("-(x + y)", "x y"), grid, 1e6, 2)  # steps: 1 or 2
    picture = many.steps.reshape(grid.shape).T
    image = plt.imshow(picture, origin="lower", extent=np.ravel(grid.limits))
    assert image.get_extent() == [0, 3, 0, 1] and picture.shape == (20, 60)
    plt.close()


# Bad input


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (ValueError, r"starts must be .* dimension 2 .* not shape \(3,\)", ([1.0, 2, 3], 0.1, 5)),
        (ValueError, r"starts .* not shape \(4, 3\)", (np.zeros((4, 3)), 0.1, 5)),
        (ValueError, r"starts .* not shape \(\)", (1.0, 0.1, 5)),
        (ValueError, "not a Grid of dimension 1", (Grid((0, 1), 3), 0.1, 5)),
        (TypeError, "starts must be real numbers", ([[1j, 0]], 0.1, 5)),
        (TypeError, "starts must be real numbers", ("here", 0.1, 5)),
        (TypeError, "starts must be real numbers", (None, 0.1, 5)),
        (TypeError, "starts must be real numbers", ([[None, 1.0]], 0.1, 5)),
        (TypeError, "starts must be real numbers", ([[1.0, 2.0], [3.0]], 0.1, 5)),
        (TypeError, "learning_rate must be real numbers", ([1.0, 2.0], "fast", 5)),
        (TypeError, "learning_rate must be real numbers", ([1.0, 2.0], None, 5)),
        (ValueError, "learning_rate must be finite", ([1.0, 2.0], np.inf, 5)),
        (ValueError, "learning_rate must be finite", ([1.0, 2.0], [0.1, np.nan], 5)),
        (ValueError, r"each of the 3 starts.*\(2,\)", (np.ones((3, 2)), [0.1, 0.2], 5)),
        (ValueError, r"shape \(3, 4\); its shape is \(3,\)", (Grid((0, 1), (3, 4)), [1, 2, 3], 5)),
        (ValueError, "steps must be a whole number", ([1.0, 2.0], 0.1, -1)),
        (TypeError, "steps must be a whole number", ([1.0, 2.0], 0.1, 2.5)),
        (TypeError, "steps must be a whole number", ([1.0, 2.0], 0.1, None)),
    ],
)
def test_bad_starts_rates_and_steps_are_named(error, message, arguments):
    with pytest.raises(error, match=message):
        descend_many(catalogue.scalar_factorization(), *arguments)


@pytest.mark.parametrize(
    "error, message, options",
    [
        (ValueError, "keep must be some of points, .*'everything'", {"keep": "everything"}),
        (ValueError, "keep must be some of .* it has 3", {"keep": ["points", 3]}),
        (TypeError, "keep must be .* not 3", {"keep": 3}),
        (ValueError, "targets are given, but keep", {"keep": "points", "targets": [[1.0, 2]]}),
        (ValueError, "with detect=False", {"detect": False, "keep": "labels"}),
        (ValueError, "with detect=False", {"detect": False, "targets": [[1.0, 1.0]]}),
        (ValueError, "workers must be a whole number, at least 1", {"workers": 0}),
        (TypeError, "workers must be a whole number", {"workers": "all"}),
        (ValueError, r"targets must be points, shape \(k, 2\)", {"targets": [1.0, 2.0]}),
        (ValueError, r"targets must be points, shape \(k, 2\)", {"targets": [[1.0, 2.0, 3.0]]}),
        (TypeError, "targets must map names to conditions", {"targets": "x > 0"}),
        (ValueError, "targets must be a finite point", {"targets": [[1.0, np.nan]]}),
        (ValueError, r"targets\['a'\] must be a finite point", {"targets": {"a": [[1.0, 2.0]]}}),
        (ValueError, r"targets\['a'\] must have 2 coord", {"targets": {"a": [1.0]}}),
        (ValueError, r"targets\['a'\] must be a point or a cond", {"targets": {"a": "x"}}),
        (ValueError, r"targets\['a'\] must be a point or a cond", {"targets": {"a": "z > 0"}}),
        (ValueError, r"targets\['a'\] must be a point or a cond", {"targets": {"a": "0 < x < 1"}}),
        (ValueError, r"targets\['a'\] must be a point or a cond", {"targets": {"a": "x = 0"}}),
        (ValueError, r"targets\['a'\] must be .* in x, y, not", {"targets": {"a": "__import__"}}),
        (TypeError, r"targets\['a'\] must be real numbers", {"targets": {"a": None}}),
        (ValueError, "targets must be fewer", {"targets": np.zeros((2**15, 2))}),
    ],
)
def test_bad_options_are_named(error, message, options):
    with pytest.raises(error, match=message):
        descend_many(catalogue.scalar_factorization(), [1.0, 2.0], 0.1, 5, **options)


@pytest.mark.parametrize("gradient", [1j, "steep", None])
def test_a_gradient_that_is_not_of_real_numbers_is_named(gradient):
    class Wrong:
        def value(self, points):
            return points[..., 0]

        def gradient(self, points):
            return np.full(points.shape, gradient)

    with pytest.raises(TypeError, match=r"objective\.gradient gives must be real numbers"):
        descend_many(Wrong(), [[1.0, 2.0]], 0.1, 5)


def test_longer_floats_than_ours_may_be_too_large():
    if np.finfo(np.longdouble).max > np.finfo(float).max:
        large = np.array([np.longdouble("1e400"), 0.5])
        found = descend_many(catalogue.double_well(), large, 0.1, 500)
        assert found.labels.tolist() == [1, 0]
        with pytest.raises(ValueError, match="learning_rate must be finite"):
            descend_many(catalogue.double_well(), [0.1, 0.2], large, 5)


def test_an_objective_without_gradient_is_named():
    with pytest.raises(TypeError, match=r"objective must .* not 'x\^2'"):
        descend_many("x^2", 1.0, 0.1, 5)


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (ValueError, "limits must be finite pairs", ((0, np.inf), 3)),
        (ValueError, "limits must be finite pairs", ((-1e308, 1e308), 3)),
        (ValueError, "limits must be finite pairs", ([(0, 1, 2)], 3)),
        (ValueError, "limits must be finite pairs", ([], 3)),
        (ValueError, "in this order", ((1, 0), 3)),
        (TypeError, "limits must be real numbers", (None, 3)),
        (TypeError, "limits must be real numbers", ("ab", 3)),
        (ValueError, "shape must be a whole number", ((0, 1), -3)),
        (TypeError, "shape must be a whole number", ((0, 1), 2.5)),
        (TypeError, "shape must be a whole number", ((0, 1), "abc")),
        (ValueError, "shape must be one number or 2", ([(0, 1), (0, 1)], (3, 3, 3))),
        (ValueError, "shape must be one number or", ((0, 1), ())),
    ],
)
def test_bad_grids_are_named(error, message, arguments):
    with pytest.raises(error, match=message):
        Grid(*arguments)
