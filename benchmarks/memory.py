"""How much memory a call needs at its peak, beyond what the process held before."""

from __future__ import annotations

import ctypes
import math
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["PeakMemory"]

_PERIOD = 0.004  # seconds between two readings


class PeakMemory:
    """Context that reads the resident size of the process every few milliseconds.

    It sees what numpy, torch and LAPACK allocate, which Python's own tracer does not; a peak that
    lasts less than the period is missed. Only Linux tells; elsewhere the answer is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> with PeakMemory() as peak:
    ...     size = np.ones(2**22).sum()
    >>> math.isnan(peak.mebibytes) or peak.mebibytes >= 0.0
    True
    """

    mebibytes: float = math.nan

    def __enter__(self) -> Self:
        _return_freed_memory()
        self._before = self._largest = _resident_mebibytes()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        if not math.isnan(self._before):
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._done.set()
            self._thread.join()
            self.mebibytes = max(self._largest, _resident_mebibytes()) - self._before

    def _watch(self) -> None:
        while not self._done.wait(_PERIOD):
            self._largest = max(self._largest, _resident_mebibytes())


def _return_freed_memory() -> None:
    """Ask glibc for what earlier calls have freed, which would hide what this one needs."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # another C library


def _resident_mebibytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
