"""The handler of all log records: reads, masks, renders, counts and writes them."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import get_contextvars

from instrumentation import catalog
from instrumentation.correlation import correlation_id, current_span
from instrumentation.logs.calls import without_peer
from instrumentation.logs.rendering import Clock, as_json
from instrumentation.store import add

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from instrumentation.logs.rendering import Fields, Renderer
    from instrumentation.logs.writer import Writer
    from instrumentation.redaction import Redactor
    from instrumentation.store import Store

_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
LEVELS = tuple(_LEVELS.values())
FACTS = (
    "timestamp", "level", "event", "logger", "service", "version", "environment",
    "correlation_id", "trace_id", "span_id",
)  # fmt: skip
"""The keys that Sidelight sets. A field with the same name gets an underscore appended."""

_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""The attributes that every record of the standard library has; others came as ``extra``. The last one is uvicorn's."""


class Lines(logging.Handler):
    """Writes each record as a line.

    Args:
        render: Renders a record as a line.
        redactor: Masks secrets.
        writer: Writes the line.
        store: Counts the record.
        processors: Additional structlog processors for every record; they run before secrets are masked.
    """

    def __init__(
        self,
        render: Renderer,
        redactor: Redactor,
        writer: Writer,
        store: Store,
        processors: Sequence[structlog.typing.Processor] = (),
    ) -> None:
        super().__init__()
        self.render = render
        self.writer = writer
        self.store = store
        self.clock = Clock()
        self._redactor = redactor
        self._processors = processors

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. An error in the record or in this handler does not reach the caller."""
        level = _level(record.levelno)
        try:
            line = self._line(record, level)
        except structlog.DropEvent:
            return
        except Exception as fault:  # noqa: BLE001 - from the __str__ of a value, or from a processor of the service
            line = self._unreadable(record, level, fault)
        try:
            add(self.store, catalog.LOG_EVENTS, (level,), 1.0)
        finally:
            self.writer.put(line)

    def flush(self) -> None:
        """Wait until everything is written, for at most two seconds."""
        self.writer.flush()

    def close(self) -> None:
        """Wait as ``flush`` does, because dictConfig() closes every handler, even those that it does not replace."""
        self.flush()

    def masked(self, fields: Fields, reserved: Iterable[str] = FACTS) -> Fields:
        """Fields with their secrets masked. A field with a reserved name gets an underscore appended."""
        if not fields:
            return {}
        masked: Fields = self._redactor.value(fields)
        for key in reserved:
            if key in masked:
                masked[f"{key}_"] = masked.pop(key)
        return masked

    def _line(self, record: logging.LogRecord, level: str) -> bytes:
        event, fields, exc_info = self._read(record)
        for process in self._processors:
            done: Any = process(logging.getLogger(record.name), level, {"event": event, **fields})
            event, fields = str(done.pop("event", "")), done
        if exc_info:
            fields["exception"] = self.render.exception(exc_info)
        return self.render(self._facts(record, level, event), self.masked(fields))

    def _read(self, record: logging.LogRecord) -> tuple[str, Fields, Any]:
        """The event with its secrets masked, the fields and the exception of a record of structlog or the standard library."""
        fields: Fields = get_contextvars()
        template: Any = record.msg
        args: Any = record.args
        exc_info: Any = record.exc_info
        stack: Any = record.stack_info
        if isinstance(template, dict) and hasattr(record, "_logger"):  # structlog's wrap_for_formatter
            fields |= template
            template = fields.pop("event", "")
            args = fields.pop("positional_args", ())
            exc_info = fields.pop("exc_info", None)
            stack = fields.pop("stack_info", None)
        else:
            fields |= {key: value for key, value in record.__dict__.items() if key not in _OF_RECORDS}
        if stack:
            fields["stack"] = stack
        template, args = without_peer(str(template), args)
        return self._redactor.message(template, args).rstrip(), fields, _exc_info(exc_info)

    def _facts(self, record: logging.LogRecord, level: str, event: str) -> Fields:
        facts = {"timestamp": self.clock(record.created), "level": level, "event": event, "logger": record.name}
        current = correlation_id()
        if current:
            facts["correlation_id"] = current
        span = current_span()
        if span is not None:
            facts |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        return facts

    def _unreadable(self, record: logging.LogRecord, level: str, fault: Exception) -> bytes:
        facts = self._facts(record, level, "a log record could not be read")
        return as_json(facts | {"fault": type(fault).__name__}) + b"\n"


def _level(number: int) -> str:
    """The name of a level; for a number between two levels, the lower one.

    >>> _level(20), _level(25), _level(7)
    ('info', 'info', 'debug')
    """
    return _LEVELS.get(number) or _LEVELS[min(50, max(10, number // 10 * 10))]


def _exc_info(given: Any) -> Any:
    """The exception given as ``exc_info``, in the form of ``sys.exc_info()``; None if there is no exception."""
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    found = given if isinstance(given, tuple) else (sys.exc_info() if given else (None,))
    return found if found[0] is not None else None
