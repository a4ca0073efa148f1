"""Numbers about Lipschitz constants that bound nothing, and say so.

An `Estimate` is no `Enclosure`: it has no sides, it does not compare with one, and it prints as
what it is. The estimators here are published and in use; each docstring says how it fails. A
*sampled* slope is different: at a point where the slope is proved it is a lower bound, and
`sampled_gradient_norm` returns both.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import NotCertified
from evidence.validation import as_float_array, choice, generator, positive_int
from lipschitz.domains import Ball, Box, as_domain
from lipschitz.layers import Activation, Dense
from lipschitz.lower import verify_witness
from lipschitz.network import Network
from lipschitz.operators import NORMS
from lipschitz.sweeps import HardGates

__all__ = [
    "Estimate",
    "SampledSlope",
    "clever_estimate",
    "sampled_gradient_norm",
    "seqlip_greedy_estimate",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """A number with a name and without a guarantee.

    Parameters
    ----------
    value : float
    what : str
        What it estimates, and how.
    warning : str
        How it is known to fail.

    Examples
    --------
    >>> guess = Estimate(value=2.0, what="constant by sampling", warning="may be too small")
    >>> print(guess)
    about 2 (estimate, bounds nothing: constant by sampling; may be too small)
    >>> guess < 3.0
    Traceback (most recent call last):
    ...
    TypeError: an Estimate bounds nothing, so that it is not compared; take `.value` if you must
    """

    value: float
    what: str
    warning: str

    def __str__(self) -> str:
        return f"about {self.value:.6g} (estimate, bounds nothing: {self.what}; {self.warning})"

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(
            "an Estimate bounds nothing, so that it is not compared; take `.value` if you must"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledSlope:
    """The steepest slope among samples: an estimate of the constant, and what it proves.

    Parameters
    ----------
    estimate : Estimate
        In plain floating point.
    proved : float
        A lower bound of the constant, by `verify_witness` at the steepest sample; 0 if nothing
        could be proved there.
    point, direction : array, shape (*network.input_shape)

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> found = sampled_gradient_norm(from_arrays([[[3.0]], [[2.0]]]), [[-1.0], [2.0]])
    >>> round(found.estimate.value, 9), round(found.proved, 9), found.point
    (6.0, 6.0, array([2.]))
    """

    estimate: Estimate
    proved: float
    point: Array
    direction: Array


def sampled_gradient_norm(network: Network, samples: ArrayLike, *, norm: float = 2) -> SampledSlope:
    """The largest norm of the Jacobian at given points.

    Parameters
    ----------
    network : Network
    samples : array_like, shape (count, *network.input_shape)
    norm : {1, 2, inf}
        From l_p to l_p.

    Returns
    -------
    SampledSlope

    Notes
    -----
    As an estimate of the constant it can be arbitrarily small: the slope 1000 on an interval of
    length 2e-9 is met by no sample in millions. A critic trained with a gradient penalty had the
    constant 3.27, and 200 000 samples saw 3.04.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]])  # 2 relu(x) + 3 relu(-x)
    >>> round(sampled_gradient_norm(network, [[0.5], [1.0]]).proved, 9)  # misses the slope -3
    2.0
    """
    p = float(choice(norm, "norm", NORMS))
    points = as_float_array(samples, "samples")
    if points.ndim == 0 or points.shape[1:] != network.input_shape:
        raise ValueError(
            f"`samples` must have shape (count, {', '.join(map(str, network.input_shape))}), got "
            f"{points.shape}; add a leading axis for a single sample"
        )
    values, directions = _slopes(network, points, p)
    best = int(np.argmax(values))
    try:
        proved = verify_witness(network, points[best], directions[best], norm=p)
    except (NotCertified, ValueError):
        proved = 0.0
    return SampledSlope(
        estimate=Estimate(
            value=float(values[best]),
            what=f"largest Jacobian norm of {len(points)} samples",
            warning="the constant may be any number above it",
        ),
        proved=proved,
        point=points[best],
        direction=directions[best],
    )


def clever_estimate(
    network: Network,
    domain: Box | Ball,
    *,
    norm: float = 2,
    batches: int = 100,
    batch_size: int = 64,
    rng: np.random.Generator,
) -> Estimate:
    """CLEVER: the end point of a reverse Weibull law fitted to maxima of sampled slopes.

    Parameters
    ----------
    network : Network
    domain : Box or Ball
        Where the samples are drawn.
    norm : {1, 2, inf}
    batches, batch_size : int
        The law is fitted to ``batches`` maxima of ``batch_size`` slopes each.
    rng : numpy.random.Generator

    Returns
    -------
    Estimate
        ``inf`` if the fit finds no end point.

    Notes
    -----
    The slopes of a ReLU network take finitely many values, so that their maxima follow no Weibull
    law. Known failures: 5.3e7 for a critic whose constant is 3.27 (Ns = 1024), 0.4165 for one whose
    constant is 0.4444 (Ns = 16).

    References
    ----------
    Weng et al., *Evaluating the robustness of neural networks: an extreme value theory approach*,
    ICLR 2018, section 4; Goodfellow, *Gradient masking causes CLEVER to overestimate adversarial
    perturbation size*, arXiv 1804.07870.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> line = from_arrays([[[3.0]]])
    >>> clever_estimate(line, Box([0.0], [1.0]), rng=np.random.default_rng(0)).value
    3.0
    """
    p = float(choice(norm, "norm", NORMS))
    where = as_domain(domain, network.input_shape)
    count, size = positive_int(batches, "batches"), positive_int(batch_size, "batch_size")
    maxima = np.empty(count)
    for i in range(count):
        maxima[i] = _slopes(network, where.sample(generator(rng), size), p)[0].max()
    spread = float(np.ptp(maxima))
    if spread <= 1e-12 * float(maxima.max()):
        value = float(maxima.max())
    else:
        value = _end_point(maxima)
    return Estimate(
        value=value,
        what=f"CLEVER from {count} maxima of {size} slopes",
        warning="too small and too large by any factor have been seen",
    )


def seqlip_greedy_estimate(network: Network, *, rng: np.random.Generator) -> Estimate:
    """Greedy SeqLip: gates between two layers chosen to enlarge the norm of their product.

    ``prod_i max over s in {a, b}^n of ||S_(i+1) V_(i+1)^T diag(s) U_i S_i||`` with the singular
    value decompositions ``W_i = U_i S_i V_i^T``, and ``sqrt(S)`` of inner layers on either side, is
    an upper bound; *with each maximum replaced by a local search it is none*.

    Parameters
    ----------
    network : Network
        Dense layers with one activation between any two, in a chain.
    rng : numpy.random.Generator
        Of the starting gates.

    Returns
    -------
    Estimate

    Raises
    ------
    NotCertified
        If the network is of another shape.

    Notes
    -----
    The values published with one benchmark lie below the exact constant on all of its ten networks
    (5.0361 for 5.0802, for example), although they are printed among upper bounds.

    References
    ----------
    Scaman and Virmaux, *Lipschitz regularity of deep neural networks: analysis and efficient
    estimation*, NeurIPS 2018, section 5.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]])
    >>> value = seqlip_greedy_estimate(network, rng=np.random.default_rng(0)).value
    >>> 2.0 - 1e-9 < value < 3.0 + 1e-9
    True
    """
    weights, slopes = _dense_chain(network)
    generator(rng)
    parts = [np.linalg.svd(w, full_matrices=False) for w in weights]
    value, last = 1.0, len(weights) - 1
    if last == 0:
        value = float(parts[0][1][0])
    for i in range(last):
        u, s, _ = parts[i]
        _, s_next, v_next = parts[i + 1]
        left = (s_next if i + 1 == last else np.sqrt(s_next))[:, None] * v_next
        right = u * (s if i == 0 else np.sqrt(s))
        value *= _greedy_gates(left, right, slopes[i], rng)
    return Estimate(
        value=value,
        what="greedy SeqLip",
        warning="a local search in place of a maximum, so that the constant may lie above",
    )


def _slopes(network: Network, points: Array, p: float) -> tuple[Array, Array]:
    """Norms of the Jacobians, and the directions that attain them, in plain floating point."""
    outputs = math.prod(network.output_shape)
    gates = HardGates(network, points)
    with np.errstate(all="ignore"):
        start = np.ones(points.shape)
        if outputs == 1:
            start = gates.pull(np.ones((len(points), *network.output_shape)))
            start = np.where(start.any(axis=tuple(range(1, start.ndim)), keepdims=True), start, 1.0)
        values, directions, _ = gates.power(p, start, 2 if outputs == 1 else 60)
    return np.nan_to_num(values), directions


def _end_point(maxima: Array) -> float:
    from scipy.stats import weibull_max

    top = float(maxima.max())
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, location, _ = weibull_max.fit(maxima, loc=top, scale=float(np.ptp(maxima)))
    except (RuntimeError, ValueError):  # what scipy raises if the likelihood has no maximum
        return math.inf
    return float(location) if math.isfinite(location) and location >= top else math.inf


def _dense_chain(network: Network) -> tuple[list[Array], list[tuple[float, float]]]:
    weights: list[Array] = []
    slopes: list[tuple[float, float]] = []
    for j, node in enumerate(network.fold().nodes):
        layer = node.layer
        if node.inputs != (j,) or not isinstance(layer, (Dense, Activation)):
            raise NotCertified("SeqLip reads dense layers in a chain; use another bound")
        if isinstance(layer, Dense) and len(weights) == len(slopes) and not layer.leading:
            weights.append(layer.weight)
        elif isinstance(layer, Activation) and len(weights) == len(slopes) + 1:
            slopes.append((layer.slope_lower, layer.slope_upper))
        else:
            raise NotCertified("SeqLip reads dense layers with one activation between any two")
    if len(weights) != len(slopes) + 1:
        raise NotCertified("SeqLip reads networks that end with a dense layer")
    return weights, slopes


def _greedy_gates(
    left: Array, right: Array, slopes: tuple[float, float], rng: np.random.Generator
) -> float:
    """Local search over the gates: the singular pair, then each gate for itself, until it stays."""
    best = 0.0
    low, high = slopes
    for start in range(4):
        gates = np.full(left.shape[1], high)
        if start:
            gates = np.where(rng.random(left.shape[1]) < 0.5, low, high)
        value = -1.0
        while True:
            u, s, v = np.linalg.svd((left * gates) @ right)
            if not s[0] > value * (1.0 + 1e-12):
                break
            value = float(s[0])
            gain = (u[:, 0] @ left) * (right @ v[0])
            gates = np.where(gain > 0.0, high, low)
        best = max(best, value)
    return best
