"""Small GANs, many seeds at once: what theory predicts beside what training measures."""

from gan_core.chunks import in_chunks
from gan_core.constraints import Bjorck, Clipping, SpectralNormalization
from gan_core.convolutional import StackedConvolution
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
from gan_core.experiment_plots import plot_comparison, plot_experiment, plot_loss_curves
from gan_core.gradients import critic_gradient, generator_gradient, input_gradient
from gan_core.images import Images, digits, fashion_mnist
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
from gan_core.plots import plot_curves, plot_layer_gradients, plot_samples, plot_value_surface
from gan_core.settings import Settings, wgan, wgan_gp
from gan_core.theory import clipping_ceiling, penalized_value
from gan_core.training import TrainingRun, train

__all__ = [
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
    "Images",
    "OBJECTIVES",
    "Objective",
    "ParallelLines",
    "Ring",
    "Settings",
    "SpectralNormalization",
    "StackedConvolution",
    "StackedMLP",
    "SwissRoll",
    "TrainingRun",
    "Translated",
    "certified_transport",
    "clipping_ceiling",
    "critic_gradient",
    "digits",
    "fashion_mnist",
    "generator_gradient",
    "in_chunks",
    "input_gradient",
    "jensen_shannon_estimate",
    "mode_coverage",
    "objective",
    "one_centered",
    "penalized_value",
    "plot_comparison",
    "plot_curves",
    "plot_experiment",
    "plot_layer_gradients",
    "plot_loss_curves",
    "plot_samples",
    "plot_value_surface",
    "r1",
    "r2",
    "sample_transport",
    "train",
    "train_critics",
    "value_surface",
    "wgan",
    "wgan_gp",
]
