"""Export of spans: ended spans wait in a bounded queue, and are masked, sent in batches and counted."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.status import Status

from instrumentation.catalog import SIDELIGHT_SPANS
from instrumentation.store import add

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from instrumentation.redaction import Redactor
    from instrumentation.store import Store

_log = logging.getLogger("instrumentation")

EXPORTED, FAILED, DROPPED = "exported", "failed", "dropped"
LARGEST_BATCH = 512
BATCH_SECONDS = 1.0
"""Seconds that a span waits for others; spans of this time are lost if the process is killed."""

PERSONAL = frozenset(
    (
        *(
            "url.query",
            "client.address",
            "client.port",
            "network.peer.address",
            "network.peer.port",
            "user_agent.original",
        ),
        *("http.target", "http.client_ip", "http.user_agent", "net.peer.ip", "net.peer.port", "net.sock.peer.addr"),
    )
)
"""Attributes that identify the client or repeat the query string; they are removed, including those of older conventions."""

_ADDRESSES = ("url.full", "http.url")


class BoundedExport(SpanExporter):
    """Masks spans and passes them to an exporter, limits how many wait, and counts them by outcome.

    Args:
        inner: The exporter.
        redactor: Masks secrets.
        store: The store that counts spans.
        most: The maximum number of waiting spans; further ones are dropped.
        where: The address, for the log.
    """

    def __init__(self, inner: SpanExporter, redactor: Redactor, store: Store, *, most: int, where: str) -> None:
        self._inner = inner
        self._redactor = redactor
        self._store = store
        self._most = most
        self._where = where
        self._fails = False
        self.reset()
        for outcome in (EXPORTED, FAILED, DROPPED):
            add(store, SIDELIGHT_SPANS, (outcome,), 0.0)

    def reset(self) -> None:
        """Drop waiting spans in a forked child, because they belong to the parent."""
        self._lock = threading.Lock()
        self.waiting = 0

    def take(self) -> bool:
        """Whether one more span may wait; otherwise it counts as dropped."""
        with self._lock:
            has_room = self.waiting < self._most
            self.waiting += has_room
        if not has_room:
            add(self._store, SIDELIGHT_SPANS, (DROPPED,), 1.0)
        return has_room

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, in the processor's thread."""
        try:
            result = self._inner.export([self._masked(span) for span in spans])
        except Exception:  # noqa: BLE001 - after any error, the spans are lost and the service is not affected
            result = SpanExportResult.FAILURE
        has_failed = result is not SpanExportResult.SUCCESS
        with self._lock:
            self.waiting -= len(spans)
        add(self._store, SIDELIGHT_SPANS, (FAILED if has_failed else EXPORTED,), float(len(spans)))
        self._say(has_failed=has_failed)
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Do nothing: spans only wait in the processor."""
        return self._inner.force_flush(timeout_millis)

    def _say(self, *, has_failed: bool) -> None:
        if has_failed and not self._fails:
            _log.warning("%s does not accept spans; they are lost, and counted in sidelight_spans_total", self._where)
        elif self._fails and not has_failed:
            _log.info("%s accepts spans again", self._where)
        self._fails = has_failed

    def _masked(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=self._redactor.text(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[Event(event.name, self._attributes(event.attributes), event.timestamp) for event in span.events],
            links=span.links,
            kind=span.kind,
            status=self._status(span.status),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        copy = getattr(attributes, "copy", None)  # OpenTelemetry's own mapping is slow to read, one key after the other
        given: Mapping[str, Any] = copy() if copy is not None else attributes or {}
        kept = {key: value for key, value in given.items() if key not in PERSONAL}
        for key in _ADDRESSES:
            if isinstance(kept.get(key), str):
                kept[key] = kept[key].partition("?")[0]
        masked: dict[str, Any] = self._redactor.value(kept)
        return masked

    def _status(self, status: Status) -> Status:
        said = status.description
        return Status(status.status_code, self._redactor.text(said)) if said else status


def _number(variable: str, default: float) -> float:
    """What a variable says; the default where it says nothing that can be used."""
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isascii() and text.isdecimal() and int(text) else default


class BoundedProcessor(BatchSpanProcessor):
    """OpenTelemetry's batch processor, except that spans that do not fit are dropped and counted."""

    def __init__(self, export: BoundedExport, most: int) -> None:
        super().__init__(
            export,
            max_queue_size=most,
            schedule_delay_millis=_number("OTEL_BSP_SCHEDULE_DELAY", BATCH_SECONDS * 1000),
            max_export_batch_size=min(int(_number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", LARGEST_BATCH)), most),
        )
        self._bounded = export

    def on_end(self, span: ReadableSpan) -> None:
        """Accept a span that has ended."""
        if span.context and span.context.trace_flags.sampled and self._bounded.take():
            super().on_end(span)
