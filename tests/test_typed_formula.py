"""Formulas that readers type: the page's reading of them against the package, hostile texts."""

import re
from pathlib import Path

import numpy as np
import pytest

import gdbook as gd

WIDGETS = Path(gd.__file__).parent / "widgets"
MODULES = ["formula.js", "forward_mode.js"]

# The browser's answers; numbers as text, because JSON has neither inf nor nan.
ANSWERS = """
    import { parse, FormulaError } from "./formula.js";
    const plain = (numbers) => Array.from(numbers, String);
    function answer(text, points = []) {
      try {
        const formula = parse(text);
        return {
          ...formula,
          value: plain(points.map((x) => formula.value(x))),
          gradient: points.map((x) => plain(formula.gradient(x))),
          hessian: points.map((x) => plain(formula.hessian(x))),
        };
      } catch (error) {
        if (!(error instanceof FormulaError)) throw error;
        return { message: error.message, position: error.position };
      }
    }
"""


@pytest.fixture
def answers(node):
    """What the page makes of texts, and their values and derivatives at points."""
    script = f"{ANSWERS} const result = data.map(([text, points]) => answer(text, points));"

    def run(texts, points=()):
        found = node(script, [[text, np.asarray(points).tolist()] for text in texts])
        for one in found:
            one |= {
                k: np.array(one[k], float) for k in ("value", "gradient", "hessian") if k in one
            }
        return found

    return run


def objective_of(found):
    return gd.Objective(found["python"], found["variables"])


# The same mathematics as the package's

FORMULAS = [
    "x^4/4 - x^2/2",
    "x^2/2 + 0.05 sin(x/0.05)",
    "(1-xy)^2/2",
    "(1-x)^2 + 100(y-x^2)^2",
    "(x^2+y-11)^2+(x+y^2-7)^2",
    "log(1+exp(-x)) + x²/8",
    "log(1 + x^2 + y^2)",
    "log(x)/x + ln(2x)",
    "sqrt(x) y + sqrt(1+y^2)",
    "tanh(x)cosh(y) - sinh(x y)/3",
    "atan(x) + tan(x)/5 + atan(xy)",
    "asin(x/2) y + acos(xy/3)",
    "sin(pi x)cos(2πy) - cos(x)^3",
    "e^(-x^2-y^2/2)",
    "2^x + 3^-(x y) + e^x",
    "abs(x) y^3 + abs(y-x^2)",
    "sign(x) x^2 + sign(y)exp(x)",
    "max(x, y)^2 + min(x^2, 1/2) + relu(y-0.3)",
    "x^2.5 + x^-3 + x^(1/3) + y^-0.5",
    "x^y + (1+x^2)^(y/2)",
    "x/(1+x^2) - y/x + (x-y)/(x+3)^2",
    "x^17 - 3x^5y^4 + x^70/7 + (x+y)^65",
    "-x^2*-y + --x/-4 - (-x)^3",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_values_and_derivatives_are_the_packages(text, answers):
    dimension = 2 if "y" in text else 1
    points = np.random.default_rng(3).uniform(-1.6, 1.6, (60, dimension))
    (found,) = answers([text], points)
    objective = objective_of(found)
    assert objective.dimension == dimension
    for form in ("value", "gradient", "hessian"):
        theirs = getattr(objective, form)(points).reshape(found[form].shape)
        scale = np.abs(theirs[np.isfinite(theirs)]).mean()
        np.testing.assert_allclose(
            found[form], theirs, rtol=1e-12, atol=1e-13 * scale, err_msg=form
        )
        assert np.isfinite(theirs).sum() > 10


def test_every_function_that_the_page_lists_can_be_read(answers):
    page = (Path(gd.__file__).parents[1] / "chapters" / "your-own-objective.md").read_text("utf-8")
    listed = re.search(r"\| write \| for \|\n(.*?)\n\n", page, re.S)[1]
    names = [
        name for row in re.findall(r"^\| `([a-z ]{8,})`", listed, re.M) for name in row.split()
    ]
    assert len(names) > 12
    for found in answers([f"{name}(x/3)" for name in names], [[0.5]]):
        assert np.isclose(found["value"], objective_of(found).value([[0.5]]), rtol=1e-14)


@pytest.mark.parametrize("exponent", [*range(-9, 10), 31, 32, 63, 64, -64])
def test_powers_are_products_in_the_order_of_the_package(exponent, answers):
    points = np.random.default_rng(5).uniform(-2, 2, (50, 1))
    (found,) = answers([f"x^{exponent}"], points)
    assert (found["value"] == objective_of(found).value(points)).all()


@pytest.mark.parametrize("text", ["x^4/4 - x^2/2", "(1-x y)^2/2", "(x^2-1)^2/4", "x/3 + 0.1 y^3"])
def test_short_polynomials_give_the_bits_of_the_package(text, answers):
    dimension = 2 if "y" in text else 1
    points = np.random.default_rng(6).uniform(-2, 2, (200, dimension))
    (found,) = answers([text], points)
    assert (found["value"] == objective_of(found).value(points)).all()


@pytest.mark.parametrize(
    "text, point",
    [
        ("abs(x)", [0]),
        ("sign(x)", [0]),
        ("relu(x)", [0]),
        ("max(x, 0)", [0]),
        ("max(0, x)", [0]),
        ("min(x, 2)", [2]),
        ("min(2, x)", [2]),
        ("max(x, y)", [1, 1]),
        ("max(y, x)", [1, 1]),
        ("min(x, y)", [1, 1]),
        ("min(y, x)", [1, 1]),
        ("abs(x y)", [0, 3]),
        ("1/x", [0]),
        ("log(x)", [0]),
        ("log(x)", [-2]),
        ("sqrt(x)", [-2]),
        ("x^0.5", [-2]),
        ("x^1.5", [0]),
        ("exp(x^2) + y^2", [100, 3]),
        ("min(exp(x^2), 5) + x", [100]),
        ("max(x, log(y))", [1, 0]),
        ("x^0", [0]),
        ("0x", [3]),
        ("log(1 + x)", [1e-20]),
        ("log(x + 1)", [1e-20]),
    ],
)
def test_creases_ties_and_edges_are_the_packages(text, point, answers):
    (found,) = answers([text], [point])
    objective = objective_of(found)
    np.testing.assert_array_equal(found["value"][0], objective.value(point))
    np.testing.assert_array_equal(found["gradient"][0], objective.gradient(point))


def test_a_formula_stands_in_for_a_generated_module(node):
    result = node(
        """
        import { parse } from "./formula.js";
        import { outcomeOf } from "./outcome.mjs";
        const [well, plane] = [parse("(x^2 - 1)^2/4"), parse("(1 - xy)^2/2")];
        const { step, value } = well; // as a module's names are imported
        const place = Float64Array.of(0.5);
        const result = {
          variables: [well.variables, plane.variables, parse("y").variables],
          parameters: well.parameters,
          outcomes: [0.5, 1.6, 3].map((h) => outcomeOf(step, [0.3], h, {}, 2000)),
          moved: [...step(place, 0.1, {}, place)],
          place: [...place],
          both: [value([2]), plane.value([2, 2]), value([3])],
          steps: [...plane.step([2, 1], 0.5)],
          hessian: [...plane.hessian([2, 1], {}, new Float64Array(4))],
        };""",
        None,
        outcome=gd.outcome.javascript(),
    )
    assert result["variables"] == [["x"], ["x", "y"], ["x", "y"]]
    assert result["parameters"] == {}
    well = gd.catalogue.double_well()
    for found, h in zip(result["outcomes"], (0.5, 1.6, 3), strict=True):
        orbit = gd.gradient_descent(well, [0.3], h, 2000)
        assert found["label"] == orbit.outcome.label
    assert result["moved"] == result["place"] == [0.5 - 0.1 * (0.5**3 - 0.5)]
    assert result["both"] == [9 / 4, 9 / 2, 16]
    assert result["steps"] == [2 - 0.5 * 1, 1 - 0.5 * 2]
    assert result["hessian"] == [1, 3, 3, 4]


# The grammar


READINGS = [
    ("-x^2", "-x**2", "-x^2"),
    ("(-x)^2", "(-x)**2", "(-x)^2"),
    ("2^-3x", "2**(-3)*x", "2^(-3)*x"),
    ("x^2^3", "x**2**3", "x^2^3"),
    ("(x^2)^3", "(x**2)**3", "(x^2)^3"),
    ("2^-x^2", "2**(-x**2)", "2^(-x^2)"),
    ("1/2x", "1/2*x", "1/2*x"),
    ("x/(2y)", "x/(2*y)", "x/(2*y)"),
    ("x-(y-1)", "x - (y - 1)", "x - (y - 1)"),
    ("x--y", "x - (-y)", "x - (-y)"),
    ("+x", "x", "x"),
    ("3(x+1)(x-1)", "3*(x + 1)*(x - 1)", "3*(x + 1)*(x - 1)"),
    ("x y", "x*y", "x*y"),
    ("yx", "y*x", "y*x"),
    ("xsin(x)", "x*sin(x)", "x*sin(x)"),
    ("exy", "E*x*y", "e*x*y"),
    ("exp(x)e^x", "exp(x)*E**x", "exp(x)*e^x"),
    ("2πx", "2*pi*x", "2*pi*x"),
    ("pix", "pi*x", "pi*x"),
    ("2e3x", "2e3*x", "2e3*x"),
    ("2e-x", "2*E - x", "2*e - x"),
    ("2ex", "2*E*x", "2*e*x"),
    (".5x + 1.", ".5*x + 1.", ".5*x + 1."),
    ("007x", "7*x", "7*x"),
    ("x²³", "x**23", "x^23"),
    ("x² − 3·y³×2÷4", "x**2 - 3*y**3*2/4", "x^2 - 3*y^3*2/4"),
    ("x**2", "x**2", "x^2"),
    ("ln(x)", "log(x)", "log(x)"),
    ("relu(x)", "Max(x, 0)", "max(x, 0)"),
    ("abs( x )", "Abs(x)", "abs(x)"),
    ("\u00a0x\t+\n1", "x + 1", "x + 1"),
    ("1e-999999999x", "0*x", "0*x"),
]


def test_how_a_text_is_read(answers):
    found = answers([text for text, _, _ in READINGS])
    assert [(one["python"], one["text"]) for one in found] == [row[1:] for row in READINGS]
    again = answers([one["text"] for one in found])
    assert [(one["python"], one["text"]) for one in again] == [row[1:] for row in READINGS]


@pytest.mark.parametrize(
    "text", ["-" * 60 + "x", "2^-" * 32 + "x", "(" * 64 + "x²" + ")" * 64, "+".join(200 * "x")]
)
def test_its_text_can_be_read_again(text, answers):
    (found,) = answers([f" {text}\n"])
    (again,) = answers([found["text"]])
    assert again["text"] == found["text"] == text
    assert again["python"] == found["python"]


FAULTS = [
    ("", 0, "expected a number"),
    (" ", 1, "at the end"),
    ("()", 1, "expected a number"),
    ("(x+1", 4, "closing bracket at the end"),
    ("x)", 1, "closes nothing"),
    ("x+", 2, "at the end"),
    ("x*/2", 2, "not '/'"),
    ("x^^2", 2, "not '^'"),
    ("x***2", 3, "not '*'"),
    ("x²^3", 2, "not '^'"),
    ("x² ³", 3, "not '³'"),
    ("²", 0, "not '²'"),
    ("x2", 1, "a number stands first"),
    ("x 2", 2, "a number stands first"),
    ("(x)2", 3, "a number stands first"),
    ("1.2.3x", 3, "not '.'"),
    (".", 0, "not '.'"),
    ("1,5x", 1, "decimals have a point"),
    ("x,,y", 1, "decimals have a point"),
    ("3", 0, "must contain x"),
    ("sin", 3, "brackets"),
    ("sin x", 4, "sin(x)"),
    ("sin²(x)", 3, "sin(x)"),
    ("sin(x", 5, "closing bracket"),
    ("sin(x, y)", 8, "one argument"),
    ("max(x)", 5, "two arguments"),
    ("max(x,y,x)", 9, "two arguments"),
    ("max(x,)", 6, "expected a number"),
    ("|x|", 0, "abs(x)"),
    ("f(x)", 0, "unknown name 'f'"),
    ("y=x", 1, "to the right"),
    ("foo", 0, "unknown name 'foo'"),
    ("expi x", 0, "'expi'"),
    ("x + arctan(x)", 4, "did you mean atan?"),
    ("sgn(x)", 0, "did you mean sign?"),
    ("2X", 1, "did you mean x?"),
    ("ｘ", 0, "did you mean x?"),
    ("х", 0, "the letters are x and y"),  # a Cyrillic letter
    ("9^9^9*x", 1, "too large"),
    ("9^9^9^9*x", 3, "too large"),
    ("x^1e9", 1, "too large"),
    ("((2x)^1000)^1000", 11, "too large"),
    ("1.0000001^1e9x", 9, "too large"),
    ("1e999*x", 0, "too large"),
    ("1/0 x", 1, "not a finite"),
    ("x/(1-1)", 1, "not a finite"),
    ("log(-1)x", 0, "not a finite"),
    ("sqrt(-2)x", 0, "not a finite"),
    ("exp(1000)x", 0, "not a finite"),
    ("(-8)^(1/3)x", 4, "not a finite"),
    ("(-2)^x", 4, "positive"),
    ("0x10", 2, "a number stands first"),
    ("1_000", 1, "not '_'"),
    ("constructor", 0, "'constructor'"),
    ("__proto__", 0, "not '_'"),
    ("toString()", 0, "'toString'"),
    ("valueOf", 0, "'valueOf'"),
    ("hasOwnProperty(x)", 0, "'hasOwnProperty'"),
    ("x.constructor", 1, "not '.'"),
    ("x[0]", 1, "not '['"),
    ("this", 0, "'this'"),
    ("window", 0, "'window'"),
    ("eval(x)", 0, "'eval'"),
    ("alert(1)", 0, "'alert'"),
    ("fetch('//a')", 0, "'fetch'"),
    ("import('x')", 0, "'import'"),
    ("new Function(x)", 0, "'new'"),
    ("while(1){}", 0, "'while'"),
    ("x;y", 1, "not ';'"),
    ("x=>x", 1, "not '='"),
    ("`x`", 0, "not '`'"),
    ("${x}", 0, "not '$'"),
    ("x'", 1, "not '''"),
    ('x"', 1, "not '\"'"),
    ("\\u0078", 0, "not '\\'"),
    ("<script>alert(1)</script>", 0, "not '<'"),
    ("x<!--", 1, "not '<'"),
    ("x//y", 2, "not '/'"),
    ("x\0y", 1, "U+0000"),
    ("\u200fx", 0, "U+200F"),
    ("x\u202ey", 1, "U+202E"),
    ("x\u200b", 1, "U+200B"),
    ("x+\ud83d", 2, "U+D83D"),
    ("x+🙂", 2, "not '🙂'"),
    ("x\u0302", 0, "unknown name"),
    ("x" * 501, 500, "500 characters"),
    ("x" * 10**6, 500, "500 characters"),
    ("(" * 10**5, 500, "500 characters"),
    ("-" * 10**5, 500, "500 characters"),
    ("(" * 100 + "x" + ")" * 100, 65, "deeper than 64"),
    ("-" * 100 + "x", 65, "deeper than 64"),
    ("sin(" * 100 + "x", 260, "deeper than 64"),
    ("x^" * 100 + "x", 130, "deeper than 64"),
    ("x+" * 240 + "x", 401, "400 parts"),
    ("xy" * 250, 201, "400 parts"),
]


def test_a_fault_is_a_message_with_its_place(answers):
    found = answers([text for text, _, _ in FAULTS])
    for (text, position, words), one in zip(FAULTS, found, strict=True):
        assert one.get("position") == position, (text[:40], one)
        assert words in one["message"], (text[:40], one)
        assert len(one["message"]) < 140


@pytest.mark.parametrize("text", ["log(-1)x", "x/0", "x/(1-1)", "asin(2)x", "foo x", "f(x)", "x2"])
def test_what_the_page_refuses_python_refuses_too(text, answers):
    (found,) = answers([text])
    assert found["message"]
    with pytest.raises(ValueError, match=r"expression|unknown"):
        gd.Objective(text, "x")


# Any text at all

PIECES = (
    *(3 * ["x", "y", "2", "x", "(x", ")", "+", "-", "*", "^2", "/", "(", ".5", "sin(x)", "π"]),
    *("exp(", "max(", ",", "abs(", "**", "e", "²", "³", "−", "·", "1e3", " ", "0", "log(x)", "9"),
    *("_", "=", "z", "E", "'", "\\", "\0", "🙂", "|", "[", "sin", "relu(", ".", "^", "\ud83d"),
)


def test_random_texts_are_formulas_or_faults(node):
    rng = np.random.default_rng(8)
    texts = ["".join(rng.choice(PIECES, rng.integers(1, 16))) for _ in range(5000)]
    found = node(f"{ANSWERS} const result = data.map((text) => answer(text, [[0.7, 0.4]]));", texts)
    good = [one for one in found if "python" in one]
    assert 100 < len(good) < 4900
    for text, one in zip(texts, found, strict=True):
        if "python" not in one:
            assert 0 <= one["position"] <= len(text.encode("utf-16-le", "surrogatepass")) // 2
            assert one["message"]
    again = node(
        f"{ANSWERS} const result = data.map((text) => answer(text, [[0.7, 0.4]]));",
        [one["text"] for one in good],
    )
    for one, other in zip(good, again, strict=True):
        assert (one["text"], one["python"]) == (other["text"], other["python"])
        assert one["variables"] == other["variables"]
        np.testing.assert_array_equal(
            np.array(one["value"], float), np.array(other["value"], float)
        )


UNARY = ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "abs", "sign"]


def random_formula(rng, depth):
    """A text, by chance, that no bracket is spared in."""
    kind = rng.integers(0, 8) if depth else 0
    if kind == 0:
        return str(rng.choice(["x", "y", "x", "y", f"{rng.uniform(0.1, 3):.3g}", "pi", "e"]))
    first = random_formula(rng, depth - 1)
    if kind == 1:
        return f"{rng.choice(UNARY)}({first})"
    if kind == 2:
        return f"({first})^{rng.integers(2, 5)}"
    if kind == 3:
        return f"-({first})"
    second = random_formula(rng, depth - 1)
    if kind == 4:
        return f"{rng.choice(['max', 'min'])}({first}, {second})"
    return f"({first}) {rng.choice(['+', '-', '*', '/', '^', ''])} ({second})"


NAMESPACE = {
    **{name: getattr(np, name) for name in UNARY if name != "atan"},
    **{"atan": np.arctan, "Abs": np.abs, "Max": np.maximum, "Min": np.minimum},
    **{"E": np.float64(np.e), "pi": np.float64(np.pi), "__builtins__": {}},
}


def evaluated(code, points):
    """Python's own reading of a formula, every number a NumPy float, at each point."""
    code = re.sub(r"(?<![\w.])(\d+\.?\d*|\.\d+)(e-?\d+)?", r"number(\g<0>)", code)
    namespace = {**NAMESPACE, "number": np.float64}
    with np.errstate(all="ignore"):
        return np.array([eval(code, namespace, {"x": x, "y": y}) for x, y in points], float)


def test_random_formulas_have_the_values_that_python_gives_them(answers):
    rng = np.random.default_rng(9)
    texts = [random_formula(rng, 4) for _ in range(2000)]
    points = rng.uniform(0.3, 1.7, (4, 2))
    compared = 0
    for text, one in zip(texts, answers(texts, points), strict=True):
        if "message" in one:
            assert re.search(
                r"contain x|not a finite|too large|positive|characters", one["message"]
            )
            continue
        theirs = evaluated(one["python"], points)
        known = np.isfinite(theirs) & (np.abs(theirs) < 1e6)
        np.testing.assert_allclose(
            one["value"][known], theirs[known], rtol=1e-9, atol=1e-9, err_msg=text
        )
        compared += known.sum()
    assert compared > 4000


def test_random_formulas_have_the_derivatives_of_their_differences(node):
    rng = np.random.default_rng(10)
    data = {
        "texts": [f"{random_formula(rng, 4)} + x y" for _ in range(2000)],
        "point": rng.uniform(0.4, 1.6, 2).tolist(),
    }
    # Central differences of the value and of the gradient, with steps of two lengths.
    found = node(
        ANSWERS
        + """
        function differences(f, [x, y], h) {
          const [right, left] = [f([x + h, y]), f([x - h, y])];
          const [above, below] = [f([x, y + h]), f([x, y - h])];
          const pairs = right.flatMap((_, i) => [right[i] - left[i], above[i] - below[i]]);
          return pairs.map((difference) => difference / 2 / h);
        }
        const result = data.texts.flatMap((text) => {
          if (answer(text).message) return [];
          const formula = parse(text);
          const both = (x) => [formula.value(x), ...formula.gradient(x)];
          return [[
            text,
            String(formula.value(data.point)),
            [...formula.gradient(data.point), ...formula.hessian(data.point)].map(String),
            ...[1e-4, 2e-4].map((h) => differences(both, data.point, h).map(String)),
          ]];
        });""",
        data,
    )
    texts, values, *numbers = zip(*found, strict=True)
    exact, near, far = np.array(numbers, float)
    settled = np.abs(near - far) < 1e-4 * (1 + np.abs(near))  # neither crease nor noise
    sound = settled.all(1) & (np.abs(np.array(values, float)) < 1e4)
    assert sound.sum() > 900
    right = (np.abs(exact - near) <= 1e-3 * (1 + np.abs(near))).all(1)
    assert [texts[i] for i in np.flatnonzero(sound & ~right)] == []


# A page that allows nothing but its own files

START = """
import { parse } from "./formula.js";
document.title = String(parse("(1-xy)^2/2").step([2, 1], 0.5));
"""


def test_it_works_where_no_text_may_become_code(browser):
    address, policy = "http://book.test/", {"Content-Security-Policy": "default-src 'self'"}
    files = {
        "": ("text/html", '<!doctype html><script type="module" src="start.js"></script>'),
        "start.js": ("text/javascript", START),
        **{name: ("text/javascript", (WIDGETS / name).read_text("utf-8")) for name in MODULES},
    }

    def fulfil(route):
        kind, body = files.get(route.request.url.removeprefix(address), ("text/plain", ""))
        route.fulfill(body=body, content_type=f"{kind}; charset=utf-8", headers=policy)

    page = browser.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.route(f"{address}**", fulfil)
    page.goto(address)
    page.wait_for_function("document.title")
    assert page.title() == "1.5,0"
    assert not [fault for fault in faults if "favicon" not in fault]
    page.close()


def test_the_module_has_no_way_to_run_a_text():
    code = "".join((WIDGETS / name).read_text(encoding="utf-8") for name in MODULES)
    code = re.sub(r'//.*|^import .* from "\./forward_mode\.js";$', "", code, flags=re.MULTILINE)
    assert not re.search(r"\b(eval|Function|import|setTimeout|document|window|globalThis)\b", code)
