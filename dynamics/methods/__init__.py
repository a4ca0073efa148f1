"""One-step maps of two-player methods; each knows its iteration matrix and its polynomial."""

from dynamics.methods.base import Method, State
from dynamics.methods.extragradient import Extragradient, PastExtragradient
from dynamics.methods.gradient import GDA
from dynamics.methods.implicit import ImplicitMidpoint, ProximalPoint
from dynamics.methods.momentum import HeavyBall, Nesterov
from dynamics.methods.optimistic import OGD, OptimisticGDA
from dynamics.methods.second_order import (
    CompetitiveGradient,
    ConsensusOptimization,
    SymplecticGradientAdjustment,
)

__all__ = [
    "CompetitiveGradient",
    "ConsensusOptimization",
    "Extragradient",
    "GDA",
    "HeavyBall",
    "ImplicitMidpoint",
    "Method",
    "Nesterov",
    "OGD",
    "OptimisticGDA",
    "PastExtragradient",
    "ProximalPoint",
    "State",
    "SymplecticGradientAdjustment",
]
