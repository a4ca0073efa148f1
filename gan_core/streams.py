"""One stream of random numbers for every member and purpose, whoever else is training beside it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Stream", "generator_of"]

Draw = Callable[["torch.Generator", int], "Tensor"]


def generator_of(seed: int, purpose: str) -> torch.Generator:
    """The generator of one seed for one purpose; different purposes are independent.

    Examples
    --------
    >>> generator_of(0, "noise").initial_seed() == generator_of(0, "data").initial_seed()
    False
    """
    import torch

    state = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]).generate_state(2)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


class Stream:
    """Batches for a stack of members, drawn ahead in blocks.

    A member's numbers depend on its seed and the purpose alone. Drawing many batches in one call
    makes separate streams as cheap as a common one.

    Parameters
    ----------
    seeds : sequence of int
        One for each member; members of equal seed get equal numbers.
    purpose : str
    draw : sequence of callables, (generator, count) -> Tensor (count, size)
        One for each member.
    batch : int
    dtype, device
        Of the batches.
    ahead : int
        Batches per block. It does not change the numbers a member sees, only how many are drawn
        at once; for a sampler that draws several kinds of numbers it does, so it is fixed.

    Examples
    --------
    >>> import torch
    >>> draw = lambda generator, count: torch.randn(count, 1, generator=generator)
    >>> alone = Stream([7], "noise", [draw], batch=2)
    >>> beside = Stream([3, 7], "noise", [draw, draw], batch=2)
    >>> bool((alone.next()[0] == beside.next()[1]).all())
    True
    """

    def __init__(
        self,
        seeds: Sequence[int],
        purpose: str,
        draw: Sequence[Draw],
        *,
        batch: int,
        dtype: torch.dtype | None = None,
        device: str = "cpu",
        ahead: int = 16,
    ) -> None:
        self._generators = [generator_of(seed, purpose) for seed in seeds]
        self._draw = tuple(draw)
        self._batch, self._ahead = batch, ahead
        self._dtype, self._device = dtype, device
        self._block: Tensor | None = None
        self._position = ahead
        self._before = [g.get_state() for g in self._generators]

    def next(self) -> Tensor:
        """The next batch of every member, shape (members, batch, size)."""
        if self._position == self._ahead or self._block is None:
            self._before = [g.get_state() for g in self._generators]
            self._fill()
            self._position = 0
        batch = self._block[self._position] if self._block is not None else None
        self._position += 1
        if batch is None:
            raise RuntimeError("the block was not filled")
        return batch

    def _fill(self) -> None:
        import torch

        parts = []
        for generator, draw in zip(self._generators, self._draw, strict=True):
            numbers = draw(generator, self._ahead * self._batch)
            parts.append(numbers.reshape(self._ahead, self._batch, -1).to(dtype=self._dtype))
        self._block = torch.stack(parts, dim=1).to(self._device)

    def state(self) -> dict[str, object]:
        """Where every generator stood when the block was drawn, and how much of it is used."""
        import torch

        return {"generators": torch.stack(self._before), "position": self._position}

    def load_state(self, state: dict[str, object]) -> None:
        """Go on from `state` with the same numbers."""
        import torch

        states, position = state["generators"], state["position"]
        if not isinstance(states, torch.Tensor) or not isinstance(position, int):
            raise TypeError("`state` must be what `Stream.state` returns")
        if len(states) != len(self._generators):
            raise ValueError(
                f"`state` holds {len(states)} generators, there are {len(self._generators)} members"
            )
        for generator, saved in zip(self._generators, states, strict=True):
            generator.set_state(saved.clone())  # a row of a larger tensor crashes torch 2.13
        self._before = [g.get_state() for g in self._generators]
        self._position = position
        self._block = None
        if position < self._ahead:
            self._fill()
