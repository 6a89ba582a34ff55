"""The outermost layer around an app: it measures requests and changes nothing else.

This is the request path. It is one closure because that has the least overhead: a class with methods took half as long
again (see docs/decisions/0008-the-request-path.md). speedups/_sidelight_speedups.c does the same for usual requests;
a change here needs the same change there.
"""

from __future__ import annotations

from asyncio import CancelledError
from bisect import bisect_left
from time import perf_counter
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any

from instrumentation.asgi_headers import promised_bytes, with_lasting_headers
from instrumentation.http.connection import client_has_left, server_method
from instrumentation.http.exemplars import sampled_span
from instrumentation.http.recorder import ABORTED, CLIENT_CLOSED_REQUEST, SERVER_ERROR
from instrumentation.http.routes import local_path
from instrumentation.http_methods import METHODS, OTHER_METHOD
from instrumentation.threads import get_ident

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.exemplars import HttpExemplars
    from instrumentation.http.recorder import HttpRecorder
    from instrumentation.http.routes import Routes
    from instrumentation.http.streaming import Stream, Streams

    Key = tuple[str, str, int, str]
    """Method, template, status and error type."""
    Listener = Callable[[Scope, Key, float], None]
    FindLabels = Callable[[Scope], tuple[str, ...]]
    Aside = Callable[[str, str], ASGIApp | None]

_SEEN = "sidelight"


def measuring(  # noqa: C901, PLR0913, PLR0915 - see the module
    app: ASGIApp,
    *,
    recorder: HttpRecorder,
    routes: Routes,
    excluded: frozenset[str],
    direct: Mapping[str, ASGIApp],
    other: Mapping[str, ASGIApp],
    aside: Aside | None = None,
    streams: Streams | None = None,
    active_by_route: bool = False,
    labels: FindLabels | None = None,
    exemplars: HttpExemplars | None = None,
    listeners: tuple[Listener, ...] = (),
) -> ASGIApp:
    """An ASGI app that counts the requests that go through it.

    Args:
        app: The inner app.
        recorder: Counts the requests.
        routes: The routes of the app.
        excluded: Templates of routes that are not counted.
        direct: Apps that answer a path and are not counted, by path.
        other: Apps for scopes that are not HTTP requests, by scope type.
        aside: Returns the app that answers a method and path and is not counted, if ``direct`` has none.
        streams: Recognises streamed responses; without it, there are none.
        active_by_route: Whether active requests are counted by route too, which is matched by path before it is known.
        labels: Finds the values of additional labels of the duration; None without any.
        exemplars: Keeps the traces of durations; None if exemplars are off.
        listeners: Called once a request has been counted, with its scope, its series and the seconds it took
            from the first byte of the request to the end of the response.
    """
    shards, edges, by_id, template = recorder.shards, recorder.edges, routes.by_id, routes.template
    total = len(edges) + 1
    names_routes = streams is not None and streams.names_routes

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
        if answer is None and aside is not None:
            answer = aside(scope["method"], path)
        if answer is not None:
            scope[_SEEN] = True
            return await answer(scope, receive, send)
        method_of_server = server_method(send, receive)
        server = getattr(method_of_server, "__self__", None)
        scope[_SEEN] = server  # for inner layers, which check whether the client is still connected
        method = METHODS.get(scope["method"], OTHER_METHOD)
        try:
            shard = shards.get(get_ident()) or recorder.shard(get_ident())
            buffer = shard.buffer
            active = shard.active.get(method)
            if active is None:
                active = recorder.active(shard, method)
            of_route = recorder.active_of(shard, template(scope), excluded) if active_by_route else None
            buffer[active] += 1.0
            if of_route is not None:
                buffer[of_route] += 1.0
        except Exception as fault:  # noqa: BLE001 - an error in Sidelight must not become the service's
            recorder.could_not_count(fault)
            return await app(scope, receive, send)
        status = 0
        owed: int | None = (
            None  # bytes of the body that are still to come; None if only the end of the body shows that it is complete
        )
        ended = 0.0
        trailers = is_held = heeds_parts = is_last = gone = stands = has_failed = False
        stream: Stream | None = None
        span = None

        def end() -> None:
            nonlocal ended
            ended = perf_counter()
            try:
                if stream is not None:
                    stream.end(ended)
                buffer[active] -= 1.0  # not when the app returns: a background task does not belong to the request
                if of_route is not None:
                    buffer[of_route] -= 1.0
            except Exception as fault:  # noqa: BLE001 - as above
                recorder.could_not_count(fault)

        async def last(message: Message) -> None:
            nonlocal gone, is_last
            gone = gone or client_has_left(server) is True
            try:
                await send(message)
            except Exception:
                is_last = False  # the server refused it
                raise
            if not ended:
                end()

        # A plain function, because a coroutine for every chunk of a stream would add overhead.
        def watched(message: Message) -> Awaitable[None]:  # noqa: C901, PLR0912 - see the module
            nonlocal status, owed, trailers, is_held, heeds_parts, is_last, gone, stands, stream, span
            if is_last:  # messages after the complete response, such as an empty part, change nothing
                return send(message)
            try:
                kind = message["type"]
                if kind == "http.response.body":
                    if not (message.get("more_body") or trailers):
                        is_last = True
                        if stream is not None:
                            stream.heed(message, perf_counter())
                    elif heeds_parts:
                        if is_held:
                            is_held, stands = False, (status >= SERVER_ERROR or stream is not None) and not gone
                        heeds_parts = stream is not None and stream.heed(message, perf_counter())
                        if owed is not None:
                            heeds_parts = True
                            owed -= memoryview(message.get("body") or b"").nbytes
                            is_last = owed <= 0
                elif kind == "http.response.start":
                    status = message["status"]
                    trailers = message.get("trailers", False)
                    if exemplars is not None:
                        span = sampled_span()
                    headers = message.get("headers")
                    if type(headers) is not list:
                        message = with_lasting_headers(message)
                        headers = message.get("headers")
                    owed = None if trailers else promised_bytes(method, status, headers)
                    is_held = isinstance(
                        method_of_server, BuiltinMethodType
                    )  # granian sends it with the first part of the body
                    is_last = owed == 0 and not is_held
                    if owed is None or names_routes or status >= SERVER_ERROR:
                        gone = gone or client_has_left(server) is True
                        if streams is not None and stream is None and owed != 0 and not gone:
                            stream = streams.begin(scope, message, perf_counter(), is_sized=owed is not None)
                        stands = (status >= SERVER_ERROR or stream is not None) and not (gone or is_held)
                    heeds_parts = is_held or owed is not None or stream is not None
                elif kind == "http.response.trailers":
                    is_last = not message.get("more_trailers")
                elif kind == "http.response.pathsend":
                    is_last = not trailers
                elif kind == "http.response.zerocopysend":
                    is_last = not (message.get("more_body") or trailers)
            except Exception as fault:  # noqa: BLE001 - the server refuses a message without a type
                recorder.could_not_count(fault)
            return last(message) if is_last else send(message)

        async def heard() -> Message:
            nonlocal gone
            message = await receive()
            try:
                if message["type"] == "http.disconnect" and not ended:
                    # While the last message is being sent, a disconnect means that all is sent: hypercorn reports it to
                    # receive() first, and the app may then cancel send(). uvicorn drops what a client that left has not read.
                    if is_last and getattr(server, "disconnected", False) is not True:
                        end()
                    else:
                        gone = True
            except Exception as fault:  # noqa: BLE001 - the app refuses a message without a type
                recorder.could_not_count(fault)
            return message

        began = perf_counter()
        try:
            await app(scope, heard, watched)
        except CancelledError:
            gone = gone or not (ended or client_has_left(server) is False)
            raise
        except Exception:
            has_failed = True
            raise
        finally:
            is_answered = ended > 0
            if not is_answered:
                end()
            seconds = ended - began
            latency = seconds if stream is None else stream.first_byte - began
            try:
                if not is_answered:
                    gone = gone or client_has_left(server) is True
                # The same as Routes.template for the usual case, without its calls.
                chosen = scope.get("route")
                nested = scope.get("fastapi")
                if nested:
                    context = nested.get("effective_route_context")
                    if context is not None:
                        chosen = context if context.original_route is chosen else None
                known = by_id.get(id(chosen))
                route = known.template if known is not None and known.chosen is chosen else template(scope)
                if route not in excluded:
                    if gone and not stands:
                        key = (method, route, CLIENT_CLOSED_REQUEST, "")
                    elif not is_answered and (is_held or not status):
                        key = (method, route, SERVER_ERROR, "500")
                    elif status >= SERVER_ERROR:
                        key = (method, route, status, str(int(status)))
                    else:
                        # A stream ends when its client leaves, or the service ends it. It fails only if the app does.
                        is_whole = is_answered or (stream is not None and (gone or not has_failed))
                        key = (method, route, status, "" if is_whole else ABORTED)
                    series: tuple[Any, ...] = key if labels is None else (*key, *labels(scope))
                    place = shard.durations.get(series)
                    if place is None:
                        place = recorder.duration(shard, series)
                    bucket = bisect_left(edges, latency)
                    buffer[place + bucket] += 1.0
                    buffer[place + total] += latency
                    if exemplars is not None and span is not None:
                        exemplars.keep(span, (method, route, str(int(key[2])), *series[3:]), bucket, latency)
                    for listen in listeners:
                        listen(scope, key, seconds)
            except Exception as fault:  # noqa: BLE001 - an error in Sidelight must not become the service's
                recorder.could_not_count(fault)
        return None

    sidelight.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return sidelight


def counting(app: ASGIApp) -> ASGIApp:
    """An app that counts a request that the outer layer passed on without counting it."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        scope.pop(_SEEN, None)
        await app(scope, receive, send)

    return counted


async def awaiting(awaitable: Awaitable[Any]) -> Any:
    """A coroutine around another awaitable, because the compiled layer can only drive coroutines."""
    return await awaitable
