"""Optimisers of one flat buffer, with a step size for every member of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.validation import choice, positive_float

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Optimizer"]

KINDS = ("adam", "rmsprop", "sgd")


class Optimizer:
    """Adam, RMSProp or plain gradient descent, with the formulas of ``torch.optim``.

    Parameters
    ----------
    parameters : Tensor, shape (members, count)
        Changed in place by `step`.
    kind : {"adam", "rmsprop", "sgd"}
    step_size : float or Tensor, shape (members,)
        One for all members, or one each.
    betas : (float, float)
        Of Adam; WGAN-GP uses (0.0, 0.9).
    decay : float
        Of RMSProp's mean square.
    epsilon : float
        Added to the root of the mean square.

    Raises
    ------
    ValueError
        A step size, a ``beta`` or a ``decay`` out of range.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, 1)
    >>> optimizer = Optimizer(x, kind="sgd", step_size=torch.tensor([0.1, 0.2]))
    >>> optimizer.step(torch.ones(2, 1))
    >>> x.flatten()
    tensor([0.9000, 0.8000])
    """

    def __init__(
        self,
        parameters: Tensor,
        *,
        kind: str = "adam",
        step_size: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.0, 0.9),
        decay: float = 0.99,
        epsilon: float = 1e-8,
    ) -> None:
        import torch

        self.kind = choice(kind, "kind", KINDS)
        sizes = torch.as_tensor(step_size, dtype=torch.float64).reshape(-1)
        if not bool(((sizes > 0.0) & sizes.isfinite()).all()):
            raise ValueError(
                f"`step_size` must be positive and finite, got {float(sizes.min()):.17g}; "
                "try 1e-4 for Adam, 5e-5 for RMSProp"
            )
        if len(sizes) not in (1, len(parameters)):
            raise ValueError(
                f"`step_size` must be one number or one for each of {len(parameters)} members, "
                f"got {len(sizes)}"
            )
        for beta in (*betas, decay):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"`betas` and `decay` must be at least 0 and below 1, got {beta}")
        self.parameters = parameters
        self.step_sizes = sizes.to(parameters).expand(len(parameters)).reshape(-1, 1).contiguous()
        self.betas, self.decay = betas, decay
        self.epsilon = positive_float(epsilon, "epsilon")
        self.mean = torch.zeros_like(parameters) if self.kind == "adam" else None
        self.mean_square = torch.zeros_like(parameters) if self.kind != "sgd" else None
        self.steps = 0
        self._denominator = torch.empty_like(parameters)

    def step(self, gradient: Tensor, factor: float = 1.0) -> None:
        """Move against the gradient, by ``factor`` times the step sizes.

        Every operation is elementwise with one rounding order, so that a member moves by the same
        bits alone or beside others.
        """
        import torch

        self.steps += 1
        sizes = self.step_sizes if factor == 1.0 else self.step_sizes * factor
        with torch.no_grad():
            if self.mean_square is None:
                self.parameters.addcmul_(gradient, sizes, value=-1.0)
                return
            first, second = self.betas if self.kind == "adam" else (0.0, self.decay)
            self.mean_square.mul_(second).addcmul_(gradient, gradient, value=1.0 - second)
            denominator = torch.sqrt(self.mean_square, out=self._denominator)
            direction = gradient
            if self.mean is not None:
                self.mean.mul_(first).add_(gradient, alpha=1.0 - first)
                denominator.div_((1.0 - second**self.steps) ** 0.5)
                sizes = sizes / (1.0 - first**self.steps)
                direction = self.mean
            denominator.add_(self.epsilon)
            torch.div(direction, denominator, out=denominator)
            self.parameters.addcmul_(denominator, sizes, value=-1.0)

    def state(self) -> dict[str, object]:
        """What must be kept to go on with the same bits."""
        return {"steps": self.steps, "mean": self.mean, "mean_square": self.mean_square}

    def load_state(self, state: dict[str, object]) -> None:
        """Go on from `state`."""
        import torch

        steps, mean, mean_square = state["steps"], state["mean"], state["mean_square"]
        if not isinstance(steps, int):
            raise TypeError(
                f"`state` must be what `Optimizer.state` returns, got steps = {steps!r}"
            )
        self.steps = steps
        for own, given in ((self.mean, mean), (self.mean_square, mean_square)):
            if (own is None) != (given is None):
                raise ValueError("`state` belongs to another kind of optimiser")
            if own is not None and isinstance(given, torch.Tensor):
                if given.shape != own.shape:
                    raise ValueError(
                        f"`state` holds moments of shape {tuple(given.shape)}, the parameters have "
                        f"{tuple(own.shape)}; resume with the same networks"
                    )
                own.copy_(given)
