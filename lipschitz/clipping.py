"""Weight clipping: the largest Lipschitz constant that weights in ``[-c, c]`` can make.

For a matrix with entries in ``[-c, c]`` the norms from l_p to l_p are at most those of the matrix
of c's, since they are monotone in ``|W|`` for p = 1 and infinity, and since
``||W||_2 <= ||W||_F <= c sqrt(n_in n_out)`` otherwise. The matrix of c's attains all three at the
constant vector. Its outputs are constant vectors again, positive, so that a ReLU lets them pass:
the network of c's attains the product of the layers' bounds, and nothing better follows from
``c`` and the shapes.

A convolution with k taps at distance ``d`` and stride ``s`` sees a pixel of phase ``r`` through
``n_r`` taps, ``n_r = #{t < k : d t = r mod s}``. Its symbol has, for every pair of channels, s
entries of modulus at most ``c n_r``. Hence on each axis, with ``cin`` and ``cout`` channels,

    l2:    ||layer|| <= c sqrt(cin cout prod sum_r n_r^2)   <=  c sqrt(cin cout prod k ceil(k / s)),
    linf:  c cin prod k,          l1:  c cout prod max_r n_r,

(the second form of l2 without dilation), with equality for the kernel of c's at frequency 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from evidence import Enclosure
from evidence.validation import choice, int_tuple, positive_float, positive_int
from lipschitz.convolution_geometry import IntOrTuple
from lipschitz.layers import Convolution, Dense, Scale
from lipschitz.network import Network
from lipschitz.operators import NORMS

__all__ = [
    "ClippingBound",
    "clip_weights",
    "clipped_layer_norm",
    "clipping_bound",
    "clipping_threshold",
    "worst_clipped_network",
]

T = TypeVar("T")


def clip_weights(weights: T, c: float) -> T:
    """The nearest weights in ``[-c, c]``: the projection of the original WGAN.

    Parameters
    ----------
    weights : float array or torch tensor, any shape
        Not changed; a tensor's result is differentiable.
    c : float
        Positive.

    Returns
    -------
    array or tensor of the same kind
        No entry is above ``c`` as a real number: where the data type has no ``c``, the interval
        ends at the largest number below it. (Rounded to nearest, 0.1 in float32 is above 0.1, and
        `clipping_bound` would not hold.)

    References
    ----------
    Arjovsky, Chintala and Bottou, *Wasserstein GAN*, ICML 2017, Algorithm 1, line 7.

    Examples
    --------
    >>> clip_weights(np.array([-3.0, 0.005, 0.2]), 0.01)
    array([-0.01 ,  0.005,  0.01 ])
    >>> float(clip_weights(np.array([5.0], np.float32), 0.1)[0]) <= 0.1
    True
    """
    c = positive_float(c, "c")
    values: Any = weights
    if not hasattr(values, "clip"):
        raise TypeError(
            f"`weights` must be a numpy array or a torch tensor, got {type(weights).__name__}; "
            "clip a module's parameters one by one"
        )
    end = _representable(c, values)
    clipped: T = values.clip(-end, end)
    return clipped


def _representable(c: float, values: Any) -> Any:
    """The largest number at most ``c`` of the data type that clipped values have."""
    if hasattr(values, "is_floating_point"):
        import torch

        end: Any = torch.tensor(c, dtype=torch.result_type(values, c))
        return float(end if float(end) <= c else torch.nextafter(end, torch.zeros_like(end)))
    kind = values.dtype.type if values.dtype.kind == "f" else np.float64
    with np.errstate(over="ignore"):  # infinity is stepped down from
        end = kind(c)
    return end if float(end) <= c else np.nextafter(end, kind(0.0))


def clipped_layer_norm(
    shape: Sequence[int],
    c: float,
    *,
    norm: float = 2,
    stride: IntOrTuple = 1,
    dilation: IntOrTuple = 1,
    groups: int = 1,
) -> Enclosure:
    """The largest norm of a layer with these shapes and weights in ``[-c, c]``, exactly.

    Parameters
    ----------
    shape : sequence of int
        ``(n_out, n_in)`` of a dense layer, or ``(C_out, C_in / groups, *k)`` of a convolution.
    c : float
        Positive.
    norm : {1, 2, inf}
        On both sides of the layer.
    stride, dilation : int or tuple of int
        Convolutions only.
    groups : int

    Returns
    -------
    Enclosure
        Of the maximum over all weights, as wide as its rounding. For convolutions also over all
        input sizes, with zero padding or without, or circular where the stride divides the size;
        the kernel of c's approaches it.

    Examples
    --------
    >>> 6.4 in clipped_layer_norm((64, 64), 0.1)
    True
    >>> clipped_layer_norm((1, 1, 3, 3), 1.0), clipped_layer_norm((1, 1, 3), 1.0, norm=1, stride=2)
    (Enclosure(lower=9.0, upper=9.0, method='clipped weights'),
     Enclosure(lower=2.0, upper=2.0, method='clipped weights'))

    A stride of 2 lets through sqrt(2^2 + 1^2) of 3 ones, less than sqrt(3 ceil(3 / 2)):

    >>> 5**0.5 in clipped_layer_norm((1, 1, 3), 1.0, stride=2)
    True
    """
    p = float(choice(norm, "norm", NORMS))
    gain = _layer(shape, stride, dilation, groups).largest(p)
    return _times(gain, positive_float(c, "c"), p, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClippingBound:
    """What clipping guarantees for a chain of layers with 1-Lipschitz activations.

    Parameters
    ----------
    bound : Enclosure
        Of the largest Lipschitz constant of any such network. ``upper`` holds for all of them;
        ``lower`` is attained on constant inputs by the network with all weights ``c``, no biases
        and activations that do not change positive numbers (convolutions with circular padding).
        The two agree unless a stride does not divide its kernel size.
    layers : tuple of Enclosure
        The largest norm of every layer.
    c, norm : float

    Examples
    --------
    >>> result = clipping_bound([(64, 2), (64, 64), (1, 64)], 0.1)
    >>> print(result.bound, result.guarantees_one, sep="; ")
    [5.792618, 5.792619] (clipped weights); False
    """

    bound: Enclosure
    layers: tuple[Enclosure, ...]
    c: float
    norm: float

    @property
    def guarantees_one(self) -> bool:
        """Whether every such network is 1-Lipschitz; otherwise ``bound`` says by how much not."""
        return self.bound.upper <= 1.0


def clipping_bound(
    shapes: Sequence[Sequence[int]],
    c: float,
    *,
    norm: float = 2,
    strides: Sequence[IntOrTuple] | None = None,
) -> ClippingBound:
    """The Lipschitz constant that clipping to ``[-c, c]`` guarantees for a chain of layers.

    Dense layers ``n_0, ..., n_L``: ``prod c sqrt(n_{i-1} n_i)`` in l2, ``prod c n_{i-1}`` in
    l-infinity, ``prod c n_i`` in l1; all three are attained, so that the factor by which the
    guarantee misses 1 is also missed by a network.

    Parameters
    ----------
    shapes : sequence of weight shapes
        From the input on, as in `clipped_layer_norm`.
    c : float
        Positive; the unit of the weights.
    norm : {1, 2, inf}
        Of the inputs and of the outputs.
    strides : sequence, optional
        One entry per layer, ignored for dense layers.

    Returns
    -------
    ClippingBound

    Raises
    ------
    ValueError, TypeError
        For shapes that are no layers, or that do not follow each other.

    Notes
    -----
    Biases do not matter. Activations must be 1-Lipschitz; other layers in between multiply by
    their own norms. A lower value of ``c`` rescales the critic, it does not shape it: the networks
    that clipping allows are far fewer than the functions with this Lipschitz constant.

    References
    ----------
    Arjovsky, Chintala and Bottou (2017), section 3: "K depends only on W", not what it is.

    Examples
    --------
    >>> print(clipping_bound([(512, 2), (512, 512), (512, 512), (1, 512)], 0.01).bound)
    [1.898125, 1.898126] (clipped weights)
    >>> print(clipping_bound([(64, 3, 4, 4), (1, 64, 4, 4)], 0.01, strides=[2, 2]).bound)
    [0.709448, 0.7094481] (clipped weights)
    """
    p = float(choice(norm, "norm", NORMS))
    c = positive_float(c, "c")
    if len(shapes) == 0:
        raise ValueError("`shapes` must not be empty; pass the weight shape of every layer")
    steps: Sequence[IntOrTuple] = [1] * len(shapes) if strides is None else strides
    if len(steps) != len(shapes):
        raise ValueError(
            f"`strides` must have one entry for each of the {len(shapes)} layers, got {len(steps)}"
        )
    layers = [_layer(shape, s, 1, 1) for shape, s in zip(shapes, steps, strict=True)]
    for i, (first, second) in enumerate(itertools.pairwise(layers)):
        # A dense layer after a convolution reads all pixels of all channels.
        fits = second.inputs % first.outputs == 0 if second.is_dense else True
        same_kind = first.is_dense == second.is_dense
        if not fits or (same_kind and second.inputs != first.outputs):
            raise ValueError(
                f"`shapes[{i + 1}]` = {tuple(shapes[i + 1])} does not read the {first.outputs} "
                f"outputs of `shapes[{i}]` = {tuple(shapes[i])}; weights are (out, in, ...)"
            )
    upper = math.prod((layer.largest(p) for layer in layers), start=Fraction(1))
    lower = math.prod((layer.on_constants(p) for layer in layers), start=Fraction(1))
    bounds = [_times(product, c, p, len(layers)) for product in (lower, upper)]
    return ClippingBound(
        bound=Enclosure(bounds[0].lower, bounds[1].upper, "clipped weights"),
        layers=tuple(_times(layer.largest(p), c, p, 1) for layer in layers),
        c=c,
        norm=p,
    )


def clipping_threshold(
    shapes: Sequence[Sequence[int]],
    *,
    norm: float = 2,
    strides: Sequence[IntOrTuple] | None = None,
) -> float:
    """A ``c`` that makes every clipped network 1-Lipschitz, within rounding the largest.

    It is ``(prod sqrt(n_{i-1} n_i))^(-1/L)`` for L dense layers in l2, rounded down until
    `clipping_bound` proves it. Where every stride divides its kernel size, clipping at a larger
    value allows a network that is not 1-Lipschitz.

    Parameters
    ----------
    shapes, norm, strides
        As for `clipping_bound`.

    Examples
    --------
    >>> c = clipping_threshold([(64, 2), (64, 64), (1, 64)])
    >>> round(c, 6), clipping_bound([(64, 2), (64, 64), (1, 64)], c).guarantees_one
    (0.055681, True)
    """
    whole = clipping_bound(shapes, 1.0, norm=norm, strides=strides)
    c = math.pow(whole.bound.upper, -1.0 / len(shapes))
    while not clipping_bound(shapes, c, norm=norm, strides=strides).guarantees_one:
        c *= 1.0 - 2.0**-50
    return c


def worst_clipped_network(network: Network, c: float) -> Network:
    """The network with all weights of dense and convolution layers equal to ``c``.

    Its `product_bound` bounds every network with the same layers and weights in ``[-c, c]``, at
    this input size and with branches: the clipping guarantee of any architecture. Scalings (batch
    normalisation in evaluation mode, subtractions) count as not clipped; they lose their signs.

    Notes
    -----
    No linear part then has a negative entry, so that the matrix of any path or block of layers is
    entrywise at least the modulus of the same block's with clipped weights, and the norms from l_p
    to l_p are monotone in the moduli. With signs, paths could cancel that clipped weights add up.

    Parameters
    ----------
    network : Network
    c : float
        Positive.

    Examples
    --------
    >>> from lipschitz import from_arrays, product_bound
    >>> net = from_arrays([np.zeros((64, 2)), np.ones((64, 64)), np.ones((1, 64))])
    >>> print(product_bound(worst_clipped_network(net, 0.1)).bound)
    <= 5.792619 (upper bound only: composition)
    """
    c = positive_float(c, "c")
    nodes = []
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, Dense):
            layer = replace(layer, weight=np.full_like(layer.weight, c), weight_error=None)
        elif isinstance(layer, Convolution):
            layer = replace(layer, kernel=np.full_like(layer.kernel, c), weight_error=None)
        elif isinstance(layer, Scale):
            layer = replace(layer, scale=np.abs(layer.scale))
        nodes.append(replace(node, layer=layer))
    return replace(network, nodes=tuple(nodes))


# ---- one layer of ones --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Ones:
    """Numbers of a layer whose weights are all 1; squares of l2 gains, plain l1 and linf gains."""

    outputs: int
    inputs: int
    groups: int
    taps: tuple[int, ...]
    phases: tuple[tuple[int, ...], ...]  # on each axis the taps that see a pixel, by its phase

    @property
    def is_dense(self) -> bool:
        return not self.taps

    def largest(self, norm: float) -> Fraction:
        """The norm (l2: its square), over all input sizes."""
        rows, columns = self.inputs // self.groups, self.outputs // self.groups
        if norm == math.inf:
            return Fraction(rows * math.prod(self.taps))
        if norm == 1.0:
            return Fraction(columns * math.prod(max(n) for n in self.phases))
        return Fraction(rows * columns * math.prod(sum(t * t for t in n) for n in self.phases))

    def on_constants(self, norm: float) -> Fraction:
        """The gain (l2: its square) on constant signals, of which 1 in prod s pixels remains."""
        rows, columns = self.inputs // self.groups, self.outputs // self.groups
        each = Fraction(rows * math.prod(self.taps))
        if norm == math.inf:
            return each
        kept = Fraction(columns, rows * math.prod(len(n) for n in self.phases))
        return each * kept if norm == 1.0 else each**2 * kept


def _layer(shape: Sequence[int], stride: IntOrTuple, dilation: IntOrTuple, groups: int) -> _Ones:
    sizes = tuple(positive_int(n, f"shape[{i}]") for i, n in enumerate(shape))
    if len(sizes) < 2:
        raise ValueError(f"`shape` must be (out, in, *kernel_size), got {sizes}")
    groups = positive_int(groups, "groups")
    if sizes[0] % groups:
        raise ValueError(f"`groups` = {groups} must divide the {sizes[0]} output channels")
    taps = sizes[2:]
    phases = []
    pairs = zip(
        taps,
        int_tuple(stride, "stride", len(taps)) if taps else (),
        int_tuple(dilation, "dilation", len(taps)) if taps else (),
        strict=True,
    )
    for k, s, d in pairs:
        phases.append(tuple(sum(d * t % s == r for t in range(k)) for r in range(s)))
    return _Ones(sizes[0], sizes[1] * groups, groups, taps, tuple(phases))


def _times(gain: Fraction, c: float, norm: float, layers: int) -> Enclosure:
    """``c^layers`` times a gain (l2: the root of a squared gain), outward rounded."""
    scaled = gain * Fraction(c) ** ((2 if norm == 2.0 else 1) * layers)
    value = Enclosure(scaled, scaled, "clipped weights")  # type: ignore[arg-type]
    return replace(value.sqrt() if norm == 2.0 else value, method="clipped weights")
