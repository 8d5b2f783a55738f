"""What the chapter on impossibility says of networks: more starts, exact statements, MNIST."""

from pathlib import Path

import numpy as np
import pytest

import gdbook as gd
from gdbook.networks import MultilayerPerceptron, NetworkLoss, ensemble
from tests.chapter_cells import cells, names_of_a_chapter

jax = pytest.importorskip("jax")  # no wheel for Macs with Intel processors

CHAPTER = Path(__file__).parents[1] / "chapters" / "impossibility.md"
DEPTHS = (1, 2, 3)


@pytest.fixture(scope="module")
def ten():
    """Ten digits less their mean, as ten coordinates of mean square length 1, and the images."""
    images = gd.data.digits().split(10, np.random.default_rng(0))[0].centred()
    turned = np.linalg.qr(images.features.T)[1].T
    return turned / np.sqrt(np.mean(np.sum(turned**2, axis=1))), images


def problem(hidden, features, targets, number, precision="single", loss="squared"):
    network = MultilayerPerceptron([features.shape[1]] + [20] * hidden + [10], "gelu")
    rng = np.random.default_rng(100 + hidden)
    starts = np.array([network.initial(rng) for _ in range(number)])
    return NetworkLoss(network, features, targets, loss, precision), starts


@pytest.mark.usefixtures("mnist")
def test_the_sections_on_networks_on_mnist(monkeypatch):
    text = CHAPTER.read_text(encoding="utf-8")
    first, _, last = text.partition("(sec-impossible-networks)=")[2].partition(
        "(sec-impossible-batches)="
    )
    last = last.partition("\n## ")[2].partition("\n## ")[0]
    found, names = cells(first + last), names_of_a_chapter(monkeypatch)
    assert len(found) > 20
    for cell in found:
        exec(cell, names)
    assert names["on_mnist"] and names["ten"].features.shape == (10, 784)


@pytest.fixture(scope="module")
def hundred(ten):
    """A hundred starts at three rates: runs with all images and with batches of five."""
    turned, images = ten
    rates = np.array([0.5, 1.0, 1.5])
    found = {}
    for hidden in DEPTHS:
        loss, starts = problem(hidden, turned, images.labels, 100)
        rng = np.random.default_rng(5)
        full = ensemble(loss, starts, rates, 2000)
        found[hidden] = loss, full, ensemble(loss, starts, rates, 2000, batch_size=5, rng=rng)
    return found


def at_rest(runs):
    return runs.gradient_norms < 1e-3


def test_of_a_hundred_starts_fewer_rest_at_larger_rates_and_in_deeper_networks(hundred):
    full = np.array([at_rest(hundred[hidden][1]).mean(axis=0) for hidden in DEPTHS])
    noisy = np.array([at_rest(hundred[hidden][2]).mean(axis=0) for hidden in DEPTHS])
    for share in (full, noisy):  # standard errors are at most 0.05
        assert (share[1:, 0] > share[1:, 2] + 0.3).all() and share[0, 2] > share[2, 2] + 0.1
    assert full[0, 0] > 0.95 and full[2, 2] < 0.15 and noisy[2, 1:].max() < 0.15
    assert (noisy.sum(axis=1) < full.sum(axis=1) - 0.2).all()


def test_what_rests_is_weakly_stable_and_flatter_with_batches(hundred):
    means = []
    for column in (1, 2):
        scaled = []
        for hidden in DEPTHS:
            loss, runs = hundred[hidden][0], hundred[hidden][column]
            fitted = at_rest(runs) & (runs.losses < 0.1)
            fitted[20:] = False
            places = np.broadcast_to(runs.learning_rates, fitted.shape)[fitted]
            sharpness = loss.sharpness(runs.points[fitted])
            assert sharpness.min() > 1
            scaled.append(places * sharpness)
        scaled = np.concatenate(scaled)
        assert len(scaled) > 30 and scaled.max() < 2.05
        means.append(scaled.mean())
    assert means[1] < means[0] - 0.02


@pytest.mark.parametrize("activation", ["gelu", "tanh", "relu"])
@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_a_bias_at_the_end_keeps_the_sharpness_at_one(activation, hidden):
    rng = np.random.default_rng(hidden)
    network = MultilayerPerceptron([3] + [4] * hidden + [2], activation)
    loss = NetworkLoss(network, rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), "squared")
    for scale in (0.0, 0.3, 2.0):
        point = scale * rng.normal(size=loss.dimension)
        block = loss.hessian_product(point, np.eye(loss.dimension)[-2:])[:, -2:]
        np.testing.assert_allclose(block, np.eye(2), atol=1e-12)
        assert loss.sharpness(point) > 1 - 1e-9


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("hidden", [0, *DEPTHS])
def test_beyond_two_nothing_rests(ten, hidden, size):
    turned, images = ten
    loss, starts = problem(hidden, turned, images.labels, 16, "double")
    rng = None if size is None else np.random.default_rng(0)
    runs = ensemble(loss, starts, [2.02, 3.0], 1000, batch_size=size, rng=rng)
    assert not at_rest(runs).any()


@pytest.mark.parametrize("hidden", DEPTHS)
def test_a_dead_network_attracts_below_two_and_repels_above(ten, hidden):
    turned, images = ten
    loss, _ = problem(hidden, turned, images.labels, 1, "double")
    dead = np.zeros(loss.dimension)
    dead[-230:-210], dead[-10:] = -20, loss.targets.mean(axis=0)  # biases of the last two layers
    assert np.linalg.norm(loss.gradient(dead)) < 1e-12
    assert loss.sharpness(dead) == pytest.approx(1, abs=1e-9)
    assert loss.value(dead) == pytest.approx(loss.targets.var(axis=0).sum() / 2)
    near = dead + 1e-6 * np.random.default_rng(1).normal(size=(1, loss.dimension))
    below, above = ensemble(loss, near, [1.9, 2.1], 200).losses[0] - loss.value(dead)
    assert abs(below) < 1e-12 and above > 1e-6


def test_a_loss_times_c_has_its_rates_divided_by_c(ten):
    turned, images = ten

    def mean_of_squares(outputs, targets):
        return jax.numpy.sum((outputs - targets) ** 2, axis=1)

    loss, starts = problem(2, turned, images.labels, 4, "double")
    twice, _ = problem(2, turned, loss.targets, 1, "double", mean_of_squares)
    np.testing.assert_allclose(twice.value(starts), 2 * loss.value(starts))
    ours = ensemble(loss, starts, [0.5, 1.0], 50)
    theirs = ensemble(twice, starts, [0.25, 0.5], 50)
    np.testing.assert_allclose(theirs.points, ours.points, atol=1e-6)
    assert not at_rest(ensemble(twice, starts, [1.01], 1000)).any()
    assert at_rest(ensemble(twice, starts, [0.25], 4000)).all()


def test_turned_coordinates_make_the_same_steps(ten):
    turned, images = ten
    axes, triangle = np.linalg.qr(images.features.T)
    unit = np.median(turned[:, 0] / triangle.T[:, 0])
    network = MultilayerPerceptron([64, 20, 10], "gelu")
    pixels = NetworkLoss(network, unit * images.features, images.labels, "squared")
    loss, _ = problem(1, turned, images.labels, 1, "double")
    start = network.initial(np.random.default_rng(0))
    weight = start[: 64 * 20].reshape(20, 64)
    same = np.concatenate([(weight @ axes).ravel(), start[64 * 20 :]])
    whole, small = ensemble(pixels, [start], [0.5], 100), ensemble(loss, [same], [0.5], 100)
    np.testing.assert_allclose(small.losses, whole.losses, rtol=1e-6)
    np.testing.assert_allclose(small.points[0, 0, 200:], whole.points[0, 0, 1280:], atol=1e-7)
    moved = whole.points[0, 0, :1280].reshape(20, 64) - weight
    np.testing.assert_allclose(moved @ axes @ axes.T, moved, atol=1e-10)  # nowhere else


def test_a_run_that_goes_on_is_the_longer_run(ten):
    turned, images = ten
    loss, starts = problem(2, turned, images.labels, 3)
    half = ensemble(loss, starts, [0.3], 200)
    rest = ensemble(loss, half.points[:, 0], [0.3], 300)
    whole = ensemble(loss, starts, [0.3], 500)
    np.testing.assert_allclose(rest.points, whole.points, atol=1e-4)
