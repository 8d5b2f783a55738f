"""Every page under a Content-Security-Policy, with no inline script, and with a foot.

All pages are gone through when a build ends, those of an earlier build too: the foot names the
commit. Doing it twice changes nothing.
"""

import re
from pathlib import Path

from .digest import write_hashed
from .provenance import sentence
from .repeatable import with_versions
from .repository import repository

POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'self'; form-action 'self'"
)
META = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'

# Handlers of the theme's buttons, answered by page.js
CLICKS = {
    'onclick="window.print()"': 'data-click="print"',
    'onclick="toggleFullScreen()"': 'data-click="full-screen"',
}
SCRIPT = re.compile(r"<script([^>]*)>(.*?)</script>", re.S)
SCRIPTS = re.compile(r"(?:<script[^>]*>.*?</script>\s*)+", re.S)
THEBE = re.compile(r'<script type="text/x-thebe-config">.*?</script>\s*', re.S)
THEBE_NAME = re.compile(r"<script>kernelName = '[^']*'</script>\s*")
ICONS = re.compile(r"<(?:script|link)[^>]*scripts/fontawesome\.js[^>]*>(?:</script>)?\s*")
# sphinx-proof gives all proofs of a page, and all statements, one and the same id
PROOF = re.compile(r'<div class="proof admonition" id="proof">\s*<p>Proof\.')
# ... and docutils gives a bibliography roles that its elements may not have
REPEATED_OR_WRONG = (' id="proof-content"', ' role="doc-biblioentry"', ' role="list"')
# A formula within a line, short enough for a phone, and the punctuation that must not leave it
PUNCTUATED = re.compile(
    r'(?<!<span class="unbroken">)'
    r'(<span class="math notranslate nohighlight">[^<]{1,40}</span>[.,;:!?)’”]+)'
)
HASHED = re.compile(r"[\w.]+-[0-9a-f]{12}\.\w+")
FOOT = re.compile(r'<p class="provenance">.*?</p>', re.S)


def setup(app):
    app.connect("build-finished", finish_pages, priority=900)


def finish_pages(app, exception):
    if exception or app.builder.format != "html":
        return
    out, foot = Path(app.outdir), sentence(repository())
    inline = out / "_static" / "inline"
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        up = "../" * (len(page.relative_to(out).parts) - 1)
        new = finished(text, foot, lambda code, up=up: up + "_static/inline/" + save(inline, code))
        new = with_versions(new, page.parent)
        if new != text:
            page.write_text(new, encoding="utf-8")

    texts = [page.read_text(encoding="utf-8") for page in out.rglob("*.html")]
    for folder in (inline, out / "_static" / "live"):
        remove_unmentioned(folder, texts)


def remove_unmentioned(folder, texts):
    """Delete the hashed files of earlier builds: those that no page and no kept module names."""
    files = {path.name: path for path in folder.glob("*")}
    kept, unread = set(), list(texts)
    while unread:
        new = (set(HASHED.findall(unread.pop())) & files.keys()) - kept
        kept |= new
        unread += [files[name].read_text(encoding="utf-8") for name in new if name.endswith("js")]
    for name in files.keys() - kept:
        files[name].unlink()


def save(folder, code):
    return write_hashed(folder, "script", "js", code)


def finished(text, foot, address_of):
    """A page of Sphinx as a page of ours; `address_of` stores a script and tells where."""
    for pattern in (THEBE, THEBE_NAME, ICONS):
        text = pattern.sub("", text)
    for handler, mark in CLICKS.items():
        text = text.replace(handler, mark)
    text = PROOF.sub('<div class="proof proof-text admonition"><p><em>Proof.</em>', text)
    for attribute in REPEATED_OR_WRONG:
        text = text.replace(attribute, "")
    text = PUNCTUATED.sub(r'<span class="unbroken">\1</span>', text)
    text = SCRIPTS.sub(lambda found: without_inline(found[0], address_of), text)
    text = FOOT.sub(lambda _: f'<p class="provenance">{foot}</p>', text)
    if META not in text:
        text = text.replace("<head>", f"<head>\n    {META}", 1)
    return text


def without_inline(scripts, address_of):
    """Move neighbouring inline scripts into one file, in the same place and order."""
    out, waiting = [], []

    def flush():
        if waiting:
            out.append(f'<script src="{address_of(";".join(waiting))}"></script>\n')
            waiting.clear()

    for script in SCRIPT.finditer(scripts):
        attributes, code = script.groups()
        if is_code(attributes) and "src=" not in attributes:
            waiting.append(code.strip() + "\n")
        else:
            flush()
            out.append(script[0] + "\n")
    flush()
    return "".join(out)


def is_code(attributes):
    kind = re.search(r'type="([^"]*)"', attributes)
    return kind is None or "javascript" in kind[1] or kind[1] == "module"
