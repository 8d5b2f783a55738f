"""The house style of figures. Every function draws on an axes, the current one unless given."""

import sys

import numpy as np

__all__ = [
    "COLOURS",
    "colour",
    "plot_contours",
    "plot_losses",
    "plot_objective",
    "plot_orbit",
    "plot_selection_map",
    "use_style",
]

COLOURS = {
    "gradient descent": "#0072B2",
    "gradient flow": "#E69F00",
    "modified flow 1": "#009E73",
    "modified flow 2": "#CC79A7",
    "modified flow 3": "#56B4E9",
    "stable": "#009E73",
    "oscillating": "#56B4E9",
    "edge": "#E69F00",
    "periodic": "#0072B2",
    "chaotic": "#CC79A7",
    "diverged": "#D55E00",
    "target 1": "#009E73",
    "target 2": "#56B4E9",
    "target 3": "#F0E442",
    "target 4": "#E69F00",
}
"""Colours of methods, regimes and targets, safe for colour-blind eyes, in live figures too."""


def use_style():
    """Make the house style the style of all figures that follow.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> with plt.style.context({}):
    ...     use_style()
    ...     print(plt.rcParams["image.cmap"])
    cividis
    """
    import matplotlib.pyplot as plt

    plt.style.use("gdbook.book")
    # Notebooks cut figures to their ink, which takes a second drawing; here the layout fits.
    if "matplotlib_inline.config" in sys.modules:
        backend = sys.modules["matplotlib_inline.config"].InlineBackend.instance()
        backend.print_figure_kwargs = {"bbox_inches": None}


def colour(name):
    """Colour of a method or a regime, and of ``"modified flow n"`` for every n.

    Examples
    --------
    >>> colour("gradient flow")
    '#E69F00'
    >>> colour("modified flow 4") == colour("modified flow 1")
    True
    """
    family, _, order = name.rpartition(" ")
    if family != "modified flow":
        if name not in COLOURS:
            raise ValueError(f"name must be one of {', '.join(COLOURS)}, not {name!r}")
        return COLOURS[name]
    if order == "0":
        return COLOURS["gradient flow"]
    return COLOURS[f"modified flow {(int(order) - 1) % 3 + 1}"]


def plot_objective(objective, limits, ax=None, **style):
    """Graph of an objective of one variable.

    Parameters
    ----------
    objective : Objective
        Of dimension one.
    limits : (float, float)
    ax : matplotlib Axes, optional
    **style
        For the line.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from gdbook.catalogue import double_well
    >>> plot_objective(double_well(), (-1.5, 1.5), ax=Figure().subplots()).get_xlabel()
    '$x$'
    """
    _require_dimension(objective, 1)
    ax = _axes(ax)
    x = np.linspace(*limits, 401)
    ax.plot(x, objective.value(x[:, np.newaxis]), **{"color": "0.45", "zorder": 1, **style})
    ax.set(xlabel=f"${objective.variables[0]}$", ylabel="$f$")
    return ax


def plot_contours(objective, limits, ax=None, levels=14):
    """Contour lines of an objective of two variables, dense where it is small.

    Parameters
    ----------
    objective : Objective
        Of dimension two.
    limits : ((float, float), (float, float))
        Of the first and of the second variable.
    ax : matplotlib Axes, optional
    levels : int

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from gdbook.catalogue import scalar_factorization
    >>> limits = (-2, 2), (-1, 3)
    >>> plot_contours(scalar_factorization(), limits, ax=Figure().subplots()).get_ylabel()
    '$y$'
    """
    _require_dimension(objective, 2)
    ax = _axes(ax)
    x, y = np.meshgrid(*(np.linspace(*pair, 241) for pair in limits))
    values = objective.value(np.stack([x, y], axis=-1))
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    if low < high:  # else there is no line to draw
        heights = low + (high - low) * np.linspace(0.02, 1, levels) ** 3
        shown = np.where(np.isfinite(values), values, np.nan)
        ax.contour(x, y, shown, heights, colors="0.7", linewidths=0.8, zorder=1)
    ax.set(xlabel=f"${objective.variables[0]}$", ylabel=f"${objective.variables[1]}$")
    ax.grid(False)
    return ax


def plot_orbit(orbit, ax=None, **style):
    """An orbit: on the graph of its objective (one variable), else in the first two variables.

    Parameters
    ----------
    orbit : Orbit or Trajectory
    ax : matplotlib Axes, optional
    **style
        For the line.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import gdbook as gd
    >>> from matplotlib.figure import Figure
    >>> orbit = gd.gradient_descent(gd.catalogue.quadratic_bowl(), [1.0, 1.0], 0.1, steps=4)
    >>> (line,) = plot_orbit(orbit, ax=Figure().subplots()).lines
    >>> line.get_xydata().shape
    (5, 2)
    """
    ax = _axes(ax)
    points = orbit.points
    x, y = (points[:, 0], orbit.values) if points.shape[1] == 1 else points.T[:2]
    style = {"color": COLOURS["gradient descent"], "marker": ".", "linewidth": 1, **style}
    ax.plot(x, y, **style)
    return ax


def plot_losses(orbits, ax=None):
    """Loss against step, on a logarithmic axis.

    Parameters
    ----------
    orbits : mapping of str to Orbit
        Names for the legend.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import gdbook as gd
    >>> from matplotlib.figure import Figure
    >>> orbit = gd.gradient_descent(gd.catalogue.quadratic(), 1.0, 0.5, steps=4)
    >>> plot_losses({"h = 0.5": orbit}, ax=Figure().subplots()).get_yscale()
    'log'
    """
    ax = _axes(ax)
    for name, orbit in orbits.items():
        ax.semilogy(np.where(orbit.values > 0, orbit.values, np.nan), ".-", label=name)
    ax.set(xlabel="step", ylabel="loss")
    ax.legend()
    return ax


def plot_selection_map(selection, ax=None):
    """Start against learning rate, in the colour of the target that is reached.

    The axis of the learning rates is logarithmic where they span more than a factor of 30.

    Parameters
    ----------
    selection : SelectionMap
        Of an objective of one variable, with at most four targets.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import gdbook as gd
    >>> from matplotlib.figure import Figure
    >>> starts, rates = np.linspace(-2, 2, 50), np.linspace(0.1, 2.5, 40)
    >>> wells = {"left": [-1.0], "right": [1.0]}
    >>> found = gd.escape.selection_map(gd.catalogue.double_well(), starts, rates, wells)
    >>> ax = plot_selection_map(found, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['left', 'right', 'no convergence', 'diverged']
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    if selection.starts.shape[1] != 1:
        raise ValueError(
            f"selection must have starts on a line, not of {selection.starts.shape[1]} coordinates"
        )
    if len(selection.names) > 4:
        raise ValueError(f"selection must have at most four targets, not {len(selection.names)}")
    if not np.isfinite(selection.starts).all():
        raise ValueError("selection must have finite starts, and some are not")
    ax = _axes(ax)
    targets = {name: COLOURS[f"target {i + 1}"] for i, name in enumerate(selection.names)}
    colours = {"diverged": COLOURS["diverged"], "no convergence": COLOURS["chaotic"], **targets}
    columns, rows = np.argsort(selection.starts[:, 0]), np.argsort(selection.learning_rates)
    x, rates = selection.starts[columns, 0], selection.learning_rates[rows]
    codes = selection.reached[np.ix_(rows, columns)] + 2
    logarithmic = rates[0] > 0 and rates[-1] > 30 * rates[0]
    edges = np.exp(_edges(np.log(rates))) if logarithmic else _edges(rates)
    style = {"cmap": ListedColormap(list(colours.values())), "vmin": 0, "vmax": len(colours) - 1}
    ax.pcolormesh(_edges(x), edges, codes, rasterized=True, **style)
    shares = selection.shares
    seen = [name for name in [*targets, "no convergence", "diverged"] if shares[name].any()]
    ax.legend(
        handles=[Patch(color=colours[name], label=name) for name in seen],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(seen),
        borderaxespad=0.2,
    )
    ax.set(xlabel="start", ylabel="learning rate", yscale="log" if logarithmic else "linear")
    ax.grid(False)
    return ax


def _edges(centres):
    """Borders between cells around sorted centres."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middles[0], 2 * centres[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])


def _require_dimension(objective, dimension):
    if objective.dimension != dimension:
        raise ValueError(
            f"objective must have as many variables as the figure, {dimension}, not "
            f"{', '.join(map(str, objective.variables))}"
        )


def _axes(ax):
    import matplotlib.pyplot as plt

    return plt.gca() if ax is None else ax
