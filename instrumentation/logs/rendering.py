"""Renders a log record as a line: JSON for programs, or columns for a terminal."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

import structlog
from pydantic_core import PydanticSerializationError, to_json
from structlog.tracebacks import ExceptionDictTransformer

from instrumentation.target_info import as_labels

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeAlias

    from instrumentation.settings import Service

    Fields: TypeAlias = dict[str, Any]
    ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

_FACTS = frozenset(
    (
        "timestamp",
        "level",
        "event",
        "logger",
        "correlation_id",
        "trace_id",
        "span_id",
        "exception",
        "stack",
        "duration_ms",
    )
)
_PLATFORM = ("cloud.", "container.", "faas.", "host.", "k8s.", "os.", "process.", "telemetry.")
LARGEST_LINE = 16_000  # containerd and Docker cut a line at 16 KiB
_TEXT, _ITEMS, _DEEPEST = 500, 20, 6  # to which a line is shortened if it would be larger
_MOST_FRAMES = 50

_frames = ExceptionDictTransformer(show_locals=False, max_frames=_MOST_FRAMES)
_SEPARATORS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}  # some readers end a line at these
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Clock:
    """Formats Unix seconds as a timestamp, and remembers the part that stays the same for a second.

    >>> Clock()(7.25)
    '1970-01-01T00:00:07.250000Z'
    """

    def __init__(self) -> None:
        self._kept = (-1, "")

    def __call__(self, seconds: float) -> str:
        """The timestamp, in UTC."""
        whole = int(seconds)
        kept, text = self._kept
        if kept != whole:
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(whole))
            self._kept = whole, text  # at once, since other threads read it
        microseconds = str(1_000_000 + int((seconds - whole) * 1e6))  # faster than a format with zeros
        return f"{text}{microseconds[1:]}Z"


class Json:
    """Renders a record as one JSON object.

    Args:
        service: The service that logs.
    """

    def __init__(self, service: Service) -> None:
        self._service = service_facts(service)

    def exception(self, exc_info: ExcInfo) -> object:
        """An exception and its causes: types, messages and frames, without the values of variables."""
        return [{key: value for key, value in one.items() if value} for one in _frames(exc_info)]

    def __call__(self, facts: Fields, fields: Fields) -> bytes:
        """The line of a record.

        Args:
            facts: The fields that every record has, in order.
            fields: The other fields of this record, with secrets masked.
        """
        line = as_json(facts | self._service | fields)
        if len(line) > LARGEST_LINE:
            line = as_json(shortened(facts | self._service | fields))
        if len(line) > LARGEST_LINE:
            line = as_json(shortened(facts | self._service | {"left_out": list(fields)}))
        return line + b"\n"


class Console:
    """Renders a record for a terminal.

    Args:
        colors: Whether the terminal supports colours.
    """

    def __init__(self, *, colors: bool) -> None:
        self._renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )

    def exception(self, exc_info: ExcInfo) -> object:
        """The traceback as Python prints it: lines of code, without the values of variables."""
        return "".join(traceback.format_exception(*exc_info))

    def __call__(self, facts: Fields, fields: Fields) -> bytes:
        """The lines of a record, with control characters escaped."""
        shown = {key: _visible(value) for key, value in (facts | fields).items() if value != ""}
        shown["event"] = str(shown["event"]).replace("\n", "\\n")
        return (str(self._renderer(None, "", shown)) + "\n").encode("utf-8", "replace")


def service_facts(service: Service) -> dict[str, str]:
    """The fields of the service in every line, except attributes of the platform, which log collectors add."""
    facts = {"service": service.name, "version": service.version, "environment": service.environment}
    own = {name: value for name, value in service.attributes.items() if not name.startswith(_PLATFORM)}
    return facts | as_labels(own, reserved=_FACTS | facts.keys())


def as_json(value: object) -> bytes:
    """Any value as JSON on one line. A value without a JSON form becomes the name of its type, and NaN becomes null."""
    try:
        line = to_json(value, inf_nan_mode="null", bytes_mode="base64", fallback=_named)
    except (PydanticSerializationError, RecursionError):  # half of a surrogate pair, or a circular reference
        line = to_json(shortened(value), inf_nan_mode="null", bytes_mode="base64", fallback=_named)
    if not line.isascii():
        for character, escape in _SEPARATORS.items():
            line = line.replace(character.encode(), escape.encode())
    return line


def shortened(value: Any, depth: int = 0) -> Any:
    """Shorten a value: texts and containers are cut, and what is nested deeply becomes the name of its type."""
    if isinstance(value, str):
        text = value if len(value) <= _TEXT else f"{value[:_TEXT]}... ({len(value)} characters)"
        return text.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 64 else _named(value)
    if depth > _DEEPEST or not isinstance(value, dict | list | tuple | set | frozenset):
        return _named(value)
    more = {"...": len(value) - _ITEMS} if len(value) > _ITEMS and depth else {}
    if isinstance(value, dict):
        kept = list(value.items())[: _ITEMS if depth else None]
        return {shortened(str(key), depth + 1): shortened(item, depth + 1) for key, item in kept} | more
    return [*(shortened(item, depth + 1) for item in list(value)[:_ITEMS]), *([more] if more else [])]


def _named(value: object) -> str:
    return f"<{type(value).__name__}>"


def _visible(value: object) -> object:
    return value.translate(_CONTROL) if isinstance(value, str) else value


Renderer = Json | Console
