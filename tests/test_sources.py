"""What the documents show and say: all of it is in the data, and every row leads somewhere."""

import re
from pathlib import Path

import pytest

from book import sources
from tests.small_site import site

ROOT = Path(__file__).parents[1]
CHAPTERS = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("chapters/*.md")}
TEXT = "\n".join(CHAPTERS.values())
DATA = sources.read()
LABELS = {
    label
    for found in re.findall(
        r"^\(([\w-]+)\)=$|^:label: ([\w-]+)$|^ *:?name: ([\w-]+)$|^.*\$\$ \(([\w-]+)\)$",
        TEXT,
        re.MULTILINE,
    )
    for label in found
    if label
}
CELLS = re.findall(r"^```\{code-cell\}.*?^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_counts_are_those_of_the_two_readings():
    assert sum(sources.SHOWN.values()) == 54 and sum(sources.SAID.values()) == 30
    assert set(DATA) == {*sources.SHOWN, "beyond"} == {*sources.SAID, "beyond"}


@pytest.mark.parametrize("source", DATA)
def test_no_item_is_missing_and_each_has_a_link(source):
    assert sources.faults(source, DATA[source]) == []


@pytest.mark.parametrize("source", DATA)
def test_every_link_leads_to_a_label_of_a_chapter(source):
    linked = {target for row in DATA[source] for target in sources.targets(row)}
    assert linked - LABELS - set(CHAPTERS) == set()


@pytest.mark.parametrize("source", DATA)
def test_no_link_is_written_in_a_way_that_the_data_do_not_see(source):
    for row in DATA[source]:
        assert len(sources.targets(row)) == row["here"].count("}`"), row


def test_figures_are_made_by_cells():
    made = {name for cell in CELLS for name in re.findall(r"name: (fig-[\w-]+)", cell)}
    shown = {
        target
        for rows in DATA.values()
        for row in rows
        for target in sources.targets(row)
        if target.startswith("fig-")
    }
    assert len(shown) > 90 and shown <= made


def test_page_has_a_table_for_each_document():
    assert re.findall(r"```\{source-items\} (\w+)", CHAPTERS["figures"]) == list(DATA)


# ------------------------------------------------------------------------------------ the faults

ROW = {"what": "a theorem", "here": "{prf:ref}`thm-a`", "shown": [1]}


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(sources, "SHOWN", {"blog": 1})
    monkeypatch.setattr(sources, "SAID", {"blog": 0})


@pytest.mark.parametrize(
    "rows, said",
    [
        ([ROW], []),
        ([ROW, ROW], []),
        ([], [r"shown of blog: \[1\] missing"]),
        ([ROW | {"shown": [1, 2]}], [r"shown of blog: \[2\] missing or too many"]),
        ([ROW | {"said": [1]}], [r"said of blog: \[1\] missing or too many"]),
        ([ROW | {"here": "in the text"}], ["'a theorem' of blog has no link"]),
        ([ROW, {"what": "one", "seen": [1]}], [r"keys \['seen', 'what'\]"]),
    ],
)
def test_faults_are_told(rows, said, counted):
    found = sources.faults("blog", rows)
    assert len(found) == len(said)
    for message, pattern in zip(found, said, strict=True):
        assert re.search(pattern, message)


# ------------------------------------------------------------------------------------- the pages

CHAPTER = """# A chapter

:::{prf:theorem} Some title
:label: thm-a

It holds.
:::

(sec-b)=
## A section
"""
LIST = "# Items\n\n```{source-items} blog\n```\n"


def build(folder, monkeypatch, data):
    (folder / "sources.yml").write_text(data, encoding="utf-8")
    monkeypatch.setattr(sources, "DATA", folder / "sources.yml")
    pages = {"index": "# Top\n", "chapter": CHAPTER, "items": LIST}
    return site(folder, pages, "book.sources")


def test_table_has_the_links_of_its_rows(tmp_path, monkeypatch, counted):
    here = "{prf:ref}`thm-a`, {ref}`words <sec-b>`"
    data = f"blog:\n- {{what: 'it is $x^2$', here: '{here}', shown: [1]}}\n"
    html, said = build(tmp_path, monkeypatch, data)
    assert said == ""
    [table] = re.findall(r"<table.*?</table>", html("items"), re.DOTALL)
    assert 'class="fixed-columns' in table and "x^2" in table
    assert re.findall(r'href="([^"]*)"', table) == ["chapter.html#thm-a", "chapter.html#sec-b"]
    assert "Theorem 1" in table and "words" in table


@pytest.mark.parametrize(
    "data, words",
    [
        ("blog: []\n", "shown of blog"),
        ("blog:\n- {what: a, here: nowhere, shown: [1]}\n", "'a' of blog has no link"),
        ("blog:\n- {what: a, here: '{prf:ref}`thm-z`', shown: [1]}\n", "thm-z"),
        ("blog:\n- {what: a, here: '{ref}`sec-z`', shown: [1]}\n", "sec-z"),
        ("slides: []\n", "no document blog"),
    ],
)
def test_a_missing_item_and_a_link_to_nothing_are_warnings(
    data, words, tmp_path, monkeypatch, counted
):
    _, said = build(tmp_path, monkeypatch, data)
    assert words in said
