"""Gradient descent, one orbit at a time."""

import math
from dataclasses import dataclass

import numpy as np

from gdbook import arguments
from gdbook.objective import Objective, require_differentiable
from gdbook.outcome import Outcome, outcome_of

__all__ = ["Orbit", "gradient_descent", "silver_learning_rates"]


@dataclass(frozen=True, eq=False)
class Orbit:
    """An orbit of gradient descent.

    Attributes
    ----------
    points : ndarray, shape (n + 1, d)
        Start and n iterates; ``nan`` from the step after the first that is not finite.
    values : ndarray, shape (n + 1,)
        Objective at the points.
    learning_rates : ndarray, shape (n,)
        The learning rate of each step.
    outcome : Outcome
        What became of it.

    Examples
    --------
    >>> orbit = gradient_descent(Objective("x^2/2", "x"), 1.0, [0.5, 1.0])
    >>> orbit.values, orbit.learning_rates
    (array([0.5  , 0.125, 0.   ]), array([0.5, 1. ]))
    """

    points: np.ndarray
    values: np.ndarray
    learning_rates: np.ndarray
    outcome: Outcome


def gradient_descent(objective, start, learning_rate, steps=None):
    r"""Iterate :math:`x_{k+1} = x_k - h_k \nabla f(x_k)`.

    Parameters
    ----------
    objective : Objective or Differentiable
        :math:`f`.
    start : array_like, shape (d,)
        :math:`x_0`; a number where d = 1.
    learning_rate : float or sequence of float
        :math:`h`, or one :math:`h_k` for each step.
    steps : int, optional
        Number of steps n; may be left out where `learning_rate` is a sequence.

    Returns
    -------
    Orbit
        Divergence is a label of the result, not an error and not a warning.

    Raises
    ------
    ValueError, TypeError
        If the start has the wrong dimension or is not finite, a learning rate is not finite,
        or the number of steps does not fit the learning rates.

    Examples
    --------
    On :math:`x^2/2` every step multiplies by :math:`1 - h`:

    >>> orbit = gradient_descent(Objective("x^2/2", "x"), 1.0, 1.5, steps=3)
    >>> orbit.points.ravel()
    array([ 1.   , -0.5  ,  0.25 , -0.125])
    >>> gradient_descent(Objective("x^2/2", "x"), 1.0, 2.5, steps=100).outcome
    Outcome(label='diverged', step=35, period=0)
    """
    require_differentiable(objective)
    start = arguments.point(start, objective, "start")
    learning_rates = _learning_rates(learning_rate, steps)
    gradient = objective.gradient_at if isinstance(objective, Objective) else _floats(objective)
    points = np.full((len(learning_rates) + 1, len(start)), np.nan)
    orbit = _iterates(gradient, start.tolist(), learning_rates.tolist())
    points[: len(orbit)] = orbit
    return Orbit(points, objective.value(points), learning_rates, outcome_of(points))


def _iterates(gradient, point, learning_rates):
    orbit = [point]
    for h in learning_rates:
        point = [x - h * g for x, g in zip(point, gradient(point), strict=True)]
        orbit.append(point)
        if not all(map(math.isfinite, point)):
            break
    return orbit


def silver_learning_rates(count, smoothness=1.0):
    r"""The silver schedule :math:`h_i = (1 + \rho^{\nu(i) - 1}) / L`, :math:`\rho = 1 + \sqrt 2`.

    :math:`\nu(i)` is the number of times that 2 divides i = 1, ..., count. Some steps are far above
    :math:`2/L`, and still, for a convex L-smooth objective and :math:`n = 2^k - 1` steps, the value
    falls like :math:`n^{-\log_2 \rho} = n^{-1.27}` [1]_, faster than any constant rate allows.

    Parameters
    ----------
    count : int
        Number of steps.
    smoothness : float
        :math:`L`.

    Returns
    -------
    ndarray, shape (count,)

    References
    ----------
    .. [1] J. Altschuler, P. Parrilo, "Acceleration by stepsize hedging II: silver stepsize schedule
       for smooth convex optimization", arXiv 2309.16530.

    Examples
    --------
    >>> silver_learning_rates(7).round(4)
    array([1.4142, 2.    , 1.4142, 3.4142, 1.4142, 2.    , 1.4142])
    """
    count = arguments.natural(count, "count")
    smoothness = arguments.positive(smoothness, "smoothness")
    i = np.arange(1, count + 1)
    valuation = np.log2(i & -i)  # exact: i & -i is the largest power of two that divides i
    return (1 + (1 + np.sqrt(2)) ** (valuation - 1)) / smoothness


def _learning_rates(learning_rate, steps):
    rates = arguments.reals(learning_rate, "learning_rate")
    if rates.ndim == 0:
        if steps is None:
            raise ValueError("steps must be given where learning_rate is one number")
        rates = np.full(arguments.natural(steps, "steps"), rates)
    elif rates.ndim > 1 or (steps is not None and len(rates) != arguments.natural(steps, "steps")):
        raise ValueError(
            f"learning_rate must be one number or one for each of the {steps} steps; "
            f"its shape is {rates.shape}"
        )
    if not np.isfinite(rates).all():
        raise ValueError(f"learning_rate must be finite, not {learning_rate!r}")
    return rates


def _floats(objective):
    return lambda point: np.asarray(objective.gradient(np.array(point))).tolist()
