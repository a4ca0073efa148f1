"""The generators of f-divergences, their derivatives and their convex conjugates.

``D_f(p || q) = sum q f(p/q)`` for convex ``f`` on ``(0, inf)``, with ``f(0)`` and
``f'(inf) = lim f(x)/x`` for outcomes where one of the masses is 0. The conjugate
``f*(t) = sup_{x > 0} t x - f(x)`` is what a critic sees:
``D_f(p || q) >= E_p T - E_q f*(T)`` for every ``T`` with values where ``f*`` is finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import as_mass_pair
from divergences.row_sums import js_values, kl_values, rule_values
from divergences.tensors import are_tensors, finished, tensor_pair, tensor_values
from divergences.terms import CHI2, HELLINGER, JS, KL, TOTAL_VARIATION, Rule, reversed_rule

__all__ = ["GENERATORS", "Generator", "f_divergence"]

_LOG2 = math.log(2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generator:
    """A convex function on ``(0, inf)`` and what belongs to it.

    Attributes
    ----------
    name : str
    formula : str
        ``f(x)`` as text.
    f : callable
        Vectorised on positive arrays. ``f(1)`` need not be 0: then so is ``D_f(p || p)``.
    derivative : callable, optional
        ``f'(x)`` on positive arrays (one element of the subdifferential at kinks). At ``p/q`` it
        is the optimal critic.
    conjugate : callable, optional
        ``f*(t)`` for all real ``t``, ``inf`` outside of ``domain``.
    domain : (float, float)
        Closure of the interval where ``f*`` is finite.
    at_zero : float
        ``lim f(x)`` for ``x -> 0``.
    slope_at_infinity : float
        ``lim f(x)/x`` for ``x -> inf``, the upper end of ``domain``.

    References
    ----------
    Nowozin, Cseke and Tomioka, *f-GAN*, NeurIPS 2016, tables 1 and 2; Csiszar, Studia Sci. Math.
    Hungar. 2 (1967).

    Examples
    --------
    >>> GENERATORS["kl"]
    Generator(kl: x log x)
    >>> GENERATORS["kl"].conjugate(np.array([1.0]))
    array([1.])
    """

    name: str
    formula: str
    f: Callable[[Any], Any]
    at_zero: float
    slope_at_infinity: float
    derivative: Callable[[Any], Any] | None = None
    conjugate: Callable[[Any], Any] | None = None
    domain: tuple[float, float] = (-math.inf, math.inf)

    def __repr__(self) -> str:
        return f"Generator({self.name}: {self.formula})"


def _inside(t: ArrayLike, upper: float, value: Callable[[Any], Any]) -> NDArray[np.float64]:
    """``value(t)`` for ``t`` below the upper end of the domain, ``inf`` above it."""
    points = np.asarray(t, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.where(points <= upper, value(np.minimum(points, upper)), math.inf)


def _xlogx(x: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(x, dtype=np.float64)
    result: NDArray[np.float64] = points * np.log(np.where(points > 0.0, points, 1.0))
    return result


def _js_value(x: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(x, dtype=np.float64)
    return 0.5 * (_xlogx(points) - (points + 1.0) * np.log((points + 1.0) / 2.0))


def _gan_value(x: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(x, dtype=np.float64)
    return _xlogx(points) - (points + 1.0) * np.log1p(points)


def _pearson_conjugate(t: ArrayLike) -> NDArray[np.float64]:
    # For t < -2 the supremum over x > 0 is at 0.
    points = np.maximum(np.asarray(t, dtype=np.float64), -2.0)
    return points + points**2 / 4.0


_TABLE = (
    Generator(
        name="kl",
        formula="x log x",
        f=_xlogx,
        derivative=lambda x: np.log(x) + 1.0,
        conjugate=lambda t: np.exp(np.asarray(t, dtype=np.float64) - 1.0),
        at_zero=0.0,
        slope_at_infinity=math.inf,
    ),
    Generator(
        name="reverse_kl",
        formula="-log x",
        f=lambda x: -np.log(x),
        derivative=lambda x: -1.0 / np.asarray(x, dtype=np.float64),
        conjugate=lambda t: _inside(t, 0.0, lambda s: -1.0 - np.log(-s)),
        domain=(-math.inf, 0.0),
        at_zero=math.inf,
        slope_at_infinity=0.0,
    ),
    Generator(
        name="js",
        formula="[x log x - (x + 1) log((x + 1)/2)] / 2",
        f=_js_value,
        derivative=lambda x: 0.5 * np.log(2.0 * np.asarray(x) / (np.asarray(x) + 1.0)),
        # -log(2 - e^(2 t)) / 2 without cancellation near t = 0.
        conjugate=lambda t: _inside(t, _LOG2 / 2.0, lambda s: -0.5 * np.log1p(-np.expm1(2.0 * s))),
        domain=(-math.inf, _LOG2 / 2.0),
        at_zero=_LOG2 / 2.0,
        slope_at_infinity=_LOG2 / 2.0,
    ),
    Generator(
        name="gan",
        formula="x log x - (x + 1) log(x + 1)",
        f=_gan_value,
        derivative=lambda x: -np.log1p(1.0 / np.asarray(x, dtype=np.float64)),
        conjugate=lambda t: _inside(t, 0.0, lambda s: -np.log(-np.expm1(s))),
        domain=(-math.inf, 0.0),
        at_zero=0.0,
        slope_at_infinity=0.0,
    ),
    Generator(
        name="total_variation",
        formula="|x - 1| / 2",
        f=lambda x: 0.5 * np.abs(np.asarray(x, dtype=np.float64) - 1.0),
        derivative=lambda x: 0.5 * np.sign(np.asarray(x, dtype=np.float64) - 1.0),
        conjugate=lambda t: _inside(t, 0.5, lambda s: np.maximum(s, -0.5)),
        domain=(-math.inf, 0.5),
        at_zero=0.5,
        slope_at_infinity=0.5,
    ),
    Generator(
        name="squared_hellinger",
        formula="(sqrt x - 1)^2 / 2",
        f=lambda x: 0.5 * (np.sqrt(x) - 1.0) ** 2,
        derivative=lambda x: 0.5 * (1.0 - 1.0 / np.sqrt(x)),
        conjugate=lambda t: _inside(t, 0.5, lambda s: s / (1.0 - 2.0 * s)),
        domain=(-math.inf, 0.5),
        at_zero=0.5,
        slope_at_infinity=0.5,
    ),
    Generator(
        name="chi2",
        formula="(x - 1)^2",
        f=lambda x: (np.asarray(x, dtype=np.float64) - 1.0) ** 2,
        derivative=lambda x: 2.0 * (np.asarray(x, dtype=np.float64) - 1.0),
        conjugate=_pearson_conjugate,
        at_zero=1.0,
        slope_at_infinity=math.inf,
    ),
    Generator(
        name="reverse_chi2",
        formula="(1 - x)^2 / x",
        f=lambda x: (np.asarray(x, dtype=np.float64) - 1.0) ** 2 / x,
        derivative=lambda x: 1.0 - 1.0 / np.asarray(x, dtype=np.float64) ** 2,
        conjugate=lambda t: _inside(t, 1.0, lambda s: 2.0 - 2.0 * np.sqrt(1.0 - s)),
        domain=(-math.inf, 1.0),
        at_zero=math.inf,
        slope_at_infinity=1.0,
    ),
    Generator(
        name="jeffreys",
        formula="(x - 1) log x",
        f=lambda x: (np.asarray(x, dtype=np.float64) - 1.0) * np.log(x),
        derivative=lambda x: np.log(x) + 1.0 - 1.0 / np.asarray(x, dtype=np.float64),
        at_zero=math.inf,
        slope_at_infinity=math.inf,
    ),
    Generator(
        name="triangular",
        formula="(x - 1)^2 / (x + 1)",
        f=lambda x: (np.asarray(x, dtype=np.float64) - 1.0) ** 2 / (np.asarray(x) + 1.0),
        derivative=lambda x: 1.0 - 4.0 / (np.asarray(x, dtype=np.float64) + 1.0) ** 2,
        # For t < -3 the supremum over x > 0 is at 0.
        conjugate=lambda t: _inside(
            t, 1.0, lambda s: (1.0 - np.sqrt(1.0 - np.maximum(s, -3.0))) * (
                3.0 - np.sqrt(1.0 - np.maximum(s, -3.0))
            )
        ),
        domain=(-math.inf, 1.0),
        at_zero=1.0,
        slope_at_infinity=1.0,
    ),
)  # fmt: skip


class GeneratorTable(Mapping[str, Generator]):
    """The generators by name, read-only."""

    def __init__(self, generators: tuple[Generator, ...]) -> None:
        self._by_name = {g.name: g for g in generators}

    def __getitem__(self, name: str) -> Generator:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"GENERATORS({', '.join(self._by_name)})"


GENERATORS: Mapping[str, Generator] = GeneratorTable(_TABLE)

_STABLE: dict[str, Rule] = {
    "kl": KL,
    "reverse_kl": reversed_rule(KL),
    "js": JS,
    "total_variation": TOTAL_VARIATION,
    "squared_hellinger": HELLINGER,
    "chi2": CHI2,
    "reverse_chi2": reversed_rule(CHI2),
}


def f_divergence(
    p: ArrayLike,
    q: ArrayLike,
    generator: Generator | str,
    *,
    normalize: bool = False,
    axis: int = -1,
) -> Any:
    """``D_f(p || q) = sum q f(p/q)``, with the limits of ``f`` where one of the masses is 0.

    Parameters
    ----------
    p, q : array_like or tensor, shape (..., n)
        Masses over the same ``n`` outcomes; leading axes broadcast.
    generator : Generator or str
        A generator, or the name of one of ``GENERATORS``. With tensors a generator of your own is
        given tensors, and its functions must be written for them.
    normalize : bool
        Divide counts by their totals.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float, array or tensor, shape (...)
        Generators of the table with a divergence of their own are evaluated by it, which keeps
        relative accuracy near equality; others as the formula stands.

    Raises
    ------
    ValueError, TypeError
        Unknown generator, a generator that yields NaN; masses as in `divergences.discrete`.

    References
    ----------
    Csiszar, Studia Sci. Math. Hungar. 2 (1967); Liese and Vajda, IEEE Trans. Inf. Theory 52
    (2006), definition 1 for the limits.

    Examples
    --------
    >>> f_divergence([0.75, 0.25], [0.25, 0.75], "total_variation")
    0.5
    >>> square = Generator(name="square", formula="x^2", f=lambda x: x**2, at_zero=0.0,
    ...     slope_at_infinity=math.inf)
    >>> f_divergence([0.5, 0.5], [0.25, 0.75], square)  # 1 + chi2
    1.3333333333333333
    """
    chosen = as_generator(generator)
    rule = _STABLE.get(chosen.name) if GENERATORS.get(chosen.name) is chosen else None
    if are_tensors(p=p, q=q):
        a, b = tensor_pair(p, q, normalize=normalize, axis=axis)
        if rule is not None:
            return finished(tensor_values(rule, a, b, normalize=normalize), p, q)
        if chosen.name in GENERATORS and GENERATORS[chosen.name] is chosen:
            raise TypeError(
                f"`generator` {chosen.name!r} has no form for tensors; pass a Generator whose `f` "
                "is written with torch functions"
            )
        return finished(_tensor_sum(chosen, a, b, normalize), p, q)
    pair = as_mass_pair(p, q, normalize=normalize, axis=axis)
    if rule is KL:
        return pair.result(kl_values(pair))
    if chosen.name == "reverse_kl" and rule is not None:
        return pair.result(kl_values(pair.exchanged()))
    if rule is JS:
        return pair.result(js_values(pair))
    if rule is not None:
        return pair.result(rule_values(rule, pair))
    return pair.result(_plain_sum(chosen, *pair.quotients()))


def as_generator(generator: Generator | str) -> Generator:
    if isinstance(generator, Generator):
        return generator
    if not isinstance(generator, str) or generator not in GENERATORS:
        known = ", ".join(repr(name) for name in GENERATORS)
        raise ValueError(f"`generator` must be a Generator or one of {known}, got {generator!r}")
    return GENERATORS[generator]


def _plain_sum(
    generator: Generator, p: NDArray[np.float64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    both = (p > 0.0) & (q > 0.0)
    with np.errstate(all="ignore"):
        ratio = np.where(both, p, 1.0) / np.where(both, q, 1.0)
        # Ratios that leave the range of floats are as good as 0 and infinite.
        vast, nothing = both & np.isinf(ratio), both & (ratio == 0.0)
        inside = both & ~vast & ~nothing
        values = np.where(inside, q * generator.f(np.where(inside, ratio, 1.0)), 0.0)
        only_p, only_q = (p > 0.0) & ~inside & ~nothing, (q > 0.0) & ~inside & ~vast
        values = values + np.where(only_p, p * generator.slope_at_infinity, 0.0)
        values = values + np.where(only_q, q * generator.at_zero, 0.0)
    sums: NDArray[np.float64] = values.sum(axis=-1)
    if np.isnan(sums).any():
        raise ValueError(
            f"`generator` {generator.name!r} gives NaN at one of the ratios p/q; "
            "it must be finite on (0, inf)"
        )
    return sums


def _tensor_sum(generator: Generator, p: Any, q: Any, normalize: bool) -> Any:
    import torch

    A, B = p.sum(dim=-1, keepdim=True), q.sum(dim=-1, keepdim=True)
    p, q = (p / A, q / B) if normalize else (p / A.detach(), q / B.detach())
    both = (p > 0.0) & (q > 0.0)
    ratio = torch.where(both, p, 1.0) / torch.where(both, q, 1.0)
    values = torch.where(both, q * generator.f(ratio), 0.0)
    only_p, only_q = (p > 0.0) & ~both, (q > 0.0) & ~both
    values = values + torch.where(only_p, _scaled(p, generator.slope_at_infinity, only_p), 0.0)
    values = values + torch.where(only_q, _scaled(q, generator.at_zero, only_q), 0.0)
    return values.sum(dim=-1)


def _scaled(masses: Any, factor: float, chosen: Any) -> Any:
    import torch

    return torch.where(chosen, masses, 1.0) * factor
