"""What the tests share: the chapters as notebooks, a browser, the built site.

Fixtures
--------
task
    The launcher as a module.
chromium
    Path of a Chromium or Chrome. None there: a skip, or a failure with ``BOOK_REQUIRE_BROWSER=1``.
browser
    That browser, started once for each test module by Playwright's synchronous interface.
site
    Address of the built site (``http://127.0.0.1:<free port>``, no slash at the end).
"""

import importlib.machinery
import importlib.util
import os
import shutil
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent

CHROMIUM = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collect_file(file_path, parent):
    """Let nbval run every chapter, cell by cell, from the notebook that its text stands for."""
    if file_path.suffix != ".md" or file_path.parent != ROOT / "chapters":
        return None
    text = file_path.read_text(encoding="utf-8")
    if not (parent.config.option.nbval_lax and text.startswith("---\njupytext:")):
        return None
    import jupytext
    from nbval.plugin import IPyNbFile

    text = jupytext.writes(jupytext.reads(text, fmt="md:myst"), fmt="ipynb")
    notebook = ROOT / "_build" / "nbval" / f"{file_path.stem}.ipynb"
    notebook.parent.mkdir(parents=True, exist_ok=True)
    # All workers collect at once: each writes a file of its own and puts it in place whole.
    unfinished = notebook.with_suffix(f".{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(notebook)
    return IPyNbFile.from_parent(parent, path=notebook)


def unavailable(reason):
    """Skip with a reason, or fail with it where the browser tests must run."""
    if os.environ.get("BOOK_REQUIRE_BROWSER") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium():
    for name in CHROMIUM:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        unavailable("no Chromium or Chrome here; `python -m playwright install chromium` gets one")
    return path


# One browser a module, not one a session: Playwright keeps an event loop running in this thread,
# and the notebooks that the same worker runs next want their own.
@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def task():
    loader = importlib.machinery.SourceFileLoader("task", str(ROOT / "task"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("task", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def site(task):
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").exists():
        unavailable("the site is not built; `./task book` builds it")
    with task.server(folder, ports=[0]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
