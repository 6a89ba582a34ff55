"""Changes to FastAPI apps: FastAPI's own telemetry creates no spans, and background tasks have spans."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import get_value

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_SPANS = (
    "FastAPI's own telemetry (telemetry=) creates no spans for this app, because Sidelight does; "
    "remove tracing.endpoint to keep FastAPI's"
)
_NOTHING = (
    "FastAPI's own telemetry (telemetry=) records nothing for this app, because its spans are created by OpenTelemetry's "
    "instrumentation, to which FastAPI gives way; remove tracing.endpoint to keep FastAPI's"
)
_OF_CONTRIB = "_otel_original_call"
"""Where OpenTelemetry's instrumentation keeps the method that it replaces."""
TRACER = "sidelight.tracer"
"""The key in the context of a request whose value is the tracer that started its span."""


def telemetry_fault(app: Any, *, uses_contrib: bool) -> str:
    """What to log if FastAPI's telemetry, which the service has configured, gives way; empty if there is nothing to say.

    Args:
        app: Any app.
        uses_contrib: Whether OpenTelemetry's instrumentation creates the spans; FastAPI then stops metrics and logs too.
    """
    given = getattr(app, "_telemetry", {})  # from FastAPI 0.143 on
    signals = ("tracer", "meter", "logger") if uses_contrib else ("tracer",)
    if not any(given.get(f"{signal}_provider") is not None for signal in signals):
        return ""
    return _NOTHING if uses_contrib else _NO_SPANS


def give_way(app: Any) -> Callable[[], None]:
    """Create no second span for a FastAPI app, and one for each of its background tasks.

    Returns:
        What reverts it; for another app there is nothing to do.
    """
    if not hasattr(app, "openapi"):
        return lambda: None
    given = getattr(app, "_telemetry", {})  # from FastAPI 0.143 on; telemetry={"tracing": ...} is the public name
    before = given.get("tracing")
    if before is not None:
        given["tracing"] = False
    _tasks.follow()

    def revert() -> None:
        if before is not None:
            given["tracing"] = before
        _tasks.leave()

    return revert


class _BackgroundTasks:
    """Spans of Starlette's background tasks, in all apps of a process, as OpenTelemetry's instrumentation creates them."""

    def __init__(self) -> None:
        self._users = 0
        self._revert: Callable[[], None] | None = None

    def follow(self) -> None:
        self._users += 1
        if self._revert is None:
            self._revert = _traced()

    def leave(self) -> None:
        self._users -= 1
        if not self._users and self._revert is not None:
            self._revert()
            self._revert = None


def _traced() -> Callable[[], None]:
    from starlette.background import BackgroundTask  # noqa: PLC0415 - not for a service without Starlette

    original = BackgroundTask.__call__
    if hasattr(BackgroundTask, _OF_CONTRIB):
        return lambda: None

    @wraps(original)
    async def traced(self: BackgroundTask) -> None:
        tracer: Any = get_value(TRACER)
        if tracer is None or not trace.get_current_span().get_span_context().trace_flags.sampled:
            return await original(self)
        name = getattr(self.func, "__name__", type(self.func).__name__)
        with tracer.start_as_current_span(f"BackgroundTask {name}"):
            return await original(self)

    BackgroundTask.__call__ = traced  # type: ignore[method-assign]

    def revert() -> None:
        if BackgroundTask.__call__ is traced:
            BackgroundTask.__call__ = original  # type: ignore[method-assign]

    return revert


_tasks = _BackgroundTasks()
