"""A network as plain data: layers in a directed acyclic graph, float64 weights, exact shapes.

The readers that make one are in `lipschitz.readers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evidence import NotCertified
from evidence.validation import as_float_array
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array, Layer, Shape, shape_tuple, store

__all__ = ["Network", "Node", "chain", "part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One use of a layer.

    Parameters
    ----------
    name : str
        Its name in the file or module it was read from; unique in a network.
    layer : Layer
    inputs : tuple of int
        The values it reads: 0 is the network's input, ``j + 1`` the output of node ``j``.

    Examples
    --------
    >>> from lipschitz.layers import Dense
    >>> Node(name="first", layer=Dense(weight=[[2.0]]), inputs=(0,)).inputs
    (0,)
    """

    name: str
    layer: Layer
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A feed-forward network with branches, as a function of one sample.

    The function is the one of real arithmetic with these float64 weights: rounding happens in
    `apply`, never in the object that bounds are about. Where weights themselves are rounded (a
    batch normalisation's ``gamma / sqrt(var + eps)``, a folded product), the layer carries bounds
    of the difference (`LinearLayer.weight_error`).

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample, without the batch axis.
    nodes : sequence of Node
        In topological order; the last node's value is the output.
    source : str
        Where the network was read from, for tables.
    notes : tuple of str
        What the reader decided or evaluated, in sentences.

    Raises
    ------
    ValueError
        No nodes, names that repeat, inputs that do not exist yet, or shapes that do not fit: the
        message names the node.

    Examples
    --------
    >>> from lipschitz.layers import Activation, Dense
    >>> hidden = Dense(weight=[[1.0], [-1.0]])
    >>> relu = Activation(kind="relu", input_shape=(2,))
    >>> absolute = Network(
    ...     input_shape=(1,),
    ...     nodes=[
    ...         Node(name="hidden", layer=hidden, inputs=(0,)),
    ...         Node(name="relu", layer=relu, inputs=(1,)),
    ...         Node(name="sum", layer=Dense(weight=[[1.0, 1.0]]), inputs=(2,)),
    ...     ],
    ... )
    >>> absolute.apply(np.array([[-3.0], [2.0]]))
    array([[3.],
           [2.]])
    """

    input_shape: Shape
    nodes: tuple[Node, ...]
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        store(self, input_shape=shape_tuple(self.input_shape, "input_shape"))
        store(self, nodes=tuple(self.nodes))
        store(self, notes=tuple(self.notes))
        if not self.nodes:
            raise ValueError("`nodes` must hold at least one node; use an Identity layer")
        shapes = [self.input_shape]
        names: set[str] = set()
        for j, node in enumerate(self.nodes):
            if node.name in names:
                raise ValueError(f"`nodes[{j}]` repeats the name {node.name!r}; names are unique")
            if any(not 0 <= i <= j for i in node.inputs):
                raise ValueError(
                    f"node {node.name!r} reads values {node.inputs}, but only 0 to {j} exist "
                    "before it; order the nodes topologically"
                )
            given = tuple(shapes[i] for i in node.inputs)
            if given != node.layer.input_shapes:
                raise ValueError(
                    f"node {node.name!r} ({type(node.layer).__name__}) takes inputs of shapes "
                    f"{node.layer.input_shapes}, got {given}; shapes exclude the batch axis"
                )
            names.add(node.name)
            shapes.append(node.layer.output_shape)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order."""
        return tuple(node.layer for node in self.nodes)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes of all values: the input, then every node's output."""
        return (self.input_shape, *(node.layer.output_shape for node in self.nodes))

    @property
    def output_shape(self) -> Shape:
        """Shape of one output, without the batch axis."""
        return self.nodes[-1].layer.output_shape

    @property
    def users(self) -> tuple[tuple[int, ...], ...]:
        """For every value, the nodes that read it."""
        return tuple(
            tuple(j for j, node in enumerate(self.nodes) if value in node.inputs)
            for value in range(len(self.nodes) + 1)
        )

    # ---- evaluation ---------------------------------------------------------------------------
    def apply(self, x: Array) -> Array:
        """The network's values in float64 for a batch ``x`` of shape ``(batch, *input_shape)``.

        Values that no later node reads are dropped on the way.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is not a finite float array of that shape.
        """
        values: dict[int, Array] = {0: self._batch(x, "x")}
        last_use = {i: j for j, node in enumerate(self.nodes) for i in node.inputs}
        for j, node in enumerate(self.nodes):
            values[j + 1] = node.layer.apply(*(values[i] for i in node.inputs))
            for i in {i for i in node.inputs if last_use[i] == j}:
                del values[i]
        return values[len(self.nodes)]

    def values(self, x: Array) -> list[Array]:
        """All values for a batch: the input, then every node's output."""
        values = [self._batch(x, "x")]
        for node in self.nodes:
            values.append(node.layer.apply(*(values[i] for i in node.inputs)))
        return values

    def balls(self, x: Array, radius: Array | float = 0.0) -> list[Ball]:
        """For all values, balls that hold the exact ones for every input in a box around ``x``.

        Parameters
        ----------
        x : array, shape (batch, *input_shape)
        radius : array or float
            Half the box' side, entry by entry; 0 encloses the rounding of `values` alone.

        Raises
        ------
        NotCertified
            If a value overflows, so that nothing is known about it.
        """
        center = self._batch(x, "x")
        widths = np.broadcast_to(as_float_array(radius, "radius"), center.shape)
        if (widths < 0.0).any():
            raise ValueError(f"`radius` must be nonnegative, got {widths.min():.17g}")
        balls: list[Ball] = [(center, widths)]
        for node in self.nodes:
            with np.errstate(over="ignore", invalid="ignore"):
                ball = node.layer.enclose(*(balls[i] for i in node.inputs))
            if not (np.isfinite(ball[0]).all() and np.isfinite(ball[1]).all()):
                raise NotCertified(
                    f"the values of node {node.name!r} overflow float64, so that they cannot be "
                    "enclosed; use a smaller `x` or `radius`"
                )
            balls.append(ball)
        return balls

    def enclose(self, x: Array, radius: Array | float = 0.0) -> Ball:
        """Centre and radius of a ball around the exact outputs; see `balls`."""
        return self.balls(x, radius)[-1]

    def _batch(self, x: Array, name: str) -> Array:
        batch = as_float_array(x, name)
        if batch.shape[1:] != self.input_shape or batch.ndim == 0:
            raise ValueError(
                f"`{name}` must have shape (batch, {', '.join(map(str, self.input_shape))}), got "
                f"{batch.shape}; add a leading axis of length 1 for a single sample"
            )
        return batch

    # ---- simplification -----------------------------------------------------------------------
    def fold(self) -> Network:
        """The same function with affine neighbours merged; see `lipschitz.folding`."""
        from lipschitz.folding import fold

        return fold(self)


def chain(layers: Sequence[tuple[str, Layer]]) -> tuple[Node, ...]:
    """Nodes that apply the named layers one after the other.

    Parameters
    ----------
    layers : sequence of (str, Layer)

    Examples
    --------
    >>> from lipschitz.layers import Dense
    >>> nodes = chain([("first", Dense(weight=[[2.0]])), ("second", Dense(weight=[[3.0]]))])
    >>> Network(input_shape=(1,), nodes=nodes).apply(np.array([[1.0]]))
    array([[6.]])
    """
    return tuple(
        Node(name=name, layer=layer, inputs=(j,)) for j, (name, layer) in enumerate(layers)
    )


def part(network: Network, first: int, last: int) -> Network:
    """The sub-network from value ``first`` to value ``last``, through which everything must pass.

    Raises
    ------
    ValueError
        If a node in between reads a value from before ``first``, or the range is empty.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> [n.name for n in part(from_arrays([[[3.0]], [[2.0]]]), 1, 3).nodes][-1]
    'layer 2'
    """
    if not 0 <= first < last <= len(network.nodes):
        raise ValueError(
            f"`first` and `last` must be values of the network in order, got {first} and {last} "
            f"of {len(network.nodes)}"
        )
    nodes = network.nodes[first:last]
    if any(i < first for node in nodes for i in node.inputs):
        raise ValueError(f"value {first} is bypassed before value {last}; cut elsewhere")
    return Network(
        input_shape=network.shapes[first],
        nodes=tuple(
            Node(name=n.name, layer=n.layer, inputs=tuple(i - first for i in n.inputs))
            for n in nodes
        ),
    )
