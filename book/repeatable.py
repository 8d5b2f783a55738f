"""The same commit gives the same site, whatever was built before it."""

import re
import shutil
from pathlib import Path
from zlib import crc32

# Scripts and styles whose names do not tell their content yet
ASSET = re.compile(
    r'(?<=")((?:\.\./)*_static/(?!live/|inline/)[\w./-]+\.(?:css|js))(?:\?v=[0-9a-f]+)?(?=")'
)


def setup(app):
    app.connect("builder-inited", lay_out_settings)
    app.connect("env-before-read-docs", start_index_anew)
    app.connect("env-get-updated", write_all)
    app.connect("build-finished", put_away_settings)
    app.connect("build-finished", forget_failure, priority=999)


def lay_out_settings(app):
    """Give Sphinx back the hash of its settings, which it looks for in the site.

    The settings name folders of this machine, so between builds the hash lies elsewhere.
    """
    kept = Path(app.doctreedir, "buildinfo")
    if kept.exists():
        shutil.copyfile(kept, Path(app.outdir, ".buildinfo"))


def put_away_settings(app, exception):
    used = Path(app.outdir, ".buildinfo")
    if used.exists():
        shutil.move(used, Path(app.doctreedir, "buildinfo"))


def start_index_anew(app, env, names):
    """Where a page is read again, leave nothing of the old search index."""
    if names:
        Path(app.outdir, "searchindex.js").unlink(missing_ok=True)


def write_all(app, env):
    """Write every page then: the index would lose the entries of those that are not."""
    return [] if Path(app.outdir, "searchindex.js").exists() else list(env.all_docs)


def forget_failure(app, exception):
    """Make a build that ended with warnings under -W --keep-going fail again when it is repeated.

    Sphinx would find every page up to date and report nothing.
    """
    if app.keep_going and app._warncount:
        Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)


def with_versions(text, folder):
    """Give every script and style sheet of a page the checksum of its final content.

    Sphinx gives one only to files that are there when the page is written; a browser that visits
    again needs it, or it would show new pages with old scripts.
    """

    def version(found):
        path = (folder / found[1]).resolve()
        return f"{found[1]}?v={crc32(path.read_bytes()):08x}" if path.exists() else found[1]

    return ASSET.sub(version, text)
