"""Takes entries at the call, brings them to the trail, and says so where that fails."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from instrumentation.auditing.entry import Given, entry
from instrumentation.auditing.signing_keys import audit_keys
from instrumentation.auditing.trail import AuditTrail, after_fork
from instrumentation.catalog import AUDIT_ENTRIES, AUDIT_EVENTS, AUDIT_FAILURES
from instrumentation.errors import SettingsError, SidelightError
from instrumentation.redaction import Redactor
from instrumentation.settings import Settings, load_settings
from instrumentation.store import add
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.scrape_callbacks import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from instrumentation.store import Series, Store

_log = logging.getLogger("instrumentation.audit")

SYNC_SECONDS = 1.0
"""What the disk may not have yet, with ``fsync: interval``."""

HEAD_SECONDS = 60.0
"""How often the head is logged, while entries come."""

FLUSH_SECONDS = 5.0
"""How long a shutdown waits for entries on their way."""

_THREADS = 4  # they wait for the disk together: one fsync serves all entries before it
_WAITING = 1000  # entries; more only wait where the disk hangs
_REASONS = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.ETIMEDOUT: "locked"}
_OTHER_REASON = "unwritable"
_ALL_REASONS = (*dict.fromkeys(_REASONS.values()), _OTHER_REASON)


class AuditError(SidelightError):
    """An entry was not written, or the trail is not whole."""


class Auditor:
    """Writes entries as the settings say, and counts them.

    Args:
        store: Where entries and failures are counted.
        clock: Gives seconds since 1970.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._settings: Settings | None = None
        self._trail: AuditTrail | None = None
        self._masked: Callable[[object], object] = lambda fields: fields
        self._has_warned = False
        self.reset()
        after_fork(self.reset)

    def settle(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        """Say how to write, and where.

        Raises:
            SettingsError: There is a path, and no key that can be used.
        """
        audit, trail = settings.audit, None
        if audit.path is not None:
            keys = audit_keys(settings, os.environ if environ is None else environ)
            trail = AuditTrail(
                Path(audit.path).absolute(), keys, max_bytes=audit.max_bytes, durable=audit.fsync != "never"
            )
            masked = settings.logging.redaction
            # Whose account it was is what a trail is for.
            redactor = Redactor(keys=masked.keys, allow=(*masked.allow, "email"), patterns=masked.patterns)
            self._masked = redactor.value
        before, self._trail, self._settings = self._trail, trail, settings
        if before is not None:
            before.close()

    def begin(self) -> None:
        """Open the files before the first entry, so that one that cannot be written is known at the start."""
        if self._trail is not None:
            for reason in _ALL_REASONS:  # born at 0, so that the first failure is not lost to rate()
                add(self._store, AUDIT_FAILURES, (reason,), 0.0)
            try:
                self._trail.open()
            except OSError as error:
                self._lost(error, "the trail cannot be opened")

    def write(self, given: Given) -> None:
        """Write an entry; see ``audit``."""
        self._append(given.event, self._entry(given))

    async def write_async(self, given: Given) -> None:
        """Write an entry in another thread; see ``audit_async``."""
        work = partial(self._append, given.event, self._entry(given))
        try:
            asyncio.get_running_loop()
            future = self._submitted(work)
        except RuntimeError:  # not asyncio's loop, or the interpreter is about to end
            work()
            return
        if future is None:
            self._refused(given.event, OSError(errno.EBUSY, f"{_WAITING} entries wait for the disk already"))
        else:
            await asyncio.shield(asyncio.wrap_future(future))  # a client who leaves takes no entry along

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until every entry is written and on the disk, and log the head.

        Args:
            seconds: How long to wait for entries on their way; None for as long as it takes.

        Returns:
            Whether nothing is left.
        """
        left = wait(tuple(self._waiting), seconds).not_done
        self._sync()
        self._say_head()
        return not left

    def end(self) -> None:
        """Flush, for as long as a shutdown may take."""
        self.flush(FLUSH_SECONDS)

    def collect(self) -> list[Series]:
        """How many entries the trail has, so that others remember it."""
        head = self._trail and self._trail.head()
        return [reading(AUDIT_ENTRIES, head.seq)] if head else []

    def reset(self) -> None:
        """Forget what threads were about to do, as a forked child must: it has none of them."""
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
                except SettingsError as error:  # a request must not fail of it
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
            _log.warning("audit.path is not set, so no entry of the audit trail is kept")

    # --- Failures -----------------------------------------------------------------------------------------------------

    def _refused(self, event: str, error: OSError) -> None:
        """An entry is lost: say it, and fail the call where that is asked for."""
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

    # --- What can wait ------------------------------------------------------------------------------------------------

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
        """Do something once, so many seconds after the first entry that asks for it."""
        if action in self._later:
            return
        timer = threading.Timer(seconds, self._now, (action,))
        timer.daemon = True
        if self._later.setdefault(action, timer) is timer:
            with suppress(RuntimeError):  # the interpreter is about to end, and starts no more threads
                timer.start()

    def _now(self, action: Callable[[], None]) -> None:
        self._later.pop(action, None)  # before it is done: an entry that comes meanwhile asks again
        action()

    def _sync(self) -> None:
        try:
            if self._trail is not None:
                self._trail.sync()
        except OSError as error:
            self._lost(error, "the disk may not have the last entries")

    def _say_head(self) -> None:
        head = self._trail and self._trail.head()
        if head:
            _log.info("audit trail %s: head %s", self._trail and self._trail.path, head)


def auditor_of(store: Store) -> Auditor:
    """The auditor of a store, made on first use; it settles by itself where nobody has settled it."""
    return _auditor_of(cast("Hashable", store))


@cache
def _auditor_of(store: Any) -> Auditor:
    auditor = Auditor(store)
    if isinstance(store, ProcessStore):
        store.attach(auditor)
    return auditor
