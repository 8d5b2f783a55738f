"""A site of a few pages, made by Sphinx in this process with some parts of the book's extension."""

import io

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

SETTINGS = {
    "myst_enable_extensions": ["dollarmath", "colon_fence"],
    "nitpicky": True,
    "numfig": True,
    "html_theme": "basic",
    "suppress_warnings": ["toc.not_included"],
}


def site(folder, pages, *parts):
    """Write and build pages; give a function from a page's name to its HTML, and the warnings.

    The folder may be that of an earlier call: only what changed is then read again.
    """
    (folder / "pages").mkdir(exist_ok=True)
    contents = "\n\n```{toctree}\n:numbered:\n" + "\n".join(list(pages)[1:]) + "\n```\n"
    first = next(iter(pages))
    for name, text in pages.items():
        path = folder / "pages" / f"{name}.md"
        whole = text + contents * (name == first)
        if not path.exists() or path.read_text(encoding="utf-8") != whole:
            path.write_text(whole, encoding="utf-8")
    warnings = io.StringIO()
    settings = SETTINGS | {"extensions": ["myst_parser", "sphinx_proof", *parts]}
    with patch_docutils(), docutils_namespace():
        Sphinx(
            folder / "pages",
            None,
            folder / "html",
            folder / "doctrees",
            "html",
            confoverrides=settings,
            status=None,
            warning=warnings,
        ).build()
    return (
        lambda name: (folder / "html" / f"{name}.html").read_text(encoding="utf-8"),
        warnings.getvalue(),
    )
