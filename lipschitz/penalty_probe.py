"""Does a gradient penalty look at the gradient norm of every sample? Ask critics that one knows.

For a linear critic ``f(x) = <a, x>`` the gradient is ``a`` at every point, so that a penalty of the
per-sample norm is a function of ``||a||_2`` alone: not of which entries carry it, not of the
number of samples, not of the points where it was evaluated. Each popular mistake depends on one of
these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from evidence.validation import positive_int

__all__ = ["PENALTY_PROBLEMS", "probe_penalty"]

Penalty = Callable[[Any, Any, Any], Any]

PENALTY_PROBLEMS: dict[str, tuple[str, str]] = {
    "a norm over the channels only": (
        "`norm(dim=1)` of gradients of shape (B, C, H, W) is one number per pixel: a gradient of "
        "norm sqrt(H W), 32 for 32 x 32 pixels, passes as 1, and one of norm 1 is fined",
        "flatten first: gradients.flatten(1).norm(dim=1)",
    ),
    "a norm over the whole batch": (
        "B gradients of norm 1 have the norm sqrt(B) together: the fine of a perfect critic is "
        "(sqrt(B) - 1)^2",
        "take one norm per sample: gradients.flatten(1).norm(dim=1)",
    ),
    "a function of more than the norm of each gradient": (
        "critics with the same gradient norm everywhere are fined differently, so that what is "
        "driven to 1 is not the l2 gradient norm of a sample",
        "use gradients.flatten(1).norm(dim=1)",
    ),
    "no gradient with respect to the critic's weights": (
        "the fine is a constant of the optimiser: it is added to the loss and changes nothing",
        "pass `create_graph=True` to torch.autograd.grad, and detach nothing after it",
    ),
    "an infinite or NaN gradient at a critic of slope 0": (
        "sqrt(sum g^2) has no derivative at g = 0: one dead critic turns all weights into NaN",
        "use gradients.flatten(1).norm(dim=1), whose derivative at 0 is 0",
    ),
    "points that are off the segments between real and generated samples": (
        "the penalty holds at x^ = e x + (1 - e) y with one e in [0, 1] per sample; other points "
        "are not where the optimal critic has slope 1",
        "draw e with torch.rand(B, 1, 1, 1), not randn, and not once per pixel",
    ),
    "values that are not those of the critic": (
        "it never called the critic, so that the fine says nothing about it",
        "call the critic at the interpolated points",
    ),
}
"""What can be wrong with a penalty: why, and the way out."""

_SHAPE = (3, 4, 5)
# float32 sums of 60 squares, and one square root, are off by less than 100 units of 2**-24.
_RELATIVE = 100 * 2.0**-24
_SLOPE = 3.0


def probe_penalty(penalty: Penalty, *, batch_size: int = 4) -> tuple[str, ...]:
    """The keys of `PENALTY_PROBLEMS` that a penalty function has; empty if none was found.

    Parameters
    ----------
    penalty : callable
        ``penalty(critic, real, fake)`` returns a scalar tensor; the critic is a torch module from
        (B, C, H, W) to (B, 1), in float32.
    batch_size : int
        At least 2.

    Returns
    -------
    tuple of str

    Notes
    -----
    Sound in one direction: a problem found is a problem, since linear critics leave a correct
    penalty no choice. Mistakes that linear critics cannot show (a wrong exponent, a centre other
    than 1) are not looked for; a penalty centred at 0, one-sided or squared differently passes.
    One that perturbs the samples by design (DRAGAN) is reported for its points.

    Examples
    --------
    >>> import torch
    >>> def per_channel(critic, real, fake):
    ...     x = (real + torch.rand(len(real), 1, 1, 1) * (fake - real)).requires_grad_()
    ...     g, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    ...     return ((g.norm(2, dim=1) - 1) ** 2).mean()
    >>> probe_penalty(per_channel)
    ('a norm over the channels only',)
    """
    import torch

    batch = positive_int(batch_size, "batch_size")
    if batch < 2:
        raise ValueError(f"`batch_size` must be at least 2, got {batch}")
    if not callable(penalty):
        raise TypeError(f"`penalty` must be callable, got {type(penalty).__name__}")
    size = math.prod(_SHAPE)
    even = torch.full(_SHAPE, _SLOPE / math.sqrt(size))
    single = torch.zeros(_SHAPE)
    single[0, 0, 0] = _SLOPE
    pixels = _SHAPE[1] * _SHAPE[2]
    column = torch.zeros(_SHAPE)
    column[0] = _SLOPE / math.sqrt(pixels)

    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        first = _fine(penalty, even, batch)
        if not first.calls:
            return ("values that are not those of the critic",)
        others = [_fine(penalty, a, batch) for a in (single, column)]
        larger = _fine(penalty, even, 4 * batch)
        dead = _fine(penalty, torch.zeros(_SHAPE), batch)

    found = []
    # A sum over the batch in place of a mean only rescales the weight.
    grows_like_a_sum = _same(4.0 * first.value, larger.value)
    if not (_same(first.value, larger.value) or grows_like_a_sum):
        found.append("a norm over the whole batch")
    elif not all(_same(first.value, other.value) for other in others):
        # Both have the same norm over channels at every pixel, which `single` has not.
        by_pixel = _same(first.value, others[1].value)
        many = "a function of more than the norm of each gradient"
        found.append("a norm over the channels only" if by_pixel else many)
    if first.slope is None or first.slope == 0.0:
        found.append("no gradient with respect to the critic's weights")
    if dead.slope is not None and not math.isfinite(dead.slope):
        found.append("an infinite or NaN gradient at a critic of slope 0")
    if not first.on_segments:
        found.append("points that are off the segments between real and generated samples")
    return tuple(found)


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= _RELATIVE * max(abs(a), abs(b), 1.0)


class _Answer:
    """What a penalty did with one linear critic."""

    def __init__(self, value: float, slope: float | None, points: list[Any]) -> None:
        self.value, self.slope, self.calls = value, slope, len(points)
        self.on_segments = all(_is_on_segment(x) for x in points)


def _is_on_segment(points: Any) -> bool:
    """Real samples are 0 and generated ones 1 everywhere, so interpolates are constant images."""
    flat = points.reshape(len(points), -1)
    spread = (flat.max(1).values - flat.min(1).values).max()
    return bool(spread <= _RELATIVE and flat.min() >= -_RELATIVE and flat.max() <= 1 + _RELATIVE)


def _fine(penalty: Penalty, gradient: Any, batch: int) -> _Answer:
    import torch

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(gradient.clone())
            self.points: list[Any] = []

        def forward(self, x: Any) -> Any:
            self.points.append(x.detach().clone())
            return (x * self.weight).flatten(1).sum(1, keepdim=True)

    critic = Linear()
    real, fake = torch.zeros(batch, *_SHAPE), torch.ones(batch, *_SHAPE)
    fine = penalty(critic, real, fake)
    if not isinstance(fine, torch.Tensor) or fine.numel() != 1:
        raise TypeError(
            f"`penalty` must return a scalar tensor, got {type(fine).__name__}; "
            "take the mean over the batch"
        )
    slope = None
    if fine.requires_grad:
        (change,) = torch.autograd.grad(fine.sum(), critic.weight, allow_unused=True)
        slope = None if change is None else float(change.double().norm())
    return _Answer(float(fine.detach()), slope, critic.points)
