"""The largest eigenvalues of symmetric matrices of which only products with vectors are known."""

import numpy as np

__all__ = ["leading", "random_block"]


@np.errstate(all="ignore")  # of a matrix that is hardly finite
def leading(product, block, tolerance, number=1):
    r"""Largest eigenvalues of a symmetric matrix, and a block to start from for a matrix near it.

    The matrix is restricted to a space that grows by the residuals :math:`Av - \lambda v`, which
    from one vector is Lanczos' method with full orthogonalization, and from a block its block form
    [1]_. The last vector of the new block makes one step of the power method, orthogonal to
    the eigenvectors, at every call: an eigenvalue that overtakes the others is seen.

    Parameters
    ----------
    product : callable
        Rows of shape (b, d) to A times each of them.
    block : array_like, shape (b, d)
        Where to start: at least as many vectors as there are eigenvalues to be found.
    tolerance : float
        Bound of :math:`\lVert Av - \lambda v\rVert`, in units of the largest eigenvalue in modulus.
    number : int
        k, at most d.

    Returns
    -------
    values : ndarray, shape (k,)
        From the largest on; ``nan`` if the matrix is not finite.
    block : ndarray, shape (k + 1, d)
        The eigenvectors, each of length one, and the vector that looks for others.

    References
    ----------
    .. [1] B. N. Parlett, "The symmetric eigenvalue problem", SIAM (1998), chapter 13.

    Examples
    --------
    >>> values, block = leading(lambda rows: [3.0, 1.0] * rows, random_block(2, 1), 1e-9)
    >>> values, np.abs(block[0]).round(6)
    (array([3.]), array([1., 0.]))
    """
    block = np.asarray(block) + 0.0
    space = _Space(product, block.shape[1], block.dtype, number)
    space.extend(block)
    while np.isfinite(space.matrix).all():
        values, weights = space.eigenpairs()
        scale = np.abs(values).max() or 1.0  # a residual squared must not overflow
        top = weights[:number] @ space.basis
        residuals = weights[:number] / scale @ space.images - (values[:number, None] / scale) * top
        large = np.linalg.norm(residuals, axis=1) > tolerance
        if not space.extend(residuals[large]):
            other = weights[number] / scale @ space.images if len(values) > number else 0 * top[0]
            return values[:number], np.concatenate([top, other[np.newaxis]])
    return np.full(number, np.nan), np.resize(block, (number + 1, block.shape[1]))


def random_block(dimension, number):
    """Random vectors of length about one, always the same: shape (number, dimension).

    Examples
    --------
    >>> random_block(1000, 3).shape
    (3, 1000)
    """
    return np.random.default_rng(0).standard_normal((number, dimension)) / np.sqrt(dimension)


class _Space:
    """An orthonormal basis, its images under a symmetric matrix, and the matrix in this basis."""

    def __init__(self, product, dimension, dtype, number):
        self.product, self.size, self.kept = product, 0, number + 8
        rows = min(dimension, 64 + 4 * number)  # of which only those in use take memory
        self.rows = np.empty((2, rows, dimension), dtype)
        self.matrix = np.zeros((0, 0))

    @property
    def basis(self):
        return self.rows[0, : self.size]

    @property
    def images(self):
        return self.rows[1, : self.size]

    def eigenpairs(self):
        """Of the matrix in the space, from the largest on, in the precision of the basis."""
        values, vectors = np.linalg.eigh(self.matrix)
        return values[::-1].astype(self.rows.dtype), vectors.T[::-1].astype(self.rows.dtype)

    def extend(self, block):
        """Take in what the vectors add, as far as it can be told; return whether one did."""
        room, dimension = self.rows.shape[1:]
        if self.size + len(block) > room < dimension:
            values, weights = self.eigenpairs()  # the best of it goes on, in a space with room
            self.rows[:, : self.kept] = weights[: self.kept] @ self.rows[:, : self.size]
            self.size, self.matrix = self.kept, np.diag(values[: self.kept]).astype(float)
        before = self.size
        for vector in block:
            size = np.linalg.norm(vector)
            for _ in range(2):  # twice is enough
                vector = vector - (self.basis @ vector) @ self.basis
            rest = np.linalg.norm(vector)
            if rest > 500 * np.finfo(vector.dtype).eps * size and self.size < room:
                self.rows[0, self.size] = vector / rest
                self.size += 1
        if self.size == before:
            return False
        added = slice(before, self.size)
        self.rows[1, added] = self.product(self.rows[0, added])
        columns = self.basis @ self.rows[1, added].T
        self.matrix = np.pad(self.matrix, (0, self.size - before))
        self.matrix[:, added] = columns
        self.matrix[added] = columns.T
        return True
