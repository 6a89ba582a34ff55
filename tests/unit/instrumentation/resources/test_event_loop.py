"""The lag of the event loop is the delay of a task that becomes ready at any moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from instrumentation.catalog import EVENT_LOOP_LAG
from instrumentation.resources.event_loop import LoopLag
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Loop:
    """A loop whose clock the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        timer = (when, callback, args)
        self.timers.append(timer)
        return Handle(self, timer)  # type: ignore[return-value]

    def fire(self, late: float) -> None:
        when, callback, args = self.timers.pop(0)
        self.now = when + late
        callback(*args)


class Handle:
    def __init__(self, loop: Loop, timer: tuple[float, Callable[..., None], tuple[object, ...]]) -> None:
        self._loop = loop
        self._timer = timer

    def cancel(self) -> None:
        if self._timer in self._loop.timers:
            self._loop.timers.remove(self._timer)


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def slots(store: LocalStore) -> Sequence[float]:
    return next(row.slots for row in store.series() if row.metric is EVENT_LOOP_LAG)


def observed(store: LocalStore) -> dict[float, float]:
    """Upper edge to how many were observed below it, without empty buckets."""
    edges = (*EVENT_LOOP_LAG.buckets, float("inf"))
    return {edge: count for edge, count in zip(edges, slots(store)[:-1], strict=True) if count}


def test_each_timer_counts_how_late_it_was(store: LocalStore, loop: Loop) -> None:
    LoopLag(store, interval=0.25).begin(loop)  # type: ignore[arg-type]
    for late in (0.0, 0.003, 0.07):
        loop.fire(late)
    assert observed(store) == {0.001: 1, 0.005: 1, 0.1: 1}
    assert slots(store)[-1] == pytest.approx(0.073)


def test_a_long_block_counts_for_every_moment_that_waited_in_it(store: LocalStore, loop: Loop) -> None:
    LoopLag(store, interval=0.25).begin(loop)  # type: ignore[arg-type]
    loop.fire(1.125)  # the timers that were due 0.25, 0.5, 0.75 and 1.0 s after it waited 0.875, 0.625, 0.375 and 0.125
    assert observed(store) == {0.25: 1, 0.5: 1, 1.0: 2, 2.5: 1}
    assert slots(store)[-1] == 1.125 + 0.875 + 0.625 + 0.375 + 0.125


def test_a_process_that_was_stopped_for_a_day_does_not_count_for_seconds(store: LocalStore, loop: Loop) -> None:
    LoopLag(store, interval=0.25).begin(loop)  # type: ignore[arg-type]
    loop.fire(86400.0)
    assert sum(slots(store)[:-1]) == 1001


def test_a_clock_that_is_early_counts_as_0(store: LocalStore, loop: Loop) -> None:
    LoopLag(store, interval=0.25).begin(loop)  # type: ignore[arg-type]
    loop.fire(-0.0001)
    assert (observed(store), slots(store)[-1]) == ({0.001: 1}, 0.0)


def test_one_loop_is_measured_once_however_often_it_begins(store: LocalStore, loop: Loop) -> None:
    lag = LoopLag(store)
    lag.begin(loop)  # type: ignore[arg-type]
    armed = list(loop.timers)
    loop.now += 0.2
    lag.begin(loop)  # type: ignore[arg-type]
    assert loop.timers == armed


def test_another_loop_takes_over_and_the_end_is_the_end(store: LocalStore, loop: Loop) -> None:
    lag, another = LoopLag(store), Loop()
    lag.begin(loop)  # type: ignore[arg-type]
    lag.begin(another)  # type: ignore[arg-type]
    assert (len(loop.timers), len(another.timers)) == (0, 1)
    lag.end()
    assert another.timers == []


def test_a_blocked_real_loop_is_measured_and_ends_cleanly(store: LocalStore) -> None:
    async def serve() -> None:
        LoopLag(store, interval=0.01).begin(asyncio.get_running_loop())
        time.sleep(0.3)  # noqa: ASYNC251 - the fault that is to be seen
        for _ in range(2):  # the loop notices the due callbacks, and runs them
            await asyncio.sleep(0)

    asyncio.run(serve())
    late = {edge: count for edge, count in observed(store).items() if edge >= 0.25}
    assert sum(late.values()) >= 4
    assert slots(store)[-1] > 0.3
