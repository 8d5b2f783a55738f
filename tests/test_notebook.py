"""Numbers by name and tables, as MyST-NB reads them."""

from fractions import Fraction

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.ext.glue import glue as glue_of_myst_nb

from gdbook.notebook import glue, table


@pytest.fixture(autouse=True, scope="module")
def shell():
    yield InteractiveShell.instance()  # what is displayed goes nowhere without one
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("value", [0.5, 3, "words"])
def test_glue_leaves_what_myst_nb_would_leave(value):
    with capture_output() as theirs:
        glue_of_myst_nb("a-name", value, display=False)
    with capture_output() as ours:
        glue("a-name", value)
    (theirs,), (ours,) = theirs.outputs, ours.outputs
    assert ours.metadata == theirs.metadata
    assert ours.data == theirs.data


@pytest.mark.parametrize("value", [np.float64(0.5), np.array(0.5), Fraction(1, 2)])
def test_numbers_are_quoted_as_numbers(value):
    with capture_output() as kept:
        glue("a-name", value)
    assert list(kept.outputs[0].data.values()) == ["0.5"]


def test_table_shows_texts_as_they_are():
    text = table(["<h>"], [["a & b"], [Fraction(1, 3)]]).data
    assert "&lt;h&gt;" in text and "a &amp; b" in text and "<td>1/3</td>" in text
