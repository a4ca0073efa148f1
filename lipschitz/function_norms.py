"""Which norm of the gradient a ground cost asks for: the dual one.

A differentiable function on a convex domain satisfies ``|f(x) - f(y)| <= K ||x - y||_p`` for all
``x, y`` if and only if ``||grad f||_q <= K`` everywhere, ``1/p + 1/q = 1``: the derivative along
``v`` is ``<grad f, v>``, and ``||g||_q`` is the maximum of ``<g, v>`` over ``||v||_p <= 1``
(Hoelder's inequality, which is attained). A ground cost l1 needs gradients bounded in linf, and a
critic whose gradients have Euclidean norm 1 is not 1-Lipschitz for the ground cost linf.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure
from evidence.rounding import norm_lower, norm_upper, sum_down, sum_up
from evidence.validation import as_float_array

__all__ = ["dual_norm", "gradient_norm_for_ground_cost", "steepest_direction"]


def dual_norm(p: float | Fraction) -> float:
    """The exponent ``q`` with ``1/p + 1/q = 1``: gradients are measured in it if inputs are in l_p.

    Parameters
    ----------
    p : float or Fraction
        Exponent of the ground norm, at least 1; ``inf`` for the maximum norm.

    Returns
    -------
    float
        ``p / (p - 1)``, rounded once; exact for 1, 2 and ``inf``.

    Raises
    ------
    TypeError, ValueError
        If `p` is no number or less than 1, where ``||.||_p`` is no norm.

    Examples
    --------
    >>> dual_norm(1), dual_norm(2), dual_norm(math.inf), dual_norm(3)
    (inf, 2.0, 1.0, 1.5)
    >>> dual_norm(0.5)
    Traceback (most recent call last):
    ...
    ValueError: `p` must be at least 1, got 0.5; below 1 the triangle inequality fails
    """
    if isinstance(p, bool) or not isinstance(p, (int, float, Fraction, np.integer, np.floating)):
        raise TypeError(f"`p` must be a number or inf, got {p!r}")
    if not p >= 1:
        raise ValueError(
            f"`p` must be at least 1, got {float(p):.17g}; below 1 the triangle inequality fails"
        )
    if p == math.inf:
        return 1.0
    exact = p if isinstance(p, Fraction) else Fraction(float(p))
    return math.inf if exact == 1 else float(exact / (exact - 1))


def gradient_norm_for_ground_cost(gradient: ArrayLike, ground: float) -> Enclosure:
    """The norm that bounds a function's slope in the ground norm: the dual norm of the gradient.

    Equal to ``sup <g, v> / ||v||_p``: an affine function with this gradient has this Lipschitz
    constant. Proved for the floats given, after rounding; one ulp wide or exact for l1 cost.

    Parameters
    ----------
    gradient : array_like, any shape
        A gradient with respect to the input.
    ground : 1, 2 or inf
        Exponent of the ground norm of the inputs.

    Returns
    -------
    Enclosure

    Raises
    ------
    TypeError, ValueError
        If the gradient is not finite or the ground norm is another one.

    Examples
    --------
    The gradient (3, -4, 1/2) has the norm 5.0249 for the ground cost l2, but 4 for l1 and 7.5 for
    linf; a critic that is normalised in l2 is 1.49 times too steep for the ground cost linf:

    >>> g = [3.0, -4.0, 0.5]
    >>> for ground in (2, 1, math.inf):
    ...     print(ground, gradient_norm_for_ground_cost(g, ground))
    2 [5.024937, 5.024938] (l2 norm of the gradient)
    1 4 exactly (linf norm of the gradient)
    inf 7.5 exactly (l1 norm of the gradient)
    """
    g = as_float_array(gradient, "gradient").ravel()
    q = _known(ground)
    if q == math.inf:
        return Enclosure.exact(float(np.max(np.abs(g))), "linf norm of the gradient")
    if q == 1.0:
        exact = sum(abs(Fraction(float(v))) for v in g) if g.size <= 4096 else None
        if exact is not None:
            return Enclosure(exact, exact, "l1 norm of the gradient")  # type: ignore[arg-type]
        sizes = np.abs(g)
        return Enclosure(sum_down(sizes), sum_up(sizes), "l1 norm of the gradient")
    return Enclosure(norm_lower(g), norm_upper(g), "l2 norm of the gradient")


def steepest_direction(gradient: ArrayLike, ground: float) -> NDArray[np.float64]:
    """A direction ``v``, not zero, with ``<g, v> = ||g||_q ||v||_p``: Hoelder's equality case.

    Along it the function rises as fast as the ground norm allows: l2 along the gradient, l1 along
    one axis, linf along a diagonal. Not of length one, so that nothing is rounded.

    Parameters
    ----------
    gradient : array_like, any shape
    ground : 1, 2 or inf

    Returns
    -------
    array, shape of `gradient`

    Examples
    --------
    >>> for ground in (2, 1, math.inf):
    ...     steepest_direction([3.0, -4.0, 0.5], ground)
    array([ 3. , -4. ,  0.5])
    array([ 0., -1.,  0.])
    array([ 1., -1.,  1.])
    """
    g = as_float_array(gradient, "gradient")
    q = _known(ground)
    if q == 1.0:
        return np.where(g < 0.0, -1.0, 1.0)
    if q == math.inf:
        v = np.zeros(g.size)
        largest = int(np.argmax(np.abs(g)))
        v[largest] = -1.0 if g.flat[largest] < 0.0 else 1.0
        return v.reshape(g.shape)
    return g if g.any() else np.ones_like(g)


def _known(ground: float) -> float:
    q = dual_norm(ground)
    if q not in (1.0, 2.0, math.inf):
        raise ValueError(f"`ground` must be 1, 2 or inf, got {float(ground):.17g}")
    return q
