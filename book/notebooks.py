"""The notebook that a reader downloads: the chapter as it stands, without outputs.

Outputs from the build would be there after a cold build and missing after a warm one, and would
carry random names. Without them the file is small, the same from every build of a commit, and
what it shows was computed on the reader's machine. It names the commit, as the page does.
"""

import json
from pathlib import Path

from .execute import is_notebook
from .provenance import commit, versions


def setup(app):
    app.connect("html-page-context", add_button, priority=600)
    app.connect("build-finished", write_notebooks)


def notebook(text, made_from):
    """The text of a MyST chapter as the text of an ``.ipynb`` file."""
    import jupytext

    book = jupytext.reads(text, fmt="md:myst")
    for number, cell in enumerate(book.cells, start=1):
        cell["id"] = f"cell-{number}"  # jupytext draws them at random
    book.metadata["gdbook"] = made_from
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write_notebooks(app, exception):
    if exception or app.builder.format != "html":
        return
    name, date = commit()
    made_from = {"commit": name, "date": date, "version": versions()["gdbook"]}
    for document in app.env.found_docs:
        source = Path(app.env.doc2path(document))
        if is_notebook(source):
            target = Path(app.outdir, "_sources", document + ".ipynb")
            target.parent.mkdir(parents=True, exist_ok=True)
            text = notebook(source.read_text(encoding="utf-8"), made_from)
            target.write_text(text, encoding="utf-8")


def add_button(app, pagename, templatename, context, doctree):
    if doctree is None or not is_notebook(app.env.doc2path(pagename)):
        return
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            group["buttons"].insert(
                0,
                {
                    "type": "link",
                    "url": context["pathto"](f"_sources/{pagename}.ipynb", 1),
                    "text": ".ipynb",
                    "icon": "fas fa-code",
                    "tooltip": "Download notebook",
                    "label": "download-notebook-button",
                },
            )
