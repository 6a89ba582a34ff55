"""Reads the files of a peer worker. They are held in memory, so that they may be removed at any time."""

from __future__ import annotations

import logging
import mmap
import os
from array import array
from contextlib import suppress
from pathlib import Path

from instrumentation.store import archive, series_index, worker_files
from instrumentation.store.archive import Archive
from instrumentation.store.merge import is_kept
from instrumentation.store.table import Part

_log = logging.getLogger("instrumentation")


class PeerWorker:
    """A peer worker.

    Attributes:
        name: Its name.
        part: Its series, in its memory-mapped file; after its end, a copy of those that still count.
        archive: Its archive of dead workers.
        is_running: Whether its process is still running.
        is_listed: Whether its files exist.
        is_orphan: Whether its files were removed together with this worker's, and so not because it was merged.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.part = Part()
        self.archive = Archive()
        self.is_running = True
        self.is_listed = True
        self.is_orphan = False
        self._paths = {kind: f"{folder}/{name}.{kind}" for kind in worker_files.KINDS}
        self._stamp: worker_files.Stamp | None = None  # of the archive
        self._files: object = None  # identifies the keys and values files that are open
        self._keys: worker_files.File | None = None
        self._read = 0  # bytes of keys read
        self._end = 0  # slots described by them
        self._held: tuple[Part, int, int] = (self.part, 0, 0)

    def look(self) -> None:
        """Read new data. Removed files are still read until other files replace them."""
        with suppress(OSError):
            lines, values = os.stat(self._paths["keys"]), os.stat(self._paths["values"])  # noqa: PTH116 - half the cost
            files = (lines.st_dev, lines.st_ino, values.st_dev, values.st_ino)
            if files != self._files:
                found = worker_files.File(self._paths["keys"], os.O_RDONLY), Part([], _mapped(self._paths["values"]))
                (self._keys, self.part), self._files, self._read, self._end = found, files, 0, 0
        with suppress(OSError):
            self._read_on()

    def _read_on(self) -> None:
        size = os.fstat(self._keys.number).st_size if self._keys else 0
        if self._keys and size > self._read:
            lines = os.pread(self._keys.number, size - self._read, self._read)
            found = series_index.read(lines, self._end, len(self.part.slots))
            self.part.rows.extend(found.rows)
            self._read += found.size
            self._end = found.end

    @property
    def held(self) -> int:
        """The number of series in its table."""
        counted = len(self.part.rows)
        if self._held[:2] != (self.part, counted):
            series = {
                (key.metric.name, key.labels) for key, _ in self.part.rows if key.metric.name not in worker_files.SAID
            }
            self._held = self.part, counted, len(series)
        return self._held[2]

    def look_at_archive(self) -> None:
        """Read the archive again if it was replaced."""
        found = worker_files.stamp(self._paths["archive"])
        if found is None or found == self._stamp:
            return
        with suppress(OSError):
            try:
                self.archive = archive.read(Path(self._paths["archive"]))
            except ValueError as error:
                _log.warning("%s cannot be read: %s; its previous content is used", self._paths["archive"], error)
            self._stamp = found

    def end(self) -> None:
        """Read for the last time and copy what still counts. Nothing more is written, so the files can be closed."""
        self.look()
        if self._keys is not None:
            rows = [row for row in self.part.rows if is_kept(row[0].metric)]
            self.part = Part(rows, array("d", bytes(self.part.slots[: self._end])))
            self._keys = None


def _mapped(path: str) -> memoryview[float]:
    """A mapped values file, which may have just been created."""
    with suppress(ValueError, TypeError), open(path, "r+b") as stream:  # noqa: PTH123 - half the cost of Path.open
        return memoryview(mmap.mmap(stream.fileno(), 0)).cast("d")
    return memoryview(array("d"))
