"""Numbers in and out of ball arithmetic for closed forms and polynomials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynamics.methods.base import Method
from dynamics.polynomials import PRECISION, enclosure_of_ball, radius_enclosure, with_numbers
from evidence.enclosure import Enclosure

__all__ = ["as_ball", "enclose", "method_radius"]


def as_ball(value: float | Enclosure) -> Any:
    """A ``flint.arb`` that holds the float, or everything in the enclosure.

    Examples
    --------
    >>> 1.5 in as_ball(Enclosure(1.0, 2.0)), as_ball(0.5).is_exact()
    (True, True)
    """
    from flint import arb

    if isinstance(value, Enclosure):
        return arb(value.lower).union(arb(value.upper))
    return arb(value)


def enclose(formula: Callable[..., Any], *numbers: float, method: str) -> Enclosure:
    """The value of a formula at floats, in balls of 1024 bits.

    Examples
    --------
    >>> e = enclose(lambda t: t.sqrt(), 2.0, method="closed form")
    >>> e.lower**2 < 2.0 < e.upper**2
    True
    """
    from flint import ctx

    with ctx.workprec(PRECISION):
        return enclosure_of_ball(formula(*(as_ball(v) for v in numbers)), method)


def method_radius(
    family: Method, sigmas: Sequence[float], power: int = 1, **numbers: Callable[[], Any]
) -> Enclosure:
    """The spectral radius over singular values, its parameters real numbers known as balls.

    Parameters
    ----------
    family : Method
        Gives the polynomial and the parameters that are not replaced.
    sigmas : sequence of float
        Singular values, taken as exact.
    power : int
        The radius is raised to it: 2 for rates of the squared norm.
    **numbers
        Fields of the method, as functions that make a pair of balls.

    Examples
    --------
    >>> from dynamics.methods import GDA
    >>> 1.25 in method_radius(GDA(0.5), [1.0], power=2)
    True
    """
    from flint import arb, ctx

    with ctx.workprec(PRECISION):
        replaced = {name: make() for name, make in numbers.items()}
        twin = with_numbers(family, arb, **replaced)
        polynomials = [[arb(c) for c in twin._polynomial(arb(s) ** 2)] for s in sigmas]
        estimate = max(_largest_root(p) for p in polynomials)
        radius = radius_enclosure(polynomials, estimate)
        return enclosure_of_ball(as_ball(radius) ** power, radius.method)


def _largest_root(polynomial: Sequence[Any]) -> float:
    return float(np.max(np.abs(np.roots([float(c) for c in polynomial])), initial=0.0))
