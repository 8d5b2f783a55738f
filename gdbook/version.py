"""The version, from git, so that a notebook and a page can be told to match."""

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["version"]


@cache
def version():
    """Version of this copy: of the commit in a clone, else what was recorded at installation.

    A commit after the last tag reads ``0.1.dev12+g1a2b3c4``; a clone with uncommitted changes
    ends in ``.dirty``.
    """
    root = Path(__file__).resolve().parents[1]
    if (root / ".git").exists():
        try:
            return _described(root)
        except (OSError, subprocess.CalledProcessError):
            pass  # no git on this machine, or no commit yet
    return metadata.version("gdbook")


def _described(root):
    def git(*words):
        answer = subprocess.run(
            ["git", "-C", root, *words], check=True, capture_output=True, text=True
        )
        return answer.stdout.strip()

    commit = git("rev-parse", "--short=9", "HEAD")
    count = git("rev-list", "--count", "HEAD")
    dirty = ".dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"0.1.dev{count}+g{commit}{dirty}"
