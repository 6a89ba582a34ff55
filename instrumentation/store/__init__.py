"""The store: where counts are kept, in one process or shared by many workers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from instrumentation.store.interface import OVERFLOW, Series, Store, add, observe
from instrumentation.store.local_store import LocalStore

if TYPE_CHECKING:
    from instrumentation.store.process_store import ProcessStore

__all__ = ["OVERFLOW", "LocalStore", "Series", "Store", "add", "default_store", "observe"]


@cache
def default_store() -> ProcessStore:
    """The process's own store, created on first use."""
    from instrumentation.store.process_store import ProcessStore  # noqa: PLC0415 - it imports what only workers need

    return ProcessStore(warns=True)
