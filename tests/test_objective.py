"""One formula, all its forms: they agree, and bad input is named."""

import copy
import pickle
import re
from fractions import Fraction

import numba
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gdbook as gd
from gdbook import catalogue, source

ALL = [getattr(catalogue, name)() for name in catalogue.__all__]
KINKED = [
    gd.Objective("abs(x) + Abs(x*y - 1)", "x y"),
    gd.Objective("Max(x, 0)^2 + Min(x, y, 2)", "x y"),
    gd.Objective("sign(x)*x^2 + Max(-y, y)", "x y"),
    gd.Objective("Piecewise((x^2, x < 1), (2*x - 1, True)) + tanh(Max(x, y))", "x y"),
    gd.Objective("Max(x, Piecewise((y, y > 0), (0, True))) + Abs(Min(x, Abs(y) - 1))", "x y"),
    gd.Objective("Piecewise((0, Eq(x, 0)), (sin(x)/x, Ne(x, 1) & (y > 0)), (x, True))", "x y"),
]
SMOOTH = [
    gd.Objective("exp(-x^2) + log(1 + y^2)", "x y"),
    gd.Objective("sin(x*y) + cos(x - y)^3 + sqrt(1 + x^2)", "x y"),
    gd.Objective("tanh(a*x)^2 + b*y^7/(1 + y^2)^2 + (1 + x^2)^(3/2)", "x y", {"a": 2, "b": 0.3}),
]
EVERY = [*ALL, *KINKED, *SMOOTH]
names = [str(f) for f in EVERY]


def points_of(objective, count=200, seed=0):
    return np.random.default_rng(seed).normal(scale=1.5, size=(count, objective.dimension))


@pytest.mark.parametrize("f", EVERY, ids=names)
def test_derivatives_match_finite_differences(f):
    x, eps = points_of(f, 50), 1e-6
    for i in range(f.dimension):
        e = eps * np.eye(f.dimension)[i]
        slope = (f.value(x + e) - f.value(x - e)) / (2 * eps)
        np.testing.assert_allclose(f.gradient(x)[:, i], slope, rtol=1e-6, atol=1e-6)
        bend = (f.gradient(x + e) - f.gradient(x - e)) / (2 * eps)
        np.testing.assert_allclose(f.hessian(x)[:, :, i], bend, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("f", EVERY, ids=names)
def test_sympy_numpy_scalar_and_numba_agree(f):
    x = points_of(f, 20)
    symbols = dict(zip(f.parameter_symbols, f.parameters.values(), strict=True))
    # njit compiles the generated scalar source as it is
    compiled = numba.njit(
        source.scalar_function([*f.variables, *f.parameter_symbols], f.gradient_expression)
    )
    values = [float(v) for v in f.parameters.values()]
    for point, gradient in zip(x, f.gradient(x), strict=True):
        where = {**symbols, **dict(zip(f.variables, point, strict=True))}
        symbolic = np.array(f.gradient_expression.subs(where).evalf(), dtype=float).ravel()
        np.testing.assert_allclose(gradient, symbolic, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(f.gradient_at(point.tolist()), gradient, rtol=1e-14, atol=1e-15)
        assert all(isinstance(g, float) for g in f.gradient_at(point.tolist()))
        np.testing.assert_allclose(compiled(*point, *values), gradient, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("f", [catalogue.scalar_factorization(0.7), catalogue.rational_valley()])
def test_rational_formulas_give_the_same_bits(f):
    x = points_of(f, 1000)
    assert np.array_equal(f.gradient(x), [f.gradient_at(p) for p in x.tolist()])


@pytest.mark.parametrize(
    "text, point, gradient, hessian",
    [
        ("Abs(x)", 0.0, 0.0, 0.0),
        ("Max(x, 0)", 0.0, 0.0, 0.0),
        ("Max(0, x)^2", 0.0, 0.0, 0.0),
        ("Min(x, 0)", 0.0, 0.0, 0.0),
        ("sign(x)", 0.0, 0.0, 0.0),
        ("sign(x)*x", 0.0, 0.0, 0.0),
        ("Abs(x)*x", 2.0, 4.0, 2.0),
        ("Max(x^2, 1)", 0.5, 0.0, 0.0),
        ("Max(x^2, 1)", 3.0, 6.0, 2.0),
        ("Abs(x - 1)^3", 0.0, -3.0, 6.0),
    ],
)
def test_creases_have_one_sided_derivatives(text, point, gradient, hessian):
    f = gd.Objective(text, "x")
    assert not f.hessian_expression.has(sympy.DiracDelta, sympy.Derivative, sympy.Heaviside)
    assert f.gradient([point]) == gradient
    assert f.gradient_at([point]) == [gradient]
    assert f.hessian([point]) == hessian


@pytest.mark.parametrize("f", EVERY, ids=names)
def test_text_for_graphics_processors_declares_what_it_uses(f):
    text = f.glsl()
    text = text[text.index("void gradient") :]
    words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    declared = set(re.findall(r"(?:float|bool) (\w+) =", text)) | {"_x", "_p", "_out", "gradient"}
    language = "void float bool out sin_ cos_ exp log tanh sqrt abs min max pow clamp sign"
    assert words - declared <= set(language.split())


def test_names_of_a_formula_do_not_reach_the_graphics_processor():
    f = gd.Objective("uniform*λ^2 + gl*sin(vec2)", "λ vec2", {"uniform": 2, "gl": 3})
    assert not re.search("uniform|λ|gl|vec2", f.glsl())


def test_stated_constants_of_the_catalogue():
    x = np.linspace(-3, 3, 600_001)[:, np.newaxis]
    bend = np.abs(catalogue.rational_valley().hessian(x)[:, 0, 0])
    assert bend.max() == pytest.approx(2.5225425, abs=1e-7)
    assert abs(x[bend.argmax(), 0]) == pytest.approx(0.852375, abs=2e-5)
    f = catalogue.scalar_factorization()
    assert f.sharpness([4.0, 0.25]) == pytest.approx(4**2 + 0.25**2)
    assert catalogue.double_well().sharpness([[1.0], [-1.0]]) == pytest.approx(2)
    assert catalogue.huber(0.5).value([[0.5], [2.0]]).tolist() == [0.125, 0.875]


def test_shapes():
    f = catalogue.scalar_factorization()
    for shape in [(), (0,), (3,), (2, 0), (4, 5)]:
        x = np.ones((*shape, 2))
        assert f.value(x).shape == shape
        assert f.gradient(x).shape == (*shape, 2)
        assert f.hessian(x).shape == (*shape, 2, 2)
        assert f.sharpness(x).shape == shape
        assert f.hessian_product(x, x).shape == (*shape, 2)
    assert isinstance(f, gd.Differentiable)
    assert catalogue.quadratic().value(3.0) == 4.5


def test_a_million_points():
    f = catalogue.scalar_factorization()
    x = np.random.default_rng(1).normal(size=(1_000_000, 2))
    assert np.allclose(f.value(x), (1 - x[:, 0] * x[:, 1]) ** 2 / 2)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(float, hnp.array_shapes(max_dims=3).map(lambda s: (*s, 2))))
def test_any_float_gives_a_number_and_no_warning(x):
    for f in (catalogue.scalar_factorization(), *SMOOTH, *KINKED):
        assert f.value(x).shape == x.shape[:-1]
        f.gradient(x), f.hessian(x), f.sharpness(x)


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e200, 1e200))
def test_one_orbit_meets_no_exception(x):
    for text in ("exp(x)", "log(x)", "1/x", "x^9", "sqrt(x)", "x^(3/2)", "tan(x)"):
        f = gd.Objective(text, "x")
        assert np.array_equal(f.gradient_at([x]), f.gradient([x]), equal_nan=True) or np.allclose(
            f.gradient_at([x]), f.gradient([x]), rtol=1e-13, equal_nan=True
        )


def test_nan_stays_nan_where_no_condition_holds():
    for f in (gd.Objective("Max(x, 0)", "x"), gd.Objective("5 + 0*x", "x")):
        assert np.isnan(f.value([[np.nan], [1.0]])).tolist() == [True, False]
        assert np.isnan(f.gradient(np.nan)).all()


def test_numbers_too_long_for_whole_numbers_of_machines():
    x = sympy.Symbol("x", real=True)
    for number in (Fraction(2**70), Fraction(3**50, 2**90), Fraction(-(5**40), 3)):
        f = gd.Objective(sympy.Rational(number) * x**2 / 2, "x")
        compiled = numba.njit(source.scalar_function([x], f.gradient_expression))
        (plain,) = f.gradient_at([1.0])
        assert f.gradient([1.0]) == compiled(1.0)[0] == plain == float(number)
    assert gd.Objective(10**400 * x, "x").gradient([1.0]) == np.inf


def test_saved_and_copied_after_use():
    f = catalogue.scalar_factorization(Fraction(1, 3))
    f.gradient([1.0, 2.0]), f.hessian([1.0, 2.0])
    for twin in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        assert str(twin) == str(f) and twin.parameters == f.parameters
        assert twin.gradient([1.0, 2.0]).tolist() == f.gradient([1.0, 2.0]).tolist()


def test_map_is_one_step():
    f = catalogue.double_well()
    x, h = f.variables[0], sympy.Symbol("h", real=True)
    assert sympy.expand(f.map("h")[0] - ((1 + h) * x - h * x**3)) == 0
    assert f.map(Fraction(1, 2))[0].free_symbols == {x}
    assert f.map(2 * h)[0].free_symbols == {x, h}
    with pytest.raises(ValueError, match="'x' is used twice"):
        f.map("x")
    with pytest.raises(TypeError, match=r"learning_rate must be .* not None"):
        f.map(None)


def test_parameters():
    f = gd.Objective("a*x^2 + b", "x", {"a": sympy.Rational(1, 3), "b": np.float64(2)})
    assert f.substituted == sympy.Rational(1, 3) * f.variables[0] ** 2 + 2.0
    assert f.with_parameters(a=3).value([1.0]) == 5
    assert f.value([3.0]) == 5
    with pytest.raises(ValueError, match="unknown parameter 'c'; this objective has: a, b"):
        f.with_parameters(c=1)


def test_callers_symbols_are_recognised_by_name():
    x, y = sympy.symbols("x y")
    f = gd.Objective(sympy.Abs(x) * y, [x, y])
    assert f.gradient([-2.0, 3.0]).tolist() == [-3.0, 2.0]


@pytest.mark.parametrize(
    "error, message, arguments",
    [
        (ValueError, "unknown symbol 'z'", ("x*z", "x")),
        (ValueError, "unknown function 'erf'", (sympy.erf(sympy.Symbol("x")), "x")),
        (ValueError, "unknown function 'foo'", ("foo(x)", "x")),
        (ValueError, "cannot be read", ("x +* 2", "x")),
        (ValueError, "cannot be read", ("__import__('os').getcwd()", "x")),
        (ValueError, "used twice", ("x", "x x")),
        (ValueError, "used twice", ("x*mu", "x mu", {"mu": 1})),
        (ValueError, "cannot be a name", ("x", "_x")),
        (ValueError, "cannot be a name", ("x", "sin")),
        (ValueError, "cannot be a name", ("x", "lambda")),
        (ValueError, "'ﬁ' cannot be a name: Python reads it as 'fi'", ("x", ["ﬁ", "fi"])),
        (ValueError, "at least one", ("1", "")),
        (ValueError, "real and finite", (sympy.I * sympy.Symbol("x"), "x")),
        (ValueError, "otherwise", ("Piecewise((x, x > 0), (1, x < -1))", "x")),
        (TypeError, "parameter 'a'.*1j", ("a*x", "x", {"a": 1j})),
        (TypeError, "parameter 'a'.*'2'", ("a*x", "x", {"a": "2"})),
        (TypeError, "parameter 'a'.*None", ("a*x", "x", {"a": None})),
        (ValueError, "parameter 'a'.*nan", ("a*x", "x", {"a": float("nan")})),
        (TypeError, "map names to numbers", ("a*x", "x", [1])),
        (TypeError, "must be a formula", (sympy.Symbol("x") > 0, "x")),
        (TypeError, "must be a formula", (sympy.Matrix([1]), "x")),
        (TypeError, "must be a formula", (None, "x")),
        (ValueError, "real and finite", ("(-8)^(1/3)*x", "x")),
        (ValueError, "real and finite", ("asin(2)*x", "x")),
        (ValueError, "parameter 'a'.*finite", ("a*x", "x", {"a": 10**400})),
        (TypeError, "variables must be names.*3", ("x", 3)),
        (TypeError, "variables must be names", ("x*y", {"x", "y"})),
        (TypeError, "name must be a string, not 3", ("x", "x", None, 3)),
        (ValueError, "'Float' cannot be a name", ("Float*x", "x", {"Float": 1})),
    ],
)
def test_bad_input_is_named(error, message, arguments):
    with pytest.raises(error, match=message):
        gd.Objective(*arguments)


def test_parameters_cannot_be_changed():
    values = {"a": 1}
    f = gd.Objective("a*x^2", "x", values)
    values["a"] = 3
    with pytest.raises(TypeError):
        f.parameters["a"] = 3
    assert f.parameters == {"a": 1} and f.value([1.0]) == 1


def test_points_of_the_wrong_shape_are_named():
    f = catalogue.scalar_factorization()
    with pytest.raises(ValueError, match=r"2 coordinates .*\(5, 3\)"):
        f.value(np.ones((5, 3)))
    with pytest.raises(TypeError, match="real numbers"):
        f.gradient([1j, 0])
    for wrong in (["a", "b"], ["1", "2"], [None, 1], None, [[1, 2], [3]], "1 2"):
        with pytest.raises(TypeError, match="points must be real numbers"):
            f.gradient(wrong)
    with pytest.raises(ValueError, match="points must fit into floats"):
        f.value([10**400, 1])
    with pytest.raises(ValueError, match=r"vectors must have 2 coordinates .*\(3,\)"):
        f.hessian_product([1, 2], [1, 2, 3])
    assert f.value([Fraction(1, 2), sympy.Rational(2, 3)]) == pytest.approx(2 / 9)


def test_text_forms():
    f = catalogue.scalar_factorization(2)
    assert f._repr_latex_() == r"$\displaystyle f(x, y) = \frac{\left(\mu - x y\right)^{2}}{2}$"
    assert repr(f) == "Objective('(mu - x*y)**2/2', 'x y', {'mu': 2})"
    script = f.javascript()
    assert "import" not in script
    for name in ("variables", "parameters", "value", "gradient", "hessian", "step"):
        assert f" {name}" in script


def test_awkward_names_work_in_every_form():
    f = gd.Objective("lambda_*x^2 + var*x", "x", {"lambda_": 2, "var": 1})
    assert f.gradient([1.0]) == 5
    assert 'const var$ = _p["var"];' in f.javascript()
    names = ("power", "select", "maximum", "less", "pow")
    f = gd.Objective("+".join(names) + " + Max(x, y)^(3/2)", "x y", dict.fromkeys(names, 1))
    assert f.value([[4.0, 1.0]]) == 13
    assert f.gradient_at([4.0, 1.0]) == f.gradient([4.0, 1.0]).tolist() == [3, 0]


@pytest.mark.parametrize("name", ["parameters", "expression", "variables", "name"])
def test_an_objective_cannot_be_changed(name):
    objective = gd.Objective("a*x^2", "x", {"a": 1})
    with pytest.raises(AttributeError, match=f"the {name} of an objective cannot be changed"):
        setattr(objective, name, getattr(objective, name))
    assert objective.with_parameters(a=3).value([1.0]) == 3 and objective.value([1.0]) == 1


@pytest.mark.parametrize(
    "text",
    ["9^9^9*x", "x^(9^9^9)", "0.1^1e9*x", "1e999999999*x", "1e-999999999*x", "((2*x)^100)^1000"],
)
def test_numbers_that_would_never_end_are_refused(text):
    with pytest.raises(ValueError, match=r"cannot be read as a formula: exponents.* up to 1000"):
        gd.Objective(text, "x")


@pytest.mark.parametrize(
    "text",
    ["().__class__*x", "x.diff(x)", "[x]", "lambda: x", "x if x else 1", "1 << 99999999", "'x'"],
)
def test_what_is_python_but_no_formula_is_not_run(text):
    with pytest.raises(ValueError, match=r"cannot be read as a formula: .* has no place"):
        gd.Objective(text, "x")


@pytest.mark.parametrize(
    "text",
    [
        "x + 2**Abs(9999999999)",
        "x + 2**max(99999999999, 1)",
        "x*2**(x - x + 99999999999)",
        "x + 2**sqrt(10**22)",
        "x + Integer(9)**Integer(9)**Integer(9)",
        "x + 2**(99999999999*pi/pi)",
        "x + exp(log(2)*99999999999)",
        "x + E**(log(3)*9999999999)",
        "**".join(400 * "x"),
    ],
)
def test_numbers_that_sympy_would_not_end_with_are_refused(text):
    with pytest.raises(ValueError, match=r"too many digits|go up to|nest deeper"):
        gd.Objective(text, "x")
