"""What the site needs and readers never open: a Sphinx extension, loaded by Jupyter Book.

=============  ====================================================================
cache          the folder of executed notebooks is named after all they depend on
execute        chapters that are not in it run on all cores before Sphinx reads them
live           live figures: code as files, a still in the page
notebooks      the notebook that a reader downloads
repository     links to the source, Binder and Colab
times          the table of running times
assets         MathJax and our own files in, unused scripts of the theme out
pages          no inline script, a Content-Security-Policy, a foot that tells the commit
=============  ====================================================================
"""

from pathlib import Path

from . import assets, cache, execute, live, notebooks, pages, repository, times
from .digest import digest


def setup(app):
    for part in (cache, execute, live, notebooks, repository, times, assets, pages):
        part.setup(app)
    app.connect("build-finished", forget_failure, priority=999)
    return {
        "version": "1",
        # An edited extension, script or style sheet makes Sphinx read and write every page again.
        "env_version": digest(Path(__file__).parent),
        "parallel_read_safe": False,
        "parallel_write_safe": False,
    }


def forget_failure(app, exception):
    """Make a build that ended with warnings under -W fail again when it is repeated.

    Sphinx would find every page up to date and report nothing.
    """
    if app.warningiserror and app._warncount:
        Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)
