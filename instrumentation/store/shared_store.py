"""The store of a worker group: each worker writes its own files, and any of them reads all.

``<worker>.values`` contains the slots, memory-mapped. ``<worker>.keys`` contains a line per series, appended once the slots
exist. A worker that finds the files of a dead worker merges its counters into its own archive, ``<worker>.archive``, and
removes the files; gauges of the dead worker disappear. The folder's lock is held during this, so that a reader sees each
count once.

The folder may be removed at any time. Each worker keeps in memory what it needs, including the others' files, and restores
its own files: ``look_after`` checks them once a second.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from array import array
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from instrumentation.catalog import PROCESS_CPU, SIDELIGHT_SERIES_FOLDED
from instrumentation.log_once import LogOnce
from instrumentation.store import worker_files, worker_group
from instrumentation.store.archive import archived
from instrumentation.store.base_store import BaseStore
from instrumentation.store.interface import State
from instrumentation.store.merge import Sums
from instrumentation.store.peer_worker import PeerWorker
from instrumentation.store.process_metrics import process_values, usage
from instrumentation.store.series_index import FLOAT
from instrumentation.store.table import HEAD, Key, Part
from instrumentation.store.worker_files import WorkerFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from instrumentation.catalog import Metric
    from instrumentation.store.archive import Archive
    from instrumentation.store.interface import Series
    from instrumentation.store.process_metrics import Usage
    from instrumentation.store.table import Row

_SLOTS_PER_SERIES = 24  # room for a histogram with the usual edges, and some more for shards
_SPARE = 4096  # slots for overflow series
_SCRATCH = 1024  # slots that nobody reads, used when there is no room at all
_FOLDED = HEAD  # the index of the number of series that this worker has folded
_LOCK_SECONDS = 2.0
_LOCK = "lock"
_AT_ONCE = 64  # workers merged together; more would only use more memory
_REMEMBERED_SECONDS = 600.0  # longer than any worker keeps the numbers of a merged worker
_SETTLED_SECONDS = 2.0  # the time resolution of file systems is not coarser


class SharedStore(BaseStore):
    """This worker's series in files, and the sum over all workers; see ``Store`` for the interface.

    Args:
        folder: The folder that the workers share; it is created if it does not exist.
        series_limit: The maximum number of series of this worker before new ones are folded.
        name: This worker's name; by default its pid and start time.
        is_alive: Whether the worker with a name is still running.
        usage: Returns the resource usage of a process.

    Raises:
        OSError: The folder or the files cannot be created, or there is no space for them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        series_limit: int = 2000,
        name: str | None = None,
        is_alive: Callable[[str], bool] = worker_group.is_alive,
        usage: Callable[[int], Usage | None] = usage,
    ) -> None:
        super().__init__(series_limit)
        self.folder = folder
        self.name = name or worker_group.identity(os.getpid())
        self._is_alive = is_alive
        self._usage = usage
        self._slots = series_limit * _SLOTS_PER_SERIES + _SPARE + _SCRATCH
        worker_group.prepare(folder)
        self._own = WorkerFiles(folder, self.name, self._slots)
        self.buffer = self._own.slots
        self._part = Part([], self._own.slots)
        for metric, since in _published(usage(_pid(self.name))):
            self._publish((Key.of(metric, ()), self._table.used + HEAD), since)
            self._table.used += HEAD + 1
        self._peers: dict[str, PeerWorker] = {}
        self._reading = threading.Lock()
        self._looked: object = None
        self._listed: dict[str, list[str]] = {}
        self._log_once = LogOnce()
        self._processes = Part()
        self._sums, self._parts, self._counted = Sums(), list[Part](), list[int]()
        self.state = State(held=0, workers=1, size=self._slots * FLOAT)

    def series(self) -> Iterator[Series]:
        """All series, summed over the workers, including dead ones."""
        with self._reading:
            self._meet(_LOCK_SECONDS)
            series = list(self._summed())
            running = self._running()
            held = max([len(self._table.series), *(peer.held for peer in running)])
            self.state = State(held=held, workers=1 + len(running), size=_size(self.folder))
            return iter(series)

    def keep(self) -> None:
        """Restore the files if they were removed, and update the list of workers if it changed; cheap otherwise."""
        with self._reading:
            if self._looked is None or self._looked != self._changed() or not self._own.is_in_place():
                self._meet(0.0)

    def touch(self) -> None:
        """Show servers in other pid namespaces that the folder is in use."""
        with suppress(FileNotFoundError):
            os.utime(self.folder / _LOCK)

    def workers(self) -> list[str]:
        """The names of the running workers, including this one."""
        with self._reading:
            self._meet(_LOCK_SECONDS)
            return sorted([self.name, *(peer.name for peer in self._running())])

    # --- Writing ------------------------------------------------------------------------------------------------------

    def _made(self, row: Row, now: float) -> None:
        self._table.is_full = self._table.used > self._slots - _SPARE - _SCRATCH
        if self._has_room(row):
            self._publish(row, now)

    def _asked(self) -> None:
        self.buffer[_FOLDED] = float(self._table.folded)

    def _publish(self, row: Row, since: float) -> None:
        key, start = row
        self.buffer[start - HEAD] = since
        self._part.rows.append(row)
        self._own.publish(key)

    def _at(self, row: Row) -> int:
        key, start = row
        return start if self._has_room(row) else self._slots - key.width

    def _has_room(self, row: Row) -> bool:
        key, start = row
        return start + key.width <= self._slots - _SCRATCH

    # --- Discovering the others ---------------------------------------------------------------------------------------

    def _meet(self, patience: float) -> None:
        """Recreate our files if needed, discover other workers, and merge the counts of dead ones."""
        if not self._own.is_in_place():
            self._come_back()
        looked = self._changed()
        with _locked(self.folder / _LOCK, patience) as alone:
            self._look()
            self._part_with(self._left(), alone=alone)
        self._looked = looked

    def _come_back(self) -> None:
        for peer in self._peers.values():
            peer.is_orphan = True
        try:
            worker_group.prepare(self.folder)
            with self.lock:
                if not self._own.is_in_place():
                    self._own.restore(key for key, _ in self._part.rows)
        except OSError as error:
            self._warn("restore the files of this worker, so new workers do not see its counts", error)
        else:
            self._log_once.clear()

    def _changed(self) -> object:
        """A value that changes when files in the folder appear or disappear; None if it is missing or changed just now."""
        with suppress(OSError):
            found = os.stat(self.folder)  # noqa: PTH116 - it has the type of the others
            if time.time() - found.st_mtime > _SETTLED_SECONDS:
                return found.st_dev, found.st_ino, found.st_mtime_ns
        return None

    def _look(self) -> None:
        self._listed = self._files()
        for name in self._listed.keys() - self._peers.keys() - {self.name}:
            self._peers[name] = PeerWorker(self.folder, name)
        for peer in self._peers.values():
            files = self._listed.get(peer.name, ())
            peer.is_listed = bool(files)
            peer.is_orphan = peer.is_orphan and not peer.is_listed
            if f"{peer.name}.archive" in files:
                peer.look_at_archive()
            if self._is_alive(peer.name):
                peer.look()
            else:
                peer.is_running = False

    def _files(self) -> dict[str, list[str]]:
        """The workers with files, and the names of the files."""
        found: dict[str, list[str]] = {}
        try:
            for file in os.listdir(self.folder):  # noqa: PTH208 - names, no paths
                named = worker_files.NAME(file)
                if named:
                    found.setdefault(named[1], []).append(file)
        except FileNotFoundError:
            return {}
        except OSError:  # such as too many open files, which does not mean that files are gone
            return self._listed
        return found

    def _running(self) -> list[PeerWorker]:
        return [peer for peer in self._peers.values() if peer.is_running]

    # --- Folding ------------------------------------------------------------------------------------------------------

    def _left(self) -> list[PeerWorker]:
        """The dead workers that are not in any archive yet. Files of workers that are in one are removed.

        A dead worker whose files are gone was merged by another worker, unless the folder was, or may have been, removed.
        In that case its numbers are kept here, and are merged once all workers have restored their archives.
        """
        folded = {name for archive in self._archives() for name in archive.folded}
        left = []
        for peer in [*self._peers.values()]:
            if peer.is_running:
                continue
            if peer.name in folded or not (peer.is_listed or peer.is_orphan):
                self._forget(peer)
            else:
                left.append(peer)
        return left

    def _part_with(self, left: list[PeerWorker], *, alone: bool) -> None:
        is_complete = all(peer.is_listed for peer in self._running())
        for first in range(0, len(left), _AT_ONCE):
            some = left[first : first + _AT_ONCE]
            for peer in some:
                peer.end()
            if alone:
                self._fold([peer for peer in some if peer.is_listed or is_complete])

    def _fold(self, some: list[PeerWorker]) -> None:
        """Archive first, then remove the files: after a crash in between, the archive already names the remaining files."""
        if not some:
            return
        sums = Sums(self._table.edges, limit=self.series_limit)
        archives = [self._own.archive, *(peer.archive for peer in some)]
        for part in (*archives, *(peer.part for peer in some)):
            sums.add(part.rows, part.slots)
        now = time.time()
        folded = {name: when for archive in archives for name, when in archive.folded.items()}
        folded |= dict.fromkeys((peer.name for peer in some), now)
        recent = {
            name: when for name, when in folded.items() if when > now - _REMEMBERED_SECONDS or name in self._listed
        }
        try:
            self._own.take_over(archived(sums, recent))
        except OSError as error:  # they are read as they are, and merged later
            self._warn("merge the counts of dead workers, so their files are read at each scrape", error)
            return
        self._log_once.clear()
        for peer in some:
            self._forget(peer)

    def _forget(self, peer: PeerWorker) -> None:
        """Remove the files of a worker. Files that cannot be removed now are still named in an archive."""
        del self._peers[peer.name]
        worker_files.remove(self.folder, self._listed.get(peer.name, ()))
        worker_group.close_to_children(self.folder, peer.name)

    # --- Reading ------------------------------------------------------------------------------------------------------

    def _summed(self) -> Sums:
        """The sums of all rows, cached until a worker starts or ends."""
        peers = [*self._peers.values()]
        parts = [
            self._part,
            *self._archives(),
            *(peer.part for peer in peers),
            self._measured(),
        ]
        if parts != self._parts:
            self._sums, self._parts, self._counted = Sums(self._table.edges), parts, [0] * len(parts)
        for index, part in enumerate(parts):
            rows = part.rows[self._counted[index] :]
            self._sums.add(rows, part.slots)
            self._counted[index] += len(rows)
        return self._sums

    def _archives(self) -> list[Archive]:
        return [self._own.archive, *(peer.archive for peer in self._peers.values())]

    def _measured(self) -> Part:
        """The resource usage of the workers. The CPU time of each is stored in its file, for the time after its end."""
        used = []
        for name, part in ((self.name, self._part), *((one.name, one.part) for one in self._running())):
            found = self._usage(_pid(name))
            if found is not None:
                used.append(found)
                _see_cpu(part, found.cpu)
        values = [(metric, value) for metric, value in process_values(used) if metric is not PROCESS_CPU]
        if len(values) != len(self._processes.rows):
            rows = [(Key.of(metric, ()), place * 2 + HEAD) for place, (metric, _) in enumerate(values)]
            self._processes = Part(rows, array("d", [0.0] * 2 * len(rows)))
        for (_, place), (_, value) in zip(self._processes.rows, values, strict=True):
            self._processes.slots[place] = value
        return self._processes

    def _warn(self, problem: str, error: OSError) -> None:
        """Log a problem once until it is solved."""
        where = error.filename or self.folder
        self._log_once("sidelight cannot %s: %s: %s", problem, where, error.strerror, about=problem)


def _pid(name: str) -> int:
    pid = name.partition("-")[0]
    return int(pid) if pid.isdigit() else 0  # not a valid pid


def _published(found: Usage | None) -> Iterator[tuple[Metric, float]]:
    """The resource usage stored by a worker, and since when it runs."""
    yield SIDELIGHT_SERIES_FOLDED, time.time()
    if found is not None:
        yield PROCESS_CPU, found.started


def _see_cpu(part: Part, seconds: float) -> None:
    for key, place in part.rows[: len(worker_files.SAID)]:
        if key.metric is PROCESS_CPU:
            part.slots[place] = max(part.slots[place], seconds)


def _size(folder: Path) -> int:
    size = 0
    with suppress(FileNotFoundError):  # other workers remove their own
        for entry in os.scandir(folder):
            size += entry.stat().st_size
    return size


@contextmanager
def _locked(path: Path, patience: float) -> Iterator[bool]:
    """Hold the folder's lock; yields False if a hanging worker does not release it, and nothing may be merged."""
    handle = _lock(path, time.monotonic() + patience)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)  # a child forked in the meantime has it open too
            os.close(handle)


def _lock(path: Path, deadline: float) -> int | None:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # the folder is missing and cannot be created
            return None
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(
                os.fstat(handle), path.stat()
            ):  # otherwise the folder was removed and created again in the meantime
                return handle
        os.close(handle)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.001)
