"""What other methods say about the norm of a convolution: compact references, from the papers.

They are here to be measured beside ``lipschitz``, not to be used. Each returns one number, and they
answer different questions:

- the norm with circular padding at n x n: dense FFT + SVD, half-spectrum SVD; from above, in exact
  arithmetic: Gram iteration;
- the norm with zero padding, from below: power iteration;
- a bound for every size, if the iteration behind it converged: four-matrix and tensor bound;
- the norm of another matrix, the reshaped kernel: torch's ``spectral_norm``.

None is proved in floating point. An *estimate* has an error of unknown size or sign: a singular
value from a library is within about ``n u`` of the true one, on either side, while an iteration
that was stopped, or went to a local maximum, is too small by an amount nobody knows.

Strides, dilation and groups are brought in the form that the papers treat by
:func:`as_stride_one`; a transposed convolution has the norm of the convolution it transposes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "as_stride_one",
    "dense_fft_svd",
    "four_matrix_bound",
    "gram_iteration",
    "half_spectrum_svd",
    "power_iteration",
    "reshaped_norm",
    "tensor_bound",
]


def as_stride_one(
    kernel: NDArray[np.float64],
    input_shape: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """The same operator as stride-1 convolutions on a coarser grid, one per group.

    A convolution of stride s reads the s^D polyphase components of its input, each by a kernel of
    stride 1 (Vaidyanathan 1993, section 4.3). A dilated kernel is a kernel with zeros.

    Parameters
    ----------
    kernel : array, shape (C_out, C_in / groups, k_1, ..., k_D)
    input_shape : D integers
        The circular grid; multiples of the stride.
    stride, dilation : D integers
    groups : int

    Returns
    -------
    kernels : array, shape (groups, C_out / groups, C_in / groups * prod(stride), k'_1, ..., k'_D)
        ``k'_i`` is at most ``input_shape[i] / stride[i]``: a longer kernel is wrapped.
    shape : D integers
        ``input_shape / stride``.

    Raises
    ------
    ValueError
        If the stride does not divide the grid.

    Examples
    --------
    >>> kernels, shape = as_stride_one(np.ones((8, 3, 4, 4)), (32, 32), stride=(2, 2),
    ...                                dilation=(1, 1))
    >>> kernels.shape, shape
    ((1, 8, 12, 2, 2), (16, 16))
    """
    if any(n % s for n, s in zip(input_shape, stride, strict=True)):
        raise ValueError(
            f"`stride` = {tuple(stride)} must divide `input_shape` = {tuple(input_shape)} "
            "for a circular convolution"
        )
    kernels = kernel.reshape(groups, -1, *kernel.shape[1:])
    for i, (n, s, d) in enumerate(zip(input_shape, stride, dilation, strict=True)):
        kernels = np.moveaxis(kernels, 3 + i, -1)
        k = kernels.shape[-1]
        if (s, d) != (1, 1) or k > n:
            spread = np.zeros((*kernels.shape[:-1], min(-(-(d * (k - 1) + 1) // s) * s, n)))
            for tap in range(k):
                spread[..., d * tap % n] += kernels[..., tap]
            phases = spread.reshape(*kernels.shape[:-1], -1, s)
            kernels = np.moveaxis(phases, -1, 3).reshape(
                *kernels.shape[:2], -1, *phases.shape[3:-1]
            )
        kernels = np.moveaxis(kernels, -1, 3 + i)
    return kernels, tuple(n // s for n, s in zip(input_shape, stride, strict=True))


# ---- the circular operator: one small matrix per frequency --------------------------------------
def dense_fft_svd(kernels: NDArray[np.float64], shape: Sequence[int]) -> float:
    """Circular norm from the singular values at *every* frequency.

    Parameters
    ----------
    kernels : array, shape (groups, C_out, C_in, *k)
    shape : D integers
        The grid, at least as large as the kernel (``numpy.fft`` would cut a larger kernel off).

    Notes
    -----
    H. Sedghi, V. Gupta, P. M. Long, "The singular values of convolutional layers", ICLR 2019,
    theorem 6 and its two lines of numpy. The complex matrices at w and -w are conjugate for a
    real kernel, so half of the work is not needed; that is :func:`half_spectrum_svd`.
    """
    axes = tuple(range(-len(shape), 0))
    transform = np.moveaxis(np.fft.fftn(kernels, shape, axes=axes), (0, 1, 2), (-3, -2, -1))
    return float(np.linalg.svd(transform, compute_uv=False).max())


def half_spectrum_svd(
    kernels: NDArray[np.float64], shape: Sequence[int], *, library: Literal["torch", "numpy"]
) -> float:
    """The number of :func:`dense_fft_svd` from half of the frequencies.

    This is the strongest form of the method of Sedghi et al.: the real FFT, then batched LAPACK.
    Which library is the faster one depends on the processor, so both are measured.
    """
    symbols = _half_spectrum(kernels, shape)
    if library == "numpy":
        return float(np.linalg.svd(symbols, compute_uv=False).max())
    import torch

    return float(torch.linalg.svdvals(torch.from_numpy(symbols)).max())


def gram_iteration(kernels: NDArray[np.float64], shape: Sequence[int], *, steps: int = 6) -> float:
    r"""Upper bound of the circular norm (in exact arithmetic) by repeated squaring.

    .. math:: \sigma_1(G) \le \|G^{(t)}\|_F^{2^{-t}}, \quad G^{(t+1)} = G^{(t)*} G^{(t)}

    at every frequency, rescaled in each step so that nothing overflows. The excess is at most
    the factor ``rank ** (2 ** -(t + 1))``.

    Notes
    -----
    B. Delattre, Q. Barthelemy, A. Araujo, A. Allauzen, "Efficient bound of Lipschitz constant for
    convolutional layers by Gram iteration", ICML 2023, theorem 2 and algorithm 3. Their code runs
    in float32 on a GPU; here it runs in float64, by numpy, which is the faster library here.
    """
    gram = _half_spectrum(kernels, shape)
    if gram.shape[-1] > gram.shape[-2]:
        gram = gram.swapaxes(1, 2)
    logarithm = np.zeros(len(gram))
    for _ in range(steps):
        scale = np.linalg.norm(gram, axis=(1, 2))
        scale[scale == 0.0] = np.finfo(np.float64).tiny
        gram = gram / scale[:, None, None]
        gram = gram.conj().swapaxes(1, 2) @ gram
        logarithm = 2.0 * (logarithm + np.log(scale))
    size = np.linalg.norm(gram, axis=(1, 2))
    return float(np.max(size ** (2.0**-steps) * np.exp(logarithm * 2.0**-steps)))


def _half_spectrum(kernels: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.complex128]:
    """Symbols at one of each pair w, -w of frequencies: shape (count, C_out, C_in)."""
    outputs, inputs = kernels.shape[1:3]
    transform = np.fft.rfftn(kernels, shape, axes=tuple(range(-len(shape), 0)))
    symbols = np.moveaxis(transform, (1, 2), (-2, -1)).reshape(-1, outputs, inputs)
    return np.ascontiguousarray(symbols, dtype=np.complex128)


# ---- the operator itself ------------------------------------------------------------------------
def power_iteration(
    kernel: NDArray[np.float64],
    input_shape: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    pad_width: Sequence[int],
    groups: int = 1,
    steps: int = 100,
) -> float:
    """``||A x||`` after power iteration on ``A^T A``, for the zero-padded convolution A.

    The value is a lower estimate: any unit ``x`` gives at most the norm.

    Parameters
    ----------
    kernel : array, shape (C_out, C_in / groups, *k)
    input_shape, stride, dilation, pad_width : D integers each
    groups, steps : int

    Notes
    -----
    F. Farnia, J. Zhang, D. Tse, "Generalizable adversarial training via spectral normalization",
    ICLR 2019; E. Ryu et al., "Plug-and-play methods provably converge with properly trained
    denoisers", ICML 2019, appendix: convolution and its transpose in place of a matrix.
    """
    import torch
    from torch.nn import functional

    dimension = len(input_shape)
    forward = (functional.conv1d, functional.conv2d, functional.conv3d)[dimension - 1]
    backward = (
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )[dimension - 1]
    # The transposed convolution does not know how many samples the stride left over.
    rest = [
        (n + 2 * p - d * (k - 1) - 1) % s
        for n, p, d, k, s in zip(
            input_shape, pad_width, dilation, kernel.shape[2:], stride, strict=True
        )
    ]
    options: dict[str, Any] = {
        "stride": tuple(stride),
        "padding": tuple(pad_width),
        "dilation": tuple(dilation),
        "groups": groups,
    }
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, kernel.shape[1] * groups, *input_shape, generator=generator)
    # Single precision, as a layer is run, is several times faster; the last value is taken in
    # double precision.
    weight = torch.from_numpy(kernel).to(torch.float32)
    for _ in range(steps - 1):
        image = backward(forward(x, weight, **options), weight, output_padding=rest, **options)
        length = float(image.norm())
        if length == 0.0:
            return 0.0
        x = image / length
    x = x.to(torch.float64)
    return float(forward(x, torch.from_numpy(kernel), **options).norm() / x.norm())


def reshaped_norm(kernel: NDArray[np.float64]) -> float:
    """What ``torch.nn.utils.parametrizations.spectral_norm`` divides a convolution's kernel by.

    It estimates the norm of the kernel *reshaped* to a matrix of shape (C_out, C_in k k), which
    is not the convolution: with square kernels of size k and stride s the true norm is between 1
    and ``ceil(k / s)`` times the reshaped norm, and both ends are reached.

    Notes
    -----
    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative
    adversarial networks", ICLR 2018, section 2.1 and algorithm 1. Fifteen power iterations, as in
    a freshly parametrised torch module. The size of the divisor is read off the quotient.
    """
    import torch
    from torch import nn
    from torch.nn.utils import parametrizations

    layer_class = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[kernel.ndim - 3]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layer = layer_class(
            kernel.shape[1], kernel.shape[0], kernel.shape[2:], bias=False, dtype=torch.float64
        )
        weight = torch.from_numpy(kernel)
        layer.weight.copy_(weight)
        parametrizations.spectral_norm(layer)
        layer.eval()
        quotient = layer.weight.norm()
        return float(weight.norm() / quotient) if quotient > 0 else 0.0


# ---- bounds from the kernel alone ---------------------------------------------------------------
def four_matrix_bound(kernels: NDArray[np.float64], *, steps: int = 50) -> float:
    """``sqrt(prod k)`` times the smallest norm of four (in D dimensions: 2^D) reshaped kernels.

    Each axis of the kernel is grouped with the output channels or with the input channels. The
    bound holds for every input size and zero or circular padding, if the norms are upper bounds;
    as published they come from a fixed number of power iterations, so the value is an estimate.

    Notes
    -----
    S. Singla, S. Feizi, "Fantastic four: differentiable bounds on singular values of convolution
    layers", ICLR 2021 (arXiv 2019: "Bounding singular values of convolution layers"), theorem 1.
    """
    dimension = kernels.ndim - 3
    best: list[float] = []
    for kernel in kernels:
        norms: list[float] = []
        for choice in range(2**dimension):
            rows = [0, *(2 + i for i in range(dimension) if choice >> i & 1)]
            columns = [1, *(2 + i for i in range(dimension) if not choice >> i & 1)]
            height = math.prod(kernel.shape[i] for i in rows)
            matrix = kernel.transpose(rows + columns).reshape(height, -1)
            norms.append(_matrix_power_iteration(np.ascontiguousarray(matrix), steps))
        best.append(min(norms))
    return math.sqrt(math.prod(kernels.shape[3:])) * max(best)


def _matrix_power_iteration(matrix: NDArray[np.float64], steps: int) -> float:
    x = np.random.default_rng(0).standard_normal((matrix.shape[1],))
    value = 0.0
    for _ in range(steps):
        y = matrix @ (x / float(np.linalg.norm(x)))
        value = float(np.linalg.norm(y))
        if value == 0.0:
            return 0.0
        x = matrix.T @ (y / value)
    return value


def tensor_bound(kernels: NDArray[np.float64], *, steps: int = 100) -> float:
    r"""``sqrt(prod k)`` times the spectral norm of the kernel as a tensor.

    .. math:: \sup_w \|F(w)\| \le \sqrt{k_1 \cdots k_D}\;
              \max_{\|u_j\| = 1} |\langle K, u_0 \otimes \cdots \otimes u_{D+1} \rangle|,

    over complex unit vectors. The maximum is NP-hard in general; the alternating method below
    stops at a local one, and then the "upper bound" can be too low.

    Notes
    -----
    E. Grishina, M. Gorbunov, M. Rakhuba, "Tight and efficient upper bound on spectral norm of
    convolutional layers", ECCV 2024, theorem 1 (and section 4 for strides: the polyphase kernel).
    One random start and 100 sweeps, as the authors evaluate it.
    """
    values = [_tensor_norm(kernel, steps) for kernel in kernels]
    return math.sqrt(math.prod(kernels.shape[3:])) * max(values)


def _tensor_norm(kernel: NDArray[np.float64], steps: int) -> float:
    """Higher-order power method (De Lathauwer, De Moor, Vandewalle 2000) over C."""
    rng = np.random.default_rng(0)
    tensor = kernel.astype(np.complex128)
    order = tensor.ndim
    factors = [_unit(rng.standard_normal(2 * n).view(np.complex128)) for n in tensor.shape]
    value = 0.0
    for _ in range(steps):
        # The two channel axes are the long ones: contract all small axes once for both of them.
        middle = tensor
        for axis in range(order - 1, 1, -1):
            middle = middle @ factors[axis]
        factors[0] = _unit(np.conj(middle @ factors[1]))
        factors[1] = _unit(np.conj(factors[0] @ middle))
        inner = np.tensordot(factors[1], np.tensordot(factors[0], tensor, 1), 1)
        for axis in range(2, order):
            rest = np.moveaxis(inner, axis - 2, 0)
            for other in (i for i in range(order - 1, 1, -1) if i != axis):
                rest = rest @ factors[other]
            value = float(np.linalg.norm(rest))
            factors[axis] = _unit(np.conj(rest))
    return value


def _unit(vector: NDArray[np.complex128]) -> NDArray[np.complex128]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector
