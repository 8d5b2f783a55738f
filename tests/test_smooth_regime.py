"""The claims of the chapter on the smooth regime, computed apart from its text."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

import gdbook as gd

CHAPTER = Path(__file__).parent.parent / "chapters" / "smooth-regime.md"
RHO = 1 + math.sqrt(2)


def worst_case(step, count):
    """Exact worst case of f(x_N) - f* over convex 1-smooth functions at distance 1 (Kim 2024)."""
    return max(1 / (2 * count * step + 1), (1 - step) ** (2 * count)) / 2


def best_constant(count):
    return brentq(lambda h: 1 / (2 * count * h + 1) - (1 - h) ** (2 * count), 1, 2, xtol=1e-15)


@pytest.fixture(scope="module")
def text():
    return CHAPTER.read_text(encoding="utf-8")


def test_smoothness_of_powers():
    points = np.array([[-3.0], [0.0], [5.0]])
    np.testing.assert_array_equal(gd.Objective("x**2", "x").sharpness(points), 2)
    np.testing.assert_array_equal(gd.Objective("x**4", "x").sharpness(points), [108, 0, 300])


def test_scalar_factorization_is_neither_convex_nor_smooth():
    objective = gd.catalogue.scalar_factorization()
    assert np.linalg.det(objective.hessian([0.0, 0.0])) == pytest.approx(-1)
    for x in (1.0, 10.0, 1000.0):
        assert objective.sharpness([x, 1 / x]) == pytest.approx(x**2 + x**-2)


@pytest.mark.parametrize("seed", range(20))
def test_descent_lemma_on_sums_of_cosines(seed):
    rng = np.random.default_rng(seed)
    amplitudes, frequencies, phases = rng.normal(size=(3, 100, 5, 1))
    smoothness = (np.abs(amplitudes) * frequencies**2).sum(1)
    rate = rng.uniform(0, 2, (100, 1)) / smoothness

    def value(x):
        return (amplitudes * np.cos(frequencies * x[:, None] + phases)).sum(1)

    def slope(x):
        return -(amplitudes * frequencies * np.sin(frequencies * x[:, None] + phases)).sum(1)

    x = rng.normal(size=(100, 1))
    for _ in range(20):
        after = x - rate * slope(x)
        promised = value(x) - rate * (1 - smoothness * rate / 2) * slope(x) ** 2
        assert np.all(value(after) <= promised + 1e-13)
        x = after


@pytest.mark.parametrize("step", [0.01, 0.19, 0.21, 3.0])
def test_expansion_of_one_step_is_exact_for_quadratics(step):
    bowl, x = gd.catalogue.quadratic_bowl(1.0, 10.0), np.array([0.7, -1.3])
    gradient, hessian = bowl.gradient(x), bowl.hessian(x)
    change = -step * gradient @ gradient + step**2 / 2 * gradient @ hessian @ gradient
    assert bowl.value(x - step * gradient) - bowl.value(x) == pytest.approx(change, rel=1e-12)


def test_index_of_the_sum_of_squared_gradients():
    orbit = gd.gradient_descent(gd.catalogue.cosine(), 0.1, 0.5, 1)
    right, shifted = np.sin(orbit.points[:, 0]) ** 2
    bound = (orbit.values[0] - orbit.values[1]) / (0.5 * (1 - 0.25))
    assert [right, shifted, bound] == pytest.approx(
        [0.00996671, 0.022307148, 0.016588384], abs=1e-8
    )


def test_sum_of_squared_gradients_is_bounded_for_every_length():
    orbit = gd.gradient_descent(gd.catalogue.cosine(), 0.1, 1.7, 200)
    sums = np.cumsum(np.sin(orbit.points[:-1, 0]) ** 2)
    bounds = (orbit.values[0] - orbit.values[1:]) / (1.7 * (1 - 1.7 / 2))
    assert np.all(sums <= bounds + 1e-12)


def test_gradient_vanishes_and_the_orbit_runs_away():
    valley = gd.catalogue.rational_valley()
    grid = np.linspace(0, 3, 300001)[:, np.newaxis]
    smoothness = np.abs(valley.hessian(grid)[:, 0, 0])
    assert smoothness.max() == pytest.approx(2.5225425, abs=1e-6)
    assert grid[smoothness.argmax(), 0] == pytest.approx(0.85238, abs=1e-5)
    orbit = gd.gradient_descent(valley, 2.0, 0.5, 10_000)
    assert orbit.points[-1, 0] == pytest.approx(14.14246, abs=1e-5)
    assert orbit.points[-1, 0] == pytest.approx((8 * 0.5 * 10_000) ** 0.25, rel=1e-4)
    assert abs(valley.gradient(orbit.points[-1])[0]) < 1e-3


def test_convex_orbits_approach_every_minimiser():
    # Flat between -1 and 1: every point there is a minimiser.
    trough = gd.Objective("Piecewise(((x-1)**2/2, x > 1), ((x+1)**2/2, x < -1), (0, True))", "x")
    points = gd.gradient_descent(trough, 4.0, 1.9, 100).points[:, 0]
    for minimiser in (-1.0, 0.0, 1.0):
        assert np.all(np.diff(np.abs(points - minimiser)) <= 0)
    assert -1 <= points[-1] <= 1


@pytest.mark.parametrize(
    ("rate", "sign_changes"),
    [(0.1, 0), (0.9, 0), (1.0, 0), (1.1, 50), (1.5, 50), (1.9, 50), (2.0, 50)],
)
def test_regimes_of_the_parabola(rate, sign_changes):
    orbit = gd.gradient_descent(gd.catalogue.quadratic(), 1.0, rate, 50)
    x = orbit.points[:, 0]
    np.testing.assert_allclose(x, (1 - rate) ** np.arange(51), rtol=1e-12)
    assert np.sum(x[1:] * x[:-1] < 0) == sign_changes
    assert np.all(np.diff(orbit.values) <= 0)


def test_edges_of_the_parabola():
    last = {
        rate: abs(gd.gradient_descent(gd.catalogue.quadratic(), 1.0, rate, 50).points[-1, 0])
        for rate in (0.1, 1.9, 2.1)
    }
    assert last[0.1] == pytest.approx(5.15378e-3, abs=1e-8)
    assert last[1.9] == pytest.approx(last[0.1], rel=1e-12)
    assert last[2.1] == pytest.approx(117.39, abs=0.005)
    outcome = gd.gradient_descent(gd.catalogue.quadratic(), 1.0, 2.0, 200).outcome
    assert (outcome.label, outcome.period) == ("periodic", 2)


def test_below_one_over_smoothness_orbits_are_monotone():
    rng = np.random.default_rng(4)
    for start in rng.uniform(-3, 3, 20):
        differences = np.diff(
            gd.gradient_descent(gd.catalogue.cosine(), start, 0.99, 60).points[:, 0]
        )
        assert np.all(differences >= 0) or np.all(differences <= 0)
    x = gd.gradient_descent(gd.catalogue.cosine(), 3.0, 1.5, 10).points[:, 0]
    assert np.all(np.diff(np.sign(x - np.pi)) != 0)


@pytest.mark.parametrize("kappa", [2.0, 10.0, 1000.0])
def test_best_constant_step_for_known_curvatures(kappa):
    rates = np.linspace(0, 2 / kappa, 200_001)
    factor = np.maximum(np.abs(1 - rates), np.abs(1 - rates * kappa))
    assert factor.min() == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-4)
    assert rates[factor.argmin()] == pytest.approx(2 / (1 + kappa), abs=2e-5)


def test_quadratic_diverges_only_along_steep_directions():
    bowl = gd.catalogue.quadratic_bowl(1.0, 10.0)
    assert gd.gradient_descent(bowl, (1.0, 0.0), 0.25, 300).outcome.label == "converged"
    assert gd.gradient_descent(bowl, (1.0, 1e-12), 0.25, 300).outcome.label == "diverged"


@pytest.mark.parametrize("rate", [0.05, 0.3, 2.0])
def test_threshold_of_the_quartic(rate):
    critical = math.sqrt(2 / rate)
    below = gd.gradient_descent(gd.catalogue.quartic(), 0.999 * critical, rate, 2000)
    assert np.all(np.diff(below.values) <= 0)
    assert abs(below.points[-1, 0]) == pytest.approx((2 * rate * 2000) ** -0.5, rel=0.01)
    above = gd.gradient_descent(gd.catalogue.quartic(), 1.001 * critical, rate, 50)
    assert above.outcome.label == "diverged"
    assert above.outcome.step <= 10


def test_equality_case_of_the_quartic():
    exact = gd.gradient_descent(gd.catalogue.quartic(), 2.0, 0.5, 500)
    np.testing.assert_array_equal(exact.points[:, 0], 2.0 * (-1.0) ** np.arange(501))
    critical = math.sqrt(20)
    sizes = np.abs(gd.gradient_descent(gd.catalogue.quartic(), critical, 0.1, 60).points[:, 0])
    leaves = np.argmax(~(np.abs(sizes / critical - 1) <= 0.01))
    assert 18 <= leaves <= 30


def test_sublevel_set_is_enough():
    well = gd.catalogue.double_well()
    for start in (-1.4, 0.3, 1.4):
        inside = np.linspace(-1.4, 1.4, 2001)[:, np.newaxis]
        inside = inside[well.value(inside) <= well.value([start]) + 1e-15]
        rate = 1.99 / np.abs(well.hessian(inside)).max()
        orbit = gd.gradient_descent(well, start, rate, 200)
        assert np.all(np.diff(orbit.values) <= 1e-16)


def test_relaxed_smoothness_of_the_quartic():
    slope, x = sp.symbols("L_1 x", positive=True)
    peak = sp.solve(sp.diff(3 * x**2 - slope * x**3, x), x)[0]
    assert sp.simplify((3 * x**2 - slope * x**3).subs(x, peak) - 4 / slope**2) == 0
    point = 100.0
    for _ in range(500):
        gradient = point**3
        rate = 1 / (math.e * (4 + abs(gradient)))
        after = point - rate * gradient
        assert after**4 / 4 <= point**4 / 4 - rate * gradient**2 / 2
        point = after


@pytest.mark.parametrize(
    ("step", "count", "value"),
    [(1.0, 10, 0.0238095238), (0.5, 10, 0.0454545455), (1.0, 50, 0.0049504950)],
)
def test_huber_attains_the_worst_case(step, count, value):
    huber = gd.catalogue.huber(1 / (2 * step * count + 1))
    last = gd.gradient_descent(huber, 1.0, step, count).values[-1]
    assert last == pytest.approx(worst_case(step, count), abs=5e-16)
    assert last == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize(
    ("count", "step"),
    [
        (1, 1.5),
        (2, 1.605830),
        (5, 1.747054),
        (7, 1.7921779),
        (10, 1.834053),
        (50, 1.948594),
        (100, 1.970547),
    ],
)
def test_best_constant_step_of_convex_functions(count, step):
    assert best_constant(count) == pytest.approx(step, abs=5e-7)
    values = [worst_case(h, count) for h in np.linspace(0.01, 1.99, 500)]
    assert worst_case(best_constant(count), count) <= min(values)


def test_one_step_guarantees_an_eighth():
    assert worst_case(1.5, 1) == pytest.approx(1 / 8, abs=1e-15)


@pytest.mark.parametrize("k", range(1, 11))
def test_silver_schedule(k):
    steps = gd.silver_learning_rates(2**k - 1)
    assert steps.sum() == pytest.approx(RHO**k - 1, rel=1e-12)
    np.testing.assert_allclose(steps, steps[::-1])
    if k > 1:
        assert steps.max() == pytest.approx(1 + RHO ** (k - 2), rel=1e-12)


@pytest.mark.parametrize(
    ("k", "bound", "measured", "one", "best"),
    [
        (3, 0.034378, 0.018422, 0.033333, 0.019164),
        (5, 0.0060600, 0.0030670, 0.0079365, 0.004153),
        (8, 4.3309e-4, 2.1673e-4, 9.7847e-4, 4.9303e-4),
    ],
)
def test_silver_guarantee_against_constant_steps(k, bound, measured, one, best):
    n = 2**k - 1
    steps = gd.silver_learning_rates(n)
    huber = gd.catalogue.huber(1 / (2 * steps.sum() + 1))
    found = [
        1 / (1 + math.sqrt(4 * RHO ** (2 * k) - 3)),
        gd.gradient_descent(huber, 1.0, steps).values[-1],
        worst_case(1.0, n),
        worst_case(best_constant(n), n),
    ]
    assert found == pytest.approx([bound, measured, one, best], rel=1.5e-4)


def test_silver_guarantee_overtakes_the_best_constant_step_at_eight():
    bounds = {k: 1 / (1 + math.sqrt(4 * RHO ** (2 * k) - 3)) for k in range(1, 13)}
    constants = {k: worst_case(best_constant(2**k - 1), 2**k - 1) for k in range(1, 13)}
    assert [k for k in bounds if bounds[k] < constants[k]] == [8, 9, 10, 11, 12]


@pytest.mark.parametrize("seed", range(5))
def test_silver_guarantee_holds_on_random_convex_functions(seed):
    rng = np.random.default_rng(seed)
    curvatures = rng.uniform(0, 1, 20)
    start = rng.normal(size=20)
    x = start
    for step in gd.silver_learning_rates(63):
        x = x - step * curvatures * x
    bound = start @ start / (1 + math.sqrt(4 * RHO**12 - 3))
    assert (curvatures * x**2).sum() / 2 <= bound


def test_exponents():
    assert math.log2(RHO) == pytest.approx(1.2716, abs=5e-5)
    anytime = 2 * math.log2(RHO) / (1 + math.log2(RHO))
    assert anytime == pytest.approx(1.1195452, abs=1e-7)
    assert math.log(2, RHO) == pytest.approx(0.7864397, abs=1e-7)


@pytest.mark.parametrize(("count", "kappa"), [(1, 5.0), (4, 30.0), (16, 100.0)])
def test_chebyshev_steps(count, kappa):
    angles = (np.arange(count) + 0.5) * np.pi / count
    steps = 2 / (kappa + 1 + (kappa - 1) * np.cos(angles))
    curvatures = np.linspace(1, kappa, 20_001)
    residual = np.abs(np.prod(1 - np.outer(steps, curvatures), axis=0)).max()
    best = 1 / np.polynomial.Chebyshev.basis(count)((kappa + 1) / (kappa - 1))
    assert residual == pytest.approx(best, rel=1e-9)
    root = math.sqrt(kappa)
    assert best <= 2 * ((root - 1) / (root + 1)) ** count
    assert best <= ((kappa - 1) / (kappa + 1)) ** count + 1e-15


def test_preimage_of_the_saddle():
    wells = gd.Objective("(x**2 - 1)**2/4 + y**2/2", "x y")
    assert np.abs(gd.gradient_descent(wells, (2.0, 1.0), 1 / 3, 200).points[-1]).max() < 1e-15
    nearby = gd.gradient_descent(wells, (2.0 + 1e-6, 1.0), 1 / 3, 200).points[-1]
    assert abs(nearby[0]) == pytest.approx(1, abs=1e-8)


def test_beyond_the_edge_the_double_well_has_a_two_cycle():
    outcome = gd.gradient_descent(gd.catalogue.double_well(), 0.5, 1.1, 2000).outcome
    assert (outcome.label, outcome.period) == ("periodic", 2)


def test_glued_names_are_used_and_used_names_are_glued(text):
    used = set(re.findall(r"\{glue:text\}`([^`:]+)", text))
    glued = set(re.findall(r"glue\(\"([^\"]+)\"", text))
    families = {f"best-{n}-{w}" for n in (1, 2, 5, 10, 50, 100) for w in ("step", "value", "one")}
    families |= {f"silver-{k}-{w}" for k in (3, 5, 8) for w in ("bound", "huber", "one", "best")}
    families |= {
        f"regime-{h}-{w}"
        for h in (0.1, 1.0, 1.1, 1.5, 1.9, 2.0, 2.1)
        for w in ("changes", "falls", "last")
    }
    assert used == glued | families
