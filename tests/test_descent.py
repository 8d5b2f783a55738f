"""Orbits and what becomes of them."""

import numpy as np
import pytest

import gdbook as gd
from gdbook import catalogue, outcome


def test_quadratic_is_a_power():
    orbit = gd.gradient_descent(catalogue.quadratic(), 1.0, 0.1, 50)
    np.testing.assert_allclose(orbit.points[:, 0], 0.9 ** np.arange(51), rtol=1e-13)
    assert orbit.values[-1] == pytest.approx(0.9**100 / 2)
    assert orbit.learning_rates.tolist() == [0.1] * 50


@pytest.mark.parametrize(
    "objective, start, rate, steps, expected",
    [
        (catalogue.quadratic(), 1.0, 0.5, 50, ("converged", 50, 0)),
        (catalogue.quadratic(), 1.0, 0.5, 100, ("converged", 64, 0)),
        (catalogue.quadratic(), 1.0, 1.0, 100, ("converged", 32, 0)),
        (catalogue.quadratic(), 1.0, 2.0, 100, ("periodic", 100, 2)),
        (catalogue.quadratic(), 1.0, 2.5, 100, ("diverged", 35, 0)),
        (catalogue.quadratic(), 1.0, 0.01, 100, ("bounded", 100, 0)),
        (catalogue.quadratic(), 1e-9, 2.0, 100, ("periodic", 100, 2)),
        (catalogue.quadratic(), 1.0, 1.9, 185, ("bounded", 185, 0)),
        (catalogue.quadratic(), 1.0, 1.9, 200, ("bounded", 200, 0)),
        (catalogue.quadratic(), 1.0, 1.9, 225, ("bounded", 225, 0)),
        (catalogue.quadratic(), 1.0, 1.9, 226, ("converged", 226, 0)),
        (catalogue.quadratic(), 1.0, 0.01, 1750, ("bounded", 1750, 0)),
        (catalogue.quadratic(), 1.0, 0.01, 2000, ("converged", 1856, 0)),
        (catalogue.quadratic_bowl(), [1.0, -1.0], 0.19, 200, ("bounded", 200, 0)),
        (catalogue.quadratic_bowl(), [1.0, 1e-9], 0.2, 1000, ("periodic", 1000, 2)),
        (catalogue.double_well(), 0.3, 1.1, 5000, ("periodic", 5000, 2)),
        (catalogue.double_well(), 0.3, 1.25, 5000, ("periodic", 5000, 4)),
        (catalogue.double_well(), 0.3, 1.29, 5000, ("periodic", 5000, 8)),
        (catalogue.double_well(), 0.3, 1.455, 5000, ("periodic", 5000, 3)),
        (catalogue.double_well(), 0.3, 1.9, 5000, ("bounded", 5000, 0)),
        (catalogue.quartic(), 10.0, 1.0, 10, ("diverged", 2, 0)),
        (catalogue.quadratic(), 1e7, 0.5, 10, ("diverged", 0, 0)),
        (catalogue.quadratic(), 1.0, 0.5, 0, ("bounded", 0, 0)),
        (catalogue.quadratic(), 0.0, 0.5, 1, ("converged", 1, 0)),
    ],
)
def test_outcomes(objective, start, rate, steps, expected):
    found = gd.gradient_descent(objective, start, rate, steps).outcome
    assert (found.label, found.step, found.period) == expected
    assert found.label in outcome.LABELS


def test_outcome_against_the_words_of_its_definition():
    rng = np.random.default_rng(3)
    for rate in rng.uniform(0.05, 2.2, 60):
        x = gd.gradient_descent(catalogue.double_well(), rng.normal(), rate, 300).points
        assert outcome.outcome_of(x) == by_the_words(x)
    for rate in rng.uniform(0.18, 0.2, 60):
        x = gd.gradient_descent(catalogue.quadratic_bowl(), rng.normal(0, 1e-6, 2), rate, 99).points
        assert outcome.outcome_of(x) == by_the_words(x)


@pytest.mark.parametrize("size", [1e-7, 1e-8, 1e-9])
def test_a_period_returns_a_thousand_times_closer_than_it_moves(size):
    k = np.arange(51)[:, np.newaxis]
    for factor, label in [(1, "periodic"), (0.9995, "periodic"), (0.998, "bounded")]:
        shrinking, growing = size * (-factor) ** k, size * (-1 / factor) ** k
        # far from 0 and where it returns to: what counts is the move
        for x in (shrinking, growing, np.hstack([shrinking, growing]), shrinking + 0.5):
            assert outcome.outcome_of(x).label == label
    doubled = size * np.array([1, -1, 2, -3])[np.arange(51) % 4, np.newaxis]
    assert outcome.outcome_of(doubled) == gd.Outcome("periodic", 50, 4)


def by_the_words(x):
    n = len(x) - 1

    def near(k, j, tolerance):
        return max(abs(x[k] - x[j])) <= tolerance * (1 + max(abs(x[k])))

    for k in range(n + 1):
        if not max(abs(x[k])) <= 1e6:
            return gd.Outcome("diverged", k)
        if k > 0 and (k % 32 == 0 or k == n) and near(k, k - 1, 1e-10):
            return gd.Outcome("converged", k)
    for p in range(2, 65):
        if 2 * p <= n and near(n, n - p, 1e-9) and near(n - p, n - 2 * p, 1e-9):
            farther = max(*abs(x[n] - x[n - p]), *abs(x[n - p] - x[n - 2 * p]))
            if farther <= 1e-3 * max(abs(x[n] - x[n - 1])):
                return gd.Outcome("periodic", n, p)
    return gd.Outcome("bounded", n)


def test_divergence_is_a_result_and_not_a_warning():
    orbit = gd.gradient_descent(gd.Objective("exp(x^2)", "x"), 3.0, 1.0, 20)
    assert orbit.outcome == gd.Outcome("diverged", 2)
    assert np.isnan(orbit.points[3:]).all() and orbit.points.shape == (21, 1)


def test_start_in_several_dimensions_and_other_objectives():
    class Bowl:
        def value(self, points):
            return (np.asarray(points) ** 2).sum(axis=-1) / 2

        def gradient(self, points):
            return np.asarray(points)

        def hessian_product(self, points, vectors):
            return vectors

    ours = gd.gradient_descent(catalogue.quadratic_bowl(1, 1), [1.0, -2.0], 0.3, 40)
    theirs = gd.gradient_descent(Bowl(), [1.0, -2.0], 0.3, 40)
    np.testing.assert_array_equal(ours.points, theirs.points)
    assert ours.outcome == theirs.outcome


def test_silver_learning_rates():
    rho = 1 + np.sqrt(2)
    for k in range(1, 9):
        rates = gd.silver_learning_rates(2**k - 1)
        assert rates.sum() == pytest.approx(rho**k - 1, rel=1e-13)
        assert rates.max() == pytest.approx(1 + rho ** (k - 2))
    orbit = gd.gradient_descent(catalogue.quadratic(), 1.0, gd.silver_learning_rates(31))
    assert orbit.points.shape == (32, 1)
    assert (np.diff(orbit.values) > 0).any()  # the loss is not monotone
    assert gd.silver_learning_rates(0).shape == (0,)
    assert gd.silver_learning_rates(3, smoothness=10).tolist() == pytest.approx(
        [0.1414213562, 0.2, 0.1414213562]
    )


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (ValueError, "start", ([1.0, 2.0], 0.1, 5)),
        (TypeError, "start must be real numbers, not None", (None, 0.1, 5)),
        (TypeError, "start must be real numbers, not '1'", ("1", 0.1, 5)),
        (TypeError, "learning_rate must be real numbers, not None", (1.0, None, 5)),
        (TypeError, "learning_rate must be real numbers, not '0.1'", (1.0, "0.1", 5)),
        (TypeError, "learning_rate must be real numbers", (1.0, [0.1j], None)),
        (ValueError, "start must be finite", (np.nan, 0.1, 5)),
        (ValueError, "start must be one point", ([[1.0]], 0.1, 5)),
        (TypeError, "start must be real", ("one", 0.1, 5)),
        (ValueError, "learning_rate must be finite", (1.0, np.inf, 5)),
        (TypeError, "learning_rate must be real numbers", (1.0, "fast", 5)),
        (ValueError, "steps must be given", (1.0, 0.1, None)),
        (ValueError, "steps must be a whole number", (1.0, 0.1, -1)),
        (TypeError, "steps must be a whole number", (1.0, 0.1, 2.5)),
        (ValueError, "one for each of the 3 steps", (1.0, [0.1, 0.2], 3)),
    ],
)
def test_bad_input_is_named(error, message, arguments):
    with pytest.raises(error, match=message):
        gd.gradient_descent(catalogue.quadratic(), *arguments)


def test_an_objective_without_gradient_is_named():
    with pytest.raises(TypeError, match=r"objective must .* not 'x\^2'"):
        gd.gradient_descent("x^2", 1.0, 0.1, 5)


def test_values_after_overflow_are_nan():
    orbit = gd.gradient_descent(gd.Objective("-Max(x, 0)^4", "x"), 3.0, 1.0, 20)
    assert orbit.outcome.label == "diverged"
    assert np.isnan(orbit.values[np.isnan(orbit.points[:, 0])]).all()
