"""Live figures in the static page.

A notebook holds a live figure as widget state with all its code in it. In the site the code
becomes files with hashed names, so that no script is inline and each is loaded once; where the
figure stood comes its still, at its final size, which ``host.js`` replaces when the figure runs.
"""

import base64
import html
import json
import re
from pathlib import Path

from sphinx.util import logging

from .digest import write_hashed

MODULES = Path(__file__).absolute().parents[1] / "gdbook" / "widgets"
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.S
)
IMPORT = re.compile(r'from "\./([\w.]+)\.js"')
# State that Jupyter needs and a page does not, or that becomes files
LEFT_OUT = re.compile(
    r"_esm|_css|_texts|_still|_source|_anywidget_id|_dom_classes|_model_.*|_view_.*"
)
WIDGETS_OF_JUPYTER = ("layout", "tabbable", "tooltip")
log = logging.getLogger(__name__)


def setup(app):
    app.connect("html-page-context", place_figures, priority=890)


def place_figures(app, pagename, templatename, context, doctree):
    models = take_state(context)
    if not models:
        return
    folder = Path(app.outdir, "_static", "live")
    up = context["pathto"]("_static/live/", 1)
    numbers = iter(range(1, len(models) + 1))

    def figure(view):
        state = models[json.loads(view[1])["model_id"]]["state"]
        if "_source" not in state:
            log.warning("a widget that is no live figure shows nothing here", location=pagename)
            return ""
        files = write_files(folder, state)
        if "style" in files:
            app.add_css_file("live/" + files["style"])
        return figure_html(state, files, up, next(numbers))

    context["body"] = VIEW.sub(figure, context["body"])
    app.add_js_file("host.js", type="module")


def take_state(context):
    """The widget models of a page, by id, taken out of its scripts."""
    models = {}
    for asset in list(context.get("script_files", [])):
        attributes = getattr(asset, "attributes", {})
        if attributes.get("type") == STATE:
            models |= json.loads(attributes["body"])["state"]
            context["script_files"].remove(asset)
    return models


def write_files(folder, state):
    """Write all that a figure is made of; the names of the files, by what they are."""
    files = {
        "module": write_module(folder, state["_source"]),
        "still": write_hashed(folder, "still", "png", base64.b64decode(state["_still"])),
        "texts": {
            name: write_hashed(folder, name, "js", text) for name, text in state["_texts"].items()
        },
    }
    if state.get("_css"):
        files["style"] = write_hashed(folder, "style", "css", state["_css"])
    return files


def write_module(folder, name):
    """Write a module and those it imports, the imports rewritten to hashed names."""
    text = IMPORT.sub(
        lambda found: f'from "./{write_module(folder, found[1] + ".js")}"',
        (MODULES / name).read_text(encoding="utf-8"),
    )
    return write_hashed(folder, Path(name).stem, "js", text)


def figure_html(state, files, up, number):
    width, height = state["_still_size"]
    names = ("--live-ratio", "--live-below", "--live-ratio-narrow", "--live-below-narrow")
    units = ("", "px", "", "px")
    space = ";".join(
        f"{name}:{value}{unit}"
        for name, value, unit in zip(names, state["_space"], units, strict=True)
    )
    kept = {
        name: value
        for name, value in state.items()
        if not LEFT_OUT.fullmatch(name) and name not in WIDGETS_OF_JUPYTER
    }
    data = {
        "module": up + files["module"],
        "texts": {name: up + file for name, file in files["texts"].items()},
        "state": kept,
    }
    text = json.dumps(data, sort_keys=True).replace("</", "<\\/")
    return (
        f'<figure class="live-figure" id="live-{number}">'
        f'<div class="live-space" style="{space}">'
        f'<img class="live-still" src="{up}{files["still"]}" width="{width}" height="{height}" '
        f'alt="{html.escape(state["_alt"])}">'
        f'</div><script type="application/json">{text}</script></figure>'
    )
