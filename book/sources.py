"""What the documents show and say, and where the book does it again: data, made into tables.

``sources.yml`` has a list of rows for each document: ``what`` is there, in our words, and ``here``,
links to where a chapter proves, draws or computes it. A reading of the documents counted what they
show (theorems, figures, demonstrations, tables) and what else they say. A row names what it covers
by the numbers of that count, and a table with a number left out, or a row that leads nowhere, fails
the build. So does a link to a label that does not exist, as everywhere in the book.
"""

import re
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

DATA = Path(__file__).absolute().parent / "sources.yml"
SHOWN = {"blog": 21, "slides": 13, "paper": 6, "overview": 8, "note": 6}
SAID = {"blog": 11, "slides": 7, "paper": 5, "overview": 5, "note": 2}
LINK = re.compile(r"\{(?:prf:ref|numref|eq|ref|doc)\}`(?:[^`<]*<)?([\w.-]+)>?`")


def setup(app):
    app.add_directive("source-items", SourceItems)


def read():
    """The rows of each document, and of the list ``beyond`` of what no document has."""
    return yaml.safe_load(DATA.read_text(encoding="utf-8"))


def targets(row):
    """The labels and pages to which a row leads.

    >>> targets({"here": "{prf:ref}`thm-a`; {ref}`words <sec-b>`, {doc}`page`"})
    ['thm-a', 'sec-b', 'page']
    """
    return LINK.findall(row["here"])


def faults(source, rows):
    """What is wrong with the rows of a document, in words."""
    found = []
    for row in rows:
        if not {"what", "here"} <= row.keys() <= {"what", "here", "shown", "said"}:
            found.append(f"a row of {source} has the keys {sorted(row)}")
        elif not targets(row):
            found.append(f"'{row['what']}' of {source} has no link")
    for key, counted in (("shown", SHOWN), ("said", SAID)):
        numbers = {number for row in rows for number in row.get(key, [])}
        expected = set(range(1, counted.get(source, 0) + 1))
        if numbers != expected:
            found.append(f"{key} of {source}: {sorted(numbers ^ expected)} missing or too many")
    return found


def markdown(rows):
    """The table of some rows, as the text of a page has it."""
    lines = [f"| {row['what']} | {row['here']} |" for row in rows]
    head = [":::{table}", ":class: fixed-columns", "", "| item | here |", "|---|---|"]
    return [*head, *lines, ":::"]


class SourceItems(Directive):
    """``{source-items} blog``: the table of one document."""

    required_arguments = 1

    def run(self):
        source, data = self.arguments[0], read()
        if source not in data:
            raise self.error(f"no document {source}: sources.yml has {', '.join(data)}")
        if wrong := faults(source, data[source]):
            raise self.error("sources.yml: " + "; ".join(wrong))
        table = nodes.container()
        text = StringList(markdown(data[source]), source=str(DATA))
        self.state.nested_parse(text, self.content_offset, table)
        return table.children
