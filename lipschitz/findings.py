"""What is wrong with a critic: parts that have no Lipschitz constant, or another than they seem.

Each finding names the module, the theorem that makes it a problem, certified numbers where there
are any, and a way out. The rules for modules are in `lipschitz.audit_rules`, the probe of gradient
penalties in `lipschitz.penalty_probe`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evidence import Enclosure
from lipschitz.layers.contract import shape_tuple
from lipschitz.penalty_probe import PENALTY_PROBLEMS, probe_penalty

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Finding", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a critic.

    Parameters
    ----------
    where : str
        Dotted path of the module, ``""`` for the whole critic, ``"penalty"`` for its penalty.
    what : str
        The part and its problem.
    why : str
        The theorem behind it, in a sentence.
    way_out : str
        What to do instead.
    numbers : tuple of (str, Enclosure)
        Certified numbers that show it.

    Examples
    --------
    >>> finding = Finding(where="1", what="BatchNorm1d in training mode", why="...", way_out="...")
    >>> str(finding)
    '1: BatchNorm1d in training mode'
    """

    where: str
    what: str
    why: str
    way_out: str
    numbers: tuple[tuple[str, Enclosure], ...] = ()

    def __str__(self) -> str:
        return f"{self.where or 'the critic'}: {self.what}"


def audit(
    module: nn.Module,
    *,
    penalty: Callable[[Any, Any, Any], Any] | None = None,
    input_shape: Sequence[int] | None = None,
) -> tuple[Finding, ...]:
    """List what keeps a critic, in the mode it is in, from being what a proof assumes.

    Batch normalisation and dropout in training mode, normalisation layers with their constants,
    attention, spectral normalisation of convolutions (with the norm it enforces and the norm of
    the layer, both certified) or not yet converged, output activations that cap the dual value,
    functions without a Lipschitz constant; and the mistakes of a penalty.

    Parameters
    ----------
    module : torch.nn.Module
        Not changed. Audit it in the mode in which it is trained.
    penalty : callable, optional
        ``penalty(critic, real, fake)``, probed with linear critics on (B, C, H, W) inputs; see
        `lipschitz.penalty_probe.probe_penalty`.
    input_shape : tuple of int, optional
        Shape of one sample: the module is then run on two batches that differ in one sample, which
        shows any mixing of samples, whatever it is made of.

    Returns
    -------
    tuple of Finding
        Empty if nothing was found, which proves nothing: functions inside a ``forward`` that cannot
        be traced are not seen.

    Raises
    ------
    TypeError
        If `module` is no torch module or `penalty` cannot be called.

    Examples
    --------
    >>> import torch
    >>> critic = torch.nn.Sequential(
    ...     torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    >>> for finding in audit(critic):
    ...     print(finding)
    1: BatchNorm1d in training mode: no function of one sample
    >>> audit(critic.eval())
    ()
    """
    import torch

    from lipschitz.audit_rules import function_problems, module_problems

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"`module` must be a torch.nn.Module, got {type(module).__name__}")
    problems = [*module_problems(module), *function_problems(module)]
    if input_shape is not None:
        problems += _mixing(module, tuple(shape_tuple(input_shape, "input_shape")), problems)
    if penalty is not None:
        for what in probe_penalty(penalty):
            why, way_out = PENALTY_PROBLEMS[what]
            problems.append(Finding(where="penalty", what=what, why=why, way_out=way_out))
    return tuple(problems)


# ---- samples that see each other -----------------------------------------------------------------
_BATCH = 4


def _mixing(module: nn.Module, shape: tuple[int, ...], known: list[Finding]) -> list[Finding]:
    """Change one sample of a batch and look at the values of the others."""
    import torch

    try:
        critic = copy.deepcopy(module).double()
    except RuntimeError as error:  # cached weights that are part of an autograd graph
        raise ValueError(
            f"`module` cannot be copied ({error}); run it once under torch.no_grad()"
        ) from error
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(_BATCH, *shape, generator=generator, dtype=torch.float64)
    other = batch.clone()
    other[0] = torch.randn(*shape, generator=generator, dtype=torch.float64)
    values = []
    for x in (batch, other):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)  # the same dropout masks
            try:
                values.append(copy.deepcopy(critic)(x)[1:])
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                raise ValueError(
                    f"`input_shape` = {shape} cannot be fed to `module` ({error}); pass the shape "
                    "of one sample, without the batch axis"
                ) from error
    change = float((values[1] - values[0]).abs().max())
    # Other rows of the same batch size go through the same kernels; 1e-9 is far above rounding.
    if change <= 1e-9 * max(1.0, float(values[0].abs().max())):
        return []
    if any("no function of one sample" in finding.what for finding in known):
        return []
    return [
        Finding(
            where="",
            what="no function of one sample: its value at one sample depends on the others",
            why="the dual of the Wasserstein distance ranges over functions of one sample, and a "
            "gradient penalty is about grad f(x) for each x alone",
            way_out="remove minibatch statistics, or normalise every sample by itself",
        )
    ]
