"""Figures: every function takes an axes, returns it, and draws what it says."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import gdbook as gd
from gdbook import catalogue, plots


@pytest.fixture(autouse=True)
def figures_are_closed():
    with plt.style.context("gdbook.book"):
        yield
    plt.close("all")


def test_every_function_returns_the_axes_it_was_given():
    _, ax = plt.subplots()
    orbit = gd.gradient_descent(catalogue.double_well(), 0.3, 0.5, 20)
    flow = gd.gradient_flow(catalogue.double_well(), 0.3, np.linspace(0, 5, 20))
    assert plots.plot_objective(catalogue.double_well(), (-1.5, 1.5), ax=ax) is ax
    assert plots.plot_orbit(orbit, ax=ax) is ax
    assert plots.plot_orbit(flow, ax=ax) is ax
    assert plots.plot_losses({"h = 0.5": orbit}, ax=ax) is ax
    plane = catalogue.scalar_factorization()
    assert plots.plot_contours(plane, ((-2, 2), (-2, 2)), ax=ax) is ax


def test_an_orbit_is_drawn_where_it_is():
    orbit = gd.gradient_descent(catalogue.scalar_factorization(), [1.6, 0.3], 0.3, 20)
    (line,) = plots.plot_orbit(orbit).lines
    np.testing.assert_array_equal(line.get_xydata(), orbit.points)


def test_colours_are_distinct_within_methods_and_within_regimes():
    methods = [c for name, c in plots.COLOURS.items() if "flow" in name or "descent" in name]
    regimes = [plots.COLOURS[n] for n in ("stable", "oscillating", "edge", "periodic", "chaotic")]
    assert len(set(methods)) == len(methods)
    assert len({*regimes, plots.COLOURS["diverged"]}) == 6


def test_use_style_sets_the_house_style():
    plots.use_style()
    assert plt.rcParams["image.cmap"] == "cividis"


@pytest.mark.parametrize("expression", ["log(x*y)", "3", "log(-1 - x^2)", "1/x"])
def test_contours_of_what_is_not_finite_or_constant(expression):
    plots.plot_contours(gd.Objective(expression, "x y"), ((-1, 1), (-1, 1)))
    plt.gcf().canvas.draw()


def test_a_diverged_orbit_can_be_drawn():
    orbit = gd.gradient_descent(catalogue.quartic(), 3.0, 1.0, 20)
    plots.plot_losses({"diverged": orbit}, ax=plots.plot_orbit(orbit).figure.add_subplot())
    plt.gcf().canvas.draw()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"objective must have .* 1, not x, y"):
        plots.plot_objective(catalogue.scalar_factorization(), (0, 1))
    with pytest.raises(ValueError, match=r"objective must have .* 2, not x"):
        plots.plot_contours(catalogue.quadratic(), ((0, 1), (0, 1)))
    with pytest.raises(ValueError, match=r"name must be .* not 'mauve'"):
        plots.colour("mauve")
