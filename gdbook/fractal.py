"""Box-counting dimension of sets in a picture, and of the boundaries between its labels."""

from dataclasses import dataclass

import numpy as np

from gdbook import arguments

__all__ = ["BoxDimension", "box_dimension"]


@dataclass(frozen=True, eq=False)
class BoxDimension:
    """A box-counting dimension with the counts that it was read off.

    Attributes
    ----------
    dimension : float
        Slope of log count against log 1/size by least squares; ``nan`` for the empty set.
    sizes : ndarray of int, shape (m,)
        Edges of the boxes in pixels.
    counts : ndarray of int, shape (m,)
        How many boxes of each size meet the set.
    error : float
        Standard error of the slope, from how far the counts are from a power law. It says nothing
        of what the picture does not resolve; ``nan`` for two sizes, or for the empty set.

    Examples
    --------
    >>> box_dimension(np.ones((32, 32), dtype=bool)).counts
    array([256,  64,  16,   4,   1])
    """

    dimension: float
    sizes: np.ndarray
    counts: np.ndarray
    error: float


def box_dimension(picture, sizes=(2, 4, 8, 16, 32)):
    r"""Box-counting dimension of a set of pixels, or of the boundary between labels.

    :math:`N(s)` boxes of s pixels meet the set; the dimension is the slope of :math:`\log N(s)`
    against :math:`\log 1/s`.

    Parameters
    ----------
    picture : array_like of bool or int, of any number of dimensions
        Booleans are the set itself. Whole numbers are labels, whose boundary is the set: the
        squares between the centres of 2 x 2 pixels that do not all have the same label. There is
        one less of them than of pixels on each axis, and a straight boundary counts once.
    sizes : sequence of int
        Edges of the boxes in pixels, at least two different ones. Boxes begin at the first pixel;
        where a size does not divide the picture the last ones are cut and count like the others.

    Returns
    -------
    BoxDimension

    Raises
    ------
    ValueError, TypeError
        For a picture that is not of booleans or whole numbers, or sizes that do not fit into it.

    Examples
    --------
    The Cantor set after six steps has dimension :math:`\log 2/\log 3 = 0.6309` at its own scales:

    >>> cantor = np.array([True])
    >>> for _ in range(6):
    ...     cantor = np.concatenate([cantor, np.zeros_like(cantor), cantor])
    >>> round(box_dimension(cantor, sizes=[3, 9, 27, 81]).dimension, 12)
    0.630929753571

    Two labels with a straight boundary, and one label with none:

    >>> labels = np.zeros((65, 65), dtype=int)
    >>> labels[:20] = 1
    >>> result = box_dimension(labels)
    >>> result.counts, round(result.dimension, 12)
    (array([32, 16,  8,  4,  2]), 1.0)
    >>> box_dimension(np.zeros((65, 65), dtype=int)).dimension
    nan
    """
    try:
        picture = np.asarray(picture)
    except ValueError:
        raise ValueError("picture must be an array: its rows have different lengths") from None
    if picture.ndim == 0 or picture.dtype.kind not in "biu":
        raise TypeError(
            "picture must be an array of booleans (a set) or of whole numbers (labels), "
            f"not of shape {picture.shape} and type {picture.dtype}"
        )
    mask = picture if picture.dtype.kind == "b" else _boundary(picture)
    sizes = _sizes(sizes, mask.shape)
    counts = np.array([_boxes(mask, size) for size in sizes.tolist()])
    dimension, error = _slope(sizes, counts)
    return BoxDimension(dimension, sizes, counts, error)


def _sizes(sizes, shape):
    if not np.iterable(sizes):
        raise TypeError(f"sizes must be a sequence of whole numbers, not {sizes!r}")
    sizes = np.unique([arguments.natural(size, "sizes", least=1) for size in sizes])
    if len(sizes) < 2 or sizes[-1] > min(shape):
        raise ValueError(
            "sizes must be at least two different whole numbers, no larger than the "
            f"{' x '.join(map(str, shape))} squares, not {sizes.tolist()}"
        )
    return sizes


def _boundary(labels):
    """Whether the 2 x ... x 2 pixels around each inner corner have different labels."""
    low = high = labels
    for axis in range(labels.ndim):
        low, high = np.swapaxes(low, 0, axis), np.swapaxes(high, 0, axis)
        low, high = np.minimum(low[:-1], low[1:]), np.maximum(high[:-1], high[1:])
        low, high = np.swapaxes(low, 0, axis), np.swapaxes(high, 0, axis)
    return low != high


def _boxes(mask, size):
    """Number of boxes of this size that meet the set."""
    for axis, length in enumerate(mask.shape):
        mask = np.logical_or.reduceat(mask, np.arange(0, length, size), axis)
    return np.count_nonzero(mask)


def _slope(sizes, counts):
    """Slope of the logarithms by least squares, and its standard error."""
    if not counts.any():
        return np.nan, np.nan
    x, y = -np.log(sizes), np.log(counts)
    x, y = x - x.mean(), y - y.mean()
    slope = x @ y / (x @ x)
    freedom = len(x) - 2
    rest = np.sum((y - slope * x) ** 2)
    error = np.sqrt(rest / freedom / (x @ x)) if freedom else np.nan
    return float(slope), float(error)
