"""Probes get an immediate response with what an instance lacks, whatever its checks do, and a metric reports it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation.catalog import HEALTH_CHECK_UP
from instrumentation.errors import InstrumentationError
from instrumentation.health.monitor import MOST_CHECKS, HealthChecks, checks_of, health_check
from instrumentation.health.probing import BLOCKING_SECONDS
from instrumentation.http.health import health_pages
from instrumentation.settings import Health, parse_settings
from instrumentation.shutdown import shutdown
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.shared_store import SharedStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 10.0  # what comes is there long before


@pytest.fixture
def store() -> ProcessStore:
    return ProcessStore(lambda: None)


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """What a hanging check waits for; set at the end, so that no thread outlives its test."""
    released = threading.Event()
    yield released
    released.set()
    for thread in threading.enumerate():
        if thread.name == "sidelight-health":
            thread.join(SECONDS)
            assert not thread.is_alive()


def service(store: ProcessStore, app: Any = None, **health: Any) -> Any:
    settings = parse_settings({"logging": {"enabled": False}, "health": {"cache_seconds": 0.0, **health}})
    return instrumentation.instrument(app or FastAPI(), settings=settings, store=store, registry=CollectorRegistry())


def asked(app: Any, path: str = "/ready") -> tuple[int, dict[str, Any]]:
    with TestClient(app) as client:
        answer = client.get(path)
    return answer.status_code, answer.json()


def found(store: ProcessStore, **health: Any) -> dict[str, Any]:
    """Check to what the page says of it, without how long it took."""
    checks = asked(service(store, **health))[1]["checks"]
    return {name: {key: value for key, value in row.items() if key != "duration_ms"} for name, row in checks.items()}


UP = {"status": "up", "required": True}
DOWN = {"status": "down", "problem": "failed", "required": True}


async def well() -> None:
    await asyncio.sleep(0)


async def broken() -> None:
    raise ConnectionError("no route to 10.1.2.3, password=hunter2")


class Asking:
    """A callable that is asynchronous, as a client's method may be."""

    async def __call__(self) -> bool:
        return True


# --- What a check is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda: None, UP),
        (lambda: 0, UP),
        (lambda: False, DOWN),
        (lambda: 1 / 0, DOWN),
        (well, UP),
        (partial(well), UP),
        (lambda: next(iter([well()])), UP),
        (Asking(), UP),
        (broken, DOWN),
        (lambda: next(iter([broken()])), DOWN),
    ],
)  # fmt: skip
def test_a_check_fails_if_it_raises_or_returns_false(store: ProcessStore, check: Any, expected: Any) -> None:
    health_check("database", check, store=store)
    assert found(store) == {"database": expected}


def leave(error: BaseException) -> Any:
    raise error


class Silent(BaseException):
    """What is neither an Exception nor an end, and cannot be printed."""

    def __str__(self) -> str:
        raise SystemExit


ENDS = [SystemExit("migrations are missing"), KeyboardInterrupt(), GeneratorExit(), Silent(), asyncio.CancelledError()]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "kind", ["a function", "an async function", "an awaiting function", "a coroutine of a function"]
)
def test_a_check_that_wants_the_process_to_end_has_failed(kind: str, error: BaseException, store: ProcessStore) -> None:
    async def at_once() -> None:
        leave(error)

    async def later() -> None:
        await asyncio.sleep(0)
        leave(error)

    checks = {"a function": lambda: leave(error), "an async function": at_once, "an awaiting function": later}
    health_check("migrations", checks.get(kind, lambda: later()), store=store)  # noqa: PLW0108 - a lambda is not an async function
    health_check("database", well, store=store)
    with TestClient(service(store)) as client:
        for _ in range(2):
            checked = client.get("/ready").json()["checks"]
            assert (checked["migrations"]["problem"], checked["database"]["status"]) == ("failed", "up")
        assert client.get("/health").status_code == 200


def test_a_service_without_checks_is_ready(store: ProcessStore) -> None:
    assert asked(service(store)) == (200, {"status": "ready", "checks": {}})


def test_an_instance_with_a_failed_check_is_not_ready_and_names_the_check_but_not_the_reason(
    store: ProcessStore,
) -> None:
    health_check("database", broken, store=store)
    health_check("cache", well, store=store)
    status, page = asked(service(store))
    assert (status, page["status"]) == (503, "not ready")
    assert {name: check["status"] for name, check in page["checks"].items()} == {"database": "down", "cache": "up"}
    assert "10.1.2.3" not in json.dumps(page)


def test_it_stays_ready_if_an_optional_check_fails(store: ProcessStore) -> None:
    health_check("recommendations", broken, required=False, store=store)
    status, page = asked(service(store))
    assert (status, page["checks"]["recommendations"]["status"]) == (200, "down")


def test_it_is_alive_with_any_failed_check(store: ProcessStore) -> None:
    health_check("database", broken, store=store)
    assert asked(service(store), "/health") == (200, {"status": "alive"})


def test_the_same_name_again_replaces_the_former(store: ProcessStore) -> None:
    health_check("database", broken, store=store)
    health_check("database", well, store=store)
    assert found(store) == {"database": UP}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"name": "", "check": well}, "health_check_name_invalid", "give a string of 1 to 100 printable characters"),
        ({"name": "a", "check": 7}, "health_check_invalid", "health_check 'a': got 7; give a function"),
        ({"name": "a", "check": well, "seconds": 0}, "health_check_invalid", "seconds got 0; give seconds as a number"),
        ({"name": "a", "check": well, "seconds": True}, "health_check_invalid", "seconds got True"),
    ],
)
def test_an_invalid_check_is_refused(arguments: Any, code: str, said: str, store: ProcessStore) -> None:
    with pytest.raises(InstrumentationError, match=said) as raised:
        health_check(**arguments, store=store)
    assert raised.value.code == code


def test_there_are_not_more_than_a_probe_has_time_for(store: ProcessStore) -> None:
    for number in range(MOST_CHECKS):
        health_check(f"shard {number}", well, store=store)
    with pytest.raises(InstrumentationError, match="there are 50 already"):
        health_check("one more", well, store=store)
    health_check("shard 7", broken, store=store)


# --- Time ---------------------------------------------------------------------------------------------------------------


def test_a_check_that_hangs_fails_in_time_and_is_not_asked_again_until_it_ends(
    store: ProcessStore, hung: threading.Event
) -> None:
    begun: list[int] = []

    def hang() -> None:
        begun.append(1)
        hung.wait(SECONDS)

    health_check("database", hang, seconds=0.05, store=store)
    with TestClient(service(store)) as client:
        pages = [client.get("/ready").json() for _ in range(3)]
    assert {page["checks"]["database"]["problem"] for page in pages} == {"took longer than 0.05 s"}
    assert begun == [1]


def test_an_async_check_that_hangs_is_cancelled(store: ProcessStore) -> None:
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    health_check("database", hang, seconds=0.05, store=store)
    assert found(store)["database"]["problem"] == "took longer than 0.05 s"
    assert ended == ["cancelled"]


def test_checks_run_side_by_side(store: ProcessStore) -> None:
    both = threading.Barrier(2, timeout=SECONDS)
    health_check("database", both.wait, seconds=SECONDS, store=store)
    health_check("cache", both.wait, seconds=SECONDS, store=store)
    assert found(store) == {"database": UP, "cache": UP}


def test_concurrent_probes_run_a_check_once(store: ProcessStore) -> None:
    begun: list[int] = []

    async def slow() -> None:
        begun.append(1)
        await asyncio.sleep(0.02)

    health_check("database", slow, store=store)
    checks = checks_of(store)
    checks.settle(Health(cache_seconds=0.0))

    async def probes() -> list[Any]:
        return await asyncio.gather(*(checks.results() for _ in range(7)))

    assert {result.problem for results in asyncio.run(probes()) for result in results} == {""}
    assert begun == [1]


def test_what_was_found_is_remembered_for_a_moment() -> None:
    now, begun = 100.0, 0

    async def ask() -> None:
        nonlocal begun
        begun += 1

    checks = HealthChecks(lambda: now)
    checks.settle(Health(cache_seconds=3.0))
    checks.add(checks_row("database", ask))

    async def probed() -> int:
        await checks.results()
        return begun

    async def story() -> list[int]:
        nonlocal now
        counts = [await probed(), await probed()]
        now += 2.9
        counts.append(await probed())
        now += 0.1
        return [*counts, await probed()]

    assert asyncio.run(story()) == [1, 1, 1, 2]


def checks_row(name: str, probe: Any) -> Any:
    from instrumentation.health.monitor import Check  # noqa: PLC0415 - for this one

    return Check(name, probe, None, is_required=True)


def test_another_event_loop_of_the_process_runs_the_check_again(store: ProcessStore) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    health_check("database", hang, seconds=0.05, store=store)
    app = service(store)
    assert [asked(app)[0] for _ in range(2)] == [503, 503]


# --- Checks that block the event loop -------------------------------------------------------------------------------------


class Thread:
    """Notes in which thread a check runs, and holds that thread up."""

    def __init__(self, seconds: float = 2 * BLOCKING_SECONDS) -> None:
        self.seen: list[threading.Thread] = []
        self._seconds = seconds

    def hold_up(self) -> None:
        self.seen.append(threading.current_thread())
        time.sleep(self._seconds)

    @property
    def names(self) -> list[str]:
        return ["loop" if one is self.seen[0] or "sidelight" not in one.name else "aside" for one in self.seen]


def problems(check: Any, times: int, store: ProcessStore) -> list[str]:
    """What a check finds, asked so many times on one event loop."""
    health_check("database", check, seconds=SECONDS, store=store)
    checks = checks_of(store)
    checks.settle(Health(cache_seconds=0.0))

    async def asked() -> list[str]:
        return [result.problem for _ in range(times) for result in await checks.results()]

    return asyncio.run(asked())


def test_an_async_check_that_awaits_nothing_runs_in_a_thread_from_the_start(store: ProcessStore) -> None:
    thread = Thread()

    async def check() -> bool:
        thread.hold_up()
        return len(thread.seen) == 1

    assert problems(partial(check), 2, store) == ["", "failed"]
    assert {one.name for one in thread.seen} == {"sidelight-health"}


def test_one_that_blocks_the_loop_and_never_yields_runs_in_a_thread_from_then_on(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    thread = Thread()

    async def inner() -> None:
        thread.hold_up()

    async def check() -> None:
        await inner()

    assert problems(check, 3, store) == ["", "", ""]
    assert thread.names == ["loop", "aside", "aside"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "health check database blocked the event loop for 0.2 s; it runs in a thread from now on"


def test_one_that_blocks_and_yields_stays_on_the_loop_and_is_logged(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    thread = Thread()

    async def check() -> None:
        await asyncio.sleep(0)
        thread.hold_up()

    assert problems(check, 2, store) == ["", ""]
    assert thread.names == ["loop", "loop"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.endswith("use a plain function, which runs in a thread")


def test_one_that_needs_the_loop_after_all_runs_on_it_again(store: ProcessStore) -> None:
    thread = Thread()

    async def check() -> None:
        thread.hold_up()
        if thread.seen[1:]:
            await asyncio.sleep(0)

    assert problems(check, 3, store) == ["", "", ""]
    assert thread.names == ["loop", "aside", "loop", "loop"]


def test_an_async_function_that_asks_for_its_loop_is_run_on_it(store: ProcessStore) -> None:
    loops: list[Any] = []

    async def check() -> None:
        loops.append(asyncio.get_running_loop())

    assert problems(check, 2, store) == ["", ""]
    assert len(loops) == 2


def test_one_that_is_quick_or_waits_stays_on_the_loop_without_a_log_line(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    thread = Thread(0.0)

    async def check() -> None:
        await asyncio.sleep(2 * BLOCKING_SECONDS)
        thread.hold_up()

    assert problems(check, 2, store) == ["", ""]
    assert thread.names == ["loop", "loop"]
    assert caplog.records == []


# --- The page of metrics ------------------------------------------------------------------------------------------------


def gauges(store: ProcessStore) -> dict[str, float]:
    return {row.labels[0]: row.slots[0] for row in store.series() if row.metric.name == "health_check_up"}


def test_the_page_shows_the_last_result_and_an_old_one_is_refreshed_meanwhile(store: ProcessStore) -> None:
    fails = True

    async def ask() -> bool:
        return not fails

    health_check("database", ask, store=store)
    with TestClient(service(store)) as client:
        client.get("/health")
        gauges(store)  # nobody has asked yet; this does
        deadline = time.monotonic() + SECONDS
        while gauges(store) != {"database": 0.0}:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        fails = False
        while gauges(store) != {"database": 1.0}:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.parametrize(("here", "there", "shown"), [(True, False, 0.0), (False, True, 0.0), (True, True, 1.0)])
def test_a_check_that_fails_in_one_worker_is_shown_as_failing_whichever_worker_answers(
    here: bool,  # noqa: FBT001 - a case of the test
    there: bool,  # noqa: FBT001 - as above
    shown: float,
    tmp_path: Path,
) -> None:
    store = ProcessStore(lambda: tmp_path)
    health_check("database", lambda: here, store=store)
    asked(service(store))
    assert isinstance(store.inner, SharedStore)
    another = SharedStore(tmp_path, name="7-7", is_alive=lambda _: True)
    store.inner._is_alive = lambda _: True
    another.buffer[another.place(HEALTH_CHECK_UP, ("database",))] = float(there)
    assert gauges(store) == {"database": shown}


def test_a_failing_check_is_run_again_without_anybody_asking(
    store: ProcessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instrumentation.health.monitor._AGAIN_SECONDS", 0.01)
    runs: list[bool] = []

    def check() -> bool:
        runs.append(len(runs) >= 2)
        return runs[-1]

    health_check("database", check, store=store)
    with TestClient(service(store)) as client:
        client.get("/ready")
        deadline = time.monotonic() + SECONDS
        while runs[-1:] != [True]:
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_the_pages_are_counted_nowhere_and_documented_nowhere(store: ProcessStore) -> None:
    app = service(store)
    with TestClient(app) as client:
        for path in ("/health", "/ready"):
            client.get(path)
        assert client.get("/openapi.json").json()["paths"] == {}
    routes = {row.labels[1] for row in store.series() if row.metric.name == "http_server_request_duration_seconds"}
    assert routes <= {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def test_a_change_is_logged_once_with_its_reason(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    fails = True

    async def ask() -> None:
        if fails:
            raise ConnectionError("connection\nrefused")

    health_check("database", ask, store=store)
    with caplog.at_level(logging.INFO, "instrumentation"), TestClient(service(store)) as client:
        client.get("/ready")
        client.get("/ready")
        fails = False
        client.get("/ready")
        client.get("/ready")
    assert [record.getMessage() for record in caplog.records if "health check" in record.getMessage()] == [
        "health check database: ConnectionError: connection refused",
        "health check database passes again",
    ]


# --- The pages ----------------------------------------------------------------------------------------------------------


def test_paths_can_be_chosen_and_left_out(store: ProcessStore) -> None:
    app = service(store, live_path="/livez", ready_path=None)
    with TestClient(app) as client:
        assert (client.get("/livez").status_code, client.get("/ready").status_code) == (200, 404)


def test_methods_and_headers(store: ProcessStore) -> None:
    with TestClient(service(store)) as client:
        assert client.post("/ready").status_code == 404  # the app's to answer
        head = client.head("/ready")
        assert (head.status_code, head.content, head.headers["cache-control"]) == (200, b"", "no-store")
        assert int(head.headers["content-length"]) == len(client.get("/ready").content)


def test_where_the_loop_is_not_asyncio_s_the_page_is_answered_too(store: ProcessStore) -> None:
    health_check("database", lambda: None, store=store)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    running = health_pages(Health(), checks_of(store))["/ready"]({"method": "GET"}, None, send)  # type: ignore[arg-type]
    with contextlib.suppress(StopIteration):
        running.send(None)  # type: ignore[attr-defined]  # no loop at all
    assert sent[0]["status"] == 200


# --- The end ------------------------------------------------------------------------------------------------------------


def test_from_the_moment_the_end_begins_it_is_alive_and_not_ready(
    store: ProcessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(service(store)) as client:
        monkeypatch.setattr(shutdown(), "_began", 1.0)
        ready, alive = client.get("/ready"), client.get("/health")
    assert (ready.status_code, ready.json(), alive.status_code) == (503, {"status": "shutting down"}, 200)
