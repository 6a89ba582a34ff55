"""A correlation id is accepted, used, returned and passed on; a hostile one is replaced."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.util._once import Once
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation import NotFoundError, correlation_id
from instrumentation.correlation import new_correlation_id, usable
from instrumentation.settings import Settings, parse_settings
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import Observed

SEEN: dict[str, str] = {}


def service() -> FastAPI:
    app = FastAPI()

    @app.get("/threads")
    def threads(tasks: BackgroundTasks) -> None:
        SEEN["thread"] = correlation_id()
        tasks.add_task(lambda: SEEN.update(task=correlation_id()))
        with ThreadPoolExecutor() as pool:
            SEEN["pool"] = pool.submit(contextvars.copy_context().run, correlation_id).result()

    @app.get("/tasks")
    async def tasks() -> None:
        async def inner() -> None:
            SEEN["asyncio"] = correlation_id()

        await asyncio.create_task(inner())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    @app.get("/none")
    async def none() -> None:
        raise NotFoundError("There is none.")

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(correlation_id())
        await socket.close()

    return app


def observed(app: Any = None) -> Observed:
    SEEN.clear()
    return Observed(app or service(), Settings())


def given(*headers: tuple[bytes, bytes], path: str = "/tasks") -> str:
    """The id that is answered to these headers."""
    (response,) = observed().call(("GET", path), headers=list(headers))
    (answered,) = response.headers.get_list("x-correlation-id")
    return answered


@pytest.mark.parametrize("name", [b"X-Correlation-ID", b"x-request-id"])
def test_an_id_that_came_is_kept(name: bytes) -> None:
    assert given((name, b"01JD7Z3V0Q:a/b=c+d_e.f")) == "01JD7Z3V0Q:a/b=c+d_e.f"
    assert SEEN == {"asyncio": "01JD7Z3V0Q:a/b=c+d_e.f"}


def test_of_both_headers_the_correlation_id_counts() -> None:
    assert given((b"x-request-id", b"one"), (b"x-correlation-id", b"two")) == "two"


HOSTILE = {
    "empty": b"",
    "a megabyte": b"a" * (1 << 20),
    "one too long": b"a" * 129,
    "a newline": b"a\nlevel: forged",
    "a carriage return": b"a\rb",
    "a newline at its end": b"abc\n",
    "not ASCII": "é".encode(),
    "not UTF-8": b"\xff\xfe",
    "a quote": b'a"b',
    "a blank": b"a b",
    "a NUL": b"a\0",
    "an escape": b"\x1b[2J",
    "a tag": b"<script>",
    "a mail address": b"joe@example.com",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_id_is_replaced(value: bytes) -> None:
    answered = given((b"x-correlation-id", value))
    assert len(answered) == 32
    assert int(answered, 16)


@pytest.mark.parametrize("tracing", [{}, {"endpoint": "http://127.0.0.1:9"}])
@pytest.mark.parametrize("own", [[], [(b"x-correlation-id", b"own-7")]])
def test_headers_that_an_app_gives_as_an_iterator_are_all_sent(
    own: list[tuple[bytes, bytes]], tracing: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())

    async def app(_: Any, __: Any, send: Any) -> None:
        headers = iter([(b"x-shop", b"open"), *own])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    settings = parse_settings({"tracing": tracing, "logging": {"enabled": False}, "http": {"body_sizes": True}})
    (response,) = Observed(app, settings).call(("GET", "/"))
    assert response.headers["x-shop"] == "open"
    assert response.headers.get_list("x-correlation-id") == (
        ["own-7"] if own else [response.headers["x-correlation-id"]]
    )


@pytest.mark.parametrize("name", [b"x-correlation-id", b"x-request-id"])
def test_several_headers_are_replaced(name: bytes) -> None:
    assert given((name, b"one"), (name, b"two")) not in {"one", "two"}


def test_headers_that_cannot_be_read_are_replaced_and_change_nothing() -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def send(message: Any) -> None:
        sent.append(message)

    for headers in (None, [7], [("text", "text")]):
        asyncio.run(observed(app).app({"type": "http", "method": "GET", "path": "/", "headers": headers}, None, send))
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    assert len(sent) == 6


def test_new_ids_differ_and_can_be_used() -> None:
    ids = {new_correlation_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(usable(each.encode()) for each in ids)


@pytest.mark.parametrize("path", ["/broken", "/none", "/nowhere"])
def test_errors_are_answered_with_it_too(path: str) -> None:
    assert given((b"x-correlation-id", b"abc-7"), path=path) == "abc-7"


def test_problem_documents_say_it() -> None:
    app = service()
    instrumentation.problem_documents(app, store=LocalStore())
    watched = observed(app)
    answers = watched.call(("GET", "/broken"), ("GET", "/none"), headers={"x-correlation-id": "abc-7"})
    assert [answer.json()["correlation_id"] for answer in answers] == ["abc-7", "abc-7"]


def test_threads_and_background_tasks_have_it() -> None:
    given((b"x-correlation-id", b"abc-7"), path="/threads")
    assert SEEN == {"thread": "abc-7", "task": "abc-7", "pool": "abc-7"}


def test_it_ends_with_its_request() -> None:
    async def run() -> str:
        watched = observed()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(watched.app), base_url="http://shop") as client:
            await client.get("/tasks")
        return correlation_id()

    assert asyncio.run(run()) == ""


def test_after_an_exception_the_server_still_has_it() -> None:
    async def server() -> str:
        with pytest.raises(RuntimeError):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(observed().app), base_url="http://a") as client:
                await client.get("/broken", headers={"x-correlation-id": "abc-7"})
        return correlation_id()

    assert asyncio.run(server()) == "abc-7"


def test_a_header_of_the_app_s_own_stays() -> None:
    app = FastAPI()

    @app.middleware("http")
    async def own(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-correlation-id"] = "own"
        return response

    (response,) = observed(app).call(("GET", "/"))
    assert response.headers.get_list("x-correlation-id") == ["own"]


def test_a_message_that_the_app_uses_again_is_not_changed() -> None:
    start = {"type": "http.response.start", "status": 204, "headers": []}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send(start)
        await send({"type": "http.response.body"})

    first, second = observed(app).call(("GET", "/"), ("GET", "/"))
    assert first.headers["x-correlation-id"] != second.headers["x-correlation-id"]
    assert start["headers"] == []


def test_an_app_that_is_mounted_keeps_the_one_of_the_outer() -> None:
    outer = FastAPI()
    outer.mount("/inner", instrumentation.instrument(
        service(), settings=Settings(), store=LocalStore(), registry=CollectorRegistry()
    ))  # fmt: skip
    (response,) = observed(outer).call(("GET", "/inner/tasks"))
    assert response.headers["x-correlation-id"] == SEEN["asyncio"]


def test_a_websocket_has_one_too() -> None:
    with (
        TestClient(observed().app) as client,
        client.websocket_connect("/talk", headers={"x-correlation-id": "abc-7"}) as socket,
    ):
        assert socket.receive_text() == "abc-7"


def test_calls_within_a_request_take_it_along_unless_they_have_one() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("x-correlation-id", ""))
        return httpx.Response(200)

    app = FastAPI()

    @app.get("/")
    async def call() -> None:
        async with instrumentation.instrument_client(
            httpx.AsyncClient(transport=httpx.MockTransport(answer)), store=LocalStore()
        ) as client:
            await client.get("http://stock/")
            await client.get("http://stock/", headers={"X-Correlation-ID": "own"})

    @app.get("/sync")
    def call_sync() -> None:
        with instrumentation.instrument_client(
            httpx.Client(transport=httpx.MockTransport(answer)), store=LocalStore()
        ) as client:
            client.get("http://stock/")

    observed(app).call(("GET", "/"), ("GET", "/sync"), headers={"x-correlation-id": "abc-7"})
    with instrumentation.instrument_client(
        httpx.Client(transport=httpx.MockTransport(answer)), store=LocalStore()
    ) as client:
        client.get("http://stock/")
    assert asked == ["abc-7", "own", "abc-7", ""]


def test_it_can_be_switched_off() -> None:
    watched = Observed(service(), parse_settings({"logging": {"correlation_id": False}}))
    (response,) = watched.call(("GET", "/tasks"))
    assert "x-correlation-id" not in response.headers
