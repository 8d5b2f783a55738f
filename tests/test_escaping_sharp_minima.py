"""The claims of the chapter on escaping sharp minima, computed apart from its text."""

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

import gdbook as gd

CHAPTER = Path(__file__).parent.parent / "chapters" / "escaping-sharp-minima.md"
MINIMA = {"flat": "Abs(x) < 1/10", "sharp": "Abs(x - 5/2) < 1/10", "plateau": "Abs(x - 17/2) < 1/5"}
DENT = np.polynomial.Polynomial([0, 0, 1020, 800, -2000, -1600])  # in u = x - 5/2


@pytest.fixture(scope="module")
def function():
    return gd.catalogue.sharp_and_flat_1d()


@pytest.fixture(scope="module")
def pits():
    return gd.catalogue.sharp_and_flat_2d()


def ridge():
    return brentq(lambda x: DENT.deriv()(x - 2.5), 2.0, 2.2, xtol=1e-15)


def beginning_of_escape():
    x = np.linspace(2.5, 3, 500_002)[1:]
    return ((x - ridge()) / DENT.deriv()(x - 2.5)).min()


def test_the_dent_joins_the_parabola_exactly():
    u = sp.symbols("u")
    dent = -1600 * u**5 - 2000 * u**4 + 800 * u**3 + 1020 * u**2
    for side, value, slope in ((-1, 80, 80), (1, 180, 120)):
        at = sp.Rational(side, 2)
        assert dent.subs(u, at) == value == 20 * (at + sp.Rational(5, 2)) ** 2
        assert dent.diff(u).subs(u, at) == slope == 40 * (at + sp.Rational(5, 2))


@pytest.mark.parametrize("samples", [2, 5, 50])
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_one_step_under_one_point_convexity(samples, dimension):
    # Any gradient with <g, e> >= mu |e|^2 and |g| <= L |e|: both inequalities of the proposition.
    rng = np.random.default_rng(samples + dimension)
    mu, smooth = 1.0, 3.0
    e = rng.normal(size=(samples, dimension))
    size = np.linalg.norm(e, axis=1)
    across = rng.normal(size=(samples, dimension))
    across -= (across * e).sum(axis=1, keepdims=True) * e / size[:, np.newaxis] ** 2
    along = rng.uniform(mu, smooth, samples)
    length = np.linalg.norm(across, axis=1)
    room = np.sqrt(smooth**2 - along**2) * size * rng.uniform(0, 1, samples)
    scale = np.where(length > 1e-9, room / np.where(length > 1e-9, length, 1), 0)
    g = along[:, np.newaxis] * e + scale[:, np.newaxis] * across
    for h in (0.05, 0.2, 0.5, 2.5, 4.0):
        after = np.linalg.norm(e - h * g, axis=1)
        assert (after**2 <= (1 - 2 * h * mu + (h * smooth) ** 2) * size**2 + 1e-9).all()
        if h > 2 / mu:
            assert (after >= (h * mu - 1) * size - 1e-9).all()


def test_the_class_is_empty_for_the_dent(function):
    # On the way from 5/2 to 0 no interval M leaves both conditions true right and left of its end.
    x = np.linspace(0.01, 2.49, 20_000)[:, np.newaxis]
    slope = function.gradient(x)[:, 0]
    towards_sharp = slope / (x[:, 0] - 2.5) > 0
    towards_flat = slope / x[:, 0] > 0
    assert (towards_sharp != towards_flat).all()  # never both, as the proof says
    ends = np.linspace(2.0, 2.4, 401)
    for end in ends:
        inside = gd.escape.one_point_convexity(function, 2.5, (end, 2.9), samples=200)
        outside = gd.escape.one_point_convexity(function, 0.0, (0.5, end), samples=200)
        if end < 2.0353:
            assert inside < 0
        elif end > 2.0354:
            assert outside < 0


def test_small_steps_from_the_middle_of_the_dent_all_converge_to_it(function):
    u = np.linspace(-0.4, 0.4, 40_001)
    pull = DENT.deriv()(u[u != 0]) / u[u != 0]
    assert pull.min() == pytest.approx(312, abs=1e-9)
    starts = np.linspace(2.1, 2.9, 500)
    for h in (1e-4, 5e-4, 0.99 * 2 / pull.max()):
        ends = gd.descend_many(function, starts, h, 40_000, targets={"sharp": [2.5]})
        assert (ends.reached == 0).all()


def test_nothing_escapes_up_to_the_secant_and_something_beyond(function):
    h_c = beginning_of_escape()
    assert h_c == pytest.approx(1.39253e-3, abs=5e-9)
    assert h_c > 1.4 * gd.escape.stability_threshold(function, 2.5)
    x = np.linspace(ridge(), 3, 200_001)
    for h in (9.9e-4, 1.1e-3, 1.3e-3, h_c):
        image = x - h * DENT.deriv()(x - 2.5)
        assert image.min() >= ridge() - 1e-9 and image.max() <= 3
    beyond = gd.descend_many(
        function, np.linspace(2.05, 3, 2001), 1.02 * h_c, 100_000, targets=MINIMA
    )
    assert (beyond.reached == 0).any()
    for h in (9.9e-4, 1.1e-3, 1.3e-3):
        kept = gd.descend_many(function, np.linspace(2.05, 3, 2001), h, 20_000, targets=MINIMA)
        assert (np.abs(kept.points - 2.5) < 0.5).all()
        assert kept.converged.sum() <= 1  # the start 5/2 may stay


def test_the_middle_is_shut_in_up_to_the_crisis_and_empties_beyond(function):
    def second_image(h):
        top = 2.5 + brentq(lambda u: h * DENT.deriv(2)(u) - 1, -0.5, 0)
        for _ in range(2):
            top = top - h * DENT.deriv()(top - 2.5)
        return top

    h_e = brentq(lambda h: second_image(h) - ridge(), 1.4e-3, 1.6e-3, xtol=1e-16)
    assert h_e == pytest.approx(1.53373402e-3, abs=1e-11)
    starts = np.linspace(2.05, 2.95, 901)
    shares = [
        (gd.descend_many(function, starts, h, steps, targets=MINIMA).reached == 0).mean()
        for h, steps in ((h_e - 1e-6, 2000), (h_e - 1e-6, 50_000), (h_e + 1e-6, 50_000))
    ]
    assert 0.1 < shares[0] == shares[1] < 0.2
    assert shares[2] == 900 / 901  # all but 5/2


@pytest.mark.parametrize("h", [0.0016, 0.002, 0.005, 0.01, 0.02])
def test_almost_every_start_below_the_trench_reaches_the_flat_minimum(function, h):
    starts = np.random.default_rng(11).uniform(-12, 8.4, 20_000)
    ends = gd.descend_many(function, starts, h, 6000, targets=MINIMA)
    assert (ends.reached == 0).all()


def test_a_superstable_cycle_at_a_learning_rate_in_between(function):
    def turn(h):
        return brentq(lambda u: h * DENT.deriv(2)(u) - 1, -0.5, 0)

    def throw(h):
        return turn(h) + 2.5 - h * DENT.deriv()(turn(h))

    h = brentq(lambda h: (1 - 40 * h) * throw(h) - turn(h) - 2.5, 0.016, 0.018, xtol=1e-16)
    orbit = gd.gradient_descent(function, turn(h) + 2.5 + 1e-3, h, 400)
    assert orbit.outcome.label == "periodic" and orbit.outcome.period == 2
    assert sorted(orbit.points[-2:, 0]) == pytest.approx([turn(h) + 2.5, throw(h)], abs=1e-6)


@pytest.mark.parametrize(("h", "top", "theta"), [(0.002, 3.0, 0.0537), (0.01, 4.9436, 0.0481)])
def test_no_trap_bound_against_the_measured_loss(h, top, theta):
    # Of the starts that stay in K for two steps a share of theta at most stays for six more.
    x = np.random.default_rng(2).uniform(2, top, 2_000_000)
    alive = []
    for _ in range(8):
        x = np.where(x <= 3, x - h * DENT.deriv()(x - 2.5), (1 - 40 * h) * x)
        x = x[(x >= 2) & (x <= top)]
        alive.append(len(x))
    assert 0 < alive[7] <= theta * alive[1]


def test_a_singular_step_sends_an_interval_onto_an_unstable_point():
    # f' = (x - a)/h on an interval beyond 2a, with a = 1: attraction to 0 with h < 2 mu/L^2.
    h, a = 0.1, 1.0
    x = np.linspace(2.5, 3.5, 1001)
    slope = (x - a) / h
    mu, smooth = (slope / x).min(), (slope / x).max()
    assert h < 2 * mu / smooth**2
    np.testing.assert_allclose(x - h * slope, a, atol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_encounters_attain_the_sharper_bound_where_all_ways_back_are_starts(dimension):
    f = gd.Objective(" + ".join(f"{v}^2/2" for v in "xyz"[:dimension]), " ".join("xyz"[:dimension]))
    low, high, steps = 0.30, 0.36, 2
    starts = np.random.default_rng(1).uniform(0.25, 1.6, (400_000, dimension))
    met = gd.escape.encounters(f, starts, 0.5, steps, [(low, high)] * dimension).mean()
    ratio = ((high - low) / 1.35) ** dimension
    sharper = (2 ** ((steps + 1) * dimension) - 1) / (2**dimension - 1) * ratio
    assert met == pytest.approx(sharper, rel=0.12)
    assert sharper < gd.escape.encounter_bound(steps, dimension, ratio)


def test_a_bound_on_the_hessian_outside_is_not_enough():
    # Forty pieces with f'' = 0, each of which a step moves onto X: forty ways back instead of two.
    width, pieces, h = 1e-3, 40, 1.0
    starts = np.random.default_rng(0).uniform(1, pieces + 1, 100_000)
    slope = np.floor(starts)  # x -> x - floor(x), all onto [0, 1]
    met = np.mean(starts - h * slope <= width)
    ratio = width / pieces
    assert met == pytest.approx(width, rel=0.3) and met > 3 * 3 * ratio


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("h", [0.02, 0.0625])
def test_avoidance_bound_holds(h, dimension):
    names, curvatures = "xy"[:dimension], (1, 4)
    f = gd.Objective(
        " + ".join(f"{c}*{v}^2/2" for v, c in zip(names, curvatures, strict=False)),
        " ".join(names),
    )
    mu, smooth = 1.0, 4.0 if dimension == 2 else 1.0
    assert h <= mu / smooth**2 and h <= 1 / (2 * smooth)
    box = [(1.0, 1.001)] + [(-0.0005, 0.0005)] * (dimension - 1)
    starts = np.random.default_rng(3).uniform(
        [1.0] + [-0.1] * (dimension - 1), [1.2] + [0.1] * (dimension - 1), (200_000, dimension)
    )
    ratio = 0.001**dimension / (0.2 * 0.2 ** (dimension - 1))
    farthest = math.hypot(1.2, 0.1 * (dimension - 1))
    bound = gd.escape.avoidance_bound(h, mu, dimension, ratio, farthest, 1.0)
    avoided = 1 - gd.escape.encounters(f, starts, h, 60, box).mean()
    assert avoided >= bound


def test_the_fraction_of_the_avoidance_bound_is_no_factor():
    # Halving in the plane: X = [1, 1.2] x [-.1, .1] with its ways back 2X, 4X, 8X, 16X all in W.
    # With the fraction 2/1 as a factor beside r/c the theorem would be false; as an exponent not.
    ways = sum(4**k for k in range(5))
    ratio, farthest = 0.2**2 / (18.2 * 3.2), math.hypot(19.2, 1.6)
    fraction = -2 / math.log2(1 - 0.5)
    assert ways * ratio < 1 and ways * ratio > farthest * fraction * 2**2 * ratio
    assert ways * ratio < farthest**fraction * 2**2 * ratio
    f = gd.catalogue.quadratic_bowl(1, 1)
    starts = np.random.default_rng(8).uniform([1, -1.6], [19.2, 1.6], (200_000, 2))
    met = gd.escape.encounters(f, starts, 0.5, 10, [(1, 1.2), (-0.1, 0.1)]).mean()
    assert met == pytest.approx(ways * ratio, rel=0.03)


def test_distance_can_shrink_more_slowly_than_one_minus_h_mu():
    a, k = 1.5, 1.0
    root = math.sqrt(1 + k * k / 4)
    phase = math.atan2(-k / 2 / root, -1 / root)
    radial, across = a + math.cos(phase) + k / 2 * math.sin(phase), -math.sin(phase) / 2
    assert radial == pytest.approx(a - root) and across > 0
    for h in (1e-3, 0.1, 0.5):
        assert math.hypot(1 - h * radial, h * across) > abs(1 - h * radial)


def test_trench_intervals_are_disjoint_exactly_beyond_one_over_1720():
    for h, disjoint in ((Fraction(1, 1720), False), (Fraction(1, 1719), True)):
        q = 1 - 40 * h
        assert (Fraction(86, 10) * q < Fraction(84, 10)) == disjoint


def test_the_larger_step_is_the_sharper_choice_right_of_the_trench(function):
    starts = 8.6 + 3.4 * (np.arange(1000) + 0.5) / 1000
    shares = gd.escape.selection_map(
        function, starts, [5e-4, 1e-3, 2e-3, 5e-3, 0.0076], MINIMA, 3000
    )
    plateau = shares.shares["plateau"]
    assert (np.diff(plateau) < 0).all() and plateau[0] > 0.99 and plateau[-1] == 0
    assert shares.shares["flat"][-1] == 1


def test_the_pits_are_lower_than_the_flat_minimum(pits):
    s = sp.symbols("s", positive=True)
    along = 2 * s**2 - 200 * ((s - 1) * (2 - s)) ** 2
    bottom = sp.nsolve(along.diff(s), s, 1.47)
    assert float(bottom) == pytest.approx(1.4704874306, abs=1e-9)
    assert float(pits.value([float(bottom)] * 2)) == pytest.approx(-8.088385983, abs=1e-8)
    assert float(pits.value([0.0, 0.0])) == 0


@pytest.mark.parametrize("h", [0.02, 0.021, 0.03, 0.1])
def test_the_diagonal_is_invariant(pits, h):
    orbit = gd.gradient_descent(pits, (3.5, 3.5), h, 3000)
    assert (orbit.points[:, 0] == orbit.points[:, 1]).all()


def test_printed_two_dimensional_function_has_no_minimum_in_the_squares():
    literal = gd.catalogue.sharp_and_flat_2d(printed=True)
    axis = np.linspace(1, 2, 401)[1:-1]
    square = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    lowest = np.linalg.eigvalsh(literal.hessian(square))[:, 0]
    slope = np.linalg.norm(literal.gradient(square), axis=1)
    assert slope[lowest > -1].min() > 1  # with second derivatives below 2000, none in between
    assert slope.min() < 1  # there is the saddle


def test_noise_condition_is_the_second_moment():
    h, mean, var = sp.symbols("h a v", positive=True)
    spread = sp.sqrt(var)
    moment = sum((1 - h * (mean + sign * spread)) ** 2 for sign in (-1, 1)) / 2
    assert sp.expand(moment - ((1 - h * mean) ** 2 + h**2 * var)) == 0
    assert sp.simplify(moment.subs(h, 2 * mean / (mean**2 + var)) - 1) == 0


def test_every_statement_with_a_label_is_referred_to():
    text = CHAPTER.read_text(encoding="utf-8")
    labels = re.findall(r"^:label: ((?:thm|prop|lem)-[\w-]+)$", text, re.MULTILINE)
    assert len(labels) >= 7
    for label in labels:
        assert f"{{prf:ref}}`{label}`" in text, label
