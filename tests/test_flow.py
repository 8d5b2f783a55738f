"""Flows against closed forms."""

import numpy as np
import pytest

import gdbook as gd
from gdbook import catalogue


def test_gradient_flow_of_a_quadratic_is_an_exponential():
    times = np.array([0.0, 0.5, 1.0, 10.0])
    flow = gd.gradient_flow(catalogue.quadratic(2), 1.2, times)
    np.testing.assert_allclose(flow.points[:, 0], 1.2 * np.exp(-2 * times), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(flow.values, flow.points[:, 0] ** 2)


@pytest.mark.parametrize(
    "order, expected",
    [
        (0, [0.7278368, 0.4414553, 0.2677562, 0.1624023]),
        (1, [0.6423137, 0.3438058, 0.1840260, 0.0985020]),
        (2, [0.6161005, 0.3163166, 0.1624024, 0.0833801]),
    ],
)
def test_the_warm_up_on_a_quadratic(order, expected):
    times = 0.5 * np.arange(1, 5)
    flow = gd.modified_flow(catalogue.quadratic(), 1.2, times, 0.5, order)
    np.testing.assert_allclose(flow.points[:, 0], expected, atol=5e-8)


def test_order_zero_is_gradient_flow():
    f, times = catalogue.scalar_factorization(), np.linspace(0, 3, 7)
    flow, modified = (
        gd.gradient_flow(f, [1.6, 0.3], times),
        gd.modified_flow(f, [1.6, 0.3], times, 0.3, 0),
    )
    np.testing.assert_allclose(flow.points, modified.points, rtol=1e-11)


def test_blow_up_ends_in_nan_without_a_warning():
    f = gd.Objective("-x^4/4", "x")  # flow x' = x^3 from 1 is infinite at t = 1/2
    flow = gd.gradient_flow(f, 1.0, [0.0, 0.25, 0.49, 0.51, 2.0])
    np.testing.assert_allclose(flow.points[:3, 0], (1 - 2 * flow.times[:3]) ** -0.5, rtol=1e-9)
    assert np.isnan(flow.points[3:]).all()


def test_growth_without_blow_up_is_followed():
    flow = gd.gradient_flow(gd.Objective("-x^2", "x"), 1.0, [0.0, 10.0, 100.0])
    np.testing.assert_allclose(flow.points[:, 0], np.exp(2 * flow.times), rtol=1e-9)


@pytest.mark.parametrize("expression", ["sqrt(x)", "log(log(x))", "1e200*exp(x^2)"])
def test_a_field_that_is_not_finite_at_the_start(expression):
    flow = gd.gradient_flow(gd.Objective(expression, "x"), -40.0, [0.0, 1.0])
    assert flow.points[0] == -40 and np.isnan(flow.points[1])


def test_a_first_step_that_fails():
    flow = gd.gradient_flow(gd.Objective("-x^20", "x"), 1e10, [0.0, 1.0])
    assert np.isnan(flow.points[1])


def test_a_stiff_solution_is_followed_to_its_end():
    bowl = catalogue.quadratic_bowl(flat=0.01, sharp=2000)
    flow = gd.gradient_flow(bowl, [1.0, 1.0], [0.0, 20.0])
    np.testing.assert_allclose(flow.points[-1], [np.exp(-0.2), 0], rtol=1e-9, atol=1e-9)


def test_a_solution_on_a_crease_ends(monkeypatch):
    monkeypatch.setattr("gdbook.flow._PATIENCE", 2000)
    flow = gd.gradient_flow(gd.Objective("Abs(x)", "x"), 1.0, [0.5, 2.0])
    assert flow.points[0] == pytest.approx(0.5) and np.isnan(flow.points[1])


def test_times_of_no_length_and_at_zero():
    assert gd.gradient_flow(catalogue.quadratic(), 1.0, []).points.shape == (0, 1)
    assert gd.gradient_flow(catalogue.quadratic(), 1.0, 0.0).points.tolist() == [[1.0]]


@pytest.mark.parametrize(
    "message, start, times",
    [
        ("times must increase", 1.0, [1.0, 0.5]),
        ("times must increase", 1.0, [-1.0]),
        (r"times must increase .*\[0. 0. 1.\]", 1.0, [0.0, 0.0, 1.0]),
        ("times must be a sequence", 1.0, [np.nan]),
        ("start", [1.0, 2.0], [1.0]),
        ("start must be finite", np.inf, [1.0]),
    ],
)
def test_bad_input_is_named(message, start, times):
    with pytest.raises(ValueError, match=message):
        gd.gradient_flow(catalogue.quadratic(), start, times)


@pytest.mark.parametrize("times", [None, ["a"], [1j], [None]])
def test_times_that_are_no_numbers(times):
    with pytest.raises(TypeError, match="times must be real numbers"):
        gd.gradient_flow(catalogue.quadratic(), 1.0, times)


@pytest.mark.parametrize(
    "rate, error", [(np.nan, ValueError), (np.inf, ValueError), ("h", TypeError)]
)
def test_bad_learning_rates_are_named(rate, error):
    for flow in (gd.modified_flow, gd.principal_flow):
        arguments = (catalogue.quadratic(), 1.0, [1.0], rate)
        with pytest.raises(error, match="learning_rate"):
            flow(*arguments, *([1] if flow is gd.modified_flow else []))


def test_an_objective_without_gradient_is_named():
    with pytest.raises(TypeError, match=r"objective must .* not None"):
        gd.gradient_flow(None, 1.0, [1.0])
