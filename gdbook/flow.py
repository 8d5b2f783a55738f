"""Gradient flow and modified flows: the differential equations that gradient descent shadows."""

from dataclasses import dataclass

import numpy as np

from gdbook import arguments
from gdbook.backward_error import modified_field
from gdbook.objective import require_differentiable, require_formula

__all__ = ["Trajectory", "gradient_flow", "integrate", "modified_flow", "principal_flow"]

# On a crease the steps become as short as rounding allows. A solution that does not get a millionth
# of the whole time further in so many evaluations of the field stops; a stiff one goes on.
_PATIENCE = 20_000
_PROGRESS = 1e-6


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Solution of a differential equation at given times.

    Attributes
    ----------
    times : ndarray, shape (n,)
    points : ndarray, shape (n, d)
        ``nan`` from where the solution stops: it becomes infinite, comes to a point where the field
        is not finite, or slides along a crease, where time stands still.
    values : ndarray, shape (n,)
        Objective at the points.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> gradient_flow(quadratic(), 1.0, [0, 1, 2]).values.round(6)
    array([0.5     , 0.067668, 0.009158])
    """

    times: np.ndarray
    points: np.ndarray
    values: np.ndarray


def gradient_flow(objective, start, times):
    r"""Solution of :math:`\dot x = -\nabla f(x)`, :math:`x(0) = x_0`.

    Parameters
    ----------
    objective : Objective or Differentiable
        :math:`f`.
    start : array_like, shape (d,)
        :math:`x_0`; a number where d = 1.
    times : array_like, shape (n,)
        Increasing and not negative. Step k of gradient descent belongs to time :math:`kh`.

    Returns
    -------
    Trajectory
        Relative error about 1e-12, by the explicit Runge-Kutta method DOP853 of SciPy.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> gradient_flow(quadratic(), 1.0, [0, 1]).points.ravel().round(6)
    array([1.      , 0.367879])
    """
    return integrate(objective, lambda x: -objective.gradient(x), start, times)


def modified_flow(objective, start, times, learning_rate, order):
    r"""Solution of the modified equation of gradient descent, truncated after :math:`h^n`.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    start : array_like, shape (d,)
    times : array_like, shape (n,)
    learning_rate : float
        :math:`h`.
    order : int
        Highest power n of :math:`h` kept in the field; 0 gives gradient flow. One step of gradient
        descent and time :math:`h` of this flow differ by :math:`O(h^{n+2})`.

    Returns
    -------
    Trajectory

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> modified_flow(quadratic(), 1.2, [0, 0.5], 0.5, order=1).points.ravel().round(7)
    array([1.2      , 0.6423137])
    """
    field = modified_field(objective, order)
    learning_rate = arguments.number(learning_rate, "learning_rate")
    return integrate(objective, lambda x: field.evaluate(x, learning_rate), start, times)


def principal_flow(objective, start, times, learning_rate):
    r"""Principal flow of Rosca et al., the part of the modified field without third derivatives.

    .. math:: \dot x = \operatorname{Re}\frac{\log(1 - hH)}{hH}\,g, \qquad
              g = \nabla f(x),\quad H = \nabla^2 f(x),

    a function of the symmetric matrix H: each eigenvalue :math:`\lambda` counts with
    :math:`\log|1 - h\lambda| / (h\lambda)`. It keeps all terms :math:`h^n H^n g` of the modified
    field [1]_, which are all there are for a quadratic. Beyond :math:`h\lambda = 1` the logarithm
    has the imaginary part :math:`\pi`, which makes gradient descent oscillate; this real flow
    follows its amplitude alone.

    Parameters
    ----------
    objective : Objective
    start : array_like, shape (d,)
    times : array_like, shape (n,)
    learning_rate : float
        h.

    Returns
    -------
    Trajectory
        ``nan`` where the velocity is infinite: all eigenvalues of hH that matter at the start are 1
        exactly, and gradient descent arrives in one step.

    Raises
    ------
    ValueError
        If h is not positive, or for bad start or times.

    References
    ----------
    .. [1] M. Rosca, Y. Wu, C. Qin, B. Dherin, "On a continuous time model of gradient descent
       dynamics and instability in deep learning", Transactions on Machine Learning Research (2023).

    Examples
    --------
    On :math:`x^2/2` with h = 3/2 the modulus after k steps is :math:`(1/2)^k`:

    >>> import gdbook as gd
    >>> principal_flow(gd.catalogue.quadratic(), 1.0, [0, 1.5, 3], 1.5).points.ravel().round(9)
    array([1.  , 0.5 , 0.25])
    """
    require_formula(objective)
    h = arguments.positive(learning_rate, "learning_rate")

    def field(x):
        gradient, hessian = objective.gradient(x), objective.hessian(x)
        if not np.isfinite(hessian).all():
            return np.full_like(x, np.nan)
        eigenvalues, vectors = np.linalg.eigh(hessian)
        return vectors @ (_logarithm_over(h * eigenvalues) * (vectors.T @ gradient))

    return integrate(objective, field, start, times)


def _logarithm_over(z):
    """log|1 - z| / z, which is -1 at 0."""
    zero = z == 0
    with np.errstate(divide="ignore"):
        logarithm = np.where(z < 1, np.log1p(-np.minimum(z, 1)), np.log(np.abs(1 - z)))
    return np.where(zero, -1.0, logarithm / np.where(zero, 1.0, z))


def integrate(objective, field, start, times):
    r"""Solution of :math:`\dot x = F(x)` as a `Trajectory` with the values of an objective.

    Parameters
    ----------
    objective : Objective or Differentiable
        What the values are taken of.
    field : callable
        :math:`F`, from shape (d,) to shape (d,).
    start : array_like, shape (d,)
    times : array_like, shape (n,)

    Returns
    -------
    Trajectory

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> integrate(quadratic(), lambda x: x**2, 1.0, [0, 0.5, 2]).points.ravel().round(6)
    array([ 1.,  2., nan])
    """
    from scipy.integrate import DOP853

    require_differentiable(objective)
    start = arguments.point(start, objective, "start")
    times = _times(times)
    points = np.full((len(times), len(start)), np.nan)
    points[times == 0] = start
    with np.errstate(all="ignore"):
        # Where the field is not finite at the start the integrator would look for a step for ever.
        if len(times) and times[-1] > 0 and np.isfinite(field(start)).all():
            solver = DOP853(lambda _, x: field(x), 0.0, start, times[-1], rtol=1e-12, atol=1e-14)
            _follow(solver, times, points)
    return Trajectory(times, points, objective.value(points))


def _follow(solver, times, points):
    """Put the solution at the given times into `points`, as far as it goes."""
    evaluations, time = 0, 0.0
    while solver.status == "running":
        solver.step()
        if solver.status == "failed":
            break
        reached = (solver.t_old < times) & (times <= solver.t)
        if reached.any():
            points[reached] = solver.dense_output()(times[reached]).T
        if solver.nfev - evaluations > _PATIENCE:
            if solver.t - time < _PROGRESS * times[-1]:
                break
            evaluations, time = solver.nfev, solver.t


def _times(times):
    times = np.atleast_1d(arguments.reals(times, "times"))
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ValueError(f"times must be a sequence of finite numbers, not {times}")
    if (times < 0).any() or (np.diff(times) <= 0).any():
        raise ValueError(f"times must increase and none may be negative, unlike {times}")
    return times
