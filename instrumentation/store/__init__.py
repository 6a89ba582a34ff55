"""Where the numbers live: the process's store, and what a store is."""

from __future__ import annotations

from functools import cache

from instrumentation.store.interface import OVERFLOW, Series, Store, add, observe
from instrumentation.store.local import LocalStore

__all__ = ["OVERFLOW", "LocalStore", "Series", "Store", "add", "default_store", "observe"]


@cache
def default_store() -> Store:
    """The process's own store, made on first use."""
    return LocalStore()
