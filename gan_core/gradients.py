"""Gradients of critic and generator losses, written out for stacks of piecewise-linear networks.

For (leaky) ReLU the derivative with respect to the input is a product of weights and gates,
``g = W_0 D_1 W_1 D_2 ... w``, whose gates do not change when the weights move a little. Hence the
derivative of a penalty ``P(g)``

- with respect to ``W_l`` is ``q_l^T u_l``: ``q_0 = dP/dg`` pushed forward through the gates, and
  ``u_l`` the output's derivative pulled back to layer ``l``, which the forward pass of the loss
  needs anyway;
- with respect to the biases is zero.

Data, generated samples and penalty points pass through the critic as one batch; in the rows of the
penalty points, ``q_l`` takes the place of the activations, so that *one* batched product per layer
yields the whole derivative of loss plus penalty.

Other activations and convolutions use autograd's double backward, which gives the same numbers
(tested to 1e-12 in float64, to 1e-10 for convolutions); for perceptrons in two to four times the
time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_core.convolutional import StackedConvolution
from gan_core.networks import StackedMLP
from gan_core.objectives import Objective, Term
from gan_core.penalties import GradientPenalty

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CriticStep", "critic_gradient", "evaluate", "generator_gradient", "input_gradient"]

_BLOCK = 32
_PIECEWISE_LINEAR = ("relu", "leaky_relu")

Stack = StackedMLP | StackedConvolution


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticStep:
    """What a critic's gradient was computed from.

    Parameters
    ----------
    real, generated : Tensor, shape (members, batch)
        Outputs. ``real.mean(1) - generated.mean(1)`` is the dual value of WGAN.
    loss : Tensor, shape (members,)
        Without the penalty.
    penalty : Tensor, shape (members,)
        With its coefficient; 0 without one.
    norms : Tensor or None, shape (members, points)
        Norms of the input gradients at the penalty's points.
    """

    real: Tensor
    generated: Tensor
    loss: Tensor
    penalty: Tensor
    norms: Tensor | None


def critic_gradient(
    critic: Stack,
    real: Tensor,
    generated: Tensor,
    objective: Objective,
    *,
    penalty: GradientPenalty | None = None,
    coefficient: Tensor | None = None,
    mix: Tensor | None = None,
) -> CriticStep:
    """Write the gradient of the critic's loss plus penalty into ``critic.gradient``.

    Parameters
    ----------
    critic : StackedMLP or StackedConvolution
        With one output.
    real, generated : Tensor, shape (members, batch, size)
    objective : Objective
    penalty : GradientPenalty, optional
    coefficient : Tensor, shape (members,), optional
        The penalty's coefficient for each member.
    mix : Tensor, shape (members, batch, 1), optional
        ``t`` of the interpolates.

    Returns
    -------
    CriticStep
        Valid until the next call, which reuses its memory.

    Examples
    --------
    >>> import torch
    >>> from gan_core.objectives import OBJECTIVES
    >>> critic = StackedMLP([1, 1])  # f(x) = w x
    >>> critic.weights[0][:] = 2.0
    >>> step = critic_gradient(
    ...     critic, torch.ones(1, 1, 1), torch.zeros(1, 1, 1), OBJECTIVES["wgan"],
    ...     penalty=GradientPenalty(coefficient=10.0), mix=torch.full((1, 1, 1), 0.5),
    ... )
    >>> critic.weight_gradients[0]  # d/dw (-w + 10 (|w| - 1)^2) at w = 2
    tensor([[[19.]]])
    """
    import torch

    if not isinstance(critic, StackedMLP) or critic.activation not in _PIECEWISE_LINEAR:
        return _by_autograd(critic, real, generated, objective, penalty, coefficient, mix)
    members, batch, size = real.shape
    extra = 0 if penalty is None else batch
    rows = 2 * batch + extra
    with torch.no_grad():
        x = critic.scratch("batch", members, rows, size)
        x[:, :batch] = real
        x[:, batch : 2 * batch] = generated
        if penalty is not None:
            x[:, 2 * batch :] = penalty_points(penalty, real, generated, mix)
        hidden = evaluate(critic, x, "critic")
        outputs = hidden[-1][..., 0]
        f_real, f_generated = outputs[:, :batch], outputs[:, batch : 2 * batch]
        upstream = critic.scratch("upstream", members, rows, 1)
        upstream[:, :batch, 0] = _slope(objective.real, f_real) / batch
        upstream[:, batch : 2 * batch, 0] = _slope(objective.generated, f_generated) / batch
        upstream[:, 2 * batch :] = 1.0
        pulled = _backward(critic, hidden, upstream, "critic")
        value = outputs.new_zeros(members)
        norms = None
        push = None
        if penalty is not None:
            gradient = torch.bmm(
                pulled[0][:, 2 * batch :], critic.stored_weights[0].transpose(1, 2)
            )
            value = penalty.value(gradient, coefficient)
            norms = torch.linalg.vector_norm(gradient, dim=2)
            push = penalty.slope(gradient, coefficient)
        for layer in range(critic.depth):
            inputs = hidden[layer]
            if push is not None:
                if layer > 0:
                    push = _gate(
                        critic,
                        torch.bmm(push, critic.stored_weights[layer - 1]),
                        inputs[:, 2 * batch :],
                    )
                inputs[:, 2 * batch :] = push
            _outer(inputs, pulled[layer], critic.stored_weight_gradients[layer])
            critic.stored_bias_gradients[layer].copy_(
                pulled[layer][:, : 2 * batch].sum(dim=1, keepdim=True)
            )
        return CriticStep(
            real=f_real,
            generated=f_generated,
            loss=objective.critic_loss(f_real, f_generated),
            penalty=value,
            norms=norms,
        )


def generator_gradient(
    generator: Stack, critic: Stack, noise: Tensor, objective: Objective
) -> Tensor:
    """Write the gradient of the generator's loss into ``generator.gradient``; returns the loss.

    Parameters
    ----------
    generator, critic : StackedMLP or StackedConvolution
    noise : Tensor, shape (members, batch, latent size)
    objective : Objective

    Returns
    -------
    Tensor, shape (members,)

    Examples
    --------
    >>> import torch
    >>> from gan_core.objectives import OBJECTIVES
    >>> generator, critic = StackedMLP([1, 1]), StackedMLP([1, 1])
    >>> critic.weights[0][:] = 2.0  # f(x) = 2 x, and the loss is -f(G(z))
    >>> loss = generator_gradient(generator, critic, torch.ones(1, 4, 1), OBJECTIVES["wgan"])
    >>> generator.weight_gradients[0], generator.bias_gradients[0]
    (tensor([[[-2.]]]), tensor([[[-2.]]]))
    """
    import torch

    if (
        not isinstance(critic, StackedMLP)
        or not isinstance(generator, StackedMLP)
        or critic.activation not in _PIECEWISE_LINEAR
        or generator.activation not in _PIECEWISE_LINEAR
    ):
        parameters = [*generator.weights, *generator.biases]
        leaves = [p.detach().requires_grad_(True) for p in parameters]
        samples = _functional(generator, leaves, noise)
        loss = objective.generator_loss(critic(samples)[..., 0])
        _store(generator, torch.autograd.grad(loss.sum(), leaves))
        return loss.detach()
    with torch.no_grad():
        made = evaluate(generator, noise, "generator")
        hidden = evaluate(critic, made[-1], "judged")
        outputs = hidden[-1][..., 0]
        slope = (_slope(objective.generator, outputs) / outputs.shape[1]).unsqueeze(-1)
        below = _backward(critic, hidden, slope, "judged")[0]
        upstream = torch.bmm(below, critic.stored_weights[0].transpose(1, 2))
        pulled = _backward(generator, made, upstream, "generator")
        for layer in range(generator.depth):
            _outer(made[layer], pulled[layer], generator.stored_weight_gradients[layer])
            generator.stored_bias_gradients[layer].copy_(pulled[layer].sum(dim=1, keepdim=True))
        return objective.generator_loss(outputs)


def input_gradient(critic: Stack, x: Tensor) -> Tensor:
    """The critic's gradient at every input, shape (members, batch, size).

    Examples
    --------
    >>> import torch
    >>> critic = StackedMLP([2, 1])
    >>> critic.weights[0][:] = torch.tensor([[3.0], [4.0]])
    >>> input_gradient(critic, torch.zeros(1, 1, 2))
    tensor([[[3., 4.]]])
    """
    import torch

    if not isinstance(critic, StackedMLP) or critic.activation not in _PIECEWISE_LINEAR:
        points = x.detach().requires_grad_(True)
        return torch.autograd.grad(critic(points).sum(), points)[0]
    with torch.no_grad():
        hidden = evaluate(critic, x, "input gradient")
        ones = x.new_ones(*x.shape[:2], 1)
        pulled = _backward(critic, hidden, ones, "input gradient")
        return torch.bmm(pulled[0], critic.stored_weights[0].transpose(1, 2))


def penalty_points(
    penalty: GradientPenalty, real: Tensor, generated: Tensor, mix: Tensor | None
) -> Tensor:
    """Where the penalty takes the gradient."""
    import torch

    if penalty.points == "real":
        return real
    if penalty.points == "generated":
        return generated
    if mix is None:
        raise ValueError("`mix` must hold one number in [0, 1] per sample for interpolates")
    return torch.lerp(generated, real, mix)


# ---- passes through a stack ---------------------------------------------------------------------
def evaluate(net: Stack, x: Tensor, tag: str) -> list[Tensor]:
    """The input and every layer's output, after its activation, in memory kept under ``tag``.

    Hidden layers have their stored sizes, multiples of 16; of a convolutional stack there are the
    input and the output only.

    Examples
    --------
    >>> import torch
    >>> [tuple(v.shape) for v in evaluate(StackedMLP([2, 16, 1]), torch.zeros(1, 3, 2), "example")]
    [(1, 3, 2), (1, 3, 16), (1, 3, 1)]
    """
    import torch

    if not isinstance(net, StackedMLP):
        return [x, net(x)]
    values = [x]
    for layer, (weight, bias) in enumerate(zip(net.stored_weights, net.stored_biases, strict=True)):
        out = net.scratch((tag, layer), x.shape[0], x.shape[1], weight.shape[2])
        if weight.shape[2] == 1:
            # A product with one column is another routine for one matrix than for several, and
            # rounds otherwise; a sum of products is the same for a member alone or beside others.
            torch.sum(x * weight.transpose(1, 2), 2, keepdim=True, out=out).add_(bias)
        else:
            torch.baddbmm(bias, x, weight, out=out)
        if layer < net.depth - 1:
            if net.activation == "relu":
                out.relu_()
            elif net.activation == "leaky_relu":
                torch.nn.functional.leaky_relu_(out, net.slope)
            else:
                out.copy_(net.activate(out))
        values.append(out)
        x = out
    return values


def _backward(net: StackedMLP, values: list[Tensor], upstream: Tensor, tag: str) -> list[Tensor]:
    """For every layer the derivative of the output, times ``upstream``, at the layer's sums."""
    import torch

    pulled = [upstream]
    for layer in range(net.depth - 1, 0, -1):
        weight = net.stored_weights[layer].transpose(1, 2)
        out = net.scratch((tag, "pulled", layer), *pulled[0].shape[:2], weight.shape[2])
        if weight.shape[1] == 1:
            torch.mul(pulled[0], weight, out=out)
        else:
            torch.bmm(pulled[0], weight, out=out)
        pulled.insert(0, _gate(net, out, values[layer]))
    return pulled


def _slope(term: Term, outputs: Tensor) -> Tensor:
    """The term's slope at outputs of shape (members, batch).

    A library's last few entries may come from another routine than the first thirty-two: rows are
    filled up, so that no entry's routine depends on how many members there are.
    """
    count = outputs.shape[1]
    filled = outputs.new_zeros(len(outputs), -(-count // _BLOCK) * _BLOCK)
    filled[:, :count] = outputs
    return term.slope(filled)[:, :count]


def _outer(inputs: Tensor, pulled: Tensor, out: Tensor) -> None:
    """Write ``inputs^T pulled`` of every member."""
    import torch

    if pulled.shape[2] == 1:
        torch.sum(inputs * pulled, 1, out=out[:, :, 0])
    else:
        out.copy_(torch.bmm(inputs.transpose(1, 2), pulled))


def _gate(net: StackedMLP, x: Tensor, activations: Tensor) -> Tensor:
    """``x`` times the activation's slope, in place; the activations have the sums' signs."""
    import torch

    if net.activation == "relu":
        backward = torch.ops.aten.threshold_backward.grad_input
        return backward(x, activations, 0, grad_input=x)  # type: ignore[no-any-return]
    backward = torch.ops.aten.leaky_relu_backward.grad_input
    return backward(x, activations, net.slope, True, grad_input=x)  # type: ignore[no-any-return]


# ---- autograd, for smooth activations and convolutions -------------------------------------------
def _functional(net: Stack, leaves: list[Tensor], x: Tensor) -> Tensor:
    import torch

    weights, biases = leaves[: net.depth], leaves[net.depth :]
    if not isinstance(net, StackedMLP):
        return net.functional(weights, biases, x)
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = torch.baddbmm(bias, x, weight)
        if layer < net.depth - 1:
            x = net.activate(x)
    return x


def _store(net: Stack, gradients: tuple[Tensor | None, ...]) -> None:
    targets = [*net.weight_gradients, *net.bias_gradients]
    for target, gradient in zip(targets, gradients, strict=True):
        target.zero_() if gradient is None else target.copy_(gradient)


def _by_autograd(
    critic: Stack,
    real: Tensor,
    generated: Tensor,
    objective: Objective,
    penalty: GradientPenalty | None,
    coefficient: Tensor | None,
    mix: Tensor | None,
) -> CriticStep:
    import torch

    leaves = [p.detach().requires_grad_(True) for p in (*critic.weights, *critic.biases)]
    f_real = _functional(critic, leaves, real)[..., 0]
    f_generated = _functional(critic, leaves, generated)[..., 0]
    loss = objective.critic_loss(f_real, f_generated)
    value, norms = torch.zeros_like(loss), None
    if penalty is not None:
        points = penalty_points(penalty, real, generated, mix).detach().requires_grad_(True)
        outputs = _functional(critic, leaves, points).sum()
        gradient = torch.autograd.grad(outputs, points, create_graph=True)[0]
        value = penalty.value(gradient, coefficient)
        norms = torch.linalg.vector_norm(gradient.detach(), dim=2)
    total = (loss + value).sum()
    _store(critic, torch.autograd.grad(total, leaves, allow_unused=True))
    return CriticStep(
        real=f_real.detach(),
        generated=f_generated.detach(),
        loss=loss.detach(),
        penalty=value.detach(),
        norms=norms,
    )
