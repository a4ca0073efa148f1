"""Games given by the players' losses in torch, played for a whole batch of starts at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dynamics.protocols import Array, Game
from evidence.validation import as_float_array, positive_int

if TYPE_CHECKING:
    import torch

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["DifferentiableGame"]


@dataclass(frozen=True, eq=False, init=False, slots=True)
class DifferentiableGame(Game):
    """A game by its losses, differentiated by torch in double precision.

    Parameters
    ----------
    losses : callable or pair of callables
        One function ``f(x, y)`` for the zero-sum game ``min_x max_y f``, or a pair
        ``(f1, f2)`` of which each player minimises its own. A function takes tensors of shapes
        (..., m) and (..., n) and returns one number per start, shape (...).
    dimensions : (int, int)
        The lengths ``(m, n)`` of ``x`` and ``y``.
    equilibrium : array_like, shape (m + n,), optional
        Where to linearise, if known.

    Raises
    ------
    TypeError
        Losses that are no functions, or return no tensor.
    ValueError
        At a call: a loss that is not one number per start, or not finite.

    Notes
    -----
    The gradient of the *sum* of the losses over the batch holds the gradient of every start,
    because starts do not interact. A loss that couples them (a batch normalisation) is not a game
    of one start and must not be passed.

    Examples
    --------
    >>> game = DifferentiableGame(lambda x, y: (x * y).sum(-1), (1, 1))
    >>> game.field(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[ 2., -1.],
           [ 4., -3.]])
    >>> np.linalg.eigvals(game.jacobian(np.array([1.0, 2.0]))).imag
    array([ 1., -1.])
    """

    losses: tuple[Loss, Loss | None]
    sizes: tuple[int, int]
    solution: Array | None

    def __init__(
        self,
        losses: Loss | tuple[Loss, Loss],
        dimensions: tuple[int, int],
        *,
        equilibrium: ArrayLike | None = None,
    ) -> None:
        pair = losses if isinstance(losses, (tuple, list)) else (losses, None)
        if len(pair) != 2 or not callable(pair[0]) or not (pair[1] is None or callable(pair[1])):
            raise TypeError(
                f"`losses` must be a function f(x, y) or a pair of them, got {losses!r}"
            )
        if not isinstance(dimensions, (tuple, list)) or len(dimensions) != 2:
            raise TypeError(f"`dimensions` must be a pair of ints (m, n), got {dimensions!r}")
        sizes = (
            positive_int(dimensions[0], "dimensions[0]"),
            positive_int(dimensions[1], "dimensions[1]"),
        )
        solution = None
        if equilibrium is not None:
            solution = as_float_array(equilibrium, "equilibrium", ndim=1).copy()
            if solution.shape != (sum(sizes),):
                raise ValueError(
                    f"`equilibrium` must have shape ({sum(sizes)},), got {solution.shape}"
                )
        object.__setattr__(self, "losses", (pair[0], pair[1]))
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "solution", solution)

    @property
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""
        return self.sizes

    @property
    def equilibrium(self) -> Array | None:
        """The equilibrium that was passed, or None."""
        return None if self.solution is None else self.solution.copy()

    def field_x(self, z: Array) -> Array:
        """The gradient of the first player's loss in ``x``, shape (..., m)."""
        x, y = self._tensors(z)
        return np.asarray(self._gradient(0, x, y, x, create_graph=False).numpy())

    def field_y(self, z: Array) -> Array:
        """The gradient in ``y`` of what the second player minimises, shape (..., n)."""
        x, y = self._tensors(z)
        return np.asarray(self._gradient(1, x, y, y, create_graph=False).numpy())

    def field(self, z: Array) -> Array:
        """``F(z)``, shape (..., m + n); one backward pass if the game is zero-sum."""
        import torch

        x, y = self._tensors(z)
        return np.asarray(torch.cat(self._gradients(x, y, create_graph=False), dim=-1).numpy())

    def jacobian(self, z: Array) -> Array:
        """The Jacobian of the field, shape (..., m + n, m + n): m + n backward passes."""
        import torch

        x, y = self._tensors(z)
        F = torch.cat(self._gradients(x, y, create_graph=True), dim=-1)
        rows = []
        for i in range(F.shape[-1]):
            if not F.requires_grad:
                rows.append(torch.zeros_like(F))
                continue
            parts = torch.autograd.grad(
                F[..., i].sum(), (x, y), retain_graph=True, allow_unused=True
            )
            rows.append(
                torch.cat(
                    [_zeros_if_none(g, v) for g, v in zip(parts, (x, y), strict=True)], dim=-1
                )
            )
        return np.asarray(torch.stack(rows, dim=-2).detach().numpy())

    # ---- torch --------------------------------------------------------------------------------
    def _tensors(self, z: Array) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        whole = torch.from_numpy(np.array(z, dtype=np.float64))
        m = self.sizes[0]
        return whole[..., :m].requires_grad_(), whole[..., m:].requires_grad_()

    def _gradients(
        self, x: torch.Tensor, y: torch.Tensor, *, create_graph: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        if self.losses[1] is not None:
            return (
                self._gradient(0, x, y, x, create_graph=create_graph),
                self._gradient(1, x, y, y, create_graph=create_graph),
            )
        total = self._total(0, x, y)
        if not total.requires_grad:
            return torch.zeros_like(x), torch.zeros_like(y)
        parts = torch.autograd.grad(total, (x, y), create_graph=create_graph, allow_unused=True)
        return _zeros_if_none(parts[0], x), -_zeros_if_none(parts[1], y)

    def _gradient(
        self, player: int, x: torch.Tensor, y: torch.Tensor, v: torch.Tensor, *, create_graph: bool
    ) -> torch.Tensor:
        import torch

        total = self._total(player, x, y)
        if not total.requires_grad:
            return torch.zeros_like(v)
        (found,) = torch.autograd.grad(total, (v,), create_graph=create_graph, allow_unused=True)
        return _zeros_if_none(found, v)

    def _total(self, player: int, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The sum over starts of what the player minimises, checked."""
        import torch

        loss, sign = self.losses[player], 1.0
        if loss is None:
            loss, sign = self.losses[0], -1.0
        value = loss(x, y)
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"`losses[{player}]` must return a torch tensor, got {type(value).__name__}"
            )
        if value.shape != x.shape[:-1]:
            raise ValueError(
                f"`losses[{player}]` must return one number per start, shape "
                f"{tuple(x.shape[:-1])}, got {tuple(value.shape)}; sum over the last axis only"
            )
        total = value.sum()
        if not bool(torch.isfinite(total)):
            raise ValueError(
                f"`losses[{player}]` gives {float(total.detach())} at one of the states; "
                "start nearer to the domain of the loss or use smaller steps"
            )
        return sign * total


def _zeros_if_none(gradient: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.zeros_like(like) if gradient is None else gradient
