"""One-step maps of two-player methods; each knows its iteration matrix and its polynomial."""

from dynamics.methods.base import Method, State
from dynamics.methods.gradient import GDA

__all__ = ["GDA", "Method", "State"]
