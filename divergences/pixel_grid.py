"""W1 between two images, or histograms on a box grid, with the l1 distance of pixels as the cost.

Moving mass by one pixel at a time costs as much as moving it in one go, so that the program has
four arcs per pixel instead of one per pair of pixels. POT's network simplex takes bipartite
problems; the shortest-path network becomes one by splitting every pixel (Orden's reduction): each
may send to itself for nothing what merely passes through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import as_masses, check_flag
from divergences.network_simplex import sparse_flow
from divergences.points import shape_of
from evidence import NotCertified
from evidence.validation import positive_float

__all__ = ["PixelTransport", "w1_pixel_grid"]

_RELATIVE = 1e-9
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelTransport:
    """W1 of two images, the flow between neighbouring pixels, and the critic that matches it.

    Attributes
    ----------
    value : float
        ``spacing * sum |flows|``.
    gap : float
        ``value`` minus ``sum potential * (p - q)``, up to rounding; never negative.
    flows : tuple of arrays
        One per axis: net mass that crosses from a pixel to the next along it (negative: back);
        the axis is one shorter than in the image. What leaves a pixel minus what enters it is
        ``p - q``.
    potential : array, shape of the image
        A critic that is 1-Lipschitz exactly: neighbours differ by 0 or ``spacing``.

    Examples
    --------
    >>> w1_pixel_grid([[1.0, 0.0]], [[0.0, 1.0]]).potential
    array([[1., 0.]])
    """

    value: float
    gap: float
    flows: tuple[Floats, ...]
    potential: Floats


def w1_pixel_grid(
    image_p: ArrayLike, image_q: ArrayLike, *, spacing: float = 1.0, normalize: bool = False
) -> PixelTransport:
    r"""W1 with the l1 ground distance between masses on a box grid of any dimension.

    .. math:: W_1 = \min_{\operatorname{div} F = p - q} h \sum_e |F_e|
              = \max \Big\{ \sum_i f_i (p_i - q_i) : |f_i - f_j| \le h
              \text{ for neighbours} \Big\}.

    Parameters
    ----------
    image_p, image_q : array_like, equal shapes
        Masses of the pixels, each adding up to one.
    spacing : float
        Distance ``h`` of neighbouring pixels.
    normalize : bool
        Divide both by their totals first.

    Returns
    -------
    PixelTransport

    Raises
    ------
    TypeError, ValueError
        Masses that are not probabilities, shapes that differ.
    NotCertified
        If the gap stays open.

    Notes
    -----
    The costs are one or zero, so that optimal potentials are integers: they are rounded to them,
    which makes the critic's Lipschitz bound exact, and the gap is computed afterwards.

    References
    ----------
    .. [1] A. Orden, "The transhipment problem", Management Science 2 (1956).
    .. [2] H. Ling, K. Okada, "An efficient earth mover's distance algorithm for robust histogram
       comparison", IEEE TPAMI 29 (2007), Theorem 1.

    Examples
    --------
    >>> result = w1_pixel_grid([[1, 0], [0, 1]], [[0, 0], [1, 1]], normalize=True)
    >>> result.value, result.gap, [f.tolist() for f in result.flows]
    (0.5, 0.0, [[[0.5, 0.0]], [[0.0], [0.0]]])
    """
    check_flag(normalize, "normalize")
    h = positive_float(spacing, "spacing")
    p, q = _image(image_p, "image_p", normalize), _image(image_q, "image_q", normalize)
    if p.shape != q.shape:
        raise ValueError(
            f"`image_p` and `image_q` must have equal shapes, got {p.shape} and {q.shape}"
        )
    excess = (p - q).ravel()
    flow_from, flow_to, mass, u = _solve(excess, p.shape)
    flows = _net_flows(flow_from, flow_to, mass, p.shape)
    value = h * math.fsum(float(np.abs(f).sum()) for f in flows)
    potential = np.rint(u - u[0]).reshape(p.shape)
    potential -= potential.min()
    steps = [np.abs(np.diff(potential, axis=k)).max(initial=0.0) for k in range(p.ndim)]
    gap = value - h * float(np.dot(potential.ravel(), excess))
    # What the solver's flow misses of the masses, moved across the grid, is part of the gap.
    missed = float(np.abs(_divergence(flows, p.shape) - (p - q)).sum())
    doubt = abs(gap) + h * missed * sum(p.shape)
    if max(steps) > 1.0 or not doubt <= _RELATIVE * value + 64 * 2.0**-53 * h * sum(p.shape):
        raise NotCertified(
            f"the flow costs {value:.17g}, but its potential proves only {value - doubt:.17g}",
            estimate=value,
        )
    return PixelTransport(value=value, gap=max(0.0, gap), flows=flows, potential=h * potential)


def _image(value: Any, name: str, normalize: bool) -> Floats:
    shape = shape_of(value)
    flat = value if len(shape) < 2 else np.asarray(value).reshape(-1)
    if isinstance(value, np.ma.MaskedArray):
        flat = value  # worded by `as_masses`
    masses, total = as_masses(flat, name, normalize=normalize)
    return (masses / total).reshape(shape)


def _arcs(shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of neighbours, in both directions."""
    index = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    pairs = []
    for axis in range(len(shape)):
        low = np.take(index, range(shape[axis] - 1), axis=axis).ravel()
        high = np.take(index, range(1, shape[axis]), axis=axis).ravel()
        pairs += [(low, high), (high, low)]
    return (
        np.concatenate([source for source, _ in pairs]),
        np.concatenate([target for _, target in pairs]),
    )


def _solve(
    excess: Floats, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Orden's reduction: every pixel can buffer as much as is moved at all."""
    supply, demand = np.maximum(excess, 0.0), np.maximum(-excess, 0.0)
    moved = float(supply.sum())
    if moved == 0.0:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros(0), np.zeros(excess.size)
    demand *= moved / float(demand.sum())
    pixels = np.arange(excess.size, dtype=np.int64)
    source, target = _arcs(shape)
    costs = np.concatenate((np.zeros(excess.size), np.ones(len(source))))
    i, j, mass, u, code = sparse_flow(
        (supply + moved) / moved,
        (demand + moved) / moved,
        np.concatenate((pixels, source)),
        np.concatenate((pixels, target)),
        costs,
    )
    if code != 1:
        raise NotCertified("the network simplex found no optimal flow between the images")
    return i, j, mass * moved, u


def _net_flows(
    source: NDArray[np.int64], target: NDArray[np.int64], mass: Floats, shape: tuple[int, ...]
) -> tuple[Floats, ...]:
    """Flow per axis between a pixel and the next, what runs back and forth cancelled."""
    flows = []
    strides = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    step = target - source
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        net = np.zeros(math.prod(shape))
        if size > 1:
            for sign in (1, -1):
                # An axis of length one shares its stride with the next one, and has no arcs.
                chosen = step == sign * stride
                low = np.minimum(source[chosen], target[chosen])
                np.add.at(net, low, sign * mass[chosen])
        flows.append(np.take(net.reshape(shape), range(size - 1), axis=axis))
    return tuple(flows)


def _divergence(flows: tuple[Floats, ...], shape: tuple[int, ...]) -> Floats:
    out = np.zeros(shape)
    for axis, flow in enumerate(flows):
        size = shape[axis]
        head = tuple(slice(0, size - 1) if k == axis else slice(None) for k in range(len(shape)))
        tail = tuple(slice(1, size) if k == axis else slice(None) for k in range(len(shape)))
        out[head] += flow
        out[tail] -= flow
    return out
