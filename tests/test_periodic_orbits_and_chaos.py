"""What the chapter on periodic orbits says, computed apart from its text."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import root

import gdbook as gd

FACTORIZATION = gd.catalogue.scalar_factorization()
WELL = gd.catalogue.double_well()
CRISIS = 3 * math.sqrt(3) / 2 - 1
DELTA = 4.669201609102990
X, H = sp.symbols("x h")
CUBIC = (1 + H) * X - H * X**3


def critical_point(h):
    return math.sqrt((1 + h) / (3 * h))


def cubic(x, h):
    return (1 + h) * x - h * x**3


# The model in the plane


@pytest.mark.parametrize("h", [0.3, 1.9])
def test_product_and_norm_make_a_map_of_their_own(h):
    points = np.random.default_rng(1).uniform(-1, 1, (500, 2))
    p, s = points.prod(axis=1), (points**2).sum(axis=1)
    for _ in range(5):
        points = points - h * FACTORIZATION.gradient(points)
        r = 1 - p
        p, s = p + h * r * s + h**2 * r**2 * p, s + 4 * h * r * p + h**2 * r**2 * s
        np.testing.assert_allclose(p, points.prod(axis=1), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(s, (points**2).sum(axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("h", [0.2, 1.0, 1.9])
def test_imbalance_shrinks_exactly_while_the_residual_is_small(h):
    points = np.random.default_rng(2).uniform(-3, 3, (5000, 2))
    after = points - h * FACTORIZATION.gradient(points)
    imbalance, later = points[:, 0] ** 2 - points[:, 1] ** 2, after[:, 0] ** 2 - after[:, 1] ** 2
    residual = np.abs(1 - points.prod(axis=1))
    clear = np.abs(residual - math.sqrt(2) / h) > 1e-6
    shrinks = np.abs(later) < np.abs(imbalance)
    np.testing.assert_array_equal(shrinks[clear], (residual < math.sqrt(2) / h)[clear])
    assert shrinks.any() and not shrinks.all()


@pytest.mark.parametrize("period", [2, 3, 4])
def test_cycles_off_both_diagonals_balance_shrinking_and_growing(period):
    orbits = gd.periodic_orbits(FACTORIZATION, 1.9, period, [(-2, 2)] * 2, starts=3000)
    products = {True: [], False: []}
    for orbit in orbits:
        x, y = orbit.points.T
        off = bool(np.abs(np.abs(x) - np.abs(y)).max() > 1e-9)
        products[off].append(np.prod(1 - (1.9 * (1 - x * y)) ** 2))
    np.testing.assert_allclose(products[True], 1, rtol=1e-9)
    assert (np.abs(np.subtract(products[False], 1)) > 0.1).all()
    assert len(products[True]) == {2: 0, 3: 8, 4: 18}[period]


def test_two_cycles_are_all_there_are():
    """The points of period 2 of the cubic map, factor by factor, exactly."""
    twice = sp.expand(CUBIC.subs(X, CUBIC) - X)
    factors = X * (X**2 - 1) * (H * X**2 - H - 2) * (H**2 * X**4 - H * (H + 1) * X**2 + 1) * H
    assert sp.expand(twice - factors) == 0


@pytest.mark.parametrize("h", [1.05, 1.2, 1.5, 1.95])
def test_exponents_of_the_two_cycle(h):
    low = (math.sqrt(1 + 3 / h) - math.sqrt(1 - 1 / h)) / 2
    high = 1 / (h * low)
    points = np.array([[low, low], [high, high]])
    expected = sorted([9 - 2 * (1 + h) ** 2, 3 - 2 * h], key=abs, reverse=True)
    found = gd.multipliers(FACTORIZATION, points, h)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    if h < math.sqrt(5) - 1:
        found = gd.lyapunov_exponents(FACTORIZATION, [0.3] * 2, h, 4000, 4000, subspace=[[1, 1]])
        assert found.tangential[0] == pytest.approx(math.log(abs(9 - 2 * (1 + h) ** 2)) / 2)
        assert found.transversal[0] == pytest.approx(math.log(abs(3 - 2 * h)) / 2)


def test_two_cycles_on_both_lines_at_one_point_nine():
    rim, corner = math.sqrt(1 + 2 / 1.9), math.sqrt(2 / 1.9 - 1)
    assert corner == pytest.approx(0.2294157, abs=5e-8)
    found = gd.multipliers(FACTORIZATION, [[rim, rim], [-rim, -rim]], 1.9)
    np.testing.assert_allclose(found, [77.44, 9], rtol=1e-12)
    found = gd.multipliers(FACTORIZATION, [[corner, -corner], [-corner, corner]], 1.9)
    np.testing.assert_allclose(found, [9, 1.44], rtol=1e-12)


def test_the_two_cycle_is_superstable_where_it_meets_the_critical_point():
    h = 3 / math.sqrt(2) - 1
    assert h == pytest.approx(1.12132, abs=5e-6)
    orbit = [critical_point(h)]
    for _ in range(2):
        orbit.append(cubic(orbit[-1], h))
    assert orbit[2] == pytest.approx(orbit[0], abs=1e-15) and orbit[1] != orbit[0]


# The frame of the cubic map


@pytest.mark.parametrize("h", np.linspace(0.05, 2.5, 50))
def test_the_interval_is_mapped_into_itself_up_to_two(h):
    end = math.sqrt(1 + 2 / h)
    peak = cubic(critical_point(h), h)
    assert (peak <= end * (1 + 1e-14)) == (h <= 2)
    # The same with the factorisation in the proof.
    assert 27 * (h + 2) - 4 * (1 + h) ** 3 == pytest.approx((2 - h) * (2 * h + 5) ** 2, abs=1e-9)


@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-4])
def test_wells_merge_at_the_crisis(distance):
    starts = np.linspace(0.05, 1.2, 200)
    below = gd.descend_many(WELL, starts, CRISIS - distance, 20_000, detect=False).points
    above = gd.descend_many(WELL, starts, CRISIS + distance, 20_000, detect=False).points
    assert (below > 0).all()
    assert 40 < (above < 0).sum() < 160


@pytest.mark.parametrize("h", [CRISIS + 1e-3, 1.7, 2.0, 2.5])
def test_beyond_the_crisis_orbits_cross_and_come_back(h):
    # Points just beyond b = sqrt(1 + 1/h) land just below 0, and 0 repels.
    x = math.sqrt(1 + 1 / h) + np.linspace(0, 1e-3, 200_001)[1:]
    crossed = back = np.zeros(len(x), dtype=bool)
    for _ in range(60):
        x = np.where(np.abs(x) < 2, cubic(x, h), x)
        crossed, back = crossed | (x < 0), back | (crossed & (x > 0) & (x < 2))
    assert crossed.all() and back.any()
    assert cubic(critical_point(h), h) > math.sqrt(1 + 1 / h)


def test_one_orbit_finds_what_attracts():
    """Singer: an attracting cycle attracts a critical point, so other starts find no other."""
    rates = np.linspace(1.31, 1.99, 69)
    some = gd.attracting_period(WELL, 0.3, rates)
    for h, period in zip(rates, some, strict=True):
        if period:
            assert gd.attracting_period(WELL, critical_point(h), h) == period
    assert (some > 0).sum() >= 3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_random_start_becomes_periodic(seed):
    starts = np.random.default_rng(seed).uniform(-2, 2, (20_000, 2))
    found = gd.descend_many(FACTORIZATION, starts, 1.9, 3000)
    assert found.counts["periodic"] == found.counts["converged"] == 0
    assert 2300 < found.counts["bounded"] < 2850
    ends = found.points[found.bounded]
    assert np.abs(ends[:, 0] - ends[:, 1]).max() < 1e-9
    assert len(np.unique(ends[:, 0].round(6))) > 0.9 * len(ends)


def test_random_starts_do_where_a_cycle_attracts():
    starts = np.random.default_rng(4).uniform(-2, 2, (3000, 2))
    for h, period in ((1.1, 2), (1.25, 4), (1.455, 3), (1.833, 4), (1.7, 6)):
        found = gd.descend_many(FACTORIZATION, starts, h, 20_000)
        assert found.counts["bounded"] == found.counts["converged"] == 0
        assert set(found.periods[found.periodic]) == {period}


# Two-cycles beside a minimum


@pytest.mark.parametrize("third, fourth", [(0, -6), (3, 2), (2, 4), (0, 6), (1, 9), (-1, 5)])
@pytest.mark.parametrize("second", [1.0, 2.5])
def test_two_cycles_beside_a_minimum(second, third, fourth):
    condition = 3 * third**2 - second * fourth
    size = 0.01

    def slope(x):
        return second * x + third * x**2 / 2 + fourth * x**3 / 6

    def error(v):
        middle, h = v
        x, y = middle + size, middle - size
        return x - h * slope(x) - y, y - h * slope(y) - x

    middle, h = root(error, (0, 2 / second), tol=1e-13).x
    x = middle + size * np.array([1, -1])
    multiplier = np.prod(1 - h * (second + third * x + fourth * x**2 / 2))
    leading = condition * size**2 / second**2
    assert h * second / 2 - 1 == pytest.approx(leading / 6, rel=5e-3)
    assert multiplier - 1 == pytest.approx(-4 * leading / 3, rel=5e-3)
    assert (h > 2 / second) == (abs(multiplier) < 1) == (condition > 0)


# Windows, doublings, periods


@pytest.mark.parametrize("h, solutions", [("1.4504409644", 3), ("1.4504409646", 15), ("2", 27)])
def test_birth_of_period_three_by_counting(h, solutions):
    iterate = sp.Poly(X, X)
    for _ in range(3):
        iterate = (1 + sp.Rational(h)) * iterate - sp.Rational(h) * iterate**3
    assert (iterate - sp.Poly(X, X)).count_roots() == solutions


def test_the_symmetric_four_cycle_in_closed_form():
    parting = math.sqrt((13 + math.sqrt(369)) / 4) - 1
    for h in np.linspace(2 * math.sqrt(2) - 1 + 1e-6, 2, 20):
        for sign in (-1, 1):
            w = (1 + h + sign * math.sqrt((1 + h) ** 2 - 8)) / 2
            t = (w + math.sqrt(w**2 + 4)) / 2
            x = math.sqrt((1 + h - t) / h)
            points = [x]
            for _ in range(3):
                points.append(cubic(points[-1], h))
            np.testing.assert_allclose(points[2:], [-points[0], -points[1]], rtol=1e-9)
            multiplier = (9 - 4 * (1 + h) ** 2 + 6 * (1 + h) * w) ** 2
            (found,) = gd.multipliers(WELL, np.reshape(points, (4, 1)), h)
            assert found == pytest.approx(multiplier, rel=1e-8, abs=1e-9)
            assert (found < 1) == (sign == -1 and h < parting)


def test_sharkovskii_order_of_appearance():
    """Periods that 3 forces are there before it, and those that force more are not."""
    counts = {
        h: {p: len(gd.periodic_orbits(WELL, h, p, (0, 2), starts=2000)) for p in (2, 3, 4, 5, 6)}
        for h in (1.29, 1.34, 1.40, 1.46)
    }
    present = {h: {p for p, count in found.items() if count} for h, found in counts.items()}
    assert present == {1.29: {2, 4}, 1.34: {2, 4, 6}, 1.40: {2, 4, 5, 6}, 1.46: {2, 3, 4, 5, 6}}


def test_the_same_ratio_for_the_logistic_map():
    """On x^2/2 + x^3/3 a step is conjugate to the logistic map with parameter 1 + h."""
    doublings = gd.period_doublings(gd.catalogue.quadratic_plus_cubic(), 0.1, (1.5, 2.6), count=8)
    np.testing.assert_allclose(
        doublings[:4], [2, math.sqrt(6), 2.5440903595519, 2.5644072660954], atol=1e-11
    )
    distances = np.diff(doublings)
    assert abs((distances[:-1] / distances[1:])[-1] - DELTA) < 1e-3


# h = 2


def test_orbits_at_two_are_cosines():
    angle = np.linspace(0.1, 3.0, 57)
    x = math.sqrt(2) * np.cos(angle)
    for k in range(13):
        exact = (-1) ** k * math.sqrt(2) * np.cos(3**k * angle)
        np.testing.assert_allclose(x, exact, atol=1e-14 * 3 ** (k + 2))
        x = cubic(x, 2.0)


def test_exponents_at_two_are_integrals_over_the_angle():
    def across(t):
        return math.log(abs(1 + 2 * math.cos(2 * t))) / math.pi

    zeros = [math.pi / 3, 2 * math.pi / 3]
    mean = quad(across, 0, math.pi, points=zeros, limit=200)[0]
    assert abs(mean) < 1e-9
    starts = np.linspace(0.1, 1.3, 64)[:, np.newaxis] * np.ones(2)
    found = gd.lyapunov_exponents(FACTORIZATION, starts, 2.0, 20_000, 100, subspace=[[1, 1]])
    difference = found.tangential - found.transversal
    np.testing.assert_allclose(difference, math.log(3), atol=1e-10)
    assert abs(found.tangential.mean() - math.log(3)) < 2e-3


@pytest.mark.parametrize("h", [1.35, 1.5, 1.6, 1.8, 1.9, 1.99])
def test_the_diagonal_attracts_below_two(h):
    starts = np.linspace(0.2, 0.4, 64)[:, np.newaxis] * np.ones(2)
    found = gd.lyapunov_exponents(FACTORIZATION, starts, h, 20_000, 1000, subspace=[[1, 1]])
    assert found.tangential.mean() > 0.25 and found.transversal.max() < -0.04
