"""One convolution layer: our enclosures and every peer, measured in one process."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.harness import Case, Claim, Measurement, Side, measure, timed
from benchmarks.running import limited_threads
from evidence import Enclosure
from lipschitz.layers.convolution import Convolution

__all__ = ["EVERY_SIZE", "PEERS", "LayerTask", "Peer", "layer_cases", "measure_layer"]

EVERY_SIZE = "every size"
EPS = float(np.finfo(np.float64).eps)
_CALIBRATED = 128  # channels; what is faster for these is faster for more
_LARGEST_SPECTRUM = 4e8  # bytes; beyond, a peer that keeps the whole spectrum runs with --full only


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer method: what its value is, and whom it comes from.

    Parameters
    ----------
    name, source : str
    claim, side : str
        As in :class:`~benchmarks.harness.Case`.
    meaning : str
        What the value is, for the legend.
    about : str
        The quantity it speaks of: the norm on the ``circle``, with the layer's own ``zeros``, for
        ``every size``, or of a ``reshaped`` kernel.
    claims_upper : bool
        Whether its authors call the value an upper bound, so that too low a value is flagged.
    """

    name: str
    source: str
    claim: Claim
    meaning: str
    about: Literal["circle", "zeros", "every size", "reshaped"]
    call: Callable[..., float]
    side: Side = ""
    claims_upper: bool = False


PEERS: tuple[Peer, ...] = (
    Peer(
        name="dense",
        source="Sedghi, Gupta, Long 2019",
        claim="estimate",
        meaning="circular padding only: FFT, then the SVD at every frequency, by numpy",
        about="circle",
        call=peers.dense_fft_svd,
        side="exact",
    ),
    Peer(
        name="half",
        source="the same with a real FFT",
        claim="estimate",
        meaning="circular padding only: half of the frequencies, by torch or numpy (the faster)",
        about="circle",
        call=peers.half_spectrum_svd,
        side="exact",
    ),
    Peer(
        name="Gram 6",
        source="Delattre et al. 2023",
        claim="upper in exact arithmetic",
        meaning="circular padding only: bound after 6 squarings; rounding is not covered",
        about="circle",
        call=peers.gram_iteration,
        claims_upper=True,
    ),
    Peer(
        name="power",
        source="Farnia et al. 2019, Ryu et al. 2019",
        claim="estimate",
        meaning="from below: 100 power iterations on the operator itself, by torch",
        about="zeros",
        call=peers.power_iteration,
        side="below",
    ),
    Peer(
        name="torch sn",
        source="Miyato et al. 2018; torch's spectral_norm",
        claim="other quantity",
        meaning="norm of the kernel reshaped to a matrix: another operator, bounds nothing here",
        about="reshaped",
        call=peers.reshaped_norm,
    ),
    Peer(
        name="4-matrix",
        source="Singla, Feizi 2019",
        claim="estimate",
        meaning="meant as an upper bound, every size; its norms are 50 power iterations",
        about="every size",
        call=peers.four_matrix_bound,
        claims_upper=True,
    ),
    Peer(
        name="tensor",
        source="Grishina et al. 2024",
        claim="estimate",
        meaning="meant as an upper bound, every size; stops at a local maximum",
        about="every size",
        call=peers.tensor_bound,
        claims_upper=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTask:
    """What one worker measures: a layer, beside every peer that can treat it.

    Parameters
    ----------
    group, name : str
        Section and row of the table.
    layer : Convolution
    rtol : float
        Relative width asked of the enclosures.
    repeats : int
    full : bool
        Also run the peers that need gigabytes on this layer.
    threads : int
    """

    group: str
    name: str
    layer: Convolution
    rtol: float = 1e-6
    repeats: int = 5
    full: bool = False
    threads: int = 1


def measure_layer(task: LayerTask) -> list[dict[str, Any]]:
    """Measurements of all cases of a layer, as plain data (:meth:`Measurement.as_dict`)."""
    with limited_threads(task.threads):
        warm_up()
        measured = [measure(case, repeats=task.repeats) for case in layer_cases(task)]
    return [flag_too_low(m, measured).as_dict() for m in measured]


def flag_too_low(measurement: Measurement, beside: list[Measurement]) -> Measurement:
    """Mark a value that is called an upper bound and lies below a proved lower bound."""
    if not any(peer.claims_upper for peer in PEERS if peer.name == measurement.method):
        return measurement
    proved = [m for m in beside if m.claim == "proved" and m.quantity == measurement.quantity]
    if any(measurement.value < m.lower for m in proved):
        return dataclasses.replace(measurement, note="too low")
    return measurement


# ---- the cases ----------------------------------------------------------------------------------
def layer_cases(task: LayerTask) -> list[Case]:
    """Our enclosures of the norm for every size, on the circle and as padded; then the peers."""
    from lipschitz.convolution import spectral_norm, spectral_norm_torus

    layer = task.layer
    geometry: dict[str, Any] = {
        "stride": layer.stride,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "transposed": layer.transposed,
    }
    sizes = layer.input_shape[1:]
    circle, padded = f"circular {shape_text(sizes)}", f"{layer.padding} {shape_text(sizes)}"
    has_circle = layer.transposed or not any(
        n % s for n, s in zip(sizes, layer.stride, strict=True)
    )

    def ours(quantity: str, call: Callable[[], Enclosure], at_most: str = "") -> Case:
        return Case(
            group=task.group,
            instance=task.name,
            quantity=quantity,
            method="ours",
            call=call,
            claim="proved",
            at_most=at_most,
        )

    cases = [
        ours(
            EVERY_SIZE,
            lambda: spectral_norm_torus(layer.kernel, rtol=task.rtol, **geometry),
        )
    ]
    if has_circle:
        cases.append(
            ours(
                circle,
                lambda: spectral_norm(layer.kernel, sizes, rtol=task.rtol, wrap=True, **geometry),
                EVERY_SIZE,
            )
        )
    if layer.padding != "circular":
        own_padding: dict[str, Any] = {
            "padding": layer.padding,
            "pad_width": layer.pad_width,
            "output_padding": layer.output_padding,
        }
        cases.append(
            ours(
                padded,
                lambda: spectral_norm(
                    layer.kernel, sizes, rtol=task.rtol, **own_padding, **geometry
                ),
                EVERY_SIZE if layer.padding == "zeros" else "",
            )
        )
    quantities = {"circle": circle, "zeros": padded, "every size": EVERY_SIZE}
    for peer in PEERS:
        arguments = _peer_arguments(peer, layer, has_circle=has_circle, full=task.full)
        if arguments is not None:
            positional, named = arguments
            cases.append(
                Case(
                    group=task.group,
                    instance=task.name,
                    quantity=quantities.get(peer.about, "reshaped kernel"),
                    method=peer.name,
                    call=functools.partial(peer.call, *positional, **named),
                    claim=peer.claim,
                    side=peer.side,
                    rtol=_rounding(layer) if peer.side else 0.0,
                )
            )
    return cases


def _rounding(layer: Convolution) -> float:
    """Relative error of a peer's value from rounding alone.

    LAPACK's singular values are those of a matrix within ``p(m, n) eps ||A||`` of A, p a modest
    polynomial (LAPACK Users' Guide, section 4.9); 10 max(m, n) is taken. The FFT of N samples adds
    ``10 log2 N`` (Higham, Accuracy and Stability, theorem 24.2), a dot product its length.
    """
    sizes = int(math.prod(layer.input_shape[1:]) * math.prod(layer.stride))
    channels = int(max(layer.kernel.shape[:2])) * math.prod(layer.stride)
    terms = channels * math.prod(layer.kernel_size)
    return 10.0 * (channels + terms + math.log2(sizes + 1)) * EPS


def _peer_arguments(
    peer: Peer, layer: Convolution, *, has_circle: bool, full: bool
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Arguments of a peer for a layer, or None if it cannot treat it.

    A transposed convolution is replaced by the convolution that it transposes, which has the same
    norm and maps the larger grid to the smaller one.
    """
    kernel = np.array(layer.kernel)
    if peer.about == "reshaped":
        return (kernel,), {}
    geometry: dict[str, Any] = {
        "stride": layer.stride,
        "dilation": layer.dilation,
        "groups": layer.groups,
    }
    if peer.about == "zeros":
        symmetric = all(before == after for before, after in layer.pad_width)
        if layer.padding != "zeros" or not symmetric:
            return None
        grid = layer.output_shape[1:] if layer.transposed else layer.input_shape[1:]
        pad = tuple(before for before, _ in layer.pad_width)
        return (kernel, grid), {**geometry, "pad_width": pad}
    if peer.about == "every size":
        # Dilation changes no norm here, except through a stride. The grid is large enough not to
        # wrap the kernel.
        if all(s == 1 for s in layer.stride):
            geometry["dilation"] = (1,) * len(layer.stride)
        spans = zip(layer.stride, geometry["dilation"], layer.kernel_size, strict=True)
        kernels, _ = peers.as_stride_one(kernel, [s * (d * k + 1) for s, d, k in spans], **geometry)
        return (kernels,), {}
    if not has_circle:
        return None
    sizes = layer.input_shape[1:]
    if layer.transposed:
        sizes = tuple(n * s for n, s in zip(sizes, layer.stride, strict=True))
    kernels, coarse = peers.as_stride_one(kernel, sizes, **geometry)
    spectrum = 16 * math.prod(coarse) * math.prod(kernels.shape[:3])
    if spectrum > _LARGEST_SPECTRUM and not full:
        return None
    if peer.call is peers.half_spectrum_svd:
        return (kernels, coarse), {"library": faster_library(*kernels.shape[1:3])}
    return (kernels, coarse), {}


@functools.cache
def faster_library(rows: int, columns: int) -> Literal["torch", "numpy"]:
    """Which of torch and numpy takes fewer seconds here for a few SVDs of about this shape."""
    rows, columns = min(rows, _CALIBRATED), min(columns, _CALIBRATED)
    rng = np.random.default_rng(0)
    count = min(300, max(16, 10**6 // (rows * columns * min(rows, columns))))
    kernels = rng.standard_normal((1, rows, columns, 2 * count))
    seconds: dict[Literal["torch", "numpy"], float] = {}
    for library in ("torch", "numpy"):
        call = functools.partial(peers.half_spectrum_svd, kernels, (2 * count,), library=library)
        seconds[library] = min(timed(call)[1] for _ in range(3))
    return min(seconds, key=seconds.__getitem__)


def shape_text(sizes: tuple[int, ...]) -> str:
    """``(56, 56)`` as ``56x56``."""
    return "x".join(str(n) for n in sizes)


# ---- fair timing --------------------------------------------------------------------------------
@functools.cache
def warm_up() -> None:
    """Run every method once on a tiny layer, so that imports and pools are not timed."""
    kernel: NDArray[np.float64] = np.random.default_rng(0).standard_normal((2, 2, 3, 3))
    layer = Convolution(kernel=kernel, input_shape=(2, 8, 8), pad_width=((1, 1), (1, 1)))
    for case in layer_cases(LayerTask(group="", name="", layer=layer)):
        case.call()
