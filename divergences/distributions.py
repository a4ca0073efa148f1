"""Distributions on the line that are given by a callable, or as a mixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Density", "Mixture"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """A distribution on the line given by a callable.

    Parameters
    ----------
    log_density : callable
        Maps a float64 array of points inside the support to the natural logarithm of the density
        there; ``-inf`` where the density is zero.
    support : (float, float)
        The density is zero outside; ``-inf`` and ``inf`` are allowed.
    points : sequence of float
        Where the density has jumps, kinks or narrow peaks, and roughly where it lives if that is
        far from 0: the quadrature starts there.

    Raises
    ------
    ValueError
        When used, if the density does not integrate to 1 within 1e-9; the message gives the mass.

    Examples
    --------
    >>> import numpy as np
    >>> from divergences.continuous import kl_densities
    >>> triangle = Density(log_density=lambda x: np.log(2 * x), support=(0.0, 1.0))
    >>> uniform = Density(log_density=np.zeros_like, support=(0.0, 1.0))
    >>> abs(float(kl_densities(triangle, uniform)) - (np.log(2.0) - 0.5)).item() < 1e-14
    True
    """

    log_density: Function
    support: tuple[float, float]
    points: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """A finite mixture of distributions.

    Parameters
    ----------
    components : sequence
        Frozen continuous distributions of ``scipy.stats``, :class:`Density` or :class:`Mixture`.
    weights : sequence of float
        Positive, one for each component; they sum to 1 within 1e-9.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from divergences.continuous import js_densities
    >>> two = Mixture(components=[norm(-20, 1), norm(20, 1)], weights=[0.5, 0.5])
    >>> round(float(js_densities(two, norm(20, 1))), 12)  # 3/4 log(4/3)
    0.215761554339
    """

    components: Sequence[Any]
    weights: Sequence[float]
