"""The claims of the chapter on acceleration about the logistic loss, computed apart from it."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from mpmath import iv
from scipy.special import expit

import gdbook as gd
from gdbook.classification import LogisticRegression, margin, phases, two_points

CHAPTER = Path(__file__).parent.parent / "chapters" / "acceleration.md"
RATES = (0.3, 5.0, 60.0, 800.0)


def separable(seed, n=12, d=4, least=0.05):
    """Random inputs of length at most one, signed, with a margin of at least `least`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, d))
    z[:, 0] = np.abs(z[:, 0]) + least * np.linalg.norm(z, axis=1).max()
    return z / np.linalg.norm(z, axis=1).max()


def largest_margin(z):
    return margin(z, np.ones(len(z))).value


def loss(z, w):
    return np.logaddexp(0, -z @ w).mean()


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_bounds_its_own_derivatives(seed):
    z = separable(seed)
    model, value = LogisticRegression(z, np.ones(len(z))), largest_margin(z)
    for w in np.random.default_rng(seed).normal(size=(50, 4)) * 20:
        mean = expit(-z @ w).mean()
        slope = np.linalg.norm(model.gradient(w))
        assert value * mean <= slope * (1 + 1e-12) and slope <= mean * (1 + 1e-12)
        assert mean <= min(1, loss(z, w)) * (1 + 1e-12)
        assert model.sharpness(w) <= mean * (1 + 1e-12)
    margins = np.linspace(0, 30, 1000)
    short = np.log1p(np.exp(-margins))
    assert (short <= 2 * math.log(2) * expit(-margins) * (1 + 1e-12)).all()


@pytest.mark.parametrize("h", RATES)
@pytest.mark.parametrize("seed", range(4))
def test_three_phases_on_random_data_with_all_constants(seed, h):
    z = separable(seed)
    n, value = len(z), largest_margin(z)
    a = max(2 * n, 2 * h * math.log(2))
    tau = 2 * a / value**2 * (1 + 2 / h * math.log(4 * a))
    run = LogisticRegression(z, np.ones(n)).descend(h, math.ceil(tau))
    f, t = run.losses, np.arange(1, len(run.losses))
    average = np.cumsum(f[:-1]) / t
    bound = (1 + np.log1p(value**2 * h * t) ** 2 + h**2 / 4) / (value**2 * h * t)
    assert (average <= bound).all()
    below = f <= min(1 / h, math.log(2) / n)
    both = np.flatnonzero(below & (run.exponential <= 1 / n))
    assert len(both) and both[0] <= tau
    first = np.argmax(h * f < 2)
    assert (np.diff(f[first:]) < 0).all()
    s = np.argmax(h * f <= 1)
    t = np.arange(1, len(f) - s)
    upper = 1 + np.log1p(value**2 * h * t * run.exponential[s]) ** 2 / 2
    assert (f[s + 1 :] <= upper / (value**2 * h * t)).all()
    assert (f[s + 1 :] >= 1 / (1 / f[s] + (math.e - 1) * h * t)).all()
    s = np.argmax(below)
    t = np.arange(1, len(f) - s)
    assert (f[s + 1 :] <= 8 * math.log(2) ** 2 / (value**2 * h * t)).all()


@pytest.mark.parametrize("h", RATES)
@pytest.mark.parametrize("seed", range(3))
def test_an_adversary_who_shows_the_worst_example_makes_few_mistakes(seed, h):
    z = separable(seed)
    value, w, seen, slopes, mistakes = largest_margin(z), np.zeros(4), 0.0, 0.0, 0
    for t in range(1, 1500):
        worst = z[np.argmin(z @ w)]
        seen += np.logaddexp(0, -worst @ w)
        slopes += expit(-worst @ w)
        mistakes += worst @ w <= 0
        w = w + h * expit(-worst @ w) * worst
        x = value**2 * h * t
        split = math.log1p(x)
        assert seen / t <= (1 + (split + h / 2) ** 2 / 2) / x
        assert np.linalg.norm(w) <= (2 * split + h + math.sqrt(2)) / value
        assert slopes / t <= (2 * split + h + math.sqrt(2)) / x
        assert mistakes <= 2 / value**2 * (1 + (math.sqrt(2) + 2 * split) / h)
    assert mistakes > 0


def test_half_of_the_budget_suffices_for_the_edge_phase():
    # γ²τ = 4 ln 2 (y/16 + 2 ln(y ln 2 / 2)) at h = γ²T/16 and y = γ²T: at most y/2 from y = 48 on.
    two = iv.log(2)
    used = 4 * two * (iv.mpf(48) / 16 + 2 * iv.log(48 * two / 2))
    assert used.b < 24
    slope = 4 * two * (iv.mpf(1) / 16 + iv.mpf(2) / 48)
    assert slope.b < 0.5
    assert (iv.mpf(2) / 48).b < (two / 8).a  # 2n <= y/24 is less than 2 h ln 2 = y ln 2 / 8


@pytest.mark.parametrize("value", [0.15, 0.3, 0.6])
def test_one_over_t_squared(value):
    z = np.array([[value, 0.7], [value, -0.5]])
    assert np.linalg.norm(z, axis=1).max() <= 1 and largest_margin(z) == pytest.approx(value)
    for factor in (1, 4):
        T = math.ceil(factor * 48 * 2 / value**2)
        run = LogisticRegression(z, np.ones(2)).descend(value**2 * T / 16, T)
        assert run.losses[-1] <= 256 * math.log(2) ** 2 / (value**4 * T**2)


@pytest.mark.parametrize("seed", range(6))
def test_a_loss_that_never_rises_is_slow_where_the_mean_errs(seed):
    z = separable(seed, n=6, d=3, least=0.02)
    z[1:, 1] = np.abs(z[1:, 1])
    z[0] = [0.01, -0.5, 0.0]  # one input against the others
    products = z @ z.mean(axis=0)
    assert largest_margin(z) > 0 and products.min() < 0
    limit = 2 * len(z) * math.log(2) / -products.min()
    model, monotone = LogisticRegression(z, np.ones(len(z))), 0
    for h in np.geomspace(0.1, 3 * limit, 12):
        f = model.descend(h, 1000).losses
        if (np.diff(f) <= 0).all():
            monotone += 1
            assert h <= limit
            assert (f >= math.log(2) / (1 + (2**h - 1) * np.arange(1001)) * (1 - 1e-12)).all()
        if h > limit:
            assert f[1] > f[0]
    assert monotone >= 2


@pytest.mark.parametrize("seed", range(4))
def test_the_batch_perceptron_is_the_limit_and_ends_in_time(seed):
    z = separable(seed, least=0.02)
    n, p, steps = len(z), np.zeros(4), 0
    path = [p]
    while not (z @ p > 0).all():
        p, steps = p + np.heaviside(-z @ p, 0.5) @ z / n, steps + 1
        path.append(p)
    assert 1 <= steps <= n / largest_margin(z) ** 2
    run = LogisticRegression(z, np.ones(n)).descend(1e9, steps, keep_every=1)
    np.testing.assert_allclose(run.points / 1e9, path, atol=1e-6)


@pytest.mark.parametrize("h", [0.1, 3.0, 50.0])
def test_adaptive_rate_at_the_best_and_at_the_mean(h):
    z = separable(1, least=0.1)
    value, w, logs, total = largest_margin(z), np.zeros(4), [], np.zeros(4)
    for t in range(1, 800):
        terms = -z @ w
        logs.append(np.logaddexp.reduce(terms) - math.log(len(z)))
        total += w
        bound = -h / 2 * (value**2 * t - 1)
        assert min(logs) <= bound + 1e-9
        if value**2 * t >= 0.5:
            mean = np.logaddexp.reduce(-z @ (total / t)) - math.log(len(z))
            assert mean <= bound + 1e-9
        weights = np.exp(terms - terms.max())
        w = w + h * weights @ z / weights.sum()
    assert value**2 * 800 > 2  # the bound says something


def test_the_cycle_of_equal_shares():
    w, h = sp.symbols("w h", positive=True)
    step = w + h * (sp.Rational(1, 2) - 1 / (1 + sp.exp(-w)))
    assert sp.simplify((step - (w - h / 2 * sp.tanh(w / 2))).rewrite(sp.exp)) == 0
    for rate in (8.5, 9.0, 20.0, 60.0):
        c = sp.nsolve(rate / 4 * sp.tanh(w / 2) - w, w, max(0.1, rate / 4))
        at = {w: c, h: rate}
        assert float(step.subs(at) + c) == pytest.approx(0, abs=1e-9)
        multiplier = float(step.diff(w).subs(at)) ** 2
        assert multiplier < 1
    starts = np.linspace(-50, 50, 101)
    for rate in (0.5, 4.0, 7.9):
        orbit = starts
        for _ in range(3000):
            orbit = orbit + rate * (0.5 - expit(orbit))
        assert np.abs(orbit).max() < 1e-6


def test_where_the_orthogonal_component_converges_does_not_depend_on_the_rate():
    v = sp.symbols("v")
    nine, five = sp.Rational(9, 10), sp.Rational(1, 2)
    best = sp.log(sp.Rational(9, 5)) / sp.Rational(7, 5)
    potential = sp.exp(-nine * v) + sp.exp(five * v)
    assert sp.simplify(potential.diff(v).subs(v, best)) == 0
    model = LogisticRegression(*two_points(0.2))
    errors = []
    for h in (2.0, 10.0, 40.0):
        run = model.descend(h, 20_000, keep_every=10_000)
        errors.append(np.abs(run.points[1:, 1] - float(best)))
        assert errors[-1][1] < errors[-1][0] < 1e-3


def test_slides_curves_on_a_thousand_images_of_mnist(mnist):
    features, labels = gd.data.mnist().pair(0, 8)
    model = LogisticRegression(features[:1000], labels[:1000])
    found = margin(model.features, model.labels)
    assert found.separable and found.value == pytest.approx(0.03494, abs=1e-5)
    assert 2 / model.smoothness == pytest.approx(37.919, abs=1e-3)
    runs = {h: model.descend(h, 1000) for h in (10, 100, 1000, 10_000, 30_000)}
    each = [phases(run) for run in runs.values()]
    assert [phase.increases > 0 for phase in each] == [False, False, False, True, True]
    for run, phase in zip(runs.values(), each, strict=True):
        assert phase.transition is not None
        assert (np.diff(run.losses[phase.transition :]) < 0).all()
        assert phase.last_increase is None or phase.last_increase < phase.transition
    ends = [run.losses[-1] for run in runs.values()]
    assert (np.diff(ends) < 0).all() and ends[0] > 1e4 * ends[-1]
    assert runs[30_000].losses.max() > 5 * math.log(2)


def test_every_statement_with_a_label_is_referred_to():
    text = CHAPTER.read_text(encoding="utf-8")
    labels = re.findall(r"^:label: ((?:thm|prop|lem|cor)-[\w-]+)$", text, re.MULTILINE)
    assert len(labels) >= 12
    for label in labels:
        assert f"{{prf:ref}}`{label}`" in text or f"<{label}>`" in text, label
