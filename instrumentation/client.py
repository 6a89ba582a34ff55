"""What a service's calls to others take: ``instrument_client(client)`` measures the requests of an httpx client, and adds the correlation id.

At the client's transports rather than by its event hooks, since hooks do not hear of calls that fail.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from instrumentation.catalog import HTTP_CLIENT_REQUEST_DURATION
from instrumentation.correlation import correlation_headers
from instrumentation.errors import InstrumentationError
from instrumentation.http_methods import METHODS, OTHER_METHOD
from instrumentation.store import default_store, observe
from instrumentation.tracing.clients import follow_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.store import Store

_Client = TypeVar("_Client")
_log = logging.getLogger("instrumentation")
_MARK = "_sidelight"
_LONGEST_HOST = 253  # RFC 1035; a longer one has no address, and must not fill the memory
_MOST_ERRORS = 50  # exception classes that keep their name; a program that makes up classes gets OTHER_ERROR
_BAD_REQUEST = 400
OTHER_ERROR = "_OTHER"


def instrument_client(
    client: _Client, *, store: Store | None = None, clock: Callable[[], float] = time.perf_counter
) -> _Client:
    """Measure every request of an ``httpx.Client`` or ``httpx.AsyncClient``, and pass the correlation id on.

    The client is changed in place and returned; doing it twice counts once. Each attempt over the wire is a request of
    its own, redirects and answers to authentication challenges too, and takes until the headers of its response are
    there: a response need never be read to its end, so that is where OpenTelemetry's own instrumentation ends too
    (semantic conventions, "HTTP client span duration").

    Args:
        client: The client.
        store: Where to count; the process's own store by default.
        clock: Gives seconds.

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
        inner._transport = _measured(inner._transport, calls)  # noqa: SLF001 - httpx has no public door to it
        mounts = inner._mounts  # noqa: SLF001 - as above
        mounts.update({pattern: _measured(mounted, calls) for pattern, mounted in mounts.items()})
        setattr(inner, _MARK, True)
        follow_client(inner)
    return client


def _measured(transport: Any, calls: _Calls) -> Any:
    """None in a client's mounts means: the client's own transport. One that two clients share counts once."""
    return transport if transport is None or isinstance(transport, _Measured) else _Measured(transport, calls)


class _Measured:
    """A transport that measures what goes through it, and is in all else the one within."""

    def __init__(self, transport: Any, calls: _Calls) -> None:
        self._transport = transport
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def handle_request(self, request: Any) -> Any:
        """What httpx asks of a transport."""
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
        """What httpx asks of an asynchronous transport."""
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
"""What gives headers that a call takes along from the request within which it is made."""


def _pass_on(request: Any) -> None:
    """Add the headers; one that the call has already stays."""
    for headers in _PASSED_ON:
        for name, value in headers().items():
            request.headers.setdefault(name, value)


class _Calls:
    """Counts calls; a fault in it is logged once and changes no call."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._store = store
        self._errors: set[str] = set()
        self._has_failed = False

    def count(self, request: Any, began: float, outcome: Any) -> None:
        """Count a call by its response, or by what was raised in its place."""
        try:
            host = request.url.raw_host.decode("ascii")[:_LONGEST_HOST]
            method = METHODS.get(request.method, OTHER_METHOD)
            labels = (host, method, *self._result(outcome))
            observe(self._store, HTTP_CLIENT_REQUEST_DURATION, labels, self.clock() - began)
        except Exception:  # noqa: BLE001 - a fault of ours must not become the service's
            if not self._has_failed:
                self._has_failed = True
                _log.exception("sidelight could not count a call; the service goes on, later faults are silent")

    def _result(self, outcome: Any) -> tuple[str, str]:
        """Status and error type; a 4xx is the caller's error, as semantic conventions have it for clients."""
        if isinstance(outcome, BaseException):
            return "", self._named(outcome)
        status = int(outcome.status_code)
        return str(status), str(status) if status >= _BAD_REQUEST else ""

    def _named(self, error: BaseException) -> str:
        name = type(error).__qualname__
        if len(self._errors) < _MOST_ERRORS:
            self._errors.add(name)
        return name if name in self._errors else OTHER_ERROR
