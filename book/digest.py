"""Names for contents: what changes gets another name."""

import hashlib


def digest(*folders):
    """Twelve hexadecimal digits that change when a file in one of the folders does."""
    total = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(folder.parent).as_posix()
                total.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def write_hashed(folder, stem, suffix, content):
    """Write text or bytes to ``folder/stem-<hash>.suffix`` and return the file's name."""
    if isinstance(content, str):
        content = content.encode()
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / name).exists():
        (folder / name).write_bytes(content)
    return name
