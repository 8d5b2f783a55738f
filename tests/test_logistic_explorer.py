"""The live figure of logistic regression: its runs against the package, its handles."""

import functools
import json
import warnings

import numpy as np
import pytest

import gdbook as gd
from gdbook import classification
from gdbook.widgets import logistic_explorer as module
from tests.figure_page import (
    drag,
    finger,
    picture,
    place,
    state,
    state_after_many_wishes,
    status,
    swipe_up,
    work_meter,
)

NAMES = module.NAMES
PROBLEMS = [(0, 0.05), (0, 0.3), *((problem, 0.0) for problem in range(1, len(NAMES)))]


@functools.cache
def explorer(*arguments, **settings):
    return gd.widgets.LogisticExplorer(*arguments, **settings)


@functools.cache
def model(problem, margin=0.05):
    return module._model(NAMES[problem], margin)


@pytest.fixture
def node(node):
    """Run a script in Node beside the worker's text, with `all(request)`, its pieces."""
    worker = explorer()._texts["worker"] + "\nexport { pieces };"
    modules = """
        import * as worker from "./worker.mjs";
        const all = (request) => [...worker.pieces(request)].map(([piece]) => piece);
        const plain = (piece) => JSON.parse(
          JSON.stringify(piece, (_, value) => (ArrayBuffer.isView(value) ? [...value] : value)),
        );
    """
    return lambda script, data: node(modules + script, data, worker=worker)


# The browser's numbers are the package's


def test_the_data_are_those_of_the_package(node):
    found = node(
        "const result = data.map((of) => plain(worker.samples(...of)));",
        [list(p) for p in PROBLEMS],
    )
    for (problem, margin), ours in zip(PROBLEMS, found, strict=True):
        known = model(problem, margin)
        signed = known.labels[:, None] * known.features
        assert (ours["n"], ours["d"]) == signed.shape
        rows = [
            part[np.lexsort(part.T)] for part in (np.reshape(ours["rows"], signed.shape), signed)
        ]
        np.testing.assert_allclose(*rows, rtol=1e-14)
    firsts = node("const result = data.map(worker.firstOf);", [0, 8])
    digits = gd.data.digits()
    for digit, pixels in zip([0, 8], firsts, strict=True):
        image = digits.features[np.flatnonzero(digits.labels == digit)[0]]
        np.testing.assert_array_equal(np.array(pixels) / 16, image)


def test_loss_and_slope_are_exact_where_they_are_tiny_or_large(node):
    z = np.concatenate([np.linspace(-40, 40, 401), [-1e4, -800, 60, 700, 745]])
    found = node(
        """
        const result = data.map((z) => {
          const both = [0, 0];
          worker.lossAndSlope([z], {}, both);
          return both;
        });""",
        z.tolist(),
    )
    values, slopes = np.transpose(found)
    np.testing.assert_allclose(values, np.logaddexp(0, -z), rtol=1e-14)
    np.testing.assert_allclose(slopes, -np.exp(-np.logaddexp(0, z)), rtol=1e-13)


RUN = """
    const result = data.map((request) => {
      const pieces = all(request).map(plain);
      const joined = (name) => pieces.flatMap((piece) => piece[name]);
      const names = ["losses", "errors", "kept", "weights"];
      const whole = Object.fromEntries(names.map((name) => [name, joined(name)]));
      const { losses } = whole;
      const rose = (k) => k && worker.rises(losses[k - 1], losses[k]);
      const rises = [...losses.keys()].filter(rose);
      return { ...whole, rises, transition: pieces.at(-1).transition, from: joined("from") };
    });
"""


@pytest.mark.parametrize("problem, margin", PROBLEMS)
def test_runs_are_those_of_the_package(problem, margin, node):
    rates = [0.1, 3, 60, 300]
    steps = 2000 if problem == 0 else 300
    data = {"problem": problem, "margin": margin, "steps": steps}
    found = node(RUN, [{**data, "rate": rate} for rate in rates])
    known, rising = model(problem, margin), 0
    for rate, ours in zip(rates, found, strict=True):
        every = 1 if problem == 0 else steps
        run = known.descend(rate, steps, keep_every=every)
        phases = classification.phases(run)
        np.testing.assert_allclose(ours["losses"], run.losses, rtol=1e-9)
        assert len(ours["rises"]) == phases.increases
        assert (ours["rises"] or [None])[-1] == phases.last_increase
        assert ours.get("transition") == phases.transition
        weights = np.reshape(ours["weights"], (len(ours["kept"]), -1))
        np.testing.assert_allclose(weights[-1], run.points[-1], rtol=1e-8, atol=1e-9)
        assert ours["errors"][-1] == (known.margins(run.points[-1]) <= 0).sum()
        assert ours["errors"][0] == len(known.labels)  # at 0 nothing is on its right side
        if problem == 0:
            assert ours["kept"] == list(range(steps + 1))
            np.testing.assert_allclose(weights, run.points, rtol=1e-9, atol=1e-9)
            assert ours["errors"] == (known.margins(run.points) <= 0).sum(axis=-1).tolist()
        else:
            assert ours["kept"][:3] == [0, 1, 2] and ours["kept"][-1] == steps
            assert len(ours["kept"]) < 90 and ours["from"] == sorted(ours["from"])
        rising += phases.increases > 0
    assert rising or margin == 0.3  # both sides of the monotone threshold are seen


def survey(node, **request):
    """What belongs to the data, as one worker finds it and as three do."""
    found = node(
        """
        const told = (piece) => Object.keys(piece).length;
        const of = (part, parts) => all({ ...data, part, parts }).filter(told).map(plain);
        const result = [of(0, 1), [0, 1, 2].flatMap((part) => of(part, 3))];
        """,
        request,
    )
    whole, shared = ([json.dumps(piece) for piece in pieces] for pieces in found)
    assert sorted(whole) == sorted(shared)
    return found[0]


@pytest.mark.parametrize("problem, margin, steps", [(0, 0.05, 400), (0, 0.2, 100), (3, 0.0, 100)])
def test_what_belongs_to_the_data_is_that_of_the_package(problem, margin, steps, node):
    pieces = survey(node, problem=problem, margin=margin, steps=steps)
    known = model(problem, margin)
    first = pieces[0]
    assert first["twoOverL"] == pytest.approx(2 / known.smoothness, rel=1e-6)
    threshold = classification.monotone_threshold(known, steps)
    assert first["threshold"] == pytest.approx(threshold, rel=1e-6)
    assert first["threshold"] > first["twoOverL"]
    best = pieces[1]["best"]
    assert best["increases"] == 0
    assert best["loss"] == pytest.approx(known.descend(threshold, steps).losses[-1], rel=1e-5)
    ladder = [piece for piece in pieces if "ladder" in piece]
    assert [piece["ladder"] for piece in ladder] == module._ladder(steps)
    for piece in ladder:
        run = known.descend(piece["ladder"], piece["ladder"])
        assert piece["loss"] == pytest.approx(run.losses[-1], rel=1e-9)
    ends = [piece for piece in pieces if "rate" in piece]
    rates = np.array([piece["rate"] for piece in ends])
    assert rates[:6] == pytest.approx([0.1, 1, 10, 100, 1000, 1e4])  # what has curves comes first
    count = 161 if problem == 0 else 41
    np.testing.assert_allclose(np.sort(rates), 10 ** np.linspace(-1, 4, count), rtol=1e-9)
    for piece in ends:
        run = known.descend(piece["rate"], steps)
        phases = classification.phases(run)
        assert piece["increases"] == 0 or piece["rate"] > first["threshold"]
        if problem > 0 and piece["rate"] > 900:  # where rounding grows before the loss falls
            assert abs(piece["increases"] - phases.increases) < 4
            assert 0.5 < piece["loss"] / run.losses[-1] < 2
            continue
        told = (piece["increases"], piece.get("transition"))
        assert told == (phases.increases, phases.transition)
        assert piece["loss"] == pytest.approx(run.losses[-1], rel=1e-7)
        if "curve" in piece:
            at = piece["curve"]["steps"]
            assert (at[0], at[-1]) == (0, steps)
            np.testing.assert_allclose(piece["curve"]["losses"], run.losses[at], rtol=1e-7)
    assert sum("curve" in piece for piece in ends) == 6


def test_where_no_run_increases_there_is_no_threshold(node):
    """With a margin above √0.1 the first step, however large, has both points on their side."""
    pieces = survey(node, problem=0, margin=0.4, steps=100)
    assert pieces[0]["threshold"] is None and not any("best" in piece for piece in pieces)
    assert all(piece["increases"] == 0 for piece in pieces if "rate" in piece)
    figure = explorer(margin=0.4, steps=100)
    assert figure._threshold == np.inf and "no run ever increases" in figure._alt


def test_an_increase_by_rounding_is_none(node):
    found = node(
        "const result = data.map(([before, after]) => worker.rises(before, after));",
        [[1, 1], [1, 1 + 1e-13], [1, 1 + 1e-11], [1e-30, 2e-30], [2, 1]],
    )
    assert found == [False, False, True, True, False]


def test_a_thinned_curve_keeps_the_first_steps_and_every_peak(node):
    rng = np.random.default_rng(5)
    losses = rng.exponential(size=10_001)
    found = node("const result = data.map(worker.thinned);", [losses.tolist(), [1.0], [2.0, 1.0]])
    at = np.array(found[0])
    assert found[1:] == [[0], [0, 1]]
    assert (np.diff(at) > 0).all() and at[-1] == 10_000 and len(at) < 1200
    assert at[:50].tolist() == list(range(50))
    for k in (100, 1000, 9000):  # the highest of every stretch of four per cent is there
        part = slice(k, int(1.04 * k))
        inside = at[(at >= k) & (at < part.stop)]
        assert losses[inside].max() >= np.sort(losses[part])[-2]
        assert losses[inside].min() <= np.sort(losses[part])[1]


# What Python sends


def test_defaults_and_words():
    figure = explorer()
    assert (figure.problem, figure.learning_rate, figure.margin) == (0, 50, 0.05)
    assert "increases 31 times, and is below 1/h from step 368 on" in figure._alt
    assert "monotone run, 17.17." in figure._alt
    digits = explorer("3 or 8", 0.1, steps=100)
    assert (
        digits.problem == 2 and "falls in every step, and is below 1/h from step 0" in digits._alt
    )


def test_the_data_come_in_few_letters():
    assert len(explorer()._texts["worker"]) < 150_000


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 1e4, "steps": 100},
        {"learning_rate": 0.1, "margin": 0.01, "steps": 100},
        {"margin": 0.4, "learning_rate": 1e4, "steps": 100},
        {"data": "1 or 8", "learning_rate": 1e4, "steps": 100},
    ],
)
def test_stills_are_drawn_in_silence(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = gd.widgets.LogisticExplorer(**settings)
    assert figure._still


def test_the_still_is_repeatable():
    assert gd.widgets.LogisticExplorer(steps=100)._still == explorer(steps=100)._still


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"data": "9 or 9"}, "data must be one of two points, 0 or 8, .* not '9 or 9'"),
        ({"data": ["two points"]}, "data must be one of"),
        ({"learning_rate": 2e4}, "learning_rate must be between 0.1 and 10000, not 20000"),
        ({"learning_rate": "a"}, "learning_rate"),
        ({"margin": 0.5}, "margin must be between 0.01 and 0.4, not 0.5"),
        ({"steps": 50}, "steps must be between 100 and 10000, not 50"),
        ({"steps": 150.5}, "steps"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        gd.widgets.LogisticExplorer(**settings)


# In a browser

LIVE = "document.querySelector('[data-live]').liveFigure"
RUN_DONE = f"{LIVE}.state().done"
DONE = f"{LIVE}.timings.full !== undefined && {LIVE}.state().surveyed"


def settled(page):
    state(page)
    page.wait_for_function(DONE)
    return state(page)


def rate_place(page, rate):
    """Where a learning rate stands in the picture of the losses at the end."""
    return place(page, 2, (np.log10(rate) + 1) / 5)


def test_state_is_that_of_python(show):
    found = settled(show(explorer()))
    run = model(0).descend(50, 2000, keep_every=1)
    phases = classification.phases(run)
    np.testing.assert_allclose(found["losses"], run.losses, rtol=1e-9)
    np.testing.assert_allclose(found["weights"], run.points, rtol=1e-9, atol=1e-9)
    assert (len(found["rises"]), found["rises"][-1]) == (phases.increases, phases.last_increase)
    assert found["transition"] == phases.transition
    assert found["threshold"] == pytest.approx(17.16621791, rel=1e-6)
    assert len(found["rates"]) == 161 and len(found["curves"]) == 6
    assert [one["ladder"] for one in found["ladder"]] == module._ladder(2000)
    assert (found["learning_rate"], found["shown"]) == (50, 2000)


def test_a_pair_of_digits_is_that_of_python(show):
    page = show(explorer())
    page.get_by_role("button", name="3 or 8").click()
    page.evaluate("model.set('steps', 300)")
    found = settled(page)
    run = model(2).descend(50, 300)
    np.testing.assert_allclose(found["losses"], run.losses, rtol=1e-9)
    np.testing.assert_allclose(found["weights"][-1], run.points[-1], rtol=1e-8, atol=1e-9)
    assert found["threshold"] == pytest.approx(
        classification.monotone_threshold(model(2), 300), rel=1e-6
    )
    assert found["errors"][-1] == (model(2).margins(run.points[-1]) <= 0).sum()
    assert page.get_by_role("button", name="3 or 8").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("slider", name="Margin γ").count() == 0  # digits have their own
    for name in NAMES[1:]:
        page.get_by_role("button", name=name).click()
        assert state(page)["problem"] == NAMES.index(name)
        page.wait_for_function(RUN_DONE)
        page.wait_for_function(
            f"document.querySelector('[data-status]').textContent.startsWith('{name}')"
        )


@pytest.mark.parametrize(
    "settings, words",
    [
        ({}, "Two points, h = 50: 31 increases, the last at step 48; f ≤ 1/h from step 368 on."),
        ({}, "After 2000 steps f = 0.00396; at 17.17, the largest monotone learning rate, 0.0121."),
        ({"learning_rate": 10}, "h = 10: no increase; f ≤ 1/h from step 433 on."),
        ({"margin": 0.01}, "f > 1/h for all 2000 steps."),
        ({"margin": 0.4, "steps": 100}, "h = 50: no increase; f ≤ 1/h from step 2 on. After 100"),
        ({"problem": 1, "learning_rate": 40, "steps": 100}, "0 or 8, h = 40: "),
    ],
)
def test_status_is_true(settings, words, show):
    page = show(explorer())
    for name, value in settings.items():
        page.evaluate(f"model.set('{name}', {value})")
    settled(page)
    assert words in status(page)
    if settings.get("margin") == 0.4:
        assert "largest monotone" not in status(page)


def test_the_learning_rate_is_dragged_tapped_and_moved_by_keys(show):
    page = show(explorer())
    drag(page, rate_place(page, 50), rate_place(page, 200))
    assert state(page)["learning_rate"] == pytest.approx(200, rel=0.03)
    page.mouse.click(*rate_place(page, 1))
    assert state(page)["learning_rate"] == pytest.approx(1, rel=0.03)
    page.get_by_role("button", name="Reset").click()
    assert state(page)["learning_rate"] == 50
    page.locator("canvas").nth(2).focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["learning_rate"] == pytest.approx(50 * 10**0.01, rel=1e-3)
    page.keyboard.press("Shift+ArrowLeft")
    assert state(page)["learning_rate"] == pytest.approx(50 * 10**-0.09, rel=1e-3)
    for _ in range(60):
        page.keyboard.press("Shift+ArrowRight")
    assert state(page)["learning_rate"] == 1e4


def test_the_step_is_dragged_and_moved_by_keys(show):
    page = show(explorer())
    found = settled(page)
    shown = [picture(page, 0), picture(page, 1)]
    page.locator("canvas").first.focus()
    for _ in range(10):
        page.keyboard.press("Shift+ArrowLeft")
    moved = state(page)
    assert 20 <= moved["shown"] < 400
    assert picture(page, 0) != shown[0] and picture(page, 1) != shown[1]
    assert moved["losses"] == found["losses"]  # nothing is computed anew
    page.keyboard.press("ArrowRight")
    assert state(page)["shown"] > moved["shown"]
    for _ in range(20):
        page.keyboard.press("Shift+ArrowRight")
    assert state(page)["shown"] == 2000
    page.evaluate("model.set('steps', 4000)")  # the last step stays the last
    assert state(page)["shown"] == 4000


def test_play_passes_over_the_steps_and_pause_holds_them(show):
    page = show(explorer())
    settled(page)
    button = page.get_by_role("button", name="Play")
    button.click()
    page.wait_for_function(f"{LIVE}.state().shown > 5 && {LIVE}.state().shown < 1999")
    page.get_by_role("button", name="Pause").click()
    held = state(page)["shown"]
    page.wait_for_timeout(100)
    assert state(page)["shown"] == held < 2000
    button.click()
    page.wait_for_function(f"{LIVE}.state().shown > {held}")
    page.get_by_role("button", name="Reset").click()
    assert state(page)["shown"] == 2000


def test_reduced_motion_has_no_play(show):
    page = show(explorer(), reduced_motion="reduce")
    assert settled(page)["shown"] == 2000
    assert not page.get_by_role("button", name="Play").is_visible()


def test_pictures_change_with_everything_under_the_hand(show):
    page = show(explorer())
    settled(page)
    seen = {tuple(picture(page, i) for i in range(3))}
    for name, value in (("learning_rate", 5), ("margin", 0.1), ("steps", 500), ("problem", 4)):
        page.evaluate(f"model.set('{name}', {value})")
        settled(page)
        pictures = tuple(picture(page, i) for i in range(3))
        assert all(one not in {p[i] for p in seen} for i, one in enumerate(pictures)), name
        seen.add(pictures)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(50)
    assert tuple(picture(page, i) for i in range(3)) not in seen


def test_a_newer_wish_ends_the_work_on_the_one_before(show):
    late = state_after_many_wishes(show(explorer()), DONE)
    assert late["steps"] < 2000
    fresh = show(explorer())
    fresh.evaluate(f"model.set('steps', {late['steps']})")
    assert settled(fresh) == late


def test_work_on_many_digits_leaves_the_page_free(show):
    page = show(explorer())
    settled(page)
    page.evaluate("model.set('problem', 3)")
    page.evaluate("model.set('steps', 10000)")
    state(page)
    worked = work_meter(page)
    before, turns = worked(), 10
    result = page.evaluate(
        """async (turns) => {
          const { timings } = document.querySelector("[data-live]").liveFigure;
          const waits = [];
          for (let i = 0; i < turns; i++) {
            model.set("learning_rate", 60 + 10 * i);
            const asked = performance.now();
            await twoFrames();
            waits.push(performance.now() - asked);
          }
          return { waits, redraw: timings.redraw.slice(-10), done: timings.full !== undefined };
        }""",
        turns,
    )
    result["main thread"] = (worked() - before) / turns
    print(json.dumps(result))
    assert not result["done"]  # in the midst of the work
    # computing time of the page's own thread, which a busy machine changes little
    assert result["main thread"] < 40
    # times on the clock have room for a machine that does other things as well
    assert min(result["waits"]) < 60 and min(result["redraw"]) < 16


def test_the_first_losses_come_at_once(show):
    page = show(explorer())
    settled(page)
    times = page.evaluate(
        f"""async () => {{
          const {{ timings }} = {LIVE};
          const full = [];
          for (let i = 0; i < 6; i++) {{
            model.set("learning_rate", 60 + 10 * i);
            do await new Promise((r) => setTimeout(r, 20));
            while (timings.full === undefined);
            full.push(timings.full);
          }}
          return full;
        }}"""
    )
    assert min(times) < 300


def test_the_address_carries_the_state(show):
    shared = "#live-1?learning_rate=123.5&margin=0.1&steps=500&step=40&problem=3"
    found = state(show(explorer(), shared=shared))
    assert (found["learning_rate"], found["margin"], found["steps"]) == (123.5, 0.1, 500)
    assert (found["step"], found["problem"]) == (40, 3)


@pytest.mark.parametrize(
    "address",
    [
        "#live-1?learning_rate=-1&margin=0.5&steps=1e9&step=-2&problem=6",
        "#live-1?learning_rate=NaN&margin=&steps=200.5&step=1.5&problem=0.5",
        "#live-1?learning_rate=1e999&margin=0.05,0.1&steps=<script>&step=Infinity&problem=x",
        "#live-2?learning_rate=3",
    ],
)
def test_nonsense_in_the_address_is_not_believed(address, show):
    found = state(show(explorer(), shared=address))
    assert (found["learning_rate"], found["margin"], found["steps"]) == (50, 0.05, 2000)
    assert (found["shown"], found["problem"]) == (2000, 0)


def test_one_finger_on_the_line_moves_the_rate_and_elsewhere_the_page(show):
    page = show(explorer(), width=390, has_touch=True)
    page.evaluate("document.body.style.paddingBottom = '900px'")
    touch = finger(page)
    x, y = rate_place(page, 50)
    touch("touchStart", (x, y))
    for k in range(1, 9):
        touch("touchMove", (x - 5 * k, y))
    touch("touchEnd")
    moved = state(page)["learning_rate"]
    assert 10 < moved < 40 and page.evaluate("scrollY") == 0
    swipe_up(page, touch, *rate_place(page, 1000))
    assert state(page)["learning_rate"] == moved


def test_the_status_keeps_its_height_on_a_phone(show):
    page = show(explorer(), width=390)
    heights = set()
    for problem, rate in ((0, 50), (0, 0.1), (3, 100), (5, 1e4)):
        page.evaluate(f"model.set('problem', {problem}); model.set('learning_rate', {rate})")
        page.evaluate("model.set('steps', 300)")
        settled(page)
        heights.add(page.locator("[data-status]").bounding_box()["height"])
    assert len(heights) == 1


def test_everything_is_reached_by_keys_alone(show):
    page = show(explorer())
    settled(page)
    before, seen = state(page), []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName"))
        if seen[-1] == "CANVAS":
            page.keyboard.press("ArrowLeft")
    assert (seen.count("CANVAS"), seen.count("INPUT"), seen.count("BUTTON")) == (2, 6, 8)
    after = state(page)
    assert after["shown"] < before["shown"]
    assert after["learning_rate"] < before["learning_rate"]


def test_the_figure_goes_without_a_trace(show):
    page = show(explorer())
    page.evaluate("window.stop()")
    page.evaluate("model.set('learning_rate', 3)")
    page.wait_for_timeout(50)
    assert page.locator("[data-live]").count() == 0
