"""Laws on the line whose densities, cumulative functions and tails ball arithmetic can enclose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from divergences.distributions import Mixture
from evidence.validation import as_float_array

__all__: list[str] = []

FAMILIES = ("norm", "uniform", "expon", "laplace", "logistic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One location-scale law, with weight; ``loc`` and ``scale`` are exact floats."""

    family: str
    loc: float
    scale: float
    weight: float = 1.0

    # ---- on the complex plane (acb), where every formula is analytic ---------------------------
    def log_density(self, z: Any, side: int) -> Any:
        """Log density of the analytic piece to the left (-1) or right (+1) of ``loc``."""
        from flint import acb, arb

        scale = arb(self.scale)
        t = (z - arb(self.loc)) / scale
        if self.family == "norm":
            value = -t * t / 2 - acb((2 * arb.pi()).log()) / 2
        elif self.family == "uniform":
            value = acb(0)
        elif self.family == "expon":
            value = -t
        elif self.family == "laplace":
            value = (-t if side > 0 else t) - acb(arb(2).log())
        else:  # logistic: an even function, written so that the exponential stays small
            t = -t if _real_sign(t) < 0 else t
            value = -t - 2 * (1 + (-t).exp()).log(True)
        return value - acb(scale.log())

    def tail(self, z: Any, side: int, *, upper: bool) -> Any:
        """Survival function (``upper``) or distribution function of the analytic piece."""
        from flint import acb, arb

        t = (z - arb(self.loc)) / arb(self.scale)
        if self.family == "norm":
            root = arb(2).sqrt()
            return ((t if upper else -t) / root).erfc() / 2
        if self.family == "uniform":
            return 1 - t if upper else t
        if self.family == "expon":
            return (-t).exp() if upper else -(-t).expm1()
        if self.family == "laplace":
            half = (-t if side > 0 else t).exp() / 2
            return half if (side > 0) == upper else 1 - half
        t = -t if upper else t
        e = (t if _real_sign(t) < 0 else -t).exp()
        return e / (1 + e) if _real_sign(t) < 0 else acb(1) / (1 + e)

    # ---- the support and its pieces ------------------------------------------------------------
    def ends(self) -> list[Fraction]:
        """Exact points where the density is not analytic."""
        start = Fraction(self.loc)
        if self.family == "uniform":
            return [start, start + Fraction(self.scale)]
        return [start] if self.family in ("expon", "laplace") else []

    def covers(self, point: Fraction) -> bool:
        """Whether a point that is no end lies inside the support."""
        if self.family == "uniform":
            start, stop = self.ends()
            return start < point < stop
        return self.family != "expon" or Fraction(self.loc) < point

    # ---- tails beyond a point that exceeds every end, as balls (arb) ---------------------------
    def reach(self, digits: float) -> float:
        """A distance from ``loc``, in scales, beyond which about 10^-digits of the mass is left."""
        if self.family == "norm":
            return math.sqrt(2.0 * digits * math.log(10.0))
        return 1.0 if self.family == "uniform" else digits * math.log(10.0)

    def tail_moments(self, bound: Any, side: int) -> tuple[Any, Any, Any]:
        """Upper bounds of ``E |X - loc|^k`` restricted to X beyond ``bound``, k = 0, 1, 2."""
        from flint import arb

        if self.family == "uniform" or (self.family == "expon" and side < 0):
            return arb(0), arb(0), arb(0)
        s = arb(self.scale)
        a = (bound - arb(self.loc)) / s * side
        if self.family == "norm":
            q = (a / arb(2).sqrt()).erfc() / 2
            phi = (-a * a / 2).exp() / (2 * arb.pi()).sqrt()
            return q, s * phi, s * s * (a * phi + q)
        # The densities are at most exp(-t); that of laplace is half of it.
        e = (-a).exp() / (2 if self.family == "laplace" else 1)
        return e, s * e * (a + 1), s * s * e * (a * a + 2 * a + 2)

    def excess(self, bound: Any, side: int) -> Any:
        """An upper bound of ``E (X - bound)+``; of ``E (bound - X)+`` on the left."""
        from flint import arb

        mass, first, _ = self.tail_moments(bound, side)
        if self.family == "norm":
            return first - (bound - arb(self.loc)) * side * mass
        # The tail probability is at most e = exp(-t) (half of it for laplace), with integral s e.
        return arb(self.scale) * mass

    def log_bounds(self) -> tuple[Any, tuple[Any, Any, Any]]:
        """``sup log p`` and (c0, c1, c2) with ``-log p <= c0 + c1 |x - loc| + c2 (x - loc)^2``."""
        from flint import arb

        s = arb(self.scale)
        zero = arb(0)
        if self.family == "norm":
            c0 = (2 * arb.pi()).log() / 2 + s.log()
            return -c0, (c0, zero, 1 / (2 * s * s))
        if self.family == "uniform":
            return -s.log(), (s.log(), zero, zero)
        if self.family == "expon":
            return -s.log(), (s.log(), 1 / s, zero)
        if self.family == "laplace":
            c0 = s.log() + arb(2).log()
            return -c0, (c0, 1 / s, zero)
        # log p = -|t| - 2 log(1 + exp(-|t|)) - log s lies between -|t| - log 4 - log s and -log 4s
        c0 = s.log() + arb(4).log()
        return -c0, (c0, 1 / s, zero)


def _real_sign(z: Any) -> int:
    return -1 if float(z.real.mid()) < 0 else 1


def components(value: Any, name: str, weight: float = 1.0) -> list[Component]:
    """The components of a law that ball arithmetic can treat, with their weights."""
    if isinstance(value, Mixture):
        weights = as_float_array(value.weights, f"{name}.weights", ndim=1)
        total = math.fsum(weights)
        if len(value.components) != weights.size or not (weights > 0.0).all() or total != 1.0:
            raise ValueError(
                f"`{name}.weights` must be positive floats that sum to exactly 1 and match the "
                f"{len(value.components)} components, got {weights.tolist()}; use fractions of a "
                "power of two"
            )
        parts: list[Component] = []
        for i, (part, w) in enumerate(zip(value.components, weights, strict=True)):
            if isinstance(part, Mixture):
                raise TypeError(
                    f"`{name}.components[{i}]` must not be a mixture itself, because products of "
                    "weights are rounded; write one mixture"
                )
            parts += components(part, f"{name}.components[{i}]", float(w))
        return parts
    family = getattr(getattr(value, "dist", None), "name", None)
    known = type(getattr(value, "dist", None)).__module__.startswith("scipy.")
    if family not in FAMILIES or not known:
        raise TypeError(
            f"`{name}` must be a frozen {', '.join(FAMILIES)} of scipy.stats or a Mixture of them, "
            f"got {family or type(value).__name__}; the functions *_densities take any "
            "distribution, without a proof"
        )
    _, loc, scale = value.dist._parse_args(*value.args, **value.kwds)
    if np.ndim(loc) or np.ndim(scale):
        raise TypeError(f"`{name}` must be one distribution, got arrays of parameters")
    loc, scale = float(loc), float(scale)
    if not math.isfinite(loc) or not 0.0 < scale < math.inf:
        raise ValueError(
            f"`{name}` must have a finite location and a positive scale, got {loc:.17g} and "
            f"{scale:.17g}"
        )
    return [Component(family=family, loc=loc, scale=scale, weight=weight)]
