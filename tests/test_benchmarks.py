"""What the package is compared with must compute the same, or the ratios mean nothing."""

import pytest

import gdbook as gd
from benchmarks import harness, series


@pytest.mark.parametrize("method", [series.recursion, series.naive])
def test_competitors_find_the_same_field(method):
    f = gd.Objective("(1 - x*y)^2/2", "x y")
    theirs = method(-f.gradient_expression, f.variables, 2)
    ours = gd.modified_field(f, 2).coefficients
    assert [(a - b).expand() for a, b in zip(theirs, ours, strict=True)] == [0 * ours[0]] * 3


def test_promises_belong_to_lines_of_the_table():
    cases = {*series.FIELDS, "exact at x = 1, order 70"}
    cases |= {f"trees of {method}, order 9" for method in series.TABLEAUX}
    assert {case for case, _ in series.BARS} <= cases


def test_calls_are_taken_in_turn():
    calls = []
    timings = harness.in_turn(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        repeats=2,
        before=lambda: calls.append("-"),
    )
    assert "".join(calls) == "-a-b" * 3
    assert [timing.repeats for timing in timings.values()] == [2, 2]


def test_fresh_process_and_its_limit():
    timings = harness.in_fresh_process("benchmarks.series:time_trees", "Euler", 3)
    assert timings["gdbook"].median > 0
    assert harness.in_fresh_process("time:sleep", 30, limit=0.5) is None


def test_table():
    assert harness.table(("a", "bb"), [("ccc", 1)]).splitlines() == [
        "| a   | bb |",
        "| --- | -- |",
        "| ccc | 1  |",
    ]
