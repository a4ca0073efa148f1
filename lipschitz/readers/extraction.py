"""Check that an extracted network computes what it was extracted from, or refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from evidence import NotCertified
from lipschitz.layers.contract import Array
from lipschitz.network import Network

__all__ = ["DOUBLE_TOLERANCE", "SINGLE_TOLERANCE", "check_extraction"]

DOUBLE_TOLERANCE: Final = 1e-10
"""Largest difference, relative to the largest output, if both sides are evaluated in float64."""
SINGLE_TOLERANCE: Final = 1e-6
"""The same if the original can be evaluated in float32 only."""

_SCALES: Final = (0.1, 1.0, 10.0)
_SAMPLES: Final = 3


def check_extraction(
    network: Network,
    original: Callable[[Array], Array],
    *,
    what: str,
    tolerance: float,
    rng: np.random.Generator,
) -> float:
    """Compare both functions on Gaussian inputs of three sizes.

    Parameters
    ----------
    network : Network
    original : callable
        Maps an array of shape ``(batch, *network.input_shape)`` to the outputs, of any shape with
        as many numbers.
    what : str
        The original's name in the message.
    tolerance : float
        Largest difference allowed, relative to the largest output at inputs of that size.
    rng : numpy.random.Generator

    Returns
    -------
    float
        The largest relative difference seen.

    Raises
    ------
    NotCertified
        If the two differ by more: bounds of the extracted network would be about another function.

    Notes
    -----
    Agreement on samples is evidence that a reader understood its input; it is not a proof: a part
    that no sample activates is not seen.
    """
    worst = 0.0
    for size in _SCALES:
        x = (size * rng.standard_normal((_SAMPLES, *network.input_shape))).astype(np.float32)
        inputs = x.astype(np.float64)
        ours = network.apply(inputs).reshape(_SAMPLES, -1)
        theirs = np.asarray(original(inputs), dtype=np.float64).reshape(_SAMPLES, -1)
        if ours.shape != theirs.shape:
            raise NotCertified(
                f"the network extracted from {what} has {ours.shape[1]} outputs where the "
                f"original has {theirs.shape[1]}; no bound of it would be about the original"
            )
        if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            raise NotCertified(
                f"{what} or the network extracted from it overflows at inputs of size {size}, so "
                "that the two cannot be compared; rescale the weights"
            )
        difference, scale = float(np.abs(ours - theirs).max()), float(np.abs(theirs).max())
        if difference > tolerance * scale:
            raise NotCertified(
                f"the network extracted from {what} differs from it by {difference:.3g} where the "
                f"outputs reach {scale:.3g} (allowed: {tolerance:.0e} relative); "
                "no bound of it would be about the original",
                estimate=difference,
            )
        worst = max(worst, difference / scale if scale else 0.0)
    return worst
