"""The store of several workers: a memory-mapped file for each, and an archive of those that have ended.

``<worker>.values`` holds the slots; ``<worker>.keys`` a line of JSON for each series, appended once the slots are
there. Any worker reads them all. Whoever finds the files of a worker that has ended folds its counters into
``archive.json`` and removes them; its gauges vanish. The folder's lock is held meanwhile, so a reader sees each count once.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from instrumentation.catalog import BY_NAME, PROCESS_CPU
from instrumentation.store import family
from instrumentation.store.base import BaseStore
from instrumentation.store.merge import Sums, is_kept
from instrumentation.store.table import Row
from instrumentation.store.usage import process_values, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Series
    from instrumentation.store.usage import Usage

_log = logging.getLogger("instrumentation")
_FLOAT = 8  # bytes
_SLOTS_PER_SERIES = 24  # room for a histogram with the usual edges, and some more for shards
_SPARE = 4096  # slots for overflow series
_SCRATCH = 1024  # slots that nobody reads, for what has no room at all
_LOCK_SECONDS = 2.0
_OWN = 1  # slots before the first series: the CPU seconds that a reader last saw this worker use
_ARCHIVE = "archive.json"
_LOCK = "lock"


class SharedStore(BaseStore):
    """This worker's series in a file, and the sum over all workers; see ``Store`` for the interface.

    Args:
        folder: The folder that the workers share; it is made where it is not there.
        series_limit: How many series this worker may make before new ones are folded.
        name: This worker's name; its pid and start by default.
        is_alive: Whether the worker of a name still runs.
        usage: What the process of a pid uses.

    Raises:
        OSError: The folder or the file cannot be made, or there is no room for it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        series_limit: int = 2000,
        name: str | None = None,
        is_alive: Callable[[str], bool] = family.is_alive,
        usage: Callable[[int], Usage | None] = usage,
    ) -> None:
        super().__init__(series_limit, used=_OWN)
        self.folder = folder
        self.name = name or family.identity(os.getpid())
        self._is_alive = is_alive
        self._usage = usage
        self._slots = series_limit * _SLOTS_PER_SERIES + _SPARE + _SCRATCH
        self._files: dict[str, _File] = {}
        self._archive = _Archive(folder / _ARCHIVE)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = os.open(self._path("keys"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._map = _allocated(self._path("values"), self._slots)
        self.buffer = self._view = memoryview(self._map).cast("d")

    def series(self) -> Iterator[Series]:
        """Every series, summed over the workers, those that have ended included."""
        sums = Sums()
        with self.lock, self._locked() as alone:
            running, ended = self._found()
            is_folded = alone and self._folded(ended)
            left = [] if is_folded else [file for file in ended if not self._archive.holds(file.name)]
            for archived in self._archive.rows():
                sums.add(*archived)
            for file in (*running, *left):
                for row, slots in file.rows():
                    if file in running or is_kept(row.metric):
                        sums.add(row.metric, row.labels, row.edges, slots, row.created)
            self._add_processes(sums, running, left)
        return iter(sums)

    def _add_processes(self, sums: Sums, running: list[_File], left: list[_File]) -> None:
        """What the workers use. The last CPU time seen of each stands in its file, for when it has ended."""
        used = {file: found for file in running if (found := self._usage(_pid(file.name)))}
        for file, found in used.items():
            file.saw_cpu(found.cpu)
        ended = sum(file.cpu for file in (*running, *left) if file not in used)
        for metric, value in process_values(used.values(), ended):
            sums.add(metric, (), (), [value], min(found.started for found in used.values()))

    def workers(self) -> list[str]:
        """The names of the workers that run, this one among them."""
        with self.lock:
            return [file.name for file in self._found()[0]]

    def close(self) -> None:
        """Give the memory back; the file stays for whoever folds it."""
        with self.lock:
            os.close(self._keys)
            self._view.release()
            self._map.close()

    def _path(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"

    def _made(self, row: Row) -> None:
        self._table.is_full = self._table.used > self._slots - _SPARE - _SCRATCH
        if self._has_room(row):
            self._publish(row)

    def _at(self, row: Row) -> int:
        return row.start if self._has_room(row) else self._slots - row.width

    def _has_room(self, row: Row) -> bool:
        return row.start + row.width <= self._slots - _SCRATCH

    def _publish(self, row: Row) -> None:
        line = json.dumps([row.metric.name, row.labels, row.edges, row.start, row.width, row.created])
        try:
            os.write(self._keys, f"{line}\n".encode())
        except OSError as error:  # the disk is full: counted here, seen by others once there is room again
            _log.warning("sidelight cannot publish a series to the other workers: %s", error.strerror)

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the folder; False where a worker that hangs would not let go of it, and nothing may be folded."""
        handle = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _lock(handle)
        finally:
            os.close(handle)

    def _found(self) -> tuple[list[_File], list[_File]]:
        """The files of the workers that run, and of those that have ended."""
        names = sorted(path.stem for path in self.folder.glob("*.keys"))
        for name in self._files.keys() - set(names):
            self._files.pop(name).close()
        files = [self._files.setdefault(name, _File(self.folder, name)) for name in names]
        running = [file for file in files if file.name == self.name or self._is_alive(file.name)]
        return running, [file for file in files if file not in running]

    def _folded(self, ended: list[_File]) -> bool:
        """Archive first, remove then: a crash in between leaves files that the archive already names."""
        try:
            self._archive.fold([file for file in ended if not self._archive.holds(file.name)])
            for file in ended:
                file.remove()
        except OSError as error:  # the disk is full: the files are read as they are, and folded another time
            _log.warning("sidelight cannot fold the counts of workers that have ended: %s", error.strerror)
            return False
        for file in ended:
            self._files.pop(file.name).close()
        return True


def _lock(handle: int) -> bool:
    deadline = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.001)
    return False


class _File:
    """A worker's files, read; the lines that were read before are not read again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._keys = folder / f"{name}.keys"
        self._values = folder / f"{name}.values"
        self._map: mmap.mmap | None = None
        self._read = 0
        self._rows: list[Row] = []

    def rows(self) -> Iterator[tuple[Row, memoryview[float]]]:
        """Each row with its slots."""
        self._read_keys()
        slots = self._slots()
        if slots is not None:
            for row in self._rows:
                yield row, slots[row.start : row.start + row.width]

    @property
    def cpu(self) -> float:
        """The CPU seconds that were last seen."""
        slots = self._slots()
        return 0.0 if slots is None else slots[0]

    def saw_cpu(self, seconds: float) -> None:
        """Keep what was seen, since nobody can ask a process that has ended."""
        slots = self._slots()
        if slots is not None:
            slots[0] = seconds

    def _slots(self) -> memoryview[float] | None:
        if self._map is None:
            self._map = _mapped(self._values)
        return None if self._map is None else memoryview(self._map).cast("d")

    def remove(self) -> None:
        """Remove the files, the keys last: they are how the worker is found."""
        for path in (self._values, self._keys):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the memory back, unless somebody still reads it."""
        if self._map is not None:
            with suppress(BufferError):
                self._map.close()

    def _read_keys(self) -> None:
        with suppress(FileNotFoundError), self._keys.open("rb") as stream:
            stream.seek(self._read)
            whole, newline, _ = stream.read().rpartition(b"\n")  # a line may be half written
            self._read += len(whole) + len(newline)
            self._rows += filter(None, map(_row, whole.splitlines()))


def _row(line: bytes) -> Row | None:
    try:
        name, labels, edges, start, width, created = json.loads(line)
        return Row(BY_NAME[name], tuple(labels), tuple(edges), start, width, created)
    except (ValueError, KeyError, TypeError):  # torn, or of another version
        return None


class _Archive:
    """What workers that have ended counted; one file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: object = None
        self._data: dict[str, Any] = {"folded": [], "rows": []}

    def rows(self) -> Iterator[tuple[Metric, tuple[str, ...], tuple[float, ...], list[float], float]]:
        """Each series."""
        for name, labels, edges, slots, created in self._current()["rows"]:
            if name in BY_NAME:
                yield BY_NAME[name], tuple(labels), tuple(edges), slots, created

    def holds(self, name: str) -> bool:
        """Whether a worker has been folded, although its files are still there."""
        return name in self._current()["folded"]

    def fold(self, files: list[_File]) -> None:
        """Add workers' counters. The names of those whose files are gone need not be kept."""
        if not files:
            return
        sums = Sums()
        for archived in self.rows():
            sums.add(*archived)
        for file in files:
            for row, slots in file.rows():
                if is_kept(row.metric):
                    sums.add(row.metric, row.labels, row.edges, slots, row.created)
            if file.cpu:
                sums.add(PROCESS_CPU, (), (), [file.cpu], time.time())
        rows = [[held.metric.name, held.labels, held.edges, held.slots, held.created] for held in sums]
        lasting = [name for name in self._current()["folded"] if (self._path.parent / f"{name}.keys").exists()]
        self._write({"folded": [*lasting, *(file.name for file in files)], "rows": rows})

    def _current(self) -> dict[str, Any]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._data = None, {"folded": [], "rows": []}
            return self._data
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._data = json.loads(self._path.read_text())
            self._stamp = stamp
        return self._data

    def _write(self, data: dict[str, Any]) -> None:
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".archive.")
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump(data, stream)
            os.replace(temporary, self._path)  # noqa: PTH105 - a name, not a Path
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise


def _allocated(path: Path, slots: int) -> mmap.mmap:
    """A new file of zeros, mapped. Its blocks are really there: a write to a hole of a full disk would kill the process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(handle, 0, slots * _FLOAT)
        return mmap.mmap(handle, slots * _FLOAT)
    finally:
        os.close(handle)


def _mapped(path: Path) -> mmap.mmap | None:
    with suppress(FileNotFoundError, ValueError), path.open("r+b") as stream:
        return mmap.mmap(stream.fileno(), 0)
    return None


def _pid(name: str) -> int:
    return int(name.partition("-")[0])
