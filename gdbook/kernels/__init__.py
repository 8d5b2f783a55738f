"""The engine: compiled kernels, made from the formula of an objective, that advance many orbits.

No chapter calls it; :func:`gdbook.descend_many`, :func:`gdbook.bifurcation_diagram` and their
neighbours do. Where Numba is missing, the same results come from NumPy, more slowly.
"""

__all__ = []
