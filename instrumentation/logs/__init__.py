"""Structured logs: records of structlog, the standard library and the server become lines of JSON."""

from __future__ import annotations

from instrumentation.logs.configuration import configure_logging, set_level

__all__ = ["configure_logging", "set_level"]
