"""Writes audit entries to the trail, and reports failures."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping  # noqa: TC003 - for typing.get_type_hints
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from instrumentation.auditing.entry import Given, entry
from instrumentation.auditing.masking import Masked, Masking
from instrumentation.auditing.signing_keys import audit_keys
from instrumentation.auditing.trail import AuditTrail, after_fork
from instrumentation.catalog import AUDIT_ENTRIES, AUDIT_EVENTS, AUDIT_FAILURES
from instrumentation.errors import SettingsError, SidelightError
from instrumentation.settings import Settings, load_settings
from instrumentation.store import add
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.scrape_callbacks import reading

if TYPE_CHECKING:
    from instrumentation.store import Series, Store

_log = logging.getLogger("instrumentation.audit")

SYNC_SECONDS = 1.0
"""Seconds of entries that may not be on disk yet, with ``fsync: interval``."""

HEAD_SECONDS = 60.0
"""Seconds between two logged heads, while entries are written."""

FLUSH_SECONDS = 5.0
"""Seconds that a shutdown waits for entries in progress."""

_THREADS = 4  # threads that wait for the disk together: one fsync serves all entries before it
_WAITING = 1000  # entries; more only accumulate if the disk hangs
_REASONS = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.ETIMEDOUT: "locked"}
_OTHER_REASON = "unwritable"
_CHANGED = "changed"  # somebody else changed the files
_ALL_REASONS = (*dict.fromkeys(_REASONS.values()), _OTHER_REASON, _CHANGED)


class AuditError(SidelightError):
    """An entry was not written, or the trail is not intact."""


class Auditor:
    """Writes entries according to the settings, and counts them.

    Args:
        store: The store that counts entries and failures.
        clock: Returns seconds since 1970.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._settings: Settings | None = None
        self._trail: AuditTrail | None = None
        self._masked: Callable[[Mapping[str, object]], Masked] = lambda fields: Masked(fields, [])
        self._has_warned = False
        self.reset()
        after_fork(self.reset)

    def settle(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        """Configure how and where to write.

        Raises:
            SettingsError: There is a path, but no valid key.
        """
        audit, trail = settings.audit, None
        if audit.path is not None:
            keys = audit_keys(settings, os.environ if environ is None else environ)
            trail = AuditTrail(
                Path(audit.path).absolute(),
                keys,
                max_bytes=audit.max_bytes,
                durable=audit.fsync != "never",
                damaged=lambda: add(self._store, AUDIT_FAILURES, (_CHANGED,), 1.0),
            )
            self._masked = Masking(settings, next(iter(keys.values())))
        before, self._trail, self._settings = self._trail, trail, settings
        if before is not None:
            before.close()

    def begin(self) -> None:
        """Open the files before the first entry, so that a trail that cannot be written is reported at start-up."""
        if self._trail is not None:
            for reason in _ALL_REASONS:  # created at 0, so that rate() sees the first failure
                add(self._store, AUDIT_FAILURES, (reason,), 0.0)
            try:
                asyncio.get_running_loop()
                is_opening = (
                    self._submitted(self._open) is not None
                )  # the files' folder is read, which would block the loop
            except RuntimeError:
                is_opening = False
            if not is_opening:
                self._open()

    def _open(self) -> None:
        trail = self._trail
        if trail is None:
            return
        try:
            trail.open()
        except OSError as error:
            self._lost(error, "the trail cannot be opened")
        else:
            self._say_head()  # so that a trail that was exchanged while no process ran shows in the log

    def write(self, given: Given) -> None:
        """Write an entry; see ``audit``."""
        self._append(given.event, self._entry(given))

    async def write_async(self, given: Given) -> None:
        """Write an entry in another thread; see ``audit_async``."""
        work = partial(self._append, given.event, self._entry(given))
        try:
            asyncio.get_running_loop()
            future = self._submitted(work)
        except RuntimeError:  # not asyncio's loop, or the interpreter is shutting down
            work()
            return
        if future is None:
            self._refused(given.event, OSError(errno.EBUSY, f"{_WAITING} entries are already waiting for the disk"))
        else:
            await asyncio.shield(asyncio.wrap_future(future))  # a client disconnect must not cancel the entry

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until all entries are written and on disk, and log the head.

        Args:
            seconds: How long to wait for entries in progress; None for no limit.

        Returns:
            Whether all entries are written.
        """
        left = wait(tuple(self._waiting), seconds).not_done
        self._sync()
        self._say_head()
        return not left

    def end(self) -> None:
        """Flush, within the time limit of a shutdown."""
        self.flush(FLUSH_SECONDS)

    def collect(self) -> list[Series]:
        """The number of entries in the trail, as a metric, so that it is recorded elsewhere."""
        head = self._trail and self._trail.head()
        return [reading(AUDIT_ENTRIES, head.seq)] if head else []

    def reset(self) -> None:
        """Drop the pending work of threads in a forked child, which does not have these threads."""
        self._settling = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: set[Future[None]] = set()
        self._later: dict[Callable[[], None], threading.Timer] = {}

    # --- One entry ----------------------------------------------------------------------------------------------------

    def _entry(self, given: Given) -> bytes:
        service = (self._settings or self._settled()).service.name
        return entry(given, seconds=self._clock(), service=service, masked=self._masked)

    def _settled(self) -> Settings:
        with self._settling:
            if self._settings is None:
                try:
                    self.settle(load_settings())
                except SettingsError as error:  # a request must not fail because of it
                    _log.error("sidelight writes no audit trail: %s", error)
                    self.settle(Settings())
            return self._settings or Settings()

    def _append(self, event: str, members: bytes) -> None:
        if self._trail is None:
            self._unwanted()
            return
        try:
            self._trail.append(members)
            if self._policy == "always":
                self._trail.sync()
        except OSError as error:
            self._refused(event, error)
            return
        add(self._store, AUDIT_EVENTS, (event,), 1.0)
        if self._policy == "interval":
            self._soon(self._sync, SYNC_SECONDS)
        self._soon(self._say_head, HEAD_SECONDS)

    @property
    def _policy(self) -> str:
        return "never" if self._settings is None else self._settings.audit.fsync

    def _unwanted(self) -> None:
        add(self._store, AUDIT_FAILURES, ("no_path",), 1.0)
        if not self._has_warned:
            self._has_warned = True
            _log.warning("audit.path is not set, so audit entries are not written")

    # --- Failures -----------------------------------------------------------------------------------------------------

    def _refused(self, event: str, error: OSError) -> None:
        """Report a lost entry, and raise if ``audit.on_failure`` is ``raise``."""
        self._lost(error, f"an entry of {event!r} is lost")
        if self._settings is not None and self._settings.audit.on_failure == "raise":
            raise AuditError(
                f"audit({event!r}): the entry was not written: {error.strerror}.",
                code="audit_not_written",
                details={"event": event},
            ) from error

    def _lost(self, error: OSError, what: str) -> None:
        add(self._store, AUDIT_FAILURES, (_REASONS.get(error.errno or 0, _OTHER_REASON),), 1.0)
        _log.error("audit trail %s: %s: %s", self._trail and self._trail.path, what, error.strerror)

    # --- Delayed work -------------------------------------------------------------------------------------------------

    def _submitted(self, work: Callable[[], None]) -> Future[None] | None:
        if len(self._waiting) >= _WAITING:
            return None
        with self._settling:
            self._pool = self._pool or ThreadPoolExecutor(_THREADS, "sidelight-audit")
        future = self._pool.submit(work)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def _soon(self, action: Callable[[], None], seconds: float) -> None:
        """Run a function once, a number of seconds after the first entry that requests it."""
        if action in self._later:
            return
        timer = threading.Timer(seconds, self._now, (action,))
        timer.daemon = True
        if self._later.setdefault(action, timer) is timer:
            with suppress(RuntimeError):  # the interpreter is shutting down and starts no more threads
                timer.start()

    def _now(self, action: Callable[[], None]) -> None:
        self._later.pop(action, None)  # reset first: an entry that arrives during the call requests another one
        action()

    def _sync(self) -> None:
        try:
            if self._trail is not None:
                self._trail.sync()
        except OSError as error:
            self._lost(error, "the disk may not have the last entries")

    def _say_head(self) -> None:
        head = self._trail and self._trail.head()
        if head and head.seq:
            _log.info("audit trail %s: head %s", self._trail and self._trail.path, head)


def auditor_of(store: Store) -> Auditor:
    """The auditor of a store, created on first use with default settings unless it is configured."""
    return _auditor_of(cast("Hashable", store))


@cache
def _auditor_of(store: Any) -> Auditor:
    auditor = Auditor(store)
    if isinstance(store, ProcessStore):
        store.attach(auditor)
    return auditor
