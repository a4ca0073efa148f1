"""Files that are replaced as a whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

__all__ = ["replace_file", "write_atomically"]


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file by what ``write`` puts into the stream it is given.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    write : callable
        Takes a binary stream. If it raises, the old file stays and nothing else is left behind.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> replace_file(Path(folder.name) / "b", lambda stream: stream.write(b"text"))
    >>> (Path(folder.name) / "b").read_bytes(), os.listdir(folder.name)
    (b'text', ['b'])
    >>> folder.cleanup()
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes the file private; it is for everyone who may read its folder.
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by a text in UTF-8, line ends as they are.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_atomically(Path(folder.name) / "b.txt", "text")
    >>> (Path(folder.name) / "b.txt").read_text(), os.listdir(folder.name)
    ('text', ['b.txt'])
    >>> folder.cleanup()
    """
    replace_file(path, lambda stream: stream.write(text.encode("utf-8")))
