"""What the package is compared with must compute the same, or the ratios mean nothing."""

import sys
from functools import partial

import numpy as np
import pytest

import gdbook as gd
from benchmarks import classification, engine, harness, networks, peers, reference, series
from benchmarks.reference import Found, Reference
from gdbook import catalogue, outcome

WELL, VALLEY = gd.Objective("(mu - x*y)^2/2", "x y", {"mu": 1}), catalogue.rational_valley()
needs_compiler = pytest.mark.skipif(
    reference.compiler() is None, reason="there is no C compiler here to compile the reference"
)


@pytest.fixture(autouse=True)
def settings_of_jax():
    """What is compared with asks JAX for doubles, for as long as the process lives."""
    yield
    if jax := sys.modules.get("jax"):
        jax.config.update("jax_enable_x64", False)


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


# Many orbits


def by_definition(objective, starts, steps, h):
    orbits = [gd.gradient_descent(objective, start, h, steps) for start in starts]
    found = [orbit.outcome for orbit in orbits]
    labels = np.array([outcome.LABELS.index(f.label) for f in found])
    points = np.array([orbit.points[f.step] for orbit, f in zip(orbits, found, strict=True)])
    return Found(labels, *np.array([(f.step, f.period) for f in found]).T, points)


def starts_for(objective, side=9):
    grid = engine.square(3.0, side)[:, : objective.dimension]
    return np.concatenate([grid, np.full((1, objective.dimension), 2e6)])


def numpy_and_numba(objective):
    gradient = peers.numpy_gradient(objective)
    return {
        "NumPy": partial(peers.numpy_detect, gradient),
        "NumPy in chunks": partial(peers.numpy_detect, gradient, chunk=16),
        "Numba": peers.Scalar(objective).detect,
    }


CASES = [
    *[(WELL, steps, 0.5) for steps in (0, 1, 31, 32, 33, 129, 161, 300)],
    *[(WELL, steps, 1.3) for steps in (127, 192, 1000)],
    *[(VALLEY, steps, 2.3) for steps in (1, 200)],
]


@pytest.mark.parametrize("objective", [WELL, VALLEY])
def test_peers_find_the_outcome_of_the_definition(objective):
    ways, starts = numpy_and_numba(objective), starts_for(objective)
    for _, steps, h in (case for case in CASES if case[0] is objective):
        truth = by_definition(objective, starts, steps, h)
        for name, detect in ways.items():
            assert detect(starts, steps, h).differences(truth) == 0, (name, steps, h)


@needs_compiler
@pytest.mark.parametrize("objective, steps, h", CASES)
def test_reference_finds_the_outcome_of_the_definition(objective, steps, h):
    starts = starts_for(objective)
    truth = by_definition(objective, starts, steps, h)
    c = Reference(objective, lanes=16)
    for found in (c.detect(starts, steps, h), c.detect(starts, steps, h, scalar=True)):
        assert found.differences(truth) == 0
        inside = found.labels != outcome.LABELS.index("diverged")
        assert found.points[inside].tolist() == truth.points[inside].tolist()


def test_differences_are_counted():
    one = Found(np.array([0, 1, 2]), np.array([32, 5, 100]), np.array([0, 0, 2]))
    other = Found(np.array([0, 1, 2]), np.array([32, 6, 100]), np.array([0, 0, 4]))
    assert (one.differences(one), one.differences(other)) == (0, 2)


@needs_compiler
@pytest.mark.parametrize("name", ["|M - ab'|^2/2, 2 by 2", "1/(1 + x^2 + y^4)"])
def test_reference_has_the_bits_of_the_formula(name):
    objective = engine.FUNCTIONS[name]
    starts = np.random.default_rng(5).uniform(0.4, 0.9, (21, objective.dimension))
    last = [gd.gradient_descent(objective, start, 0.01, 40).points[-1] for start in starts]
    c = Reference(objective, lanes=16)
    np.testing.assert_array_equal(c.fixed_steps(starts, 40, 0.01), last)
    np.testing.assert_array_equal(c.fixed_steps(starts, 40, 0.01, scalar=True), last)
    contracted = Reference(objective, contract=True, lanes=16).fixed_steps(starts, 40, 0.01)
    np.testing.assert_allclose(contracted, last, rtol=1e-12)
    ours = peers.numpy_fixed_steps(peers.numpy_gradient(objective), starts, 40, 0.01)
    np.testing.assert_array_equal(ours, last)


@needs_compiler
def test_diagrams_and_histograms_agree():
    objective, rates = catalogue.double_well(), np.linspace(0.5, 1.9, 21)
    c, scalar = Reference(objective, lanes=16), peers.Scalar(objective)
    diagram = c.bifurcation(rates, [0.3], 20, 5)
    others = [
        c.bifurcation(rates, [0.3], 20, 5, scalar=True),
        scalar.bifurcation(rates, np.array([[0.3]]), 20, 5),
        peers.numpy_bifurcation(peers.numpy_gradient(objective), rates, [0.3], 20, 5),
    ]
    orbits = [gd.gradient_descent(objective, 0.3, rate, 25).points[-5:] for rate in rates]
    for other in [*others, np.moveaxis(orbits, 0, -1)]:
        np.testing.assert_array_equal(diagram, other)
    counts = c.histogram([0.3], 1000, 1.9, 20, (-1.5, 1.5))
    one = scalar.histogram(np.array([[0.3]]), 1000, 1.9, 20, -1.5, 1.5)
    many = peers.numpy_histogram(objective, np.array([[0.3]]), 1000, 1.9, 20, (-1.5, 1.5))
    assert counts.tolist() == one.tolist() == many.tolist()
    assert counts.sum() == 1000


def lyapunov_in_c(objective, *arguments):
    return Reference(objective, lanes=16).lyapunov(*arguments)


@pytest.mark.parametrize(
    "lyapunov",
    [
        peers.numpy_lyapunov,
        lambda objective, *arguments: peers.Scalar(objective).lyapunov(*arguments),
        pytest.param(lyapunov_in_c, marks=needs_compiler),
    ],
)
def test_exponents_of_linear_maps(lyapunov):
    bowl = catalogue.quadratic_bowl(1, 10)
    found = lyapunov(bowl, np.array([[1.0, 1.0], [2.0, 0.5]]), 100, 0.05, 3)
    np.testing.assert_allclose(found, np.tile(np.log([0.95, 0.5]), (2, 1)), rtol=1e-12)
    turned = gd.Objective("(x + y)^2 + (x - y)^2/4", "x y")  # sharpnesses 4 and 1
    found = lyapunov(turned, np.array([[1.0, 0.3]]), 4000, 0.4, 50)
    np.testing.assert_allclose(found, [np.log([0.6, 0.6])], rtol=1e-12)
    found = lyapunov(turned, np.array([[1.0, 0.3]]), 4000, 0.2, 50)
    np.testing.assert_allclose(found, [np.log([0.8, 0.2])], atol=2e-3)


def test_no_compiler_and_no_peer_is_a_line_and_not_an_error(monkeypatch):
    monkeypatch.setattr(reference, "compiler", lambda: None)

    def absent():
        import a_package_that_is_not_there  # noqa: F401

    rows = engine.compare(
        "fixed",
        [
            engine.way("gdbook", 10, lambda: lambda: 0),
            engine.way(
                engine.C, 10, engine.in_c, VALLEY, "fixed_steps", [[1.0]], 3, 0.1, lanes=[3]
            ),
            engine.way("another", 10, absent),
            engine.way("twice", lambda result: result + 5, lambda: lambda: 0),
        ],
        lambda name, results: "same" if results[name] == results["gdbook"] else "",
        repeats=1,
    )
    assert rows[1] == (engine.C, "no C compiler here", "", "", "")
    assert rows[2] == ("another", "No module named 'a_package_that_is_not_there'", "", "", "")
    assert [row[-1] for row in rows] == ["same", "", "", "same"]
    assert reference.description() == "no C compiler here"


def test_promises_of_the_engine():
    assert {case for case, _ in engine.BARS} <= set(engine.CASES)
    assert engine.promise(0.9, 0.95) == "0.9: kept"
    assert engine.promise(0.9, 0.85) == "0.9: MISSED"
    with pytest.raises(ValueError, match="no case named 'fast'"):
        engine.report("fast")


@pytest.mark.parametrize("case", ["escape", "histogram"])
def test_report_of_the_engine(case):
    text = engine.report(case, scale=0.0005)
    assert "speed of gdbook" in text
    names = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    assert {"gdbook", *(name for c, name in engine.BARS if c == case)} <= names
    assert "differs" not in text
    assert text.count("labels and steps the same") >= 4 * (case == "escape")


# Networks


def test_plain_jax_trains_as_the_package():
    pytest.importorskip("jax")
    loss, start, rate = networks.problem(0.5, before=5, hidden=(4,), side=4, number=20)
    run = gd.networks.train(loss, start, rate, 10)
    layers = networks.in_jax(loss, start, rate, 10)()
    theirs = np.concatenate([np.ravel(x) for layer in layers for x in layer])
    assert np.abs(run.points[-1] - start).max() > 0.05
    np.testing.assert_allclose(run.points[-1], theirs, atol=1e-4)
    assert networks.error(loss, start, rate, 10) < networks.ACCURACY


def test_lines_of_networks():
    timings = {networks.PLAIN: 2.0, networks.OURS: 2.1, networks.TRACKED: 4.0}
    timings = {name: harness.Timing(9.0, seconds, 5) for name, seconds in timings.items()}
    rows = networks.lines("net", 100, timings)
    assert [row[2:] for row in rows] == [
        ("20 ms", "1", ""),
        ("21 ms", "1.05", "1.1: kept"),
        ("40 ms", "2", "1.8: MISSED"),
    ]


def test_machine_is_described():
    text = harness.machine(reference.description())
    assert reference.level()[0] in text and reference.description() in text
    assert reference.description() not in harness.machine()


def test_units():
    assert [harness.duration(s) for s in (2.5, 2.5e-3, 1e-6, 3.14159e-9, 76e-12)] == [
        "2.5 s",
        "2.5 ms",
        "1 us",
        "3.14 ns",
        "76 ps",
    ]


# Classification


def test_all_ways_to_classify_record_the_same_losses():
    signed, runs = classification.data(30, 5), {}
    for name, make in classification.WAYS.items():
        if name != classification.JAX or harness.installed("jax"):
            runs[name] = make(signed)(10.0, 1000)
    assert runs.pop(classification.READING) is None
    for losses in runs.values():
        np.testing.assert_allclose(losses, runs[classification.NUMPY], rtol=1e-11)
    assert runs[classification.OURS].shape == (1001,) and losses[-1] < 0.5 * losses[0]


def test_promises_and_lines_of_classification():
    cases, ways = classification.CASES, classification.WAYS
    assert {case for case, _ in classification.BARS} == set(cases)
    assert {name for _, name in classification.BARS} <= set(ways)
    lines = classification.rows("in memory", classification.data(20, 3), steps=3, repeats=1)
    assert {line[0] for line in lines} == set(ways)
    assert all(len(line) == len(classification.HEADER) for line in lines)
    promised = {line[0] for line in lines if line[5]}
    assert promised <= {name for case, name in classification.BARS if case == "in memory"}
