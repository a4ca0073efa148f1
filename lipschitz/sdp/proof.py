"""The proof that multipliers bound a Lipschitz constant, in floating point, in time O(depth).

Let ``x, phi_1, ..., phi_k, y`` be the changes of the input, of the activations and of the output
between two inputs, and ``v_i = W_i phi_(i-1)``. Slopes in ``[a, b]`` mean ``(phi - a v)(phi - b v)
<= 0`` for every neuron, so that with multipliers ``t >= 0``

    rho |x|^2 - |y|^2  >=  rho |x|^2 - |y|^2 + sum_j t_j (phi_j - a_j v_j)(phi_j - b_j v_j).

If the right side is a positive semidefinite form in ``(x, phi)``, then ``|y|^2 <= rho |x|^2``
(Fazlyab et al. 2019, Theorem 2). It is if and only if the *block tridiagonal* matrix ``S`` with

    diagonal blocks   D_i + W_(i+1)^T Q_(i+1) W_(i+1)      D = (rho, t_1, ..., t_k, 1),  Q = t a b
    blocks below      -H_i W_i                             H_i = t_i (a_i + b_i) / 2,  H_(k+1) = 1

is (eliminate ``y``). `prove_multipliers` needs no property of any factorisation: some lower
triangular ``L`` is proposed by block Cholesky, and ``S - L L^T`` is bounded entry by entry. A
symmetric matrix whose diagonal entries are at least the sums of the absolute values of the others
in their rows is positive semidefinite (Gershgorin); then so is ``S = L L^T + (S - L L^T)``.

Every entry of ``L L^T`` is a sum of products, in which no product passes through more than ``n``
roundings: its error is at most ``gamma(n)`` times the same sum of absolute values (Higham,
*Accuracy and Stability of Numerical Algorithms*, section 3.1), and only row sums of such bounds are
needed, hence products of matrices of absolute values with the vector of ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evidence.rounding import gamma, mul_down
from lipschitz.layers.balls import inflate
from lipschitz.layers.contract import Array
from lipschitz.sdp.feedforward import FeedForward

__all__ = ["prove_multipliers"]

_LARGEST = 2.0**64
# Numbers of the scaled problem are at most 2**64, products of five of them at most 2**320, and
# an underflow is an absolute error of 2**-1074: all of them together are far below this.
_UNDERFLOW = 2.0**-500


@dataclass(slots=True)
class _Form:
    """``S``: diagonals, the dense parts of diagonal blocks, the blocks below, errors by rows."""

    diagonal: list[Array]
    gram: list[Array | None]
    below: list[Array]
    error: list[Array]
    """Row sums of a symmetric matrix that bounds the distance from the exact ``S``."""


def prove_multipliers(feedforward: FeedForward, multipliers: Sequence[Array], upper: float) -> bool:
    """Whether these multipliers prove that the Lipschitz constant is at most ``upper``.

    Parameters
    ----------
    feedforward : FeedForward
        All weights within ``errors`` and all slopes are meant.
    multipliers : sequence of arrays, shapes (n_1,), ..., (n_k,)
        Positive ``t`` of every hidden neuron, for ``rho = upper**2``.
    upper : float
        From l2 to l2.

    Returns
    -------
    bool
        True is a theorem. False says that this is no proof: multipliers that are not positive and
        finite, of other shapes, or a matrix that is not provably positive semidefinite.

    References
    ----------
    Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and Accurate Estimation of Lipschitz
    Constants for Deep Neural Networks*, NeurIPS 2019, Theorem 2 (LipSDP-Neuron).

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp.feedforward import feed_forward
    >>> net = feed_forward(from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]]))  # relu(x) - relu(-x)
    >>> prove_multipliers(net, [np.array([4.0, 4.0])], 2.0 * (1 + 1e-9))
    True
    >>> prove_multipliers(net, [np.array([4.0, 4.0])], 2.0 * (1 - 1e-9))
    False
    """
    scaled = _scaled(feedforward, multipliers, upper)
    if scaled is None:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        form = _form(*scaled)
        return _is_semidefinite(_narrow_last(form))


def _scaled(
    net: FeedForward, multipliers: Sequence[Array], upper: float
) -> tuple[FeedForward, list[Array], float] | None:
    """Exact powers of two that bring ``rho`` and all ``t`` between 1/4 and 2.

    ``x' = 2**e x`` and ``phi'_j = 2**p_j phi_j`` turn ``rho`` into ``2**(-2 e) rho``, ``t_j`` into
    ``2**(-2 p_j) t_j`` and scale rows and columns of the weights; slopes stay what they are.
    """
    if not (isinstance(upper, float) and 0.0 < upper < math.inf):
        return None
    given = [np.asarray(t, dtype=np.float64) for t in multipliers]
    if [t.shape for t in given] != [a.shape for a in net.slope_lower]:
        return None
    if not all((np.isfinite(t) & (t > 0.0)).all() for t in given):
        return None
    mantissa, exponent = math.frexp(upper)
    powers = [np.full(net.widths[0], exponent)]
    scaled_t = []
    for t in given:
        powers.append(np.frexp(t)[1] // 2)
        scaled_t.append(np.ldexp(t, -2 * powers[-1]))
    powers.append(np.zeros(net.widths[-1], dtype=np.int64))
    weights, errors = [], []
    for i, (w, e) in enumerate(zip(net.weights, net.errors, strict=True)):
        shift = powers[i + 1][:, None] - powers[i][None, :]
        with np.errstate(over="ignore", under="ignore"):
            weights.append(np.ldexp(w, shift))
            errors.append(np.ldexp(e, shift) if e.any() else e)
        if not (np.abs(weights[-1]).max() <= _LARGEST and errors[-1].max() <= _LARGEST):
            return None
    slopes = [*net.slope_lower, *net.slope_upper]
    if any(np.abs(s).max() > _LARGEST for s in slopes):
        return None
    scaled = FeedForward(
        weights=tuple(weights),
        errors=tuple(errors),
        slope_lower=net.slope_lower,
        slope_upper=net.slope_upper,
    )
    return scaled, scaled_t, mul_down(mantissa, mantissa)


def _form(net: FeedForward, multipliers: list[Array], rho: float) -> _Form:
    """``S`` in floats, with row sums of its error."""
    widths = net.widths
    diagonal = [np.full(widths[0], rho), *multipliers, np.ones(widths[-1])]
    gram: list[Array | None] = [None] * len(diagonal)
    error = [np.full(n, _UNDERFLOW) for n in widths]
    below = []
    for i, (w, e) in enumerate(zip(net.weights, net.errors, strict=True)):
        n = max(w.shape) + 8
        size, doubt = np.abs(w), e
        if i < len(multipliers):
            t, a, b = multipliers[i], net.slope_lower[i], net.slope_upper[i]
            h, q = 0.5 * (t * (a + b)), t * (a * b)
        else:
            h, q = np.ones(len(w)), np.zeros(len(w))
        # H W: at most three roundings, and the errors of the weights.
        below.append(-h[:, None] * w)
        radius = gamma(4) * np.abs(below[-1])
        if doubt.any():
            radius = radius + np.abs(h)[:, None] * doubt
        error[i + 1] = error[i + 1] + inflate(radius.sum(axis=1), n)
        error[i] = error[i] + inflate(radius.sum(axis=0), n)
        if q.any():
            gram[i] = w.T @ (q[:, None] * w)
            weight = np.abs(q)
            rows = gamma(n) * (size.T @ (weight * size.sum(axis=1)))
            if doubt.any():
                # |W + E|^T Q |W + E| - |W|^T Q |W|, applied to the vector of ones.
                rows = rows + doubt.T @ (weight * (size + doubt).sum(axis=1))
                rows = rows + size.T @ (weight * doubt.sum(axis=1))
            error[i] = error[i] + inflate(rows, 2 * n)
    return _Form(diagonal=diagonal, gram=gram, below=below, error=error)


def _narrow_last(form: _Form) -> _Form:
    """With one hidden layer that is wider than input and output together: ``phi`` comes first.

    Its block is diagonal, so that what remains is a small matrix in ``(x, y)``. This only permutes
    the rows and columns of ``S``.
    """
    if len(form.diagonal) != 3 or len(form.diagonal[1]) <= len(form.diagonal[0]):
        return form
    outer = np.concatenate([form.diagonal[0], form.diagonal[2]])
    gram = None
    if form.gram[0] is not None:
        n = len(form.diagonal[0])
        gram = np.zeros((len(outer), len(outer)))
        gram[:n, :n] = form.gram[0]
    return _Form(
        diagonal=[form.diagonal[1], outer],
        gram=[None, gram],
        below=[np.concatenate([form.below[0].T, form.below[1]])],
        error=[form.error[1], np.concatenate([form.error[0], form.error[2]])],
    )


# ---- S - L L^T is diagonally dominant -----------------------------------------------------------
def _is_semidefinite(form: _Form) -> bool:
    units = 2.0**-53 * (8 + max(len(d) for d in form.diagonal))
    shift = [1.0625 * e + 4.0 * units * d for e, d in zip(form.error, form.diagonal, strict=True)]
    for _ in range(4):
        factor = _block_cholesky(form, shift)
        if factor is None:
            return False
        lacking = _lacking_dominance(form, *factor)
        if all((part <= 0.0).all() for part in lacking):
            return True
        if not all(np.isfinite(part).all() for part in lacking):
            return False
        # What is lacking may be less than the diagonal's last digit: at least that is added.
        shift = [
            s + np.where(part > 0.0, 1.25 * part + 4.0 * units * d, 0.0)
            for s, part, d in zip(shift, lacking, form.diagonal, strict=True)
        ]
    return False


def _block_cholesky(form: _Form, shift: list[Array]) -> tuple[list[Array], list[Array]] | None:
    """Some ``L``: diagonal blocks (a diagonal one as a vector) and blocks below them."""
    from scipy.linalg import solve_triangular

    blocks: list[Array] = []
    below: list[Array] = []
    for i, (d, gram) in enumerate(zip(form.diagonal, form.gram, strict=True)):
        pivot = d - shift[i]
        if i == 0 and gram is None:
            if not (pivot > 0.0).all():
                return None
            blocks.append(np.sqrt(pivot))
            continue
        matrix = np.zeros((len(d), len(d))) if gram is None else gram.copy()
        matrix.flat[:: len(d) + 1] += pivot
        if i > 0:
            b = form.below[i - 1]
            if blocks[-1].ndim == 1:
                below.append(b / blocks[-1])
            else:
                half = solve_triangular(blocks[-1], b.T, lower=True, check_finite=False)
                below.append(np.ascontiguousarray(half.T))
            matrix -= below[-1] @ below[-1].T
        if not np.isfinite(matrix).all():
            return None
        try:
            blocks.append(np.asarray(np.linalg.cholesky(matrix), dtype=np.float64))
        except np.linalg.LinAlgError:
            return None
    return blocks, below


def _lacking_dominance(form: _Form, blocks: list[Array], below: list[Array]) -> list[Array]:
    """For every row of ``S - L L^T``: the sum of the others plus all errors, less the diagonal."""
    sums = [e.copy() for e in form.error]
    diagonals = []
    for i, (d, gram, block) in enumerate(zip(form.diagonal, form.gram, blocks, strict=True)):
        if block.ndim == 1:
            diagonals.append(d - block * block)
            sums[i] += inflate(gamma(3) * (d + block * block), 4)
            continue
        n = len(d)
        rest = np.zeros((n, n)) if gram is None else gram.copy()
        rest.flat[:: n + 1] += d
        size = np.abs(rest).sum(axis=1) + _square_sums(block)
        terms = n
        if i > 0:
            lower = below[i - 1]
            rest -= lower @ lower.T
            size = size + _square_sums(lower)
            terms = max(terms, lower.shape[1])
            rows, columns = _residual_sums(form.below[i - 1], lower, blocks[i - 1])
            sums[i] += rows
            sums[i - 1] += columns
        rest -= block @ block.T
        diagonals.append(rest.diagonal().copy())
        rest.flat[:: n + 1] = 0.0
        # No product passes through more than `terms + 3` roundings on its way into `rest`.
        sums[i] += inflate(np.abs(rest).sum(axis=1) + gamma(terms + 4) * size, 3 * terms + 16)
    return [inflate(s, 8) - d for s, d in zip(sums, diagonals, strict=True)]


def _square_sums(lower: Array) -> Array:
    """Row sums of ``|L| |L|^T``."""
    size = np.abs(lower)
    return np.asarray(size @ size.sum(axis=0))


def _residual_sums(b: Array, lower: Array, block: Array) -> tuple[Array, Array]:
    """Row and column sums of ``|B - L' L^T|``, rounding included."""
    if block.ndim == 1:
        product, size = lower * block, np.abs(lower) * block
        rows, columns = size.sum(axis=1), size.sum(axis=0)
    else:
        product = lower @ block.T
        size_lower, size_block = np.abs(lower), np.abs(block)
        rows = size_lower @ size_block.sum(axis=0)
        columns = size_block @ size_lower.sum(axis=0)
    n = max(b.shape)
    rest, size = np.abs(b - product), np.abs(b)
    constant = gamma(len(block) + 3)
    return (
        inflate(rest.sum(axis=1) + constant * (rows + size.sum(axis=1)), 3 * n + 16),
        inflate(rest.sum(axis=0) + constant * (columns + size.sum(axis=0)), 3 * n + 16),
    )
