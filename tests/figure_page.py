"""A live figure alone on a page, as Jupyter gives it: what its browser tests share."""

ADDRESS = "http://figures.test/"
# Two frames, or half a minute: a browser that draws none must not hold up all other tests.
FRAMES = """new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
  setTimeout(done, 30000);
})"""

PAGE = (
    """<!doctype html>
<html lang="en" data-theme="light"><head><title>Figures</title><link rel="icon" href="data:,">
<style>body, figure { margin: 0 !important }</style></head><body>
<figure id="live-1"><main id="here"></main></figure>
<script>const twoFrames = () => """
    + FRAMES
    + "</script></body></html>"
)

# A model with anywidget's interface; the figure's clean-up function stays at hand.
START = """async ({ state, css, esm, shared }) => {
  const bus = new EventTarget(), wrapped = new Map();
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = value;
      bus.dispatchEvent(new Event(`change:${name}`));
      bus.dispatchEvent(new Event("change"));
    },
    save_changes() {},
    on: (type, f) => { wrapped.set(f, () => f()); bus.addEventListener(type, wrapped.get(f)); },
    off: (type, f) => bus.removeEventListener(type, wrapped.get(f)),
  };
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const address = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const el = document.getElementById("here");
  if (shared !== null) el.parentElement.className = "live-figure";
  window.model = model;
  window.stop = await (await import(address)).default.render({ model, el });
}"""


def state(page):
    """State of the figure after it has drawn."""
    page.evaluate(FRAMES)
    return page.evaluate("document.querySelector('[data-live]').liveFigure.state()")


def picture(page, canvas=0):
    """Pixels of a canvas as text."""
    state(page)
    return page.evaluate(f"document.querySelectorAll('canvas')[{canvas}].toDataURL()")


def state_after_many_wishes(page, done):
    """State of the figure whose second slider was moved twelve times, faster than it computes."""
    slider = page.locator("input[type=range]").nth(1)
    slider.focus()
    for _ in range(12):
        slider.press("ArrowLeft")
    state(page)
    page.wait_for_function(done)
    return state(page)


def status(page):
    return page.locator("[data-status]").inner_text()


def place(page, canvas, x, y=0.5):
    """Where a share of a plot's width and height stands on the screen."""
    box = page.locator("canvas").nth(canvas).bounding_box()
    return (
        box["x"] + 46 + x * (box["width"] - 58),
        box["y"] + box["height"] - 36 - y * (box["height"] - 62),
    )


def drag(page, start, end, **options):
    """Pull the pointer from one place to another."""
    page.mouse.move(*start)
    page.mouse.down(**options)
    page.mouse.move(*end, steps=5)
    page.mouse.up(**options)


def finger(page):
    """A function that touches the screen: ``touch("touchMove", place, ...)``, a place a finger."""
    chrome = page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        chrome.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return touch


def work_meter(page):
    """A function that gives the milliseconds of computing that the page's own thread has done.

    A machine that does other things as well changes them little, unlike times on the clock.
    """
    chrome = page.context.new_cdp_session(page)
    chrome.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked():
        metrics = chrome.send("Performance.getMetrics")["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    return worked


def times_of_wishes(page, name, values):
    """Milliseconds of each first look and each whole answer, and of the last drawings.

    A trait is set to one value after the other, and each time the whole answer is waited for.
    """
    return page.evaluate(
        """async ([name, values]) => {
          const { timings } = document.querySelector("[data-live]").liveFigure;
          const [full, coarse] = [[], []];
          for (const value of values) {
            model.set(name, value);
            do await new Promise((r) => setTimeout(r, 30));
            while (timings.full === undefined);
            full.push(timings.full);
            coarse.push(timings.coarse);
          }
          return { full, coarse, redraw: timings.redraw.slice(-20) };
        }""",
        [name, values],
    )


def swipe_up(page, touch, x, y):
    """A finger that goes up from a place until the page has scrolled."""
    touch("touchStart", (x, y))
    for k in range(1, 9):
        touch("touchMove", (x, y - 15 * k))
    touch("touchEnd")
    page.wait_for_function("scrollY > 20")
