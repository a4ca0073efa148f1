"""Lipschitz constants of single layers in l1, l2 and l-infinity, each as a proved enclosure.

================ =========================== ============================ ======================
layer            l1                          l2                           l-infinity
================ =========================== ============================ ======================
Dense            largest column sum          largest singular value       largest row sum
Convolution      largest column sum          `convolution.spectral_norm`  largest row sum
AveragePool      product over the axes of the norms of 1-d averaging matrices
MaxPool          m                           sqrt(m)                      1
Pad              m                           sqrt(m)                      1
Scale            max |scale|                 max |scale|                  max |scale|
Activation       max |slope|                 max |slope|                  max |slope|
Reshape, ...     1                           1                            1
Add of k         1                           sqrt(k)                      k
================ =========================== ============================ ======================

``m`` is the largest number of windows (of padded entries) that see one entry. *MaxPool:*
``|max a - max b| <= max |a - b|``, so that every entry's change is felt by at most ``m`` windows,
and it is felt by all ``m`` where it is the largest. *AveragePool:* the weights ``1 / count`` are a
product over the axes, so that the matrix is a Kronecker product of one matrix per axis and the
identity of the channels; all three norms of Kronecker products multiply. Layers with several
inputs are maps of the stacked inputs.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evidence.enclosure import Enclosure
from evidence.rounding import (
    UNIT_ROUNDOFF,
    add_up,
    mul_up,
    sqrt_down,
    sqrt_up,
    sub_down,
    sum_down,
)
from evidence.validation import choice
from lipschitz.convolution import spectral_norm
from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    Layer,
    LinearLayer,
    MaxPool,
    Pad,
    Permute,
    Reshape,
    Scale,
)
from lipschitz.layers.balls import exactly, inflate, round_down, round_up
from lipschitz.operators import NORMS, operator_norm
from lipschitz.tangents import enclose_linear, window_table

__all__ = ["layer_norm"]

Array = NDArray[np.float64]

_DENSE_ENTRIES = 1_000_000


def layer_norm(layer: Layer, norm: float = 2, *, rtol: float = 1e-6) -> Enclosure:
    """Enclose the Lipschitz constant of one layer from l_p to l_p.

    Parameters
    ----------
    layer : Layer
        Any layer of `lipschitz.layers`; errors of its weights are included on both sides.
    norm : {1, 2, inf}
        ``p``, on both sides of the layer.
    rtol : float
        Relative width asked of the spectral norms of convolutions.

    Returns
    -------
    Enclosure
        Two-sided. Convolutions: l1 and l-infinity include the border, and are wide only where
        several taps read one entry (reflect, replicate, circular).

    Raises
    ------
    ValueError, TypeError
        If the norm is not 1, 2 or inf, or the layer is of no known kind.

    Examples
    --------
    >>> from lipschitz.layers import AveragePool, MaxPool
    >>> print(layer_norm(MaxPool(input_shape=(4, 9, 9), kernel_size=3, stride=2)))
    2 exactly (windows that see one entry)
    >>> print(layer_norm(AveragePool(input_shape=(4, 8, 8), kernel_size=2, stride=2), 1))
    0.25 exactly (product over the axes)
    """
    p = float(choice(norm, "norm", NORMS))
    if isinstance(layer, Activation):
        slope = max(abs(layer.slope_lower), abs(layer.slope_upper))
        return Enclosure.exact(slope, "largest slope")
    if isinstance(layer, MaxPool):
        seen = window_table(layer)
        return _of_multiplicity(int(np.bincount(seen[seen >= 0]).max()), p)
    if isinstance(layer, Dense):
        error = layer.weight_error
        return operator_norm(layer.weight, p, p, error=error)
    if isinstance(layer, Scale):
        return _of_scale(layer)
    if isinstance(layer, AveragePool):
        return _of_average(layer, p)
    if isinstance(layer, Pad):
        copies = layer.adjoint(np.ones((1, *layer.output_shape)))[0]
        return _of_multiplicity(round(float(copies.max())), p)
    if isinstance(layer, (Reshape, Permute, Identity, Concatenate)):
        return Enclosure.exact(1.0, "isometry")
    if isinstance(layer, Add):
        return _of_multiplicity(layer.count, {1.0: math.inf, 2.0: 2.0}.get(p, 1.0), "summands")
    if isinstance(layer, Convolution):
        return _spectral(layer, rtol) if p == 2.0 else _of_sums(layer, p)
    raise TypeError(
        f"`layer` of kind {type(layer).__name__} has no norm here; "
        "describe it with the layers of `lipschitz.layers`"
    )


def _of_multiplicity(count: int, p: float, method: str = "windows that see one entry") -> Enclosure:
    """``count ** (1 / p)``."""
    if p == math.inf:
        return Enclosure.exact(float(min(count, 1)), method)
    if p == 1.0:
        return Enclosure.exact(float(count), method)
    return Enclosure(sqrt_down(float(count)), sqrt_up(float(count)), method)


def _of_scale(layer: Scale) -> Enclosure:
    magnitude = np.abs(layer.scale)
    if layer.weight_error is None:
        return Enclosure.exact(float(magnitude.max()), "largest scale")
    below = round_down(magnitude - layer.weight_error)
    above = round_up(magnitude + layer.weight_error)
    return Enclosure(max(0.0, float(below.max())), float(above.max()), "largest scale")


def _of_average(layer: AveragePool, p: float) -> Enclosure:
    product = Enclosure.exact(1.0, "product over the axes")
    counts = np.ones(())
    for axis, size in enumerate(layer.input_shape[1:]):
        line = AveragePool(
            input_shape=(1, size),
            kernel_size=layer.kernel_size[axis : axis + 1],
            stride=layer.stride[axis : axis + 1],
            dilation=layer.dilation[axis : axis + 1],
            pad_width=layer.pad_width[axis : axis + 1],
            count_include_pad=layer.count_include_pad,
            ceil_mode=layer.ceil_mode,
        )
        matrix = line.linear(np.eye(size)[:, None, :])[:, 0, :].T
        # 1 / count is exact for powers of two and correctly rounded otherwise.
        is_exact = np.frexp(line.counts)[0] == 0.5
        error = np.where(is_exact[:, None], 0.0, np.abs(matrix) * (2.0 * UNIT_ROUNDOFF))
        factor = operator_norm(matrix, p, p, error=error)
        product = product * Enclosure(factor.lower, factor.upper, "product over the axes")
        counts = np.multiply.outer(counts, line.counts)
    if not np.array_equal(counts, layer.counts):
        raise TypeError("`layer` counts its windows in a way that is no product over the axes")
    return product


# ---- convolutions ------------------------------------------------------------------------------
def _spectral(layer: Convolution, rtol: float) -> Enclosure:
    spans = tuple(d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    same = tuple((s // 2, s - s // 2) for s in spans)
    keeps_size = layer.padding == "circular" and layer.pad_width == same
    norm = spectral_norm(
        layer.kernel,
        layer.input_shape[1:],
        stride=layer.stride,
        dilation=layer.dilation,
        groups=layer.groups,
        transposed=layer.transposed,
        padding=layer.padding,
        pad_width=None if keeps_size else layer.pad_width,
        output_padding=layer.output_padding,
        rtol=rtol,
        wrap=keeps_size,
    )
    if layer.weight_error is None:
        return norm
    # ||E||_2 <= sqrt(||E||_1 ||E||_inf)
    doubt = replace(layer, kernel=layer.weight_error, weight_error=None)
    slack = sqrt_up(mul_up(_largest_sum(doubt, 1.0), _largest_sum(doubt, math.inf)))
    return Enclosure(max(0.0, sub_down(norm.lower, slack)), add_up(norm.upper, slack), norm.method)


def _of_sums(layer: Convolution, p: float) -> Enclosure:
    """Largest absolute column (l1) or row (l-infinity) sum, the border included.

    Upper side: the sums of ``|kernel|``, which count an entry of the matrix that several taps make
    up with all of them. Lower side: the layer applied to one vector, with all errors. Where taps do
    meet and the matrix is small, its entries are summed themselves.
    """
    name = "largest column" if p == 1.0 else "largest row"
    if layer.weight_error is None and not layer.kernel.any():
        return Enclosure.exact(0.0, "kernel of zeros")
    inputs, outputs = math.prod(layer.input_shape), math.prod(layer.output_shape)
    if layer.padding != "zeros" and inputs * outputs <= _DENSE_ENTRIES:
        center, radius = enclose_linear(
            layer, exactly(np.eye(inputs).reshape(-1, *layer.input_shape))
        )
        matrix, error = center.reshape(inputs, -1).T, radius.reshape(inputs, -1).T
        return operator_norm(np.ascontiguousarray(matrix), p, p, error=error)
    above = np.abs(layer.kernel)
    if layer.weight_error is not None:
        above = round_up(above + layer.weight_error)
    upper = _largest_sum(replace(layer, kernel=above, weight_error=None), p)
    center, radius = enclose_linear(layer, exactly(_unit_vector(layer, p)))
    image = np.maximum(round_down(np.abs(center) - radius), 0.0)
    lower = sum_down(image) if p == 1.0 else float(image.max())
    return Enclosure(min(max(lower, 0.0), upper), upper, name)


def _largest_sum(layer: LinearLayer, p: float) -> float:
    """Upper bound of the largest column or row sum of a layer with nonnegative weights."""
    if p == 1.0:
        sums = layer.adjoint(np.ones((1, *layer.output_shape)))[0]
    else:
        sums = layer.linear(np.ones((1, *layer.input_shapes[0])))
    if not sums.any():  # sums of weights times one do not underflow
        return 0.0
    return float(inflate(sums, layer.terms + 4).max())


def _unit_vector(layer: Convolution, p: float) -> Array:
    """A vector of the unit ball that (nearly) attains the norm: a unit vector or signs."""
    magnitude = replace(layer, kernel=np.abs(layer.kernel), weight_error=None)
    if p == 1.0:
        return _central_unit(magnitude.adjoint(np.ones((1, *layer.output_shape)))[0])
    row = _central_unit(magnitude.linear(np.ones((1, *layer.input_shape))))
    return np.where(layer.adjoint(row)[0] < 0.0, -1.0, 1.0)


def _central_unit(sums: Array) -> Array:
    """The unit vector at the largest entry, the most central one where many are equal."""
    largest = np.flatnonzero(sums >= sums.max() * (1.0 - 1e-9))
    places = np.stack(np.unravel_index(largest, sums.shape)[2:])
    middle = (np.array(sums.shape[2:])[:, None] - 1) / 2.0
    unit = np.zeros(sums.shape)
    unit.flat[largest[int(np.argmin(np.abs(places - middle).max(axis=0)))]] = 1.0
    return unit
