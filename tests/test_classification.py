"""Classification: against closed forms, optimality conditions, differences and definitions."""

import json
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq, nnls
from scipy.special import lambertw

import gdbook as gd
from gdbook import catalogue
from gdbook.classification import (
    ClassificationRun,
    LogisticRegression,
    TwoLayerNetwork,
    margin,
    monotone_threshold,
    phases,
    rho,
    two_points,
)
from gdbook.kernels import compile, margins

LOSSES = {
    "logistic": catalogue.logistic_loss(),
    "exponential": catalogue.exponential_loss(2),
    "flattened exponential": catalogue.flattened_exponential(2),
    "flattened polynomial": catalogue.flattened_polynomial(0.5),
    "perceptron": catalogue.perceptron_loss(),
    "another": gd.Objective("sqrt(1 + z^2) - z", "z"),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def some_data(n=37, d=5, seed=0):
    """Inputs and labels that some vector separates."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, d))
    return features, np.where(features @ rng.standard_normal(d) > 0, 1, -1)


def some_network(loss=None, seed=0):
    """A network of 20 weights."""
    return TwoLayerNetwork(*some_data(9, 4, seed), 5, np.random.default_rng(seed), loss)


def digits_pair(first=3, second=8):
    return gd.data.digits().pair(first, second)


def differences(function, point, step=1e-6):
    moves = step * np.eye(len(point))
    return (function(point + moves) - function(point - moves)) / (2 * step)


@pytest.fixture
def without_compiler(monkeypatch):
    monkeypatch.setattr(compile, "load", lambda *_: None)
    margins._linear.cache_clear()
    yield
    margins._linear.cache_clear()


# Losses


def test_logistic_loss_to_the_last_digit():
    z = np.array([-800, -60, -37, -1, -1e-9, 0, 1e-9, 0.3, 1, 36, 60, 300, 700.0])
    loss, points = LOSSES["logistic"], z[:, np.newaxis]
    with mpmath.workdps(400):
        powers = [mpmath.exp(-mpmath.mpf(x)) for x in z]
        values = [float(mpmath.log(1 + p)) for p in powers]
        slopes = [float(-p / (1 + p)) for p in powers]
        bends = [float(p / (1 + p) ** 2) for p in powers]
    np.testing.assert_allclose(loss.value(points), values, rtol=4e-16)
    np.testing.assert_allclose(loss.gradient(points)[:, 0], slopes, rtol=4e-16)
    np.testing.assert_allclose(loss.hessian(points)[:, 0, 0], bends, rtol=4e-16, atol=1e-300)


def test_no_margin_is_too_large():
    far = np.array([[-np.inf], [-1e300], [-1e4], [1e4], [1e300], [np.inf]])
    for name in ("logistic", "flattened exponential", "flattened polynomial", "perceptron"):
        loss = LOSSES[name]
        assert not np.isnan(loss.value(far)).any() and not np.isnan(loss.gradient(far)).any()
        assert (loss.value(far)[1:5] >= 0).all() and np.isfinite(loss.value(far)[1:5]).all()
        assert loss.value(far)[3:].max() <= 0.01 and loss.value(far)[0] == np.inf


@every_loss
def test_losses_are_convex_and_fall(loss):
    z = np.linspace(-4, 4, 801)[:, np.newaxis]
    assert (np.diff(loss.value(z)) <= 0).all()
    assert (np.diff(loss.gradient(z)[:, 0]) >= -1e-15).all()


@pytest.mark.parametrize(
    ("loss", "slope", "bend"),
    [
        (catalogue.flattened_exponential(3), -3, 9),
        (catalogue.flattened_polynomial(3), -3, 12),
    ],
)
def test_flattened_losses_are_once_differentiable(loss, slope, bend):
    sides = np.array([[-1e-12], [1e-12]])
    np.testing.assert_allclose(loss.value(sides), 1, atol=1e-11)
    np.testing.assert_allclose(loss.gradient(sides)[:, 0], slope, atol=1e-10)
    np.testing.assert_allclose(loss.hessian(sides)[:, 0, 0], [0, bend], atol=1e-9)


def test_perceptron_loss_is_the_limit():
    z, c = np.array([[-2.0], [-0.5], [0.0], [0.7]]), 1e4
    scaled = LOSSES["logistic"].value(c * z) / c
    np.testing.assert_allclose(scaled, LOSSES["perceptron"].value(z), atol=np.log(2) / c)


# Linear classification


@every_loss
def test_value_by_definition_and_derivatives_by_differences(loss):
    features, labels = some_data()
    model = LogisticRegression(features, labels, loss)
    w = np.random.default_rng(1).standard_normal((2, 3, 5))
    terms = [loss.value([y * (x @ w[1, 2])]) for x, y in zip(features, labels, strict=True)]
    assert model.value(w)[1, 2] == pytest.approx(np.mean(terms), rel=1e-14)
    assert model.value(w).shape == (2, 3) and model.gradient(w).shape == w.shape
    point = w[0, 0]
    np.testing.assert_allclose(
        model.gradient(point), differences(model.value, point), rtol=1e-6, atol=1e-8
    )
    hessian = model.hessian(point)
    np.testing.assert_allclose(
        hessian, differences(model.gradient, point), rtol=1e-5, atol=1e-5 * np.abs(hessian).max()
    )
    columns = model.hessian_product(point, np.eye(5))
    np.testing.assert_allclose(columns, hessian, rtol=1e-12, atol=1e-14)
    assert model.hessian(w).shape == (2, 3, 5, 5) and model.sharpness(w).shape == (2, 3)
    assert model.sharpness(point) == pytest.approx(np.linalg.eigvalsh(hessian)[-1], abs=1e-14)


def test_it_is_differentiable_and_descends_as_one():
    model = LogisticRegression(*some_data())
    start = np.arange(5) / 5
    assert isinstance(model, gd.Differentiable)
    orbit = gd.gradient_descent(model, start, 0.5, 60)
    run = model.descend(0.5, 60, start, keep_every=1)
    np.testing.assert_allclose(run.points, orbit.points, rtol=1e-13)
    np.testing.assert_allclose(run.losses, orbit.values, rtol=1e-13)


def test_first_step_is_to_the_mean():
    features, labels = some_data()
    run = LogisticRegression(features, labels).descend(3.0, 1)
    mean = (labels[:, np.newaxis] * features).mean(axis=0)
    np.testing.assert_allclose(run.points[1], 1.5 * mean, rtol=1e-14)
    assert run.losses[0] == pytest.approx(np.log(2)) and run.exponential[0] == 1


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("logistic", 0.25),
        ("exponential", np.inf),
        ("flattened exponential", 4),
        ("flattened polynomial", 0.75),
        ("perceptron", np.inf),
        ("another", 1),
    ],
)
def test_smoothness(name, largest):
    features, labels = some_data()
    model = LogisticRegression(features, labels, LOSSES[name])
    eigenvalue = np.linalg.eigvalsh(features.T @ features / len(labels))[-1]
    assert model.smoothness == pytest.approx(largest * eigenvalue, rel=1e-12)


def test_smoothness_is_the_sharpness_at_zero():
    model = LogisticRegression(*digits_pair(0, 8))
    assert model.sharpness(np.zeros(64)) == pytest.approx(model.smoothness, rel=1e-12)
    assert 2 / model.smoothness == pytest.approx(14.2503, abs=5e-5)


# Runs


def run_in_numpy(model, rate, steps, start=0.0, adaptive=False):
    """What `descend` gives before it is worth to compile anything."""
    losses, exponential = np.full((2, steps + 1), np.nan)
    keep, kept = np.arange(steps + 1), np.full((steps + 1, model.dimension), np.nan)
    n = len(model.labels)
    margins.descend_numpy(
        *(model.loss, model._signed, np.zeros(model.dimension) + start, np.full((1, n), 1 / n)),
        *(rate, adaptive, keep, kept, losses, exponential),
    )
    return ClassificationRun(rate, losses, exponential, keep, kept)


@pytest.mark.parametrize(
    ("loss", "adaptive"), [*[(name, False) for name in LOSSES], ("logistic", True)]
)
def test_compiled_is_what_numpy_gives(loss, adaptive):
    model = LogisticRegression(*some_data(d=11), LOSSES[loss])  # neither n nor d fills its lanes
    start = np.linspace(-0.3, 0.2, 11)
    run = model.descend(0.01, 1200, start, keep_every=1, adaptive=adaptive)
    expected = run_in_numpy(model, 0.01, 1200, start, adaptive)
    for field in ("losses", "exponential", "points"):
        ours, theirs = getattr(run, field), getattr(expected, field)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13 * np.abs(theirs).max())
    assert not run.diverged and run.losses[-1] < run.losses[0]


@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler():
    model = LogisticRegression(*some_data())
    run, expected = model.descend(0.5, 1000), run_in_numpy(model, 0.5, 1000)
    np.testing.assert_array_equal(run.losses, expected.losses)
    np.testing.assert_array_equal(run.points, expected.points[[0, -1]])


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (4, 8), (16, 16), (17, 3), (5, 200)])
def test_any_shape_of_the_data(shape):
    model = LogisticRegression(*some_data(*shape))
    run, expected = model.descend(0.1, 1000), run_in_numpy(model, 0.1, 1000)
    np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-12)
    np.testing.assert_allclose(run.points[1], expected.points[-1], rtol=1e-11, atol=1e-13)


def test_losses_stay_accurate_where_they_are_tiny():
    run = LogisticRegression([[1.0]], [1]).descend(100.0, 1000)
    # The first step is to 50, and the next ones add 100 exp(-50).
    assert run.points[-1, 0] == pytest.approx(50, rel=1e-15)
    assert run.losses[-1] == pytest.approx(np.exp(-50), rel=1e-13)
    assert run.exponential[-1] == pytest.approx(np.exp(-50), rel=1e-13)


@pytest.mark.parametrize(
    ("steps", "every", "kept"),
    [(0, None, [0]), (5, None, [0, 5]), (6, 3, [0, 3, 6]), (1500, 700, [0, 700, 1400, 1500])],
)
def test_what_is_kept(steps, every, kept):
    model = LogisticRegression(*some_data())
    run = model.descend(2.0, steps, keep_every=every)
    assert run.steps.tolist() == kept and run.losses.shape == (steps + 1,)
    np.testing.assert_allclose(model.value(run.points), run.losses[kept], rtol=1e-12)
    exponential = np.exp(-model.margins(run.points)).mean(axis=1)
    np.testing.assert_allclose(exponential, run.exponential[kept], rtol=1e-12)


@pytest.mark.parametrize("steps", [3, 1500])
def test_adaptive_rate_divides_by_the_loss(steps):
    model = LogisticRegression(*digits_pair())
    run = model.descend(1.0, steps, keep_every=1, adaptive=True)
    moved, before = np.diff(run.points, axis=0), run.points[:-1]
    expected = -model.gradient(before) / run.losses[:-1, np.newaxis]
    np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-12)


def test_adaptive_run_rests_where_the_loss_is_zero():
    model = LogisticRegression([[1.0], [2.0]], [1, 1], LOSSES["perceptron"])
    for steps in (5, 1000):
        run = model.descend(1.0, steps, start=[-0.1], adaptive=True)
        # From -0.1 the loss 0.15 has the gradient -1.5: the step is 10.
        np.testing.assert_allclose(run.losses, [0.15, *np.zeros(steps)])
        assert run.points[-1, 0] == pytest.approx(9.9) and not run.diverged


# Batches


@pytest.mark.parametrize("steps", [700, 1300])
def test_batches_draw_as_many_inputs_as_they_say(steps):
    # On orthonormal inputs a step tells how often each was drawn.
    model = LogisticRegression(np.eye(6), np.ones(6))
    run = model.descend(1.0, steps, keep_every=1, batch=4, rng=np.random.default_rng(0))
    slopes = -model.loss.gradient(run.points[:-1, :, np.newaxis])[..., 0]
    counts = 4 * np.diff(run.points, axis=0) / slopes
    np.testing.assert_allclose(counts, counts.round(), atol=1e-10)
    np.testing.assert_array_equal(counts.round().sum(axis=1), 4)
    assert counts.max().round() >= 2  # with replacement
    # So many draws of a sixth: within five standard deviations.
    assert np.abs(counts.sum(axis=0) - steps * 4 / 6).max() < 5 * (steps * 4 * 5 / 36) ** 0.5
    np.testing.assert_allclose(run.losses, model.value(run.points), rtol=1e-12)


def test_batches_are_those_of_the_generator():
    model = LogisticRegression(*some_data())
    one, same, other = (
        model.descend(1.0, 1100, batch=3, rng=np.random.default_rng(seed)) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(one.losses, same.losses)
    assert (one.losses[1:] != other.losses[1:]).mean() > 0.99


# Divergence


@pytest.mark.parametrize("steps", [30, 1000])
@pytest.mark.parametrize("rate", [6.0, 20.0])
def test_divergence_is_a_result(rate, steps):
    model = LogisticRegression(*two_points(), catalogue.exponential_loss())
    run = model.descend(rate, steps, keep_every=1)
    last = np.flatnonzero(np.isfinite(run.losses))[-1]
    assert run.diverged and 2 <= last < 20
    assert run.losses[last + 1] == np.inf and np.isnan(run.losses[last + 2 :]).all()
    assert np.isnan(run.exponential[last + 2 :]).all() and np.isnan(run.points[last + 2 :]).all()
    assert phases(run).transition is None and phases(run).increases >= 1


@pytest.mark.parametrize(("rate", "step"), [(10.0, 8), (20.0, 5), (50.0, 4)])
def test_the_exponential_loss_overflows(rate, step):
    model = LogisticRegression(*digits_pair(), catalogue.exponential_loss())
    for steps in (500, 1000):
        losses = model.descend(rate, steps).losses
        assert np.flatnonzero(~(losses < 1e303))[0] == step and not np.isfinite(losses[-1])


def test_a_batch_that_diverges_stops_the_run():
    model = LogisticRegression(*two_points(), catalogue.exponential_loss())
    run = model.descend(50.0, 1500, batch=1, rng=np.random.default_rng(0))
    assert run.diverged and np.isnan(run.points[-1]).all()


# Phases


def run_of(losses, rate):
    losses = np.asarray(losses, float)
    kept = np.array([0, len(losses) - 1])
    return ClassificationRun(rate, losses, losses, kept, np.zeros((2, 1)))


def test_phases_by_hand():
    found = phases(run_of([1, 2, 0.7, 0.5, 0.5 * (1 + 1e-14), 0.1], 2.0))
    assert (found.increases, found.last_increase, found.transition) == (1, 1, 3)
    np.testing.assert_allclose(found.average, np.cumsum([1, 2, 0.7, 0.5, 0.5, 0.1]) / range(1, 7))
    never = phases(run_of([1.0, 0.9], 0.5))
    assert (never.increases, never.last_increase, never.transition) == (0, None, 0)
    assert phases(run_of([1.0, 0.9], 3.0)).transition is None


def test_phases_on_digits():
    model = LogisticRegression(*digits_pair(0, 8))
    found = phases(model.descend(50, 2000))
    assert (found.increases, found.last_increase, found.transition) == (4, 6, 9)
    quick = phases(model.descend(1000, 2000))
    assert (quick.increases, quick.last_increase, quick.transition) == (0, None, 1)


def test_monotone_threshold():
    model = LogisticRegression(*two_points())
    threshold = monotone_threshold(model, 1000)
    assert threshold == pytest.approx(17.1662, abs=5e-5) and threshold > 2 / model.smoothness
    assert phases(model.descend(threshold, 1000)).increases == 0
    assert phases(model.descend(threshold * (1 + 2e-9), 1000)).increases > 0


def test_monotone_threshold_of_one_step():
    model = LogisticRegression(*two_points())
    slope = model.gradient(np.zeros(2))
    exact = brentq(lambda h: model.value(-h * slope) - np.log(2), 1, 1e4)
    assert monotone_threshold(model, 1) == pytest.approx(exact, rel=2e-9)


def test_there_may_be_no_threshold():
    assert monotone_threshold(LogisticRegression([[1.0]], [1]), 3) == np.inf


# Largest margin


def assert_optimal(found, features, labels, tolerance=1e-9):
    """The direction is a sum of the inputs that attain the margin, with positive weights."""
    rows = labels[:, np.newaxis] * features
    reached = rows @ found.direction
    assert found.separable and found.value > 0
    assert np.linalg.norm(found.direction) == pytest.approx(1, rel=1e-12)
    assert found.value == pytest.approx(reached.min(), rel=1e-12)
    support = rows[reached <= found.value * (1 + tolerance)]
    weights, rest = nnls(support.T, found.direction)
    assert rest < tolerance and weights.max() > 0


@pytest.mark.parametrize("gamma", [0.4, 0.05, 1e-3])
def test_margin_of_two_points(gamma):
    found = margin(*two_points(gamma))
    assert found.value == pytest.approx(gamma, rel=1e-12)
    np.testing.assert_allclose(found.direction, [1, 0], atol=1e-12)


def test_margin_of_a_cone():
    # Inputs at one angle from an axis have its cosine as their margin.
    turns = np.linspace(0, 2 * np.pi, 7)[:-1]
    rows = np.column_stack([0.6 * np.cos(turns), 0.6 * np.sin(turns), np.full(6, 0.8)])
    labels = np.array([1, -1, 1, -1, -1, 1])
    found = margin(np.concatenate([3 * rows, rows]) * np.tile(labels, 2)[:, None], [*labels] * 2)
    assert found.value == pytest.approx(0.8, rel=1e-12)
    np.testing.assert_allclose(found.direction, [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "value"), [(0, 8, 0.11611), (3, 8, 0.04508), (5, 9, None)]
)
def test_margin_on_digits_is_optimal(first, second, value):
    features, labels = digits_pair(first, second)
    found = margin(features, labels)
    assert_optimal(found, features, labels)
    if value:
        assert found.value == pytest.approx(value, abs=5e-6)
    scaled = margin(1e-6 * features, -labels)
    assert scaled.value == pytest.approx(1e-6 * found.value, rel=1e-9)
    np.testing.assert_allclose(scaled.direction, -found.direction, atol=1e-8)


@pytest.mark.parametrize("shape", [(30, 3), (12, 40), (20, 20), (8, 1000)])
def test_margin_of_any_shape_is_optimal(shape):
    data = some_data(*shape)
    assert_optimal(margin(*data), *data)


def test_margin_of_a_root_of_a_kernel():
    features, labels = digits_pair()
    sizes, vectors = np.linalg.eigh(features @ features.T)  # of rank 64 at most
    root = vectors * np.sqrt(np.maximum(sizes, 0))
    found = margin(root, labels)
    assert found.value == pytest.approx(margin(features, labels).value, rel=1e-8)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        ([[1.0], [2.0]], [1, -1]),
        ([[0.0, 0.0]], [1]),
        ([[1.0, 1.0], [0.0, 0.0]], [1, 1]),
        ([[1.0, 2.0], [2.0, 4.0]], [1, -1]),
        ([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [1, 1, -1, 1]),
    ],
)
def test_not_separable_is_a_result(features, labels):
    found = margin(features, labels)
    assert not found.separable and found.value == 0 and np.isnan(found.direction).all()


# rho

MULTIPLIERS = np.array([1e-3, 1.0, 1e2, 1e4, 1e9])


def test_rho_of_the_exponential_loss():
    z = lambertw(2 * MULTIPLIERS).real / 2  # of a z exp(a z) = a^2 multiplier / 2, with a = 2
    expected = z + z**2
    for name in ("exponential", "flattened exponential"):  # the minimum is where they are the same
        np.testing.assert_allclose(rho(LOSSES[name], MULTIPLIERS), expected, rtol=1e-10)


def test_rho_of_a_polynomial():
    for multiplier in MULTIPLIERS:
        roots = np.roots([2, 4, 2, -multiplier])  # of 2 z (1 + z)^2 = multiplier
        z = roots[np.abs(roots.imag) < 1e-12 * np.abs(roots)].real.max()
        found = rho(catalogue.flattened_polynomial(1), multiplier)
        assert found == pytest.approx(multiplier / (1 + z) + z**2, rel=1e-10)


def test_rho_of_the_logistic_loss():
    def exact(multiplier):
        with mpmath.workdps(30):
            z = mpmath.findroot(
                lambda z: 2 * z * (1 + mpmath.exp(z)) - mpmath.mpf(multiplier),
                (0, multiplier / 4 + 1e-3),
                solver="anderson",
                maxsteps=1000,
            )
            return float(multiplier * mpmath.log1p(mpmath.exp(-z)) + z**2)

    found = rho(LOSSES["logistic"], [[1e-3, 1.0, 1e2]])
    np.testing.assert_allclose(found, [[exact(x) for x in (1e-3, 1.0, 1e2)]], rtol=1e-10)
    tabled = rho(LOSSES["logistic"], [1e2, 1e4, 1e8])
    np.testing.assert_allclose(tabled, [13.742, 57.150, 255.585], atol=5e-4)
    assert rho(LOSSES["logistic"], 0.0) == 0 and rho(LOSSES["perceptron"], 7.0) == 0


# Networks


def test_outputs_by_definition():
    network = some_network()
    weights = np.random.default_rng(1).standard_normal(network.dimension)
    expected = [
        sum(a * max(x @ w, 0) for a, w in zip(network.signs, weights.reshape(5, 4), strict=True))
        for x in network.features
    ]
    np.testing.assert_allclose(network.outputs(weights), np.array(expected) / 5**0.5)
    np.testing.assert_allclose(network.outputs(-2 * weights), 2 * network.outputs(-weights))
    values = network.loss.value((network.labels * network.outputs(weights))[:, np.newaxis])
    assert network.value(weights) == pytest.approx(values.mean(), rel=1e-14)


def test_start_and_signs_are_drawn_in_this_order():
    network, rng = some_network(seed=7), np.random.default_rng(7)
    np.testing.assert_array_equal(network.start, rng.standard_normal(20))
    np.testing.assert_array_equal(network.signs, rng.choice([-1.0, 1.0], 5))


@pytest.mark.parametrize("name", ["logistic", "flattened polynomial"])
def test_derivatives_of_a_network_by_differences(name):
    network = some_network(LOSSES[name])
    point = network.start
    np.testing.assert_allclose(
        network.gradient(point), differences(network.value, point), atol=1e-9
    )
    hessian = network.hessian_product(point, np.eye(20))
    np.testing.assert_allclose(hessian, differences(network.gradient, point), atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-15)
    jacobian = differences(network.outputs, point)
    np.testing.assert_allclose(network.tangent_features(), jacobian.T, atol=1e-9)


def test_network_against_automatic_differentiation():
    jax = pytest.importorskip("jax")  # no wheel for Macs with Intel processors
    network = some_network()

    def value(w):
        received = network.features @ w.reshape(5, 4).T
        outputs = jax.numpy.maximum(received, 0) @ network.signs / 5**0.5
        return jax.numpy.logaddexp(0, -network.labels * outputs).mean()

    vector = np.random.default_rng(2).standard_normal(20)
    with jax.enable_x64(True):
        gradient = jax.grad(value)
        product = jax.jvp(gradient, (network.start,), (vector,))[1]
        np.testing.assert_allclose(network.gradient(network.start), gradient(network.start), 1e-12)
    np.testing.assert_allclose(network.hessian_product(network.start, vector), product, 1e-11)


def test_shapes_of_a_network():
    network = some_network()
    points = np.broadcast_to(network.start, (2, 3, 20))
    assert network.value(points).shape == (2, 3) and network.outputs(points).shape == (2, 3, 9)
    assert network.gradient(points).shape == points.shape
    assert network.hessian_product(points, network.start).shape == points.shape
    assert network.tangent_features().shape == (9, 20)
    np.testing.assert_allclose(  # the network is homogeneous in its weights
        network.tangent_features() @ network.start, network.outputs(network.start)
    )
    assert isinstance(network, gd.Differentiable)


def test_run_of_a_network():
    network = some_network()
    run, orbit = network.descend(0.7, 50), gd.gradient_descent(network, network.start, 0.7, 50)
    np.testing.assert_allclose(run.losses, orbit.values, rtol=1e-12)
    np.testing.assert_allclose(run.points, orbit.points[[0, -1]], rtol=1e-12, atol=1e-14)
    assert run.steps.tolist() == [0, 50] and run.learning_rate == 0.7 and not run.diverged
    distances = np.linalg.norm(orbit.points - network.start, axis=1)
    np.testing.assert_allclose(run.distances, distances, rtol=1e-11)
    active = [network.features @ point.reshape(5, 4).T > 0 for point in orbit.points]
    np.testing.assert_allclose(run.changed, [np.mean(now != active[0]) for now in active])
    assert run.changed[0] == 0 < run.changed[-1] < 1
    margins_at_end = network.labels * network.outputs(run.points[-1])
    assert run.exponential[-1] == pytest.approx(np.exp(-margins_at_end).mean())
    assert phases(run).increases == np.count_nonzero(np.diff(run.losses) > 0)


def test_a_unit_that_is_never_active_stays():
    network = TwoLayerNetwork([[1.0], [2.0]], [1, 1], 40, np.random.default_rng(0))
    run = network.descend(1.0, 20)
    off = run.points[0] <= 0
    np.testing.assert_array_equal(run.points[1, off], run.points[0, off])
    assert 0 < off.sum() < 40 and (run.points[1, ~off] != run.points[0, ~off]).all()


def test_divergence_of_a_network_is_a_result():
    run = some_network(catalogue.exponential_loss(5)).descend(1e3, 100)
    assert run.diverged and np.isnan(run.points[-1]).all() and np.isnan(run.distances[-1])
    assert np.isfinite(run.losses[0]) and np.isfinite(run.points[0]).all()


# Errors


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: LogisticRegression([1.0], [1]), ValueError, r"features .* \(n, d\), not \(1,\)"),
        (lambda: LogisticRegression(np.ones((0, 2)), []), ValueError, r"features .*\(0, 2\)"),
        (lambda: LogisticRegression([[np.nan]], [1]), ValueError, "features must be finite"),
        (lambda: LogisticRegression([["a"]], [1]), TypeError, "features"),
        (lambda: LogisticRegression([[1.0]], [1, 1]), ValueError, r"labels .*\(1,\), not \(2,\)"),
        (lambda: LogisticRegression([[1.0]], [0]), ValueError, "labels must be 1 or -1, not 0"),
        (lambda: margin([[1.0]], [2]), ValueError, "labels must be 1 or -1, not 2"),
        (
            lambda: LogisticRegression([[1.0]], [1], gd.Objective("x*y", "x y")),
            ValueError,
            "loss must have one variable, the margin, not 2",
        ),
        (lambda: LogisticRegression([[1.0]], [1], np.exp), TypeError, "loss"),
        (lambda: rho("logistic", 1.0), TypeError, "loss"),
        (lambda: rho(LOSSES["logistic"], -1.0), ValueError, "multiplier .*not negative.*-1"),
        (lambda: phases([1.0]), TypeError, "run must be a ClassificationRun"),
        (lambda: two_points("far"), TypeError, "margin"),
        (lambda: some_network().gradient([1.0]), ValueError, "points"),
        (lambda: TwoLayerNetwork([[1.0]], [1], 0, np.random.default_rng(0)), ValueError, "width"),
        (lambda: TwoLayerNetwork([[1.0]], [1], 3, 0), TypeError, "rng .*Generator, not 0"),
        (
            lambda: monotone_threshold(LogisticRegression([[1.0]], [1], LOSSES["perceptron"]), 9),
            ValueError,
            "smooth",
        ),
    ],
)
def test_errors_name_argument_value_and_remedy(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"learning_rate": np.nan}, ValueError, "learning_rate"),
        ({"steps": -1}, ValueError, "steps .*-1"),
        ({"start": [1.0]}, ValueError, "start"),
        ({"keep_every": 0}, ValueError, "keep_every .*0"),
        ({"batch": 0, "rng": np.random.default_rng(0)}, ValueError, "batch .*0"),
        ({"batch": 2}, TypeError, "rng must be a numpy.random.Generator, not None"),
    ],
)
def test_errors_of_a_run(options, kind, words):
    model = LogisticRegression(*some_data())
    with pytest.raises(kind, match=words):
        model.descend(**{"learning_rate": 1.0, "steps": 5, **options})


def test_import_loads_nothing_heavy():
    code = "import gdbook.classification, json, sys; print(json.dumps(list(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert not {"scipy", "numba", "llvmlite", "jax", "sklearn"} & set(json.loads(loaded))


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_the_margin_of_very_short_and_long_inputs(scale):
    found = margin(scale * np.eye(2), [1, -1])
    np.testing.assert_allclose(found.value, scale / np.sqrt(2), rtol=1e-12)
    np.testing.assert_allclose(found.direction, np.array([1, -1]) / np.sqrt(2), rtol=1e-12)


def test_what_overflows_warns_of_nothing():
    model = LogisticRegression([[1.0, 0.0], [0.0, 2.0]], [1, -1])
    assert phases(model.descend(-1e300, 5)).increases == 5
    network = TwoLayerNetwork(np.eye(2), [1, -1], 3, np.random.default_rng(0))
    assert np.isnan(network.value(np.full(6, np.nan)))


def test_rho_of_a_huge_multiplier_is_a_minimum():
    multiplier = 1e300
    least = rho(catalogue.exponential_loss(), multiplier)
    z = np.linspace(600, 700, 1001)
    assert (multiplier * np.exp(-z) + z**2 >= least).all()
    assert least > 600**2


def test_runs_that_cannot_rise_and_models_without_a_threshold():
    assert monotone_threshold(LogisticRegression([[0.0]], [1]), 5) == np.inf
    with pytest.raises(TypeError, match="model must be a LogisticRegression, not None"):
        monotone_threshold(None, 5)
    with pytest.raises(ValueError, match="model must have a smooth loss, and features"):
        monotone_threshold(LogisticRegression([[1e200]], [1]), 5)
    with pytest.raises(ValueError, match="loss must be decreasing"):
        rho(gd.Objective("exp(z)", "z"), 1.0)
