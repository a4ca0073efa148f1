"""The Dirac-GAN under its regularisers: eigenvalues, flow and step size limits (Mescheder)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dynamics.dirac import R1, R2, Consensus, DiracGAN, InstanceNoise
from dynamics.protocols import Array
from dynamics.rates.balls import enclose
from dynamics.spectra import flow_stability
from dynamics.step_sizes import step_size_limit
from evidence.enclosure import Enclosure

__all__ = ["DiracRow", "dirac_gan_table"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiracRow:
    """One line of the table: a game, what theory says of it and what is computed.

    Attributes
    ----------
    name : str
        The loss and its regulariser.
    game : DiracGAN
        The game.
    theoretical_eigenvalues, eigenvalues : array of complex, shape (2,)
        Of ``-F'`` at the equilibrium, by formula and computed (floats).
    theoretical_flow, flow : str
        Verdict on the flow: ``stable``, or ``inconclusive`` for a centre of a nonlinear game and
        ``marginal`` for one of a linear game.
    theoretical_limits, limits : tuple of Enclosure
        First step at which simultaneous and alternating gradient steps stop converging: closed
        form, and bisection of proved verdicts.

    Examples
    --------
    >>> row = dirac_gan_table(("GAN + R1(0.3)",))[0]
    >>> row.flow, row.is_consistent
    ('stable', True)
    """

    name: str
    game: DiracGAN
    theoretical_eigenvalues: Array
    eigenvalues: Array
    theoretical_flow: str
    flow: str
    theoretical_limits: tuple[Enclosure, Enclosure]
    limits: tuple[Enclosure, Enclosure]

    @property
    def is_consistent(self) -> bool:
        """Whether verdicts and limits agree; eigenvalues to the root of rounding, for doubles."""
        closest = np.abs(
            np.sort_complex(self.eigenvalues) - np.sort_complex(self.theoretical_eigenvalues)
        )
        pairs = zip(self.theoretical_limits, self.limits, strict=True)
        return (
            self.theoretical_flow == self.flow
            and all(a.overlaps(b) for a, b in pairs)
            and bool(closest.max() < 1e-7)
        )


# loss, regulariser, f'(0), damping of the critic's own field, damping of both
_ROWS: dict[str, tuple[str, Any, float, float, float]] = {
    "GAN": ("gan", None, 0.5, 0.0, 0.0),
    "NSGAN": ("nsgan", None, 0.5, 0.0, 0.0),
    "WGAN": ("wgan", None, 1.0, 0.0, 0.0),
    "GAN + noise(0.7)": ("gan", InstanceNoise(0.7), 0.5, 0.7**2 / 2.0, 0.0),
    "GAN + noise(2)": ("gan", InstanceNoise(2.0), 0.5, 2.0, 0.0),
    "GAN + R1(0.3)": ("gan", R1(0.3), 0.5, 0.3, 0.0),
    "GAN + R1(2)": ("gan", R1(2.0), 0.5, 2.0, 0.0),
    "GAN + R2(0.3)": ("gan", R2(0.3), 0.5, 0.3, 0.0),
    "WGAN + R1(0.3)": ("wgan", R1(0.3), 1.0, 0.3, 0.0),
    "GAN + consensus(1)": ("gan", Consensus(1.0), 0.5, 0.0, 0.25),
}


def dirac_gan_table(names: tuple[str, ...] | None = None) -> tuple[DiracRow, ...]:
    """The Dirac-GAN's regularisers: which make it converge, and up to which step.

    Parameters
    ----------
    names : tuple of str, optional
        Lines to compute; all ten by default.

    Returns
    -------
    tuple of DiracRow
        Theory beside computation.

    Raises
    ------
    ValueError
        An unknown line.

    Notes
    -----
    With ``p = f'(0)`` and the critic's damping ``g`` (``gamma`` of R1 and R2, ``-2 f''(0) s^2`` for
    noise of deviation ``s``) the eigenvalues are ``-g/2 +- sqrt(g^2/4 - p^2)``; simultaneous steps
    converge below ``g / p^2`` if they are complex, else below 2 over the larger modulus;
    alternating ones below ``(sqrt(g^2 + 4 p^2) - g) / p^2``. Consensus damps both by
    ``c = gamma p^2``: ``-c +- i p``, ``2 c / (c^2 + p^2)`` and ``2 / (c + p)``. Without damping
    no step converges. Local statements: of the linearisation at the equilibrium.

    References
    ----------
    Mescheder, Geiger and Nowozin, *Which training methods for GANs do actually converge?*, ICML
    2018, section 3 and appendix; limits of simultaneous steps: Mescheder et al. 2017, Lemma 4.

    Examples
    --------
    >>> rows = dirac_gan_table(("NSGAN", "WGAN + R1(0.3)"))
    >>> [(row.flow, row.is_consistent) for row in rows]
    [('inconclusive', True), ('stable', True)]
    >>> print(rows[1].theoretical_limits[1])
    [1.722374, 1.722375] (closed form)
    """
    unknown = [name for name in names or () if name not in _ROWS]
    if unknown:
        raise ValueError(f"`names` must be among {', '.join(_ROWS)}; got {unknown[0]!r}")
    return tuple(_row(name) for name in names or _ROWS)


def _row(name: str) -> DiracRow:
    loss, regularizer, p, g, c = _ROWS[name]
    game = DiracGAN(loss) if regularizer is None else DiracGAN(loss, regularizer=regularizer)
    rest = game.equilibrium
    matrix = -game.jacobian(np.zeros(2) if rest is None else rest)
    root = np.sqrt(complex(g * g / 4.0 - p * p))
    shift = -(g / 2.0 + c)
    return DiracRow(
        name=name,
        game=game,
        theoretical_eigenvalues=np.array([shift + root, shift - root]),
        eigenvalues=np.linalg.eigvals(matrix).astype(complex),
        theoretical_flow="stable" if g + c > 0.0 else "inconclusive",
        flow=flow_stability(game).verdict,
        theoretical_limits=_limits(p, g, c),
        limits=(step_size_limit(game), step_size_limit(game, order="alternating_xy")),
    )


def _limits(p: float, g: float, c: float) -> tuple[Enclosure, Enclosure]:
    if g + c == 0.0:
        never = Enclosure.exact(0.0, "no damping")
        return never, never
    simultaneous: Callable[..., Any]
    if c:
        return (
            enclose(lambda p, c: 2 * c / (c * c + p * p), p, c, method="closed form"),
            enclose(lambda p, c: 2 / (c + p), p, c, method="closed form"),
        )
    if g < 2.0 * p:
        simultaneous = lambda p, g: g / (p * p)  # noqa: E731 - one of two formulas
    else:
        simultaneous = lambda p, g: 2 / (g / 2 + (g * g / 4 - p * p).sqrt())  # noqa: E731
    return (
        enclose(simultaneous, p, g, method="closed form"),
        enclose(
            lambda p, g: ((g * g + 4 * p * p).sqrt() - g) / (p * p), p, g, method="closed form"
        ),
    )
