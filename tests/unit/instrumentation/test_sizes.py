"""Body sizes are the bytes that were transferred, whatever the headers say and however the request ends."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from instrumentation.catalog import HTTP_SERVER_REQUEST_BODY_SIZE, HTTP_SERVER_RESPONSE_BODY_SIZE
from instrumentation.errors import SettingsError
from instrumentation.http.sizes import MARK, Moved, SizeRecorder, counting_bytes
from instrumentation.settings import Settings, parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

KEY = ("GET", "/files/{name}", 200, "response_aborted")
LABELS = ("GET", "/files/{name}", "200", "response_aborted")


class Counting:
    """An app whose bytes are counted, in the place of the outermost layer, and a server that calls it."""

    def __init__(self, app: Any) -> None:
        self.inner = counting_bytes(app)
        self.ended: list[tuple[int, int]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[MARK] = getattr(send, "__self__", None)
        try:
            await self.inner(scope, receive, send)
        finally:
            moved = scope[MARK]
            self.ended.append((moved.received, moved.sent))


class Server:
    """The server's side of one request: gives messages, takes messages, and may lose its client."""

    def __init__(self, *messages: dict[str, Any], refuses: str = "", leaves_after: int | None = None) -> None:
        self.disconnected = False  # as uvicorn's request cycle has it
        self.taken: list[dict[str, Any]] = []
        self._messages = list(messages)
        self._refuses = refuses
        self._leaves_after = leaves_after

    async def receive(self) -> dict[str, Any]:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == self._refuses:
            raise OSError("refused")
        self.disconnected = len(self.taken) == self._leaves_after
        if not self.disconnected:
            self.taken.append(message)


def moved(app: Any, server: Server, method: str = "GET", **scope: Any) -> tuple[int, int]:
    counting = Counting(app)
    full = {"type": "http", "method": method, "path": "/", "headers": [], "query_string": b"", **scope}
    asyncio.run(asyncio.wait_for(counting(full, server.receive, server.send), 10))
    return counting.ended[0]


def part(body: Any, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


START = {"type": "http.response.start", "status": 200, "headers": []}
GONE = {"type": "http.disconnect"}


def sends(*messages: dict[str, Any]) -> Any:
    async def app(_: Any, __: Any, send: Any) -> None:
        for message in (START, *messages):
            await send(message)

    return app


def body(content: Any, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


async def reads(_: Any, receive: Any, send: Any) -> None:
    """Takes the whole body, answers nothing."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send({"type": "http.response.body"})


SENT = {
    "one body": ([body(b"seven77")], 7),
    "a stream": ([body(b"abc", more=True), body(b"", more=True), body(b"defg")], 7),
    "no body": ([{"type": "http.response.body"}], 0),
    "a body that a framework leaves out": ([body(None)], 0),
    "a memory view of larger items": ([body(memoryview(b"12345678").cast("d"))], 8),
    "a byte array": ([body(bytearray(b"abc"))], 3),
    "trailers are headers": (
        [body(b"abc"), {"type": "http.response.trailers", "headers": [(b"x-checksum", b"1234567")]}],
        3,
    ),
    "a file that is not there": ([{"type": "http.response.pathsend", "path": "/nowhere/seven"}], 0),
    "an invalid path": ([{"type": "http.response.pathsend", "path": None}], 0),
}


@pytest.mark.parametrize(("messages", "size"), SENT.values(), ids=SENT)
def test_a_response_is_the_bytes_that_were_sent(messages: list[dict[str, Any]], size: int) -> None:
    server = Server()
    assert moved(sends(*messages), server) == (0, size)
    assert server.taken == [START, *messages]


def test_a_file_that_the_server_sends_by_itself_is_its_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 7000)
    app = FastAPI()
    app.add_api_route("/", lambda: FileResponse(tmp_path / "file"))
    server = Server(part(b""))
    assert moved(app, server, extensions={"http.response.pathsend": {}}) == (0, 7000)
    assert server.taken[-1]["type"] == "http.response.pathsend"


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"7000")], iter(())])
def test_the_size_of_a_file_is_not_measured_on_the_event_loop(headers: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 7000)
    loops: list[int] = []

    class Path:
        def __fspath__(self) -> str:
            loops.append(threading.get_ident())
            return str(tmp_path / "file")

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({**START, "headers": headers})
        await send({"type": "http.response.pathsend", "path": Path()})

    assert moved(app, Server()) == (0, 7000)
    assert threading.get_ident() not in loops


RECEIVED = {
    "one body": ([part(b"seven77")], 7),
    "a stream": ([part(b"abc", more=True), part(b"", more=True), part(b"defg")], 7),
    "no body": ([part(b"")], 0),
    "a message without a body": ([{"type": "http.request"}], 0),
    "a client that leaves half-way": ([part(b"abc", more=True), GONE], 3),
}


@pytest.mark.parametrize(("messages", "size"), RECEIVED.values(), ids=RECEIVED)
def test_a_request_is_the_bytes_that_were_received(messages: list[dict[str, Any]], size: int) -> None:
    assert moved(reads, Server(*messages), "POST") == (size, 0)


def test_a_body_that_the_app_does_not_read_was_not_received() -> None:
    assert moved(sends(body(b"no")), Server(part(b"x" * 7000)), "POST") == (0, 2)


@pytest.mark.parametrize("length", [b"7", b"-1", b"seven", b"999999999999999999999", b""])
def test_a_content_length_is_never_believed(length: bytes) -> None:
    headers = [(b"content-length", length)]
    assert moved(reads, Server(part(b"abc")), "POST", headers=headers) == (3, 0)
    lying = {"type": "http.response.start", "status": 200, "headers": headers}

    async def app(_: Any, __: Any, send: Any) -> None:
        await send(lying)
        await send(body(b"abc"))

    assert moved(app, Server()) == (0, 3)


def test_a_response_to_head_is_nothing_whatever_the_app_gives(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 7000)
    file = {"type": "http.response.pathsend", "path": str(tmp_path / "file")}
    assert moved(sends(body(b"seven77")), Server(), "HEAD") == (0, 0)
    assert moved(sends(file), Server(), "HEAD") == (0, 0)


def test_what_the_server_refuses_was_not_sent() -> None:
    with pytest.raises(OSError, match="refused"):
        moved(sends(body(b"abc")), Server(refuses="http.response.body"))


def test_a_part_that_the_server_refuses_does_not_count_if_the_app_continues() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send(START)
        await send(body(b"abc", more=True))
        with pytest.raises(OSError, match="refused"):
            await send({"type": "http.response.pathsend", "path": __file__})

    assert moved(app, Server(refuses="http.response.pathsend")) == (0, 3)


def test_what_uvicorn_drops_after_its_client_has_left_was_not_sent() -> None:
    parts = [body(b"abc", more=True), body(b"defg", more=True), body(b"hijkl")]
    assert moved(sends(*parts), Server(leaves_after=2)) == (0, 3)
    assert moved(sends(*parts), Server()) == (0, 12)


def test_what_an_app_sends_after_the_disconnect_was_not_sent() -> None:
    async def app(_: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(b"abc", more=True))
        assert await receive() == GONE
        await send(body(b"defg"))

    assert moved(app, Server(GONE)) == (0, 3)


def test_a_part_on_its_way_while_the_end_is_heard_was_sent() -> None:
    """Hypercorn and granian answer http.disconnect as soon as the last byte is out, before ``send`` returns."""
    heard = asyncio.Event()

    async def app(_: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            assert await receive() == GONE
            heard.set()

        listening = asyncio.ensure_future(listen())
        await send(START)
        await send(body(b"abc"))
        await listening

    class Slow(Server):
        async def send(self, message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                await heard.wait()
            await super().send(message)

    assert moved(app, Slow(GONE)) == (0, 3)


def test_a_cancelled_request_keeps_the_bytes_counted_until_then() -> None:
    sent = asyncio.Event()

    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await send(body(b"abc", more=True))
        sent.set()
        await asyncio.Event().wait()

    counting, server = Counting(app), Server(part(b"seven77"))

    async def run() -> None:
        task = asyncio.ensure_future(counting({"type": "http", "method": "POST"}, server.receive, server.send))
        await sent.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert counting.ended == [(7, 3)]


def test_an_exception_is_raised_and_keeps_the_bytes_counted_until_then() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send(START)
        await send(body(b"abc", more=True))
        raise KeyError("seven")

    counting, server = Counting(app), Server()
    with pytest.raises(KeyError, match="seven"):
        asyncio.run(counting({"type": "http", "method": "GET"}, server.receive, server.send))
    assert counting.ended == [(0, 3)]


# --- Through a framework ----------------------------------------------------------------------------------------------


def service() -> FastAPI:
    app = FastAPI()

    @app.post("/echo")
    async def echo(request: Request) -> StreamingResponse:
        taken = await request.body()

        async def twice() -> AsyncIterator[bytes]:
            for _ in range(2):
                await asyncio.sleep(0)
                yield taken

        return StreamingResponse(twice())

    return app


def call(app: Any, *contents: bytes, path: str = "/echo") -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return await asyncio.gather(*(client.post(path, content=content) for content in contents))

    return asyncio.run(run())


def test_requests_side_by_side_do_not_mix() -> None:
    counting = Counting(service())
    contents = [b"x" * (7 * number) for number in range(20)]
    responses = call(counting, *contents)
    assert [response.content for response in responses] == [content * 2 for content in contents]
    assert sorted(counting.ended) == [(7 * number, 14 * number) for number in range(20)]


class Copying:
    """A middleware that passes on a copy of the scope, as some do."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(dict(scope), receive, send)


async def passing(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response


def test_middleware_that_copies_the_scope_or_reads_the_body_first_changes_nothing() -> None:
    app = service()
    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
    app.add_middleware(Copying)
    counting = Counting(app)
    call(counting, b"seven77")
    assert counting.ended == [(7, 14)]


def test_an_instrumented_app_within_an_instrumented_one_does_not_count() -> None:
    inner = counting_bytes(sends(body(b"abc", more=True)))

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        await send(body(b"defg"))

    assert moved(outer, Server()) == (0, 7)
    mounting = FastAPI()
    mounting.mount("/inner", counting_bytes(service()))
    counting = Counting(mounting)
    call(counting, b"seven77", path="/inner/echo")
    assert counting.ended == [(7, 14)]


def test_other_scopes_than_requests_are_ignored() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    server = Server()
    scope = {"type": "websocket", "path": "/"}
    asyncio.run(counting_bytes(app)(scope, server.receive, server.send))
    assert seen == [({"type": "websocket", "path": "/"}, server.receive, server.send)]


# --- Into the store ---------------------------------------------------------------------------------------------------


def sizes_of(received: int, sent: int) -> Moved:
    made = Moved()
    made.received, made.sent = received, sent
    return made


def rows(store: LocalStore) -> dict[str, dict[tuple[str, ...], tuple[float, ...]]]:
    found: dict[str, dict[tuple[str, ...], tuple[float, ...]]] = {}
    for row in store.series():
        found.setdefault(row.metric.name, {})[row.labels] = row.slots
    return found


def recorded(*moves: tuple[int, int]) -> LocalStore:
    store = LocalStore()
    recorder = SizeRecorder(store)
    for received, sent in moves:
        recorder.record(1, store.buffer, KEY, sizes_of(received, sent))
    return store


def test_both_sizes_are_counted_under_the_labels_of_the_duration() -> None:
    found = rows(recorded((7, 70_000), (3, 30_000)))
    received, sent = (
        found[metric.name][LABELS] for metric in (HTTP_SERVER_REQUEST_BODY_SIZE, HTTP_SERVER_RESPONSE_BODY_SIZE)
    )
    assert (sum(received[:-1]), received[-1]) == (2, 10)
    assert (sum(sent[:-1]), sent[-1]) == (2, 100_000)


BUCKETS = {0: 0.0, 1: 64.0, 64: 64.0, 65: 256.0, 1 << 20: 1_048_576.0, 64 << 20: 67_108_864.0}


@pytest.mark.parametrize(("size", "edge"), BUCKETS.items())
def test_a_size_falls_into_the_bucket_whose_edge_it_does_not_pass(size: int, edge: float) -> None:
    (slots,) = rows(recorded((size, 7)))[HTTP_SERVER_REQUEST_BODY_SIZE.name].values()
    assert slots[HTTP_SERVER_REQUEST_BODY_SIZE.buckets.index(edge)] == 1.0


def test_more_than_the_last_edge_is_counted_too() -> None:
    (slots,) = rows(recorded(((64 << 20) + 1, 0)))[HTTP_SERVER_REQUEST_BODY_SIZE.name].values()
    assert slots[-2:] == (1.0, float((64 << 20) + 1))


def test_threads_write_shards_of_their_own_and_are_summed() -> None:
    store = LocalStore()
    recorder = SizeRecorder(store)

    def work(shard: int) -> None:
        for _ in range(500):
            recorder.record(shard, store.buffer, KEY, sizes_of(3, 7))

    _together(work, range(1, 5))
    last = len(HTTP_SERVER_REQUEST_BODY_SIZE.buckets) + 1
    places = [store.place(HTTP_SERVER_REQUEST_BODY_SIZE, LABELS, shard) for shard in range(1, 5)]
    assert [store.buffer[place + last] for place in places] == [1500.0] * 4
    found = rows(store)
    ((received,), (sent,)) = (
        found[metric.name].values() for metric in (HTTP_SERVER_REQUEST_BODY_SIZE, HTTP_SERVER_RESPONSE_BODY_SIZE)
    )
    assert (sum(received[:-1]), received[-1]) == (2000, 6000)
    assert (sum(sent[:-1]), sent[-1]) == (2000, 14_000)


def _together(work: Any, shards: Iterable[int]) -> None:
    threads = [threading.Thread(target=work, args=(shard,)) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_slots_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore()
    recorder = SizeRecorder(store)
    recorder.record(7, store.buffer, KEY, sizes_of(3, 0))
    monkeypatch.setattr(store, "place", None)  # it takes a lock
    recorder.record(7, store.buffer, KEY, sizes_of(3, 0))
    assert rows(store)[HTTP_SERVER_REQUEST_BODY_SIZE.name][LABELS][-1] == 6.0


def test_a_router_that_makes_up_templates_does_not_fill_the_memory() -> None:
    store = LocalStore(series_limit=6)
    recorder = SizeRecorder(store)
    for number in range(100):
        recorder.record(1, store.buffer, ("GET", f"/{number}", 200, ""), sizes_of(1, 1))
    assert len(recorder._places) <= 13
    found = rows(store)
    assert sum(len(labels) for labels in found.values()) == 8
    assert found[HTTP_SERVER_REQUEST_BODY_SIZE.name]["GET", "_OVERFLOW", "200", ""][-1] == 97


def test_places_of_a_store_that_became_another_are_forgotten() -> None:
    store = LocalStore()
    recorder = SizeRecorder(store)
    recorder.record(1, store.buffer, KEY, sizes_of(1, 1))
    recorder.reset()
    assert recorder._places == {}


# --- The setting ------------------------------------------------------------------------------------------------------


def test_sizes_are_turned_on() -> None:
    assert Settings().http.body_sizes is False
    assert parse_settings({"http": {"body_sizes": True}}).http.body_sizes is True


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_the_setting_is_true_or_false_and_nothing_like_it(given: object) -> None:
    with pytest.raises(SettingsError, match=r"http\.body_sizes: got .*; give true or false\.$"):
        parse_settings({"http": {"body_sizes": given}})
