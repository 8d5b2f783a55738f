"""The central flow: the smooth path about which gradient descent oscillates at its edge."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from gdbook import arguments
from gdbook.lanczos import leading, random_block
from gdbook.objective import require_differentiable
from gdbook.outcome import ESCAPE_RADIUS

__all__ = ["CentralFlow", "central_flow"]

_NEAR = 0.95  # from this share of 2/h on an eigenvalue may reach the edge within a substep
_TOLERANCE = 1e-4  # of eigenvectors; it is squared in the error of an eigenvalue


@dataclass(frozen=True, eq=False)
class CentralFlow:
    r"""A path of the central flow.

    Attributes
    ----------
    learning_rate : float
        h.
    steps : ndarray of int, shape (m,)
        Times, in steps of gradient descent: 0, the last one n, and those between as asked for.
    points : ndarray, shape (m, d)
        The centre w at these times.
    losses : ndarray, shape (m,)
        :math:`f(w)`, the loss at the centre.
    predicted_losses : ndarray, shape (m,)
        :math:`f(w) + \frac12\langle\nabla^2f(w),\Sigma\rangle`, the mean of the loss over the
        oscillation.
    sharpness : ndarray, shape (m, k)
        The k largest eigenvalues of the Hessian at the centre, from the largest on.
    variances : ndarray, shape (m, k)
        The k largest eigenvalues of :math:`\Sigma`, from the largest on: mean squares of the
        oscillation along the axes of its ellipse. Zero below the edge.
    directions : ndarray, shape (m, d)
        Unit eigenvectors of the largest eigenvalue of the Hessian, each turned to the one before.

    All floats are ``nan`` after the path has left every bound.
    """

    learning_rate: float
    steps: np.ndarray
    points: np.ndarray
    losses: np.ndarray
    predicted_losses: np.ndarray
    sharpness: np.ndarray
    variances: np.ndarray
    directions: np.ndarray

    @property
    def diverged(self):
        """Whether the path left every bound, or could not be held at the edge."""
        return bool(np.isnan(self.points[-1, 0]))


def central_flow(loss, start, learning_rate, steps, substeps=4, keep_every=1, eigenvalues=3):
    r"""The central flow of gradient descent [1]_: its path with the oscillation averaged out.

    At the edge of stability :math:`x_k = w + \delta_k` oscillates about a centre w, with mean
    square :math:`\Sigma = \mathbb E\,\delta\delta^\top` in the directions whose eigenvalue of the
    Hessian is 2/h. Averaging the step, with one step as the unit of time, gives

    .. math:: \dot w = -h\,\bigl(\nabla f(w)
                       + \tfrac12\nabla\langle\nabla^2f(w),\Sigma\rangle\bigr),\qquad
              \Sigma = UXU^\top,

    where the columns of U span the eigenvectors at the edge, and :math:`X\succeq0` is what keeps
    :math:`S = U^\top\nabla^2f\,U\preceq2/h`: as little as possible, :math:`\langle X,
    2/h - S\rangle = 0`. Below the edge that is gradient flow. The method of Euler follows it, and
    at each of its steps X solves a linear complementarity problem over semidefinite matrices.

    Parameters
    ----------
    loss : Differentiable
        :math:`f`, three times differentiable: a `gdbook.networks.NetworkLoss` with a smooth
        activation, a `gdbook.Objective`. If it has a method ``third_derivative``, that is used,
        and differences of Hessian products otherwise.
    start : array_like, shape (d,)
        :math:`w(0)`. If it lies beyond the edge, the path first goes down to it.
    learning_rate : float
        h.
    steps : int
        n, the duration in steps of gradient descent.
    substeps : int
        Steps of Euler's method in one unit of time.
    keep_every : int
        Points are kept at the multiples of this time, and at the last.
    eigenvalues : int
        k, how many of the largest eigenvalues are followed (at most d). If all of them come to the
        edge, there may be more: then ask for more.

    Returns
    -------
    CentralFlow

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    .. [1] J. M. Cohen, A. Damian, A. Talwalkar, J. Z. Kolter, J. D. Lee, "Understanding
       optimization in deep learning with central flows", ICLR 2025.

    Examples
    --------
    On :math:`\frac12wv^2 + \frac\mu2(w-c)^2` the sharpness is w on the axis v = 0. It wants to
    grow to c > 2/h, and is held at 2/h by oscillations of variance :math:`2\mu(c - 2/h)`:

    >>> from gdbook import Objective
    >>> toy = Objective("w*v^2/2 + mu*(w - c)^2/2", "w v", {"mu": 0.01, "c": 24})
    >>> flow = central_flow(toy, [19.9, 0.0], 0.1, 2000, keep_every=2000)
    >>> flow.sharpness[-1, 0].round(6), flow.variances[-1, 0].round(6)
    (np.float64(20.0), np.float64(0.08))
    """
    require_differentiable(loss)
    point = arguments.point(start, loss, "start")
    rate = arguments.positive(learning_rate, "learning_rate")
    steps = arguments.natural(steps, "steps")
    substeps = arguments.natural(substeps, "substeps", least=1)
    kept = arguments.kept_steps(keep_every, steps)
    number = min(arguments.natural(eigenvalues, "eigenvalues", least=1), len(point))
    tails = point.shape, (), (), (number,), (number,), point.shape
    flow = CentralFlow(rate, kept, *(np.full((len(kept), *tail), np.nan) for tail in tails))
    with np.errstate(all="ignore"):  # of a path that diverges
        _fill(flow, loss, point, substeps)
    return flow


def _fill(flow, loss, point, substeps):
    dimension, number = len(point), flow.sharpness.shape[1]
    edge, duration = 2 / flow.learning_rate, flow.learning_rate / substeps
    block, forgotten = random_block(dimension, number + 1), 0.05 * random_block(dimension, 1)[0]
    coefficients = np.zeros((0, 0))
    for substep in range(flow.steps[-1] * substeps + 1):
        if not np.abs(point).max() <= ESCAPE_RADIUS:
            return
        values, block = leading(partial(loss.hessian_product, point), block, _TOLERANCE, number)
        block[-1] += np.linalg.norm(block[-1]) * forgotten
        vectors = block[:-1][values >= _NEAR * edge]
        gap = (edge - values[: len(vectors)]) / substeps
        gradient = loss.gradient(point)
        coefficients, force = _held(loss, point, vectors, gap, gradient, duration, coefficients)
        if substep % substeps == 0:
            _keep(flow, loss, substep // substeps, point, values, block[0], coefficients)
        point = point - duration * (gradient + force)


def _keep(flow, loss, step, point, values, direction, coefficients):
    """Write one row, if this step is among those that are kept."""
    row = np.searchsorted(flow.steps, step)
    if flow.steps[row] != step:
        return
    near = len(coefficients)
    value = loss.value(point)
    turned = row and flow.directions[row - 1] @ direction < 0
    flow.points[row], flow.losses[row], flow.sharpness[row] = point, value, values
    flow.predicted_losses[row] = value + values[:near] @ np.diag(coefficients) / 2
    flow.variances[row] = 0
    flow.variances[row, :near] = np.linalg.eigvalsh(coefficients)[::-1]
    flow.directions[row] = -direction if turned else direction


def _held(loss, point, vectors, gap, gradient, duration, guess):
    r"""X, which keeps the eigenvalues below the edge, and the force of the oscillation.

    The force is :math:`\frac12\nabla\langle\nabla^2f,\Sigma\rangle`. In an orthonormal basis of the
    symmetric matrices X has coordinates x, and the change of S in a substep is affine in x.
    """
    number = len(vectors)
    if not number:
        return np.zeros((0, 0)), 0.0
    basis = _symmetric(number)
    slopes = np.array([_slope(loss, point, vectors, matrix) for matrix in basis])
    free = np.einsum("aij,i,ij->a", basis, gap, np.eye(number)) + duration * slopes @ gradient
    matrix = duration / 2 * slopes @ slopes.T
    guess = guess if guess.shape == (number, number) else np.zeros((number, number))
    x = _complementary(matrix, free, basis, np.einsum("aij,ij->a", basis, guess))
    return _combined(x, basis), x @ slopes / 2


def _symmetric(number):
    """An orthonormal basis of the symmetric matrices, row after row."""
    basis = []
    for i in range(number):
        for j in range(i + 1):
            matrix = np.zeros((number, number))
            matrix[i, j] = matrix[j, i] = 1 if i == j else np.sqrt(0.5)
            basis.append(matrix)
    return np.array(basis)


def _slope(loss, point, vectors, matrix):
    """Gradient of the inner product of U' H U with a matrix of the basis."""
    i, j = np.argwhere(matrix)[-1]
    return matrix[i, j] * (1 + (i != j)) * _third(loss, point, vectors[i], vectors[j])


def _third(loss, point, first, second):
    if hasattr(loss, "third_derivative"):
        return loss.third_derivative(point, first, second)
    step = 1e-5 * max(1.0, np.abs(point).max())
    above, below = (loss.hessian_product(point + s * second, first) for s in (step, -step))
    return (above - below) / (2 * step)


def _complementary(matrix, free, basis, x):
    r"""Coordinates x of X ⪰ 0 with R = Mx + q ⪰ 0 and :math:`\langle X, R\rangle = 0`.

    They are the zeros of x - P(x - sR), P the projection onto the semidefinite matrices, for any
    s > 0. Newton's method, with a projected gradient step where it does not get nearer.
    """
    if not (np.isfinite(matrix).all() and np.isfinite(free).all()):
        return np.full(len(x), np.nan)
    scale = np.linalg.norm(matrix, 2)
    if not scale > 0:  # nothing lowers these eigenvalues
        return np.where(np.linalg.eigvalsh(_combined(free, basis))[0] >= 0, 0 * x, np.nan)

    def natural(x):
        projected, derivative = _projected(x - (matrix @ x + free) / scale, basis)
        return projected, x - projected, derivative

    for _ in range(200):
        projected, residual, derivative = natural(x)
        size = np.linalg.norm(residual)
        if size <= 1e-11 * (np.linalg.norm(projected) + np.linalg.norm(free) / scale):
            break
        identity = np.eye(len(x))
        jacobian = identity - derivative @ (identity - matrix / scale)
        newton = x - np.linalg.lstsq(jacobian, residual)[0]
        x = newton if np.linalg.norm(natural(newton)[1]) < 0.9 * size else projected
    return projected


def _combined(x, basis):
    return np.einsum("a,aij->ij", x, basis)


def _projected(x, basis):
    """The projection onto the semidefinite matrices and its derivative, in coordinates."""
    values, vectors = np.linalg.eigh(_combined(x, basis))
    kept = np.maximum(values, 0)
    turned = vectors.T @ basis @ vectors
    gaps = values[:, np.newaxis] - values
    equal = np.abs(gaps) <= 1e-14 * np.abs(values).max()
    quotients = (kept[:, np.newaxis] - kept) / np.where(equal, 1.0, gaps)
    weights = np.where(equal, values > 0, quotients)
    projected = np.einsum("aii,i->a", turned, kept)
    return projected, np.einsum("aij,ij,bij->ab", turned, weights, turned)
