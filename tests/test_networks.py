"""Networks: against their definition in NumPy, differences, dense matrices, and exact cases."""

import itertools
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import gdbook as gd
from gdbook import lanczos
from gdbook.lanczos import leading, random_block
from gdbook.networks import MultilayerPerceptron, NetworkLoss, central_flow, ensemble, train
from tests.chapter_cells import cells, names_of_a_chapter

jax = pytest.importorskip("jax")  # no wheel for Macs with Intel processors

ROOT = Path(__file__).parents[1]
KINDS = list(itertools.product(["relu", "tanh"], ["cross-entropy", "squared"]))


def small(activation="tanh", kind="squared", seed=0):
    """A loss with 31 parameters, and a point."""
    rng = np.random.default_rng(seed)
    network = MultilayerPerceptron([3, 4, 3], activation)
    features, labels = rng.standard_normal((12, 3)), rng.integers(3, size=12)
    return NetworkLoss(network, features, labels, kind), network.initial(rng) + 0.1


def dense(loss, point):
    return loss.hessian_product(point, np.eye(loss.dimension))


def by_definition(loss, point):
    """The loss of one hidden layer, image by image."""
    weight, bias, last, offset = np.split(point, [12, 16, 28])
    total = 0.0
    for x, label in zip(loss.features, loss.labels, strict=True):
        signal = weight.reshape(4, 3) @ x + bias
        signal = np.tanh(signal) if loss.network.activation == "tanh" else np.maximum(signal, 0)
        z = last.reshape(3, 4) @ signal + offset
        if loss.loss == "squared":
            total += np.sum((z - np.eye(3)[label]) ** 2) / 2
        else:
            total -= np.log(np.exp(z[label]) / np.exp(z).sum())
    return total / len(loss.features)


@pytest.mark.parametrize(("activation", "kind"), KINDS)
def test_value_by_definition(activation, kind):
    loss, point = small(activation, kind)
    assert loss.value(point) == pytest.approx(by_definition(loss, point), rel=1e-13)


@pytest.mark.parametrize(("activation", "kind"), KINDS)
def test_gradient_and_hessian_by_differences(activation, kind):
    loss, point = small(activation, kind)
    step = 1e-5 * np.eye(loss.dimension)
    slopes = (loss.value(point + step) - loss.value(point - step)) / 2e-5
    np.testing.assert_allclose(loss.gradient(point), slopes, atol=1e-9)
    hessian = dense(loss, point)
    turns = (loss.gradient(point + step) - loss.gradient(point - step)) / 2e-5
    np.testing.assert_allclose(hessian, turns, atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-14)


@pytest.mark.parametrize(("activation", "kind"), KINDS)
def test_sharpness_is_the_largest_eigenvalue(activation, kind):
    loss, point = small(activation, kind)
    points = np.stack([point, -2 * point, np.zeros_like(point)])
    exact = [np.linalg.eigvalsh(dense(loss, row))[-1] for row in points]
    np.testing.assert_allclose(loss.sharpness(points), exact, rtol=1e-7)


def test_least_squares_has_the_hessian_of_its_inputs():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((30, 6))
    loss = NetworkLoss(MultilayerPerceptron([6, 2]), features, rng.normal(size=(30, 2)), "squared")
    extended = np.column_stack([features, np.ones(30)])
    largest = np.linalg.eigvalsh(extended.T @ extended / 30)[-1]
    assert loss.sharpness(rng.standard_normal(14)) == pytest.approx(largest, rel=1e-9)


def test_one_unit_a_layer_is_the_scalar_factorization():
    loss = NetworkLoss(MultilayerPerceptron([1, 1, 1], "relu"), [[1.0]], [[1.0]], "squared")
    formula, weights = gd.catalogue.scalar_factorization(), np.array([0, 2])
    for x, y in [(2.0, 0.25), (1.3, 1.7), (0.5, 2.0)]:
        point = np.array([x, 0.0, y, 0.0])
        assert loss.value(point) == formula.value([x, y])
        np.testing.assert_allclose(loss.gradient(point)[weights], formula.gradient([x, y]))
        hessian = dense(loss, point)[np.ix_(weights, weights)]
        np.testing.assert_allclose(hessian, formula.hessian([x, y]))


def test_sharpness_may_be_zero_or_negative():
    flat = NetworkLoss(MultilayerPerceptron([2, 1]), [[1.0, 2.0]], [0])  # one class is certain
    assert flat.sharpness(np.zeros(3)) == 0
    value, (vector, _) = largest(np.array([-3.0, -1.0, -2.0]), [np.ones(3)], 1e-9)
    assert value == pytest.approx(-1)
    np.testing.assert_allclose(np.abs(vector), [0, 1, 0], atol=1e-7)
    assert largest(np.array([5.0]), [np.ones(1)])[0] == 5
    assert largest(np.full(9, 2.0), [np.ones(9)])[0] == pytest.approx(2)


def test_hidden_units_can_change_places():
    loss, point = small("relu", "cross-entropy")
    (weight, bias), (last, offset) = loss.network.layers(point)
    order = [2, 0, 3, 1]
    moved = np.concatenate([weight[order].ravel(), bias[order], last[:, order].ravel(), offset])
    assert loss.value(moved) == pytest.approx(loss.value(point), rel=1e-14)
    assert loss.sharpness(moved) == pytest.approx(loss.sharpness(point), rel=1e-8)


def test_the_crease_of_relu_has_slope_zero_and_nan_stays():
    loss = NetworkLoss(MultilayerPerceptron([1, 1, 1]), [[1.0]], [[1.0]], "squared")
    np.testing.assert_array_equal(loss.gradient([0.0, 0.0, 1.0, 0.0]), [0, 0, 0, -1])
    assert np.isnan(loss.value([np.nan, 0.0, 1.0, 0.0])) and np.isnan(loss.sharpness([np.nan] * 4))


def test_cross_entropy_of_large_outputs_does_not_overflow():
    loss = NetworkLoss(MultilayerPerceptron([1, 2]), [[1.0]], [0])
    assert loss.value([1e4, -1e4, 0, 0]) == 0 and loss.value([-1e4, 1e4, 0, 0]) == 2e4


def test_shapes():
    loss, point = small()
    points = np.broadcast_to(point, (2, 5, loss.dimension))
    assert loss.value(points).shape == loss.accuracy(points).shape == (2, 5)
    assert loss.gradient(points).shape == loss.hessian_product(point, points).shape == points.shape
    assert loss.value(points[:0]).shape == (0, 5)
    assert loss.gradient(points[:, :0]).shape == (2, 0, loss.dimension)
    assert loss.sharpness(points[:0]).shape == (0, 5)
    assert loss.network.outputs(point, np.zeros((7, 2, 3))).shape == (7, 2, 3)


def test_it_is_differentiable_and_descends_as_one():
    loss, point = small("tanh", "cross-entropy")
    assert isinstance(loss, gd.Differentiable)
    orbit = gd.gradient_descent(loss, point, 0.5, 300)
    run = train(loss, point, 0.5, 300)
    np.testing.assert_allclose(run.points, orbit.points, atol=1e-12)
    np.testing.assert_allclose(run.losses, orbit.values, atol=1e-13)
    flow = gd.gradient_flow(loss, point, [0.0, 1.0])
    assert loss.value(flow.points[1]) < loss.value(point)


@pytest.mark.parametrize(
    ("steps", "every", "kept"), [(0, 1, [0]), (6, 3, [0, 3, 6]), (600, 250, [0, 250, 500, 600])]
)
def test_what_is_kept(steps, every, kept):
    loss, point = small()
    run = train(loss, point, 0.1, steps, keep_every=every)
    assert run.steps.tolist() == kept and run.losses.shape == (steps + 1,)
    np.testing.assert_allclose(loss.value(run.points), run.losses[kept], rtol=1e-13)
    assert run.sharpness.shape == (0,) and not run.diverged
    np.testing.assert_array_equal(run.points, train(loss, point, 0.1, steps).points[kept])


def test_sharpness_on_the_way():
    images, _ = gd.data.digits().split(60, np.random.default_rng(0))
    network = MultilayerPerceptron([64, 10, 10], "tanh")
    loss = NetworkLoss(network, images.features, images.labels, "squared")
    start = network.initial(np.random.default_rng(0))
    rate = 3 / float(loss.sharpness(start))  # a catapult: the eigenvector turns
    run = train(loss, start, rate, 100, keep_every=10, sharpness_every=5)
    assert run.sharpness_steps.tolist() == list(range(0, 101, 5))
    np.testing.assert_allclose(run.sharpness[::2], loss.sharpness(run.points), rtol=0.02)
    assert run.losses.max() > 1.5 * run.losses[0] and rate * run.sharpness[-1] < 2.1


def test_an_eigenvalue_that_overtakes_is_seen():
    spectrum = np.linspace(0, 1, 200)
    spectrum[:2] = 3.0, 2.0
    value, (vector, second) = largest(spectrum, [np.random.default_rng(0).standard_normal(200)])
    assert value == pytest.approx(3, rel=1e-3)
    for spectrum[1] in np.linspace(2, 6, 9):  # these are the second, then the largest
        value, (vector, second) = largest(spectrum, [vector, second])
        assert value == pytest.approx(spectrum.max(), rel=2e-3)
    assert abs(vector[1]) == pytest.approx(1, abs=1e-3)


def largest(spectrum, block, tolerance=1e-2):
    values, block = leading(lambda vectors: spectrum * vectors, block, tolerance)
    return values[0], block


def test_divergence_is_a_result():
    loss, point = small()
    run = train(loss, point, 50.0, 1000, keep_every=100, sharpness_every=100)
    assert run.diverged and np.isnan(run.points[-1]).all() and np.isnan(run.sharpness[-1])
    np.testing.assert_array_equal(run.points[0], point)
    assert run.losses[0] == loss.value(point)


def test_divergence_does_not_depend_on_what_is_kept():
    loss, point = small()
    often, seldom = (train(loss, point, 50.0, 600, keep_every=every) for every in (1, 1000))
    np.testing.assert_array_equal(often.losses, seldom.losses)
    np.testing.assert_array_equal(np.isnan(often.losses), np.isnan(often.points[:, 0]))
    assert 0 < np.isfinite(often.losses).sum() < 200


def test_targets_of_one_output():
    network = MultilayerPerceptron([2, 1])
    features, targets = np.eye(4)[:, :2], np.array([0.0, 1.0, 0.5, 0.0])
    flat = NetworkLoss(network, features, targets, "squared")
    tall = NetworkLoss(network, features, targets[:, np.newaxis], "squared")
    np.testing.assert_array_equal(flat.targets, tall.targets)
    assert flat.labels is None and flat.value(np.zeros(3)) == 1.25 / 8


def test_accuracy_after_divergence():
    loss = NetworkLoss(NETWORK, INPUTS, [0] * 4)
    np.testing.assert_array_equal(loss.accuracy([np.zeros(9), np.full(9, np.nan)]), [1, np.nan])


def test_the_settings_of_jax_stay_what_they_are():
    loss, point = small()
    assert not jax.config.jax_enable_x64
    exact = loss.value(point)
    assert jax.numpy.ones(1).dtype == "float32" and not jax.config.jax_enable_x64
    with jax.enable_x64(True):
        assert loss.value(point) == exact and jax.numpy.ones(1).dtype == "float64"


def test_a_loss_can_be_sent_to_another_process():
    loss, point = small()
    value = loss.value(point)  # its data are where JAX computes
    assert pickle.loads(pickle.dumps(loss)).value(point) == value


def test_a_fork_is_refused(monkeypatch):
    loss, point = small()
    loss.value(point)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    with pytest.raises(RuntimeError, match="spawn"):
        loss.value(point)


def test_initial_weights():
    network = MultilayerPerceptron([400, 300, 200], "tanh")
    parameters = network.initial(np.random.default_rng(0), scale=3)
    for (weight, bias), inputs in zip(network.layers(parameters), (400, 300), strict=True):
        assert weight.var() * inputs == pytest.approx(9, rel=0.03) and not bias.any()
    np.testing.assert_array_equal(parameters, network.initial(np.random.default_rng(0), scale=3))
    assert MultilayerPerceptron([2, 3]) == MultilayerPerceptron((2, 3))  # one compiled code


ACTIVATIONS = {
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    """A single hidden unit whose weights are 1, in NumPy and in JAX."""
    features = np.array([[-40.0], [-1.5], [0.0], [0.3], [40.0]])
    network, point = MultilayerPerceptron([1, 1, 1], name), np.array([1.0, 0.0, 1.0, 0.0])
    exact = np.array([[ACTIVATIONS[name](x)] for [x] in features])
    np.testing.assert_allclose(network.outputs(point, features), exact, rtol=1e-13, atol=1e-300)
    assert NetworkLoss(network, features, exact + 1, "squared").value(point) == pytest.approx(0.5)
    assert np.isnan(network.outputs(point, [[np.nan]]))


def test_an_activation_and_a_loss_that_are_functions():
    ours, point = small("tanh", "squared")
    network = MultilayerPerceptron(ours.network.widths, jax.numpy.tanh)

    def squared(outputs, targets):
        return ((outputs - targets) ** 2).sum(axis=1) / 2

    theirs = NetworkLoss(network, ours.features, ours.targets, squared)
    assert theirs.labels is None and theirs.targets.shape == (12, 3)
    np.testing.assert_allclose(
        network.outputs(point, [[1.0, 2.0, 3.0]]),
        ours.network.outputs(point, [[1.0, 2.0, 3.0]]),
        rtol=1e-14,
    )
    np.testing.assert_allclose(theirs.gradient(point), ours.gradient(point), atol=1e-15)


def test_logistic_loss_is_cross_entropy_of_two_outputs_one_of_which_is_zero():
    rng = np.random.default_rng(3)
    features, classes = rng.standard_normal((9, 2)), rng.integers(2, size=9)
    two = NetworkLoss(MultilayerPerceptron([2, 2]), features, classes)
    one = NetworkLoss(MultilayerPerceptron([2, 1]), features, 1 - 2 * classes, "logistic")
    w, b = rng.standard_normal(2), 0.4
    both = np.array([*w, 0, 0, b, 0])
    assert one.value([*w, b]) == pytest.approx(two.value(both), rel=1e-14)
    np.testing.assert_allclose(
        one.gradient([*w, b]), two.gradient(both)[[0, 1, 4]], rtol=1e-12, atol=1e-15
    )
    assert one.accuracy([*w, b]) == two.accuracy(both)
    far = NetworkLoss(MultilayerPerceptron([1, 1]), [[1.0], [1.0]], [1, -1], "logistic")
    assert far.value([1e4, 0.0]) == 5e3  # of the second


def test_single_precision():
    double, point = small("tanh", "cross-entropy")
    single = NetworkLoss(double.network, double.features, double.labels, precision="single")
    for name in ("value", "gradient", "sharpness"):
        rough, fine = (np.asarray(getattr(loss, name)(point)) for loss in (single, double))
        assert rough.dtype == float and np.any(rough != fine)
        np.testing.assert_allclose(rough, fine, rtol=1e-4, atol=1e-6)
    runs = [train(loss, point, 0.1, 50, sharpness_every=10) for loss in (single, double)]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-5)
    np.testing.assert_allclose(runs[0].sharpness, runs[1].sharpness, rtol=0.01)


def test_hessian_products_of_several_points():
    loss, point = small()
    rng = np.random.default_rng(4)
    points, vectors = point + rng.normal(size=(2, 3, 31)) / 9, rng.standard_normal((2, 3, 31))
    exact = np.empty_like(points)
    for place in np.ndindex(2, 3):
        hessian = dense(loss, points[place])
        exact[place] = hessian @ vectors[place]
        np.testing.assert_allclose(
            loss.hessian_product(points[place], vectors), vectors @ hessian, atol=1e-12
        )
    np.testing.assert_allclose(loss.hessian_product(points, vectors), exact, atol=1e-12)
    one = np.stack([loss.hessian_product(row, vectors[0, 0]) for row in points[0]])
    np.testing.assert_allclose(loss.hessian_product(points[0], vectors[0, 0]), one, atol=1e-13)


def test_third_derivative_is_the_slope_of_the_hessian():
    loss, point = small("tanh", "cross-entropy")
    first, second = np.random.default_rng(5).standard_normal((2, 31))
    found = loss.third_derivative(point, first, second)
    above, below = (loss.hessian_product(point + s * second, first) for s in (1e-5, -1e-5))
    np.testing.assert_allclose(found, (above - below) / 2e-5, atol=1e-7)
    np.testing.assert_allclose(found, loss.third_derivative(point, second, first), atol=1e-12)
    _, [vector] = loss.eigenpairs(point)
    step = 1e-4 * first
    slope = (loss.sharpness(point + step) - loss.sharpness(point - step)) / 2e-4
    assert loss.third_derivative(point, vector, vector) @ first == pytest.approx(slope, rel=1e-4)


def test_eigenpairs():
    loss, point = small("tanh")
    values, vectors = loss.eigenpairs(point, 4)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(dense(loss, point))[:-5:-1], rtol=1e-8)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-12)
    residuals = loss.hessian_product(point, vectors) - values[:, np.newaxis] * vectors
    assert np.linalg.norm(residuals, axis=1).max() <= 1e-5 * values[0]
    with pytest.raises(ValueError, match="number must be at most 31"):
        loss.eigenpairs(point, 32)


@pytest.mark.parametrize("number", [1, 3])
def test_lanczos_finds_known_eigenvalues(number):
    spectrum = 1 / np.arange(1.0, 301)
    turn = np.linalg.qr(np.random.default_rng(6).standard_normal((300, 300)))[0]
    matrix, products = turn * spectrum @ turn.T, []

    def product(rows):
        products.append(len(rows))
        return rows @ matrix

    values, block = leading(product, random_block(300, number), 1e-3, number)
    np.testing.assert_allclose(values, spectrum[:number], rtol=1e-5)
    assert block.shape == (number + 1, 300) and sum(products) < 30 * number
    products.clear()
    again, _ = leading(product, block[:number], 2e-3, number)  # from eigenvectors: nothing to do
    np.testing.assert_allclose(again, values, rtol=1e-5)
    assert sum(products) == number


def test_lanczos_of_equal_eigenvalues_and_whole_spaces():
    equal = np.array([2.0, 2.0, 1.0, -5.0])
    values, block = leading(lambda rows: equal * rows, random_block(4, 3), 1e-10, 3)
    np.testing.assert_allclose(values, [2, 2, 1], atol=1e-12)
    values, _ = leading(lambda rows: equal * rows, random_block(4, 4), 1e-10, 4)
    np.testing.assert_allclose(values, [2, 2, 1, -5], atol=1e-12)
    values, block = leading(lambda rows: np.nan * rows, random_block(4, 2), 1e-10, 2)
    assert np.isnan(values).all() and block.shape == (3, 4)


@pytest.mark.parametrize("number", [1, 3])
def test_lanczos_where_eigenvalues_crowd_keeps_its_space_small(number, monkeypatch):
    rows, spectrum = [], np.cos(np.arange(2000) / 300)  # gaps from 6e-6 on

    class Space(lanczos._Space):
        def extend(self, block):
            rows.append(self.size)
            return super().extend(block)

    monkeypatch.setattr(lanczos, "_Space", Space)
    values, block = leading(lambda some: spectrum * some, random_block(2000, number), 1e-5, number)
    np.testing.assert_allclose(values, np.sort(spectrum)[: -number - 1 : -1], rtol=1e-5)
    residuals = spectrum * block[:number] - values[:, np.newaxis] * block[:number]
    assert np.linalg.norm(residuals, axis=1).max() <= 1e-5
    assert max(rows) <= 64 + 4 * number and (np.diff(rows) < 0).any()  # it began again


def test_lanczos_keeps_the_precision_of_its_block():
    spectrum = np.linspace(0, 1, 50, dtype=np.float32)
    values, block = leading(lambda some: spectrum * some, np.ones((1, 50), np.float32), 1e-3)
    assert values.dtype == block.dtype == np.float32
    np.testing.assert_allclose(values, [1], rtol=1e-5)


@pytest.mark.filterwarnings("error")
def test_single_precision_far_out_is_silent_and_right():
    inputs = np.linspace(-1, 1, 5)[:, np.newaxis]
    network = MultilayerPerceptron([1, 6, 6, 6, 1], "relu")
    single, double = (
        NetworkLoss(network, inputs, inputs, "squared", name) for name in ("single", "double")
    )
    point = 9e5 * np.random.default_rng(0).uniform(-1, 1, network.dimension)
    assert double.sharpness(point) > 1e36  # whose square is beyond single precision
    np.testing.assert_allclose(single.sharpness(point), double.sharpness(point), rtol=1e-5)
    run = train(single, point, 1e9, 3, sharpness_every=1)
    assert run.diverged and np.isfinite(run.sharpness[0]) and np.isnan(run.sharpness[1:]).all()


def test_an_ensemble_is_as_many_trainings():
    loss, point = small("tanh")
    starts, rates = np.stack([point, -point, 2 * point]), [0.1, 0.5, 50.0]
    runs = ensemble(loss, starts, rates, 40, sharpness=True)
    assert runs.points.shape == (3, 3, 31) and runs.diverged.any() and not runs.diverged.all()
    for place in np.ndindex(3, 3):
        run = train(loss, starts[place[0]], rates[place[1]], 40)
        assert runs.diverged[place] == run.diverged
        np.testing.assert_allclose(runs.points[place], run.points[-1], atol=1e-10)
        np.testing.assert_allclose(runs.losses[place], run.losses[-1], atol=1e-12)
    there = ~runs.diverged
    np.testing.assert_allclose(runs.sharpness[there], loss.sharpness(runs.points[there]))
    assert np.isnan(runs.sharpness[runs.diverged]).all() and np.isnan(runs.losses).any()
    slopes = np.linalg.norm(loss.gradient(runs.points[there]), axis=-1)
    np.testing.assert_allclose(runs.gradient_norms[there], slopes, rtol=1e-10)
    assert np.isnan(runs.gradient_norms[runs.diverged]).all()
    assert ensemble(loss, starts, rates, 0).sharpness is None
    np.testing.assert_array_equal(ensemble(loss, starts, rates, 0).points[:, 1], starts)


def log_cosh(outputs, targets):
    return jax.numpy.log(jax.numpy.cosh(outputs - targets[:, 0])).sum(axis=1)


def parts(kind):
    """A loss, and a function that gives the same loss of some of its data."""
    rng = np.random.default_rng(7)
    network = MultilayerPerceptron([2, 3, 1 if kind == "logistic" else 2], "tanh")
    features, targets = rng.standard_normal((6, 2)), rng.integers(2, size=6)
    if kind == "logistic":
        targets = 2 * targets - 1
    if callable(kind):
        targets = rng.standard_normal((6, 1, 2))

    def part(some):
        return NetworkLoss(network, features[some], targets[some], kind)

    return part(np.arange(6)), part


@pytest.mark.parametrize("kind", ["cross-entropy", "squared", "logistic", log_cosh])
def test_batches_are_steps_on_some_of_the_data(kind):
    loss, part = parts(kind)
    rng = np.random.default_rng(8)
    starts, rates = rng.standard_normal((3, loss.dimension)), [0.1, 0.3]
    runs = ensemble(loss, starts, rates, 7, batch_size=4, rng=np.random.default_rng(9))
    draw = np.random.default_rng(9)
    points = np.repeat(starts[:, np.newaxis], 2, axis=1)
    for _ in range(7):
        batch = part(draw.choice(6, 4, replace=False))
        points = points - np.array(rates)[:, np.newaxis] * batch.gradient(points)
    np.testing.assert_allclose(runs.points, points, atol=1e-12)
    np.testing.assert_allclose(runs.losses, loss.value(points), rtol=1e-10)  # of all data
    norms = np.linalg.norm(loss.gradient(points), axis=-1)
    np.testing.assert_allclose(runs.gradient_norms, norms, rtol=1e-10)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_a_batch_of_all_data_is_gradient_descent(precision):
    _, point = small()
    loss = NetworkLoss(*data_of_small(), "squared", precision)
    whole = ensemble(loss, [point], [0.1], 30)
    rng = np.random.default_rng(0)
    batches = ensemble(loss, [point], [0.1], 30, batch_size=12, rng=rng)
    tolerance = 1e-12 if precision == "double" else 1e-4
    np.testing.assert_allclose(batches.points, whole.points, atol=tolerance)


def data_of_small():
    loss, _ = small()
    return loss.network, loss.features, loss.labels


def test_batches_come_from_the_generator_alone():
    loss, point = small()

    def last(seed, steps=20):
        rng = np.random.default_rng(seed)
        return ensemble(loss, [point], [0.2], steps, batch_size=3, rng=rng).points

    np.testing.assert_array_equal(last(0), last(0))
    assert np.abs(last(0) - last(1)).max() > 1e-3
    np.testing.assert_array_equal(last(0, 0), [[point]])
    both = ensemble(loss, [point, point], [0.2], 20, batch_size=3, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(both.points[:1], last(0))  # all runs see the same batches
    np.testing.assert_array_equal(both.points[0], both.points[1])


def test_batches_hold_each_datum_equally_often_and_none_twice():
    """Least squares for b, one step from 0 with rate 1: b is the mean of the targets drawn."""
    targets = 2.0 ** np.arange(5)
    loss = NetworkLoss(MultilayerPerceptron([1, 1]), np.zeros((5, 1)), targets, "squared")
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        runs = ensemble(loss, [[0.0, 0.0]], [1.0], 1, batch_size=2, rng=rng)
        found.append(2 * runs.points[0, 0, 1])
    sums, counts = np.unique(np.round(found, 9), return_counts=True)
    pairs = [a + b for a, b in itertools.combinations(targets, 2)]
    np.testing.assert_array_equal(sums, np.sort(pairs))
    assert np.sum((counts - 40) ** 2 / 40) < 27.9  # chi-squared with 9 degrees: 1 in 1000


def test_runs_with_batches_may_diverge():
    loss, point = small()
    rng = np.random.default_rng(0)
    runs = ensemble(loss, [point], [0.1, 1e3], 60, True, batch_size=3, rng=rng)
    assert runs.diverged.tolist() == [[False, True]]
    for values in (runs.points[..., 0], runs.losses, runs.gradient_norms, runs.sharpness):
        np.testing.assert_array_equal(np.isnan(values), runs.diverged)


TOY = "+".join(f"w{i}*v{i}^2/2 + (w{i} - c{i})^2/200" for i in (1, 2))


def test_the_central_flow_goes_through_the_middle_of_two_cycles():
    """Both eigenvalues are held at 2/h = 20 by the variances 2 mu (c - 20), mu = 1/100."""
    toy = gd.Objective(TOY, "w1 w2 v1 v2", {"c1": 24, "c2": 21})
    flow = central_flow(toy, [19.95, 19.98, 0, 0], 0.1, 60, keep_every=30)
    np.testing.assert_allclose(flow.sharpness[1:, :2], 20, rtol=1e-3)
    np.testing.assert_allclose(flow.variances[-1], [0.08, 0.02, 0], atol=1e-4)
    amplitudes = np.sqrt(flow.variances[-1, :2])
    start = np.concatenate([flow.points[-1, :2], amplitudes])
    orbit = gd.gradient_descent(toy, start, 0.1, 40)
    np.testing.assert_allclose(orbit.points[1::2, 2:] + amplitudes, 0, atol=1e-2)
    mean = orbit.values.mean()
    assert mean == pytest.approx(flow.predicted_losses[-1], rel=0.02) and mean > flow.losses[-1]


def test_a_double_eigenvalue_is_held_by_the_sum_of_the_variances():
    toy = gd.Objective("w*(u^2 + v^2)/2 + (w - 24)^2/200", "w u v")
    flow = central_flow(toy, [19.95, 0, 0], 0.1, 60, keep_every=60)
    np.testing.assert_allclose(flow.sharpness[-1, :2], 20, rtol=1e-6)
    assert flow.variances[-1].sum() == pytest.approx(0.08, rel=1e-3)


def test_below_the_edge_the_central_flow_is_gradient_flow():
    loss, point = small("tanh")
    flow = central_flow(loss, point, 0.1, 20, substeps=20, keep_every=20)
    assert flow.sharpness.max() < 20 and not flow.variances.any() and not flow.diverged
    exact = gd.gradient_flow(loss, point, [0.0, 2.0]).points[-1]
    np.testing.assert_allclose(flow.points[-1], exact, atol=2e-3)
    np.testing.assert_array_equal(flow.losses, flow.predicted_losses)


class Bare:
    """A loss whose third derivatives must be found by differences."""

    def __init__(self, loss):
        self.dimension, self.value, self.gradient = loss.dimension, loss.value, loss.gradient
        self.hessian_product, self.sharpness = loss.hessian_product, loss.sharpness


def test_the_central_flow_of_a_network_goes_down_to_the_edge_and_stays():
    loss, point = small("tanh")
    rate = 2.4 / float(loss.sharpness(point))
    flow, bare = (central_flow(f, point, rate, 12) for f in (loss, Bare(loss)))
    scaled = rate * flow.sharpness[:, 0] / 2
    assert scaled[0] == pytest.approx(1.2) and scaled[1:].max() < 1.05
    np.testing.assert_allclose(scaled[4:], 1, atol=0.005)
    np.testing.assert_allclose(bare.points, flow.points, atol=1e-5)
    lengths = np.linalg.norm(flow.directions, axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-12)


def test_the_central_flow_may_diverge():
    flow = central_flow(gd.Objective("-x^2/2 + 0*y", "x y"), [1.0, 0.0], 1.0, 40, keep_every=10)
    assert flow.diverged and np.isfinite(flow.points[1]).all() and np.isnan(flow.losses[-1])


@pytest.mark.parametrize("rate", [1e50, 1e300])
def test_the_central_flow_may_overflow(rate):
    toy = gd.Objective("x^2/2 + y^2/2 + z^2/2 + x*y*z", "x y z")
    assert central_flow(toy, [0.3, 0.6, 0.9], rate, 6).diverged


def max_of_all(outputs, targets):
    return outputs.max()


def no_array(outputs, targets):
    return outputs[:, 0], targets


NETWORK, LINE = MultilayerPerceptron([2, 3]), MultilayerPerceptron([2, 1])
INPUTS = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: MultilayerPerceptron(3), TypeError, "widths must be"),
        (lambda: MultilayerPerceptron([3]), ValueError, "widths must name"),
        (lambda: MultilayerPerceptron([3, 0]), ValueError, "widths must be"),
        (lambda: MultilayerPerceptron([3, 2.5]), TypeError, "widths must be"),
        (lambda: MultilayerPerceptron([3, 2], "sine"), ValueError, "activation must be"),
        (lambda: NETWORK.layers(np.zeros(8)), ValueError, "parameters must have 9"),
        (lambda: NETWORK.layers(np.zeros((2, 9))), ValueError, "parameters must have shape"),
        (lambda: NETWORK.initial(np.random.default_rng(0), 0), ValueError, "scale must be"),
        (lambda: NETWORK.initial(0), TypeError, "rng must be a numpy.random.Generator"),
        (lambda: NetworkLoss("net", INPUTS, [0] * 4), TypeError, "network must be"),
        (lambda: NetworkLoss(NETWORK, INPUTS[0], [0]), ValueError, "features must have shape"),
        (lambda: NetworkLoss(NETWORK, INPUTS, [0] * 3), ValueError, "targets must have shape"),
        (lambda: NetworkLoss(NETWORK, INPUTS, [0, 1, 2, 3]), ValueError, "from 0 to 2"),
        (lambda: NetworkLoss(NETWORK, INPUTS, [0.5] * 4), ValueError, "whole numbers"),
        (lambda: NetworkLoss(NETWORK, INPUTS, [1e300] * 4), ValueError, "targets must .*1e.300"),
        (lambda: NetworkLoss(NETWORK, INPUTS, np.eye(4)[:, :3]), ValueError, "shape"),
        (lambda: NetworkLoss(NETWORK, INPUTS, [0] * 4, "hinge"), ValueError, "loss must be"),
        (
            lambda: NetworkLoss(NETWORK, INPUTS, [1] * 4, "logistic"),
            ValueError,
            "one output, not 3",
        ),
        (lambda: NetworkLoss(LINE, INPUTS, [0] * 4, "logistic"), ValueError, "labels 1 or -1"),
        (lambda: NetworkLoss(LINE, INPUTS, [0] * 4, max_of_all), ValueError, "loss must give one"),
        (lambda: NetworkLoss(LINE, INPUTS, [0] * 4, no_array), ValueError, "loss must give one"),
        (lambda: NetworkLoss(LINE, INPUTS, [0] * 4, precision=32), ValueError, "precision must"),
        (lambda: train("loss", [0.0], 0.1, 1), TypeError, "loss must be"),
        (lambda: ensemble("loss", [[0.0]], [0.1], 1), TypeError, "loss must be"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_refusals_of_a_loss():
    loss = NetworkLoss(NETWORK, INPUTS, np.zeros((4, 3)), "squared")
    with pytest.raises(ValueError, match="points and vectors must be equally many"):
        loss.hessian_product(np.zeros((2, 9)), np.zeros((3, 9)))
    with pytest.raises(ValueError, match="accuracy needs labels"):
        loss.accuracy(np.zeros(9))
    with pytest.raises(ValueError, match="keep_every"):
        train(loss, np.zeros(9), 0.1, 5, keep_every=0)
    with pytest.raises(ValueError, match="start must have 9"):
        train(loss, np.zeros(8), 0.1, 5)
    with pytest.raises(ValueError, match=r"starts must be finite numbers of shape \(m, d\)"):
        ensemble(loss, np.zeros(9), [0.1], 5)
    with pytest.raises(ValueError, match="learning_rates must be finite"):
        ensemble(loss, np.zeros((1, 9)), [np.inf], 5)
    with pytest.raises(ValueError, match="learning_rate must be finite"):
        train(loss, np.zeros(9), np.inf, 5)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rng": np.random.default_rng(0)}, ValueError, "rng draws the batches: give batch_size"),
        ({"batch_size": 2}, TypeError, "rng must be a numpy.random.Generator, not None"),
        ({"batch_size": 2, "rng": 0}, TypeError, "rng must be a numpy.random.Generator, not 0"),
        ({"batch_size": 5, "rng": np.random.default_rng(0)}, ValueError, "at most 4, .* not 5"),
        ({"batch_size": 0, "rng": np.random.default_rng(0)}, ValueError, "batch_size must be"),
        ({"batch_size": 1.5, "rng": np.random.default_rng(0)}, TypeError, "batch_size must be"),
    ],
)
def test_refusals_of_batches(options, error, words):
    loss = NetworkLoss(NETWORK, INPUTS, np.zeros((4, 3)), "squared")
    with pytest.raises(error, match=words):
        ensemble(loss, np.zeros((1, 9)), [0.1], 5, **options)


def test_infinite_data_are_refused():
    with pytest.raises(ValueError, match="features must be finite"):
        NetworkLoss(NETWORK, np.full((4, 2), np.nan), [0] * 4)
    with pytest.raises(ValueError, match="targets must be finite"):
        NetworkLoss(NETWORK, INPUTS, np.full((4, 3), np.inf), "squared")
    with pytest.raises(ValueError, match="targets must be finite"):
        NetworkLoss(NETWORK, INPUTS, [np.nan] * 4)
    with pytest.raises(ValueError, match="features must be finite in single precision"):
        NetworkLoss(NETWORK, np.full((4, 2), 1e300), [0] * 4, precision="single")
    with pytest.raises(ValueError, match="targets must be finite in single precision"):
        NetworkLoss(NETWORK, INPUTS, np.full((4, 3), 1e300), "squared", "single")


def test_points_beyond_single_precision_diverge():
    loss = NetworkLoss(LINE, INPUTS, [0] * 4, "squared", "single")
    assert not np.isfinite(loss.value(np.full(3, 1e300)))
    assert ensemble(loss, np.ones((1, 3)), [-1e300], 2).diverged.all()


@pytest.mark.usefixtures("mnist")
def test_the_section_of_the_chapter_on_mnist(monkeypatch):
    text = (ROOT / "chapters" / "escaping-sharp-minima.md").read_text(encoding="utf-8")
    section = text.partition("(sec-escape-network)=")[2].partition("\n## A network")[2]
    section = section.partition("\n## ")[0]
    found, names = cells(section), names_of_a_chapter(monkeypatch)
    assert len(found) > 20
    for cell in found:
        exec(cell, names)
    assert names["on_mnist"] and names["inputs"] == 784
