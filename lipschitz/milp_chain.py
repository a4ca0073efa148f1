"""Chains of matrices and ReLUs with their biases, as the integer programs need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.layers import Activation, LinearLayer
from lipschitz.layers.balls import Ball, exactly
from lipschitz.linear_bounds import ValueBounds
from lipschitz.milp_model import Layered
from lipschitz.network import Network
from lipschitz.sdp.feedforward import FeedForward, feed_forward

__all__ = ["Chain", "layered_chain"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """A folded network, its matrices, and where its pre-activations stand.

    Parameters
    ----------
    network : Network
    matrices : FeedForward
    biases : tuple of (center, radius)
        Of every hidden layer's pre-activation.
    activations : tuple of int
        The activation nodes, in order.
    """

    network: Network
    matrices: FeedForward
    biases: tuple[Ball, ...]
    activations: tuple[int, ...]

    def layered(self, bounds: ValueBounds) -> Layered:
        """The chain with the bounds of one piece."""
        arguments = [0, *(self.network.nodes[j].inputs[0] for j in self.activations)]
        layers = [self.network.nodes[j].layer for j in self.activations]
        return Layered(
            weights=list(self.matrices.weights),
            errors=list(self.matrices.errors),
            biases=[center for center, _ in self.biases],
            bias_errors=[radius for _, radius in self.biases],
            lower=[bounds.lower[i].ravel() for i in arguments],
            upper=[bounds.upper[i].ravel() for i in arguments],
            left=[_left(layer) for layer in layers if isinstance(layer, Activation)],
        )


def layered_chain(network: Network) -> Chain:
    """The chain of a folded network of linear layers, ReLUs and leaky ReLUs.

    Raises
    ------
    NotCertified
        If it is no chain, or has other activations.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> chain = layered_chain(from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]]))
    >>> chain.matrices.widths, len(chain.biases)
    ((1, 2, 1), 1)
    """
    matrices = feed_forward(network)
    activations = []
    for j, node in enumerate(network.nodes):
        if not isinstance(node.layer, Activation):
            continue
        if node.layer.kind not in ("relu", "leaky_relu"):
            raise NotCertified(
                f"node {node.name!r} is a {node.layer.kind}, which is not piecewise linear; use "
                "`local_bound` for smooth activations"
            )
        activations.append(j)
    if len(activations) != len(matrices.slope_lower):
        raise NotCertified("an activation does not reach the output; remove it from the network")
    constants = _constants(network)
    biases = []
    for j in activations:
        center, radius = constants[network.nodes[j].inputs[0]]
        biases.append((center.ravel(), radius.ravel()))
    return Chain(
        network=network, matrices=matrices, biases=tuple(biases), activations=tuple(activations)
    )


def _constants(network: Network) -> list[Ball]:
    """All values if the input and every activation were zero: what linear layers add."""
    values = [exactly(np.zeros((1, *network.input_shape)))]
    for node in network.nodes:
        if isinstance(node.layer, LinearLayer):
            values.append(node.layer.enclose(*(values[i] for i in node.inputs)))
        else:
            values.append(exactly(np.zeros((1, *node.layer.output_shape))))
    return values


def _left(layer: Activation) -> float:
    return 0.0 if layer.parameter is None else layer.parameter
