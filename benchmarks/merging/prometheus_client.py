"""prometheus_client's multiprocess mode: one file per worker, never merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from benchmarks.merging.cases import in_any_order
from instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "http_server_request_duration_seconds"
LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")


def fill(folder: Path) -> Histogram:
    """Count one request in each series; the environment names the folder."""
    del folder
    histogram = Histogram(NAME, "Time.", LABELS, registry=CollectorRegistry(), buckets=Settings().duration_edges)
    for labels in in_any_order():
        histogram.labels(*labels).observe(0.001)
    return histogram


def scraper(folder: Path) -> Callable[[], object]:
    """Do what a worker does at a scrape."""
    collector = MultiProcessCollector(CollectorRegistry(), str(folder))  # type: ignore[no-untyped-call]
    return lambda: list(collector.collect())  # type: ignore[no-untyped-call]
