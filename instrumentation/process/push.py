"""Pushes numbers by OTLP while a process runs and when it ends.

Each process has an identity of its own and sends running totals, so a total that arrives twice counts once.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from instrumentation import catalog
from instrumentation.catalog import Kind
from instrumentation.store.worker_group import identity
from instrumentation.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from instrumentation.settings import Settings
    from instrumentation.store import Series, Store

_log = logging.getLogger("instrumentation")

FIRST_SECONDS = 1.0
"""Seconds until the first push; a process that ends earlier pushes once."""

_RETRY_SECONDS = 1.0
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 5.0  # of one attempt
_SCOPE = InstrumentationScope("sidelight", __version__)
_SPOOLED = ".otlp.json"
_UNKNOWN: Any = None  # OpenTelemetry then leaves it out
_NANO = 1_000_000_000


def push_of(settings: Settings, store: Store) -> Push:
    """The push of a process; everything it needs comes from the settings."""
    spool = Path(settings.process.spool) if settings.process.spool else None
    return Push(
        store,
        attributes=_attributes(settings),
        export=_exporter(str(settings.process.push_endpoint), settings.process.push_seconds),
        where=str(settings.process.push_endpoint),
        every=settings.metrics.scrape_interval.seconds,
        patience=settings.process.push_seconds,
        spool=spool,
    )


class Push:
    """Pushes the numbers of a store.

    Args:
        store: The numbers.
        attributes: What identifies the process: resource attributes.
        export: Sends metrics; returns whether they were accepted.
        where: The address, for the log.
        every: Seconds between two pushes.
        patience: Seconds that ``end`` waits for a collector that is down.
        spool: The folder for what was not accepted.
    """

    def __init__(  # noqa: PLR0913 - clock, transport and sleep are passed in
        self,
        store: Store,
        *,
        attributes: Mapping[str, str],
        export: Callable[[MetricsData], bool],
        where: str,
        every: float,
        patience: float,
        spool: Path | None = None,
    ) -> None:
        self._store = store
        self._attributes = attributes
        self._export = export
        self._where = where
        self._every = every
        self._patience = patience
        self._spool = spool
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._has_failed = False

    def begin(self) -> None:
        """Push now and then from now on, in a thread: what is killed later loses only the time since the last push."""
        threading.Thread(target=self._run, name="sidelight-push", daemon=True).start()

    def end(self) -> None:
        """Push what there is at the end; wait for a collector that is down, then keep it for the next process or log it."""
        self._ended.set()
        last, deadline = self._snapshot(), time.monotonic() + self._patience
        with self._sending:
            while not self._send(last):
                if time.monotonic() >= deadline:
                    self._keep(last)
                    return
                time.sleep(min(_RETRY_SECONDS, max(deadline - time.monotonic(), 0.0)))
            self._send_spooled()

    def _run(self) -> None:
        wait = FIRST_SECONDS
        while not self._ended.wait(wait):
            with self._sending:
                if not self._ended.is_set() and self._send(self._snapshot()):
                    self._send_spooled()
            wait = self._every

    def _snapshot(self) -> dict[str, Any]:
        """The numbers now, as JSON could hold them."""
        left_out = catalog.TARGET_INFO.name  # the receiver makes it from the resource attributes
        rows = [_row(series) for series in self._store.series() if series.metric.name != left_out]
        return {"time": time.time(), "attributes": dict(self._attributes), "rows": rows}

    def _send(self, snapshot: Mapping[str, Any]) -> bool:
        try:
            is_sent = self._export(_metrics_data(snapshot))
        except Exception:  # noqa: BLE001 - after any error, the numbers are not there
            is_sent = False
        if not is_sent and not self._has_failed:
            _log.warning("%s does not accept metrics; this process tries again", self._where)
        self._has_failed = not is_sent
        return is_sent

    def _keep(self, snapshot: Mapping[str, Any]) -> None:
        if self._spool is None:
            _log.error(
                "%s did not accept metrics within %g s: the numbers of this process are lost since the last push; set "
                "process.spool to keep them for the next process",
                self._where,
                self._patience,
            )
            return
        path = self._spool / f"{identity(os.getpid())}{_SPOOLED}"
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}")
        hidden.write_text(json.dumps(snapshot))
        hidden.rename(path)
        _log.warning("%s did not accept metrics within %g s; %s keeps them", self._where, self._patience, path)

    def _send_spooled(self) -> None:
        """Send what earlier processes had to keep. Two processes may both send a file, which counts once."""
        for path in sorted(self._spool.glob(f"*{_SPOOLED}")) if self._spool else ():
            try:
                snapshot = json.loads(path.read_text())
            except FileNotFoundError:  # another process has sent it
                continue
            except ValueError:
                _log.warning("%s cannot be read and is not sent; remove it", path)
                continue
            if not self._send(snapshot):
                return
            with suppress(FileNotFoundError):
                path.unlink()


def _attributes(settings: Settings) -> dict[str, str]:
    service = settings.service
    return {
        **service.attributes,
        "service.name": service.name,
        "service.version": service.version,
        "service.instance.id": f"{os.environ.get('POD_NAME') or socket.gethostname()}:{identity(os.getpid())}",
        "deployment.environment.name": service.environment,
    }


def _exporter(endpoint: str, patience: float) -> Callable[[MetricsData], bool]:
    # It would log a line for each attempt.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    seconds = min(max(patience, _SHORTEST_SECONDS), _LONGEST_SECONDS)
    exporter = OTLPMetricExporter(f"{endpoint.rstrip('/')}/v1/metrics", timeout=seconds)
    return lambda data: exporter.export(data) is MetricExportResult.SUCCESS


def _row(series: Series) -> dict[str, Any]:
    metric = series.metric
    return {
        "name": metric.name,
        "kind": str(metric.kind),
        "help": metric.help,
        "labels": dict(zip(metric.labels, series.labels, strict=True)),
        "edges": list(series.edges),
        "slots": list(series.slots),
        "created": series.created,
    }


def _metrics_data(snapshot: Mapping[str, Any]) -> MetricsData:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in snapshot["rows"]:
        by_name.setdefault(row["name"], []).append(row)
    at = int(snapshot["time"] * _NANO)
    metrics = [_metric(rows, at) for rows in by_name.values()]
    scope = ScopeMetrics(scope=_SCOPE, metrics=metrics, schema_url="")
    resource = ResourceMetrics(resource=Resource(snapshot["attributes"]), scope_metrics=[scope], schema_url="")
    return MetricsData(resource_metrics=[resource])


def _metric(rows: Iterable[Mapping[str, Any]], at: int) -> Metric:
    (first, *_) = rows = [*rows]
    if first["kind"] == Kind.HISTOGRAM:
        data: Any = Histogram([_distribution(row, at) for row in rows], AggregationTemporality.CUMULATIVE)
    elif first["kind"] == Kind.COUNTER:
        data = Sum([_number(row, at) for row in rows], AggregationTemporality.CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge([_number(row, at) for row in rows])
    return Metric(first["name"], first["help"], unit="", data=data)  # the unit is in the name already


def _number(row: Mapping[str, Any], at: int) -> NumberDataPoint:
    return NumberDataPoint(row["labels"], int(row["created"] * _NANO), at, row["slots"][0])


def _distribution(row: Mapping[str, Any], at: int) -> HistogramDataPoint:
    *counts, total = row["slots"]
    return HistogramDataPoint(
        attributes=row["labels"],
        start_time_unix_nano=int(row["created"] * _NANO),
        time_unix_nano=at,
        count=int(sum(counts)),
        sum=total,
        bucket_counts=[int(count) for count in counts],
        explicit_bounds=row["edges"],
        min=_UNKNOWN,
        max=_UNKNOWN,
    )
