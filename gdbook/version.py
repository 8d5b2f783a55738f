"""The version, from git, so that a notebook and a page can be told to match."""

import warnings
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["version"]


@cache
def version():
    """Version of this copy: that of the commit in a clone, else what installation recorded.

    Returns
    -------
    str
        Between releases ``<next>.dev<commits>+g<commit>``; a clone with uncommitted changes adds
        the day.

    Examples
    --------
    >>> import gdbook
    >>> gdbook.__version__ == version()
    True
    """
    clone = Path(__file__).resolve().parents[1]
    if (clone / ".git").exists():
        try:
            from setuptools_scm import get_version

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a shallow clone knows its commit well enough
                return get_version(clone)
        except (ImportError, LookupError):
            pass  # no git on this machine, or no commit yet
    return metadata.version("gdbook")
