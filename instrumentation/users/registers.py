"""Where a process keeps its registers: in memory, or in a file of its own that the other workers read.

Slots merge by max, so whoever reads needs no lock, and may take over what a worker that has ended leaves behind: taken
over twice, it is still the same.
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
    """Where the workers of a server meet, and which of them this is.

    Attributes:
        folder: The folder they share.
        worker: This worker's name.
        is_alive: Whether the worker of a name still runs.
    """

    folder: Path
    worker: str
    is_alive: Callable[[str], bool] = is_alive


def home(store: Store) -> Home | None:
    """Where a store's workers meet; None where this process counts alone."""
    inner = getattr(store, "inner", store)
    return Home(inner.folder, inner.name) if isinstance(inner, SharedStore) else None


class Registers(Protocol):
    """Slots that only grow, but for a writer who corrects one.

    Attributes:
        lock: Held while a slot is written.
    """

    lock: threading.Lock

    @property
    def slots(self) -> Buffer:
        """This process's own."""

    def merged(self) -> list[float]:
        """The largest value of each slot."""


class LocalRegisters:
    """Slots in memory; see ``Registers``."""

    def __init__(self, width: int) -> None:
        self.lock = threading.Lock()
        self.slots = array("d", [0.0] * width)

    def merged(self) -> list[float]:
        """The slots as they are."""
        return list(self.slots)


class SharedRegisters:
    """Slots in a file, ``<worker><suffix>``; see ``Registers``.

    Args:
        home: Where the file stands.
        suffix: What the files have in common whose slots mean the same.
        width: How many slots.

    Raises:
        OSError: There is no folder, or no room in it.
    """

    def __init__(self, home: Home, suffix: str, width: int) -> None:
        self.lock = threading.Lock()
        self._home = home
        self._suffix = suffix
        self._width = width
        handle = os.open(home.folder / f"{home.worker}{suffix}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, width * _FLOAT)  # a write to a hole of a full disk would kill the process
            self.slots = memoryview(mmap.mmap(handle, width * _FLOAT)).cast("d")
        finally:
            os.close(handle)

    def merged(self) -> list[float]:
        """The largest value of each slot, over the workers; what one that has ended left becomes this worker's own."""
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
    """The slots of a file; zeros where it is gone, or not yet whole.

    Mapped rather than read, so that each number is taken at once and never half of it.
    """
    with (
        suppress(FileNotFoundError, ValueError),
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), width * _FLOAT, access=mmap.ACCESS_READ) as memory,
        memoryview(memory).cast("d") as slots,
    ):
        return list(slots)
    return [0.0] * width
