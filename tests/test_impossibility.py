"""What the chapter on impossibility says, computed apart from its text."""

import math
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

import gdbook as gd

FACTORIZATION = gd.catalogue.scalar_factorization()


def flattest(widths, targets, inputs=None):
    network = gd.stability.LinearNetwork(widths, targets, inputs)
    return network, network.balanced_minimum()


def moved_along_the_minima(network, point, rng, size=0.5):
    """Another point with the same product, by a random change of the hidden coordinates."""
    layers = network.layers(point)
    for first in range(len(layers) - 1):
        width = len(layers[first])
        G = np.eye(width) + size * rng.normal(size=(width, width))
        layers[first] = G @ layers[first]
        layers[first + 1] = layers[first + 1] @ np.linalg.inv(G)
    return network.join(layers)


# Stability


@pytest.mark.parametrize("sign", [1, -1])
def test_higher_derivatives_decide_at_the_edge(sign):
    objective = gd.Objective(f"x^2/2 + {sign}*x^4/4", "x")
    assert objective.sharpness([0.0]) == 1
    points = np.abs(gd.gradient_descent(objective, 0.05, 2.0, 60).points[:, 0])
    assert all((b - a) * sign > 0 for a, b in pairwise(points))


@pytest.mark.parametrize("widths", [[2, 3, 2], [3, 3, 2, 2], [1, 1, 1, 1]])
def test_minimum_inside_the_edge_attracts_a_neighbourhood_to_the_valley(widths):
    rng = np.random.default_rng(len(widths))
    target = rng.normal(size=(widths[-1], widths[0])) + np.eye(widths[-1], widths[0])
    network, balanced = flattest(widths, target)
    minimum = moved_along_the_minima(network, balanced, rng, size=0.1)
    starts = minimum + 1e-3 * rng.normal(size=(20, network.dimension))
    h = 1.9 / float(network.sharpness(minimum))
    ends = gd.descend_many(network, starts, h, 20_000)
    assert ends.converged.all() and network.value(ends.points).max() < 1e-15
    assert np.abs(ends.points - minimum).max() < 0.1
    before = np.linalg.norm(network.gradient(starts), axis=1)
    after = np.linalg.norm(network.gradient(starts - h * network.gradient(starts)), axis=1)
    assert (after < before).all()


def test_kernel_of_the_hessian_is_as_large_as_the_valley():
    rng = np.random.default_rng(0)
    for widths in ([3, 4, 2], [2, 2, 3, 3], [2, 3, 2, 4]):
        size = (widths[-1], widths[0])
        inputs = rng.normal(size=(widths[0], 7))
        network, balanced = flattest(widths, rng.normal(size=size) @ inputs, inputs)
        point = moved_along_the_minima(network, balanced, rng)
        eigenvalues = np.linalg.eigvalsh(network.hessian(point))
        assert np.sum(eigenvalues > 1e-8 * eigenvalues[-1]) == math.prod(size)
        assert eigenvalues[0] > -1e-10 * eigenvalues[-1]


# The smallest network


def test_next_residual_vanishes_on_the_curve_of_preimages():
    x, y, h = sp.symbols("x y h")
    z, s, p = h * (1 - x * y), x**2 + y**2, x * y
    factor = 1 - h * s - h**2 * p * (1 - p)
    image = (x + z * y) * (y + z * x)
    assert sp.expand(h * (1 - image) - z * factor) == 0
    root = (-1 + sp.sqrt(1 + 4 / h)) / 2
    assert sp.simplify(factor.subs({x: root, y: root})) == 0
    assert sp.simplify(root + h * root * (1 - root**2) - 1) == 0


def test_share_of_starts_that_converge_jumps_at_one():
    starts = np.random.default_rng(0).uniform(-3, 3, (20_000, 2))
    below = gd.descend_many(FACTORIZATION, starts, 0.99, 40_000)
    above = gd.descend_many(FACTORIZATION, starts, 1.01, 40_000)
    assert abs(below.converged.mean() - 2 * math.pi * math.sqrt(3) / 36) < 0.01
    assert not above.converged.any()
    assert abs((~above.diverged).mean() - (~below.diverged).mean()) < 0.01


def test_two_steps_at_the_critical_learning_rate():
    z, d, t = sp.symbols("z d t")

    def step(z, d):
        s = sp.sqrt(d**2 + 4 * (1 - z) ** 2)
        return z * (1 - s - z + z**2), (1 - z**2) * d

    zz, dd = step(*step(z, d))
    both = [(zz / z) ** 2, (dd / d) ** 2]
    scaled = [sp.series(e.subs({z: t * z, d: t * d}), t, 0, 3).removeO() for e in both]
    assert sp.simplify(scaled[0] - (1 + t**2 * (d**2 - 8 * z**2))) == 0
    assert sp.simplify(scaled[1] - (1 - 4 * t**2 * z**2)) == 0


def test_rates_of_convergence_at_the_critical_learning_rate():
    starts = np.array([[0.3, 1.2], [0.9, 1.5], [-1.3, -1.0], [1.1, 1.1]])
    points = gd.descend_many(FACTORIZATION, starts, 1.0, 100_000, detect=False).points
    found = 100_000 * FACTORIZATION.value(points)
    np.testing.assert_allclose(found, [1 / 4, 1 / 4, 1 / 4, 1 / 8], rtol=0.02)


# Non-singular steps


def step_is_regular(network, point, h):
    derivative = np.eye(network.dimension) - h * network.hessian(point)
    return np.abs(np.linalg.eigvalsh(derivative)).min() > 1e-9


@pytest.mark.parametrize("widths", [[3, 1, 2], [3, 2, 2], [2, 4, 3], [2, 4, 2], [1, 3, 1]])
def test_two_layers_have_a_point_with_a_regular_step(widths):
    d_in, k, d_out = widths
    rng = np.random.default_rng(sum(widths))
    inputs, c = rng.normal(size=(d_in, 9)), 50.0
    targets = rng.normal(size=(d_out, 9))
    network = gd.stability.LinearNetwork(widths, targets, inputs)
    if k <= d_out:
        point = network.join([np.zeros((k, d_in)), math.sqrt(c) * np.eye(d_out, k)])
    else:
        best = targets @ np.linalg.pinv(inputs)
        first = np.zeros((k, d_in))
        first[:d_out] = best / c
        point = network.join([first, c * np.eye(d_out, k)])
    resonant = 1 / np.linalg.svd(targets @ inputs.T / 9)[1]
    for h in [*resonant, 0.5, 1.0, 10.0]:
        assert step_is_regular(network, point, h)
    assert not step_is_regular(network, np.zeros(network.dimension), resonant[0])


def test_three_layers_have_no_curvature_at_zero():
    network = gd.stability.LinearNetwork([3, 2, 4, 2], np.ones((2, 3)))
    assert not network.hessian(np.zeros(network.dimension)).any()


# Sharpness


@pytest.mark.parametrize("widths", [[3, 3, 3], [3, 1, 3, 3], [2, 4, 1, 5, 3], [4, 2, 2]])
def test_curvature_along_a_signal(widths):
    """The direction of the proof has exactly the curvature of which it speaks."""
    rng = np.random.default_rng(sum(widths))
    inputs = np.diag(rng.uniform(0.3, 3, widths[0])) @ rng.normal(size=(widths[0], 8))
    targets = rng.normal(size=(widths[-1], 8))
    network, balanced = flattest(widths, targets, inputs)
    for _ in range(10):
        point = moved_along_the_minima(network, balanced, rng, size=0.3)
        v = rng.normal(size=8)
        signals = [inputs @ v / math.sqrt(8) / np.linalg.norm(v)]
        for W in network.layers(point):
            signals.append(W @ signals[-1])
        change = [np.outer(b, a) / (b @ b) for a, b in pairwise(signals)]
        change = network.join(change) / np.linalg.norm(network.join(change))
        gains = [(a @ a) / (b @ b) for a, b in pairwise(signals)]
        length, depth = np.linalg.norm(signals[-1]), len(gains)
        least = length**2 * sum(gains)
        bound = depth * (length ** (depth - 1) * np.linalg.norm(signals[0])) ** (2 / depth)
        along = float(change @ network.hessian_product(point, change))
        assert bound <= least * (1 + 1e-9)
        assert least <= along * (1 + 1e-7)
        assert along <= float(network.sharpness(point)) * (1 + 1e-9)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_gradient_just_beyond_the_edge(depth):
    excess, mu = 1e-4, 1.7
    h = (1 + excess) * gd.stability.critical_learning_rate(depth, mu)
    middle = mu ** (1 / depth)

    def step(w):
        return w + h * (mu - w**depth) * w ** (depth - 1)

    # The upper point of the cycle returns after two steps; the fixed point is divided out.
    returns = brentq(
        lambda w: (step(step(w)) - w) / (w - middle), middle * 1.0002, middle * 1.02, xtol=1e-15
    )
    norm = math.sqrt(depth) * abs(step(returns) - returns) / h
    slope = 3 * depth**3 * mu ** (4 - 2 / depth) / (2 * (depth - 1) * (5 * depth - 4))
    assert math.isclose(norm**2 / excess, slope, rel_tol=0.01)
