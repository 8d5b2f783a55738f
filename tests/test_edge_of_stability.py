"""What the chapter on the edge of stability says of networks, computed apart from its text."""

import re
from pathlib import Path

import numpy as np
import pytest

import gdbook as gd
from gdbook.networks import MultilayerPerceptron, NetworkLoss, train
from tests.chapter_cells import cells, names_of_a_chapter

jax = pytest.importorskip("jax")  # no wheel for Macs with Intel processors

CHAPTER = Path(__file__).parents[1] / "chapters" / "edge-of-stability.md"
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


@pytest.fixture(scope="module")
def text():
    return CHAPTER.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def digits():
    """Three hundred images, a network and its start."""
    images = gd.data.digits().split(300, np.random.default_rng(1))[0].centred()
    network = MultilayerPerceptron([64, 32, 32, 10], "tanh")
    return images, network, network.initial(np.random.default_rng(1))


def step_curvature(objective, x, h):
    """c of the proposition by Gauss quadrature along the segment."""
    g = objective.gradient(x)
    s = (1 + NODES[:, np.newaxis]) / 2
    along = np.einsum("i,nij,j->n", g, objective.hessian(x - h * s * g), g) / (g @ g)
    return WEIGHTS @ ((1 - s[:, 0]) * along)


def last_quarter(run, h):
    return h / 2 * run.sharpness[-(len(run.sharpness) // 4) :]


def rises(run):
    return np.count_nonzero(np.diff(run.losses) > 0)


@pytest.mark.usefixtures("mnist")
def test_a_thousand_images_of_mnist(text, monkeypatch):
    names = names_of_a_chapter(monkeypatch)
    exec(next(cell for cell in cells(text) if "def at_the_edge" in cell).split("\n\n")[0], names)
    section = text.partition("(sec-edge-net-source)=")[2].partition("\n(sec-")[0]
    assert len(cells(section)) == 4
    for cell in cells(section):
        exec(cell, names)
    assert names["on_mnist"] and names["inputs"] == 784 and len(names["thousand"]) == 1000
    runs = names["image_runs"]
    # the note on spikes: the loss shoots up and comes back, at the larger rates only
    for h, spiky in ((0.05, False), (0.3, True), (0.5, True)):
        late = runs[h].losses[100:]
        assert (late.max() > 1.05 * late[0] or rises(runs[h]) > 100) == spiky
    # the largest rate is behind at equal time, as far as the smallest came
    at_end = runs[0.05].losses[-1]
    assert at_end < 1.01 * runs[0.5].losses[150] and at_end < 1.01 * runs[0.3].losses[250]


@pytest.mark.parametrize("h", [0.02, 0.2, 0.7])
def test_one_step_is_balanced_by_the_mean_curvature_of_its_segment(h):
    f = gd.Objective("x^4/4 - x*y + sqrt(1 + y^2) + cos(x + y)", "x y")
    for x in np.random.default_rng(3).uniform(-1.5, 1.5, (20, 2)):
        square = np.sum(f.gradient(x) ** 2)
        change = f.value(x - h * f.gradient(x)) - f.value(x)
        c = step_curvature(f, x, h)
        assert change == pytest.approx(-h * square * (1 - h * c / 2), rel=1e-8, abs=1e-12)


def test_curvature_of_a_step_stays_within_a_third_of_what_its_hessian_may_change():
    rng = np.random.default_rng(0)
    f = gd.Objective("x^3/6 + x^2/2 - x", "x")  # f'' = 1 + x, Lipschitz with constant 1
    for h in (0.1, 0.5, 1.5):
        for x in rng.uniform(-2, 2, (10, 1)):
            away = abs(step_curvature(f, x, h) - f.sharpness(x))
            assert away == pytest.approx(h * np.abs(f.gradient(x))[0] / 3)  # attained


@pytest.mark.parametrize("h", [1.1, 1.3, 1.45])
def test_bounded_runs_that_do_not_rest_have_mean_curvature_two_over_h(h):
    f = gd.Objective("(x^2 - 1)^2/4", "x")  # 2-cycles and chaos beyond h = 1
    orbit = gd.gradient_descent(f, 0.3, h, 4000)
    g = f.gradient(orbit.points[:-1])[:, 0]
    c = np.array([step_curvature(f, x, h) for x in orbit.points[:-1]])
    assert np.abs(orbit.points).max() < 2 and np.sum(g**2) > 100
    assert abs(np.average(c, weights=g**2) * h / 2 - 1) < 2 * orbit.values.max() / (
        h * np.sum(g**2)
    )
    assert f.sharpness(orbit.points).max() > 2 / h
    still = gd.gradient_descent(f, 0.3, 0.4, 4000)  # the other case: a finite sum, and less
    squares = f.gradient(still.points[:-1])[:, 0] ** 2
    curved = np.array([step_curvature(f, x, 0.4) for x in still.points[:15]])
    assert np.sum(squares) < 2 and np.average(curved, weights=squares[:15]) < 0.9 * 2 / 0.4


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_a_small_cross_entropy_is_flat(scale):
    rng = np.random.default_rng(4)
    network = MultilayerPerceptron([2, 3, 3], "tanh")
    features, labels = rng.standard_normal((6, 2)), rng.integers(3, size=6)
    loss = NetworkLoss(network, features, labels)

    def outputs(point, x):
        first, offset, last, bias = jax.numpy.split(point, [6, 9, 18])
        return last.reshape(3, 3) @ jax.numpy.tanh(first.reshape(3, 2) @ x + offset) + bias

    for _ in range(3):
        point = scale * network.initial(rng)
        np.testing.assert_allclose(
            outputs(point, features[0]), network.outputs(point, features[0]), rtol=1e-5
        )
        size = 0.0
        for x in features:
            first = np.linalg.norm(jax.jacfwd(outputs)(point, x), 2)
            second = np.linalg.norm(jax.hessian(outputs)(point, x), 2, axis=(1, 2)).max()
            size = max(size, first**2 + second)
        norm = np.abs(np.linalg.eigvalsh(loss.hessian_product(point, np.eye(21)))).max()
        assert 0.01 * size * loss.value(point) < norm < 2 * size * loss.value(point)


def test_a_polynomial_of_degree_four_comes_to_the_edge_late():
    network = MultilayerPerceptron([1, 100, 1], "tanh")
    loss = NetworkLoss(network, *gd.data.chebyshev(4), "squared")
    run = train(loss, network.initial(np.random.default_rng(1)), 0.1, 10_000, 10_000, 25)
    crossing = run.sharpness_steps[0.05 * run.sharpness > 1][0]
    assert 8000 < crossing < 8150 and 0.97 < last_quarter(run, 0.1).mean() < 1.03
    assert rises(train(loss, run.points[0], 0.1, 8000, 8000)) == 0 < rises(run)


@pytest.mark.parametrize("seed", [2, 3])
def test_other_starts_and_images_come_to_the_edge(seed, digits):
    _, network, _ = digits
    rng = np.random.default_rng(seed)
    images = gd.data.digits().split(300, rng)[0].centred()
    loss = NetworkLoss(network, images.features, images.labels, "squared", "single")
    start = network.initial(rng)
    slow, fast = (train(loss, start, h, 4000, 4000, 31) for h in (0.05, 0.3))
    assert rises(slow) == 0 and slow.sharpness.max() < 20 and slow.sharpness[-1] > slow.sharpness[0]
    assert 0.97 < last_quarter(fast, 0.3).mean() < 1.05 and rises(fast) > 500
    assert slow.losses[-1] > 2 * fast.losses[-100:].mean()


def test_cross_entropy_flattens_for_good(digits):
    images, network, start = digits
    loss = NetworkLoss(network, images.features, images.labels, "cross-entropy", "single")
    run = train(loss, start, 0.5, 6000, 6000, 51)
    assert rises(run) == 0 and 0.6 < run.sharpness.max() < 1
    assert run.sharpness[60:].max() < 0.1 and run.sharpness[-1] < 0.02


def test_spikes_need_no_chance():
    """The smaller the push along the sharpest direction, the later the spike, as its law says."""
    network = MultilayerPerceptron([1, 100, 1], "tanh")
    loss = NetworkLoss(network, *gd.data.chebyshev(5), "squared")
    start = network.initial(np.random.default_rng(1))
    above = train(loss, start, 0.1, 4000, 4000).points[-1]
    _, (u,) = loss.eigenpairs(above)
    waits = []
    for push in (1e-8, 1e-6, 1e-4):
        losses = train(loss, above + push * u, 0.1, 800, 800).losses
        waits.append(int(np.argmax(losses > 2 * losses[0])))
    assert 0 < waits[2] < waits[1] < waits[0] < 700
    # growth by h λ − 1, about 1.02 to 1.06 a step: a hundredfold takes a hundred steps or so
    assert all(50 < wait < 250 for wait in -np.diff(waits))


def test_every_statement_with_a_label_is_referred_to(text):
    labels = re.findall(r"^:label: ((?:thm|prop|lem)-[\w-]+)$", text, re.MULTILINE)
    assert len(labels) >= 3
    for label in labels:
        assert f"{{prf:ref}}`{label}`" in text, label
