"""A network's Lipschitz constant between two proofs: composition and a witness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evidence import Enclosure
from lipschitz.lower import LowerBound, lower_bound
from lipschitz.network import Network
from lipschitz.product import ProductBound, product_bound

__all__ = ["NetworkBound", "lipschitz_enclosure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkBound:
    """Enclosure of a Lipschitz constant, with the proofs of its sides.

    Parameters
    ----------
    bound : Enclosure
        Of ``sup ||f(x) - f(y)||_p / ||x - y||_p``.
    upper : ProductBound
    lower : LowerBound

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> network = from_arrays([[[3.0]], [[2.0]]])
    >>> 6.0 in lipschitz_enclosure(network, rng=np.random.default_rng(0)).bound
    True
    """

    bound: Enclosure
    upper: ProductBound
    lower: LowerBound


def lipschitz_enclosure(
    network: Network,
    norm: float = 2,
    *,
    rng: np.random.Generator,
    starts: int = 64,
    steps: int = 300,
    time_limit: float = 10.0,
    rtol: float = 1e-6,
    domain: tuple[ArrayLike, ArrayLike] | None = None,
) -> NetworkBound:
    """Enclose the Lipschitz constant of a network from l_p to l_p.

    Parameters
    ----------
    network : Network
    norm : {1, 2, inf}
        ``p``.
    rng, starts, steps, time_limit, domain
        Of the search from below, see `lower_bound`. With a `domain` the enclosure holds for the
        constant on that box; its upper side is the global one.
    rtol : float
        Of the spectral norms of convolutions, see `product_bound`.

    Returns
    -------
    NetworkBound

    Raises
    ------
    ValueError, TypeError
        As `lower_bound` and `product_bound`.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[2.0], [-2.0]], [[1.0, -1.0]]])  # 2 x, in disguise
    >>> result = lipschitz_enclosure(network, rng=np.random.default_rng(0), starts=4, steps=30)
    >>> result.bound.lower <= 2.0 <= result.bound.upper
    True
    """
    upper = product_bound(network, norm, rtol=rtol)
    lower = lower_bound(
        network,
        norm=norm,
        rng=rng,
        starts=starts,
        steps=steps,
        time_limit=time_limit,
        domain=domain,
    )
    above = upper.bound if domain is None else Enclosure.at_most(upper.bound.upper, "composition")
    return NetworkBound(bound=above & lower.bound, upper=upper, lower=lower)
