"""One node of an ONNX graph, with its inputs looked up and its defaults filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.layers.contract import Array
from lipschitz.readers.builder import Value

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["Constant", "Operator"]

Constant = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A node with its inputs looked up and its attributes completed by their defaults."""

    op_type: str
    opset: int
    inputs: tuple[Value | Constant | None, ...]
    attributes: dict[str, Any]
    outputs: int
    float_type: int

    @classmethod
    def of(
        cls,
        node: NodeProto,
        *,
        opset: int,
        inputs: Sequence[Value | Constant | None],
        float_type: int,
    ) -> Operator:
        """Read a node; omitted attributes take the default of the opset's schema."""
        from onnx import defs, helper

        schema = defs.get_schema(node.op_type, opset, "")
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        defaults = {
            name: helper.get_attribute_value(a.default_value)
            for name, a in schema.attributes.items()
            if a.default_value.type
        }
        attributes = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in {**defaults, **given}.items()
        }
        return cls(
            op_type=node.op_type,
            opset=opset,
            inputs=tuple(inputs),
            attributes=attributes,
            outputs=sum(1 for name in node.output if name),
            float_type=float_type,
        )

    def value(self, i: int) -> Value:
        """Input ``i``, which the network computes."""
        entry = self.inputs[i]
        if not isinstance(entry, Value):
            raise ValueError(f"input {i} must be computed from the network's input, got a constant")
        return entry

    def has(self, i: int) -> bool:
        """Whether input ``i`` is given."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def weights(self, i: int, name: str) -> Array:
        """Input ``i`` as finite float64 weights, converted exactly."""
        array = self._constant(i, name)
        if array.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(
                f"the {name} has type {array.dtype}; only float32 and float64 weights are "
                "supported: export the model in float32"
            )
        if array.size == 0 or not np.isfinite(array).all():
            raise ValueError(f"the {name} must be finite and not empty, got shape {array.shape}")
        return array.astype(np.float64)

    def ints(self, i: int, name: str) -> tuple[int, ...]:
        """Input ``i`` as constant integers."""
        array = self._constant(i, name)
        if array.dtype.kind not in "iu":
            raise ValueError(f"the {name} must be integers, got type {array.dtype}")
        return tuple(int(n) for n in array.ravel())

    def ints_of(self, attribute: str, i: int) -> tuple[int, ...] | None:
        """Integers that older opsets have as an attribute and newer ones as input ``i``."""
        if attribute in self.attributes:
            return tuple(self.attributes[attribute])
        return self.ints(i, attribute) if self.has(i) else None

    def _constant(self, i: int, name: str) -> Constant:
        entry = self.inputs[i] if i < len(self.inputs) else None
        if entry is None:
            raise ValueError(f"the {name} is missing")
        if isinstance(entry, Value):
            raise NotCertified(
                f"the {name} is computed from the network's input; only constant ones give a "
                "layer with a Lipschitz constant (a product of two computed arrays has none)"
            )
        return entry
