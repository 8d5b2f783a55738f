"""The built site in a real browser: every page, light and dark, and each live figure.

What a page does is seen once (``visit``) and then asked about by small tests.
"""

import ast
import html.parser
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.figure_page import FRAMES

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
NAMES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
REDIRECTS = [name for name in NAMES if "This page has moved" in (SITE / name).read_text("utf-8")]
PAGES = [name for name in NAMES if name not in REDIRECTS] or ["index.html"]
LIVE = [
    name
    for name in PAGES
    if NAMES and '<figure class="live-figure"' in (SITE / name).read_text("utf-8")
]
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'self'; form-action 'self'"
)

every_page = pytest.mark.parametrize("page_name", PAGES)
light_and_dark = pytest.mark.parametrize("scheme", ["light", "dark"])
live_pages = pytest.mark.parametrize("page_name", LIVE)

# ----------------------------------------------------------------------------- as files, unseen


class Outline(html.parser.HTMLParser):
    """First element of the head, inline scripts, handlers and images of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.handlers, self.scripts, self.images = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        self.handlers += [name for name in attributes if name.startswith("on")]
        if tag == "script" and "src" not in attributes:
            self.scripts.append(attributes.get("type", "text/javascript"))
        if tag == "img":
            self.images.append(attributes)


def outline(name):
    if not NAMES:
        pytest.skip("the site is not built; `./task book` builds it")
    return Outline((SITE / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES or PAGES)
def test_policy_comes_first_in_the_head(name):
    tags = outline(name).elements
    first = tags[[tag for tag, _ in tags].index("head") + 1]
    assert first == ("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})


@pytest.mark.parametrize("name", NAMES or PAGES)
def test_no_inline_script_and_no_handler(name):
    page = outline(name)
    assert page.handlers == []
    assert [kind for kind in page.scripts if "json" not in kind] == []


@every_page
def test_images_say_what_is_to_be_seen(page_name):
    for image in outline(page_name).images:
        alt = image.get("alt") or ""
        assert alt.strip() and "/" not in alt.split()[0], image
        if "_images/" in image["src"] or "live-still" in image.get("class", ""):
            assert len(alt.split()) >= 4, image


@every_page
def test_foot_tells_commit_date_and_versions(page_name):
    outline(page_name)
    [foot] = re.findall(
        r'<p class="provenance">(.*?)</p>', (SITE / page_name).read_text("utf-8"), re.S
    )
    for word in ("commit", "<time datetime=", "Python", "NumPy", "SciPy", "SymPy", "Matplotlib"):
        assert word in foot
    assert "gdbook" in foot


def addresses(module, name):
    """Full names under which a public name may be documented."""
    home = getattr(getattr(module, name), "__module__", module.__name__)
    return {f"{module.__name__}.{name}", f"gdbook.{name}", f"{home}.{name}"}


def test_every_public_name_is_documented():
    import importlib
    import pkgutil
    import zlib

    import gdbook

    if not NAMES:
        pytest.skip("the site is not built; `./task book` builds it")
    head, _, body = (SITE / "objects.inv").read_bytes().partition(b"zlib.\n")
    assert head
    documented = {line.split()[0] for line in zlib.decompress(body).decode().splitlines() if line}
    modules = [gdbook] + [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(gdbook.__path__, "gdbook.")
    ]
    missing = [
        f"{module.__name__}.{name}"
        for module in modules
        for name in getattr(module, "__all__", [])
        if not addresses(module, name) & documented
    ]
    submodules = {module.__name__ for module in modules}
    assert [name for name in missing if name not in submodules] == []


# ------------------------------------------------------------------------------------ seen whole

WATCH = """
window.seen = { violations: [], shifts: [], longTasks: [] };
addEventListener("securitypolicyviolation", (event) =>
  seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) seen.shifts.push([entry.startTime, entry.value]);
  }
}).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) seen.longTasks.push([entry.startTime, entry.duration]);
}).observe({ type: "longtask", buffered: true });
"""

# axe-core's findings as text. What MathJax has made is left out, and so a header cell that is one
# formula looks empty; dark mode changes colours only. With `preload` axe would ask for style
# sheets at wrong addresses.
AXE = """
async ([scheme, exclude]) => {
  const all = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const runOnly = scheme === "dark" ? ["color-contrast"] : all;
  const { violations } = await axe.run({ exclude }, { runOnly, preload: false });
  return violations.flatMap(({ id, nodes }) =>
    nodes
      .filter(({ target }) =>
        id !== "empty-table-header" || !document.querySelector(`${target} mjx-container`))
      .map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
}
"""


def cumulative_layout_shift(shifts):
    """Largest sum over a window of at most five seconds with gaps under one second."""
    largest = total = start = before = 0
    for time, value in shifts:
        if time - before > 1000 or time - start > 5000:
            total, start = 0, time
        total, before = total + value, time
        largest = max(largest, total)
    return largest


def open_page(browser, address, **options):
    """A page with everything that could go wrong on it recorded."""
    context = browser.new_context(
        **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "no-preference"} | options
    )
    context.add_init_script(WATCH)
    page = context.new_page()
    page.foreign, page.errors = [], []
    host = urlsplit(address).netloc

    def request(request):
        if urlsplit(request.url).scheme != "data" and urlsplit(request.url).netloc != host:
            page.foreign.append(request.url)

    def said(message):
        if message.type in ("error", "warning"):
            page.errors.append(message.text)

    page.on("request", request)
    page.on("console", said)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("response", lambda answer: answer.status >= 400 and page.errors.append(answer.url))
    page.goto(address, wait_until="load")
    return page


def shift_of_reading(page):
    """How much the layout shifts while a reader turns the wheel, past the first screens."""
    page.wait_for_timeout(500)
    page.mouse.move(page.viewport_size["width"] / 2, 450)
    for _ in range(12):
        page.mouse.wheel(0, 200)
        page.wait_for_timeout(80)
    return cumulative_layout_shift(page.evaluate("seen.shifts"))


def scroll_through(page):
    """Formulas are typeset and figures are started when they come near."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for top in range(0, height, 700):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(60)
    page.wait_for_function(
        "[...document.querySelectorAll('.live-figure')]"
        ".every((figure) => figure.classList.contains('running'))"
    )
    page.wait_for_timeout(300)


@pytest.fixture(scope="module")
def visit(browser, site):
    from axe_playwright_python.base import AXE_SCRIPT

    records = {}

    def visit(name, scheme, width=1280):
        if (name, scheme, width) not in records:
            size = {"width": width, "height": 900}
            page = open_page(browser, f"{site}/{name}", color_scheme=scheme, viewport=size)
            shift = shift_of_reading(page)  # before the jumps below, which no reader makes
            scroll_through(page)
            # Code has the same few colours in thousands of elements: one page is enough.
            left_out = ["mjx-container"] + ["pre"] * (name != "index.html")
            errors = list(page.errors)  # what axe does itself is not the page's
            page.evaluate(AXE_SCRIPT)
            records[name, scheme, width] = {
                "foreign": page.foreign,
                "errors": errors,
                "violations": page.evaluate("seen.violations"),
                "shift": shift,
                "untypeset": page.evaluate(
                    "[...document.querySelectorAll('.math')]"
                    ".filter((span) => !span.querySelector('mjx-container')"
                    " || span.querySelector('[data-mjx-error], mjx-merror'))"
                    ".map((span) => span.textContent)"
                ),
                "too wide": page.evaluate("document.documentElement.scrollWidth - innerWidth"),
                "axe": page.evaluate(AXE, [scheme, left_out]) if width > 390 else None,
            }
            page.context.close()
        return records[name, scheme, width]

    return visit


@every_page
@light_and_dark
def test_no_request_leaves_the_site(visit, page_name, scheme):
    assert visit(page_name, scheme)["foreign"] == []


@every_page
@light_and_dark
def test_no_error_and_nothing_blocked(visit, page_name, scheme):
    seen = visit(page_name, scheme)
    assert seen["errors"] == []
    assert seen["violations"] == []


@every_page
def test_every_formula_is_typeset(visit, page_name):
    assert visit(page_name, "light")["untypeset"] == []


@every_page
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_does_not_shift(visit, browser, site, page_name, width):
    shift = visit(page_name, "light", width)["shift"]
    size = {"width": width, "height": 900}
    for _ in range(2):  # formulas come late on a machine that does other things: the best counts
        if shift > 0.05:
            page = open_page(browser, f"{site}/{page_name}", viewport=size)
            shift = min(shift, shift_of_reading(page))
            page.context.close()
    assert shift <= 0.05


@every_page
def test_page_fits_a_phone(visit, page_name):
    assert visit(page_name, "light", 390)["too wide"] <= 0


@every_page
@light_and_dark
def test_accessible(visit, page_name, scheme):
    assert visit(page_name, scheme)["axe"] == []


@pytest.mark.parametrize("name", REDIRECTS)
def test_moved_page_keeps_what_follows_the_hash(browser, site, name):
    page = open_page(browser, f"{site}/{name}#a-place")
    page.wait_for_url(lambda address: not address.endswith(f"{name}#a-place"))
    page.wait_for_load_state()
    assert page.url.endswith("#a-place") and "moved" not in page.title()
    assert page.errors == [] and page.evaluate("seen.violations") == []
    page.context.close()


def test_search_finds(browser, site):
    page = open_page(browser, f"{site}/search.html?q=gradient")
    page.wait_for_selector("ul.search li a")
    assert page.errors == [] and page.foreign == []
    page.context.close()


def test_buttons_print_and_fill_the_screen(browser, site):
    page = open_page(browser, f"{site}/index.html")
    page.evaluate("window.print = () => (window.printed = true)")
    page.locator('[data-click="print"]').first.dispatch_event("click")
    assert page.evaluate("window.printed")
    page.locator('[data-click="full-screen"]').first.click()
    page.wait_for_function("document.fullscreenElement !== null")
    page.context.close()


# ----------------------------------------------------------------------------------- live figures


def figures_in_python(page_name):
    """The live figures of a chapter, made again by the code of its cells."""
    import jupytext
    import numpy as np

    import gdbook as gd

    source = ROOT / "chapters" / Path(page_name).with_suffix(".md")
    definitions, figures, names = {}, [], {"gd": gd, "np": np}
    for cell in jupytext.read(source, fmt="md:myst").cells:
        if cell.cell_type != "code" or "gd." not in cell.source:
            continue
        code = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
        for node in ast.parse(code).body:
            statement = ast.unparse(node)
            if isinstance(node, ast.Assign):
                targets = [part for target in node.targets for part in ast.walk(target)]
                for name in (part.id for part in targets if isinstance(part, ast.Name)):
                    definitions[name] = statement
            elif statement.startswith("gd.widgets."):
                figures.append(evaluated(statement, names, definitions))
    return figures


def evaluated(expression, names, definitions):
    """Value of an expression; what it needs is defined when it turns out to be missing."""
    while True:
        try:
            return eval(expression, names)
        except NameError as error:
            exec(definitions.pop(error.name), names)


@pytest.fixture
def live_page(browser, site, page_name):
    page = open_page(browser, f"{site}/{page_name}")
    scroll_through(page)
    yield page
    assert page.errors == [] and page.foreign == []
    page.context.close()


def state(figure):
    return figure.locator("[data-live]").evaluate("(root) => root.liveFigure.state()")


def drawing(figure):
    """All pixels of a figure, as text."""
    figure.page.evaluate(FRAMES)
    return figure.locator("[data-live]").evaluate(
        "(root) => [...root.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL()).join()"
    )


def each_figure(page):
    for figure in page.locator(".live-figure").all():
        # Playwright's own scrolling waits for two quiet frames, which a busy machine may not give.
        figure.evaluate("(element) => element.scrollIntoView({ block: 'center' })")
        page.wait_for_timeout(500)
        yield figure


def shown_sliders(figure):
    return [slider for slider in figure.locator("input[type=range]").all() if slider.is_visible()]


@live_pages
def test_every_slider_answers_the_keyboard(live_page, page_name):
    for figure in each_figure(live_page):
        for slider in shown_sliders(figure):
            before, value = drawing(figure), slider.input_value()
            key = "ArrowLeft" if value == slider.get_attribute("max") else "ArrowRight"
            slider.focus()
            for _ in range(3):
                live_page.keyboard.press(key)
            assert slider.input_value() != value
            assert drawing(figure) != before, slider.get_attribute("aria-label")


@live_pages
def test_every_slider_answers_the_pointer(live_page, page_name):
    for figure in each_figure(live_page):
        for slider in shown_sliders(figure):
            before, value, box = drawing(figure), slider.input_value(), slider.bounding_box()
            share = 0.3 if float(value) > sum(limits(slider)) / 2 else 0.7
            live_page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            assert slider.input_value() != value
            assert drawing(figure) != before, slider.get_attribute("aria-label")


def limits(slider):
    return [float(slider.get_attribute(name)) for name in ("min", "max")]


def text_of(figure):
    return figure.locator("[data-status]").inner_text()


@live_pages
def test_figure_agrees_with_python(live_page, page_name):
    """The same settings give the same orbit and outcome, before and after a slider moves.

    Figures that do not descend a formula are compared with Python in tests of their own.
    """
    import numpy as np

    import gdbook as gd

    in_python = figures_in_python(page_name)
    on_page = list(each_figure(live_page))
    assert len(in_python) == len(on_page)
    for figure, made in zip(on_page, in_python, strict=True):
        if not {"start", "learning_rate"} <= state(figure).keys() or made.objective is None:
            continue
        for moves in (0, 4):
            slider = shown_sliders(figure)[0]
            slider.focus()
            for _ in range(moves):
                live_page.keyboard.press("ArrowLeft")
            live_page.wait_for_timeout(100)
            now = state(figure)
            orbit = gd.gradient_descent(made.objective, now["start"], now["learning_rate"], 4096)
            if "outcome" in now:
                assert now["outcome"]["label"] == orbit.outcome.label
                if orbit.outcome.label == "converged":
                    assert now["outcome"]["step"] == orbit.outcome.step
            if "orbit" in now and orbit.outcome.label == "converged":
                seen = np.reshape(now["orbit"], (len(now["orbit"]), -1))
                assert np.allclose(seen, orbit.points[: len(seen)], rtol=1e-12, atol=1e-12)


@live_pages
def test_basin_picture_never_blocks(live_page, page_name):
    """While a new basin picture is computed no task is long and the slider's redraw is quick."""
    for figure in each_figure(live_page):
        if figure.locator('[data-live="DescentExplorer2D"]').count() == 0:
            continue
        # Other programs may take the processor in between: the best of three tries counts, and the
        # quickest redraw of each.
        longest, redraw = map(min, zip(*(times_of_moving(figure) for _ in range(3)), strict=True))
        assert longest <= 50
        assert redraw <= 1000 / 60


def times_of_moving(figure):
    """Longest task and quickest redraw in milliseconds while a slider moves ten times.

    Of a task the time counts that its thread had the processor, whatever else runs meanwhile.
    """
    page = figure.page
    browser = page.context.browser
    browser.start_tracing(
        page=page, categories=["disabled-by-default-devtools.timeline", "toplevel"]
    )
    shown_sliders(figure)[0].focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(30)
    page.wait_for_timeout(1500)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event["tdur"] / 1000
        for event in events
        if (event["pid"], event["tid"]) in main
        and event["name"].endswith("RunTask")
        and "tdur" in event
    ]
    longest = max(tasks)
    redraw = figure.locator("[data-live]").evaluate("(root) => root.liveFigure.timings.redraw")
    return longest, min(redraw[-10:])


@live_pages
def test_shared_address_brings_the_state(browser, site, page_name):
    page = open_page(browser, f"{site}/{page_name}#live-1?learning_rate=0.25&start=nonsense")
    figure = page.locator("#live-1.running")
    figure.wait_for()
    assert state(figure)["learning_rate"] == 0.25
    assert page.errors == []
    page.context.close()


@live_pages
def test_still_is_there_without_javascript(browser, site, page_name):
    page = open_page(browser, f"{site}/{page_name}", java_script_enabled=False)
    for still in page.locator(".live-still").all():
        still.scroll_into_view_if_needed()
        assert still.is_visible() and still.bounding_box()["height"] > 100
    page.context.close()


@live_pages
def test_still_is_what_is_printed(live_page, page_name):
    live_page.emulate_media(media="print")
    for figure in live_page.locator(".live-figure").all():
        assert figure.locator(".live-still").is_visible()
        assert not figure.locator(".live-host").is_visible()


@live_pages
def test_state_in_the_page_is_plain_data(page_name):
    text = (SITE / page_name).read_text(encoding="utf-8")
    for data in re.findall(r'<script type="application/json">(.*?)</script>', text, re.S):
        files = json.loads(data)
        for address in (files["module"], *files["texts"].values()):
            assert (SITE / address).is_file()
