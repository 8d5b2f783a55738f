"""Two scales: the laws of the random map, against what is known exactly."""

import warnings

import numpy as np
import pytest
import sympy
from scipy import integrate, special

import gdbook as gd
from gdbook import catalogue
from gdbook.multiscale import (
    gibbs_density,
    noise_covariance,
    quasi_potential,
    temperature,
    transfer_operator,
)

PARABOLA = gd.Objective("x^2/2", "x")
TILTED = gd.Objective("(x^2 - 1)^2/4 + x/20", "x")
TWO_SINES = gd.Objective("sin(x) + sin(2*x)/4", "x")  # variance 1/2 + 1/8, not symmetric


# The objective


def test_two_scales_in_one_formula():
    f = catalogue.multiscale()
    assert str(f) == "f(x) = epsilon*sin(x/epsilon) + x**2/2"
    assert f.parameters == {"epsilon": 0.01}
    assert f.gradient([0.3]) == pytest.approx(0.3 + np.cos(30))
    assert f.hessian([0.3])[0, 0] == pytest.approx(1 - np.sin(30) / 0.01)
    assert f.with_parameters(epsilon=0.1).gradient([0.3]) == pytest.approx(0.3 + np.cos(3))


def test_two_scales_in_two_variables():
    f = catalogue.multiscale("(x^2 + 4*y^2)/2", scale=sympy.Rational(1, 10))
    x, y = f.variables
    assert f.substituted == x**2 / 2 + 2 * y**2 + sympy.sin(10 * x) / 10 + sympy.sin(10 * y) / 10
    # The variables of micro are taken in their order, whatever their names, all at once.
    micro = gd.Objective("cos(y) + 2*sin(x)", "y x")
    f = catalogue.multiscale("x*y", micro, 1)
    x, y = f.variables
    assert f.substituted == x * y + sympy.cos(x) + 2 * sympy.sin(y)


def test_parameters_of_both_formulas_stay():
    macro, micro = gd.Objective("a*z^2", "z", {"a": 2}), gd.Objective("b*sin(x)", "x", {"b": 3})
    f = catalogue.multiscale(macro, micro, 0.5)
    assert dict(f.parameters) == {"a": 2, "b": 3, "epsilon": 0.5}
    assert f.gradient([1.0]) == pytest.approx(4 + 3 * np.cos(2))


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (ValueError, "scale must be positive, not 0", (None, None, 0)),
        (ValueError, "micro must have as many variables as macro, 2, not 1", ("x*y", "sin(x)")),
        (TypeError, "macro must be a gdbook.Objective, not int", (3,)),
        (ValueError, "unknown symbol 'z'", ("z^2",)),
        (
            ValueError,
            "share the parameter 'a'",
            (gd.Objective("a*x", "x", {"a": 1}), gd.Objective("a*x", "x", {"a": 1})),
        ),
        (
            ValueError,
            "share the parameter 'epsilon'",
            (gd.Objective("epsilon*x", "x", {"epsilon": 1}),),
        ),
    ],
)
def test_bad_scales_are_named(error, message, arguments):
    with pytest.raises(error, match=message):
        catalogue.multiscale(*arguments)


# Temperature


def test_temperature_of_sums_of_sines():
    assert temperature(0.3) == pytest.approx(0.3 / 4, rel=1e-14)
    assert temperature(0.3, TWO_SINES) == pytest.approx(0.3 / 2 * (1 / 2 + 1 / 8), rel=1e-13)
    # A variance is a property of the gradient over one cell, not of where its period begins.
    shifted = gd.Objective("sin(x + 1) + sin(2*x + 2)/4", "x")
    assert temperature(0.3, shifted) == pytest.approx(temperature(0.3, TWO_SINES), rel=1e-13)


def test_covariance_in_two_variables():
    coupled = gd.Objective("sin(x) + sin(x + y)", "x y")  # gradients cos x + cos(x+y), cos(x+y)
    assert noise_covariance(coupled) == pytest.approx(np.array([[1, 0.5], [0.5, 0.5]]), abs=1e-14)
    assert temperature(0.2, gd.Objective("sin(x) + cos(y)", "x y")) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="not isotropic, so there is no temperature"):
        temperature(0.2, coupled)


def test_a_micro_scale_without_the_period_is_named():
    with pytest.raises(ValueError, match="micro must have the period 2 pi"):
        temperature(0.1, gd.Objective("sin(x/2)", "x"))
    with pytest.raises(ValueError, match="micro must have the period 2 pi"):
        temperature(0.1, gd.Objective("sin(x) + x", "x"))  # its gradient has the period
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        temperature(0)


# Gibbs


@pytest.mark.parametrize("heat", [1e-6, 0.0025, 0.1, 3.0])
def test_gibbs_of_a_parabola_is_gauss(heat):
    x = np.sqrt(heat) * np.array([0.0, 0.7, -2.0])
    gauss = np.exp(-(x**2) / (2 * heat)) / np.sqrt(2 * np.pi * heat)
    assert gibbs_density(PARABOLA, heat, x) == pytest.approx(gauss, rel=1e-10)
    away = gd.Objective("(x - 15)^2/2 + 7", "x")
    assert gibbs_density(away, heat, x + 15) == pytest.approx(gauss, rel=1e-6)


def test_gibbs_of_a_quartic():
    # The integral of exp(-x^4 / (4 T)) is (4 T)^(1/4) Gamma(1/4) / 2.
    mass = (4 * 0.05) ** 0.25 * special.gamma(0.25) / 2
    assert gibbs_density(catalogue.quartic(), 0.05, 0.0) == pytest.approx(1 / mass, rel=1e-12)


def test_gibbs_in_two_variables():
    f = gd.Objective("(x^2 + 4*y^2)/2", "x y")
    point, heat = np.array([[0.1, -0.05], [0.0, 0.0]]), 0.02
    expected = np.exp(-f.value(point) / heat) * 2 / (2 * np.pi * heat)
    assert gibbs_density(f, heat, point) == pytest.approx(expected, rel=1e-10)


def test_gibbs_of_wells_that_are_narrower_than_the_grid_is_refused():
    with pytest.raises(ValueError, match="temperature must be larger, not 1e-12"):
        gibbs_density(gd.catalogue.double_well(), 1e-12, [1.0])
    one_well = gibbs_density(PARABOLA, 1e-12, [0.0])
    assert one_well == pytest.approx(1 / np.sqrt(2e-12 * np.pi), rel=1e-9)


def test_gibbs_keeps_the_shape_of_the_points():
    for shape in [(), (3,), (0,), (2, 5)]:
        assert gibbs_density(PARABOLA, 0.1, np.zeros(shape)).shape == shape
    assert gibbs_density(PARABOLA, 0.1, np.zeros((4, 1))).shape == (4,)


def test_what_has_no_gibbs_law_is_named():
    for text in ("x", "cos(x)", "0*x", "-x^2"):
        with pytest.raises(ValueError, match="no finite integral"):
            gibbs_density(gd.Objective(text, "x"), 0.1, 0.0)
    with pytest.raises(ValueError, match="temperature must be positive"):
        gibbs_density(PARABOLA, 0, 0.0)
    with pytest.raises(ValueError, match="must have 1 or 2 variables here, not 3"):
        gibbs_density(gd.Objective("x*y*z", "x y z"), 0.1, [0.0, 0.0, 0.0])


# Quasi-potential


def test_slope_of_the_quasi_potential_solves_its_equation():
    x = np.linspace(0, 0.97, 9)
    values = quasi_potential(PARABOLA, x)
    for left, right, rise in zip(x[:-1], x[1:], np.diff(values), strict=True):
        # p is the root of ln I0(p) = p x, by bisection
        def root(s):
            low, high = 1e-9, 1e5
            for _ in range(200):
                p = (low + high) / 2
                low, high = (p, high) if np.log(special.ive(0, p)) + p < p * s else (low, p)
            return p

        exact = integrate.quad(root, left, right, epsrel=1e-10)[0]
        assert rise == pytest.approx(exact, rel=1e-7, abs=1e-9)


def test_quasi_potential_begins_with_gibbs():
    # V' = 4 s + 4 s^3 + O(s^5) at the slope s = f0'; on a parabola V = 2 x^2 + x^4 + O(x^6)
    x = np.array([0.0, 0.05, -0.1])
    assert quasi_potential(PARABOLA, x) == pytest.approx(2 * x**2 + x**4, abs=2e-6)
    scaled = quasi_potential(PARABOLA, x / 10, TWO_SINES)
    assert scaled == pytest.approx((x / 10) ** 2 / 2 * (2 / (5 / 8)), rel=0.02)


def test_no_noise_leads_beyond_its_largest_slope():
    values = quasi_potential(PARABOLA, [-1.001, -0.999, 0.0, 0.999, 1.001])
    assert np.isfinite(values).tolist() == [False, True, True, True, False]
    steep = gd.Objective("4*(x^2 - 1)^2 + x/10", "x")  # the hill between the wells is too steep
    assert np.isfinite(quasi_potential(steep, [-1.0, 0.0, 1.0])).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="points must be finite"):
        quasi_potential(PARABOLA, [0.0, np.inf])


# The random map itself


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.5, 1.0])
def test_variance_and_spectrum_of_the_linear_map(rate):
    # x -> (1 - h) x + h noise: variance h / (2 (2 - h)), eigenvalues (1 - h)^k
    operator = transfer_operator(PARABOLA, rate, (-1.25, 1.25))
    assert operator.mean(0) == pytest.approx(1, rel=1e-13)
    assert operator.mean() == pytest.approx(0, abs=1e-12)
    assert operator.mean(2) == pytest.approx(rate / (2 * (2 - rate)), rel=1e-7)
    assert operator.gap == pytest.approx(min(rate, 1), rel=1e-9)
    kurtosis = 3 - 1.5 * (2 * rate - rate**2) ** 2 / (1 - (1 - rate) ** 4)
    assert operator.mean(4) / operator.mean(2) ** 2 == pytest.approx(kurtosis, rel=2e-4)
    # the law is even
    assert operator.density == pytest.approx(operator.density[::-1], rel=1e-7, abs=1e-30)


def test_rows_are_probabilities_and_the_law_is_stationary():
    operator = transfer_operator(TILTED, 0.3, (-1.6, 1.6), cells=400)
    assert (operator.matrix.data >= 0).all()
    assert operator.matrix.sum(axis=1) == pytest.approx(np.ones(400), rel=1e-14)
    assert operator.matrix.T @ operator.density == pytest.approx(operator.density, rel=1e-12)
    steps = operator.matrix @ operator.centres  # the mean of a step is that of the map
    exact = operator.centres - 0.3 * TILTED.gradient(operator.centres[:, np.newaxis])[:, 0]
    assert steps == pytest.approx(exact, abs=1e-13)
    assert operator.mean(np.cos) == pytest.approx(
        np.sum(np.cos(operator.centres) * operator.density) * 3.2 / 400, rel=1e-14
    )


@pytest.mark.parametrize(
    "rate, exact, gibbs, quasi, distance, gap",
    [
        (0.1, 0.9940, 0.9804, 0.9940, 0.0223, 3.37e-6),
        (0.2, 0.9215, 0.8696, 0.9231, 0.0533, 5.85e-4),
        (0.3, 0.8233, 0.7722, 0.8318, 0.0769, 4.53e-3),
        (0.4, 0.7304, 0.7085, 0.7609, 0.1227, 1.69e-2),
    ],
)
def test_weights_of_two_wells(rate, exact, gibbs, quasi, distance, gap):
    operator = transfer_operator(TILTED, rate, (-2, 2))
    x, width = operator.centres, 4 / 1000
    assert operator.share(-np.inf, 0) == pytest.approx(exact, abs=6e-5)
    assert operator.gap == pytest.approx(gap, rel=5e-3)
    law = gibbs_density(TILTED, temperature(rate), x)
    assert law[x < 0].sum() * width == pytest.approx(gibbs, abs=6e-5)
    ks = np.abs(np.cumsum(law - operator.density) * width).max()
    assert ks == pytest.approx(distance, abs=1e-4)
    weights = np.exp(-quasi_potential(TILTED, x) / rate)
    assert weights[x < 0].sum() / weights.sum() == pytest.approx(quasi, abs=6e-5)


def test_gradient_descent_has_the_law_of_the_random_map():
    objective = catalogue.multiscale(scale=1e-5)
    starts = np.random.default_rng(0).uniform(-0.5, 0.5, (256, 1))
    seen = gd.orbit_histogram(
        *(objective, starts, 0.2, 4000, 100, (-0.85, 0.85)), burn_in=200, progress=False
    )
    operator = transfer_operator(PARABOLA, 0.2, (-1.25, 1.25))
    exact = [operator.share(-np.inf, edge) for edge in seen.edges]
    visits = np.concatenate([[0], np.cumsum(seen.counts)]) / seen.counts.sum()
    # about 10^6 / 10 independent visits: the distance is of the order 0.003 and below 0.01
    assert np.abs(visits - exact).max() < 0.01


def test_a_sampled_sine_is_the_sine():
    sampled = transfer_operator(TILTED, 0.3, (-1.6, 1.6), 500, gd.Objective("cos(x)", "x"))
    exact = transfer_operator(TILTED, 0.3, (-1.6, 1.6), 500)
    assert sampled.density == pytest.approx(exact.density, rel=1e-3, abs=1e-9)
    # The mean of the noise is zero whatever its shape, so the variance is again that of AR(1).
    skew = transfer_operator(PARABOLA, 0.2, (-2, 2), 1000, TWO_SINES)
    assert skew.mean(2) == pytest.approx(0.2 * (5 / 8) / (2 - 0.2), rel=1e-5)
    assert skew.mean(1) == pytest.approx(0, abs=1e-6)
    third = -0.75 * 0.25 * 0.5 * 0.2**3 / (1 - 0.8**3)  # E noise^3 = -E (cos u + cos(2u)/2)^3
    assert skew.mean(3) == pytest.approx(4 * third, rel=1e-3)


def test_tails_are_small_numbers_and_no_rounding():
    operator = transfer_operator(PARABOLA, 0.02, (-1.1, 1.1), cells=1000)
    x = operator.centres
    tail = (np.abs(x) > 0.5) & (np.abs(x) < 0.8)
    potential = quasi_potential(PARABOLA, x[tail])
    exponent = -0.02 * np.log(operator.density[tail] / operator.density.max())
    assert operator.density[tail].min() < 1e-30
    assert exponent == pytest.approx(
        potential - potential.min() + exponent.min(), rel=0.05, abs=0.02
    )


def test_where_the_orbit_cannot_stay_the_law_is_zero():
    operator = transfer_operator(PARABOLA, 0.2, (-3, 3), cells=600)
    assert (operator.density[np.abs(operator.centres) > 1.01] == 0).all()
    assert operator.mean(2) == pytest.approx(0.2 / (2 * 1.8), rel=1e-5)


def test_cumulative_shares():
    operator = transfer_operator(PARABOLA, 0.2, (-1.25, 1.25), cells=500)
    assert operator.share(-np.inf, np.inf) == pytest.approx(1, rel=1e-12)
    assert operator.share(-1, 0) == pytest.approx(0.5, rel=1e-9)
    parts = operator.share(-1, 0.1234) + operator.share(0.1234, 1)
    assert parts == pytest.approx(operator.share(-1, 1), rel=1e-12)


@pytest.mark.parametrize(
    "message, changes",
    [
        (r"limits \(-0.5, 0.5\) are left: a step from -0.49", {"limits": (-0.5, 0.5)}),
        ("limits must be two finite numbers in order", {"limits": (1, -1)}),
        ("limits must be two finite numbers in order", {"limits": (0, 1, 2)}),
        ("limits must be two finite numbers in order", {"limits": (0, np.inf)}),
        ("cells must be at least 36 for limits", {"cells": 20}),
        ("cells must be a whole number, at least 4", {"cells": 1}),
        ("learning_rate must be positive", {"learning_rate": -0.1}),
        ("must have 1 variable here, not 2", {"macro": gd.Objective("x*y", "x y")}),
        ("must have 1 variable here, not 2", {"micro": gd.Objective("sin(x)*sin(y)", "x y")}),
        (
            "has 2 stationary laws: the noise is too weak",
            {"macro": gd.Objective("4*(x^2 - 1)^2", "x"), "learning_rate": 0.02},
        ),
    ],
)
def test_bad_input_is_named(message, changes):
    arguments = {"macro": PARABOLA, "learning_rate": 0.1, "limits": (-1.25, 1.25), **changes}
    with pytest.raises(ValueError, match=message):
        transfer_operator(**arguments)


def test_too_many_eigenvalues_are_named():
    operator = transfer_operator(PARABOLA, 0.2, (-1.25, 1.25), cells=100)
    found = operator.eigenvalues(4)
    assert np.abs(found) == pytest.approx([1, 0.8, 0.64, 0.512], rel=1e-3)
    with pytest.raises(ValueError, match="count must be at most 98 for 100 cells, not 99"):
        operator.eigenvalues(99)


def test_means_and_shares_of_what_is_none_are_named():
    operator = transfer_operator(PARABOLA, 0.5, (-1.5, 1.5), 100)
    with pytest.raises(TypeError, match=r"function must be a whole number, not 0\.5"):
        operator.mean(0.5)
    with pytest.raises(ValueError, match=r"one value for each of \(100,\) points, not \(2,\)"):
        operator.mean(lambda x: [1, 2])
    with pytest.raises(ValueError, match="low must not be above high, not 1 and 0"):
        operator.share(1, 0)


@pytest.mark.parametrize(
    ("message", "formula"),
    [
        ("micro must not be constant", "3"),
        ("micro must have the period 2 pi", "1e-12*x"),
        ("micro must have a finite gradient", "exp(800*sin(x))"),
    ],
)
def test_a_micro_scale_that_is_no_noise_is_named(message, formula):
    micro = gd.Objective(formula, "x")
    for call in (
        lambda: quasi_potential(PARABOLA, [0.0, 1.0], micro),
        lambda: transfer_operator(PARABOLA, 0.1, (-2, 2), micro=micro),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_weak_noise_has_the_quasi_potential_of_strong_noise_on_another_scale():
    slight, micro = gd.Objective("1e-9*x^2/2", "x"), gd.Objective("1e-9*sin(x)", "x")
    weak = quasi_potential(slight, [0, 0.5], micro)
    strong = quasi_potential(PARABOLA, [0, 0.5])
    assert 1e-9 * weak[1] == pytest.approx(strong[1], rel=1e-9)


def test_too_many_variables_and_cells_are_named():
    names = [f"x{i}" for i in range(9)]
    with pytest.raises(ValueError, match=r"micro must have .* variables here, not 9"):
        noise_covariance(gd.Objective(" + ".join(f"sin({name})" for name in names), names))
    with pytest.raises(ValueError, match="cells must be fewer, not 30000: the noise spans"):
        transfer_operator(PARABOLA, 0.1, (-1.25, 1.25), 30000)


def test_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gibbs_density(TILTED, 1e-9, [0.0, 100.0])
        quasi_potential(PARABOLA, np.linspace(-3, 3, 50))
        with pytest.raises(ValueError, match="are left"):
            transfer_operator(gd.Objective("log(x)", "x"), 0.1, (-1, 1))
