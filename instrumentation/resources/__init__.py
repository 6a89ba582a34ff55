"""Resource usage and limits: the container, disks, the event loop and garbage collection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from instrumentation.resources.cgroup import Container
from instrumentation.resources.disk import disk
from instrumentation.resources.event_loop import LoopLag
from instrumentation.resources.garbage import GarbagePauses
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    from instrumentation.settings import Settings
    from instrumentation.store import Store

__all__ = ["attach", "begin"]


def attach(store: Store, settings: Settings) -> None:
    """Read the container and the disks whenever the process's store is read; other stores contain only their own counts."""
    if isinstance(store, ProcessStore):
        store.callbacks.seconds = settings.metrics.read_timeout_seconds
        store.attach(Container())
        for path in settings.resources.disk_paths:
            store.callbacks.watch(("disk", path), disk(path))


def begin(store: Store) -> None:
    """Measure garbage collection and the running event loop, which from now on also awaits queue callbacks.

    Call it in the event loop that serves requests; a second call has no effect.
    """
    if isinstance(store, ProcessStore):
        _meters(store).begin()


@cache
def _meters(store: ProcessStore) -> _Meters:
    return _Meters(store)


class _Meters:
    """Continuous measurements; Python keeps them, and so the store, for the lifetime of the process."""

    def __init__(self, store: ProcessStore) -> None:
        self._callbacks = store.callbacks
        self._pauses = GarbagePauses(store)
        self._lag = LoopLag(store)
        store.follow(self)

    def begin(self) -> None:
        self._pauses.begin()
        with suppress(RuntimeError):  # no event loop, or not asyncio's
            loop = asyncio.get_running_loop()
            self._callbacks.begin(loop)
            self._lag.begin(loop)

    def reset(self) -> None:
        self._pauses.reset()
        self._lag.reset()
