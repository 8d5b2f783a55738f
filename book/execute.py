"""Run the chapters that are not in the cache yet on all cores, before Sphinx reads them one by one.

A chapter that fails is left to Sphinx, which runs it again and shows where it stopped.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors.utils import create_cache_bundle, single_nb_execution
from sphinx.util import logging

HEADER = "---\njupytext:"
READER = {"name": "myst_nb_md", "type": "plugin"}
log = logging.getLogger(__name__)


def setup(app):
    app.connect("env-before-read-docs", execute_documents)


def is_notebook(path):
    path = Path(path)
    return path.suffix == ".md" and path.read_text(encoding="utf-8").startswith(HEADER)


def execute_documents(app, env, names):
    paths = [path for path in (Path(env.doc2path(name)) for name in names) if is_notebook(path)]
    cache = get_cache(app.config.nb_execution_cache_path)
    missing = [notebook for path in paths if (notebook := staged(cache, path))]
    if len(missing) < 2:
        return  # nothing to share between cores

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a kernel is a process of its own
        results = list(pool.map(lambda n: run(n, app.config.nb_execution_timeout), missing))
    for notebook, result in zip(missing, results, strict=True):
        if result.err is None:
            bundle = create_cache_bundle(notebook, None, None, result.time, None)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def staged(cache, path):
    """The notebook of a chapter if the cache does not hold its outputs."""
    notebook = cache.get_project_notebook(cache.add_nb_to_project(str(path), read_data=READER).pk)
    try:
        cache.match_cache_notebook(notebook.nb)
    except KeyError:
        return notebook
    return None


def run(notebook, timeout):
    log.info("%s: Executing notebook", notebook.uri)
    folder = str(Path(notebook.uri).parent)
    return single_nb_execution(notebook.nb, cwd=folder, timeout=timeout, allow_errors=False)
