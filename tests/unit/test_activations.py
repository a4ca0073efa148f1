"""Activations: slopes, values and derivatives against ball arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lipschitz.layers import ACTIVATIONS, Activation

Array = NDArray[np.float64]

CASES = [
    ("relu", None),
    ("leaky_relu", 0.2),
    ("leaky_relu", -0.7),
    ("leaky_relu", 3.0),
    ("sigmoid", None),
    ("tanh", None),
    ("softplus", 1.0),
    ("softplus", 3.7),
    ("softplus", 0.01),
    ("elu", 1.0),
    ("elu", 2.5),
    ("elu", -0.6),
]


def points() -> Array:
    """Arguments of all sizes, both signs, and zero."""
    rng = np.random.default_rng(11)
    sizes = 10.0 ** rng.uniform(-12.0, 3.0, 400)
    extremes = [0.0, -0.0, 5e-324, 1e300, 1.7e308]
    return np.concatenate([sizes, -sizes, rng.standard_normal(200), extremes])


def layer(kind: str, parameter: float | None, count: int) -> Activation:
    return Activation(kind=kind, input_shape=(count,), parameter=parameter)


def balls(kind: str, parameter: float | None, xs: Array, derivative: bool) -> list[Any]:
    """The exact values as balls of 200 bits, from the textbook formulas."""
    flint = pytest.importorskip("flint")
    flint.ctx.prec = 200
    a = flint.arb(0.0 if parameter is None else parameter)
    one = flint.arb(1)

    def value(x: Any) -> Any:
        positive = bool(x > 0)
        if kind == "relu":
            return x if positive else flint.arb(0)
        if kind == "leaky_relu":
            return x if positive else a * x
        if kind == "sigmoid":
            return one / (one + (-x).exp())
        if kind == "tanh":
            return x.tanh()
        if kind == "softplus":
            small = (-abs(a * x)).exp().log1p() / a
            return x + small if positive else small
        return x if positive else a * x.expm1()

    def slope(x: Any) -> Any:
        positive = bool(x > 0)
        if kind == "relu":
            return one if positive else flint.arb(0)
        if kind == "leaky_relu":
            return one if positive else a
        if kind == "sigmoid":
            small = (-abs(x)).exp()
            return small / (one + small) ** 2
        if kind == "tanh":
            return x.sech() ** 2
        if kind == "softplus":
            return one / (one + (-a * x).exp())
        return one if positive else a * x.exp()

    return [(slope if derivative else value)(flint.arb(float(x))) for x in xs]


@pytest.mark.parametrize(("kind", "parameter"), CASES)
@pytest.mark.parametrize("derivative", [False, True])
def test_enclosures_contain_the_exact_values(
    kind: str, parameter: float | None, derivative: bool
) -> None:
    flint = pytest.importorskip("flint")
    xs = points()
    act = layer(kind, parameter, len(xs))
    zero = np.zeros((1, len(xs)))
    center, radius = (
        act.enclose_derivative(xs[None], zero) if derivative else act.enclose((xs[None], zero))
    )
    for x, c, r, true in zip(
        xs, center[0], radius[0], balls(kind, parameter, xs, derivative), strict=True
    ):
        distance = abs(true - flint.arb(float(c)))
        assert bool(distance <= flint.arb(float(r))), (x, c, r, true)


@pytest.mark.parametrize(("kind", "parameter"), CASES)
def test_enclosures_of_points_are_tight(kind: str, parameter: float | None) -> None:
    xs = points()
    act = layer(kind, parameter, len(xs))
    center, radius = act.enclose((xs[None], np.zeros((1, len(xs)))))
    # 2**-43 is the widest accuracy that the module's docstring states, 2**-1060 covers underflow.
    assert (radius <= 2.0**-42 * np.abs(center) + 2.0**-1060).all()


@pytest.mark.parametrize(("kind", "parameter"), CASES)
@pytest.mark.parametrize("spread", [1e-9, 0.3, 20.0])
def test_enclosures_over_intervals_contain_samples(
    kind: str, parameter: float | None, spread: float
) -> None:
    rng = np.random.default_rng(12)
    x = rng.standard_normal((1, 200)) * rng.choice([0.1, 1.0, 10.0], 200)
    r = spread * rng.random((1, 200))
    act = layer(kind, parameter, 200)
    value, slope = act.enclose((x, r)), act.enclose_derivative(x, r)
    for t in np.linspace(-1.0, 1.0, 9):
        inside = x + t * r
        for (center, radius), sample in (
            (value, act.apply(inside)),
            (slope, act.derivative(inside)),
        ):
            # The samples are rounded themselves: 2**-42 relative, as above.
            slack = 2.0**-42 * np.abs(sample) + 2.0**-1060
            assert (np.abs(sample - center) <= radius + slack).all()


@pytest.mark.parametrize(("kind", "parameter"), CASES)
def test_difference_quotients_lie_between_the_slopes(kind: str, parameter: float | None) -> None:
    rng = np.random.default_rng(13)
    x, y = 3.0 * rng.standard_normal((2, 1, 2000))
    act = layer(kind, parameter, 2000)
    quotient = (act.apply(x) - act.apply(y)) / (x - y)
    # Each value has relative error 2**-43 at most; the quotient divides their sum by |x - y|.
    size = np.abs(act.apply(x)) + np.abs(act.apply(y))
    slack = 2.0**-42 * (size / np.abs(x - y) + 1.0)
    assert (quotient >= act.slope_lower - slack).all()
    assert (quotient <= act.slope_upper + slack).all()
    # They are not merely bounds: some quotient or limit comes close to each.
    ends = act.derivative(np.array([[-50.0, -1e-9, 1e-9, 50.0]]))
    # softplus(0.01) and its kin approach their slopes slowly: at |b x| = 0.5 only.
    far = act.derivative(np.array([[-1e4, 1e4]]))
    reached = np.concatenate([ends.ravel(), far.ravel()])
    assert abs(reached.min() - act.slope_lower) < 1e-8
    assert abs(reached.max() - act.slope_upper) < 1e-8


def test_a_kink_has_both_one_sided_derivatives() -> None:
    zero = np.zeros((1, 1))
    for kind, parameter, center, radius in (
        ("relu", None, 0.5, 0.5),
        ("leaky_relu", -1.0, 0.0, 1.0),
        ("leaky_relu", 0.5, 0.75, 0.25),
    ):
        c, r = layer(kind, parameter, 1).enclose_derivative(zero, zero)
        assert (float(c[0, 0]), float(r[0, 0])) == (center, radius)


def test_off_the_kink_the_derivative_of_relu_is_exact() -> None:
    x = np.array([[-1.0, 2.0]])
    c, r = layer("relu", None, 2).enclose_derivative(x, np.full_like(x, 0.5))
    assert np.array_equal(c, [[0.0, 1.0]])
    assert not r.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "gelu"}, "`kind` must be one of 'relu', 'leaky_relu'"),
        ({"kind": "relu", "parameter": 1.0}, "has no meaning for 'relu'"),
        ({"kind": "elu", "parameter": float("nan")}, "must be finite"),
        ({"kind": "softplus", "parameter": 0.0}, "must be positive"),
        ({"kind": "softplus", "parameter": -1.0}, "must be positive"),
    ],
)
def test_an_unknown_activation_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Activation(input_shape=(1,), **options)


def test_every_kind_is_covered_here() -> None:
    assert {kind for kind, _ in CASES} == set(ACTIVATIONS)
