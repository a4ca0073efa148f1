"""Semidefinite bounds of whole networks: the constants that slopes alone can prove."""

from lipschitz.sdp.feedforward import FeedForward, feed_forward

__all__ = ["FeedForward", "feed_forward"]
