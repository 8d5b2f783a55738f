"""The numbers and theorems of the chapter on backward error analysis, each by the package.

The chapter asserts what it shows; here the same statements meet other starts, other objectives and
independent ways of computing.
"""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import expm
from scipy.optimize import brentq

import gdbook as gd

START = np.array([1.6, 0.3])
HARD = gd.catalogue.quadratic_plus_quartic
SOFT = gd.catalogue.quadratic_plus_cubic
X, Y = sp.symbols("x y", real=True)
R = sp.Rational


def factorization():
    return gd.catalogue.scalar_factorization()


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


def one_step_error(flow, objective, start, h, *arguments):
    step = gd.gradient_descent(objective, start, h, 1).points[-1]
    return np.linalg.norm(flow(objective, start, [0.0, h], h, *arguments).points[-1] - step)


# Gradient flow as the limit


def test_global_order_and_bound_of_euler():
    """Slope 1, and the theorem's bound, with constants taken along the solution."""
    objective, rates = factorization(), 1 / np.array([20, 40, 80, 160])
    flow = gd.gradient_flow(objective, START, np.linspace(0, 1, 401))
    hessians = objective.hessian(flow.points)
    second = np.einsum("nij,nj->ni", hessians, objective.gradient(flow.points))
    M = np.linalg.norm(second, axis=1).max()
    L = 1.1 * np.linalg.norm(hessians, ord=2, axis=(1, 2)).max()
    errors = []
    for h in rates:
        n = round(1 / h)
        end = gd.gradient_descent(objective, START, h, n).points[-1]
        errors.append(np.linalg.norm(end - flow.points[-1]))
        assert errors[-1] <= h * M / (2 * L) * np.expm1(L)
    assert abs(slope(rates, errors) - 1) < 0.05


@pytest.mark.parametrize(("order", "expected"), [(0, 1.001), (1, 1.991), (2, 2.992)])
def test_global_slopes(order, expected):
    objective, errors, rates = factorization(), [], 1 / np.array([20, 40, 80, 160, 320])
    for h in rates:
        orbit = gd.gradient_descent(objective, START, h, round(1 / h)).points
        flow = gd.modified_flow(objective, START, h * np.arange(len(orbit)), h, order).points
        errors.append(np.linalg.norm(orbit - flow, axis=1).max())
    assert abs(slope(rates, errors) - expected) < 0.03


@pytest.mark.parametrize(
    ("objective", "start"),
    [(factorization(), START), (HARD(), [1.0]), (gd.catalogue.cosine(), [1.0])],
    ids=["factorization", "hard spring", "cosine"],
)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_local_slopes(objective, start, order):
    rates = np.geomspace(1e-3, 1e-2, 5)
    errors = [one_step_error(gd.modified_flow, objective, start, h, order) for h in rates]
    assert abs(slope(rates, errors) - (order + 2)) < 0.05


# Quadratics


def test_warm_up_of_the_note():
    bowl, times = gd.catalogue.quadratic(), 0.5 * np.arange(1, 5)
    table = [
        [0.7278368, 0.4414553, 0.2677562, 0.1624023],
        [0.6423137, 0.3438058, 0.1840260, 0.0985020],
        [0.6161005, 0.3163166, 0.1624023, 0.0833801],
    ]
    for order, row in enumerate(table):
        points = gd.modified_flow(bowl, 1.2, times, 0.5, order).points.ravel()
        assert np.allclose(points, row, rtol=0, atol=5.1e-8)


@pytest.mark.parametrize(
    ("h", "row"),
    [
        (0.1, [0.904837, 0.900325, 0.900024]),
        (0.5, [0.606531, 0.535261, 0.513417]),
        (1.5, [0.223130, 0.072440, 0.023518]),
        (2.5, [0.082085, 0.003607, 0.0000197]),
    ],
)
def test_four_panels_of_the_blog(h, row):
    bowl = gd.catalogue.quadratic()
    points = [gd.modified_flow(bowl, 1.0, [0, h], h, p).points[-1, 0] for p in range(3)]
    assert np.allclose(points, row, rtol=0, atol=5.1e-7)


def test_threshold_of_faster_than_the_flow():
    threshold = brentq(lambda z: z - 1 - np.exp(-z), 1, 2)
    assert abs(threshold - 1.2784645) < 5e-8
    bowl = gd.catalogue.quadratic()
    for z, faster in ((0.01, True), (1.0, True), (1.278, True), (1.279, False), (1.99, False)):
        descent = abs(gd.gradient_descent(bowl, 1.0, z, 3).points[-1, 0])
        assert (descent < gd.gradient_flow(bowl, 1.0, [0, 3 * z]).points[-1, 0]) == faster


def test_parity():
    """Beyond the threshold more terms help at odd steps and hurt at even ones."""
    for h in (1.3, 1.5, 1.9):
        exponents = np.cumsum(h ** np.arange(1, 30) / np.arange(1, 30))
        for k in (1, 2, 3, 4):
            errors = abs((1 - h) ** k - np.exp(-k * exponents))
            sign = -1 if k % 2 else 1
            assert (sign * np.diff(errors) >= 0).all() and sign * (errors[3] - errors[0]) > 0
            assert abs(errors[-1] - (h - 1) ** k) < 1e-3
    exponents = np.cumsum(1.9 ** np.arange(1, 5) / np.arange(1, 5))
    errors = abs(0.9**2 - np.exp(-2 * exponents))
    assert np.allclose(errors, [0.78763, 0.80939, 0.80999, 0.81], atol=5e-6)


def test_parity_below_the_threshold():
    """At even steps more terms help while the flow is behind, and hurt once it is ahead."""
    for z in (1.02, 1.1, 1.25):
        factors = np.exp(-np.cumsum(z ** np.arange(1, 60) / np.arange(1, 60)))
        ahead = np.argmax(factors <= z - 1)
        errors = abs((z - 1) ** 2 - factors**2)
        assert ahead > 0
        assert (np.diff(errors[:ahead]) < 0).all()
        assert (np.diff(errors[ahead:]) >= 0).all() and errors[-1] > errors[ahead]


def test_gradient_descent_blows_up_in_the_last_panel():
    orbit = gd.gradient_descent(gd.catalogue.quadratic(), 1.0, 2.5, 40)
    assert np.allclose(orbit.points[:, 0], (-1.5) ** np.arange(41), rtol=1e-12)
    assert orbit.outcome.label == "diverged"


@pytest.mark.parametrize(
    ("z", "converges"), [(-1.0, True), (0.99, True), (1.0, False), (-1.01, False)]
)
def test_series_of_a_quadratic_converges_from_minus_one_to_one(z, converges):
    terms = z ** np.arange(1, 5001) / np.arange(1, 5001)
    if converges:
        assert abs(terms.sum() + np.log(1 - z)) < 2e-4
    else:
        assert abs(terms.sum()) > 9


def test_exact_field_of_a_quadratic():
    rng = np.random.default_rng(5)
    basis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    curvature = np.array([-1.0, 0.5, 2.4])
    h = 0.4
    field = basis @ np.diag(np.log(1 - h * curvature) / h) @ basis.T
    assert np.allclose(expm(h * field), np.eye(3) - h * basis @ np.diag(curvature) @ basis.T)
    one = gd.modified_coefficients(gd.catalogue.quadratic(), 1, 6)
    assert [c for (c,) in one] == [Fraction(-1, j) for j in range(1, 8)]


def test_even_multiplicity_has_a_real_field():
    """1 - h*lambda = -1/2, twice: half a turn and a shrinking, which is a flow."""
    h = 1.5
    field = (np.log(0.5) * np.eye(2) + np.pi * np.array([[0, -1], [1, 0]])) / h
    assert np.allclose(expm(h * field), -0.5 * np.eye(2), atol=1e-14)
    assert abs(field[0, 1] - field[1, 0]) > 1  # not symmetric: not a gradient


# The terms


@pytest.mark.parametrize("seed", [0, 1])
def test_general_formula_on_a_random_quartic(seed):
    """All coefficients through h^3, compared as polynomials in two variables."""
    rng = np.random.default_rng(seed)
    monomials = [(i, n - i) for n in range(1, 5) for i in range(n + 1)]
    text = "+".join(f"({rng.integers(-9, 10)})*x**{i}*y**{j}/7" for i, j in monomials)
    objective = gd.Objective(text, "x y")
    variables = list(objective.variables)
    F = -objective.gradient_expression

    def derivative(vector, direction):
        return (vector.jacobian(variables) * direction).expand()

    def second_derivative(u, v):
        return sp.Matrix(
            [
                sum(F[i].diff(a, b) * u[m] * v[n] for m, a in numbered for n, b in numbered)
                for i in range(2)
            ]
        ).expand()

    numbered = list(enumerate(variables))
    FF = derivative(F, F)
    FFF, F2FF = derivative(F, FF), second_derivative(F, F)
    expected = [
        F,
        -FF / 2,
        FFF / 3 + F2FF / 12,
        -(derivative(F, FFF) / 4 + derivative(F, F2FF) / 12 + second_derivative(FF, F) / 12),
    ]
    for term, formula in zip(gd.modified_field(objective, 3).coefficients, expected, strict=True):
        assert (term - formula).expand().is_zero_matrix


def test_fourth_term_in_one_variable():
    objective = gd.catalogue.cosine()
    F = [sp.sin(X).diff(X, n) for n in range(5)]
    expected = F[1] ** 4 * F[0] / 5 + R(29, 120) * F[1] ** 2 * F[2] * F[0] ** 2
    expected += F[2] ** 2 * F[0] ** 3 / 120 - F[1] * F[3] * F[0] ** 3 / 360 - F[4] * F[0] ** 4 / 720
    term = gd.modified_field(objective, 4).coefficients[4][0]
    term = term.subs(objective.variables[0], X)
    for x in (0.3, 1.1, 2.5):
        assert abs(float((term - expected).subs(X, x))) < 1e-14


def test_bushes_are_bernoulli_and_chains_are_a_logarithm():
    series = gd.tree_coefficients(9)
    found = dict(zip(series.trees, series.coefficients, strict=True))
    for n in range(2, 9):
        bernoulli = sp.bernoulli(n)
        assert found[(0,) + (1,) * n] == Fraction(int(bernoulli.p), int(bernoulli.q))
    for n in range(1, 10):
        assert found[tuple(range(n))] == Fraction((-1) ** (n - 1), n)


def test_explicit_midpoint():
    midpoint = gd.tree_coefficients(9, A=[[0, 0], [Fraction(1, 2), 0]], b=[0, 1])
    assert len(midpoint.trees) == 486
    assert sum(midpoint.coefficients) == Fraction(19063, 26880)
    assert midpoint.coefficients[1] == 0


def test_errors_of_the_hard_spring():
    """Errors of the flows of 1 to 5 terms after one step from 1 at h = 0.05."""
    errors = [one_step_error(gd.modified_flow, HARD(), [1.0], 0.05, p) for p in range(5)]
    assert np.allclose(errors, [9.0e-3, 1.3e-3, 2.4e-4, 4.6e-5, 9.0e-6], rtol=0.05)


# Not a gradient

CURLS = {
    "x**2*y": -R(2, 3) * X * (X**2 - 2 * Y**2),
    "(1 - x*y)**2/2": -R(1, 3) * (X**2 - Y**2) * (X**2 + Y**2) * (X * Y - 1),
    "x**2/2 + x*y**2": -R(2, 3) * Y * (2 * X**2 - 2 * X - Y**2),
    "x**2/2 + y**4/4": 0,
    "(x**2 + y**2)**2/4": 0,
}


@pytest.mark.parametrize(("text", "expected"), CURLS.items())
def test_explicit_curls(text, expected):
    objective = gd.Objective(text, "x y")
    zeroth, first, second = gd.modified_field(objective, 2).curl()
    assert zeroth.is_zero_matrix and first.is_zero_matrix
    assert sp.expand(second[0, 1] - expected) == 0
    assert sp.expand(second[1, 0] + expected) == 0
    g, H = objective.gradient_expression, objective.hessian_expression
    rate = sp.zeros(2)
    for variable, component in zip(objective.variables, g, strict=True):
        rate += H.diff(variable) * component
    assert ((H * rate - rate * H) / 6 - second).expand().is_zero_matrix
    if expected == 0:
        assert gd.modified_field(objective, 2).potential(0.1).dimension == 2
    else:
        with pytest.raises(ValueError, match="curl at order h\\^2"):
            gd.modified_field(objective, 2).potential()


@pytest.mark.parametrize(
    "text", ["exp((x**2 + y**2)/2)", "cos(x) + x*y*0 + exp(y)", "x**4/4 + y**2"]
)
def test_radial_and_separable_objectives_stay_gradients(text):
    for curl in gd.modified_field(gd.Objective(text, "x y"), 4).curl():
        numbers = curl.subs({X: 0.7, Y: -0.4})
        assert abs(float(numbers[0, 1])) < 1e-12


def test_circulation_of_the_second_correction():
    objective = gd.Objective("(1 - x*y)**2/2", "x y")
    field = sp.lambdify((X, Y), list(gd.modified_field(objective, 2).coefficients[2]))
    angles, radius = np.linspace(0, 2 * np.pi, 64, endpoint=False), 1e-3
    u, v = field(1.5 + radius * np.cos(angles), 0.5 + radius * np.sin(angles))
    tangential = (-np.sin(angles) * u + np.cos(angles) * v).mean()
    assert abs(2 * tangential / radius - 0.41666642) < 2e-8


def test_penalty_of_gradient_descent_is_a_quarter():
    objective = factorization()
    squares = sum(g**2 for g in objective.gradient_expression)
    c, h = sp.symbols("c h", real=True)
    penalised = gd.Objective(
        objective.expression + c * h * squares, "x y", {**objective.parameters, "c": 0.25, "h": 0.1}
    )
    for rate, expected in ((1e-2, 0.25418), (1e-3, 0.25041)):
        step = gd.gradient_descent(objective, START, rate, 1).points[-1]
        low, high = (
            gd.gradient_flow(penalised.with_parameters(c=value, h=rate), START, [0, rate]).points[
                -1
            ]
            - step
            for value in (0.2, 0.3)
        )
        change = (high - low) / 0.1
        assert abs(0.2 - low @ change / (change @ change) - expected) < 2e-5


# Best truncation

TABLE = [  # objective, start, h, exact field, best number of terms, least error, some errors
    (
        HARD,
        "1",
        "0.05",
        -2.23922780429,
        39,
        6.0e-20,
        {1: 0.239, 2: 0.0392, 5: 3.3e-4, 10: 1.0e-7, 20: 7.1e-14, 40: 1.9e-17, 70: 5.9e-15},
    ),
    (
        HARD,
        "1",
        "0.1",
        -2.60860894835,
        21,
        1.37e-9,
        {1: 0.609, 2: 0.209, 5: 0.0142, 10: 1.4e-4, 20: 6.0e-8, 40: 1.3e-5, 60: 3.6},
    ),
    (
        HARD,
        "1",
        "0.15",
        -3.31044042441,
        19,
        4.4e-5,
        {1: 1.31, 2: 0.71, 5: 0.164, 10: 0.0124, 20: 1.1e-4, 40: 97},
    ),
    (
        HARD,
        "1",
        "0.2",
        -5.38924940882,
        20,
        3.0e-3,
        {1: 3.39, 2: 2.59, 5: 1.38, 10: 0.446, 20: 3.0e-3, 40: 7e6},
    ),
    (
        HARD,
        "1/2",
        "0.2",
        -0.778351990109,
        23,
        4.3e-11,
        {1: 0.153, 2: 0.044, 5: 1.8e-3, 10: 9.4e-6, 20: 6.5e-10, 40: 9.9e-9},
    ),
    (
        HARD,
        "1/2",
        "0.4",
        -1.21734270445,
        20,
        1.6e-4,
        {1: 0.592, 2: 0.374, 5: 0.128, 10: 0.0212, 20: 1.6e-4, 40: 4.6e3},
    ),
    (
        SOFT,
        "1",
        "0.1",
        -2.39133765068,
        51,
        5.6e-18,
        {1: 0.391, 2: 0.0913, 5: 2.2e-3, 10: 5.7e-6, 20: 3.4e-11, 40: 4.1e-17},
    ),
    (
        SOFT,
        "1",
        "0.2",
        -3.21053307707,
        31,
        5.3e-8,
        {1: 1.21, 2: 0.611, 5: 0.124, 10: 0.0102, 20: 6.2e-5, 40: 2.4e-5},
    ),
    (
        SOFT,
        "1",
        "0.3",
        -8.26532843066,
        33,
        8.75e-3,
        {1: 6.27, 2: 5.37, 5: 3.89, 10: 2.33, 20: 0.81, 40: 374},
    ),
]


@pytest.mark.parametrize(("family", "start", "h", "exact", "terms", "least", "errors"), TABLE)
def test_table_of_best_truncation(family, start, h, exact, terms, least, errors):
    result = gd.optimal_truncation(family(), start, h, 70)
    assert abs(float(result.exact) / exact - 1) < 6e-12
    assert result.terms == terms
    assert result.error == pytest.approx(least, rel=0.025)
    for count, error in errors.items():
        assert result.errors[count - 1] == pytest.approx(error, rel=0.08)


def test_no_truncation_serves_where_the_curvature_nears_one_over_h():
    relative = {}
    for h in ("0.2", "0.24"):
        result = gd.optimal_truncation(HARD(), 1, h, 40)
        relative[h] = result.error / abs(float(result.exact))
    assert relative["0.2"] < 1e-3 and relative["0.24"] > 0.3


def test_exact_field_has_gradient_descent_as_its_flow():
    """Another way to the exact value: h*F solves F(T(x)) = T'(x) F(x) along the orbit."""
    objective, h = HARD(), 0.1
    before = float(gd.optimal_truncation(objective, 1, h, 30).exact)
    after = gd.gradient_descent(objective, 1.0, h, 1).points[-1, 0]
    slope_of_step = 1 - h * objective.hessian([1.0])[0, 0]
    assert float(gd.optimal_truncation(objective, after, h, 30).exact) == pytest.approx(
        slope_of_step * before, rel=1e-13
    )


def test_first_coefficients_and_their_growth():
    for family, values, growth in (
        (HARD, [-2, -4, -12.6667, -48, -197.0667, -833.33], 2.94),
        (SOFT, [-2, -3, -6.6667, -17.5, -50.0667, -150], 1.55),
    ):
        coefficients = [c for (c,) in gd.modified_coefficients(family(), 1, 59)]
        assert np.allclose([float(c) for c in coefficients[:6]], values, atol=5e-3)
        ratio = abs(coefficients[59]) / int(sp.factorial(59))
        assert abs(2 * np.pi * float(ratio) ** (1 / 59) - growth) < 0.01
        earlier = abs(coefficients[20]) / int(sp.factorial(20))
        assert float(earlier) ** (1 / 20) > float(ratio) ** (1 / 59)


def test_polynomial_coefficients():
    terms = [sp.expand(term[0]) for term in gd.modified_field(HARD(), 2).coefficients]
    assert terms[1] == sp.expand(-X / 2 - 2 * X**3 - R(3, 2) * X**5)
    assert terms[2] == sp.expand(-X / 3 - R(17, 6) * X**3 - 6 * X**5 - R(7, 2) * X**7)


# Beyond the sources


def test_principal_flow_is_of_second_order_only():
    objective, rates = factorization(), np.geomspace(1e-3, 1e-2, 5)
    errors = [one_step_error(gd.principal_flow, objective, START, h) for h in rates]
    assert abs(slope(rates, errors) - 3) < 0.05
    assert abs(errors[-1] - 2.10e-7) < 1e-9
    first, second = (one_step_error(gd.modified_flow, objective, START, 0.01, p) for p in (1, 2))
    assert abs(first - 1.75e-6) < 1e-8 and abs(second - 3.26e-8) < 1e-10


@pytest.mark.parametrize(
    ("text", "names", "start"), [("Abs(x)", "x", [2.0]), ("sqrt(x**2 + y**2)", "x y", [3.0, 4.0])]
)
def test_all_flows_agree_where_the_slope_is_constant(text, names, start):
    objective, h = gd.Objective(text, names), 0.25
    step = gd.gradient_descent(objective, start, h, 4).points[-1]
    for flow in (
        gd.gradient_flow(objective, start, [0, 1.0]),
        gd.principal_flow(objective, start, [0, 1.0], h),
        gd.modified_flow(objective, start, [0, 1.0], h, 2),
    ):
        assert np.allclose(flow.points[-1], step, atol=1e-10)


def test_interpolated_field_has_the_order_of_its_terms():
    objective = factorization()
    reference = gd.modified_field(objective, 9)
    for terms in range(1, 6):
        errors = []
        for h in (0.02, 0.01):
            orbit = gd.gradient_descent(objective, START, h, terms).points
            field = gd.interpolated_field(orbit, h, terms)
            errors.append(np.linalg.norm(field - reference.evaluate(START, h)))
        assert abs(np.log2(errors[0] / errors[1]) - terms) < 0.2


def test_implicit_regularization_flattens():
    objective, start, h = factorization(), [2.8, 1.2], 0.05
    descent = objective.sharpness(gd.gradient_descent(objective, start, h, 3000).points[-1])
    flows = [
        objective.sharpness(gd.modified_flow(objective, start, [0, 6.0], h, p).points[-1])
        for p in range(4)
    ]
    assert flows[0] == pytest.approx(np.sqrt((2.8**2 - 1.2**2) ** 2 + 4), rel=1e-8)
    errors = abs(np.array(flows) - descent)
    assert descent < flows[0] and (np.diff(errors) < 0).all()


def test_imbalance_shrinks_by_the_square_of_the_residual():
    objective = gd.Objective("(1 - x*y)**2/2", "x y")
    q, r = X**2 - Y**2, 1 - X * Y
    rates = [
        sp.factor((sp.Matrix([q]).jacobian([X, Y]) * term)[0] / q)
        for term in gd.modified_field(objective, 2).coefficients
    ]
    assert rates[0] == 0
    assert sp.expand(rates[1] + r**2) == 0
    assert sp.expand(rates[2] + r**2 * (X**2 + Y**2)) == 0


def test_weak_order_of_the_modified_stochastic_equation():
    """Means of x^2 at time 1 when each step draws the curvature 1.8 or 0.2."""
    spread, counts = 0.8, np.array([10, 20, 40, 80])
    h = 1 / counts
    exact = ((1 - h) ** 2 + (h * spread) ** 2) ** counts
    errors = [abs(np.exp(-2 + h * (spread**2 - c)) - exact) for c in (0, 1)]
    assert abs(slope(h, errors[0]) - 1) < 0.1 and abs(slope(h, errors[1]) - 2) < 0.1
    rng = np.random.default_rng(11)
    factors = 1 - 0.1 * rng.choice([1 - spread, 1 + spread], size=(50_000, 10))
    squares = np.prod(factors, axis=1) ** 2
    assert abs(squares.mean() - exact[0]) < 4 * squares.std() / np.sqrt(len(squares))


def test_implicit_euler_has_the_field_with_the_opposite_sign_of_h():
    """The flow whose h is negative follows the proximal step, to h^5 with four terms."""
    objective, start, errors = HARD(), 1.0, []
    for h in (0.02, 0.01):
        proximal = brentq(lambda x, h=h: x + h * (x + x**3) - start, 0, 1, xtol=1e-15)
        flow = gd.modified_flow(objective, start, [0, h], -h, 3).points[-1, 0]
        errors.append(abs(flow - proximal))
    assert abs(np.log2(errors[0] / errors[1]) - 5) < 0.3
