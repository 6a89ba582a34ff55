"""The access line: one for each request, made of what is known and clean, so that it needs no pipeline."""

from __future__ import annotations

import logging
import time
from random import random
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.correlation import ID, SPAN
from instrumentation.http.streaming import STREAM
from instrumentation.logs.above import current
from instrumentation.logs.binding import BOUND
from instrumentation.logs.handler import FACTS
from instrumentation.logs.rendering import Json, as_json, service_facts
from instrumentation.threads import get_ident

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.asgi import Scope
    from instrumentation.http.middleware import Key
    from instrumentation.http.recorder import HttpRecorder
    from instrumentation.logs.handler import Lines
    from instrumentation.settings import Settings
    from instrumentation.store import Store

LOGGER = "instrumentation.access"
EVENT = "request"
_BAD_REQUEST = 400
_MOST = 5000  # series whose fixed parts are kept
_Fixed = tuple[bool, int, str, str, str]


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

    def __call__(self, scope: Scope, key: Key, seconds: float) -> None:
        """Write the line of a request, unless it is one of the successful ones that are left out."""
        above = current()
        if above is None:
            return
        handler = above.lines
        is_success, number, level, head, tail = self._fixed.get(key) or self._made(key)
        if not self._logger.isEnabledFor(number) or (is_success and random() >= self._ratio):  # noqa: S311 - no secret
            return
        self._count(level)
        if scope.get(BOUND) or not isinstance(handler.render, Json):
            handler.writer.put(_rendered(handler, scope, key, level, seconds))
            return
        span = scope.get(SPAN)
        trace = f',"trace_id":"{span.trace_id:032x}","span_id":"{span.span_id:016x}"' if span is not None else ""
        first_byte = first_byte_ms(scope, seconds)
        stream = "" if first_byte is None else f',"first_byte_ms":{first_byte:.3f}'
        line = (
            f'{{"timestamp":"{handler.clock(time.time())}",{head},"correlation_id":"{scope.get(ID, "")}"{trace},'
            f'{tail},"duration_ms":{seconds * 1000:.3f}{stream}}}\n'
        )
        handler.writer.put(line.encode())

    def _made(self, key: Key) -> _Fixed:
        """What the lines of a series have in common."""
        if len(self._fixed) > _MOST:  # a router that makes up templates
            self._fixed.clear()
        _, _, status, error_type = key
        number, level = (logging.ERROR, "error") if error_type else (logging.INFO, "info")
        head = {"level": level, "event": EVENT, "logger": LOGGER}
        tail = {**self._service, **_fields(key)}
        is_success = not error_type and status < _BAD_REQUEST
        self._fixed[key] = made = is_success, number, level, _inner(head), _inner(tail)
        return made

    def _count(self, level: str) -> None:
        shard = self._shards[get_ident()]
        place = self._places.get((shard.number, level))
        if place is None:
            place = self._store.place(catalog.LOG_EVENTS, (level,), shard.number)
            self._places[shard.number, level] = place
        shard.buffer[place] += 1.0


def first_byte_ms(scope: Scope, seconds: float) -> float | None:
    """Milliseconds from the start of a request to the first byte of its stream; None if the response is not a stream."""
    stream = scope.get(STREAM)
    return None if stream is None else (seconds - (stream.ended - stream.first_byte)) * 1000


def _rendered(handler: Lines, scope: Scope, key: Key, level: str, seconds: float) -> bytes:
    """A line for a terminal, or with what the request has bound, which may be anything."""
    facts = {"timestamp": handler.clock(time.time()), "level": level, "event": EVENT, "logger": LOGGER}
    facts["correlation_id"] = scope.get(ID, "")
    span = scope.get(SPAN)
    if span is not None:
        facts |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    fields = {**_fields(key), "duration_ms": round(seconds * 1000, 3)}
    first_byte = first_byte_ms(scope, seconds)
    if first_byte is not None:
        fields["first_byte_ms"] = round(first_byte, 3)
    return handler.render(facts, fields | handler.masked({**scope.get(BOUND, {})}, (*FACTS, *fields, "error_type")))


def _fields(key: Key) -> dict[str, object]:
    method, route, status, error_type = key
    fields: dict[str, object] = {"method": method, "route": route, "status": int(status)}
    return fields | ({"error_type": error_type} if error_type else {})


def _inner(fields: Mapping[str, object]) -> str:
    """Fields as JSON without the braces."""
    return as_json(fields)[1:-1].decode()
