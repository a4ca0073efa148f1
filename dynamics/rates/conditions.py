"""Zhang and Yu's conditions: four methods on a bilinear game converge if and only if ...

With steps ``a1, a2`` and a singular value ``sigma`` of the payoff matrix, ``s = sigma^2`` and
``A = a1 a2 s``. All conditions are asked of every nonzero singular value.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dynamics.games import Bilinear
from dynamics.methods import GDA, OGD, Extragradient, HeavyBall, OptimisticGDA
from dynamics.methods.base import Method
from dynamics.polynomials import PRECISION, enclosure_of_ball
from dynamics.rates.balls import as_ball
from dynamics.rates.results import Condition, Margin, _all
from dynamics.spectra import stability
from evidence.enclosure import Enclosure

__all__ = [
    "extragradient_condition",
    "gradient_descent_condition",
    "momentum_condition",
    "optimistic_condition",
]

Inequalities = list[tuple[str, Any, bool]]
PAPER = "Zhang and Yu, ICLR 2020, Theorem "


def gradient_descent_condition(game: Bilinear, method: GDA) -> Condition:
    """Theorem 3.1: gradient descent-ascent converges for no step size.

    Parameters
    ----------
    game : Bilinear
        With a saddle point and a matrix that is not zero.
    method : GDA
        Constant steps of any sign, any order.

    Returns
    -------
    Condition
        ``holds`` is False for steps whose product is positive, which is the theorem; the margins
        are ``-A > 0`` simultaneously, and ``1 < 1``, the product of the eigenvalues, in turn.

    Raises
    ------
    TypeError, ValueError
        Another game, a schedule, a zero matrix, no saddle point.

    Notes
    -----
    Tight (if and only if). In turn the iterates may stay bounded, which is not convergence.

    References
    ----------
    Zhang and Yu, *Convergence of gradient methods on bilinear zero-sum games*, ICLR 2020, Thm 3.1.

    Examples
    --------
    >>> found = gradient_descent_condition(Bilinear(1.0), GDA(1.0, order="alternating_xy"))
    >>> found.holds, found.computed.verdict, found.agrees
    (False, 'marginal', True)
    """
    a1, a2 = _pair(method, "step_size")

    def inequalities(s: Any, number: Callable[[float], Any]) -> Inequalities:
        A = number(a1) * number(a2) * s
        if method.order == "simultaneous":
            return [("A < 0", -A, True), ("A > -4", 4 + A, True)]
        return [("1 < 1", 0 * s, True)]

    return _condition(game, method, inequalities, "3.1")


def extragradient_condition(game: Bilinear, method: Extragradient) -> Condition:
    """Theorem 3.2: when extragradient converges.

    Parameters
    ----------
    game : Bilinear
        With a saddle point and a matrix that is not zero.
    method : Extragradient
        Constant steps; alternating ones ``restarted``, as in the paper.

    Returns
    -------
    Condition
        With ``b1 = a2 g1 s``, ``b2 = a1 g2 s``, ``B = (1 - b1)(1 - b2)``, ``T = b1 + b2``:
        simultaneously ``A + B < 1`` and ``|T - 2| < 1 + A + B``, in turn ``B < 1`` and
        ``|T + A - 2| < 1 + B`` (with ``A + B > -1`` or ``B > -1``, which the others imply).

    Raises
    ------
    TypeError, ValueError
        Another game, a schedule, ``phased`` alternation, a zero matrix, no saddle point.

    Notes
    -----
    Tight (if and only if).

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 3.2.

    Examples
    --------
    >>> [extragradient_condition(Bilinear(1.0), Extragradient(a)).holds for a in (0.5, 1.0, 1.5)]
    [True, False, False]
    """
    a1, a2 = _pair(method, "step_size")
    g1, g2 = _pair(method, "extrapolation")
    if method.alternation == "phased":
        raise ValueError("`method` alternates 'phased'; the theorem is on alternation='restarted'")

    def inequalities(s: Any, number: Callable[[float], Any]) -> Inequalities:
        A = number(a1) * number(a2) * s
        b1, b2 = number(a2) * number(g1) * s, number(a1) * number(g2) * s
        B, T = (1 - b1) * (1 - b2), b1 + b2
        if method.order == "simultaneous":
            return [
                ("A + B < 1", 1 - A - B, True),
                ("T - 2 < 1 + A + B", 3 + A + B - T, True),
                ("2 - T < 1 + A + B", A + B + T - 1, True),
            ]
        return [
            ("B < 1", 1 - B, True),
            ("T + A - 2 < 1 + B", 3 + B - T - A, True),
            ("2 - T - A < 1 + B", B + T + A - 1, True),
        ]

    return _condition(game, method, inequalities, "3.2")


def optimistic_condition(game: Bilinear, method: OGD | OptimisticGDA) -> Condition:
    """Theorem 3.3: when optimistic gradient descent-ascent converges, with its erratum.

    Parameters
    ----------
    game : Bilinear
        With a saddle point and a matrix that is not zero.
    method : OGD or OptimisticGDA
        Constant steps ``a_i`` and corrections ``b_i``.

    Returns
    -------
    Condition
        With ``C = (a1 b2 + a2 b1) s`` and ``R = b1 b2 s``: simultaneously ``|R| < 1``,
        ``A - C + R > 0``, ``A + C + R > -4`` and
        ``A (1 - R)^2 + C^2 < (1 + R)(2 C + R (R - 3))``; in turn ``A - C + R > 0``,
        ``A + C + R < 4``, ``A R + C + 1 > (1 + R)^2`` and, not in print, ``|R| < 1``.

    Raises
    ------
    TypeError, ValueError
        Another game, a schedule, a zero matrix, no saddle point.

    Notes
    -----
    Tight (if and only if). Without ``|R| < 1`` the alternating condition is false: steps 3 and
    corrections (-1, -2) satisfy the three printed inequalities at ``sigma = 1``, while the
    iterates grow by a factor 5.12488 in every step. ``s`` carries the paper's ``sigma^2``; there
    ``a1 = a2``, which is no restriction.

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 3.3, as in the computation of Appendix C.4.5.

    Examples
    --------
    >>> method = OGD(3.0, (-1.0, -2.0), order="alternating_xy")
    >>> found = optimistic_condition(Bilinear(1.0), method)
    >>> found.printed_holds, found.holds, found.computed.verdict
    (True, False, 'unstable')
    >>> 5.12488541 < found.computed.radius.lower < found.computed.radius.upper < 5.12488542
    True
    """
    ogd = method.as_ogd() if isinstance(method, OptimisticGDA) else method
    a1, a2 = _pair(ogd, "step_size")
    c1, c2 = _pair(ogd, "correction")

    def inequalities(s: Any, number: Callable[[float], Any]) -> Inequalities:
        A, R = number(a1) * number(a2) * s, number(c1) * number(c2) * s
        C = (number(a1) * number(c2) + number(a2) * number(c1)) * s
        if ogd.order == "simultaneous":
            last = (1 + R) * (2 * C + R * (R - 3)) - A * (1 - R) * (1 - R) - C * C
            return [
                ("R < 1", 1 - R, True),
                ("R > -1", 1 + R, True),
                ("A - C + R > 0", A - C + R, True),
                ("A + C + R > -4", 4 + A + C + R, True),
                ("A (1 - R)^2 + C^2 < (1 + R)(2 C + R (R - 3))", last, True),
            ]
        return [
            ("A - C + R > 0", A - C + R, True),
            ("A + C + R < 4", 4 - A - C - R, True),
            ("A R + C + 1 > (1 + R)^2", A * R + C + 1 - (1 + R) * (1 + R), True),
            ("R < 1", 1 - R, False),
            ("R > -1", 1 + R, False),
        ]

    return _condition(game, method, inequalities, "3.3")


def momentum_condition(game: Bilinear, method: HeavyBall) -> Condition:
    """Theorem 3.4: when momentum converges.

    Parameters
    ----------
    game : Bilinear
        With a saddle point and a matrix that is not zero.
    method : HeavyBall
        Constant steps and weights ``b_i`` of any sign.

    Returns
    -------
    Condition
        Simultaneously never for steps of one sign (no margins). In turn, with ``R = b1 b2``:
        ``|R| < 1``, ``|b1 + b2 + 2 - A| < R + 3``, ``A < 4 (1 + b1)(1 + b2)`` and
        ``A R < (1 - R)(2 R - b1 - b2)``.

    Raises
    ------
    TypeError, ValueError
        Another game, a schedule, a zero matrix, no saddle point, simultaneous steps of opposite
        signs, on which the theorem is silent.

    Notes
    -----
    Tight (if and only if). In turn at least one weight must be negative.

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 3.4.

    Examples
    --------
    >>> turns = [HeavyBall(1.0, b, order="alternating_xy") for b in (-0.3, 0.0, 0.3)]
    >>> [momentum_condition(Bilinear(1.0), method).holds for method in turns]
    [True, False, False]
    >>> momentum_condition(Bilinear(1.0), HeavyBall(1.0, -0.3)).holds
    False
    """
    a1, a2 = _pair(method, "step_size")
    w1, w2 = method.momentum
    if method.order == "simultaneous":
        if not a1 * a2 > 0:
            raise ValueError(f"`method` must have steps of one sign, got {(a1, a2)}")
        _checked(game, method)
        return Condition(
            holds=False, margins=(), computed=stability(game, method), theorem=PAPER + "3.4"
        )

    def inequalities(s: Any, number: Callable[[float], Any]) -> Inequalities:
        A, b1, b2 = number(a1) * number(a2) * s, number(w1), number(w2)
        R, total = b1 * b2, b1 + b2
        return [
            ("R < 1", 1 - R, True),
            ("R > -1", 1 + R, True),
            ("b1 + b2 + 2 - A < R + 3", R + 1 - total + A, True),
            ("A - b1 - b2 - 2 < R + 3", R + 5 + total - A, True),
            ("A < 4 (1 + b1)(1 + b2)", 4 * (1 + b1) * (1 + b2) - A, True),
            ("A R < (1 - R)(2 R - b1 - b2)", (1 - R) * (2 * R - total) - A * R, True),
        ]

    return _condition(game, method, inequalities, "3.4")


def _pair(method: Method, name: str) -> tuple[float, float]:
    pair = getattr(method, name)
    if not isinstance(pair, tuple):
        raise TypeError(f"`method` must have a constant {name}, got {pair!r}")
    return pair


def _checked(game: Bilinear, method: Method) -> None:
    if not isinstance(game, Bilinear):
        raise TypeError(f"`game` must be Bilinear, got {type(game).__name__}")
    if not len(game.singular_values):
        raise ValueError("`game` must have a matrix that is not zero; on 0 nothing moves")
    if game.equilibrium is None:
        raise ValueError("`game` has no saddle point: b or c is out of the range of A")


def _condition(
    game: Bilinear,
    method: Method,
    inequalities: Callable[[Any, Callable[[float], Any]], Inequalities],
    number: str,
) -> Condition:
    from flint import ctx

    _checked(game, method)
    with ctx.workprec(PRECISION):
        at = [_margins(inequalities, sigma) for sigma in game.singular_value_enclosures()]
    answers = [margin.is_positive for margins in at for margin in margins]
    worst = min(at, key=lambda margins: min(margin.value.lower for margin in margins))
    return Condition(
        holds=_all(answers),
        margins=worst,
        computed=stability(game, method),
        theorem=PAPER + number,
    )


def _margins(
    inequalities: Callable[[Any, Callable[[float], Any]], Inequalities], sigma: Enclosure
) -> tuple[Margin, ...]:
    """In fractions where the singular value is a float, so that zero is decided; else in balls."""
    if sigma.lower == sigma.upper:
        found = inequalities(Fraction(sigma.lower) ** 2, Fraction)
        return tuple(
            Margin(text=text, value=Enclosure(value, value, "rational"), is_printed=is_printed)
            for text, value, is_printed in found
        )
    found = inequalities(as_ball(sigma) ** 2, as_ball)
    return tuple(
        Margin(text=text, value=enclosure_of_ball(value, "ball"), is_printed=is_printed)
        for text, value, is_printed in found
    )
