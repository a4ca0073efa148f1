"""torch modules: every supported layer against the module itself, and every refusal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz.layers import Add, AveragePool, Convolution, Dense
from lipschitz.network import Network
from lipschitz.readers.read_torch import from_torch

torch: Any = pytest.importorskip("torch")
nn = torch.nn
F = torch.nn.functional


@pytest.fixture(autouse=True)
def _seeded() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Forward(nn.Module):  # type: ignore[misc]
    """A module from a function of (module, x), with named parts."""

    def __init__(self, function: Callable[[Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


def agrees(network: Network, module: Any, shape: tuple[int, ...]) -> bool:
    """Whether the network gives the module's values, in the module's own precision."""
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = module(x.to(next(module.parameters(), x).dtype)).double().numpy()
    ours = network.apply(x.double().numpy())
    # float32: sums of at most 300 products, 300 * 2**-24 relative to their sizes.
    return bool(np.abs(ours.ravel() - theirs.ravel()).max() <= 2e-5 * np.abs(theirs).max())


def trained(norm: Any) -> Any:
    """A batch normalisation with statistics and weights that are not the initial ones."""
    generator = torch.Generator().manual_seed(2)
    size = norm.num_features
    norm.running_mean = torch.randn(size, generator=generator)
    norm.running_var = torch.rand(size, generator=generator) + 0.1
    if norm.affine:
        norm.weight.data = torch.randn(size, generator=generator)
        norm.bias.data = torch.randn(size, generator=generator)
    return norm.eval()


IMAGE = (4, 9, 8)

MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(5, 3), (5,)),
    "Linear without bias": (lambda: nn.Linear(5, 3, bias=False), (5,)),
    "Linear on rows": (lambda: nn.Linear(5, 3), (2, 5)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 4, stride=2, padding=1, dilation=2), (2, 20)),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), groups=2), IMAGE),
    "Conv2d same": (lambda: nn.Conv2d(4, 6, (4, 3), padding="same", dilation=(1, 2)), IMAGE),
    "Conv2d valid": (lambda: nn.Conv2d(4, 6, 3, padding="valid"), IMAGE),
    "Conv2d circular": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGE),
    "Conv2d reflect": (
        lambda: nn.Conv2d(4, 6, (4, 3), padding="same", padding_mode="reflect"),
        IMAGE,
    ),
    "Conv2d replicate": (
        lambda: nn.Conv2d(4, 6, 3, padding=(2, 1), stride=2, padding_mode="replicate"),
        IMAGE,
    ),
    "Conv3d": (lambda: nn.Conv3d(2, 3, 2, stride=2, padding=1), (2, 4, 5, 6)),
    "ConvTranspose1d": (
        lambda: nn.ConvTranspose1d(2, 3, 4, stride=3, padding=2, output_padding=1),
        (2, 7),
    ),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(
            4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2
        ),
        IMAGE,
    ),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 3, 2, stride=2), (2, 3, 2, 3)),
    "BatchNorm1d": (lambda: trained(nn.BatchNorm1d(5)), (5,)),
    "BatchNorm1d on sequences": (lambda: trained(nn.BatchNorm1d(5)), (5, 7)),
    "BatchNorm2d": (lambda: trained(nn.BatchNorm2d(4, eps=1e-2)), IMAGE),
    "BatchNorm2d without weights": (lambda: trained(nn.BatchNorm2d(4, affine=False)), IMAGE),
    "BatchNorm3d": (lambda: trained(nn.BatchNorm3d(2)), (2, 3, 4, 5)),
    "ReLU": (lambda: nn.ReLU(inplace=True), (5,)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (5,)),
    "ELU": (lambda: nn.ELU(1.3), (5,)),
    "Sigmoid": (nn.Sigmoid, (5,)),
    "Tanh": (nn.Tanh, (5,)),
    "Softplus": (lambda: nn.Softplus(beta=0.7), (5,)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1), (2, 9)),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), stride=(2, 1), padding=1), IMAGE),
    "MaxPool2d ceil": (lambda: nn.MaxPool2d(2, ceil_mode=True), IMAGE),
    "MaxPool3d": (lambda: nn.MaxPool3d(2, dilation=2), (2, 4, 5, 6)),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1), (2, 9)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    "AvgPool2d ceil": (lambda: nn.AvgPool2d((2, 3), ceil_mode=True), IMAGE),
    "AvgPool3d": (lambda: nn.AvgPool3d(2), (2, 4, 5, 6)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(1), (2, 9)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, None)), IMAGE),
    "AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d(1), (2, 4, 5, 6)),
    "Flatten": (nn.Flatten, IMAGE),
    "Flatten some": (lambda: nn.Flatten(2, 3), IMAGE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), (6,)),
    "Identity": (nn.Identity, (5,)),
    "Dropout": (lambda: nn.Dropout(0.5).eval(), (5,)),
    "Dropout2d": (lambda: nn.Dropout2d(0.5).eval(), IMAGE),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "ConstantPad1d": (lambda: nn.ConstantPad1d((1, 2), 0.5), (2, 9)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d((1, 2, 0, 3)), IMAGE),
    "ReplicationPad3d": (lambda: nn.ReplicationPad3d(1), (2, 3, 4, 5)),
    "CircularPad1d": (lambda: nn.CircularPad1d((2, 1)), (2, 9)),
}


@pytest.mark.parametrize("case", MODULES)
def test_a_module_has_its_own_values(case: str) -> None:
    build, shape = MODULES[case]
    module = build()
    assert agrees(from_torch(module, shape), module, shape)


FUNCTIONS: dict[str, tuple[Callable[[Any, Any], Any], tuple[int, ...]]] = {
    "residual": (lambda m, x: F.relu(x + torch.tanh(x)), (5,)),
    "in place": (lambda m, x: torch.relu_(x.tanh().add_(x)) if False else x.tanh().add_(x), (5,)),
    "differences": (lambda m, x: (1.0 - x) - x.sigmoid() * 3, (5,)),
    "add with alpha": (lambda m, x: torch.add(x, x.tanh(), alpha=2), (5,)),
    "subtract with alpha": (lambda m, x: torch.sub(x, x.tanh(), alpha=0.3), (5,)),
    "scaled": (lambda m, x: -(2 * x / 3.0), (5,)),
    "constant arrays": (lambda m, x: (x - torch.ones(4, 1, 1)) * torch.full((8,), 2.0), IMAGE),
    "leaky_relu": (lambda m, x: F.leaky_relu(x, negative_slope=0.3), (5,)),
    "elu": (lambda m, x: F.elu(x, 0.5), (5,)),
    "softplus": (lambda m, x: F.softplus(x, beta=2), (5,)),
    "dropout": (lambda m, x: F.dropout(x, 0.5, training=m.training), (5,)),
    "max_pool2d": (lambda m, x: F.max_pool2d(x, 3, stride=2, padding=1), IMAGE),
    "avg_pool2d": (lambda m, x: F.avg_pool2d(x, (3, 2), ceil_mode=True), IMAGE),
    "adaptive": (lambda m, x: F.adaptive_avg_pool2d(x, 1).flatten(1), IMAGE),
    "mean": (lambda m, x: x.mean(dim=(2, 3)), IMAGE),
    "mean kept": (lambda m, x: torch.mean(x, -1, keepdim=True), IMAGE),
    "pad": (lambda m, x: F.pad(x, (1, 0, 2, 1), value=0.5), IMAGE),
    "pad circular": (lambda m, x: F.pad(x, (1, 0, 2, 1), mode="circular"), IMAGE),
    "view": (lambda m, x: x.view(x.size(0), -1), IMAGE),
    "view from shape": (lambda m, x: x.view(x.shape[0], x.shape[1], 72), IMAGE),
    "view of all": (lambda m, x: x.reshape(-1, 4 * 9 * 8), IMAGE),
    "reshape": (lambda m, x: torch.reshape(x, (-1, 4, 72)), IMAGE),
    "permute": (lambda m, x: x.permute(0, 2, 3, 1).contiguous(), IMAGE),
    "transpose": (lambda m, x: torch.transpose(x, 1, -1), IMAGE),
    "squeeze": (lambda m, x: x.unsqueeze(1).squeeze(1).unsqueeze(-1).squeeze(), (5,)),
    "unflatten": (lambda m, x: torch.unflatten(x, 1, (2, 2)), IMAGE),
    "cat": (lambda m, x: torch.cat([x, x.relu(), x.tanh()], dim=1), IMAGE),
    "cat at the end": (lambda m, x: torch.cat((x, x.relu()), -1), IMAGE),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_has_its_own_values(case: str) -> None:
    function, shape = FUNCTIONS[case]
    module = Forward(function).eval()
    assert agrees(from_torch(module, shape), module, shape)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_functional_convolutions_take_parameters(axes: int, transposed: bool) -> None:
    weight = nn.Parameter(torch.randn(2, 3, *(2, 3, 2)[:axes]))
    name = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
    function = getattr(F, name)
    module = Forward(lambda m, x: function(x, m.weight, stride=2, padding=1), weight=weight)
    shape = (2 if transposed else 3, *(6, 5, 4)[:axes])
    network = from_torch(module, shape)
    assert isinstance(network.layers[0], Convolution)
    assert network.layers[0].transposed == transposed
    assert agrees(network, module, shape)


class Block(nn.Module):  # type: ignore[misc]
    """A residual block, to be found under a path."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = trained(nn.BatchNorm2d(3))

    def forward(self, x: Any) -> Any:
        return F.relu(self.norm(self.conv(x)) + x)


def critic() -> Any:
    return nn.Sequential(Block(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))


def test_a_network_of_blocks_is_read_with_its_paths() -> None:
    module = critic().eval()
    network = from_torch(module, (3, 6, 6))
    names = [node.name for node in network.nodes]
    assert names[:3] == ["0.conv", "0.norm", "add"]
    assert sum(isinstance(layer, Add) for layer in network.layers) == 2
    assert agrees(network, module, (3, 6, 6))
    folded = network.fold()
    assert folded.nodes[0].name == "0.conv+0.norm"
    assert agrees(folded, module, (3, 6, 6))


def test_float64_weights_are_taken_as_they_are() -> None:
    module = nn.Linear(5, 3).double()
    layer = from_torch(module, (5,)).layers[0]
    assert isinstance(layer, Dense)
    assert np.array_equal(layer.weight, module.weight.detach().numpy())
    assert layer.weight_error is None


def test_the_module_is_not_changed() -> None:
    module = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), nn.ReLU()
    ).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    from_torch(module, (4,))
    after = module.state_dict()
    assert module.training
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert module(torch.ones(1, 4)).requires_grad


@pytest.mark.parametrize("norm", ["spectral", "weight"])
@pytest.mark.parametrize("build", [lambda: nn.Linear(4, 3), lambda: nn.Conv1d(4, 3, 2)])
def test_parametrised_weights_are_evaluated(norm: str, build: Callable[[], Any]) -> None:
    wrap = getattr(nn.utils.parametrizations, f"{norm}_norm")
    module = wrap(build()).eval()
    shape = (4,) if isinstance(module, nn.Linear) else (4, 6)
    network = from_torch(module, shape)
    assert network.notes == ("its root: weight as its parametrisation evaluates to",)
    assert agrees(network, module, shape)


def test_the_older_normalisations_are_evaluated() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = nn.Sequential(
            nn.utils.spectral_norm(nn.Linear(4, 4)), nn.utils.weight_norm(nn.Linear(4, 2))
        ).eval()
    with torch.no_grad():
        module(torch.ones(1, 4))
    network = from_torch(module, (4,))
    assert len(network.notes) == 2
    assert agrees(network, module, (4,))
    assert module[0]._forward_pre_hooks  # the original keeps its normalisation


def test_options_of_forward_keep_their_defaults() -> None:
    class Optional(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any, double: bool = False, extra: Any = None) -> Any:
            return x * 2 if double else x.relu()

    assert agrees(from_torch(Optional(), (3,)), Optional(), (3,))


def test_global_pooling_is_read_as_pooling() -> None:
    network = from_torch(nn.AdaptiveAvgPool2d(1), IMAGE)
    assert isinstance(network.layers[0], AveragePool)


# ---- refusals -----------------------------------------------------------------------------------
@pytest.mark.parametrize("layer", [lambda: nn.BatchNorm1d(4), lambda: nn.Dropout(0.1)])
def test_training_mode_is_refused_by_path(layer: Callable[[], Any]) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), layer())).train()
    with pytest.raises(ValueError, match=r"training mode at '1\.1' .* call module\.eval\(\)"):
        from_torch(module, (4,))
    assert from_torch(module.eval(), (4,)).output_shape == (4,)


def test_training_mode_is_accepted_where_it_changes_nothing() -> None:
    assert from_torch(nn.Sequential(nn.Linear(4, 2), nn.ReLU()).train(), (4,)).output_shape == (2,)


def test_batch_statistics_are_refused_in_evaluation_too() -> None:
    module = nn.BatchNorm1d(4, track_running_stats=False).eval()
    with pytest.raises((ValueError, NotCertified), match="batch's own statistics"):
        from_torch(nn.Sequential(module), (4,))
    always = Forward(lambda m, x: F.dropout(x)).eval()
    with pytest.raises(ValueError, match="drops entries at random"):
        from_torch(always, (4,))


@pytest.mark.parametrize("layer", ["GELU", "SiLU", "Softmax", "Hardtanh"])
def test_an_unsupported_module_is_refused_by_its_path(layer: str) -> None:
    class Head(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.act = getattr(nn, layer)()

        def forward(self, x: Any) -> Any:
            return self.act(x)

    module = nn.Sequential(nn.Linear(4, 4), Head())
    with pytest.raises(NotCertified, match=rf"'1\.act' \({layer}\) is not supported; .*Linear"):
        from_torch(module, (4,))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: x * x, "a product of two computed arrays has none"),
        (lambda m, x: x @ x.transpose(1, 2), "a product of two computed arrays has none"),
        (lambda m, x: x / (1 + x.sigmoid()), "takes a weight that is computed"),
        (lambda m, x: 1 / x, "divides by a computed array"),
        (lambda m, x: x.abs(), "the method 'abs' is not supported; supported are add"),
        (lambda m, x: torch.softmax(x, 1), "the function 'softmax' is not supported"),
        (lambda m, x: x**2, "the function 'pow' is not supported"),
        (lambda m, x: x[:, :1], "the function 'getitem' is not supported"),
        (lambda m, x: x if x.sum() > 0 else -x, "cannot be traced"),
        (lambda m, x: (x, x), "must return one tensor"),
        (lambda m, x: torch.ones(3), "must return one tensor"),
        (lambda m, x: F.max_pool1d(x, 2, return_indices=True)[0], "not supported"),
        (lambda m, x: F.softplus(x, threshold=2), "threshold = 2"),
        (lambda m, x: F.avg_pool2d(x[None], 2, divisor_override=3), "not supported"),
        (lambda m, x: x + torch.ones(5, 3, 3), "would enlarge"),
        (lambda m, x: F.linear(torch.ones(1, 3), x), "takes a constant first"),
        (lambda m, x: x.float(), "the method 'float' is not supported"),
        (lambda m, x: x.mean(0), "takes a mean over axes"),
        (lambda m, x: x + torch.full((3,), float("nan")), "not finite"),
    ],
)
def test_what_has_no_layer_is_refused(function: Any, message: str) -> None:
    with pytest.raises((NotCertified, ValueError), match=message):
        from_torch(Forward(function).eval(), (3, 3))


def test_several_inputs_are_refused() -> None:
    class Two(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any, y: Any) -> Any:
            return x + y

    with pytest.raises(NotCertified, match=r"several inputs \['x', 'y'\]"):
        from_torch(Two(), (3,))


def with_weight(value: float) -> Any:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].weight.data[0, 0] = value
    return module


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: with_weight(float("nan")), "NaN or infinite entries at '0.weight'"),
        (lambda: with_weight(float("inf")), "NaN or infinite entries at '0.weight'"),
        (lambda: nn.Linear(2, 2, device="meta"), "'weight' on device meta"),
        (lambda: nn.Linear(2, 2).half(), "'weight' of type torch.float16"),
        (lambda: nn.Linear(2, 2).bfloat16(), "'weight' of type torch.bfloat16"),
        (lambda: nn.Linear(2, 2).to(torch.complex64), "'weight' of type torch.complex64"),
        (lambda: nn.LazyLinear(2), "no values yet at 'weight'"),
        (lambda: "module", "must be a torch.nn.Module, got str"),
    ],
)
def test_parameters_that_are_not_finite_floats_on_the_cpu_are_refused(
    build: Callable[[], Any], message: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = build()
    with pytest.raises((TypeError, ValueError), match=message):
        from_torch(module, (2,))


@pytest.mark.parametrize("shape", [3, "3", (), (0,), (2.5,), (True,)])
def test_an_input_shape_that_is_none_is_refused(shape: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="`input_shape"):
        from_torch(nn.Linear(3, 3), shape)


def test_an_input_shape_that_does_not_fit_is_refused_at_the_layer() -> None:
    with pytest.raises(ValueError, match=r"'0' \(Linear\) a weight of shape \(3, 4\)"):
        from_torch(nn.Sequential(nn.Linear(4, 3)), (5,))


def test_hooks_are_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda *_: None)
    with pytest.raises(NotCertified, match="forward hooks at '0'"):
        from_torch(module, (2,))


def test_noise_in_the_forward_pass_is_caught() -> None:
    module = Forward(lambda m, x: x + torch.randn(3, dtype=x.dtype) if False else x + noise())
    with pytest.raises(NotCertified, match="differs from it"):
        from_torch(module, (3,))


def noise() -> Any:
    return torch.randn(3, dtype=torch.float64)


def test_a_reader_that_errs_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    import lipschitz.readers.read_torch as reader

    table = reader.module_table()
    table[nn.Tanh] = table[nn.Sigmoid]
    monkeypatch.setattr(reader, "module_table", lambda: table)
    with pytest.raises(NotCertified, match="differs from it by"):
        from_torch(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), (3,))


def test_a_module_that_mixes_samples_is_caught() -> None:
    with pytest.raises(NotCertified, match="differs from it by"):
        from_torch(Forward(lambda m, x: x * x.size(0)), (3,))
