"""What starts and stops with the process that serves an app: in order, each on its own, each failure named."""

from __future__ import annotations

import atexit
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.errors import SettingsError
from instrumentation.offload import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger("instrumentation")


class Part(NamedTuple):
    """One thing that starts and stops.

    Attributes:
        name: What it is called in the log, such as ``audit trail``.
        start: Called in the process that serves, before its first request and again with each event loop.
        flush: Called in a thread when the app has shut down, and waits until everything is written.
        stop: Called on the event loop after that; some servers then end the process without another word.
    """

    name: str
    start: Callable[[], object] | None = None
    flush: Callable[[], object] | None = None
    stop: Callable[[], object] | None = None


class Lifecycle:
    """Starts and stops parts in the order in which they were added."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def add(self, *parts: Part) -> None:
        """Add parts behind the others."""
        self._parts += parts

    def start(self) -> None:
        """Start every part. One that fails is logged by its name, and the others start all the same.

        Raises:
            SettingsError: A setting cannot be used, such as a port that is taken; raised once the others have started.
        """
        faults: list[SettingsError] = []
        for part in self._parts:
            try:
                if part.start is not None:
                    part.start()
            except SettingsError as error:
                faults.append(error)
            except Exception:  # noqa: BLE001 - an error in Sidelight must not become the service's
                _log.exception("sidelight could not start: %s. The service continues without it", part.name)
        for fault in faults[1:]:
            _log.error("sidelight could not start: %s", fault)
        if faults:
            raise faults[0]

    def stop(self) -> None:
        """Flush and stop every part. One that fails is logged by its name, and the others stop all the same."""
        for part in self._parts:
            for step in (part.flush, part.stop):
                with _named(part):
                    if step is not None:
                        step()

    async def stop_in_threads(self) -> None:
        """The same, without holding up the event loop while something is written."""
        for part in self._parts:
            with _named(part):
                if part.flush is not None:
                    await in_thread(part.flush, "sidelight-flush")
            with _named(part):
                if part.stop is not None:
                    part.stop()

    def stop_at_exit(self) -> None:
        """Stop when this process ends, but not when a process forked from it does."""
        pid = os.getpid()
        atexit.register(lambda: self.stop() if os.getpid() == pid else None)


@contextmanager
def _named(part: Part) -> Iterator[None]:
    """Log what fails by the part's name."""
    try:
        yield
    except Exception:  # noqa: BLE001 - an error in Sidelight must not become the service's
        _log.exception("sidelight could not stop: %s", part.name)
