"""A WSGI app is observed as an ASGI app is, and its server sees what it would see without; see PEP 3333.

docs/reference/behaviours.md is made from these names.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation.catalog import HTTP_SERVER_REQUEST_BODY_SIZE, HTTP_SERVER_RESPONSE_BODY_SIZE
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import METRICS_ALONE, Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from instrumentation.settings import Settings

HEADERS = [("Content-Type", "text/plain")]


class Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    parts: list[bytes]


class ObservedWSGI(Observed):
    """A WSGI app instrumented with a store of its own, and a server that calls it."""

    def __init__(self, app: Any, settings: Settings | None = None, store: LocalStore | None = None) -> None:
        self.store = store or LocalStore()
        self.app = instrumentation.instrument(
            app, settings=settings or METRICS_ALONE, store=self.store, registry=CollectorRegistry(), interface="wsgi"
        )

    def serve(
        self, path: str = "/", *, most: int | None = None, method: str = "GET", body: bytes = b"", **environ: Any
    ) -> Answer:
        """Call the app as a server does.

        Args:
            path: The path.
            most: How many parts of the body are taken before the client has left.
            method: The method.
            body: Of the request.
            environ: More of the environ.
        """
        answer = Answer("", [], [])

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
            nonlocal answer
            assert exc_info is None or not answer.parts
            answer = Answer(status, headers, answer.parts)
            return answer.parts.append

        given: dict[str, Any] = {
            "PATH_INFO": path,
            "REQUEST_METHOD": method,
            "wsgi.input": io.BytesIO(body),
            "QUERY_STRING": "",
        }
        setup_testing_defaults(given)
        given |= {"SCRIPT_NAME": "", "QUERY_STRING": "", "CONTENT_LENGTH": str(len(body)), **environ}
        del given["HTTP_HOST"]
        result: Any = self.app(given, start_response)
        try:
            for number, part in enumerate(result):
                if number == most:
                    break
                answer.parts.append(part)
        finally:
            getattr(result, "close", bool)()
        return answer

    def sizes(self) -> dict[str, float]:
        rows = [row for row in self.store.series() if row.metric.name.endswith("body_size_bytes")]
        return {row.metric.name: row.slots[-1] for row in rows}


def answering(*parts: bytes, status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()) -> Any:
    def app(_: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, [*HEADERS, *headers])
        return iter(parts)

    return app


def raising(*_: Any) -> Iterable[bytes]:
    raise RuntimeError("raises")


# --- Statuses and errors ----------------------------------------------------------------------------------------------


def test_a_wsgi_app_that_answers() -> None:
    observed = ObservedWSGI(answering(b"a", b"b", status="201 Made", headers=[("X-CaSe", "kept")]))
    assert observed.serve() == ("201 Made", [*HEADERS, ("X-CaSe", "kept")], [b"a", b"b"])
    assert observed.counted() == {("GET", "", "201", ""): 1}
    assert observed.active() == {"GET": 0.0}


def test_a_wsgi_app_that_raises() -> None:
    """`GET "" 500`, an error; the server gets the exception as before"""
    observed = ObservedWSGI(raising)
    with pytest.raises(RuntimeError, match="raises"):
        observed.serve()
    assert observed.counted() == {("GET", "", "500", "500"): 1}
    assert observed.active() == {"GET": 0.0}


def test_a_wsgi_app_that_raises_before_the_first_part_of_what_it_started() -> None:
    """`GET "" 500`, an error: nothing was sent of the other status"""

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        raise RuntimeError("early")
        yield b""

    observed = ObservedWSGI(app)
    with pytest.raises(RuntimeError, match="early"):
        observed.serve()
    assert observed.counted() == {("GET", "", "500", "500"): 1}


def test_a_wsgi_app_that_breaks_off() -> None:
    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        yield b"part"
        raise RuntimeError("late")

    observed = ObservedWSGI(app)
    with pytest.raises(RuntimeError, match="late"):
        observed.serve()
    assert observed.counted() == {("GET", "", "200", "response_aborted"): 1}


def test_a_wsgi_app_that_says_otherwise_before_its_first_part() -> None:
    """the status that it said last"""

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        try:
            raise RuntimeError("early")  # noqa: TRY301 - what PEP 3333 shows
        except RuntimeError:
            start_response("503 Busy", HEADERS, sys.exc_info())
        yield b"busy"

    observed = ObservedWSGI(app)
    assert observed.serve() == ("503 Busy", HEADERS, [b"busy"])
    assert observed.counted() == {("GET", "", "503", "503"): 1}


def test_a_wsgi_app_that_says_otherwise_too_late() -> None:
    """`GET "" 200`, an error: the response breaks off"""

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        yield b"part"
        try:
            raise RuntimeError("late")  # noqa: TRY301 - what PEP 3333 shows
        except RuntimeError:
            start_response("500 Late", HEADERS, sys.exc_info())

    observed = ObservedWSGI(app)
    with pytest.raises(RuntimeError, match="late"):
        observed.serve()
    assert observed.counted() == {("GET", "", "200", "response_aborted"): 1}


def test_a_wsgi_app_that_starts_its_response_twice() -> None:
    """`GET "" 500`, an error; an `AssertionError` says why"""

    def app(_: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        start_response("200 OK", HEADERS)
        return []

    observed = ObservedWSGI(app)
    with pytest.raises(AssertionError, match="a second time"):
        observed.serve()
    assert observed.counted() == {("GET", "", "500", "500"): 1}


def test_a_wsgi_app_without_a_body() -> None:
    observed = ObservedWSGI(answering(status="204 No Content"))
    assert observed.serve() == ("204 No Content", HEADERS, [])
    assert observed.counted() == {("GET", "", "204", ""): 1}


# --- Streams ----------------------------------------------------------------------------------------------------------


def test_a_wsgi_response_is_timed_until_the_server_has_its_last_part() -> None:
    """the duration until the server asks for the part after the last"""

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        for _ in range(3):
            time.sleep(0.05)
            yield b"part"

    observed = ObservedWSGI(app)
    assert observed.serve().parts == [b"part"] * 3
    assert observed.seconds() >= 0.15


def test_a_wsgi_app_is_not_asked_for_a_part_before_the_server_asks() -> None:
    """each part is made when it is needed"""

    made = []

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        for number in range(9):
            made.append(number)
            yield b"part"

    ObservedWSGI(app).serve(most=3)
    assert len(made) == 4


def test_a_wsgi_app_that_writes() -> None:
    """sent at once, with the function that `start_response` returned"""

    def app(_: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", HEADERS)
        write(b"1")
        write(b"2")
        return [b"3"]

    observed = ObservedWSGI(app)
    assert observed.serve().parts == [b"1", b"2", b"3"]
    assert observed.counted() == {("GET", "", "200", ""): 1}


def test_a_file_that_the_server_sends_by_itself(tmp_path: Path) -> None:
    """the server gets its own file wrapper, and the response lasts until it closes the file"""
    path = tmp_path / "seven"
    path.write_bytes(b"seven b")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        return environ["wsgi.file_wrapper"](path.open("rb"))  # type: ignore[no-any-return]

    observed = ObservedWSGI(app, parse_settings({"logging": {"enabled": False}, "http": {"body_sizes": True}}))
    environ: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)
    sent: Any = observed.app(environ, lambda *_: None)
    assert type(sent) is FileWrapper
    assert observed.active() == {"GET": 1.0}
    time.sleep(0.05)
    file = sent.filelike
    sent.close()
    assert file.closed
    assert observed.counted() == {("GET", "", "200", ""): 1}
    assert observed.seconds() >= 0.05
    assert observed.sizes()[HTTP_SERVER_RESPONSE_BODY_SIZE.name] == 7.0


# --- Clients that disconnect ------------------------------------------------------------------------------------------


def test_a_client_of_a_wsgi_server_leaves_while_it_streams() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"part"] * 9)

        def close(self) -> None:
            closed.append(True)

    def app(_: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        return Body()

    observed = ObservedWSGI(app)
    assert len(observed.serve(most=2).parts) == 2
    assert observed.counted() == {("GET", "", "499", ""): 1}
    assert observed.active() == {"GET": 0.0}
    assert closed == [True]


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [("HEAD", "200 OK", []), ("GET", "304 Not Modified", []), ("GET", "200 OK", [("Content-Length", "4")])],
)
def test_a_wsgi_server_that_asks_for_no_more_than_it_needs(
    method: str, status: str, headers: list[tuple[str, str]]
) -> None:
    """the status that was sent"""
    observed = ObservedWSGI(answering(b"part", b"", status=status, headers=headers))
    environ: dict[str, Any] = {"REQUEST_METHOD": method}
    setup_testing_defaults(environ)
    body: Any = observed.app(environ, lambda *_: None)
    if headers:
        assert next(body) == b"part"
    body.close()
    assert observed.counted() == {(method, "", status[:3], ""): 1}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [([("Content-Length", "4")], [b"part", b""], "200"), ([], [b"part"], "200"), ([], [b"part", b"two"], "499")],
    ids=["of known length", "of one part", "that has more parts"],
)
def test_a_wsgi_response_that_is_dropped_without_close(
    headers: list[tuple[str, str]], body: list[bytes], status: str
) -> None:
    """the status that was sent if the body was taken, else 499; at once, as with Werkzeug's test client"""

    def app(_: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return body

    observed = ObservedWSGI(app)
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    gc.disable()
    try:
        assert next(iter(observed.app(environ, lambda *_: None))) == b"part"
        assert observed.counted() == {("GET", "", status, ""): 1}
    finally:
        gc.enable()
    assert observed.active() == {"GET": 0.0}


# --- Requests that are not counted ------------------------------------------------------------------------------------


def test_the_pages_of_a_wsgi_app() -> None:
    """answered, and not counted"""
    observed = ObservedWSGI(answering(status="404 Not Found"))
    page = observed.serve("/metrics")
    assert (page.status, b"target_info" in b"".join(page.parts)) == ("200 OK", True)
    assert json.loads(observed.serve("/health").parts[0]) == {"status": "alive"}
    assert json.loads(observed.serve("/ready").parts[0])["status"] == "ready"
    assert observed.counted() == {}


def test_a_wsgi_app_that_is_mounted_in_one_that_is_observed() -> None:
    """counted once"""
    inner = ObservedWSGI(answering(b"inner"))
    outer = ObservedWSGI(partial(inner.app), store=inner.store)
    assert outer.serve().parts == [b"inner"]
    assert outer.counted() == {("GET", "", "200", ""): 1}


@pytest.mark.parametrize("settings", [METRICS_ALONE, parse_settings({"logging": {"enabled": False}})])
def test_a_wsgi_app_behind_a_bridge_from_an_asgi_app_that_is_observed(settings: Settings) -> None:
    """counted once"""
    inner = ObservedWSGI(answering(b"inner"), settings)

    async def bridge(scope: Any, receive: Any, send: Any) -> None:
        del receive
        # Most bridges copy the context, in which the correlation id is; a2wsgi also passes the scope.
        passed = {} if settings.logging.correlation_id else {"asgi.scope": scope}
        answer = await asyncio.to_thread(partial(inner.serve, **passed))
        await send({"type": "http.response.start", "status": int(answer.status[:3]), "headers": []})
        await send({"type": "http.response.body", "body": b"".join(answer.parts)})

    outer = Observed(bridge, settings, inner.store)
    assert outer.call(("GET", "/"))[0].text == "inner"
    assert outer.counted() == {("GET", "", "200", ""): 1}


# --- Neighbours -------------------------------------------------------------------------------------------------------


def test_it_keeps_to_pep_3333_on_both_sides() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        assert environ["wsgi.input"].read(7) == b"seven b"
        start_response("200 OK", HEADERS)
        return [b"a", b"b"]

    observed = ObservedWSGI(validator(app), parse_settings({"http": {"body_sizes": True}}))
    observed.app = validator(observed.app)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = observed.serve(method="POST", body=b"seven b", CONTENT_TYPE="text/plain")
    assert answer.parts == [b"a", b"b"]
    assert observed.sizes() == {HTTP_SERVER_REQUEST_BODY_SIZE.name: 7.0, HTTP_SERVER_RESPONSE_BODY_SIZE.name: 2.0}


@pytest.mark.parametrize("read", ["read", "readline", "readlines", "__iter__"])
def test_each_way_to_read_a_body_is_counted(read: str) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        given = getattr(environ["wsgi.input"], read)()
        start_response("200 OK", HEADERS)
        return [given] if isinstance(given, bytes) else list(given)

    observed = ObservedWSGI(app, parse_settings({"logging": {"enabled": False}, "http": {"body_sizes": True}}))
    observed.serve(method="POST", body=b"one line\n")
    assert observed.sizes()[HTTP_SERVER_REQUEST_BODY_SIZE.name] == 9.0


def test_a_body_of_one_part_still_tells_servers_its_length() -> None:
    def app(_: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        return [b"whole"]

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body: Any = ObservedWSGI(app).app(environ, lambda *_: None)
    assert len(body) == 1
    assert list(body) == [b"whole"]
    environ = {}
    setup_testing_defaults(environ)
    with pytest.raises(TypeError):
        len(ObservedWSGI(answering(b"a", b"b")).app(environ, lambda *_: None))


def test_a_correlation_id_is_taken_bound_and_answered_and_leaves_nothing_behind() -> None:
    seen = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(instrumentation.correlation_id())
        if environ["PATH_INFO"] == "/raises":
            raise RuntimeError("raises")
        start_response("200 OK", HEADERS)
        return [b""]

    observed = ObservedWSGI(app, parse_settings({"logging": {"enabled": False}}))
    assert ("x-correlation-id", "of-7") in observed.serve(HTTP_X_CORRELATION_ID="of-7").headers
    assert instrumentation.correlation_id() == ""
    with pytest.raises(RuntimeError):
        observed.serve("/raises", HTTP_X_REQUEST_ID="of-3")
    assert instrumentation.correlation_id() == "of-3"  # for the line that the server now writes
    observed.serve()
    assert instrumentation.correlation_id() == ""
    assert seen[:2] == ["of-7", "of-3"]


def test_a_response_that_is_never_closed_hides_no_later_request() -> None:
    observed = ObservedWSGI(answering(b"part"), parse_settings({"logging": {"enabled": False}}))
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    never_closed = observed.app(environ, lambda *_: None)
    observed.serve()
    assert (observed.counted(), instrumentation.correlation_id()) == ({("GET", "", "200", ""): 1}, "")
    del never_closed


def test_the_user_is_found_in_what_the_app_left_in_the_environ() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["shop.user"] = "ada"
        start_response("200 OK", HEADERS)
        return []

    found = []
    observed = instrumentation.instrument(
        app,
        settings=METRICS_ALONE,
        store=LocalStore(),
        registry=CollectorRegistry(),
        user_id=lambda scope: found.append((scope["wsgi.environ"]["shop.user"], scope["path"])),
    )
    environ: dict[str, Any] = {"SCRIPT_NAME": "/shop", "PATH_INFO": "/caf\xc3\xa9"}
    setup_testing_defaults(environ)
    list(observed(environ, lambda *_: lambda _: None))
    assert found == [("ada", "/shop/café")]
