r"""Lyapunov exponents: how fast orbits of gradient descent that start close together separate."""

import math
from dataclasses import dataclass

import numpy as np
import sympy

from gdbook import arguments
from gdbook.objective import require_formula

__all__ = ["LyapunovExponents", "lyapunov_exponents"]


@dataclass(frozen=True, eq=False)
class LyapunovExponents:
    """Lyapunov exponents of some orbits.

    The shape (...) is that of the starts and learning rates together: () for one orbit.

    Attributes
    ----------
    exponents : ndarray, shape (..., d)
        From the largest to the smallest; ``-inf`` where the derivative takes a direction to zero,
        and ``nan`` where the orbit diverged or met a Hessian that is not finite.
    diverged : ndarray of bool, shape (...)
        Whether the orbit ever had a coordinate beyond :math:`10^6` or not finite, as in
        :class:`gdbook.Outcome`.
    tangential : ndarray, shape (..., k), or None
        With a subspace of dimension k: the exponents inside of it.
    transversal : ndarray, shape (..., d - k), or None
        With a subspace: the exponents of directions orthogonal to it.
    """

    exponents: np.ndarray
    diverged: np.ndarray
    tangential: np.ndarray | None = None
    transversal: np.ndarray | None = None


def lyapunov_exponents(
    objective,
    starts,
    learning_rate,
    steps,
    burn_in=0,
    *,
    subspace=None,
    contract=False,
    workers=None,
    progress=True,
):
    r"""Lyapunov exponents of gradient descent, measured along orbits of finite length.

    With :math:`T(x) = x - h \nabla f(x)`, whose derivative is :math:`I - h \nabla^2 f(x)`, and the
    orbit :math:`x_0, x_1, \dots` they are

    .. math:: \lambda_i = \frac1n \log r_i, \qquad
        DT(x_{b+n-1}) \cdots DT(x_b) \, Q = Q' R,

    where :math:`Q` is what b steps along the orbit have made of the frame of the axes, :math:`Q'`
    is orthogonal, and :math:`r_i` are the absolute diagonal entries of the triangular :math:`R`.
    An attractor is chaotic when the largest is positive, and a period is attracting when it is
    negative.

    Parameters
    ----------
    objective : Objective
        :math:`f`.
    starts : array_like, shape (..., d)
        :math:`x_0` of each orbit; where d = 1, a number or shape (n,) will do.
    learning_rate : array_like, shape (...)
        :math:`h`, one number, or an array that NumPy can broadcast with the starts: one start and
        many learning rates give a curve.
    steps : int
        :math:`n`, at least one.
    burn_in : int
        :math:`b`, steps in which the orbit settles and the frame turns, before it is measured.
    subspace : array_like, shape (k, d), optional
        Basis, in numbers or SymPy's exact ones, of a linear subspace that gradient descent does
        not leave, such as ``[[1, 1]]`` where :math:`f` is symmetric in x and y. The orbits must
        start in it, and then do not leave it by rounding either, even where it repels.
    contract : bool
        Whether a product and a sum may be rounded once instead of twice: faster, but the bits then
        depend on the processor.
    workers : int, optional
        Threads; by default one for each processor. The exponents do not depend on it.
    progress : bool
        Whether to show a bar when the work takes over a second.

    Returns
    -------
    LyapunovExponents

    Raises
    ------
    ValueError, TypeError
        If a start or a learning rate is not finite or has the wrong shape, a number of steps is
        not a whole number, the subspace is not invariant, or a start is not in it.

    Notes
    -----
    Gradient descent commutes with rotations. In coordinates u along an orthogonal basis V of the
    subspace, and w orthogonal to it, an orbit with w = 0 is iterated by u alone, and the Hessian
    has a block for u and one for w: their exponents are the tangential and the transversal ones.
    When the largest transversal exponent is positive, the subspace repels although it is invariant.

    References
    ----------
    G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, "Lyapunov characteristic exponents for
    smooth dynamical systems and for Hamiltonian systems", Meccanica 15 (1980).

    Examples
    --------
    On a parabola they are the logarithms of the multipliers, here 1/2 and 2:

    >>> from gdbook.catalogue import double_well, quadratic_bowl, scalar_factorization
    >>> np.exp(lyapunov_exponents(quadratic_bowl(1, 6), [1e-9, 1e-9], 0.5, 20).exponents)
    array([2. , 0.5])

    The double well is chaotic at :math:`h = 1.9` and has an attracting period at 1.7:

    >>> curve = lyapunov_exponents(double_well(), 0.3, [1.7, 1.9], 10**5, 1000)
    >>> curve.exponents[:, 0].round(2)
    array([-0.44,  0.88])

    It is :math:`\tfrac12(1 - xy)^2` on the diagonal, which attracts at h = 1.9:

    >>> f = scalar_factorization()
    >>> found = lyapunov_exponents(f, [0.3, 0.3], 1.9, 10**5, 1000, subspace=[[1, 1]])
    >>> found.tangential.round(2), found.transversal.round(2)
    (array([0.88]), array([-0.21]))
    """
    require_formula(objective)
    starts, rates = _orbits(objective, starts, learning_rate)
    steps = arguments.natural(steps, "steps", least=1)
    burn_in = arguments.natural(burn_in, "burn_in")
    shape = rates.shape
    starts, rates = starts.reshape(-1, objective.dimension), rates.ravel()
    if subspace is None:
        system, blocks = _whole(objective)
    else:
        basis = _basis(subspace, objective.dimension)
        system, blocks = _restricted(objective, basis)
        starts = _inside_subspace(starts, basis)
    found = [
        _exponents(
            system, block, objective, starts, rates, steps, burn_in, contract, workers, progress
        )
        for block in blocks
    ]
    diverged = np.logical_or.reduce([diverged for _, diverged in found])
    parts = [exponents.reshape(*shape, exponents.shape[1]) for exponents, _ in found]
    exponents = np.sort(np.concatenate(parts, axis=-1))[..., ::-1]
    return LyapunovExponents(
        exponents, diverged.reshape(shape), *(parts if subspace is not None else ())
    )


def _orbits(objective, starts, learning_rate):
    starts = arguments.starts(starts, objective.dimension, "starts")
    rates = arguments.reals(learning_rate, "learning_rate")
    for array, name in ((starts, "starts"), (rates, "learning_rate")):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, not {array[~np.isfinite(array)][0]}")
    try:
        shape = np.broadcast_shapes(starts.shape[:-1], rates.shape)
    except ValueError:
        raise ValueError(
            "learning_rate must be one number or one for each start; its shape is "
            f"{rates.shape}, and starts are of shape {starts.shape[:-1]}"
        ) from None
    return np.broadcast_to(starts, (*shape, starts.shape[-1])), np.broadcast_to(rates, shape)


def _exponents(
    system, block, objective, starts, rates, steps, burn_in, contract, workers, progress
):
    """Of one block of the Hessian: exponents, from the largest on, and which orbits diverged."""
    from gdbook.kernels import parts, tangent, watched

    parameters = watched.parameters_of(objective)

    def work(part, slices):
        points, h = np.array(starts[part].T, order="C"), rates[part]
        return tangent.growth(system, block, parameters, points, h, burn_in, slices, contract)

    found = parts.in_parts(
        work, len(rates), burn_in + steps, 64, workers, "Lyapunov exponents", progress
    )
    b = math.isqrt(len(block))
    logarithms = np.concatenate([np.empty((b, 0)), *(part for part, _ in found)], axis=1)
    diverged = ~np.concatenate([np.empty(0, bool), *(inside for _, inside in found)])
    exponents = np.sort(logarithms.T / steps)[:, ::-1]
    exponents[diverged] = np.nan
    return exponents, diverged


def _whole(objective):
    from gdbook.kernels.watched import Map

    hessian = tuple(objective.hessian_expression)
    return Map.of(objective, hessian), [range(len(hessian))]


# Invariant subspaces


def _basis(subspace, d):
    """Orthogonal vectors that span the subspace, as columns."""
    try:
        rows = sympy.Matrix(subspace).applyfunc(_exact)
    except (TypeError, ValueError, AttributeError):
        raise TypeError(f"subspace must be a matrix of real numbers, not {subspace!r}") from None
    k = rows.rows
    if d == 1:
        raise ValueError(f"subspace needs an objective of two variables or more, not {subspace!r}")
    if rows.cols != d or not 1 <= k < d or rows.rank() < k:
        raise ValueError(
            f"subspace must have 1 to {d - 1} independent rows of length {d}, not {subspace!r}"
        )
    return _orthogonal([rows.row(i).T for i in range(k)])


def _exact(entry):
    entry = sympy.sympify(entry)
    if not (entry.is_number and entry.is_real and entry.is_finite):
        raise ValueError
    return sympy.Rational(float(entry)) if entry.has(sympy.Float) else entry


def _orthogonal(vectors):
    return sympy.Matrix.hstack(*sympy.GramSchmidt(vectors))


def _restricted(objective, V):
    """The map in coordinates along the columns of V, and the two blocks of the Hessian there."""
    from gdbook.kernels.watched import Map

    W = _orthogonal(V.T.nullspace())
    k, d = V.cols, V.rows
    u = sympy.Matrix(objective.variables[:k])
    there = dict(zip(objective.variables, V * u, strict=True))
    gradient = objective.gradient_expression.xreplace(there)
    _require_invariant(objective, W.T * gradient, V)
    hessian = objective.hessian_expression.xreplace(there)
    entries = [*_projected(V, hessian * V), *_projected(W, hessian * W)]
    system = Map(
        *(tuple(u), objective.parameter_symbols, tuple(_projected(V, gradient)), tuple(entries)),
        coordinates=tuple(V * u),
    )
    return system, [range(k**2), range(k**2, k**2 + (d - k) ** 2)]


def _projected(V, vectors):
    """Coordinates of vectors along the orthogonal columns of V."""
    return (V.T * V).inv() * V.T * vectors


def _require_invariant(objective, leaving, V):
    values = {
        symbol: sympy.nsimplify(value, rational=True)
        for symbol, value in zip(
            objective.parameter_symbols, objective.parameters.values(), strict=True
        )
    }
    for component in leaving:
        if sympy.simplify(component.subs(values)) != 0:
            raise ValueError(
                "subspace must be invariant under gradient descent: on it the gradient has the "
                f"orthogonal component {sympy.simplify(component.subs(values))}"
            )


def _inside_subspace(starts, V):
    """Coordinates of the starts along the columns of V."""
    V = np.array(V.tolist(), dtype=float)
    coordinates = starts @ V / (V * V).sum(axis=0)
    away = np.abs(coordinates @ V.T - starts).max(axis=-1, initial=0.0)
    outside = away > 1e-9 * (1 + np.abs(starts).max(axis=-1, initial=0.0))
    if outside.any():
        raise ValueError(f"starts must lie in the subspace, unlike {starts[outside][0]}")
    return coordinates
