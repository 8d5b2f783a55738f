"""Weakly stable minima against integrals, counted starts, formulas and exact bounds."""

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from gdbook import Differentiable, Objective, catalogue, descend_many, gradient_descent
from gdbook.factorization import MatrixFactorization
from gdbook.stability import (
    LinearNetwork,
    critical_learning_rate,
    trapping_share,
    weakly_stable_length,
)

# The length


@pytest.mark.parametrize("h", [1e-3, 0.1, 0.2, 0.4, 0.5, 0.8, 0.99, 0.999])
def test_length_is_the_integral(h):
    end = math.sqrt(1 / h + math.sqrt(1 / h**2 - 1))
    integral, _ = quad(lambda x: math.sqrt(1 + x**-4), 1, end, epsabs=0, epsrel=1e-12)
    assert weakly_stable_length(h) == pytest.approx(4 * integral, rel=1e-11)


def test_length_is_that_of_the_curve_drawn():
    angles = np.linspace(-1, 1, 200_001) * math.acosh(1 / 0.3) / 2
    points = np.exp(np.stack([angles, -angles], axis=-1))
    sharpness = catalogue.scalar_factorization().sharpness(points[[0, 100_000, -1]])
    np.testing.assert_allclose(0.3 * sharpness, [2, 0.6, 2], rtol=1e-12)
    arc = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    assert weakly_stable_length(0.3) == pytest.approx(2 * arc, rel=1e-9)


def test_lengths_of_the_chapter():
    lengths = weakly_stable_length([0.1, 0.2, 0.4, 0.5, 0.8, 0.99])
    expected = [14.46978, 9.17482, 5.30348, 4.24678, 2.03816, 0.40235]
    np.testing.assert_allclose(lengths, expected, atol=6e-6)


@pytest.mark.parametrize("gap", [2.0**-10, 2.0**-30, 2.0**-52])
def test_length_vanishes_like_a_root(gap):
    assert weakly_stable_length(1 - gap) == pytest.approx(4 * math.sqrt(gap), rel=gap)
    assert weakly_stable_length(1 - gap) > 4 * math.sqrt(gap) * (1 - 1e-12)


@pytest.mark.parametrize("h", [1e-6, 1e-100, 1e-300, 5e-324])
def test_length_for_tiny_learning_rates(h):
    # 4 (x_h - 1) + 4 int_1^inf (sqrt(1 + x^-4) - 1) dx, with arcs that end at sqrt(2/h)
    rest = quad(lambda x: math.sqrt(1 + x**-4) - 1, 1, np.inf)[0] - 1
    expected = 4 * math.sqrt(2) / math.sqrt(h) + 4 * rest
    assert weakly_stable_length(h) == pytest.approx(expected, rel=1e-11)


def test_no_length_from_one_on():
    assert weakly_stable_length([1.0, 1.0 + 1e-15, 1.9, 1e300]).tolist() == [0.0] * 4


def test_length_of_one_and_of_many():
    rates = np.array([[0.1, 0.2, 0.3], [0.4, 1.0, 2.0]])
    lengths = weakly_stable_length(rates)
    assert lengths.shape == (2, 3) and type(weakly_stable_length(0.4)) is float
    assert lengths[1, 0] == weakly_stable_length(0.4)
    assert weakly_stable_length([]).shape == (0,)


# The share


def test_shares_of_the_chapter():
    rates = [0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 0.99, 1.0, 1.0 + 1e-15, 1.5, 3.0]
    expected = [0.94791, 0.83135, 0.67596, 0.55498, 0.39991, 0.34636, 0.30636, 0.30230, 0, 0, 0]
    np.testing.assert_allclose(trapping_share((-3, 3, -3, 3), rates), expected, atol=6e-6)
    assert trapping_share((-3, 3, -3, 3), 1.0) == pytest.approx(math.pi * math.sqrt(3) / 18)
    wide = trapping_share((-5, 5, -5, 5), [0.1, 0.2, 0.4, 0.8, 0.99])
    np.testing.assert_allclose(wide, [0.97552, 0.62517, 0.30781, 0.14397, 0.11029], atol=6e-6)


@pytest.mark.parametrize("limits", [(-3, 3, -3, 3), (-1, 4, 0, 2.5)])
@pytest.mark.parametrize("h", [0.3, 0.6, 0.9, 1.05, 1.5])
def test_share_is_that_of_the_starts_that_converge(limits, h):
    left, right, bottom, top = limits
    starts = np.random.default_rng(0).uniform([left, bottom], [right, top], (20_000, 2))
    ends = descend_many(catalogue.scalar_factorization(), starts, h, 5000, progress=False)
    assert np.mean(ends.converged) == pytest.approx(trapping_share(limits, h), abs=0.012)


def test_at_one_orbits_approach_like_one_over_a_root():
    starts = np.random.default_rng(1).uniform(-3, 3, (4000, 2))
    objective, points = catalogue.scalar_factorization(), {}
    for steps in (10_000, 40_000):
        ends = descend_many(objective, starts, 1.0, steps, detect=False, progress=False)
        points[steps] = ends.points
    distance = {k: np.abs(np.abs(p) - 1).max(axis=-1) for k, p in points.items()}
    near = distance[40_000] < 0.1
    assert near.mean() == pytest.approx(trapping_share((-3, 3, -3, 3), 1.0), abs=0.025)
    ratios = distance[10_000][near] / distance[40_000][near]
    np.testing.assert_allclose(np.median(ratios), 2, rtol=0.01)


def test_share_for_extreme_learning_rates():
    rates = [5e-324, 1e-309, 1e-300, 1e-100, 1e300]
    shares = trapping_share((-3, 3, -3, 3), rates)
    np.testing.assert_allclose(shares, [1, 1, 1, 1, 0], rtol=1e-14)
    wide = trapping_share((-1e99, 1e99, -1e99, 1e99), 5e-324)
    assert wide == pytest.approx(1, rel=1e-14)


def test_share_of_one_and_of_many():
    shares = trapping_share((-3, 3, -3, 3), [[0.4], [2.0]])
    assert shares.shape == (2, 1) and type(trapping_share((-3, 3, -3, 3), 0.4)) is float
    assert shares[0, 0] == trapping_share((-3, 3, -3, 3), 0.4)


@pytest.mark.parametrize("call", [weakly_stable_length, lambda h: trapping_share((0, 1, 0, 1), h)])
@pytest.mark.parametrize("bad", [0, -0.1, [0.1, 0.0], np.inf, np.nan])
def test_learning_rates_must_be_positive(call, bad):
    with pytest.raises(ValueError, match=r"learning_rate must be positive and finite, not"):
        call(bad)
    with pytest.raises(TypeError, match=r"learning_rate must be real numbers, not 'fast'"):
        call("fast")


@pytest.mark.parametrize("h", [0.5, 1.5])
def test_limits_must_be_a_rectangle(h):
    with pytest.raises(ValueError, match=r"limits must be left < right, bottom < top"):
        trapping_share((3, -3, -3, 3), h)


# Critical learning rates


def test_critical_rates_in_closed_form():
    assert [critical_learning_rate(N) for N in (1, 2, 3, 10)] == [2, 1, 2 / 3, 0.2]
    sigma = np.array([[0.5, 1.0], [3.0, 100.0]])
    np.testing.assert_allclose(critical_learning_rate(1, sigma), np.full((2, 2), 2.0))
    np.testing.assert_allclose(critical_learning_rate(2, sigma), 1 / sigma, rtol=1e-15)
    np.testing.assert_allclose(critical_learning_rate(3, sigma), 2 / 3 * sigma ** (-4 / 3))
    assert type(critical_learning_rate(3, 2.0)) is float
    assert critical_learning_rate(5, [1e300, 5e-324]).tolist() == [0.0, math.inf]


@pytest.mark.parametrize("depth, product", [(2, 1.0), (3, 1.0), (3, 2.5), (4, 0.3), (5, 1.0)])
def test_critical_rate_of_a_chain(depth, product):
    chain = LinearNetwork([1] * (depth + 1), [[product]])
    critical = critical_learning_rate(depth, product)
    assert chain.critical_learning_rate == pytest.approx(critical, rel=1e-12)
    rng = np.random.default_rng(0)
    logs = rng.normal(size=(500, depth))
    logs += (math.log(product) - logs.sum(axis=1, keepdims=True)) / depth
    minima = np.exp(logs)
    sharpness = chain.sharpness(minima)  # the square of the length of the gradient of the product
    np.testing.assert_allclose(sharpness, np.sum((product / minima) ** 2, axis=1), rtol=1e-10)
    assert (sharpness >= 2 / critical).all()
    start = chain.balanced_minimum() * (1 + 1e-3 * rng.normal(size=(20, depth)))
    below, above = (
        descend_many(chain, start, c * critical, 5000, progress=False) for c in (0.95, 1.05)
    )
    assert below.converged.all() and not above.converged.any()


@pytest.mark.parametrize("depth", [0, -1, True])
def test_depth_must_be_positive(depth):
    with pytest.raises(ValueError, match=rf"depth must be a whole number, at least 1, not {depth}"):
        critical_learning_rate(depth)


def test_singular_values_must_be_positive():
    with pytest.raises(TypeError, match=r"depth must be a whole number, not 2.5"):
        critical_learning_rate(2.5)
    with pytest.raises(ValueError, match=r"singular_value must be positive and finite, not 0"):
        critical_learning_rate(2, 0)


# Networks

WIDTHS = [(2, 3), (1, 1, 1), (2, 2, 2), (3, 2, 2), (3, 4, 2), (2, 3, 2, 2), (1, 4, 2, 4, 3)]
NARROW = [(3, 1, 3), (3, 2, 3), (4, 2, 3, 3), (3, 1, 2, 1, 3), (3, 3, 1, 2, 3)]


def whitened(widths, seed=0):
    rng = np.random.default_rng(seed)
    return LinearNetwork(widths, rng.normal(size=(widths[-1], widths[0]))), rng


def with_inputs(widths, seed=0, examples=7):
    rng = np.random.default_rng(seed)
    inputs = np.exp(rng.normal(size=(widths[0], 1))) * rng.normal(size=(widths[0], examples))
    return LinearNetwork(widths, rng.normal(size=(widths[-1], examples)), inputs), rng


def networks(widths):
    return whitened(widths), with_inputs(widths), with_inputs(widths, examples=2)


def regauged(network, rng, spread):
    """The balanced minimum after W_l -> G_l W_l G_(l-1)^-1, random with singular values near 1."""
    layers = network.layers(network.balanced_minimum())
    for i, width in enumerate(network.widths[1:-1]):
        left, right = (np.linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(2))
        scale = np.exp(spread * rng.normal(size=width))
        layers[i] = (left * scale) @ right @ layers[i]
        layers[i + 1] = layers[i + 1] @ right.T @ (left / scale).T
    return network.join(layers)


def scaled_isometries(network, beta):
    """The minimum whose layers but the first have the singular values sqrt(beta) or 0."""
    product = network.minimum()
    left = np.linalg.svd(product)[0][:, : min(network.widths)]
    shapes = [W.shape for W in network.layers(np.zeros(network.dimension))]
    last = np.eye(left.shape[1], shapes[-1][1])
    middle = [math.sqrt(beta) * np.eye(*shape) for shape in shapes[1:-1]]
    scale = beta ** (-(len(shapes) - 1) / 2)
    first = scale * np.eye(shapes[0][0], left.shape[1]) @ left.T @ product
    return network.join([first, *middle, math.sqrt(beta) * left @ last])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(0, 2), st.integers(0, 99))
def test_derivatives_are_those_of_differences(widths, kind, seed):
    network = networks(widths)[kind][0]
    rng = np.random.default_rng(seed)
    points, vectors = rng.normal(size=(2, 2, 3, network.dimension))
    h = 1e-5
    after, before = points + h * vectors, points - h * vectors
    change = (network.value(after) - network.value(before)) / (2 * h)
    slope = np.sum(network.gradient(points) * vectors, axis=-1)
    scale = 1 + np.abs(slope).max()
    np.testing.assert_allclose(slope, change, atol=1e-6 * scale**2)
    change = (network.gradient(after) - network.gradient(before)) / (2 * h)
    product = network.hessian_product(points, vectors)
    np.testing.assert_allclose(product, change, atol=1e-6 * (1 + np.abs(product).max()) ** 2)
    hessian = network.hessian(points)
    np.testing.assert_allclose(hessian, hessian.mT, atol=1e-9 * (1 + np.abs(hessian).max()))
    np.testing.assert_allclose(
        np.einsum("...ij,...j->...i", hessian, vectors), product, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("widths", [*WIDTHS, *NARROW])
def test_value_is_the_mean_over_the_examples(widths):
    network, rng = with_inputs(widths)
    point = rng.normal(size=network.dimension)
    outputs = network.inputs
    for W in network.layers(point):
        outputs = W @ outputs
    mean = np.mean(np.sum((outputs - network.targets) ** 2, axis=0)) / 2
    assert network.value(point) == pytest.approx(mean, rel=1e-12)
    white = whitened(widths)[0]
    residual = white.product(point) - white.targets
    assert white.value(point) == pytest.approx(np.sum(residual**2) / 2, rel=1e-12)


def test_white_inputs_are_no_inputs():
    white, rng = whitened((3, 2, 2))
    inputs = math.sqrt(5) * np.linalg.qr(rng.normal(size=(5, 3)))[0].T
    given = LinearNetwork((3, 2, 2), white.targets @ inputs, inputs)
    points = rng.normal(size=(4, white.dimension))
    for name in ("value", "gradient", "hessian", "sharpness"):
        ours, theirs = getattr(given, name)(points), getattr(white, name)(points)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(given.minimum(), white.minimum(), atol=1e-13)
    assert given.sharpness_bound == pytest.approx(white.sharpness_bound, rel=1e-12)


def test_small_networks_are_known_objectives():
    scalar, chain = catalogue.scalar_factorization(1.5), LinearNetwork([1, 1, 1], [[1.5]])
    points, vectors = np.random.default_rng(0).normal(size=(2, 20, 2))
    for name in ("value", "gradient", "hessian", "sharpness"):
        np.testing.assert_allclose(
            getattr(chain, name)(points), getattr(scalar, name)(points), rtol=1e-12, atol=1e-12
        )
    ours, theirs = (f.hessian_product(points[0], vectors) for f in (chain, scalar))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    orbits = [gradient_descent(f, [1.6, 0.3], 0.3, 100) for f in (chain, scalar)]
    np.testing.assert_allclose(orbits[0].points, orbits[1].points, rtol=1e-12)
    assert isinstance(chain, Differentiable)
    formula = Objective("(x1*y1 + x2*y2 - 2)^2/2", "x1 x2 y1 y2")  # W_1 a column, W_2 a row
    points = np.random.default_rng(1).normal(size=(20, 4))
    wide = LinearNetwork([1, 2, 1], [[2.0]])
    np.testing.assert_allclose(wide.gradient(points), formula.gradient(points), rtol=1e-12)


def test_two_layers_are_a_matrix_factorization():
    network, rng = whitened((3, 2, 4))
    pair = MatrixFactorization(network.targets, rank=2)
    points = rng.normal(size=(5, network.dimension))
    first, second = network.layers(points)
    same = pair.join(second, first.mT)
    np.testing.assert_allclose(network.value(points), pair.value(same), rtol=1e-12)
    np.testing.assert_allclose(network.sharpness(points), pair.sharpness(same), rtol=1e-10)
    assert network.critical_learning_rate == pytest.approx(pair.critical_learning_rate, rel=1e-12)


@pytest.mark.parametrize("widths", WIDTHS)
def test_layers_are_joined(widths):
    network, rng = whitened(widths)
    points = rng.normal(size=(2, 5, network.dimension))
    layers = network.layers(points)
    shapes = [(2, 5, b, a) for a, b in pairwise(widths)]
    assert [W.shape for W in layers] == shapes
    np.testing.assert_array_equal(network.join(layers), points)
    layers[0] = layers[0][0, 0]
    joined = network.join(layers)
    assert joined.shape == points.shape or len(widths) == 2
    assert (network.layers(joined)[0] == layers[0]).all()
    none = np.zeros((0, network.dimension))
    assert network.value(none).shape == (0,) and network.sharpness(none).shape == (0,)
    assert network.gradient(none).shape == none.shape


@pytest.mark.parametrize("widths", [*WIDTHS, *NARROW])
def test_a_change_of_gauge_changes_nothing_but_the_point(widths):
    for network, rng in networks(widths):
        balanced, point = network.balanced_minimum(), regauged(network, rng, 0.5)
        np.testing.assert_allclose(network.product(point), network.minimum(), atol=1e-11)
        np.testing.assert_allclose(network.product(balanced), network.minimum(), atol=1e-12)
        assert network.value(point) == pytest.approx(network.value(balanced), abs=1e-11)
        np.testing.assert_allclose(network.gradient([balanced, point]), 0, atol=1e-10)


@pytest.mark.parametrize("widths", [*WIDTHS, *NARROW])
def test_no_point_is_below_the_minimum(widths):
    for network, rng in networks(widths):
        least = network.value(network.balanced_minimum())
        points = regauged(network, rng, 0.2) + 0.1 * rng.normal(size=(300, network.dimension))
        assert (network.value(points) >= least - 1e-12).all()
        hessian = network.hessian(network.balanced_minimum())
        values = np.linalg.eigvalsh(hessian)
        assert values[0] > -1e-10 * values[-1]


@pytest.mark.parametrize("widths", [*WIDTHS, *NARROW])
def test_layers_of_the_balanced_minimum(widths):
    for network, _ in networks(widths):
        layers = network.layers(network.balanced_minimum())
        singular = np.linalg.svd(network.minimum(), compute_uv=False)[: min(widths)]
        expected = singular ** (1 / len(layers))
        for W in layers:
            found = np.linalg.svd(W, compute_uv=False)[: len(expected)]
            np.testing.assert_allclose(found, expected, atol=1e-5)  # a root of rounding
        for W, after in pairwise(layers):
            np.testing.assert_allclose(W @ W.T, after.T @ after, atol=1e-10)


# The bound


@pytest.mark.parametrize("widths", [*WIDTHS, *NARROW])
def test_bound_on_whitened_inputs_is_attained_at_the_balanced_minimum(widths):
    for seed in range(3):
        network, _ = whitened(widths, seed)
        depth, largest = len(widths) - 1, np.linalg.norm(network.targets, 2)
        expected = depth * largest ** (2 - 2 / depth)
        assert network.sharpness_bound == pytest.approx(expected, rel=1e-12)
        assert network.sharpness(network.balanced_minimum()) == pytest.approx(expected, rel=1e-10)
        critical = critical_learning_rate(depth, largest)
        assert network.critical_learning_rate == pytest.approx(critical, rel=1e-12)


@pytest.mark.parametrize("widths", [*WIDTHS, *NARROW])
def test_bound_holds_at_every_minimum(widths):
    for network, rng in networks(widths):
        spreads = rng.choice([0.01, 0.1, 0.5, 1.0], 200)
        minima = np.stack([regauged(network, rng, spread) for spread in spreads])
        sharpness = network.sharpness(minima)
        assert (sharpness >= network.sharpness_bound * (1 - 1e-9)).all()
        if len(widths) > 2:
            assert sharpness.max() > 1.05 * network.sharpness_bound  # minima differ


@pytest.mark.parametrize("widths", [w for w in WIDTHS if len(w) > 2])
def test_bound_on_any_inputs_is_attained_where_no_residual_is_left(widths):
    for network, _ in networks(widths)[1:]:
        C = network.inputs @ network.inputs.T / network.inputs.shape[1]
        P, depth = network.minimum(), len(widths) - 1
        betas = np.geomspace(1e-3, 1e3, 4001)
        scale = betas[:, np.newaxis, np.newaxis]
        mixed = C @ (scale ** (depth - 1) * np.eye(len(C)) + (depth - 1) / scale * (P.T @ P))
        largest = np.linalg.eigvals(mixed).real.max(axis=-1)
        best = betas[largest.argmin()]
        minimum = scaled_isometries(network, best)
        np.testing.assert_allclose(network.product(minimum), P, atol=1e-11)
        found = network.sharpness(minimum) / network.sharpness_bound
        assert 1 - 1e-10 < found < 1 + 1e-4


@pytest.mark.parametrize("widths", [(2, 2, 2), (2, 3, 2, 2), (3, 2, 2, 3)])
def test_bound_is_the_largest_over_all_directions(widths):
    network, rng = with_inputs(widths)
    values, axes = np.linalg.eigh(network.inputs @ network.inputs.T / network.inputs.shape[1])
    root, depth = (axes * np.sqrt(values)) @ axes.T, len(widths) - 1
    v = rng.normal(size=(200_000, widths[0]))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    seen, moved = (np.linalg.norm(v @ M.T, axis=1) for M in (root, network.minimum() @ root))
    sampled = depth * (moved ** (depth - 1) * seen) ** (2 / depth)
    assert 0.998 < sampled.max() / network.sharpness_bound <= 1 + 1e-12


def test_bound_is_only_a_bound_with_a_residual_and_inputs_that_are_not_white():
    inputs = np.diag([1.0, 2.0, 4.0])
    network = LinearNetwork([3, 1, 3], np.diag([3.0, 2.0, 1.0]), inputs)
    first, second = network.layers(network.balanced_minimum())
    gauges = np.geomspace(0.01, 100, 2001)[:, np.newaxis, np.newaxis]
    minima = network.join([gauges * first, second / gauges])  # these are all, but for the sign
    least = network.sharpness(minima).min()
    assert least > 1.1 * network.sharpness_bound


def test_one_layer_is_a_regression():
    network, rng = with_inputs((3, 2))
    C = network.inputs @ network.inputs.T / 7
    assert network.sharpness_bound == pytest.approx(np.linalg.norm(C, 2), rel=1e-12)
    points = rng.normal(size=(4, 6))
    np.testing.assert_allclose(network.sharpness(points), np.linalg.norm(C, 2), rtol=1e-12)
    solution = np.linalg.lstsq(network.inputs.T, network.targets.T)[0].T
    np.testing.assert_allclose(network.minimum(), solution, atol=1e-12)
    assert LinearNetwork((3, 2), np.zeros((2, 3))).sharpness_bound == pytest.approx(1)


def test_nothing_to_learn_has_minima_as_flat_as_one_likes():
    network = LinearNetwork([2, 2, 2], np.zeros((2, 2)))
    assert network.sharpness_bound == 0 and network.critical_learning_rate == math.inf
    assert not network.balanced_minimum().any() and not network.minimum().any()


def test_only_one_direction_of_the_inputs_matters():
    # Inputs along one line: what the layers do across it is not seen.
    inputs = np.outer([3.0, 4.0], [1.0, -1.0])
    network = LinearNetwork([2, 2, 2, 1], [[3.0, -1.0]], inputs)  # (2, -2) can be fitted
    assert network.value(network.balanced_minimum()) == pytest.approx(0.5, rel=1e-12)
    np.testing.assert_allclose(network.minimum(), [[0.24, 0.32]], rtol=1e-12)
    # Z = 2 and C = 25 along the line: min over beta of 25 beta^2 + 2 * 4 / beta
    beta = (4 / 25) ** (1 / 3)
    expected = 25 * beta**2 + 8 / beta
    assert network.sharpness_bound == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(3 * (2**2 * 5) ** (2 / 3), rel=1e-12)
    assert network.sharpness(scaled_isometries(network, beta)) == pytest.approx(expected)
    assert network.sharpness(network.balanced_minimum()) == pytest.approx(expected)


def test_what_cannot_be_fitted_is_left():
    network, rng = with_inputs((3, 1, 2, 3))
    values, axes = np.linalg.eigh(network.inputs @ network.inputs.T)
    root = (axes * np.sqrt(values)) @ axes.T
    fitted = np.linalg.svd(network.targets @ network.inputs.T @ np.linalg.inv(root))[1]
    least = (np.sum(network.targets**2) - fitted[0] ** 2) / 14
    assert network.value(network.balanced_minimum()) == pytest.approx(least, rel=1e-12)
    assert np.linalg.matrix_rank(network.minimum()) == 1
    starts = network.balanced_minimum() + 0.3 * rng.normal(size=(20, network.dimension))
    h = 0.3 / network.sharpness(network.balanced_minimum())
    ends = descend_many(network, starts, h, 4000, progress=False)
    np.testing.assert_allclose(network.value(ends.points), least, rtol=1e-6)


def test_starts_converge_to_minima_that_are_weakly_stable_and_beyond_to_none():
    network, rng = whitened((2, 2, 2, 2))
    critical = network.critical_learning_rate
    starts = network.balanced_minimum() + 0.2 * rng.normal(size=(100, network.dimension))
    rates = critical * np.linspace(0.5, 1.3, 100)
    ends = descend_many(network, starts, rates, 3000, progress=False)
    assert ends.converged[rates < 0.8 * critical].mean() > 0.5
    assert not ends.converged[rates > critical].any()
    limits = ends.points[ends.converged]
    np.testing.assert_allclose(network.value(limits), 0, atol=1e-12)
    assert (rates[ends.converged] * network.sharpness(limits) <= 2 * (1 + 1e-6)).all()


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1e8, 1e100])
def test_bound_scales(scale):
    network, _ = with_inputs((3, 4, 2, 2))
    larger = LinearNetwork(network.widths, scale * network.targets, network.inputs)
    expected = scale ** (4 / 3) * network.sharpness_bound
    assert larger.sharpness_bound == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(larger.minimum(), scale * network.minimum(), rtol=1e-10)
    strong = LinearNetwork(network.widths, network.targets, scale * network.inputs)
    expected = scale ** (2 / 3) * network.sharpness_bound
    assert strong.sharpness_bound == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("condition", [1e3, 1e6, 1e9])
def test_bound_for_inputs_of_very_different_size(condition):
    inputs = np.diag([1.0, 1 / condition])
    network = LinearNetwork([2, 2, 2], [[0.1, 0.0], [0.0, 1.0]], math.sqrt(2) * inputs)
    # v = (cos, sin): both factors are linear in the square of the cosine
    x = np.linspace(0, 1, 1_000_001)
    moved = (0.01 * x + (1 - x)) / 2
    seen = x + (1 - x) / condition**2
    assert network.sharpness_bound == pytest.approx(2 * np.sqrt(moved * seen).max(), rel=1e-9)


def test_filling():
    wide, narrow = whitened((3, 2, 5, 2))[0], whitened((3, 1, 5, 2))[0]
    assert wide.is_filling and not narrow.is_filling and whitened((4, 2))[0].is_filling


def test_dimension_and_pickle():
    for network, rng in networks((2, 3, 2)):
        assert network.dimension == 12
        copy = pickle.loads(pickle.dumps(network))
        point = rng.normal(size=12)
        np.testing.assert_array_equal(copy.gradient(point), network.gradient(point))
        assert not network.targets.flags.writeable and copy.widths == (2, 3, 2)


def test_minimum_of_positive_targets_is_positive():
    # Signs of singular vectors are a matter of the library: here they are not.
    assert LinearNetwork([1, 1, 1], [[4.0]]).balanced_minimum().tolist() == [2.0, 2.0]
    assert LinearNetwork([1, 1, 1], [[-4.0]]).balanced_minimum().tolist() == [2.0, -2.0]


def test_overflow_is_a_result_without_a_warning():
    network, rng = with_inputs((3, 2, 2, 3))
    point = np.full(network.dimension, 1e200)
    assert not np.isfinite(network.value(point)) and np.isnan(network.sharpness(point))
    assert not np.isfinite(network.gradient(point)).any()
    assert not np.isfinite(network.product(point)).any()
    assert np.isnan(network.value(np.full(network.dimension, np.nan)))
    orbit = gradient_descent(network, rng.normal(size=network.dimension), 30.0, 100)
    assert orbit.outcome.label == "diverged" and not np.isfinite(orbit.values[-1])
    huge = LinearNetwork([1, 1, 1], [[1e300]])
    assert huge.sharpness_bound == pytest.approx(2e300)
    assert LinearNetwork([1] * 9, [[1e300]]).sharpness_bound == math.inf


@pytest.mark.parametrize("widths", [3, [3], [], None])
def test_widths_must_be_two(widths):
    with pytest.raises(ValueError, match=r"widths must be at least two whole numbers"):
        LinearNetwork(widths, np.eye(3))


def test_widths_must_be_whole_numbers():
    with pytest.raises(ValueError, match=r"widths\[1\] must be a whole number, at least 1, not 0"):
        LinearNetwork([2, 0, 2], np.eye(2))
    with pytest.raises(TypeError, match=r"widths\[0\] must be a whole number, not 2.5"):
        LinearNetwork([2.5, 2], np.eye(2))


def test_targets_and_inputs_must_fit():
    for bad in ([1.0, 2.0], np.eye(2, 3), np.zeros((0, 2)), [[1.0, 2.0], [3.0, np.nan]]):
        with pytest.raises(ValueError, match=r"targets must be .* of the shape \(2, 2\), not"):
            LinearNetwork([2, 1, 2], bad)
    with pytest.raises(TypeError, match=r"targets must be real numbers, not 'cats'"):
        LinearNetwork([2, 1, 2], "cats")
    for bad in (np.ones((3, 5)), np.ones(2), np.zeros((2, 0)), [[np.inf], [0.0]]):
        with pytest.raises(ValueError, match=r"inputs must be .* of the shape \(2, n\), not"):
            LinearNetwork([2, 1, 2], np.ones((2, 5)), bad)
    with pytest.raises(ValueError, match=r"targets must be .* of the shape \(2, 5\), not"):
        LinearNetwork([2, 1, 2], np.ones((2, 4)), np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"inputs must not all be 0"):
        LinearNetwork([2, 1, 2], np.ones((2, 5)), np.zeros((2, 5)))


def test_matrices_must_be_the_layers():
    network = LinearNetwork([2, 1, 2], np.eye(2))
    for bad in ([np.ones((1, 2))], [np.ones((2, 1)), np.ones((1, 2))], [1.0, 2.0]):
        with pytest.raises(
            ValueError, match=r"matrices must be 2 layers .* \[\(1, 2\), \(2, 1\)\]"
        ):
            network.join(bad)
    with pytest.raises(ValueError, match=r"matrices must be equally many for each layer"):
        network.join([np.ones((3, 1, 2)), np.ones((2, 2, 1))])


@pytest.mark.parametrize("name", ["value", "gradient", "hessian", "sharpness", "layers", "product"])
def test_points_must_have_the_right_length(name):
    network = LinearNetwork([2, 1, 2], np.eye(2))
    with pytest.raises(ValueError, match=r"points must have 4 coordinates along the last axis"):
        getattr(network, name)(np.ones(5))


def test_vectors_must_fit_the_points():
    network = LinearNetwork([2, 1, 2], np.eye(2))
    with pytest.raises(ValueError, match=r"vectors must have 4 coordinates"):
        network.hessian_product(np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match=r"points and vectors must be equally many"):
        network.hessian_product(np.ones((2, 4)), np.ones((3, 4)))
