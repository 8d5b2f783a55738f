"""Gradient descent with large learning rates: the package that the chapters of *Beyond 2/L* run.

``import gdbook as gd``. What every chapter uses stands here; a chapter's own functions are reached
through their module, ``gd.catalogue.double_well()`` for example.
"""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        *("catalogue", "classification", "data", "escape", "factorization", "multiscale"),
        *("networks", "outcome", "plots", "stability", "widgets"),
    ],
    submod_attrs={
        "backward_error": ["ModifiedField", "interpolated_field", "modified_field"],
        "bifurcation": ["BifurcationDiagram", "bifurcation_diagram"],
        "descent": ["Orbit", "gradient_descent", "silver_learning_rates"],
        "ensemble": ["Ensemble", "Grid", "descend_many"],
        "flow": ["Trajectory", "gradient_flow", "modified_flow", "principal_flow"],
        "fractal": ["BoxDimension", "box_dimension"],
        "histogram": ["OrbitHistogram", "orbit_histogram"],
        "lyapunov": ["LyapunovExponents", "lyapunov_exponents"],
        "objective": ["Differentiable", "Objective"],
        "outcome": ["Outcome"],
        "periodic": [
            "PeriodicOrbit",
            "attracting_period",
            "multipliers",
            "period_doublings",
            "periodic_orbits",
        ],
        "series": ["Truncation", "modified_coefficients", "optimal_truncation"],
        "sweeps": ["Failure", "Sweep", "sweep"],
        "trees": ["TreeCoefficients", "tree_coefficients"],
    },
)


def __getattr__(name):
    if name == "__version__":
        from gdbook.version import version

        return version()
    return _load(name)
