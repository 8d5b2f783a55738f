"""Lyapunov exponents against exact ones: linear maps, cycles, the Chebyshev map, subspaces."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbook as gd
from gdbook import catalogue
from gdbook.kernels import compile, parts, tangent
from gdbook.kernels.watched import Map, parameters_of
from gdbook.lyapunov import lyapunov_exponents

SUPERSTABLE = 3 / np.sqrt(2) - 1


@pytest.fixture
def without_compiler(monkeypatch):
    monkeypatch.setattr(compile, "load", lambda *_: None)
    _forget()
    yield
    _forget()


def _forget():
    tangent._product_kernel.cache_clear()
    tangent._frame_kernel.cache_clear()


def bowl(*sharpnesses):
    names = "uvwxyz"[: len(sharpnesses)]
    parameters = {f"a{i}": value for i, value in enumerate(sharpnesses)}
    terms = [f"a{i}*{name}^2/2" for i, name in enumerate(names)]
    return gd.Objective(" + ".join(terms), " ".join(names), parameters)


def logarithms(rate, sharpnesses):
    with np.errstate(divide="ignore"):
        return np.sort(np.log(np.abs(1 - rate * np.array(sharpnesses))))[::-1]


@pytest.mark.parametrize("steps, burn_in", [(1, 0), (7, 0), (8, 3), (1000, 0), (12345, 17)])
@pytest.mark.parametrize("sharpnesses", [(3,), (1, 10), (4, 4), (1, 2, 7), (1, 2, 3, 5, 8, 9)])
def test_linear_maps_exactly(sharpnesses, steps, burn_in):
    starts = np.full(len(sharpnesses), 1e-9)
    rates = [0.01, 0.1, 0.15, 0.19]
    found = lyapunov_exponents(bowl(*sharpnesses), starts, rates, steps, burn_in)
    exact = [logarithms(rate, sharpnesses) for rate in rates]
    np.testing.assert_allclose(found.exponents, exact, rtol=2e-15, atol=2e-15)
    assert not found.diverged.any()


def test_a_direction_that_is_taken_to_zero():
    found = lyapunov_exponents(catalogue.quadratic_bowl(1, 10), [0.0, 0.0], [0.1, 1.0], 1000)
    assert found.exponents[:, 1].tolist() == [-np.inf, -np.inf]
    np.testing.assert_allclose(found.exponents[:, 0], np.log([0.9, 9.0]), rtol=1e-14)
    both = lyapunov_exponents(catalogue.quadratic_bowl(2, 2), [0.3, 0.2], 0.5, 10)
    assert both.exponents.tolist() == [-np.inf, -np.inf]
    three = lyapunov_exponents(bowl(1, 4, 8), [0.0, 0.0, 0.0], [0.25, 1.0, 0.125], 100)
    exact = [logarithms(rate, (1, 4, 8)) for rate in (0.25, 1.0, 0.125)]
    np.testing.assert_allclose(three.exponents, exact, rtol=1e-14)


def test_a_rotated_linear_map():
    f = gd.Objective("x^2 + x*y + y^2", "x y")  # sharpness 1 along (1, -1) and 3 along (1, 1)
    found = lyapunov_exponents(f, [1e-9, 1e-9], [0.1, 0.5, 0.6], 1000, burn_in=1000)
    np.testing.assert_allclose(
        found.exponents, [logarithms(rate, (1, 3)) for rate in (0.1, 0.5, 0.6)], atol=1e-13
    )


@pytest.mark.parametrize("sharpness", [1e12, 1e25, 1e100, 1e200, 1e300])
def test_growth_of_any_size(sharpness):
    for others in ((), (0.5,), (0.5, 2e5)):
        f = bowl(sharpness, *others)
        found = lyapunov_exponents(f, np.zeros(1 + len(others)), 1.0, 300)
        exact = logarithms(1.0, (sharpness, *others))
        np.testing.assert_allclose(found.exponents, exact, rtol=1e-14)


def test_decay_down_to_rounding():
    # 1 - hL is a few units in the last place: a thousand steps are far below the smallest float.
    for others in ((), (0.5,), (0.5, 0.25)):
        rate = 0.1 * (1 - 2**-50)
        found = lyapunov_exponents(bowl(10, *others), np.zeros(1 + len(others)), rate, 1000)
        smallest = np.log(abs(1 - rate * 10.0))
        assert smallest < -30
        assert found.exponents[-1] == pytest.approx(smallest, rel=1e-14)


def test_cycles_of_the_double_well():
    rates = np.linspace(1.02, 1.23, 64)
    rates = rates[abs(rates - SUPERSTABLE) > 0.01]
    found = lyapunov_exponents(catalogue.double_well(), 0.3, rates, 1000, burn_in=20000)
    multiplier = 9 - 2 * (1 + rates) ** 2
    np.testing.assert_allclose(found.exponents[:, 0], np.log(abs(multiplier)) / 2, atol=1e-11)
    low = np.linspace(0.1, 0.95, 64)
    found = lyapunov_exponents(catalogue.double_well(), 0.3, low, 1000, burn_in=2000)
    np.testing.assert_allclose(found.exponents[:, 0], np.log(abs(1 - 2 * low)), atol=1e-11)


def test_superstable_cycles():
    fixed = lyapunov_exponents(catalogue.double_well(), 0.3, 0.5, 10**5, 1000)
    assert fixed.exponents.tolist() == [-np.inf]
    cycle = lyapunov_exponents(catalogue.double_well(), 0.3, SUPERSTABLE, 10**4, 1000)
    assert cycle.exponents[0] < -10


def test_chaos_of_the_double_well():
    rates = [1.35, 1.5, 1.7, 1.8, 1.9, 1.99]
    found = lyapunov_exponents(catalogue.double_well(), 0.3, rates, 10**6, 1000)
    stated = [0.277, 0.492, -0.435, 0.807, 0.878, 1.039]
    np.testing.assert_allclose(found.exponents[:, 0], stated, atol=2e-3)


def test_the_chebyshev_map():
    starts = np.random.default_rng(1).uniform(-1, 1, (64, 1))
    found = lyapunov_exponents(catalogue.double_well(), starts, 2.0, 10**5, 100)
    assert not found.diverged.any()
    # log|T'| is log 3 and the difference of a function at the two ends of the orbit
    assert abs(found.exponents - np.log(3)).max() < 2e-4
    assert abs(found.exponents.mean() - np.log(3)) < 2e-5


def test_divergence_is_a_result():
    found = lyapunov_exponents(catalogue.double_well(), [[0.3], [3.0]], 1.9, 1000)
    assert found.diverged.tolist() == [False, True]
    assert np.isnan(found.exponents).ravel().tolist() == [False, True]
    found = lyapunov_exponents(gd.Objective("exp(x^2)", "x"), 3.0, 1.0, 10)
    assert found.diverged and np.isnan(found.exponents).all()
    found = lyapunov_exponents(catalogue.scalar_factorization(), [5.0, 5.0], 1.9, 10)
    assert found.diverged and np.isnan(found.exponents).all()


def by_the_definition(objective, start, rate, steps, burn_in):
    orbit = gd.gradient_descent(objective, start, rate, burn_in + steps).points
    frame, sums = np.eye(objective.dimension), 0
    for k, point in enumerate(orbit[:-1]):
        frame, R = np.linalg.qr((np.eye(len(point)) - rate * objective.hessian(point)) @ frame)
        sums = sums + (k >= burn_in) * np.log(np.abs(np.diag(R)))
    return np.sort(sums / steps)[::-1]


@pytest.mark.parametrize(
    "expression, variables",
    [
        ("(1 - x*y)^2/2", "x y"),
        ("(1 - x*y*z)^2/2 + x^2/10", "x y z"),
        ("cos(x)*exp(y/4) + y^2", "x y"),
        ("(1 - u*v)^2/2 + (u*w - z)^2/4", "u v w z"),
    ],
)
def test_nonlinear_maps_by_the_definition(expression, variables):
    f = gd.Objective(expression, variables)
    starts = np.random.default_rng(5).uniform(0.5, 1.3, (5, f.dimension))
    found = lyapunov_exponents(f, starts, 0.3, 40, 5)
    exact = [by_the_definition(f, start, 0.3, 40, 5) for start in starts]
    np.testing.assert_allclose(found.exponents, exact, rtol=1e-9, atol=1e-11)


def test_vector_and_determinant_frames_and_numpy_agree():
    f, n = catalogue.scalar_factorization(), 37
    rng = np.random.default_rng(7)
    points, rates = rng.uniform(0.2, 1, (2, n)), rng.uniform(0.1, 1.9, n)
    arguments = Map.of(f, f.hessian_expression), range(4), parameters_of(f), points, rates, 20
    products, inside = tangent.growth(*arguments, [(0, 50), (50, 300)])
    frames, inside_too = tangent._frames(*arguments, [(0, 300)], False)
    plain, inside_three = tangent.frames_numpy(*arguments, [(0, 120), (120, 300)])
    np.testing.assert_allclose(products, frames, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(frames, plain)
    assert inside.all() and inside_too.all() and inside_three.all()


def test_without_a_compiler(without_compiler):
    for sharpnesses in ((3,), (1, 10), (1, 2, 7)):
        test_linear_maps_exactly(sharpnesses, 100, 3)
    test_a_direction_that_is_taken_to_zero()
    test_growth_of_any_size(1e300)
    test_divergence_is_a_result()


# Subspaces


def test_the_diagonal_of_the_factorization():
    f, rates = catalogue.scalar_factorization(), [1.35, 1.5, 1.9, 1.99]
    found = lyapunov_exponents(f, [0.3, 0.3], rates, 10**6, 1000, subspace=[[1, 1]])
    np.testing.assert_allclose(found.tangential[:, 0], [0.277, 0.492, 0.878, 1.039], atol=2e-3)
    np.testing.assert_allclose(
        found.transversal[:, 0], [-0.6785, -0.7438, -0.2126, -0.0592], atol=2e-3
    )
    np.testing.assert_array_equal(
        found.exponents, np.concatenate([found.tangential, found.transversal], axis=1)
    )


def test_the_diagonal_where_it_stops_attracting():
    starts = np.random.default_rng(2).uniform(-1, 1, (64, 1)) * [1, 1]
    found = lyapunov_exponents(
        catalogue.scalar_factorization(), starts, 2.0, 10**5, 100, subspace=[[1, 1]]
    )
    assert not found.diverged.any()
    assert abs(found.tangential.mean() - np.log(3)) < 2e-5
    assert abs(found.transversal.mean()) < 2e-5


def test_cycles_on_the_diagonal():
    rates = np.linspace(1.02, 1.1, 9)
    for basis in ([[1, 1]], [[-0.3, -0.3]], [[sympy.sqrt(2), sympy.sqrt(2)]]):
        found = lyapunov_exponents(
            catalogue.scalar_factorization(), [0.3, 0.3], rates, 1000, 20000, subspace=basis
        )
        along = np.log(abs(9 - 2 * (1 + rates) ** 2)) / 2
        across = np.log(abs(3 - 2 * rates)) / 2
        np.testing.assert_allclose(found.tangential[:, 0], along, atol=1e-11)
        np.testing.assert_allclose(found.transversal[:, 0], across, atol=1e-11)


def test_an_orbit_stays_in_a_subspace_that_repels():
    f = gd.Objective("x^4/4 - x^2/2 - 3*y^2 + y^4 + x^2*y^2", "x y")
    free = gd.gradient_descent(f, [0.3, 1e-17], 0.1, 200)
    assert abs(free.points[-1, 1]) > 0.1
    found = lyapunov_exponents(f, [0.3, 1e-17], 0.1, 1000, 1000, subspace=[[1, 0]])
    assert found.tangential[0] == pytest.approx(np.log(0.8), abs=1e-12)
    assert found.transversal[0] == pytest.approx(np.log(1.4), abs=1e-12)


def test_subspaces_of_three_dimensions():
    f = gd.Objective("(a*(x + y + z)^2 + x^2 + y^2 + z^2)/2", "x y z", {"a": 0.7})
    line = lyapunov_exponents(f, [1.0, 1.0, 1.0], 0.3, 1000, subspace=[[1, 1, 1]])
    assert line.tangential == pytest.approx(np.log([1 - 0.3 * 3.1]), rel=1e-12)
    assert line.transversal == pytest.approx(np.log([0.7, 0.7]), rel=1e-12)
    plane = lyapunov_exponents(f, [1.0, -1.0, 0.0], 0.3, 1000, subspace=[[1, -1, 0], [0, 1, -1]])
    assert plane.tangential == pytest.approx(np.log([0.7, 0.7]), rel=1e-12)
    assert plane.transversal == pytest.approx(np.log([1 - 0.3 * 3.1]), rel=1e-12)


@pytest.mark.parametrize(
    "error, message, subspace",
    [
        (ValueError, "subspace must be invariant", [[1, 2]]),
        (ValueError, "1 to 1 independent rows of length 2", [[1, 1, 1]]),
        (ValueError, "1 to 1 independent rows of length 2", [[1, 1], [1, -1]]),
        (ValueError, "1 to 1 independent rows of length 2", [[0, 0]]),
        (TypeError, "subspace must be a matrix", "diagonal"),
        (TypeError, "subspace must be a matrix", [[1, np.nan]]),
        (TypeError, "subspace must be a matrix", 3),
    ],
)
def test_bad_subspaces_are_named(error, message, subspace):
    with pytest.raises(error, match=message):
        lyapunov_exponents(catalogue.scalar_factorization(), [1, 1], 0.5, 5, subspace=subspace)


def test_starts_outside_the_subspace_are_named():
    with pytest.raises(ValueError, match=r"starts must lie in the subspace, unlike \[1. 2.\]"):
        lyapunov_exponents(
            catalogue.scalar_factorization(), [[1, 1], [1, 2]], 0.5, 5, subspace=[[1, 1]]
        )


# Shapes and arguments


def test_shapes():
    f = catalogue.scalar_factorization()
    one = lyapunov_exponents(f, [0.5, 0.5], 0.1, 5)
    assert one.exponents.shape == (2,) and one.diverged.shape == () and one.tangential is None
    grid = lyapunov_exponents(f, np.full((3, 1, 2), 0.5), [0.1, 0.2], 5)
    assert grid.exponents.shape == (3, 2, 2) and grid.diverged.shape == (3, 2)
    np.testing.assert_array_equal(grid.exponents[1, 0], one.exponents)
    none = lyapunov_exponents(f, np.empty((0, 2)), 0.1, 5)
    assert none.exponents.shape == (0, 2) and none.diverged.shape == (0,)
    small = lyapunov_exponents(f, np.array([0.5, 0.5], "f4"), np.float32(0.125), np.int8(5))
    same = lyapunov_exponents(f, [0.5, 0.5], 0.125, 5)
    np.testing.assert_array_equal(small.exponents, same.exponents)


def test_threads_and_slices_change_nothing(monkeypatch):
    rates = np.linspace(0.1, 2.1, 300)
    for f, start in (
        (catalogue.double_well(), 0.3),
        (catalogue.scalar_factorization(), [0.3, 0.4]),
    ):
        whole = lyapunov_exponents(f, start, rates, 3000, 100, workers=1)
        with monkeypatch.context() as patched:
            patched.setattr(parts, "_SLICE", 10**5)
            found = lyapunov_exponents(f, start, rates, 3000, 100, workers=3)
        np.testing.assert_array_equal(found.exponents, whole.exponents)
        np.testing.assert_array_equal(found.diverged, whole.diverged)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3, 3), max_size=20), st.floats(-3, 3), st.integers(1, 40))
def test_any_rates_and_start(rates, start, steps):
    found = lyapunov_exponents(catalogue.double_well(), start, rates, steps)
    for rate, exponent, diverged in zip(rates, found.exponents[:, 0], found.diverged, strict=True):
        orbit = gd.gradient_descent(catalogue.double_well(), start, rate, steps).points
        assert diverged == (not (abs(orbit) <= 1e6).all()) == bool(np.isnan(exponent))
        if not diverged:
            factors = abs(1 - rate * (3 * orbit[:-1, 0] ** 2 - 1))
            if factors.min() > 1e-3:
                np.testing.assert_allclose(exponent, np.log(factors).mean(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (TypeError, "objective must be a gdbook.Objective", ("x^2", 1.0, 0.1, 5)),
        (ValueError, "starts must have 2 coordinates", (None, 1.0, 0.1, 5)),
        (ValueError, "starts must be finite, not nan", (None, [1.0, np.nan], 0.1, 5)),
        (ValueError, "learning_rate must be finite, not inf", (None, [1.0, 1.0], np.inf, 5)),
        (ValueError, "one for each start", (None, [[1.0, 1.0]] * 3, [0.1, 0.2], 5)),
        (ValueError, "steps must be a whole number, at least 1", (None, [1.0, 1.0], 0.1, 0)),
        (ValueError, "burn_in must be a whole number", (None, [1.0, 1.0], 0.1, 5, -1)),
        (TypeError, "steps must be a whole number", (None, [1.0, 1.0], 0.1, 5.5)),
    ],
)
def test_bad_input_is_named(error, message, arguments):
    objective = arguments[0] or catalogue.scalar_factorization()
    with pytest.raises(error, match=message):
        lyapunov_exponents(objective, *arguments[1:])


def test_one_variable_leaves_no_room_for_a_subspace():
    with pytest.raises(ValueError, match="subspace needs an objective of two variables or more"):
        lyapunov_exponents(catalogue.double_well(), 0.3, 0.1, 5, subspace=[[1]])


@pytest.mark.parametrize("burn_in", [0, 1, 100])
def test_ordinary_orbits_are_computed_once(burn_in, monkeypatch):
    def again(*_):
        raise AssertionError("computed again with frames")

    monkeypatch.setattr(tangent, "_frames", again)
    f = catalogue.scalar_factorization()
    starts = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 2))
    found = lyapunov_exponents(f, starts, 1.45, 1000, burn_in)
    assert np.isfinite(found.exponents).all()
    assert np.isfinite(lyapunov_exponents(catalogue.double_well(), 0.3, 1.9, 99, burn_in).exponents)
