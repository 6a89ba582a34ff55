"""HyperLogLog registers of a process: in memory, or in a file that the other workers read.

Slots are merged with max, so readers need no lock and can take over the slots of a dead worker; doing so twice has no
effect.
"""

from __future__ import annotations

import mmap
import os
import threading
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from instrumentation.store.shared_store import SharedStore
from instrumentation.store.worker_group import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from instrumentation.store import Store
    from instrumentation.store.interface import Buffer

_FLOAT = 8  # bytes


class Home(NamedTuple):
    """The folder shared by a worker group, and this worker's name.

    Attributes:
        folder: The shared folder.
        worker: This worker's name.
        is_alive: Whether the worker with a name is still running.
    """

    folder: Path
    worker: str
    is_alive: Callable[[str], bool] = is_alive


def home(store: Store) -> Home | None:
    """The folder shared by a store's workers; None if the store is not shared."""
    inner = getattr(store, "inner", store)
    return Home(inner.folder, inner.name) if isinstance(inner, SharedStore) else None


class Registers(Protocol):
    """Slots that only grow, unless a writer corrects one.

    Attributes:
        lock: The lock to hold while writing a slot.
    """

    lock: threading.Lock

    @property
    def slots(self) -> Buffer:
        """The slots of this process."""

    def merged(self) -> list[float]:
        """The largest value of each slot over all workers."""


class LocalRegisters:
    """Slots in memory; see ``Registers``."""

    def __init__(self, width: int) -> None:
        self.lock = threading.Lock()
        self.slots = array("d", [0.0] * width)

    def merged(self) -> list[float]:
        """The current slots."""
        return list(self.slots)


class SharedRegisters:
    """Slots in a file, ``<worker><suffix>``; see ``Registers``.

    Args:
        home: The folder of the file.
        suffix: The suffix of all files whose slots are compatible.
        width: The number of slots.

    Raises:
        OSError: The folder does not exist, or there is no space in it.
    """

    def __init__(self, home: Home, suffix: str, width: int) -> None:
        self.lock = threading.Lock()
        self._home = home
        self._suffix = suffix
        self._width = width
        handle = os.open(home.folder / f"{home.worker}{suffix}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, width * _FLOAT)  # on a full disk, writing to a hole would kill the process
            self.slots = memoryview(mmap.mmap(handle, width * _FLOAT)).cast("d")
        finally:
            os.close(handle)

    def merged(self) -> list[float]:
        """The largest value of each slot over all workers; slots of dead workers are merged into this worker's."""
        largest = list(self.slots)
        for path in self._home.folder.glob(f"*{self._suffix}"):
            worker = path.name.removesuffix(self._suffix)
            if worker != self._home.worker:
                slots = _read(path, self._width)
                largest = list(map(max, largest, slots))
                if not self._home.is_alive(worker):
                    self._take_over(slots)
                    path.unlink(missing_ok=True)
        return largest

    def _take_over(self, slots: list[float]) -> None:
        with self.lock:
            for slot, value in enumerate(slots):
                self.slots[slot] = max(self.slots[slot], value)


def _read(path: Path, width: int) -> list[float]:
    """The slots of a file; zeros if it is missing or incomplete.

    The file is mapped rather than read, so that each number is read atomically.
    """
    with (
        suppress(FileNotFoundError, ValueError),
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), width * _FLOAT, access=mmap.ACCESS_READ) as memory,
        memoryview(memory).cast("d") as slots,
    ):
        return list(slots)
    return [0.0] * width
