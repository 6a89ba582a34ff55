"""Calls to other services are counted and timed, however they end, and do not change."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import instrumentation
from instrumentation import client as instrumented
from instrumentation.catalog import HTTP_CLIENT_REQUEST_DURATION
from instrumentation.errors import InstrumentationError
from instrumentation.exposition.formats import register
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Handler = Callable[[httpx.Request], httpx.Response]
    Counted = dict[tuple[str, ...], int]

ROOT = Path(__file__).parents[3]


def answer(request: httpx.Request) -> httpx.Response:
    """What the path says: a status, or the name of one of httpx's exceptions."""
    last = request.url.path.rpartition("/")[2]
    if last.isdigit():
        return httpx.Response(int(last))
    raise getattr(httpx, last)("refused", request=request)


def counted(store: LocalStore) -> Counted:
    """Calls by (server_address, method, status, error_type)."""
    rows = [row for row in store.series() if row.metric is HTTP_CLIENT_REQUEST_DURATION]
    return {row.labels: int(sum(row.slots[:-1])) for row in rows}


def seconds(store: LocalStore) -> float:
    return sum(row.slots[-1] for row in store.series())


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


def sync_client(store: LocalStore, handler: Handler = answer, **options: Any) -> httpx.Client:
    client = httpx.Client(transport=httpx.MockTransport(handler), **options)
    return instrumentation.instrument_client(client, store=store)


def async_client(store: LocalStore, handler: Handler = answer, **options: Any) -> httpx.AsyncClient:
    client = httpx.AsyncClient(transport=httpx.MockTransport(handler), **options)
    return instrumentation.instrument_client(client, store=store)


def called(kind: str, store: LocalStore, method: str, url: str, **options: Any) -> httpx.Response:
    if kind == "sync":
        with sync_client(store, **options) as client:
            return client.request(method, url)

    async def call() -> httpx.Response:
        async with async_client(store, **options) as client:
            return await client.request(method, url)

    return asyncio.run(call())


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
CASES = {
    "a success": ("GET", "200", ("GET", "200", "")),
    "a redirect that is not followed": ("GET", "307", ("GET", "307", "")),
    "a 4xx is an error of the caller": ("POST", "404", ("POST", "404", "404")),
    "a 5xx": ("PUT", "503", ("PUT", "503", "503")),
    "a made-up method": ("BREW", "418", ("_OTHER", "418", "418")),
    "a connection that takes too long": ("GET", "ConnectTimeout", ("GET", "", "ConnectTimeout")),
    "a response that takes too long": ("GET", "ReadTimeout", ("GET", "", "ReadTimeout")),
    "nobody there": ("DELETE", "ConnectError", ("DELETE", "", "ConnectError")),
    "no connection free": ("GET", "PoolTimeout", ("GET", "", "PoolTimeout")),
    "a server that breaks off": ("GET", "RemoteProtocolError", ("GET", "", "RemoteProtocolError")),
}


@KINDS
@pytest.mark.parametrize(("method", "path", "labels"), CASES.values(), ids=CASES)
def test_a_call_counts_once_as(
    kind: str, method: str, path: str, labels: tuple[str, str, str], store: LocalStore
) -> None:
    url = f"https://suppliers.example/{path}"
    if path.isdigit():
        assert called(kind, store, method, url).status_code == int(path)
    else:
        with pytest.raises(getattr(httpx, path)):
            called(kind, store, method, url)
    assert counted(store) == {("suppliers.example", *labels): 1}


ADDRESSES = {
    "https://user:hunter2@shop.example:8443/orders/7?token=3": "shop.example",
    "http://SHOP.Example/": "shop.example",
    "http://127.0.0.1:9090/": "127.0.0.1",
    "http://[::1]:9090/": "::1",
    "http://bücher.example/": "xn--bcher-kva.example",
    f"http://{'a' * 300}/": "a" * 253,
}


@pytest.mark.parametrize(("url", "address"), ADDRESSES.items(), ids=range(len(ADDRESSES)))
def test_the_address_is_the_host_without_port_path_and_password(url: str, address: str, store: LocalStore) -> None:
    sync_client(store, lambda _: httpx.Response(204)).get(url)
    assert counted(store) == {(address, "GET", "204", ""): 1}


@KINDS
def test_a_call_is_timed(kind: str, store: LocalStore) -> None:
    ticks = count(start=3, step=7)
    options: dict[str, Any] = {"store": store, "clock": lambda: float(next(ticks))}
    transport = httpx.MockTransport(answer)
    if kind == "sync":
        instrumentation.instrument_client(httpx.Client(transport=transport), **options).get("http://shop/200")
    else:
        client = instrumentation.instrument_client(httpx.AsyncClient(transport=transport), **options)
        asyncio.run(_get(client, "http://shop/200"))
    assert seconds(store) == 7.0


async def _get(client: httpx.AsyncClient, url: str) -> httpx.Response:
    async with client:
        return await client.get(url)


def test_a_call_that_is_cancelled_is_an_error_and_stays_cancelled(store: LocalStore) -> None:
    started = asyncio.Event()

    async def never(_: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def run() -> None:
        client = async_client(store, never)  # type: ignore[arg-type]
        task = asyncio.ensure_future(client.get("http://shop/"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert counted(store) == {("shop", "GET", "", "CancelledError"): 1}


@KINDS
def test_exceptions_are_raised_unchanged(kind: str, store: LocalStore) -> None:
    fault = KeyError("seven")

    def fail(_: httpx.Request) -> httpx.Response:
        raise fault

    with pytest.raises(KeyError) as caught:
        called(kind, store, "GET", "http://shop/", handler=fail)
    assert caught.value is fault
    assert fault.__context__ is None
    assert counted(store) == {("shop", "GET", "", "KeyError"): 1}


def test_a_response_is_the_one_that_the_transport_gave(store: LocalStore) -> None:
    given = httpx.Response(200, headers={"x-seven": "7"}, json=[3])
    response = sync_client(store, lambda _: given).get("http://shop/")
    assert response is given
    assert (response.headers["x-seven"], response.json()) == ("7", [3])


@KINDS
def test_every_hop_of_a_redirect_is_a_call_of_its_own(kind: str, store: LocalStore) -> None:
    def hop(request: httpx.Request) -> httpx.Response:
        if request.url.host == "old.example":
            return httpx.Response(301, headers={"location": "http://new.example/"})
        return httpx.Response(200)

    called(kind, store, "GET", "http://old.example/", handler=hop, follow_redirects=True)
    assert counted(store) == {("old.example", "GET", "301", ""): 1, ("new.example", "GET", "200", ""): 1}


def test_an_answer_to_a_challenge_is_a_call_of_its_own(store: LocalStore) -> None:
    def guarded(request: httpx.Request) -> httpx.Response:
        if "authorization" in request.headers:
            return httpx.Response(200)
        return httpx.Response(401, headers={"www-authenticate": 'Digest realm="a", nonce="b", qop="auth"'})

    client = sync_client(store, guarded, auth=httpx.DigestAuth("user", "hunter2"))
    assert client.get("http://shop/").status_code == 200
    assert counted(store) == {("shop", "GET", "401", "401"): 1, ("shop", "GET", "200", ""): 1}


def test_calls_through_mounted_transports_count_too(store: LocalStore) -> None:
    mounts = {"all://inner.example": httpx.MockTransport(lambda _: httpx.Response(204)), "all://plain.example": None}
    client = sync_client(store, mounts=mounts)
    for host in ("inner.example", "plain.example", "shop.example"):
        client.get(f"http://{host}/200")
    assert counted(store) == {
        ("inner.example", "GET", "204", ""): 1,
        ("plain.example", "GET", "200", ""): 1,
        ("shop.example", "GET", "200", ""): 1,
    }


def test_instrumenting_twice_counts_once_also_where_others_wrapped_the_transport_since(store: LocalStore) -> None:
    client = sync_client(store)

    class Retrying(httpx.BaseTransport):
        def __init__(self, inner: httpx.BaseTransport) -> None:
            self.inner = inner

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return self.inner.handle_request(request)

    client._transport = Retrying(client._transport)
    assert instrumentation.instrument_client(client, store=store) is client
    client.get("http://shop/200")
    assert counted(store) == {("shop", "GET", "200", ""): 1}


def test_a_transport_that_two_clients_share_counts_once(store: LocalStore) -> None:
    first = sync_client(store)
    second = httpx.Client(transport=first._transport)
    instrumentation.instrument_client(second, store=store)
    second.get("http://shop/200")
    assert counted(store) == {("shop", "GET", "200", ""): 1}


def test_attempts_that_a_transport_of_the_users_own_hides_are_one_call(store: LocalStore) -> None:
    statuses = iter([503, 503, 200])

    class Retrying(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            del request
            while (status := next(statuses)) != 200:
                pass
            return httpx.Response(status)

    client = instrumentation.instrument_client(httpx.Client(transport=Retrying()), store=store)
    assert client.get("http://shop/").status_code == 200
    assert counted(store) == {("shop", "GET", "200", ""): 1}


class Watched(httpx.MockTransport):
    """Remembers its requests."""

    def __init__(self) -> None:
        super().__init__(answer)
        self.seen: list[str] = []

    def __enter__(self) -> Self:
        self.seen.append("opened")
        return self

    def close(self) -> None:
        self.seen.append("closed")

    async def __aenter__(self) -> Self:
        self.seen.append("opened")
        return self

    async def aclose(self) -> None:
        self.seen.append("closed")


@KINDS
def test_a_transport_is_opened_and_closed_as_before(kind: str, store: LocalStore) -> None:
    transport = Watched()
    if kind == "sync":
        with instrumentation.instrument_client(httpx.Client(transport=transport), store=store):
            pass
    else:

        async def run() -> None:
            async with instrumentation.instrument_client(httpx.AsyncClient(transport=transport), store=store):
                pass

        asyncio.run(run())
    assert transport.seen == ["opened", "closed"]


def test_what_others_read_of_a_transport_is_still_there(store: LocalStore) -> None:
    client = instrumentation.instrument_client(httpx.Client(), store=store)
    assert client._transport._pool.connections == []  # type: ignore[attr-defined]
    client.close()


def test_hooks_of_the_users_own_run_as_before(store: LocalStore) -> None:
    seen: list[object] = []
    hooks = {
        "request": [lambda request: seen.append(request.method)],
        "response": [lambda r: seen.append(r.status_code)],
    }
    sync_client(store, event_hooks=hooks).get("http://shop/204")
    assert seen == ["GET", 204]


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Two parts, each of which takes a minute."""

    def __init__(self, now: list[float]) -> None:
        self.now = now
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(2):
            self.now[0] += 60.0
            yield b"part"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


@KINDS
def test_a_stream_is_timed_to_its_headers_and_flows_as_before(kind: str, store: LocalStore) -> None:
    now = [0.0]
    parts = Parts(now)

    def begin(_: httpx.Request) -> httpx.Response:
        now[0] += 0.25
        return httpx.Response(200, stream=parts)

    options: dict[str, Any] = {"store": store, "clock": lambda: now[0]}
    transport = httpx.MockTransport(begin)
    if kind == "sync":
        client = instrumentation.instrument_client(httpx.Client(transport=transport), **options)
        with client.stream("GET", "http://shop/") as response:
            assert counted(store) == {("shop", "GET", "200", ""): 1}
            read = response.iter_raw()
            assert (next(read), now[0]) == (b"part", 60.25)
    else:

        async def run() -> None:
            client = instrumentation.instrument_client(httpx.AsyncClient(transport=transport), **options)
            async with client.stream("GET", "http://shop/") as response:
                assert counted(store) == {("shop", "GET", "200", ""): 1}
                read = response.aiter_raw()
                assert (await anext(read), now[0]) == (b"part", 60.25)
                await read.aclose()  # type: ignore[attr-defined]

        asyncio.run(run())
    assert parts.closed
    assert seconds(store) == 0.25


def test_invented_hosts_fold_into_one_and_no_call_is_lost() -> None:
    store = LocalStore(series_limit=7)
    client = sync_client(store)
    for number in range(50):
        client.get(f"http://customer-{number}.example/200")
    found = counted(store)
    assert len(found) == 8
    assert found["_OVERFLOW", "GET", "200", ""] == 43
    assert sum(found.values()) == 50


def test_invented_exceptions_fold_into_one(monkeypatch: pytest.MonkeyPatch, store: LocalStore) -> None:
    monkeypatch.setattr(instrumented, "_MOST_ERRORS", 3)
    numbers = count()

    def fail(_: httpx.Request) -> httpx.Response:
        raise type(f"Fault{next(numbers)}", (LookupError,), {})

    client = sync_client(store, fail)
    for number in range(7):
        with pytest.raises(LookupError) as caught:
            client.get("http://shop/")
        assert type(caught.value).__name__ == f"Fault{number}"
    assert {labels[3]: times for labels, times in counted(store).items()} == {
        "Fault0": 1, "Fault1": 1, "Fault2": 1, "_OTHER": 4
    }  # fmt: skip


def test_calls_of_many_threads_are_all_counted(store: LocalStore) -> None:
    client = sync_client(store)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.get("http://shop/200"), range(400)))
    assert counted(store) == {("shop", "GET", "200", ""): 400}


def test_an_error_in_sidelight_is_logged_once_and_changes_no_call(
    store: LocalStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instrumented, "observe", None)
    client = sync_client(store)
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        assert client.get("http://shop/200").status_code == 200
        with pytest.raises(httpx.ReadError):
            client.get("http://shop/ReadError")
    assert [record.name for record in caplog.records] == ["instrumentation"]


def test_the_page_shows_it_in_semantic_conventions_names(store: LocalStore) -> None:
    registry = CollectorRegistry()
    register(store, registry)
    sync_client(store).get("http://suppliers.example/503")
    page = generate_latest(registry).decode()
    assert (
        'http_client_request_duration_seconds_count{error_type="503",http_request_method="GET",'
        'http_response_status_code="503",server_address="suppliers.example"} 1.0'
    ) in page


def test_the_processs_own_store_is_used_by_default(monkeypatch: pytest.MonkeyPatch, store: LocalStore) -> None:
    monkeypatch.setattr(instrumented, "default_store", lambda: store)
    transport = httpx.MockTransport(answer)
    instrumentation.instrument_client(httpx.Client(transport=transport)).get("http://shop/200")
    assert counted(store) == {("shop", "GET", "200", ""): 1}


NO_CLIENTS = ["client", None, httpx, httpx.Client, SimpleNamespace(_transport=None), SimpleNamespace(_mounts={})]


@pytest.mark.parametrize("given", NO_CLIENTS, ids=range(len(NO_CLIENTS)))
def test_an_object_that_is_not_a_client_is_refused(given: object) -> None:
    with pytest.raises(
        InstrumentationError, match=r"got \w+; give an httpx.Client or an httpx.AsyncClient\.$"
    ) as error:
        instrumentation.instrument_client(given)
    assert error.value.code == "client_invalid"


def test_httpx_is_loaded_only_if_it_is_used() -> None:
    program = "import sys, instrumentation\ninstrumentation.instrument_client\nprint('httpx' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
