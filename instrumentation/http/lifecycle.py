"""Starts and stops the features of an app with its process: in order, each on its own, and each failure logged by name."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.errors import SettingsError
from instrumentation.offload import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    _Step = tuple[str, Callable[[], object] | None]

_log = logging.getLogger("instrumentation")

SERVES_AFTER_SECONDS = 0.25


class Part(NamedTuple):
    """One thing that starts and stops.

    Attributes:
        name: Its name in the log, such as ``audit trail``.
        check: Called once, in a thread, before anything starts; it may read files.
        serve: Called once the server runs and has set up its logging: a while after the start, or with the first request.
        start: Called in the process that serves, before its first request and again with each event loop.
        flush: Called in a thread when the app has shut down, and waits until everything is written.
        stop: Called on the event loop after that; some servers then end the process immediately.
    """

    name: str
    start: Callable[[], object] | None = None
    flush: Callable[[], object] | None = None
    stop: Callable[[], object] | None = None
    check: Callable[[], object] | None = None
    serve: Callable[[], object] | None = None


class Lifecycle:
    """Starts and stops parts in the order in which they were added."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._is_checked = self._is_served = self._has_lifespan = False
        self._faults: list[SettingsError] = []

    def add(self, *parts: Part) -> None:
        """Append parts."""
        self._parts += parts

    def start(self) -> None:
        """Start every part. A failure is logged with the name of the part, and the others still start.

        Without a lifespan protocol this is called with the first request, when the server already runs.

        Raises:
            SettingsError: A setting cannot be used, such as a port that is taken; raised once the others have started.
        """
        self._check_aside()
        if not self._has_lifespan:
            self.serve()
        faults, self._faults = [*self._faults, *_faults((part.name, part.start) for part in self._parts)], []
        for fault in faults[1:]:
            _log.error("sidelight could not start: %s", fault)
        if faults:
            raise faults[0]

    async def check(self) -> None:
        """Check every part in a thread when the lifespan begins; ``start`` raises the faults."""
        self._has_lifespan = True
        if not self._is_checked:
            self._is_checked = True
            checks = self._checks()
            self._faults = await in_thread(lambda: _faults(checks), "sidelight-check")

    def serve_soon(self) -> None:
        """Call ``serve`` shortly after the app has started, because hypercorn sets up its logging only then."""
        try:
            asyncio.get_running_loop().call_later(SERVES_AFTER_SECONDS, self.serve)
        except RuntimeError:  # not asyncio's event loop
            self.serve()

    def serve(self) -> None:
        """Notify every part that the server runs; further calls have no effect."""
        if not self._is_served:
            self._is_served = True
            _faults((part.name, part.serve) for part in self._parts)

    def _checks(self) -> list[_Step]:
        return [(part.name, part.check) for part in self._parts if part.check is not None]

    def _check_aside(self) -> None:
        """Check without delaying a request, if ``check`` was not called because the server has no lifespan protocol."""
        if self._is_checked:
            return
        self._is_checked = True
        checks = self._checks()
        if not _has_event_loop():
            self._faults = _faults(checks)
            return

        def check() -> None:  # without a reference to the app, which may be deleted meanwhile
            for fault in _faults(checks):
                _log.error("sidelight found a fault after the start: %s", fault)

        threading.Thread(target=check, name="sidelight-check", daemon=True).start()

    def stop(self) -> None:
        """Flush and stop every part. A failure is logged with the name of the part, and the others still stop."""
        self.serve()
        for part in self._parts:
            for step in (part.flush, part.stop):
                with _named(part):
                    if step is not None:
                        step()

    async def stop_in_threads(self) -> None:
        """The same, without holding up the event loop while something is written."""
        self.serve()
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


def _faults(steps: Iterable[_Step]) -> list[SettingsError]:
    """Take steps. Settings that cannot be used are returned; another failure is logged by the name of its part."""
    faults = []
    for name, step in steps:
        try:
            if step is not None:
                step()
        except SettingsError as error:
            faults.append(error)
        except Exception:  # noqa: BLE001 - an error in Sidelight must not become the service's
            _log.exception("sidelight could not start: %s. The service continues without it", name)
    return faults


def _has_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _named(part: Part) -> Iterator[None]:
    """Log what fails by the part's name."""
    try:
        yield
    except Exception:  # noqa: BLE001 - an error in Sidelight must not become the service's
        _log.exception("sidelight could not stop: %s", part.name)
