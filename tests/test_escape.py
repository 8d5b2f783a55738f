"""Escape from sharp minima: what is known exactly, and bounds that no simulation violates."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbook as gd
from gdbook import catalogue, escape

LINE, PLANE = catalogue.sharp_and_flat_1d(), catalogue.sharp_and_flat_2d()
PIT = 1.4704874306
MINIMA = {"flat": [0.0], "sharp": [2.5], "plateau": "(x > 8.4) & (x < 8.6)"}
numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 0.1)


def bowl(a, b, angle):
    """A quadratic with the eigenvalues a and b, and its minimum (1, -2)."""
    c, s = math.cos(angle), math.sin(angle)
    p = {"a": a, "b": b, "c": c, "s": s}
    return gd.Objective("(a*(c*(x-1) + s*(y+2))^2 + b*(c*(y+2) - s*(x-1))^2)/2", "x y", p)


# Stability


def test_thresholds_of_the_two_objectives():
    assert escape.stability_threshold(LINE, 0) == 0.05
    assert escape.stability_threshold(LINE, [2.5]) == pytest.approx(9.80392e-4, rel=1e-5)
    assert escape.stability_threshold(LINE, 8.5) == math.inf
    assert escape.stability_threshold(PLANE, [0, 0]) == 1
    for signs in [(1, 1), (1, -1), (-1, 1), (-1, -1)]:
        at_pit = escape.stability_threshold(PLANE, PIT * np.array(signs))
        assert at_pit == pytest.approx(0.0195411, rel=1e-5)


def test_a_minimum_with_six_digits_is_enough():
    exact = escape.stability_threshold(PLANE, [PIT, PIT])
    assert escape.stability_threshold(PLANE, [1.470487, 1.470487]) == pytest.approx(
        exact, rel=1e-12
    )
    # on a curve of minima the nearest is found, and the direction along the curve is not followed
    valley = catalogue.scalar_factorization()
    found = escape.stability_threshold(valley, [4.000001, 0.25])
    assert found == pytest.approx(2 / 16.0625, rel=1e-5)


@given(st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0, 3))
@settings(max_examples=25, deadline=None)
def test_quadratics_have_one_constant_each(a, b, angle):
    f, centre = bowl(a, b, angle), [1.0, -2.0]
    low, high = min(a, b), max(a, b)
    assert escape.stability_threshold(f, centre) == pytest.approx(2 / high, rel=1e-9)
    limits = [(0, 2.5), (-4, -1)]
    assert escape.one_point_convexity(f, centre, limits, 100) == pytest.approx(low, rel=1e-7)
    assert escape.smoothness(f, limits, 100) == pytest.approx(high, rel=1e-9)


@pytest.mark.parametrize(
    "objective, point, message",
    [
        (catalogue.double_well(), 0.0, "must be a minimum, not 0.0: .* eigenvalue -1"),
        (catalogue.scalar_factorization(), [0.0, 0.0], "must be a minimum, .* eigenvalue -1"),
        (catalogue.double_well(), 0.9, r"given to six digits, not 0.9: the gradient is \[-0.17"),
        (LINE, 8.400005, r"six digits, not 8.400005: the gradient is \[-141120000.0\]"),
        (gd.Objective("log(x)", "x"), 0.0, r"finite gradient and Hessian, not 0\.0"),
        (gd.Objective("x", "x"), 0.0, "zero nowhere near"),
        (LINE, math.nan, "minimum must be finite"),
        (LINE, [1.0, 2.0], "minimum must have 1 coordinates"),
        (PLANE, 0.0, "minimum must have 2 coordinates"),
    ],
)
def test_what_is_no_minimum(objective, point, message):
    with pytest.raises(ValueError, match=message):
        escape.stability_threshold(objective, point)


# One-point convexity and smoothness


@pytest.mark.parametrize("side, constant", [(0.46, 21.888), (0.45, 69), (0.4, 312), (0.3, 816)])
def test_one_point_convexity_around_the_sharp_minimum(side, constant):
    # f'(x) / u = 2040 + 2400 u - 8000 u^2 - 8000 u^3 with u = x - 5/2, lowest at the left end
    found = escape.one_point_convexity(LINE, 2.5, (2.5 - side, 2.5 + side))
    assert found == pytest.approx(constant, rel=1e-9)
    u = Fraction(-side).limit_denominator(100)
    assert float(2040 + 2400 * u - 8000 * u**2 - 8000 * u**3) == pytest.approx(constant)


def test_smoothness_of_the_dent():
    assert escape.smoothness(LINE, (2, 3)) == pytest.approx(5560, rel=1e-12)
    # inside, where f'''' = 0: u solves 4800 - 48000 u - 96000 u^2 = 0
    u = (-48000 + math.sqrt(48000**2 + 4 * 96000 * 4800)) / (2 * 96000)
    inside = 2040 + 4800 * u - 24000 * u**2 - 32000 * u**3
    assert escape.smoothness(LINE, (2.2, 2.8), 10) == pytest.approx(inside, rel=1e-12)
    assert escape.smoothness(LINE, (3.1, 8)) == pytest.approx(40, rel=1e-12)


def test_smoothness_in_a_pit_of_the_plane():
    # f = x^2 + y^2 - 200 A(x) A(y), A(x) = (x - 1)(2 - x): at a corner with A and A' the largest
    # eigenvalue is 2 + 400 A + 200 A'^2
    for low, high in [(1.3, 1.6), (1.0001, 1.9999)]:
        corners = [(2 + 400 * (x - 1) * (2 - x) + 200 * (3 - 2 * x) ** 2) for x in (low, high)]
        assert escape.smoothness(PLANE, (low, high)) == pytest.approx(max(corners), rel=1e-12)


def test_what_a_grid_alone_would_miss():
    # walls of the width 1e-5 between neighbours at a distance of 1.5e-3, slope / distance from 0
    walls = escape.one_point_convexity(LINE, 0, (-12, 12))
    assert walls == pytest.approx(-1.4112e8 / 8.4, rel=1e-9)
    for limits in [(8, 9), (-12, 12)]:
        assert escape.smoothness(LINE, limits) == math.inf
    assert escape.smoothness(catalogue.sharp_and_flat_1d(printed=True), (8, 9)) == math.inf
    # a crease rounded at the width 1e-6 is steep, but does not jump
    rounded = gd.Objective(
        "Piecewise((x^2/w/2, Abs(x) <= w), (Abs(x) - w/2, True))", "x", {"w": 1e-6}
    )
    assert escape.smoothness(rounded, (-1, 1.7)) == pytest.approx(1e6, rel=1e-12)


def test_gradients_that_jump_at_a_crease_only():
    assert escape.smoothness(PLANE, (-4, 4)) == math.inf
    assert escape.smoothness(PLANE, (1, 2)) == math.inf
    assert escape.smoothness(catalogue.huber(), (-3, 3)) == 1
    assert escape.smoothness(gd.Objective("Abs(x)", "x"), (-1, 1.7)) == math.inf
    assert escape.smoothness(gd.Objective("3*x + 1", "x"), (-1, 1)) == 0
    assert escape.smoothness(gd.Objective("1e9*x + x^2/2", "x"), (-1, 1)) == 1


def test_smoothness_of_the_rational_valley():
    assert escape.smoothness(catalogue.rational_valley(), (-3, 3)) == pytest.approx(2.5225425, 1e-7)
    assert escape.smoothness(catalogue.quartic(), (-1, 2)) == 12


def test_the_minimum_may_be_outside_of_the_box():
    assert escape.one_point_convexity(LINE, 0, (3.1, 8)) == pytest.approx(40, rel=1e-12)
    f = catalogue.double_well()  # f'(x) / (x - 1) = x (x + 1)
    assert escape.one_point_convexity(f, 1, (-1, 0.9)) == pytest.approx(-0.25, rel=1e-12)
    assert escape.one_point_convexity(f, 1, (0.5, 3)) == pytest.approx(0.75, rel=1e-12)
    # near to the minimum the quotient tends to the Hessian's smallest eigenvalue
    assert escape.one_point_convexity(f, 1, (1, 3)) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize(
    "objective, minimum, limits",
    [
        (LINE, [2.5], (2.1, 2.9)),
        (PLANE, [PIT, PIT], [(1.3, 1.6), (1.35, 1.65)]),
        (catalogue.cosine(), [math.pi], (1, 5)),
    ],
)
def test_both_constants_bound_every_step(objective, minimum, limits):
    mu = escape.one_point_convexity(objective, minimum, limits)
    L = escape.smoothness(objective, limits)
    low, high = np.broadcast_to(limits, (objective.dimension, 2)).T
    x = np.random.default_rng(0).uniform(low, high, (20_000, objective.dimension))
    y = np.random.default_rng(1).uniform(low, high, x.shape)
    gradient, change = objective.gradient(x), objective.gradient(x) - objective.gradient(y)
    slack = 1 + 1e-9
    assert (np.linalg.norm(change, axis=1) <= L * np.linalg.norm(x - y, axis=1) * slack).all()
    away = x - minimum
    square = (away**2).sum(axis=1)
    assert ((gradient * away).sum(axis=1) * slack >= mu * square).all()
    for rate in mu / L**2 * np.array([0.3, 1, 2]):
        after = ((away - rate * gradient) ** 2).sum(axis=1)
        assert (after <= (1 - 2 * rate * mu + (rate * L) ** 2) * square * slack).all()
    # they are the best ones
    assert ((gradient * away).sum(axis=1) / square).min() < mu * 1.02
    assert np.abs(np.linalg.eigvalsh(objective.hessian(x))).max() > L * 0.98


@pytest.mark.parametrize("function", [escape.one_point_convexity, escape.smoothness])
@pytest.mark.parametrize(
    "limits, error, message",
    [
        ((1, 0), ValueError, r"limits must be 1 pair \(low, high\) .* not \(1, 0\)"),
        ((1, 1), ValueError, "low < high"),
        ((0, math.inf), ValueError, "finite numbers"),
        ((-1e308, 1e308), ValueError, "finite numbers"),
        ((0, math.nan), ValueError, "low < high"),
        ((0, 1, 2, 3), ValueError, "limits must be 1 pair"),
        ([(0, 1), (0, 1)], ValueError, "limits must be 1 pair"),
        ("wide", TypeError, "limits must be real numbers"),
        (None, TypeError, "limits must be real numbers"),
        ([], ValueError, "limits must be 1 pair"),
    ],
)
def test_limits_that_are_no_box(function, limits, error, message):
    arguments = (LINE, 2.5, limits) if function is escape.one_point_convexity else (LINE, limits)
    with pytest.raises(error, match=message):
        function(*arguments)


def test_objectives_that_cannot_be_searched():
    log = gd.Objective("x^2*log(x)", "x")
    with pytest.raises(ValueError, match=r"gradient is finite: at \[-1.0\] it is \[nan\]"):
        escape.smoothness(log, (-1, 1))
    with pytest.raises(ValueError, match="limits must be a box in which the gradient is finite"):
        escape.one_point_convexity(log, math.exp(-0.5), (-1, 1))
    many = gd.Objective("a^2 + b^2 + c^2 + d^2 + e^2 + u^2 + v^2", "a b c d e u v")
    with pytest.raises(ValueError, match=r"at most 6 variables, .* not 7"):
        escape.smoothness(many, (-1, 1))
    with pytest.raises(ValueError, match=r"samples must be .* at least 2, not 1"):
        escape.smoothness(LINE, (0, 1), samples=1)
    with pytest.raises(ValueError, match=r"samples must be at most 4194304, not 10+$"):
        escape.smoothness(LINE, (0, 1), samples=10**400)
    with pytest.raises(TypeError, match=r"minimum must be real numbers, not \[\[1, 2\], 3\]"):
        escape.stability_threshold(LINE, [[1, 2], 3])
    for function in (escape.smoothness, escape.stability_threshold):
        with pytest.raises(TypeError, match=r"objective must be a gdbook.Objective, not NoneType"):
            function(None, [0.0])
    with pytest.raises(TypeError, match=r"objective must be a gdbook.Objective, not str"):
        escape.one_point_convexity("x^2", [0.0], (-1, 1))


# Selection


def test_a_parabola_selects_by_its_threshold():
    found = escape.selection_map(
        catalogue.quadratic(4), [[-1.0], [2.0]], [0.1, 0.49, 0.5, 0.51], {"origin": [0.0]}
    )
    assert found.reached.tolist() == [[0, 0], [0, 0], [-1, -1], [-2, -2]]
    assert found.names == ("origin",)
    assert found.starts.shape == (2, 1) and found.learning_rates.shape == (4,)
    assert list(found.shares) == ["origin", "no convergence", "diverged"]
    assert found.shares["no convergence"].tolist() == [0, 0, 1, 0]
    assert found.shares["diverged"].tolist() == [0, 0, 0, 1]


def test_a_limit_that_is_no_target_counts_as_no_convergence():
    found = escape.selection_map(catalogue.double_well(), [-0.5, 0.5], [0.3], {"right": "x > 0"})
    assert found.reached.tolist() == [[-1, 0]]


def test_the_first_target_that_holds_counts():
    both = {"positive": "x > 0", "one": [1.0]}
    found = escape.selection_map(catalogue.double_well(), [0.5], [0.3], both)
    assert found.reached.tolist() == [[0]]
    assert found.shares["one"].tolist() == [0]


def test_starts_in_all_forms_give_the_same_map():
    rates, wells = [0.3, 0.9], {"left": [-1.0], "right": [1.0]}
    grid = gd.Grid((-2, 2), 9)
    forms = [grid, grid.points, grid.points[:, 0], grid.points[:, 0].tolist()]
    maps = [escape.selection_map(catalogue.double_well(), s, rates, wells, 50) for s in forms]
    for other in maps[1:]:
        assert np.array_equal(other.reached, maps[0].reached)
        assert np.array_equal(other.starts, grid.points)
    plane = gd.Grid([(1, 2), (3, 4)], (3, 2))
    found = escape.selection_map(PLANE, plane, [0.03], {"flat": [0.0, 0.0]})
    assert found.reached.shape == (1, 6) and found.starts.shape == (6, 2)


def shares(objective, starts, rates, targets, steps=20_000):
    return escape.selection_map(objective, starts, rates, targets, steps).shares


def test_shares_of_the_line_from_the_dent():
    starts = np.random.default_rng(1).uniform(2.05, 2.95, 4000)
    rates = [5e-4, 9.79e-4, 9.82e-4, 1.2e-3, 1.6e-3, 2e-2]
    found = shares(LINE, starts, rates, MINIMA)
    assert found["sharp"] == pytest.approx([1, 1, 0, 0, 0, 0], abs=0.02)
    assert found["no convergence"] == pytest.approx([0, 0, 1, 1, 0, 0], abs=0.02)
    assert found["flat"] == pytest.approx([0, 0, 0, 0, 1, 1], abs=0.02)
    # leaks that grow with the steps, here a thousand
    leaks = shares(LINE, starts, [1.4e-3, 1.5e-3], MINIMA, 1000)["flat"]
    assert leaks == pytest.approx([0.048, 0.157], abs=0.02)


def test_shares_of_the_line_from_beyond_the_trench():
    starts = np.random.default_rng(2).uniform(8.6, 12, 4000)
    found = shares(LINE, starts, [4.9e-4, 9e-4, 1e-3, 2e-3, 5e-3, 8e-3], MINIMA)
    assert found["plateau"] == pytest.approx([1, 0.63, 0.58, 0.28, 0.07, 0], abs=0.02)


def test_larger_is_not_flatter_near_the_last_threshold():
    starts = np.random.default_rng(3).uniform(0, 12, 4000)
    found = shares(LINE, starts, [2e-4, 2e-3, 5e-3, 1e-2, 0.049, 0.051], MINIMA)
    assert found["flat"] == pytest.approx([0.17, 0.90, 0.966, 0.985, 0.17, 0], abs=0.02)
    assert found["plateau"][4] == pytest.approx(0.83, abs=0.02)
    assert found["diverged"] == pytest.approx([0, 0, 0, 0, 0, 0.81], abs=0.02)


def test_shares_of_the_plane():
    starts = np.random.default_rng(4).uniform(3, 4, (4000, 2))
    minima = {"flat": [0.0, 0.0], "sharp": "Abs(x) > 1"}
    found = shares(PLANE, starts, [0.01, 0.018, 0.021, 0.1, 0.99, 1.0], minima)
    assert found["flat"] == pytest.approx([0, 0, 1, 1, 1, 0], abs=0.02)
    assert found["sharp"] == pytest.approx([1, 1, 0, 0, 0, 0], abs=0.02)


def test_runs_of_the_overview():
    runs = [(5e-4, 9, 8.470728), (5e-4, 2.8, 2.5), (0.01, 2.8, 0), (0.01, 9, 0)]
    for rate, start, limit in runs:
        end = gd.gradient_descent(LINE, start, rate, 1000)
        assert end.outcome.label == "converged"
        assert end.points[-1] == pytest.approx(limit, abs=1e-6)
    for rate, limit in [(0.01, PIT), (0.021, 0), (0.03, 0)]:
        end = gd.gradient_descent(PLANE, [3.2, 3.7], rate, 2000)
        assert end.points[-1] == pytest.approx([limit, limit], abs=1e-8)
    # the diagonal is invariant, and on it the orbit stays
    trapped = gd.gradient_descent(PLANE, [3.5, 3.5], 0.03, 2000).points[100:]
    assert (trapped[:, 0] == trapped[:, 1]).all()
    assert trapped.min() > 1 and trapped.max() < 2


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"starts": []}, ValueError, "starts must be at least one point"),
        ({"starts": [[1.0, 2.0]]}, ValueError, "starts must have 1 coordinates"),
        ({"starts": "all"}, TypeError, "starts must be real numbers, not 'all'"),
        ({"starts": gd.Grid([(0, 1)] * 2, 3)}, ValueError, "starts must have 1 coordinates"),
        ({"learning_rates": []}, ValueError, r"sequence of one or more finite numbers, not \[\]"),
        ({"learning_rates": 0.1}, ValueError, "learning_rates must be a sequence"),
        ({"learning_rates": [math.nan]}, ValueError, "learning_rates must be a sequence"),
        ({"learning_rates": [None]}, TypeError, "learning_rates must be real numbers"),
        ({"targets": {}}, TypeError, "targets must map names"),
        ({"targets": [[0.0]]}, TypeError, "targets must map names"),
        ({"targets": "x > 0"}, TypeError, "targets must map names"),
        ({"targets": {"diverged": [0.0]}}, ValueError, "other than 'no convergence' and 'diver"),
        ({"targets": {0: [0.0]}}, ValueError, "names of targets must be strings"),
        ({"targets": {"a": "x >"}}, ValueError, r"targets\['a'\] must be a point or a condition"),
        ({"targets": {"a": "z > 0"}}, ValueError, r"such as \"x > 0\" in x, not 'z > 0'"),
        ({"targets": {"a": [math.nan]}}, ValueError, "must be a finite point"),
        ({"targets": {"a": [1.0, 2.0]}}, ValueError, "must have 1 coordinates"),
        ({"steps": -1}, ValueError, "steps must be a whole number"),
        ({"steps": 1.5}, TypeError, "steps must be a whole number"),
        ({"objective": "x^2"}, TypeError, "objective must be a gdbook.Objective, not str"),
    ],
)
def test_wrong_arguments_of_a_map(change, error, message):
    given = {
        "objective": LINE,
        "starts": [1.0],
        "learning_rates": [0.1],
        "targets": {"flat": [0.0]},
        "steps": 10,
    }
    with pytest.raises(error, match=message):
        escape.selection_map(**given | change)


# Encounters and their bounds


def test_encounters_are_those_of_the_orbits():
    starts = np.random.default_rng(5).uniform(-2, 2, 200)
    met = escape.encounters(catalogue.double_well(), starts, 0.9, 12, (0.2, 0.3))
    for start, found in zip(starts, met, strict=True):
        x = gd.gradient_descent(catalogue.double_well(), start, 0.9, 12).points
        assert found == ((x >= 0.2) & (x <= 0.3)).any()
    assert 0.1 < met.mean() < 0.9


def test_a_box_is_a_condition():
    starts = np.random.default_rng(6).uniform(-4, 4, (500, 2))
    x, y = PLANE.variables
    forms = [
        [(1, 2), (1.5, math.inf)],
        "(x >= 1) & (x <= 2) & (y >= 1.5)",
        (x >= 1) & (x <= 2) & (y >= sympy.Rational(3, 2)),
    ]
    met = [escape.encounters(PLANE, starts, 0.05, 20, form) for form in forms]
    assert np.array_equal(met[0], met[1]) and np.array_equal(met[0], met[2])
    assert 0 < met[0].mean() < 1
    one = escape.encounters(PLANE, starts, 0.05, 0, (1, 2))
    assert np.array_equal(one, ((starts >= 1) & (starts <= 2)).all(axis=1))


def test_starts_are_not_changed():
    starts = np.array([[2.0], [3.0]])
    escape.encounters(catalogue.quadratic(), starts, 0.5, 3, (0, 0.1))
    assert starts.tolist() == [[2.0], [3.0]]


def test_orbits_that_diverge_meet_nothing_more():
    met = escape.encounters(catalogue.quartic(), [3.0, 1e200, 0.1], 1.0, 40, (5, 8))
    assert met.tolist() == [False, False, False]
    assert escape.encounters(catalogue.quartic(), [3.0], 1.0, 40, "x < -20").tolist() == [True]


@pytest.mark.parametrize("steps", [0, 1, 3, 6])
def test_one_interval_of_starts_leads_to_the_region(steps):
    # halving: 2^t X is in [1, 2] for t = 2 alone
    starts = np.linspace(1, 2, 100_001)
    met = escape.encounters(catalogue.quadratic(), starts, 0.5, steps, (0.3, 0.31))
    assert met.mean() == pytest.approx(0.04 if steps >= 2 else 0, abs=2e-5)
    assert met.mean() <= escape.encounter_bound(steps, 1, 0.01)


def test_no_simulation_violates_the_bound_for_encounters():
    rng, worst = np.random.default_rng(7), 0.0
    for d, f in [(1, catalogue.quadratic()), (2, catalogue.quadratic_bowl(0.5, 1))]:
        starts = rng.uniform(1, 2, (20_000, d))
        for low in (0.05, 0.3, 1.1):
            region = [(low, low + 0.02)] * d
            for steps in range(4):
                met = escape.encounters(f, starts, 0.5, steps, region).mean()
                bound = escape.encounter_bound(steps, d, 0.02**d)
                assert met <= bound
                worst = max(worst, met / bound)
    assert worst > 0.1  # it is not an empty bound


def test_no_simulation_violates_the_bound_for_avoidance():
    starts = np.random.default_rng(8).uniform(1, 4, 50_000)
    low, width = 0.9, 0.005
    for rate in (0.1, 0.25, 0.5):
        met = escape.encounters(catalogue.quadratic(), starts, rate, 100, (low, low + width))
        bound = escape.avoidance_bound(rate, 1, 1, width / 3, farthest=4, nearest=low)
        assert 1 - met.mean() >= bound
        assert met.any()
    assert bound > 0.9  # in one step from 4 to 2, in the second to 1, in the third beyond


def test_boxes_of_every_size():
    for size in (1e-200, 1e-12, 1e12, 1e200, 1e300):
        limits = (-size, 2 * size)
        assert escape.one_point_convexity(gd.catalogue.quadratic(), 0.0, limits) == 1
        assert escape.smoothness(gd.catalogue.quadratic(), limits) == 1
    assert escape.smoothness(gd.catalogue.double_well(), (-1e100, 1e100)) == pytest.approx(3e200)


def test_a_power_that_is_no_float_times_a_tiny_ratio():
    assert escape.encounter_bound(1029, 1, 5e-324) == 2.0 ** (1030 - 1074)


def test_bounds_in_numbers():
    assert escape.encounter_bound(0, 2, 0.25) == 1
    assert escape.encounter_bound(3, 2, Fraction(1, 2)) == 128
    assert escape.encounter_bound(10**6, 3, 0.1) == math.inf
    assert escape.encounter_bound(10**400, 3, 0.0) == 0
    # shrinking by a half in a step: twice the distance is lost in two steps
    assert escape.avoidance_bound(1, 0.5, 1, 0.01, 2, 1) == pytest.approx(1 - 0.01 * 2**3)
    assert escape.avoidance_bound(1, 0.5, 2, 0.001, 2, 1) == pytest.approx(1 - 0.001 * 2**6)
    assert escape.avoidance_bound(1, 0.5, 1, 0.01, 1, 1) == pytest.approx(0.98)
    assert escape.avoidance_bound(1, 1, 1, 0.01, 2, 1) == pytest.approx(0.98)
    assert escape.avoidance_bound(1, 0.5, 1, 0.3, 1, 2) == 1
    assert escape.avoidance_bound(1e-200, 1e-200, 1, 0.3, 2, 1) == -math.inf
    assert escape.avoidance_bound(1e-300, 1, 1, 0.0, 2, 1) == 1
    assert escape.avoidance_bound(0.5, 1, 10**400, 0.1, 2, 1) == -math.inf


def test_the_bound_for_avoidance_is_that_for_encounters_up_to_the_last_possible_step():
    for rate, dimension in [(0.1, 1), (0.4, 3)]:
        last = math.log2(1.5 / 0.2) * -2 / math.log2(1 - 0.9 * rate)
        bound = escape.avoidance_bound(rate, 0.9, dimension, 1e-6, 1.5, 0.2)
        assert bound == pytest.approx(1 - 2 ** ((last + 1) * dimension) * 1e-6)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: escape.encounter_bound(-1, 1, 0.1), ValueError, "steps must be"),
        (lambda: escape.encounter_bound(1.5, 1, 0.1), TypeError, "steps must be"),
        (lambda: escape.encounter_bound(1, 0, 0.1), ValueError, "dimension must be .* at least 1"),
        (lambda: escape.encounter_bound(1, 1, -0.1), ValueError, "ratio must be .* not -0.1"),
        (lambda: escape.encounter_bound(1, 1, [0.1]), TypeError, "ratio must be one number"),
        (lambda: escape.avoidance_bound(0, 1, 1, 0.1, 1, 1), ValueError, "learning_rate must be"),
        (lambda: escape.avoidance_bound(1, 0, 1, 0.1, 1, 1), ValueError, "strong_convexity must"),
        (
            lambda: escape.avoidance_bound(1, 2, 1, 0.1, 1, 1),
            ValueError,
            "at most 1/strong_convexity = 0.5, not 1",
        ),
        (lambda: escape.avoidance_bound(1, 1, 1, 0.1, 0, 1), ValueError, "farthest must be"),
        (lambda: escape.avoidance_bound(1, 1, 1, 0.1, 1, -1), ValueError, "nearest must be"),
        (
            lambda: escape.encounters(LINE, [1.0], -0.1, 5, (0, 1)),
            ValueError,
            "learning_rate must be positive",
        ),
        (lambda: escape.encounters(LINE, [], 0.1, 5, (0, 1)), ValueError, "starts must be at le"),
        (lambda: escape.encounters(LINE, [1.0], 0.1, -5, (0, 1)), ValueError, "steps must be"),
        (
            lambda: escape.encounters(LINE, [1.0], 0.1, 5, "x >"),
            ValueError,
            'region must be a box of pairs .* or a condition such as "x > 0" in x, not',
        ),
        (
            lambda: escape.encounters(LINE, [1.0], 0.1, 5, (1, 0)),
            ValueError,
            r"region must be 1 pair \(low, high\) of numbers with low < high",
        ),
        (
            lambda: escape.encounters(PLANE, [1.0, 2.0], 0.1, 5, [(0, 1)] * 3),
            ValueError,
            "region must be 2 pairs",
        ),
        (lambda: escape.encounters(LINE, [1.0], 0.1, 5, None), TypeError, "region must be real"),
        (lambda: escape.encounters(3, [1.0], 0.1, 5, (0, 1)), TypeError, "objective must be"),
    ],
)
def test_wrong_arguments_of_encounters_and_bounds(call, error, message):
    with pytest.raises(error, match=message):
        call()
