"""Links to the source, Binder and Colab, made from where this clone comes from.

The address is that of ``BOOK_REPOSITORY``, or of the clone's origin when it is on GitHub, so that
the fork of a course points to itself. With neither there are no links.
"""

import os
import re
from urllib.parse import quote

from .execute import is_notebook
from .provenance import git

GITHUB = "https://github.com/"


def setup(app):
    app.connect("html-page-context", add_links, priority=600)


def web_address(remote):
    """The web page of a git address: ``git@host:owner/name.git`` and its other spellings.

    >>> web_address("git@github.com:owner/name.git")
    'https://github.com/owner/name'
    >>> web_address("https://github.com/owner/name/")
    'https://github.com/owner/name'
    """
    address = re.sub(r"^(?:ssh://)?git@([^:/]+)[:/]", r"https://\1/", remote.strip())
    address = re.sub(r"^https://[^/@]+@", "https://", address)  # never show a user name or token
    return address.rstrip("/").removesuffix(".git")


def repository():
    """The web page of the repository, or an empty string."""
    if given := os.environ.get("BOOK_REPOSITORY", ""):
        address = web_address(given)
        if not re.fullmatch(r"https://[\w.-]+(?::\d+)?(?:/[\w.~-]+){2,}", address):
            raise ValueError(
                f"BOOK_REPOSITORY is {given!r}; give the repository's web address, "
                "https://<host>/<owner>/<name>"
            )
        return address
    origin = web_address(git("remote", "get-url", "origin"))
    return origin if origin.startswith(GITHUB) else ""


def add_links(app, pagename, templatename, context, doctree):
    address = repository()
    if not address or doctree is None:
        return
    links = [("Source of this book", "fab fa-github", address)]
    source = app.env.doc2path(pagename)
    if is_notebook(source):
        links += [
            ("Run on Binder", "fas fa-rocket", binder(address, pagename)),
            *colab(address, pagename),
        ]
    context["header_buttons"].append(
        {
            "type": "group",
            "tooltip": "Source and notebooks",
            "icon": "fab fa-github" if address.startswith(GITHUB) else "fab fa-git-alt",
            "label": "repository-buttons",
            "buttons": [
                {"type": "link", "text": text, "icon": icon, "url": url, "tooltip": text}
                for text, icon, url in links
            ],
        }
    )


def binder(address, page):
    """Binder opens the chapter's text itself as a notebook (jupytext)."""
    if address.startswith(GITHUB):
        where = "gh/" + address.removeprefix(GITHUB)
    else:
        where = "git/" + quote(address, safe="")
    return f"https://mybinder.org/v2/{where}/HEAD?urlpath=lab/tree/chapters/{page}.md"


def colab(address, page):
    """Colab opens notebooks only, on GitHub only: the site's downloads on the branch notebooks."""
    if not address.startswith(GITHUB):
        return []
    path = address.removeprefix(GITHUB)
    url = f"https://colab.research.google.com/github/{path}/blob/notebooks/{page}.ipynb"
    return [("Open in Colab", "fas fa-flask", url)]
