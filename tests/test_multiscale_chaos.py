"""The claims of the chapter on multiscale chaos, computed apart from its text."""

import ast
import builtins
import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy import stats
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import j0, jv

import gdbook as gd
from tests.chapter_cells import CELL

CHAPTER = Path(__file__).parent.parent / "chapters" / "multiscale-chaos.md"


@pytest.fixture(scope="module")
def text():
    return CHAPTER.read_text(encoding="utf-8")


@pytest.mark.parametrize("scale", [0.1, 0.01, 0.001])
def test_phase_is_uniform_up_to_scale_times_variation(scale):
    # The normal density has the variation 2 * its maximum.
    variation = 2 / math.sqrt(2 * math.pi)
    theta = np.linspace(0, 2 * np.pi, 200)[:, np.newaxis]
    reach = math.ceil(10 / (2 * np.pi * scale))
    points = scale * (theta + 2 * np.pi * np.arange(-reach, reach))
    density = scale * np.exp(-(points**2) / 2).sum(axis=1) / math.sqrt(2 * np.pi)
    assert np.abs(density - 1 / (2 * np.pi)).max() <= scale * variation


def test_uniform_density_shows_that_the_bound_on_the_phase_has_the_right_order():
    # On an interval of half a period more than n periods the phase is off by order epsilon.
    scale, length = 0.01, 0.01 * 2 * np.pi * 10.5
    covered_eleven_times = 11 * scale / length
    assert abs(covered_eleven_times - 1 / (2 * np.pi)) > 0.1 * scale * 2 / length


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.9, 0.999])
def test_a_valley_in_every_period_and_its_sharpness(slope):
    scale = 0.01
    f = gd.catalogue.multiscale(f"{slope}*x + x^2/100", scale=scale)
    x = np.linspace(-0.02, 0.02, 400_001)[:, np.newaxis]
    value = f.value(x)
    inside = np.flatnonzero((value[1:-1] < value[:-2]) & (value[1:-1] < value[2:])) + 1
    for place in x[inside]:
        expected = 0.02 + math.sqrt(1 - (slope + 0.02 * place[0]) ** 2) / scale
        assert f.hessian(place)[0, 0] == pytest.approx(expected, abs=0.02 / scale)
    periods = 0.04 / (2 * np.pi * scale)
    assert abs(len(inside) - periods) <= 1


def test_no_valley_where_the_slope_exceeds_that_of_the_ripple():
    f = gd.catalogue.multiscale("101*x/100", scale=0.01)
    x = np.linspace(-1, 1, 100_001)[:, np.newaxis]
    assert (f.gradient(x) > 0).all()


@pytest.mark.parametrize(("curvature", "rate"), [(1, 0.1), (1, 0.5), (2, 0.3)])
def test_exact_law_on_a_parabola(curvature, rate):
    macro = gd.Objective("L*x^2/2", "x", {"L": curvature})
    operator = gd.multiscale.transfer_operator(macro, rate, (-1.2 / curvature, 1.2 / curvature))
    variance = rate / (2 * curvature * (2 - rate * curvature))
    fourth = -3 / 8 * rate**4 / (1 - (1 - rate * curvature) ** 4)
    assert operator.mean(2) == pytest.approx(variance, rel=1e-6)
    assert operator.mean(4) - 3 * variance**2 == pytest.approx(fourth, rel=2e-3)
    assert operator.share(-1 / curvature - 1e-2, 1 / curvature + 1e-2) == pytest.approx(1)
    for t in (1.0, 5.0, 15.0):
        product = np.prod(j0(rate * (1 - rate * curvature) ** np.arange(3000) * t))
        assert operator.mean(lambda x, t=t: np.cos(t * x)) == pytest.approx(product, abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.0137, 1e-5])
def test_gradient_descent_on_a_parabola_stays_within_one_over_the_curvature(scale):
    f = gd.catalogue.multiscale("x^2", scale=scale)
    for rate in (0.05, 0.3, 0.5):
        points = gd.gradient_descent(f, 0.5, rate, 3000).points
        assert np.abs(points).max() <= 0.5 + 1e-12
        outside = gd.gradient_descent(f, -7.0, rate, 60).points[:, 0]
        excess = (1 - 2 * rate) ** np.arange(61) * 6.5
        assert (np.abs(outside) - 0.5 <= excess + 1e-9).all()


def test_variance_along_an_orbit_is_the_exact_one_and_not_that_of_gibbs():
    f = gd.catalogue.multiscale("x^2/2", scale=1e-5)
    starts = np.linspace(-0.3, 0.3, 64)[:, np.newaxis]
    found = gd.orbit_histogram(f, starts, 0.4, 10**5, 2000, (-1, 1), burn_in=200)
    centres = (found.edges[1:] + found.edges[:-1]) / 2
    variance = np.sum(found.counts * centres**2) / found.counts.sum()
    assert variance == pytest.approx(0.4 / (2 * 1.6), rel=2e-3)
    assert variance / (0.4 / 4) == pytest.approx(2 / (2 - 0.4), rel=2e-3)


@pytest.mark.parametrize("b", [0.3, 0.999, 1.5, 20.0])
@pytest.mark.parametrize("a", [0.0, 0.5, 1.0, -1.0, 3.0])
def test_mean_logarithm_of_a_sine(a, b):
    phases = 2 * np.pi * (np.arange(2**20) + 0.37) / 2**20
    mean = np.log(np.abs(a + b * np.sin(phases))).mean()
    a = abs(a)
    expected = b / 2 if a <= b else (a + math.sqrt(a * a - b * b)) / 2
    assert mean == pytest.approx(math.log(expected), abs=1e-4)


@pytest.mark.parametrize(("rate", "scale"), [(0.1, 1e-5), (0.02, 1e-4), (0.3, 1e-3)])
def test_lyapunov_exponent_is_that_of_uniform_phases(rate, scale):
    f = gd.catalogue.multiscale("x^2/2", scale=scale)
    starts = np.linspace(-0.2, 0.2, 16)[:, np.newaxis]
    found = gd.lyapunov_exponents(f, starts, rate, 20_000, 1000).exponents.mean()
    assert found == pytest.approx(math.log(rate / (2 * scale)), abs=0.01)


@pytest.mark.parametrize(
    ("power", "rate", "square", "ks", "w1"),
    [
        (2, 0.01, 0.0025126, 0.00093, 0.00013),
        (2, 0.05, 0.0128205, 0.00477, 0.00147),
        (2, 0.1, 0.0263158, 0.00984, 0.00430),
        (2, 0.2, 0.0555556, 0.02103, 0.01304),
        (4, 0.05, 0.0756786, 0.00048, 0.00038),
        (4, 0.1, 0.1072973, 0.00140, 0.00131),
    ],
)
def test_distances_of_the_random_map_and_of_orbits_to_gibbs(power, rate, square, ks, w1):
    macro = f"x^{power}/{power}"
    gibbs = stats.gennorm(power, scale=(power * rate / 4) ** (1 / power))
    operator = gd.multiscale.transfer_operator(
        gd.Objective(macro, "x"), rate, (-1.2, 1.2), cells=2000
    )
    law = np.append(0, np.cumsum(operator.density)) * np.diff(operator.edges)[0]
    difference = np.abs(law - gibbs.cdf(operator.edges))
    assert operator.mean(2) == pytest.approx(square, abs=2e-7)
    assert difference.max() == pytest.approx(ks, abs=2e-5)
    assert np.trapezoid(difference, operator.edges) == pytest.approx(w1, abs=1e-5)
    # 64 orbits side by side. Beside the finite number of iterates, the flat bottom of x^4/4 counts:
    # there successive phases are correlated a little, see below.
    tolerance = {2: 0.004, 4: 0.008}[power]
    f = gd.catalogue.multiscale(macro, scale=1e-5)
    starts = np.linspace(-0.3, 0.3, 64)[:, np.newaxis]
    found = gd.orbit_histogram(f, starts, rate, 2 * 10**5, 2000, (-1.2, 1.2), burn_in=5000)
    shares = np.append(0, np.cumsum(found.counts)) / found.counts.sum()
    measured = np.abs(shares - gibbs.cdf(found.edges))
    assert measured.max() == pytest.approx(ks, abs=tolerance)
    assert np.trapezoid(measured, found.edges) == pytest.approx(w1, abs=0.003)


def test_on_a_flat_bottom_successive_phases_are_correlated_like_a_bessel_function():
    # Without a slope the map is x - h cos(x/epsilon), whose diffusion is that of independent
    # phases up to terms like J_2(h/epsilon); the density on the flat bottom follows.
    ratios, rate = 5000 - 0.625 * np.arange(10), 0.05
    operator = gd.multiscale.transfer_operator(gd.Objective("x^4/4", "x"), rate, (-1.2, 1.2))
    starts = np.linspace(-0.3, 0.3, 256)[:, np.newaxis]
    bottom = []
    for ratio in ratios:
        f = gd.catalogue.multiscale("x^4/4", scale=float(rate / ratio))
        found = gd.orbit_histogram(f, starts, rate, 10**5, 100, (-1, 1), burn_in=5000)
        share = found.counts[49:51].sum() / found.counts.sum()
        bottom.append(share / operator.share(-0.02, 0.02) - 1)
    assert np.abs(bottom).max() < 0.1
    assert np.corrcoef(bottom, jv(2, ratios))[0, 1] > 0.7


def test_onset_of_chaos():
    f = gd.catalogue.multiscale("x^2/2", scale=0.01)
    expected = {0.5: "converged", 2.5: "converged", 2.64: "converged", 3.0: "periodic"}
    for ratio, label in expected.items():
        outcome = gd.gradient_descent(f, 0.7, 0.01 * ratio, 20_000).outcome
        assert outcome.label == label
    assert outcome.period == 2
    valley = gd.gradient_descent(f, 0.7, 0.02, 5000).points[-1]
    assert valley[0] == pytest.approx(0.66812555, abs=5e-9)
    assert 2 / f.sharpness(valley) == pytest.approx(0.026523, abs=1e-6)


@pytest.mark.parametrize("ratio", [1.5, 10.0, 100.0])
def test_flat_valleys_catch_any_learning_rate(ratio):
    slope = -math.sqrt(1 - 1 / ratio**2)
    f = gd.catalogue.multiscale(gd.Objective("a*x", "x", {"a": slope}), scale=0.01)
    valley = -0.01 * math.asin(1 / ratio)
    assert 1 - 0.01 * ratio * f.hessian([valley])[0, 0] == pytest.approx(0, abs=1e-9)
    end = gd.gradient_descent(f, valley + 1e-4 / ratio, 0.01 * ratio, 50).points[-1, 0]
    assert end == pytest.approx(valley, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_covariance_on_a_quadratic(seed):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    curvatures, rate = rng.uniform(0.5, 4, 3), 0.3
    root = rng.normal(size=(3, 3))
    noise = root @ root.T
    step = np.eye(3) - rate * (basis * curvatures) @ basis.T
    exact = basis.T @ solve_discrete_lyapunov(step, rate**2 * noise) @ basis
    sums = curvatures[:, np.newaxis] + curvatures
    products = np.outer(curvatures, curvatures)
    formula = rate * (basis.T @ noise @ basis) / (sums - rate * products)
    np.testing.assert_allclose(formula, exact, rtol=1e-9)


def test_temperature_of_sums_of_waves():
    waves = {(1, 0): 0.3, (2, 1): -0.7, (1, -2): 1.1}
    formula = " + ".join(f"{a}*sin({j}*x + {k}*y)" for (j, k), a in waves.items())
    expected = sum(a * a * np.outer(k, k) for k, a in waves.items()) / 2
    found = gd.multiscale.noise_covariance(gd.Objective(formula, "x y"))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(ValueError, match="isotropic"):
        gd.multiscale.temperature(0.1, gd.Objective(formula, "x y"))
    crossed = gd.Objective("sin(x + y) + sin(x - y)", "x y")
    assert gd.multiscale.temperature(0.2, crossed) == pytest.approx(0.1)


def test_series_of_the_quasi_potential():
    p, s = sp.symbols("p s")
    generating = sp.series(sp.log(sp.besseli(0, p)), p, 0, 6).removeO()
    root = 4 * s + 4 * s**3
    assert sp.series(sp.expand(generating.subs(p, root) - root * s), s, 0, 6).removeO() == 0


def test_first_correction_for_another_ripple():
    # f1' = cos x + cos 3x: variance 1, fourth cumulant by sums over a period.
    micro = gd.Objective("sin(x) + sin(3*x)/3", "x")
    phases = 2 * np.pi * np.arange(64) / 64
    noise = np.cos(phases) + np.cos(3 * phases)
    fourth = np.mean(noise**4) - 3 * np.mean(noise**2) ** 2
    x = np.linspace(-0.05, 0.05, 201)
    value = gd.multiscale.quasi_potential(gd.Objective("x^2/2", "x"), x, micro)
    expected = x**2 - fourth / 6 * x**4
    np.testing.assert_allclose(value, expected, atol=3e-8)
    assert abs(fourth / 6 * 0.05**4) > 2e-7


def test_weights_of_wells():
    tilted = gd.Objective("(x^2 - 1)^2/4 + x/20", "x")
    line = np.linspace(-3, 3, 6001)
    expected = {0.2: (0.9215, 0.8696), 0.4: (0.7304, 0.7085)}
    for rate, (exact, gibbs) in expected.items():
        operator = gd.multiscale.transfer_operator(tilted, rate, (-1.45, 1.45))
        density = gd.multiscale.gibbs_density(tilted, rate / 4, line)
        assert operator.share(-np.inf, 0) == pytest.approx(exact, abs=2e-4)
        assert density[line < 0].sum() / density.sum() == pytest.approx(gibbs, abs=3e-4)


def test_a_higher_well_wins_and_the_more_so_the_smaller_the_learning_rate():
    u = "(x + x^2/2 + x^3/4)"
    bent = gd.Objective(f"({u}^2 - 1)^2/4 + {u}/100", "x")
    shares = [
        gd.multiscale.transfer_operator(bent, rate, (-1.8, 1.05)).share(0, np.inf)
        for rate in (0.12, 0.1, 0.08)
    ]
    assert 0.5 < shares[0] < shares[1] < shares[2]
    minima = np.roots([1 / 4, 1 / 2, 1, 1])[-1].real, 0.683
    assert bent.value([[minima[0]]])[0] < bent.value([[minima[1]]])[0]


def test_rate_of_escape_follows_the_quasi_potential():
    tilted = gd.Objective("(x^2 - 1)^2/4 + x/20", "x")
    rates = np.array([0.06, 0.08])
    gaps = [gd.multiscale.transfer_operator(tilted, rate, (-1.45, 1.45)).gap for rate in rates]
    slope = np.diff(np.log(gaps / rates))[0] / np.diff(1 / rates)[0]
    right, top = 0.97399435, 0.05012595
    low, high = gd.multiscale.quasi_potential(tilted, [right, top])
    assert -slope == pytest.approx(high - low, rel=0.02)
    hill = 4 * np.diff(tilted.value([[right], [top]]))[0]
    assert -slope > 1.05 * hill


def network_orbits(neurons, rate, copies, steps):
    """Exponents, mean losses and the ranges of a_1 over the second half of the steps.

    One hidden layer with the activation tanh z + 0.01 sin(100 z), 20 points of sin(pi x); the
    copies start a billionth apart, since of one chaotic orbit only the statistics mean anything.
    """
    x = np.linspace(-1, 1, 20)[:, np.newaxis, np.newaxis]
    rng = np.random.default_rng(0)
    start = [2 * rng.normal(size=neurons), rng.normal(size=neurons)]
    start = np.concatenate([*start, rng.normal(size=neurons) / math.sqrt(neurons), [0]])
    rng = np.random.default_rng(1)
    p = start[:, np.newaxis] + 1e-9 * rng.normal(size=(start.size, copies))
    v = rng.normal(size=p.shape)
    v /= np.linalg.norm(v, axis=0)
    growth, losses, ranges = 0, 0, []
    for k in range(steps):
        both = np.concatenate([p, p + 1e-8 * v], axis=1)
        w, b, a = np.split(both[:-1], 3)
        z = w * x + b
        s = np.tanh(z) + 0.01 * np.sin(z / 0.01)
        error = (s * a).sum(1) + both[-1] - np.sin(np.pi * x[:, 0])
        back = error[:, np.newaxis] * a * (1 - np.tanh(z) ** 2 + np.cos(z / 0.01))
        slopes = [back * x, back, error[:, np.newaxis] * s, error[:, np.newaxis]]
        both = both - rate * np.concatenate([slope.mean(0) for slope in slopes])
        p, companion = np.split(both, 2, axis=1)
        v = (companion - p) / 1e-8
        norm = np.linalg.norm(v, axis=0)
        v = v / norm
        if k >= steps / 2:
            growth, losses = growth + np.log(norm), losses + np.mean(error**2, 0)[:copies] / 2
            ranges.append(p[2 * neurons])
    return growth / len(ranges), losses / len(ranges), np.array(ranges)


def test_a_network_with_three_neurons_is_chaotic():
    exponents, losses, weight = network_orbits(3, 0.05, copies=4, steps=40_000)
    assert exponents.mean() == pytest.approx(0.276, abs=0.04) and exponents.min() > 0.2
    np.testing.assert_allclose(losses, 0.0822, atol=1e-3)
    assert -3.2 < weight.min() < -2.6 and -2.1 < weight.max() < -1.7
    assert len(np.unique(weight[-4000:, 0])) >= 3999


def test_chaos_of_the_network_with_two_neurons_is_transient_for_some():
    exponents, losses, weight = network_orbits(2, 0.4, copies=24, steps=24_000)
    assert (exponents > 0.2).sum() >= 3 and exponents.max() > 0.4
    assert (exponents < 0.02).sum() >= 1
    assert (losses > 0.009).all() and (losses < 0.04).all() and np.abs(weight).max() < 5


@pytest.mark.parametrize("rate", [0.01, 0.001])
def test_no_chaos_of_the_network_at_small_learning_rates(rate):
    exponents, _, weight = network_orbits(2, rate, copies=2, steps=8000)
    assert exponents.max() < 1e-3 and np.ptp(weight[-500:], axis=0).max() < 0.02


def test_no_visible_cell_leans_on_a_hidden_one(text):
    known = set(dir(builtins))
    for number, cell in enumerate(CELL.findall(text)):
        if number and "remove-cell" in cell:
            continue
        code = re.sub(r"^---\n.*?\n---\n|^:tags:.*?$|^%.*?$", "", cell, flags=re.S | re.M)
        nodes = list(ast.walk(ast.parse(code)))
        named = {node.id: node for node in nodes if isinstance(node, ast.Name)}
        known |= {node.id for node in nodes if isinstance(node, ast.Name) and is_bound(node)}
        known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        known |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler)}
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                known |= {(name.asname or name.name).partition(".")[0] for name in node.names}
        assert set(named) <= known, cell


def is_bound(name):
    return isinstance(name.ctx, ast.Store)


def test_glued_names_are_used_and_used_names_are_glued(text):
    used = set(re.findall(r"\{glue:text\}`([^`:]+)", text))
    glued = set(re.findall(r"glue\(f?\"([^\"]+)\"", text))
    patterns = [re.sub(r"\\\{\w+\\\}", r"[\\w.]+", re.escape(name)) for name in glued]
    assert all(any(re.fullmatch(pattern, name) for pattern in patterns) for name in used)
    assert all(any(re.fullmatch(pattern, name) for name in used) for pattern in patterns)
    assert all(name.startswith("multi-") for name in glued)
