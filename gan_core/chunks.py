"""Many seeds in little memory, or on several processes: chunk by chunk, to the same bits.

A member's result does not depend on who trains beside it, so that seeds may be split at will.
Processes split the seeds, never threads inside the small products: two threads are slower here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from evidence.execution import map_tasks
from evidence.validation import nonnegative_int, positive_int

__all__ = ["in_chunks"]

Array = NDArray[np.float64]


def in_chunks(
    function: Callable[[tuple[int, ...]], Array],
    seeds: Sequence[int],
    *,
    chunk: int = 16,
    executor: Executor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Array:
    """Evaluate a function of many seeds on a few at a time.

    Parameters
    ----------
    function : callable, tuple of int -> array, shape (..., len(seeds))
        Trains and measures; for other processes a function at the top of a module.
    seeds : sequence of int
    chunk : int
        Seeds at a time: memory grows with it, 8 to 32 are fastest on one core.
    executor : concurrent.futures.Executor, optional
        Where the chunks run; one after the other here if left out.
    checkpoint : path, optional
        Finished chunks are kept there, and a killed run resumes from them.

    Returns
    -------
    array, shape (..., len(seeds))
        In the order of the seeds.

    Raises
    ------
    ValueError
        No seeds, or a chunk below 1.

    Examples
    --------
    >>> in_chunks(lambda seeds: np.array(seeds) ** 2.0, range(5), chunk=2)
    array([ 0.,  1.,  4.,  9., 16.])
    """
    listed = [nonnegative_int(seed, "seeds") for seed in seeds]
    if not listed:
        raise ValueError("`seeds` must hold at least one seed")
    size = positive_int(chunk, "chunk")
    tasks = [tuple(listed[i : i + size]) for i in range(0, len(listed), size)]
    parts = map_tasks(functools.partial(_listed, function), tasks, executor, checkpoint)
    return np.concatenate([np.asarray(part) for part in parts], axis=-1)


def _listed(function: Callable[[tuple[int, ...]], Array], seeds: tuple[int, ...]) -> object:
    """The function's array as nested lists, which a checkpoint can hold with all their bits."""
    return np.asarray(function(tuple(seeds)), dtype=np.float64).tolist()
