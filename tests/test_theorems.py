"""The list of all statements and the counts on a page are those of the whole book."""

import html
import re
from pathlib import Path

import pytest

from book import counts, theorems
from tests.small_site import site

PARTS = ["book.theorems", "book.counts", "book.repeatable"]
PAGES = {
    "index": "# Top\n",
    "list": (
        "# List\n\nThe letter $h$. {how-many}`statements` statements, "
        "{how-many}`corrections` corrections, {how-many}`shown` items.\n\n"
        "```{theorem-index}\n```\n"
    ),
    "zebra": """# Zebra

:::{prf:theorem} About $x^2$
:label: thm-z
It holds.
:::

:::{prf:lemma}
It helps.
:::
""",
    "empty": "# Nothing\n",
    "ant": """# Ant

(erratum-a)=
A box.

:::{prf:proposition} Without number
:nonumber:
No.
:::

:::{prf:theorem} Last
:label: thm-a
It *also* holds.
:::
""",
}


def body(page):
    return page[page.index("<body>") :]


def seen(page):
    """Lines of the list as one reads them, with the links."""
    section = page[page.index("<h1>") : page.index("</section>")]
    lines = re.findall(r"<(?:p|h2)[^>]*>(.*?)</(?:p|h2)>", section, re.DOTALL)
    links = re.findall(r'<a class="reference internal" href="([^"]*)"', section)
    return [html.unescape(re.sub("<[^>]*>", "", line)) for line in lines], links


def test_list_is_complete_in_the_order_of_the_book(tmp_path):
    page, said = site(tmp_path, PAGES, *PARTS)
    assert said == ""
    lines, links = seen(page("list"))
    assert lines == [
        r"The letter \(h\). 3 statements, 1 corrections, 54 items.",
        "3 statements on 2 pages: 2 theorems and 1 lemma.",
        "2. Zebra",
        r"Theorem 2.1 (About \(x^2\))",
        "Lemma 2.1",
        "4. Ant",
        "Theorem 4.1 (Last)",
    ]
    assert links[:2] == ["zebra.html", "zebra.html#thm-z"] and len(links) == 5
    for link in links:
        name, _, label = link.partition(".html#")
        assert not label or f'id="{label}"' in page(name)


def test_a_later_build_of_one_page_has_the_list_of_a_new_build(tmp_path):
    changed = PAGES | {"ant": PAGES["ant"].replace("Last", "Later") + "\n(erratum-b)=\nB.\n"}
    (tmp_path / "new").mkdir()
    fresh, _ = site(tmp_path / "new", changed, *PARTS)
    before, _ = site(tmp_path, PAGES, *PARTS)
    assert body(before("list")) != body(fresh("list"))
    after, said = site(tmp_path, changed, *PARTS)
    assert said == ""
    assert body(after("list")) == body(fresh("list"))
    assert "(Later)" in after("list") and "2 corrections" in after("list")


def test_a_book_that_states_nothing(tmp_path):
    page, said = site(tmp_path, {"index": "# Top\n", "list": PAGES["list"]}, *PARTS)
    assert said == ""
    assert "0 statements on 0 pages: nothing yet." in seen(page("list"))[0]


@pytest.mark.parametrize(
    "text, words",
    [
        ("{how-many}`theorms`", "no count of theorms: there are"),
        ("{in-repository}`book/count.py`", "there is no book/count.py in the repository"),
    ],
)
def test_what_does_not_exist_is_a_warning(text, words, tmp_path):
    _, said = site(tmp_path, {"index": "# Top\n", "page": f"# Page\n\n{text}\n"}, *PARTS)
    assert words in said


@pytest.mark.parametrize(
    "address, link",
    [
        ("https://github.com/owner/name", "https://github.com/owner/name/blob/HEAD/book/counts.py"),
        ("https://git.example.org/owner/name", None),
        ("", None),
    ],
)
def test_files_are_links_where_the_repository_is_known(address, link, tmp_path, monkeypatch):
    monkeypatch.setattr(counts, "repository", lambda: address)
    pages = {"index": "# Top\n", "page": "# Page\n\n{in-repository}`book/counts.py`\n"}
    page, said = site(tmp_path, pages, *PARTS)
    assert said == ""
    [line] = re.findall(r"<p>(.*?book/counts\.py.*?)</p>", page("page"))
    assert re.findall('href="([^"]*)"', line) == ([link] if link else [])


def test_every_count_is_asked_for_by_a_page():
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in (Path(__file__).parents[1] / "chapters").glob("*.md")
    )
    assert set(re.findall(r"\{how-many\}`(\w+)`", text)) == set(counts.COUNTS)


@pytest.mark.parametrize(
    "number, word, words",
    [(1, "lemma", "1 lemma"), (3, "corollary", "3 corollaries"), (0, "remark", "0 remarks")],
)
def test_words_for_numbers(number, word, words):
    assert theorems.count(number, word) == words


NOTEBOOK = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# Computed

```{code-cell} ipython3
1 + 1
```
"""


def test_cells_and_claims_of_all_notebooks_are_added(tmp_path):
    claim = "\n```{code-cell} ipython3\n:tags: [remove-cell, claim]\n\nassert 1 + 1 == 2\n```\n"
    for name, text in (("one", NOTEBOOK), ("two", NOTEBOOK + claim), ("page", "# Page\n")):
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")

    class Environment:
        found_docs = frozenset({"one", "two", "page"})

        def doc2path(self, name):
            return str(tmp_path / f"{name}.md")

    asked = ["cells", "claims", "notebooks"]
    assert [counts.COUNTS[name](Environment()) for name in asked] == [3, 1, 2]
    (tmp_path / "one.md").write_text(NOTEBOOK + claim + claim, encoding="utf-8")
    assert [counts.COUNTS[name](Environment()) for name in asked] == [5, 3, 2]
