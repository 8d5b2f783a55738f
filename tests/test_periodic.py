"""Periodic orbits against closed forms, exact counts and published digits."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbook import Objective, catalogue, gradient_descent
from gdbook.periodic import (
    PeriodicOrbit,
    attracting_period,
    multipliers,
    period_doublings,
    periodic_orbits,
)

FACTORIZATION = catalogue.scalar_factorization()
WELL = catalogue.double_well()
SQUARE = [(-2, 2), (-2, 2)]


def found(objective, h, period, window=SQUARE, **options):
    """Periodic orbits, of which everything that must always hold has been checked."""
    orbits = periodic_orbits(objective, h, period, window, **{"starts": 3000, **options})
    for orbit in orbits:
        points = orbit.points
        assert points.shape == (period, objective.dimension) and orbit.period == period
        image = points - h * objective.gradient(points)
        ulps = np.abs(image - np.roll(points, -1, axis=0)) / np.spacing(1 + np.abs(points))
        assert ulps.max() <= 8
        assert points.tolist()[0] == min(points.tolist())
        distances = np.abs(points - np.roll(points, 1, axis=0)).max()
        assert period == 1 or distances > 1e-6
        assert orbit.attracting == (np.abs(orbit.multipliers).max() < 1)
    first = [orbit.points.ravel().tolist() for orbit in orbits]
    assert first == sorted(first)
    return orbits


def on_diagonal(orbit):
    return np.abs(orbit.points[:, 0] - orbit.points[:, 1]).max() < 1e-9


def orbit_through(x, orbits):
    return next(orbit for orbit in orbits if np.abs(orbit.points[:, 0] - x).min() < 1e-9)


# The factorisation (1 - xy)^2/2


@pytest.mark.parametrize(
    "period, points, factors",
    [
        (3, [0.3480228099343, 0.9291764374440, 1.170389879969], [21.919226, -0.844467]),
        (3, [0.1739612434072, 0.4944850471406, 1.204279081321], [-22.047963, 0.680693]),
        (
            4,
            [0.3921486028467, 1.022651792733, 0.9336282060124, 1.161286823301],
            [-61.331853, -0.830517],
        ),
        (
            4,
            [0.1174639822584, 0.3375661368067, 0.9058564651565, 1.214668117996],
            [62.177275, 0.749190],
        ),
        (
            4,
            [-1.354061121782, 0.7902502338472, 1.354061121782, -0.7902502338472],
            [24.807553, 0.548062],
        ),
    ],
)
def test_orbits_on_the_diagonal_to_thirteen_digits(period, points, factors):
    orbit = orbit_through(points[0], found(FACTORIZATION, 1.9, period))
    np.testing.assert_allclose(orbit.points, np.stack([points, points], axis=1), rtol=5e-13)
    np.testing.assert_allclose(orbit.multipliers, factors, atol=1e-6)
    assert orbit.multipliers.dtype == float


@pytest.mark.parametrize("h", [1.1, 1.3, 1.9])
def test_two_cycles_have_closed_forms(h):
    orbits = found(FACTORIZATION, h, 2)
    ends, sums = np.sqrt(1 - 1 / h), np.sqrt(1 + 3 / h)
    low, high, rim, anti = (
        (sums - ends) / 2,
        (sums + ends) / 2,
        np.sqrt(1 + 2 / h),
        np.sqrt(2 / h - 1),
    )
    expected = [
        ([[-rim, -rim], [rim, rim]], [(5 + 2 * h) ** 2, 9]),
        ([[-high, -high], [-low, -low]], [9 - 2 * (1 + h) ** 2, 3 - 2 * h]),
        ([[-anti, anti], [anti, -anti]], [9, (5 - 2 * h) ** 2]),
        ([[low, low], [high, high]], [9 - 2 * (1 + h) ** 2, 3 - 2 * h]),
    ]
    expected.sort(key=lambda pair: pair[0])
    assert len(orbits) == 4
    for orbit, (points, factors) in zip(orbits, expected, strict=True):
        np.testing.assert_allclose(orbit.points, points, rtol=1e-13)
        factors = sorted(factors, key=abs, reverse=True)
        np.testing.assert_allclose(orbit.multipliers, factors, rtol=1e-11)


def exact_count_on_the_diagonal(period):
    """Real solutions of F^p(x) = x for the cubic map at h = 19/10, by Sturm's theorem."""
    x, h = sympy.Symbol("x"), sympy.Rational(19, 10)
    iterate = sympy.Poly(x, x)
    for _ in range(period):
        iterate = (1 + h) * iterate - h * iterate**3
    return (iterate - sympy.Poly(x, x)).count_roots()


def exact_count_on_the_ellipse(period):
    """Solutions of F^p = identity for the angle map, t to pi - 3t: a circle map of degree -3."""
    return abs((-3) ** period - 1)


def of_least_period(period, count):
    """Orbits of this least period, where count(q) points have a period that divides q."""
    points = sum(sympy.mobius(period // q) * count(q) for q in sympy.divisors(period))
    return points // period


@pytest.mark.parametrize("period, orbits", [(2, 4), (3, 12), (4, 28), (5, 68)])
def test_all_orbits_are_found(period, orbits):
    # No orbit is elsewhere (next test), and diagonal and ellipse share one 2-cycle.
    total = of_least_period(period, exact_count_on_the_diagonal)
    total += of_least_period(period, exact_count_on_the_ellipse) - (period == 2)
    assert total == orbits
    assert len(found(FACTORIZATION, 1.9, period, starts=10_000)) == orbits


def test_every_orbit_is_on_a_diagonal_or_on_the_ellipse():
    """A function that grows along all orbits elsewhere, for 0 < h < 2.

    With z = h(1 - xy), one step multiplies u = x + y by 1 + z, v = x - y by 1 - z and
    Q = x^2 + y^2 - hxy - (4/h - h) by 1 - hz + z^2. So log |Q| - a log |u| - b log |v|, where
    a = 1 - h/2 and b = 1 + h/2, grows by a function of z that vanishes at 0, falls before and
    rises after it inside (-1, 1), and is positive outside, where it tends to 0 at infinity.
    """
    x, y, h, z = sympy.symbols("x y h z", real=True)
    image = FACTORIZATION.map(h).subs(sympy.Symbol("mu", real=True), 1)
    residual = h * (1 - x * y)

    def ellipse(x, y):
        return x**2 + y**2 - h * x * y - (4 / h - h)

    u, v = image[0] + image[1], image[0] - image[1]
    assert sympy.expand(u - (1 + residual) * (x + y)) == 0
    assert sympy.expand(v - (1 - residual) * (x - y)) == 0
    factor = 1 - h * residual + residual**2
    assert sympy.expand(ellipse(*image) - factor * ellipse(x, y)) == 0
    growth = sympy.log(1 - h * z + z**2) - (1 - h / 2) * sympy.log(1 + z)
    growth -= (1 + h / 2) * sympy.log(1 - z)
    slope = (4 - h**2) * z / ((1 - z**2) * (1 - h * z + z**2))
    assert sympy.simplify(growth.diff(z) - slope) == 0

    rng = np.random.default_rng(5)
    for h in (0.3, 1.0, 1.9):
        z = rng.uniform(-6, 6, 10_000)
        grown = np.log(1 - h * z + z**2) - (1 - h / 2) * np.log(abs(1 + z))
        assert (grown - (1 + h / 2) * np.log(abs(1 - z)) > 0).all()


@pytest.mark.parametrize("h", [0.5, 1.9])
def test_orbits_on_the_ellipse_triple_an_angle(h):
    for period in (2, 3, 4):
        orbits = [orbit for orbit in found(FACTORIZATION, h, period, [(-4, 4)] * 2)]
        orbits = [orbit for orbit in orbits if not on_diagonal(orbit)]
        assert len(orbits) == of_least_period(period, exact_count_on_the_ellipse) - (period == 2)
        for orbit in orbits:
            x, y = orbit.points.T
            assert np.abs(x**2 + y**2 - h * x * y - 4 / h + h).max() < 1e-13 * (1 + 4 / h)
            assert np.abs(orbit.multipliers / (-3.0) ** period - 1).min() < 1e-11
            angle = np.arctan2((x - y) / np.sqrt(2 - h), (x + y) / np.sqrt(2 + h))
            turned = np.exp(1j * (np.pi - 3 * angle))
            np.testing.assert_allclose(turned, np.exp(1j * np.roll(angle, -1)), atol=1e-12)


def test_below_the_first_doubling_only_the_saddle_and_the_curve_of_minima_are_fixed():
    (saddle,) = found(FACTORIZATION, 0.9, 1)
    np.testing.assert_allclose(saddle.points, [[0, 0]], atol=1e-15)
    np.testing.assert_allclose(saddle.multipliers, [1.9, 0.1])


def test_repelling_orbits_are_left_after_some_thirty_steps():
    for period, x in ((2, 0.4588314677411), (3, 0.3480228099343), (4, 0.3921486028467)):
        orbit = orbit_through(x, found(FACTORIZATION, 1.9, period))
        points = gradient_descent(FACTORIZATION, orbit.points[0], 1.9, 60).points
        away = np.abs(points - orbit.points[np.arange(61) % period]).max(axis=1)
        assert away[:20].max() < 1e-3 < away[:60].max()


# Other maps


@pytest.mark.parametrize("h", [1.25, 1.9])
def test_the_diagonal_is_the_double_well(h):
    for period in (2, 3, 4):
        wells = found(WELL, h, period, (-2, 2))
        plane = [orbit for orbit in found(FACTORIZATION, h, period) if on_diagonal(orbit)]
        assert len(wells) == len(plane)
        for one, two in zip(wells, plane, strict=True):
            np.testing.assert_allclose(one.points[:, 0], two.points[:, 0], rtol=1e-12, atol=1e-14)
            assert np.abs(two.multipliers / one.multipliers - 1).min() < 1e-9


def test_the_chebyshev_map_has_all_its_points():
    # At h = 2 the angle in x = sqrt(2) cos t goes from t to pi - 3t: 3^p points, all real.
    for period in range(1, 6):
        orbits = found(WELL, 2.0, period, (-2, 2))
        assert len(orbits) == of_least_period(period, lambda q: 3**q)
        for orbit in orbits:
            end = period == 2 and abs(orbit.points[0, 0] + np.sqrt(2)) < 1e-9
            expected = 81 if end else 3**period  # the ends of the interval count twice
            assert abs(orbit.multipliers[0]) == pytest.approx(expected, rel=1e-10)


def test_quadratics_have_no_isolated_cycles_but_their_minimum():
    bowl = catalogue.quadratic_bowl(1, 3)
    (minimum,) = found(bowl, 0.5, 1)
    np.testing.assert_allclose(minimum.multipliers, [0.5, -0.5])
    assert minimum.attracting
    assert found(bowl, 0.5, 2) == ()
    assert found(catalogue.quadratic(), 2.0, 2, (-1, 1)) == ()  # all points are 2-periodic
    assert found(catalogue.quadratic(), 0, 1, (-1, 1)) == ()  # all points are fixed
    assert found(Objective("x", "x"), 0.5, 1, (-1, 1)) == ()  # none is


def test_multipliers_may_be_complex():
    f = Objective("x^2/2 + 2*y^2 + x*y^2 + x^3/3", "x y")
    (orbit,) = found(f, 0.7, 2, [(-3, 3)] * 2)
    assert orbit.multipliers.dtype == complex
    jacobians = np.eye(2) - 0.7 * f.hessian(orbit.points)
    np.testing.assert_allclose(
        np.sort_complex(orbit.multipliers),
        np.sort_complex(np.linalg.eigvals(jacobians[1] @ jacobians[0])),
        rtol=1e-12,
    )


def test_small_multipliers_keep_their_digits():
    orbits = [orbit for orbit in found(FACTORIZATION, 1.9, 6) if not on_diagonal(orbit)]
    for orbit in orbits:
        determinant = np.prod(np.linalg.det(np.eye(2) - 1.9 * FACTORIZATION.hessian(orbit.points)))
        assert np.prod(orbit.multipliers) == pytest.approx(determinant, rel=1e-11)
    # A product of diagonal matrices, whose eigenvalues are far apart.
    bowl = Objective("x^2/4 - 50*y^2 + z^2/20", "x y z")
    factors = multipliers(bowl, np.zeros((12, 3)), 1.0)
    np.testing.assert_allclose(factors, [101.0**12, 0.9**12, 0.5**12], rtol=1e-13)


def test_multipliers_where_hessians_are_not_finite_or_large():
    f = Objective("1/x + y^2", "x y")
    assert np.isnan(multipliers(f, [0.0, 1.0], 0.5)).all()
    steep = Objective("-10^200*x^2/2", "x")
    assert multipliers(steep, np.zeros((2, 1)), 1.0).tolist() == [np.inf]
    steep = Objective("-10^200*x^2/2 - y^2", "x y")
    assert multipliers(steep, np.zeros((2, 2)), 1.0)[0] == np.inf


def test_overflow_and_holes_in_the_domain_are_quiet():
    (minimum,) = found(Objective("exp(x^2)", "x"), 0.5, 1, (-100, 100))
    assert abs(minimum.points[0, 0]) < 1e-15
    orbits = found(Objective("x - log(x)", "x"), 0.5, 1, (-4, 4))
    assert [orbit.points[0, 0] for orbit in orbits] == pytest.approx([1])


def test_long_cycles():
    # In the window of period 64 the double well has one attracting orbit in each well.
    orbits = periodic_orbits(WELL, 1.30226, 128, (0, 2), starts=40)
    attracting = [orbit for orbit in orbits if orbit.attracting]
    assert len(attracting) == 1
    image = attracting[0].points - 1.30226 * WELL.gradient(attracting[0].points)
    assert np.abs(image - np.roll(attracting[0].points, -1, axis=0)).max() < 1e-14


@given(st.floats(0.05, 1.99), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_odd_maps_have_orbits_in_pairs(h, seed):
    orbits = found(WELL, h, 2, (-8, 8), rng=seed, starts=1000)
    points = np.array([orbit.points for orbit in orbits]).reshape(-1)
    np.testing.assert_allclose(np.sort(points), np.sort(-points), rtol=1e-9)


def test_the_source_of_starts_is_an_argument():
    one, two, three = (
        periodic_orbits(WELL, 1.9, 3, (-2, 2), rng)
        for rng in (7, np.random.default_rng(7), np.random.default_rng(8))
    )
    assert [o.points.tolist() for o in one] == [o.points.tolist() for o in two]
    for a, b in zip(one, three, strict=True):
        np.testing.assert_allclose(a.points, b.points, rtol=1e-13)


def test_the_window_bounds_all_points():
    assert len(found(WELL, 1.9, 2, (0, 2))) == 1
    assert len(found(WELL, 1.9, 2, (0, 1))) == 0  # one point of the cycle is outside
    assert len(found(WELL, 1.9, 2, [[0, 2]])) == 1
    assert len(found(WELL, 1.9, 1, (0, 1))) == 2  # both fixed points are on the edge


# Many digits


def test_fifty_digits():
    orbits = periodic_orbits(FACTORIZATION, Fraction(19, 10), 2, SQUARE, digits=50)
    assert len(orbits) == 4
    orbit = orbit_through_digits(orbits)
    with mpmath.workdps(60):
        h = mpmath.mpf(19) / 10
        low = (mpmath.sqrt(1 + 3 / h) - mpmath.sqrt(1 - 1 / h)) / 2
        assert orbit.points.shape == (2, 2) and orbit.multipliers.shape == (2,)
        for x in orbit.points[0]:
            assert abs(x - low) < mpmath.mpf(10) ** -50
        exact = [9 - 2 * (1 + h) ** 2, 3 - 2 * h]
        for multiplier, value in zip(orbit.multipliers, exact, strict=True):
            assert isinstance(multiplier, mpmath.mpf)
            assert abs(multiplier - value) < mpmath.mpf(10) ** -48
    assert not orbit.attracting


def orbit_through_digits(orbits):
    return next(orbit for orbit in orbits if abs(orbit.points[0, 0] - 0.4588314677411) < 1e-9)


def test_digits_are_those_of_the_numbers_as_given():
    exact, float_ = (
        periodic_orbits(WELL, h, 2, (0, 2), digits=30)[0].points[0, 0] for h in ("19/10", 1.9)
    )
    assert 1e-18 < abs(exact - float_) < 1e-15
    f = Objective("x^4/4 - a*x^2/2", "x", {"a": Fraction(1, 3)})
    orbit = periodic_orbits(f, 1, 1, (0.1, 2), digits=40)[0]
    with mpmath.workdps(50):
        assert abs(orbit.points[0, 0] - mpmath.sqrt(mpmath.mpf(1) / 3)) < mpmath.mpf(10) ** -40
    assert mpmath.mp.dps == 15  # the reader's precision is not touched


def test_digits_of_transcendental_and_complex_orbits():
    (orbit,) = periodic_orbits(catalogue.cosine(), "1/2", 1, (2, 4), digits=30)
    with mpmath.workdps(40):
        assert abs(orbit.points[0, 0] - mpmath.pi) < mpmath.mpf(10) ** -29
        assert abs(orbit.multipliers[0] - 0.5) < mpmath.mpf(10) ** -29
    f = Objective("x^2/2 + 2*y^2 + x*y^2 + x^3/3", "x y")
    (orbit,) = periodic_orbits(f, "7/10", 2, [(-3, 3)] * 2, digits=30)
    assert all(isinstance(multiplier, mpmath.mpc) for multiplier in orbit.multipliers)
    (double,) = found(f, 0.7, 2, [(-3, 3)] * 2)
    np.testing.assert_allclose(
        sorted(map(complex, orbit.multipliers), key=np.imag),
        sorted(double.multipliers, key=np.imag),
        rtol=1e-13,
    )


# What attracts


DOUBLINGS = [
    1.0,
    5**0.5 - 1,
    1.2880317544828,
    1.2992279396502,
    1.3016289140371,
    1.3021432715815,
    1.3022534377421,
    1.3022770322596,
    1.3022820854965,
    1.3022831677457,
]


def test_periods_of_the_double_well_beside_its_doublings():
    distances = np.diff(DOUBLINGS[:6], prepend=0.0)
    for share in (0.2, 1e-3, 1e-6):
        before = DOUBLINGS[:6] - share * distances
        after = DOUBLINGS[:6] + share * distances / 5
        assert attracting_period(WELL, 0.3, before).tolist() == [1, 2, 4, 8, 16, 32]
        assert attracting_period(WELL, 0.3, after).tolist() == [2, 4, 8, 16, 32, 64]
    assert attracting_period(WELL, 0.3, DOUBLINGS[6] + 1e-6, longest=128) == 128
    assert attracting_period(WELL, 0.3, DOUBLINGS[6] + 1e-6, longest=64) == 0
    assert attracting_period(WELL, 0.3, 1.0) == 1  # like 1/sqrt(k), but it converges


@pytest.mark.parametrize(
    "edge, before, after",
    [
        (1.393925027, 0, 5),
        (1.395792274, 5, 10),
        (1.45044096449, 0, 3),
        (1.46082867388, 3, 6),
        (1.547835039, 0, 4),
        (1.548831219, 4, 8),
        (1.699641532, 0, 6),
        (1.703653503, 6, 12),
        (2 * 2**0.5 - 1, 0, 4),
        (((13 + 369**0.5) / 4) ** 0.5 - 1, 4, 4),
        (1.8421164116, 4, 8),
    ],
)
def test_windows_of_the_double_well(edge, before, after):
    assert attracting_period(WELL, 0.3, [edge - 1e-7, edge + 1e-7]).tolist() == [before, after]


def test_a_pitchfork_ends_the_symmetric_four_cycle():
    edge = ((13 + 369**0.5) / 4) ** 0.5 - 1
    for h, symmetric in ((edge - 1e-4, True), (edge + 1e-4, False)):
        attracting = [o for o in periodic_orbits(WELL, h, 4, (-2, 2)) if o.attracting]
        assert len(attracting) == 1 if symmetric else 2
        points = attracting[0].points.ravel()
        assert (abs(np.sort(points) + np.sort(points)[::-1]).max() < 1e-9) == symmetric


@pytest.mark.parametrize(
    "h, period", [(0.7, 1), (1.1, 2), (1.25, 4), (1.455, 3), (1.7, 6), (1.833, 4), (1.9, 0)]
)
def test_periods_in_the_plane(h, period):
    assert attracting_period(FACTORIZATION, [1.2, 0.9], h) == period


def test_periods_agree_with_outcomes():
    rng = np.random.default_rng(2)
    rates = rng.uniform(0.05, 2.2, 60)
    periods = attracting_period(WELL, 0.3, rates)
    for h, period in zip(rates, periods, strict=True):
        outcome = gradient_descent(WELL, 0.3, h, 4000).outcome
        if outcome.label in ("converged", "periodic"):
            assert period == max(1, outcome.period)
        if outcome.label == "diverged":
            assert period == 0


def test_no_attractor_no_period():
    assert attracting_period(FACTORIZATION, [1.0, -1.0], 0.5) == 0  # rests on the saddle
    assert attracting_period(catalogue.quartic(), 2.0, 0.5) == 0  # rests on a repelling cycle
    assert attracting_period(catalogue.quadratic(), 1.0, 2.1) == 0
    assert attracting_period(Objective("exp(x^2)", "x"), 3.0, 1.0) == 0
    assert attracting_period(catalogue.rational_valley(), 2.0, 0.5) == 0  # leaves for infinity
    assert attracting_period(WELL, 0.3, []).shape == (0,)


def test_continua_attract_as_a_whole():
    assert attracting_period(FACTORIZATION, [2.0, 0.1], 0.3) == 1
    assert attracting_period(catalogue.quadratic(), 1.0, [2.0, 1.9999, 0.0]).tolist() == [2, 1, 1]
    assert attracting_period(WELL, 0.3, -0.1) == 1  # ascent, to the hill at 0


def test_feigenbaum():
    doublings = period_doublings(WELL, 0.3, (0.8, 1.4), count=10)
    np.testing.assert_allclose(doublings, DOUBLINGS, rtol=0, atol=1e-13)
    distances = np.diff(doublings)
    delta = distances[:-1] / distances[1:]
    np.testing.assert_allclose(
        delta, [4.54293, 4.64120, 4.66318, 4.66791, 4.66893, 4.66914, 4.66919, 4.66920], atol=6e-6
    )
    assert (np.abs(delta[5:] - 4.669201609102990) < 1e-4).all()


def test_doublings_elsewhere():
    np.testing.assert_allclose(  # the window of period 3, from its saddle-node on
        period_doublings(WELL, 0.3, (1.4505, 1.47), count=1), [1.46082867388], atol=1e-11
    )
    np.testing.assert_allclose(  # in two dimensions, beside a fast direction
        period_doublings(Objective("(x^2 - 1)^2/4 + y^2/4", "x y"), [0.3, 1.0], (0.8, 1.3), 3),
        DOUBLINGS[:3],
        atol=1e-13,
    )
    assert len(period_doublings(WELL, 0.3, (0.5, 1.1), count=5)) == 1
    assert len(period_doublings(WELL, 0.3, (0.5, 0.9), count=5)) == 0
    # On a parabola nothing takes over.
    assert period_doublings(catalogue.quadratic(), 1.0, (1.0, 3.0), 2) == pytest.approx([2.0])


# Arguments


@pytest.mark.parametrize(
    "error, message, arguments, options",
    [
        (TypeError, "objective must be", ("x^2", 1.0, 2, (-1, 1)), {}),
        (TypeError, "learning_rate must be", (WELL, None, 2, (-1, 1)), {}),
        (ValueError, "learning_rate must be finite", (WELL, np.nan, 2, (-1, 1)), {}),
        (ValueError, "learning_rate must be rational", (WELL, "x", 2, (-1, 1)), {"digits": 20}),
        (ValueError, "learning_rate must fit", (WELL, 10**400, 2, (-1, 1)), {"digits": 20}),
        (ValueError, "period must be a whole number, at least 1", (WELL, 1.0, 0, (-1, 1)), {}),
        (TypeError, "period must be a whole number", (WELL, 1.0, 1.5, (-1, 1)), {}),
        (ValueError, r"window must have shape \(1, 2\)", (WELL, 1.0, 2, [(-1, 1)] * 2), {}),
        (ValueError, r"window must have shape \(2, 2\)", (FACTORIZATION, 1.0, 2, (-1, 1)), {}),
        (ValueError, "window must be finite, from low to high", (WELL, 1.0, 2, (1, -1)), {}),
        (ValueError, "window must be finite", (WELL, 1.0, 2, (0, np.inf)), {}),
        (ValueError, "window must be finite", (WELL, 1.0, 2, (-1e308, 1e308)), {}),
        (ValueError, "window must be finite", (WELL, 1.0, 2, (0, 5e-324)), {}),
        (TypeError, "window must be real numbers", (WELL, 1.0, 2, None), {}),
        (TypeError, "rng must be", (WELL, 1.0, 2, (-1, 1), "seven"), {}),
        (TypeError, "rng must be", (WELL, 1.0, 2, (-1, 1), -1), {}),
        (ValueError, "starts must be", (WELL, 1.0, 2, (-1, 1)), {"starts": 0}),
        (ValueError, "digits must be", (WELL, 1.0, 2, (-1, 1)), {"digits": 0}),
    ],
)
def test_bad_input_to_periodic_orbits_is_named(error, message, arguments, options):
    with pytest.raises(error, match=message):
        periodic_orbits(*arguments, **options)


@pytest.mark.parametrize(
    "error, message, function, arguments",
    [
        (TypeError, "objective must be", multipliers, ("x", 0.0, 1.0)),
        (ValueError, "points must have 2 coord", multipliers, (FACTORIZATION, [1.0], 1.0)),
        (ValueError, "points must have shape", multipliers, (WELL, np.zeros((0, 1)), 1.0)),
        (ValueError, "points must have shape", multipliers, (WELL, np.zeros((2, 2, 1)), 1.0)),
        (TypeError, "learning_rate must be one number", multipliers, (WELL, 0.0, [1.0])),
        (TypeError, "objective must be", attracting_period, ("x", 0.0, 1.0)),
        (ValueError, "start must", attracting_period, (WELL, [0.0, 1.0], 1.0)),
        (ValueError, "start must be finite", attracting_period, (WELL, np.inf, 1.0)),
        (ValueError, "learning_rate must be finite", attracting_period, (WELL, 0.3, np.inf)),
        (ValueError, "learning_rate must be a num", attracting_period, (WELL, 0.3, [[1.0]])),
        (TypeError, "objective must be", period_doublings, ("x", 0.3, (0, 1), 1)),
        (ValueError, "learning_rates must be", period_doublings, (WELL, 0.3, (1, 0), 1)),
        (ValueError, "learning_rates must be", period_doublings, (WELL, 0.3, 1.0, 1)),
        (ValueError, "count must be", period_doublings, (WELL, 0.3, (0.5, 1), -1)),
        (ValueError, "start must fall on an iso", period_doublings, (WELL, 0.3, (1.9, 2), 1)),
        (ValueError, "start must fall on an iso", period_doublings, (WELL, 0.3, (1.0, 2), 1)),
        (
            ValueError,
            "start must fall on an isolated",
            period_doublings,
            (FACTORIZATION, [1.0, 0.5], (0.5, 1), 1),
        ),
    ],
)
def test_bad_input_is_named(error, message, function, arguments):
    with pytest.raises(error, match=message):
        function(*arguments)


def test_a_window_as_narrow_as_floats_allow():
    found = periodic_orbits(WELL, 0.5, 1, (-1e-307, 1e-307), starts=10)
    assert [abs(orbit.points).max() < 1e-300 for orbit in found] == [True]


def test_a_learning_rate_of_numpy_counts_exactly():
    points = [
        periodic_orbits(WELL, kind(1.5), 1, (0.5, 2), starts=20, digits=20)[0].multipliers[0]
        for kind in (float, np.float32, np.float64)
    ]
    assert points == [-2, -2, -2]


def test_bad_steps_are_named():
    with pytest.raises(ValueError, match="burn_in must be"):
        attracting_period(WELL, 0.3, 1.0, burn_in=-1)
    with pytest.raises(ValueError, match="longest must be"):
        attracting_period(WELL, 0.3, 1.0, longest=0)


def test_an_orbit_on_the_unit_circle_does_not_attract():
    assert not PeriodicOrbit(np.zeros((1, 1)), np.array([-1.0])).attracting
    assert not PeriodicOrbit(np.zeros((1, 2)), np.array([0.6 + 0.8j, 0.6 - 0.8j])).attracting
    assert PeriodicOrbit(np.zeros((1, 2)), np.array([0.6 + 0.7j, 0.6 - 0.7j])).attracting
