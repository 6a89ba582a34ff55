"""The files of this worker: values, keys, and the archive of dead workers."""

from __future__ import annotations

import mmap
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from instrumentation.catalog import PROCESS_CPU, SIDELIGHT_SERIES_FOLDED
from instrumentation.store import series_index
from instrumentation.store.archive import Archive
from instrumentation.store.memory_mapping import move

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from instrumentation.store.table import Key

KINDS = ("values", "archive", "keys")
"""The suffixes of a worker's files."""

NAME = re.compile(rf"\.?(\d+-\d*)\.(?:{'|'.join(KINDS)})").fullmatch
"""Matches a worker's files and its name. A file that is being written starts with a dot. Other files are allowed."""

SAID = frozenset({SIDELIGHT_SERIES_FOLDED.name, PROCESS_CPU.name})
"""The metrics of a worker's first series, which describe the worker itself."""


class WorkerFiles:
    """The files of this worker.

    Args:
        folder: The folder for the files.
        name: The worker's name.
        slots: The number of slots for series.

    Raises:
        OSError: The files cannot be created.

    Attributes:
        slots: The mapped slots.
        archive: The counters of dead workers that this worker has merged.
    """

    def __init__(self, folder: Path, name: str, slots: int) -> None:
        self._paths = {kind: f"{folder}/{name}.{kind}" for kind in KINDS}
        try:
            self._values = _allocated(self._paths["values"], slots * series_index.FLOAT)
            self._memory = mmap.mmap(self._values.number, slots * series_index.FLOAT)
            self._keys = _replaced(self._paths["keys"], b"")
        except OSError:
            remove(folder, [f"{name}.{kind}" for kind in KINDS])
            raise
        self._written = 0  # bytes of keys
        self._stamp: Stamp | None = None  # of the archive
        self.slots = memoryview(self._memory).cast("d")
        self.archive = Archive()

    def publish(self, key: Key) -> None:
        """Make the next series visible to others; if the disk is full, once the files are restored."""
        line = series_index.line(key)
        self._written += len(line)
        with suppress(OSError):
            os.write(self._keys.number, line)

    def is_in_place(self) -> bool:
        """Whether the files exist, are this worker's and are complete."""
        found = _status(self._paths["keys"])
        return (
            found is not None
            and found.st_size == self._written
            and os.path.samestat(found, os.fstat(self._keys.number))
            and self._has_values()
            and stamp(self._paths["archive"]) == self._stamp
        )

    def restore(self, published: Iterable[Key]) -> None:
        """Create the files again with the current numbers; writers to ``slots`` do not notice.

        Raises:
            OSError: The files cannot be created.
        """
        if not self._has_values():
            self._move()
        lines = b"".join(map(series_index.line, published))
        self._keys, self._written = _replaced(self._paths["keys"], lines), len(lines)
        if stamp(self._paths["archive"]) != self._stamp:
            self.take_over(self.archive)

    def take_over(self, archive: Archive) -> None:
        """Replace the archive.

        Raises:
            OSError: It cannot be written, and the previous one is kept.
        """
        file = _replaced(self._paths["archive"], archive.as_bytes())
        self.archive, self._stamp = archive, _stamp(os.fstat(file.number))

    def _has_values(self) -> bool:
        found = _status(self._paths["values"])
        return found is not None and os.path.samestat(found, os.fstat(self._values.number))

    def _move(self) -> None:
        path = self._paths["values"]
        file = _allocated(_hidden(path), len(self._memory))
        move(self._memory, self._values.number, file.number)
        self._values = file
        os.rename(_hidden(path), path)  # noqa: PTH104 - names, no paths


class File:
    """An open file, closed once it is no longer referenced, also in a forked child.

    Attributes:
        number: Its descriptor.
    """

    def __init__(self, path: str, flags: int) -> None:
        self.number = os.open(path, flags, 0o600)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "number"):
            close(self.number)


Stamp = tuple[int, int, int]


def stamp(path: str) -> Stamp | None:
    """A value that changes when a file is replaced; None if the file does not exist."""
    found = _status(path)
    return None if found is None else _stamp(found)


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_mtime_ns, found.st_size


def remove(folder: Path, files: Iterable[str]) -> None:
    """Remove files; files that cannot be removed stay."""
    for file in files:
        with suppress(OSError):
            os.unlink(f"{folder}/{file}")  # noqa: PTH108 - a name, no path


def has_any(folder: Path) -> bool:
    """Whether there are files of a worker in a folder."""
    with suppress(OSError):
        return any(NAME(file) for file in os.listdir(folder))  # noqa: PTH208 - names, no paths
    return False


def _status(path: str) -> os.stat_result | None:
    with suppress(OSError):
        return os.stat(path)  # noqa: PTH116 - half the cost of Path.stat
    return None


def _hidden(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}"


def _allocated(path: str, size: int) -> File:
    """A new file of zeros."""
    file = File(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.posix_fallocate(file.number, 0, size)  # on a full disk, writing to a hole would kill the process
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    return file


def _replaced(path: str, text: bytes) -> File:
    """A file with this text, opened for appending; it replaces an existing file."""
    hidden = _hidden(path)
    file = File(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    try:
        left = memoryview(text)
        while left:
            left = left[os.write(file.number, left) :]
        os.rename(hidden, path)  # noqa: PTH104 - names, no paths
    except OSError as error:
        with suppress(OSError):
            os.unlink(hidden)  # noqa: PTH108 - a name, no path
        raise OSError(error.errno, error.strerror, path) from None
    return file
