"""Headers of responses: the promised length of the body, and headers that can be read more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instrumentation.asgi import Message

WITHOUT_BODY = frozenset((204, 304))
"""Statuses whose responses have no body, whatever their headers say."""

_CONTENT_LENGTH = b"content-length"


def with_lasting_headers(message: Message) -> Message:
    """The start of a response with headers that can be read more than once; some frameworks pass an iterator."""
    headers = message.get("headers")
    return message if headers is None or isinstance(headers, list | tuple) else {**message, "headers": list(headers)}


def promised_bytes(method: str, status: int, headers: Any) -> int | None:
    """The number of bytes after which the body is complete; None if only the last message shows it.

    Args:
        method: The method of the request.
        status: The status of the response.
        headers: The headers of the response, as in ASGI.
    """
    if method == "HEAD" or status in WITHOUT_BODY:
        return 0
    try:
        for name, value in headers or ():
            if len(name) == len(_CONTENT_LENGTH) and name.lower() == _CONTENT_LENGTH:
                return int(value) if value.isdigit() else None
    except (AttributeError, TypeError, ValueError):  # not a header; the server refuses it
        pass
    return None
