"""Sidelight: a store shared by all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.merging.cases import in_any_order
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.settings import Settings
from instrumentation.store.shared_store import SharedStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EDGES = Settings().duration_edges


def fill(folder: Path) -> SharedStore:
    """Count one request in each series."""
    store = SharedStore(folder)
    store.declare(HTTP_SERVER_REQUEST_DURATION, EDGES)
    for labels in in_any_order():
        store.buffer[store.place(HTTP_SERVER_REQUEST_DURATION, labels)] += 1.0
    return store


def scraper(folder: Path) -> Callable[[], object]:
    """Do what an additional worker does at a scrape."""
    store = SharedStore(folder)
    return lambda: list(store.series())
