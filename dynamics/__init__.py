"""Every two-player update on a bilinear game, with a proof instead of a plot."""

from dynamics.differentiable import DifferentiableGame
from dynamics.dirac import (
    R1,
    R2,
    Clipping,
    Consensus,
    DiracGAN,
    GradientPenalty,
    InstanceNoise,
)
from dynamics.finite_sums import FiniteSum
from dynamics.games import Bilinear, Quadratic
from dynamics.linear_games import LinearGame
from dynamics.matrix_games import MatrixGame
from dynamics.methods import (
    GDA,
    OGD,
    AnchoredExtragradient,
    CompetitiveGradient,
    ConsensusOptimization,
    Extragradient,
    Halpern,
    HeavyBall,
    ImplicitMidpoint,
    Method,
    MultiplicativeWeights,
    Nesterov,
    OptimisticGDA,
    OptimisticMultiplicativeWeights,
    PastExtragradient,
    ProximalPoint,
    StochasticExtragradient,
    SymplecticGradientAdjustment,
)
from dynamics.protocols import Game
from dynamics.spectra import Stability, flow_stability, stability
from dynamics.stability_maps import RegionMap, stability_region
from dynamics.step_rules import Schedule
from dynamics.step_sizes import OptimalSteps, optimal_step_sizes, step_size_limit

__all__ = [
    "AnchoredExtragradient",
    "Bilinear",
    "Clipping",
    "CompetitiveGradient",
    "Consensus",
    "ConsensusOptimization",
    "DifferentiableGame",
    "DiracGAN",
    "Extragradient",
    "FiniteSum",
    "GDA",
    "Game",
    "GradientPenalty",
    "Halpern",
    "HeavyBall",
    "ImplicitMidpoint",
    "InstanceNoise",
    "LinearGame",
    "MatrixGame",
    "Method",
    "MultiplicativeWeights",
    "Nesterov",
    "OGD",
    "OptimalSteps",
    "OptimisticGDA",
    "OptimisticMultiplicativeWeights",
    "PastExtragradient",
    "ProximalPoint",
    "Quadratic",
    "R1",
    "R2",
    "RegionMap",
    "Schedule",
    "Stability",
    "StochasticExtragradient",
    "SymplecticGradientAdjustment",
    "flow_stability",
    "optimal_step_sizes",
    "stability",
    "stability_region",
    "step_size_limit",
]
