"""Maps without a wrong cell: against exact verdicts cell by cell, and the published shares."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dynamics import (
    GDA,
    OGD,
    Bilinear,
    Extragradient,
    HeavyBall,
    ImplicitMidpoint,
    Nesterov,
    ProximalPoint,
    RegionMap,
    Schedule,
    stability,
    stability_region,
)

ALPHA, BETA = 0.01 * np.arange(1, 201), np.linspace(-1.0, 1.5, 200)
CODES = {"stable": 1, "marginal": 0, "unstable": -1, "inconclusive": 2}
EXTRA = {"step_size": ALPHA[:, None], "extrapolation": BETA[None, :] / ALPHA[:, None]}
OGD_GRID = {"step_size": ALPHA, "correction": BETA}
BALL_GRID = {"step_size": ALPHA, "momentum": BETA}
XY = "alternating_xy"


@pytest.mark.parametrize(
    ("method", "grid", "share"),
    [
        (Extragradient(1.0), EXTRA, 0.25105),
        (Extragradient(1.0, order=XY, alternation="restarted"), EXTRA, 0.372725),
        (OGD(1.0, 1.0), OGD_GRID, 0.076825),
        (OGD(1.0, 1.0, order=XY), OGD_GRID, 0.1995),
        (HeavyBall(1.0, 1.0), BALL_GRID, 0.0),
        (HeavyBall(1.0, 1.0, order=XY), BALL_GRID, 0.1975),
    ],
)
def test_the_six_heat_maps_of_zhang_and_yu_have_these_stable_shares(method, grid, share):
    found = stability_region(method, grid)
    assert found.share(RegionMap.STABLE) == share  # counts of 40 000, hence exact
    assert found.share(RegionMap.INCONCLUSIVE) == 0.0


def test_alternating_gda_has_no_stable_cell_where_float_eigenvalues_see_thousands():
    found = stability_region(GDA(1.0, order=XY), {"step_size_x": ALPHA, "step_size_y": ALPHA})
    assert found.share(RegionMap.STABLE) == 0.0
    coupling = np.multiply.outer(ALPHA, ALPHA)
    companion = np.zeros((*coupling.shape, 2, 2))
    companion[..., 0, 0], companion[..., 0, 1] = 2.0 - coupling, -1.0
    companion[..., 1, 0] = 1.0
    wrong = np.abs(np.linalg.eigvals(companion)).max(-1) < 1.0
    assert np.count_nonzero(wrong) > 1000


CASES = [
    (GDA(1.0, order=XY), "step_size_x", "step_size_y"),
    (GDA(1.0), "step_size_x", "step_size_y"),
    (Extragradient(1.0), "step_size", "extrapolation"),
    (Extragradient(1.0, order=XY, alternation="restarted"), "step_size", "extrapolation"),
    (Extragradient(1.0, order=XY, alternation="phased"), "step_size", "extrapolation"),
    (OGD(1.0, 1.0), "step_size", "correction"),
    (OGD(1.0, 1.0, order=XY), "step_size", "correction"),
    (HeavyBall(1.0, 1.0), "step_size", "momentum"),
    (HeavyBall(1.0, (0.0, -0.5), order=XY), "step_size", "momentum_x"),
    (Nesterov(1.0, 1.0), "step_size", "momentum"),
    (ImplicitMidpoint(1.0), "step_size_x", "step_size_y"),
    (ProximalPoint(1.0), "step_size_x", "step_size_y"),
]


@pytest.mark.parametrize(("method", "rows", "columns"), CASES, ids=lambda v: str(v)[:30])
def test_every_cell_has_the_exact_verdict(method, rows, columns):
    # Quarters hit the boundaries exactly: 1, 3/2, 2, 4 are among the critical products.
    first = np.array([-2.0, -0.5, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0])
    second = np.array([-1.0, -0.75, -0.5, 0.25, 0.5, 1.0, 2.0])
    found = stability_region(method, {rows: first, columns: second}, sigma=1.0)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            changes = {}
            for name, value in ((rows, a), (columns, b)):
                field, _, player = name.rpartition("_")
                if player in ("x", "y"):
                    pair = changes.get(field, getattr(method, field))
                    changes[field] = (value, pair[1]) if player == "x" else (pair[0], value)
                else:
                    changes[name] = value
            extra = {n: getattr(method, n) for n in ("order", "alternation") if hasattr(method, n)}
            numbers = {
                n: getattr(method, n)
                for n in ("step_size", "extrapolation", "correction", "momentum")
                if hasattr(method, n)
            }
            try:
                one = type(method)(**{**numbers, **changes}, **extra)
                expected = CODES[stability(Bilinear(1.0), one).verdict]
            except ValueError:  # an implicit equation without a solution
                expected = RegionMap.INCONCLUSIVE
            assert found.verdicts[i, j] == expected, (a, b)


THIRD, ULP = Fraction(1, 3), 2.0**-53
AROUND_ONE = np.array([-1.0 - 2 * ULP, -1.0, -1.0 + ULP, 1.0 - ULP, 1.0, 1.0 + 2 * ULP])
MARGINAL_COLUMNS = [
    # lambda^4 + (a b s - 2) lambda^2 + 1 at momentum -1: on the circle up to a b s = 4.
    (HeavyBall(1.0, -1.0), "momentum", [1e-200, 1e-9, 0.01, 0.1 + 0.2, 1.0, 2.0, 2.0 + 4 * ULP]),
    (HeavyBall((THIRD, 3), -1.0), "momentum", [0.25, 2.0, 4.0, 7.3]),
    (HeavyBall(1.0, -1.0, order=XY), "momentum", [-0.5, 1e-9, 0.3, 2.0, 4.0]),
    (Nesterov(1.0, -1.0), "momentum", [1e-9, 0.3, 1.0, 2.0]),
    (OGD(1.0, 1.0), "correction", [1e-9, 0.5, 1.0, 2.0]),
    (OGD(1.0, 1.0, order=XY), "correction", [1e-9, 0.5, 1.0, 2.0, 3.0]),
    (ProximalPoint(1.0), "step_size_y", [1.0, -1.0, -1.0 + ULP, -1.0 - 2 * ULP, -2.0, -4.0]),
]


@pytest.mark.parametrize("sigma", [1.0, 0.1])
@pytest.mark.parametrize(("method", "columns", "rows"), MARGINAL_COLUMNS, ids=lambda v: str(v)[:40])
def test_cells_on_a_boundary_and_one_rounding_beside_it_have_the_exact_verdict(
    method, columns, rows, sigma
):
    game = Bilinear(sigma)
    found = stability_region(method, {"step_size_x": rows, columns: AROUND_ONE}, sigma=sigma)
    for i, a in enumerate(rows):
        for j, b in enumerate(AROUND_ONE.tolist()):
            steps = (a, b if columns == "step_size_y" else method.step_size[1])
            others = {} if columns == "step_size_y" else {columns: b}
            extra = {"order": method.order} if hasattr(method, "order") else {}
            try:
                one = stability(game, type(method)(steps, **others, **extra))
                expected = CODES[one.verdict]
            except ValueError:  # an implicit equation without a solution
                expected = RegionMap.INCONCLUSIVE
            assert found.verdicts[i, j] == expected, (a, b)


def test_a_map_that_is_a_boundary_everywhere_is_marginal_in_every_cell():
    both = {"step_size_x": ALPHA, "step_size_y": ALPHA}
    found = stability_region(HeavyBall(1.0, -1.0), both)
    assert found.decided_exactly == 40_000
    assert found.share(RegionMap.MARGINAL) == 1.0  # alpha_x alpha_y <= 4 on the whole grid
    wider = stability_region(HeavyBall(1.0, -1.0), {"step_size_x": ALPHA, "step_size_y": 2 * ALPHA})
    expected = [[0 if Fraction(a) * Fraction(2 * b) <= 4 else -1 for b in ALPHA] for a in ALPHA]
    assert wider.verdicts.tolist() == expected


def test_a_matrix_is_as_bad_as_its_worst_singular_value():
    rng = np.random.default_rng(4)
    game = Bilinear(rng.normal(size=(5, 4)))
    grid = {"step_size": ALPHA[::10], "extrapolation": BETA[::10]}
    found = stability_region(Extragradient(1.0), grid, sigma=game)
    each = [
        stability_region(Extragradient(1.0), grid, sigma=float(s)) for s in game.singular_values
    ]
    assert np.array_equal(found.verdicts == 1, np.all([e.verdicts == 1 for e in each], axis=0))
    assert len(found.sigmas) == 4
    for i, j in ((0, 12), (3, 11), (5, 9), (19, 19)):
        one = Extragradient(float(grid["step_size"][i]), float(grid["extrapolation"][j]))
        assert CODES[stability(game, one).verdict] == found.verdicts[i, j]


def test_an_irrational_boundary_is_marginal_in_the_map_too():
    root_two = Bilinear([[1.0, 1.0], [1.0, -1.0]])
    found = stability_region(
        Extragradient(1.0),
        {"step_size": np.array([0.5, 1.0]), "extrapolation": np.array([0.25, 0.5])},
        sigma=root_two,
    )
    # |lambda|^2 = (1 - alpha gamma s)^2 + alpha^2 s with s = 2: 1.0625, 0.75, 2.25, 2.0.
    assert found.verdicts.tolist() == [[-1, 1], [-1, -1]]
    edge = stability_region(
        Extragradient((1.0, 0.5), (1.0, 0.5)), {"step_size_x": np.array([1.0])}, sigma=root_two
    )
    assert edge.verdicts.tolist() == [0]  # (1 - 1/2)... the product of the roots is exactly 1


def test_the_caller_keeps_the_parameters():
    steps = np.array([0.5, 1.0])
    found = stability_region(GDA(1.0, order=XY), {"step_size": steps})
    assert np.array_equal(steps, [0.5, 1.0])
    assert found.verdicts.shape == (2,)


@pytest.mark.parametrize(
    ("method", "grid", "sigma", "error", "words"),
    [
        (GDA(1.0), {}, 1.0, ValueError, "must name at least one"),
        (GDA(1.0), {"eta": [1.0]}, 1.0, ValueError, "may name 'step_size'"),
        (GDA(1.0), {"step_size": [0.0, 1.0]}, 1.0, ValueError, "must not hold 0"),
        (GDA(1.0), {"step_size": [np.nan]}, 1.0, ValueError, "must be finite"),
        (GDA(1.0), {"step_size": [1.0]}, -1.0, ValueError, "`sigma` must be positive"),
        (GDA(1.0), {"step_size": [1.0]}, Bilinear(0.0), ValueError, "nothing moves"),
        (GDA(Schedule([1.0])), {"step_size": [1.0]}, 1.0, TypeError, "constant steps"),
    ],
)
def test_bad_maps_are_refused_in_one_sentence(method, grid, sigma, error, words):
    with pytest.raises(error, match=words):
        stability_region(method, grid, sigma=sigma)
