"""What generated samples are worth, and what a critic says about it.

Three numbers must not be mixed up: the *dual value* of a critic, ``E f(real) - E f(generated)``;
that value divided by a certified Lipschitz constant of the critic, which never exceeds W1 of the
two samples; and W1 of the samples itself, an optimal transport problem solved by POT. W1 of two
samples of one law is not 0: the floor of a comparison is W1 of two independent real samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.rounding import divide_down
from evidence.validation import as_float_array, nonnegative_float, positive_float, positive_int
from gan_core.objectives import OBJECTIVES

if TYPE_CHECKING:
    from torch import Tensor

    from evidence import Enclosure
    from gan_core.ensemble import Ensemble
    from gan_core.networks import StackedMLP

__all__ = [
    "Coverage",
    "certified_transport",
    "critic_losses",
    "jensen_shannon_estimate",
    "layer_gradient_norms",
    "mode_coverage",
    "overfitting_gap",
    "rank_correlation",
    "sample_transport",
    "value_surface",
    "weights_at_bound",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """How samples spread over known modes.

    Parameters
    ----------
    modes : array of int, shape (members,)
        Modes that hold at least ``minimum_share`` of the samples, near enough.
    high_quality : array, shape (members,)
        Share of samples within ``deviations`` standard deviations of their nearest centre.
    effective_modes : array, shape (members,)
        ``exp`` of the entropy of the shares: 8 for an even spread over 8 modes.
    ceiling : float
        The share of high quality that the data themselves have: ``1 - exp(-k^2 / 2)`` in the plane.
    counts : array of int, shape (members, modes)
        High-quality samples of each mode.

    Examples
    --------
    >>> round(mode_coverage(np.zeros((1, 4, 2)), np.zeros((1, 2)), 0.1).ceiling, 3)
    0.989
    """

    modes: NDArray[np.int64]
    high_quality: Array
    effective_modes: Array
    ceiling: float
    counts: NDArray[np.int64]


def mode_coverage(
    samples: ArrayLike,
    centers: ArrayLike,
    std: float,
    *,
    deviations: float = 3.0,
    minimum_share: float | None = None,
) -> Coverage:
    """Count the modes that samples cover.

    Parameters
    ----------
    samples : array_like, shape (members, count, size)
    centers : array_like, shape (modes, size)
    std : float
        Standard deviation of a mode.
    deviations : float
        A sample is of high quality within so many of them.
    minimum_share : float, optional
        Share of all samples that a mode must hold to count; a quarter of an even share if left
        out. The usual rule, one sample of high quality, lets untrained noise cover all modes.

    Returns
    -------
    Coverage

    Examples
    --------
    >>> corners = np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> found = mode_coverage(np.zeros((1, 10, 2)), corners, 0.1)
    >>> found.modes, found.high_quality, found.effective_modes
    (array([1]), array([1.]), array([1.]))
    """
    x = as_float_array(np.asarray(samples, dtype=float), "samples", ndim=3)
    c = as_float_array(np.asarray(centers, dtype=float), "centers", ndim=2)
    if x.shape[2] != c.shape[1]:
        raise ValueError(
            f"`centers` must have {x.shape[2]} columns, one for each coordinate of the samples, "
            f"got {c.shape[1]}"
        )
    width = positive_float(std, "std") * positive_float(deviations, "deviations")
    share = (
        0.25 / len(c)
        if minimum_share is None
        else nonnegative_float(minimum_share, "minimum_share")
    )
    squared = np.stack([((x - center) ** 2).sum(axis=2) for center in c], axis=2)
    nearest = squared.argmin(axis=2)
    good = squared.min(axis=2) <= width**2
    counts = np.stack([((nearest == j) & good).sum(axis=1) for j in range(len(c))], axis=1)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    p = counts / total
    entropy = -np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0)), 0.0).sum(axis=1)
    enough = np.maximum(share * x.shape[1], 1.0)
    return Coverage(
        modes=(counts >= enough).sum(axis=1),
        high_quality=good.mean(axis=1),
        effective_modes=np.where(counts.sum(axis=1) > 0, np.exp(entropy), 0.0),
        ceiling=_chi_square_share(x.shape[2], deviations),
        counts=counts,
    )


def _chi_square_share(size: int, deviations: float) -> float:
    if size == 2:
        return 1.0 - math.exp(-0.5 * deviations**2)
    from scipy.stats import chi2

    return float(chi2.cdf(deviations**2, size))


def sample_transport(real: ArrayLike, generated: ArrayLike) -> float:
    """W1 between two samples with equal weights, Euclidean ground cost, by POT's exact solver.

    Parameters
    ----------
    real, generated : array_like, shapes (n, size), (m, size)

    Returns
    -------
    float
        In the unit of the data. It overestimates W1 of the laws, by about
        ``n**(-1 / size)`` in ``size > 2`` dimensions.

    Examples
    --------
    >>> sample_transport([[0.0, 0.0]], [[3.0, 4.0]])
    5.0
    """
    from divergences import optimal_transport

    x = as_float_array(np.asarray(real, dtype=float), "real", ndim=2)
    y = as_float_array(np.asarray(generated, dtype=float), "generated", ndim=2)
    return float(optimal_transport(x, y).value)


def certified_transport(
    critic: StackedMLP, member: int, real: ArrayLike, generated: ArrayLike, constant: Enclosure
) -> float:
    """A lower bound of W1 between two samples: the dual value over a certified constant.

    Parameters
    ----------
    critic : StackedMLP
    member : int
    real, generated : array_like, shapes (n, size), (m, size)
    constant : Enclosure
        Of the member's Lipschitz constant in l2, as `lipschitz.certify` gives it for
        ``critic.network(member)``.

    Returns
    -------
    float
        At least 0 (a constant critic proves nothing). Outputs are evaluated in float64 balls, so
        that the bound holds after rounding.

    Examples
    --------
    >>> import torch
    >>> from gan_core.networks import StackedMLP
    >>> from lipschitz import certify
    >>> critic = StackedMLP([1, 1], dtype="float64")
    >>> critic.weights[0][:] = 2.0
    >>> constant = certify(critic.network()).bound
    >>> round(certified_transport(critic, 0, [[3.0]], [[0.0]], constant), 9)
    3.0
    """
    network = critic.network(member)
    total = 0.0
    for points, name, side in ((real, "real", 1.0), (generated, "generated", -1.0)):
        x = as_float_array(np.asarray(points, dtype=float), name, ndim=2)
        center, radius = network.enclose(x)
        # Means of n numbers: n + 2 roundings of size up to the sum of the absolute values.
        slack = float((radius + np.abs(center) * (len(x) + 4) * 2.0**-52).mean())
        total += side * float(center.mean()) - slack * (1.0 + 2.0**-40)
    total -= abs(total) * 2.0**-50
    return max(0.0, divide_down(total, constant.upper)) if constant.upper > 0.0 else 0.0


def jensen_shannon_estimate(loss: ArrayLike) -> Array:
    """``log 2 - loss / 2`` nats: what a discriminator's loss says about the JS divergence.

    Parameters
    ----------
    loss : array_like
        Critic losses of the ``minimax`` or ``nonsaturating`` objective.

    Returns
    -------
    array
        A lower bound of JS if the losses are exact expectations (any discriminator's loss is at
        least the optimal one), an estimate otherwise.

    Examples
    --------
    >>> jensen_shannon_estimate([2.0 * math.log(2.0), 0.0])
    array([0.        , 0.69314718])
    """
    return math.log(2.0) - 0.5 * np.asarray(loss, dtype=np.float64)


# ---- inside the networks ------------------------------------------------------------------------
def layer_gradient_norms(net: StackedMLP) -> Array:
    """Norms of the last weight gradients, shape (members, layers).

    Examples
    --------
    >>> from gan_core.networks import StackedMLP
    >>> layer_gradient_norms(StackedMLP([2, 4, 1], members=3)).shape
    (3, 2)
    """
    return np.stack(
        [g.flatten(1).norm(dim=1).double().cpu().numpy() for g in net.weight_gradients], axis=1
    )


def weights_at_bound(net: StackedMLP, bound: float, *, within: float = 0.01) -> Array:
    """Share of the weights with ``|w| >= (1 - within) bound``, shape (members,).

    Examples
    --------
    >>> from gan_core.networks import StackedMLP
    >>> weights_at_bound(StackedMLP([2, 1]), 0.1)
    array([0.])
    """
    edge = positive_float(bound, "bound") * (1.0 - nonnegative_float(within, "within"))
    weights = [w.flatten(1).abs() >= edge for w in net.weights]
    count = sum(w.shape[1] for w in weights)
    total: Array = np.sum([w.sum(1).double().cpu().numpy() for w in weights], axis=0)
    return total / count


def value_surface(
    net: StackedMLP, member: int, lower: Sequence[float], upper: Sequence[float], count: int = 100
) -> tuple[Array, Array, Array]:
    """A planar critic on a grid: coordinates along both axes, and values, shape (count, count).

    The value at ``(x[i], y[j])`` is entry ``[j, i]``, as plots want it.

    Examples
    --------
    >>> from gan_core.networks import StackedMLP
    >>> x, y, values = value_surface(StackedMLP([2, 4, 1]), 0, (-1, -1), (1, 1), count=5)
    >>> values.shape
    (5, 5)
    """
    positive_int(count, "count")
    if net.sizes[0] != 2:
        raise ValueError(f"`net` must have two inputs for a surface, got {net.sizes[0]}")
    x, y = (np.linspace(lower[i], upper[i], count) for i in range(2))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return x, y, net.network(member).apply(grid)[:, 0].reshape(count, count)


# ---- agreement over time ------------------------------------------------------------------------
def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation of two series; nan if one of them is constant.

    Examples
    --------
    >>> rank_correlation([1.0, 2.0, 3.0], [10.0, 20.0, 15.0])
    0.5
    """
    from scipy.stats import rankdata

    x = rankdata(as_float_array(np.asarray(a, dtype=float), "a", ndim=1))
    y = rankdata(as_float_array(np.asarray(b, dtype=float), "b", ndim=1))
    if len(x) != len(y):
        raise ValueError(f"`a` and `b` must have equal lengths, got {len(x)} and {len(y)}")
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 0.0 else math.nan


def overfitting_gap(train: Tensor, validation: Tensor) -> Array:
    """Mean critic output on training data minus that on fresh data, shape (members,).

    Examples
    --------
    >>> import torch
    >>> overfitting_gap(torch.ones(1, 4), torch.zeros(1, 4))
    array([1.])
    """
    return (train.mean(1) - validation.mean(1)).double().cpu().numpy()


def critic_losses(ensemble: Ensemble, real: Tensor, generated: Tensor) -> Array:
    """Losses of the ensemble's critics on given points, shape (members,), without a penalty.

    Parameters
    ----------
    real, generated : Tensor, shape (members, count, size)

    Examples
    --------
    >>> import torch
    >>> from gan_core.data import Ring
    >>> from gan_core.ensemble import Ensemble
    >>> from gan_core.settings import wgan_gp
    >>> ensemble = Ensemble(wgan_gp(critic_hidden=(4,), generator_hidden=(4,)), Ring(), seeds=[0])
    >>> points = torch.zeros(1, 3, 2)
    >>> critic_losses(ensemble, points, points)
    array([0.])
    """
    import torch

    critic = ensemble.effective_critic()
    with torch.no_grad():
        f_real = critic(real.to(critic.parameters))[..., 0].double()
        f_generated = critic(generated.to(critic.parameters))[..., 0].double()
    loss = OBJECTIVES[ensemble.settings.objective].critic_loss(f_real, f_generated)
    return loss.cpu().numpy()
