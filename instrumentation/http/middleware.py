"""The outermost layer around an app: measures requests, changes nothing else.

This is the request path. It is one closure because that is what costs least: a class with methods took half as long
again (see docs/decisions/0008-the-request-path.md). speedups/_sidelight_speedups.c does the same for the usual request;
what is changed here has to be changed there.
"""

from __future__ import annotations

from asyncio import CancelledError
from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, Any

from instrumentation.http.exemplars import sampled_span
from instrumentation.http.recorder import ABORTED, CLIENT_CLOSED_REQUEST, METHODS, OTHER_METHOD, SERVER_ERROR
from instrumentation.http.routes import local_path
from instrumentation.threads import get_ident

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from instrumentation.http.exemplars import HttpExemplars
    from instrumentation.http.recorder import HttpRecorder
    from instrumentation.http.routes import Routes

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
    Key = tuple[str, str, int, str]
    """Method, template, status and error type."""
    Listener = Callable[[Scope, Key, float], None]

_SEEN = "sidelight"


def measuring(  # noqa: C901, PLR0913, PLR0915 - see the module
    app: ASGIApp,
    *,
    recorder: HttpRecorder,
    routes: Routes,
    excluded: frozenset[str],
    direct: Mapping[str, ASGIApp],
    other: Mapping[str, ASGIApp],
    exemplars: HttpExemplars | None = None,
    listeners: tuple[Listener, ...] = (),
) -> ASGIApp:
    """An ASGI app that counts what goes through it.

    Args:
        app: The app within.
        recorder: Where to count.
        routes: The routes of the app.
        excluded: Templates that do not count.
        direct: Path to the app that answers it, uncounted.
        other: Scope type to the app that takes what is no request.
        exemplars: Where the traces behind the durations are kept; None where they are not.
        listeners: Called once a request has been counted, with its scope, its series and its seconds.
    """
    shards, edges, by_id, template = recorder.shards, recorder.edges, routes.by_id, routes.template
    total = len(edges) + 1

    async def sidelight(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901, PLR0912, PLR0915
        # An app that is mounted in an instrumented one is seen through that one.
        if _SEEN in scope:
            return await app(scope, receive, send)
        if scope["type"] != "http":
            scope[_SEEN] = True
            return await other.get(scope["type"], app)(scope, receive, send)
        path = scope["path"]
        if scope.get("root_path"):
            path = local_path(scope)
        answer = direct.get(path)
        if answer is not None:
            return await answer(scope, receive, send)
        scope[_SEEN] = send  # the server's own, for layers within that ask whether its client is there
        method = METHODS.get(scope["method"], OTHER_METHOD)
        try:
            shard = shards.get(get_ident()) or recorder.shard(get_ident())
            buffer = shard.buffer
            active = shard.active.get(method)
            if active is None:
                active = recorder.active(shard, method)
            buffer[active] += 1.0
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not become the service's
            recorder.could_not_count(fault)
            return await app(scope, receive, send)
        status = 0
        ended = 0.0
        trailers = gone = False
        span = None

        async def last(message: Message) -> None:
            nonlocal ended, gone
            gone = gone or _is_gone(send)
            await send(message)
            ended = perf_counter()

        def watched(message: Message) -> Awaitable[None]:  # a coroutine for every chunk of a stream would cost
            nonlocal status, trailers, span
            is_last = False
            try:
                kind = message["type"]
                if kind == "http.response.body":
                    is_last = not (message.get("more_body") or trailers)
                elif kind == "http.response.start":
                    status = message["status"]
                    trailers = message.get("trailers", False)
                    if exemplars is not None:
                        span = sampled_span()
                elif kind == "http.response.trailers":
                    is_last = not message.get("more_trailers")
                elif kind == "http.response.pathsend":
                    is_last = not trailers
            except Exception as fault:  # noqa: BLE001 - a message without a type is the server's to refuse
                recorder.could_not_count(fault)
            return last(message) if is_last else send(message)

        async def heard() -> Message:
            nonlocal gone
            message = await receive()
            try:
                if message["type"] == "http.disconnect" and not ended:
                    gone = True
            except Exception as fault:  # noqa: BLE001 - a message without a type is the app's to refuse
                recorder.could_not_count(fault)
            return message

        began = perf_counter()
        try:
            await app(scope, heard, watched)
        except CancelledError:
            gone = not ended
            raise
        finally:
            seconds = (ended or perf_counter()) - began
            try:
                buffer[active] -= 1.0
                # What Routes.template does, without the calls, for the usual case.
                chosen = scope.get("route")
                nested = scope.get("fastapi")
                if nested:
                    context = nested.get("effective_route_context")
                    if context is not None:
                        chosen = context if context.original_route is chosen else None
                known = by_id.get(id(chosen))
                route = known.template if known is not None and known.chosen is chosen else template(scope)
                if route not in excluded:
                    if gone:
                        key = (method, route, CLIENT_CLOSED_REQUEST, "")
                    elif ended:
                        key = (method, route, status, "" if status < SERVER_ERROR else str(int(status)))
                    elif status:
                        key = (method, route, status, ABORTED)
                    else:
                        key = (method, route, SERVER_ERROR, "500")
                    place = shard.durations.get(key)
                    if place is None:
                        place = recorder.duration(shard, key)
                    bucket = bisect_left(edges, seconds)
                    buffer[place + bucket] += 1.0
                    buffer[place + total] += seconds
                    if exemplars is not None and span is not None:
                        exemplars.keep(span, (method, route, str(int(key[2])), key[3]), bucket, seconds)
                    for listen in listeners:
                        listen(scope, key, seconds)
            except Exception as fault:  # noqa: BLE001 - a fault of ours must not become the service's
                recorder.could_not_count(fault)
        return None

    sidelight.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return sidelight


def _is_gone(send: Send) -> bool:
    """Whether the server knows that nobody hears the response; uvicorn does, and drops what is sent."""
    return getattr(getattr(send, "__self__", None), "disconnected", False) is True


async def awaiting(awaitable: Awaitable[Any]) -> Any:
    """A coroutine around any other awaitable, which the compiled layer cannot pass messages to by itself."""
    return await awaitable
