"""The correlation id and the span of the request that is being answered."""

from __future__ import annotations

import os
import re
import sys
from contextvars import ContextVar
from random import Random
from typing import Any

HEADER = "x-correlation-id"
"""Under which it is answered and passed on."""

ID = "sidelight.correlation_id"
"""The key in a scope under which its correlation id stands."""
SPAN = "sidelight.span"
"""The key in a scope under which the context of the request's span stands once the response began; None without one."""

_current: ContextVar[str] = ContextVar("sidelight_correlation_id", default="")

# Of its own, since a service may seed the one of the module; os.urandom would be a system call for each request.
_random = Random()  # noqa: S311 - an id is no secret
os.register_at_fork(after_in_child=_random.seed)

# Room for UUIDs, ULIDs, trace ids and AWS' Root=1-...; no blank, quote, @ or anything that a log could mistake.
_USABLE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")


def correlation_id() -> str:
    """The id of the current request; empty outside of one."""
    return _current.get()


def new_correlation_id() -> str:
    """An id that nobody else has: 32 hexadecimal digits."""
    return f"{_random.getrandbits(128):032x}"


def usable(value: bytes) -> bool:
    r"""Whether an id that came from outside may stand in headers and logs: 1 to 128 characters of a few kinds.

    >>> usable(b"01JD7Z3V0Q"), usable(b"7\\nforged=line"), usable(b"7" * 129)
    (True, False, False)
    """
    return _USABLE.fullmatch(value) is not None


def correlation_headers() -> dict[str, str]:
    """What a call to another service takes along; nothing outside of a request."""
    current = _current.get()
    return {HEADER: current} if current else {}


def current_span() -> Any:
    """The context of the current span, sampled or not; None without one, and where nobody has loaded OpenTelemetry."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None
