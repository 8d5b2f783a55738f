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


def selection(starts, rates, names=("flat", "sharp")):
    rng = np.random.default_rng(0)
    reached = rng.integers(-2, len(names), (len(rates), len(starts))).astype(np.int16)
    starts = np.reshape(starts, (len(starts), -1)).astype(float)
    return gd.escape.SelectionMap(starts, np.array(rates, float), names, reached)


def test_every_cell_of_a_selection_map_has_the_colour_of_what_was_reached():
    rng = np.random.default_rng(1)
    found = selection(rng.uniform(0, 12, 40), rng.permutation(np.linspace(0.01, 0.2, 30)))
    ax = plots.plot_selection_map(found, ax=plt.figure().add_subplot())
    (mesh,) = ax.collections
    mesh.update_scalarmappable()
    cells = mesh.get_facecolor().reshape(30, 40, 4)
    expected = {-2: "diverged", -1: "chaotic", 0: "target 1", 1: "target 2"}
    rows, columns = np.argsort(found.learning_rates), np.argsort(found.starts[:, 0])
    for code, name in expected.items():
        where = found.reached[np.ix_(rows, columns)] == code
        assert where.any()
        assert (cells[where] == matplotlib.colors.to_rgba(plots.COLOURS[name])).all()
    # each cell holds its start and its learning rate
    corners = mesh.get_coordinates()
    x, rate = found.starts[columns, 0], found.learning_rates[rows]
    assert ((corners[0, :-1, 0] < x) & (x < corners[0, 1:, 0])).all()
    assert ((corners[:-1, 0, 1] < rate) & (rate < corners[1:, 0, 1])).all()
    assert ax.get_yscale() == "linear"


def test_a_selection_map_of_many_scales_is_logarithmic():
    ax = plots.plot_selection_map(selection([1, 2, 3], [0.001, 0.01, 0.1]))
    assert ax.get_yscale() == "log"
    edges = ax.collections[0].get_coordinates()[:, 0, 1]
    np.testing.assert_allclose(edges, 10.0 ** np.array([-3.5, -2.5, -1.5, -0.5]))
    ax.figure.canvas.draw()


@pytest.mark.parametrize("starts, rates", [([1], [0.1]), ([1, 2], [0.1]), ([3, 3, 3], [0.1, 0.1])])
def test_a_small_selection_map_can_be_drawn(starts, rates):
    ax = plots.plot_selection_map(selection(starts, rates), ax=plt.figure().add_subplot())
    ax.figure.canvas.draw()


def test_only_what_occurs_is_in_the_legend():
    starts, target = np.linspace(0.5, 1.5, 5), {"left": [-1.0], "right": [1.0]}
    found = gd.escape.selection_map(catalogue.double_well(), starts, [0.1], target)
    legend = plots.plot_selection_map(found).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["right"]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"selection must have starts on a line, not of 2 coord"):
        plots.plot_selection_map(selection([[1, 2], [3, 4]], [0.1]))
    with pytest.raises(ValueError, match=r"selection must have at most four targets, not 5"):
        plots.plot_selection_map(selection([1, 2], [0.1], tuple("abcde")))
    with pytest.raises(ValueError, match=r"objective must have .* 1, not x, y"):
        plots.plot_objective(catalogue.scalar_factorization(), (0, 1))
    with pytest.raises(ValueError, match=r"objective must have .* 2, not x"):
        plots.plot_contours(catalogue.quadratic(), ((0, 1), (0, 1)))
    with pytest.raises(ValueError, match=r"name must be .* not 'mauve'"):
        plots.colour("mauve")


def test_a_selection_map_of_starts_that_are_no_numbers():
    found = gd.escape.selection_map(gd.catalogue.double_well(), [0.5, np.nan], [0.1], {"a": [1.0]})
    with pytest.raises(ValueError, match="selection must have finite starts"):
        gd.plots.plot_selection_map(found)
