"""Headers that become attributes of spans, as OpenTelemetry's environment variables name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.util import http

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

    from instrumentation.asgi import Message, Scope


class Captured:
    """The headers of requests and responses to capture; usually none."""

    def __init__(self) -> None:
        self._request = http.get_custom_headers(http.OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST)
        self._response = http.get_custom_headers(http.OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE)
        masked = http.get_custom_headers(http.OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS)
        self._sanitize = http.SanitizeValue(masked)

    def of_request(self, scope: Scope) -> dict[str, Any]:
        """The attributes of a request's headers."""
        return self._found(scope, self._request, http.normalise_request_header_name) if self._request else {}

    def of_response(self, span: Span, message: Message) -> Message:
        """Add the attributes of a response's headers; returns the message, whose headers can still be read."""
        if self._response:
            message = {**message, "headers": [*(message.get("headers") or ())]}  # an iterator gives them only once
            span.set_attributes(self._found(message, self._response, http.normalise_response_header_name))
        return message

    def _found(self, carrier: Scope | Message, wanted: list[str], name: Callable[[str], str]) -> dict[str, Any]:
        headers: dict[str, str | list[str]] = {}
        for key, value in carrier.get("headers") or ():
            values = headers.setdefault(key.decode("latin-1"), [])
            if isinstance(values, list):
                values.append(value.decode("latin-1"))
        return self._sanitize.sanitize_header_values(headers, wanted, name)
