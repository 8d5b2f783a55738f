"""Losses of margins and lazy networks: what the chapter proves, tried on data of many kinds."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linprog

import gdbook as gd
from gdbook.classification import LogisticRegression, TwoLayerNetwork, margin, rho, two_points

LOSSES = {  # loss, bound of the slope, constants of conditions C and D
    "logistic": (gd.catalogue.logistic_loss(), 1, 1, 2 * math.log(2)),
    "exponential": (gd.catalogue.flattened_exponential(2), 2, (math.e**2 - 3) / 2, 0.5),
    "polynomial": (gd.catalogue.flattened_polynomial(1), 1, (math.e**2 - 3) / 2, math.inf),
    "steep": (gd.catalogue.flattened_polynomial(3), 3, (math.e**4 - 5) / 4, math.inf),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def separable(rng, n, d):
    """Inputs of norm at most one with labels that a direction knows, and their margin."""
    features = rng.normal(size=(n, d))
    features /= np.maximum(1, np.linalg.norm(features, axis=1, keepdims=True))
    labels = np.sign(features @ rng.normal(size=d))
    return features, labels, margin(features, labels).value


# Conditions


@every_loss
def test_losses_satisfy_their_conditions_with_the_constants_of_the_chapter(name):
    loss, lipschitz, bounded, tail = LOSSES[name]
    x, t = np.meshgrid(np.linspace(-20, 20, 1601), np.linspace(-1, 1, 81))
    at, moved = (loss.value(z[..., np.newaxis]) for z in (x, x + t))
    slope = loss.gradient(x[..., np.newaxis])[..., 0]
    assert (np.diff(at[0]) < 0).all() and (np.diff(slope[0]) >= -1e-12).all()
    assert (-slope <= lipschitz + 1e-12).all() and (-slope <= bounded * at + 1e-12).all()
    assert (moved <= at + slope * t - bounded * slope * t**2 + 1e-12).all()
    right = x >= 0
    assert (at[right] <= tail * -slope[right] * (1 + 1e-9)).all() or math.isinf(tail)
    if math.isinf(tail):
        assert (at / -slope)[0, -1] > 5


@every_loss
def test_price_of_a_comparison_is_concave_and_grows_slower_than_time(name):
    loss = LOSSES[name][0]
    times = np.linspace(0, 1000, 2001)
    prices = rho(loss, times)
    assert prices[0] == 0 and (np.diff(prices) > 0).all() and (np.diff(prices, 2) < 1e-9).all()
    assert (np.diff(times[1:] / prices[1:]) > -1e-9).all()


# Four lines


@every_loss
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("h", [0.3, 8.0, 300.0])
def test_four_lines_hold_for_separable_data(name, seed, h):
    loss, lipschitz, bounded, tail = LOSSES[name]
    rng, T = np.random.default_rng(seed), 2000
    if seed == 0:
        features, labels, gamma = np.ones((1, 1)), np.ones(1), 1
    elif seed == 1:
        features, labels, gamma = *two_points(0.1), 0.1
    else:
        features, labels, gamma = separable(rng, n=6 * seed, d=3)
    model = LogisticRegression(features, labels, loss)
    start = rng.normal(size=features.shape[1]) * (seed - 1)
    run = model.descend(h, T, start=start, keep_every=1)

    t, zero = np.arange(1, T + 1), loss.value([0.0]).item()
    prices = rho(loss, h * t)
    S = max(0, -(labels * (features @ start)).min()) + lipschitz * h / 2
    radius = 5 / gamma * (prices**0.5 + S)
    assert (np.linalg.norm(run.points[1:] - start, axis=1) <= radius).all()
    means = np.cumsum(run.losses[:-1]) / t
    assert (means <= 7 / gamma**2 * (prices + S**2) / (h * t)).all()

    theta = min(1 / (4 * bounded**2 * h), zero / len(labels))
    below = np.flatnonzero(run.losses[:-1] <= theta)
    if len(below):
        later = run.losses[below[0] :]
        assert (later[1:] <= later[:-1] * (1 + 1e-12)).all()  # equal where it is below 1e-15
        left = np.arange(1, len(later))
        assert (later[1:] <= 4 / gamma**2 * rho(loss, h * left) / (h * left)).all()
    slope = -loss.gradient([0.0]).item()
    tailed = min(theta / tail, slope / (2 * len(labels)))
    sure = prices + S**2 <= gamma**2 * theta / 7 * h * t
    sure |= prices**0.5 + S <= gamma**2 * tailed / 5 * h * t
    if sure.any():
        assert len(below) and below[0] < t[sure][0]
    assert sure.any() or seed > 0 or h > 1 or math.isinf(tail)


@pytest.mark.parametrize("seed", range(5))
def test_exponential_loss_doubles_a_bad_margin_for_ever(seed):
    rng = np.random.default_rng(seed)
    kappa, extra = rng.uniform(0.05, 0.5), rng.uniform(0.05, 2, 2)
    K = np.array([[kappa + extra[0], -kappa], [-kappa, kappa + extra[1]]])
    large, small, h = K.diagonal().max(), K.diagonal().min(), rng.uniform(1, 30)
    A = 2 * large / kappa
    for M in np.linspace(1, 60, 600):
        proved = h / 4 * kappa * math.exp(M) >= A * M + h / 2 * large
        if proved and h / 2 * (small * math.exp(M) - kappa) >= M:
            break
    else:
        pytest.fail("no margin is bad enough")
    i = rng.integers(2)
    q = np.empty(2)
    q[i], q[1 - i] = -M, rng.uniform(0, A * M)
    while -q.min() < 300:
        worst = q.argmin()
        after = q + h / 2 * K @ np.exp(-q)
        assert after[1 - worst] <= 2 * q[worst] and 0 <= after[worst] <= A * -after[1 - worst]
        q = after


# Networks


@pytest.mark.parametrize("seed", range(6))
def test_network_is_almost_linear(seed):
    """The four conditions, with the share of neurons that changed in fact."""
    rng = np.random.default_rng(seed)
    features, labels, _ = separable(rng, n=7, d=4)
    network = TwoLayerNetwork(features, labels, 40, rng)
    m, h, loss = network.width, 3.0, network.loss

    def parts(w):
        received = features @ w.reshape(m, -1).T
        through = labels[:, np.newaxis] * (received > 0) * network.signs / m**0.5
        rows = through[..., np.newaxis] * features[:, np.newaxis]
        return rows.reshape(len(rows), -1), labels * network.outputs(w), received > 0

    for size in (0.03, 0.3, 3):
        first, second = network.start + size * rng.normal(size=(2, network.dimension))
        second = first + rng.choice([0.01, 1]) * (second - first)
        (phi, q, active), (other, q_other, active_other) = parts(first), parts(second)
        distance = np.linalg.norm(first - second)
        assert (np.linalg.norm(phi, axis=1) <= 1 + 1e-12).all()
        np.testing.assert_allclose(phi @ first, q, atol=1e-12)
        assert (np.abs(q - q_other) <= distance + 1e-12).all()
        share = np.mean(active != active_other, axis=1)  # between the two: 2β in the chapter
        assert (np.abs((phi - other) @ second) <= share**0.5 * distance + 1e-12).all()

        slopes = -loss.gradient(q[:, np.newaxis])[:, 0]
        gradient = -(slopes @ phi) / len(q)
        np.testing.assert_allclose(network.gradient(first), gradient, atol=1e-12)
        _, q_next, active_next = parts(first - h * gradient)
        share = np.mean(active != active_next, axis=1)
        error = np.abs(q_next - q + h * phi @ gradient)
        assert (error <= share * h * slopes.mean() + 1e-12).all()


def test_few_neurons_change_even_if_they_are_chosen():
    """An adversary moves the neurons that are easiest to change, as many as his radius allows."""
    rng, m, n = np.random.default_rng(0), 4000, 5
    features = separable(rng, n, 3)[0]
    network = TwoLayerNetwork(features, np.ones(n), m, rng)
    received = features @ network.start.reshape(m, -1).T
    for R in (0.5, 2, 8):
        cost = np.sort((received / np.linalg.norm(features, axis=1)[:, np.newaxis]) ** 2, axis=1)
        shares = np.mean(np.cumsum(cost, axis=1) <= R**2, axis=1)
        bound = 1.8 * (R**2 / m) ** (1 / 3) + (math.log(n / 1e-3) / (2 * m)) ** 0.5
        assert (bound / 6 < shares).all() and (shares <= bound).all()


def kernel_margin(angles, lengths, labels):
    """Margin of the tangent kernel on inputs whose directions are multiples of 30 degrees."""
    apart = np.abs(np.subtract.outer(angles, angles))
    apart = math.pi / 6 * np.minimum(apart, 12 - apart)
    kernel = np.outer(lengths, lengths) * np.cos(apart) * (math.pi - apart) / (2 * math.pi)
    sizes, vectors = np.linalg.eigh(kernel)
    return margin(vectors * np.sqrt(np.maximum(sizes, 0)), labels).value


def separates(angles, labels):
    """The two conditions of the theorem on such inputs."""
    label = {}
    for angle, y in zip(angles, labels, strict=True):
        if label.setdefault(angle, y) != y:
            return False
    facing = [e for e in label if label[e] == 1 and label.get((e + 6) % 12) == -1]
    if not facing:
        return True
    rows = [[math.cos(math.pi * e / 6), math.sin(math.pi * e / 6)] for e in facing]
    return linprog(
        [0, 0], A_ub=-np.array(rows), b_ub=-np.ones(len(rows)), bounds=(None, None)
    ).success


def test_tangent_kernel_separates_exactly_the_data_of_the_theorem():
    rng, seen = np.random.default_rng(0), []
    for _ in range(150):
        angles = rng.choice([0, 2, 4, 6, 8, 10, 3], rng.integers(3, 20))
        alternating = np.where(angles % 4 == 0, 1, -1)
        labels = alternating if rng.random() < 0.5 else rng.choice([1, -1], len(angles))
        expected = separates(angles.tolist(), labels.tolist())
        found = kernel_margin(angles, rng.uniform(0.3, 1, len(angles)), labels)
        assert (found > 1e-3) if expected else (found < 1e-6), (angles, labels)
        seen.append((expected, len(set(zip(angles, labels, strict=True))) == len(set(angles))))
    # Data that violate only the second condition, or only the first, or neither.
    assert {(True, True), (False, True), (False, False)} <= set(seen)


def test_no_width_and_no_weights_classify_the_hexagon():
    angles = math.pi / 3 * np.arange(6)
    hexagon = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for seed, width in itertools.product(range(3), (3, 50)):
        network = TwoLayerNetwork(hexagon, [1, -1] * 3, width, np.random.default_rng(seed))
        for run in (network.descend(1.0, 300), network.descend(50.0, 300)):
            assert (network.outputs(run.points[-1]) * network.labels).min() <= 1e-9
            assert run.losses.min() > 0.2


def test_four_lines_on_mnist(mnist):
    features, labels = gd.data.mnist().pair(0, 8)
    chosen = np.random.default_rng(0).choice(len(labels), 300, replace=False)
    network = TwoLayerNetwork(features[chosen], labels[chosen], 64, np.random.default_rng(0))
    T, distances = 100, []
    for h in (1.0, 10.0, 100.0):
        run = network.descend(h, T)
        price = rho(network.loss, np.array([h * T]))[0]
        quotient = run.losses[:-1].mean() * h * T / (price + h**2 / 4)
        below = np.flatnonzero(run.losses <= 1 / (4 * h))
        assert quotient < 10 and (len(below) == 0 or (np.diff(run.losses[below[0] :]) < 0).all())
        distances.append(run.distances[-1])
        last = run.losses[-1]
    assert last < 0.05 and distances[0] < distances[1] < distances[2] < 100
