"""What a training run is: plain data, checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from evidence.validation import (
    choice,
    int_tuple,
    nonnegative_float,
    positive_float,
    positive_int,
)
from gan_core.constraints import Bjorck, Clipping, SpectralNormalization
from gan_core.convolutional import CONVOLUTIONAL_ACTIVATIONS
from gan_core.convolutional_layers import image_geometry
from gan_core.networks import ACTIVATIONS, INITIALIZATIONS
from gan_core.objectives import OBJECTIVES
from gan_core.optimizers import KINDS
from gan_core.penalties import GradientPenalty, one_centered

__all__ = ["ARCHITECTURES", "CONDITIONS", "Settings", "wgan", "wgan_gp"]

Constraint = Clipping | SpectralNormalization | Bjorck

ARCHITECTURES = ("mlp", "convolutional")

CONDITIONS = ("step_size", "clip", "coefficient")
"""What may differ from member to member of one ensemble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Objective, networks, constraint, optimiser and sizes of a run.

    Parameters
    ----------
    objective : str
        A name of `OBJECTIVES`.
    critic_hidden, generator_hidden : tuple of int
        Sizes of the hidden layers of perceptrons.
    architecture : {"mlp", "convolutional"}
        ``StackedMLP`` with those sizes, or ``StackedConvolution`` with the next two.
    image_shape : (int, int), optional
        Height and width of the data's images; convolutional networks need it.
    channels : tuple of int
        Of both convolutional networks, from the image inwards; each halves the image once.
    latent_size : int
        Dimension of the generator's standard normal noise.
    activation, initialization : str
        Of both networks.
    batch : int
        ``m``.
    critic_steps : int
        ``n_critic``, exactly so many before every generator step.
    penalty : GradientPenalty, optional
    constraint : Clipping, SpectralNormalization or Bjorck, optional
        Of the critic.
    optimizer : {"adam", "rmsprop", "sgd"}
    step_size, generator_step_size : float
        The generator's is the critic's if left out.
    betas : (float, float)
    conditions : mapping from str to sequence of float
        For ``step_size``, ``clip`` or ``coefficient`` (of the penalty): one value per condition.
        Every seed is trained under every condition.
    dtype : {"float32", "float64"}
    device : str

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; the message names it.

    Examples
    --------
    >>> Settings(critic_steps=0)
    Traceback (most recent call last):
        ...
    ValueError: `critic_steps` must be at least 1, got 0
    """

    objective: str = "wgan"
    critic_hidden: tuple[int, ...] = (64, 64, 64)
    generator_hidden: tuple[int, ...] = (64, 64, 64)
    architecture: str = "mlp"
    image_shape: tuple[int, int] | None = None
    channels: tuple[int, ...] = (16, 32)
    latent_size: int = 2
    activation: str = "relu"
    initialization: str = "torch"
    batch: int = 64
    critic_steps: int = 5
    penalty: GradientPenalty | None = None
    constraint: Constraint | None = None
    optimizer: str = "adam"
    step_size: float = 1e-3
    generator_step_size: float | None = None
    betas: tuple[float, float] = (0.0, 0.9)
    conditions: Mapping[str, Sequence[float]] = field(default_factory=dict)
    dtype: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        choice(self.objective, "objective", tuple(OBJECTIVES))
        choice(self.architecture, "architecture", ARCHITECTURES)
        choice(self.activation, "activation", ACTIVATIONS)
        choice(self.initialization, "initialization", INITIALIZATIONS)
        choice(self.optimizer, "optimizer", KINDS)
        choice(self.dtype, "dtype", ("float32", "float64"))
        for name in ("critic_hidden", "generator_hidden"):
            sizes = getattr(self, name)
            object.__setattr__(self, name, int_tuple(tuple(sizes), name, len(tuple(sizes))))
        self._check_images()
        for name in ("latent_size", "batch", "critic_steps"):
            positive_int(getattr(self, name), name)
        positive_float(self.step_size, "step_size")
        if self.generator_step_size is not None:
            positive_float(self.generator_step_size, "generator_step_size")
        lengths = {name: len(tuple(values)) for name, values in self.conditions.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(
                f"`conditions` must hold equally many values under every name, got {lengths}"
            )
        for name, values in self.conditions.items():
            choice(name, "conditions", CONDITIONS)
            check = nonnegative_float if name == "coefficient" else positive_float
            for value in values:
                check(value, f"conditions[{name!r}]")
        if "clip" in self.conditions and not isinstance(self.constraint, Clipping):
            raise ValueError("`conditions` for 'clip' need `constraint=Clipping()`")
        if "coefficient" in self.conditions and self.penalty is None:
            raise ValueError("`conditions` for 'coefficient' need a `penalty`")

    def _check_images(self) -> None:
        if self.architecture == "mlp":
            if self.image_shape is not None:
                raise ValueError(
                    f"`image_shape` = {self.image_shape} needs `architecture='convolutional'`; "
                    "perceptrons take rows of any size"
                )
            return
        if self.image_shape is None:
            raise ValueError(
                "`image_shape` must be the images' (height, width) for "
                "`architecture='convolutional'`, got None"
            )
        image_shape, channels = image_geometry(self.image_shape, self.channels)
        object.__setattr__(self, "image_shape", image_shape)
        object.__setattr__(self, "channels", channels)
        choice(self.activation, "activation", CONVOLUTIONAL_ACTIVATIONS)
        if isinstance(self.constraint, SpectralNormalization | Bjorck):
            raise ValueError(
                f"`constraint` {type(self.constraint).__name__} is for perceptrons: the norm of a "
                "convolution is not that of its reshaped kernel; use Clipping or a penalty"
            )

    @property
    def condition_count(self) -> int:
        """Number of conditions, at least 1."""
        return max((len(tuple(values)) for values in self.conditions.values()), default=1)


def wgan(**changes: object) -> Settings:
    """Algorithm 1 of WGAN: RMSProp 5e-5, clipping to 0.01, batches of 64, 5 critic steps.

    Parameters
    ----------
    **changes
        Of any field of `Settings`.

    References
    ----------
    Arjovsky, Chintala, Bottou, *Wasserstein GAN*, ICML 2017, Algorithm 1.

    Examples
    --------
    >>> wgan().step_size, wgan().constraint.bound, wgan().critic_steps, wgan().batch
    (5e-05, 0.01, 5, 64)
    """
    base = Settings(
        objective="wgan",
        constraint=Clipping(bound=0.01),
        optimizer="rmsprop",
        step_size=5e-5,
        batch=64,
        critic_steps=5,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def wgan_gp(**changes: object) -> Settings:
    """Algorithm 1 of WGAN-GP: Adam 1e-4 with betas (0, 0.9), penalty 10, 5 critic steps.

    Parameters
    ----------
    **changes
        Of any field of `Settings`.

    References
    ----------
    Gulrajani et al., *Improved training of Wasserstein GANs*, NeurIPS 2017, Algorithm 1.

    Examples
    --------
    >>> wgan_gp().step_size, wgan_gp().betas, wgan_gp().penalty.coefficient
    (0.0001, (0.0, 0.9), 10.0)
    """
    base = Settings(
        objective="wgan",
        penalty=one_centered(10.0),
        optimizer="adam",
        step_size=1e-4,
        betas=(0.0, 0.9),
        batch=64,
        critic_steps=5,
    )
    return replace(base, **changes)  # type: ignore[arg-type]
