"""The back matter keeps up with the chapters. That its links lead somewhere the build checks."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("chapters/*.md")}
CHAPTERS = {name: text for name, text in PAGES.items() if "(erratum-" in text}
CITED = {
    key.strip()
    for text in PAGES.values()
    for keys in re.findall(r"\{cite[:\w]*\}`([^`]*)`", text)
    for key in keys.split(",")
}


def labels(text, prefix):
    return set(re.findall(rf"^\(({prefix}[\w-]+)\)=$", text, re.MULTILINE))


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_box_of_a_chapter_stands_in_the_errata(name):
    listed = set(re.findall(r"\{ref\}`[^`<]*<(erratum-[\w-]+)>`", PAGES["errata"]))
    assert labels(PAGES[name], "erratum-") <= listed


def test_there_are_boxes_to_list():
    assert {"smooth-regime", "backward-error-analysis"} <= set(CHAPTERS)


def test_every_reference_is_cited_and_stands_once():
    keys = re.findall(
        r"^@\w+\{([^,]+),", (ROOT / "references.bib").read_text("utf-8"), re.MULTILINE
    )
    assert len(keys) == len(set(keys))
    assert set(keys) == CITED


def test_the_front_page_links_every_page_of_the_book():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for page in re.findall(r"- file: ([\w-]+)", toc):
        assert f"]({page}.md)" in PAGES["index"], page


def test_glossary_is_in_alphabetical_order():
    terms = re.findall(r"^(?!`|#|  )(\S.*)\n  ", PAGES["glossary"], re.MULTILINE)
    letters = [re.sub(r"[^a-z]", "", term.lower()) for term in terms]
    assert len(terms) > 20 and letters == sorted(letters)
