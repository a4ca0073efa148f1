"""Distributions to learn: toys with known modes and distances, and small images.

A sampler draws from a ``torch.Generator`` that is handed in and knows its dimension. Where a
distribution has modes, ``centers`` and ``std`` say where and how wide they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.validation import as_float_array, nonnegative_float, positive_float, positive_int

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "Discrete",
    "Empirical",
    "Gaussian",
    "Grid",
    "ParallelLines",
    "Ring",
    "Sampler",
    "SwissRoll",
    "Translated",
]

Array = NDArray[np.float64]


class Sampler(Protocol):
    """What an ensemble draws its data from."""

    @property
    def size(self) -> int:
        """Dimension of one sample."""

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """``count`` independent samples, float64, shape (count, size)."""


def _mixture(centers: Array, std: float, generator: torch.Generator, count: int) -> Tensor:
    import torch

    modes = torch.from_numpy(centers)
    index = torch.randint(len(modes), (count,), generator=generator)
    noise = torch.randn(count, modes.shape[1], generator=generator, dtype=torch.float64)
    return modes[index] + std * noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Equal Gaussians around a circle in the plane.

    Parameters
    ----------
    modes : int
    radius, std : float

    Examples
    --------
    >>> import torch
    >>> Ring().sample(torch.Generator().manual_seed(0), 5).shape, Ring().centers.shape
    (torch.Size([5, 2]), (8, 2))
    """

    modes: int = 8
    radius: float = 1.0
    std: float = 0.02

    def __post_init__(self) -> None:
        positive_int(self.modes, "modes")
        positive_float(self.radius, "radius")
        nonnegative_float(self.std, "std")

    @property
    def size(self) -> int:
        """2."""
        return 2

    @property
    def centers(self) -> Array:
        """Shape (modes, 2)."""
        angle = 2.0 * math.pi * np.arange(self.modes) / self.modes
        return self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        return _mixture(self.centers, self.std, generator, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Equal Gaussians on a square grid around the origin.

    Parameters
    ----------
    side : int
        ``side**2`` modes.
    gap, std : float

    Examples
    --------
    >>> Grid().centers.shape, Grid().centers.mean(axis=0)
    ((25, 2), array([0., 0.]))
    """

    side: int = 5
    gap: float = 1.0
    std: float = 0.05

    def __post_init__(self) -> None:
        positive_int(self.side, "side")
        positive_float(self.gap, "gap")
        nonnegative_float(self.std, "std")

    @property
    def size(self) -> int:
        """2."""
        return 2

    @property
    def centers(self) -> Array:
        """Shape (side**2, 2)."""
        axis = (np.arange(self.side) - (self.side - 1) / 2.0) * self.gap
        return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        return _mixture(self.centers, self.std, generator, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwissRoll:
    """``t (cos t, sin t) / (4 pi)`` for ``t`` uniform on [3 pi / 2, 9 pi / 2], with noise.

    Parameters
    ----------
    std : float

    Examples
    --------
    >>> import torch
    >>> SwissRoll().sample(torch.Generator().manual_seed(0), 5).shape
    torch.Size([5, 2])
    """

    std: float = 0.02

    def __post_init__(self) -> None:
        nonnegative_float(self.std, "std")

    @property
    def size(self) -> int:
        """2."""
        return 2

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        import torch

        u = torch.rand(count, generator=generator, dtype=torch.float64)
        t = 1.5 * math.pi * (1.0 + 2.0 * u)
        curve = torch.stack([t * t.cos(), t * t.sin()], dim=1) / (4.0 * math.pi)
        noise = torch.randn(count, 2, generator=generator, dtype=torch.float64)
        return curve + self.std * noise


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelLines:
    """``(theta, Z)`` with ``Z`` uniform on [0, 1]: the segment at distance ``|theta|`` from 0.

    Parameters
    ----------
    theta : float

    References
    ----------
    Arjovsky et al., *Wasserstein GAN*, ICML 2017, example 1.

    Examples
    --------
    >>> import torch
    >>> ParallelLines(theta=0.5).sample(torch.Generator().manual_seed(0), 3)[:, 0]
    tensor([0.5000, 0.5000, 0.5000], dtype=torch.float64)
    """

    theta: float = 0.0

    @property
    def size(self) -> int:
        """2."""
        return 2

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        import torch

        z = torch.rand(count, generator=generator, dtype=torch.float64)
        return torch.stack([torch.full_like(z, self.theta), z], dim=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaussian:
    """Independent normal coordinates.

    Parameters
    ----------
    mean : array_like, shape (size,)
    std : float or array_like, shape (size,)

    Examples
    --------
    >>> Gaussian(mean=[0.0, 1.0, 2.0]).size
    3
    """

    mean: ArrayLike
    std: ArrayLike = 1.0

    def __post_init__(self) -> None:
        mean = np.atleast_1d(as_float_array(np.asarray(self.mean, dtype=float), "mean"))
        std = as_float_array(np.asarray(self.std, dtype=float), "std")
        if (std < 0.0).any():
            raise ValueError(f"`std` must be at least 0, got {std.min():.17g}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", np.broadcast_to(std, mean.shape).copy())

    @property
    def size(self) -> int:
        """Dimension."""
        return int(np.size(self.mean))

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        import torch

        noise = torch.randn(count, self.size, generator=generator, dtype=torch.float64)
        return torch.from_numpy(np.asarray(self.mean)) + noise * torch.from_numpy(
            np.asarray(self.std)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Discrete:
    """Finitely many points with weights.

    Parameters
    ----------
    points : array_like, shape (count, size)
    weights : array_like, shape (count,), optional
        Nonnegative, of sum 1 up to rounding; equal if left out.

    Raises
    ------
    ValueError
        Points that are not finite, weights of another shape, negative, or of another sum.

    Examples
    --------
    >>> import torch
    >>> dirac = Discrete(points=[[2.0, 0.0]])
    >>> dirac.sample(torch.Generator(), 1)
    tensor([[2., 0.]], dtype=torch.float64)
    """

    points: ArrayLike
    weights: ArrayLike | None = None
    probabilities: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = as_float_array(np.asarray(self.points, dtype=float), "points", ndim=2)
        weights = np.full(len(points), 1.0 / len(points))
        if self.weights is not None:
            weights = as_float_array(np.asarray(self.weights, dtype=float), "weights", ndim=1)
        if weights.shape != (len(points),) or (weights < 0.0).any():
            raise ValueError(
                f"`weights` must be {len(points)} numbers of at least 0, one for each point, got "
                f"shape {weights.shape} with minimum {weights.min():.17g}"
            )
        if abs(weights.sum() - 1.0) > 1e-9:
            raise ValueError(
                f"`weights` must sum to 1, got {weights.sum():.17g}; divide counts by their sum"
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "probabilities", weights)

    @property
    def size(self) -> int:
        """Dimension."""
        return int(np.shape(self.points)[1])

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        import torch

        # By the inverse of the cumulative weights, where the last is made 1 exactly.
        cumulative = torch.from_numpy(np.cumsum(self.probabilities))
        cumulative /= cumulative[-1].clone()
        uniform = torch.rand(count, generator=generator, dtype=torch.float64)
        index = torch.searchsorted(cumulative, uniform, right=True)
        return torch.from_numpy(np.asarray(self.points))[index]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Empirical:
    """A finite data set: batches are drawn from its rows with replacement.

    Parameters
    ----------
    points : array_like, shape (count, size)

    Raises
    ------
    ValueError
        Rows that are not finite numbers.

    Examples
    --------
    >>> Empirical(points=[[0.0, 1.0], [1.0, 0.0]]).size
    2
    """

    points: ArrayLike

    def __post_init__(self) -> None:
        points = as_float_array(np.asarray(self.points, dtype=float), "points", ndim=2)
        object.__setattr__(self, "points", points)

    def __len__(self) -> int:
        return len(np.asarray(self.points))

    @property
    def size(self) -> int:
        """Dimension."""
        return int(np.shape(self.points)[1])

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Rows drawn with replacement."""
        import torch

        index = torch.randint(len(self), (count,), generator=generator)
        return torch.from_numpy(np.asarray(self.points))[index]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Translated:
    """Another sampler moved by a vector: W1 to the original is the vector's length.

    Parameters
    ----------
    sampler : Sampler
    by : array_like, shape (size,)

    Examples
    --------
    >>> import torch
    >>> moved = Translated(sampler=Discrete(points=[[0.0, 0.0]]), by=[3.0, 4.0])
    >>> moved.sample(torch.Generator(), 1)
    tensor([[3., 4.]], dtype=torch.float64)
    """

    sampler: Sampler
    by: ArrayLike

    def __post_init__(self) -> None:
        by = as_float_array(np.asarray(self.by, dtype=float), "by", ndim=1)
        if by.shape != (self.sampler.size,):
            raise ValueError(f"`by` must have shape ({self.sampler.size},), got {by.shape}")
        object.__setattr__(self, "by", by)

    @property
    def size(self) -> int:
        """Dimension."""
        return self.sampler.size

    def sample(self, generator: torch.Generator, count: int) -> Tensor:
        """Independent samples."""
        import torch

        return self.sampler.sample(generator, count) + torch.from_numpy(np.asarray(self.by))
