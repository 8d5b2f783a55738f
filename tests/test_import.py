"""Importing the package is cheap, and what it offers is complete."""

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import gdbook


def fresh(code):
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_import_loads_no_heavy_package():
    heavy = {"sympy", "scipy", "numba", "llvmlite", "jax", "matplotlib", "anywidget", "ipywidgets"}
    heavy |= {"flint", "tqdm", "distributed", "loky", "sklearn"}
    loaded = json.loads(fresh("import gdbook, json, sys; print(json.dumps(list(sys.modules)))"))
    assert not heavy & set(loaded)


def test_import_costs_little_more_than_numpy():
    code = """
import time, numpy
start = time.process_time()
import gdbook
print(time.process_time() - start)
"""
    assert min(float(fresh(code)) for _ in range(3)) < 0.05


def test_every_public_name_can_be_reached():
    for name in gdbook.__all__:
        assert getattr(gdbook, name) is not None
    assert set(gdbook.__all__) <= set(dir(gdbook))


def test_no_module_has_the_name_of_a_public_function():
    modules = {module.name for module in pkgutil.iter_modules(gdbook.__path__)}
    functions = {name for name in gdbook.__all__ if not inspect.ismodule(getattr(gdbook, name))}
    assert not modules & functions


def test_every_module_says_what_is_public_and_documents_it():
    for module in pkgutil.walk_packages(gdbook.__path__, "gdbook."):
        loaded = importlib.import_module(module.name)
        assert loaded.__doc__, module.name
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__doc__, f"{module.name}.{name}"


def test_version_names_the_commit():
    def git(*words):
        words = ["git", "-C", Path(gdbook.__file__).parents[1], *words]
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()

    # Between releases the version ends in the commit; at a release it is the tag.
    named = re.search(r"\+g([0-9a-f]+)", gdbook.__version__)
    if named:
        assert git("rev-parse", "HEAD").startswith(named[1])
    else:
        assert git("describe", "--tags", "--exact-match").lstrip("v") == gdbook.__version__
