"""Live figures without a browser: JavaScript against the package in Node, and what Python sends."""

import base64
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy

import gdbook as gd
from gdbook.outcome import javascript as outcome_javascript
from gdbook.plots import COLOURS
from gdbook.widgets import descent_explorer_2d

pytest.importorskip("playwright")

WIDGETS = Path(gd.__file__).parent / "widgets"
MODULES = sorted(WIDGETS.glob("*.js"))
CATALOGUE = {name: getattr(gd.catalogue, name)() for name in gd.catalogue.__all__}
RATIONAL = [
    name
    for name, objective in CATALOGUE.items()
    if not objective.expression.atoms(sympy.Function) - objective.expression.atoms(sympy.Piecewise)
]
# Where something happens: lengths and learning rates other than of the order of one.
UNITS = {"sharp_and_flat_1d": (6, 1 / 40)}


def floats(nested):
    """JSON's null is a number that is not finite."""
    return np.array(nested, dtype=float)


# One formula, two languages


@pytest.mark.parametrize("name", CATALOGUE)
def test_one_step_and_derivatives_agree(name, node):
    objective = CATALOGUE[name]
    rng = np.random.default_rng(1)
    points = rng.uniform(-3, 3, (1000, objective.dimension))
    rates = rng.uniform(0, 2, 1000)
    result = node(
        """
        import { value, gradient, hessian, step } from "./formula.mjs";
        const result = {
          value: data.points.map((x) => value(x)),
          gradient: data.points.map((x) => [...gradient(x)]),
          hessian: data.points.map((x) => [...hessian(x)]),
          step: data.points.map((x, i) => [...step(x, data.rates[i])]),
        };""",
        {"points": points.tolist(), "rates": rates.tolist()},
        formula=objective.javascript(),
    )
    gradient = objective.gradient(points)
    expected = {
        "value": objective.value(points),
        "gradient": gradient,
        "hessian": objective.hessian(points).reshape(1000, -1),
        "step": points - rates[:, np.newaxis] * gradient,
    }
    for form, theirs in expected.items():
        ours = floats(result[form])
        assert ours.shape == theirs.shape
        if name not in RATIONAL:
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15, err_msg=form)
        else:
            assert (np.abs(ours - theirs) <= 4 * np.spacing(np.abs(theirs))).all(), form


@pytest.mark.parametrize("name", CATALOGUE)
def test_fifty_steps_agree_where_they_converge(name, node):
    # orbits on fine ripples are chaotic: of them no digit is compared
    objective = gd.catalogue.multiscale(scale=1) if name == "multiscale" else CATALOGUE[name]
    rng = np.random.default_rng(2)
    starts = rng.uniform(-1.5, 1.5, (40, objective.dimension))
    rates = rng.uniform(0.01, 0.9, 40)
    length, rate_unit = UNITS.get(name, (1, 1))
    starts, rates = length * starts, rate_unit * rates
    result = node(
        """
        import { step } from "./formula.mjs";
        const result = data.starts.map((start, i) => {
          const x = [...start];
          for (let k = 0; k < 50; k++) step(x, data.rates[i], undefined, x);
          return x;
        });""",
        {"starts": starts.tolist(), "rates": rates.tolist()},
        formula=objective.javascript(),
    )
    stayed = 0
    for start, rate, end in zip(starts, rates, result, strict=True):
        orbit = gd.gradient_descent(objective, start, rate, 50)
        # the quartic approaches its minimum too slowly to count as converged, yet it does converge
        if gd.gradient_descent(objective, start, rate, 500).outcome.label != "diverged":
            stayed += 1
            np.testing.assert_allclose(floats(end), orbit.points[-1], rtol=1e-12, atol=1e-12)
    assert stayed > 5


@pytest.mark.parametrize("name", CATALOGUE)
def test_parameters_reach_the_formula(name, node):
    objective = CATALOGUE[name]
    parameters = {key: 0.7 + i for i, key in enumerate(objective.parameters)}
    point = [0.4, -1.3][: objective.dimension]
    result = node(
        """
        import { variables, parameters, value } from "./formula.mjs";
        const result = { variables, parameters, value: value(data.point, data.parameters) };""",
        {"point": point, "parameters": parameters},
        formula=objective.javascript(),
    )
    assert result["variables"] == [str(v) for v in objective.variables]
    assert result["parameters"] == {k: float(v) for k, v in objective.parameters.items()}
    changed = objective.with_parameters(**parameters) if parameters else objective
    assert result["value"] == pytest.approx(float(changed.value(point)), rel=1e-14)


# The one stops from everywhere, the other is still on its way to infinity.
ONE_OUTCOME = {"perceptron_loss": {"converged"}, "flattened_polynomial": {"bounded"}}


@pytest.mark.parametrize("name", RATIONAL)
def test_outcomes_are_those_of_python(name, node):
    objective = CATALOGUE[name]
    rng = np.random.default_rng(3)
    starts = rng.uniform(-1.6, 1.6, (200, objective.dimension))
    rates = rng.uniform(0.05, 2.2, 200)
    rates[:10] = np.linspace(1.05, 1.28, 10)  # cycles of the double well
    length, rate_unit = UNITS.get(name, (1, 1))
    starts, rates = length * starts, rate_unit * rates
    result = node(
        """
        import { step } from "./formula.mjs";
        import { outcomeOf } from "./outcome.mjs";
        const { starts, rates } = data;
        const result = starts.map((x, i) => outcomeOf(step, x, rates[i], undefined, 500));""",
        {"starts": starts.tolist(), "rates": rates.tolist()},
        formula=objective.javascript(),
        outcome=outcome_javascript(),
    )
    labels = set()
    for start, rate, theirs in zip(starts, rates, result, strict=True):
        outcome = gd.gradient_descent(objective, start, rate, 500).outcome
        ours = {"label": outcome.label, "step": outcome.step, "period": outcome.period}
        assert ours == {key: theirs[key] for key in ours}
        labels.add(outcome.label)
    assert len(labels) > 1 or labels == ONE_OUTCOME.get(name)


def test_what_shrinks_slowly_is_periodic_nowhere(node):
    bowl = gd.catalogue.quadratic_bowl()
    starts = [[1.0, -1.0], [0.3, 1e-3], [1e-9, 1e-9]]
    cases = [(x, h, n) for x in starts for h in (0.19, 0.195, 0.2) for n in (150, 190, 200, 225)]
    result = node(
        """
        import { outcomeOf, step } from "./worker.mjs";
        const result = data.map(([x, h, steps]) => outcomeOf(step, x, h, undefined, steps));""",
        cases,
        worker=gd.widgets.DescentExplorer2D(bowl)._texts["worker"],
    )
    ours = [vars(gd.gradient_descent(bowl, *case).outcome) for case in cases]
    assert result == ours
    for (_, h, _), found in zip(cases, ours, strict=True):
        assert (found["label"] == "periodic") == (h == 0.2), found
    assert {found["label"] for found in ours} == {"converged", "periodic", "bounded"}


def test_labels_of_chaotic_orbits_agree_with_transcendental_formulas(node):
    # digits of sine may differ between Python and the browser; what becomes of the orbits may not
    starts = np.random.default_rng(4).uniform(-3, 3, (200, 1))
    result = node(
        """
        import { step } from "./formula.mjs";
        import { outcomeOf } from "./outcome.mjs";
        const result = data.map((x) => outcomeOf(step, x, 1.7, undefined, 500).label);""",
        starts.tolist(),
        formula=CATALOGUE["cosine"].javascript(),
        outcome=outcome_javascript(),
    )
    ours = [gd.gradient_descent(CATALOGUE["cosine"], x, 1.7, 500).outcome.label for x in starts]
    assert result == ours


@pytest.mark.parametrize("name", ["quadratic", "double_well", "scalar_factorization", "cosine"])
def test_modified_field_agrees(name, node):
    objective = CATALOGUE[name]
    order = 3
    field = gd.modified_field(objective, order)
    points = np.random.default_rng(5).uniform(-1.5, 1.5, (100, objective.dimension))
    result = node(
        """
        import { order, coefficients } from "./field.mjs";
        const result = { order, values: data.map((x) => [...coefficients(x)]) };""",
        points.tolist(),
        field=field.javascript(),
    )
    assert result["order"] == order
    coefficients = floats(result["values"]).reshape(100, order + 1, objective.dimension)
    for h in (0.0, 0.1, 0.7):
        sums = np.einsum("pkd,k->pd", coefficients, h ** np.arange(order + 1))
        np.testing.assert_allclose(sums, field.evaluate(points, h), rtol=1e-11, atol=1e-12)


# The modules of the figures


@pytest.mark.parametrize(
    "name, start", [("double_well", [0.3]), ("scalar_factorization", [1.6, 0.3])]
)
def test_integration_agrees_with_scipy(name, start, node):
    objective = CATALOGUE[name]
    result = node(
        """
        import { gradient } from "./formula.mjs";
        import { integrate } from "./integrate.js";
        const field = (x, out) => gradient(x, undefined, out).forEach((g, i) => (out[i] = -g));
        const result = integrate(field, data, 0.25, 16).map((x) => [...x]);""",
        start,
        formula=objective.javascript(),
    )
    times = 0.25 * np.arange(17)
    flow = gd.gradient_flow(objective, start, times).points
    np.testing.assert_allclose(floats(result), flow, rtol=1e-8)


def test_integration_ends_where_the_solution_does(node):
    result = node(
        """
        import { integrate } from "./integrate.js";
        const square = (x, out) => { out[0] = x[0] * x[0]; };
        const result = integrate(square, [1], 0.3, 6).map((x) => x[0]);""",
        None,
    )
    times = 0.3 * np.arange(7)
    alive = times < 1
    np.testing.assert_allclose(floats(result)[alive], 1 / (1 - times[alive]), rtol=1e-8)
    assert np.isnan(floats(result)[~alive]).all()


def test_the_loop_of_the_basin_picture_is_the_definition(node):
    """To the label and the step, for every kind of formula and every kind of number of steps."""
    formulas = [
        (gd.catalogue.scalar_factorization(), [0.02, 0.5, 0.97, 1.2, 1.9]),
        (gd.catalogue.quadratic_bowl(), [0.1, 0.19, 0.2, 0.21]),
        (gd.Objective("Piecewise((x^2, x > y), (cos(y)^2 + a*y, True))", "x y", {"a": 0.5}), [0.4]),
        (gd.Objective("sqrt(2 + x) + y^2", "x y"), [0.5]),
        (gd.Objective("steps*k^2 + check*k*rules^2", "k rules", {"steps": 1, "check": 0.5}), [0.3]),
    ]
    for objective, rates in formulas:
        figure = gd.widgets.DescentExplorer2D(objective, largest_learning_rate=3)
        result = node(
            """
            import { basinRows, labelNames, outcomeOf, step } from "./worker.mjs";
            const differing = [];
            const seen = new Set();
            for (const learningRate of data.rates)
              for (const steps of [0, 1, 2, 31, 32, 33, 200, 300]) {
                const { limits: [x0, x1, y0, y1], p } = data;
                const found = basinRows({ limits: data.limits, learningRate, p, steps }, 24, 0, 24);
                for (let k = 0; k < 24 * 24; k++) {
                  const x = x0 + ((x1 - x0) * ((k % 24) + 0.5)) / 24;
                  const y = y0 + ((y1 - y0) * (Math.floor(k / 24) + 0.5)) / 24;
                  const { label, step: at } = outcomeOf(step, [x, y], learningRate, p, steps);
                  seen.add(label);
                  if (labelNames[found.labels[k]] !== label || found.steps[k] !== at)
                    differing.push([x, y, steps]);
                }
              }
            const result = { differing, seen: [...seen] };""",
            {
                "limits": [-2.5, 2.5, -2.0, 2.0],
                "rates": rates,
                "p": {name: float(value) for name, value in objective.parameters.items()},
            },
            worker=figure._texts["worker"],
        )
        assert result["differing"] == []
        assert len(result["seen"]) > 1


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.2, 1.6])
def test_worker_labels_are_outcomes(rate, node):
    objective = gd.catalogue.scalar_factorization()
    figure = gd.widgets.DescentExplorer2D(objective)
    limits, size = [-2.5, 2.5, -2.0, 2.0], 20
    result = node(
        """
        import { basinRows, labelNames } from "./worker.mjs";
        const rows = [[0, 7], [7, 13]].map((some) => basinRows(data, data.size, ...some));
        const result = {
          labels: rows.flatMap((row) => [...row.labels].map((label) => labelNames[label])),
          steps: rows.flatMap((row) => [...row.steps]),
        };""",
        {"limits": limits, "size": size, "learningRate": rate, "p": {"mu": 1.0}, "steps": 200},
        worker=figure._texts["worker"],
    )
    centres = (np.arange(size) + 0.5) / size
    outcomes = [
        gd.gradient_descent(objective, [-2.5 + 5 * x, -2.0 + 4 * y], rate, 200).outcome
        for y in centres
        for x in centres
    ]
    assert result["labels"] == [outcome.label for outcome in outcomes]
    assert result["steps"] == [outcome.step for outcome in outcomes]
    assert len(set(result["labels"])) > 1


def test_level_lines_lie_on_the_level(node):
    result = node(
        """
        import { levelLines } from "./levels.js";
        const result = levelLines((x) => x[0] * x[0] + x[1] * x[1], {}, [-1, 1, -1, 1]);""",
        None,
    )
    ends = floats(result).reshape(-1, 2)
    radii = (ends**2).sum(axis=1)
    levels = np.unique(radii.round(2))
    assert len(ends) > 1000 and len(levels) <= 14
    assert np.abs(radii[:, np.newaxis] - levels).min(axis=1).max() < 0.006


def test_a_curve_is_where_its_formula_is_zero(node):
    ellipse = gd.factorization.InvariantEllipse
    figure = gd.widgets.DescentExplorer2D(
        gd.catalogue.scalar_factorization(),
        curves={"invariant ellipse": ellipse.expression, "kink": "abs(x) - y - h"},
    )
    result = node(
        """
        import { curves } from "./curves.mjs";
        import { zeroLine } from "./levels.js";
        const zeros = (p) => curves.map((curve) => zeroLine(curve, p, [-3, 3, -3, 3]));
        const result = data.map(([mu, h]) => zeros({ mu, h }));""",
        [[1, 0.5], [1.5, 1.1], [1, 0]],
        curves=figure._texts["curves"],
    )
    for (mu, h), (segments, kink) in zip([(1, 0.5), (1.5, 1.1)], result, strict=False):
        ends = floats(segments).reshape(-1, 2)
        assert len(ends) > 100
        # chords of the squares of a grid: they leave the curve by a part of its square
        radii = np.linalg.norm(ends, axis=1) / np.linalg.norm(
            ellipse(h, mu).points(ellipse(h, mu).angles(ends)), axis=1
        )
        np.testing.assert_allclose(radii, 1, atol=1.5e-3)
        x, y = floats(kink).reshape(-1, 2).T
        away = np.abs(x) > 0.1
        np.testing.assert_allclose((np.abs(x) - y)[away], h, atol=1e-12)
    assert result[2][0] == [], "at learning rate 0 the ellipse is infinitely large"


def test_numbers_for_people(node):
    result = node(
        """
        import { format, short, ticks, fitted, decades, channels } from "./drawing.js";
        const texts = (marks) => marks.map(({ text }) => text);
        const result = {
          format: [0, -1.5, 3.14159, 1e-7, Infinity, NaN].map((x) => format(x)),
          short: [1, 0.1818, 1.5].map(short),
          fitted: [[-2, 2], [-1e-7, 1e-7], [0.5, 0.5 + 0.9e-7]].map((limits) => {
            const { marks, note } = fitted(ticks(...limits, 4));
            return [...texts(marks), note];
          }),
          far: ticks(1e6, 1e6 + 1e-10, 4).length,
          ticks: [texts(ticks(-2, 2, 4)), texts(ticks(0, 0.25, 5)), texts(ticks(-1.6, 1.6, 3))],
          decades: [texts(decades(1e-3, 10, 10)), texts(decades(1e-12, 1, 4))],
          channels: channels("#0072B2"),
        };""",
        None,
    )
    assert result["fitted"] == [
        ["−2", "−1", "0", "1", "2", ""],
        ["−1", "−0.5", "0", "0.5", "1", " in 10⁻⁷"],
        ["…0000", "…0002", "…0004", "…0006", "…0008", " ≈ 0.50000000"],
    ]
    assert result["far"] < 20, "an axis finer than numbers are ends nevertheless"
    assert result["format"] == ["0.00", "−1.50", "3.14", "1.0 × 10⁻⁷", "∞", "undefined"]
    assert result["short"] == ["1.00", "0.182", "1.50"]
    assert result["ticks"] == [
        ["−2", "−1", "0", "1", "2"],
        ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25"],
        ["−1", "0", "1"],
    ]
    assert result["decades"] == [
        ["10⁻³", "10⁻²", "10⁻¹", "1", "10¹"],
        ["10⁻¹²", "10⁻⁸", "10⁻⁴", "1"],
    ]
    assert result["channels"] == [0, 0x72, 0xB2]


QUADRATIC_REGIMES = {
    0.0: ("at rest", "stable", "Does not move"),
    1.999: ("oscillating", "oscillating", "Oscillating, still on its way"),
    2.001: ("oscillating", "periodic", "Oscillating more and more, still on its way"),
    0.3: ("monotone", "stable", "h = 0.30 is below 1/L = 1.00"),
    1.0: ("one step", "stable", "h = 1.00 is exactly 1/L"),
    1.5: ("oscillating", "oscillating", "h = 1.50 is between 1/L = 1.00 and 2/L = 2.00"),
    2.0: ("period 2", "edge", "h = 2.00 is exactly 2/L"),
    2.5: ("diverges", "diverged", "h = 2.50 is beyond 2/L = 2.00"),
}
WELL_REGIMES = {
    0.0: ("at rest", "stable", "Does not move"),
    1e-12: ("at rest", "stable", "Hardly moves"),
    1e-4: ("monotone", "stable", "Monotone, still on its way after 4096 steps"),
    0.5: ("superlinear", "stable", "h = 0.50 is exactly 1/L, with L = f″(−1)"),
    0.9999: ("oscillating", "oscillating", "still on its way"),
    1.0: ("oscillating", "oscillating", "exactly 2/L"),
    1.0001: ("oscillating", "oscillating", "still on its way after 4096 steps"),
    0.4: ("monotone", "stable", "below 1/L = 0.50"),
    0.8: ("oscillating", "oscillating", "between 1/L = 0.50 and 2/L = 1.00"),
    1.15: ("period 2", "periodic", "beyond 2/L = 1.00"),
    1.26: ("period 4", "periodic", "beyond 2/L = 1.00"),
    1.9: ("chaotic", "chaotic", "beyond 2/L = 1.00"),
    2.1: ("diverges", "diverged", "beyond 2/L = 1.00"),
}


@pytest.mark.parametrize(
    "name, sharpness, origin, regimes",
    [("quadratic", 1, "", QUADRATIC_REGIMES), ("double_well", 2, "f″(−1)", WELL_REGIMES)],
)
def test_regimes_have_their_names(name, sharpness, origin, regimes, node):
    result = node(
        """
        import * as formula from "./formula.mjs";
        import { outcomeOf } from "./outcome.mjs";
        import { regime } from "./regimes.js";
        const { rates, ...rest } = data;
        const result = rates.map((h) => regime(formula, outcomeOf, undefined, { ...rest, h }));""",
        {"rates": list(regimes), "start": 0.3, "sharpness": sharpness, "origin": origin},
        formula=CATALOGUE[name].javascript(),
        outcome=outcome_javascript(),
    )
    for found, (regime, colour, words) in zip(result, regimes.values(), strict=True):
        assert (found["name"], found["colour"]) == (regime, colour)
        assert words in found["words"]


@pytest.mark.parametrize("name", ["double_well", "cosine", "rational_valley", "quartic"])
def test_converges_is_said_only_of_orbits_that_do(name, node):
    objective = CATALOGUE[name]
    sharpness = gd.widgets.DescentExplorer1D(objective).smoothness
    starts, rates = [0.0, 0.3, 1.0, -1.7], np.linspace(0, 4, 21) / sharpness
    settings = [(start, rate) for start in starts for rate in rates]
    result = node(
        """
        import * as formula from "./formula.mjs";
        import { outcomeOf } from "./outcome.mjs";
        import { regime } from "./regimes.js";
        const { settings, sharpness } = data;
        const result = settings.map(([start, h]) => {
          return regime(formula, outcomeOf, undefined, { start, h, sharpness }).words;
        });""",
        {"settings": settings, "sharpness": sharpness},
        formula=objective.javascript(),
        outcome=outcome_javascript(),
    )
    for (start, rate), words in zip(settings, result, strict=True):
        orbit = gd.gradient_descent(objective, start, rate, 6000)
        moves = np.diff(orbit.points[:60, 0])
        slope = abs(objective.gradient(orbit.points[-1])[0])
        if "onverges" in words:
            assert orbit.outcome.label == "converged" and slope < 1e-6, (start, rate, words)
        if words.startswith("Monotone, "):
            assert (moves >= -1e-12).all() or (moves <= 1e-12).all(), (start, rate, words)
        if "at step" in words or "cycle of 2 points" in words:
            assert orbit.outcome.label in ("diverged", "periodic"), (start, rate, words)
        if "chaotic" in words:
            assert orbit.outcome.label == "bounded", (start, rate, words)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_keep_the_rules(path):
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"//.*", "", text)
    assert not re.search(r"\beval\s*\(|new Function|innerHTML|document\.write|https?:", code)
    assert not re.search(r'setTimeout\(\s*["`]|\.on\w+\s*=\s*["`]', code)
    # relative imports only, of files that exist
    imported = re.findall(r'\bfrom\s+"([^"]*)"', code)
    assert all(name.startswith("./") for name in imported)
    assert all((WIDGETS / name).exists() for name in imported if name != "./figure.js")
    assert not re.search(r"#[0-9a-fA-F]{6}", code), "colours come from Python and from style.css"


# What Python sends


@pytest.fixture(scope="module")
def figures():
    catalogue = gd.catalogue
    return [
        gd.widgets.RegimeMap(),
        gd.widgets.DescentExplorer1D(catalogue.quadratic(), start=1.0, learning_rate=1.5),
        gd.widgets.DescentExplorer2D(catalogue.scalar_factorization(), learning_rate=0.6),
        gd.widgets.FlowExplorer(catalogue.quadratic(), start=1.0, learning_rate=0.5),
        gd.widgets.FlowExplorer(catalogue.scalar_factorization(), (1.6, 0.3), 0.3),
    ]


def test_stills_are_pictures_of_the_size_they_promise(figures):
    for figure in figures:
        png = base64.b64decode(figure._still)
        assert png.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", png[16:24])
        assert [width, height] == [2 * size for size in figure._still_size]
        assert figure._space[0] == pytest.approx(height / width, abs=2e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda w, c: w.DescentExplorer1D(c.double_well(), 2.0, 1.2),
        lambda w, c: w.DescentExplorer1D(c.quartic(), 3.0, 1.0, largest_learning_rate=1),
        lambda w, c: w.DescentExplorer2D(
            c.scalar_factorization(), (2.4, 2.4), 1.5, largest_learning_rate=2
        ),
        lambda w, c: w.FlowExplorer(c.quartic(), 3.0, 0.5, limits=(-4, 4)),
        lambda w, c: w.FlowExplorer(gd.Objective("-x^4/4", "x"), 1.0, 0.5),
        lambda w, c: w.FlowExplorer(c.scalar_factorization(), (1, 1), 0.5),
    ],
)
def test_stills_of_what_diverges_or_rests_are_drawn_in_silence(make):
    assert make(gd.widgets, gd.catalogue)._still


def test_the_still_has_the_basins_of_the_live_picture(node):
    objective = gd.catalogue.scalar_factorization()
    words = [
        (0.5, "green where they converge, purple where they do neither in 200 steps and vermilion"),
        (1.1, "green where they converge, blue where they end in a cycle and vermilion where"),
        (1.9, "green where they converge, purple where they do neither in 200 steps and vermilion"),
    ]
    for rate, told in words:
        figure = gd.widgets.DescentExplorer2D(
            objective, learning_rate=rate, largest_learning_rate=2
        )
        result = node(
            """
            import { basinRows } from "./worker.mjs";
            import { LABEL_COLOURS } from "./basin_picture.js";
            const { labels, steps } = basinRows(data, 160, 0, 160);
            const result = { labels: [...labels], steps: [...steps], colours: LABEL_COLOURS };""",
            {"limits": figure.limits, "learningRate": rate, "p": {"mu": 1.0}, "steps": 200},
            worker=figure._texts["worker"],
        )
        np.testing.assert_array_equal(figure._fate.labels, result["labels"])
        np.testing.assert_array_equal(figure._fate.steps, result["steps"])
        assert tuple(result["colours"]) == gd.outcome.LABELS
        assert tuple(result["colours"].values()) == descent_explorer_2d.LABEL_COLOURS
        assert f"behind them the starts, {told}" in figure._alt
    rows = descent_explorer_2d._painted(figure._fate, 200, [])
    first = np.array([int(COLOURS["diverged"][i : i + 2], 16) / 255 for i in (1, 3, 5)])
    strength = 0.2 + 0.4 * np.exp(-figure._fate.steps[0] / 40)
    np.testing.assert_allclose(rows[0, 0], strength * first + 1 - strength)  # lower left


PITS = {"flat": "x^2 + y^2 < 1", "sharp": "(abs(x) > 1) & (abs(y) > 1)"}
BRANCHES = {"positive": "(x > 0) & (x*y > mu/2)", "negative": "x < 0"}
TARGETS = [
    ("sharp_and_flat_2d", PITS, 4, 0.005, 1000),
    ("sharp_and_flat_2d", PITS, 4, 0.018, 1000),
    ("sharp_and_flat_2d", PITS, 4, 0.02, 1000),
    ("sharp_and_flat_2d", PITS, 4, 0.021, 600),
    ("sharp_and_flat_2d", {"flat": [0, 0], "sharp": [1.4704874306, 1.4704874306]}, 4, 0.018, 1000),
    ("scalar_factorization", BRANCHES, 2.5, 0.5, 200),
    ("scalar_factorization", {"right": "x >= 1", "mu": "Eq(mu, 1)"}, 2.5, 1.6, 300),
    ("scalar_factorization", {"balanced": [1, 1], "nowhere": "x > 9"}, 2.5, 0.9, 600),
]


@pytest.mark.parametrize("name, targets, reach, rate, steps", TARGETS)
def test_the_basins_of_targets_are_those_of_the_package(name, targets, reach, rate, steps, node):
    """In the worker's picture and in the still."""
    objective, limits = getattr(gd.catalogue, name)(), [-reach, reach, -reach, reach]
    figure = gd.widgets.DescentExplorer2D(
        objective,
        learning_rate=rate,
        limits=limits,
        largest_learning_rate=2,
        targets=targets,
        basin_steps=steps,
    )
    p = {key: float(value) for key, value in objective.parameters.items()}
    result = node(
        """
        import { basinRows } from "./worker.mjs";
        const rows = [[0, 50], [50, 110]].map((some) => basinRows(data, 160, ...some));
        const result = {
          labels: rows.flatMap((row) => [...row.labels]),
          steps: rows.flatMap((row) => [...row.steps]),
        };""",
        {"limits": limits, "learningRate": rate, "p": p, "steps": steps},
        worker=figure._texts["worker"],
    )
    places = (np.arange(160) + 0.5) / 160 * 2 * reach - reach
    starts = np.stack(np.meshgrid(places, places), axis=-1)
    found = gd.descend_many(objective, starts, rate, steps, targets=targets, progress=False)
    expected = np.where(found.reached < 0, found.labels, 4 + found.reached)
    np.testing.assert_array_equal(result["labels"], expected)
    np.testing.assert_array_equal(result["steps"], found.steps)
    assert len(np.unique(expected)) > 1 and (found.reached >= 0).any()
    colours = [COLOURS[key] for key in ("chaotic", "diverged", "chaotic", "chaotic")]
    colours += [COLOURS["target 1"], COLOURS["target 2"]]
    full = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])[expected]
    strength = (0.4 + 0.3 * np.exp(-5 * found.steps / steps))[:, np.newaxis]
    drawn = descent_explorer_2d._painted(figure._fate, steps, list(targets))
    np.testing.assert_allclose(drawn.reshape(-1, 3), strength * full + 1 - strength, atol=1e-12)


def test_python_and_the_browser_paint_basins_alike(node):
    result = node(
        """
        import { LABEL_COLOURS, STRENGTHS, basinColours } from "./basin_picture.js";
        const colours = [0, 1, 4].map(basinColours);
        const result = { colours, labels: Object.keys(LABEL_COLOURS), strengths: STRENGTHS };""",
        None,
    )
    assert tuple(result["labels"]) == gd.outcome.LABELS
    assert result["strengths"] == {k: list(v) for k, v in descent_explorer_2d.STRENGTHS.items()}
    labels = list(descent_explorer_2d.LABEL_COLOURS)
    assert result["colours"] == [labels, *(descent_explorer_2d._basin_colours(n) for n in (1, 4))]


def test_targets_are_told():
    pits = gd.catalogue.sharp_and_flat_2d()
    told = {
        0.005: "light blue where they reach “sharp” and purple where they reach none in 1000 steps",
        0.018: "green where they reach “flat” and light blue where they reach “sharp”;",
        0.021: "green where they reach “flat” and purple where they reach none in 1000 steps;",
    }
    stills = set()
    for rate, words in told.items():
        figure = gd.widgets.DescentExplorer2D(
            pits, learning_rate=rate, limits=(-4, 4, -4, 4), targets=PITS, basin_steps=1000
        )
        assert f"behind them the starts, {words}" in figure._alt
        stills.add(figure._still)
    assert len(stills) == 3
    figure = gd.widgets.DescentExplorer2D(
        gd.catalogue.scalar_factorization(), learning_rate=0.5, targets={"set {x}": "x > 0"}
    )
    assert (
        "green where they reach “set {x}”, purple where they reach none in 200 steps and vermilion "
        "where they diverge; right" in figure._alt
    )


def test_formulas_agree_on_creases(node):
    """Where a branch begins, which no random point meets: the same bits."""
    objectives = [gd.catalogue.sharp_and_flat_2d(printed) for printed in (False, True)]
    edges = [-2.0, -1.5, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 1.75, 2.0, 3.0]
    points = [[x, y] for x in edges for y in edges]
    for objective in objectives:
        result = node(
            """
            import { gradient, hessian, step, value } from "./formula.mjs";
            const all = (x) => [value(x), ...gradient(x), ...hessian(x), ...step(x, 0.02)];
            const result = data.map(all);""",
            points,
            formula=objective.javascript(),
        )
        gradient = objective.gradient(points)
        rows = [
            objective.value(points)[:, np.newaxis],
            gradient,
            objective.hessian(points).reshape(-1, 4),
            points - 0.02 * gradient,
        ]
        np.testing.assert_array_equal(floats(result), np.concatenate(rows, axis=1))


def test_poles_and_holes_in_view():
    for formula in ("log(x) + 1/y", "log(x)/y^2 + 1/(x - y)", "sqrt(x - 2) + y^2"):
        for rate in (None, 0.3):
            figure = gd.widgets.DescentExplorer2D(
                gd.Objective(formula, "x y"), learning_rate=rate, largest_learning_rate=1
            )
            assert figure._still
    plane = gd.Objective("(x - 1)^2 + y - log(y)", "x y")
    assert descent_explorer_2d._lowest_value(plane, (-2, 2, -2.5, 2.5)) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"limits must hold points where .* has none in \[-2.5, "):
        gd.widgets.DescentExplorer2D(gd.Objective("log(-1 - x^2) + y", "x y"))


def test_curves_are_told_and_drawn_in_the_still():
    objective, curves = gd.catalogue.scalar_factorization(), {"unit circle": "x^2 + y^2 - 1"}
    plain = gd.widgets.DescentExplorer2D(objective)
    drawn = gd.widgets.DescentExplorer2D(objective, curves=curves)
    assert plain._still != drawn._still
    assert "the unit circle" in drawn._alt and "over them" not in plain._alt
    # a curve that is not in the picture is no error
    for level in ("x + y - 99", "h*x - y/h"):
        assert gd.widgets.DescentExplorer2D(objective, learning_rate=0, curves={"a": level})._still


def test_stills_are_repeatable():
    first, second = (gd.widgets.RegimeMap()._still for _ in range(2))
    assert first == second


def test_texts_import_nothing_and_jupyter_gets_one_module(figures):
    for figure in figures:
        for text in figure._texts.values():
            assert not re.search(r"^\s*import\b|\bfrom\s+\"", text, flags=re.M)
        assert "./" not in re.sub(r'"data:[^"]*"', "", figure._esm)
        assert figure._esm.count("data:text/javascript;base64,") == 1
        assert (WIDGETS / figure._source).exists()
        assert f'"{type(figure).__name__}"' in (WIDGETS / figure._source).read_text("utf-8")


def test_figures_speak_and_share_the_colours(figures):
    for figure in figures:
        assert "f(x" in figure._name and "f(x" in figure._alt and "**" not in figure._alt
        assert len(figure._alt) > 80 and "{" not in figure._alt and "  " not in figure._alt
        assert figure._colours == COLOURS
        assert figure._css == (WIDGETS / "style.css").read_text("utf-8")


def test_state_is_plain_and_can_be_set(figures):
    for figure in figures:
        state = figure.get_state([*type(figure).class_own_traits(), "_space", "_texts"])
        assert json.loads(json.dumps(state)) == state
    one = gd.widgets.DescentExplorer1D(gd.catalogue.quadratic())
    one.learning_rate = 1.25
    assert one.get_state("learning_rate") == {"learning_rate": 1.25}


def test_drawing_a_still_leaves_matplotlib_alone():
    code = (
        "import matplotlib, matplotlib.pyplot as plt, gdbook as gd;"
        "before = dict(matplotlib.rcParams); gd.widgets.RegimeMap();"
        "assert dict(matplotlib.rcParams) == before; assert plt.get_fignums() == []"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_smoothness_is_the_sharpness_where_the_objective_is_lowest():
    catalogue = gd.catalogue
    assert gd.widgets.RegimeMap().smoothness == pytest.approx(2, rel=1e-12)
    assert gd.widgets.DescentExplorer1D(catalogue.quadratic(4.0)).smoothness == 4.0
    assert gd.widgets.DescentExplorer1D(catalogue.quartic()).smoothness == pytest.approx(12.0)
    origins = {
        figure._smoothness_origin
        for figure in (gd.widgets.DescentExplorer1D(catalogue.quadratic()), gd.widgets.RegimeMap())
    }
    assert origins == {"", "f″(−1)"}
    edge = gd.widgets.DescentExplorer1D(catalogue.cosine())
    assert edge.smoothness == pytest.approx(-np.cos(2))
    assert edge._smoothness_origin == "the largest f″ in view"
    bowl = gd.widgets.DescentExplorer2D(catalogue.quadratic_bowl(1.0, 10.0), learning_rate=0.1)
    assert bowl.largest_learning_rate == pytest.approx(0.25)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda w, c: w.DescentExplorer1D(c.scalar_factorization()), "one|1 variable"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic()), "2 variables"),
        (lambda w, c: w.RegimeMap(c.quadratic_bowl()), "1 variable"),
        (lambda w, c: w.FlowExplorer(gd.Objective("x + y + z", "x y z"), (0, 0, 0)), "1 or 2"),
        (lambda w, c: w.DescentExplorer1D("x^2"), "objective.*'x\\^2'"),
        (lambda w, c: w.DescentExplorer1D(gd.Objective("-x^2", "x")), "smoothness must be given"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), start="one"), "start.*'one'"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), learning_rate="fast"), "learning_rate"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), limits=(2, -2)), "limits.*larger upper"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), limits=(1, 2, 3)), "limits"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), steps=0), "steps.*at least 1"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), steps=2.5), "steps.*2.5"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), smoothness=-1), "smoothness.*positive"),
        (lambda w, c: w.RegimeMap(largest_learning_rate=0), "largest_learning_rate.*positive"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), start=(1, 2, 3)), "start"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), limits=(0, 1)), "limits"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), curves={"a": "x - z"}), "'a'.*'z'"),
        (
            lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), curves={"a": "h - mu"}),
            "'a'.*x or y",
        ),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), curves={"a": "erf(x)"}), "'a'.*erf"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), curves={"a": None}), "'a'.*formula"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), curves=["x"]), "curves.*names"),
        (
            lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), curves={"": "x"}),
            "in words, not ''",
        ),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), limits=(0, 1e5, 0, 1)), "10000"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), targets={}), "targets.*1 to 4"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), targets=["x > 0"]), "targets.*map"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), targets={"a": "z > 0"}), "'a'.*z"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), targets={"a": [1]}), "'a'"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), basin_steps=0), "basin_steps"),
        (lambda w, c: w.DescentExplorer2D(c.quadratic_bowl(), basin_steps=10**5), "10000"),
        (lambda w, c: w.MultiscaleExplorer(limits=(-1e4, 1e4)), "limits must be at most 282.8"),
        (
            lambda w, c: w.DescentExplorer2D(gd.Objective("x^2 + h^2", "x h"), curves={"a": "x"}),
            "name h",
        ),
        (lambda w, c: w.FlowExplorer(c.quadratic(), max_order=-1), "max_order.*at least 0"),
        (lambda w, c: w.FlowExplorer(c.quadratic(), step=11), "step.*between 1 and 10"),
        (lambda w, c: w.FlowExplorer(c.quadratic(), start=(1, 2)), "start"),
        (lambda w, c: w.DescentExplorer1D(c.quadratic(), learning_rate=9), "learning_rate.*9"),
        (lambda w, c: w.RegimeMap(start=7), "start.*between -1.6 and 1.6"),
        (
            lambda w, c: w.FlowExplorer(c.quadratic(), order=5, max_order=3),
            "order.*between 0 and 3",
        ),
        (lambda w, c: w.FlowExplorer(c.quadratic(), start=float("nan"), limits=(-1, 1)), "start"),
    ],
)
def test_bad_settings_are_named(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make(gd.widgets, gd.catalogue)


def test_names_of_curves_may_have_braces():
    bowl = gd.catalogue.quadratic_bowl()
    figure = gd.widgets.DescentExplorer2D(bowl, curves={"set {x}": "x - 1"})
    assert "the set {x}" in figure._alt and str(bowl).replace("**", "^") in figure._alt
