"""Numbered references of numpydoc on one page.

Each docstring counts its references from one. On a page with many of them the numbers would clash,
so they become a list in each docstring.
"""

import re

REFERENCE = re.compile(r"(\s*)\.\. \[(\d+)\] (.*)")


def setup(app):
    app.connect("autodoc-process-docstring", number_references)


def number_references(app, what, name, obj, options, lines):
    lines[:] = with_list(lines)


def with_list(lines):
    """The lines of a docstring with ``.. [1] text`` as ``1. text``, and ``[1]_`` as ``[1]``."""
    out, margin = [], None
    for line in lines:
        if found := REFERENCE.fullmatch(line):
            margin = found[1]
            out.append(f"{margin}{found[2]}. {found[3]}")
        elif margin is not None and line.strip():
            out.append(f"{margin}   {line.strip()}")
        else:
            margin = None
            out.append(re.sub(r"\[(\d+)\]_", r"[\1]", line))
    return out
