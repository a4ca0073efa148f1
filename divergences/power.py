"""Divergences of a real order: Renyi's, and the alpha (Cressie-Read) family."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from divergences.masses import MassPair, as_mass_pair, check_base
from divergences.row_sums import kl_values, rule_values
from divergences.tensors import are_tensors, finished, tensor_pair, tensor_values
from divergences.terms import power_rule

__all__ = ["alpha_divergence", "renyi"]


def alpha_divergence(
    p: ArrayLike, q: ArrayLike, *, alpha: float, normalize: bool = False, axis: int = -1
) -> Any:
    """``[sum p^a q^(1-a) - 1] / (a (a - 1))``, with the limits KL at 1 and reverse KL at 0.

    Parameters
    ----------
    p, q : array_like or tensor, shape (..., n)
        Masses over the same ``n`` outcomes; leading axes broadcast.
    alpha : float
        Any finite order. 1/2 is four times the squared Hellinger distance, 2 half of chi2.
    normalize : bool
        Divide counts by their totals.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float, array or tensor, shape (...)
        Nonnegative; relative error about ``(1 + |alpha|) 1e-14`` also near equality.

    References
    ----------
    Cressie and Read, J. R. Statist. Soc. B 46 (1984); Amari and Nagaoka, *Methods of Information
    Geometry*, section 3.2 (whose alpha is ``1 - 2 a``).

    Examples
    --------
    >>> f"{alpha_divergence([0.5, 0.5], [0.25, 0.75], alpha=2):.12f}"  # chi2 / 2
    '0.166666666667'
    """
    order = _real(alpha, "alpha", finite=True)
    rule = power_rule(order)
    if are_tensors(p=p, q=q):
        a, b = tensor_pair(p, q, normalize=normalize, axis=axis)
        return finished(tensor_values(rule, a, b, normalize=normalize), p, q)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    if order in (0.0, 1.0):
        return pair.result(kl_values(pair if order == 1.0 else pair.exchanged()))
    return pair.result(rule_values(rule, pair))


def renyi(
    p: ArrayLike,
    q: ArrayLike,
    *,
    order: float,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """Renyi divergence ``log(sum p^a q^(1-a)) / (a - 1)`` of order ``a >= 0``.

    Parameters
    ----------
    p, q : array_like or tensor, shape (..., n)
        Masses over the same ``n`` outcomes; leading axes broadcast.
    order : float
        In [0, inf]: 0 is ``-log q(p > 0)``, 1 is KL, inf is ``log max p/q``.
    base : float, optional
        Unit: nats by default, bits for ``base=2``.
    normalize : bool
        Divide counts by their totals.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float, array or tensor, shape (...)
        In [0, inf], nondecreasing in the order. Near equality and for orders near 1 it is computed
        from the alpha-divergence; where the sum of powers is far from 1, from logarithms.

    Raises
    ------
    ValueError
        A negative or NaN order; tensors with order 0 or inf, where there is no derivative.

    References
    ----------
    van Erven and Harremoes, IEEE Trans. Inf. Theory 60 (2014), definitions 2 and 3, theorem 3.

    Examples
    --------
    >>> renyi([1, 0], [0.25, 0.75], order=2, base=2)
    2.0
    >>> renyi([0.5, 0.5], [0.25, 0.75], order=math.inf, base=2)
    1.0
    """
    a = _real(order, "order", finite=False)
    if a < 0.0:
        raise ValueError(f"`order` must be at least 0, got {a:.17g}")
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        x, y = tensor_pair(p, q, normalize=normalize, axis=axis)
        return finished(_tensor_renyi(x, y, a, normalize) / unit, p, q)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(_renyi(pair, a) / unit)


def _renyi(pair: MassPair, a: float) -> Any:
    if a == 1.0:
        return kl_values(pair)
    if a in (0.0, math.inf):
        return _extreme_order(pair, a)
    values = rule_values(power_rule(a), pair)
    # sum p^a q^(1-a) = 1 + a (a - 1) A: log1p where that is near 1, logarithms of powers elsewhere
    excess = a * (a - 1.0) * values
    near = np.abs(excess) <= 0.5
    with np.errstate(all="ignore"):
        result = np.log1p(np.where(near, excess, 0.0)) / (a - 1.0)
    if not near.all():
        result[~near] = _log_sum_of_powers(pair.rows(np.flatnonzero(~near)), a) / (a - 1.0)
    return np.maximum(result, 0.0)


def _extreme_order(pair: MassPair, a: float) -> Any:
    p, q, difference = pair.normalised()
    with np.errstate(all="ignore"):
        if a == 0.0:
            missing = np.where(p > 0.0, 0.0, q).sum(axis=-1)
            shared = np.where(p > 0.0, q, 0.0).sum(axis=-1)
            logs = np.where(missing < 0.5, np.log1p(-np.minimum(missing, 0.5)), np.log(shared))
            return np.maximum(-logs, 0.0)
        logs = np.where(p > 0.0, np.log(p) - np.log(q), -math.inf)
        t = difference / q
        logs = np.where(np.abs(t) < 0.5, np.log1p(np.where(np.abs(t) < 0.5, t, 0.0)), logs)
    return np.maximum(logs.max(axis=-1), 0.0)


def _log_sum_of_powers(pair: MassPair, a: float) -> Any:
    p, q, _ = pair.normalised()
    both = (p > 0.0) & (q > 0.0)
    with np.errstate(all="ignore"):
        logs = a * np.log(p) + (1.0 - a) * np.log(q)
        logs = np.where(both, logs, -math.inf)
        if a > 1.0:
            logs = np.where((p > 0.0) & (q <= 0.0), math.inf, logs)
        top = logs.max(axis=-1)
        finite = np.where(np.isfinite(top), top, 0.0)
        sums = np.log(np.exp(logs - finite[:, None]).sum(axis=-1)) + finite
    # Disjoint supports: the sum is 0, and its logarithm over a - 1 < 0 is +inf.
    return np.where(np.isfinite(top), sums, top)


def _tensor_renyi(p: Any, q: Any, a: float, normalize: bool) -> Any:
    import torch

    if a in (0.0, math.inf):
        raise ValueError(
            f"`order` = {a:g} has no derivative; pass arrays instead of tensors for its value"
        )
    values = tensor_values(power_rule(a), p, q, normalize=normalize)
    if a == 1.0:
        return values
    excess = a * (a - 1.0) * values
    near = abs(excess) <= 0.5
    close = torch.log1p(torch.where(near, excess, 0.0)) / (a - 1.0)
    if bool(near.all()):
        return close
    A, B = p.sum(dim=-1, keepdim=True), q.sum(dim=-1, keepdim=True)
    p, q = (p / A, q / B) if normalize else (p / A.detach(), q / B.detach())
    both = (p > 0.0) & (q > 0.0)
    # Rows without a shared outcome are given a harmless one and set to infinity below.
    disjoint = ~both.any(dim=-1)
    logs = a * torch.log(torch.where(both, p, 1.0)) + (1.0 - a) * torch.log(
        torch.where(both, q, 1.0)
    )
    logs = torch.where(both | disjoint[..., None], logs, -math.inf)
    far = torch.logsumexp(logs, dim=-1) / (a - 1.0)
    lacking = disjoint
    if a > 1.0:
        lacking = ((p > 0.0) & (q <= 0.0)).any(dim=-1)
    return torch.where(near, close, torch.where(lacking, math.inf, far))


def _real(value: Any, name: str, *, finite: bool) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number, got {value!r}")
    number = float(value)
    if math.isnan(number) or (finite and math.isinf(number)):
        raise ValueError(f"`{name}` must be a finite number, got {number}")
    return number
