"""Restores the files of a worker if they are removed, even if nobody scrapes it."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.store.shared_store import SharedStore

SECONDS = 1.0
"""Seconds between two checks: how long other workers may miss a worker after its files were removed."""

TOUCH_SECONDS = 60.0
"""Seconds between two signs of life for servers in other pid namespaces, which cannot see our processes."""

_log = logging.getLogger("instrumentation")


def look_after(store: SharedStore, seconds: float = SECONDS) -> None:
    """Check a store's files now and every few seconds, for as long as the store is in use.

    This runs in a thread, because a worker may be idle. The thread ends with the process, and a forked child does not
    inherit it.
    """
    thread = threading.Thread(
        target=_run, args=(weakref.ref(store), seconds), name="sidelight-file-watchdog", daemon=True
    )
    try:
        thread.start()
    except RuntimeError as error:  # no more threads, or the process is ending
        _log.warning("sidelight cannot restore %s if it is removed: %s", store.folder, error)


def _run(reference: weakref.ref[SharedStore], seconds: float) -> None:
    failed, due = False, 0.0
    while (store := reference()) is not None:
        try:
            store.keep()
            if time.monotonic() >= due:
                store.touch()
                due = time.monotonic() + TOUCH_SECONDS
        except Exception:  # noqa: BLE001 - the next attempt may succeed
            if not failed:
                failed = True
                _log.exception("sidelight could not check %s; further failures are not logged", store.folder)
        del store
        time.sleep(seconds)
