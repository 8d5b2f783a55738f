"""Running times of the chapters: measured by a command, kept in a file, shown on a page.

A running time is never twice the same, and two builds of one commit must be. So
``python -m book`` writes down what the last cold build took, and on which machine; the page
shows that file.
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from jupyter_cache import get_cache
from sphinx import addnodes

from .cache import folder
from .execute import is_notebook

RECORD = Path(__file__).absolute().parent / "execution_times.json"


def setup(app):
    app.add_directive("execution-times", ExecutionTimes)


def measured(build):
    """Seconds that the chapters in the cache of a build folder took, by name."""
    return {
        Path(record.uri).stem: record.data["execution_seconds"]
        for record in get_cache(folder(build)).list_cache_records()
    }


def count_cells(path):
    """``(code cells, claims)`` of a chapter; a claim is an assertion that can stop the build."""
    import jupytext

    cells = jupytext.read(path, fmt="md:myst").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    return len(code), sum("claim" in cell.metadata.get("tags", []) for cell in code)


class ExecutionTimes(Directive):
    """A table of all chapters: cells, claims, seconds; its caption names the machine."""

    def run(self):
        env = self.state.document.settings.env
        record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
        rows = []
        for name in sorted(env.found_docs):
            path = env.doc2path(name)
            env.note_dependency(path)
            if is_notebook(path):
                seconds = record.get("seconds", {}).get(name)
                shown = "not yet measured" if seconds is None else f"{seconds:.1f}"
                rows.append([link(env.docname, name), *map(str, count_cells(path)), shown])
        caption = f"Measured on {record['machine']}" if record else "Not yet measured."
        return [table(["page", "code cells", "claims", "seconds"], rows, caption)]


def table(head, rows, caption):
    body = nodes.tbody("", *(row_node(row) for row in rows))
    group = nodes.tgroup("", cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += [nodes.thead("", row_node(head)), body]
    return nodes.table("", nodes.title("", caption), group, classes=["execution-times"])


def row_node(cells):
    """A row of texts and links."""
    contents = (nodes.Text(cell) if isinstance(cell, str) else cell for cell in cells)
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in contents))


def link(page, name):
    """A link from one page to another, by its title."""
    target = addnodes.pending_xref(
        "", refdomain="std", reftype="doc", reftarget="/" + name, refdoc=page, refexplicit=False
    )
    target += nodes.inline("", name)
    return target


def write_record(build):
    """Write down what the chapters in the cache of a build folder took, and on which machine."""
    from benchmarks.harness import machine

    seconds = {name: round(time, 1) for name, time in sorted(measured(build).items())}
    text = json.dumps({"machine": machine(), "seconds": seconds}, indent=1)
    RECORD.write_text(text + "\n", encoding="utf-8")
    print(f"{RECORD}: {len(seconds)} chapters")
