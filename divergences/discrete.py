"""Divergences of probability vectors, batched, accurate near equality and near saturation.

Every function takes two arrays of masses whose last axis (or ``axis``) runs over the same outcomes,
and returns one number per pair: a float for two vectors, an array for a batch, a tensor for torch
tensors. Conventions: ``0 log 0 = 0``, ``0 log(0/0) = 0``, ``p log(p/0) = inf``. Natural logarithms
unless ``base`` says otherwise.

What all of them accept and refuse: float64, float32 and integer arrays or lists; masses must be
finite, nonnegative and sum to one within 1e-9 (float32: 1e-5), unless ``normalize=True`` says that
they are counts; rounded sums are divided out. TypeError for other dtypes, masked arrays, pandas
objects, and tensors mixed with arrays; ValueError for NaN, infinite or negative masses, wrong sums,
no mass, no outcomes, and unequally many outcomes.

Tensors keep graph, device and dtype. Derivatives are one-sided limits. On vectors that sum to one
they are determined up to a constant in every entry: KL has ``log(p/q)``, not ``log(p/q) + 1``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from divergences.masses import as_mass_pair, as_masses, check_base
from divergences.row_sums import js_values, kl_values, rule_values
from divergences.tensors import (
    are_tensors,
    as_tensor_masses,
    capped,
    finished,
    root,
    tensor_pair,
    tensor_values,
)
from divergences.terms import (
    CHI2,
    CROSS_ENTROPY,
    ENTROPY,
    HELLINGER,
    JS,
    JS_GAP,
    KL,
    TOTAL_VARIATION,
    Rule,
)

__all__ = [
    "chi2",
    "cross_entropy",
    "entropy",
    "hellinger",
    "js",
    "js_distance",
    "js_gap",
    "kl",
    "reverse_kl",
    "total_variation",
]


def kl(
    p: ArrayLike,
    q: ArrayLike,
    *,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """Kullback-Leibler divergence ``KL(p || q) = sum p log(p/q)``.

    Parameters
    ----------
    p, q : array_like or tensor, shape (..., n)
        Masses over the same ``n`` outcomes; leading axes broadcast.
    base : float, optional
        Unit: nats by default, bits for ``base=2``.
    normalize : bool
        Divide counts by their totals.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float, array or tensor, shape (...)
        In [0, inf]; ``inf`` where ``p`` has mass and ``q`` has none. Relative error below 1e-13,
        also for nearly equal arguments, where the textbook sum has no correct digit.

    Raises
    ------
    TypeError, ValueError
        See `divergences.discrete`.

    Notes
    -----
    Not symmetric, no triangle inequality. ``KL = 0`` iff ``p = q``. The order of the arguments is
    that of the formula; ``torch.nn.functional.kl_div`` takes ``(log q, p)``.

    References
    ----------
    Kullback and Leibler, Ann. Math. Statist. 22 (1951); Cover and Thomas, *Elements of Information
    Theory*, 2nd ed., section 2.3 and theorem 2.6.3 (nonnegativity).

    Examples
    --------
    >>> kl([1, 0], [0.5, 0.5], base=2)
    1.0
    >>> kl([0.5, 0.5], [1, 0])
    inf
    >>> kl([[2, 1, 1], [1, 1, 2]], [1, 1, 2], base=2, normalize=True)
    array([0.25, 0.  ])
    """
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        return _of_tensors(KL, p, q, normalize, axis, unit)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(kl_values(pair) / unit)


def reverse_kl(
    p: ArrayLike,
    q: ArrayLike,
    *,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """Reverse Kullback-Leibler divergence ``KL(q || p) = sum q log(q/p)``; arguments as in `kl`.

    References
    ----------
    Nowozin, Cseke and Tomioka, *f-GAN*, NeurIPS 2016, table 1.

    Examples
    --------
    >>> reverse_kl([0.5, 0.5], [1, 0], base=2)
    1.0
    """
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        p, q = tensor_pair(p, q, normalize=normalize, axis=axis)
        return _of_tensors(KL, q, p, normalize, -1, unit)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis).exchanged()
    return pair.result(kl_values(pair) / unit)


def js(
    p: ArrayLike,
    q: ArrayLike,
    *,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """Jensen-Shannon divergence ``KL(p || m)/2 + KL(q || m)/2`` with ``m = (p + q)/2``.

    Parameters are those of `kl`.

    Returns
    -------
    float, array or tensor, shape (...)
        In [0, log 2], and never outside of it by rounding; ``log 2`` iff no outcome is shared.
        Relative error below 1e-13. Not a square root: that is `js_distance`. What is missing to
        ``log 2`` is `js_gap`.

    References
    ----------
    Lin, IEEE Trans. Inf. Theory 37 (1991), theorem 3 (the bound); Goodfellow et al., *Generative
    Adversarial Nets*, NeurIPS 2014, theorem 1.

    Examples
    --------
    >>> js([1, 0], [0, 1], base=2)
    1.0
    >>> f"{js([0.5, 0.5], [0.9, 0.1]):.6f}"
    '0.101749'
    """
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        return _of_tensors(JS, p, q, normalize, axis, unit, largest=math.log(2.0))
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(js_values(pair) / unit)


def js_distance(
    p: ArrayLike,
    q: ArrayLike,
    *,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """Square root of the Jensen-Shannon divergence, which is a metric; arguments as in `kl`.

    A tensor's derivative where ``p = q``, a kink, is returned as 0.

    References
    ----------
    Endres and Schindelin, IEEE Trans. Inf. Theory 49 (2003), theorem 1.

    Examples
    --------
    >>> js_distance([1, 0], [0, 1], base=2)
    1.0
    """
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        a, b = tensor_pair(p, q, normalize=normalize, axis=axis)
        values = capped(tensor_values(JS, a, b, normalize=normalize), math.log(2.0))
        return finished(root(values / unit), p, q)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(np.sqrt(js_values(pair) / unit))


def js_gap(
    p: ArrayLike,
    q: ArrayLike,
    *,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """``log 2 - JS(p, q)``, what the Jensen-Shannon divergence lacks to saturation.

    For nearly disjoint distributions ``js`` is the float ``log 2`` and this is the information:
    ``sum [p log(1 + q/p) + q log(1 + p/q)] / 2``, whose summands are nonnegative. Arguments as in
    `kl`.

    Returns
    -------
    float, array or tensor, shape (...)
        In [0, log 2], 0 iff no outcome is shared. Relative error below 1e-13 down to 1e-300.

    References
    ----------
    Lin, IEEE Trans. Inf. Theory 37 (1991), theorem 3.

    Examples
    --------
    >>> p, q = [1.0, 1e-300], [0.0, 1.0]
    >>> js(p, q, base=2), f"{js_gap(p, q, base=2):.6e}"
    (1.0, '4.990106e-298')
    """
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        return _of_tensors(JS_GAP, p, q, normalize, axis, unit, largest=math.log(2.0))
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(np.minimum(rule_values(JS_GAP, pair), math.log(2.0)) / unit)


def total_variation(p: ArrayLike, q: ArrayLike, *, normalize: bool = False, axis: int = -1) -> Any:
    """Total variation distance ``max_A |p(A) - q(A)| = sum |p - q| / 2``.

    Parameters are those of `kl`. Half of the l1 distance, hence at most 1; some authors leave out
    the factor. A tensor's derivative where masses agree is returned as 0.

    References
    ----------
    Levin, Peres and Wilmer, *Markov Chains and Mixing Times*, 2nd ed., proposition 4.2.

    Examples
    --------
    >>> total_variation([0.75, 0.25], [0.25, 0.75])
    0.5
    """
    if are_tensors(p=p, q=q):
        return _of_tensors(TOTAL_VARIATION, p, q, normalize, axis, 1.0, largest=1.0)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(np.minimum(rule_values(TOTAL_VARIATION, pair), 1.0))


def hellinger(p: ArrayLike, q: ArrayLike, *, normalize: bool = False, axis: int = -1) -> Any:
    """Hellinger distance ``sqrt(sum (sqrt p - sqrt q)^2 / 2) = sqrt(1 - sum sqrt(p q))``.

    Parameters are those of `kl`. A metric with values in [0, 1]; 1 iff no outcome is shared. A
    tensor's derivative where ``p = q``, a kink, is returned as 0.

    References
    ----------
    Tsybakov, *Introduction to Nonparametric Estimation*, section 2.4, lemma 2.3 for
    ``H^2 <= TV <= sqrt(2) H`` (with the 1/2 of this definition).

    Examples
    --------
    >>> hellinger([1, 0], [0, 1])
    1.0
    >>> f"{hellinger([0.5, 0.5], [1, 0]) ** 2:.6f}"
    '0.292893'
    """
    if are_tensors(p=p, q=q):
        a, b = tensor_pair(p, q, normalize=normalize, axis=axis)
        values = capped(tensor_values(HELLINGER, a, b, normalize=normalize), 1.0)
        return finished(root(values), p, q)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(np.sqrt(np.minimum(rule_values(HELLINGER, pair), 1.0)))


def chi2(p: ArrayLike, q: ArrayLike, *, normalize: bool = False, axis: int = -1) -> Any:
    """Pearson's divergence ``chi2(p || q) = sum (p - q)^2 / q``.

    Parameters are those of `kl`. ``inf`` where ``p`` has mass and ``q`` has none. Bounds KL:
    ``KL <= log(1 + chi2)``.

    References
    ----------
    Tsybakov, *Introduction to Nonparametric Estimation*, section 2.4, lemma 2.7.

    Examples
    --------
    >>> chi2([0.5, 0.5], [0.25, 0.75])
    0.3333333333333333
    """
    if are_tensors(p=p, q=q):
        return _of_tensors(CHI2, p, q, normalize, axis, 1.0)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    return pair.result(rule_values(CHI2, pair))


def entropy(
    p: ArrayLike, *, base: float | None = None, normalize: bool = False, axis: int = -1
) -> Any:
    """Shannon entropy ``H(p) = -sum p log p``, between 0 and ``log n``; arguments as in `kl`.

    References
    ----------
    Cover and Thomas, *Elements of Information Theory*, 2nd ed., section 2.1.

    Examples
    --------
    >>> entropy([0.5, 0.25, 0.25], base=2)
    1.5
    """
    unit = check_base(base)
    if are_tensors(p=p):
        masses = as_tensor_masses(p, "p", normalize=normalize, axis=axis)
        values = tensor_values(ENTROPY, masses, masses.detach(), normalize=normalize)
        return finished(values / unit + 0.0, p)
    masses, totals = as_masses(p, "p", normalize=normalize, axis=axis)
    masses = masses / totals[..., None]
    logs = np.log(np.where(masses > 0.0, masses, 1.0))
    # A nearly certain outcome has no digits left in log p: they are in the sum of the others.
    top = masses.argmax(axis=-1)[..., None]
    others = masses.copy()
    np.put_along_axis(others, top, 0.0, axis=-1)
    rest = others.sum(axis=-1, keepdims=True)
    top_log = np.take_along_axis(logs, top, axis=-1)
    top_log = np.where(rest < 0.25, np.log1p(-np.minimum(rest, 0.25)), top_log)
    np.put_along_axis(logs, top, top_log, axis=-1)
    # Adding 0 turns the -0.0 of a certain outcome into 0.0.
    return _plain(-(masses * logs).sum(axis=-1) / unit + 0.0)


def cross_entropy(
    p: ArrayLike,
    q: ArrayLike,
    *,
    base: float | None = None,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """Cross entropy ``-sum p log q = H(p) + KL(p || q)``; arguments as in `kl`.

    ``inf`` where ``p`` has mass and ``q`` has none. For the empirical distribution of a sample it
    is the average negative log-likelihood of the model ``q``.

    References
    ----------
    Cover and Thomas, *Elements of Information Theory*, 2nd ed., theorem 5.4.3.

    Examples
    --------
    >>> cross_entropy([0.75, 0.25], [0.5, 0.5], base=2)
    1.0
    """
    unit = check_base(base)
    if are_tensors(p=p, q=q):
        return _of_tensors(CROSS_ENTROPY, p, q, normalize, axis, unit)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    # Adding 0 turns -0.0 into 0.0.
    return pair.result(rule_values(CROSS_ENTROPY, pair) / unit + 0.0)


def _of_tensors(
    rule: Rule,
    p: Any,
    q: Any,
    normalize: bool,
    axis: int,
    unit: float,
    *,
    largest: float = math.inf,
) -> Any:
    a, b = tensor_pair(p, q, normalize=normalize, axis=axis)
    values = tensor_values(rule, a, b, normalize=normalize)
    return finished(capped(values, largest) / unit + 0.0, p, q)


def _plain(values: Any) -> Any:
    return float(values) if np.ndim(values) == 0 else values
