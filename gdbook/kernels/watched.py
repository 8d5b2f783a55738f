"""What kernels that watch whole orbits share: the map as text, with the largest coordinate so far.

The largest coordinate decides whether an orbit ever left the radius of escape. Their lanes hold, in
rows of ``B``: the point, the learning rate, the largest coordinate, and what a kernel adds.
"""

from dataclasses import dataclass

import numpy as np

from gdbook import outcome, source
from gdbook.kernels import compile, generate

__all__ = ["Map", "compiled", "inside", "parameters_of", "watched_step"]


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
            return np.array(source.numpy_function(self.variables, self.coordinates)(*points))

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


def compiled(name, template, numbers, arrays, map, formula, contract, **pieces):
    """The compiled function of a template, or None where there is no compiler."""
    pieces |= {"parameters": formula.unpack_parameters(), "d": formula.dimension}
    arrays = [("p", "float64", f"({len(formula.parameters)},)"), *arrays]
    kernel = generate.Kernel(
        name,
        [(number, "int64") for number in numbers],
        [(array, dtype, generate.fill(shape, **pieces)) for array, dtype, shape in arrays],
        generate.fill(template, **pieces),
    )
    title = f"{name}: {map.gradient_expression}"
    text = generate.text(title, kernel, formula.functions, contract)
    return compile.load(text, kernel)


def parameters_of(objective):
    """Values of the parameters of an objective, as kernels take them."""
    return np.array([float(value) for value in objective.parameters.values()], dtype=float)


def inside(points):
    """Which points, shape (d, n), are inside the radius of escape."""
    return (np.abs(points) <= outcome.ESCAPE_RADIUS).all(axis=0)
