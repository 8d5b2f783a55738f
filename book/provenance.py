"""Which commit, of which day, ran with which versions."""

import platform
import subprocess
from datetime import datetime
from importlib import metadata
from pathlib import Path

import gdbook

ROOT = Path(__file__).absolute().parents[1]
PACKAGES = {
    "NumPy": "numpy",
    "SciPy": "scipy",
    "SymPy": "sympy",
    "Numba": "numba",
    "Matplotlib": "matplotlib",
}


def versions():
    """Versions of Python and of the packages that the chapters compute with, by name."""
    packages = {name: metadata.version(package) for name, package in PACKAGES.items()}
    return {"Python": platform.python_version(), **packages, "gdbook": gdbook.__version__}


def git(*arguments, root=ROOT):
    """What git says about the clone; an empty string where it is none."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit():
    """``(hash, date)`` of the commit, or two empty strings outside a clone."""
    name, _, date = git("log", "-1", "--format=%H %cI").partition(" ")
    return name, date


def sentence(repository=""):
    """The foot of every page, as HTML."""
    name, date = commit()
    ran_with = ", ".join(f"{package} {version}" for package, version in versions().items())
    if not name:
        return f"Built outside a git clone; ran with {ran_with}."
    day = datetime.fromisoformat(date)
    shown = f"<code>{name[:10]}</code>"
    if repository:
        shown = f'<a href="{repository}/commit/{name}">{shown}</a>'
    edited = " with local changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    when = f'<time datetime="{date}">{day.day} {day:%B %Y}</time>'
    return f"Built from commit {shown} of {when}{edited}; ran with {ran_with}."
