"""The correlation id and the span of the current request."""

from __future__ import annotations

import os
import re
import sys
from contextvars import ContextVar
from random import Random
from typing import Any

HEADER = "x-correlation-id"
"""The header in which it is returned and passed on."""

ID = "sidelight.correlation_id"
"""The key of the correlation id in a scope."""
SPAN = "sidelight.span"
"""The key of the context of the request's span in a scope, set when the response begins; None without a span."""

_current: ContextVar[str] = ContextVar("sidelight_correlation_id", default="")

# A separate generator, because a service may seed the module's; os.urandom would be a system call per request.
_random = Random()  # noqa: S311 - an id is not a secret
os.register_at_fork(after_in_child=_random.seed)

# Allows UUIDs, ULIDs, trace ids and AWS' Root=1-..., but no blanks, quotes, @ or anything that could corrupt a log.
_USABLE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")


def correlation_id() -> str:
    """The id of the current request; empty outside a request."""
    return _current.get()


def new_correlation_id() -> str:
    """A new unique id of 32 hexadecimal digits."""
    return _random.getrandbits(128).to_bytes(16).hex()  # takes a quarter of the time that formatting the number takes


def usable(value: bytes) -> bool:
    r"""Whether an id from outside is safe for headers and logs: 1 to 128 characters of a few kinds.

    >>> usable(b"01JD7Z3V0Q"), usable(b"7\\nforged=line"), usable(b"7" * 129)
    (True, False, False)
    """
    return _USABLE.fullmatch(value) is not None


def correlation_headers() -> dict[str, str]:
    """The headers to pass on with a call to another service; empty outside a request."""
    current = _current.get()
    return {HEADER: current} if current else {}


def current_span() -> Any:
    """The context of the current span, sampled or not; None without a span or if OpenTelemetry is not loaded."""
    trace, contexts = sys.modules.get("opentelemetry.trace"), sys.modules.get("opentelemetry.context")
    if trace is None or contexts is None:
        return None
    current = contexts.get_current()
    if not current:  # usually, without tracing
        return None
    context = trace.get_current_span(current).get_span_context()
    return context if context.is_valid else None
