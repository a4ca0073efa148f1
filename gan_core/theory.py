"""Closed forms of what training should measure.

The *law of the gradient penalty*: let all optimal transport segments between the two distributions
have the same length ``d`` and point along the gradient of a function ``u`` with ``|u'| = 1``
(translations, radial expansions). Along a segment a critic of slope ``s`` gains ``s d`` and is
fined ``lambda (s - 1)^2``, so that the best slope is ``s = 1 + d / (2 lambda)`` and the critic's
value ``d (1 + d / (2 lambda))``: more than ``W1 = d``, by a factor that depends on the scale of the
data.
"""

from __future__ import annotations

from evidence.validation import positive_float, positive_int

__all__ = ["clipping_ceiling", "penalized_value"]


def penalized_value(distance: float, coefficient: float) -> float:
    """``E f(real) - E f(generated) = d (1 + d / (2 lambda))`` of the optimal critic.

    Examples
    --------
    >>> penalized_value(1.0, 0.1)  # the default of published toy code reads W1 = 1 as 6
    6.0
    """
    from lipschitz.gradient_penalty import penalized_critic

    return penalized_critic(distance, coefficient).value


def clipping_ceiling(width: int, layers: int, clip: float) -> float:
    """Largest value ``h^(L - 1) c^L`` of a clipped critic per unit shift along one axis.

    Parameters
    ----------
    width : int
        ``h``, of every hidden layer.
    layers : int
        ``L``, affine layers; ReLU between them.
    clip : float
        ``c``.

    Notes
    -----
    Attained where all weights are ``c`` and all gates open.

    Examples
    --------
    >>> round(clipping_ceiling(64, 4, 0.01), 9)
    0.00262144
    """
    h, depth = positive_int(width, "width"), positive_int(layers, "layers")
    c = positive_float(clip, "clip")
    return c * float((h * c) ** (depth - 1))
