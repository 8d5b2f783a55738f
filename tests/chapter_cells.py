"""Cells of a chapter, run in a test apart from the page."""

import re

import numpy as np

import gdbook as gd
from gdbook.notebook import table

CELL = re.compile(r"```\{code-cell\} ipython3\n(.*?)```", re.DOTALL)
OPTIONS = re.compile(r"\A(---\n.*?\n---\n|:tags:.*?\n)", re.DOTALL)


def cells(text):
    """The code of each cell, without its options."""
    return [OPTIONS.sub("", cell) for cell in CELL.findall(text)]


def names_of_a_chapter(monkeypatch):
    """What the first cell of a chapter imports; nothing is shown and nothing glued."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    shown = {"plt": plt, "colour": gd.plots.colour, "table": table}
    return {"np": np, "gd": gd, "glue": lambda name, value: None, **shown}
