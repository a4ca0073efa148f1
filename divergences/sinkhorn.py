"""Entropic transport and the Sinkhorn divergence, with what they say about the distance itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.ground import ground_distances
from divergences.masses import check_flag
from divergences.points import as_clouds, check_order
from evidence import Enclosure, NotCertified
from evidence.validation import positive_float, positive_int

__all__ = ["SinkhornDivergence", "sinkhorn_divergence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkhornDivergence:
    """The debiased entropic cost, its three parts, and where the true cost lies.

    Attributes
    ----------
    value : float
        ``cross - (self_x + self_y) / 2``.
    cross, self_x, self_y : float
        Entropic costs of ``(x, y)``, ``(x, x)`` and ``(y, y)``.
    true_cost : Enclosure
        Of the unregularised optimal cost, from the value and its worst bias.
    marginal_error : float
        Largest total mass by which a row or column sum misses its weight.

    Examples
    --------
    >>> result = sinkhorn_divergence([[0.0]], [[3.0]], regularisation=0.1)
    >>> result.value, 3.0 in result.true_cost
    (3.0, True)
    """

    value: float
    cross: float
    self_x: float
    self_y: float
    true_cost: Enclosure
    marginal_error: float


def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    regularisation: float,
    ground: str = "l2",
    p: float = 1,
    normalize: bool = False,
    max_steps: int = 10_000,
    tolerance: float = 1e-9,
) -> SinkhornDivergence:
    r"""Sinkhorn divergence of two weighted clouds, by POT's iterations in the log domain.

    .. math:: OT_\epsilon(P, Q) = \min_\pi \langle \pi, C \rangle
                 + \epsilon\, KL(\pi \,\|\, P \otimes Q), \qquad
              S_\epsilon = OT_\epsilon(P, Q) - \tfrac12 OT_\epsilon(P, P)
                 - \tfrac12 OT_\epsilon(Q, Q).

    Parameters
    ----------
    x, y, x_weights, y_weights, ground, p, normalize
        As in ``optimal_transport``; the cost is ``distance ** p`` and no root is taken.
    regularisation : float
        ``epsilon``, in units of the cost.
    max_steps : int
        Iterations for each of the three problems.
    tolerance : float
        Marginal error at which they stop.

    Returns
    -------
    SinkhornDivergence

    Raises
    ------
    TypeError, ValueError
        As ``optimal_transport``.
    NotCertified
        If an iteration does not converge: small regularisations need many steps, and stopping
        early underestimates the cost by tens of per cent.

    Notes
    -----
    This is not W_p. With the entropies ``H`` of the weights, ``0 <= KL(pi || P x Q) <= min(H(P),
    H(Q))`` and ``OT(P, P) = 0`` give

    ``S - eps min(H(P), H(Q)) <= OT(P, Q) <= S + eps (H(P) + H(Q)) / 2``,

    which ``true_cost`` widens by ``10 (marginal error) max(cost)`` for the iterations and rounding;
    that last margin is an estimate, not a proof. Use ``optimal_transport`` for the distance.

    References
    ----------
    .. [1] J. Feydy, T. Sejourne, F.-X. Vialard, S. Amari, A. Trouve, G. Peyre, "Interpolating
       between optimal transport and MMD using Sinkhorn divergences", AISTATS 2019, Theorem 1.

    Examples
    --------
    >>> x = [[0.0], [1.0]]
    >>> abs(sinkhorn_divergence(x, x, regularisation=0.1).value) < 1e-8
    True
    """
    check_flag(normalize, "normalize")
    order = check_order(p)
    epsilon = positive_float(regularisation, "regularisation")
    steps = positive_int(max_steps, "max_steps")
    stop = positive_float(tolerance, "tolerance")
    X, Y, a, b = as_clouds(x, y, x_weights, y_weights, normalize=normalize)
    X, a = X[a > 0.0], a[a > 0.0]
    Y, b = Y[b > 0.0], b[b > 0.0]
    costs = [ground_distances(s, t, ground) ** order for s, t in ((X, Y), (X, X), (Y, Y))]
    cross, *errors = _entropic(a, b, costs[0], epsilon, steps, stop)
    self_x, error_x = _self_entropic(a, costs[1], epsilon, steps, stop)
    self_y, error_y = _self_entropic(b, costs[2], epsilon, steps, stop)
    errors += [error_x, error_y]
    value = cross - (self_x + self_y) / 2.0
    margin = 10.0 * max(max(errors), 1e-15) * max(float(costs[0].max()), epsilon)
    H = [-float(np.dot(w, np.log(w))) for w in (a, b)]
    return SinkhornDivergence(
        value=value,
        cross=cross,
        self_x=self_x,
        self_y=self_y,
        true_cost=Enclosure(
            max(0.0, value - epsilon * min(H) - margin),
            value + epsilon * sum(H) / 2.0 + margin,
            "bias of entropic transport",
        ),
        marginal_error=max(errors),
    )


def _entropic(
    a: Floats, b: Floats, costs: Floats, epsilon: float, steps: int, stop: float
) -> tuple[float, float]:
    """Entropic cost from POT's scalings, and the error of the marginals."""
    from ot.bregman import sinkhorn_log

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = sinkhorn_log(a, b, costs, epsilon, numItermax=steps, stopThr=stop / 2, log=True)
    error = float(np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum())
    f, g = log["log_u"] - np.log(a), log["log_v"] - np.log(b)
    # The dual value: below the entropic cost for any f and g, and off by a square of the error.
    value = epsilon * float(np.dot(a, f) + np.dot(b, g) - plan.sum() + 1.0)
    return _converged(value, error, steps, stop)


def _self_entropic(
    a: Floats, costs: Floats, epsilon: float, steps: int, stop: float
) -> tuple[float, float]:
    """Entropic cost of a cloud to itself: by symmetry one potential, averaged at every step.

    Alternating steps oscillate here and need thousands of iterations, averaged ones a few dozen
    (reference 1, section 3.3).
    """
    from scipy.special import logsumexp

    f = np.zeros(len(a))
    error = np.inf
    for _ in range(steps):
        best = -logsumexp(f - costs / epsilon, b=a, axis=1)
        with np.errstate(over="ignore"):
            error = 2.0 * float(np.dot(a, np.abs(np.expm1(f - best))))
        if error <= stop:
            break
        f = (f + best) / 2.0
    mass = float(np.dot(a, np.exp(np.minimum(f - best, 700.0))))
    return _converged(epsilon * (2.0 * float(np.dot(a, f)) - mass + 1.0), error, steps, stop)


def _converged(value: float, error: float, steps: int, stop: float) -> tuple[float, float]:
    if not error <= 8.0 * stop:
        raise NotCertified(
            f"Sinkhorn's iteration misses the weights by {error:.3g} after {steps} steps; raise "
            "`max_steps`, `tolerance` or `regularisation`",
            estimate=value,
        )
    return value, error
