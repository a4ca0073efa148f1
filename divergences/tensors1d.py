"""The one-dimensional distances of torch tensors: on their device, and differentiable.

Computed in float64 (float32 where a device has no float64) and returned in the dtype of the
input. CPU tensors that need no gradient take the numpy path, whose sort is an order of magnitude
faster.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

from divergences.masses import SUM_TOLERANCE, SUM_TOLERANCE_FLOAT32, is_tensor, negative_mass

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["cumulative", "wasserstein_of_tensors"]


def _checked(value: Any, name: str, like: Any) -> Tensor:
    """A dense real floating tensor with finite entries on the device of ``like``."""
    import torch

    if not is_tensor(value):
        raise TypeError(
            f"`{name}` must be a tensor like the other arguments, got {type(value).__name__}; "
            f"pass torch.as_tensor({name})"
        )
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"`{name}` must be a float32 or float64 tensor, got {value.dtype}; pass `.double()`"
        )
    if value.device != like.device:
        raise ValueError(
            f"`{name}` must be on the device of the other arguments, {like.device}, "
            f"got {value.device}"
        )
    if value.device.type == "meta":
        raise ValueError(f"`{name}` is a meta tensor, which holds no numbers")
    if value.ndim == 0 or value.numel() == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {tuple(value.shape)}")
    if not bool(torch.isfinite(value.detach()).all()):
        raise ValueError(f"`{name}` must be finite; remove NaN and infinite entries")
    checked: Tensor = value if value.device.type == "mps" else value.double()
    return checked


def _masses(value: Any, name: str, like: Any) -> tuple[Tensor, float]:
    masses = _checked(value, name, like)
    if bool((masses.detach() < 0).any()):
        raise negative_mass(name, float(masses.detach().min()), "")
    if not bool((masses.detach().sum(-1) > 0).all()):
        raise ValueError(f"`{name}` must have positive total mass, got 0")
    return masses, SUM_TOLERANCE if value.element_size() == 8 else SUM_TOLERANCE_FLOAT32


def _weights(value: Any, name: str, like: Any, normalize: bool) -> Tensor:
    masses, tolerance = _masses(value, name, like)
    total = masses.sum(-1, keepdim=True)
    if not normalize:
        worst = float((total.detach() - 1.0).abs().max())
        if worst > tolerance:
            raise ValueError(
                f"`{name}` must sum to 1, got a sum off by {worst:.17g}; "
                "pass `normalize=True` if it holds counts"
            )
    return masses / total


def _result_dtype(*values: Any) -> Any:
    import torch

    wide = any(is_tensor(v) and v.dtype == torch.float64 for v in values)
    return torch.float64 if wide else torch.float32


def cumulative(p: Any, q: Any, spacing: Any, normalize: bool) -> dict[str, Tensor]:
    """Value and flows of ``w1_cumulative`` for tensors."""
    import torch

    like = p if is_tensor(p) else q
    P, tolerance_p = _masses(p, "p", like)
    Q, tolerance_q = _masses(q, "q", like)
    if P.shape[-1] != Q.shape[-1]:
        raise ValueError(
            f"`p` and `q` must have equally many outcomes, got {P.shape[-1]} and {Q.shape[-1]}"
        )
    total_p, total_q = P.sum(-1, keepdim=True), Q.sum(-1, keepdim=True)
    if normalize:
        P, Q = P / total_p, Q / total_q
    else:
        a = total_p.detach() + torch.zeros_like(total_q)
        b = total_q.detach() + torch.zeros_like(total_p)
        far = (a - b).abs() > max(tolerance_p, tolerance_q) * torch.maximum(a, b)
        if bool(far.any()):
            raise ValueError(
                f"`p` and `q` must have equal total mass, got {float(a[far][0]):.17g} and "
                f"{float(b[far][0]):.17g}; pass `normalize=True` to compare them as distributions"
            )
        # A gradient with respect to raw masses is that of the formula, totals held fixed.
    flows = torch.cumsum(P - Q, dim=-1)[..., :-1]
    gaps = _gaps(spacing, P.shape[-1] - 1, flows)
    value = (flows.abs() * gaps).sum(-1)
    flows = torch.cat((flows, torch.zeros_like(P[..., :1] - Q[..., :1])), dim=-1)
    dtype = _result_dtype(p, q)
    return {"value": value.to(dtype), "flows": flows.to(dtype)}


def _gaps(spacing: Any, count: int, like: Tensor) -> Any:
    import torch

    if isinstance(spacing, numbers.Real) and not isinstance(spacing, bool):
        gaps = torch.full((count,), float(spacing), dtype=like.dtype, device=like.device)
    else:
        gaps = torch.as_tensor(spacing, dtype=like.dtype, device=like.device)
        if gaps.shape != (count,):
            raise ValueError(
                f"`spacing` must be one number or {count} gaps, got shape {tuple(gaps.shape)}"
            )
    if not bool(((gaps > 0) & (gaps < math.inf)).all()):
        raise ValueError("`spacing` must be positive and finite")
    return gaps


def wasserstein_of_tensors(
    x: Any, y: Any, x_weights: Any, y_weights: Any, order: float, normalize: bool
) -> Any:
    """``wasserstein`` for tensors."""
    import torch

    given = [v for v in (x, y, x_weights, y_weights) if v is not None]
    like = x if is_tensor(x) else y
    names = ("x", "y", "x_weights", "y_weights")
    for value, name in zip((x, y, x_weights, y_weights), names, strict=True):
        if value is not None and not is_tensor(value):
            _checked(value, name, like)
    X, Y = _checked(x, "x", like), _checked(y, "y", like)
    if X.shape[:-1] != Y.shape[:-1]:
        raise ValueError(
            f"`x` and `y` must have equal leading axes, got shapes {tuple(X.shape)} and "
            f"{tuple(Y.shape)}; samples stand on the last axis"
        )
    for w, points, name in ((x_weights, X, "x_weights"), (y_weights, Y, "y_weights")):
        if w is not None and w.shape != points.shape:
            raise ValueError(
                f"`{name}` must have one weight per atom, shape {tuple(points.shape)}, "
                f"got {tuple(w.shape)}"
            )
    dtype = _result_dtype(*given)
    needs_gradient = torch.is_grad_enabled() and any(v.requires_grad for v in given)
    if like.device.type == "cpu" and not needs_gradient:
        from divergences.transport1d import wasserstein

        arrays: list[Any] = [
            None if v is None else v.detach().numpy() for v in (x, y, x_weights, y_weights)
        ]
        value = wasserstein(*arrays, p=order, normalize=normalize)
        return torch.as_tensor(value, dtype=dtype)
    if x_weights is None and y_weights is None:
        distance, mass = _equal_weights(X, Y)
    else:
        a = _given_or_equal(x_weights, "x_weights", X, like, normalize)
        b = _given_or_equal(y_weights, "y_weights", Y, like, normalize)
        if order == 1.0:
            return _area(X, Y, a, b).to(dtype)
        distance, mass = _weighted_cells(X, Y, a, b)
    return _root(distance, mass, order).to(dtype)


def _given_or_equal(w: Any, name: str, points: Tensor, like: Any, normalize: bool) -> Tensor:
    import torch

    if w is None:
        return torch.full_like(points.detach(), 1.0 / points.shape[-1])
    return _weights(w, name, like, normalize)


def _equal_weights(X: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    """Distances and masses of the quantile cells, whose lengths are integers."""
    import torch

    xs, ys = torch.sort(X, dim=-1).values, torch.sort(Y, dim=-1).values
    n, m = X.shape[-1], Y.shape[-1]
    if n == m:
        return (xs - ys).abs(), torch.full((n,), 1.0 / n, dtype=X.dtype, device=X.device)
    common = math.gcd(n, m)
    total = n * m // common
    steps = (n // common, m // common)
    cuts = torch.unique(
        torch.cat([torch.arange(0, total, step, device=X.device) for step in reversed(steps)])
    )
    ends = torch.cat((cuts[1:], cuts.new_tensor([total])))
    mass = (ends - cuts).to(X.dtype) / total
    return (xs[..., cuts // steps[1]] - ys[..., cuts // steps[0]]).abs(), mass


def _area(X: Tensor, Y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``integral |F - G|``; its gradient in the weights is the potential."""
    import torch

    z, order = torch.sort(torch.cat((X, Y), dim=-1), dim=-1)
    jumps = torch.cat((a, -b), dim=-1).gather(-1, order)
    difference = torch.cumsum(jumps, dim=-1)[..., :-1]
    return (difference.abs() * (z[..., 1:] - z[..., :-1])).sum(-1)


def _weighted_cells(X: Tensor, Y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    xs, i = torch.sort(X, dim=-1)
    ys, j = torch.sort(Y, dim=-1)
    ca = torch.cumsum(a.gather(-1, i), dim=-1)
    cb = torch.cumsum(b.gather(-1, j), dim=-1)
    cuts = torch.sort(torch.cat((ca, cb), dim=-1), dim=-1).values
    mass = torch.diff(cuts, dim=-1, prepend=torch.zeros_like(cuts[..., :1]))
    with torch.no_grad():
        row = torch.searchsorted(ca, cuts).clamp(max=xs.shape[-1] - 1)
        column = torch.searchsorted(cb, cuts).clamp(max=ys.shape[-1] - 1)
    return (xs.gather(-1, row) - ys.gather(-1, column)).abs(), mass


def _root(distance: Tensor, mass: Tensor, order: float) -> Tensor:
    """``(sum mass d^p)^(1/p)``, zero with gradient zero where all distances vanish."""
    import torch

    if order == 1.0:
        return (distance * mass).sum(-1)
    counted = torch.where(mass > mass.shape[-1] * 2.0**-52, distance, torch.zeros_like(distance))
    top = counted.amax(dim=-1, keepdim=True)
    if order == math.inf:
        return top.squeeze(-1)
    scale = torch.where(top > 0, top, torch.ones_like(top)).detach()
    mean = ((distance / scale) ** order * mass).sum(-1)
    vanishes = mean.detach() == 0
    root = torch.where(vanishes, torch.ones_like(mean), mean) ** (1.0 / order)
    return torch.where(vanishes, torch.zeros_like(mean), scale.squeeze(-1) * root)
