"""Bifurcation diagrams against closed forms and against single orbits."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbook as gd
from gdbook import catalogue
from gdbook.bifurcation import bifurcation_diagram
from gdbook.kernels import compile, parts, record


@pytest.fixture
def without_compiler(monkeypatch):
    monkeypatch.setattr(compile, "load", lambda *_: None)
    record._kernel.cache_clear()
    yield
    record._kernel.cache_clear()


def test_period_two_of_the_double_well():
    rates = np.linspace(1.01, 1.23, 100)
    diagram = bifurcation_diagram(catalogue.double_well(), rates, 0.3, 20000, 4)
    x, y = diagram.points[:, 0, 0], diagram.points[:, 1, 0]
    assert (abs(x - y) > 0.09).all() and not diagram.diverged.any()
    np.testing.assert_allclose(x * y, 1 / rates, rtol=1e-12)
    np.testing.assert_allclose((x + y) ** 2, 1 + 3 / rates, rtol=1e-12)
    np.testing.assert_allclose(diagram.points[:, 2:], diagram.points[:, :2], rtol=1e-13)


@pytest.mark.parametrize(
    "rate, period",
    [(0.7, 1), (1.1, 2), (1.26, 4), (1.295, 8), (1.3345, 6), (1.3945, 5), (1.455, 3), (1.833, 4)],
)
def test_windows_of_the_double_well(rate, period):
    points = bifurcation_diagram(catalogue.double_well(), [rate], 0.3, 20000, 240).points[0, :, 0]
    assert len(np.unique(points.round(8))) == period


def test_chaos_fills_bands_and_merges_the_wells():
    merging = 3 * np.sqrt(3) / 2 - 1
    rates = [merging - 1e-3, merging + 1e-2]
    diagram = bifurcation_diagram(catalogue.double_well(), rates, 0.3, 1000, 20000)
    assert (np.diff(np.sign(diagram.points[0, :, 0])) == 0).all()
    assert (np.diff(np.sign(diagram.points[1, :, 0])) != 0).any()
    assert len(np.unique(diagram.points[1])) > 19000


def test_beyond_two_the_double_well_diverges():
    rates = np.linspace(1.5, 2.5, 201)
    diagram = bifurcation_diagram(catalogue.double_well(), rates, 0.3, 20000, 3)
    np.testing.assert_array_equal(diagram.diverged, rates > 2)
    np.testing.assert_array_equal(np.isnan(diagram.points[:, :, 0]).all(axis=1), rates > 2)
    assert np.isfinite(diagram.points[~diagram.diverged]).all()


def test_an_orbit_that_comes_back_has_left_all_the_same():
    rates = np.linspace(1e5, 3e6, 150)
    diagram = bifurcation_diagram(catalogue.cosine(), rates, 1.0, 50, 50)
    away = np.zeros(150, bool)
    back = np.zeros(150, bool)
    for j, rate in enumerate(rates):
        x = abs(gd.gradient_descent(catalogue.cosine(), 1.0, rate, 5).points)
        away[j], back[j] = (x > 1e6).any(), (x[-1] <= 1e6).all()
    assert (away & back).any()  # else this test shows nothing
    assert diagram.diverged[away].all()
    assert not bifurcation_diagram(catalogue.cosine(), [0.0, 2.5], 1.0, 50, 50).diverged.any()


@pytest.mark.parametrize("m", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("burn_in", [0, 7])
def test_every_point_is_that_of_gradient_descent(m, burn_in):
    rng = np.random.default_rng(m)
    for objective in (catalogue.rational_valley(), catalogue.scalar_factorization(0.5)):
        rates, starts = rng.uniform(-0.1, 1.5, m), rng.normal(size=(m, objective.dimension))
        diagram = bifurcation_diagram(objective, rates, starts, burn_in, 30)
        for j in range(m):
            orbit = gd.gradient_descent(objective, starts[j], rates[j], burn_in + 30)
            assert diagram.diverged[j] == (orbit.outcome.label == "diverged")
            if not diagram.diverged[j]:
                np.testing.assert_array_equal(diagram.points[j], orbit.points[burn_in + 1 :])


def test_without_a_compiler_the_points_are_the_same(without_compiler):
    test_every_point_is_that_of_gradient_descent(65, 7)
    test_beyond_two_the_double_well_diverges()


def test_the_diagonal_of_the_factorization_is_the_double_well():
    rates = np.linspace(1.01, 1.2, 20)
    found = bifurcation_diagram(catalogue.scalar_factorization(), rates, [0.3, 0.3], 20000, 2)
    np.testing.assert_array_equal(found.points[..., 0], found.points[..., 1])
    np.testing.assert_allclose(found.points[:, 0, 0] * found.points[:, 1, 0], 1 / rates)


def test_coordinates_for_a_plot():
    found = bifurcation_diagram(catalogue.scalar_factorization(), [0.1, 0.2], [0.3, 0.4], 0, 3)
    rates, y = found.coordinate(1)
    np.testing.assert_array_equal(rates, [0.1, 0.2] * 3)
    np.testing.assert_array_equal(y.reshape(3, 2), found.points[:, :, 1].T)


def test_threads_and_slices_change_nothing(monkeypatch):
    rates = np.linspace(0.1, 2.1, 700)
    whole = bifurcation_diagram(catalogue.double_well(), rates, 0.3, 200, 100, workers=1)
    threads = set()
    original = record.record

    def seen(*arguments):
        threads.add(threading.get_ident())
        return original(*arguments)

    monkeypatch.setattr(record, "record", seen)
    monkeypatch.setattr(parts, "_SLICE", 10**4)
    found = bifurcation_diagram(catalogue.double_well(), rates, 0.3, 200, 100, workers=3)
    assert threads and threading.get_ident() not in threads
    np.testing.assert_array_equal(found.points, whole.points)
    np.testing.assert_array_equal(found.diverged, whole.diverged)


def test_an_error_in_a_thread_ends_the_work(monkeypatch):
    monkeypatch.setattr(parts, "_SLICE", 1)

    def work(part, slices):
        if part.start == 128:
            raise KeyboardInterrupt
        for _ in slices:
            pass

    with pytest.raises(KeyboardInterrupt):
        parts.in_parts(work, 1000, 1000, 64, workers=2)


def test_a_bar_appears_after_a_second(monkeypatch, capsys):
    import tqdm

    bars = []
    original = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **given: bars.append(original(**given)) or bars[-1])
    clock = iter(np.arange(1000) * 0.4)
    monkeypatch.setattr(parts.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(parts, "_SLICE", 4)
    parts.in_parts(lambda _, slices: list(slices), 1, 20, 1, 1, title="work")
    parts.in_parts(lambda _, slices: list(slices), 1, 1, 1, 1, title="short")
    parts.in_parts(lambda _, slices: list(slices), 1, 20, 1, 1, title="quiet", progress=False)
    assert len(bars) == 1 and bars[0].n == 20
    written = capsys.readouterr().err
    assert "work: 100%" in written and "short" not in written and "quiet" not in written


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-3, 3), max_size=70),
    st.floats(-3, 3),
    st.integers(0, 5),
    st.integers(1, 5),
)
def test_any_rates_and_start(rates, start, burn_in, keep):
    found = bifurcation_diagram(catalogue.double_well(), rates, start, burn_in, keep)
    assert found.points.shape == (len(rates), keep, 1)
    for rate, points, diverged in zip(rates, found.points, found.diverged, strict=True):
        orbit = gd.gradient_descent(catalogue.double_well(), start, rate, burn_in + keep)
        assert diverged == (not (abs(orbit.points) <= 1e6).all())
        if not diverged:
            np.testing.assert_array_equal(points, orbit.points[burn_in + 1 :])


def test_other_types_of_numbers():
    whole = bifurcation_diagram(catalogue.double_well(), [0, 1, -1], 0.5, 3, 2)
    small = bifurcation_diagram(
        catalogue.double_well(), np.array([0, 1, -1], "i1"), np.float32(0.5), np.int8(3), np.int8(2)
    )
    np.testing.assert_array_equal(whole.points, small.points)
    assert (whole.points[0] == 0.5).all()


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (TypeError, "objective must be a gdbook.Objective", ("x^2", [0.1], 1.0, 5, 5)),
        (ValueError, r"learning_rates must have shape \(m,\), not \(\)", (None, 0.1, 1.0, 5, 5)),
        (ValueError, "learning_rates must be finite, not nan", (None, [0.1, np.nan], 1.0, 5, 5)),
        (TypeError, "learning_rates must be real", (None, "fast", 1.0, 5, 5)),
        (ValueError, "start must have 1 coordinates", (None, [0.1], [[1.0, 2.0]], 5, 5)),
        (ValueError, "one for each of the 1 learning", (None, [0.1], [1.0, 2.0], 5, 5)),
        (ValueError, "one for each of the 1 learning", (None, [0.1], [[1.0], [2.0]], 5, 5)),
        (ValueError, "start must be finite, not inf", (None, [0.1], np.inf, 5, 5)),
        (ValueError, "burn_in must be a whole number", (None, [0.1], 1.0, -1, 5)),
        (ValueError, "keep must be a whole number, at least 1", (None, [0.1], 1.0, 5, 0)),
        (TypeError, "keep must be a whole number", (None, [0.1], 1.0, 5, 2.5)),
    ],
)
def test_bad_input_is_named(error, message, arguments):
    objective = arguments[0] or catalogue.double_well()
    with pytest.raises(error, match=message):
        bifurcation_diagram(objective, *arguments[1:])
    with pytest.raises(ValueError, match="workers must be a whole number, at least 1, not 0"):
        bifurcation_diagram(catalogue.double_well(), [0.1], 1.0, 5, 5, workers=0)


def test_what_comes_in_is_not_changed():
    starts, rates = np.array([[0.3], [0.4]]), np.array([0.1, 0.2])
    bifurcation_diagram(catalogue.double_well(), rates, starts, 5, 5)
    assert starts.tolist() == [[0.3], [0.4]] and rates.tolist() == [0.1, 0.2]
