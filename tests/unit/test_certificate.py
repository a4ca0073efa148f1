"""Certificates: the sandwich holds, the checker proves it, and no nudged number passes."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json

import numpy as np
import pytest

from evidence import Enclosure
from lipschitz import (
    Certificate,
    Network,
    Node,
    certify,
    chain,
    exact_by_regions,
    exact_rational_constant,
    from_arrays,
    lower_bound,
    multipliers_prove,
    product_bound,
)
from lipschitz.layers import Activation, Add, Dense, MaxPool
from lipschitz.network import part

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "softplus", "elu")


def random_network(rng, *, inputs=None, depth=None, activation="relu", outputs=None):
    inputs = inputs or int(rng.integers(1, 4))
    depth = depth or int(rng.integers(1, 4))
    outputs = outputs or int(rng.integers(1, 3))
    sizes = [inputs, *rng.integers(1, 7, size=depth - 1), outputs]
    weights = [rng.standard_normal((o, i)) for i, o in itertools.pairwise(sizes)]
    biases = [rng.standard_normal(w.shape[0]) for w in weights]
    if rng.random() < 0.2 and depth > 1:
        weights[0][0] = 0.0  # a dead neuron
    if rng.random() < 0.2 and len(weights[0]) > 1:
        weights[0][1], biases[0][1] = weights[0][0], biases[0][0]  # a duplicate
    return from_arrays(weights, biases, activation=activation)


def residual_network(rng, width=4):
    def dense(name, inputs):
        weight = rng.standard_normal((width, width)) / 2.0
        return Node(name=name, layer=Dense(weight=weight), inputs=inputs)

    def relu(name, inputs):
        layer = Activation(kind="relu", input_shape=(width,))
        return Node(name=name, layer=layer, inputs=inputs)

    return Network(
        input_shape=(width,),
        nodes=(
            dense("a", (0,)),
            relu("b", (1,)),
            dense("c", (2,)),
            Node(name="sum", layer=Add(input_shape=(width,), count=2), inputs=(0, 3)),
            relu("d", (4,)),
            dense("e", (5,)),
        ),
    )


def check_sandwich(network, rng):
    """The certificate holds what is known otherwise, and verifies."""
    certificate = certify(network, effort="fast", time_limit=5.0, search_seconds=0.05, rng=rng)
    exact = exact_by_regions(network)
    assert certificate.bound.lower <= exact.bound.upper
    assert exact.bound.lower <= certificate.bound.upper
    assert certificate.verify().is_valid
    return certificate, exact


@pytest.mark.parametrize("seed", range(60))
def test_lower_exact_and_upper_are_in_order(seed):
    rng = np.random.default_rng([seed, 1])
    check_sandwich(random_network(rng, inputs=int(rng.integers(1, 3))), rng)


@pytest.mark.exhaustive
@pytest.mark.parametrize("block", range(100))
def test_ten_thousand_networks(block):
    rng = np.random.default_rng([block, 2])
    for _ in range(100):
        check_sandwich(random_network(rng, inputs=int(rng.integers(1, 3))), rng)


@pytest.mark.parametrize("seed", range(10))
def test_the_exact_rational_constant_lies_inside(seed):
    rng = np.random.default_rng([seed, 3])
    network = random_network(rng, inputs=2, depth=2, outputs=1)
    power = exact_rational_constant(network).power  # of l2: the square
    bound = certify(network, rng=rng, search_seconds=0.1).bound
    assert bound.lower**2 * (1 - 1e-15) <= power <= bound.upper**2 * (1 + 1e-15)
    assert bound.rtol < 1e-6 or bound.upper < 1e-9


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gets_a_certificate(activation):
    rng = np.random.default_rng(5)
    network = random_network(rng, inputs=3, depth=3, activation=activation, outputs=2)
    certificate = certify(network, rng=rng, search_seconds=0.2)
    assert certificate.bound.lower > 0.0
    assert certificate.verify().is_valid
    assert certificate.bound.upper <= product_bound(network).plain.upper * (1 + 1e-9)


@pytest.mark.parametrize("norm", [1, np.inf])
def test_the_other_norms_get_a_certificate(norm):
    rng = np.random.default_rng(6)
    network = random_network(rng, inputs=2, depth=2, outputs=2)
    certificate = certify(network, norm=norm, rng=rng)
    assert certificate.bound.rtol < 1e-6
    assert certificate.verify().is_valid


def test_residual_networks_get_one_piece_that_beats_the_product():
    rng = np.random.default_rng(7)
    network = residual_network(rng)
    certificate = certify(network, rng=rng, search_seconds=0.2)
    assert certificate.bound.upper < product_bound(network).bound.upper
    assert certificate.verify().is_valid


def test_networks_with_pooling_get_a_certificate():
    rng = np.random.default_rng(8)
    pool = MaxPool(input_shape=(1, 6), kernel_size=(2,), stride=(2,))
    first = Dense(weight=rng.standard_normal((6, 6)), leading=(1,))
    relu = Activation(kind="relu", input_shape=(1, 6))
    last = Dense(weight=rng.standard_normal((2, 3)), leading=(1,))
    network = Network(
        input_shape=(1, 6),
        nodes=chain([("first", first), ("relu", relu), ("pool", pool), ("last", last)]),
    )
    certificate = certify(network, rng=rng, search_seconds=0.2)
    assert certificate.verify().is_valid


# ---- JSON ---------------------------------------------------------------------------------------
def certificate_of(seed=0, inputs=4):
    rng = np.random.default_rng(seed)
    network = random_network(rng, inputs=inputs, depth=3, outputs=2)
    return certify(network, rng=rng, search_seconds=0.2)


def test_json_keeps_every_bit(tmp_path):
    certificate = certificate_of()
    path = tmp_path / "certificate.json"
    text = certificate.to_json(path)
    assert path.read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["certificate.json"]
    again = Certificate.from_json(text)
    assert again.to_json() == text
    assert again.bound == certificate.bound
    assert again.verify().is_valid


def numbers_in(value, path=()):
    """Paths of everything in the JSON that is a number."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers_in(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers_in(item, (*path, index))
    elif isinstance(value, bool):
        return
    elif isinstance(value, (int, float)) or path[-1:] == ("float64",) or str(value)[:2] == "0x":
        yield path


def nudged(value):
    if isinstance(value, str) and value.startswith("0x"):
        return (float.fromhex(value) * 1.001 + 1e-9).hex()
    if isinstance(value, str):
        return ("A" if value[0] != "A" else "B") + value[1:]
    return value + 1


def test_any_number_that_changes_on_the_way_is_noticed():
    text = certificate_of().to_json()
    paths = list(numbers_in(json.loads(text)))
    assert len(paths) > 30
    for path in paths:
        body = json.loads(text)
        inner = body
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = nudged(inner[path[-1]])
        with pytest.raises(ValueError, match="changed after it was written"):
            Certificate.from_json(json.dumps(body))


def test_text_that_is_no_certificate_gets_one_sentence():
    for text in ("", "[1]", "{}", '{"format": "other"}', "null"):
        with pytest.raises(ValueError, match="`text` must be"):
            Certificate.from_json(text)


# ---- liars --------------------------------------------------------------------------------------
def with_bound(certificate, lower, upper):
    pieces = certificate.pieces
    if len(pieces) == 1:
        pieces = (dataclasses.replace(pieces[0], upper=upper),)
    witness = dataclasses.replace(certificate.witness, lower=lower)
    bound = Enclosure(lower, upper, certificate.bound.method)
    return dataclasses.replace(certificate, bound=bound, pieces=pieces, witness=witness)


@pytest.mark.parametrize("seed", range(6))
def test_claiming_more_than_was_proved_is_refused(seed):
    certificate = certificate_of(seed)
    assert certificate.verify().is_valid
    lower, upper = certificate.bound.lower, certificate.bound.upper
    # Below an attained slope the claim is false, whatever the multipliers are.
    assert not with_bound(certificate, 0.0, lower * (1.0 - 1e-9)).verify().is_valid
    assert not with_bound(certificate, min(lower * (1.0 + 1e-6), upper), upper).verify().is_valid


@pytest.mark.parametrize("seed", range(6))
def test_other_multipliers_are_refused(seed):
    certificate = certificate_of(seed)
    rng = np.random.default_rng(seed)
    for piece in certificate.pieces:
        if piece.rule != "multipliers":
            continue
        for t in piece.multipliers:
            for factor in (-1.0, np.nan, np.inf, 0.5, 2.0):
                for index in rng.integers(len(t), size=2):
                    if factor in (0.5, 2.0) and not 1e-6 < t[index] / np.median(t) < 1e6:
                        continue  # any multiplier of a dead neuron proves the same
                    changed = np.array(t)
                    changed[index] *= factor
                    multipliers = [changed if u is t else u for u in piece.multipliers]
                    network = part(certificate.network.fold(), piece.first, piece.last)
                    assert not multipliers_prove(network, multipliers, piece.upper)


def test_reports_that_do_not_fit_the_proof_are_refused():
    certificate = certificate_of()
    assert certificate.layers
    name, kind, norm = certificate.layers[0]
    for lie in (Enclosure(0.0, 0.0, norm.method), Enclosure(norm.lower, norm.upper * 2, "")):
        layers = ((name, kind, lie), *certificate.layers[1:])
        assert not dataclasses.replace(certificate, layers=layers).verify().is_valid
    assert not dataclasses.replace(certificate, layers=certificate.layers[1:]).verify().is_valid
    for side, value in (("upper", 0.001), ("lower", 1e6)):
        lie = dataclasses.replace(certificate.attempts[0], side=side, value=value)
        attempts = (lie, *certificate.attempts[1:])
        assert not dataclasses.replace(certificate, attempts=attempts).verify().is_valid


def rewritten(text, change):
    """The text of a liar, who changes the body and computes the digest anew."""
    body = json.loads(text)
    del body["sha256"]
    change(body)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps({**body, "sha256": hashlib.sha256(canonical.encode()).hexdigest()})


def set_at(*path):
    def change(body):
        inner = body
        for key in path[:-2]:
            inner = inner[key]
        inner[path[-2]] = path[-1]

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_at("pieces", 0, "first", 0.9),
        set_at("pieces", 0, "last", True),
        set_at("pieces", 0, "multipliers", 3),
        set_at("pieces", 3),
        set_at("witness", "bits", 2**40),
        set_at("witness", "bits", 1),
        set_at("witness", None),
        set_at("network", "nodes", 0, "kind", "Lambda"),
        set_at("network", "nodes", 0, "inputs", ["a"]),
        set_at("network", "input_shape", "x"),
        set_at("layers", 5),
        set_at("norm", []),
        set_at("upper", "much"),
    ],
)
def test_malformed_bodies_get_one_sentence(change):
    with pytest.raises(ValueError, match=r"`|node"):
        Certificate.from_json(rewritten(certificate_of().to_json(), change))


def test_odd_texts_get_one_sentence():
    for text in ("[" * 10**5, '{"format": NaN}', "\x00"):
        with pytest.raises(ValueError, match="`text` must be"):
            Certificate.from_json(text)
    with pytest.raises(TypeError, match="`text` must be a str"):
        Certificate.from_json(None)


def test_pieces_that_leave_a_gap_are_refused():
    certificate = certificate_of()
    for first, last in ((1, None), (0, -1)):
        piece = certificate.pieces[0]
        last = piece.last if last is None else piece.last + last
        gap = dataclasses.replace(piece, first=first, last=last)
        lie = dataclasses.replace(certificate, pieces=(gap, *certificate.pieces[1:]))
        assert not lie.verify().is_valid
    assert not dataclasses.replace(certificate, pieces=()).verify().is_valid


def test_a_piece_that_is_bypassed_is_refused():
    network = residual_network(np.random.default_rng(0))
    with pytest.raises(ValueError, match="bypassed"):
        part(network, 1, 4)


# ---- bad input ----------------------------------------------------------------------------------
def test_impossible_arguments_get_one_sentence():
    network = from_arrays([[[1.0]]])
    for arguments, error, sentence in (
        ({"norm": 3}, ValueError, "`norm`"),
        ({"effort": "heroic"}, ValueError, "`effort`"),
        ({"time_limit": 0.0}, ValueError, "`time_limit`"),
        ({"time_limit": np.nan}, ValueError, "`time_limit`"),
        ({"rng": 0}, TypeError, "`rng`"),
    ):
        with pytest.raises(error, match=sentence):
            certify(network, **arguments)
    with pytest.raises(TypeError, match="`network`"):
        certify([[1.0]])


def test_an_infeasible_time_limit_returns_what_is_certified_so_far():
    network = random_network(np.random.default_rng(0), inputs=3, depth=3)
    certificate = certify(network, time_limit=1e-9)
    assert certificate.bound.upper < np.inf
    assert certificate.verify().is_valid


@pytest.mark.parametrize(
    "weights",
    [
        [[[3.0]]],
        [[[0.0]], [[0.0]]],
        [[[1.0, 2.0], [0.0, 0.0]], [[1.0, 5.0]]],
        [[[1e-200]], [[1e-200]]],
        [[[1e100]], [[1e100]]],
    ],
    ids=["one layer", "zeros", "dead neuron", "tiny", "huge"],
)
def test_degenerate_networks_are_certified(weights):
    certificate = certify(from_arrays(weights), search_seconds=0.1)
    assert certificate.verify().is_valid, certificate.verify().steps


def test_the_witness_is_a_lower_bound_found_without_the_certificate():
    certificate = certificate_of()
    found = lower_bound(certificate.network, rng=np.random.default_rng(1), starts=4, steps=20)
    assert found.bound.lower <= certificate.bound.upper
