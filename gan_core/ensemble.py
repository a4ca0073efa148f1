"""Many seeds and conditions in one batched program.

Members are ordered condition by condition: member ``c * len(seeds) + s`` trains with ``seeds[s]``
under condition ``c``. Every random number of a member comes from streams of its own seed, and
every operation treats members alike, so that a seed's result has the same bits alone or beside
others; equal seeds under different conditions see equal data. Convolutional networks are the
exception: beside others, a seed's numbers may be rounded otherwise (`StackedConvolution`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from evidence.validation import nonnegative_int, positive_int
from gan_core.constraints import Clipping, Parametrization
from gan_core.convolutional import StackedConvolution
from gan_core.data import Empirical, Sampler
from gan_core.gradients import CriticStep, critic_gradient, evaluate, generator_gradient
from gan_core.networks import StackedMLP
from gan_core.objectives import OBJECTIVES
from gan_core.optimizers import Optimizer
from gan_core.settings import Settings
from gan_core.streams import Stream, generator_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Ensemble"]


class Ensemble:
    """Critics, and generators unless the generated side is a fixed distribution.

    Parameters
    ----------
    settings : Settings
    real : Sampler, or one for each condition
    seeds : sequence of int
    generated : Sampler, or one for each condition, optional
        Trains critics only, between two fixed distributions.

    Raises
    ------
    ValueError, TypeError
        Distributions of different dimensions, a data set smaller than a batch, equal seeds,
        an unknown device.

    Examples
    --------
    >>> from gan_core.data import Ring
    >>> from gan_core.settings import wgan_gp
    >>> small = wgan_gp(critic_hidden=(8,), generator_hidden=(8,), batch=16)
    >>> ensemble = Ensemble(small, Ring(), seeds=range(3))
    >>> ensemble.iterate()
    >>> ensemble.samples(5).shape
    torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        settings: Settings,
        real: Sampler | Sequence[Sampler],
        seeds: Sequence[int],
        *,
        generated: Sampler | Sequence[Sampler] | None = None,
    ) -> None:
        import torch

        self.settings = settings
        self.seeds = tuple(nonnegative_int(seed, "seeds") for seed in seeds)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                f"`seeds` must be distinct nonnegative integers, at least one, got {self.seeds}"
            )
        conditions = settings.condition_count
        count = max(conditions, *(len(s) for s in (real, generated) if isinstance(s, Sequence)), 1)
        self.conditions = count
        self.real = _per_condition(real, count, "real")
        self.generated = (
            None if generated is None else _per_condition(generated, count, "generated")
        )
        if conditions not in (1, count):
            raise ValueError(
                f"`real` and `generated` must be one sampler or {conditions}, one for each "
                "condition"
            )
        sizes = {s.size for s in (*self.real, *(self.generated or ()))}
        if len(sizes) != 1:
            raise ValueError(f"the distributions have dimensions {sorted(sizes)}; they must agree")
        for sampler in (*self.real, *(self.generated or ())):
            if isinstance(sampler, Empirical) and len(sampler) < settings.batch:
                raise ValueError(
                    f"`batch` = {settings.batch} exceeds the {len(sampler)} rows of the data; use "
                    "a smaller batch"
                )
        self.members = count * len(self.seeds)
        self.member_seeds = self.seeds * count
        (self.size,) = sizes
        image = settings.image_shape
        if image is not None and image[0] * image[1] != self.size:
            raise ValueError(
                f"`image_shape` = {image} has {image[0] * image[1]} pixels, but the data have "
                f"dimension {self.size}"
            )
        self._dtype: torch.dtype = getattr(torch, settings.dtype)
        self._check_device()
        self.steps = 0
        self.iterations = 0
        self._build()

    def _check_device(self) -> None:
        import torch

        device = self.settings.device
        try:
            kind = torch.device(device)
            available = kind.type == "cpu" or (kind.type == "cuda" and torch.cuda.is_available())
        except RuntimeError:
            available = False
        if not available:
            raise ValueError(f"`device` {device!r} is unknown or not available; use 'cpu'")

    def _build(self) -> None:
        settings = self.settings
        self.critic = self._network((self.size, *settings.critic_hidden, 1), "critic")
        self.parametrization = None
        if settings.constraint is not None and not isinstance(settings.constraint, Clipping):
            self.parametrization = Parametrization(self.critic, settings.constraint)
        self.critic_optimizer = self._optimizer(self.critic, settings.step_size)
        self.coefficient = self._condition("coefficient")
        self.clip: Tensor | None = None
        if isinstance(settings.constraint, Clipping):
            chosen = self._condition("clip")
            bound = self._constant(settings.constraint.bound) if chosen is None else chosen
            self.clip = bound.reshape(-1, 1)
            self._clip()
        self.generator: StackedMLP | None = None
        if self.generated is None:
            shape = (settings.latent_size, *settings.generator_hidden, self.size)
            self.generator = self._network(shape, "generator")
            self.generator_optimizer = self._optimizer(
                self.generator, settings.generator_step_size or settings.step_size
            )
        self._streams = {"real": self._stream("real", self._samplers(self.real))}
        if self.generated is None:
            self._streams["noise"] = self._stream("noise", [self._noise] * self.members)
            self._streams["judged noise"] = self._stream(
                "judged noise", [self._noise] * self.members
            )
        else:
            self._streams["generated"] = self._stream("generated", self._samplers(self.generated))
        self._mixes = settings.penalty is not None and settings.penalty.points == "interpolates"
        if self._mixes:
            self._streams["mix"] = self._stream("mix", [_uniform] * self.members)

    def _network(self, sizes: tuple[int, ...], purpose: str) -> StackedMLP:
        settings = self.settings
        common: dict[str, Any] = {
            "members": self.members,
            "activation": settings.activation,
            "dtype": settings.dtype,
            "device": settings.device,
        }
        if settings.image_shape is None:
            net = StackedMLP(sizes, **common)
        else:
            images = StackedConvolution(
                settings.image_shape,
                latent_size=settings.latent_size if purpose == "generator" else None,
                channels=settings.channels,
                **common,
            )
            # It offers all that an ensemble uses of a stack; whoever reads a perceptron's sizes or
            # padded weights has chosen perceptrons in the settings.
            net = cast("StackedMLP", images)
        streams = [generator_of(seed, f"initial {purpose}") for seed in self.member_seeds]
        net.initialize(streams, settings.initialization)
        return net

    def _optimizer(self, net: StackedMLP, step_size: float) -> Optimizer:
        chosen = self._condition("step_size")
        return Optimizer(
            net.parameters,
            kind=self.settings.optimizer,
            step_size=step_size if chosen is None else chosen,
            betas=self.settings.betas,
        )

    def _condition(self, name: str) -> Tensor | None:
        """The value of every member, or None if no condition sets it."""
        import torch

        if name not in self.settings.conditions:
            return None
        values = np.repeat(np.asarray(self.settings.conditions[name], float), len(self.seeds))
        return torch.from_numpy(values).to(dtype=self._dtype, device=self.settings.device)

    def _constant(self, value: float) -> Tensor:
        return self.critic.parameters.new_full((self.members,), value)

    def _samplers(self, samplers: Sequence[Sampler]) -> list[object]:
        return [sampler.sample for sampler in samplers for _ in self.seeds]

    def _stream(self, purpose: str, draws: Sequence[object]) -> Stream:
        return Stream(
            self.member_seeds,
            purpose,
            draws,  # type: ignore[arg-type]
            batch=self.settings.batch,
            dtype=self._dtype,
            device=self.settings.device,
        )

    def _noise(self, generator: torch.Generator, count: int) -> Tensor:
        import torch

        return torch.randn(count, self.settings.latent_size, generator=generator)

    # ---- steps ------------------------------------------------------------------------------
    def critic_step(self, factor: float = 1.0) -> CriticStep:
        """One step of every critic on a new batch; ``factor`` scales the step size."""
        settings = self.settings
        real = self._streams["real"].next()
        if self.generator is None:
            generated = self._streams["generated"].next()
        else:
            generated = evaluate(self.generator, self._streams["noise"].next(), "fake")[-1]
        critic = self.effective_critic()
        step = critic_gradient(
            critic,
            real,
            generated,
            OBJECTIVES[settings.objective],
            penalty=settings.penalty,
            coefficient=self.coefficient,
            mix=self._streams["mix"].next() if self._mixes else None,
        )
        if self.parametrization is not None:
            self.parametrization.pull_back()
        self.critic_optimizer.step(self.critic.gradient, factor)
        self._clip()
        self.steps += 1
        return step

    def generator_step(self, factor: float = 1.0) -> Tensor:
        """One step of every generator; returns its loss, shape (members,)."""
        if self.generator is None:
            raise ValueError("`generated` is a fixed distribution: there is no generator to train")
        loss = generator_gradient(
            self.generator,
            self.effective_critic(),
            self._streams["judged noise"].next(),
            OBJECTIVES[self.settings.objective],
        )
        self.generator_optimizer.step(self.generator.gradient, factor)
        return loss

    def iterate(self, count: int = 1) -> None:
        """``critic_steps`` critic steps and a generator step, ``count`` times."""
        for _ in range(positive_int(count, "count")):
            for _ in range(self.settings.critic_steps):
                self.critic_step()
            self.generator_step()
            self.iterations += 1

    def effective_critic(self) -> StackedMLP:
        """The critics that are evaluated: normalised or orthonormal where the settings say so."""
        return self.critic if self.parametrization is None else self.parametrization.effective()

    def samples(self, count: int, purpose: str = "samples") -> Tensor:
        """Generated samples of every member, shape (members, count, size), float64 on the CPU.

        Equal calls give equal noise.
        """
        import torch

        kind = torch.float64
        draws = [generator_of(seed, purpose) for seed in self.member_seeds]
        if self.generator is None:
            drawn = [
                sampler.sample(g, count)
                for g, sampler in zip(
                    draws, [s for s in self.generated or () for _ in self.seeds], strict=True
                )
            ]
            return torch.stack(drawn).to(kind)
        noise = torch.stack([self._noise(g, count) for g in draws])
        noise = noise.to(dtype=self._dtype, device=self.settings.device)
        with torch.no_grad():
            return self.generator(noise).to(dtype=kind, device="cpu")

    def _clip(self) -> None:
        if self.clip is not None:
            self.critic.parameters.clamp_(-self.clip, self.clip)

    # ---- state ------------------------------------------------------------------------------
    def state(self) -> dict[str, object]:
        """Everything that must be kept to go on with the same bits; tensors are copies."""
        nets = {"critic": (self.critic, self.critic_optimizer)}
        if self.generator is not None:
            nets["generator"] = (self.generator, self.generator_optimizer)
        return {
            "steps": self.steps,
            "iterations": self.iterations,
            "streams": {name: stream.state() for name, stream in self._streams.items()},
            "vectors": None
            if self.parametrization is None
            else [v.clone() for v in self.parametrization.vectors],
            **{
                name: {
                    "parameters": net.parameters.clone(),
                    "optimizer": {
                        key: value.clone() if hasattr(value, "clone") else value
                        for key, value in optimizer.state().items()
                    },
                }
                for name, (net, optimizer) in nets.items()
            },
        }

    def load_state(self, state: dict[str, object]) -> None:
        """Go on from `state`, of an ensemble with equal settings, data and seeds.

        Raises
        ------
        ValueError
            If the state belongs to another configuration.
        """
        saved: dict[str, object] = state["streams"]  # type: ignore[assignment]
        if set(saved) != set(self._streams):
            raise ValueError(
                f"`state` has streams {sorted(saved)}, this ensemble {sorted(self._streams)}; "
                "resume with the settings it was saved under"
            )
        nets = {"critic": (self.critic, self.critic_optimizer)}
        if self.generator is not None:
            nets["generator"] = (self.generator, self.generator_optimizer)
        for name, (net, optimizer) in nets.items():
            part: dict[str, object] = state[name]  # type: ignore[assignment]
            parameters: Tensor = part["parameters"]  # type: ignore[assignment]
            if parameters.shape != net.parameters.shape:
                raise ValueError(
                    f"`state` holds a {name} of shape {tuple(parameters.shape)}, this ensemble's "
                    f"is {tuple(net.parameters.shape)}; resume with the same settings and seeds"
                )
            net.parameters.copy_(parameters)
            optimizer.load_state(part["optimizer"])  # type: ignore[arg-type]
        for name, stream in self._streams.items():
            stream.load_state(saved[name])  # type: ignore[arg-type]
        if self.parametrization is not None:
            vectors: list[Tensor] = state["vectors"]  # type: ignore[assignment]
            self.parametrization.vectors = [v.clone() for v in vectors]
        self.steps = int(state["steps"])  # type: ignore[call-overload]
        self.iterations = int(state["iterations"])  # type: ignore[call-overload]


def _uniform(generator: torch.Generator, count: int) -> Tensor:
    import torch

    return torch.rand(count, 1, generator=generator)


def _per_condition(
    samplers: Sampler | Sequence[Sampler], count: int, name: str
) -> tuple[Sampler, ...]:
    given = tuple(samplers) if isinstance(samplers, Sequence) else (samplers,)
    if len(given) not in (1, count):
        raise ValueError(
            f"`{name}` must be one sampler or {count}, one for each condition, got {len(given)}"
        )
    return given * (count if len(given) == 1 else 1)
