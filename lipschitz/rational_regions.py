"""Lipschitz constants of tiny piecewise linear networks as fractions: nothing is rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evidence import Enclosure, NotCertified
from evidence.rounding import sqrt_down, sqrt_up
from evidence.validation import choice, positive_int
from lipschitz.domains import Box, as_domain
from lipschitz.network import Network
from lipschitz.operators import NORMS
from lipschitz.region_cells import ExactChain, exact_regions, first_cones
from lipschitz.region_chain import kinked_chain

__all__ = ["RationalConstant", "exact_rational_constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RationalConstant:
    """A Lipschitz constant, or its square, as a fraction.

    Parameters
    ----------
    power : Fraction
        The constant for the norms 1 and inf, its square for the norm 2.
    norm : {1, 2, inf}
        On both sides.
    jacobian : tuple of tuples of Fraction
        Of a region where it is attained, rows are outputs.
    point : tuple of Fraction
        Inside that region.
    regions : int
        Activation patterns whose regions have interior; neurons that vanish on a region have none.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> found = exact_rational_constant(from_arrays([[[0.5, 0.25]], [[2.0]]]))
    >>> found.power, found.jacobian, found.regions
    (Fraction(5, 4), ((Fraction(1, 1), Fraction(1, 2)),), 2)
    """

    power: Fraction
    norm: float
    jacobian: tuple[tuple[Fraction, ...], ...]
    point: tuple[Fraction, ...]
    regions: int

    @property
    def bound(self) -> Enclosure:
        """The constant between floats, one unit in the last place apart or none."""
        if self.norm != 2.0:
            value = float(self.power)
            return Enclosure(
                value if value <= self.power else math.nextafter(value, 0.0),
                value if value >= self.power else math.nextafter(value, math.inf),
                "rational regions",
            )
        square = float(self.power)
        below = square if square <= self.power else math.nextafter(square, 0.0)
        above = square if square >= self.power else math.nextafter(square, math.inf)
        return Enclosure(sqrt_down(below), sqrt_up(above), "rational regions")


def exact_rational_constant(
    network: Network, *, norm: float = 2, domain: Any = None, most_regions: int = 20_000
) -> RationalConstant:
    """The Lipschitz constant of a network with one to three inputs, exactly.

    Parameters
    ----------
    network : Network
        A chain of linear layers and ``relu`` or ``leaky_relu`` activations with exact weights:
        floats are fractions.
    norm : {1, 2, inf}
        On both sides; 2 with one input or one output only, where its square is a fraction.
    domain : Box or (lower, upper), optional
        With width in every axis.
    most_regions : int
        Give up beyond; a thousand regions take about a second.

    Raises
    ------
    NotCertified
        If the network is too large, has rounded weights, or is no such chain.
    ValueError, TypeError
        If an argument is not as described.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> zero = from_arrays([[[1.0], [-1.0], [1.0]], [[1.0, -1.0, -1.0]]])  # min(x, 0)
    >>> exact_rational_constant(zero, domain=([0.0], [1.0])).power
    Fraction(0, 1)
    """
    p = float(choice(norm, "norm", NORMS))
    most = positive_int(most_regions, "most_regions")
    chain = kinked_chain(network)
    inputs, outputs = chain.widths[0], chain.widths[-1]
    if inputs > 3:
        raise NotCertified(
            f"`network` has {inputs} inputs, and regions are listed for at most 3; use "
            "`lipschitz_enclosure` instead"
        )
    if not chain.is_exact:
        raise NotCertified(
            "the weights of `network` are rounded (folded or normalised layers), so that its "
            "constant is no fraction of theirs; use `exact_by_regions`"
        )
    if p == 2.0 and min(inputs, outputs) > 1:
        raise NotCertified(
            f"the squared l2 constant of {outputs} outputs over {inputs} inputs is an eigenvalue, "
            "not a fraction; use `norm=1` or `norm=inf`, or `exact_by_regions`"
        )
    box = None
    if domain is not None:
        given = as_domain(domain, network.input_shape)
        if not isinstance(given, Box) or not (given.lower < given.upper).all():
            raise ValueError("`domain` must be a box with width in every axis; pass its corners")
        box = given.lower.ravel(), given.upper.ravel()
    exact = ExactChain.of(chain)
    regions = []
    for region in exact_regions(exact, first_cones(inputs, box)):
        regions.append(region)
        if len(regions) > most:
            raise NotCertified(
                f"the network has more than `most_regions` = {most} linear regions; use "
                "`exact_by_regions`, which is a thousand times faster"
            )
    powers = [_power(region.jacobian, p) for region in regions]
    best = max(range(len(regions)), key=lambda i: powers[i])
    return RationalConstant(
        power=powers[best],
        norm=p,
        jacobian=regions[best].jacobian,
        point=regions[best].point,
        regions=len(regions),
    )


def _power(matrix: tuple[tuple[Fraction, ...], ...], norm: float) -> Fraction:
    if norm == 2.0:
        return sum((t * t for row in matrix for t in row), Fraction(0))
    rows = matrix if norm == math.inf else tuple(zip(*matrix, strict=True))
    return max(sum((abs(t) for t in row), Fraction(0)) for row in rows)
