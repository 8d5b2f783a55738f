r"""Rooted trees and the B-series of the modified equation.

Any Runge-Kutta method is a sum over rooted trees, and so is the differential equation that its
steps solve exactly. The coefficients are found here from integers alone, with no recursion over
subtrees: trees grow by one child at a time, in arrays.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import comb, lcm

import numpy as np

from gdbook.arguments import natural, rational

__all__ = ["TreeCoefficients", "tree_coefficients"]


@dataclass(frozen=True, eq=False)
class TreeCoefficients:
    r"""Coefficients :math:`b(\tau)` of a B-series, one for each rooted tree up to some order.

    Attributes
    ----------
    orders : ndarray of int, shape (n,)
        :math:`|\tau|`, the number of vertices; increasing.
    symmetries : ndarray of int, shape (n,)
        :math:`\sigma(\tau)`, the number of automorphisms.
    left, last : ndarray of int, shape (n,)
        Tree i is tree ``left[i]`` with tree ``last[i]`` joined to its root as one more child;
        both are -1 for the single vertex, which is tree 0.
    coefficients : tuple of Fraction, length n
        :math:`b(\tau)`.
    trees : tuple of tuple of int, length n
        Level sequences: the depth of each vertex, root first, each child followed by its own.

    Examples
    --------
    >>> series = tree_coefficients(3)
    >>> series.orders.tolist(), series.symmetries.tolist()
    ([1, 2, 3, 3], [1, 1, 2, 1])
    """

    orders: np.ndarray
    symmetries: np.ndarray
    left: np.ndarray
    last: np.ndarray
    _numerators: tuple
    _denominators: tuple

    @cached_property
    def coefficients(self):
        """All :math:`b(\tau)` as Fractions."""
        return tuple(
            Fraction(numerators, denominator)
            for array, denominator in zip(self._numerators, self._denominators, strict=True)
            for numerators in array.tolist()
        )

    @cached_property
    def trees(self):
        """All trees as level sequences."""
        trees = [(0,)]
        for left, last in zip(self.left[1:], self.last[1:], strict=True):
            trees.append(trees[left] + tuple(level + 1 for level in trees[last]))
        return tuple(trees)


def tree_coefficients(order, A=None, b=None):
    r"""B-series coefficients of the modified equation of a Runge-Kutta method, exactly.

    The steps :math:`x_{k+1} = \Phi_h(x_k)` of a method for :math:`\dot x = F(x)` are the points at
    times :math:`kh` of a solution of the modified equation [1]_

    .. math:: \dot x = \sum_\tau \frac{h^{|\tau|-1}}{\sigma(\tau)}\, b(\tau)\, F(\tau)(x),

    a formal sum over rooted trees :math:`\tau` with their elementary differentials
    :math:`F(\tau)`. After n steps the coefficient of :math:`F(\tau)` is a polynomial
    :math:`P_\tau(n)` of degree :math:`|\tau|`, for explicit Euler
    :math:`P_\tau(n) = \sum_{k<n} \prod_i P_{\tau_i}(k)` over the subtrees :math:`\tau_i` at the
    root. The modified equation interpolates the steps, hence :math:`b(\tau) = P_\tau'(0)`, which
    Newton's formula takes from the integers :math:`P_\tau(0), \dots, P_\tau(|\tau|)`.

    Parameters
    ----------
    order : int
        Largest number of vertices; the highest power of h is one less.
    A : array_like of rationals, shape (s, s), optional
        Coefficients of the stages, ``A[i][j]`` of stage j in stage i; the method may be implicit.
        Numbers, Fractions or strings such as ``"1/6"``; a float counts as the binary fraction
        that it is.
    b : array_like of rationals, shape (s,), optional
        Weights of the stages. Without `A` and `b`: explicit Euler, so gradient descent.

    Returns
    -------
    TreeCoefficients

    Raises
    ------
    ValueError
        For an order below 1, a tableau whose shapes do not fit, or entries that are not rational.

    References
    ----------
    .. [1] E. Hairer, C. Lubich, G. Wanner, "Geometric Numerical Integration", 2nd edition,
       Springer 2006, chapter IX.

    Examples
    --------
    Chains have :math:`(-1)^{n-1}/n`, a root with n leaves the Bernoulli number :math:`B_n`:

    >>> series = tree_coefficients(3)
    >>> for tree, coefficient in zip(series.trees, series.coefficients):
    ...     print(tree, coefficient)
    (0,) 1
    (0, 1) -1/2
    (0, 1, 1) 1/6
    (0, 1, 2) 1/3

    The sum for the explicit midpoint method:

    >>> midpoint = tree_coefficients(9, A=[[0, 0], ["1/2", 0]], b=[0, 1])
    >>> len(midpoint.trees), sum(midpoint.coefficients)
    (486, Fraction(19063, 26880))
    """
    order = natural(order, "order", 1)
    A, b, scale = _integer_tableau(A, b)
    weights = derivative_weights(order)
    common = lcm(*(w.denominator for w in weights))
    weights = [int(w * common) for w in weights]
    kind = np.int64 if _fits(order, A, b, weights) else object
    A, b = np.array(A, dtype=kind), np.array(b, dtype=kind)
    # A weight for each step instead of each point: those of all points after it.
    weights = np.cumsum(np.array(weights[:0:-1], dtype=kind))[::-1]

    stages = [np.ones((1, order, len(b)), dtype=kind)]  # product over the children
    shifts = []  # what a tree contributes as a child
    left, last = [np.array([-1])], [np.array([-1])]
    symmetries, multiplicity = [np.array([1])], [np.array([0])]
    first = [0, 1]  # number of the first tree with 1, 2, ... vertices
    for n in range(2, order + 1):
        shifts.append(_as_child(stages[-1], A, b))
        grown = [
            _join(n, r, first, last, multiplicity, symmetries, stages, shifts) for r in range(1, n)
        ]
        joined = [np.concatenate(parts) for parts in zip(*grown, strict=True)]
        for collection, new in zip(
            (left, last, multiplicity, symmetries, stages), joined, strict=True
        ):
            collection.append(new)
        first.append(first[-1] + len(joined[0]))
    return TreeCoefficients(
        orders=np.repeat(np.arange(1, order + 1), np.diff(first)),
        symmetries=np.concatenate(symmetries),
        left=np.concatenate(left),
        last=np.concatenate(last),
        _numerators=tuple(weights @ (product @ b).T for product in stages),
        _denominators=tuple(common * scale**n for n in range(1, order + 1)),
    )


def _join(n, r, first, last, multiplicity, symmetries, stages, shifts):
    """All trees of n vertices whose last child has r; children never get smaller numbers."""
    i = n - r - 1  # left trees have n - r vertices
    children = np.arange(first[r - 1], first[r])
    tree, child = np.nonzero(last[i][:, np.newaxis] <= children)
    # The same child once more: its copies can be permuted.
    copies = np.where(last[i][tree] == children[child], multiplicity[i][tree] + 1, 1)
    return (
        tree + first[i],
        children[child],
        copies,
        symmetries[i][tree] * symmetries[r - 1][child] * copies,
        stages[i][tree] * shifts[r - 1][child],
    )


def _as_child(product, A, b):
    """Sum over the steps before, and over the stages of this step."""
    steps = product @ b
    return (np.cumsum(steps, axis=1) - steps)[..., np.newaxis] + product @ A.T


def _integer_tableau(A, b):
    if (A is None) != (b is None):
        raise ValueError("A and b belong together: give both, or neither for explicit Euler")
    if A is None:
        return [[0]], [1], 1
    A, b = np.asarray(A, dtype=object), np.asarray(b, dtype=object)
    if b.ndim != 1 or len(b) == 0 or A.shape != 2 * b.shape:
        raise ValueError(
            "A and b must have shapes (s, s) and (s,) for a method of s stages, "
            f"not {A.shape} and {b.shape}"
        )
    A = [[rational(a, "A") for a in row] for row in A]
    b = [rational(w, "b") for w in b]
    scale = lcm(*(w.denominator for w in b), *(a.denominator for row in A for a in row))
    return [[int(a * scale) for a in row] for row in A], [int(w * scale) for w in b], scale


def _fits(order, A, b, weights):
    """Whether no number can leave 64 bits: a tree of n vertices is at most largest**n."""
    largest = order * sum(map(abs, b)) + max(sum(map(abs, row)) for row in A)
    return largest**order * sum(map(abs, weights)) < 2**63


def derivative_weights(n):
    r"""Weights of :math:`p'(0) = \sum_k w_k\,p(k)` for polynomials of degree at most n.

    Newton's formula :math:`\sum_m \frac{(-1)^{m+1}}{m} \Delta^m p(0)`, summed up.

    Examples
    --------
    >>> [str(w) for w in derivative_weights(2)]
    ['-3/2', '2', '-1/2']
    """
    weights = [Fraction((-1) ** (k + 1) * comb(n, k), k) for k in range(1, n + 1)]
    return [-sum(weights), *weights]
