"""What libraries say of each single request: how much of it becomes a line."""

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
    """Whether a record is one about each call of an HTTP client: of httpx, and of what is made from it or like it.

    ``instrument_client()`` counts calls. The line holds the path, so it is written where the logger's level is debug.
    """
    return (
        record.levelno < logging.WARNING
        and isinstance(record.msg, str)
        and record.msg.startswith(_CALL)
        and not logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
    )


def without_peer(template: str, args: Args) -> tuple[str, Args]:
    """A record about a websocket that opens or is refused, without the client, the path and the query.

    uvicorn says it by ``uvicorn.error``, which has other records that matter.
    """
    match = _WEBSOCKET.fullmatch(template)
    if match is None or not isinstance(args, tuple):
        return template, args
    return f"WebSocket {match[1]}", args[2:]
