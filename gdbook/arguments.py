"""Checks of arguments: what comes in is put into one form, or named with what would be right."""

from fractions import Fraction
from operator import index

import numpy as np

__all__ = ["natural", "number", "point", "points", "positive", "rational"]


def points(value, dimension, name="points"):
    """`value` as an array of floats whose last axis has length `dimension`.

    A single number is a point of dimension one.
    """
    try:
        array = np.asarray(value)
        if np.iscomplexobj(array):
            raise TypeError
        array = array.astype(float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be real numbers, not {value!r}") from None
    if dimension == 1 and array.ndim == 0:
        array = array[np.newaxis]
    if array.ndim == 0 or array.shape[-1] != dimension:
        raise ValueError(
            f"{name} must have {dimension} coordinates along the last axis; "
            f"the shape given is {array.shape}"
        )
    return array


def point(value, objective, name):
    """`value` as one finite point of the space that an objective lives on."""
    array = points(value, getattr(objective, "dimension", np.size(value)), name)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one point of shape {array.shape[-1:]}, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, not {array}")
    return array


def natural(value, name, least=0):
    """`value` as an int that is at least `least`."""
    try:
        result = index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if result < least or isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be a whole number, at least {least}, not {value!r}")
    return result


def number(value, name):
    """`value` as a float."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None


def positive(value, name):
    """`value` as a positive finite float."""
    result = number(value, name)
    if not (np.isfinite(result) and result > 0):
        raise ValueError(f"{name} must be positive and finite, not {value!r}")
    return result


def rational(value, name):
    """`value` exactly as a Fraction."""
    try:
        # SymPy's rationals know numerator and denominator, but are no `Rational` of Python's.
        return Fraction(int(value.p), int(value.q)) if hasattr(value, "p") else Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ValueError(
            f'{name} must be rational (a whole number, a Fraction, a string such as "1/2" or a '
            f"finite float), not {value!r}"
        ) from None
