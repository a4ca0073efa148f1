"""The Peking slides on manifolds: images of generators and the alignment of two manifolds."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from tests.identities import check_identity

proves = pytest.mark.proves


# ---- images of smaller spaces --------------------------------------------------------------------
def check_covering(extra_dimensions):
    """N^k cubes of side 1/N cover a unit cube of R^k, and their images are in cubes of side c/N.

    In R^(k + e) these have the volume ``N^k (c / N)^(k + e) = c^(k + e) N^-e``, which tends to 0.
    """
    import sympy

    N, c, k = sympy.symbols("N c k", positive=True)
    e = extra_dimensions(sympy)
    volume = sympy.log(N**k * (c / N) ** (k + e))
    stated = sympy.log(c ** (k + e) * N**-e)
    assert sympy.expand(sympy.expand_log(volume - stated, force=True)) == 0
    assert sympy.limit(N**-e, N, sympy.oo) == 0


@proves(
    "lemma-1-low-dimensional-image",
    strength="identity",
    lemmas=(
        "affine maps, rectifiers and smooth functions are Lipschitz on bounded sets",
        "a countable union of sets of measure 0 has measure 0",
    ),
)
def test_the_covering_of_the_image_has_a_volume_that_vanishes():
    check_covering(lambda sympy: sympy.Symbol("e", positive=True))


@proves("lemma-1-low-dimensional-image", role="must_fail")
def test_without_an_extra_dimension_the_volume_does_not_vanish():
    check_covering(lambda sympy: sympy.Integer(0))


# ---- an image that is no manifold ----------------------------------------------------------------
def rays_at_zero(start, slope, kinks):
    """Directions in which ``g(t) = start + slope t + sum_i turn_i relu(t - t_i)`` leaves (0, 0).

    On each piece g is affine; the pieces that meet (0, 0) inside give two rays, at an end one.
    """
    rays = set()
    ends = [None, *(t for t, _ in kinks), None]
    point, direction = start, slope
    for k, (left, right) in enumerate(itertools.pairwise(ends)):
        if k:
            t, turn = kinks[k - 1]
            point = tuple(p - t * v for p, v in zip(point, turn, strict=True))
            direction = tuple(d + v for d, v in zip(direction, turn, strict=True))
        # point + t direction = 0 for one t, or for none.
        if point[0] * direction[1] != point[1] * direction[0]:
            continue
        axis = 0 if direction[0] else 1
        t = -Fraction(point[axis], direction[axis])
        norm = sum(map(abs, direction))
        unit = tuple(Fraction(v, norm) for v in direction)
        if right is None or t < right:
            rays |= {unit} if left is None or t >= left else set()
        if left is None or t > left:
            rays |= {tuple(-v for v in unit)} if right is None or t <= right else set()
    return rays


def refute_manifold(start, slope, kinks):
    """More than two rays leave a point: it cuts its neighbourhoods into more than two pieces."""
    rays = rays_at_zero(start, slope, kinks)
    assert len(rays) > 2
    return sorted(rays)


@proves(
    "pg-is-a-manifold",
    strength="certificate",
    role="refutes",
    lemmas=("a point of a one-dimensional manifold cuts its small neighbourhoods into two pieces",),
)
def test_a_rectifier_network_draws_a_curve_that_crosses_itself(record_witness):
    kinks = [(1, (-3, 1)), (2, (1, -3))]
    rays = refute_manifold((-1, 0), (2, 0), kinks)
    assert rays == [(-1, 0), (0, -1), (0, 1), (1, 0)]
    record_witness(
        generator="g(t) = (-1, 0) + (2, 0) t + (-3, 1) relu(t - 1) + (1, -3) relu(t - 2)",
        crossing="(0, 0) = g(1/2) = g(5/2)",
        rays=rays,
    )


@proves("pg-is-a-manifold", role="must_fail")
def test_a_straight_line_is_a_manifold():
    refute_manifold((-1, 0), (2, 0), [])


# ---- alignment -----------------------------------------------------------------------------------
def determinant(a, b, c):
    (a1, a2, a3), (b1, b2, b3), (c1, c2, c3) = a, b, c
    return a1 * (b2 * c3 - b3 * c2) - a2 * (b1 * c3 - b3 * c1) + a3 * (b1 * c2 - b2 * c1)


def check_alignment(sign):
    """The shifted manifolds align at m, p iff ``eta - eta'`` is a critical value of p - m.

    They meet there iff ``p - m = eta - eta'``, and the columns of the map's derivative are the
    tangents of P and ``sign`` times those of M: as many independent ones as the tangents have.
    Shown for a curve (tangent a) and a surface (tangents b, c) in R^3.
    """
    check_identity(
        lambda a1, a2, a3, b1, b2, b3, c1, c2, c3: determinant(
            (sign * a1, sign * a2, sign * a3), (b1, b2, b3), (c1, c2, c3)
        ),
        lambda a1, a2, a3, b1, b2, b3, c1, c2, c3: (
            -determinant((a1, a2, a3), (b1, b2, b3), (c1, c2, c3))
        ),
    )


@proves(
    "lemma-2-no-perfect-alignment",
    strength="identity",
    lemmas=(
        "Sard's theorem: the critical values of a smooth map have measure 0",
        "eta - eta' avoids a set of measure 0 with probability 1 if it has a density",
        "minors in other dimensions change their sign in the same way",
    ),
)
def test_alignment_happens_at_critical_values_only():
    check_alignment(-1)


@proves("lemma-2-no-perfect-alignment", role="must_fail")
def test_a_map_that_forgets_one_manifold_is_rejected():
    check_alignment(0)


@proves(
    "lemma-2-no-perfect-alignment",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="density",
)
def test_shifts_along_a_common_line_keep_two_lines_aligned():
    # M = P = R x {0} with eta = (U, 0), eta' = (U', 0), U and U' with densities on the line: both
    # manifolds stay R x {0}, and the tangents (1, 0), (1, 0) do not span the plane.
    shifts = [(Fraction(1, 3), 0), (Fraction(-2, 7), 0)]
    assert all(height == 0 for _, height in shifts)
    assert 1 * 0 - 0 * 1 == 0
