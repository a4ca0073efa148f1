"""Why some parts of torch networks are refused: the theorem, and what can be said instead."""

from __future__ import annotations

__all__ = ["reason_for"]

_NORMALISES = (
    "it divides by a deviation of the sample itself, so that its constant is about "
    "max |gamma| / sqrt(eps) = 316 max |gamma| for eps = 1e-5, taken at constant inputs; bound it "
    "by itself with lipschitz.constraints.layer_normalization_constant"
)
_ATTENTION = (
    "dot-product attention has no Lipschitz constant on unbounded inputs (Kim, Papamakarios and "
    "Mnih, ICML 2021, Theorem 3.1); use L2 attention with tied queries and keys"
)
_GROWS = "its slope grows without bound, so that it has no Lipschitz constant on the whole space"
_MIXES = "over the batch axis it makes the value at one sample depend on the others"

_REASONS = {
    "LayerNorm": _NORMALISES,
    "layer_norm": _NORMALISES,
    "GroupNorm": _NORMALISES,
    "group_norm": _NORMALISES,
    "InstanceNorm1d": _NORMALISES,
    "InstanceNorm2d": _NORMALISES,
    "InstanceNorm3d": _NORMALISES,
    "instance_norm": _NORMALISES,
    "RMSNorm": _NORMALISES,
    "rms_norm": _NORMALISES,
    "MultiheadAttention": _ATTENTION,
    "TransformerEncoderLayer": _ATTENTION,
    "TransformerDecoderLayer": _ATTENTION,
    "scaled_dot_product_attention": _ATTENTION,
    "exp": _GROWS,
    "pow": _GROWS,
    "square": _GROWS,
    "std": _MIXES,
    "var": _MIXES,
}


def reason_for(name: str) -> str:
    """``": <why>"`` for a class or function that is refused for a reason, else ``""``.

    Parameters
    ----------
    name : str
        Of a torch module's class or of a torch function.

    Examples
    --------
    >>> reason_for("exp")
    ': its slope grows without bound, so that it has no Lipschitz constant on the whole space'
    >>> reason_for("Conv7d")
    ''
    """
    reason = _REASONS.get(name)
    return f": {reason}" if reason else ""
