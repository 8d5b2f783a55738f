"""Histograms of orbits against NumPy's, count by count, and against an invariant density."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbook as gd
from gdbook import catalogue
from gdbook.histogram import orbit_histogram
from gdbook.kernels import compile, histogram, parts


@pytest.fixture
def without_compiler(monkeypatch):
    monkeypatch.setattr(compile, "load", lambda *_: None)
    histogram._kernel.cache_clear()
    yield
    histogram._kernel.cache_clear()


def by_numpy(objective, starts, rate, steps, bins, limits, burn_in=0):
    orbits = [
        gd.gradient_descent(objective, start, rate, burn_in + steps).points[burn_in + 1 :]
        for start in starts
    ]
    points = np.concatenate(orbits)
    points = points[np.isfinite(points).all(axis=1)]
    limits = [limits] if objective.dimension == 1 else limits
    return np.histogramdd(points, bins, limits)[0]


@pytest.mark.parametrize("bins", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("limits", [(-1.5, 1.5), (-0.3, 0.9), (0.1, 0.1000001), (-1e300, 1.0)])
def test_counts_of_a_chaotic_orbit(bins, limits):
    f = catalogue.double_well()
    found = orbit_histogram(f, 0.3, 1.9, 3000, bins, limits, burn_in=5)
    expected = by_numpy(f, [0.3], 1.9, 3000, bins, limits, burn_in=5)
    np.testing.assert_array_equal(found.counts, expected)
    assert found.counts.dtype == np.int64
    assert found.outside == 3000 - expected.sum()
    np.testing.assert_array_equal(found.edges, np.histogram([], bins, limits)[1])


@pytest.mark.parametrize(
    "limits, bins", [((-1, 1), 4), ((-1, 0.5), 12), ((0.25, 1), 3), ((2**-40, 2**-3), 9)]
)
def test_points_on_the_edges(limits, bins):
    for rate, start in ((0.5, 1.0), (1.5, 1.0), (2.0, 1.0), (1.0, 1.0), (1.75, -1.0)):
        found = orbit_histogram(catalogue.quadratic(), start, rate, 50, bins, limits)
        expected = by_numpy(catalogue.quadratic(), [start], rate, 50, bins, limits)
        np.testing.assert_array_equal(found.counts, expected)


def test_edges_as_close_as_floats_allow():
    f = gd.Objective("(x - 1000000)^2/2", "x")
    limits = (1e6 - 1e-8, 1e6 + 1e-8)  # 172 floats
    starts = np.array([[1e6 + 1e-8], [1e6 - 1e-7], [999999.0]])
    for bins in (10, 37, 100):
        found = orbit_histogram(f, starts, 0.125, 300, bins, limits)
        expected = by_numpy(f, starts, 0.125, 300, bins, limits)
        np.testing.assert_array_equal(found.counts, expected)
    with pytest.raises(ValueError, match="too close for 1000 bins"):
        orbit_histogram(f, starts, 0.125, 300, 1000, limits)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 40), st.floats(-1.5, 1.5), st.floats(0.1, 2)
)
def test_any_limits(low, width, bins, start, rate):
    limits = (low, low + abs(width) + 1e-6)
    found = orbit_histogram(catalogue.double_well(), start, rate, 60, bins, limits)
    expected = by_numpy(catalogue.double_well(), [start], rate, 60, bins, limits)
    np.testing.assert_array_equal(found.counts, expected)
    assert found.counts.sum() + found.outside == 60


@pytest.mark.parametrize("n", [1, 16, 17, 64, 65, 130])
def test_several_orbits_are_counted_together(n):
    f, starts = catalogue.double_well(), np.random.default_rng(n).uniform(-1.2, 1.2, (n, 1))
    found = orbit_histogram(f, starts, 1.9, 100, 50, (-1.5, 1.5), burn_in=20)
    expected = by_numpy(f, starts, 1.9, 100, 50, (-1.5, 1.5), burn_in=20)
    np.testing.assert_array_equal(found.counts, expected)
    assert found.diverged.shape == (n,) and not found.diverged.any()


def test_two_and_three_coordinates():
    f, starts = catalogue.scalar_factorization(), [[0.3, 0.31], [-0.5, 0.2], [0.9, 1.2]]
    limits = [(-1.2, 1.3), (0.0, 1.4)]
    found = orbit_histogram(f, starts, 1.5, 2000, [20, 33], limits)
    expected = by_numpy(f, starts, 1.5, 2000, [20, 33], limits)
    assert found.counts.shape == (20, 33) and expected.sum() > 100
    np.testing.assert_array_equal(found.counts, expected)
    assert found.outside == 6000 - expected.sum()
    assert [len(edges) for edges in found.edges] == [21, 34]
    np.testing.assert_allclose(found.density.sum() * (2.5 / 20) * (1.4 / 33), expected.sum() / 6000)
    f = gd.Objective("(1 - x*y*z)^2/2", "x y z")
    found = orbit_histogram(f, [0.5, 1.0, 1.1], 0.6, 500, 5, [(0, 2)] * 3)
    np.testing.assert_array_equal(
        found.counts, by_numpy(f, [[0.5, 1.0, 1.1]], 0.6, 500, 5, [(0, 2)] * 3)
    )


def test_orbits_that_diverge():
    starts = [[0.3], [3.0], [-5.0]]
    found = orbit_histogram(catalogue.double_well(), starts, 1.9, 100, 10, (-2, 2))
    assert found.diverged.tolist() == [False, True, True]
    assert found.outside == 200 and found.counts.sum() == 100
    both = orbit_histogram(catalogue.scalar_factorization(), [3.0, 3.0], 1.9, 50, 4, [(-1, 1)] * 2)
    assert both.outside == 50 and both.diverged
    everything = orbit_histogram(catalogue.quadratic(), 1.0, 3.0, 2000, 10, (-1e300, 1e300))
    expected = by_numpy(catalogue.quadratic(), [1.0], 3.0, 2000, 10, (-1e300, 1e300))
    np.testing.assert_array_equal(everything.counts, expected)
    assert everything.diverged and everything.outside == 2000 - expected.sum()


def chebyshev_shares(edges):
    return np.diff(np.arcsin(np.clip(edges / np.sqrt(2), -1, 1))) / np.pi


def test_density_of_the_chebyshev_map():
    starts = np.random.default_rng(0).uniform(-1.2, 1.2, (64, 1))
    steps, limits = 50000, (-np.sqrt(2), np.sqrt(2))
    found = orbit_histogram(catalogue.double_well(), starts, 2.0, steps, 500, limits, burn_in=100)
    exact, visits = chebyshev_shares(found.edges), 64 * steps
    assert not found.diverged.any() and found.outside == 0
    distance = np.abs(found.counts / visits - exact).sum()
    noise = np.sqrt(2 / np.pi * exact * (1 - exact) / visits).sum()  # of independent points
    assert 0.5 * noise < distance < 1.5 * noise
    width = found.edges[1] - found.edges[0]
    np.testing.assert_allclose(found.density, found.counts / visits / width)


def test_cosines_in_the_lanes_give_the_density_of_the_library_s():
    f = gd.Objective("x^2/2 + epsilon*sin(x/epsilon)", "x", {"epsilon": 0.01})
    starts = np.random.default_rng(0).uniform(-1, 1, (2000, 1))
    found = orbit_histogram(f, starts, 0.1, 1000, 50, (-1, 1), burn_in=100)
    plain = np.zeros((52, 1), np.int64)
    rates = np.full(2000, 0.1)
    histogram.count_numpy(f, starts.T.copy(), rates, 100, 1000, [found.edges], plain)
    distance = np.abs(found.counts - plain[1:-1, 0]).sum() / 2e6
    noise = np.sqrt(4 / np.pi * found.counts / 2e6 / 2e6).sum()
    assert found.outside == plain[[0, -1]].sum() == 0
    assert 0 < distance < 2 * noise


def test_without_a_compiler_the_counts_are_the_same(without_compiler):
    test_counts_of_a_chaotic_orbit(100, (-1.5, 1.5))
    test_points_on_the_edges((-1, 1), 4)
    test_two_and_three_coordinates()
    test_orbits_that_diverge()


def test_threads_and_slices_change_nothing(monkeypatch):
    starts = np.random.default_rng(0).uniform(-1.2, 1.2, (500, 1))
    arguments = catalogue.double_well(), starts, 1.9, 1000, 100, (-1.5, 1.5)
    whole = orbit_histogram(*arguments, burn_in=77, workers=1)
    monkeypatch.setattr(parts, "_SLICE", 10**4)
    found = orbit_histogram(*arguments, burn_in=77, workers=3)
    np.testing.assert_array_equal(found.counts, whole.counts)


def test_no_orbits_and_other_types_of_numbers():
    none = orbit_histogram(catalogue.double_well(), np.empty((0, 1)), 1.9, 10, 5, (-1, 1))
    assert none.counts.tolist() == [0] * 5 == none.density.tolist() and none.outside == 0
    whole = orbit_histogram(catalogue.double_well(), [[1.5]], 0.5, 10, 5, (-2, 2))
    small = orbit_histogram(
        *(catalogue.double_well(), np.array([[1.5]], "f4"), np.float32(0.5)),
        *(np.int8(10), np.uint8(5), np.array([-2, 2], "i1")),
    )
    np.testing.assert_array_equal(whole.counts, small.counts)


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (TypeError, "objective must be a gdbook.Objective", ("x^2", 1.0, 0.1, 5, 5, (0, 1))),
        (ValueError, "start must have 1 coordinates", (None, [[1.0, 2.0]], 0.1, 5, 5, (0, 1))),
        (ValueError, r"start must have shape \(1,\) or", (None, [[[1.0]]], 0.1, 5, 5, (0, 1))),
        (ValueError, "start must be finite", (None, np.nan, 0.1, 5, 5, (0, 1))),
        (ValueError, "learning_rate must be finite", (None, 1.0, np.inf, 5, 5, (0, 1))),
        (TypeError, "learning_rate must be one number", (None, 1.0, [0.1], 5, 5, (0, 1))),
        (ValueError, "steps must be a whole number, at least 1", (None, 1.0, 0.1, 0, 5, (0, 1))),
        (ValueError, "bins must be a whole number, at least 1", (None, 1.0, 0.1, 5, 0, (0, 1))),
        (TypeError, "bins must be a whole number", (None, 1.0, 0.1, 5, 2.5, (0, 1))),
        (ValueError, r"bins must be one number or 1", (None, 1.0, 0.1, 5, [2, 3], (0, 1))),
        (ValueError, "limits must be a pair of numbers", (None, 1.0, 0.1, 5, 5, (0, 1, 2))),
        (ValueError, "limits must be finite and in order", (None, 1.0, 0.1, 5, 5, (1, 0))),
        (ValueError, "limits must be finite and in order", (None, 1.0, 0.1, 5, 5, (1, 1))),
        (ValueError, "limits must be finite and in order", (None, 1.0, 0.1, 5, 5, (0, np.inf))),
        (ValueError, "limits must be finite and in order", (None, 1.0, 0.1, 5, 5, (-1e308, 1e308))),
        (ValueError, "too close for 2 bins", (None, 1.0, 0.1, 5, 2, (0, 1e-323))),
        (TypeError, "limits must be real numbers", (None, 1.0, 0.1, 5, 5, None)),
    ],
)
def test_bad_input_is_named(error, message, arguments):
    objective = arguments[0] or catalogue.double_well()
    with pytest.raises(error, match=message):
        orbit_histogram(objective, *arguments[1:])


def test_a_negative_burn_in_is_named():
    with pytest.raises(ValueError, match="burn_in must be a whole number, at least 0, not -1"):
        orbit_histogram(catalogue.double_well(), 0.3, 0.1, 5, 5, (0, 1), burn_in=-1)
    with pytest.raises(ValueError, match="limits must be 2 pairs of numbers"):
        orbit_histogram(catalogue.scalar_factorization(), [0.3, 0.3], 0.1, 5, 5, (0, 1))
