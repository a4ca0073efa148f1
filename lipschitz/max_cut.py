"""MAX-CUT as a Lipschitz constant: why no method here is both exact and fast on every network.

Orient the edges of a graph and let ``B`` be its incidence matrix: row ``b_i`` for vertex ``i`` has
+1 at edges that leave it, -1 at those that arrive. The network

    f(x) = sum_i relu(b_i . x),        one input for each edge, one neuron for each vertex,

has gradients ``sum_{i in S} b_i`` for the sets ``S`` of active neurons, and at edge ``e = (i, j)``
that is ``[i in S] - [j in S]``: plus or minus one if the edge is cut, else zero. So ``||grad||^2``
is the number of edges between ``S`` and its complement, and

    Lip_2(f)^2 = MAXCUT(G).

A largest cut ``S`` does occur, namely at ``x = sum_{i in S} b_i``, its own gradient: there ``b_i .
x`` is the number of edges at ``i`` that are cut if ``i`` is in ``S``, and minus that number if not;
and in a largest cut every vertex with an edge has a cut one, or moving it would cut more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure, NotCertified
from evidence.rounding import mul_down, mul_up
from lipschitz.layers import Activation, Dense
from lipschitz.network import Network, chain

__all__ = ["max_cut_of_constant", "network_of_graph"]


def network_of_graph(adjacency: ArrayLike) -> Network:
    """A ReLU network with one hidden layer whose squared l2 constant is the graph's maximum cut.

    Parameters
    ----------
    adjacency : array_like, shape (n, n)
        Symmetric, entries 0 and 1, zeros on the diagonal, at least one edge.

    Returns
    -------
    Network
        From as many inputs as edges, with as many hidden neurons as vertices, to one output;
        weights -1, 0 and 1, no biases.

    Raises
    ------
    ValueError
        If the matrix is no adjacency matrix, or has no edges.

    Notes
    -----
    Hence computing Lipschitz constants of networks with one hidden layer is NP-hard: MAX-CUT is
    (Karp 1972), and so is approximating it within 16/17 (Hastad 2001), which makes the constant
    itself hard to approximate within ``sqrt(16/17) = 0.970``.

    References
    ----------
    Scaman and Virmaux, *Lipschitz regularity of deep neural networks*, NeurIPS 2018, theorem 2, for
    the hardness; the reduction there is another one.

    Examples
    --------
    >>> triangle = network_of_graph([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    >>> triangle.layers[0].weight
    array([[ 1.,  1.,  0.],
           [-1.,  0.,  1.],
           [ 0., -1., -1.]])
    >>> from lipschitz.one_hidden import one_hidden_constant
    >>> max_cut_of_constant(one_hidden_constant(triangle).bound)
    2
    """
    matrix = _adjacency(adjacency)
    tails, heads = np.nonzero(np.triu(matrix))
    if len(tails) == 0:
        raise ValueError("`adjacency` must have at least one edge, got none; its cuts are empty")
    incidence = np.zeros((len(matrix), len(tails)))
    edges = np.arange(len(tails))
    incidence[tails, edges], incidence[heads, edges] = 1.0, -1.0
    return Network(
        input_shape=(len(tails),),
        nodes=chain(
            [
                ("vertices", Dense(weight=incidence)),
                ("relu", Activation(kind="relu", input_shape=(len(matrix),))),
                ("sum", Dense(weight=np.ones((1, len(matrix))))),
            ]
        ),
        source="graph",
    )


def max_cut_of_constant(bound: Enclosure) -> int:
    """The maximum cut of a graph, from its network's Lipschitz constant.

    Parameters
    ----------
    bound : Enclosure
        Of the l2 constant of `network_of_graph`; it must single out one integer square.

    Raises
    ------
    NotCertified
        If several integers are possible; the exception carries the lower one.

    Examples
    --------
    >>> max_cut_of_constant(Enclosure(2.449, 2.45))
    6
    """
    lowest = math.ceil(mul_down(max(bound.lower, 0.0), max(bound.lower, 0.0)))
    highest = mul_up(bound.upper, bound.upper)
    if not math.isfinite(highest) or math.floor(highest) != lowest:
        raise NotCertified(
            f"`bound` = {bound} leaves several integers for its square, or none; narrow it",
            estimate=lowest,
        )
    return lowest


def _adjacency(value: ArrayLike) -> NDArray[Any]:
    matrix = np.asarray(value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`adjacency` must be a square matrix, got shape {matrix.shape}")
    if not np.isin(matrix, (0, 1)).all():
        raise ValueError("`adjacency` must hold zeros and ones only; weights have no place here")
    if not np.array_equal(matrix, matrix.T) or np.diag(matrix).any():
        raise ValueError(
            "`adjacency` must be symmetric with zeros on the diagonal; pass `(A + A.T) > 0`"
        )
    return matrix
