"""Leaves out or shortens what libraries log about single requests."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    Args = tuple[object, ...] | Mapping[str, object] | None

_CALL = "HTTP Request: "
_WEBSOCKET = re.compile(r'%s - "WebSocket %s" (.*)')


def is_for_debugging(record: logging.LogRecord) -> bool:
    """Whether a record is about a single call of httpx or a library based on it, and its logger's level is not debug.

    Such a record contains the path. ``instrument_client()`` counts the calls instead.
    """
    return (
        record.levelno < logging.WARNING
        and isinstance(record.msg, str)
        and record.msg.startswith(_CALL)
        and not logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
    )


def without_peer(template: str, args: Args) -> tuple[str, Args]:
    """Remove client, path and query string from a record about a websocket that opens or is rejected.

    uvicorn logs these records with ``uvicorn.error``, which also logs important ones.
    """
    match = _WEBSOCKET.fullmatch(template)
    if match is None or not isinstance(args, tuple):
        return template, args
    return f"WebSocket {match[1]}", args[2:]
