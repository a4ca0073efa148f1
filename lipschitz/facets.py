"""Local search across the facets of a piecewise linear network, uncertified on purpose.

With the singular pair ``(u, v)`` held fixed, flipping the gate of neuron ``k`` from slope ``s`` to
``s'`` changes ``u^T J v`` by ``(s' - s) a_k dz_k``, where ``dz_k`` is the derivative of its
pre-activation ``z_k`` along ``v`` and ``a_k`` that of ``u^T f`` by its output. One sweep in each
direction prices every flip; the promising ones are tried by stepping along the gradient ``g_k`` of
``z_k`` just beyond its zero, ``x - (1 + d) z_k g_k / ||g_k||^2``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers import Activation
from lipschitz.network import Network
from lipschitz.sweeps import HardGates

__all__ = ["cross_facets"]

Array = NDArray[np.float64]

_TRIALS = 32
_PATIENCE = 6


def cross_facets(
    network: Network,
    *,
    norm: float,
    point: Array,
    direction: Array,
    rounds: int,
    rng: np.random.Generator,
    deadline: float,
    inside: Callable[[Array], Array],
    free: Array | float,
) -> tuple[float, Array, Array]:
    """Improve one point by flipping one gate at a time.

    Parameters
    ----------
    network : Network
    norm : {1, 2, inf}
    point, direction : array, shape (*network.input_shape)
    rounds : int
        At most this many batches of trials; fewer when none of the last ones helped.
    rng : numpy.random.Generator
    deadline : float
        In the time of `time.perf_counter`.
    inside : callable
        Projects a batch of points to the domain.
    free : array of 0 and 1
        As for `HardGates`.

    Returns
    -------
    estimate, point, direction
        ``||J(x) v|| / ||v||`` in plain floating point, never below the start's.
    """
    values, v, _ = HardGates(network, point[None], free).power(norm, direction[None], 4)
    best, direction, failures = float(values[0]), v[0], 0
    for _ in range(rounds):
        if failures > _PATIENCE or time.perf_counter() > deadline:
            break
        trials = _trials(network, norm, point, direction, rng, free)
        if len(trials) == 0:
            break
        trials = inside(trials)
        start = np.broadcast_to(direction, trials.shape)
        values, v, _ = HardGates(network, trials, free).power(norm, start, 3)
        winner = int(np.argmax(values))
        failures += 1
        if values[winner] > best * (1.0 + 1e-9):
            best, failures = float(values[winner]), 0
            point, direction = trials[winner], v[winner]
    return best, point, direction


def _trials(
    network: Network,
    norm: float,
    point: Array,
    direction: Array,
    rng: np.random.Generator,
    free: Array | float,
) -> Array:
    """Points just beyond the kinks of neurons whose flip promises a gain."""
    here = HardGates(network, point[None], free)
    _, v, u = here.power(norm, direction[None], 1)
    tangents = here.tangents(v)
    cotangents = here.cotangents({len(network.nodes): u})
    neurons: list[tuple[int, int]] = []
    distances: list[Array] = []
    gains: list[Array] = []
    for j, node in enumerate(network.nodes):
        layer = node.layer
        if not isinstance(layer, Activation) or layer.is_smooth:
            continue
        below = node.inputs[0]
        z, dz = here.values[below].ravel(), tangents[below].ravel()
        left, right = layer.derivative(np.array([-1.0, 1.0]))
        jump = np.where(z > 0.0, left - right, right - left)
        gain = jump * cotangents[j + 1].ravel() * dz
        wanted = np.flatnonzero(gain > 0.0)
        neurons += [(below, int(k)) for k in wanted]
        distances.append(z[wanted])
        gains.append(gain[wanted])
    if not neurons:
        return np.empty((0, *point.shape))
    z, gain = np.concatenate(distances), np.concatenate(gains)
    # Prefer large gains and near facets, more or less strictly from one batch to the next.
    weight = ((gain / gain.max() + 1e-12) / (np.abs(z) / np.abs(z).max() + 1e-12)) ** rng.random()
    count = min(_TRIALS, len(z))
    chosen = rng.choice(len(z), size=count, replace=False, p=weight / weight.sum())
    seeds: dict[int, Array] = {}
    for row, k in enumerate(chosen):
        value, neuron = neurons[k]
        seed = seeds.setdefault(value, np.zeros((count, *network.shapes[value])))
        seed[row].reshape(-1)[neuron] = 1.0
    repeated = np.repeat(point[None], count, axis=0)
    gradients = HardGates(network, repeated).cotangents(seeds)[0].reshape(count, -1)
    squares = np.einsum("bi,bi->b", gradients, gradients)
    reachable = squares > 1e-200
    beyond = 1.0 + 10.0 ** rng.uniform(-4.0, 0.5, count)
    steps = -z[chosen] * beyond / np.where(reachable, squares, 1.0)
    moved: Array = point + (steps[:, None] * gradients).reshape(count, *point.shape)
    finite = np.isfinite(moved.reshape(count, -1)).all(axis=1)
    return np.compress(reachable & finite, moved, axis=0)
