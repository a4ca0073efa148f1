"""The stacked core: gradients beside autograd, members beside themselves alone, objectives beside
divergences, and one sentence for every bad input."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from divergences import js, total_variation  # noqa: E402
from gan_core import (  # noqa: E402
    OBJECTIVES,
    Bjorck,
    Clipping,
    Discrete,
    Empirical,
    Ensemble,
    Gaussian,
    GradientPenalty,
    Grid,
    Ring,
    Settings,
    SpectralNormalization,
    StackedMLP,
    SwissRoll,
    critic_gradient,
    generator_gradient,
    in_chunks,
    input_gradient,
    mode_coverage,
    one_centered,
    r1,
    r2,
    train,
    train_critics,
    wgan,
    wgan_gp,
)

SMALL = {"critic_hidden": (16, 12), "generator_hidden": (8,), "batch": 16}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generators(seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def stack(sizes, members=3, **options):
    net = StackedMLP(sizes, members=members, dtype="float64", **options)
    net.initialize(generators(range(members)))
    return net


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_forward(net, leaves, x):
    """The network once more, without any code of the stack's own passes."""
    for layer in range(net.depth):
        x = torch.einsum("sbi,sio->sbo", x, leaves[2 * layer]) + leaves[2 * layer + 1]
        if layer < net.depth - 1:
            x = {
                "relu": torch.relu,
                "leaky_relu": lambda v: torch.where(v > 0, v, net.slope * v),
                "tanh": torch.tanh,
                "max_min": lambda v: torch.cat(
                    [
                        torch.maximum(*v.chunk(2, -1)),
                        torch.minimum(*v.chunk(2, -1)),
                    ],
                    -1,
                ),
            }[net.activation](x)
    return x


def leaves_of(net):
    pairs = zip(net.weights, net.biases, strict=True)
    return [p.detach().clone().requires_grad_(True) for pair in pairs for p in pair]


def stored(net):
    """The gradient that was written, parameter by parameter."""
    pairs = zip(net.weight_gradients, net.bias_gradients, strict=True)
    return torch.cat([g.reshape(net.members, -1) for pair in pairs for g in pair], dim=1)


def flat(net, gradients):
    parts = [
        (torch.zeros_like(p) if g is None else g).reshape(net.members, -1)
        for g, p in zip(gradients, leaves_of(net), strict=True)
    ]
    return torch.cat(parts, dim=1)


PENALTIES = {
    "none": None,
    "two-sided": one_centered(3.0),
    "one-sided": one_centered(3.0, one_sided=True),
    "R1": r1(2.0),
    "R2": r2(2.0),
}


# ---- gradients ----------------------------------------------------------------------------------
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "max_min"])
@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("name", ["minimax", "least_squares", "hinge", "wgan", "f_gan_kl"])
def test_the_critics_gradient_is_that_of_autograd(activation, kind, name):
    net = stack([2, 8, 6, 1], activation=activation)
    real, fake, mix = batch(3, 10, 2), batch(3, 10, 2, seed=1), batch(3, 10, 1, seed=2).sigmoid()
    penalty, terms = PENALTIES[kind], OBJECTIVES[name]
    step = critic_gradient(net, real, fake, terms, penalty=penalty, mix=mix)
    leaves = leaves_of(net)
    loss = terms.critic_loss(
        plain_forward(net, leaves, real)[..., 0], plain_forward(net, leaves, fake)[..., 0]
    )
    if penalty is not None:
        where = {"interpolates": fake + mix * (real - fake), "real": real, "generated": fake}
        points = where[penalty.points].clone().requires_grad_(True)
        (g,) = torch.autograd.grad(
            plain_forward(net, leaves, points).sum(), points, create_graph=True
        )
        excess = g.square().sum(2).sqrt() - penalty.center
        if penalty.one_sided:
            excess = excess.relu()
        loss = loss + penalty.coefficient * excess.square().mean(1)
    expected = flat(net, torch.autograd.grad(loss.sum(), leaves, allow_unused=True))
    scale = 1.0 + expected.abs().max()
    # Both sides are sums of a few hundred products in float64.
    assert (stored(net) - expected).abs().max() <= 1e-12 * scale
    assert (step.loss + step.penalty - loss.detach()).abs().max() <= 1e-12 * scale


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_generators_gradient_is_that_of_autograd(activation, name):
    net, critic = stack([3, 6, 2], activation=activation), stack([2, 8, 1], activation=activation)
    noise = batch(3, 10, 3)
    generator_gradient(net, critic, noise, OBJECTIVES[name])
    leaves = leaves_of(net)
    outputs = plain_forward(critic, leaves_of(critic), plain_forward(net, leaves, noise))[..., 0]
    loss = OBJECTIVES[name].generator_loss(outputs)
    expected = flat(net, torch.autograd.grad(loss.sum(), leaves))
    assert (stored(net) - expected).abs().max() <= 1e-12 * (1.0 + expected.abs().max())


def test_a_wrong_mask_would_be_noticed():
    """Must fail: the gradient of another network is another gradient."""
    net, other = stack([2, 8, 1]), stack([2, 8, 1], activation="leaky_relu")
    points = batch(3, 10, 2)
    with pytest.raises(AssertionError):
        assert torch.allclose(input_gradient(net, points), input_gradient(other, points))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_slopes_are_derivatives_of_values(name):
    terms = OBJECTIVES[name]
    x = torch.linspace(-3.0, 3.0, 31, dtype=torch.float64) + 0.013
    x.requires_grad_(True)
    for term in (terms.real, terms.generated, terms.generator):
        (expected,) = torch.autograd.grad(term.value(x).sum(), x)
        assert torch.allclose(term.slope(x.detach()), expected, rtol=1e-13, atol=1e-14)


def test_a_dead_critic_has_a_finite_gradient_of_its_penalty():
    net = StackedMLP([2, 4, 1], dtype="float64")
    zeros = torch.zeros(1, 5, 2, dtype=torch.float64)
    step = critic_gradient(
        net, zeros, zeros, OBJECTIVES["wgan"], penalty=one_centered(), mix=zeros[..., :1]
    )
    assert torch.isfinite(net.gradient).all()
    assert step.penalty.item() == 10.0


def test_the_penalty_takes_one_norm_per_sample_whatever_the_shape():
    images = torch.ones(1, 3, 1, 4, 8, dtype=torch.float64)
    flattened = one_centered(10.0).value(images.flatten(2))
    assert one_centered(10.0).value(images) == flattened == 10.0 * (np.sqrt(32.0) - 1.0) ** 2
    assert one_centered(10.0).slope(images).shape == images.shape


# ---- objectives ---------------------------------------------------------------------------------
def random_pair(rng, size=6):
    p, q = rng.dirichlet(np.ones(size)), rng.dirichlet(np.ones(size))
    return p, q


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if OBJECTIVES[n].optimal_critic])
def test_no_critic_beats_the_optimal_one_and_it_reaches_the_stated_loss(name):
    rng = np.random.default_rng(0)
    terms = OBJECTIVES[name]
    for _ in range(20):
        p, q = random_pair(rng)
        best = torch.from_numpy(terms.optimal_critic(p, q))
        weights = torch.from_numpy(p), torch.from_numpy(q)

        def loss(f, weights=weights):
            real, generated = terms.real.value(f), terms.generated.value(f)
            return float((weights[0] * real).sum() + (weights[1] * generated).sum())

        least = terms.optimal_loss(p, q)
        assert loss(best) == pytest.approx(least, rel=1e-12, abs=1e-12)
        for scale in (1e-3, 0.1, 1.0):
            moved = best + scale * torch.from_numpy(rng.standard_normal(len(p)))
            assert loss(moved) >= least - 1e-12


def test_optimal_losses_are_divergences():
    rng = np.random.default_rng(1)
    for _ in range(20):
        p, q = random_pair(rng)
        two_log_two = 2.0 * np.log(2.0)
        assert OBJECTIVES["minimax"].optimal_loss(p, q) == pytest.approx(
            two_log_two - 2.0 * js(p, q), rel=1e-13
        )
        assert OBJECTIVES["hinge"].optimal_loss(p, q) == pytest.approx(
            2.0 - 2.0 * total_variation(p, q), rel=1e-13
        )
        assert OBJECTIVES["f_gan_js"].optimal_loss(p, q) == pytest.approx(
            -2.0 * js(p, q), rel=1e-12
        )


def test_minimax_and_nonsaturating_are_different_losses():
    f = torch.tensor([-30.0, 0.0, 30.0], dtype=torch.float64)
    saturating = OBJECTIVES["minimax"].generator.slope(f)
    not_saturating = OBJECTIVES["nonsaturating"].generator.slope(f)
    assert abs(saturating[0]) < 1e-12
    assert not_saturating[0] < -0.999
    assert torch.allclose(saturating + not_saturating, -torch.ones(3, dtype=torch.float64))


def test_losses_stay_finite_for_large_logits():
    f = torch.tensor([[-1e4, 1e4]], dtype=torch.float32)
    for name in ("minimax", "nonsaturating", "f_gan_js"):
        assert torch.isfinite(OBJECTIVES[name].critic_loss(f, f)).all()


# ---- members ------------------------------------------------------------------------------------
CASES = {
    "WGAN-GP": {},
    "leaky": {"activation": "leaky_relu"},
    "tanh": {"activation": "tanh"},
    "Bjorck": {"constraint": Bjorck(), "penalty": None},
    "spectral": {"constraint": SpectralNormalization(), "penalty": None},
    "clipped": {"constraint": Clipping(), "penalty": None, "objective": "nonsaturating"},
    "R1": {"penalty": r1(1.0), "objective": "minimax"},
}


def same(a, b):
    return bool((a == b).all())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [7, 16])
def test_a_seed_has_the_same_bits_alone_or_beside_others(case, width):
    settings = wgan_gp(**{**SMALL, "critic_hidden": (width, width), **CASES[case]})
    together, alone = Ensemble(settings, Ring(), range(5)), Ensemble(settings, Ring(), [3])
    together.iterate(6)
    alone.iterate(6)
    assert same(together.critic.parameters[3], alone.critic.parameters[0])
    assert same(together.generator.parameters[3], alone.generator.parameters[0])


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(case, tmp_path):
    settings = wgan_gp(**{**SMALL, **CASES[case]})
    whole = train(settings, Ring(), seeds=[0, 1], iterations=9, every=3)
    path = tmp_path / "run.pt"
    train(settings, Ring(), seeds=[0, 1], iterations=6, every=3, checkpoint=path)
    resumed = train(settings, Ring(), seeds=[0, 1], iterations=9, every=3, checkpoint=path)
    assert same(whole.ensemble.critic.parameters, resumed.ensemble.critic.parameters)
    assert same(whole.ensemble.generator.parameters, resumed.ensemble.generator.parameters)
    for name, rows in whole.history.items():
        np.testing.assert_array_equal(rows, resumed.history[name])


def test_conditions_share_seeds_and_data():
    settings = wgan_gp(**SMALL, conditions={"coefficient": [10.0, 10.0, 0.1]})
    ensemble = Ensemble(settings, Ring(), [4, 5])
    ensemble.iterate(3)
    parameters = ensemble.critic.parameters
    assert same(parameters[:2], parameters[2:4])
    assert not same(parameters[:2], parameters[4:])


def test_clipping_keeps_every_parameter_in_the_box():
    ensemble = Ensemble(wgan(**SMALL, conditions={"clip": [0.01, 0.1]}), Ring(), [0, 1])
    ensemble.iterate(3)
    largest = ensemble.critic.parameters.abs().amax(1)
    assert (largest[:2] <= 0.01).all()
    assert (largest[2:] <= 0.1).all()
    assert (largest[2:] > 0.01).all()


def test_spectral_and_orthonormal_weights_are_what_they_say():
    for constraint, tolerance in ((SpectralNormalization(iterations=200), 1e-4), (Bjorck(), 2e-2)):
        ensemble = Ensemble(wgan_gp(**{**SMALL, "constraint": constraint}), Ring(), [0, 1])
        for weight in ensemble.effective_critic().weights:
            largest = torch.linalg.matrix_norm(weight, 2)
            assert (largest - 1.0).abs().max() <= tolerance


# ---- out of the stack ---------------------------------------------------------------------------
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_modules_and_networks_are_the_member(activation):
    net = stack([2, 6, 5, 1], activation=activation)
    x = batch(1, 7, 2)
    for member in range(3):
        expected = net(x.expand(3, -1, -1))[member]
        assert torch.allclose(net.module(member)(x[0]), expected, rtol=1e-13, atol=1e-14)
        found = net.network(member).apply(x[0].numpy())
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-13, atol=1e-14)


# ---- data and measures --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "sampler",
    [Ring(), Grid(), SwissRoll(), Gaussian(mean=[0.0, 1.0], std=[1.0, 2.0])],
)
def test_samples_are_finite_and_reproducible(sampler):
    first, second = (sampler.sample(torch.Generator().manual_seed(3), 50) for _ in range(2))
    assert first.shape == (50, sampler.size)
    assert torch.isfinite(first).all()
    assert same(first, second)


def test_discrete_samples_follow_their_weights():
    points = Discrete(points=[[0.0], [1.0], [2.0]], weights=[0.5, 0.0, 0.5])
    drawn = points.sample(torch.Generator().manual_seed(0), 4000)[:, 0]
    assert not (drawn == 1.0).any()
    # Hoeffding: a deviation of 0.08 in 4000 draws has probability below 1e-21.
    assert abs(float((drawn == 0.0).double().mean()) - 0.5) < 0.08


def test_the_naive_count_of_modes_lets_noise_cover_them_all():
    ring = Ring(std=0.3)
    noise = np.random.default_rng(0).normal(scale=0.7, size=(4, 2500, 2))
    naive = mode_coverage(noise, ring.centers, 0.02, minimum_share=0.0)
    ours = mode_coverage(noise, ring.centers, 0.02)
    assert (naive.modes >= 7).all()
    assert (ours.modes == 0).all()


# ---- presets and bad input ----------------------------------------------------------------------
def test_presets_are_the_published_algorithms():
    clipped, penalised = wgan(), wgan_gp()
    assert (clipped.optimizer, clipped.step_size, clipped.constraint.bound) == (
        "rmsprop",
        5e-5,
        0.01,
    )
    assert (penalised.optimizer, penalised.step_size, penalised.betas) == ("adam", 1e-4, (0.0, 0.9))
    assert penalised.penalty == GradientPenalty(coefficient=10.0)
    assert clipped.critic_steps == penalised.critic_steps == 5
    assert clipped.batch == penalised.batch == 64


def test_a_generator_step_follows_exactly_n_critic_critic_steps():
    ensemble = Ensemble(wgan_gp(**SMALL, critic_steps=3), Ring(), [0])
    ensemble.iterate(4)
    assert (ensemble.steps, ensemble.iterations) == (12, 4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"step_size": 0.0}, "`step_size` must be positive"),
        ({"step_size": -1.0}, "`step_size` must be positive"),
        ({"critic_steps": 0}, "`critic_steps` must be at least 1"),
        ({"batch": 0}, "`batch` must be at least 1"),
        ({"objective": "vanilla"}, "`objective`"),
        ({"activation": "gelu"}, "`activation`"),
        ({"conditions": {"clip": [0.1]}}, "need `constraint=Clipping"),
        ({"conditions": {"coefficient": []}}, "`conditions`"),
        ({"conditions": {"step_size": [1.0], "coefficient": [1.0, 2.0]}}, "equally many"),
        ({"conditions": {"step_size": [-1.0]}}, "conditions"),
    ],
)
def test_impossible_settings_get_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Settings(**{"penalty": one_centered(), **changes})


def test_impossible_constraints_and_penalties_get_one_sentence():
    with pytest.raises(ValueError, match="`bound` must be positive"):
        Clipping(bound=0.0)
    with pytest.raises(ValueError, match="`coefficient` must be at least 0"):
        GradientPenalty(coefficient=-1.0)
    with pytest.raises(ValueError, match="`points`"):
        GradientPenalty(coefficient=1.0, points="everywhere")


def test_impossible_ensembles_get_one_sentence():
    with pytest.raises(ValueError, match="dimensions"):
        Ensemble(wgan_gp(**SMALL), Ring(), [0], generated=Discrete(points=[[0.0]]))
    with pytest.raises(ValueError, match="exceeds the 3 rows"):
        Ensemble(wgan_gp(**SMALL), Empirical(points=np.zeros((3, 2))), [0])
    with pytest.raises(ValueError, match="distinct"):
        Ensemble(wgan_gp(**SMALL), Ring(), [0, 0])
    with pytest.raises(ValueError, match="`device` 'toaster'"):
        Ensemble(wgan_gp(**SMALL, device="toaster"), Ring(), [0])
    with pytest.raises(ValueError, match="no generator"):
        Ensemble(wgan_gp(**SMALL), Ring(), [0], generated=Ring()).generator_step()


def test_data_with_nan_get_one_sentence():
    with pytest.raises(ValueError, match="`points`"):
        Empirical(points=[[np.nan, 0.0]])
    with pytest.raises(ValueError, match="sum to 1"):
        Discrete(points=[[0.0], [1.0]], weights=[1.0, 1.0])


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train(wgan_gp(**SMALL), Ring(), seeds=[0], iterations=1, every=1, checkpoint=path)
    for data, seeds in ((Ring(modes=7), [0]), (Ring(), [1])):
        with pytest.raises(ValueError, match="other settings, data, seeds"):
            train(wgan_gp(**SMALL), data, seeds=seeds, iterations=2, every=1, checkpoint=path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="cannot be read"):
        train(wgan_gp(**SMALL), Ring(), seeds=[0], iterations=2, every=1, checkpoint=path)


def test_a_killed_write_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    train(wgan_gp(**SMALL), Ring(), seeds=[0], iterations=1, every=1, checkpoint=path)
    before = path.read_bytes()

    def interrupted(content, file):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(wgan_gp(**SMALL), Ring(), seeds=[0], iterations=2, every=1, checkpoint=path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_training_stops_at_nan_with_a_diagnosis():
    settings = wgan_gp(**{**SMALL, "penalty": None, "step_size": 1e30, "optimizer": "sgd"})
    run = train(settings, Ring(), seeds=[0, 1], iterations=20, every=5)
    assert "lower `step_size`" in run.diagnosis
    assert run.iterations[-1] < 20


def dual_values(seeds):
    settings = wgan_gp(critic_hidden=(8,), step_size=1e-2)
    here, there = Discrete(points=[[0.0, 0.0]]), Discrete(points=[[1.0, 0.0]])
    return train_critics(settings, there, here, seeds=seeds, steps=20).dual_value


def test_chunks_give_the_bits_of_one_run(tmp_path):
    whole = dual_values(tuple(range(7)))
    path = tmp_path / "chunks"
    for _ in range(2):  # the second time from the file
        found = in_chunks(dual_values, range(7), chunk=4, checkpoint=path)
        np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(in_chunks(dual_values, range(7), chunk=3), whole)
    np.testing.assert_array_equal(in_chunks(dual_values, range(7), chunk=1), whole)
    with pytest.raises(ValueError, match="at least one seed"):
        in_chunks(dual_values, [])
