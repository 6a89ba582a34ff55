"""Exemplars: the trace of a request duration, which is the sampled span at the start of the response."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from prometheus_client.samples import Exemplar

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 10_000  # buckets that remember a trace; a router that makes up templates must not fill the memory


class HttpExemplars(dict[tuple[str, tuple[str, ...], int], Exemplar]):
    """The last exemplar of each bucket of the request duration, as the page takes them.

    Args:
        clock: Gives seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock

    def keep(self, span: Any, labels: tuple[str, ...], bucket: int, seconds: float) -> None:
        """Remember the span of one observation."""
        if len(self) >= _MOST:
            self.clear()
        ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        self[HTTP_SERVER_REQUEST_DURATION.name, labels, bucket] = Exemplar(ids, seconds, self._clock())


def sampled_span() -> Any:
    """The context of the current span if it is sampled; None if it is not, or if OpenTelemetry is not loaded."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid and context.trace_flags.sampled else None
