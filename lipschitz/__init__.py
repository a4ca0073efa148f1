"""Certified bounds of Lipschitz constants: convolution layers, linear maps, whole networks."""

from lipschitz.convolution import singular_values, spectral_norm, spectral_norm_torus

__all__ = ["singular_values", "spectral_norm", "spectral_norm_torus"]
