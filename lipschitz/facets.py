"""Local search across the facets of a piecewise linear network, uncertified on purpose.

With the singular pair ``(u, v)`` held fixed, flipping the gate of neuron ``k`` from slope ``s`` to
``s'`` changes ``u^T J v`` by ``(s' - s) a_k dz_k``, where ``dz_k`` is the derivative of its
pre-activation ``z_k`` along ``v`` and ``a_k`` that of ``u^T f`` by its output. One sweep in each
direction prices every flip; the promising ones are tried by stepping along the gradient ``g_k`` of
``z_k`` just beyond its zero, ``x - (1 + d) z_k g_k / ||g_k||^2``. Several flips at once are the
shortest step that takes the chosen ``z_k`` beyond zero and holds others where they are: with more
inputs than neurons any pattern of gates is one step away.
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
_GROUPS = (2, 4, 8, 16, 10**6)
_GROUP_TRIALS = 6
_LARGEST_STEP = 300_000
_HUGE = float(np.finfo(np.float64).max)


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
        winner = int(np.argmax(np.where(np.isnan(values), -np.inf, values)))
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
    """Points just beyond the kinks of neurons whose flip promises a gain, one or several each."""
    here = HardGates(network, point[None], free)
    _, v, u = here.power(norm, direction[None], 1)
    tangents = here.tangents(v)
    cotangents = here.cotangents({len(network.nodes): u})
    neurons: list[tuple[int, int]] = []
    arguments: list[Array] = []
    gains: list[Array] = []
    for j, node in enumerate(network.nodes):
        layer = node.layer
        if not isinstance(layer, Activation) or layer.is_smooth:
            continue
        below = node.inputs[0]
        z, dz = here.values[below].ravel(), tangents[below].ravel()
        left, right = layer.derivative(np.array([-1.0, 1.0]))
        jump = np.where(z > 0.0, left - right, right - left)
        neurons += [(below, k) for k in range(len(z))]
        arguments.append(z)
        gains.append(jump * cotangents[j + 1].ravel() * dz)
    if not neurons:
        return np.empty((0, *point.shape))
    z, gain = np.concatenate(arguments), np.concatenate(gains)
    together = _several_flips(network, point, neurons, z, gain, rng)
    wanted = np.flatnonzero(gain > 0.0)
    if len(wanted) == 0:
        return together
    one = _single_flips(network, point, [neurons[k] for k in wanted], z[wanted], gain[wanted], rng)
    return np.concatenate([one, together])


def _gradients(network: Network, point: Array, neurons: list[tuple[int, int]]) -> Array:
    """The gradient of every listed pre-activation, shape (count, inputs)."""
    count = len(neurons)
    seeds: dict[int, Array] = {}
    for row, (value, neuron) in enumerate(neurons):
        seed = seeds.setdefault(value, np.zeros((count, *network.shapes[value])))
        seed[row].reshape(-1)[neuron] = 1.0
    repeated = np.repeat(point[None], count, axis=0)
    return HardGates(network, repeated).cotangents(seeds)[0].reshape(count, -1)


def _several_flips(
    network: Network,
    point: Array,
    neurons: list[tuple[int, int]],
    z: Array,
    gain: Array,
    rng: np.random.Generator,
) -> Array:
    """Points beyond several kinks at once, with the nearest other kinks not crossed."""
    wanted = np.flatnonzero(gain > 0.0)
    inputs = point.size
    if len(wanted) < 2 or len(neurons) * inputs > _LARGEST_STEP:
        return np.empty((0, *point.shape))
    gradients = _gradients(network, point, neurons)
    order = wanted[np.argsort(-gain[wanted])]
    moved = []
    for size in rng.choice(_GROUPS, size=_GROUP_TRIALS):
        # With room for all, every wanted flip is made and every other neuron is held.
        flipped = order[: min(int(size), len(order), inputs // 2)]
        held = np.setdiff1d(np.argsort(np.abs(z)), flipped, assume_unique=True)
        held = held[np.argsort(np.abs(z[held]))][: max(0, inputs // 2 - len(flipped))]
        rows = gradients[np.concatenate([flipped, held])]
        beyond = 1.0 + 10.0 ** rng.uniform(-3.0, 0.5)
        change = np.concatenate([-beyond * z[flipped], np.zeros(len(held))])
        if not (np.isfinite(rows).all() and np.isfinite(change).all()):
            continue
        step = np.linalg.lstsq(rows, change, rcond=1e-10)[0]
        if np.isfinite(step).all():
            moved.append(point + step.reshape(point.shape))
    return np.stack(moved) if moved else np.empty((0, *point.shape))


def _relative(sizes: Array) -> Array:
    """Sizes over the largest one: between 0 and 1, also where all vanish or some overflowed."""
    finite = np.nan_to_num(sizes, nan=_HUGE, posinf=_HUGE)
    largest = finite.max()
    return np.asarray(finite / largest if largest > 0.0 else np.zeros_like(finite))


def _single_flips(
    network: Network,
    point: Array,
    neurons: list[tuple[int, int]],
    z: Array,
    gain: Array,
    rng: np.random.Generator,
) -> Array:
    """Points just beyond one kink each."""
    # Prefer large gains and near facets, more or less strictly from one batch to the next.
    weight = ((_relative(gain) + 1e-12) / (_relative(np.abs(z)) + 1e-12)) ** rng.random()
    count = min(_TRIALS, len(z))
    chosen = rng.choice(len(z), size=count, replace=False, p=weight / weight.sum())
    gradients = _gradients(network, point, [neurons[k] for k in chosen])
    squares = np.einsum("bi,bi->b", gradients, gradients)
    reachable = squares > 1e-200
    beyond = 1.0 + 10.0 ** rng.uniform(-4.0, 0.5, count)
    steps = -z[chosen] * beyond / np.where(reachable, squares, 1.0)
    moved: Array = point + (steps[:, None] * gradients).reshape(count, *point.shape)
    finite = np.isfinite(moved.reshape(count, -1)).all(axis=1)
    return np.compress(reachable & finite, moved, axis=0)
