"""Spectral normalisation: exact for dense layers, and what torch's version does to convolutions.

Dividing a matrix by its largest singular value makes a dense layer 1-Lipschitz in l2. For a
convolution torch (after Miyato et al.) divides by the norm of the kernel reshaped to a
``C_out x (C_in k_1 ... k_m)`` matrix, which is another number: below the norm of the layer by up to
``sqrt(prod ceil(k / s))`` wherever windows overlap, and above it where the image is smaller than
the kernel. And power iteration approaches either number from below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure, NotCertified
from evidence.matrices import spectral_norm_enclosure
from evidence.rounding import divide_down
from evidence.validation import as_float_array
from lipschitz.convolution import spectral_norm, spectral_norm_torus
from lipschitz.convolution_geometry import IntOrTuple

__all__ = [
    "NormalizedWeight",
    "ReshapedNorm",
    "compare_reshaped_norm",
    "spectrally_normalized",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedWeight:
    """A weight with the proof that its layer is 1-Lipschitz in l2.

    Parameters
    ----------
    weight : float array
        The weight divided by a number slightly above its norm.
    norm : Enclosure
        Of the norm of the layer with this weight, these very floats; ``norm.upper <= 1``.

    Examples
    --------
    >>> spectrally_normalized([[3.0, 4.0]]).norm.upper <= 1.0
    True
    """

    weight: NDArray[np.float64]
    norm: Enclosure


def spectrally_normalized(
    weight: ArrayLike,
    *,
    stride: IntOrTuple = 1,
    dilation: IntOrTuple = 1,
    groups: int = 1,
    rtol: float = 1e-6,
) -> NormalizedWeight:
    """Divide a weight by the operator norm of its layer, so that it is proved to be 1-Lipschitz.

    Parameters
    ----------
    weight : array_like
        A matrix ``(n_out, n_in)``, or a kernel ``(C_out, C_in / groups, *k)``: then the layer is
        1-Lipschitz on every input size, with zero padding, with none, and with circular padding
        where the stride divides the size.
    stride, dilation : int or tuple of int
        Convolutions only.
    groups : int
    rtol : float
        Width of the enclosure for convolutions; the result's norm is at least about ``1 - rtol``.

    Returns
    -------
    NormalizedWeight

    Raises
    ------
    ValueError, TypeError
        A weight of zeros, which no factor brings to norm 1, or arguments that describe no layer.
    NotCertified
        If no factor was found that leaves a proved norm of at most 1.

    References
    ----------
    Miyato, Kataoka, Koyama and Yoshida, *Spectral Normalization for GANs*, ICLR 2018, eq. (8);
    Sedghi, Gupta and Long, ICLR 2019, for convolutions.

    Examples
    --------
    >>> dense = spectrally_normalized([[1.0, 2.0], [3.0, 4.0]])
    >>> 1.0 - 1e-12 < dense.norm.lower <= dense.norm.upper <= 1.0
    True
    >>> conv = spectrally_normalized(np.ones((1, 1, 3, 3)))
    >>> conv.norm.upper <= 1.0, bool(abs(conv.weight[0, 0, 0, 0] - 1 / 9) < 1e-6)
    (True, True)
    """
    values = as_float_array(weight, "weight", ndim=(2, 3, 4, 5))
    if not values.any():
        raise ValueError("`weight` must not be zero: no factor brings its norm to 1")

    def norm_of(candidate: NDArray[np.float64]) -> Enclosure:
        if candidate.ndim == 2:
            return spectral_norm_enclosure(candidate)
        return spectral_norm_torus(
            candidate, stride=stride, dilation=dilation, groups=groups, rtol=rtol
        )

    size = norm_of(values).upper
    for _ in range(8):
        scaled = values / size
        norm = norm_of(scaled)
        if norm.upper <= 1.0:
            return NormalizedWeight(weight=scaled, norm=norm)
        # The division rounds every entry; twice the excess leaves room for it.
        size *= 1.0 + 2.0 * (norm.upper - 1.0) + 2.0**-50
    raise NotCertified(
        f"`weight` could not be scaled to a proved norm of 1 within rtol = {rtol:.3g}; its entries "
        "may be subnormal: rescale it",
        estimate=norm.upper,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReshapedNorm:
    """The number that torch's spectral normalisation divides by, beside the one that matters.

    Parameters
    ----------
    reshaped : Enclosure
        Norm of the ``C_out x (C_in k_1 ... k_m)`` matrix.
    layer : Enclosure
        Norm of the layer.

    Examples
    --------
    >>> compare_reshaped_norm(np.ones((1, 1, 3, 3))).ratio.lower > 2.99999
    True
    """

    reshaped: Enclosure
    layer: Enclosure

    @property
    def ratio(self) -> Enclosure:
        """Of the layer's norm after the division: 1 would be what is meant."""
        above = self.layer.upper / self.reshaped.lower if self.reshaped.lower > 0.0 else np.inf
        return Enclosure(
            divide_down(self.layer.lower, self.reshaped.upper),
            float(np.nextafter(above, np.inf)),
            "layer / reshaped",
        )


def compare_reshaped_norm(
    kernel: ArrayLike, input_shape: IntOrTuple | None = None, **geometry: Any
) -> ReshapedNorm:
    """Certify both the norm of the reshaped kernel and the norm of the convolution.

    Parameters
    ----------
    kernel : array_like, shape (C_out, C_in / groups, *k)
        Not zero.
    input_shape : int or tuple of int, optional
        Spatial size of the images; all sizes at once if left out.
    **geometry
        ``stride``, ``dilation``, ``groups``, ``padding``, ``pad_width``, ``rtol`` as for
        `spectral_norm` (without an input shape: `spectral_norm_torus`).

    Returns
    -------
    ReshapedNorm

    Notes
    -----
    ``reshaped <= layer <= sqrt(prod ceil(k / s)) reshaped`` on images that hold a whole window
    (dilation and groups 1); both ends occur.

    References
    ----------
    Tsuzuku, Sato and Sugiyama, *Lipschitz-Margin Training*, NeurIPS 2018, for the upper bound.

    Examples
    --------
    Nine ones: the reshaped norm is 3, the layer's 9, and after the division the layer still
    triples. On an image of one pixel, of which the padding leaves one tap, it is the other way
    round.

    >>> result = compare_reshaped_norm(np.ones((1, 1, 3, 3)))
    >>> print(result.reshaped, result.layer, sep="; ")
    [2.999999, 3.000001] (dense); [8.999999, 9.000009] (torus)
    >>> print(compare_reshaped_norm(np.ones((1, 1, 3, 3)), (1, 1), padding="zeros").layer)
    [0.9999999, 1.000001] (dense)
    """
    weights = as_float_array(kernel, "kernel", ndim=(3, 4, 5))
    if not weights.any():
        raise ValueError("`kernel` must not be zero: both norms are 0")
    reshaped = spectral_norm_enclosure(weights.reshape(len(weights), -1))
    if input_shape is None:
        return ReshapedNorm(reshaped=reshaped, layer=spectral_norm_torus(weights, **geometry))
    return ReshapedNorm(reshaped=reshaped, layer=spectral_norm(weights, input_shape, **geometry))
