"""What a semidefinite bound answers, and the last step to it: from multipliers to a proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evidence import Enclosure
from lipschitz.layers.contract import Array
from lipschitz.sdp.feedforward import FeedForward
from lipschitz.sdp.presolve import Problem
from lipschitz.sdp.proof import prove_multipliers
from lipschitz.sdp.recursion import value_of

__all__ = ["SemidefiniteBound", "proved_bound"]

_SLACKS: Final = tuple(10.0**k for k in range(-14, -1))
_INFLATION: Final = 4e-9
"""Relative price at which the slack is taken even if the proof would do with less: the proof must
also succeed with libraries that round differently."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SemidefiniteBound:
    """An upper bound of a Lipschitz constant from l2 to l2, with the multipliers that prove it.

    Parameters
    ----------
    bound : Enclosure
        Its upper side is proved; there is no lower side.
    primal : float
        Constant of a primal point of the semidefinite program, feasible up to rounding: an
        estimate of what no multipliers can beat, and no bound of the network's constant. 0 if the
        method has none.
    gap : float
        ``upper / primal - 1``; inf without a primal point.
    multipliers : tuple of arrays, shapes (n_1,), ..., (n_k,)
        Positive ``t`` of every hidden neuron for ``rho = bound.upper**2``, for `prove_multipliers`;
        ones if the network is constant, none if the method is "product of norms" (where floats
        cannot hold multipliers: weights that span hundreds of orders of magnitude).
    method : str
    iterations : int
        Of the optimiser.
    seconds : float
        Wall time.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp import semidefinite_bound
    >>> result = semidefinite_bound(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]]))  # |x|
    >>> round(result.bound.upper, 6), result.gap < 1e-6
    (1.0, True)
    """

    bound: Enclosure
    primal: float
    gap: float
    multipliers: tuple[Array, ...]
    method: str
    iterations: int
    seconds: float


def proved_bound(
    net: FeedForward, problem: Problem, multipliers: Sequence[Array]
) -> tuple[float, tuple[Array, ...]] | None:
    """The smallest constant, of a few tried, that multipliers for ``rho = 1`` are proved to give.

    Parameters
    ----------
    net : FeedForward
        What the proof is about.
    problem : Problem
        What the multipliers belong to.
    multipliers : sequence of arrays

    Returns
    -------
    (upper, multipliers) or None
        The multipliers are those of the network for ``rho = upper**2``.

    Examples
    --------
    >>> import numpy as np
    >>> from lipschitz.sdp.presolve import presolved
    >>> net = FeedForward.exact([[[4.0]]], slope_lower=(), slope_upper=())
    >>> upper, _ = proved_bound(net, presolved(net), [])
    >>> 4.0 < upper < 4.0 * (1 + 1e-8)
    True
    """
    given = list(multipliers)
    # The recursion with slack leaves that much room in every pivot for what the proof has to pay.
    values = [value_of(problem, given, slack) for slack in _SLACKS]
    cheap = values[0] * (1.0 + _INFLATION)
    first = sum(value <= cheap for value in values[1:])
    for value in values[first:]:
        upper = problem.norm_of_network(value) * (1.0 + 2.0**-33)
        if not 0.0 < upper < math.inf:
            return None
        lifted = problem.lifted(net, given, upper)
        if prove_multipliers(net, lifted, upper):
            return upper, lifted
    return None
