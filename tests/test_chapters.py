"""What holds for every chapter: its figures have words, its reading time is that of its words."""

import re
from pathlib import Path

import pytest
import yaml

from tests.chapter_cells import CELL

ROOT = Path(__file__).parent.parent
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
CHAPTERS = [page["file"] for part in PARTS if part.get("numbered") for page in part["chapters"]]

# For each chapter: words a minute, the fewer the more is proved, and the number of cells that draw.
EXPECTED = {
    "smooth-regime": ((130, 180), (9, 20)),
    "backward-error-analysis": ((90, 130), (10, 20)),
    "periodic-orbits-and-chaos": ((100, 140), (15, 20)),
    "multiscale-chaos": ((130, 180), (9, 9)),
    "escaping-sharp-minima": ((130, 180), (14, 20)),
    "balancing": ((130, 180), (9, 20)),
    "edge-of-stability": ((90, 130), (12, 20)),
    "acceleration": ((90, 130), (9, 20)),
    "impossibility": ((90, 130), (7, 20)),
}


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    return request.param


@pytest.fixture
def text(chapter):
    """A chapter without the header of its file."""
    whole = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
    return whole.partition("\n---\n")[2]


def minutes(words):
    """Of "40 minutes", "an hour", "an hour and a half" and the like."""
    if number := re.fullmatch(r"(\d+) minutes", words):
        return int(number[1])
    return {"an hour": 60, "an hour and a half": 90, "two hours": 120}[words]


def test_reading_time_is_that_of_the_words(text, chapter):
    stated = re.search(r"\*\*Time\.\*\* About (.+?) to\s+read", text)[1]
    words = len(CELL.sub("", text).split())
    (slowest, fastest), _ = EXPECTED[chapter]
    assert slowest <= words / minutes(stated) <= fastest


def test_every_figure_has_an_alt_text_and_a_caption(text, chapter):
    drawing = [cell for cell in CELL.findall(text) if "plt.show()" in cell]
    _, (fewest, most) = EXPECTED[chapter]
    assert fewest <= len(drawing) <= most
    for cell in drawing:
        assert cell.startswith("---\n"), cell
        figure = yaml.safe_load(cell.split("---\n")[1])["mystnb"]
        assert figure["figure"]["name"].startswith("fig-")
        assert len(figure["figure"]["caption"]) >= 40
        assert len(figure["image"]["alt"]) >= 60


def test_names_of_figures_are_their_own():
    names = []
    for chapter in CHAPTERS:
        text = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
        names += re.findall(r"^ +name: (fig-\S+)$", text, flags=re.M)
    assert len(names) > 40
    assert len(names) == len(set(names))
