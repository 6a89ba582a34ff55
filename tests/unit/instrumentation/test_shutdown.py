"""The first signal is noticed, and passed once to the previous handler, after the drain if one is configured."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from instrumentation.shutdown import Shutdown

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What the server, which heard signals first, hears."""
    signals: list[int] = []
    before = {number: signal.signal(number, lambda number, _: signals.append(number)) for number in (TERM, INT)}
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ending(heard: list[int]) -> Iterator[Shutdown]:
    del heard  # it has to be there before
    ending = Shutdown()
    yield ending
    ending.end()


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_signal_is_noticed_and_the_server_hears_it_once(ending: Shutdown, heard: list[int], number: int) -> None:
    ending.begin(0.0)
    assert not ending.has_begun
    os.kill(os.getpid(), number)
    assert (ending.has_begun, heard) == (True, [number])


def test_the_next_signals_go_only_to_the_server(ending: Shutdown, heard: list[int]) -> None:
    ending.begin(0.0)
    for _ in range(3):
        os.kill(os.getpid(), TERM)
    assert heard == [TERM] * 3


def test_during_the_drain_it_has_begun_and_the_server_does_not_know(ending: Shutdown, heard: list[int]) -> None:
    async def story() -> tuple[bool, list[int]]:
        ending.begin(0.05)
        os.kill(os.getpid(), TERM)
        await asyncio.sleep(0)
        at_once = ending.has_begun, list(heard)
        while not heard:  # noqa: ASYNC110 - a signal handler sets no event of a loop
            await asyncio.sleep(0.005)
        return at_once

    assert asyncio.run(asyncio.wait_for(story(), 30)) == (True, [])
    assert heard == [TERM]


@pytest.mark.parametrize("numbers", [[INT], [TERM, TERM]], ids=["Ctrl-C", "a second SIGTERM"])
def test_a_second_signal_ends_the_drain(ending: Shutdown, heard: list[int], numbers: list[int]) -> None:
    async def story() -> None:
        ending.begin(600.0)
        for number in numbers:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)

    asyncio.run(story())
    assert heard == numbers[-1:]


def test_without_a_loop_nothing_is_drained(ending: Shutdown, heard: list[int]) -> None:
    async def story() -> None:
        ending.begin(600.0)

    asyncio.run(story())
    os.kill(os.getpid(), TERM)
    assert heard == [TERM]


def test_signals_that_a_loop_handles_reach_it(ending: Shutdown) -> None:
    async def story() -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(TERM, told.set)
        try:
            ending.begin(0.0)
            os.kill(os.getpid(), TERM)
            await asyncio.wait_for(told.wait(), 30)
        finally:
            ending.end()
            loop.remove_signal_handler(TERM)

    asyncio.run(story())
    assert ending.has_begun


def test_a_later_signal_handler_stays(ending: Shutdown) -> None:
    later: list[int] = []
    ending.begin(0.0)
    signal.signal(TERM, lambda number, _: later.append(number))
    ending.end()
    os.kill(os.getpid(), TERM)
    assert later == [TERM]


def test_at_the_end_signals_are_as_they_were(ending: Shutdown, heard: list[int]) -> None:
    before = signal.getsignal(TERM)
    ending.begin(0.0)
    ending.begin(0.0)
    ending.end()
    assert signal.getsignal(TERM) is before
    assert heard == []


def test_in_another_thread_signals_are_left_alone(ending: Shutdown) -> None:
    before = signal.getsignal(TERM)
    thread = threading.Thread(target=ending.begin, args=(0.0,))
    thread.start()
    thread.join()
    assert signal.getsignal(TERM) is before


def test_the_last_line_says_how_long_it_took(heard: list[int], caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    ending = Shutdown(lambda: now)
    ending.begin(0.0)
    os.kill(os.getpid(), TERM)
    now += 1.7384
    with caplog.at_level(logging.INFO, "instrumentation"):
        ending.end()
    (record,) = caplog.records
    assert record.getMessage() == "shut down 1738 ms after SIGTERM"
    assert vars(record)["duration_ms"] == pytest.approx(1738.4)
    assert heard == [TERM]


def test_a_shutdown_without_a_signal_is_logged_too(ending: Shutdown, caplog: pytest.LogCaptureFixture) -> None:
    ending.begin(0.0)
    with caplog.at_level(logging.INFO, "instrumentation"):
        ending.end()
    assert caplog.messages == ["shut down, since the server ended the app"]


def test_a_server_that_begins_again_has_not_begun_to_end(ending: Shutdown) -> None:
    ending.begin(0.0)
    os.kill(os.getpid(), TERM)
    ending.end()
    ending.begin(0.0)
    assert not ending.has_begun


def test_a_loop_that_handles_signals_gets_each_once(ending: Shutdown) -> None:
    told: list[int] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(TERM, told.append, 1)
        try:
            ending.begin(0.0)
            os.kill(os.getpid(), TERM)
            for _ in range(20):
                await asyncio.sleep(0.005)
        finally:
            ending.end()
            loop.remove_signal_handler(TERM)

    asyncio.run(story())
    assert told == [1]


def test_without_a_handler_the_signal_ends_the_process() -> None:
    program = (
        "import os, signal; from instrumentation.shutdown import Shutdown; ending = Shutdown(); ending.begin(0.0); "
    )
    program += "os.kill(os.getpid(), signal.SIGTERM); print('still here')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (-TERM, b"")
