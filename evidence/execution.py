"""Many independent tasks: on one process, a pool or a cluster, resumed after a kill, same answer.

The answer depends on the tasks and the seed alone. Which executor runs them, in which order they
finish, and how often the run was killed on the way change nothing:

* results come back in the order of the tasks;
* a task that needs randomness gets its own stream, ``numpy.random.default_rng([seed, index])``;
* with a checkpoint, every finished result is on the disk before the next one is waited for, in a
  text file of one JSON document per line, which is read by ``json`` and never executed.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

__all__ = ["CheckpointError", "fingerprint", "map_tasks"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_HEADER = {"format": "evidence checkpoint", "version": 1}


class CheckpointError(ValueError):
    """The file named as ``checkpoint`` is of another kind, or damaged."""


def map_tasks(
    function: Callable[..., Result],
    tasks: Iterable[Task],
    executor: Executor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    seed: int | None = None,
) -> list[Result]:
    """``[function(task) for task in tasks]``, on any executor, resumable.

    Parameters
    ----------
    function : callable
        Called as ``function(task)``, or as ``function(task, rng=rng)`` if a ``seed`` is given.
        A process pool needs a function that can be imported by name.
    tasks : iterable
        The arguments. They are independent: no task sees the result of another.
    executor : concurrent.futures.Executor, optional
        A pool of threads or processes, or ``distributed.Client(...).get_executor()``. The caller
        opens and closes it. Without one the tasks run here, one after another.
    checkpoint : path, optional
        A file that collects the finished results. A run that finds the file skips what is in it.
        Results must then be plain JSON (``None``, ``bool``, ``int``, ``float``, ``str``, lists,
        and dictionaries with string keys), so that a resumed run returns what an uninterrupted
        one returns. One run at a time may use the file.
    progress : callable, optional
        Called as ``progress(done, total)``: once at the start, then after every finished task.
    seed : int, optional
        A nonnegative integer. Task number ``i`` gets ``numpy.random.default_rng([seed, i])``.

    Returns
    -------
    list
        The results, in the order of the tasks.

    Raises
    ------
    TypeError
        With a checkpoint: if a task has no stable fingerprint, or a result is not plain JSON.
    ValueError
        If ``seed`` is negative.
    CheckpointError
        If ``checkpoint`` is another kind of file, or damaged; a ``ValueError``.
    Exception
        Whatever a task raises, with a note that names the task. Tasks that have not started are
        cancelled; what was finished before is in the checkpoint.

    Notes
    -----
    An entry of the checkpoint is found by the SHA-256 of the function's importable name, the
    task's value (:func:`fingerprint`) and, with a seed, ``[seed, index]``. A changed task is
    computed anew. A changed *body* of the function is not noticed: delete the file then.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     map_tasks(abs, [-3, 2, -1], pool)
    [3, 2, 1]
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ValueError(f"`seed` must be a nonnegative integer or None, got {seed!r}")
    todo = list(tasks)
    total = len(todo)
    results: dict[int, Result] = {}
    store = None if checkpoint is None else _Checkpoint(Path(checkpoint))
    keys: list[str] = []
    if store is not None:
        keys = [_key(function, task, seed, index) for index, task in enumerate(todo)]
        results = {i: store.entries[key] for i, key in enumerate(keys) if key in store.entries}
    if progress is not None:
        progress(len(results), total)

    def finish(index: int, result: Result) -> None:
        if store is not None:
            store.append(keys[index], result)
        results[index] = result
        if progress is not None:
            progress(len(results), total)

    missing = [index for index in range(total) if index not in results]
    if executor is None:
        for index in missing:
            try:
                result = _call(function, todo[index], seed, index)
            except Exception as error:
                raise _named(error, index, todo[index]) from None
            finish(index, result)
    else:
        _run_on(executor, function, todo, missing, seed, finish)
    return [results[index] for index in range(total)]


def _run_on(
    executor: Executor,
    function: Callable[..., Result],
    tasks: Sequence[Task],
    missing: Sequence[int],
    seed: int | None,
    finish: Callable[[int, Result], None],
) -> None:
    futures: dict[Future[Result], int] = {}
    failure: BaseException | None = None
    try:
        for index in missing:
            futures[executor.submit(_call, function, tasks[index], seed, index)] = index
        for future in as_completed(futures):
            index = futures[future]
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                finish(index, future.result())
            elif failure is None:
                # Let the tasks that already run finish, so that their results are kept.
                failure = _named(error, index, tasks[index])
                for other in futures:
                    other.cancel()
    finally:
        for future in futures:
            future.cancel()
    if failure is not None:
        raise failure


def _call(function: Callable[..., Result], task: Task, seed: int | None, index: int) -> Result:
    if seed is None:
        return function(task)
    return function(task, rng=np.random.default_rng([seed, index]))


Error = TypeVar("Error", bound=BaseException)


def _named(error: Error, index: int, task: object) -> Error:
    text = repr(task)
    error.add_note(f"in task {index}: {text if len(text) <= 200 else text[:197] + '...'}")
    return error


# ---- what a task is, for the checkpoint ---------------------------------------------------------
def fingerprint(value: object) -> str:
    """SHA-256 of a task's value: equal values, equal text, on every machine and in every run.

    Parameters
    ----------
    value : object
        ``None``, ``bool``, ``int``, ``float``, ``complex``, ``str``, ``bytes``, ``Path``, numpy
        scalars and arrays of numbers, named functions, and tuples, lists, dictionaries with
        string keys, ``functools.partial`` and dataclasses made of these.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        For any other type, whose ``repr`` may change from run to run.

    Examples
    --------
    >>> fingerprint((1, "a")) == fingerprint((1, "a")), fingerprint(1) == fingerprint(1.0)
    (True, False)
    """
    digest = hashlib.sha256()
    for part in _parts(value):
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def _parts(value: object) -> Iterable[str | bytes]:
    # Every composite names its type and length, so that ("a", "b") and ("ab",) differ.
    name = type(value).__name__
    if value is None or isinstance(value, bool | int | str):
        yield from (name, str(value))
    elif isinstance(value, float):
        yield from ("float", value.hex())
    elif isinstance(value, complex):
        yield from ("complex", value.real.hex(), value.imag.hex())
    elif isinstance(value, bytes):
        yield from (name, value)
    elif isinstance(value, Path):
        yield from ("Path", value.as_posix())
    elif isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind in "biufc":
        array = np.asarray(value)
        data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        yield from ("array", data.dtype.str, str(data.shape), data.tobytes())
    elif isinstance(value, tuple | list):
        yield from (name, str(len(value)))
        for item in value:
            yield from _parts(item)
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        yield from (name, str(len(value)))
        for key in sorted(value):
            yield key
            yield from _parts(value[key])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from (type(value).__module__, type(value).__qualname__)
        for field in dataclasses.fields(value):
            yield field.name
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, functools.partial):
        yield "partial"
        yield from _parts(value.func)
        yield from _parts(value.args)
        yield from _parts(value.keywords)
    elif callable(value) and "<" not in (qualname := getattr(value, "__qualname__", "<")):
        yield from ("function", str(getattr(value, "__module__", "")), qualname)
    else:
        raise TypeError(
            f"a checkpoint cannot tell one {name} from another in `tasks` or `function`; "
            "use numbers, strings, arrays, tuples, dictionaries, dataclasses and functions "
            "defined at the top of a module"
        )


def _key(function: Callable[..., object], task: object, seed: int | None, index: int) -> str:
    return fingerprint((function, task, None if seed is None else [seed, index]))


# ---- the file -----------------------------------------------------------------------------------
class _Checkpoint:
    """Results by key, one JSON document per line; a line is on the disk once `append` returns.

    A run that is killed while it writes leaves at most one torn line, at the end, which is cut
    off when the file is opened again. Damage anywhere else is refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        header = json.dumps(_HEADER).encode() + b"\n"
        if not (content.startswith(header) or header.startswith(content)):
            raise CheckpointError(
                f"`checkpoint` = {str(path)!r} is not a checkpoint of this format; "
                "name a new file, or delete this one"
            )
        for number, line in enumerate(whole.splitlines()[1:], start=2):
            try:
                entry = json.loads(line)
                self.entries[entry["key"]] = entry["result"]
            except (ValueError, KeyError, TypeError) as error:
                raise CheckpointError(
                    f"`checkpoint` = {str(path)!r} is damaged in line {number}; delete that line "
                    "to compute its task again, or delete the file"
                ) from error
        if content and len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        if not whole:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(header)

    def append(self, key: str, result: object) -> None:
        try:
            text = json.dumps(result)
            faithful = _same(json.loads(text), result)
        except (TypeError, ValueError, RecursionError):
            faithful = False
        if not faithful:
            raise TypeError(
                "a task's result must be plain JSON to be kept in `checkpoint`, got "
                f"{type(result).__name__}; return numbers, strings, lists and dictionaries with "
                "string keys, or run without a checkpoint"
            )
        self._write(f'{{"key": "{key}", "result": {text}}}\n'.encode())

    def _write(self, line: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _same(a: object, b: object) -> bool:
    """Equality that also asks for equal types (a tuple is no list, 1 is not 1.0) and takes NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a.hex() == b.hex()
    return a == b
