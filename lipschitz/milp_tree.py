"""Branch and bound for `lipschitz.milp`: every bound in the tree is proved, see there."""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.domains import Box, is_within
from lipschitz.linear_bounds import ValueBounds, bound_values
from lipschitz.local_form import jacobian_interval, slope_form
from lipschitz.lower import LowerBound, verify_witness
from lipschitz.milp_chain import Chain
from lipschitz.milp_model import Program, gradient_program
from lipschitz.milp_solver import integer_optimum, middle_of_region, relaxed_optimum
from lipschitz.network import Network
from lipschitz.operators import vector_norm_upper
from lipschitz.sweeps import HardGates

__all__ = ["Tree"]

Array = NDArray[np.float64]

_NEARBY = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """A piece of the box, one row or column of the Jacobian, and signs of some of its entries."""

    index: int
    bounds: ValueBounds
    signs: dict[int, int]


class Tree:
    """Best first over all rows (p = inf) or columns (p = 1) at once.

    Parameters
    ----------
    network : Network
        For the proofs of witnesses.
    chain : Chain
    box : Box
    rtol : float
    rng : numpy.random.Generator
    lower : LowerBound
        The first witness; its norm is the tree's.
    """

    def __init__(
        self,
        *,
        network: Network,
        chain: Chain,
        box: Box,
        rtol: float,
        rng: np.random.Generator,
        lower: LowerBound,
    ) -> None:
        self.network, self.chain, self.box = network, chain, box
        self.norm, self.rtol, self.rng = lower.norm, rtol, rng
        self.lower, self.point, self.direction = lower.bound.lower, lower.point, lower.direction
        self.deadline, self.nodes, self.pushed = math.inf, 0, 0
        self.heap: list[tuple[float, int, Node]] = []

    @property
    def target(self) -> float:
        """What is close enough to the witness; more than the rounding of a zero Jacobian."""
        return max(self.lower * (1.0 + self.rtol), 2.0**-1000)

    @property
    def upper(self) -> float:
        """A proved upper bound of the constant."""
        return max(self.lower, -self.heap[0][0] if self.heap else self.lower)

    def plant(self) -> int:
        """The roots, bounded by intervals; how many neurons are undecided."""
        bounds = bound_values(self.chain.network, self.box, deadline=self.deadline)
        if bounds is None:
            raise NotCertified("the bounds on the box contradict each other; report this network")
        for index, upper in enumerate(self._interval_norms(bounds)):
            self._push(upper, Node(index=index, bounds=bounds, signs={}))
        return slope_form(bounds).unknowns

    def ask_solver(self) -> tuple[float, float]:
        """HiGHS on the integer programs of the roots: a candidate, and estimates for the report."""
        lower, upper = math.nan, self.target
        for negative, _, node in sorted(self.heap):
            left = 0.4 * (self.deadline - time.perf_counter())
            if -negative <= self.target:
                continue
            if left <= 0.0:
                return lower, math.nan
            program = self._program(node)
            low, high, solution = integer_optimum(program, left, self.rtol)
            lower, upper = float(np.fmax(lower, low)), max(upper, high)
            if solution is not None:
                self.try_solution(node, program, solution)
        return lower, upper

    def grow(self) -> None:
        """Replace the node with the largest bound until the gap is closed or time is up."""
        while self.upper > self.target and time.perf_counter() < self.deadline:
            negative, _, node = self.heap[0]
            program = self._program(node)
            relaxed = relaxed_optimum(program)
            self.nodes += 1
            if relaxed.solution is not None:
                self.try_solution(node, program, relaxed.solution)
            upper = min(-negative, relaxed.upper)
            children = [] if upper <= self.target else self._branch(node, program, relaxed.solution)
            if children is None:
                return
            heapq.heappop(self.heap)
            if upper <= self.target and upper > 0.0:
                self._push(upper, node)  # closed, but its bound counts
            for child in children:
                norms = self._interval_norms(child.bounds)
                self._push(min(upper, norms[child.index]), child)

    def try_solution(self, node: Node, program: Program, solution: Array) -> None:
        """A better witness at the point proposed, or inside the region with its gates?

        An optimum lies on facets as a rule, where a witness sees one side by chance.
        """
        self.try_points(solution[program.inputs])
        layered = self.chain.layered(node.bounds)
        gates = [low >= 0.0 for low in layered.lower[1:]]
        for variables, layer, neurons in program.gates:
            gates[layer][neurons] = solution[variables] > 0.5
        middle = middle_of_region(layered, gates)
        if middle is not None:
            self.try_points(middle)

    def try_points(self, x: Array) -> None:
        """A better witness at the point, or beside it if it lies on a facet?"""
        box = self.box
        shape = (_NEARBY, *box.shape)
        sides = (box.upper - box.lower) * 10.0 ** self.rng.uniform(
            -10.0, -4.0, (_NEARBY, 1)
        ).reshape(-1, *(1,) * len(box.shape))
        sides[0] = 0.0
        points = x.reshape(box.shape) + sides * self.rng.uniform(-1.0, 1.0, shape)
        inside = box.interior
        if inside is None:
            return
        points = inside.nearest(points)
        free = box.free.astype(np.float64)
        gates = HardGates(self.chain.network, points, free)
        with np.errstate(all="ignore"):
            values, v, _ = gates.power(self.norm, np.broadcast_to(self.direction, shape), 6)
        best = int(np.argmax(values))
        if not values[best] > self.lower * (1.0 + 1e-12) or not v[best].any():
            return
        if not is_within(box, points[best], moving=v[best] != 0.0):
            return
        try:
            proved = verify_witness(self.network, points[best], v[best], norm=self.norm)
        except NotCertified:
            return
        if proved > self.lower:
            self.lower, self.point, self.direction = proved, points[best], v[best]

    def _push(self, upper: float, node: Node) -> None:
        self.pushed += 1
        heapq.heappush(self.heap, (-upper, self.pushed, node))

    def _program(self, node: Node) -> Program:
        layered = self.chain.layered(node.bounds)
        program = gradient_program(layered, forward=self.norm == 1, index=node.index)
        for entry, sign in node.signs.items():
            if entry in program.signs:
                variable = program.signs[entry]
                program.lower[variable] = program.upper[variable] = float(sign)
        return program

    def _interval_norms(self, bounds: ValueBounds) -> list[float]:
        """l1 norms of the rows or columns of the Jacobian's interval, rounded up."""
        center, radius = jacobian_interval(slope_form(bounds))
        largest = np.nextafter(np.abs(center) + radius, np.inf)
        vectors = largest if self.norm == math.inf else largest.T
        return [vector_norm_upper(v, 1) for v in vectors]

    def _branch(self, node: Node, program: Program, solution: Array | None) -> list[Node] | None:
        """At the gate or the sign about which the relaxation is least decided; None if none is."""
        signs = [(e, v) for e, v in program.signs.items() if program.lower[v] < program.upper[v]]
        gates = [
            (layer, int(neuron), int(variable))
            for variables, layer, neurons in program.gates
            for variable, neuron in zip(variables, neurons, strict=True)
        ]
        variables = [v for _, _, v in gates] + [v for _, v in signs]
        if not variables:
            return None
        values = np.full(len(variables), 0.5) if solution is None else solution[variables]
        doubt = np.minimum(values, 1.0 - values)
        # Gates first: their bounds tighten everything behind them.
        doubt[len(gates) :] *= 0.5
        choice = int(np.argmax(doubt))
        if choice >= len(gates):
            entry = signs[choice - len(gates)][0]
            return [
                Node(index=node.index, bounds=node.bounds, signs={**node.signs, entry: sign})
                for sign in (0, 1)
            ]
        layer, neuron, _ = gates[choice]
        value = self.chain.network.nodes[self.chain.activations[layer]].inputs[0]
        low, high = node.bounds.lower[value], node.bounds.upper[value]
        below, above = high.copy(), low.copy()
        below.flat[neuron] = above.flat[neuron] = 0.0
        children = []
        for cut in ((low, below), (above, high)):
            half = bound_values(
                self.chain.network,
                self.box,
                within=node.bounds,
                cuts={value: cut},
                deadline=self.deadline,
            )
            if half is not None:
                children.append(Node(index=node.index, bounds=half, signs=node.signs))
        return children
