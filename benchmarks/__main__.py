"""Run all subjects, or those named: ``python -m benchmarks series``.

A part of a subject is named after a point: ``python -m benchmarks engine.escape``.
"""

import sys
from importlib import import_module
from pathlib import Path

from benchmarks import harness, reference

SUBJECTS = ["series", "engine", "sweep", "networks", "classification", "browser"]
FOLDER = Path(__file__).resolve().parent.parent / "_build" / "benchmarks"


def main(names):
    unknown = sorted({name.partition(".")[0] for name in names} - set(SUBJECTS))
    if unknown:
        sys.exit(f"no benchmark named {unknown[0]!r}; there are: {', '.join(SUBJECTS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or SUBJECTS:
        subject, _, part = name.partition(".")
        report = import_module(f"benchmarks.{subject}").report
        text = f"{harness.machine(reference.description())}\n\n{report(*[part] * bool(part))}\n"
        print(text)
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
