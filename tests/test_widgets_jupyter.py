"""Live figures in a real JupyterLab with a kernel: pointer, keys, theme, kernel, no other host."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("playwright")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupyterlab")

CELLS = [
    "import gdbook as gd",
    "one = gd.widgets.DescentExplorer1D(gd.catalogue.quadratic(), 1.0, 1.5)\none",
    "gd.widgets.DescentExplorer2D(gd.catalogue.scalar_factorization(), (0.3, 2.0), 0.5)",
    "gd.widgets.FlowExplorer(gd.catalogue.quadratic(), start=1.0, learning_rate=0.5)",
    "gd.widgets.RegimeMap()",
    "print('learning rate in the kernel:', round(one.learning_rate, 6))",
]
NAMES = ["DescentExplorer1D", "DescentExplorer2D", "FlowExplorer", "RegimeMap"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab that knows one notebook and nothing of the user's settings."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "notebooks"
    folder.mkdir()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, folder / "figures.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        **{f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")},
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_TOKEN": token,
    }
    log = (home / "log").open("w")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
            f"--ServerApp.root_dir={folder}",
            "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if server.poll() is not None:
                pytest.fail(f"JupyterLab did not start:\n{Path(log.name).read_text()[-2000:]}")
            try:
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=5).close()
                break
            except OSError:
                time.sleep(0.25)
        else:
            pytest.fail("JupyterLab did not answer within a minute")
        yield f"{address}/lab/tree/figures.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def run_all_cells(page):
    """Run them; once more if no kernel was there yet, which forgets what it was asked."""
    from playwright.sync_api import TimeoutError as TooLate

    for _ in range(3):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            page.locator("[data-live]").first.wait_for(state="attached", timeout=90_000)
            return
        except TooLate:
            page.keyboard.press("Escape")


@pytest.fixture(scope="module")
def notebook(lab, browser):
    """The notebook in JupyterLab, all cells run; with the problems that the page had."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.problems = []
    host = lab.split("/lab/")[0]
    page.on("pageerror", lambda error: page.problems.append(str(error)))

    def note(request):
        if not request.url.startswith((host, host.replace("http", "ws"), "data:", "blob:")):
            page.problems.append(request.url)

    page.on("request", note)
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.goto(lab)
    page.locator(".jp-Notebook").wait_for(timeout=90_000)
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_text("Python 3", exact=False).first.wait_for(timeout=60_000)
    run_all_cells(page)
    for name in NAMES:
        page.locator(f"[data-live={name}]").wait_for(state="attached", timeout=240_000)
    yield page
    context.close()


def drawing(root):
    """Pixels of all canvases of a figure, after the next frames."""
    return root.evaluate(
        """async (root) => {
          for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
          return [...root.querySelectorAll("canvas")].map((c) => c.toDataURL()).join();
        }"""
    )


@pytest.mark.parametrize("name", NAMES)
def test_slider_answers_keys_and_pointer(name, notebook):
    root = notebook.locator(f"[data-live={name}]")
    root.scroll_into_view_if_needed()
    slider = root.locator("input[type=range]").first
    slider.focus()
    value = float(slider.input_value())
    before = drawing(root)
    for key, direction in (("ArrowRight", 1), ("ArrowUp", 1), ("ArrowLeft", -1), ("ArrowDown", -1)):
        notebook.keyboard.press(key)
        after, last = float(slider.input_value()), value
        assert (after - last) * direction > 0, f"{key} moved {last} to {after}"
        value = after
    notebook.keyboard.press("ArrowRight")
    by_key = drawing(root)
    assert by_key != before
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    notebook.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + box["height"] / 2)
    assert drawing(root) != by_key
    assert root.locator("[data-status]").inner_text()


@pytest.mark.parametrize("name", NAMES)
def test_picture_answers_keys(name, notebook):
    root = notebook.locator(f"[data-live={name}]")
    canvas = root.locator("canvas").first
    canvas.focus()
    before = drawing(root)
    notebook.keyboard.press("Shift+ArrowRight")
    assert drawing(root) != before
    assert canvas.evaluate("(canvas) => document.activeElement === canvas")


def test_dark_theme_is_followed(notebook):
    root = notebook.locator("[data-live=FlowExplorer]")
    root.scroll_into_view_if_needed()
    light = drawing(root)
    notebook.evaluate("document.body.setAttribute('data-jp-theme-light', 'false')")
    dark = drawing(root)
    notebook.evaluate("document.body.setAttribute('data-jp-theme-light', 'true')")
    assert dark != light and drawing(root) == light


def test_the_kernel_sees_what_the_hand_does(notebook):
    number = notebook.locator("[data-live=DescentExplorer1D] input[type=number]").first
    number.scroll_into_view_if_needed()
    number.fill("1.75")
    number.press("Tab")
    cell = notebook.locator(".jp-CodeCell").filter(has_text="in the kernel")
    cell.locator(".cm-content").click()
    notebook.keyboard.press("Shift+Enter")
    cell.get_by_text("learning rate in the kernel: 1.75").wait_for(timeout=30_000)


def test_nothing_went_wrong(notebook):
    assert notebook.problems == []
