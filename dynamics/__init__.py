"""Every two-player update on a bilinear game, with a proof instead of a plot."""

from dynamics.games import Bilinear, Quadratic
from dynamics.linear_games import LinearGame
from dynamics.methods import (
    GDA,
    OGD,
    CompetitiveGradient,
    ConsensusOptimization,
    Extragradient,
    HeavyBall,
    ImplicitMidpoint,
    Method,
    Nesterov,
    OptimisticGDA,
    PastExtragradient,
    ProximalPoint,
    SymplecticGradientAdjustment,
)
from dynamics.protocols import Game
from dynamics.step_rules import Schedule

__all__ = [
    "Bilinear",
    "CompetitiveGradient",
    "ConsensusOptimization",
    "Extragradient",
    "GDA",
    "Game",
    "HeavyBall",
    "ImplicitMidpoint",
    "LinearGame",
    "Method",
    "Nesterov",
    "OGD",
    "OptimisticGDA",
    "PastExtragradient",
    "ProximalPoint",
    "Quadratic",
    "Schedule",
    "SymplecticGradientAdjustment",
]
