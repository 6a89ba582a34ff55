"""The outermost layer around an app: measures requests, answers ``/metrics``, changes nothing else."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from instrumentation.exposition import render
from instrumentation.http.recorder import CLIENT_CLOSED_REQUEST, METHODS, OTHER_METHOD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.http.recorder import HttpRecorder
    from instrumentation.http.routes import Routes
    from instrumentation.settings import Settings

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("instrumentation")
_SEEN = "sidelight"


class SidelightMiddleware:
    """An ASGI app around an ASGI app.

    Attributes:
        app: The app within; frameworks look through a stack by this name.
    """

    def __init__(
        self, app: ASGIApp, *, settings: Settings, recorder: HttpRecorder, routes: Routes, registry: CollectorRegistry
    ) -> None:
        self.app = app
        self._recorder = recorder
        self._routes = routes
        self._registry = registry
        self._metrics_path = settings.metrics.path
        self._excluded = frozenset(settings.http.excluded_routes)
        self._expected = False
        self._failed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and measure what is a request."""
        if scope["type"] != "http" or _SEEN in scope:  # an app mounted in an instrumented one is seen through that one
            await self.app(scope, receive, send)
            return
        scope[_SEEN] = True
        if not self._expected:
            self._expect()
        path = scope["path"]
        if path == self._metrics_path:
            await self._answer(scope, send)
        elif path in self._excluded:
            await self.app(scope, receive, send)
        else:
            await self._measure(scope, receive, send)

    async def _measure(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = METHODS.get(scope["method"], OTHER_METHOD)
        self._recorder.begin(method)
        began = time.perf_counter()
        response = _Response(send)
        try:
            await self.app(scope, receive, response.send)
        except Exception:
            self._end(scope, method, response, began, unanswered=500)
            raise
        except BaseException:  # the task was cancelled: the client, or the server, went away
            self._end(scope, method, response, began, unanswered=CLIENT_CLOSED_REQUEST)
            raise
        self._end(scope, method, response, began, unanswered=500)

    def _end(self, scope: Scope, method: str, response: _Response, began: float, *, unanswered: int) -> None:
        """Count the request, whatever happens: a fault of ours is logged once and swallowed."""
        try:
            seconds = (response.ended or time.perf_counter()) - began
            status = response.status or unanswered
            template = self._routes.template(scope)
            if template in self._excluded:
                self._recorder.discard(method)
            else:
                aborted = bool(response.status) and not response.ended
                self._recorder.end(method, template, status, seconds, aborted=aborted)
        except Exception:  # noqa: BLE001 - see the docstring
            if not self._failed:
                self._failed = True
                _log.exception("sidelight could not count a request; the service goes on, later faults are not logged")

    def _expect(self) -> None:
        self._expected = True
        known = (
            (method, route.template)
            for route in self._routes
            if route.template not in self._excluded
            for method in sorted(route.methods - {"HEAD", "OPTIONS"})
        )
        try:
            self._recorder.expect(known)
        except Exception:  # noqa: BLE001 - a router of another kind is no reason to fail a request
            _log.exception("sidelight could not read the app's routes; they are counted once they are called")

    async def _answer(self, scope: Scope, send: Send) -> None:
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        page = render(accept.decode("latin-1"), self._registry)
        headers = [
            (b"content-type", page.content_type.encode("latin-1")),
            (b"content-length", str(len(page.body)).encode("ascii")),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page.body})


class _Response:
    """What goes over the wire, watched as it goes.

    Attributes:
        status: The status sent; 0 while none was.
        ended: When the last byte went out, on ``time.perf_counter``; 0.0 while it has not.
    """

    __slots__ = ("_send", "_trailers", "ended", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._trailers = False
        self.status = 0
        self.ended = 0.0

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on; a plain function, since a coroutine for every chunk of a stream would cost."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = int(message["status"])
            self._trailers = bool(message.get("trailers"))
            return self._send(message)
        return self._last(message) if self._is_last(kind, message) else self._send(message)

    def _is_last(self, kind: str, message: Message) -> bool:
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        if kind == "http.response.body":
            return not (self._trailers or message.get("more_body", False))
        return kind == "http.response.pathsend" and not self._trailers

    async def _last(self, message: Message) -> None:
        await self._send(message)
        self.ended = time.perf_counter()
