"""The live figure of the trapping region: its numbers against the package, its handles."""

import functools
import json
import math
import warnings

import numpy as np
import pytest

import gdbook as gd
from gdbook.widgets import trapping_explorer as module
from tests.figure_page import (
    drag,
    finger,
    picture,
    place,
    state,
    state_after_many_wishes,
    status,
    swipe_up,
    times_of_wishes,
    work_meter,
)

LABELS = gd.outcome.LABELS
DONE = "document.querySelector('[data-live]').liveFigure.timings.full !== undefined"
CYCLES_END = math.sqrt(5) - 1  # where the cycle of 2 points loses its stability


@functools.cache
def explorer(**settings):
    return module.TrappingExplorer(**settings)


@pytest.fixture
def node(node):
    """Run a script in Node beside the figure's modules."""
    modules = """
        import * as worker from "./worker.mjs";
        import { level } from "./geometry.mjs";
        import { areaShare, weaklyStable } from "./trapping_explorer.js";
        const p = { mu: 1 };
    """
    return lambda script, data: node(modules + script, data, **explorer()._texts)


# The browser's numbers are the package's


def test_lengths_are_those_of_the_package(node):
    rates = [0.1, 0.2, 0.4, 0.8, 0.97, 0.99, 0.999, 1, 1.0001, 1.3]
    found = node("const result = data.map((h) => weaklyStable(worker, h, p).length);", rates)
    assert found == pytest.approx(gd.stability.weakly_stable_length(rates), rel=1e-8, abs=1e-7)
    assert found[0] == pytest.approx(14.46978, abs=1e-5)
    assert found[-1] == found[-2] == 0


@pytest.mark.parametrize("reach", [1.5, 2, 3, 5, 6])
def test_shares_are_those_of_the_package(reach, node):
    rates = np.linspace(0.1, 1, 61)
    areas = "const result = data.rates.map((h) => areaShare(level, data.reach, { ...p, h }));"
    found = node(areas, {"rates": rates.tolist(), "reach": reach})
    square = (-reach, reach, -reach, reach)
    assert found == pytest.approx(gd.stability.trapping_share(square, rates), abs=1e-12)
    beyond = node(areas, {"rates": [1.05, 1.3], "reach": reach})
    inside = [gd.factorization.InvariantEllipse(h).share(square) for h in (1.05, 1.3)]
    assert beyond == pytest.approx(inside, abs=1e-12)


def test_shares_known_from_elsewhere(node):
    found = node(
        "const result = data.map(([h, reach]) => areaShare(level, reach, { ...p, h }));",
        [[0.4, 3], [0.99, 3], [1, 3], [0.1, 5]],
    )
    known = [0.8313, 0.3064, 2 * math.pi * math.sqrt(3) / 36, 0.9755]
    assert found == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize(
    "h, reach", [(0.15, 6), (0.4, 3), (0.97, 2), (1, 3), (1.1, 3), (1.29, 1.5)]
)
def test_outcomes_are_those_of_the_package(h, reach, node):
    """Start by start, in the worker and in the still."""
    starts = reach * module._starts()
    ends = gd.descend_many(gd.catalogue.scalar_factorization(), starts, h, module.STEPS)
    found = node(
        """
        const { kinds, periods } = worker.outcomes(data, 0, worker.COUNT);
        const result = { names: [...kinds].map((k) => worker.kindNames[k]), periods: [...periods] };
        """,
        {"h": h, "reach": reach, "p": {"mu": 1}, "steps": module.STEPS},
    )
    assert found["names"] == [LABELS[label] for label in ends.labels]
    assert found["periods"] == ends.periods.tolist()
    assert explorer(learning_rate=h, reach=reach, start=(1, 0.5))._ends.counts == ends.counts


def test_what_the_first_look_tells_is_final(node):
    quick, whole = node(
        """
        const result = [96, 4096].map((steps) => {
          const { kinds } = worker.outcomes({ h: data, reach: 3, p, steps }, 0, worker.COUNT);
          return [...kinds].map((kind) => worker.kindNames[kind]);
        });
        """,
        0.4,
    )
    known = [j for j, kind in enumerate(quick) if kind in ("converged", "diverged")]
    assert len(known) > 1800
    assert [quick[j] for j in known] == [whole[j] for j in known]


@pytest.mark.parametrize("h, reach", [(0.2, 6), (0.4, 3), (0.6, 3), (0.8, 1.5), (0.95, 3)])
def test_the_count_is_the_area_within_chance(h, reach):
    share = float(gd.stability.trapping_share((-reach, reach, -reach, reach), h))
    counted = (
        explorer(learning_rate=h, reach=reach, start=(1, 0.5))._ends.counts["converged"] / 2000
    )
    assert 0.02 < counted < 1
    assert abs(counted - share) < 3 * math.sqrt(share * (1 - share) / 2000)


@pytest.mark.parametrize("h", [1.01, 1.1, 1.23, 1.24])
def test_beyond_one_the_starts_in_the_ellipse_stay_and_none_converges(h):
    ends, starts = explorer(learning_rate=h)._ends, 3 * module._starts()
    inside = gd.factorization.InvariantEllipse(h).contains(starts)
    assert ends.counts["converged"] == 0
    assert (ends.diverged != inside).all()
    ends = gd.descend_many(gd.catalogue.scalar_factorization(), starts[inside], h, module.STEPS)
    assert set(ends.periods) == ({2} if h < CYCLES_END else {4})


# What Python sends


def test_the_starts_fill_the_square():
    starts = module._starts()
    assert starts.shape == (2000, 2) and 0.99 < np.abs(starts).max() <= 1
    quarters = np.histogram2d(*starts.T, bins=2, range=[[-1, 1], [-1, 1]])[0]
    assert (np.abs(quarters - 500) < 4 * math.sqrt(2000 * 3 / 16)).all()


def test_the_alternative_text_says_what_is_to_be_seen():
    words = explorer()._alt
    assert "half-width 3 " in words and "is 5.303 long" in words and "Of 2000 starts 83.5%" in words
    assert "is 0.000 long" in explorer(learning_rate=1.1)._alt
    assert " 0.0% converge, 25.9% stay" in explorer(learning_rate=1.1)._alt


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 1.0},
        {"learning_rate": 1.3, "reach": 1.5, "start": (1.5, -1.5)},
        {"learning_rate": 0.1, "reach": 6, "start": (-6, 6)},
        {"learning_rate": 0.5, "start": (0, 0)},
    ],
)
def test_stills_are_drawn_in_silence(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module.TrappingExplorer(**settings)._still


def test_the_still_is_repeatable():
    assert module.TrappingExplorer()._still == explorer()._still


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"learning_rate": 0.05}, r"learning_rate must be between 0.1 and 1.3, not 0.05"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"reach": 7}, r"reach must be between 1.5 and 6, not 7"),
        ({"start": (1, 3.5)}, r"start must be between -3 and 3, not 3.5"),
        ({"start": 1}, "start"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        module.TrappingExplorer(**settings)


# In a browser


def at_rate(page, h, height=0.5):
    """Where a learning rate stands on the right picture."""
    return place(page, 1, (h - 0.1) / 1.2, height)


def at_point(page, x, y, reach=3):
    """Where a point stands on the plane."""
    return place(page, 0, (x / reach + 1) / 2, (y / reach + 1) / 2)


@pytest.mark.parametrize("h, reach", [(0.4, 3), (1.1, 2)])
def test_state_is_that_of_python(h, reach, show):
    figure = explorer(learning_rate=h, reach=reach, start=(1.2, 0.3))
    page = show(figure)
    page.wait_for_function(DONE)
    found = state(page)
    orbit = gd.gradient_descent(figure.objective, (1.2, 0.3), h, module.STEPS)
    assert found["outcome"] == vars(orbit.outcome)
    assert found["orbit"] == orbit.points[:61].tolist()
    if h < 1:
        assert found["limit"] == orbit.points[orbit.outcome.step].tolist()
    assert found["counts"] == figure._ends.counts and found["steps"] == module.STEPS
    assert found["periods"] == ([] if h < 1 else [2])
    length = float(gd.stability.weakly_stable_length(h))
    assert found["length"] == pytest.approx(length, rel=1e-8)


@pytest.mark.parametrize(
    "h, start, words",
    [
        (0.4, (2, 0.25), "h = 0.4: 83.5 % of 2000 starts converge in 4096 steps (area 83.1 %), "),
        (0.4, (2, 0.25), ", weakly stable length 5.303. The orbit converges to (1.97, 0.51)."),
        (0.99, (2, 0.25), "of 2000 starts converge in 4096 steps (area 30.6 %), weakly stable len"),
        (0.99, (2, 0.25), "length 0.402. The orbit diverges."),
        (0.4, (2.5, 0.4), "The orbit rests on unstable (2.50, 0.40)."),
        (0.4, (0, 0), "The orbit rests on unstable (0.00, 0.00)."),
        (1, (1, 0.9), "h = 1: only ±(1, 1) are weakly stable, reached like 1/√k from the ellipse "),
        (1, (1, 0.9), "(30.2 %): 0.0 % in 4096 steps. The orbit has not settled."),
        (1.1, (1, 0.9), "h = 1.1: no minimum is weakly stable. 25.9 % of 2000 starts stay bounded"),
        (1.1, (1, 0.9), "(ellipse 26.5 %), on a cycle of 2 points. The orbit has period 2."),
        (
            1.0005,
            (1, 0.9),
            "(ellipse 30.2 %), 1 on a cycle of 2 points. The orbit has not settled.",
        ),
        (1.24, (2, 0.25), "(ellipse 22.1 %), on a cycle of 4 points. The orbit diverges."),
    ],
)
def test_status_is_true(h, start, words, show):
    page = show(explorer(learning_rate=h, start=start))
    page.wait_for_function(DONE)
    state(page)
    assert words in status(page)


ROOM = """() => {
  const line = document.querySelector("[data-status]");
  return line.clientHeight - line.scrollHeight;
}"""


@pytest.mark.parametrize("width", [320, 390, 600, 1000])
def test_the_status_has_room(width, show):
    page = show(explorer(), width=width)
    longest = [
        (0.995, (-1.2, -0.5)),
        (0.4, (-2.5, -0.4)),
        (1, (-2, -0.5)),
        (1.0005, (1, 0.9)),
        (1.24, (1, 0.9)),
        (1.3, (1, 0.9)),
    ]
    for h, (x, y) in longest:
        page.evaluate(f"model.set('start', [{x}, {y}]); model.set('learning_rate', {h})")
        state(page)
        assert page.evaluate(ROOM) >= 0, status(page)
        page.wait_for_function(DONE)
        state(page)
        assert page.evaluate(ROOM) >= 0, status(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_first_look_stands_in_the_frame_of_the_new_rate(show):
    page = show(explorer())
    page.wait_for_function(DONE)
    found = page.evaluate(
        """async () => {
          model.set("learning_rate", 0.9);
          await twoFrames();
          const { liveFigure } = document.querySelector("[data-live]");
          const words = document.querySelector("[data-status]").innerText;
          return { ...liveFigure.state(), words };
        }"""
    )
    assert found["steps"] in (96, 4096)
    assert found["words"].startswith(("h = 0.9: ≤ 3", "h = 0.9: 3"))
    page.wait_for_function(DONE)
    last = state(page)
    assert last["steps"] == 4096 and status(page).startswith("h = 0.9: 3")
    assert last["counts"] == explorer(learning_rate=0.9)._ends.counts
    assert found["counts"]["converged"] <= last["counts"]["converged"]
    assert found["counts"]["diverged"] <= last["counts"]["diverged"]


def test_the_learning_rate_is_dragged_clicked_and_moved_by_keys(show):
    page = show(explorer())
    page.wait_for_function(DONE)
    ring = at_rate(page, 0.4, state(page)["counts"]["converged"] / 2000 / 1.4)
    drag(page, ring, at_rate(page, 0.7))
    assert state(page)["learning_rate"] == pytest.approx(0.7, abs=4e-3)
    page.mouse.click(*at_rate(page, 1.2, 0.1))
    assert state(page)["learning_rate"] == pytest.approx(1.2, abs=4e-3)
    assert "no minimum" in status(page)
    drag(page, at_rate(page, 1.2, 0.2), at_rate(page, 1.29, 0.2))
    page.get_by_role("button", name="Reset").click()
    page.locator("canvas").nth(1).focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["learning_rate"] == 0.41
    page.keyboard.press("Shift+ArrowRight")
    assert state(page)["learning_rate"] == 0.51
    for _ in range(9):
        page.keyboard.press("Shift+ArrowRight")
    assert state(page)["learning_rate"] == 1.3
    for _ in range(13):
        page.keyboard.press("Shift+ArrowLeft")
    assert state(page)["learning_rate"] == 0.1


def test_one_is_reached_by_keys_exactly(show):
    page = show(explorer(learning_rate=0.98))
    page.locator("canvas").nth(1).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert state(page)["learning_rate"] == 1
    assert status(page).startswith("h = 1: only ±(1, 1)")


def test_the_start_is_dragged_clicked_and_moved_by_keys(show):
    page = show(explorer())
    drag(page, at_point(page, 2, 0.25), at_point(page, -1, 1.5))
    assert state(page)["start"] == pytest.approx([-1, 1.5], abs=0.02)
    page.mouse.click(*at_point(page, 0.5, -2))
    assert state(page)["start"] == pytest.approx([0.5, -2], abs=0.02)
    page.get_by_role("button", name="Reset").click()
    page.locator("canvas").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert state(page)["start"] == pytest.approx([2.01, 0.35])
    for _ in range(12):
        page.keyboard.press("Shift+ArrowRight")
    assert state(page)["start"][0] == 3


def test_a_smaller_square_takes_the_start_along(show):
    page = show(explorer())
    reach = page.get_by_label("Half-width r, as a number")
    reach.fill("1.5")
    found = state(page)
    assert (found["reach"], found["start"]) == (1.5, [1.5, 0.25])
    square = (-1.5, 1.5, -1.5, 1.5)
    assert found["area"] == pytest.approx(float(gd.stability.trapping_share(square, 0.4)))
    reach.fill("6.5")
    assert state(page)["reach"] == 1.5
    page.get_by_label("Start y₀, as a number").fill("-4")
    assert state(page)["start"] == [1.5, -1.5]
    page.get_by_role("button", name="Reset").click()
    found = state(page)
    assert (found["reach"], found["start"]) == (3, [2, 0.25])


def test_a_newer_wish_ends_the_work_on_the_one_before(show):
    page = show(explorer())
    rate = page.get_by_label("Learning rate h", exact=True)
    rate.focus()
    for _ in range(12):
        rate.press("ArrowRight")
    state(page)
    page.wait_for_function(DONE)
    late = state(page)
    assert late["learning_rate"] == pytest.approx(0.52)
    fresh = explorer(learning_rate=late["learning_rate"])
    assert late["counts"] == fresh._ends.counts


def test_the_cloud_stays_while_only_the_start_moves(show):
    page = show(explorer())
    page.wait_for_function(DONE)
    before = state(page)["kinds"]
    after = state_after_many_wishes(page, DONE)
    assert after["start"] != [2, 0.25] and after["kinds"] == before


def test_input_never_waits(show):
    page = show(explorer())
    page.wait_for_function(DONE)
    worked = work_meter(page)
    before = worked()
    values = [0.35 + 0.09 * i for i in range(10)]
    result = times_of_wishes(page, "learning_rate", values)
    result["main thread"] = (worked() - before) / 10
    print(json.dumps(result))
    # Computing time, which a busy machine does not change: all that the page's own thread does for
    # one learning rate, a first look and two drawings. No task of it is longer than the sum.
    assert result["main thread"] < 50
    # Times on the clock have room for a machine that does other things as well.
    assert min(result["coarse"]) < 16 and min(result["redraw"]) < 16
    assert min(result["full"]) < 600


def test_the_address_carries_the_state(show):
    shared = "#live-1?learning_rate=0.85&start=4.5,-0.5&reach=5"
    found = state(show(explorer(), shared=shared))
    assert (found["learning_rate"], found["start"]) == (0.85, [4.5, -0.5])
    assert found["reach"] == 5


@pytest.mark.parametrize(
    "address",
    [
        "#live-1?learning_rate=2&start=7,0&reach=0",
        "#live-1?learning_rate=NaN&start=<script>&reach=1e9",
        "#live-2?learning_rate=0.85",
    ],
)
def test_nonsense_in_the_address_is_not_believed(address, show):
    found = state(show(explorer(), shared=address))
    assert (found["learning_rate"], found["start"], found["reach"]) == (0.4, [2, 0.25], 3)


def test_one_finger_on_a_ring_moves_it_a_tap_sets_it_and_elsewhere_the_page_scrolls(show):
    page = show(explorer(), width=390, has_touch=True)
    page.evaluate("document.body.style.paddingBottom = '900px'")
    touch = finger(page)
    x, y = at_point(page, 2, 0.25)
    touch("touchStart", (x, y))
    for k in range(1, 9):
        touch("touchMove", (x - 10 * k, y + 5 * k))
    touch("touchEnd")
    moved = state(page)["start"]
    assert moved[0] < 1 and moved[1] < -0.2 and page.evaluate("scrollY") == 0
    page.touchscreen.tap(*at_rate(page, 0.8, 0.9))
    assert state(page)["learning_rate"] == pytest.approx(0.8, abs=0.01)
    now = state(page)
    swipe_up(page, touch, *at_point(page, -2, -1))
    after = state(page)
    assert (after["start"], after["learning_rate"]) == (moved, now["learning_rate"])


def test_everything_is_reached_by_keys_alone(show):
    page = show(explorer())
    before, seen = state(page), []
    for _ in range(11):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName"))
        if seen[-1] == "CANVAS":
            drawn = picture(page, 0) + picture(page, 1)
            page.keyboard.press("ArrowLeft")
            assert picture(page, 0) + picture(page, 1) != drawn
    assert (seen.count("CANVAS"), seen.count("INPUT"), seen.count("BUTTON")) == (2, 8, 1)
    after = state(page)
    assert after["start"] != before["start"] and after["learning_rate"] != before["learning_rate"]


def test_the_figure_goes_without_a_trace(show):
    page = show(explorer())
    page.evaluate("window.stop()")
    page.evaluate("model.set('learning_rate', 0.9)")
    page.wait_for_timeout(50)
    assert page.locator("[data-live]").count() == 0
