"""Reduces what libraries log about single requests."""

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
    """Whether a record is about a single call of an HTTP client: httpx, and libraries based on it.

    ``instrument_client()`` counts calls. The record contains the path, so it is written only if the logger's level is debug.
    """
    return (
        record.levelno < logging.WARNING
        and isinstance(record.msg, str)
        and record.msg.startswith(_CALL)
        and not logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
    )


def without_peer(template: str, args: Args) -> tuple[str, Args]:
    """A record about a websocket that opens or is rejected, without the client, the path and the query string.

    uvicorn logs it in ``uvicorn.error``, together with other records that matter.
    """
    match = _WEBSOCKET.fullmatch(template)
    if match is None or not isinstance(args, tuple):
        return template, args
    return f"WebSocket {match[1]}", args[2:]
