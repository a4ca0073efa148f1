"""Convolutional stacks: gradients beside plain modules, exports, training on digits, resumption."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import nn  # noqa: E402
from torch.nn.utils import parameters_to_vector, vector_to_parameters  # noqa: E402

from gan_core import (  # noqa: E402
    OBJECTIVES,
    Bjorck,
    Clipping,
    Ensemble,
    Ring,
    Settings,
    SpectralNormalization,
    critic_gradient,
    digits,
    generator_gradient,
    input_gradient,
    one_centered,
    r1,
    train,
    wgan,
    wgan_gp,
)
from gan_core.convolutional import StackedConvolution  # noqa: E402
from lipschitz import certify  # noqa: E402

IMAGES = {
    "architecture": "convolutional",
    "image_shape": (8, 8),
    "channels": (4, 6),
    "latent_size": 3,
    "batch": 16,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stack(shape=(8, 8), *, scheme="torch", members=3, **options):
    net = StackedConvolution(shape, members=members, channels=(4, 6), dtype="float64", **options)
    net.initialize([torch.Generator().manual_seed(s) for s in range(members)], scheme)
    return net


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slopes(activation):
    return {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2), "tanh": nn.Tanh()}[activation]


def plain(net, member, activation, latent=None):
    """The network of 8 x 8 images once more, as torch's layers, without any code of the stack."""
    act = slopes(activation)
    if latent is None:
        layers = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 4, 2, 1), act]
        layers += [nn.Conv2d(4, 6, 4, 2, 1), act, nn.Flatten(), nn.Linear(24, 1)]
    else:
        layers = [nn.Linear(latent, 24), act, nn.Unflatten(1, (6, 2, 2))]
        layers += [nn.ConvTranspose2d(6, 4, 4, 2, 1), act, nn.ConvTranspose2d(4, 4, 4, 2, 1), act]
        layers += [nn.Conv2d(4, 1, 3, padding=1), nn.Flatten()]
    module = nn.Sequential(*layers).double()
    vector_to_parameters(net.parameters[member].clone(), module.parameters())
    return module


def gradient_of(loss, module):
    found = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
    pairs = zip(found, module.parameters(), strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def close(found, expected):
    # Sums of at most a few thousand products in float64.
    return bool((found - expected).abs().max() <= 1e-10 * (1.0 + expected.abs().max()))


# ---- gradients ----------------------------------------------------------------------------------
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize(
    "penalty", [None, one_centered(3.0), r1(2.0)], ids=["none", "two-sided", "R1"]
)
@pytest.mark.parametrize("name", ["wgan", "nonsaturating"])
def test_the_critics_gradient_is_that_of_each_plain_module(activation, penalty, name):
    net, terms = stack(activation=activation, scheme="he"), OBJECTIVES[name]
    real, fake, mix = batch(3, 5, 64), batch(3, 5, 64, seed=1), batch(3, 5, 1, seed=2).sigmoid()
    step = critic_gradient(net, real, fake, terms, penalty=penalty, mix=mix)
    for member in range(3):
        module = plain(net, member, activation)
        x, y = real[member], fake[member]
        loss = terms.critic_loss(module(x).reshape(1, -1), module(y).reshape(1, -1)).sum()
        if penalty is not None:
            points = x if penalty.points == "real" else y + mix[member] * (x - y)
            points = points.clone().requires_grad_(True)
            (g,) = torch.autograd.grad(module(points).sum(), points, create_graph=True)
            norms = g.square().sum(1).sqrt()
            assert close(step.norms[member], norms.detach())
            loss = loss + penalty.coefficient * (norms - penalty.center).square().mean()
        assert close(net.gradient[member], gradient_of(loss, module))
        assert close((step.loss + step.penalty)[member], loss.detach())


def test_the_gradient_of_another_member_would_be_noticed():
    """Must fail: members have gradients of their own."""
    net = stack(scheme="he")
    critic_gradient(net, batch(3, 5, 64), batch(3, 5, 64, seed=1), OBJECTIVES["wgan"])
    assert not close(net.gradient[0], net.gradient[1])


@pytest.mark.parametrize("name", ["wgan", "minimax"])
def test_the_generators_gradient_is_that_of_each_plain_module(name):
    net, critic, noise = stack(latent_size=3), stack(scheme="he"), batch(3, 5, 3)
    loss = generator_gradient(net, critic, noise, OBJECTIVES[name])
    for member in range(3):
        module, judge = plain(net, member, "leaky_relu", 3), plain(critic, member, "leaky_relu")
        outputs = judge(module(noise[member])).reshape(1, -1)
        expected = OBJECTIVES[name].generator_loss(outputs).sum()
        assert close(loss[member], expected.detach())
        assert close(net.gradient[member], gradient_of(expected, module))


def test_input_gradients_are_those_of_each_plain_module():
    net, x = stack(), batch(3, 5, 64)
    found = input_gradient(net, x)
    for member in range(3):
        points = x[member].clone().requires_grad_(True)
        outputs = plain(net, member, "leaky_relu")(points).sum()
        assert close(found[member], torch.autograd.grad(outputs, points)[0])


# ---- out of the stack ---------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (4, 12)])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("kind", ["critic", "generator", "squashed"])
def test_modules_and_networks_are_the_member(shape, activation, kind):
    options = {"critic": {}, "generator": {"latent_size": 3}}.get(
        kind, {"latent_size": 3, "squash": True}
    )
    net = stack(shape, activation=activation, scheme="he", **options)
    x = batch(3, 4, 3 if options else shape[0] * shape[1])
    values = net(x)
    assert values.shape == (3, 4, shape[0] * shape[1] if options else 1)
    for member in range(3):
        assert close(net.module(member)(x[member]).detach(), values[member])
        assert close(torch.from_numpy(net.network(member).apply(x[member].numpy())), values[member])
    with pytest.raises(ValueError, match="`member` must be below 3"):
        net.module(3)


def test_a_row_of_parameters_is_the_modules_vector():
    net = stack(latent_size=3)
    assert torch.equal(parameters_to_vector(net.module(1).parameters()), net.parameters[1])


@pytest.mark.parametrize("scheme", ["torch", "he", "orthogonal", "normal"])
def test_initial_parameters_are_drawn_from_the_members_own_generator(scheme):
    net, alone = stack(scheme=scheme), stack(scheme=scheme, members=1)
    assert torch.equal(net.parameters[0], alone.parameters[0])
    assert not torch.equal(net.parameters[0], net.parameters[1])
    if scheme == "orthogonal":
        for weight in net.weights:
            singular = torch.linalg.svdvals(weight)
            assert close(singular, torch.ones_like(singular))


# ---- training -----------------------------------------------------------------------------------
def test_training_on_digits_is_finite_and_its_critic_is_certified():
    settings = wgan_gp(**IMAGES, activation="leaky_relu", step_size=1e-3)
    run = train(settings, digits().sampler(), seeds=[0, 1], iterations=3, every=1)
    assert run.diagnosis == ""
    for name, rows in run.history.items():
        assert name == "at_bound" or np.isfinite(rows).all()
    assert run.history["gradient_norms"].shape == (3, 1, 2, 3)
    ensemble = run.ensemble
    assert ensemble.samples(4).shape == (2, 4, 64)
    critic = ensemble.critic
    certificate = certify(critic.network(0), effort="fast", time_limit=5)
    assert certificate.verify().is_valid
    steepest = torch.linalg.vector_norm(input_gradient(critic, batch(2, 50, 64).float()), dim=2)
    # The stack computes in float32: 2**-23 per operation, some hundred of them in a row.
    assert float(steepest[0].max()) <= certificate.bound.upper * (1.0 + 1e-4)


@pytest.mark.parametrize(
    "settings",
    [wgan_gp(**IMAGES), wgan(**IMAGES), wgan_gp(**{**IMAGES, "dtype": "float64"})],
    ids=["WGAN-GP", "clipped", "float64"],
)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(settings, tmp_path):
    data = digits().sampler()
    whole = train(settings, data, seeds=[0, 1], iterations=4, every=2)
    path = tmp_path / "run.pt"
    train(settings, data, seeds=[0, 1], iterations=2, every=2, checkpoint=path)
    resumed = train(settings, data, seeds=[0, 1], iterations=4, every=2, checkpoint=path)
    assert torch.equal(whole.ensemble.critic.parameters, resumed.ensemble.critic.parameters)
    assert torch.equal(whole.ensemble.generator.parameters, resumed.ensemble.generator.parameters)
    for name, rows in whole.history.items():
        np.testing.assert_array_equal(rows, resumed.history[name])


def test_a_seed_agrees_with_itself_alone_up_to_rounding():
    settings = wgan_gp(**IMAGES, dtype="float64", activation="tanh")
    data = digits().sampler()
    together, alone = Ensemble(settings, data, range(4)), Ensemble(settings, data, [3])
    for ensemble in (together, alone):
        ensemble.critic_step()
    # One step: later ones amplify roundings where Adam divides by a small gradient's size.
    assert close(together.critic.gradient[3], alone.critic.gradient[0])


def test_clipping_keeps_every_parameter_in_the_box():
    ensemble = Ensemble(wgan(**IMAGES, conditions={"clip": [0.01, 0.1]}), digits().sampler(), [0])
    ensemble.iterate(2)
    largest = ensemble.critic.parameters.abs().amax(1)
    assert largest[0] <= 0.01 < largest[1] <= 0.1


# ---- bad input ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "transformer"}, "`architecture`"),
        ({"architecture": "mlp"}, "`image_shape` = .* needs `architecture='convolutional'`"),
        ({"image_shape": None}, "`image_shape` must be the images'"),
        ({"image_shape": (8, 9)}, "multiples of 4"),
        ({"image_shape": (28, 28), "channels": (4, 4, 4)}, "multiples of 8"),
        ({"image_shape": (0, 8)}, "`image_shape"),
        ({"channels": ()}, "`channels` must hold at least one"),
        ({"channels": (0,)}, "`channels"),
        ({"activation": "max_min"}, "`activation`"),
        ({"constraint": Bjorck()}, "`constraint` Bjorck is for perceptrons"),
        ({"constraint": SpectralNormalization()}, "not that of its reshaped kernel"),
    ],
)
def test_impossible_settings_get_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Settings(**{**IMAGES, **changes})
    assert Settings(**IMAGES, constraint=Clipping()).image_shape == (8, 8)


def test_impossible_stacks_and_data_get_one_sentence():
    with pytest.raises(ValueError, match="64 pixels, but the data have dimension 2"):
        Ensemble(wgan_gp(**IMAGES), Ring(), [0])
    with pytest.raises(ValueError, match="`squash` is for generators"):
        StackedConvolution((8, 8), squash=True)
    with pytest.raises(ValueError, match="one generator per member, 2, got 1"):
        StackedConvolution((8, 8), members=2).initialize([torch.Generator()])
