"""One function per prediction: what theory says beside what training measures."""

from gan_core.experiments.bug_zoo import BUGS, PenaltyBug, penalty_bugs
from gan_core.experiments.certified_critics import certified_cone
from gan_core.experiments.clipping import clipping_exponents, trained_under_clipping
from gan_core.experiments.coverage import (
    Comparison,
    MedianInterval,
    compare_objectives,
    coverage_measures,
)
from gan_core.experiments.depth import layer_gradients
from gan_core.experiments.digits import translated_digits
from gan_core.experiments.dirac_predictions import (
    clipped_cycles,
    dirac_drifts,
    dirac_orbits,
    dirac_radii,
    penalty_traps,
)
from gan_core.experiments.frozen_discriminator import frozen_discriminator_gradient
from gan_core.experiments.gradient_penalty import (
    one_dimensional_trap,
    parallel_lines_values,
    penalty_law,
)
from gan_core.experiments.loss_tracking import LossCurves, follow_losses, loss_against_distance
from gan_core.experiments.optima import discriminator_optima
from gan_core.experiments.overfitting import overfitted_critics, sampling_floor
from gan_core.experiments.rays import gradients_along_rays, off_ray_disagreement
from gan_core.experiments.result import Experiment, Prediction, prediction
from gan_core.experiments.saturation import steps_to_bound, weights_driven_to_bound
from gan_core.experiments.vanishing_gradients import vanishing_gradient_bound
from gan_core.experiments.wrong_sign import misprinted_sign

__all__ = [
    "BUGS",
    "Comparison",
    "Experiment",
    "LossCurves",
    "MedianInterval",
    "PenaltyBug",
    "Prediction",
    "certified_cone",
    "clipped_cycles",
    "clipping_exponents",
    "compare_objectives",
    "coverage_measures",
    "dirac_drifts",
    "dirac_orbits",
    "dirac_radii",
    "discriminator_optima",
    "follow_losses",
    "frozen_discriminator_gradient",
    "gradients_along_rays",
    "layer_gradients",
    "loss_against_distance",
    "misprinted_sign",
    "off_ray_disagreement",
    "one_dimensional_trap",
    "overfitted_critics",
    "parallel_lines_values",
    "penalty_bugs",
    "penalty_law",
    "penalty_traps",
    "prediction",
    "sampling_floor",
    "steps_to_bound",
    "trained_under_clipping",
    "translated_digits",
    "vanishing_gradient_bound",
    "weights_driven_to_bound",
]
