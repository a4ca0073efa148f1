"""Certified bounds of Lipschitz constants: convolution layers, linear maps, whole networks."""

from lipschitz.certificate import Attempt, Certificate, Piece, Witness
from lipschitz.certificate_check import Verification
from lipschitz.certification import certify
from lipschitz.convolution import singular_values, spectral_norm, spectral_norm_torus
from lipschitz.layer_norms import layer_norm
from lipschitz.lower import LowerBound, lower_bound, verify_witness
from lipschitz.network import Network, Node, chain
from lipschitz.network_bound import NetworkBound, lipschitz_enclosure
from lipschitz.operators import operator_norm
from lipschitz.plots import plot_enclosures, plot_spectrum
from lipschitz.product import LayerBound, ProductBound, product_bound
from lipschitz.readers import from_arrays, from_mat, from_onnx, from_torch

__all__ = [
    "Attempt",
    "Certificate",
    "LayerBound",
    "LowerBound",
    "Network",
    "NetworkBound",
    "Node",
    "Piece",
    "ProductBound",
    "Verification",
    "Witness",
    "certify",
    "chain",
    "from_arrays",
    "from_mat",
    "from_onnx",
    "from_torch",
    "layer_norm",
    "lipschitz_enclosure",
    "lower_bound",
    "operator_norm",
    "plot_enclosures",
    "plot_spectrum",
    "product_bound",
    "singular_values",
    "spectral_norm",
    "spectral_norm_torus",
    "verify_witness",
]
