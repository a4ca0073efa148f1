"""Certified lower bounds of a network's Lipschitz constant, in l1, l2 and l-infinity.

**Theorem.** If ``f`` is locally Lipschitz on an open set ``U`` and has one-sided directional
derivatives, then for *every* ``x`` in ``U`` and ``v != 0``

    Lip(f; U) >= ||Df(x; v)|| / ||v||.

*Proof.* ``||f(x + t v) - f(x)|| <= Lip(f; U) t ||v||`` for small ``t > 0``; divide by ``t`` and let
it go to 0. No point has to be excluded, kinks included; what an autograd library returns at a kink
is another number and bounds nothing: it gives ``f'(0) = 1`` for ``f(x) = x - relu(x) + relu(-x)``,
which is 0 everywhere.

`lipschitz.tangents` encloses ``Df(x; v)``, rounding included, at a point and a direction that an
uncertified search proposes (`lipschitz.ascent`). The two together are a *witness*: anyone can check
it again with `verify_witness`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure, NotCertified
from evidence.rounding import divide_down
from evidence.validation import as_float_array, choice, generator, positive_float, positive_int
from lipschitz.ascent import Candidate, search
from lipschitz.domains import Ball, Box, as_domain, is_within
from lipschitz.high_precision import slope_below
from lipschitz.layers.balls import round_down
from lipschitz.network import Network
from lipschitz.operators import NORMS, vector_norm_lower, vector_norm_upper
from lipschitz.tangents import directional_derivative

__all__ = ["LowerBound", "lower_bound", "verify_witness"]

Array = NDArray[np.float64]

_MORE_BITS = (128, 256, 512)
_LOST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBound:
    """A lower bound of a Lipschitz constant, with the witness that proves it.

    Parameters
    ----------
    bound : Enclosure
        One-sided.
    norm : {1, 2, inf}
        On both sides of the network.
    point, direction : array, shape (*network.input_shape)
        ``||Df(point; direction)|| / ||direction||`` is at least ``bound.lower``.
    bits : int or None
        Precision of the balls that prove it: None for float64.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> found = lower_bound(from_arrays([[[3.0]], [[2.0]]]), rng=np.random.default_rng(0))
    >>> found.bound.upper, round(found.bound.lower, 9)
    (inf, 6.0)
    """

    bound: Enclosure
    norm: float
    point: Array
    direction: Array
    bits: int | None = None


def lower_bound(
    network: Network,
    *,
    norm: float = 2,
    rng: np.random.Generator,
    starts: int = 64,
    steps: int = 300,
    time_limit: float = 10.0,
    domain: Box | Ball | tuple[ArrayLike, ArrayLike] | None = None,
) -> LowerBound:
    """Search for a steep point and direction, and prove the slope found there.

    Parameters
    ----------
    network : Network
    norm : {1, 2, inf}
        ``p`` in ``||f(x) - f(y)||_p <= L ||x - y||_p``.
    rng : numpy.random.Generator
        The bound is a theorem whatever is drawn; the same generator state gives the same bound
        unless the time limit cuts the search short.
    starts, steps : int
        Effort of the search.
    time_limit : float
        Seconds after which the search stops; what it has found is certified.
    domain : Box, Ball or (lower, upper), optional
        Corners may have shapes that broadcast to ``network.input_shape``. The bound is then one for
        the constant *on the domain*, with a witness in its interior (axes of a box without any
        float inside are held fixed). Without it, the whole space.

    Returns
    -------
    LowerBound
        Never negative; 0 says that nothing better could be proved.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    The search works on the folded network, the proof on the one given. A global bound may be
    attained far away from any data; pass `domain` for a statement about data.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> absolute = from_arrays([[[3.0], [-2.0]], [[1.0, 1.0]]])
    >>> result = lower_bound(absolute, rng=np.random.default_rng(0), starts=4, steps=30)
    >>> print(result.bound)
    >= 2.999999 (lower bound only: directional derivative)
    >>> verify_witness(absolute, result.point, result.direction) == result.bound.lower
    True
    """
    p = float(choice(norm, "norm", NORMS))
    generator(rng)
    where = None if domain is None else as_domain(domain, network.input_shape)
    inside = None if where is None else where.interior
    if where is not None and inside is None:
        raise ValueError("`domain` must have floats in its interior; widen the box")
    candidates = search(
        network.fold(),
        norm=p,
        starts=positive_int(starts, "starts"),
        steps=positive_int(steps, "steps"),
        rng=rng,
        time_limit=positive_float(time_limit, "time_limit"),
        domain=inside,
    )
    best = LowerBound(
        bound=Enclosure.at_least(0.0, "norms are not negative"),
        norm=p,
        point=candidates[0].point,
        direction=candidates[0].direction,
    )
    for candidate in candidates:
        if candidate.estimate <= best.bound.lower:
            break
        direction = candidate.direction
        moving = direction != 0.0
        if not moving.any():
            continue
        if where is not None and not is_within(where, candidate.point, moving=moving):
            continue
        proved, bits = _prove(network, candidate, p)
        if proved > best.bound.lower:
            best = LowerBound(
                bound=Enclosure.at_least(proved, "directional derivative"),
                norm=p,
                point=candidate.point,
                direction=direction,
                bits=bits,
            )
    return best


def _prove(network: Network, candidate: Candidate, norm: float) -> tuple[float, int | None]:
    """The candidate's quotient, proved with as many bits as it takes, and their number."""
    x, v = candidate.point, candidate.direction
    best, best_bits = 0.0, None
    for bits in (None, *_MORE_BITS):
        try:
            proved = verify_witness(network, x, v, norm=norm, bits=bits)
        except NotCertified:
            continue
        if proved > best:
            best, best_bits = proved, bits
        if proved >= candidate.estimate * (1.0 - _LOST):
            break
    return best, best_bits


def verify_witness(
    network: Network,
    point: ArrayLike,
    direction: ArrayLike,
    *,
    norm: float = 2,
    bits: int | None = None,
) -> float:
    """A proved lower bound of ``||Df(x; v)||_p / ||v||_p``, hence of the Lipschitz constant.

    Parameters
    ----------
    network : Network
    point, direction : array_like, shape (*network.input_shape)
        ``x`` and ``v``; ``v`` must not be zero. Any floats will do, kinks included.
    norm : {1, 2, inf}
    bits : int, optional
        Prove it in Arb balls of this precision instead of float64: slower, and what deep networks
        need (`lipschitz.high_precision`).

    Returns
    -------
    float
        At least 0; smaller than the true quotient by the rounding of one evaluation (about 1e-12
        relative), and by the width of gates that the rounding leaves undecided.

    Raises
    ------
    ValueError, TypeError
        If the arrays have other shapes, are not finite, or the direction is zero.
    NotCertified
        If the values at the point overflow.

    References
    ----------
    See `lipschitz.tangents` for the chain rule.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> identity = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])  # relu(x) - relu(-x)
    >>> verify_witness(identity, [0.5], [2.0]) > 1.0 - 1e-12
    True
    """
    p = float(choice(norm, "norm", NORMS))
    x = _checked(point, "point", network.input_shape)
    v = _checked(direction, "direction", network.input_shape)
    if not v.any():
        raise ValueError("`direction` must not be zero; pass a unit vector")
    if bits is not None:
        power = slope_below(network, x, v, p, positive_int(bits, "bits"))
        return _quotient_below(power, v, p)
    # Scaling by a power of two is exact and keeps tiny directions away from the underflow.
    v = np.ldexp(v, -math.frexp(float(np.abs(v).max()))[1])
    _, (center, radius) = directional_derivative(network, x[None], v[None])
    smallest = np.maximum(round_down(np.abs(center) - radius), 0.0)
    return max(0.0, divide_down(vector_norm_lower(smallest, p), vector_norm_upper(v, p)))


def _quotient_below(power: Fraction, v: Array, p: float) -> float:
    """The largest float with ``q ||v||_p`` (its square for ``p = 2``) at most ``power``."""
    sizes = [abs(Fraction(t)) for t in v.ravel().tolist()]
    exponent = 2 if p == 2.0 else 1
    length = max(sizes) if p == math.inf else sum((s**exponent for s in sizes), Fraction(0))
    ratio = power / length
    try:
        quotient = float(ratio) if exponent == 1 else math.sqrt(float(ratio))
    except OverflowError:
        return math.nextafter(math.inf, 0.0) if exponent == 1 else 2.0**511
    while Fraction(quotient) ** exponent > ratio:
        quotient = math.nextafter(quotient, -math.inf)
    while Fraction(above := math.nextafter(quotient, math.inf)) ** exponent <= ratio:
        quotient = above
    return max(0.0, quotient)


def _checked(value: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    array = as_float_array(value, name)
    if array.shape != shape:
        raise ValueError(
            f"`{name}` must have the network's input shape {shape}, got {array.shape}; "
            "leave the batch axis out"
        )
    return array
