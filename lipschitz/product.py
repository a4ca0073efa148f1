"""Upper bounds of a network's Lipschitz constant, composed from the norms of its layers.

Write ``L_q(i)`` for a constant with ``||value_i(x) - value_i(y)||_q <= L_q(i) ||x - y||_p`` for all
inputs ``x, y``. Then ``L_p(0) = 1``, and

composition     ``L_r(f(i)) <= ||f||_{q->r} L_q(i)``: apply the definition twice. A network's
                constant is therefore at most the product of its layers' norms, in every chain of
                norms ``p -> q -> ... -> p``.
sum             ``L_q(i + j) <= L_q(i) + L_q(j)``: triangle inequality. A residual block
                ``x + g(x)`` gets ``1 + L(g)`` times the constant before it.
concatenation   ``||(a, b)||_2^2 = ||a||_2^2 + ||b||_2^2``, and the largest of the two norms in
                l-infinity, their sum in l1: the constants combine in the same way.
other norms     ``||a||_inf <= ||a||_2 <= ||a||_1 <= sqrt(n) ||a||_2 <= n ||a||_inf`` and
                ``||a||_2^2 <= ||a||_1 ||a||_inf`` (Hoelder) hold for differences, hence for ``L``.
linear blocks   a sum ``sum_a M_a y_a`` of linear functions of the values ``a`` has
                ``L <= sum_a ||M_a|| L(a)``. In l2 also, with weights ``t_a > 0``,
                ``L_2 <= ||[M_a L_2(a) / t_a]_a||_2 (sum_a t_a^2)^(1/2)`` (Cauchy-Schwarz for the
                stacked vector of ``t_a y_a / L_2(a)``); ``t_a^2 = ||M_a|| L_2(a)`` makes it at most
                the sum.

`product_bound` takes the smallest of everything that applies at every value (dynamic programming
over the graph and the three norms). All sums and products are rounded upward.

References
----------
Szegedy et al., *Intriguing properties of neural networks*, ICLR 2014, section 4.3 (the product);
Combettes and Pesquet, *Lipschitz certificates for layered network structures*, SIAM J. Math. Data
Sci. 2 (2020), for what lies between the product and the constant.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from evidence.enclosure import Enclosure
from evidence.rounding import add_up, divide_up, mul_up, norm_upper, sqrt_up
from evidence.validation import choice
from lipschitz.blocks import Block, block_matrix, linear_blocks
from lipschitz.layer_norms import layer_norm
from lipschitz.layers import (
    Activation,
    Add,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    Layer,
    Permute,
    Reshape,
)
from lipschitz.layers.balls import Ball
from lipschitz.network import Network, Node
from lipschitz.operators import NORMS, operator_norm

__all__ = ["LayerBound", "ProductBound", "product_bound"]

_DENSE_ENTRIES = 4_000_000
_DENSE_SIDE = 1100
_LOOSE = 1e-4
_EASY = ((1.0, 2.0), (1.0, math.inf), (2.0, math.inf))
_HARD = ((2.0, 1.0), (math.inf, 1.0), (math.inf, 2.0))

Constants = dict[float, float]
"""For each norm ``q`` an upper bound ``L_q`` of one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBound:
    """The norm of one layer, or of one linear block of layers.

    Parameters
    ----------
    norm : Enclosure
        Of its Lipschitz constant from l_p to l_p.
    name, kind : str
    reached : float
        Upper bound of the constant from the network's input to this layer's output.
    seconds : float
        Wall time spent on it.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> first = product_bound(from_arrays([[[3.0]], [[2.0]]])).layers[0]
    >>> 3.0 in first.norm, first.reached >= 3.0
    (True, True)
    """

    norm: Enclosure
    name: str
    kind: str
    reached: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductBound:
    """An upper bound of the Lipschitz constant of a network, with its parts.

    Parameters
    ----------
    bound : Enclosure
        The upper side is proved; the lower side is known only where the network is one matrix.
    plain : Enclosure
        What the composition rules give in the one norm, without blocks and other norms.
    norm : {1, 2, inf}
    layers, blocks : tuple of LayerBound
        Of the folded network; blocks only where they were evaluated.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> result = product_bound(from_arrays([[[3.0]], [[2.0]]]))
    >>> result.bound.upper >= 6.0, len(result.layers)
    (True, 3)
    """

    bound: Enclosure
    plain: Enclosure
    norm: float
    layers: tuple[LayerBound, ...]
    blocks: tuple[LayerBound, ...]


def product_bound(network: Network, norm: float = 2, *, rtol: float = 1e-6) -> ProductBound:
    """Bound ``||f(x) - f(y)||_p / ||x - y||_p`` from above by composing the layers' norms.

    Parameters
    ----------
    network : Network
        Affine neighbours are folded first.
    norm : {1, 2, inf}
        ``p``, on both sides.
    rtol : float
        Relative width asked of the spectral norms of convolutions.

    Returns
    -------
    ProductBound

    Raises
    ------
    ValueError, TypeError
        If the norm is not 1, 2 or inf, or a layer is of no known kind.

    Notes
    -----
    The bound is about the function of real arithmetic with the network's float64 weights (and the
    stated errors of folded weights). It is attained by nonnegative rank-one chains and can be
    exponentially loose in the depth: it knows nothing about which gates open together. The proofs
    are at the top of the module.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> result = product_bound(from_arrays([[[3.0], [4.0]], [[1.0, 2.0]]]))
    >>> print(result.bound)
    <= 11.18034 (upper bound only: composition)
    """
    p = float(choice(norm, "norm", NORMS))
    folded = network.fold()
    blocks = {block.target: block for block in linear_blocks(folded)}
    size = math.prod(folded.input_shape)
    constants = [_relaxed({q: 1.0 if q == p else math.inf for q in NORMS}, size)]
    plain = [1.0]
    layers: list[LayerBound] = []
    evaluated: list[LayerBound] = []
    for j, node in enumerate(folded.nodes):
        begin = time.perf_counter()
        maps = _maps(node.layer, p, rtol)
        plain.append(_compose(node.layer, [plain[i] for i in node.inputs], maps, p))
        reached = _through(node.layer, [constants[i] for i in node.inputs], maps)
        reached = _relaxed(reached, math.prod(node.layer.output_shape))
        layers.append(_layer_bound(node, maps[p, p], reached[p], begin))
        block, whole = blocks.get(j + 1), None
        if block is not None and _is_worth_a_matrix(folded, block, layers):
            begin = time.perf_counter()
            whole, better = _through_block(folded, block, constants, p)
            reached = {q: min(reached[q], better.get(q, math.inf)) for q in NORMS}
            reached = _relaxed(reached, math.prod(node.layer.output_shape))
            name = " & ".join(folded.nodes[k].name for k in block.nodes)
            evaluated.append(
                LayerBound(
                    norm=whole,
                    name=name,
                    kind="LinearBlock",
                    reached=reached[p],
                    seconds=time.perf_counter() - begin,
                )
            )
        constants.append(reached)
    bound = Enclosure.at_most(constants[-1][p], "composition")
    last = blocks.get(len(folded.nodes))
    if whole is not None and last is not None and last.sources == (0,):
        bound = Enclosure(min(whole.lower, bound.upper), bound.upper, "one matrix")
    elif len(layers) == 1 and len(folded.layers[0].input_shapes) == 1:
        bound = Enclosure(layers[0].norm.lower, bound.upper, layers[0].norm.method)
    return ProductBound(
        bound=bound,
        plain=Enclosure.at_most(plain[-1], "product"),
        norm=p,
        layers=tuple(layers),
        blocks=tuple(evaluated),
    )


# ---- one layer ----------------------------------------------------------------------------------
def _maps(layer: Layer, p: float, rtol: float) -> dict[tuple[float, float], Enclosure]:
    """Enclosures of ``||layer||_{q->r}`` for the pairs that are worth having."""
    maps = {(q, q): layer_norm(layer, q, rtol=rtol) for q in NORMS}
    if isinstance(layer, Dense) and not layer.leading:
        is_small = min(layer.weight.shape) <= 12
        for q, r in (*_EASY, *(_HARD if p != 2.0 or is_small else ())):
            maps[q, r] = operator_norm(layer.weight, q, r, error=layer.weight_error)
    return maps


def _through(
    layer: Layer, before: list[Constants], maps: dict[tuple[float, float], Enclosure]
) -> Constants:
    """The smallest constants after the layer, over all norms before it."""
    if isinstance(layer, (Add, Concatenate)):
        return {q: _compose(layer, [c[q] for c in before], maps, q) for q in NORMS}
    after = dict.fromkeys(NORMS, math.inf)
    for (q, r), norm in maps.items():
        after[r] = min(after[r], _times(norm.upper, before[0][q]))
    return after


def _compose(
    layer: Layer, before: list[float], maps: dict[tuple[float, float], Enclosure], q: float
) -> float:
    """The rule of the layer's kind in one norm."""
    if isinstance(layer, Add) or (isinstance(layer, Concatenate) and q == 1.0):
        return _sum(before)
    if isinstance(layer, Concatenate):
        return max(before) if q == math.inf else sqrt_up(_sum(_times(c, c) for c in before))
    return _times(maps[q, q].upper, before[0])


def _relaxed(constants: Constants, size: int) -> Constants:
    """The constants after using the inequalities between the three norms in ``size`` dimensions."""
    one, two, infinity = (constants[q] for q in NORMS)
    root = sqrt_up(float(size))
    for _ in range(2):
        infinity = min(infinity, two, one)
        two = min(two, one, _times(root, infinity), sqrt_up(_times(one, infinity)))
        one = min(one, _times(root, two), _times(float(size), infinity))
    return dict(zip(NORMS, (one, two, infinity), strict=True))


def _layer_bound(node: Node, norm: Enclosure, reached: float, begin: float) -> LayerBound:
    layer = node.layer
    return LayerBound(
        norm=norm,
        name=node.name,
        kind=layer.kind if isinstance(layer, Activation) else type(layer).__name__,
        reached=reached,
        seconds=time.perf_counter() - begin,
    )


# ---- linear blocks ------------------------------------------------------------------------------
def _is_worth_a_matrix(network: Network, block: Block, layers: list[LayerBound]) -> bool:
    """Whether a matrix is affordable and may be better than the rules for its layers."""
    target = math.prod(network.shapes[block.target])
    sources = sum(math.prod(network.shapes[i]) for i in block.sources)
    if target * sources > _DENSE_ENTRIES or min(target, sources) > _DENSE_SIDE:
        return False
    isometries = (Reshape, Permute, Identity, Concatenate)
    others = [j for j in block.nodes if not isinstance(network.nodes[j].layer, isometries)]
    is_loose = any(
        isinstance(network.nodes[j].layer, Convolution) and layers[j].norm.rtol > _LOOSE
        for j in others
    )
    return len(others) >= 2 or is_loose


def _through_block(
    network: Network, block: Block, constants: list[Constants], p: float
) -> tuple[Enclosure, Constants]:
    """The norm of the block's stacked matrix, and the constants of its target."""
    matrices = [block_matrix(network, block, source) for source in block.sources]
    before = [constants[source] for source in block.sources]
    if len(matrices) == 1:
        center, radius = matrices[0]
        after = dict.fromkeys(NORMS, math.inf)
        norms = {}
        for q, r in (*((q, q) for q in NORMS), *_EASY):
            norms[q, r] = operator_norm(center, q, r, error=radius)
            after[r] = min(after[r], _times(norms[q, r].upper, before[0][q]))
        return norms[p, p], after
    after, parts = {}, {}
    for q in NORMS:
        parts[q] = [operator_norm(c, q, q, error=r) for c, r in matrices]
        shares = [_times(norm.upper, c[q]) for norm, c in zip(parts[q], before, strict=True)]
        after[q] = _sum(shares)
        if q == 2.0:
            after[q] = min(after[q], _weighted(matrices, [c[q] for c in before], shares))
    return _of_stacked(parts[p], p), after


def _of_stacked(parts: list[Enclosure], p: float) -> Enclosure:
    """Norm of ``[M_1, M_2, ...]``: at least the largest, at most the dual norm of the norms."""
    uppers = [norm.upper for norm in parts]
    if p == 1.0:
        upper = max(uppers)
    else:
        upper = _sum(uppers) if p == math.inf else norm_upper(np.array(uppers))
    return Enclosure(max(norm.lower for norm in parts), upper, "parts")


def _weighted(matrices: list[Ball], constants: list[float], parts: list[float]) -> float:
    """``||[M_a L(a) / t_a]_a||_2 (sum_a t_a^2)^(1/2)`` with ``t_a^2`` close to ``||M_a|| L(a)``."""
    if not all(0.0 < part < math.inf for part in parts):
        return math.inf
    # Any floats w_a will do: with t_a = L(a) / w_a the factor of M_a is w_a itself.
    factors = [math.sqrt(c / (part / c)) for c, part in zip(constants, parts, strict=True)]
    blocks = []
    for (center, radius), w in zip(matrices, factors, strict=True):
        scaled = center * w
        error = radius * w + np.abs(scaled) * 2.0**-52 + 2.0**-1073
        blocks.append((scaled, error * (1.0 + 2.0**-50)))
    center = np.hstack([c for c, _ in blocks])
    norm = operator_norm(center, 2, 2, error=np.hstack([e for _, e in blocks])).upper
    weights = np.array([divide_up(c, w) for c, w in zip(constants, factors, strict=True)])
    return mul_up(norm, norm_upper(weights))


# ---- arithmetic ---------------------------------------------------------------------------------
def _times(a: float, b: float) -> float:
    """``a b`` rounded up; an unknown (infinite) constant times an exact zero is zero."""
    return 0.0 if a == 0.0 or b == 0.0 else mul_up(a, b)


def _sum(values: Iterable[float]) -> float:
    total = 0.0
    for value in values:
        total = add_up(total, value)
    return total
