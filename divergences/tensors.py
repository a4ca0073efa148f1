"""The discrete divergences of torch tensors: the same summands, with derivatives, on any device.

torch is imported by the first call that sees a tensor. Values are computed in float64 whatever the
dtype and returned in the dtype of the arguments. Derivatives are those of
`divergences.terms`, written down rather than traced, so that they are as accurate near equality as
the values, and no masked-out branch turns them into NaN. They are torch expressions themselves:
second derivatives work.
"""

from __future__ import annotations

import functools
from typing import Any

from divergences.masses import (
    SUM_TOLERANCE,
    SUM_TOLERANCE_FLOAT32,
    check_axis,
    check_flag,
    check_outcomes,
    check_totals,
    common_shape,
    is_tensor,
    negative_mass,
)
from divergences.terms import Rule

__all__ = [
    "are_tensors",
    "as_tensor_masses",
    "capped",
    "finished",
    "root",
    "tensor_pair",
    "tensor_values",
]


def are_tensors(**arguments: Any) -> bool:
    """Whether all arguments are tensors; a mixture of tensors and arrays is refused."""
    found = {name: is_tensor(value) for name, value in arguments.items()}
    if len(set(found.values())) > 1:
        tensors = " and ".join(f"`{name}`" for name, yes in found.items() if yes)
        others = " and ".join(f"`{name}`" for name, yes in found.items() if not yes)
        raise TypeError(
            f"{tensors} must not be mixed with {others}: one is a torch tensor and the other is "
            "not; pass both as tensors or both as arrays"
        )
    return all(found.values())


def as_tensor_masses(value: Any, name: str, *, normalize: bool = False, axis: int = -1) -> Any:
    """Checked float64 masses with the outcomes last, on their device, attached to their graph."""
    import torch

    if value.is_sparse or value.device.type == "meta":
        kind = "sparse" if value.is_sparse else "on the meta device, without values"
        raise TypeError(f"`{name}` must be a dense tensor with values, got one that is {kind}")
    integers = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if value.dtype not in (torch.float32, torch.float64, *integers):
        raise TypeError(
            f"`{name}` must hold float64, float32 or integer masses, got dtype {value.dtype}; "
            "convert it with `.double()` if that keeps its meaning"
        )
    check_flag(normalize, "normalize")
    shape = tuple(value.shape)
    check_axis(axis, value.ndim, shape, name)
    check_outcomes(shape, name, axis, normalize)
    masses = value.movedim(axis, -1).double()
    with torch.no_grad():
        finite = torch.isfinite(masses)
        if not bool(finite.all()):
            first = torch.nonzero(~finite)[0].tolist()
            raise ValueError(f"`{name}` must be finite, got {masses[tuple(first)]} at {first}")
        if bool((masses < 0.0).any()):
            first = torch.nonzero(masses < 0.0)[0].tolist()
            raise negative_mass(name, float(masses[tuple(first)]), f" at {first}")
        tolerance = SUM_TOLERANCE_FLOAT32 if value.dtype == torch.float32 else SUM_TOLERANCE
        totals = masses.sum(dim=-1)
        if normalize:
            extreme = (totals > 2.0**200) | ((totals < 2.0**-200) & (totals > 0.0))
            if bool(extreme.any()):
                raise ValueError(
                    f"`{name}` has a total mass of {float(totals[extreme].flatten()[0]):.3g}; "
                    "rescale it to the range of 1e-60 to 1e60"
                )
        check_totals(totals.cpu().numpy(), name, tolerance, normalize)
    return masses


def tensor_pair(p: Any, q: Any, *, normalize: bool, axis: int) -> tuple[Any, Any]:
    """Two checked batches of masses, broadcast against each other along the leading axes."""
    if p.device != q.device:
        raise ValueError(
            f"`p` and `q` must be on one device, got {p.device} and {q.device}; move one with `.to`"
        )
    p = as_tensor_masses(p, "p", normalize=normalize, axis=axis)
    q = as_tensor_masses(q, "q", normalize=normalize, axis=axis)
    shape = common_shape(tuple(p.shape), tuple(q.shape), axis)
    return p.expand(*shape, p.shape[-1]), q.expand(*shape, q.shape[-1])


def tensor_values(rule: Rule, p: Any, q: Any, *, normalize: bool) -> Any:
    """Sum of the rule over the outcomes of checked masses, differentiable in both.

    Without ``normalize`` the masses are independent variables of the summands; with it the
    derivative includes the division by the total, and is orthogonal to the masses. The two agree
    along every direction that keeps the total, a softmax's among them.
    """
    return _sum_of_summands().apply(p, q, rule, normalize)


def root(values: Any) -> Any:
    """Square root with derivative 0 at 0, where the divergence has its minimum."""
    import torch

    positive = values > 0.0
    return torch.where(positive, torch.sqrt(torch.where(positive, values, 1.0)), 0.0)


def capped(values: Any, largest: float) -> Any:
    """The values, lowered to a bound that only rounding exceeds; derivatives stay."""
    return values - (values - values.clamp(max=largest)).nan_to_num(nan=0.0).detach()


def finished(values: Any, *arguments: Any) -> Any:
    """The values in the floating dtype of the arguments."""
    import torch

    dtypes = [a.dtype for a in arguments if a.dtype.is_floating_point]
    dtype = functools.reduce(torch.promote_types, dtypes) if dtypes else torch.float64
    return values.to(dtype)


def _normalised(p: Any, q: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Quotients by the totals, their difference without cancellation (see MassPair), the totals."""
    A, B = p.sum(dim=-1, keepdim=True), q.sum(dim=-1, keepdim=True)
    difference = p - q
    excess = difference.sum(dim=-1, keepdim=True) / B
    if bool((abs(excess) <= 2.0**-10).all()):
        difference = (difference - q * excess) / A
    else:
        difference = (p * B - q * A) / B / A
    return p / A, q / B, difference, A, B


@functools.cache
def _sum_of_summands() -> Any:
    import torch

    class SumOfSummands(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, p: Any, q: Any, rule: Rule, normalize: bool) -> Any:
            ctx.save_for_backward(p, q)
            ctx.rule, ctx.normalize = rule, normalize
            a, b, difference, _, _ = _normalised(p, q)
            return rule.summand(torch, a, b, difference).sum(dim=-1)

        @staticmethod
        def backward(ctx: Any, outer: Any) -> tuple[Any, Any, None, None]:
            p, q = ctx.saved_tensors
            with torch.no_grad():
                a0, b0, difference, A, B = _normalised(p, q)
            # The same values again, now as functions of p and q for second derivatives: those of
            # the difference are the quotients', its digits are the accurate ones.
            if ctx.normalize:
                A, B = p.sum(dim=-1, keepdim=True), q.sum(dim=-1, keepdim=True)
            a, b = p / A, q / B
            difference = a - b + (difference - (a0 - b0))
            by_p, by_q = ctx.rule.partials(torch, a, b, difference)
            if ctx.normalize:
                by_p, by_q = _tangential(by_p, a) / A, _tangential(by_q, b) / B
            # A row that does not count has no derivative, not 0 times an infinite slope.
            outer = outer.unsqueeze(-1)
            idle = outer == 0.0
            by_p, by_q = torch.where(idle, 0.0, by_p), torch.where(idle, 0.0, by_q)
            return outer * by_p, outer * by_q, None, None

    return SumOfSummands


def _tangential(slope: Any, masses: Any) -> Any:
    """The slope less its mean; outcomes without mass do not count in the mean.

    Nor do infinite slopes at outcomes with mass, which there are only if the value is infinite.
    """
    import torch

    counted = (masses > 0.0) & torch.isfinite(slope)
    weighted = torch.where(counted, torch.where(counted, slope, 0.0) * masses, 0.0)
    return slope - weighted.sum(dim=-1, keepdim=True)
