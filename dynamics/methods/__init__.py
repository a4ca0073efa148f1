"""One-step maps of two-player methods; each knows its iteration matrix and its polynomial."""

from dynamics.methods.anchored import AnchoredExtragradient, Halpern
from dynamics.methods.base import Method, State
from dynamics.methods.extragradient import Extragradient, PastExtragradient
from dynamics.methods.gradient import GDA
from dynamics.methods.implicit import ImplicitMidpoint, ProximalPoint
from dynamics.methods.momentum import HeavyBall, Nesterov
from dynamics.methods.multiplicative import (
    MultiplicativeWeights,
    OptimisticMultiplicativeWeights,
)
from dynamics.methods.optimistic import OGD, OptimisticGDA
from dynamics.methods.second_order import (
    CompetitiveGradient,
    ConsensusOptimization,
    SymplecticGradientAdjustment,
)
from dynamics.methods.stochastic import StochasticExtragradient

__all__ = [
    "AnchoredExtragradient",
    "CompetitiveGradient",
    "ConsensusOptimization",
    "Extragradient",
    "GDA",
    "Halpern",
    "HeavyBall",
    "ImplicitMidpoint",
    "Method",
    "MultiplicativeWeights",
    "Nesterov",
    "OGD",
    "OptimisticGDA",
    "OptimisticMultiplicativeWeights",
    "PastExtragradient",
    "ProximalPoint",
    "State",
    "StochasticExtragradient",
    "SymplecticGradientAdjustment",
]
