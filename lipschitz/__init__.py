"""Certified bounds of Lipschitz constants: convolution layers, linear maps, whole networks."""

from lipschitz.certificate import Attempt, Certificate, Piece, Witness
from lipschitz.certificate_check import Verification
from lipschitz.certification import certify
from lipschitz.cone import ConeViolation, double_cone_violation
from lipschitz.constraints import (
    ClippingBound,
    NormalizedWeight,
    OrthogonalityBound,
    PenalizedCritic,
    ReshapedNorm,
    as_parametrization,
    batch_normalization_constant,
    batch_normalization_jacobian,
    bjorck,
    cayley,
    clip_weights,
    clipped_layer_norm,
    clipping_bound,
    clipping_threshold,
    compare_reshaped_norm,
    debiased_distance,
    gradient_penalty_slope,
    group_sort,
    layer_normalization_constant,
    max_min,
    misprinted_penalty_slope,
    orthogonality_bound,
    penalized_critic,
    spectrally_normalized,
    worst_clipped_network,
)
from lipschitz.convolution import singular_values, spectral_norm, spectral_norm_torus
from lipschitz.domains import Ball, Box
from lipschitz.estimates import (
    Estimate,
    SampledSlope,
    clever_estimate,
    sampled_gradient_norm,
    seqlip_greedy_estimate,
)
from lipschitz.findings import Finding, audit
from lipschitz.function_divergence import Divergence
from lipschitz.function_domains import ConvexPolygon, Interval, IntervalUnion, SlitAnnulus, UShape
from lipschitz.function_norms import dual_norm, gradient_norm_for_ground_cost
from lipschitz.function_paths import path_ratio
from lipschitz.function_piecewise import PiecewiseLinear
from lipschitz.function_plots import plot_double_cone
from lipschitz.function_secants import Secant, secant_slopes, steepest_secant
from lipschitz.functions import FunctionConstant, lipschitz_constant_of
from lipschitz.layer_norms import layer_norm
from lipschitz.local import LocalBound, local_bound
from lipschitz.lower import LowerBound, lower_bound, verify_witness
from lipschitz.max_cut import max_cut_of_constant, network_of_graph
from lipschitz.milp import MilpConstant, local_constant_milp
from lipschitz.multiplier_check import multipliers_prove
from lipschitz.network import Network, Node, chain
from lipschitz.network_bound import NetworkBound, lipschitz_enclosure
from lipschitz.one_hidden import OneHiddenConstant, one_hidden_constant
from lipschitz.operators import operator_norm
from lipschitz.penalty_probe import probe_penalty
from lipschitz.plots import plot_enclosures, plot_spectrum
from lipschitz.product import LayerBound, ProductBound, product_bound
from lipschitz.rational_regions import RationalConstant, exact_rational_constant
from lipschitz.readers import from_arrays, from_mat, from_onnx, from_torch
from lipschitz.regions import ExactConstant, exact_by_regions
from lipschitz.sdp import FeedForward, SemidefiniteBound, prove_multipliers, semidefinite_bound

__all__ = [
    "Attempt",
    "Ball",
    "Box",
    "Certificate",
    "ClippingBound",
    "ConeViolation",
    "ConvexPolygon",
    "Divergence",
    "Estimate",
    "ExactConstant",
    "FeedForward",
    "Finding",
    "FunctionConstant",
    "Interval",
    "IntervalUnion",
    "LayerBound",
    "LocalBound",
    "LowerBound",
    "MilpConstant",
    "Network",
    "NetworkBound",
    "Node",
    "NormalizedWeight",
    "OneHiddenConstant",
    "OrthogonalityBound",
    "PenalizedCritic",
    "Piece",
    "PiecewiseLinear",
    "ProductBound",
    "RationalConstant",
    "ReshapedNorm",
    "SampledSlope",
    "Secant",
    "SemidefiniteBound",
    "SlitAnnulus",
    "UShape",
    "Verification",
    "Witness",
    "as_parametrization",
    "audit",
    "batch_normalization_constant",
    "batch_normalization_jacobian",
    "bjorck",
    "cayley",
    "certify",
    "chain",
    "clever_estimate",
    "clip_weights",
    "clipped_layer_norm",
    "clipping_bound",
    "clipping_threshold",
    "compare_reshaped_norm",
    "debiased_distance",
    "double_cone_violation",
    "dual_norm",
    "exact_by_regions",
    "exact_rational_constant",
    "from_arrays",
    "from_mat",
    "from_onnx",
    "from_torch",
    "gradient_norm_for_ground_cost",
    "gradient_penalty_slope",
    "group_sort",
    "layer_norm",
    "layer_normalization_constant",
    "lipschitz_constant_of",
    "lipschitz_enclosure",
    "local_bound",
    "local_constant_milp",
    "lower_bound",
    "max_cut_of_constant",
    "max_min",
    "misprinted_penalty_slope",
    "multipliers_prove",
    "network_of_graph",
    "one_hidden_constant",
    "operator_norm",
    "orthogonality_bound",
    "path_ratio",
    "penalized_critic",
    "plot_double_cone",
    "plot_enclosures",
    "plot_spectrum",
    "probe_penalty",
    "product_bound",
    "prove_multipliers",
    "sampled_gradient_norm",
    "secant_slopes",
    "semidefinite_bound",
    "seqlip_greedy_estimate",
    "singular_values",
    "spectral_norm",
    "spectral_norm_torus",
    "spectrally_normalized",
    "steepest_secant",
    "verify_witness",
    "worst_clipped_network",
]
