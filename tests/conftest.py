"""Fixtures
--------
show
    Open a page with one live figure, ``show(figure, width=1000, shared="#live-1?...")``.
    When the test ends, nothing may have gone wrong on it.
node
    Run a script in Node beside the modules of the figures, ``node(script, data, worker=text)``.
mnist
    Have ``GDBOOK_DATA`` name a folder with MNIST; a test that asks for it is skipped where none is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gdbook
from tests.figure_page import ADDRESS, PAGE, START

ROOT = Path(__file__).parents[1]


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


@pytest.fixture
def mnist(monkeypatch):
    """The folder that ``GDBOOK_DATA`` names, or ``shared/mnist`` beside this one."""
    folder = Path(os.environ.get("GDBOOK_DATA", ROOT.parent / "shared" / "mnist"))
    if not folder.is_dir():
        pytest.skip("no MNIST: GDBOOK_DATA names no folder with it")
    monkeypatch.setenv("GDBOOK_DATA", str(folder))


@pytest.fixture
def node(tmp_path):
    """Run a script in Node: it gets `data` and leaves plain data in `result`.

    It may import the modules of the figures, as ``./drawing.js``, and every text that is given by
    name, ``worker=text`` as ``./worker.mjs``.
    """
    driver = Path(pytest.importorskip("playwright").__file__).parent / "driver"
    program = driver / ("node.exe" if sys.platform == "win32" else "node")

    def run(script, data, **texts):
        for path in (Path(gdbook.__file__).parent / "widgets").glob("*.js"):
            (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        for name, text in texts.items():
            (tmp_path / f"{name}.mjs").write_text(text, encoding="utf-8")
        (tmp_path / "package.json").write_text('{"type": "module"}')
        (tmp_path / "data.json").write_text(json.dumps(data))
        (tmp_path / "main.mjs").write_text(
            'import { readFileSync, writeFileSync } from "node:fs";\n'
            'const data = JSON.parse(readFileSync("data.json", "utf8"));\n'
            f"{script}\n"
            'writeFileSync("result.json", JSON.stringify(result));\n'
            "process.exit(0);\n",  # a module may have left a worker or a timer
            encoding="utf-8",
        )
        subprocess.run([program, "main.mjs"], cwd=tmp_path, check=True, timeout=120)
        return json.loads((tmp_path / "result.json").read_text())

    return run
