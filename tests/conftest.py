"""Fixtures
--------
show
    Open a page with one live figure, ``show(figure, width=1000, shared="#live-1?...")``.
    When the test ends, nothing may have gone wrong on it.
"""

import pytest

from tests.figure_page import ADDRESS, PAGE, START


@pytest.fixture
def show(browser):
    """Open a page with one figure; when the test ends, nothing may have gone wrong on it."""
    problems, contexts = [], []

    def open_page(figure, width=1000, shared=None, init="", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.add_init_script(init)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((ADDRESS, "data:", "blob:"))
                else problems.append(request.url)
            ),
        )
        page.route(ADDRESS, lambda route: route.fulfill(body=PAGE, content_type="text/html"))
        page.goto(ADDRESS + (shared or ""))
        state = figure.get_state()
        del state["layout"]
        data = {"state": state, "css": figure._css, "esm": figure._esm, "shared": shared}
        page.evaluate(START, data)
        page.wait_for_function(
            "document.querySelector('[data-live]').liveFigure.timings.redraw.length"
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
