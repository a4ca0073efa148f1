"""What theory predicts, one function for each theorem, beside what is computed without it."""

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
from dynamics.rates.optima import (
    alternating_momentum_optimum,
    alternating_optimistic_optimum,
    extragradient_optimum,
    simultaneous_optimistic_optimum,
)
from dynamics.rates.results import Condition, Margin, Rate

__all__ = [
    "Condition",
    "Margin",
    "Rate",
    "alternating_bound",
    "alternating_momentum_optimum",
    "alternating_optimistic_optimum",
    "extragradient_condition",
    "extragradient_optimum",
    "extrapolation_decay",
    "gradient_descent_condition",
    "implicit_decay",
    "momentum_condition",
    "negative_momentum_bound",
    "optimistic_condition",
    "optimistic_last_iterate",
    "simultaneous_growth",
    "simultaneous_optimistic_optimum",
]
