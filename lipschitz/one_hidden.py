"""Exact l2 constants of networks with one hidden layer and one output, by search over signs.

On a region the gradient is a sum of vectors with the signs of the hidden neurons
(`lipschitz.one_hidden_rows`). Finding its largest norm is NP-hard (`lipschitz.max_cut`), but a
semidefinite relaxation is a good bound, and a search that prunes with it ends quickly for hundreds
of neurons. The upper side is the largest norm over *all* sign vectors; if every sign vector occurs,
as it does where the first layer has full row rank, it is attained. The lower side is always a
directional derivative at a point.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from evidence import Enclosure, NotCertified
from evidence.rounding import add_up, ldexp_up, sqrt_up
from evidence.validation import positive_float
from lipschitz.layers.contract import Array
from lipschitz.lower import lower_bound, verify_witness
from lipschitz.network import Network
from lipschitz.one_hidden_relaxation import dual_weights, good_signs
from lipschitz.one_hidden_rows import SignedRows, signed_rows
from lipschitz.one_hidden_search import longest_sum
from lipschitz.region_chain import KinkedChain, kinked_chain
from lipschitz.sdp import semidefinite_bound

__all__ = ["OneHiddenConstant", "one_hidden_constant"]

_SEARCHED = 1000
"""More hyperplanes are not searched: the relaxation's bound is all that a minute buys."""
_RELAXATION = 1e-6
_MISSED = 1e-6
_DISTANCES = (1.0, 30.0, 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHiddenConstant:
    """The l2 constant of a network with one hidden layer, between two proved sides.

    Parameters
    ----------
    bound : Enclosure
        Two-sided.
    point, direction : array, shape (*network.input_shape)
        The lower side is the slope there.
    neurons : int
        Hyperplanes at which the gradient jumps.
    nodes : int
        Sign prefixes whose bound was evaluated.
    is_complete : bool
        Whether the upper side is the largest norm over all sign vectors, up to `rtol`. If the
        two sides differ then, the best sign vector does not occur, or was not met.
    seconds : float

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> found = one_hidden_constant(from_arrays([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 2.0]]]))
    >>> 5.0 in found.bound, found.bound.rtol < 1e-8, found.neurons, found.is_complete
    (True, True, 2, True)
    """

    bound: Enclosure
    point: Array
    direction: Array
    neurons: int
    nodes: int
    is_complete: bool
    seconds: float


def one_hidden_constant(
    network: Network, *, rtol: float = 1e-9, time_limit: float = 60.0
) -> OneHiddenConstant:
    """The l2 Lipschitz constant of ``x -> W_2 phi(W_1 x + b_1) + b_2`` with one output.

    Parameters
    ----------
    network : Network
        One hidden layer with ``relu`` or ``leaky_relu``, any number of inputs.
    rtol : float
        Relative width of the search. For more than 1000 hyperplanes there is no search, and the
        upper side is a semidefinite bound at its optimum within 1e-4.
    time_limit : float
        Seconds; what is proved by then is returned.

    Returns
    -------
    OneHiddenConstant

    Raises
    ------
    NotCertified
        If the network has several outputs or hidden layers, or no such activations.
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    The sides meet if every sign vector occurs: sufficient is that the rows of ``W_1`` are linearly
    independent (neurons on one hyperplane count once), and then no bias matters. With at most three
    inputs `exact_by_regions` needs no such condition.

    References
    ----------
    Scaman and Virmaux, *Lipschitz regularity of deep neural networks*, NeurIPS 2018, theorem 2, for
    the hardness; see `lipschitz.one_hidden_search` for the search.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> rng = np.random.default_rng(0)
    >>> net = from_arrays([rng.standard_normal((8, 20)), rng.standard_normal((1, 8))])
    >>> one_hidden_constant(net).bound.rtol < 1e-8
    True
    """
    start = time.perf_counter()
    width = positive_float(rtol, "rtol")
    limit = positive_float(time_limit, "time_limit")
    chain = kinked_chain(network)
    if len(chain.left) != 1 or chain.widths[-1] != 1:
        raise NotCertified(
            f"`network` has widths {chain.widths}, and the search over signs takes one hidden "
            "layer and one output; use `semidefinite_bound` or `lipschitz_enclosure`"
        )
    signed = signed_rows(chain)
    exponent = math.frexp(float(np.abs(signed.rows).max(initial=0.0)))[1]
    rows = np.ldexp(signed.rows, -exponent)
    signs = good_signs(rows, np.random.default_rng(0))
    nodes, is_complete = 0, False
    if len(rows) > _SEARCHED:
        upper = semidefinite_bound(network, rtol=1e-4, time_limit=limit).bound.upper
        method = "semidefinite relaxation"
    else:
        weights = dual_weights(rows, rtol=_RELAXATION, time_limit=0.5 * limit)
        found = longest_sum(rows, weights, signs, rtol=width, deadline=start + limit)
        signs, nodes, is_complete = found.signs, found.nodes, found.is_complete
        upper = add_up(ldexp_up(sqrt_up(found.square_upper), exponent), signed.error)
        method = "search over signs"
    point, direction, lower = _attained(network, chain, signed, signs)
    if lower < upper * (1.0 - _MISSED):
        # Not every sign vector occurs, or the best one does not: look for those that do.
        left = start + limit - time.perf_counter()
        other = lower_bound(
            network,
            rng=np.random.default_rng(0),
            starts=16,
            steps=100,
            time_limit=min(2.0, max(left, 1e-3)),
        )
        if other.bound.lower > lower:
            point, direction, lower = other.point, other.direction, other.bound.lower
    return OneHiddenConstant(
        bound=Enclosure(lower, max(lower, upper), method),
        point=point,
        direction=direction,
        neurons=len(signed.neurons),
        nodes=nodes,
        is_complete=is_complete,
        seconds=time.perf_counter() - start,
    )


def _attained(
    network: Network, chain: KinkedChain, signed: SignedRows, signs: Array
) -> tuple[Array, Array, float]:
    """A point whose neurons have these signs, as well as least squares can, and its slope."""
    weight, bias = chain.weights[0][0][signed.neurons], chain.biases[0][0][signed.neurons]
    shape = network.input_shape
    gradient = signs @ signed.rows
    length = float(np.abs(gradient).max(initial=0.0))
    direction = gradient / length if length > 0.0 else np.ones_like(gradient)
    best = np.zeros(shape), direction.reshape(shape), 0.0
    reach = max(float(np.abs(bias).max(initial=0.0)), 1.0)
    sizes = np.sqrt(np.einsum("ij,ij->i", weight, weight))
    for distance in _DISTANCES:
        for target in (signs[1:] * sizes, signs[1:] * np.ones(len(weight))):
            if len(weight) == 0:
                break
            x = np.linalg.lstsq(weight, distance * reach * target - bias, rcond=None)[0]
            value = _slope(network, x.reshape(shape), direction.reshape(shape))
            if value > best[2]:
                best = x.reshape(shape), direction.reshape(shape), value
    if best[2] == 0.0:
        best = best[0], best[1], _slope(network, best[0], best[1])
    return best


def _slope(network: Network, point: Array, direction: Array) -> float:
    try:
        return verify_witness(network, point, direction) if np.isfinite(point).all() else 0.0
    except NotCertified:
        return 0.0
