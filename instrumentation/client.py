"""Measures calls to other services: ``instrument_client(client)`` times an httpx client and adds the correlation id.

It wraps the client's transports rather than using event hooks, because hooks are not called for failed calls.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping  # noqa: TC003 - for typing.get_type_hints
from typing import Any, TypeVar

from instrumentation.catalog import HTTP_CLIENT_REQUEST_DURATION
from instrumentation.correlation import correlation_headers
from instrumentation.errors import InstrumentationError
from instrumentation.http_methods import METHODS, OTHER_METHOD
from instrumentation.log_once import LogOnce
from instrumentation.store import Store, default_store, observe
from instrumentation.tracing.clients import follow_client

_Client = TypeVar("_Client")
_MARK = "_sidelight"
_LONGEST_HOST = 253  # RFC 1035; longer names cannot be resolved, and must not fill the memory
_MOST_ERRORS = 50  # the maximum number of exception classes that are reported by name; others become OTHER_ERROR
_BAD_REQUEST = 400
OTHER_ERROR = "_OTHER"


def instrument_client(
    client: _Client, *, store: Store | None = None, clock: Callable[[], float] = time.perf_counter
) -> _Client:
    """Measure every request of an ``httpx.Client`` or ``httpx.AsyncClient``, and pass the correlation id on.

    The client is changed in place and returned; a second call has no effect. Each attempt over the network is a separate
    request, including redirects and responses to authentication challenges. Its duration ends when the response headers
    arrive, because a response need not be read to its end; OpenTelemetry's own instrumentation does the same (semantic
    conventions, "HTTP client span duration").

    Args:
        client: The client.
        store: The store to count in; the process's own by default.
        clock: Returns seconds.

    Raises:
        InstrumentationError: ``client_invalid``.
    """
    inner: Any = client
    if not hasattr(inner, "_transport") or not hasattr(inner, "_mounts"):
        raise InstrumentationError(
            f"instrument_client() got {type(client).__name__}; give an httpx.Client or an httpx.AsyncClient.",
            code="client_invalid",
        )
    if getattr(inner, _MARK, False) is not True:
        calls = _Calls(store or default_store(), clock)
        inner._transport = _measured(inner._transport, calls)  # noqa: SLF001 - httpx has no public access to it
        mounts = inner._mounts  # noqa: SLF001 - as above
        mounts.update({pattern: _measured(mounted, calls) for pattern, mounted in mounts.items()})
        setattr(inner, _MARK, True)
        follow_client(inner)
    return client


def _measured(transport: Any, calls: _Calls) -> Any:
    """Wrap a transport once, even if two clients share it; None in a client's mounts means the client's own transport."""
    return transport if transport is None or isinstance(transport, _Measured) else _Measured(transport, calls)


class _Measured:
    """A transport that measures requests and otherwise behaves like the wrapped one."""

    def __init__(self, transport: Any, calls: _Calls) -> None:
        self._transport = transport
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def handle_request(self, request: Any) -> Any:
        """Handle a request, as httpx requires of a transport."""
        _pass_on(request)
        began = self._calls.clock()
        try:
            response = self._transport.handle_request(request)
        except BaseException as error:
            self._calls.count(request, began, error)
            raise
        self._calls.count(request, began, response)
        return response

    async def handle_async_request(self, request: Any) -> Any:
        """Handle a request, as httpx requires of an asynchronous transport."""
        _pass_on(request)
        began = self._calls.clock()
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            self._calls.count(request, began, error)
            raise
        self._calls.count(request, began, response)
        return response


_PASSED_ON: tuple[Callable[[], Mapping[str, str]], ...] = (correlation_headers,)
"""Functions that return headers to pass on from the current request to a call."""


def _pass_on(request: Any) -> None:
    """Add the headers, except those that the call already has."""
    for headers in _PASSED_ON:
        for name, value in headers().items():
            request.headers.setdefault(name, value)


class _Calls:
    """Counts calls; an error in it is logged once and does not affect any call."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._store = store
        self._errors: set[str] = set()
        self._log_once = LogOnce()

    def count(self, request: Any, began: float, outcome: Any) -> None:
        """Count a call by its response, or by the exception that was raised instead."""
        try:
            host = request.url.raw_host.decode("ascii")[:_LONGEST_HOST]
            method = METHODS.get(request.method, OTHER_METHOD)
            labels = (host, method, *self._result(outcome))
            observe(self._store, HTTP_CLIENT_REQUEST_DURATION, labels, self.clock() - began)
        except Exception as error:  # noqa: BLE001 - our errors must not affect the service
            text = "sidelight could not count a call; the service is not affected, and further failures are not logged"
            self._log_once(text, level=logging.ERROR, error=error)

    def _result(self, outcome: Any) -> tuple[str, str]:
        """Status and error type; for clients, 4xx is an error too, as in the semantic conventions."""
        if isinstance(outcome, BaseException):
            return "", self._named(outcome)
        status = int(outcome.status_code)
        return str(status), str(status) if status >= _BAD_REQUEST else ""

    def _named(self, error: BaseException) -> str:
        name = type(error).__qualname__
        if len(self._errors) < _MOST_ERRORS:
            self._errors.add(name)
        return name if name in self._errors else OTHER_ERROR
