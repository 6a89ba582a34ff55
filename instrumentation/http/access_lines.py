"""Writes one access line for each request. Its own fields contain no secrets, so it does not pass through the processors."""

from __future__ import annotations

import logging
import time
from random import random
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.correlation import ID, SPAN
from instrumentation.http.streaming import STREAM
from instrumentation.logs.binding import BOUND
from instrumentation.logs.handler import FACTS
from instrumentation.logs.rendering import Json, as_json, service_facts
from instrumentation.logs.takeover import RootParent, current
from instrumentation.threads import get_ident

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.asgi import Scope
    from instrumentation.http.middleware import Key
    from instrumentation.http.recorder import HttpRecorder
    from instrumentation.http.streaming import Stream
    from instrumentation.logs.handler import Lines
    from instrumentation.settings import Settings
    from instrumentation.store import Store

LOGGER = "instrumentation.access"
EVENT = "request"
_BAD_REQUEST = 400
_MOST = 5000  # series whose fixed parts are kept
_Fixed = tuple[bool, int, str, bytes]


class AccessLines:
    """Writes the access lines of an app.

    Args:
        settings: Of the app.
        store: Where lines are counted.
        recorder: Counts the app's requests; only its own thread writes a shard.
    """

    def __init__(self, settings: Settings, store: Store, recorder: HttpRecorder) -> None:
        self._service = service_facts(settings.service)
        self._ratio = settings.logging.access_sample_ratio
        self._store = store
        self._shards = recorder.shards
        self._logger = logging.getLogger(LOGGER)
        self._fixed: dict[Key, _Fixed] = {}
        self._places: dict[tuple[int, str], int] = {}
        store.follow(self)

    def reset(self) -> None:
        """Forget every place: the store has become another."""
        self._places.clear()

    def write(self, scope: Scope, key: Key, seconds: float) -> None:
        """Write the line of a request, unless it is one of the successful ones that are left out."""
        parent = logging.root.parent
        if type(parent) is not RootParent or logging.root.handlers:  # usually it is, without its function
            parent = current()
            if parent is None:
                return
        handler = parent.lines
        is_success, number, level, template = self._fixed.get(key) or self._made(key)
        if not self._logger.isEnabledFor(number):
            return
        if is_success and self._ratio < 1.0 and random() >= self._ratio:  # noqa: S311 - no secret
            return
        shard = self._shards[get_ident()]
        place = self._places.get((shard.number, level))
        shard.buffer[self._place(shard.number, level) if place is None else place] += 1.0
        if scope.get(BOUND) or not isinstance(handler.render, Json):
            handler.writer.put(_rendered(handler, scope, key, level, seconds))
            return
        span = scope.get(SPAN)
        trace = b',"trace_id":"%032x","span_id":"%016x"' % (span.trace_id, span.span_id) if span is not None else b""
        stream = b',"first_byte_ms":%.3f' % first_byte_ms(scope, seconds) if STREAM in scope else b""
        now, correlation_id = handler.clock(time.time()).encode(), scope.get(ID, "").encode()
        handler.writer.put(template % (now, correlation_id, trace, seconds * 1000, stream))

    def _made(self, key: Key) -> _Fixed:
        """What the lines of a series have in common."""
        if len(self._fixed) > _MOST:  # a router that makes up templates
            self._fixed.clear()
        _, _, status, error_type = key
        number, level = (logging.ERROR, "error") if error_type else (logging.INFO, "info")
        facts = {"level": level, "event": EVENT, "logger": LOGGER}
        is_success = not error_type and status < _BAD_REQUEST
        head, tail = _inner(facts), _inner({**self._service, **_fields(key)})
        template = b'{"timestamp":"%%b",%b,"correlation_id":"%%b"%%b,%b,"duration_ms":%%.3f%%b}\n' % (head, tail)
        self._fixed[key] = made = is_success, number, level, template
        return made

    def _place(self, shard: int, level: str) -> int:
        """Where the lines of a level are counted."""
        self._places[shard, level] = place = self._store.place(catalog.LOG_EVENTS, (level,), shard)
        return place


def first_byte_ms(scope: Scope, seconds: float) -> float:
    """Milliseconds from the start of a request to the first byte of its stream."""
    stream: Stream = scope[STREAM]
    return (seconds - (stream.ended - stream.first_byte)) * 1000


def _rendered(handler: Lines, scope: Scope, key: Key, level: str, seconds: float) -> bytes:
    """A line for a terminal, or with what the request has bound, which may be anything."""
    facts = {"timestamp": handler.clock(time.time()), "level": level, "event": EVENT, "logger": LOGGER}
    facts["correlation_id"] = scope.get(ID, "")
    span = scope.get(SPAN)
    if span is not None:
        facts |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    fields = {**_fields(key), "duration_ms": round(seconds * 1000, 3)}
    if STREAM in scope:
        fields["first_byte_ms"] = round(first_byte_ms(scope, seconds), 3)
    return handler.render(facts, fields | handler.masked({**scope.get(BOUND, {})}, (*FACTS, *fields, "error_type")))


def _fields(key: Key) -> dict[str, object]:
    method, route, status, error_type = key
    fields: dict[str, object] = {"method": method, "route": route, "status": int(status)}
    return fields | ({"error_type": error_type} if error_type else {})


def _inner(fields: Mapping[str, object]) -> bytes:
    """Fields as JSON without the braces, as a part of a template."""
    return as_json(fields)[1:-1].replace(b"%", b"%%")
