"""Looks after the files of a worker that nobody scrapes."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.store.shared_store import SharedStore

SECONDS = 1.0
"""How long a worker may be missed by others after its files were removed."""

_log = logging.getLogger("instrumentation")


def look_after(store: SharedStore, seconds: float = SECONDS) -> None:
    """Let a store keep its files, now and once in so many seconds, for as long as somebody holds it.

    In a thread, since a worker may do nothing at all; it ends with the process, and no forked child has it.
    """
    thread = threading.Thread(target=_run, args=(weakref.ref(store), seconds), name="sidelight-keeper", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # no more threads, or the process ends
        _log.warning("sidelight does not look after %s: %s", store.folder, error)


def _run(reference: weakref.ref[SharedStore], seconds: float) -> None:
    failed = False
    while (store := reference()) is not None:
        try:
            store.keep()
        except Exception:  # noqa: BLE001 - the next time may be better
            if not failed:
                failed = True
                _log.exception("sidelight could not look after %s; it is said once", store.folder)
        del store
        time.sleep(seconds)
