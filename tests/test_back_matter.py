"""The back matter keeps up with the chapters. That its links lead somewhere the build checks."""

import ast
import re
from pathlib import Path

import pytest
import yaml

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


# -------------------------------------------------------------------------------------- errata

ENTRIES = re.split(r"^### ", PAGES["errata"], flags=re.MULTILINE)[1:]
BOXES = {label: name for name, text in CHAPTERS.items() for label in labels(text, "erratum-")}


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_box_of_a_chapter_stands_in_the_errata(name):
    listed = set(re.findall(r"\{ref\}`[^`<]*<(erratum-[\w-]+)>`", PAGES["errata"]))
    assert labels(PAGES[name], "erratum-") <= listed


def test_there_are_boxes_to_list():
    assert {"smooth-regime", "backward-error-analysis"} <= set(CHAPTERS)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.partition("\n")[0])
def test_every_entry_of_the_errata_has_its_box(entry):
    [label] = re.findall(r"\{ref\}`The\s+box\s+<(erratum-[\w-]+)>`", entry)
    assert rf"({label})=" in PAGES[BOXES[label]]
    for part in ("*Written:*", "*Found:*", "*Both are right"):
        assert entry.count(part) == 1


def test_there_are_as_many_boxes_as_entries():
    boxes = re.findall(r"^:class: correction$", "\n".join(CHAPTERS.values()), re.MULTILINE)
    assert len(boxes) == len(BOXES) == len(ENTRIES)
    for label, name in BOXES.items():
        box = rf"^\({label}\)=\n:::+\{{admonition\}} \S.*\n:class: correction$"
        assert re.search(box, PAGES[name], re.MULTILINE), label


# -------------------------------------------------------------------------------- bibliography

REFERENCES = {
    re.match(r"\w+\{([^,]+),", entry)[1]: dict(
        re.findall(r"^ +(\w+) *= *\{(.*)\},?$", entry, re.MULTILINE)
    )
    for entry in re.split(r"^@", (ROOT / "references.bib").read_text("utf-8"), flags=re.M)[1:]
}
# Where a work without an identifier is to be found
PLACES = ["publisher", "school", "howpublished", "booktitle", "journal"]


@pytest.mark.parametrize("key", REFERENCES)
def test_every_reference_says_who_what_when_and_where(key):
    entry = REFERENCES[key]
    assert entry.get("author") or entry.get("editor")
    assert entry["title"]
    assert re.fullmatch(r"\d{4}|undated", entry["year"])
    assert {"doi", "eprint", *PLACES} & entry.keys() or entry["year"] == "undated"


@pytest.mark.parametrize("key", REFERENCES)
def test_identifiers_have_their_form(key):
    entry = REFERENCES[key]
    if "doi" in entry:
        assert re.fullmatch(r"10\.\d{4,9}/\S+", entry["doi"])
    if "eprint" in entry:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", entry["eprint"])
        assert 1 <= int(entry["eprint"][2:4]) <= 12
    if "doi" in entry and "arXiv" in entry["doi"]:
        assert re.fullmatch(r"10\.48550/arXiv\.\d{4}\.\d{4,5}", entry["doi"])


def test_no_two_references_have_one_identifier():
    for names in (("doi",), ("eprint",), ("title", "author")):
        having = [entry for entry in REFERENCES.values() if set(names) <= entry.keys()]
        values = [" ".join(entry[name].lower() for name in names) for entry in having]
        assert len(values) == len(set(values))


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


# ------------------------------------------------------------------------------------ glossary

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
NUMBERED = [page["file"] for part in TOC if part.get("numbered") for page in part["chapters"]]
TERMS = re.findall(r"^(?!`|#|  )(\S.*)\n  ", PAGES["glossary"], re.MULTILINE)
CODE = re.compile(r"^(```+)\{?.*?^\1$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def test_glossary_is_in_alphabetical_order():
    letters = [re.sub(r"[^a-z]", "", term.lower()) for term in TERMS]
    assert len(TERMS) > 20 and letters == sorted(letters)


def prose(text):
    """A chapter without its header, its cells and its code."""
    return CODE.sub("", text.partition("\n---\n")[2])


def bold(text):
    """What a text sets in bold, but for lead-ins such as **Goals.** and **1.**"""
    spans = re.findall(r"\*\*(?=\S)([^*]+?)(?<=\S)\*\*", prose(text))
    return [" ".join(span.split()) for span in spans if not span.endswith((".", ":"))]


def plain(words):
    """Words in small letters, without a formula that stands before them, in the singular."""
    words = re.sub(r"^(\$[^$]*\$|\([^)]*\))-", "", words).lower()
    return [word.removesuffix("s") for word in re.findall(r"[\w'-]+", words)]


@pytest.mark.parametrize("name", NUMBERED)
def test_every_word_in_bold_has_an_entry(name):
    entries = [plain(term) for term in TERMS]
    for span in bold(PAGES[name]):
        words = plain(span)
        assert words in [entry[: len(words)] for entry in entries], span


def test_the_rule_sees_words_in_bold():
    text = "\n---\n**Goals.** A **new\nword**, `a**2 + b**2`, **$L$-smooth**, **1.** and **A.**\n"
    text += "```{code-cell} ipython3\na = x**2 + y**2\n```\n"
    assert bold(text) == ["new word", "$L$-smooth"]
    assert plain("$(L_0,L_1)$-smooth") == plain("(L₀, L₁)-smooth") == ["smooth"]
    assert sum(len(bold(PAGES[name])) for name in NUMBERED) > 70


ELSEWHERE = " ".join(text for name, text in PAGES.items() if name != "glossary")
WORDS = f" {' '.join(plain(ELSEWHERE))} "
BEGINNINGS = [plain(span) for name in NUMBERED for span in bold(PAGES[name])]


@pytest.mark.parametrize("term", TERMS)
def test_every_entry_is_a_word_of_the_book(term):
    words = plain(re.split(" of an? ", term)[0])
    defined = [words[: len(bold_words)] == bold_words for bold_words in BEGINNINGS]
    assert any(defined) or f" {' '.join(words)} " in WORDS


# ------------------------------------------------------------------------- the package, by name


def public_names():
    """``module, names`` of every module that says what is public; a name with where it is from."""
    for path in sorted((ROOT / "gdbook").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        home, body = {}, ast.parse(path.read_text(encoding="utf-8")).body
        for node in body:
            if isinstance(node, ast.ImportFrom):
                home |= {alias.name: node.module for alias in node.names}
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names = ast.literal_eval(node.value)
                yield module, {name: home.get(name, module) for name in names}


PUBLIC = dict(public_names())
API = PAGES["api"]


def documented():
    """Full names that the page of the package documents: by name, or with all of a module."""
    names = set()
    for module, listed in re.findall(r"^\.\. automodule:: (\S+)\n   :members: *(.*)$", API, re.M):
        names |= {f"{module}.{name}" for name in listed.split(", ") if listed}
        names |= {f"{module}.{name}" for name in PUBLIC.get(module, []) if not listed}
    for section in re.split(r"^\.\. currentmodule:: ", API, flags=re.MULTILINE):
        module = section.partition("\n")[0]
        for name in re.findall(r"^\.\. auto(?:function|class|data):: (\S+)$", section, re.M):
            names.add(name if "." in name else f"{module}.{name}")
    return names


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_stands_in_the_page_of_the_package(module):
    package = module.rpartition(".")[0]
    for name, home in PUBLIC[module].items():
        assert {f"{place}.{name}" for place in (module, home, package)} & documented(), name


def test_public_names_are_found_in_subpackages_too():
    assert {"gdbook.objective", "gdbook.kernels", "gdbook.kernels.watched"} <= set(PUBLIC)
    assert {"gdbook.widgets", "gdbook.widgets.reached"} <= set(PUBLIC)
    modules = {path.stem for path in (ROOT / "gdbook").rglob("*.py")} - {"__init__"}
    assert modules == {name.rpartition(".")[2] for name in PUBLIC} - {"kernels", "widgets"}
