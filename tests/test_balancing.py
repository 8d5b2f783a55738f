"""What the chapter on balancing says, computed apart from its text."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import gdbook as gd

FACTORIZATION = gd.catalogue.scalar_factorization()


def relu(t, leak=0.0):
    return np.maximum(t, leak * t)


# Homogeneity


@pytest.mark.parametrize("leak", [0.0, 0.3])
def test_activation_allows_positive_monomial_rescalings_and_no_others(leak):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(40, 3))

    def changes(R):
        return np.abs(X @ R @ relu(np.linalg.inv(R) @ Y.T, leak) - X @ relu(Y.T, leak)).max()

    permutation = np.eye(3)[[2, 0, 1]]
    assert changes(permutation * [0.5, 3, 7]) < 1e-12
    assert changes(-np.eye(3)) > 0.1
    assert changes(np.diag([1, 1, -1.0])) > 0.1
    assert changes(np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]])) > 0.01


# The bound


def random_polynomial(rng, degree, variables):
    terms = [
        rng.integers(-3, 4) * math.prod(rng.choice(variables, size=rng.integers(1, degree + 1)))
        for _ in range(6)
    ]
    return sp.expand(sum(terms))


@pytest.mark.parametrize("seed", range(4))
def test_hessian_where_the_residual_vanishes_is_a_product_of_gradients(seed):
    rng = np.random.default_rng(seed)
    variables = sp.symbols("a b c")
    p = random_polynomial(rng, 3, variables)
    point = dict(zip(variables, map(int, rng.integers(-2, 3, 3)), strict=True))
    target = p.subs(point)  # so that the point is a minimum
    hessian = sp.hessian((target - p) ** 2 / 2, variables).subs(point)
    gradient = sp.Matrix([p]).jacobian(variables).T.subs(point)
    assert hessian == gradient * gradient.T


def test_quotient_of_residuals_tends_to_one_minus_the_rate_times_the_sharpness():
    h, (x, y) = 0.3, (1.7, 0.9)
    for _ in range(60):
        r = 1 - x * y
        x, y = x + h * r * y, y + h * r * x
        if abs(1 - x * y) < 1e-6:
            break
    r, s = 1 - x * y, x * x + y * y
    x, y = x + h * r * y, y + h * r * x
    assert (1 - x * y) / r == pytest.approx(1 - h * s, abs=1e-5)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_no_limit_is_sharper_than_the_bound_for_vectors_too(width):
    rng = np.random.default_rng(width)
    x, y = rng.normal(size=(2, 2000, width)) * rng.uniform(0.3, 2.5, (2, 2000, 1))
    s, p = (x**2 + y**2).sum(axis=1), (x * y).sum(axis=1)
    critical = np.minimum(1, 8 / (s + np.sqrt(s**2 + 16 * (1 - p))))
    h = critical * rng.uniform(0.2, 0.97, 2000)
    for _ in range(6000):
        z = (h * (1 - (x * y).sum(axis=1)))[:, np.newaxis]
        x, y = x + z * y, y + z * x
    settled = np.abs(z[:, 0]) < 1e-12
    assert settled.mean() > 0.99
    gap = np.linalg.norm(x - y, axis=1)
    assert (gap <= np.sqrt(2 / h - 2))[settled].all()
    assert (h * ((x**2).sum(axis=1) + (y**2).sum(axis=1)))[settled].max() > 1.8


def test_bound_vanishes_at_the_last_stable_rate_and_is_attained_near_the_edge():
    minimum = np.array([3.0, 1 / 3])
    s = float(FACTORIZATION.sharpness(minimum))
    h = 1.999 / s
    beside = np.add(minimum, [0, 1e-6])
    end = gd.gradient_descent(FACTORIZATION, beside, h, 60_000).points[-1]
    assert abs(end[0] - end[1]) == pytest.approx(math.sqrt(2 / h - 2), rel=1e-3)
    assert abs(end[0] - end[1]) < math.sqrt(2 / h - 2)


# The imbalance on the way


@pytest.mark.parametrize("start", [(5.0, 0.25), (-3.0, 1.0), (0.1, -2.0), (2.0, 2.0)])
def test_gradient_flow_ends_at_the_minimum_with_the_same_imbalance(start):
    end = gd.gradient_flow(FACTORIZATION, start, [0, 60]).points[-1]
    d = start[0] ** 2 - start[1] ** 2
    psi = math.hypot(d, 2)
    assert end[0] * end[1] == pytest.approx(1, abs=1e-9)
    assert end[0] ** 2 - end[1] ** 2 == pytest.approx(d, abs=1e-9)
    assert abs(end[0] - end[1]) == pytest.approx(math.sqrt(psi - 2), abs=1e-6)
    assert math.copysign(1, end.sum()) == math.copysign(1, sum(start))


def test_imbalance_law_is_exact_in_rational_numbers():
    x, y, h = Fraction(7, 3), Fraction(1, 5), Fraction(2, 7)
    d, product = x * x - y * y, 1
    for _ in range(6):
        r = 1 - x * y
        product *= 1 - h * h * r * r
        x, y = x + h * r * y, y + h * r * x
    assert x * x - y * y == d * product


def test_imbalance_of_a_deep_chain_changes_by_an_exact_factor():
    w = [Fraction(3, 2), Fraction(-1, 2), Fraction(4, 5), Fraction(2)]
    h, target = Fraction(1, 9), Fraction(3, 4)
    for _ in range(3):
        r = target - math.prod(w)
        after = [v + h * r * math.prod(w[:i] + w[i + 1 :]) for i, v in enumerate(w)]
        for i in range(4):
            for j in range(i):
                others = math.prod(v for k, v in enumerate(w) if k not in (i, j))
                factor = 1 - (h * r * others) ** 2
                assert after[i] ** 2 - after[j] ** 2 == (w[i] ** 2 - w[j] ** 2) * factor
        w = after


@pytest.mark.parametrize("depth", [2, 3, 4, 6])
@pytest.mark.parametrize("target", [0.2, 1.0, 3.0])
def test_flattest_minimum_of_a_chain_is_the_balanced_one(depth, target):
    rng = np.random.default_rng(depth)
    w = rng.lognormal(size=(1000, depth))
    w[:, -1] = target / w[:, :-1].prod(axis=1)
    names = [f"w{i}" for i in range(depth)]
    chain = gd.Objective(f"({target} - {'*'.join(names)})^2/2", " ".join(names))
    sharpness = target**2 * (1 / w**2).sum(axis=1)
    np.testing.assert_allclose(chain.sharpness(w[:20]), sharpness[:20], rtol=1e-8)
    least = depth * target ** (2 - 2 / depth)
    assert (sharpness >= least * (1 - 1e-12)).all()
    balanced = np.full(depth, target ** (1 / depth))
    assert float(chain.sharpness(balanced)) == pytest.approx(least)


# More is not always better


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_what_balances_in_one_step_stays_balanced(steps):
    h, x, y = sp.Symbol("h"), sp.Integer(2), -sp.Rational(1, 2)
    for _ in range(steps):
        z = h * (1 - x * y)
        x, y = sp.expand(x + z * y), sp.expand(y + z * x)
    # h = 1/(1 - x y) = 1/2 is a zero of the polynomial x - y after any number of steps
    assert sp.rem(x - y, 2 * h - 1, h) == 0
    assert sp.rem(x + y, 2 * h - 1, h) != 0


def test_gap_of_the_limit_vanishes_and_returns_as_the_rate_grows():
    start = np.array([5.0, 0.25])
    L = float(FACTORIZATION.sharpness(start))
    multiples = np.array([2.5, 3.0, 3.130249620609, 3.27, 3.569319348585, 3.75])
    ends = gd.descend_many(FACTORIZATION, start, multiples / L, 20_000)
    gaps = np.abs(ends.points @ [1, -1])
    assert ends.converged.all()
    assert gaps[0] > gaps[1] > 0.9 and gaps[2] < 1e-6 and gaps[3] > 1.4
    assert gaps[4] < 1e-6 and gaps[5] > 2.7
    assert (gaps < np.sqrt(2 * L / multiples - 2)).all()


def test_mean_gap_is_least_well_below_the_end_of_convergence():
    omega = (np.arange(1000) + 0.5) * np.pi / 500
    circle = 6 * np.stack([np.cos(omega), np.sin(omega)], axis=-1)
    L = FACTORIZATION.sharpness(circle)
    multiples = np.array([0.5, 1.9, 2.5, 3.0, 3.25, 3.5, 3.8])
    ends = gd.descend_many(FACTORIZATION, circle, multiples[:, np.newaxis] / L, 20_000)
    assert ends.converged.all()
    gaps = np.abs(ends.points @ [1, -1]).reshape(ends.shape).mean(axis=1)
    np.testing.assert_allclose(gaps, [4.275, 3.755, 2.807, 1.30, 0.72, 0.95, 1.51], atol=0.04)
    assert gaps.argmin() == 4


def test_limits_for_far_starts_do_not_depend_on_the_distance():
    omega = np.array([0.05, 0.3, 1.2, 2.0])
    directions = np.stack([np.cos(omega), np.sin(omega)], axis=-1)
    scaled = []
    for radius in (1e3, 1e4):
        starts = radius * directions
        h = 2.6 / FACTORIZATION.sharpness(starts)
        scaled.append(gd.descend_many(FACTORIZATION, starts, h, 20_000).points / radius)
    np.testing.assert_allclose(*scaled, atol=1e-4)


# The mirror


def edge_passage(m, delta, z):
    """Distance from the edge, 2 + epsilon, at the end of an orbit; largest z on the way."""
    D, largest = math.sqrt((2 + delta) ** 2 - 4 * m * m), abs(z)
    while abs(z) > 1e-14:
        s = math.sqrt(D * D + 4 * (m - z) ** 2)
        z, D = z * (1 - s - m * z + z * z), D * (1 - z * z)
        largest = max(largest, abs(z))
    return math.sqrt(D * D + 4 * m * m) - 2, largest


def test_variables_of_the_mirror_are_those_of_gradient_descent():
    h, mu, point = 0.2, 1.5, np.array([3.1, 0.47])
    f = gd.catalogue.scalar_factorization(mu)
    m, z, D = h * mu, h * (mu - point.prod()), h * (point**2 @ [1, -1])
    after = point - h * f.gradient(point)
    s = math.sqrt(D**2 + 4 * (m - z) ** 2)
    assert s == pytest.approx(h * (point**2).sum())
    assert h * (mu - after.prod()) == pytest.approx(z * (1 - s - m * z + z**2))
    assert h * (after**2 @ [1, -1]) == pytest.approx(D * (1 - z**2))


@pytest.mark.parametrize("m", [0.01, 0.2, 0.5, 0.7])
def test_mirror_has_an_error_of_third_order(m):
    alpha = 2 * (1 - 4 * m**2) / (3 * (1 - m**2))
    errors = []
    for delta in (0.04, 0.02, 0.01):
        epsilon, largest = edge_passage(m, delta, -(delta**2))
        errors.append(epsilon + delta + alpha * delta**2)
        assert largest == pytest.approx(delta / math.sqrt(2 * (1 - m**2)), rel=0.05)
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 8, rtol=0.08)


@pytest.mark.parametrize(
    ("delta", "end"),
    [(0.01, 1.98994), (0.05, 1.94832), (0.1, 1.89305), (0.2, 1.77049), (0.3, 1.62997)],
)
def test_starts_beside_a_minimum_just_beyond_the_edge(delta, end):
    start = np.array([5.0, 0.2002])
    h = (2 + delta) / float(FACTORIZATION.sharpness(start))
    limit = gd.gradient_descent(FACTORIZATION, start, h, 6000).points[-1]
    assert h * float(FACTORIZATION.sharpness(limit)) == pytest.approx(end, abs=3e-5)


# Coordinates


def test_a_change_of_coordinates_makes_the_flat_minimum_the_sharp_one():
    t = sp.Symbol("t")
    f = gd.Objective("x^2*(x - 1)^2*(1 + 3*x)/2", "x")  # minima 0 and 1, curvatures 1 and 4
    phi = t + t * (1 - t) * (sp.Rational(6, 5) * (1 - t) + t / 2)  # slopes 11/5 and 1/2
    assert (sp.lambdify(t, phi.diff(t))(np.linspace(0, 1, 201)) > 0).all()
    g = f.expression.subs(f.variables[0], phi)
    assert [phi.subs(t, v) for v in (0, 1)] == [0, 1]
    before = [f.hessian([v])[0, 0] for v in (0.0, 1.0)]
    after = [float(g.diff(t, 2).subs(t, v)) for v in (0, 1)]
    slopes = [float(phi.diff(t).subs(t, v)) for v in (0, 1)]
    assert before[0] < before[1] and after[0] > after[1]
    np.testing.assert_allclose(after, np.multiply(before, np.square(slopes)))


# Matrices


def test_hessian_of_an_exact_fit_has_the_sums_of_eigenvalues():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(6, 3)), rng.normal(size=(5, 3))
    fit = gd.factorization.MatrixFactorization(X @ Y.T, rank=3)
    computed = np.linalg.eigvalsh(fit.hessian(fit.join(X, Y)))
    left, right = np.linalg.eigvalsh(X @ X.T), np.linalg.eigvalsh(Y @ Y.T)
    sums = np.sort(np.add.outer(left, right).ravel())
    nonzero = computed[computed > 1e-9]  # 33 coordinates, of which the group of R leaves 9 alone
    np.testing.assert_allclose(nonzero, sums[sums > 1e-9], rtol=1e-9)
    assert len(nonzero) == 33 - 9
    assert computed[-1] == pytest.approx(15.517976441703095, abs=1e-12)


def test_limit_may_be_less_balanced_than_that_of_gradient_flow():
    # only where a residual beyond sqrt(2)/h is met: the law of imbalance
    starts = np.random.default_rng(1).uniform(-6, 6, (4000, 2))
    h = gd.factorization.critical_learning_rate(starts)
    h = h * np.random.default_rng(2).uniform(0.02, 0.99, 4000)
    z, points = np.zeros(4000), starts
    for _ in range(3000):
        step = h * (1 - points.prod(axis=1))
        z = np.maximum(z, np.abs(step))
        points = points + step[:, np.newaxis] * points[:, ::-1]
    before, after = (np.abs(p**2 @ [1, -1]) for p in (starts, points))
    worse = (np.abs(step) < 1e-9) & (after > 1.001 * before)
    assert worse.sum() > 100
    assert (z[worse] > math.sqrt(2)).all()
