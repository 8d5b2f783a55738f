"""Gradient descent with large learning rates: the package that the chapters of *Beyond 2/L* run.

``import gdbook as gd``. What every chapter uses stands here; a chapter's own functions are reached
through their module, ``gd.catalogue.double_well()`` for example.
"""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["catalogue", "outcome", "plots", "widgets"],
    submod_attrs={
        "backward_error": ["ModifiedField", "interpolated_field", "modified_field"],
        "descent": ["Orbit", "gradient_descent", "silver_learning_rates"],
        "flow": ["Trajectory", "gradient_flow", "modified_flow", "principal_flow"],
        "objective": ["Differentiable", "Objective"],
        "outcome": ["Outcome"],
        "series": ["Truncation", "modified_coefficients", "optimal_truncation"],
        "trees": ["TreeCoefficients", "tree_coefficients"],
    },
)


def __getattr__(name):
    if name == "__version__":
        from gdbook.version import version

        return version()
    return _load(name)
