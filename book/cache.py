"""The cache of executed notebooks, which must never give stale output.

jupyter-cache compares the code cells only. So the folder it works in is named after everything
else that they depend on: the package, the lock, data, and the versions really installed.
A changed name is also a changed Sphinx setting, which makes Sphinx read every chapter again.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from .digest import digest
from .provenance import versions

ROOT = Path(__file__).absolute().parents[1]
KEPT = 3  # folders: an author goes back and forth between two branches


def setup(app):
    app.connect("config-inited", choose)


def key():
    ran_with = {name: version for name, version in versions().items() if name != "gdbook"}
    sources = digest(ROOT / "gdbook", ROOT / "requirements", ROOT / "book" / "data")
    images = os.environ.get("GDBOOK_DATA")  # on which the networks of the chapters are trained
    return hashlib.sha256(json.dumps([ran_with, sources, images]).encode()).hexdigest()[:12]


def folder(build):
    """The cache folder for a build folder (``_build``)."""
    return Path(build) / ".jupyter_cache" / key()


def choose(app, config):
    chosen = folder(build_folder(app))
    chosen.mkdir(parents=True, exist_ok=True)
    chosen.touch()
    config.nb_execution_cache_path = str(chosen)
    prune(chosen.parent)


def build_folder(app):
    """``_build``, also for a chapter built alone somewhere below it: one cache serves both."""
    below = [path for path in Path(app.outdir).parents if path == ROOT / "_build"]
    return below[0] if below else Path(app.outdir).parent


def prune(caches):
    newest_first = sorted(caches.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT:]:
        shutil.rmtree(old)
