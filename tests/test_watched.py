"""What the kernels of diagrams, exponents and histograms have in common."""

import ast

import numpy as np
import pytest

import gdbook as gd
from gdbook import catalogue
from gdbook.bifurcation import bifurcation_diagram
from gdbook.histogram import orbit_histogram
from gdbook.kernels import compile, descent, generate, histogram, record, tangent
from gdbook.kernels.watched import Map
from gdbook.lyapunov import lyapunov_exponents


@pytest.mark.parametrize("formula", ["cos(aa*xx)", "aa*xx^2*yy^2", "(aa - xx*yy*zz)^2"])
def test_a_variable_can_hide_no_name_of_a_kernel(formula, monkeypatch):
    texts = []
    monkeypatch.setattr(compile, "load", lambda text, kernel: texts.append(text))
    variables = [name for name in ("xx", "yy", "zz") if name in formula]
    f = gd.Objective(formula, variables, {"aa": 2})
    d, system = f.dimension, Map.of(f, f.hessian_expression)
    # Called without their caches, which are to keep nothing of this.
    record._kernel.__wrapped__(system, 64, False)
    histogram._kernel.__wrapped__(system, 64, 4, False)
    tangent._frame_kernel.__wrapped__(system, range(d * d), False)
    if d < 3:
        tangent._product_kernel.__wrapped__(system, range(d * d), False)
    for kernel in (descent._iterate_kernel, descent._detect_kernel, descent._decide_kernel):
        kernel.__wrapped__(Map.of(f), False)
    assert len(texts) == (7 if d < 3 else 6)
    for text in texts:
        *_, kernel = ast.parse(text).body
        names = {node.id for node in ast.walk(kernel) if isinstance(node, ast.Name)}
        names -= {argument.arg for argument in kernel.args.args if "_pointer" in argument.arg}
        names -= {"abs", "cfunc", "cos", "sin", "max", "min", "aa", *variables}
        assert {name for name in names if name[0] != "_"} <= generate.RESERVED


def test_variables_with_names_of_the_kernels():
    names = [("x", "a"), ("S", "rows"), ("counts", "B"), ("h", "_".join("ab")), ("k", "l")]
    found = []
    for x, a in names:
        f = gd.Objective(f"({a} - {x}^2)^2/4", x, {a: 1.1})
        found.append(
            [
                bifurcation_diagram(f, [1.1, 1.6], 0.3, 10, 5).points,
                lyapunov_exponents(f, 0.3, [1.1, 1.6], 50).exponents,
                orbit_histogram(f, 0.3, 1.6, 500, 10, (-2, 2)).counts,
            ]
        )
    for other in found[1:]:
        for ours, theirs in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_outcome_of_a_map_in_other_coordinates():
    # In a subspace the coordinates of the space are watched, not those along the basis.
    f = gd.Objective("-(x^2 + y^2)/2", "x y")
    for start, diverged in ((4e5, False), (6e5, True)):
        for basis in ([[1, 1]], [[1e-3, 1e-3]], [[1e3, 1e3]]):
            found = lyapunov_exponents(f, [start, start], 1.0, 1, subspace=basis)
            assert found.diverged == diverged


def test_contraction_changes_the_last_bits_and_no_statistics():
    f = catalogue.double_well()
    plain = bifurcation_diagram(f, [0.9, 1.1, 1.9], 0.3, 2000, 50).points
    contracted = bifurcation_diagram(f, [0.9, 1.1, 1.9], 0.3, 2000, 50, contract=True).points
    np.testing.assert_allclose(contracted[:2], plain[:2], rtol=1e-12)
    plain, contracted = (
        lyapunov_exponents(f, 0.3, 1.9, 10**5, 100, contract=contract).exponents
        for contract in (False, True)
    )
    np.testing.assert_allclose(contracted, plain, atol=5e-3)
    plain, contracted = (
        orbit_histogram(f, 0.3, 1.9, 10**5, 10, (-1.5, 1.5), contract=contract).counts
        for contract in (False, True)
    )
    np.testing.assert_allclose(contracted, plain, atol=1500)


def test_numbers_are_points_of_dimension_one():
    f, x, rates = catalogue.double_well(), np.array([0.3, 0.4, -0.2]), [1.1, 1.6, 1.9]
    for given in (x, x.tolist(), x[:, np.newaxis]):
        found = lyapunov_exponents(f, given, rates, 50).exponents
        np.testing.assert_array_equal(found, lyapunov_exponents(f, x[:, None], rates, 50).exponents)
        found = orbit_histogram(f, given, 1.6, 50, 10, (-2, 2)).counts
        assert found.sum() == 150
        assert bifurcation_diagram(f, rates, given, 10, 5).points.shape == (3, 5, 1)
    assert lyapunov_exponents(f, [0.3], 1.6, 50).exponents.shape == (1,)
