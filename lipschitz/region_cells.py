"""Linear regions as polyhedral cones in exact integer arithmetic: no rounding, no slivers.

Rays through ``(x, w)`` with integer coordinates; a region is a list of simplicial cones, a neuron
an integer linear form on them (positive multiples of the true one). A cone that a form cuts is
divided at its edges, exactly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers.contract import Array
from lipschitz.region_chain import Factors, KinkedChain

__all__ = ["ExactChain", "ExactRegion", "exact_regions", "first_cones", "split"]

Ray = tuple[int, ...]
Cone = tuple[Ray, ...]
Forms = NDArray[Any]
"""Object array of Python ints, one row for each form."""


@dataclass(frozen=True, slots=True, eq=False)
class ExactChain:
    """The weights of a chain as integers over powers of two.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> exact = ExactChain.of(kinked_chain(from_arrays([[[0.5]], [[3.0]]], [[1.0], None])))
    >>> forms, scale = exact.first()
    >>> forms.tolist(), scale, exact.after(0, forms, scale, [True])[0].tolist()
    ([[1, 2]], 2, [[3, 6]])
    """

    weights: tuple[Forms, ...]
    biases: tuple[Forms, ...]
    scales: tuple[int, ...]
    left: tuple[Forms, ...]
    right: tuple[Forms, ...]
    slope_scales: tuple[int, ...]
    kinks: tuple[NDArray[np.bool_], ...]
    """Where the two slopes differ; the sign of other neurons divides nothing."""

    @classmethod
    def of(cls, chain: KinkedChain) -> ExactChain:
        """From a chain whose weights are exact."""
        layers = [_composed(factors) for factors in chain.factors if factors is not None]
        gates = [_integers(a, b) for a, b in zip(chain.left, chain.right, strict=True)]
        return cls(
            tuple(w for (w, _), _ in layers),
            tuple(b for (_, b), _ in layers),
            tuple(scale for _, scale in layers),
            tuple(a for (a, _), _ in gates),
            tuple(b for (_, b), _ in gates),
            tuple(scale for _, scale in gates),
            tuple(a != b for a, b in zip(chain.left, chain.right, strict=True)),
        )

    def first(self) -> tuple[Forms, int]:
        """The forms of the first layer on ``(x, w)`` and the factor that they carry."""
        return np.column_stack([self.weights[0], self.biases[0]]), self.scales[0]

    def after(
        self, layer: int, forms: Forms, scale: int, gates: Sequence[bool]
    ) -> tuple[Forms, int]:
        """The forms of the next layer behind the given gates, and their factor."""
        slopes = np.where(np.array(gates, np.bool_), self.right[layer], self.left[layer])
        forms, scale = forms * slopes[:, None], scale * self.slope_scales[layer]
        behind = self.weights[layer + 1] @ forms
        behind[:, -1] += self.biases[layer + 1] * scale
        return behind, scale * self.scales[layer + 1]


def _composed(factors: Factors) -> tuple[list[Forms], int]:
    """A composition of affine maps and its factor."""
    (weight, bias), scale = _integers(*factors[0])
    for w, b in factors[1:]:
        (outer, shift), power = _integers(w, b)
        weight, bias, scale = outer @ weight, outer @ bias + shift * scale, scale * power
    return [weight, bias], scale


def _integers(*arrays: Array) -> tuple[list[Forms], int]:
    """Arrays times one power of two that makes all of them integers."""
    exponent = 0
    for array in arrays:
        mantissa, power = np.frexp(array)
        if mantissa.any():
            exponent = min(exponent, int(power[mantissa != 0.0].min()) - 53)
    scale = 1 << -exponent
    # Fewer digits where the numbers allow it.
    exact = [np.array([Fraction(t) * scale for t in a.ravel().tolist()]) for a in arrays]
    numbers = [[int(t) for t in a] for a in exact]
    common = math.gcd(scale, *itertools.chain(*numbers))
    made = []
    for array, row in zip(arrays, numbers, strict=True):
        whole = np.empty(array.size, dtype=object)
        whole[:] = [t // common for t in row]
        made.append(whole.reshape(array.shape))
    return made, scale // common


def first_cones(dimension: int, box: tuple[Array, Array] | None) -> list[Cone]:
    """The whole space as orthants, or a box as simplices.

    Examples
    --------
    >>> first_cones(1, None)
    [((0, 1), (1, 0)), ((0, 1), (-1, 0))]
    >>> first_cones(1, (np.array([0.5]), np.array([2.0])))
    [((1, 2), (2, 1))]
    """
    if box is None:
        origin = (*(0 for _ in range(dimension)), 1)
        return [
            (
                origin,
                *(tuple(s * (i == j) for j in range(dimension + 1)) for i, s in enumerate(sign)),
            )
            for sign in itertools.product((1, -1), repeat=dimension)
        ]
    cones = []
    for order in itertools.permutations(range(dimension)):
        corners = []
        for n in range(dimension + 1):
            point = [Fraction(float(box[int(i in order[:n])][i])) for i in range(dimension)]
            scale = math.lcm(*(t.denominator for t in point))
            corners.append(_shortened((*(int(t * scale) for t in point), scale)))
        cones.append(tuple(corners))
    return cones


def _axis(i: int, sign: int, dimension: int) -> Ray:
    return tuple(sign * (i == j) for j in range(dimension + 1))


def _shortened(ray: Ray) -> Ray:
    common = math.gcd(*ray)
    return tuple(t // common for t in ray) if common > 1 else ray


def split(cones: list[Cone], form: Sequence[int]) -> tuple[list[Cone], list[Cone]]:
    """The parts where a form is nonnegative and where it is nonpositive, without thin ones.

    A cone on which the form vanishes belongs to the first.

    Examples
    --------
    >>> above, below = split(first_cones(1, None), (1, -1))  # x >= w, that is x >= 1
    >>> above, below
    ([((1, 1), (1, 0))], [((0, 1), (-1, 0)), ((0, 1), (1, 1))])
    """
    sides: tuple[list[Cone], list[Cone]] = ([], [])
    todo = list(cones)
    while todo:
        cone = todo.pop(0)
        values = [sum(a * b for a, b in zip(form, ray, strict=True)) for ray in cone]
        if min(values) >= 0 or max(values) <= 0:
            sides[int(min(values) < 0)].append(cone)
            continue
        p, q = values.index(max(values)), values.index(min(values))
        pairs = zip(cone[p], cone[q], strict=True)
        middle = _shortened(tuple(values[p] * b - values[q] * a for a, b in pairs))
        todo.append(tuple(middle if i == q else ray for i, ray in enumerate(cone)))
        todo.append(tuple(middle if i == p else ray for i, ray in enumerate(cone)))
    return sides


@dataclass(frozen=True, slots=True, eq=False)
class ExactRegion:
    """One linear region.

    Parameters
    ----------
    gates : tuple of bool
        Signs of all hidden neurons.
    cones : list
        Simplicial cones that make it up; the sum of the rays of one is inside.
    forms, scale
        The outputs on ``(x, w)`` times a positive integer.

    Examples
    --------
    >>> region = ExactRegion((), [((0, 1), (1, 0))], np.array([[2, 0]], dtype=object), 4)
    >>> region.jacobian, region.point
    (((Fraction(1, 2),),), (Fraction(1, 1),))
    """

    gates: tuple[bool, ...]
    cones: list[Cone]
    forms: Forms
    scale: int

    @property
    def jacobian(self) -> tuple[tuple[Fraction, ...], ...]:
        """Rows are outputs."""
        return tuple(
            tuple(Fraction(t, self.scale) for t in row[:-1]) for row in self.forms.tolist()
        )

    @property
    def point(self) -> tuple[Fraction, ...]:
        """In the interior."""
        ray = [sum(entries) for entries in zip(*self.cones[0], strict=True)]
        return tuple(Fraction(t, ray[-1]) for t in ray[:-1])


_State = tuple[int, list[Cone], Forms, int, tuple[bool, ...]]


def exact_regions(
    chain: ExactChain,
    cones: list[Cone],
    *,
    gates: NDArray[np.bool_] | None = None,
    free: NDArray[np.bool_] | None = None,
) -> Iterator[ExactRegion]:
    """All regions with interior, or those in which the neurons that are not free have given signs.

    Parameters
    ----------
    chain : ExactChain
    cones : list
        The domain.
    gates, free : arrays of bool, shape (hidden neurons,)

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> exact = ExactChain.of(kinked_chain(from_arrays([[[1.0], [1.0]], [[1.0, 1.0]]])))
    >>> [region.gates for region in exact_regions(exact, first_cones(1, None))]
    [(False, False), (True, True)]
    """
    forms, scale = chain.first()
    todo: list[_State] = [(0, cones, forms, scale, ())]
    while todo:
        layer, cones, forms, scale, signs = todo.pop()
        start = sum(len(left) for left in chain.left[:layer])
        if layer == len(chain.left):
            yield ExactRegion(signs, cones, forms, scale)
            continue
        neuron = len(signs) - start
        if neuron == len(chain.left[layer]):
            behind, factor = chain.after(layer, forms, scale, signs[start:])
            todo.append((layer + 1, cones, behind, factor, signs))
            continue
        form, j = forms[neuron].tolist(), len(signs)
        given = None if gates is None or free is None or free[j] else bool(gates[j])
        if chain.kinks[layer][neuron] and any(form):
            sides = zip(split(cones, form), (True, False), strict=True)
            found = [(side, sign) for side, sign in sides if side and given in (None, sign)]
        else:  # the sign makes no difference
            found = [(cones, given is not False)]
        todo += [(layer, side, forms, scale, (*signs, sign)) for side, sign in found]
