"""What kernels that watch whole orbits share: the map as text, with the largest coordinate so far.

The largest coordinate decides whether an orbit ever left the radius of escape. Their lanes hold, in
rows of ``B``: the point, the learning rate, the largest coordinate, and what a kernel adds.
"""

from dataclasses import dataclass

import numpy as np

from gdbook import outcome, source
from gdbook.kernels import compile, generate

__all__ = [
    "LOAD",
    "STORE",
    "Map",
    "compiled",
    "function_of",
    "inside",
    "parameters_of",
    "stayed",
    "watched_step",
]

# Rows of S are as those of B, its columns the orbits. The loops are as long as they must be, and
# not as long as a number in the text says: nothing is gained by unrolling them.

LOAD = """
for r in range(rows):
    for l in range(count):
        B[r, l] = S[r, first + l]
    for l in range(count, $lanes):
        B[r, l] = B[r, 0]
"""

STORE = """
for r in range(rows):
    for l in range(count):
        S[r, first + l] = B[r, l]
"""


@dataclass(frozen=True)
class Map:
    """The map x - h*g, and what else is computed at every point.

    Attributes
    ----------
    variables, parameter_symbols : tuple of sympy.Symbol
    gradient_expression : tuple of sympy.Expr, length d
        g.
    expressions : tuple of sympy.Expr
        What else is computed.
    coordinates : tuple of sympy.Expr
        What is watched; the variables, where it is empty.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> Map.of(quadratic()).gradient_expression
    (L*x,)
    """

    variables: tuple
    parameter_symbols: tuple
    gradient_expression: tuple
    expressions: tuple = ()
    coordinates: tuple = ()

    @classmethod
    def of(cls, objective, expressions=()):
        """Gradient descent on an objective."""
        symbols = objective.variables, objective.parameter_symbols
        gradient = tuple(objective.gradient_expression)
        return cls(*symbols, gradient, tuple(expressions))

    @property
    def dimension(self):
        """The number d of variables."""
        return len(self.variables)

    def coordinates_at(self, points):
        """What is watched, at points of shape (d, n)."""
        if not self.coordinates:
            return points
        with np.errstate(all="ignore"):
            coordinates = source.numpy_function(self.variables, self.coordinates)(*points)
        return np.array([np.broadcast_to(x, points.shape[1]) for x in coordinates])

    def formula(self):
        """Gradient, expressions, coordinates as one program."""
        return generate.formula_of(self, [*self.expressions, *self.coordinates])


def watched_step(formula, expressions=0):
    """Lines of one step, of which the outputs after gradient and `expressions` are watched."""
    d = formula.dimension
    lines = [f"{x} = B[{i}, l]" for i, x in enumerate(formula.variables)]
    lines += [f"h = B[{d}, l]", f"_largest = B[{d + 1}, l]", *formula.lines]
    for x in formula.outputs[d + expressions :] or formula.variables:
        lines += [f"_size = abs({x})", "_largest = _size if _size > _largest else _largest"]
    lines += [f"B[{i}, l] = {x}" for i, x in enumerate(formula.moved())]
    return "\n".join([*lines, f"B[{d + 1}, l] = _largest"])


def compiled(name, template, numbers, arrays, map, contract, *, rows, work=0, lanes, **pieces):
    """The compiled function of a template, or None where there is no compiler.

    Parameters
    ----------
    name, template : str
    numbers : list of str
        Names of the function's whole numbers after ``n``, the orbits, and ``rows``.
    arrays : list of (str, str, str)
        Its arrays after the parameters ``p``, the state ``S`` and the lanes ``B``.
    map : Map
    contract : bool
    rows, work : int
        Rows of S, which B has too, and those that B has besides.
    lanes : int
    pieces : str or int
        What else is put into the template.
    """
    formula = map.formula()
    pieces |= {"step": watched_step(formula, len(map.expressions)), "load": LOAD, "store": STORE}
    state = [("S", "float64", "(rows, n)"), ("B", "float64", f"({rows + work}, {lanes})")]
    return function_of(
        *(name, template, ["n", "rows", *numbers], [*state, *arrays], map, formula, contract),
        **pieces,
        lanes=lanes,
    )


def function_of(name, template, numbers, arrays, map, formula, contract, **pieces):
    """The compiled function of any template, or None where there is no compiler.

    Parameters
    ----------
    name, template : str
    numbers : list of str
        Names of its whole numbers.
    arrays : list of (str, str, str)
        Its arrays after the parameters ``p``.
    map : Map
    formula : gdbook.kernels.generate.Formula
        Of the map.
    contract : bool
    pieces : str or int
        What is put into the template and into the shapes of the arrays.
    """
    pieces |= {"parameters": formula.unpack_parameters(), "d": map.dimension}
    arrays = [("p", "float64", f"({len(formula.parameters)},)"), *arrays]
    kernel = generate.Kernel(
        name,
        [(number, "int64") for number in numbers],
        [(array, dtype, generate.fill(shape, **pieces)) for array, dtype, shape in arrays],
        generate.fill(template, **pieces),
    )
    text = generate.text(f"{name}: {map.gradient_expression}", kernel, formula.functions, contract)
    return compile.load(text, kernel)


def parameters_of(objective):
    """Values of the parameters of an objective, as kernels take them."""
    return np.array([float(value) for value in objective.parameters.values()], dtype=float)


def inside(points):
    """Which points, shape (d, n), are inside the radius of escape."""
    return (np.abs(points) <= outcome.ESCAPE_RADIUS).all(axis=0)


def stayed(map, state):
    """Which orbits were inside the radius of escape before and after every step."""
    d = map.dimension
    return (state[d + 1] <= outcome.ESCAPE_RADIUS) & inside(map.coordinates_at(state[:d]))
