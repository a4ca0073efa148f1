"""What theory predicts, one function for each theorem, beside what is computed without it."""

from dynamics.rates.anchored import anchored_bound, fast_bound
from dynamics.rates.conditions import (
    extragradient_condition,
    gradient_descent_condition,
    momentum_condition,
    optimistic_condition,
)
from dynamics.rates.contractions import (
    alternating_bound,
    extrapolation_decay,
    implicit_decay,
    negative_momentum_bound,
    optimistic_last_iterate,
    simultaneous_growth,
)
from dynamics.rates.dirac_table import DiracRow, dirac_gan_table
from dynamics.rates.multiplicative_growth import divergence_growth
from dynamics.rates.optima import (
    alternating_momentum_optimum,
    alternating_optimistic_optimum,
    extragradient_optimum,
    simultaneous_optimistic_optimum,
)
from dynamics.rates.results import Condition, Margin, Rate

__all__ = [
    "Condition",
    "DiracRow",
    "Margin",
    "Rate",
    "alternating_bound",
    "alternating_momentum_optimum",
    "alternating_optimistic_optimum",
    "anchored_bound",
    "dirac_gan_table",
    "divergence_growth",
    "extragradient_condition",
    "extragradient_optimum",
    "extrapolation_decay",
    "fast_bound",
    "gradient_descent_condition",
    "implicit_decay",
    "momentum_condition",
    "negative_momentum_bound",
    "optimistic_condition",
    "optimistic_last_iterate",
    "simultaneous_growth",
    "simultaneous_optimistic_optimum",
]
