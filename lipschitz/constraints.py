"""What keeps a critic Lipschitz, and what each method really guarantees.

==========================  =====================================================================
weight clipping             exactly `clipping_bound`: attained, and far from 1
spectral normalisation      `spectrally_normalized`: 1, proved; torch's version on convolutions
                            divides by another number, `compare_reshaped_norm`
orthogonal weights          `bjorck`, `cayley`: 1 up to `orthogonality_bound`
GroupSort, MaxMin           `group_sort`, `max_min`: 1 in every l_p, no gradient lost
gradient penalty            slope `gradient_penalty_slope`, not 1, and only where it looks
layer normalisation         `layer_normalization_constant`: 316 for the default eps
batch normalisation         no function of one sample: `batch_normalization_jacobian`
==========================  =====================================================================

All projections and parametrisations take numpy arrays and torch tensors; for a torch layer,
`as_parametrization` wraps one for ``torch.nn.utils.parametrize``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lipschitz.clipping import (
    ClippingBound,
    clip_weights,
    clipped_layer_norm,
    clipping_bound,
    clipping_threshold,
    worst_clipped_network,
)
from lipschitz.gradient_penalty import (
    PenalizedCritic,
    debiased_distance,
    gradient_penalty_slope,
    misprinted_penalty_slope,
    penalized_critic,
)
from lipschitz.normalization import (
    batch_normalization_constant,
    batch_normalization_jacobian,
    layer_normalization_constant,
)
from lipschitz.orthogonal import OrthogonalityBound, bjorck, cayley, orthogonality_bound
from lipschitz.sorting import group_sort, max_min
from lipschitz.spectral_constraint import (
    NormalizedWeight,
    ReshapedNorm,
    compare_reshaped_norm,
    spectrally_normalized,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ClippingBound",
    "NormalizedWeight",
    "OrthogonalityBound",
    "PenalizedCritic",
    "ReshapedNorm",
    "as_parametrization",
    "batch_normalization_constant",
    "batch_normalization_jacobian",
    "bjorck",
    "cayley",
    "clip_weights",
    "clipped_layer_norm",
    "clipping_bound",
    "clipping_threshold",
    "compare_reshaped_norm",
    "debiased_distance",
    "gradient_penalty_slope",
    "group_sort",
    "layer_normalization_constant",
    "max_min",
    "misprinted_penalty_slope",
    "orthogonality_bound",
    "penalized_critic",
    "spectrally_normalized",
    "worst_clipped_network",
]


def as_parametrization(function: Callable[[Any], Any]) -> nn.Module:
    """A torch module that applies a function of this page, for weights or between layers.

    Parameters
    ----------
    function : callable
        From tensor to tensor, such as `bjorck`, `cayley` or `max_min`.

    Examples
    --------
    >>> import torch
    >>> from torch.nn.utils import parametrize
    >>> layer = torch.nn.Linear(6, 4, dtype=torch.float64)
    >>> _ = parametrize.register_parametrization(layer, "weight", as_parametrization(cayley))
    >>> orthogonality_bound(layer.weight.detach()).norm.upper < 1.0 + 1e-14
    True
    >>> critic = torch.nn.Sequential(layer, as_parametrization(max_min))
    >>> critic(torch.zeros(2, 6, dtype=torch.float64)).shape
    torch.Size([2, 4])
    """
    import torch

    if not callable(function):
        raise TypeError(f"`function` must map a tensor to a tensor, got {function!r}")

    class Parametrization(torch.nn.Module):
        def forward(self, value: Any) -> Any:
            return function(value)

        def extra_repr(self) -> str:
            return str(getattr(function, "__name__", function))

    return Parametrization()
