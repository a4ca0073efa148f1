"""Semidefinite bounds of whole networks: the smallest constants that slopes alone can prove.

`semidefinite_bound` optimises the multipliers of LipSDP-Neuron and returns what
`prove_multipliers`, the checker, has proved in floating point; `feed_forward` reads a network as
the chain of matrices and slopes that both work on.
"""

from lipschitz.sdp.bound import semidefinite_bound
from lipschitz.sdp.feedforward import FeedForward, feed_forward
from lipschitz.sdp.proof import prove_multipliers
from lipschitz.sdp.result import SemidefiniteBound

__all__ = [
    "FeedForward",
    "SemidefiniteBound",
    "feed_forward",
    "prove_multipliers",
    "semidefinite_bound",
]
