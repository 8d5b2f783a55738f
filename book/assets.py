"""Files of the site: MathJax and our own in, what nobody needs or what asks another host out."""

import os
import shutil
from importlib import metadata
from pathlib import Path

MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts/", "input/tex/extensions/", "ui/lazy.js")


def setup(app):
    app.connect("config-inited", add_static)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", remove_unused)
    app.add_css_file("book.css")
    app.add_js_file("typesetting.js")
    app.add_js_file("page.js", loading_method="defer")


def add_static(app, config):
    # Here and not in _config.yml: Jupyter Book puts every script below the folders it knows of
    # on every page, and host.js belongs on pages with live figures only.
    # A relative path, since Sphinx writes a checksum of its settings into the site.
    static = Path(__file__).absolute().parent / "static"
    config.html_static_path.append(os.path.relpath(static, app.confdir))


def drop_thebe(app, pagename, templatename, context, doctree):
    """Jupyter Book always loads sphinx-thebe, which names another host and is never used here."""

    def wanted(asset):
        name = str(getattr(asset, "filename", asset) or "")
        body = getattr(asset, "attributes", {}).get("body", "")
        return "thebe" not in name.lower() and "THEBE_JS_URL" not in body

    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context.get(kind, []) if wanted(asset)]


def copy_mathjax(app, exception):
    """Copy 2.2 of the 24 MB: not the speech files, which the menu's explorer would need."""
    if exception or app.builder.format != "html":
        return
    for file in metadata.files("sphinx-mathjax-offline"):
        path = file.as_posix().partition("static/mathjax/")[2]
        target = Path(app.outdir, "_static", "mathjax", path)
        if path.startswith(MATHJAX) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)


def remove_unused(app, exception):
    """Delete source maps, templates, thebe, and 1.5 MB of icons that a font draws as well."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for pattern in ("*.map", "sphinx-thebe.*", "fontawesome.js*", "*webpack-macros.html"):
        for file in static.rglob(pattern):
            file.unlink()
