"""The recorder starts once in each process, gives each thread its own slots, and forgets them when the store has become another."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.errors import InstrumentationError
from instrumentation.http.recorder import HttpRecorder
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterable

EDGES = (0.1, 0.5)
LIMIT = 3
ME = threading.get_ident()


def series(store: LocalStore) -> list[tuple[str, ...]]:
    return [row.labels for row in store.series() if row.metric.name == HTTP_SERVER_REQUEST_DURATION.name]


def messages(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_it_starts_once_and_again_after_the_store_has_become_another() -> None:
    started: list[str] = []
    recorder = HttpRecorder(LocalStore(), EDGES, starting=lambda: started.append("now"))
    recorder.prime()
    recorder.shard(ME)
    assert started == ["now"]
    recorder.reset()
    recorder.prime()
    assert started == ["now", "now"]


def test_the_series_of_a_500_exist_before_the_first_request_for_half_of_the_limit() -> None:
    store = LocalStore(series_limit=6)
    routes = [("GET", f"/{name}") for name in "abcdefg"] + [("BREW", "/pot")]
    HttpRecorder(store, EDGES, expected=lambda: routes).prime()
    assert series(store) == [("GET", f"/{name}", "500", "500") for name in "abc"]


def test_an_unknown_method_and_additional_labels_are_in_the_first_series() -> None:
    store = LocalStore()
    HttpRecorder(store, EDGES, labels=("tenant",), expected=lambda: [("BREW", "/pot")]).prime()
    assert series(store) == [("_OTHER", "/pot", "500", "500", "")]


def test_routes_that_cannot_be_read_are_logged_and_requests_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    def expected() -> Iterable[tuple[str, str]]:
        raise LookupError

    recorder = HttpRecorder(LocalStore(), EDGES, expected=expected)
    assert recorder.shard(ME).number == 1
    assert messages(caplog) == [
        ("ERROR", "sidelight could not read the app's routes; they are counted once they are called")
    ]


def test_what_cannot_start_stops_the_start_but_not_a_request(caplog: pytest.LogCaptureFixture) -> None:
    def starting() -> None:
        raise OSError

    recorder = HttpRecorder(LocalStore(), EDGES, starting=starting)
    with pytest.raises(OSError, match=r"^$"):
        recorder.prime()
    recorder.reset()
    assert recorder.shard(ME).number == 1
    assert messages(caplog) == [("ERROR", "sidelight could not start everything; requests are counted all the same")]


def test_a_request_that_cannot_be_counted_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    recorder = HttpRecorder(LocalStore(), EDGES)
    for _ in range(3):
        recorder.could_not_count(ValueError("seven"))
    assert messages(caplog) == [
        ("ERROR", "sidelight could not count a request; the service continues, and later failures are not logged")
    ]
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].levelno == logging.ERROR


def test_a_thread_keeps_its_shard_and_one_that_has_ended_leaves_it_with_its_slots() -> None:
    recorder = HttpRecorder(LocalStore(), EDGES)
    mine = recorder.shard(ME)
    thread = threading.Thread(target=lambda: recorder.shard(threading.get_ident()))
    thread.start()
    thread.join()
    assert recorder.shard(ME) is mine
    (left,) = [shard for shard in recorder.shards.values() if shard is not mine]
    assert (mine.number, left.number) == (1, 2)
    assert recorder.shard(-7) is left  # a thread that begins next
    assert recorder.shards == {ME: mine, -7: left}


def test_a_reset_forgets_every_slot() -> None:
    recorder = HttpRecorder(LocalStore(), EDGES)
    before = recorder.shard(ME)
    recorder.reset()
    assert recorder.shards == {}
    assert recorder.shard(ME) is not before


def test_a_router_that_makes_up_templates_does_not_grow_what_a_shard_remembers() -> None:
    recorder = HttpRecorder(LocalStore(series_limit=LIMIT), EDGES)
    shard = recorder.shard(ME)
    sizes: list[tuple[int, int]] = []
    for number in range(2 * LIMIT + 2):
        recorder.duration(shard, ("GET", f"/{number}", "200", ""))
        recorder.active_of(shard, f"/{number}", excluded=())
        sizes.append((len(shard.durations), len(shard.active_by_route)))
    assert sizes[-2:] == [(2 * LIMIT + 1, 2 * LIMIT + 1), (1, 1)]


def test_the_slots_are_remembered_and_an_excluded_route_has_none() -> None:
    recorder = HttpRecorder(LocalStore(), EDGES)
    shard, key = recorder.shard(ME), ("GET", "/a", "200", "")
    assert shard.durations == {key: recorder.duration(shard, key)}
    assert shard.active == {"GET": recorder.active(shard, "GET")}
    first = recorder.active_of(shard, "/a", excluded={"/health"})
    assert recorder.active_of(shard, "/a", excluded={"/health"}) == first
    assert recorder.active_of(shard, "/health", excluded={"/health"}) is None
    assert shard.active_by_route == {"/a": first}


def test_apps_of_one_store_have_the_same_additional_labels() -> None:
    store = LocalStore()
    first = HttpRecorder(store, EDGES, labels=("tenant",))
    assert first.edges == EDGES
    with pytest.raises(InstrumentationError) as raised:
        HttpRecorder(store, EDGES)
    assert str(raised.value) == (
        "http.labels: got no additional labels, but another app of this process has tenant; give them the same labels."
    )
    assert raised.value.code == "labels_differ"
