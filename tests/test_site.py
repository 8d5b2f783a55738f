"""The Sphinx extension of the site: its functions, and a whole tiny book built with it."""

import base64
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from book import (
    cache,
    docstrings,
    execute,
    live,
    notebooks,
    pages,
    provenance,
    repeatable,
    repository,
    times,
)
from book.digest import digest, write_hashed

ROOT = Path(__file__).resolve().parents[1]
HEADER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
"""

# ---------------------------------------------------------------------------- names of contents


def test_digest_sees_names_contents_and_new_files(tmp_path):
    (tmp_path / "a.py").write_text("1")
    seen = [digest(tmp_path)]
    (tmp_path / "a.py").write_text("2")
    seen.append(digest(tmp_path))
    (tmp_path / "b.py").write_text("")
    seen.append(digest(tmp_path))
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    seen.append(digest(tmp_path))
    assert len(set(seen)) == 4
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("compiled")
    assert digest(tmp_path) == seen[-1]


def test_hashed_file_has_the_name_of_its_content(tmp_path):
    first = write_hashed(tmp_path, "formula", "js", "export const a = 1;")
    assert write_hashed(tmp_path, "formula", "js", b"export const a = 1;") == first
    assert write_hashed(tmp_path, "formula", "js", "export const a = 2;") != first
    assert (tmp_path / first).read_text() == "export const a = 1;"


# --------------------------------------------------------------------------------------- cache


@pytest.mark.parametrize(
    "file", ["gdbook/helper.py", "gdbook/widgets/a.js", "requirements/read.txt"]
)
def test_cache_key_covers(tmp_path, monkeypatch, file):
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    changed = tmp_path / file
    changed.parent.mkdir(parents=True)
    changed.write_text("1")
    before = cache.key()
    assert cache.key() == before
    changed.write_text("2")
    assert cache.key() != before


def test_cache_key_covers_installed_versions_but_not_the_commit(monkeypatch):
    before, installed = cache.key(), provenance.versions()
    monkeypatch.setattr(cache, "versions", lambda: installed | {"gdbook": "99"})
    assert cache.key() == before
    monkeypatch.setattr(cache, "versions", lambda: installed | {"NumPy": "99"})
    assert cache.key() != before


def test_cache_key_covers_the_images_that_networks_learn(monkeypatch):
    monkeypatch.delenv("GDBOOK_DATA", raising=False)
    before = cache.key()
    monkeypatch.setenv("GDBOOK_DATA", "mnist")
    assert cache.key() != before


def test_old_caches_go(tmp_path):
    for age in range(5):
        folder = tmp_path / f"cache-{age}"
        folder.mkdir()
        os.utime(folder, (1000 - age, 1000 - age))
    cache.prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache-0", "cache-1", "cache-2"]


# --------------------------------------------------------------------------------------- pages

PAGE = """<html>
<head>
<script data-cfasync="false">one()</script>
<script>two()</script>
<script src="_static/three.js"></script>
<script>four()</script>
<script type="application/json">{"five": 5}</script>
<script defer src="_static/scripts/fontawesome.js?digest=1"></script>
</head>
<body><button onclick="window.print()">print</button><p class="provenance"></p></body>
</html>"""


def finished(text):
    stored = {}

    def address_of(code):
        return stored.setdefault(code, f"_static/inline/{len(stored)}.js")

    return pages.finished(text, "made today", address_of), stored


def test_policy_is_the_first_thing_of_the_head():
    text, _ = finished(PAGE)
    assert re.search(r"<head>\s*<meta http-equiv=\"Content-Security-Policy\"", text)


def test_inline_scripts_move_in_order_and_neighbours_together():
    text, stored = finished(PAGE)
    assert list(stored) == ["one()\n;two()\n", "four()\n"]
    assert re.findall(r'<script src="([^"]*)"', text) == [
        "_static/inline/0.js",
        "_static/three.js",
        "_static/inline/1.js",
    ]
    assert '<script type="application/json">{"five": 5}</script>' in text


def test_handlers_icons_and_foot():
    text, _ = finished(PAGE)
    assert "onclick" not in text and 'data-click="print"' in text
    assert "fontawesome" not in text
    assert '<p class="provenance">made today</p>' in text


def test_punctuation_stays_with_a_short_formula():
    span = '<span class="math notranslate nohighlight">{}</span>'
    short, long = span.format(r"\(x_k\)"), span.format("x" * 60)
    text, _ = finished(PAGE.replace("<button", f"<p>{short}, {short} {long}, {short}).</p><button"))
    inside = [f'<span class="unbroken">{short}{sign}</span>' for sign in (",", ").")]
    assert f"<p>{inside[0]} {short} {long}, {inside[1]}</p>" in text


def test_finishing_twice_changes_nothing_but_the_foot():
    formula = '<span class="math notranslate nohighlight">h</span>.'
    once, _ = finished(PAGE.replace("</p>", f"{formula}</p>"))
    twice, stored = finished(once)
    assert twice == once and not stored


def test_assets_get_the_checksum_of_their_final_content(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.css").write_text("old")
    page = '<link href="_static/a.css?v=12345678"><link href="_static/gone.css">'
    old = repeatable.with_versions(page, tmp_path)
    (tmp_path / "_static" / "a.css").write_text("new")
    new = repeatable.with_versions(old, tmp_path)
    assert re.search(r'"_static/a\.css\?v=[0-9a-f]{8}"', old)
    assert new != old and '"_static/gone.css"' in new


def test_files_of_earlier_builds_go(tmp_path):
    inner = write_hashed(tmp_path, "drawing", "js", "export const a = 1;")
    outer = write_hashed(tmp_path, "figure", "js", f'import "./{inner}";')
    write_hashed(tmp_path, "figure", "js", "old")
    still = write_hashed(tmp_path, "still", "png", b"\xff\xfe")
    pages.remove_unmentioned(tmp_path, [f'<img src="_static/live/{still}">', f"module: {outer}"])
    assert {path.name for path in tmp_path.iterdir()} == {inner, outer, still}


# ---------------------------------------------------------------------------------- repository


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/owner/name",
        "https://github.com/owner/name.git",
        "git@github.com:owner/name.git",
        "ssh://git@github.com/owner/name.git",
        "https://user:secret@github.com/owner/name.git",
    ],
)
def test_web_address(remote):
    assert repository.web_address(remote) == "https://github.com/owner/name"


def test_repository_is_the_given_one_or_a_github_origin_or_none(monkeypatch):
    origins = {"value": "git@github.com:course/fork.git"}
    monkeypatch.setattr(repository, "git", lambda *arguments: origins["value"])
    monkeypatch.delenv("BOOK_REPOSITORY", raising=False)
    assert repository.repository() == "https://github.com/course/fork"
    origins["value"] = "/srv/git/book.git"
    assert repository.repository() == ""
    origins["value"] = ""
    assert repository.repository() == ""
    monkeypatch.setenv("BOOK_REPOSITORY", "https://git.example.org/group/book.git")
    assert repository.repository() == "https://git.example.org/group/book"


@pytest.mark.parametrize("wrong", ["owner/name", "javascript:alert(1)//a/b", 'https://a.b/c/"onx'])
def test_wrong_repository_is_named(monkeypatch, wrong):
    monkeypatch.setenv("BOOK_REPOSITORY", wrong)
    with pytest.raises(ValueError, match="BOOK_REPOSITORY"):
        repository.repository()


def test_colab_only_from_github():
    assert repository.colab("https://git.example.org/group/book", "page") == []
    [(_, _, url)] = repository.colab("https://github.com/owner/name", "page")
    assert url.endswith("/github/owner/name/blob/notebooks/page.ipynb")


# -------------------------------------------------------------------- notebooks, docstrings, times


def test_downloaded_notebook_is_the_same_every_time_and_names_the_commit():
    text = HEADER + "\n# Title\n\n```{code-cell} python\n:tags: [claim]\nassert 1 < 2\n```\n"
    made_from = {"commit": "abc", "date": "2026-01-01", "version": "1"}
    first = notebooks.notebook(text, made_from)
    assert notebooks.notebook(text, made_from) == first
    book = json.loads(first)
    assert book["metadata"]["gdbook"] == made_from
    assert [cell["id"] for cell in book["cells"]] == ["cell-1", "cell-2"]
    assert book["cells"][1]["outputs"] == []


def test_references_of_docstrings_become_a_list():
    lines = ["See [1]_.", "", ".. [1] Somebody, *Title*,", "       2020.", "", "After"]
    assert docstrings.with_list(lines) == [
        "See [1].",
        "",
        "1. Somebody, *Title*,",
        "   2020.",
        "",
        "After",
    ]


def test_cells_and_claims_are_counted(tmp_path):
    chapter = tmp_path / "a.md"
    chapter.write_text(
        HEADER
        + "\n```{code-cell} python\n1\n```\n"
        + "\n```{code-cell} python\n:tags: [remove-cell, claim]\nassert True\n```\n"
    )
    assert times.count_cells(chapter) == (2, 1)


def test_record_has_every_chapter_and_none_takes_longer_than_forty_seconds():
    chapters = {path.stem for path in (ROOT / "chapters").glob("*.md") if execute.is_notebook(path)}
    record = json.loads(times.RECORD.read_text(encoding="utf-8"))
    assert set(record["seconds"]) == chapters
    assert max(record["seconds"].values()) <= 40
    assert "plain Python loop" in record["machine"]  # tells a quiet machine from a busy one


# --------------------------------------------------------------------------------- live figures

STATE = {
    "_source": "figure.js",
    "_texts": {"formula": "export const f = (h) => h;"},
    "_still": base64.b64encode(b"a picture").decode(),
    "_still_size": [640, 360],
    "_space": [0.5, 80, 0.9, 120],
    "_alt": 'A "line" < rises',
    "_name": "</script>",
    "_css": ".live { color: red }",
    "_esm": "all of it",
    "_model_module": "anywidget",
    "layout": "IPY_MODEL_1234",
    "learning_rate": 1.5,
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    folder = tmp_path / "widgets"
    folder.mkdir()
    (folder / "figure.js").write_text('import { a } from "./drawing.js"; export default a;')
    (folder / "drawing.js").write_text("export const a = 1;")
    monkeypatch.setattr(live, "MODULES", folder)
    return folder


def test_code_of_a_figure_becomes_files(modules, tmp_path):
    out = tmp_path / "out"
    files = live.write_files(out, STATE)
    drawing = next(out.glob("drawing-*.js")).name
    assert f'from "./{drawing}"' in (out / files["module"]).read_text()
    assert (out / files["texts"]["formula"]).read_text() == STATE["_texts"]["formula"]
    assert (out / files["still"]).read_bytes() == b"a picture"
    (modules / "drawing.js").write_text("export const a = 2;")
    assert live.write_files(out, STATE)["module"] != files["module"]


def test_figure_in_the_page_keeps_its_state_and_its_place(modules, tmp_path):
    text = live.figure_html(STATE, live.write_files(tmp_path / "out", STATE), "_static/live/", 1)
    assert text.count("</script>") == 1  # the state cannot end its own script
    data = json.loads(re.search(r"<script[^>]*>(.*?)</script>", text)[1])
    assert data["state"]["learning_rate"] == 1.5 and data["state"]["_name"] == "</script>"
    assert not {"layout", "_esm", "_still", "_model_module"} & data["state"].keys()
    assert 'width="640" height="360"' in text and "--live-ratio:0.5;--live-below:80px" in text
    assert 'alt="A &quot;line&quot; &lt; rises"' in text


# ----------------------------------------------------------------------------- a whole tiny book

CHAPTER = (
    HEADER
    + """
# A page

```{code-cell} python
:tags: [remove-input]
import anywidget, traitlets
from gdbook import helper

class Figure(anywidget.AnyWidget):
    _esm = "export default { render() {} }"

figure = Figure()
synced = {name: traitlets.Any(value).tag(sync=True) for name, value in helper.STATE.items()}
figure.add_traits(**synced)
figure
```

```{code-cell} python
print("the answer is", helper.answer())
```
"""
)


def make_book(folder):
    """A book of two pages with the extension and the configuration of this one."""
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "_config.yml", folder)
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: page\n- file: second\n- file: execution\n"
    )
    (folder / "references.bib").touch()
    (folder / "requirements").mkdir()
    (folder / "requirements" / "read.txt").touch()
    widgets = folder / "gdbook" / "widgets"
    widgets.mkdir(parents=True)
    (widgets / "figure.js").write_text('import "./drawing.js"; export default { render() {} };')
    (widgets / "drawing.js").touch()
    state = {
        name: value for name, value in STATE.items() if name[:6] not in ("_model", "layout", "_esm")
    }
    (folder / "gdbook" / "__init__.py").write_text("__version__ = '1.0'\n")
    (folder / "gdbook" / "helper.py").write_text(f"STATE = {state!r}\ndef answer(): return 1\n")
    chapters = folder / "chapters"
    chapters.mkdir()
    (chapters / "index.md").write_text("# Tiny\n\nSee {doc}`page`.\n")
    (chapters / "page.md").write_text(CHAPTER)
    (chapters / "second.md").write_text(
        HEADER + "\n# Second\n\n```{code-cell} python\n1 + 1\n```\n"
    )
    (chapters / "execution.md").write_text("# Times\n\n```{execution-times}\n```\n")
    return folder


def build(folder, **environment):
    """`jupyter-book build` by hand; its exit code and what it said."""
    program = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    command = [program, "build", "chapters", "-W", "-n", "--keep-going"]
    command += ["--config", str(folder / "_config.yml"), "--toc", str(folder / "_toc.yml")]
    command += ["--path-output", str(folder)]
    clean = {name: value for name, value in os.environ.items() if name != "BOOK_REPOSITORY"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean | {"PYTHONPATH": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def built(folder, **environment):
    code, said = build(folder, **environment)
    assert code == 0, said
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_book(tmp_path_factory.mktemp("a tiny book"))
    return folder, built(folder)


def differing(first, second):
    """Paths below two folders that are not in both with equal bytes."""
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    names ^= {path.relative_to(second) for path in second.rglob("*") if path.is_file()}
    both = [
        path.relative_to(first)
        for path in first.rglob("*")
        if (second / path.relative_to(first)).is_file()
    ]
    return names | {
        name for name in both if not filecmp.cmp(first / name, second / name, shallow=False)
    }


def test_live_figure_stands_in_the_page(tiny):
    text = (tiny[1] / "page.html").read_text()
    assert text.count('<figure class="live-figure" id="live-1">') == 1
    assert "widget-view+json" not in text and "widget-state+json" not in text
    assert "host.js" in text and "host.js" not in (tiny[1] / "second.html").read_text()
    for address in re.findall(r"_static/live/[\w.-]+", text):
        assert (tiny[1] / address).is_file()


def test_moved_page_leads_to_its_new_address(tiny):
    text = (tiny[1] / "stable-regime.html").read_text()
    [script] = re.findall(r'<script src="([^"]+)"', text)
    assert (
        'location.replace("smooth-regime.html"' in (tiny[1] / script.partition("?")[0]).read_text()
    )


def test_without_a_repository_there_are_no_links_to_one(tiny):
    for page in tiny[1].glob("*.html"):
        assert not re.search("mybinder|colab|repository-buttons", page.read_text())


def test_nothing_names_another_host_to_load_from(tiny):
    for page in tiny[1].glob("*.html"):
        assert not re.findall(r'(?:src|data-url)="(?:https?:)?//[^"]*"', page.read_text())
        assert not re.findall(r'<link [^>]*href="(?:https?:)?//[^"]*"', page.read_text())


def test_notebook_can_be_downloaded_from_its_page(tiny):
    assert 'href="_sources/page.ipynb"' in (tiny[1] / "page.html").read_text()
    assert json.loads((tiny[1] / "_sources" / "page.ipynb").read_text())["nbformat"] == 4


def test_two_builds_are_equal_byte_for_byte(tiny, tmp_path):
    other = built(make_book(tmp_path / "another folder"))
    assert differing(tiny[1], other) == set()
    built(tiny[0])  # a warm build
    assert differing(tiny[1], other) == set()


def test_page_edited_and_restored_leaves_no_trace(tiny, tmp_path):
    folder = make_book(tmp_path / "edited")
    built(folder)
    page = folder / "chapters" / "index.md"
    text = page.read_text(encoding="utf-8")
    for content in (text + "\nForgottenword.\n", text):
        page.write_text(content, encoding="utf-8")
        other = built(folder)
    assert differing(tiny[1], other) == set()


def test_links_point_to_the_given_repository(tiny, tmp_path):
    folder = shutil.copytree(tiny[0], tmp_path / "fork")
    html = built(folder, BOOK_REPOSITORY="https://github.com/course/fork")
    text = (html / "page.html").read_text()
    for address in (
        "https://github.com/course/fork",
        "https://mybinder.org/v2/gh/course/fork/HEAD?urlpath=lab/tree/chapters/page.md",
        "https://colab.research.google.com/github/course/fork/blob/notebooks/page.ipynb",
    ):
        assert f'href="{address}"' in text
    assert "mybinder" not in (html / "index.html").read_text()  # nothing to run there


def test_changed_helper_changes_the_page(tiny, tmp_path):
    """jupyter-cache alone would show the old answer: no code cell has changed."""
    folder = shutil.copytree(tiny[0], tmp_path / "changed")
    helper = folder / "gdbook" / "helper.py"
    helper.write_text(helper.read_text().replace("return 1", "return 22"))
    assert "the answer is 22" in (built(folder) / "page.html").read_text()
    helper.write_text(helper.read_text().replace("return 22", "return 1"))
    code, said = build(folder)
    assert code == 0 and said.count("Using cached notebook") == 2
    assert "the answer is 1\n" in (folder / "_build" / "html" / "page.html").read_text()


def test_failed_build_fails_again(tiny, tmp_path):
    folder = shutil.copytree(tiny[0], tmp_path / "failing")
    index = folder / "chapters" / "index.md"
    good = index.read_text()
    index.write_text(good + "\n{ref}`nowhere`\n")
    assert [build(folder)[0] != 0 for _ in range(2)] == [True, True]
    index.write_text(good)
    assert build(folder)[0] == 0


def test_failing_cell_fails_the_build_and_is_shown(tiny, tmp_path):
    folder = shutil.copytree(tiny[0], tmp_path / "wrong")
    (folder / "chapters" / "second.md").write_text(
        HEADER + "\n# Second\n\n```{code-cell} python\nassert 1 > 2, 'not so'\n```\n"
    )
    for _ in range(2):
        code, said = build(folder)
        assert code != 0 and "AssertionError: not so" in said
