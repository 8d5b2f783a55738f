"""Live figures: the same objective under the reader's hand in JupyterLab and in the plain site."""

from gdbook.widgets.balancing_explorer import BalancingExplorer
from gdbook.widgets.bifurcation_explorer import BifurcationExplorer
from gdbook.widgets.descent_explorer_1d import DescentExplorer1D
from gdbook.widgets.descent_explorer_2d import DescentExplorer2D
from gdbook.widgets.flow_explorer import FlowExplorer
from gdbook.widgets.live_figure import LiveFigure
from gdbook.widgets.logistic_explorer import LogisticExplorer
from gdbook.widgets.multiscale_explorer import MultiscaleExplorer
from gdbook.widgets.network_explorer import NetworkExplorer
from gdbook.widgets.own_objective import OwnObjective
from gdbook.widgets.regime_map import RegimeMap
from gdbook.widgets.selection_explorer import SelectionExplorer
from gdbook.widgets.trapping_explorer import TrappingExplorer

__all__ = [
    "BalancingExplorer",
    "BifurcationExplorer",
    "DescentExplorer1D",
    "DescentExplorer2D",
    "FlowExplorer",
    "LiveFigure",
    "LogisticExplorer",
    "MultiscaleExplorer",
    "NetworkExplorer",
    "OwnObjective",
    "RegimeMap",
    "SelectionExplorer",
    "TrappingExplorer",
]
