"""The figure whose formula the reader types: against the package, and against whatever is typed."""

import contextlib
import io
import json
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import traitlets

import gdbook as gd
from tests.figure_page import ADDRESS, drag, picture, place, state, status

pytest.importorskip("playwright")

FIGURE = "document.querySelector('[data-live]').liveFigure"
CLIPBOARD = """
window.copied = [];
const clipboard = { writeText: async (text) => void window.copied.push(text) };
Object.defineProperty(navigator, "clipboard", { value: clipboard });
"""
COPY = """() => {
  [...document.querySelectorAll("button")].find((b) => /Python|Copied/.test(b.textContent)).click();
  return window.copied.pop();
}"""


def own(*arguments, **settings):
    return gd.widgets.own_objective.OwnObjective(*arguments, **settings)


def field(page):
    return page.get_by_label("Formula, f(x) or f(x, y)")


def typed(page, formula, **settings):
    """State after a formula has been typed and traits have been set."""
    field(page).fill(formula)
    for name, value in settings.items():
        page.evaluate("([name, value]) => model.set(name, value)", [name, value])
    return state(page)


def wait_until(page, expression):
    """As `page.wait_for_function`, which the policy of the site forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never {expression}: {status(page)}")


def fault(page):
    """Message, text before the fault, what is marked; the line that the field is described by."""
    line = page.locator(f"#{field(page).get_attribute('aria-describedby')}")
    assert line.get_attribute("aria-live") == "polite"
    return line.inner_text(), line.locator("mark").inner_text(), line.locator("code").inner_text()


# What is typed is what Python computes

FORMULAS = [
    ("x^4/4 - x^2/2", "x**4/4 - x**2/2", 0.3, 0.8),
    ("x^4/4 - x^2/2", "x**4/4 - x**2/2", 0.3, 1.2),
    ("x^4/4 - x^2/2", "x**4/4 - x**2/2", 0.3, 2.5),
    ("3x²/2", "3*x**2/2", 1.0, 0.25),
    ("3x²/2", "3*x**2/2", 1.0, 0.7),
    ("1 − cos x".replace("cos x", "cos(x)"), "1 - cos(x)", 2.0, 0.5),
    ("exp(x) - x", "exp(x) - x", 1.0, 0.3),
    ("e^x - x", "exp(x) - x", 1.0, 0.3),
    ("sqrt(1 + x^2)", "sqrt(1 + x**2)", 3.0, 1.0),
    ("ln(1 + x^2)", "log(1 + x**2)", 1.5, 0.7),
    ("x^2/2 + 0.05 sin(x/0.05)", "x**2/2 + sin(x/0.05)/20", 1.5, 0.02),
    ("(x - pi)^2/(1 + x^2)", "(x - pi)**2/(1 + x**2)", 1.0, 0.2),
    ("max(x, 0)^2 + min(x, 0)^4", "Max(x, 0)**2 + Min(x, 0)**4", 1.0, 0.3),
    ("(1 - x y)^2/2", "(1 - x*y)**2/2", (0.3, 2.0), 0.5),
    ("(1 - xy)^2/2", "(1 - x*y)**2/2", (2.5, 2.5), 0.9),
    ("(1-x)^2/2 + 5(y - x^2)^2", "(1 - x)**2/2 + 5*(y - x**2)**2", (-1.0, 1.5), 0.02),
    ("(x^2+y-11)^2 + (x+y^2-7)^2", "(x**2 + y - 11)**2 + (x + y**2 - 7)**2", (0, 0), 0.01),
    ("x^2 + 3x y + 4y^2", "x**2 + 3*x*y + 4*y**2", (1.0, -1.0), 0.1),
    ("x^2/2 + 10y^2/2", "x**2/2 + 5*y**2", (1.0, 0.5), 0.25),
    ("cosh(x) + tanh(y)^2 + atan(x y)^2", "cosh(x) + tanh(y)**2 + atan(x*y)**2", (1, 0.5), 0.3),
    ("x^4 + y^4 - x^2 - y^2", "x**4 + y**4 - x**2 - y**2", (0.3, 0.2), 0.1),
]


def test_formulas_are_those_of_python(show):
    """Outcome, orbit, limit and what is there; and the copied lines do the same once more."""
    page = show(own(), init=CLIPBOARD)
    labels = set()
    for formula, expression, start, rate in FORMULAS:
        both = [*np.atleast_1d(start).tolist(), 1.0][:2]
        now = typed(page, formula, start=both, learning_rate=rate)
        objective = gd.Objective(expression, "x y" if np.ndim(start) else "x")
        orbit = gd.gradient_descent(objective, start, rate, 4096)
        assert now["fault"] is None and now["variables"] == [str(x) for x in objective.variables]
        assert now["outcome"]["label"] == orbit.outcome.label, (formula, rate)
        assert now["outcome"]["period"] == orbit.outcome.period
        if orbit.outcome.label == "converged":
            end = orbit.points[orbit.outcome.step]
            np.testing.assert_allclose(now["limit"], end, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(now["gradient"], objective.gradient(end), atol=1e-5)
            values = np.linalg.eigvalsh(objective.hessian(end))
            np.testing.assert_allclose(now["eigenvalues"], values, rtol=1e-5, atol=1e-5)
        first = np.reshape(now["orbit"][:11], (-1, objective.dimension))
        np.testing.assert_allclose(first, orbit.points[: len(first)], rtol=1e-9, atol=1e-12)
        labels.add(orbit.outcome.label)
        code = page.evaluate(COPY)
        assert printed(code) == f"{orbit.outcome}\n"
    assert labels == set(gd.outcome.LABELS)


def printed(code):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        exec(code, {})
    return text.getvalue()


def test_basins_are_those_of_the_package(show):
    page = show(own("(1 - x*y)^2/2", (0.3, 2), 0.5, limits=(-3, 3, -3, 3)))
    field(page).fill("(1 - x y)^2/2 + x^2/20")
    assert basin(page) == counted("(1 - x*y)**2/2 + x**2/20", 0.5, 3.0)


def basin(page):
    state(page)
    wait_until(page, f"{FIGURE}.timings.full !== undefined")
    return state(page)["basin"]


def counted(expression, rate, side):
    places = (np.arange(400) + 0.5) / 400 * 2 * side - side
    starts = np.stack(np.meshgrid(places, places), axis=-1)
    objective = gd.Objective(expression, "x y")
    return gd.descend_many(objective, starts, rate, 200, progress=False).counts


def test_diagram_of_one_variable_has_the_periods_of_the_package(show):
    page = show(own("x^2", limits=(-2, 2, -2, 2)))
    typed(page, "x^4/4 - x^2/2")
    regimes, periods = columns(page)
    rates = rates_of_columns(page)
    assert state(page)["rates"] == [0, 2]  # up to 4/L, and L = 2
    chosen = np.arange(20, 620, 20)
    expected = gd.attracting_period(gd.Objective("x**4/4 - x**2/2", "x"), 0.3, rates[chosen])
    assert [periods[i] for i in chosen] == expected.tolist()
    assert {regimes[i] for i in chosen} == {"stable", "periodic", "chaotic"}


def columns(page):
    wait_until(page, f"{FIGURE}.state().columns.regimes.length === 640")
    page.wait_for_timeout(1500)  # the second pass
    now = state(page)["columns"]
    return now["regimes"], now["periods"]


def test_diagram_of_two_variables_has_the_outcomes_of_the_package(show):
    """A bowl rests below 2/L and diverges beyond; wells side by side double their period."""
    page = show(own("x^2/2 + 5*y^2", (1, 0.5), 0.1))
    regimes, _ = columns(page)
    rates = rates_of_columns(page)
    assert {regimes[i] for i in np.flatnonzero(rates < 0.19)} == {"stable"}
    assert {regimes[i] for i in np.flatnonzero(rates > 0.21)} == {"diverged"}
    typed(page, "x^4/4 - x^2/2 + y^2/2", start=[0.3, 0.1], learning_rate=1.2)
    rates = rates_of_columns(page)
    at = [int(np.abs(rates - rate).argmin()) for rate in (0.9, 1.1, 1.26)]
    wait_until(page, f"{FIGURE}.state().columns.periods[{at[1]}] === 2")
    regimes, periods = columns(page)
    assert [periods[i] for i in at] == [1, 2, 4]
    assert regimes[int(np.abs(rates - 1.7).argmin())] == "chaotic"


def rates_of_columns(page):
    low, high = state(page)["rates"]
    return low + (high - low) * (np.arange(640) + 0.5) / 640


def test_modified_objective_is_drawn_beside_the_curve(show):
    """Green beside x = 1, at the height of f + (h/4) f'^2 and not at that of f."""
    page = show(own("x^2/2", 0.5, 1.0))
    low, high = state(page)["heights"]
    (x, bottom), (_, top) = place(page, 0, 3 / 4, 0), place(page, 0, 3 / 4, 1)
    box = page.locator("canvas").first.bounding_box()
    green = np.array(page.evaluate(GREEN, x - box["x"])) + box["y"]
    heights = low + (high - low) * (bottom - green) / (bottom - top)
    assert len(green) > 10 and heights.mean() == pytest.approx(0.75, abs=0.08)


GREEN = """(x) => {
  const canvas = document.querySelector("canvas");
  const scale = canvas.width / canvas.getBoundingClientRect().width;
  const area = [(x - 8) * scale, 0, 17 * scale, canvas.height];
  const { data, width } = canvas.getContext("2d").getImageData(...area);
  const rows = [];
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 1] > data[i] + 60 && data[i + 1] > data[i + 2] + 20) rows.push(Math.floor(i / 4 / width) / scale);
  return rows;
}"""  # noqa: E501


# Typing


def test_typing_by_keyboard_redraws(show):
    page = show(own())
    before = picture(page)
    field(page).click()
    page.keyboard.press("End")
    page.keyboard.type(" + x/4")
    after = picture(page)
    assert after != before and state(page)["python"] == "x**4/4 - x**2/2 + x/4"
    page.keyboard.press("Backspace")
    assert state(page)["fault"]["position"] == len("x^4/4 - x^2/2 + x/")
    assert field(page).input_value() == "x^4/4 - x^2/2 + x/"
    assert "Still the picture of x^4/4 - x^2/2 + x." not in status(page)
    page.get_by_role("button", name="Reset").click()
    assert picture(page) == before and field(page).input_value() == "x^4/4 - x^2/2"


def test_rapid_typing_ends_with_the_last_formula(show):
    page = show(own("(1 - x*y)^2/2", (0.3, 2), 0.5, limits=(-3, 3, -3, 3)))
    field(page).fill("")
    field(page).press_sequentially("(1 - x*y)^2/2 + x^2/5")
    assert basin(page) == counted("(1 - x*y)**2/2 + x**2/5", 0.5, 3.0)
    assert state(page)["formula"] == "(1 - x*y)^2/2 + x^2/5"


def test_one_variable_more_and_one_less(show):
    page = show(own())
    sliders = page.locator("input[type=range]")
    assert sliders.count() == 3
    assert typed(page, "x^4/4 - x^2/2 + y^2")["start"] == [0.3, 1.0]
    assert sliders.count() == 4
    assert "From (0.30, 1.00)" in status(page)
    assert typed(page, "x^4/4 - x^2/2")["start"] == [0.3]
    assert sliders.count() == 3


def test_examples_are_formulas(show):
    page = show(own())
    choice = page.get_by_label("Examples")
    seen = set()
    for i in range(1, choice.locator("option").count()):
        choice.select_option(index=i)
        now = state(page)
        assert now["fault"] is None and now["outcome"]["label"] != "diverged"
        assert field(page).input_value() == now["text"]
        seen.add(now["python"])
    assert len(seen) == 5


def test_arrow_keys_go_through_the_examples(show):
    page = show(own("x^2"))
    page.get_by_label("Examples").focus()
    seen = []
    for _ in range(5):
        page.keyboard.press("ArrowDown")
        seen.append(state(page)["text"])
    assert len(set(seen)) == 5 and seen[-1].endswith("(x + y^2 - 7)^2")
    page.keyboard.press("Tab")
    assert page.get_by_label("Examples").evaluate("choice => choice.selectedIndex") == 0


def test_a_link_is_followed_where_the_page_is_open_already(show):
    page = show(own(), shared="#live-1?learning_rate=0.5")
    for formula, shown in (("x^2/2", "x^2/2"), ("x^2 +", "x^2 +"), ("x^2/2", "x^2/2")):
        page.evaluate("hash => (location.hash = hash)", f"live-1?formula={quote(formula)}")
        now = state(page)
        assert now["formula"] == "x^2/2" and field(page).input_value() == shown
        assert (now["fault"] is None) == (shown == "x^2/2")


SINGULAR = ["1/x^2", "x^-2", "log(x^2)", "log(x^2 + y^2)", "1/(x^2 + y^2)", "1/x"]


def test_nothing_rests_on_a_pole(show):
    page = show(own())
    for formula in SINGULAR:
        now = typed(page, formula, start=[0, 0], learning_rate=0.1)
        assert now["outcome"]["label"] == "diverged", formula
        objective = gd.Objective(formula, now["variables"])
        assert gd.gradient_descent(objective, now["start"], 0.1, 50).outcome.label == "diverged"


def test_what_rests_in_the_view_can_be_taken(show):
    page = show(own())
    drag(page, place(page, 1, 0.3), place(page, 1, 0.7))
    assert state(page)["learning_rate"] == pytest.approx(1.4, abs=0.01)
    page.keyboard.press("ArrowLeft")
    assert state(page)["learning_rate"] == pytest.approx(1.39, abs=0.011)
    page.mouse.click(*place(page, 0, 0.25))
    assert state(page)["start"] == [pytest.approx(-1, abs=0.02)]
    width = page.get_by_label("Width of view, as a number")
    width.fill("2")
    assert state(page)["limits"] == pytest.approx([-1, 1, -1, 1])


# Faults

MARKS = [
    ("x^2 + foo(x)", 6, "f", "foo"),
    ("x^2 +", 5, "▲", "number"),
    ("sin(x", 5, "▲", "bracket"),
    ("x)", 1, ")", "')'"),
    ("x^2 + $", 6, "$", "expected"),
    ("x^2 + 😀", 6, "😀", "expected"),
    ("", 0, "▲", "x"),
    ("3", 0, "3", "contain x"),
]


@pytest.mark.parametrize("formula, position, mark, word", MARKS)
def test_the_mark_stands_where_the_fault_is(formula, position, mark, word, show):
    page = show(own())
    before = picture(page)
    now = typed(page, formula)
    assert now["fault"]["position"] == position
    message, marked, around = fault(page)
    assert marked == mark and word in message and around.startswith(formula[:position])
    assert field(page).get_attribute("aria-invalid") == "true"
    assert field(page).input_value() == formula
    assert status(page).startswith("Still the picture of x^4/4 - x^2/2. Periodic")
    assert picture(page) == before and page.locator(".live-stale").count() == 1
    assert page.get_by_role("button", name="Copy as Python").is_disabled()
    typed(page, "x^2")
    assert field(page).get_attribute("aria-invalid") == "false"
    assert page.locator(".live-stale").count() == 0
    assert page.get_by_role("button", name="Copy as Python").is_enabled()


HOSTILE = [
    *("window.hacked=1", "hacked=1", "(()=>{window.hacked=1})()", "constructor", "__proto__"),
    *("x.constructor.constructor('hacked=1')()", "eval('hacked=1')", "alert(1)", "fetch('//a')"),
    *("import('x')", "x;hacked=1", "`x`", "${hacked=1}", "x=>x", "this", "toString()", "valueOf"),
    *("<img src=x onerror=hacked=1>", "<script>hacked=1</script>", "javascript:hacked=1"),
    *("hasOwnProperty(x)", "\\u0078", "x\u0000", "\u202ex", "ｘ", "0x10", "1_000", "x^^2"),
    *("9^9^9^9*x", "1e999*x", "(" * 5000, "-" * 5000 + "x", "x" * 100000, "max(x)", "x,,y", "%00%"),
]


def test_hostile_formulas_are_messages(show):
    page = show(own())
    for formula in HOSTILE:
        now = typed(page, formula)
        assert now["fault"] is not None or now["python"].strip("-(x)") == "", formula
        if now["fault"]:
            message, _, _ = fault(page)
            assert len(message) < 250
    assert harmless(page)
    assert typed(page, "x^2")["fault"] is None


def harmless(page):
    return page.evaluate(
        "window.hacked === undefined && !({}).hacked && "
        "document.querySelectorAll('.live :is(img, script, iframe, a)').length === 0"
    )


LINKS = [
    *("#live-1?formula=", "#live-1?formula=%", "#live-1?formula=%E0%A4%A", "#live-1?formula=%00"),
    "#live-1?formula=%3Cimg%20src%3Dx%20onerror%3Dhacked%3D1%3E",
    f"#live-1?formula={'x%2B' * 3000}",
    f"#live-1?formula={'%28' * 400}",
    "#live-1?__proto__=1&formula=constructor&hacked=1&learning_rate=__proto__",
    "#live-1?formula=window.hacked%3D1&start=NaN,Infinity&limits=1,0,0,1&learning_rate=1e999",
]


@pytest.mark.parametrize("link", LINKS)
def test_hostile_links_are_messages_too(link, show):
    page = show(own(), shared=link)
    now = state(page)
    assert now["fault"] is not None and now["python"] == "x**4/4 - x**2/2"
    assert now["learning_rate"] == 1.2 and now["start"] == [0.3]
    assert now["limits"] == [-2, 2, -2, 2]
    assert field(page).get_attribute("aria-invalid") == "true"
    assert field(page).input_value().replace("\ufffd", "")[:3] in now["text"] + "<>"
    assert harmless(page)
    assert typed(page, "x^2")["fault"] is None


# Formulas that are hard to draw

LONG = "x^2 + y^2" + " + sin(x y)*exp(-x^2 - y^2)" * 18
HARD = [
    ("log(-1 - x^2)", "converged"),
    ("sqrt(-1 - x^2 - y^2)", "diverged"),
    ("1e300 x^60", "diverged"),
    ("1e-300 x^2", "converged"),
    ("x^2/1e-300", "diverged"),
    ("1/x + 1/y", None),
    ("exp(exp(exp(x)))", None),
    ("tan(100 x)", None),
    (LONG, "converged"),
]


def test_formulas_that_are_hard_to_draw(show):
    assert 450 < len(LONG) <= 500
    page = show(own(start=0.9, learning_rate=0.05))
    for formula, label in HARD:
        now = typed(page, formula)
        assert now["fault"] is None, formula
        assert label in (None, now["outcome"]["label"]), formula
        assert status(page)
    for formula in ("log(-1 - x^2)", "sqrt(-1 - x^2 - y^2)"):
        typed(page, formula)
        assert status(page).startswith("The formula has no value in this view. ")
    assert "leads nowhere" in status(page)


def test_a_short_formula_does_not_wait_for_a_long_one(show):
    page = show(own("x^2 + y^2", (0.3, 0.2), 0.2))
    typed(page, LONG)
    page.wait_for_timeout(300)
    typed(page, "x^2 + 4y^2")
    assert basin(page) == counted("x**2 + 4*y**2", 0.2, 2.0)


# Links and copies


def test_a_link_brings_everything_back(show):
    page = show(own(), shared="#live-1?", init=CLIPBOARD)
    typed(page, "(1 - x y)² / 2 + 0.1 cos(3x) + e^-x", learning_rate=0.25, start=[1.25, -0.5])
    page.get_by_role("button", name="Zoom in").click()
    before = state(page)
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("copied.length")
    link = page.evaluate("copied[0]")
    page.wait_for_function("location.href === copied[0]")  # which is written a moment later
    assert link.startswith(f"{ADDRESS}#live-1?") and "cos" in link
    after = state(show(own(), shared=link.removeprefix(ADDRESS)))
    same = ("formula", "python", "learning_rate", "start", "limits", "outcome", "orbit")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_plus_signs_written_by_hand_are_plus_signs(show):
    page = show(own(), shared="#live-1?formula=x^2/2+x")
    assert state(page)["python"] == "x**2/2 + x"
    page = show(own(), shared=f"#live-1?formula={quote('x²/2 + x')}")
    assert state(page)["python"] == "x**2/2 + x"


def test_where_the_clipboard_is_refused_the_text_is_selected(show):
    page = show(own())
    assert page.get_by_role("button", name="Copy link").count() == 0
    page.get_by_role("button", name="Copy as Python").click()
    area = page.get_by_label("Text to copy")
    area.wait_for()
    text = area.input_value()
    assert "gd.Objective" in text
    assert area.evaluate("(a) => a.value.slice(a.selectionStart, a.selectionEnd)") == text
    page.keyboard.press("Tab")
    assert area.is_hidden()


# In the site: files, and a policy that forbids everything else


def test_it_runs_under_the_policy_of_the_site(browser, tmp_path):
    from book import live, pages

    figure = own("(1 - x*y)^2/2", (0.3, 2), 0.5, limits=(-3, 3, -3, 3))
    saved = figure.get_state()
    files = live.write_files(tmp_path, saved)
    host = (Path(live.__file__).parent / "static" / "host.js").read_text(encoding="utf-8")
    (tmp_path / "host.js").write_text(host, encoding="utf-8")
    (tmp_path / "index.html").write_text(
        f'<!doctype html><html lang="en"><head>{pages.META}<title>Figures</title>'
        f'<link rel="stylesheet" href="{files["style"]}"></head><body>'
        f"{live.figure_html(saved, files, '', 1)}"
        '<script type="module" src="host.js"></script></body></html>',
        encoding="utf-8",
    )
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    kinds = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

    def answer(route):
        path = tmp_path / (route.request.url.removeprefix(ADDRESS).split("#")[0] or "index.html")
        route.fulfill(body=path.read_bytes(), content_type=kinds.get(path.suffix, "text/html"))

    page.route(f"{ADDRESS}**", answer)
    page.goto(f"{ADDRESS}#live-1?formula=(1-x*y)^2/2%2Bx^2/20")
    wait_until(page, "document.querySelector('.live-figure.running') !== null")
    assert basin(page) == counted("(1 - x*y)**2/2 + x**2/20", 0.5, 3.0)
    assert typed(page, "x^2/0 + y")["fault"] is not None
    page.close()
    assert problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(theme, show):
    page = show(own(), width=320)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    for formula in ("x^2 + foo", "x" * 600, LONG, "(1 - x y)^2/2"):
        typed(page, formula)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert field(page).bounding_box()["width"] > 200


# In Python


def test_python_follows_the_formula():
    figure = own("x^4/4 - x^2/2", 0.3, 0.8)
    assert figure.objective.dimension == 1 and figure.objective.gradient([2.0]) == [6.0]
    figure.formula = "e^(x*y) + 2.e-1*y"
    assert figure.objective.value([0.0, 5.0]) == 2.0
    assert figure.objective.dimension == 2
    assert own("y^2").objective.dimension == 2


@pytest.mark.parametrize(
    "formula, words",
    [
        ("x +", "formula must be one in x, or in x and y, not 'x \\+'"),
        ("x*z", "unknown symbol 'z'"),
        ("foo(x)", "unknown function 'foo'"),
        ("3", "must depend on x"),
        ("x+" * 300 + "x", "at most 500 characters"),
        (7, "at most 500 characters"),
    ],
)
def test_bad_formulas_are_named(formula, words):
    with pytest.raises(ValueError, match=words):
        own(formula)
    figure = own("x^2")
    with pytest.raises((ValueError, traitlets.TraitError), match=r"formula"):
        figure.formula = formula
    assert figure.formula == "x^2" and figure.objective.dimension == 1


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("learning_rate", 0.0, r"learning_rate must be between 0.0001 and 100"),
        ("learning_rate", float("nan"), r"learning_rate must be finite"),
        ("start", [1.0], r"start must have 2 coordinates"),
        ("start", [1.0, 1e5], r"start must be between"),
        ("limits", [1.0, 0.0, 0.0, 1.0], r"limits must be finite"),
    ],
)
def test_bad_settings_are_named(name, value, words):
    figure = own("x^2")
    with pytest.raises(ValueError, match=words):
        setattr(figure, name, value)
    with pytest.raises(ValueError, match=name):
        own("x^2 + y^2", **{name: value if name != "start" else [1.0, 1e5]})


def test_what_python_sets_is_drawn(show):
    """The page hears of a formula that somebody else sets, and one that only Python can read."""
    page = show(own())
    page.evaluate("model.set('formula', 'x^2/2 + x')")
    assert state(page)["python"] == "x**2/2 + x"
    assert field(page).input_value() == "x^2/2 + x"
    page.evaluate("model.set('formula', 'Piecewise((x, x > 0), (0, True))')")
    assert state(page)["fault"]["position"] == 0
    figure = own("Piecewise((x**2, x > 0), (0, True))")
    page = show(figure)
    assert status(page) == "There is no picture before there is a formula."
    assert json.loads(json.dumps(typed(page, "x^2")))["fault"] is None
