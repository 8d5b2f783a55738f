"""Which target an orbit reached, in the browser: one formula, in JavaScript and in GLSL."""

from collections.abc import Mapping

import sympy

from gdbook import source
from gdbook.objective import Objective
from gdbook.plots import COLOURS
from gdbook.targets import TOLERANCE, GivenTargets

__all__ = [
    "colour_of_target",
    "number_of_target",
    "target_glsl",
    "target_javascript",
    "targets_of",
]

COLOUR_WORDS = ("green", "light blue", "yellow", "orange")
"""The colours of the first, second, ... target in words."""

MOST = len(COLOUR_WORDS)

SINGLE_TOLERANCE = 1e-3
"""The same for graphics processors, which count in single precision."""


def targets_of(targets, objective, tolerance=TOLERANCE):
    """Targets as conditions, checked.

    Parameters
    ----------
    targets : mapping of str to str, sympy.Boolean or point
        At most four names, with conditions on the variables or points of shape (d,), as for
        `gdbook.descend_many`.
    objective : Objective
    tolerance : float
        How close to a point is at that point, relative to one plus its largest coordinate.

    Returns
    -------
    dict of str to sympy.Boolean

    Raises
    ------
    TypeError
        If `targets` is no mapping, or a name no string.
    ValueError
        If there are none or more than four, a name is empty, or a target is no condition in the
        variables and no point.

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> targets_of({"left": "x < 0", "at 3": [3.0]}, double_well(), tolerance=0.125)
    {'left': x < 0, 'at 3': Abs(x - 3) <= 1/2}
    """
    if not isinstance(targets, Mapping):
        raise TypeError(
            'targets must map names to conditions or points, as in {"left": "x < 0"}, '
            f"not {targets!r}"
        )
    if not 1 <= len(targets) <= MOST:
        raise ValueError(f"targets must be 1 to {MOST}, one for each colour, not {len(targets)}")
    for name in targets:
        if not isinstance(name, str):
            raise TypeError(f"names of targets must be strings, not {name!r}")
        if not name.strip():
            raise ValueError(f"names of targets must be words for the legend, not {name!r}")
    GivenTargets(targets, objective, objective.dimension)  # refuses what is no target
    return {name: _condition(target, objective, tolerance) for name, target in targets.items()}


def number_of_target(targets, objective, tolerance=TOLERANCE):
    """The number of the first target that a point meets as a formula: 0, 1, ..., or -1 for none.

    For `targets`, `objective` and `tolerance` see `targets_of`.

    Returns
    -------
    Objective

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> number = number_of_target({"left": "x < 0", "right": "x > 0"}, double_well())
    >>> number.value([[-1.0], [1.0], [0.0]])
    array([ 0.,  1., -1.])
    """
    conditions = targets_of(targets, objective, tolerance).values()
    branches = [*enumerate(conditions), (-1, True)]
    formula = sympy.Piecewise(*branches)
    return Objective(formula, objective.variables, objective.parameters, name="target")


def target_javascript(targets, objective):
    """Text of an exported JavaScript function ``target(x, p)``, with that number as its value.

    It is to be joined to the text of the objective, whose `parameters` it takes by default.

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> print(target_javascript({"left": "x < 0", "right": "x > 0"}, double_well()))
    export function target(_x, _p = parameters) {
      const x = _x[0];
      return (x < 0 ? 0 : (x > 0 ? 1 : -1));
    }
    <BLANKLINE>
    """
    number = number_of_target(targets, objective)
    symbols = number.variables, number.parameter_symbols
    expressions = [number.smooth_expression]
    return source.javascript_function("target", *symbols, expressions, kind="number")


def target_glsl(targets, objective):
    """Text of a GLSL function ``target(x, p, out)`` that gives that number, where points are wider.

    Examples
    --------
    >>> from gdbook.catalogue import double_well
    >>> print(target_glsl({"left": "x < 0", "right": "x > 0"}, double_well()))
    void target(float _x[1], float _p[1], out float _out[1]) {
      float x0 = _x[0];
      _out[0] = (x0 < 0.0 ? 0.0 : (x0 > 0.0 ? 1.0 : -1.0));
    }
    <BLANKLINE>
    """
    number = number_of_target(targets, objective, SINGLE_TOLERANCE)
    symbols = number.variables, number.parameter_symbols
    return source.glsl_function("target", *symbols, [number.smooth_expression])


def colour_of_target(number):
    """Colour of a target by its number; in live figures ``theme.regimes["target 1"]`` and so on.

    Examples
    --------
    >>> colour_of_target(0) == COLOURS["target 1"]
    True
    """
    return COLOURS[f"target {number + 1}"]


def _condition(target, objective, tolerance):
    if isinstance(target, sympy.logic.boolalg.Boolean):
        formula = sympy.Piecewise((1, target), (0, True))
    elif isinstance(target, str):
        formula = f"Piecewise((1, {target}), (0, True))"
    else:
        return _near([float(c) for c in _coordinates(target)], objective.variables, tolerance)
    holds = Objective(formula, objective.variables, objective.parameters).expression
    if not isinstance(holds, sympy.Piecewise):  # it holds everywhere or nowhere
        return sympy.true if holds == 1 else sympy.false
    return holds.args[0].cond


def _coordinates(point):
    return point if hasattr(point, "__len__") else [point]


def _near(point, variables, tolerance):
    reach = sympy.Rational(tolerance * (1 + max(map(abs, point))))
    pairs = zip(variables, map(sympy.Rational, point), strict=True)
    return sympy.And(*[abs(variable - centre) <= reach for variable, centre in pairs])
