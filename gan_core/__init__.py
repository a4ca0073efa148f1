"""Small GANs, many seeds at once: what theory predicts beside what training measures."""

from gan_core.constraints import Bjorck, Clipping, SpectralNormalization
from gan_core.critics import CriticRun, train_critics
from gan_core.data import (
    Discrete,
    Empirical,
    Gaussian,
    Grid,
    ParallelLines,
    Ring,
    SwissRoll,
    Translated,
)
from gan_core.ensemble import Ensemble
from gan_core.gradients import critic_gradient, generator_gradient, input_gradient
from gan_core.measures import (
    Coverage,
    certified_transport,
    jensen_shannon_estimate,
    mode_coverage,
    sample_transport,
    value_surface,
)
from gan_core.networks import StackedMLP
from gan_core.objectives import OBJECTIVES, Objective, objective
from gan_core.penalties import GradientPenalty, one_centered, r1, r2
from gan_core.settings import Settings, wgan, wgan_gp
from gan_core.theory import (
    clipping_ceiling,
    penalized_objective,
    penalized_slope,
    penalized_value,
    unpenalized_distance,
    wrong_sign_slope,
)
from gan_core.training import TrainingRun, train

__all__ = [
    "OBJECTIVES",
    "Bjorck",
    "Clipping",
    "Coverage",
    "CriticRun",
    "Discrete",
    "Empirical",
    "Ensemble",
    "Gaussian",
    "GradientPenalty",
    "Grid",
    "Objective",
    "ParallelLines",
    "Ring",
    "Settings",
    "SpectralNormalization",
    "StackedMLP",
    "SwissRoll",
    "TrainingRun",
    "Translated",
    "certified_transport",
    "clipping_ceiling",
    "critic_gradient",
    "generator_gradient",
    "input_gradient",
    "jensen_shannon_estimate",
    "mode_coverage",
    "objective",
    "one_centered",
    "penalized_objective",
    "penalized_slope",
    "penalized_value",
    "r1",
    "r2",
    "sample_transport",
    "train",
    "train_critics",
    "unpenalized_distance",
    "value_surface",
    "wgan",
    "wgan_gp",
    "wrong_sign_slope",
]
