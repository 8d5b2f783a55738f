"""The live figure of two scales: its laws against the package, its words, its buttons."""

import numpy as np
import pytest

import gdbook as gd

pytest.importorskip("playwright")

from tests.figure_page import picture, state, status, work_meter

PARABOLA = gd.Objective("x^2/2", "x")
TILTED = gd.Objective("(x^2 - 1)^2/4 + x/20", "x")
TWO_WELLS = gd.Objective("4*(x^2 - 1)^2", "x")  # the hill between them is too steep


LAWS = """
import * as map from "./random_map.js";
import { step, value } from "./macro.mjs";
const { limits, rate, cells, start } = data;
const centres = map.centresOf(limits, cells);
const means = centres.map((x) => step([x], rate)[0]);
const chain = map.transitions(means, limits, rate);
const width = (limits[1] - limits[0]) / cells;
const result = {
  centres: [...centres],
  cells: map.cellsFor(limits, rate),
  exact: chain ? [...map.stationary(chain, start)].map((mass) => mass / width) : null,
  gibbs: map.gibbs((x) => value([x]), rate / 4, limits, cells),
};
result.gibbs.density = [...result.gibbs.density];
"""


@pytest.mark.parametrize(
    "macro, rate, limits, cells",
    [
        (PARABOLA, 0.1, (-1.1, 1.1), 400),
        (PARABOLA, 0.005, (-1.1, 1.1), 1867),
        (PARABOLA, 0.5, (-3, 3), 500),  # with cells that an orbit leaves for ever
        (TILTED, 0.1, (-1.4, 1.35), 400),
        (TILTED, 0.4, (-1.6, 1.6), 601),
        (gd.catalogue.quartic(), 0.2, (-1.3, 1.3), 400),
    ],
)
def test_laws_are_those_of_the_package(macro, rate, limits, cells, node):
    data = {"limits": limits, "rate": rate, "cells": cells, "start": 7}
    found = node(LAWS, data, macro=macro.javascript())
    operator = gd.multiscale.transfer_operator(macro, rate, limits, cells)
    assert np.allclose(found["centres"], operator.centres, rtol=1e-14, atol=1e-14)
    exact, top = np.array(found["exact"]), operator.density.max()
    seen = operator.density > 1e-9 * top
    assert seen.sum() > 30 and np.allclose(exact[seen], operator.density[seen], rtol=1e-9)
    assert np.allclose(exact[~seen], operator.density[~seen], rtol=1e-6, atol=1e-300)
    gibbs = gd.multiscale.gibbs_density(macro, rate / 4, operator.centres)
    assert np.allclose(found["gibbs"]["density"], gibbs, rtol=1e-9, atol=1e-300)


def test_gibbs_variance(node):
    data = {"limits": (-1.1, 1.1), "rate": 0.5, "cells": 400, "start": 0}
    found = node(LAWS, data, macro=PARABOLA.javascript())
    assert found["gibbs"]["variance"] == pytest.approx(0.5 / 4, rel=1e-9)  # of the whole line


def test_cells_are_those_of_the_still(node):
    from gdbook.widgets.multiscale_explorer import _cells

    for rate in (0.005, 0.0123, 0.1, 0.5):
        data = {"limits": (-1.4, 1.35), "rate": rate, "cells": 400, "start": 0}
        found = node(LAWS, data, macro=TILTED.javascript())
        assert found["cells"] == _cells((-1.4, 1.35), rate)


def test_no_law_where_the_limits_are_left(node):
    data = {"limits": (-0.5, 0.5), "rate": 0.1, "cells": 400, "start": 0}
    assert node(LAWS, data, macro=PARABOLA.javascript())["exact"] is None
    with pytest.raises(ValueError, match="are left"):
        gd.multiscale.transfer_operator(PARABOLA, 0.1, (-0.5, 0.5))


@pytest.mark.parametrize("start, side", [(0, -1), (599, 1)])
def test_the_law_is_that_of_the_well_of_the_start(start, side, node):
    data = {"limits": (-1.3, 1.3), "rate": 0.02, "cells": 600, "start": start}
    exact = np.array(node(LAWS, data, macro=TWO_WELLS.javascript())["exact"])
    ends, well = ((-1.3, -0.52), slice(180)) if side < 0 else ((0.52, 1.3), slice(420, 600))
    alone = gd.multiscale.transfer_operator(TWO_WELLS, 0.02, ends, 180)
    assert np.allclose(exact[well], alone.density, rtol=1e-9, atol=1e-12)
    assert exact.sum() == pytest.approx(exact[well].sum(), rel=1e-14)


def test_the_walk_of_the_worker_is_gradient_descent(node):
    figure = gd.widgets.MultiscaleExplorer(learning_rate=0.02, scale=0.01)
    script = """
    import { newWalk, advance } from "./worker.mjs";
    const walk = newWalk(data);
    for (const until of [30, 31, 200]) advance(walk, until);
    const result = { ...walk, counts: [...walk.counts], x: [...walk.x] };"""
    orbit = {"start": 0.7, "h": 0.02, "p": {"epsilon": 0.01}, "limits": (0.665, 0.67), "bins": 50}
    found = node(script, {**orbit, "burnIn": 20}, worker=figure._texts["worker"])
    points = gd.gradient_descent(figure.objective, 0.7, 0.02, 200).points[:, 0]
    assert np.allclose(found["recent"], points[-40:], rtol=1e-12)
    assert found["steps"] == 200 and found["sums"]["count"] == 180
    late = points[21:]
    assert found["counts"] == np.histogram(late, 50, (0.665, 0.67))[0].tolist()
    assert found["outside"] == 180 - sum(found["counts"])
    assert found["sums"]["x"] == pytest.approx(late.sum(), rel=1e-12)
    factors = 1 - 0.02 * figure.objective.hessian(points[20:-1, np.newaxis])[:, 0, 0]
    exponent = found["sums"]["logarithm"] / 180
    assert exponent == pytest.approx(np.log(np.abs(factors)).mean(), rel=1e-9)


# What Python sends


def test_limits_stand_where_the_ripples_are_climbed_no_more():
    assert gd.widgets.MultiscaleExplorer().limits == [-1.1, 1.1]
    assert gd.widgets.MultiscaleExplorer(TILTED, 0.3).limits == [-1.4, 1.35]


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (ValueError, "scale must be between 1e-05 and 0.2, not 0.5", {"scale": 0.5}),
        (ValueError, "learning_rate must be between 0.005 and 0.5", {"learning_rate": 0.6}),
        (ValueError, "start must be between -1.1 and 1.1, not 2", {"start": 2}),
        (ValueError, "objective must have 1 variable", {"macro": gd.Objective("x*y", "x y")}),
        (TypeError, "objective must be an Objective", {"macro": "x^2"}),
        (ValueError, "limits must be given, because", {"macro": gd.Objective("cos(x)", "x")}),
        (ValueError, r"limits \(-0.8, 0.8\) are left", {"limits": (-0.8, 0.8)}),
        (ValueError, "has 2 stationary laws", {"macro": TWO_WELLS, "learning_rate": 0.02}),
    ],
)
def test_bad_settings_are_named(error, message, arguments):
    with pytest.raises(error, match=message):
        gd.widgets.MultiscaleExplorer(**arguments)


# In the browser


def settled(page):
    """State when the million steps are made and the exact law is there."""
    page.wait_for_function(
        "(() => { const now = document.querySelector('[data-live]').liveFigure.state();"
        " return now.steps === 1e6 && now.exact; })()"
    )
    return state(page)


def show_settings(show, **settings):
    page = show(gd.widgets.MultiscaleExplorer(**settings))
    return page, settled(page)


def test_the_orbit_comes_to_the_law_of_the_random_map(show):
    _, now = show_settings(show, learning_rate=0.1, scale=1e-5)
    operator = gd.multiscale.transfer_operator(PARABOLA, 0.1, (-1.1, 1.1), now["cells"])
    assert now["exact"]["density"] == pytest.approx(operator.density.tolist(), rel=1e-6, abs=1e-12)
    assert now["exact"]["variance"] == pytest.approx(operator.mean(2), rel=1e-9)
    gibbs = gd.multiscale.gibbs_density(PARABOLA, 0.025, operator.centres)
    assert now["gibbs"]["density"] == pytest.approx(gibbs.tolist(), rel=1e-8, abs=1e-12)
    assert now["measured"]["variance"] == pytest.approx(0.1 / (2 * 1.9), rel=0.01)
    assert now["measured"]["lyapunov"] == pytest.approx(np.log(0.1 / 2e-5), abs=0.01)
    assert now["measured"]["count"] == 10**6 - 50 and now["outside"] == 0
    edges = np.linspace(-1.1, 1.1, 111)
    exact = [operator.share(-np.inf, edge) for edge in edges[1:]]
    assert np.abs(np.cumsum(now["histogram"]) / (10**6 - 50) - exact).max() < 0.01


@pytest.mark.parametrize(
    "rate, label, words",
    [
        (0.02, "converged", "Stuck: converges to the local minimum 0.6681, where 2/f″ = 0.0265 is"),
        (0.03, "periodic", "Periodic: a cycle of 2 points; h/ε = 3."),
        (0.05, "bounded", "Chaotic: Lyapunov exponent 1.0"),
        (0.1, "bounded", "Chaotic: Lyapunov exponent 1.61, ln(h/2ε) = 1.61. T = 0.025; varia"),
    ],
)
def test_words_from_stuck_to_chaotic(rate, label, words, show):
    page, now = show_settings(show, learning_rate=rate, scale=0.01)
    objective = gd.catalogue.multiscale(scale=0.01)
    outcome = gd.gradient_descent(objective, 0.7, rate, 4096).outcome
    assert now["outcome"]["label"] == outcome.label == label
    if label == "converged":
        assert now["outcome"]["step"] == outcome.step
        points = gd.gradient_descent(objective, 0.7, rate, 40).points[:, 0]
        assert now["orbit"] == pytest.approx(points.tolist(), rel=1e-12)
    assert status(page).startswith(words)


def test_words_where_the_limits_are_left(show):
    figure = gd.widgets.MultiscaleExplorer(TILTED, 0.2, limits=(-2, 2), largest_learning_rate=0.9)
    page = show(figure)
    settled(page)
    page.locator("input[type=number]").first.fill("0.7")
    page.wait_for_function("!document.querySelector('[data-live]').liveFigure.state().exact")
    assert "random map off the axes" in status(page)


def test_play_fills_the_histogram_step_by_step(show):
    page, whole = show_settings(show)
    page.get_by_role("button", name="One step").click()
    assert state(page)["steps"] == 0 and state(page)["measured"] is None
    assert "After step 50 the start is forgotten" in status(page)
    page.get_by_role("button", name="One step").click()
    page.wait_for_function("document.querySelector('[data-live]').liveFigure.state().steps === 1")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('[data-live]').liveFigure.state().steps > 4")
    page.get_by_role("button", name="Pause").click()
    now = state(page)
    assert 4 < now["steps"] < 1000
    before = picture(page)
    page.get_by_role("button", name="One step").click()
    assert picture(page) != before
    page.get_by_role("button", name="Reset").click()
    assert settled(page)["histogram"] == whole["histogram"]


def test_play_reaches_the_end_and_can_be_played_again(show):
    page = show(gd.widgets.MultiscaleExplorer())
    settled(page)
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    for _ in range(30):
        page.clock.run_for(1000)
    page.get_by_role("button", name="Play").wait_for()
    assert settled(page)["steps"] == 10**6
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('[data-live]').liveFigure.state().steps < 100")


def test_reduced_motion_has_no_play(show):
    page = show(gd.widgets.MultiscaleExplorer(), reduced_motion="reduce")
    assert not page.get_by_role("button", name="Play").is_visible()
    assert page.get_by_role("button", name="One step").is_visible()


def test_a_newer_wish_ends_the_work_on_the_one_before(show):
    page = show(gd.widgets.MultiscaleExplorer())
    slider = page.locator("input[type=range]").first
    slider.focus()
    for _ in range(12):
        slider.press("ArrowLeft")
    now = settled(page)
    rate = now["learning_rate"]
    assert rate == pytest.approx(10**-1.12, rel=0.02)
    page.wait_for_function(
        f"Math.abs(document.querySelector('[data-live]').liveFigure.state().exact.variance"
        f" - {rate / (2 * (2 - rate))}) < 1e-6"
    )
    assert now["burnIn"] == np.ceil(5 / rate)


def test_the_redraw_is_quick(show):
    page, _ = show_settings(show, scale=0.05)
    worked = work_meter(page)
    before = worked()
    page.evaluate(
        """async () => {
          const slider = document.querySelectorAll("input[type=range]")[1];
          for (let i = 0; i < 20; i++) {
            slider.value = -2 + i / 20;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise((r) => setTimeout(r, 30));
          }
        }"""
    )
    each = (worked() - before) / 20
    print(each)
    assert each < 30


def test_the_address_carries_the_scale(show):
    page = show(
        gd.widgets.MultiscaleExplorer(), shared="#live-1?scale=0.01&learning_rate=0.02&start=9"
    )
    now = state(page)
    assert (now["scale"], now["learning_rate"], now["start"]) == (0.01, 0.02, 0.7)
    assert status(page).startswith("Stuck")
    page.locator("input[type=number]").nth(1).fill("0.001")
    page.wait_for_function("location.hash.includes('scale=0.001&start=0.7')")


@pytest.mark.parametrize("rate, scale", [(0.00513, 1.23e-5), (0.0241, 0.01), (0.0312, 0.0105)])
def test_the_words_fit_on_a_phone(rate, scale, show):
    page = show(gd.widgets.MultiscaleExplorer(learning_rate=rate, scale=scale), width=360)
    settled(page)
    assert len(status(page)) > 20
    heights = page.locator("[data-status]").evaluate("(p) => [p.scrollHeight, p.clientHeight]")
    assert heights[0] <= heights[1]
