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
from dynamics.flows import Flow, flow
from dynamics.games import Bilinear, Quadratic
from dynamics.invariants import Invariant, flow_invariant, orbit_invariant
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
from dynamics.modified_fields import LocalErrors, ModifiedField, local_errors, modified_field
from dynamics.orbits import Orbit, orbit
from dynamics.plots import (
    plot_eigenvalue_paths,
    plot_energy_drift,
    plot_phase_portrait,
    plot_rate_curves,
)
from dynamics.protocols import Game
from dynamics.region_plots import plot_stability_region
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
    "Flow",
    "GDA",
    "Game",
    "GradientPenalty",
    "Halpern",
    "HeavyBall",
    "ImplicitMidpoint",
    "InstanceNoise",
    "Invariant",
    "LinearGame",
    "LocalErrors",
    "MatrixGame",
    "Method",
    "ModifiedField",
    "MultiplicativeWeights",
    "Nesterov",
    "OGD",
    "OptimalSteps",
    "OptimisticGDA",
    "OptimisticMultiplicativeWeights",
    "Orbit",
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
    "flow",
    "flow_invariant",
    "flow_stability",
    "local_errors",
    "modified_field",
    "optimal_step_sizes",
    "orbit",
    "orbit_invariant",
    "plot_eigenvalue_paths",
    "plot_energy_drift",
    "plot_phase_portrait",
    "plot_rate_curves",
    "plot_stability_region",
    "stability",
    "stability_region",
    "step_size_limit",
]
