"""A problem document (RFC 9457) as it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Document(NamedTuple):
    """A problem document, as it is sent.

    Attributes:
        status: The HTTP status.
        headers: By name, without the content type.
        body: JSON; empty where the status has no body.
        media_type: Of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    media_type: str = "application/problem+json"

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, and the content type."""
        return {"content-type": self.media_type, **self.headers}
