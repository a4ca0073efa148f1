"""What the theory of games predicts of Dirac-GANs, beside trained ones."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from dynamics import GDA, Bilinear, DiracGAN, orbit
from dynamics.invariants import orbit_invariant
from gan_core.experiments.dirac_training import ORDERS, dirac_starts, train_dirac
from gan_core.experiments.result import Experiment, Prediction, prediction
from gan_core.penalties import GradientPenalty

__all__ = ["clipped_cycles", "dirac_drifts", "dirac_orbits", "dirac_radii", "penalty_traps"]

Array = NDArray[np.float64]

_MESCHEDER = "Mescheder et al. 2018, section 2"
_GAMES = {"minimax": "gan", "nonsaturating": "nsgan", "wgan": "wgan"}
_ORDERS = {"simultaneous": "simultaneous", "alternating": "alternating_yx"}


def dirac_orbits(*, seeds: int = 32, steps: int = 500, first_seed: int = 0) -> Experiment:
    """Training the Dirac-GAN is the iteration that `dynamics` studies, step by step.

    Losses, gradients and optimiser of `gan_core` on one side, the vector field of the game on the
    other; three objectives, players at once and in turn.

    Parameters
    ----------
    seeds, steps, first_seed : int
        A seed is a start.

    Notes
    -----
    The tolerance: rounding of 1e-16 per step, ``steps`` of them, each carried on by a growth of at
    most ``(1 + h^2)^(steps / 2) = 12`` for ``h = 0.1``, is below 1e-12.

    Examples
    --------
    >>> dirac_orbits(seeds=6, steps=50).is_confirmed
    True
    """
    begin = time.process_time()
    starts = dirac_starts(seeds, first_seed)
    step_size = 0.1
    predictions = []
    for name, loss in _GAMES.items():
        for order in ORDERS:
            path = train_dirac(name, starts, step_size=step_size, steps=steps, order=order)
            method = GDA(step_size, order=_ORDERS[order])
            theory = orbit(DiracGAN(loss), method, starts, steps, save=1).states
            predictions.append(
                prediction(
                    f"distance of training from the iterated map, {name}, {order}",
                    0.0,
                    np.abs(path.states - theory).max(axis=(0, 2)),
                    tolerance=1e-12 * max(1.0, steps / 500.0),
                    source="dynamics.orbit",
                )
            )
    return Experiment(
        name="dirac_orbits",
        statement="Training the Dirac-GAN iterates the map of its game.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )


def dirac_radii(*, seeds: int = 32, steps: int = 4000, first_seed: int = 0) -> Experiment:
    """A non-saturating Dirac-GAN trained by simultaneous steps ends on radius ``sqrt(2 h)``.

    Averaged over a turn the flow loses ``r^4 / 8`` of ``r^2`` per unit of time, and Euler's rule
    adds ``h r^2 / 4``; they balance at ``r^2 = 2 h``, to first order in ``h``.

    Parameters
    ----------
    seeds, steps, first_seed : int
        A seed is a start of radius 0.5 to 1.5. The approach takes ``4 / h^2`` steps for a factor
        e; the second half of the steps is measured.

    Examples
    --------
    >>> dirac_radii(seeds=6).is_confirmed
    True
    """
    begin = time.process_time()
    sizes = (0.4, 0.2, 0.1)
    starts = dirac_starts(seeds, first_seed)
    path = train_dirac(
        "nonsaturating",
        np.tile(starts, (len(sizes), 1)),
        step_size=np.repeat(sizes, seeds),
        steps=steps,
    )
    late = path.radius[len(path.radius) // 2 :]
    measured = np.sqrt(np.square(late).mean(axis=0)).reshape(len(sizes), seeds)
    return Experiment(
        name="dirac_radii",
        statement="Simultaneous steps on the non-saturating Dirac-GAN end on radius sqrt(2 h).",
        predictions=tuple(
            prediction(
                f"radius at step size {h:g}",
                math.sqrt(2.0 * h),
                measured[row],
                tolerance=0.01 * math.sqrt(2.0 * h),
                source="averaging: r^4 / 8 = h r^2 / 4",
            )
            for row, h in enumerate(sizes)
        ),
        seconds=time.process_time() - begin,
    )


def dirac_drifts(*, seeds: int = 32, steps: int = 4000, first_seed: int = 0) -> Experiment:
    """How fast trained Dirac-GANs leave or approach the equilibrium.

    - WGAN, simultaneous: the radius grows by exactly ``sqrt(1 + h^2)`` per step.
    - WGAN, alternating: ``(theta^2 + psi^2) / h + theta psi`` is conserved, no drift.
    - GAN, simultaneous: ``r^2`` grows by the factor ``1 + h^2 sigma(-theta psi)^2``, per step
      between 1 and ``1 + h^2``: never inwards.
    - Non-saturating, alternating: inwards, but only as ``1 / r^2 = 1 / r_0^2 + t / 8``.

    Parameters
    ----------
    seeds, steps, first_seed : int
        ``steps`` of the last item, of size 0.25; the others take 500 of size 0.05.

    Examples
    --------
    >>> dirac_drifts(seeds=6, steps=2000).is_confirmed
    True
    """
    begin = time.process_time()
    starts = dirac_starts(seeds, first_seed)
    h, short = 0.05, 500
    apart = train_dirac("wgan", starts, step_size=h, steps=short)
    turns = train_dirac("wgan", starts, step_size=h, steps=short, order="alternating")
    gan = train_dirac("minimax", starts, step_size=h, steps=short)
    slow_size = 0.25
    slow = train_dirac(
        "nonsaturating",
        starts,
        step_size=slow_size,
        steps=steps,
        order="alternating",
    )
    energy = orbit_invariant(Bilinear(1.0), GDA(h, order="alternating_yx"))
    along = np.zeros((1, seeds)) if energy is None else energy.value(turns.states)[..., 0]
    change = np.abs(along / along[0] - 1.0).max(axis=0)
    theta, psi = gan.states[:-1, :, 0], gan.states[:-1, :, 1]
    factor = 1.0 + np.square(h / (1.0 + np.exp(theta * psi)))
    squared = np.square(gan.radius)
    ideal = np.square(starts).sum(axis=1) * np.prod(factor, axis=0)
    turn = math.ceil(4.0 * math.pi / slow_size)  # the angular speed is f'(0) = 1/2
    settled = np.square(slow.radius[-turn:]).mean(axis=0)
    expected = 1.0 / np.square(slow.radius[0]) + slow_size * (steps - turn / 2) / 8.0
    growth = (apart.radius[-1] / apart.radius[0]) ** (1.0 / short)
    return Experiment(
        name="dirac_drifts",
        statement="At once the players drift outwards; in turn they do not, or inwards.",
        predictions=(
            prediction(
                "growth of WGAN's radius per simultaneous step",
                math.sqrt(1.0 + h * h),
                growth,
                tolerance=1e-13,  # 500 roundings over 500 steps
                source="bilinear game, eigenvalues 1 +- i h",
            ),
            prediction(
                "relative change of WGAN's conserved quantity, steps in turn",
                0.0,
                change,
                tolerance=1e-12,
                source="Bailey, Gidel, Piliouras 2020",
            ),
            prediction(
                "GAN's squared radius over its product of factors",
                1.0,
                squared[-1] / ideal,
                tolerance=1e-11,
                source="1 + h^2 f'(theta psi)^2",
            ),
            prediction(
                "GAN's smallest change of radius in a simultaneous step",
                0.0,
                np.diff(gan.radius, axis=0).min(axis=0),
                tolerance=1e-15,
                relation="at least",
                source=_MESCHEDER,
            ),
            prediction(
                "non-saturating, in turn: 1 / r^2 (mean of the last turn) over 1 / r_0^2 + t / 8",
                1.0,
                1.0 / settled / expected,
                tolerance=0.05,
                source="averaging: d r^2 / dt = -r^4 / 8",
            ),
        ),
        seconds=time.process_time() - begin,
    )


def clipped_cycles(*, seeds: int = 32, steps: int = 3000, first_seed: int = 0) -> Experiment:
    """A clipped WGAN never converges: it cycles with amplitude ``c exp(pi h / 4)``.

    The weight waits at ``+-c`` until ``theta`` changes sign; then both turn through a right angle,
    ``pi / (2 h)`` steps that multiply the radius by ``sqrt(1 + h^2)`` each, and ``theta`` peaks.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Notes
    -----
    The tolerance ``c h^2``: at the start of the turn ``theta`` lies up to ``h c`` beyond 0 (radius
    and angle each change the peak by up to ``h^2 / 2`` of it).

    Examples
    --------
    >>> clipped_cycles(seeds=6, steps=1500).is_confirmed
    True
    """
    begin = time.process_time()
    h, clips = 0.05, (1.0, 0.1, 0.01)
    directions = dirac_starts(seeds, first_seed)
    path = train_dirac(
        "wgan",
        np.concatenate([c * directions for c in clips]),
        step_size=h,
        steps=steps,
        clip=np.repeat(clips, seeds),
    )
    late = np.abs(path.states[len(path.states) // 2 :, :, 0]).max(axis=0).reshape(-1, seeds)
    return Experiment(
        name="clipped_cycles",
        statement="WGAN's clipped Dirac-GAN cycles with amplitude c exp(pi h / 4).",
        predictions=tuple(
            prediction(
                f"amplitude over c, c = {c:g}",
                math.exp(math.pi * h / 4.0),
                late[row] / c,
                tolerance=h * h,
                source="growth sqrt(1 + h^2) over a right angle",
            )
            for row, c in enumerate(clips)
        ),
        seconds=time.process_time() - begin,
    )


def penalty_traps(*, seeds: int = 32, steps: int = 4000, first_seed: int = 0) -> Experiment:
    """WGAN-GP on the line drives the generator to ``+-2 lambda``, away from the data.

    ``psi`` has to pass 0 to change its sign, and there the two-sided penalty fines it by
    ``lambda``. For ``psi > 0`` the game comes to rest at ``(2 lambda, 0)``, a stable node if
    ``lambda >= 1``; for ``psi < 0`` at ``-2 lambda``. The one-sided penalty sets no trap: every
    orbit outside the unit circle is damped, so that ``|theta|`` ends at 1 at most.

    Parameters
    ----------
    seeds, steps, first_seed : int
        A seed is a start.

    Notes
    -----
    Predicted to three digits. In turn, the one-sided game conserves ``theta^2 + psi^2 + h theta
    psi`` where it is not fined: an ellipse on which ``|theta|`` exceeds its value for the circle by
    less than ``h``. Reported: the largest ``|theta|`` under Adam with five critic steps.

    Examples
    --------
    >>> penalty_traps(seeds=6, steps=2500).is_confirmed
    True
    """
    begin = time.process_time()
    starts = dirac_starts(seeds, first_seed)
    # Plain gradient steps need h below 1 / lambda: the stiff eigenvalue is about -2 lambda.
    h, weights = 0.08, (1.0, 3.0, 10.0)
    two_sided, one_sided = (
        train_dirac(
            "wgan",
            np.tile(starts, (len(weights), 1)),
            step_size=h,
            steps=steps,
            order=order,
            penalty=GradientPenalty(coefficient=1.0, one_sided=order == "alternating"),
            coefficient=np.repeat(weights, seeds),
        )
        for order in ORDERS
    )
    rest = np.abs(two_sided.states[-1, :, 0]).reshape(-1, seeds)
    turns = math.ceil(4.0 * math.pi / h)
    late = np.abs(one_sided.states[-turns:, :, 0]).max(axis=0).reshape(-1, seeds)
    predictions: list[Prediction] = []
    for row, weight in enumerate(weights):
        predictions += [
            prediction(
                f"|theta| at the end, two-sided, lambda = {weight:g}",
                2.0 * weight,
                rest[row],
                tolerance=2e-3 * weight,
                source="equilibrium (2 lambda, 0+) of the penalised game",
            ),
            prediction(
                f"largest |theta| of the last turns, one-sided, lambda = {weight:g}",
                1.0,
                late[row],
                tolerance=h,
                relation="at most",
                source="damping outside the unit circle",
            ),
        ]
    reported = []
    for sides in (2, 1):
        adam = train_dirac(
            "wgan",
            starts[: min(seeds, 8)],
            step_size=0.05,
            steps=steps // 3,
            order="alternating",
            kind="adam",
            critic_steps=5,
            penalty=GradientPenalty(coefficient=10.0, one_sided=sides == 1),
        )
        largest = np.abs(adam.states[len(adam.states) // 2 :, :, 0]).max(axis=0)
        side = "two-sided" if sides == 2 else "one-sided"
        reported.append((f"largest |theta| late, {side}, lambda = 10, Adam", largest))
    return Experiment(
        name="penalty_traps",
        statement="On the line, WGAN-GP with a two-sided penalty rests at theta = +-2 lambda.",
        predictions=tuple(predictions),
        reported=tuple(reported),
        seconds=time.process_time() - begin,
    )
