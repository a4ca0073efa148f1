"""The semidefinite bound of a Jacobian with unknown slopes, and its proof.

For ``u = t dv`` with ``0 <= t <= 1`` one has ``u (u - dv) <= 0``. Hence, for every ``t_j >= 0``: if

    S = rho |dx|^2 - |C_x dx + C_u u|^2 + 2 sum_j t_j u_j (u_j - dv_j)

is positive semidefinite as a quadratic form in ``(dx, u)``, then ``|dy|^2 <= rho |dx|^2`` (LipSDP
with diagonal multipliers, on the reduced form of `lipschitz.local_form`: neurons whose slope is
known have left it, so that it is small where a domain is). The smallest ``rho`` is sought by
Newton's method on ``rho / mu - log det S - sum log t``: every matrix of a constraint has rank two,
so that a step is one inverse and a few entrywise products. The search is in plain floating point;
what it finds is proved by one Cholesky factorisation of ``S`` with all rounding accounted for.

References
----------
Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and accurate estimation of Lipschitz constants
for deep neural networks*, NeurIPS 2019, theorem 2; Boyd and Vandenberghe, *Convex optimization*,
section 11.3, for the barrier method.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from evidence import is_positive_definite
from evidence.rounding import sqrt_up
from lipschitz.layers.balls import Ball, add, exactly, inflate, matmul, multiply
from lipschitz.local_form import SlopeForm, norm_above
from lipschitz.operators import operator_norm

__all__ = ["form_is_positive", "semidefinite_norm"]

Array = NDArray[np.float64]

_INFLATIONS = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
_MOST_UNKNOWNS = 1500
_JITTER = 1e-9
_CENTERING = 30
_SHRINKING = 0.25


def semidefinite_norm(
    form: SlopeForm, *, rtol: float = 1e-3, deadline: float = math.inf
) -> tuple[float, Array]:
    """A proved upper bound of ``|dy| / |dx|`` in l2, and the multipliers that prove it.

    Parameters
    ----------
    form : SlopeForm
    rtol : float
        Relative distance from the smallest provable bound at which the search stops.
    deadline : float
        In the time of `time.perf_counter`; the search stops after it.

    Returns
    -------
    upper, multipliers
        ``inf`` and zeros if the form is too large or nothing could be proved.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.linear_bounds import bound_values
    >>> from lipschitz.local_form import slope_form
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])  # |x|
    >>> upper, _ = semidefinite_norm(slope_form(bound_values(network, Box([-1.0], [1.0]))))
    >>> 1.0 <= upper < 1.5
    True
    """
    if form.unknowns == 0:
        return operator_norm(form.outputs[0], 2, 2, error=form.outputs[1]).upper, np.zeros(0)
    failed = math.inf, np.zeros(form.unknowns)
    if form.unknowns > _MOST_UNKNOWNS or time.perf_counter() > deadline:
        return failed
    if not (np.isfinite(form.arguments[0]).all() and np.isfinite(form.outputs[0]).all()):
        return failed
    if not form.outputs[0].any():
        return norm_above(form.outputs, 2) if not form.outputs[1].any() else math.inf, failed[1]
    with np.errstate(all="ignore"):
        rho, multipliers = _minimise(_Problem(form), rtol, deadline)
    if not (math.isfinite(rho) and rho > 0.0):
        return failed
    for inflation in _INFLATIONS:
        candidate = rho * (1.0 + inflation)
        if form_is_positive(form, multipliers, candidate):
            return sqrt_up(candidate), multipliers
    return failed


def form_is_positive(form: SlopeForm, multipliers: Array, rho: float) -> bool:
    """Whether ``S`` is proved positive definite for every matrix within the errors of the form.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.linear_bounds import bound_values
    >>> from lipschitz.local_form import slope_form
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])  # x, as relu(x) - relu(-x)
    >>> form = slope_form(bound_values(network, Box([-1.0], [1.0])))
    >>> form_is_positive(form, np.array([2.0, 2.0]), 4.0001)
    True
    >>> form_is_positive(form, np.array([2.0, 2.0]), 3.9999)
    False
    """
    n, size = form.inputs, form.inputs + form.unknowns
    if not (np.isfinite(multipliers).all() and (multipliers >= 0.0).all() and rho > 0.0):
        return False
    gram = matmul((form.outputs[0].T, form.outputs[1].T), form.outputs)
    weight = exactly(-multipliers[:, None])
    cross = multiply(weight, form.arguments)
    center, radius = -gram[0], gram[1].copy()
    center = 0.5 * center + 0.5 * center.T
    radius = np.maximum(radius, radius.T) + np.abs(-gram[0] - center) * (1.0 + 2.0**-50)
    # No unknown reads a later one, so that each entry below the diagonal gets one product.
    part = np.zeros((size, size)), np.zeros((size, size))
    part[0][n:], part[1][n:] = cross
    part = part[0] + part[0].T, part[1] + part[1].T
    diagonal = np.concatenate([np.full(n, rho), 2.0 * multipliers])
    center, radius = add(add((center, radius), part), exactly(np.diag(diagonal)))
    center = np.tril(center) + np.tril(center, -1).T
    radius = np.maximum(radius, radius.T)
    return _is_proved_definite((center, radius))


def _is_proved_definite(matrix: Ball) -> bool:
    """By one Cholesky factorisation, after scaling by powers of two, which is exact here."""
    center, radius = matrix
    diagonal = center.diagonal()
    if not (np.isfinite(center).all() and np.isfinite(radius).all() and (diagonal > 0.0).all()):
        return False
    exponents = -np.round(0.5 * np.log2(diagonal)).astype(np.int64)
    scaled = np.ldexp(np.ldexp(center, exponents[:, None]), exponents)
    error = np.ldexp(np.ldexp(radius, exponents[:, None]), exponents)
    back = np.ldexp(np.ldexp(scaled, -exponents[:, None]), -exponents)
    error = error + np.abs(back - center) + np.where(back == center, 0.0, 1.0)
    # A symmetric matrix of entries at most E has a spectral norm of at most its largest row sum.
    largest = float(inflate(error.sum(axis=1), len(error) + 4).max())
    return is_positive_definite(scaled, math.nextafter(largest, math.inf))


# ---- the search ---------------------------------------------------------------------------------
class _Problem:
    """The form in plain floating point, with the inputs rotated into the span that matters."""

    def __init__(self, form: SlopeForm) -> None:
        n, count = form.inputs, form.unknowns
        v, c = form.arguments[0].copy(), form.outputs[0].copy()
        # A neuron that nothing reaches, or that reaches nothing, has no best multiplier but a
        # limit, zero or infinity: a tiny weight makes it finite and costs next to nothing.
        size_v, size_c = float(np.abs(v).max()), float(np.abs(c).max(initial=0.0))
        v[np.abs(v).max(axis=1) <= 1e-12 * size_v, 0] = _JITTER * size_v or 1.0
        read = np.maximum(np.abs(v).max(axis=0) / (size_v or 1.0), np.abs(c).max(axis=0) / size_c)
        c[0, n:][read[n:] <= 1e-12] = _JITTER * size_c
        direct = np.concatenate([v[:, :n], c[:, :n]])
        if len(direct) < n:
            # An orthonormal basis of the rows: what is orthogonal to them changes nothing.
            basis = np.linalg.qr(direct.T)[0]
            v = np.concatenate([v[:, :n] @ basis, v[:, n:]], axis=1)
            c = np.concatenate([c[:, :n] @ basis, c[:, n:]], axis=1)
            n = basis.shape[1]
        self.arguments, self.inputs, self.layers = v, n, form.layers
        self.gram = c.T @ c
        self.columns = np.arange(n, n + count)
        self.second = -v.T.copy()  # q_j = e_j - v_j, beside p_j = e_j
        self.second[self.columns, np.arange(count)] += 1.0

    def matrix(self, rho: float, t: Array) -> Array:
        """``S``."""
        n = self.inputs
        s = -self.gram
        cross = t[:, None] * self.arguments
        s[n:] -= cross
        s[:, n:] -= cross.T
        s[np.arange(n), np.arange(n)] += rho
        s[self.columns, self.columns] += 2.0 * t
        return s

    def start(self) -> tuple[float, Array]:
        """Multipliers that make S diagonally dominant, from the last unknowns to the first."""
        n, t = self.inputs, np.zeros(len(self.columns))
        total, sizes = np.abs(self.gram), np.abs(self.arguments)
        for part in reversed(self.layers):
            # 2 u v <= u^2 + v^2 leaves t_j u_j^2 on the diagonal and adds t_j v_j^2 to the rest.
            t[part] = 1.1 * total[self.columns[part]].sum(axis=1)
            total += sizes[part].T @ (t[part, None] * sizes[part])
        return 1.1 * float(total[:n].sum(axis=1).max()), t


def _minimise(problem: _Problem, rtol: float, deadline: float) -> tuple[float, Array]:
    """``rho`` and multipliers close to the optimum; feasible whenever it stops."""
    rho, t = problem.start()
    y = np.concatenate([[rho], t])
    factor = _factor(problem.matrix(rho, t))
    if factor is None:
        return math.inf, t
    complexity = len(problem.gram) + len(t)  # at the centre the duality gap is this times mu
    mu, finished = rho / complexity, False
    while not finished:
        finished = complexity * mu < rtol * y[0]
        for _ in range(_CENTERING):
            if time.perf_counter() > deadline:
                return float(y[0]), y[1:]
            step, slope = _newton(problem, factor, y[1:], mu)
            new, new_factor = _line_search(problem, y, step, slope, factor, mu)
            if new_factor is None:
                return float(y[0]), y[1:]
            y, factor = new, new_factor
            if slope > -0.5:
                break
        mu *= _SHRINKING
    return float(y[0]), y[1:]


def _newton(problem: _Problem, factor: Array, t: Array, mu: float) -> tuple[Array, float]:
    """The Newton step of the barrier function and the derivative along it."""
    from scipy.linalg import lapack

    n, count = problem.inputs, len(t)
    inverse = lapack.dpotri(factor, lower=1)[0]
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    zq = inverse @ problem.second
    zpq = zq[n:]
    hessian = np.empty((count + 1, count + 1))
    hessian[1:, 1:] = 2.0 * (inverse[n:, n:] * (problem.second.T @ zq) + zpq * zpq.T)
    hessian[1:, 1:].flat[:: count + 1] += 1.0 / t**2
    hessian[0, 0] = float(np.sum(inverse[:n, :n] ** 2))
    hessian[0, 1:] = hessian[1:, 0] = 2.0 * np.einsum("xj,xj->j", inverse[:n, n:], zq[:n])
    gradient = np.concatenate(
        [[1.0 / mu - np.trace(inverse[:n, :n])], -2.0 * zpq.diagonal() - 1.0 / t]
    )
    scale = 1.0 / np.sqrt(hessian.diagonal())
    scaled = hessian * scale[:, None] * scale
    for ridge in (1e-14, 1e-11, 1e-8):
        scaled.flat[:: count + 2] = 1.0 + ridge
        solution, failed = lapack.dposv(scaled, scale * gradient, lower=1)[1:]
        if not failed:
            step = -scale * solution
            return step, float(gradient @ step)
    return -(scale**2) * gradient, -float(np.sum((scale * gradient) ** 2))


def _line_search(
    problem: _Problem, y: Array, step: Array, slope: float, factor: Array, mu: float
) -> tuple[Array, Array | None]:
    """The point after a step that lowers the barrier function, and the factor of S there."""
    falling = step < 0.0
    length = min(1.0, 0.98 * float(np.min(-y[falling] / step[falling], initial=math.inf)))
    here = _barrier(y, factor, mu)
    while length > 1e-9:
        new = y + length * step
        new_factor = _factor(problem.matrix(float(new[0]), new[1:]))
        if new_factor is not None and _barrier(new, new_factor, mu) <= here + (
            0.1 * length * slope + 1e-9 * abs(here)
        ):
            return new, new_factor
        length *= 0.5
    return y, None


def _barrier(y: Array, factor: Array, mu: float) -> float:
    logarithms = 2.0 * float(np.log(factor.diagonal()).sum()) + float(np.log(y[1:]).sum())
    return float(y[0]) / mu - logarithms


def _factor(matrix: Array) -> Array | None:
    try:
        return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
