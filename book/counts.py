"""Numbers and names that the pages on the book itself take from the book.

``{how-many}`claims``` is a number, counted when the page is written from all pages as they are
then. Whenever a page is read, all pages are written (`repeatable`), so no number is old.
``{in-repository}`tests/test_site.py``` is the name of a file that must be there, and a link to it
when the repository is known to be on GitHub.
"""

import functools
from pathlib import Path

from docutils import nodes

from . import sources
from .execute import is_notebook
from .repository import GITHUB, repository
from .times import count_cells

ROOT = Path(__file__).absolute().parents[1]


class HowMany(nodes.Inline, nodes.Element):
    """Where a number comes."""


def setup(app):
    app.add_node(HowMany)
    app.add_role("how-many", how_many)
    app.add_role("in-repository", in_repository)
    app.connect("doctree-resolved", fill)


def how_many(name, rawtext, text, line, inliner, options=None, content=()):
    if text in COUNTS:
        return [HowMany(of=text)], []
    message = f"no count of {text}: there are {', '.join(COUNTS)}"
    return [], [inliner.reporter.error(message, line=line)]


def in_repository(name, rawtext, text, line, inliner, options=None, content=()):
    if not (ROOT / text).exists():
        message = f"there is no {text} in the repository: name the file that is meant"
        return [], [inliner.reporter.error(message, line=line)]
    shown, address = nodes.literal("", text), repository()
    if not address.startswith(GITHUB):
        return [shown], []
    return [nodes.reference("", "", shown, refuri=f"{address}/blob/HEAD/{text}")], []


def fill(app, doctree, page):
    for place in list(doctree.findall(HowMany)):
        place.replace_self(nodes.Text(str(COUNTS[place["of"]](app.env))))


# The counts


def numbered(env):
    """What sphinx-proof knows of the statements that have a number."""
    return [entry for entry in getattr(env, "proof_list", {}).values() if not entry["nonumber"]]


def corrections(env):
    labels = env.get_domain("std").anonlabels
    return [label for label in labels if label.startswith("erratum-")]


def cells(env):
    """``(code cells, claims)`` of each notebook of the book."""
    paths = map(env.doc2path, sorted(env.found_docs))
    return [counted(path, Path(path).stat().st_mtime) for path in paths if is_notebook(path)]


@functools.cache
def counted(path, changed):
    """Cells of a notebook, read once although several counts ask for them."""
    return count_cells(path)


COUNTS = {
    "notebooks": lambda env: len(cells(env)),
    "cells": lambda env: sum(code for code, _ in cells(env)),
    "claims": lambda env: sum(claims for _, claims in cells(env)),
    "statements": lambda env: len(numbered(env)),
    "corrections": lambda env: len(corrections(env)),
    "shown": lambda env: sum(sources.SHOWN.values()),
    "said": lambda env: sum(sources.SAID.values()),
}
