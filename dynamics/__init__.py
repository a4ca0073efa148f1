"""Every two-player update on a bilinear game, with a proof instead of a plot."""

from dynamics.games import Bilinear, Quadratic
from dynamics.methods.gradient import GDA
from dynamics.step_rules import Schedule

__all__ = ["GDA", "Bilinear", "Quadratic", "Schedule"]
