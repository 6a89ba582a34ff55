"""Queues are read when the page is built, and a slow or broken queue loses only its own value."""

from __future__ import annotations

import asyncio
import logging
import math
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from instrumentation.errors import InstrumentationError
from instrumentation.exposition.formats import register
from instrumentation.queues import queue
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.scrape_callbacks import MOST_READINGS
from instrumentation.store.shared_store import SharedStore

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SECONDS = 10.0  # a value that comes is there long before; only tests of what does not come wait as long as the limit


@pytest.fixture
def store() -> ProcessStore:
    store = ProcessStore(lambda: None)
    store.callbacks.seconds = SECONDS
    return store


@pytest.fixture
def hung(store: ProcessStore) -> Iterator[threading.Event]:
    """What a hung callback waits for; set at the end, so that no thread outlives its test."""
    store.callbacks.seconds = 0.07
    released = threading.Event()
    yield released
    released.set()
    for thread in threading.enumerate():
        if thread.name == "sidelight-reading":
            thread.join(SECONDS)
            assert not thread.is_alive()


@contextmanager
def running_loop(store: ProcessStore) -> Iterator[asyncio.AbstractEventLoop]:
    """The app's event loop, in a thread as the page sees it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    while not loop.is_running():
        time.sleep(0.001)
    store.callbacks.begin(loop)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def loop(store: ProcessStore) -> Iterator[asyncio.AbstractEventLoop]:
    with running_loop(store) as loop:
        yield loop


def read(store: ProcessStore, name: str) -> dict[str, float]:
    return {row.labels[0]: row.slots[0] for row in list(store.series()) if row.metric.name == name}


depths = partial(read, name="queue_depth")
ages = partial(read, name="queue_oldest_age_seconds")
failures = partial(read, name="queue_read_failures_total")


# --- Values -----------------------------------------------------------------------------------------------------------


def test_depth_and_age_are_on_the_page_as_they_are_at_that_moment(store: ProcessStore) -> None:
    items = [7.5, 3.25]
    queue("emails", depth=lambda: len(items), oldest_age=lambda: items[0] if items else None, store=store)
    assert (depths(store), ages(store)) == ({"emails": 2}, {"emails": 7.5})
    items.clear()
    assert (depths(store), ages(store)) == ({"emails": 0}, {"emails": 0})


def test_the_user_sees_them_in_the_registry_of_prometheus_client_too(store: ProcessStore) -> None:
    queue("emails", depth=lambda: Decimal(7), store=store)
    registry = CollectorRegistry()
    register(store, registry)
    assert b'queue_depth{queue="emails"} 7.0\n' in generate_latest(registry)


@pytest.mark.parametrize("value", [None, True, "7", math.nan, math.inf, -1, -0.5, [7], Decimal("NaN")])
def test_nonsense_is_a_failure_that_names_the_queue_and_what_was_given(
    store: ProcessStore, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    queue("emails", depth=lambda: value, store=store)
    queue("reports", depth=lambda: 7, store=store)
    assert depths(store) == {"reports": 7}
    assert failures(store) == {"emails": 2, "reports": 0}
    allowed = "give the number of items as a number of at least 0"
    assert caplog.messages == [f"depth of queue 'emails' cannot be read: ValueError: got {value!r}; {allowed}"]


def test_no_age_means_an_empty_queue_and_any_other_nonsense_is_refused(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    queue("emails", depth=lambda: 0, oldest_age=lambda: None, store=store)
    queue("reports", depth=lambda: 7, oldest_age=lambda: -3.0, store=store)
    assert ages(store) == {"emails": 0}
    assert "oldest_age of queue 'reports' cannot be read: ValueError: got -3.0; give seconds" in caplog.text


# --- Where callbacks run ------------------------------------------------------------------------------------------------


async def seven() -> int:
    await asyncio.sleep(0)
    return 7


class Seven:
    async def __call__(self) -> int:
        return 7


@pytest.mark.parametrize("depth", [seven, lambda: seven(), partial(seven), Seven()])  # noqa: PLW0108 - as users write it
def test_awaitables_are_awaited(store: ProcessStore, loop: asyncio.AbstractEventLoop, depth: Any) -> None:
    assert loop.is_running()
    queue("emails", depth=depth, store=store)
    assert depths(store) == {"emails": 7}


def test_a_coroutine_runs_on_the_loop_of_the_app(store: ProcessStore, loop: asyncio.AbstractEventLoop) -> None:
    async def depth() -> int:
        return 7 if asyncio.get_running_loop() is loop else 3

    queue("emails", depth=depth, store=store)
    assert depths(store) == {"emails": 7}


def test_a_queue_that_is_made_on_a_loop_is_awaited_there(store: ProcessStore, loop: asyncio.AbstractEventLoop) -> None:
    async def watch() -> None:
        own = asyncio.get_running_loop()

        async def depth() -> int:
            return 7 if asyncio.get_running_loop() is own else 3

        queue("emails", depth=depth, store=store)
        assert await own.run_in_executor(None, depths, store) == {"emails": 7}

    assert loop.is_running()
    asyncio.run(watch())


def test_a_plain_function_blocks_neither_the_loop_nor_the_thread_of_the_page(
    store: ProcessStore, loop: asyncio.AbstractEventLoop
) -> None:
    threads: list[threading.Thread] = []
    queue("emails", depth=lambda: threads.append(threading.current_thread()) or 7, store=store)  # type: ignore[func-returns-value]
    loop_thread = asyncio.run_coroutine_threadsafe(_thread(), loop).result()
    assert depths(store) == {"emails": 7}
    assert threads[0] not in {threading.current_thread(), loop_thread}
    assert threads[0].daemon


async def _thread() -> threading.Thread:
    return threading.current_thread()


def test_all_are_read_side_by_side(store: ProcessStore, loop: asyncio.AbstractEventLoop) -> None:
    together = threading.Barrier(4)

    async def awaited() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, together.wait) * 0 + 7

    queue("a", depth=lambda: together.wait() * 0 + 7, oldest_age=lambda: together.wait() * 0 + 3, store=store)
    queue("b", depth=awaited, oldest_age=awaited, store=store)
    assert loop.is_running()
    assert depths(store) == {"a": 7, "b": 7}


def test_without_a_loop_an_awaitable_fails_and_the_log_says_why(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    queue("emails", depth=seven, store=store)
    assert depths(store) == {}
    assert caplog.messages == [
        "depth of queue 'emails' cannot be read: RuntimeError: there is no running event loop to await it on"
    ]


def test_an_app_that_restarts_on_another_loop_is_read_there(store: ProcessStore) -> None:
    queue("emails", depth=seven, store=store)
    for _ in range(2):
        with running_loop(store):
            assert depths(store) == {"emails": 7}
        next(iter(store.callbacks._readings.values())).future = Future()  # as one that its loop left behind


def test_a_queue_that_was_made_on_a_loop_that_has_ended_is_awaited_on_the_apps(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def watch() -> None:
        queue("emails", depth=seven, store=store)

    asyncio.run(watch())
    assert depths(store) == {}
    assert "there is no running event loop to await it on" in caplog.text
    with running_loop(store):
        assert depths(store) == {"emails": 7}


def test_a_page_built_on_an_event_loop_does_not_wait_and_logs_this_once(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    queue("emails", depth=lambda: 7, store=store)

    async def page() -> None:
        assert depths(store) == depths(store) == {}

    asyncio.run(page())
    assert [message for message in caplog.messages if "waiting would block the service" in message] == caplog.messages
    assert len(caplog.messages) == 1


# --- Slow ones ----------------------------------------------------------------------------------------------------------


def test_one_that_is_too_slow_yields_no_sample_and_the_page_does_not_wait_longer(
    store: ProcessStore, hung: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    queue("emails", depth=hung.wait, store=store)
    queue("reports", depth=lambda: 7, oldest_age=hung.wait, store=store)
    began = time.monotonic()
    assert depths(store) == {"reports": 7}
    assert store.callbacks.seconds <= time.monotonic() - began < SECONDS
    assert sorted(caplog.messages) == [
        "depth of queue 'emails' cannot be read: took longer than 0.07 s",
        "oldest_age of queue 'reports' cannot be read: took longer than 0.07 s",
    ]


def test_one_that_still_runs_is_not_started_again_and_costs_the_next_page_no_time(
    store: ProcessStore, hung: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def depth() -> int:
        calls.append(1)
        hung.wait()
        return 7

    queue("emails", depth=depth, store=store)
    assert depths(store) == {}
    store.callbacks.seconds = SECONDS
    next(iter(store.callbacks._readings.values())).began -= SECONDS
    began = time.monotonic()
    for _ in range(3):
        assert depths(store) == {}
    assert time.monotonic() - began < SECONDS
    assert (len(calls), failures(store), len(caplog.messages)) == (1, {"emails": 5}, 1)
    hung.set()
    until(lambda: depths(store) == {"emails": 7})


def until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_coroutine_that_hangs_is_cancelled_at_the_limit(
    store: ProcessStore, loop: asyncio.AbstractEventLoop, hung: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []

    async def depth() -> int:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("cancelled")
        return 7

    assert loop.is_running()
    assert not hung.is_set()
    queue("emails", depth=depth, store=store)
    assert depths(store) == {}
    until(lambda: ended == ["cancelled"])
    assert caplog.messages == ["depth of queue 'emails' cannot be read: took longer than 0.07 s"]


def test_a_blocked_loop_delays_the_page_no_longer_than_the_limit(
    store: ProcessStore, loop: asyncio.AbstractEventLoop, hung: threading.Event
) -> None:
    queue("emails", depth=seven, store=store)
    loop.call_soon_threadsafe(hung.wait)
    assert depths(store) == {}
    hung.set()
    store.callbacks.seconds = SECONDS
    until(lambda: depths(store) == {"emails": 7})


def test_two_pages_at_the_same_time_share_one_call(store: ProcessStore) -> None:
    calls: list[int] = []
    both_wait = threading.Event()

    def depth() -> int:
        calls.append(1)
        assert both_wait.wait(SECONDS)
        return 7

    queue("emails", depth=depth, store=store)
    with ThreadPoolExecutor(2) as pool:
        pages = [pool.submit(depths, store) for _ in range(2)]
        run = next(iter(store.callbacks._readings.values()))
        until(lambda: run.future is not None and len(run.future._waiters) == 2)
        both_wait.set()
        assert [page.result() for page in pages] == [{"emails": 7}] * 2
    assert len(calls) == 1


# --- Failing ones -------------------------------------------------------------------------------------------------------


def test_a_failure_is_counted_each_time_and_logged_once_for_each_kind(
    store: ProcessStore, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception | None] = [
        ConnectionError("refused,\nby the server"),
        ConnectionError("again"),
        TimeoutError("no answer"),
        None,
        TimeoutError("once more"),
    ]

    def depth() -> int:
        error = errors.pop(0)
        if error is not None:
            raise error
        return 7

    queue("emails", depth=depth, store=store)
    assert [depths(store) for _ in range(5)] == [{}, {}, {}, {"emails": 7}, {}]
    queue("emails", depth=lambda: 7, store=store)
    assert failures(store) == {"emails": 4}
    assert caplog.messages == [
        "depth of queue 'emails' cannot be read: ConnectionError: refused, by the server",
        "depth of queue 'emails' cannot be read: TimeoutError: no answer",
        "depth of queue 'emails' cannot be read: TimeoutError: once more",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def leave() -> int:
    raise SystemExit("no broker")


@pytest.mark.parametrize(
    "depth",
    [lambda: sys.exit("no broker"), leave, lambda: next(iter([leave()]))],
    ids=["a function", "async", "awaitable"],
)
def test_a_callback_that_wants_the_process_to_end_fails(
    depth: Any, store: ProcessStore, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    queue("emails", depth=depth, store=store)
    queue("jobs", depth=lambda: 7, store=store)
    assert depths(store) == {"jobs": 7}
    assert failures(store) == {"emails": 2, "jobs": 0}  # this page asks too
    assert loop.is_running()
    assert "SystemExit: no broker" in caplog.text


def test_without_a_free_thread_the_page_is_served_without_the_queue(
    store: ProcessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    queue("emails", depth=lambda: 7, store=store)
    monkeypatch.setattr(threading.Thread, "start", no_more)
    assert depths(store) == {}


# --- Names --------------------------------------------------------------------------------------------------------------


def test_the_same_name_replaces_and_takes_the_age_of_the_former_along(store: ProcessStore) -> None:
    queue("emails", depth=lambda: 3, oldest_age=lambda: 3, store=store)
    queue("emails", depth=lambda: 7, store=store)
    assert (depths(store), ages(store)) == ({"emails": 7}, {})


def test_a_closed_queue_is_gone_and_one_that_took_its_name_stays(store: ProcessStore) -> None:
    first = queue("emails", depth=lambda: 3, oldest_age=lambda: 3, store=store)
    queue("reports", depth=lambda: 5, store=store).close()
    queue("emails", depth=lambda: 7, store=store)
    first.close()
    assert (depths(store), ages(store)) == ({"emails": 7}, {})


@pytest.mark.parametrize("name", ["", "x" * 101, 7, None, "two\nlines"])
def test_a_wrong_name_is_refused_at_the_call(store: ProcessStore, name: Any) -> None:
    with pytest.raises(InstrumentationError, match=r"queue name: got .*; give a string of 1 to 100") as error:
        queue(name, depth=lambda: 7, store=store)
    assert error.value.code == "queue_name_invalid"


@pytest.mark.parametrize("wrong", [{"depth": 7}, {"depth": lambda: 7, "oldest_age": 3.0}])
def test_what_cannot_be_called_is_refused_at_the_call_and_the_former_stays(store: ProcessStore, wrong: Any) -> None:
    queue("emails", depth=lambda: 7, oldest_age=lambda: 3, store=store)
    with pytest.raises(InstrumentationError, match=r"queue 'emails': \w+ got [\d.]+; give a function") as error:
        queue("emails", **wrong, store=store)
    assert error.value.code == "queue_callback_invalid"
    assert (depths(store), ages(store)) == ({"emails": 7}, {"emails": 3})


def test_queues_named_by_ids_do_not_grow_without_bound(store: ProcessStore, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST_READINGS + 1):
        queue(f"customer {number}", depth=lambda: 7, store=store)
    assert caplog.messages == [
        f"depth of queue 'customer {MOST_READINGS}' is not read: there are {MOST_READINGS} readings already"
    ]
    queue("customer 3", depth=lambda: 3, store=store)
    assert depths(store)["customer 3"] == 3


# --- Workers ------------------------------------------------------------------------------------------------------------


def test_the_depth_is_that_of_the_one_queue_and_failures_are_summed_over_workers(tmp_path: Path) -> None:
    store = ProcessStore(lambda: tmp_path)
    queue("emails", depth=lambda: -1, store=store)
    assert failures(store) == {"emails": 1}
    queue("emails", depth=lambda: 7, store=store)
    assert isinstance(store.inner, SharedStore)
    another = SharedStore(tmp_path, name="7-7", is_alive=lambda _: True)
    store.inner._is_alive = lambda _: True
    for row in list(store.inner.series()):
        another.buffer[another.place(row.metric, row.labels)] = 3.0
    assert depths(store) == {"emails": 7}
    assert failures(store) == {"emails": 4}


FORK = """
import asyncio, os, sys, threading
from instrumentation.queues import queue
from instrumentation.store.process_store import ProcessStore

store = ProcessStore(lambda: None)
hung, released = threading.Event(), threading.Event()

def depth():
    if os.getpid() == parent:
        hung.set()
        released.wait()
    return 7

parent = os.getpid()
queue("emails", depth=depth, store=store)
store.callbacks.seconds = 0.01
assert list(row for row in store.series() if row.metric.name == "queue_depth") == []
assert hung.wait(10)
store.callbacks.seconds = 10.0
child = os.fork()
if not child:
    found = [row.slots[0] for row in store.series() if row.metric.name == "queue_depth"]
    os._exit(0 if found == [7.0] else 7)
released.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_worker_does_not_wait_for_its_parents_threads() -> None:
    subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, check=True, timeout=60)
