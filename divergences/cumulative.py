"""W1 of histograms on a common ordered grid: the flow across every gap, line and circle.

Of mass that moves along the line, ``delta_i = sum_{k <= i} (p_k - q_k)`` must cross the gap between
bins ``i`` and ``i + 1``; no plan can move less, and one plan moves exactly that. Integers and
fractions stay exact, floats are read in blocks that fit into the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import (
    SUM_TOLERANCE,
    SUM_TOLERANCE_FLOAT32,
    as_masses,
    check_flag,
    common_shape,
    is_tensor,
)
from divergences.points import refuse_columns
from divergences.rational_histograms import (
    exact_histograms,
    exact_value,
    first_difference,
    gaps_between,
    unequal_totals,
)

__all__ = ["CumulativeW1", "w1_circular", "w1_cumulative"]

_UNIT = 2.0**-53
_PANEL = 20
_TRIANGLE = np.triu(np.ones((_PANEL, _PANEL)))
_BLOCK = 65536  # entries: half a megabyte per array, within a level-2 cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CumulativeW1:
    """W1 of two histograms and the flows that attain it.

    Attributes
    ----------
    value : int, Fraction, float, array or tensor
        ``sum_i gap_i |delta_i|``; one per histogram of a batch, exact for exact masses.
    flows : array or tensor, shape (..., n)
        ``delta_i``, the mass that crosses the gap behind bin ``i`` to the right (negative: to the
        left). On the line the last flow is zero; on the circle it leads back to the first bin.

    Examples
    --------
    >>> w1_cumulative([1, 0], [0, 1]).flows
    array([1, 0])
    """

    value: Any
    flows: Any


def w1_cumulative(
    p: ArrayLike, q: ArrayLike, *, spacing: Any = 1, normalize: bool = False
) -> CumulativeW1:
    r"""W1 of two histograms on one ordered grid: ``sum_i |delta_i|`` times the spacing.

    .. math:: \delta_i = \delta_{i-1} + p_i - q_i, \quad \delta_0 = 0, \qquad
              W_1(p, q) = \sum_{i<n} (x_{i+1} - x_i)\, |\delta_i|.

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        Masses, raw or normalised, of equal totals. Integers and ``Fraction`` are computed exactly;
        tensors stay tensors and are differentiable. Leading axes broadcast.
    spacing : number or sequence of n - 1 numbers
        Distance of neighbouring bins, the same for all or one per gap.
    normalize : bool
        Divide both by their totals first (exactly, for exact masses).

    Returns
    -------
    CumulativeW1

    Raises
    ------
    TypeError, ValueError
        Masses that are not finite and nonnegative, unequal totals (floats may differ by a
        relative 1e-9, float32 by 1e-5: such totals are taken for rounded and evened out), a
        spacing that is not positive.

    Notes
    -----
    The masses are heights over the grid, not samples: for samples use ``wasserstein``. Raw masses
    give the work in units of mass times distance, normalised ones the distance of distributions.
    Floats: the error is at most ``n u (P + Q)`` times the length of the grid, ``u = 2**-53``.

    References
    ----------
    .. [1] S. S. Vallender, "Calculation of the Wasserstein distance between probability
       distributions on the line", Theory Probab. Appl. 18 (1974), Theorem.

    Examples
    --------
    Four piles of earth, as heights and as a distribution:

    >>> piles = w1_cumulative([3, 2, 1, 4], [1, 2, 4, 3])
    >>> piles.value, piles.flows
    (5, array([ 2,  2, -1,  0]))
    >>> w1_cumulative([3, 2, 1, 4], [1, 2, 4, 3], normalize=True).value
    Fraction(1, 2)
    >>> w1_cumulative([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], spacing=0.1).value
    0.1
    """
    check_flag(normalize, "normalize")
    refuse_columns(p, "p", "bin")
    refuse_columns(q, "q", "bin")
    if is_tensor(p) or is_tensor(q):
        from divergences.tensors1d import cumulative

        return CumulativeW1(**cumulative(p, q, spacing, normalize))
    exact = exact_histograms(p, q, normalize)
    if exact is None:
        return _of_floats(p, q, spacing, normalize)
    P, Q = exact
    flows = np.add.accumulate(P - Q, axis=-1)
    gaps = gaps_between(spacing, P.shape[-1], circle=False)
    return CumulativeW1(value=exact_value(flows[..., : len(gaps)], gaps), flows=flows)


def w1_circular(
    p: ArrayLike, q: ArrayLike, *, spacing: Any = 1, normalize: bool = False
) -> CumulativeW1:
    r"""W1 of two histograms on a circle of ``n`` bins.

    .. math:: W_1 = \min_c \sum_{i=1}^n g_i\, |\delta_i - c|,

    attained where ``c`` is a median of the flows of the line, weighted with the gaps: mass may also
    travel from the last bin to the first.

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        As in ``w1_cumulative``.
    spacing : number or sequence of n numbers
        Gap behind each bin; the last one leads from the last bin to the first.
    normalize : bool
        Divide both by their totals first.

    Returns
    -------
    CumulativeW1
        ``flows`` are ``delta_i - c``.

    Raises
    ------
    TypeError, ValueError
        As in ``w1_cumulative``.

    References
    ----------
    .. [1] M. Werman, S. Peleg, R. Melter, T. Y. Kong, "Bipartite graph matching for points on a
       line or a circle", J. Algorithms 7 (1986).
    .. [2] J. Rabin, J. Delon, Y. Gousseau, "Transportation distances on the circle",
       J. Math. Imaging Vis. 41 (2011), Proposition 3.

    Examples
    --------
    >>> w1_circular([1, 0, 0, 0], [0, 0, 0, 1]).value
    1
    """
    if is_tensor(p) or is_tensor(q):
        raise TypeError(
            "`p` and `q` must be arrays, got tensors; pass `.detach().numpy()`, the circular "
            "distance is not differentiated"
        )
    line = w1_cumulative(p, q, normalize=normalize)
    flows = line.flows
    gaps = gaps_between(spacing, flows.shape[-1], circle=True)
    if gaps.dtype != object and flows.dtype == object:
        flows = flows.astype(np.float64)
    flows = flows - _median(flows, gaps)[..., None]
    if flows.dtype == np.float64:
        value = np.abs(flows) @ gaps.astype(np.float64)
        return CumulativeW1(value=float(value) if flows.ndim == 1 else value, flows=flows)
    return CumulativeW1(value=exact_value(flows, gaps), flows=flows)


def _median(flows: NDArray[Any], gaps: NDArray[Any]) -> NDArray[Any]:
    """Lower median of the flows, each weighted with its gap."""
    order = np.argsort(flows, axis=-1, kind="stable")
    below = np.add.accumulate(gaps[order], axis=-1)
    reached = np.asarray(2 * below >= below[..., -1:], dtype=bool)
    first = np.argmax(reached, axis=-1)[..., None]
    return np.take_along_axis(flows, np.take_along_axis(order, first, -1), -1)[..., 0]


# ---- floats --------------------------------------------------------------------------------------
def _of_floats(p: Any, q: Any, spacing: Any, normalize: bool) -> CumulativeW1:
    # `normalize=True` here only waives the total of one: raw masses may be moved as they are.
    P, total_p = as_masses(p, "p", normalize=True)
    Q, total_q = as_masses(q, "q", normalize=True)
    shape = common_shape(P.shape, Q.shape, -1)
    n = P.shape[-1]
    if normalize:
        target = np.ones(())
    else:
        tolerance = max(_tolerance(p), _tolerance(q))
        far = np.abs(total_p - total_q) > tolerance * np.maximum(total_p, total_q)
        if far.any():
            raise unequal_totals(*(v.flat[0] for v in first_difference(total_p, total_q, far)))
        _refuse_scaled(P, p, "p")
        _refuse_scaled(Q, q, "q")
        target = (total_p + total_q) / 2.0
    gaps = gaps_between(spacing, n, circle=False).astype(np.float64)
    rows = int(np.prod(shape, dtype=int))
    flows = np.empty((rows, n))
    values = np.empty(rows)
    P2, Q2 = (np.broadcast_to(M, (*shape, n)).reshape(rows, n) for M in (P, Q))
    a, b = (np.broadcast_to(target / t, shape).reshape(rows, 1) for t in (total_p, total_q))
    # Totals are themselves known to n u only: closer ones need no evening out.
    even = bool(np.all(np.abs(a - 1.0) <= n * _UNIT) and np.all(np.abs(b - 1.0) <= n * _UNIT))
    equal_gaps = float(gaps[0]) if len(gaps) and (gaps == gaps[0]).all() else None
    step = max(1, _BLOCK // n)
    work = np.empty((min(step, rows), n))
    for start in range(0, rows, step):
        block = slice(start, min(start + step, rows))
        difference = work[: block.stop - start]
        if even:
            np.subtract(P2[block], Q2[block], out=difference)
        else:
            np.subtract(P2[block] * a[block], Q2[block] * b[block], out=difference)
        flow = flows[block]
        _running_sums(difference, flow)
        flow[:, -1] = 0.0
        np.abs(flow, out=difference)
        if equal_gaps is None:
            values[block] = difference[:, :-1] @ gaps
        else:
            values[block] = difference.sum(axis=-1) * equal_gaps
    value: Any = float(values[0]) if shape == () else values.reshape(shape)
    return CumulativeW1(value=value, flows=flows.reshape(*shape, n))


def _tolerance(value: Any) -> float:
    narrow = getattr(value, "dtype", None) == np.float32
    return SUM_TOLERANCE_FLOAT32 if narrow else SUM_TOLERANCE


def _running_sums(x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Sums along the rows of a matrix, by panels of a triangular product.

    ``numpy.cumsum`` adds one entry after the other; panels of twenty go through the vector units.
    The error bound ``n u`` of any order of summation holds for both.
    """
    rows, n = x.shape
    main = n - n % _PANEL
    if rows < 2 or n < 4 * _PANEL:
        np.add.accumulate(x, axis=-1, out=out)
        return
    whole = main == n and out.flags.c_contiguous
    panels = out.reshape(-1, _PANEL) if whole else np.empty((rows * main // _PANEL, _PANEL))
    np.matmul(x[:, :main].reshape(-1, _PANEL), _TRIANGLE, out=panels)
    panels = panels.reshape(rows, -1, _PANEL)
    ends = np.add.accumulate(panels[:, :, -1], axis=-1)
    panels[:, 1:] += ends[:, :-1, None]
    if not whole:
        out[:, :main] = panels.reshape(rows, main)
    if main < n:
        tail = out[:, main:]
        np.add.accumulate(x[:, main:], axis=-1, out=tail)
        tail += ends[:, -1:]


def _refuse_scaled(masses: NDArray[np.float64], value: Any, name: str) -> None:
    if masses is value:
        return
    if masses.max() != np.max(np.asarray(value, dtype=np.float64)):
        raise ValueError(
            f"`{name}` must have a total between 2**-500 and 2**500 to be moved as it is; "
            "pass `normalize=True`"
        )
