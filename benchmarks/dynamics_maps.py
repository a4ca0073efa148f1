"""Rows about stability: maps of step sizes beside a loop of eigenvalues, and their exact check."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import dynamics_peers as peers
from benchmarks.dynamics_references import FIGURE_2
from benchmarks.dynamics_rows import DynamicsTask, case, scaled
from benchmarks.harness import Measurement, measure

__all__ = ["MAPS", "MAP_KINDS", "iteration_matrices", "map_tasks"]

Array = NDArray[np.float64]
MAPS = "Stability maps"
SHARES = "Stable cells of the grid of Zhang and Yu (2020), Figure 2, of 40 000"
_CHECKED = 300  # cells of each kind that are decided again in fractions
_WORDS = {"simultaneous": "at once", "alternating_xy": "in turn"}


def map_tasks(row: Callable[..., DynamicsTask], *, quick: bool, full: bool) -> list[DynamicsTask]:
    """The rows of this module."""
    side, dimension = (30, 10) if quick else (200, 100)
    found = [
        row(MAPS, f"{kind} {_WORDS[order]}, {side} x {side}", "map", (side,), asked=300.0,
            option=f"{kind} {order}")
        for kind, order in FIGURE_2
    ]  # fmt: skip
    pairs = side * side
    sample = 4 if quick else 200 if full else 24
    found.append(
        row(MAPS, f"{dimension} x {dimension} game, {pairs} pairs", "game map",
            (dimension, side, sample), asked=1000.0)
    )  # fmt: skip
    for kind, order in FIGURE_2:
        name = f"{kind} {_WORDS[order]}"
        found.append(row(SHARES, name, "figure 2", (200,), option=f"{kind} {order}"))
    return found


def _grid(side: int) -> tuple[Array, Array]:
    """``alpha`` in (0, 2] and ``beta`` from -1 to 1.5, as in the figure at 200 a side."""
    return np.arange(1.0, side + 1.0) * (2.0 / side), np.linspace(-1.0, 1.5, side)


def _ours(kind: str, order: str, alpha: Array, beta: Array) -> Any:
    from dynamics import GDA, OGD, Extragradient, HeavyBall
    from dynamics.stability_maps import stability_region

    if kind == "GDA":
        both = {"step_size_x": alpha, "step_size_y": alpha}
        return stability_region(GDA(1.0, order=order), both)
    if kind == "optimistic":
        return stability_region(
            OGD(1.0, 0.0, order=order), {"step_size": alpha, "correction": beta}
        )
    if kind == "momentum":
        return stability_region(
            HeavyBall(1.0, 0.0, order=order), {"step_size": alpha, "momentum": beta}
        )
    steps, looks = _extragradient_steps(alpha, beta)
    named: Any = {} if order == "simultaneous" else {"order": order, "alternation": "restarted"}
    method = Extragradient(1.0, 1.0, **named)
    return stability_region(method, {"step_size": steps, "extrapolation": looks})


def _extragradient_steps(alpha: Array, beta: Array) -> tuple[Array, Array]:
    """Zhang and Yu's ``beta`` is the product of the step and the extrapolation."""
    steps = np.broadcast_to(alpha[:, None], (len(alpha), len(beta)))
    return steps, beta[None, :] / steps


def iteration_matrices(kind: str, order: str, alpha: Array, beta: Array) -> Array:
    """Iteration matrices on ``x y``, written out here; shape (cells, k, k)."""
    second = alpha if kind == "GDA" else beta
    a, b = (grid.ravel() for grid in np.meshgrid(alpha, second, indexing="ij"))
    size = 2 if kind in ("GDA", "extragradient") else 4
    M = np.zeros((len(a), size, size))
    in_turn = order != "simultaneous"
    if kind == "GDA":
        M[:, 0, 0], M[:, 0, 1] = 1.0, -a
        M[:, 1, 0], M[:, 1, 1] = b, 1.0 - a * b * in_turn
    elif kind == "extragradient":
        M[:, 0, 0], M[:, 0, 1] = 1.0 - b, -a
        M[:, 1, 0], M[:, 1, 1] = a * (1.0 - b * in_turn), 1.0 - b - a * a * in_turn
    elif kind == "optimistic":
        # x' = x - a y + b y_before, y' = y + a X - b X_before with X old or new
        M[:, 0, 0], M[:, 0, 1], M[:, 0, 3] = 1.0, -a, b
        M[:, 1, 0], M[:, 1, 1], M[:, 1, 2] = a, 1.0, -b
        if in_turn:
            M[:, 1] = a[:, None] * M[:, 0]
            M[:, 1, 0] -= b
            M[:, 1, 1] += 1.0
    else:
        M[:, 0, 0], M[:, 0, 1], M[:, 0, 2] = 1.0 + b, -a, -b
        M[:, 1, 0], M[:, 1, 1], M[:, 1, 3] = a, 1.0 + b, -b
        if in_turn:
            M[:, 1] = a[:, None] * M[:, 0]
            M[:, 1, 1] += 1.0 + b
            M[:, 1, 3] -= b
    if size == 4:
        M[:, 2, 0] = M[:, 3, 1] = 1.0
    return M


def _polynomial(kind: str, order: str, a: Fraction, b: Fraction) -> list[Fraction]:
    """Characteristic polynomials of Zhang and Yu (2020), Appendix C.1, without roots at 0."""
    in_turn = order != "simultaneous"
    if kind == "GDA":
        return _sum([1, -2, 1], [a * b, 0] if in_turn else [a * b])
    if kind == "extragradient":
        square = [Fraction(1), 2 * (b - 1), (b - 1) ** 2]
        return _sum(square, [a * a, 0] if in_turn else [a * a])
    pair = [a * a, -2 * a * b, b * b]
    if kind == "optimistic":  # (l - 1)^2 l^2, or over l, plus (l a - b)^2
        return _sum([1, -2, 1, 0] if in_turn else [1, -2, 1, 0, 0], pair)
    # (l - 1)^2 (l - b)^2 + l^2 a^2, or l^3 a^2
    quartic = [1, -2 - 2 * b, 1 + 4 * b + b * b, -2 * b - 2 * b * b, b * b]
    return _sum(quartic, [a * a, 0, 0, 0] if in_turn else [a * a, 0, 0])


def _sum(p: list[Any], q: list[Any]) -> list[Fraction]:
    padded = [0] * (len(p) - len(q)) + q
    return [Fraction(u) + Fraction(v) for u, v in zip(p, padded, strict=True)]


def _wrong(
    kind: str, order: str, alpha: Array, beta: Array, claimed: NDArray[np.bool_], cells: Any
) -> int:
    """How many of the claims on these cells exact arithmetic refutes."""
    _, looks = _extragradient_steps(alpha, beta)
    second = alpha if kind == "GDA" else beta
    wrong = 0
    for cell in cells.tolist():
        i, j = divmod(cell, len(second))
        a = Fraction(float(alpha[i]))
        is_product = kind == "extragradient"
        b = a * Fraction(float(looks[i, j])) if is_product else Fraction(float(second[j]))
        wrong += peers.exactly_stable(_polynomial(kind, order, a, b)) != bool(claimed.flat[cell])
    return wrong


def _map(task: DynamicsTask) -> list[Measurement]:
    (side,) = task.size
    kind, order = task.option.split()
    alpha, beta = _grid(side)
    matrices = iteration_matrices(kind, order, alpha, beta)
    verdicts: dict[str, NDArray[np.bool_]] = {}

    def ours() -> float:
        found = _ours(kind, order, alpha, beta)
        verdicts["ours"] = found.verdicts == found.STABLE
        return float(np.count_nonzero(verdicts["ours"]))

    def loop() -> float:
        verdicts["eigvals"] = peers.eigenvalue_share(list(matrices))
        return float(np.count_nonzero(verdicts["eigvals"]))

    found = [
        measure(case(task, "ours", ours, quantity="stable", side=""), repeats=task.repeats),
        measure(case(task, "eigvals", loop, quantity="stable", side=""), repeats=1, budget=0.0),
    ]
    claimed = verdicts["ours"]
    differing = np.flatnonzero(claimed.ravel() != verdicts["eigvals"])
    rng = np.random.default_rng([task.seed, 3])
    cells = np.union1d(
        rng.permutation(differing)[:_CHECKED], rng.permutation(claimed.size)[:_CHECKED]
    )
    ours_wrong = float(_wrong(kind, order, alpha, beta, claimed, cells))
    note = f"ours was decided again where the two differ, and on {_CHECKED} more cells of each map"
    blank = dataclasses.replace(
        found[0], quantity="wrong verdicts", seconds=(), side="exact", value=ours_wrong
    )
    return [
        *found,
        blank,
        # What is proved wrong of the loop is what differs from ours, which was checked.
        dataclasses.replace(blank, method="eigvals", value=float(len(differing)), side="", note=""),
        dataclasses.replace(blank, method="fractions", value=0.0, note=note),
    ]


def _game_map(task: DynamicsTask) -> list[Measurement]:
    from dynamics import Bilinear, Extragradient
    from dynamics.stability_maps import stability_region

    dimension, side, sample = task.size
    rng = np.random.default_rng([task.seed, 4])
    A = rng.standard_normal((dimension, dimension))
    A /= np.linalg.norm(A, 2)
    alpha, gamma = 2.0 / side * np.arange(1, side + 1), 2.0 / side * np.arange(1, side + 1)
    cells = rng.permutation(side * side)[:sample]
    i, j = np.divmod(cells, side)
    game = Bilinear(A)
    # z - alpha F(z - gamma F(z)) = (I - alpha J + alpha gamma J^2) z
    J = np.block([[np.zeros_like(A), A], [-A.T, np.zeros_like(A)]])
    square, identity = J @ J, np.eye(2 * dimension)
    matrices = [
        identity - alpha[m] * J + alpha[m] * gamma[n] * square for m, n in zip(i, j, strict=True)
    ]

    def ours() -> float:
        region = stability_region(
            Extragradient(1.0, 1.0), {"step_size": alpha, "extrapolation": gamma}, sigma=game
        )
        return float(np.count_nonzero(region.verdicts.ravel()[cells] == region.STABLE))

    def dense() -> float:
        return float(np.count_nonzero(peers.dense_radius(matrices) < 1.0))

    peer = measure(case(task, "eigvals", dense), repeats=1, budget=0.0)
    return [
        measure(case(task, "ours", ours), repeats=task.repeats, budget=1.0),
        scaled(peer, sample, side * side, "pairs"),
    ]


def _figure_2(task: DynamicsTask) -> list[Measurement]:
    (side,) = task.size
    kind, order = task.option.split()
    alpha, beta = _grid(side)

    def ours() -> float:
        found = _ours(kind, order, alpha, beta)
        return float(np.count_nonzero(found.verdicts == found.STABLE))

    def conditions() -> float:
        return float(FIGURE_2[kind, order])

    return [
        measure(case(task, "ours", ours), repeats=1),
        measure(case(task, "conditions", conditions), repeats=1),
    ]


MAP_KINDS: dict[str, Callable[[DynamicsTask], list[Measurement]]] = {
    "map": _map,
    "game map": _game_map,
    "figure 2": _figure_2,
}
