"""Checks of arguments: what comes in is put into one form, or named with what would be right."""

from fractions import Fraction
from operator import index

import numpy as np

__all__ = [
    "generator",
    "kept_steps",
    "natural",
    "number",
    "pair",
    "point",
    "points",
    "positive",
    "rational",
    "reals",
    "starts",
]


def reals(value, name):
    """`value` as an array of floats.

    Examples
    --------
    >>> reals([Fraction(1, 2), 3], "times")
    array([0.5, 3. ])
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":  # exact numbers; `None`, which NumPy would call nan, is none
            array = np.reshape([float(entry) for entry in array.flat], array.shape)
        if array.dtype.kind not in "biuf":
            raise TypeError
    except OverflowError:
        raise ValueError(f"{name} must fit into floats, not {value!r}") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be real numbers, not {value!r}") from None
    with np.errstate(over="ignore"):  # a longer float may be too large for this one
        return array.astype(float)


def points(value, dimension, name="points"):
    """`value` as an array of floats whose last axis has length `dimension`.

    A single number is a point of dimension one.

    Examples
    --------
    >>> points(3, 1)
    array([3.])
    >>> points([3, 4], 1)
    Traceback (most recent call last):
    ValueError: points must have 1 coordinates along the last axis, so shape (..., 1), not (2,)
    """
    array = reals(value, name)
    if dimension == 1 and array.ndim == 0:
        array = array[np.newaxis]
    if array.ndim == 0 or array.shape[-1] != dimension:
        raise ValueError(
            f"{name} must have {dimension} coordinates along the last axis, "
            f"so shape (..., {dimension}), not {array.shape}"
        )
    return array


def pair(first, second, dimension, names=("points", "vectors")):
    """Two arrays of points, as many of the one as of the other, or one for all.

    Examples
    --------
    >>> [array.shape for array in pair([[1, 2], [3, 4]], [0, 1], 2)]
    [(2, 2), (2,)]
    """
    arrays = [points(v, dimension, name) for v, name in zip((first, second), names, strict=True)]
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        raise ValueError(
            f"{names[0]} and {names[1]} must be equally many, or one for all, not "
            f"{arrays[0].shape} and {arrays[1].shape}"
        ) from None
    return arrays


def starts(value, dimension, name="starts"):
    """`value` as points; in dimension one several numbers are several points.

    Examples
    --------
    >>> starts([3, 4], 1).shape, starts([3, 4], 2).shape, starts([3], 1).shape
    ((2, 1), (2,), (1,))
    """
    array = reals(value, name)
    if dimension == 1 and array.ndim == 1 and len(array) != 1:
        array = array[:, np.newaxis]
    return points(array, dimension, name)


def point(value, objective, name):
    """`value` as one finite point of the space that an objective lives on.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> point(2, quadratic(), "start")
    array([2.])
    """
    array = reals(value, name)
    array = points(array, getattr(objective, "dimension", array.size), name)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one point of shape {array.shape[-1:]}, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, not {array}")
    return array


def natural(value, name, least=0):
    """`value` as an int that is at least `least`.

    Examples
    --------
    >>> natural(np.int64(3), "steps")
    3
    """
    try:
        result = index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if result < least or isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be a whole number, at least {least}, not {value!r}")
    return result


def number(value, name):
    """`value` as a finite float.

    Examples
    --------
    >>> number(Fraction(1, 2), "learning_rate")
    0.5
    """
    array = reals(value, name)
    if array.ndim:
        raise TypeError(f"{name} must be one number, not {value!r}")
    if not np.isfinite(array):
        raise ValueError(f"{name} must be finite, not {value!r}")
    return float(array)


def positive(value, name):
    """`value` as a positive finite float.

    Examples
    --------
    >>> positive(0, "learning_rate")
    Traceback (most recent call last):
    ValueError: learning_rate must be positive, not 0
    """
    result = number(value, name)
    if result <= 0:
        raise ValueError(f"{name} must be positive, not {value!r}")
    return result


def generator(value):
    """`value`, if it is a generator of random numbers.

    Examples
    --------
    >>> generator(0)
    Traceback (most recent call last):
    TypeError: rng must be a numpy.random.Generator, not 0
    """
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, not {value!r}")
    return value


def kept_steps(keep_every, steps):
    """The multiples of `keep_every` up to `steps`, and `steps` itself.

    Examples
    --------
    >>> kept_steps(4, 10)
    array([ 0,  4,  8, 10])
    """
    every = natural(keep_every, "keep_every", least=1)
    return np.unique([*range(0, steps, every), steps])


def rational(value, name):
    """`value` exactly as a Fraction.

    Examples
    --------
    >>> rational("1/3", "start"), rational(0.75, "start")
    (Fraction(1, 3), Fraction(3, 4))
    """
    value = value.item() if isinstance(value, np.generic) else value
    try:
        # SymPy's rationals know numerator and denominator, but are no `Rational` of Python's.
        return Fraction(int(value.p), int(value.q)) if hasattr(value, "p") else Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ValueError(
            f'{name} must be rational (a whole number, a Fraction, a string such as "1/2" or a '
            f"finite float), not {value!r}"
        ) from None
