"""What others do about games: loops in numpy and torch, eigenvalues, PEPit, and slow exactness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "dense_radius",
    "eigenvalue_share",
    "exactly_stable",
    "has_pepit",
    "pepit_worst_case",
    "per_seed_autograd",
    "stepped_in_place",
]

Array = NDArray[np.float64]


# ---- orbits -------------------------------------------------------------------------------------
def stepped_in_place(starts: Array, step_size: float, steps: int) -> Array:
    """Alternating steps on ``x y`` for all starts at once, the fastest way numpy offers."""
    x, y = starts[:, 0].copy(), starts[:, 1].copy()
    change = np.empty_like(x)
    for _ in range(steps):
        np.multiply(y, step_size, out=change)
        np.subtract(x, change, out=x)
        np.multiply(x, step_size, out=change)
        np.add(y, change, out=y)
    return np.stack([x, y], axis=-1)


def per_seed_autograd(
    loss: Callable[[Any, Any], Any], starts: Array, step_size: float, steps: int
) -> Array:
    """Simultaneous steps by torch's autograd, one start after the other."""
    import torch

    finals = []
    for start in starts:
        x, y = (torch.tensor([value], dtype=torch.float64) for value in start.tolist())
        for _ in range(steps):
            x.requires_grad_()
            y.requires_grad_()
            gx, gy = torch.autograd.grad(loss(x, y), (x, y))
            x, y = (x - step_size * gx).detach(), (y + step_size * gy).detach()
        finals.append([x.item(), y.item()])
    return np.array(finals)


# ---- stability ----------------------------------------------------------------------------------
def eigenvalue_share(matrices: Sequence[Array]) -> NDArray[np.bool_]:
    """``max |eigvals| < 1`` of one matrix after the other."""
    return np.array([bool(np.abs(np.linalg.eigvals(M)).max() < 1.0) for M in matrices])


def dense_radius(matrices: Sequence[Array]) -> Array:
    """Spectral radii of one matrix after the other."""
    return np.array([float(np.abs(np.linalg.eigvals(M)).max()) for M in matrices])


def exactly_stable(coefficients: Sequence[Fraction]) -> bool:
    """Whether all roots lie inside the unit circle, by the Schur-Cohn recursion in fractions."""
    a = list(coefficients)
    while len(a) > 1 and a[-1] == 0:
        a.pop()  # a root at 0
    while len(a) > 1:
        if abs(a[-1]) >= abs(a[0]):
            return False
        k = a[-1] / a[0]
        n = len(a) - 1
        a = [a[i] - k * a[n - i] for i in range(n)]
    return True


# ---- worst cases --------------------------------------------------------------------------------
def has_pepit() -> bool:
    """Whether PEPit can be imported."""
    return find_spec("PEPit") is not None


def pepit_worst_case(method: str, iterations: int, metric: str) -> float:
    """Worst case over all skew-symmetric operators of norm 1 and all starts at distance 1.

    The methods are written out here, apart from the package: ``metric`` is the squared distance
    from the solution, or the squared norm of the operator at the last iterate.
    """
    from PEPit import PEP
    from PEPit.operators import SkewSymmetricLinearOperator

    problem = PEP()
    operator = problem.declare_function(SkewSymmetricLinearOperator, L=1.0)
    solution = operator.stationary_point()
    start = problem.set_initial_point()
    problem.set_initial_condition((start - solution) ** 2 <= 1)
    final = _METHODS[method](operator.gradient, start, iterations)
    is_distance = metric == "distance"
    problem.set_performance_metric(
        (final - solution) ** 2 if is_distance else operator.gradient(final) ** 2
    )
    return float(problem.solve(verbose=0, solver="CLARABEL"))


def _descent_ascent(F: Any, z: Any, n: int) -> Any:
    for _ in range(n):
        z = z - 0.1 * F(z)
    return z


def _extragradient(F: Any, z: Any, n: int) -> Any:
    step = 0.5**0.5
    for _ in range(n):
        z = z - step * F(z - step * F(z))
    return z


def _anchored(F: Any, z0: Any, n: int) -> Any:
    z = z0
    for k in range(n):
        pull = (z0 - z) / (k + 2)
        z = z + pull - F(z + pull - F(z) / 8) / 8
    return z


def _fast(F: Any, z0: Any, n: int) -> Any:
    z = z0
    for k in range(n):
        pull = (z0 - z) / (k + 1)
        z = z + pull - F(z + pull - (k / (k + 1)) * F(z))
    return z


_METHODS: dict[str, Callable[[Any, Any, int], Any]] = {
    "GDA": _descent_ascent,
    "EG": _extragradient,
    "EAG-C": _anchored,
    "FEG": _fast,
}
