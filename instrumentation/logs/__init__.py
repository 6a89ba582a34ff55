"""Structured logs: one JSON object a line, of structlog, of the standard library and of the server alike."""

from __future__ import annotations

from instrumentation.logs.configuration import configure_logging, set_level

__all__ = ["configure_logging", "set_level"]
