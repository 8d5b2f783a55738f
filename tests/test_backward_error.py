"""Modified fields, exact series, trees: closed forms first, then the numbers of the chapters."""

import os
import pickle
import subprocess
import sys
from fractions import Fraction
from math import factorial

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Matrix, Rational, symbols

import gdbook as gd
from gdbook.lie import modified_coefficients_of
from gdbook.trees import derivative_weights

x, y = symbols("x y", real=True)
FACTORIZATION = gd.Objective("(1 - x*y)^2/2", "x y")
QUARTIC = gd.Objective("x^2/2 + x^4/4", "x")
CUBIC = gd.Objective("x^2/2 + x^3/3", "x")


def one_step_errors(objective, start, learning_rates, order):
    errors = []
    for h in learning_rates:
        step = gd.gradient_descent(objective, start, h, 1).points[-1]
        flow = gd.modified_flow(objective, start, [0, h], h, order).points[-1]
        errors.append(np.linalg.norm(step - flow))
    return np.array(errors)


def slope(learning_rates, errors):
    return np.polyfit(np.log(learning_rates), np.log(errors), 1)[0]


# The modified field as formulas


class TestModifiedField:
    def test_quadratic_is_the_series_of_the_logarithm(self):
        H = Matrix([[3, 1], [1, 2]])
        z = Matrix([x, y])
        f = gd.Objective((z.T * H * z)[0] / 2, [x, y])
        for n, F in enumerate(gd.modified_field(f, 6).coefficients):
            assert sympy.expand(F + H ** (n + 1) * z / (n + 1)) == sympy.zeros(2, 1)

    def test_polynomials_of_the_quartic(self):
        coefficients = [F[0] for F in gd.modified_field(QUARTIC, 2).coefficients]
        half = Rational(1, 2)
        assert coefficients == [
            -x - x**3,
            -half * x - 2 * x**3 - 3 * half * x**5,
            -x / 3 - Rational(17, 6) * x**3 - 6 * x**5 - Rational(7, 2) * x**7,
        ]

    def test_generic_formula_in_two_dimensions(self):
        # F = -grad f of a quartic with nothing special; tensors from partial derivatives.
        f = gd.Objective("x^4/4 + x^3*y/3 - x*y^2 + 2*x*y + y^4/5 + x^2/7 - y", "x y")
        got = gd.modified_field(f, 3).coefficients
        F = -f.gradient_expression
        J = F.jacobian([x, y])

        def second(a, b):
            return Matrix(
                [sum(F[i].diff(u, v) * a[m] * b[n] for m, u in enumerate((x, y))
                     for n, v in enumerate((x, y))) for i in range(2)]
            )  # fmt: skip

        expected = [
            F,
            -J * F / 2,
            J * J * F / 3 + second(F, F) / 12,
            -(J**3 * F / 4 + J * second(F, F) / 12 + second(J * F, F) / 12),
        ]
        assert [sympy.expand(a - b) for a, b in zip(got, expected, strict=True)] == [
            sympy.zeros(2, 1)
        ] * 4

    def test_fourth_power_of_h_in_one_dimension(self):
        f = gd.Objective("x^2/2 + x^3/3 + x^5/7 + x^6", "x")
        F = [(-f.gradient_expression[0]).diff(x, k) for k in range(5)]
        expected = (
            F[1] ** 4 * F[0] / 5
            + Rational(29, 120) * F[1] ** 2 * F[2] * F[0] ** 2
            + F[2] ** 2 * F[0] ** 3 / 120
            - F[1] * F[3] * F[0] ** 3 / 360
            - F[4] * F[0] ** 4 / 720
        )
        assert sympy.expand(gd.modified_field(f, 4).coefficients[4][0] - expected) == 0

    @pytest.mark.parametrize(
        "expression",
        [
            "cos(x)",
            "x^2/(1+x^4)",
            "log(1+exp(-x))",
            "sqrt(1+x^2)",
            "tanh(x)^2",
            "sqrt(2)*x^3 + pi*x",
            "x^(5/2)",
            "exp(-x)*sin(3*x)/x",
        ],
    )
    def test_formulas_that_are_not_polynomials(self, expression):
        f = gd.Objective(expression, "x")
        F = [(-f.gradient_expression[0]).diff(x, k) for k in range(4)]
        expected = [
            F[0],
            -F[1] * F[0] / 2,
            F[1] ** 2 * F[0] / 3 + F[2] * F[0] ** 2 / 12,
            -(F[1] ** 3 * F[0] / 4 + F[1] * F[2] * F[0] ** 2 / 6),
        ]
        for got, formula in zip(gd.modified_field(f, 3).coefficients, expected, strict=True):
            for point in (0.3, 1.7):
                assert float(got[0].subs(x, point)) == pytest.approx(
                    float(formula.subs(x, point)), rel=1e-12
                )

    def test_two_dimensions_and_functions(self):
        f = gd.Objective("cos(a*x)*exp(y) + x*y^2/b", "x y", {"a": 1.5, "b": 3})
        field = gd.modified_field(f, 2)
        g, H = f.gradient_expression, f.hessian_expression
        third = Matrix([(g.T * H.diff(v) * g)[0] for v in (x, y)])
        expected = [-g, -H * g / 2, -H * H * g / 3 - third / 12]
        for got, formula in zip(field.coefficients, expected, strict=True):
            difference = (got - formula).subs({x: 0.3, y: -0.7, "a": 1.5, "b": 3})
            symbols_left = {s: v for s, v in zip(f.parameter_symbols, (1.5, 3), strict=True)}
            assert max(map(abs, difference.subs(symbols_left))) < 1e-12

    def test_parameters_stay_symbols_and_floats_are_kept(self):
        f = gd.catalogue.quadratic(0.1)
        (L,) = f.parameter_symbols
        field = gd.modified_field(f, 2)
        assert [F[0] for F in field.coefficients] == [-L * x, -(L**2) * x / 2, -(L**3) * x / 3]
        assert field.evaluate(1.0, 0.5) == pytest.approx(-0.1 - 0.5 * 0.005 - 0.25 * 0.001 / 3)
        f = gd.Objective(sympy.Float(0.1) * x**2, "x")
        assert gd.modified_field(f, 1).coefficients[1][0].atoms(sympy.Float)

    def test_coefficients_are_in_the_form_that_sympy_gives(self):
        def rebuilt(e):
            return e if e.is_Atom else e.func(*map(rebuilt, e.args))

        f = gd.Objective("(a - x*y)^2/2 + x^3*y/3 + b*x + a/7*y", "x y", {"a": 1, "b": 2})
        for F in gd.modified_field(f, 4).coefficients:
            for component in F:
                assert component == sympy.expand(component)
                assert component.args == rebuilt(component).args

    @pytest.mark.parametrize("expression", ["3", "2*x - 1", "0*x"])
    def test_affine_objectives_need_no_correction(self, expression):
        f = gd.Objective(expression, "x")
        coefficients = gd.modified_field(f, 3).coefficients
        assert coefficients[0] == -f.gradient_expression
        assert coefficients[1:] == [sympy.zeros(1, 1)] * 3

    def test_a_crease_is_no_obstacle(self):
        field = gd.modified_field(gd.Objective("Max(x, 0)^2/2", "x"), 2)
        np.testing.assert_allclose(field.evaluate([[2.0], [-2.0]], 0.5).ravel(), [-8 / 3, 0])

    def test_ground_types_agree(self):
        # SymPy chooses its arithmetic at import: plain Python in a fresh process.
        program = """
import sympy, gdbook as gd
from sympy.external.gmpy import GROUND_TYPES
print(GROUND_TYPES)
for e, v, n in [("(1-x*y)^2/2", "x y", 8), ("x^2/2+x^4/4", "x", 12), ("cos(x)*y^2/3", "x y", 3)]:
    print(sympy.srepr(gd.modified_field(gd.Objective(e, v), n).coefficients))
"""
        outputs = []
        for ground_types in ("python", "flint"):
            run = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "SYMPY_GROUND_TYPES": ground_types},
                capture_output=True,
                text=True,
                check=True,
            )
            name, text = run.stdout.split("\n", 1)
            assert name == ground_types
            outputs.append(text)
        assert outputs[0] == outputs[1]

    @given(
        st.lists(st.integers(-3, 3), min_size=6, max_size=6),
        st.tuples(st.integers(-2, 2), st.integers(1, 2)),
    )
    @settings(max_examples=25, deadline=None)
    def test_formulas_agree_with_exact_iterates(self, numbers, start):
        a, b, c, d, e, k = numbers
        f = gd.Objective(
            a * x**3 / 3 + b * x**2 * y / 2 + c * x * y**2 + d * y**2 / 5 + e * x**4 + k * y, "x y"
        )
        point = dict(zip((x, y), start, strict=True))
        formulas = [tuple(F.subs(point)) for F in gd.modified_field(f, 4).coefficients]
        assert formulas == gd.modified_coefficients(f, start, 4)

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r"order.*-1"):
            gd.modified_field(QUARTIC, -1)
        with pytest.raises(TypeError, match=r"order.*1\.5"):
            gd.modified_field(QUARTIC, 1.5)
        with pytest.raises(TypeError, match=r"Objective.*str"):
            gd.modified_field("x^2", 1)


class TestEvaluate:
    def test_shapes(self):
        field = gd.modified_field(FACTORIZATION, 3)
        points = np.random.default_rng(0).normal(size=(4, 5, 2))
        values = field.evaluate(points, 0.1)
        assert values.shape == (4, 5, 2)
        np.testing.assert_array_equal(values[2, 3], field.evaluate(points[2, 3], 0.1))
        assert field.evaluate(np.empty((0, 2)), 0.1).shape == (0, 2)

    def test_against_the_formulas(self):
        field = gd.modified_field(FACTORIZATION, 4)
        point = {x: Rational(3, 2), y: Rational(1, 4)}
        exact = Matrix([0, 0])
        for n, F in enumerate(field.coefficients):
            exact += F.subs(point) / 8**n
        np.testing.assert_allclose(
            field.evaluate([1.5, 0.25], 0.125), np.array(exact, dtype=float).ravel(), rtol=1e-14
        )

    def test_overflow_is_a_value(self):
        assert not np.isfinite(gd.modified_field(QUARTIC, 4).evaluate(1e200, 0.1)).any()

    def test_constant_coefficients_fill_the_array(self):
        field = gd.modified_field(gd.Objective("2*x", "x"), 1)
        np.testing.assert_array_equal(field.evaluate([[0.0], [5.0]], 0.1), [[-2.0], [-2.0]])

    def test_bad_arguments(self):
        field = gd.modified_field(FACTORIZATION, 1)
        with pytest.raises(ValueError, match="points"):
            field.evaluate([1.0, 2.0, 3.0], 0.1)
        with pytest.raises(TypeError, match=r"learning_rate.*'big'"):
            field.evaluate([1.0, 2.0], "big")
        with pytest.raises(TypeError, match="learning_rate must be one number"):
            field.evaluate([1.0, 2.0], [0.1])
        with pytest.raises(ValueError, match="learning_rate must be finite"):
            field.evaluate([1.0, 2.0], float("nan"))

    def test_saved_after_use(self):
        field = gd.modified_field(FACTORIZATION, 2)
        before = field.evaluate([1.0, 2.0], 0.1)
        again = pickle.loads(pickle.dumps(field)).evaluate([1.0, 2.0], 0.1)
        np.testing.assert_array_equal(before, again)

    def test_javascript_computes_the_same(self, node):
        f = gd.catalogue.scalar_factorization(1.25)
        field = gd.modified_field(f, 3)
        points = np.random.default_rng(1).normal(size=(50, 2))
        variables, parameters, order, values = node(
            """
            import { coefficients, order, parameters, variables } from "./field.mjs";
            const result = [variables, parameters, order, data.map((x) => coefficients(x))];""",
            points.tolist(),
            field=field.javascript(),
        )
        assert (variables, order) == (["x", "y"], 3)
        assert list(parameters.values()) == [1.25]
        values = np.array(values).reshape(50, 4, 2)
        h = 0.5
        np.testing.assert_allclose(
            np.einsum("pnd,n->pd", values, h ** np.arange(4)),
            field.evaluate(points, h),
            rtol=1e-12,
            atol=1e-14,
        )


class TestCurlAndPotential:
    @pytest.mark.parametrize(
        ("expression", "curl"),
        [
            ("x^2*y", -Rational(2, 3) * x * (x**2 - 2 * y**2)),
            ("(1-x*y)^2/2", -(x**2 - y**2) * (x**2 + y**2) * (x * y - 1) / 3),
            ("x^2/2 + x*y^2", -Rational(2, 3) * y * (2 * x**2 - 2 * x - y**2)),
            ("x^2/2 + y^4/4", 0),
            ("(x^2+y^2)^2/4", 0),
        ],
    )
    def test_curl_of_the_second_power_of_h(self, expression, curl):
        f = gd.Objective(expression, "x y")
        curls = gd.modified_field(f, 2).curl()
        assert curls[0] == curls[1] == sympy.zeros(2, 2)
        assert sympy.expand(curls[2][0, 1] - curl) == 0
        assert -curls[2] == curls[2].T
        # One sixth of the commutator of the Hessian with its derivative along the gradient.
        H, g = f.hessian_expression, f.gradient_expression
        H_dot = H.diff(x) * g[0] + H.diff(y) * g[1]
        assert sympy.expand(curls[2] - (H * H_dot - H_dot * H) / 6) == sympy.zeros(2, 2)

    def test_circulation_around_a_small_loop(self):
        # Stokes: circulation of the h^2 coefficient over the area is the curl at the centre.
        field = gd.modified_field(FACTORIZATION, 2)
        radius, centre = 1e-3, np.array([1.5, 0.5])
        angle = 2 * np.pi * np.arange(64) / 64
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        tangent = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
        second = sympy.lambdify((x, y), field.coefficients[2], "numpy")
        values = np.array([second(*p).ravel() for p in centre + radius * direction])
        circulation = 2 * np.pi * radius * (values * tangent).sum(axis=-1).mean()
        curl = float(field.curl()[2][0, 1].subs({x: 1.5, y: 0.5}))
        assert curl == pytest.approx(0.41666667, abs=1e-8)
        assert circulation / (np.pi * radius**2) == pytest.approx(0.41666642, abs=2e-8)

    @pytest.mark.parametrize(
        "objective",
        [
            gd.Objective("x^2/2 + y^4/4", "x y"),
            gd.Objective("(x^2+y^2)^2/4", "x y"),
            gd.Objective("x^2 + x*y + a*y^2", "x y", {"a": 2}),
            gd.Objective("x^2 + y^2 + z^4", "x y z"),
            gd.Objective("exp(-x^2-y^2)", "x y"),
            gd.Objective("cos(x) + y^2*a", "x y", {"a": 0.5}),
            gd.Objective("3*x - y", "x y"),
            gd.catalogue.double_well(),
            gd.catalogue.quartic(),
            gd.catalogue.cosine(),
            gd.catalogue.rational_valley(),
            QUARTIC,
            CUBIC,
        ],
        ids=str,
    )
    def test_the_field_is_minus_the_gradient_of_its_potential(self, objective):
        field = gd.modified_field(objective, 2)
        h = 0.125
        potential = field.potential(h)
        assert potential.parameters == {**objective.parameters, "h": h}
        points = np.random.default_rng(2).uniform(-1.2, 1.2, size=(20, objective.dimension))
        np.testing.assert_allclose(
            -potential.gradient(points), field.evaluate(points, h), rtol=1e-9, atol=1e-11
        )

    def test_first_order_is_a_gradient_always(self):
        f = gd.Objective("x^2*y", "x y")
        potential = gd.modified_field(f, 1).potential(0.5)
        h = sympy.Symbol("h", real=True)
        norm = f.gradient_expression.dot(f.gradient_expression)
        assert sympy.expand(potential.expression - f.expression - h * norm / 4) == 0

    def test_partial_sums_of_the_logarithm(self):
        h = sympy.Symbol("h", real=True)
        potential = gd.modified_field(gd.Objective("x^2/2", "x"), 8).potential()
        series = sympy.series(-sympy.log(1 - h) / (2 * h), h, 0, 9).removeO()
        assert sympy.expand(potential.expression - series * x**2) == 0
        assert potential.with_parameters(h=0.5).value(1.0) == pytest.approx(
            sum(0.5**j / (2 * j + 2) for j in range(9))
        )

    def test_the_error_names_order_and_curl(self):
        field = gd.modified_field(FACTORIZATION, 3)
        with pytest.raises(ValueError, match=r"h\^2 .*\(x\*y - 1\)"):
            field.potential()
        gd.modified_field(FACTORIZATION, 1).potential()
        with pytest.raises(ValueError, match="'h'"):
            gd.modified_field(gd.Objective("h*x^2", "x", {"h": 1}), 1).potential()


# The series at one point


class TestModifiedCoefficients:
    def test_first_values(self):
        quartic = [float(c) for (c,) in gd.modified_coefficients(QUARTIC, 1, 5)]
        np.testing.assert_allclose(
            quartic, [-2, -4, -12.6667, -48, -197.0667, -833.33], atol=5e-3, rtol=0
        )
        cubic = [float(c) for (c,) in gd.modified_coefficients(CUBIC, 1, 5)]
        np.testing.assert_allclose(cubic, [-2, -3, -6.6667, -17.5, -50.0667, -150], atol=5e-5)

    @pytest.mark.parametrize(("objective", "growth"), [(QUARTIC, "2.94"), (CUBIC, "1.55")])
    def test_growth_is_factorial(self, objective, growth):
        (last,) = gd.modified_coefficients(objective, 1, 59)[-1]
        root = mpmath.root(mpmath.mpf(abs(last).numerator) / last.denominator / factorial(59), 59)
        assert 2 * np.pi * float(root) == pytest.approx(float(growth), abs=0.0051)

    def test_quadratic_with_rational_everything(self):
        f = gd.Objective("a*x^2/3", "x", {"a": Rational(5, 7)})
        curvature = Fraction(10, 21)
        assert gd.modified_coefficients(f, "3/11", 12) == [
            (-(curvature ** (n + 1)) * Fraction(3, 11) / (n + 1),) for n in range(13)
        ]

    def test_start_in_any_form(self):
        expected = gd.modified_coefficients(QUARTIC, Fraction(1, 2), 2)
        for start in ("1/2", 0.5, [0.5], np.array(0.5), np.array([0.5]), Rational(1, 2), ["1/2"]):
            assert gd.modified_coefficients(QUARTIC, start, 2) == expected
        with pytest.raises(ValueError, match="start must have 2 coordinates"):
            gd.modified_coefficients(FACTORIZATION, [[1, 2]], 2)

    def test_floats_count_exactly(self):
        f = gd.Objective("a*x^2/2", "x", {"a": 0.1})
        assert gd.modified_coefficients(f, 0.3, 1) == [
            (-Fraction(0.1) * Fraction(0.3),),
            (-(Fraction(0.1) ** 2) * Fraction(0.3) / 2,),
        ]
        f = gd.Objective(sympy.Float(0.1) * x**2, "x")
        assert gd.modified_coefficients(f, 1, 0) == [(-2 * Fraction(0.1),)]

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="objective must be a polynomial"):
            gd.modified_coefficients(gd.catalogue.cosine(), 1, 2)
        with pytest.raises(ValueError, match="objective must be a polynomial"):
            gd.modified_coefficients(gd.Objective("sqrt(2)*x^2", "x"), 1, 2)
        for start in (sympy.sqrt(2), float("nan"), float("inf"), 1j, "one", None):
            with pytest.raises(ValueError, match="start must be rational"):
                gd.modified_coefficients(QUARTIC, start, 2)
        with pytest.raises(ValueError, match="start must have 2 coordinates"):
            gd.modified_coefficients(FACTORIZATION, 1, 2)
        with pytest.raises(ValueError, match="parameter 'L'"):
            gd.modified_coefficients(gd.catalogue.quadratic(sympy.sqrt(2)), 1, 2)
        with pytest.raises(ValueError, match="order"):
            gd.modified_coefficients(QUARTIC, 1, -1)
        with pytest.raises(TypeError, match="interpolated_field"):
            gd.modified_coefficients(lambda x: x, 1, 1)


TRUNCATIONS = [
    # objective, start, h, exact field, best number of terms, best error, {terms: error}
    (QUARTIC, 1, "0.05", "-2.23922780429", 39, "6.0e-20",
     {1: ".239", 2: ".0392", 5: "3.3e-4", 10: "1.0e-7", 20: "7.1e-14", 40: "1.9e-17",
      70: "5.9e-15"}),
    (QUARTIC, 1, "0.1", "-2.60860894835", 21, "1.4e-9",
     {1: ".609", 2: ".209", 5: ".0142", 10: "1.4e-4", 20: "6.0e-8", 40: "1.3e-5", 60: "3.6"}),
    (QUARTIC, 1, "0.15", "-3.31044042441", 19, "4.4e-5",
     {1: "1.31", 2: ".71", 5: ".164", 10: ".0124", 20: "1.1e-4", 40: "97"}),
    (QUARTIC, 1, "0.2", "-5.38924940882", 20, "3.0e-3",
     {1: "3.39", 2: "2.59", 5: "1.38", 10: ".446", 20: "3.0e-3", 40: "7e6"}),
    (QUARTIC, "0.5", "0.2", "-0.778351990109", 23, "4.3e-11",
     {1: ".153", 2: ".044", 5: "1.8e-3", 10: "9.4e-6", 20: "6.5e-10", 40: "9.9e-9"}),
    (QUARTIC, "0.5", "0.4", "-1.21734270445", 20, "1.6e-4",
     {1: ".592", 2: ".374", 5: ".128", 10: ".0212", 20: "1.6e-4", 40: "4.6e3"}),
    (CUBIC, 1, "0.1", "-2.39133765068", 51, "5.6e-18",
     {1: ".391", 2: ".0913", 5: "2.2e-3", 10: "5.7e-6", 20: "3.4e-11", 40: "4.1e-17"}),
    (CUBIC, 1, "0.2", "-3.21053307707", 31, "5.3e-8",
     {1: "1.21", 2: ".611", 5: ".124", 10: ".0102", 20: "6.2e-5", 40: "2.4e-5"}),
    (CUBIC, 1, "0.3", "-8.26532843066", 33, "8.7e-3",
     {1: "6.27", 2: "5.37", 5: "3.89", 10: "2.33", 20: ".81", 40: "374"}),
]  # fmt: skip


def unit_in_the_last_place(text):
    digits, _, exponent = text.partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


class TestOptimalTruncation:
    @pytest.mark.parametrize(
        ("objective", "start", "h", "exact", "terms", "error", "errors"), TRUNCATIONS
    )
    def test_table(self, objective, start, h, exact, terms, error, errors):
        result = gd.optimal_truncation(objective, start, h, 70)
        assert result.exact == pytest.approx(float(exact), abs=0.51 * unit_in_the_last_place(exact))
        assert result.terms == terms
        for n, text in {terms: error, **errors}.items():
            # Printed to two or three digits; 0.51 leaves room for a five in the next one.
            tolerance = 0.51 * unit_in_the_last_place(text)
            assert result.errors[n - 1] == pytest.approx(float(text), abs=tolerance)
        assert result.error == result.errors[terms - 1] == result.errors.min()

    def test_quadratic_is_the_logarithm(self):
        result = gd.optimal_truncation(gd.Objective("x^2/2", "x"), 1, "1/2", 30)
        assert abs(result.exact + 2 * mpmath.log(2)) < 1e-15
        assert result.terms == 30
        assert result.error == pytest.approx(
            float(2 * mpmath.nsum(lambda n: mpmath.mpf(0.5) ** n / n, [31, mpmath.inf])), rel=1e-10
        )

    def test_exact_field_generates_the_steps(self):
        # Integrate dt = dx / F(x) over one step: the time must be h.
        h = 0.1
        nodes, weights = np.polynomial.legendre.leggauss(8)
        after = 1 - h * 2
        middle, half = (1 + after) / 2, (after - 1) / 2
        field = [
            float(gd.optimal_truncation(QUARTIC, middle + half * node, h, 1).exact)
            for node in nodes.tolist()
        ]
        time = half * (weights / field).sum()
        assert time == pytest.approx(h, rel=1e-7)

    def test_minimum_away_from_the_origin(self):
        result = gd.optimal_truncation(gd.catalogue.double_well(), "3/2", "1/10", 40)
        assert result.error < 1e-5 < result.errors[4]
        shifted = gd.Objective("((x+3)^2-1)^2/4", "x")
        moved = gd.optimal_truncation(shifted, "-3/2", "1/10", 40)
        assert abs(moved.exact - result.exact) < 1e-15
        at_rest = gd.optimal_truncation(gd.catalogue.double_well(), 1, "1/10", 3)
        assert (at_rest.exact, at_rest.terms, at_rest.error) == (0, 1, 0.0)

    @pytest.mark.parametrize(
        ("objective", "start", "h", "message"),
        [
            (FACTORIZATION, [1, 1], 0.1, "one variable"),
            (gd.Objective("x^2/2", "x"), 1, 1.5, "between 0 and 1; it is 1.5"),
            (gd.Objective("x^2/2", "x"), 1, 1, "pole"),
            (gd.Objective("x^2/2", "x"), 1, -0.5, "learning_rate must be positive"),
            (gd.Objective("-x^2/2", "x"), 1, 0.1, "does not converge"),
            (gd.catalogue.double_well(), 0, 0.1, "does not converge"),
            (QUARTIC, 2, "9/10", "does not converge"),
            (QUARTIC, 1, "1/4", "pole"),
            (gd.Objective("3", "x"), 1, 0.1, "does not converge"),
            (gd.catalogue.cosine(), 1, 0.1, "polynomial"),
            (QUARTIC, 1, "h", "learning_rate must be rational"),
        ],
    )
    def test_bad_arguments(self, objective, start, h, message):
        with pytest.raises(ValueError, match=message):
            gd.optimal_truncation(objective, start, h, 10)


# Trees


def elementary_differential(series, i, F):
    """F(tau) for a scalar field, from the derivatives F[0], F[1], ..."""
    children, product = 0, 1
    while series.left[i] >= 0:
        product *= elementary_differential(series, series.last[i], F)
        children += 1
        i = series.left[i]
    return F[children] * product


RUNGE_KUTTA_4 = (
    [[0, 0, 0, 0], ["1/2", 0, 0, 0], [0, "1/2", 0, 0], [0, 0, 1, 0]],
    ["1/6", "1/3", "1/3", "1/6"],
)


class TestTreeCoefficients:
    def test_number_of_trees(self):
        series = gd.tree_coefficients(10)
        assert np.bincount(series.orders).tolist() == [0, 1, 1, 2, 4, 9, 20, 48, 115, 286, 719]
        assert len(set(series.trees)) == len(series.trees) == len(series.coefficients) == 1205
        assert [len(tree) for tree in series.trees] == series.orders.tolist()

    def test_symmetries_count_labelled_trees(self):
        # Sum of n!/sigma over the trees with n vertices: n**(n-1) rooted labelled trees (Cayley).
        series = gd.tree_coefficients(9)
        for n in range(1, 10):
            sigma = series.symmetries[series.orders == n].tolist()
            assert sum(Fraction(factorial(n), s) for s in sigma) == n ** (n - 1)

    def test_bushy_trees_and_chains(self):
        series = gd.tree_coefficients(13)
        table = dict(zip(series.trees, series.coefficients, strict=True))
        for n in range(1, 13):
            bernoulli = sympy.bernoulli(n) if n > 1 else -Rational(1, 2)
            assert table[(0,) + (1,) * n] == Fraction(int(bernoulli.p), int(bernoulli.q))
        for n in range(1, 14):
            assert table[tuple(range(n))] == Fraction((-1) ** (n - 1), n)

    def test_first_coefficients(self):
        # In the literature's form b/sigma: 1/3, 1/12 at h^2 and 1/4, 1/12, 1/12, 0 at h^3.
        series = gd.tree_coefficients(4)
        ratio = [c / int(s) for c, s in zip(series.coefficients, series.symmetries, strict=True)]
        by_tree = dict(zip(series.trees, ratio, strict=True))
        assert by_tree[0, 1, 1] == Fraction(1, 12)
        assert by_tree[0, 1, 2] == Fraction(1, 3)
        assert by_tree[0, 1, 1, 1] == 0
        assert by_tree[0, 1, 1, 2] == Fraction(-1, 12)
        assert by_tree[0, 1, 2, 2] == Fraction(-1, 12)
        assert by_tree[0, 1, 2, 3] == Fraction(-1, 4)

    @pytest.mark.parametrize("objective", [CUBIC, gd.Objective("x^2/2+x^3/3-x^5/5+x^9", "x")])
    def test_against_the_modified_field(self, objective):
        series = gd.tree_coefficients(7)
        F = [(-objective.gradient_expression[0]).diff(x, k) for k in range(7)]
        sums = [0] * 7
        for i, (n, s, b) in enumerate(
            zip(series.orders, series.symmetries, series.coefficients, strict=True)
        ):
            weight = Rational(b.numerator, b.denominator * int(s))
            sums[n - 1] += weight * elementary_differential(series, i, F)
        field = gd.modified_field(objective, 6).coefficients
        assert [sympy.expand(a - b[0]) for a, b in zip(sums, field, strict=True)] == [0] * 7

    def test_sum_for_the_explicit_midpoint_method(self):
        series = gd.tree_coefficients(9, A=[[0, 0], [0.5, 0]], b=[0, 1])
        assert sum(series.coefficients) == Fraction(19063, 26880)

    def test_euler_as_a_tableau(self):
        assert gd.tree_coefficients(8, [[0]], [1]).coefficients == (
            gd.tree_coefficients(8).coefficients
        )

    def test_implicit_midpoint_has_even_powers_of_h_only(self):
        series = gd.tree_coefficients(7, [["1/2"]], [1])
        table = dict(zip(series.trees, series.coefficients, strict=True))
        assert all(b == 0 for tree, b in table.items() if len(tree) % 2 == 0)
        by_sigma = dict(zip(series.trees, series.symmetries.tolist(), strict=True))
        assert table[0, 1, 1] / by_sigma[0, 1, 1] == Fraction(-1, 24)
        assert table[0, 1, 2] == Fraction(1, 12)

    def test_runge_kutta_4_starts_at_the_fourth_power(self):
        series = gd.tree_coefficients(5, *RUNGE_KUTTA_4)
        orders = {n for n, b in zip(series.orders, series.coefficients, strict=True) if b}
        assert orders == {1, 5}

    def test_64_bits_and_python_integers_agree(self, monkeypatch):
        small = gd.tree_coefficients(9, *RUNGE_KUTTA_4), gd.tree_coefficients(9)
        monkeypatch.setattr("gdbook.trees._fits", lambda *_: False)
        large = gd.tree_coefficients(9, *RUNGE_KUTTA_4), gd.tree_coefficients(9)
        assert [s.coefficients for s in small] == [s.coefficients for s in large]

    def test_backward_euler_is_euler_backwards(self):
        # Reversing time turns one into the other: b changes sign with the parity of the order.
        forward, backward = gd.tree_coefficients(8), gd.tree_coefficients(8, [[1]], [1])
        for n, a, b in zip(
            forward.orders, forward.coefficients, backward.coefficients, strict=True
        ):
            assert b == (-1) ** (int(n) - 1) * a

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((0,), ValueError, "order must be a whole number, at least 1"),
            ((2.5,), TypeError, "order"),
            ((3, [[0]]), ValueError, "A and b belong together"),
            ((3, [[0, 0]], [1]), ValueError, r"A and b .*\(1, 2\)"),
            ((3, [[0]], [1, 2]), ValueError, r"A and b .*\(2,\)"),
            ((3, 0, 1), ValueError, "A and b must have shapes"),
            ((3, [["a"]], [1]), ValueError, "A must be rational"),
            ((3, [[0]], [float("nan")]), ValueError, "b must be rational"),
            ((3, [[0]], [sympy.sqrt(2)]), ValueError, "b must be rational"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            gd.tree_coefficients(*arguments)


# From iterates alone, and the principal flow


class TestInterpolatedField:
    def test_weights_differentiate_polynomials(self):
        weights = derivative_weights(6)
        for degree in range(7):
            assert sum(w * k**degree for k, w in enumerate(weights)) == (degree == 1)

    @given(st.integers(1, 9), st.integers(0, 3))
    @settings(deadline=None)
    def test_exact_on_polynomial_orbits_of_any_shape(self, terms, dimensions):
        shape = (3, 2, 4)[:dimensions]
        rng = np.random.default_rng(terms)
        coefficients = rng.normal(size=(terms + 1, *shape))
        k = np.arange(terms + 1)
        orbit = sum(c * k.reshape(-1, *[1] * dimensions) ** n for n, c in enumerate(coefficients))
        field = gd.interpolated_field(orbit, 0.5, terms)
        assert field.shape == shape
        np.testing.assert_allclose(field, 2 * coefficients[1], rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("terms", [1, 2, 3, 4])
    def test_agrees_with_the_series_up_to_h_to_the_number_of_terms(self, terms):
        start, rates = [1.6, 0.3], np.array([0.02, 0.01, 0.005])
        field = gd.modified_field(FACTORIZATION, 8)
        errors = []
        for h in rates:
            orbit = gd.gradient_descent(FACTORIZATION, start, h, terms)
            difference = gd.interpolated_field(orbit.points, h, terms) - field.evaluate(start, h)
            errors.append(np.linalg.norm(difference))
        assert slope(rates, errors) == pytest.approx(terms, abs=0.15)

    def test_divergence_leaves_no_warning(self):
        orbit = gd.gradient_descent(gd.catalogue.quartic(), 3.0, 1.0, 20).points
        assert not np.isfinite(gd.interpolated_field(orbit, 1.0, 20)).all()

    def test_bad_arguments(self):
        for points in (None, "abc", [1j, 2, 3], [[1, 2], [3]]):
            with pytest.raises(TypeError, match="orbit_points must be real numbers"):
                gd.interpolated_field(points, 0.1, 1)
        with pytest.raises(ValueError, match="terms = 3"):
            gd.interpolated_field(np.zeros((3, 2)), 0.1, 3)
        with pytest.raises(ValueError, match="terms"):
            gd.interpolated_field(np.zeros((3, 2)), 0.1, 0)
        for h in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="learning_rate"):
                gd.interpolated_field(np.zeros((3, 2)), h, 2)


class TestPrincipalFlow:
    def test_quadratic_passes_through_the_iterates(self):
        f = gd.catalogue.quadratic_bowl(0.3, 1.2)
        orbit = gd.gradient_descent(f, [1.0, -2.0], 0.7, 6)
        flow = gd.principal_flow(f, [1.0, -2.0], 0.7 * np.arange(7), 0.7)
        np.testing.assert_allclose(flow.points, orbit.points, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(flow.values, orbit.values, rtol=1e-9, atol=1e-12)

    def test_beyond_one_it_follows_the_amplitude(self):
        f = gd.catalogue.quadratic()
        for h in (1.5, 2.0, 2.5):
            flow = gd.principal_flow(f, 1.0, h * np.arange(5), h)
            np.testing.assert_allclose(flow.points.ravel(), abs(1 - h) ** np.arange(5.0), rtol=1e-9)

    def test_against_modified_flows_on_the_factorization(self):
        start, h = [1.6, 0.3], 0.01
        step = gd.gradient_descent(FACTORIZATION, start, h, 1).points[-1]
        principal = gd.principal_flow(FACTORIZATION, start, [h], h).points[-1]
        assert np.linalg.norm(principal - step) == pytest.approx(2.10e-7, abs=5e-10)
        first, second = (one_step_errors(FACTORIZATION, start, [h], n)[0] for n in (1, 2))
        assert first == pytest.approx(1.75e-6, abs=5e-9)
        assert second == pytest.approx(3.26e-8, abs=5e-11)

    def test_one_step_slope_is_three(self):
        start, rates = [1.6, 0.3], np.array([0.002, 0.004, 0.008])
        errors = [
            np.linalg.norm(
                gd.gradient_descent(FACTORIZATION, start, h, 1).points[-1]
                - gd.principal_flow(FACTORIZATION, start, [h], h).points[-1]
            )
            for h in rates
        ]
        assert slope(rates, errors) == pytest.approx(3.0, abs=0.02)

    def test_zero_curvature(self):
        f = gd.Objective("2*x - y + 0*x*y", "x y")
        flow = gd.principal_flow(f, [0.0, 0.0], [1.0], 0.3)
        np.testing.assert_allclose(flow.points, [[-2.0, 1.0]], rtol=1e-12)

    def test_infinite_velocity(self):
        flow = gd.principal_flow(gd.catalogue.quadratic(), 1.0, [0, 1], 1.0)
        np.testing.assert_array_equal(flow.points.ravel(), [1.0, np.nan])

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="learning_rate"):
            gd.principal_flow(QUARTIC, 1.0, [1.0], 0)
        with pytest.raises(TypeError, match="Objective"):
            gd.principal_flow(abs, 1.0, [1.0], 0.1)


# How well the flows follow gradient descent


class TestShadowing:
    def test_quadratic_with_learning_rate_one_half(self):
        f, times = gd.catalogue.quadratic(), [0, 0.5, 1, 1.5, 2]
        orbit = gd.gradient_descent(f, 1.2, 0.5, 4)
        np.testing.assert_array_equal(orbit.points.ravel(), [1.2, 0.6, 0.3, 0.15, 0.075])
        expected = [
            [0.7278368, 0.4414553, 0.2677562, 0.1624023],
            [0.6423137, 0.3438058, 0.1840260, 0.0985020],
            [0.6161005, 0.3163166, 0.1624023, 0.0833801],
        ]
        one_step = [0.127837, 0.042314, 0.016101]
        for order in range(3):
            points = gd.modified_flow(f, 1.2, times, 0.5, order).points.ravel()
            np.testing.assert_allclose(points[1:], expected[order], atol=5.1e-8, rtol=0)
            assert abs(points[1] - 0.6) == pytest.approx(one_step[order], abs=5.1e-7)

    @pytest.mark.parametrize(
        ("h", "flows", "printed"),
        [
            (0.1, ["0.904837", "0.900325", "0.900024"], 0.9),
            (0.5, ["0.606531", "0.535261", "0.513417"], 0.5),
            (1.5, ["0.223130", "0.072440", "0.023518"], -0.5),
            (2.5, ["0.082085", "0.003607", "1.97e-5"], -1.5),
        ],
    )
    def test_four_learning_rates(self, h, flows, printed):
        f = gd.catalogue.quadratic()
        assert gd.gradient_descent(f, 1.0, h, 1).points[-1, 0] == pytest.approx(printed)
        for order, text in enumerate(flows):
            after = gd.modified_flow(f, 1.0, [h], h, order).points[-1, 0]
            assert after == pytest.approx(float(text), abs=0.51 * unit_in_the_last_place(text))

    def test_one_step_orders(self):
        rates = np.array([1e-3, 3e-3, 1e-2])
        for order in range(3):
            errors = one_step_errors(FACTORIZATION, [1.6, 0.3], rates, order)
            assert slope(rates, errors) == pytest.approx(order + 2, abs=0.05)

    def test_one_step_with_one_to_five_terms(self):
        errors = [one_step_errors(QUARTIC, 1.0, [0.05], order)[0] for order in range(5)]
        for error, text in zip(
            errors, ["9.0e-3", "1.3e-3", "2.4e-4", "4.6e-5", "9.0e-6"], strict=True
        ):
            assert error == pytest.approx(float(text), abs=0.51 * unit_in_the_last_place(text))

    def test_global_orders_at_time_one(self):
        rates = np.array([0.01, 0.005, 0.0025])
        for order, expected in enumerate([1.001, 1.991, 2.992]):
            errors = []
            for h in rates:
                steps = round(1 / h)
                orbit = gd.gradient_descent(FACTORIZATION, [1.6, 0.3], h, steps).points
                times = h * np.arange(steps + 1)
                flow = gd.modified_flow(FACTORIZATION, [1.6, 0.3], times, h, order).points
                errors.append(np.linalg.norm(flow - orbit, axis=-1).max())
            assert slope(rates, errors) == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize(("h", "fitted"), [(1e-2, 0.25418), (1e-3, 0.25041)])
    def test_fitted_weight_of_the_squared_gradient(self, h, fitted):
        # The c for which the flow of f + c h |grad f|^2 comes closest to one step.
        from scipy.optimize import minimize_scalar

        start = [1.6, 0.3]
        step = gd.gradient_descent(FACTORIZATION, start, h, 1).points[-1]
        norm = FACTORIZATION.gradient_expression.dot(FACTORIZATION.gradient_expression)
        c = sympy.Symbol("c", real=True)
        f = gd.Objective(FACTORIZATION.expression + c * norm, "x y", {"c": 0})

        def error(weight):
            flow = gd.gradient_flow(f.with_parameters(c=weight * h), start, [h])
            return np.linalg.norm(flow.points[-1] - step) / h**2

        best = minimize_scalar(error, bounds=(0.2, 0.3), method="bounded", options={"xatol": 1e-8})
        assert best.x == pytest.approx(fitted, abs=6e-6)


def test_internal_function_takes_any_field():
    # The recursion does not ask for a gradient: a rotation, whose Euler steps spiral outwards.
    coefficients = modified_coefficients_of([-y, x], [x, y], 3)
    J = Matrix([[0, -1], [1, 0]])
    for n, F in enumerate(coefficients):
        expected = Rational((-1) ** n, n + 1) * J ** (n + 1) * Matrix([x, y])
        assert Matrix(F) == expected
