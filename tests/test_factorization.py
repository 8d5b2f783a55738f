"""Ellipse, critical learning rate and matrices against identities that are exact."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbook import Objective, catalogue, descend_many, gradient_descent, gradient_flow
from gdbook.factorization import (
    InvariantEllipse,
    MatrixFactorization,
    critical_learning_rate,
    imbalance,
)
from gdbook.objective import Differentiable

WIDE = [[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]
CASES = [(0.1, 1.0), (0.9, 1.0), (1.9, 1.0), (0.3, 5.0), (3.0, 0.4)]


def step(points, ellipse):
    objective = catalogue.scalar_factorization(ellipse.product)
    return points - ellipse.learning_rate * objective.gradient(points)


# The ellipse


def test_expression_is_multiplied_by_a_positive_factor():
    Q = InvariantEllipse.expression
    x, y, mu, h = sp.symbols("x y mu h", real=True)
    assert Q.free_symbols == {x, y, mu, h}
    image = catalogue.scalar_factorization().map("h")
    after = Q.subs({x: image[0], y: image[1]}, simultaneous=True)
    factor = 1 + h**2 * x * y * (x * y - mu)
    assert sp.expand(h * (after - factor * Q)) == 0
    least = 1 - h**2 * mu**2 / 4
    assert sp.expand(factor - least - h**2 * (x * y - mu / 2) ** 2) == 0
    assert InvariantEllipse(1.0).expression is Q


def test_expression_is_the_zero_set_of_an_objective():
    Q = Objective(InvariantEllipse.expression, "x y", {"h": 0.7, "mu": 2})
    ellipse = InvariantEllipse(0.7, 2)
    starts = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_allclose(Q.value(starts), ellipse.level(starts), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("h, mu", CASES)
def test_points_are_on_the_ellipse_and_angles_are_tripled(h, mu):
    ellipse = InvariantEllipse(h, mu)
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False).reshape(20, 10)
    points = ellipse.points(angles)
    assert points.shape == (20, 10, 2)
    np.testing.assert_allclose(ellipse.level(points) * h / 4, 0, atol=1e-14)
    np.testing.assert_allclose(ellipse.angles(points), angles, atol=1e-14)
    np.testing.assert_allclose(ellipse.angles(7 * points), angles, atol=1e-14)
    np.testing.assert_allclose(step(points, ellipse), ellipse.points(np.pi - 3 * angles), rtol=1e-9)


@pytest.mark.parametrize("h, mu", CASES)
def test_tips_and_area(h, mu):
    ellipse = InvariantEllipse(h, mu)
    a, b = ellipse.semi_axes
    # The tips on the diagonal are the unstable 2-cycle of the cubic map.
    tip = math.sqrt(mu + 2 / h)
    np.testing.assert_allclose(ellipse.points([0, np.pi]), [[tip, tip], [-tip, -tip]], atol=1e-13)
    assert a == pytest.approx(math.sqrt(2) * tip, rel=1e-15)
    corner = ellipse.points(np.pi / 2)
    assert corner[0] == pytest.approx(-corner[1]) and math.hypot(*corner) == pytest.approx(b)
    boundary = ellipse.points(np.linspace(0, 2 * np.pi, 1000, endpoint=False))
    x, y = boundary.T
    polygon = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    assert ellipse.area == pytest.approx(polygon, rel=1e-5)


@pytest.mark.parametrize("h", [0.01, 0.5, 1.0, 1.5, 1.9, 1.999])
def test_normal_exponent_is_the_mean_of_the_logarithm_of_the_factor(h):
    # By the trapezium rule, exact here up to |z|^-n.
    phi = (np.arange(20_000) + 0.5) * np.pi / 10_000
    mean = np.mean(np.log(1 + 2 * h * np.cos(phi) + 4 * np.cos(phi) ** 2))
    assert InvariantEllipse(h).normal_exponent == pytest.approx(mean, abs=1e-9)
    alpha = math.acos(h / 2)
    roots = np.roots([1, np.exp(1j * alpha), 1])
    assert InvariantEllipse(h).normal_exponent == pytest.approx(2 * np.log(abs(roots)).max())


def test_normal_exponents_in_closed_form():
    assert InvariantEllipse(1.5).normal_exponent == pytest.approx(math.log(2), rel=1e-15)
    assert InvariantEllipse(0.75, 2).normal_exponent == pytest.approx(math.log(2), rel=1e-15)
    golden = (1 + math.sqrt(5)) / 2
    assert InvariantEllipse(1e-9).normal_exponent == pytest.approx(2 * math.log(golden))
    assert InvariantEllipse(np.nextafter(2, 0)).normal_exponent == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("h", [0.3, 1.3])
def test_both_exponents_make_up_the_mean_change_of_area(h):
    ellipse = InvariantEllipse(h)
    points = ellipse.points((np.arange(20_000) + 0.5) * np.pi / 10_000)
    change = np.eye(2) - h * catalogue.scalar_factorization().hessian(points)
    mean = np.mean(np.log(np.abs(np.linalg.det(change))))
    assert math.log(3) + ellipse.normal_exponent == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize("h, mu", CASES)
def test_inside_stays_inside_and_outside_outside(h, mu):
    ellipse = InvariantEllipse(h, mu)
    starts = np.random.default_rng(1).uniform(-2, 2, (2000, 2)) * ellipse.semi_axes[0]
    inside = ellipse.contains(starts)
    assert 50 < inside.sum() < 1900
    clear = np.abs(ellipse.level(starts)) > 1e-9
    assert (ellipse.contains(step(starts, ellipse)) == inside)[clear].all()


@pytest.mark.parametrize("h, mu", CASES)
def test_inside_is_bounded_and_outside_diverges(h, mu):
    ellipse = InvariantEllipse(h, mu)
    a = ellipse.semi_axes[0]
    starts = np.random.default_rng(2).uniform(-1, 1, (2000, 2)) * a
    orbits = descend_many(catalogue.scalar_factorization(mu), starts, h, 3000, progress=False)
    np.testing.assert_array_equal(orbits.diverged, ~ellipse.contains(starts))


# Shares


@pytest.mark.parametrize("h, mu", CASES)
def test_share_of_rectangles(h, mu):
    ellipse = InvariantEllipse(h, mu)
    size = 2 * ellipse.semi_axes[0]
    whole = ellipse.area / (4 * size**2)
    assert ellipse.share((-size, size, -size, size)) == pytest.approx(whole, rel=1e-13)
    assert ellipse.share((0, size, -size, size)) == pytest.approx(whole, rel=1e-13)
    tiny = 0.1 * ellipse.semi_axes[1]
    assert ellipse.share((-tiny, tiny, 0, tiny)) == pytest.approx(1, rel=1e-13)
    assert ellipse.share((size, 2 * size, size, 2 * size)) == pytest.approx(0, abs=1e-13)
    parts = [
        ellipse.share((left, left + size, bottom, bottom + size))
        for left in (-size, 0)
        for bottom in (-size, 0)
    ]
    assert sum(parts) / 4 == pytest.approx(whole, rel=1e-13)
    assert parts[0] == pytest.approx(parts[3]) and parts[1] == pytest.approx(parts[2])


def test_share_of_a_circle():
    circle = InvariantEllipse(1e-8)  # nearly round, of radius 2e4
    r = circle.semi_axes[0]
    assert circle.share((0, r, 0, r)) == pytest.approx(math.pi / 4, rel=1e-7)
    half = r / math.sqrt(2)
    assert circle.share((-half, half, -half, half)) == pytest.approx(1, rel=1e-7)
    corner = 0.5  # the square [r/2, r] x [-r, r] cuts off a segment of 120 degrees
    segment = (math.pi / 3 - math.sqrt(3) / 4) / (2 * corner)
    assert circle.share((corner * r, r, -r, r)) == pytest.approx(segment, rel=1e-7)


@settings(deadline=None)
@given(st.floats(0.05, 1.95), st.lists(st.floats(-4, 4), min_size=4, max_size=4))
def test_share_is_that_of_a_grid(h, sides):
    left, right = sorted(sides[:2])
    bottom, top = sorted(sides[2:])
    right, top = right + 0.1, top + 0.1
    ellipse = InvariantEllipse(h)
    x = left + (right - left) * (np.arange(200) + 0.5) / 200
    y = bottom + (top - bottom) * (np.arange(200) + 0.5) / 200
    counted = ellipse.contains(np.stack(np.meshgrid(x, y), axis=-1)).mean()
    assert ellipse.share((left, right, bottom, top)) == pytest.approx(counted, abs=0.011)


def test_shares_of_the_chapter():
    assert InvariantEllipse(1.9).share((-2, 2, -2, 2)) == pytest.approx(0.129074, abs=5e-7)
    assert InvariantEllipse(0.5).share((-4, 4, -4, 4)) == pytest.approx(0.380229, abs=5e-7)
    limit = InvariantEllipse(1 - 1e-12).share((-3, 3, -3, 3))
    assert limit == pytest.approx(2 * math.pi * math.sqrt(3) / 36)


# Critical learning rates


@settings(deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.1, 5))
def test_ellipse_passes_through_a_start_at_its_critical_rate(x, y, mu):
    (h,) = critical_learning_rate([[x, y]], mu)
    assert 0 < h <= 1 / mu
    assert InvariantEllipse(h * (1 - 1e-6), mu).contains([x, y])
    if h < 1 / mu:
        scale = 4 / h  # of the terms of Q
        assert abs(InvariantEllipse(h, mu).level([x, y])) < 1e-12 * scale
        assert not InvariantEllipse(h * (1 + 1e-6), mu).contains([x, y])


def test_critical_rates_in_closed_form():
    y = np.linspace(0.1, 0.5, 6)
    minima = np.stack([1 / y, y], axis=-1)
    np.testing.assert_allclose(critical_learning_rate(minima), 4 / (1 / y**2 + y**2), rtol=1e-15)
    assert critical_learning_rate([0.0, 0.0], 4) == 0.25
    assert critical_learning_rate([[[3.0, 3.0]]]).shape == (1, 1)
    # On the diagonal orbits are bounded for |x| < sqrt(1 + 2/h).
    np.testing.assert_allclose(critical_learning_rate([[3.0, 3.0]]), [2 / (9 - 1)], rtol=1e-15)
    # On the other diagonal, for |x| < sqrt(2/h - 1).
    np.testing.assert_allclose(critical_learning_rate([[3.0, -3.0]]), [2 / (9 + 1)], rtol=1e-15)


@pytest.mark.parametrize("mu", [0.4, 1.0, 2.3])
def test_starts_converge_below_and_diverge_above(mu):
    starts = np.random.default_rng(3).uniform(-6, 6, (4000, 2))
    critical = critical_learning_rate(starts, mu)
    split = critical < 1 / mu
    starts, critical = starts[split], critical[split]
    objective = catalogue.scalar_factorization(mu)
    below = descend_many(objective, starts, 0.97 * critical, 20_000, progress=False)
    above = descend_many(objective, starts, 1.03 * critical, 20_000, progress=False)
    assert below.converged.all() and above.diverged.all()


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4, 2.0])
def test_far_away_the_product_with_the_sharpness_lies_between_four_and_six(angle):
    start = 1e4 * np.array([np.cos(angle), np.sin(angle)])
    sharpness = catalogue.scalar_factorization().sharpness(start)
    expected = 2 + 2 * math.sqrt(1 + 3 * math.sin(2 * angle) ** 2)
    assert critical_learning_rate(start) * sharpness == pytest.approx(expected, rel=1e-7)


def test_starts_that_are_very_large_or_no_numbers():
    rates = critical_learning_rate(
        [[1e200, 1e200], [1e200, -1e-200], [np.inf, 0.0], [np.inf, np.inf], [np.nan, 0.0]]
    )
    assert rates[:4].tolist() == [0.0] * 4 and np.isnan(rates[4])
    assert not InvariantEllipse(1.0).contains([[1e200, 1e200], [np.nan, 0.0]]).any()
    assert critical_learning_rate(np.zeros((0, 2))).shape == (0,)


# Matrices


SHAPES = [(1, 1, 1), (3, 2, 1), (2, 4, 2), (4, 4, 3), (3, 3, 5), (2, 3, 4)]  # n, m, d


def random_factorization(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    return MatrixFactorization(rng.normal(size=(n, m)), d), rng


def spectral(matrices):
    return np.linalg.norm(matrices, 2, axis=(-2, -1))


def random_gauge(rng, d):
    rotations = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2)]
    return rotations[0] @ np.diag(rng.uniform(0.5, 2, d)) @ rotations[1]


def formula(target, d):
    """The same objective as a formula, entry by entry."""
    n, m = target.shape
    names = [f"x{i}" for i in range(n * d)], [f"y{i}" for i in range(m * d)]
    X, Y = sp.Matrix(n, d, sp.symbols(names[0])), sp.Matrix(m, d, sp.symbols(names[1]))
    residual = X * Y.T - sp.Matrix(target)
    return Objective(sum(entry**2 for entry in residual) / 2, [*names[0], *names[1]])


@pytest.mark.parametrize("n, m, d", [(1, 1, 1), (2, 1, 2), (2, 3, 1), (2, 2, 2)])
def test_matrices_against_the_formula(n, m, d):
    matrices, rng = random_factorization(n, m, d)
    entries = formula(matrices.target, d)
    assert matrices.dimension == entries.dimension == (n + m) * d
    points, vectors = rng.normal(size=(2, 3, 4, matrices.dimension))
    for name in ("value", "gradient", "hessian", "sharpness"):
        ours, theirs = getattr(matrices, name)(points), getattr(entries, name)(points)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    ours, theirs = (f.hessian_product(points, vectors) for f in (matrices, entries))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    ours = matrices.hessian_product(points[0, 0], vectors[0])
    np.testing.assert_allclose(ours, vectors[0] @ entries.hessian(points[0, 0]), rtol=1e-12)


def test_one_number_is_the_scalar_factorization():
    matrices, scalar = MatrixFactorization([[1.5]], 1), catalogue.scalar_factorization(1.5)
    start = [1.6, 0.3]
    ours, theirs = (gradient_descent(f, start, 0.3, 100) for f in (matrices, scalar))
    np.testing.assert_allclose(ours.points, theirs.points, rtol=1e-12)
    assert isinstance(matrices, Differentiable)


@pytest.mark.parametrize("n, m, d", SHAPES)
def test_factors_are_joined_and_split(n, m, d):
    matrices, rng = random_factorization(n, m, d)
    points = rng.normal(size=(2, 5, matrices.dimension))
    X, Y = matrices.split(points)
    assert X.shape == (2, 5, n, d) and Y.shape == (2, 5, m, d)
    np.testing.assert_array_equal(matrices.join(X, Y), points)
    one = matrices.join(X, Y[0, 0])
    assert one.shape == points.shape
    np.testing.assert_array_equal(matrices.split(one)[1], np.broadcast_to(Y[0, 0], Y.shape))
    none = np.zeros((0, matrices.dimension))
    assert matrices.value(none).shape == (0,) and matrices.sharpness(none).shape == (0,)
    assert matrices.gradient(none).shape == none.shape


@pytest.mark.parametrize("n, m, d", SHAPES)
def test_sharpness_at_every_global_minimum(n, m, d):
    matrices, rng = random_factorization(n, m, d)
    singular = np.linalg.svd(matrices.target, compute_uv=False)
    least = np.sum(singular[d:] ** 2) / 2
    for _ in range(5):
        minimum = matrices.minimum(random_gauge(rng, d))
        X, Y = matrices.split(minimum)
        assert matrices.value(minimum) == pytest.approx(least, abs=1e-12)
        np.testing.assert_allclose(matrices.gradient(minimum), 0, atol=1e-12)
        expected = spectral(X) ** 2 + spectral(Y) ** 2
        assert matrices.sharpness(minimum) == pytest.approx(expected, rel=1e-12)
        assert expected > 2 * singular[0] * (1 - 1e-12)
        assert np.linalg.eigvalsh(matrices.hessian(minimum))[0] > -1e-12 * expected
    balanced = matrices.minimum()
    np.testing.assert_allclose(imbalance(*matrices.split(balanced)), 0, atol=1e-12)
    assert matrices.sharpness(balanced) == pytest.approx(2 * singular[0], rel=1e-12)
    assert matrices.critical_learning_rate == pytest.approx(1 / singular[0], rel=1e-14)


def test_sharpness_where_a_factor_has_columns_to_spare():
    # Not of the form of `minimum`: the columns of X that Y does not use can be anything.
    matrices = MatrixFactorization(np.diag([2.0, 1.0, 0.0]), 3)
    X, Y = np.diag([1.0, 1.0, 3.0]), np.diag([2.0, 1.0, 0.0])
    point = matrices.join(X, Y)
    assert matrices.value(point) == 0
    assert matrices.sharpness(point) == pytest.approx(9 + 4, rel=1e-13)


def test_sharpness_of_many_coordinates_is_that_of_the_whole_hessian():
    matrices, rng = random_factorization(24, 20, 11)
    assert matrices.dimension > 400
    minimum = matrices.minimum(random_gauge(rng, 11))
    X, Y = matrices.split(minimum)
    expected = spectral(X) ** 2 + spectral(Y) ** 2
    anywhere = rng.normal(size=matrices.dimension)
    points = np.stack([minimum, anywhere, np.full_like(minimum, np.nan)])
    found = matrices.sharpness(points)
    assert found[0] == pytest.approx(expected, rel=1e-10) and np.isnan(found[2])
    whole = np.linalg.eigvalsh(matrices.hessian(anywhere))[-1]
    assert found[1] == pytest.approx(whole, rel=1e-10)
    nothing = MatrixFactorization(np.zeros((30, 30)), 10)
    assert nothing.sharpness(np.zeros(600)) == 0 and nothing.critical_learning_rate == np.inf


@pytest.mark.parametrize("n, m, d", SHAPES)
def test_every_other_stationary_point_is_a_strict_saddle(n, m, d):
    matrices, rng = random_factorization(n, m, d)
    left, values, right = np.linalg.svd(matrices.target)
    count = min(n, m)
    for leave_out in range(min(d, count)):  # one of the d largest is not fitted
        kept = [i for i in range(count) if i != leave_out][:d]
        X, Y = np.zeros((n, d)), np.zeros((m, d))
        for column, i in enumerate(kept):
            X[:, column] = 3 * left[:, i]
            Y[:, column] = values[i] / 3 * right[i]
        R = random_gauge(rng, d)
        saddle = matrices.join(X @ R, Y @ np.linalg.inv(R).T)
        np.testing.assert_allclose(matrices.gradient(saddle), 0, atol=1e-11)
        assert np.linalg.eigvalsh(matrices.hessian(saddle))[0] < -1e-3


@pytest.mark.parametrize("n, m, d", SHAPES)
def test_a_step_changes_the_imbalance_by_the_law(n, m, d):
    matrices, rng = random_factorization(n, m, d)
    points, h = rng.normal(size=(10, matrices.dimension)), 0.3
    X, Y = matrices.split(points)
    E = X @ Y.mT - matrices.target
    after = imbalance(*matrices.split(points - h * matrices.gradient(points)))
    change = h**2 * (Y.mT @ E.mT @ E @ Y - X.mT @ E @ E.mT @ X)
    assert np.abs(change).max() > 1e-3
    np.testing.assert_allclose(after, imbalance(X, Y) + change, rtol=1e-12, atol=1e-12)


def test_gradient_flow_keeps_the_imbalance():
    matrices, rng = random_factorization(3, 4, 2)
    flow = gradient_flow(matrices, rng.normal(size=matrices.dimension), [0, 0.5, 2, 10])
    kept = imbalance(*matrices.split(flow.points))
    assert np.abs(kept[0]).max() > 0.1 and flow.values[-1] < flow.values[0] / 2
    np.testing.assert_allclose(kept, np.broadcast_to(kept[0], kept.shape), atol=1e-10)


def test_limits_are_global_minima_that_are_stable():
    matrices, rng = random_factorization(4, 3, 2)
    singular = np.linalg.svd(matrices.target, compute_uv=False)
    starts = rng.uniform(0.5, 2.5, (600, 1)) * rng.normal(size=(600, matrices.dimension))
    rates = rng.uniform(0.2, 1.2, 600) / singular[0]
    ends = descend_many(matrices, starts, rates, 3000, progress=False)
    converged = ends.converged
    assert converged.sum() > 150 and rates[converged].max() < 1 / singular[0]
    limits, rates = ends.points[converged], rates[converged]
    np.testing.assert_allclose(matrices.value(limits), singular[2] ** 2 / 2, rtol=1e-9)
    X, Y = matrices.split(limits)
    products = rates * (spectral(X) ** 2 + spectral(Y) ** 2)
    assert 1.8 < products.max() <= 2
    t = (1 + np.sqrt(1 - (rates * singular[0]) ** 2)) / rates
    assert (spectral(imbalance(X, Y)) <= t - singular[1] ** 2 / t + 1e-9).all()


def test_aligned_starts_are_as_many_scalar_factorizations():
    values = np.array([3.0, 2.0, 1.0])
    matrices, rng = MatrixFactorization(np.diag(values), 3), np.random.default_rng(2)
    pairs = rng.uniform(-3, 3, (200, 3, 2))
    starts = matrices.join(*(pairs[..., i, np.newaxis] * np.eye(3) for i in range(2)))
    critical = np.min([critical_learning_rate(pairs[:, i], values[i]) for i in range(3)], axis=0)
    below = descend_many(matrices, starts, 0.95 * critical, 5000, progress=False)
    above = descend_many(matrices, starts, 1.05 * critical, 5000, progress=False)
    assert below.converged.all() and not above.converged.any()
    split = critical < 0.9 / 3
    assert split.sum() > 50 and above.diverged[split].all()


def test_divergence_of_matrices_is_a_result_without_a_warning():
    matrices, rng = random_factorization(3, 3, 2)
    orbit = gradient_descent(matrices, rng.normal(size=matrices.dimension), 30.0, 100)
    assert orbit.outcome.label == "diverged" and not np.isfinite(orbit.values[-1])
    huge = np.full(matrices.dimension, 1e200)
    assert np.isinf(matrices.value(huge)) and np.isnan(matrices.sharpness(huge))
    assert np.isnan(imbalance([[np.inf]], [[np.inf]])).all()


def test_a_factorization_of_matrices_cannot_be_changed():
    target = np.eye(2)
    matrices = MatrixFactorization(target, np.int64(1))
    target[0, 0] = 7
    assert matrices.target[0, 0] == 1 and type(matrices.rank) is int
    with pytest.raises(dataclasses.FrozenInstanceError):
        matrices.rank = 2
    with pytest.raises(ValueError, match="read-only"):
        matrices.target[0, 0] = 2


# Arguments


def test_an_ellipse_cannot_be_changed():
    ellipse = InvariantEllipse(np.float32(0.5))
    assert ellipse == InvariantEllipse(0.5) and type(ellipse.learning_rate) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        ellipse.product = 2


@pytest.mark.parametrize(
    "error, message, call",
    [
        (ValueError, "learning_rate must be below 2/product = 2", lambda: InvariantEllipse(2.0)),
        (ValueError, "2/product = 0.5, .* not 0.7", lambda: InvariantEllipse(0.7, 4)),
        (ValueError, "learning_rate must be positive", lambda: InvariantEllipse(0.0)),
        (ValueError, "product must be positive", lambda: InvariantEllipse(1.0, -1)),
        (TypeError, "learning_rate must be one number", lambda: InvariantEllipse([1.0])),
        (TypeError, "product must be real", lambda: InvariantEllipse(1.0, "x")),
        (ValueError, "points must have 2", lambda: InvariantEllipse(1.0).level([1.0])),
        (ValueError, "points must have 2", lambda: InvariantEllipse(1.0).angles([1.0])),
        (TypeError, "angles must be real", lambda: InvariantEllipse(1.0).points("x")),
        (ValueError, "limits must be", lambda: InvariantEllipse(1.0).share((0, 1))),
        (ValueError, "limits must be", lambda: InvariantEllipse(1.0).share((1, 0, 0, 1))),
        (ValueError, "limits must be", lambda: InvariantEllipse(1.0).share((0, np.inf, 0, 1))),
        (ValueError, "limits must be", lambda: InvariantEllipse(1.0).share((0, 1e200, 0, 1))),
        (ValueError, "limits must be", lambda: InvariantEllipse(1.0).share((0, 1e-200, 0, 1))),
        (ValueError, "starts must have 2", lambda: critical_learning_rate([1.0])),
        (ValueError, "product must be positive", lambda: critical_learning_rate([1.0, 1.0], 0)),
        (ValueError, "target must be a matrix", lambda: MatrixFactorization([1.0, 2.0], 1)),
        (ValueError, "target must be a matrix", lambda: MatrixFactorization(np.zeros((0, 2)), 1)),
        (ValueError, "target must be a matrix", lambda: MatrixFactorization([[np.nan]], 1)),
        (TypeError, "target must be real", lambda: MatrixFactorization([["x"]], 1)),
        (ValueError, "rank must be .* at least 1, not 0", lambda: MatrixFactorization([[1.0]], 0)),
        (TypeError, "rank must be a whole", lambda: MatrixFactorization([[1.0]], 1.5)),
        (ValueError, "points must have 5", lambda: MatrixFactorization(WIDE, 1).value([1.0])),
        (ValueError, "points must have 5", lambda: MatrixFactorization(WIDE, 1).sharpness([1.0])),
        (
            ValueError,
            "vectors must have 5",
            lambda: MatrixFactorization(WIDE, 1).hessian_product(np.ones(5), [1.0]),
        ),
        (
            ValueError,
            r"left must have the shape \(..., 2, 1\), not \(2,\)",
            lambda: MatrixFactorization(WIDE, 1).join([1.0, 2.0], np.ones((3, 1))),
        ),
        (
            ValueError,
            "right must have the shape",
            lambda: MatrixFactorization(WIDE, 1).join(np.ones((2, 1)), np.ones((2, 1))),
        ),
        (
            ValueError,
            r"equally many matrices, or one for all, not \(2,\) and \(3,\)",
            lambda: MatrixFactorization(WIDE, 1).join(np.ones((2, 2, 1)), np.ones((3, 3, 1))),
        ),
        (
            ValueError,
            "gauge must be one inv",
            lambda: MatrixFactorization(WIDE, 1).minimum([[0.0]]),
        ),
        (ValueError, "gauge must have", lambda: MatrixFactorization(WIDE, 1).minimum(2.0)),
        (ValueError, "gauge must be", lambda: MatrixFactorization(WIDE, 1).minimum([[np.inf]])),
        (ValueError, "same number of columns", lambda: imbalance([[1.0]], [[1.0, 2.0]])),
        (ValueError, "left must have the shape", lambda: imbalance([1.0], [[1.0, 2.0]])),
        (ValueError, "equally many", lambda: imbalance(np.ones((2, 1, 1)), np.ones((3, 1, 1)))),
    ],
)
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_critical_learning_rate_of_a_network_with_three_hidden_neurons():
    """Sum and difference of the vectors keep their directions: two numbers do the same."""
    network = Objective("(1 - a*u - b*v - c*w)^2/2", "a b c u v w")
    starts = 2 * np.random.default_rng(6).normal(size=(200, 6))
    total = np.linalg.norm(starts[:, :3] + starts[:, 3:], axis=1)
    difference = np.linalg.norm(starts[:, :3] - starts[:, 3:], axis=1)
    equivalent = np.stack([total + difference, total - difference], axis=1) / 2
    rates = critical_learning_rate(equivalent)
    starts, rates = starts[rates < 0.98], rates[rates < 0.98]
    assert len(rates) > 100
    assert descend_many(network, starts, 0.98 * rates, 20_000).converged.all()
    assert descend_many(network, starts, 1.02 * rates, 20_000).diverged.all()


def test_what_is_saved_comes_back_read_only():
    matrices = pickle.loads(pickle.dumps(MatrixFactorization(WIDE, 1)))
    np.testing.assert_array_equal(matrices.target, WIDE)
    assert not matrices.target.flags.writeable


def test_a_hessian_that_vanishes_by_underflow():
    matrices = MatrixFactorization(np.zeros((30, 30)), rank=10)
    assert matrices.sharpness(np.full(matrices.dimension, 1e-170)) == 0


def test_points_and_vectors_that_do_not_fit():
    with pytest.raises(ValueError, match="points and vectors must be equally many"):
        MatrixFactorization([[1.0]], 1).hessian_product(np.ones((2, 2)), np.ones((3, 2)))
