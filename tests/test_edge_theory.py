"""What the chapter on the edge of stability proves, computed apart from its text."""

import itertools
import math

import numpy as np
import pytest

import gdbook as gd

TOY = "w*v^2/2 + {mu}*(w - {limit})^2/2"


def radius(matrix):
    return np.abs(np.linalg.eigvals(matrix)).max()


# The solvable edge


def test_cycle_of_the_toy_attracts_exactly_where_the_theorem_says():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        h, c, share = rng.uniform(0.05, 1), rng.uniform(2.01, 3.5), rng.uniform(0.02, 6)
        mu = share / h
        toy = gd.Objective(TOY.format(mu=mu, limit=c / h), "v w")
        sigma = math.sqrt(2 * mu * (c - 2) / h)
        cycle = np.array([[sigma, 2 / h], [-sigma, 2 / h]])
        np.testing.assert_allclose(cycle - h * toy.gradient(cycle), cycle[::-1], rtol=1e-9)
        first, second = np.eye(2) - h * toy.hessian(cycle)
        attracts = c < 2.5 and share * (3 - c) < 2
        assert (radius(second @ first) < 1) == attracts
        seen.add((attracts, c < 2.5))
    assert seen == {(True, True), (False, True), (False, False)}


@pytest.mark.parametrize("c, mu", [(2.3, 1.0), (2.51, 1.0), (2.53, 1.0), (2.52, 0.5)])
def test_means_at_the_edge_are_known_whatever_the_orbit_does(c, mu):
    h, steps = 0.1, 50_000
    toy = gd.Objective(TOY.format(mu=mu, limit=c / h), "v w")
    v, w = gd.gradient_descent(toy, [0.5, 19.0], h, steps).points.T
    assert np.isfinite(v).all() and (h * w >= 1).all() and np.abs(v).min() > 1e-6
    late = slice(steps // 10, None)
    assert abs(np.log(np.abs(1 - h * w[late])).mean()) < 1e-3
    assert abs((v[late] ** 2).mean() - 2 * mu * (c / h - w[late].mean())) < 0.02
    assert (h * w[late]).mean() > 2 - 1e-3
    assert (v[late] ** 2).mean() < 2 * mu * (c - 2) / h + 0.02


def test_momentum_has_its_cycle_at_its_own_edge():
    h, mu, beta = 0.1, 0.3, 0.7
    edge = 2 * (1 + beta) / h
    limit = edge + 4
    v, w = math.sqrt(2 * mu * 4), edge
    p, q = -2 * v / h, 0.0
    for _ in range(3):
        before = v
        p, q = beta * p + w * v, beta * q + v * v / 2 + mu * (w - limit)
        v, w = v - h * p, w - h * q
        np.testing.assert_allclose([v, w], [-before, edge], rtol=1e-12)


# Landing without a force that sharpens


@pytest.mark.parametrize("h", [0.1, 0.05])
def test_two_endings_of_one_equation(h):
    from scipy.integrate import solve_ivp

    def end(alpha, beta, start):
        def field(t, state):
            epsilon, logarithm = state
            return [-beta * math.exp(logarithm), 2 * (epsilon - alpha * math.exp(logarithm))]

        def landed(t, state):
            return state[1] - math.log(1e-14)

        landed.terminal, landed.direction = True, -1
        state = [start, math.log(1e-13)]
        run = solve_ivp(field, (0, 1e7), state, "LSODA", events=landed, rtol=1e-9, atol=1e-12)
        return run.y[0, -1]

    assert abs(end(0, 8 * h**2, 0.3) / -0.3 - 1) < 1e-3
    for start in (0.3, 0.5):
        assert abs(end(8, 8 * h**2, start) / (-(h**2) / 2) - 1) < 1e-3


# Deep linear networks


@pytest.mark.parametrize("depth", [2, 3, 4, 6])
def test_chain_beyond_its_edge_falls_onto_a_balanced_cycle(depth):
    names = " ".join(f"w{i}" for i in range(depth))
    chain = gd.Objective(f"(2 - {'*'.join(names.split())})^2/2", names)
    flattest = 2 ** (1 / depth)
    h = 1.04 * 2 / (depth * 2 ** (2 - 2 / depth))
    starts = flattest + np.random.default_rng(0).uniform(-0.05, 0.05, (20, depth))
    ends = gd.descend_many(chain, starts, h, 20_000)
    assert not ends.diverged.any()
    assert np.ptp(ends.points, axis=1).max() < 1e-8
    w = ends.points[:, 0]
    after = w + h * (2 - w**depth) * w ** (depth - 1)
    back = after + h * (2 - after**depth) * after ** (depth - 1)
    assert np.abs(back - w).max() < 1e-8 and np.abs(after - w).min() > 0.01
    product = h * (2 - w**depth) * w ** (depth - 2) * h * (2 - after**depth) * after ** (depth - 2)
    assert (product > -1).all() and (product < 0).all()


# Other methods, small batches


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [0, 1])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_edges_of_momentum_in_five_dimensions(beta, nesterov, preconditioned):
    rng = np.random.default_rng(1)
    factor = rng.normal(size=(5, 5))
    H = factor @ factor.T + np.eye(5)
    P = rng.uniform(0.5, 3, 5) if preconditioned else np.ones(5)
    largest = np.linalg.eigvals(H / P[:, None]).real.max()
    edge = 2 * (1 + beta) / (1 + 2 * beta * nesterov) / largest

    def ends(h):
        w, m = rng.normal(size=(2, 5))
        for _ in range(4000):
            m = beta * m + H @ (w - nesterov * h * beta * m / P)
            w = w - h * m / P
            if np.abs(w).max() > 1e9:
                break
        return np.abs(w).max()

    assert ends(0.99 * edge) < 1e-6 and ends(1.01 * edge) > 1e6


def test_batch_sharpness_decides_whether_a_step_helps_its_own_batch():
    rng = np.random.default_rng(2)
    X, y, w = rng.normal(size=(6, 4)), rng.normal(size=6), rng.normal(size=4)
    batches = [list(batch) for batch in itertools.combinations(range(6), 2)]

    def loss(w, batch):
        return np.mean((X[batch] @ w - y[batch]) ** 2) / 2

    gradients = [X[batch].T @ (X[batch] @ w - y[batch]) / 2 for batch in batches]
    curvatures = [
        g @ X[batch].T @ X[batch] @ g / 2 for g, batch in zip(gradients, batches, strict=True)
    ]
    squares = np.mean([g @ g for g in gradients])
    batch_sharpness = np.mean(curvatures) / squares
    for h in (0.5 / batch_sharpness, 2 / batch_sharpness, 3 / batch_sharpness):
        change = np.mean(
            [loss(w - h * g, b) - loss(w, b) for g, b in zip(gradients, batches, strict=True)]
        )
        expected = -h * squares * (1 - h / 2 * batch_sharpness)
        np.testing.assert_allclose(change, expected, atol=1e-12)


# Stable minima


@pytest.mark.parametrize("seed", range(5))
def test_sharpness_of_an_exact_fit_bounds_the_variation_of_its_slope(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-1, 1, 12))
    units = 7
    point = np.append(rng.normal(size=3 * units), 0.3)

    def rows(point):
        a, b, v = point[:-1].reshape(3, -1)
        inner = np.outer(x, a) + b
        active = inner > 0
        outputs = np.maximum(inner, 0) @ v + point[-1]
        blocks = [active * v * x[:, None], active * v, np.maximum(inner, 0), np.ones((12, 1))]
        return outputs, np.hstack(blocks)

    targets = rows(point)[0]

    def gradient(point):
        outputs, jacobian = rows(point)
        return jacobian.T @ (outputs - targets) / 12

    steps = 1e-6 * np.eye(len(point))
    hessian = [(gradient(point + step) - gradient(point - step)) / 2e-6 for step in steps]
    sharpness = np.linalg.eigvalsh(np.array(hessian))[-1]
    total = 0.0
    a, b, v = point[:-1].reshape(3, -1)
    for t, jump in zip(-b / a, v * np.abs(a), strict=True):
        right, left = x[x > t], x[x < t]
        sides = [
            (len(side) / 12) ** 2 * abs(side.mean() - t) * math.hypot(1, side.mean())
            if len(side)
            else 0.0
            for side in (right, left)
        ]
        total += abs(jump) * min(sides)
    np.testing.assert_allclose(sharpness, np.linalg.norm(rows(point)[1], 2) ** 2 / 12, rtol=1e-6)
    assert 0 < total <= (sharpness - 1) / 2
