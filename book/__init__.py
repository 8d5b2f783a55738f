"""What the site needs and readers never open: a Sphinx extension, loaded by Jupyter Book.

=============  ====================================================================
cache          the folder of executed notebooks is named after all they depend on
execute        chapters that are not in it run on all cores before Sphinx reads them
live           live figures: code as files, a still in the page
notebooks      the notebook that a reader downloads
repository     links to the source, Binder and Colab
times          the table of running times
sources        tables of what the documents have, and where the book does it again
theorems       the list of all statements
counts         numbers and names that the pages on the book itself take from the book
docstrings     references in the page of the package
assets         MathJax and our own files in, unused scripts of the theme out
pages          no inline script, a Content-Security-Policy, a foot that tells the commit
repeatable     two builds of one commit are equal, and what failed fails again
=============  ====================================================================
"""

import os
from pathlib import Path

from . import (
    assets,
    cache,
    counts,
    docstrings,
    execute,
    live,
    notebooks,
    pages,
    repeatable,
    repository,
    sources,
    theorems,
    times,
)
from .digest import digest


def setup(app):
    os.environ["TQDM_DISABLE"] = "1"  # kernels inherit it; a bar on standard error fails the build
    for part in (
        cache,
        execute,
        live,
        notebooks,
        repository,
        times,
        sources,
        theorems,
        counts,
        docstrings,
        assets,
        pages,
        repeatable,
    ):
        part.setup(app)
    return {
        "version": "1",
        # An edited extension, script or style sheet makes Sphinx read and write every page again.
        "env_version": digest(Path(__file__).parent),
        "parallel_read_safe": False,
        "parallel_write_safe": False,
    }
