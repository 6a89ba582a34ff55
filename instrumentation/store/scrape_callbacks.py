"""Scrape callbacks: functions called for each scrape by the worker that answers, one value for all workers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from instrumentation.errors import reason
from instrumentation.log_once import LogOnce
from instrumentation.offload import start_thread
from instrumentation.store.interface import Series, add

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Hashable, Iterable

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Store

MOST_READINGS = 200
"""The maximum number of readings. More cannot be read within the time limit, and probably ids were used as names."""

_log = logging.getLogger("instrumentation")


class ScrapeCallback(Protocol):
    """A scrape callback that returns immediately."""

    def collect(self) -> Iterable[Series]:
        """The current series. The page waits for it; use a ``Reading`` for anything that may be slow."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A scrape callback that may be slow or fail, such as the depth of a queue on another machine.

    Attributes:
        what: Its name in the log, such as ``depth of queue 'emails'``.
        read: Returns a value, or an awaitable of one, which is awaited on the app's event loop.
        series: Turns the value into series; raises ValueError if the value is invalid.
        failures: The counter of failed reads, and its labels.
    """

    what: str
    read: Callable[[], Any]
    series: Callable[[Any], Iterable[Series]]
    failures: tuple[Metric, tuple[str, ...]]


def reading(metric: Metric, value: float, labels: tuple[str, ...] = ()) -> Series:
    """A value that has just been read, as a series."""
    return Series(metric, labels, (), (float(value),), 0.0)


class TooSlow(Exception):  # noqa: N818 - not an error of this package
    """No value arrived within the time limit."""


class Ended(Exception):  # noqa: N818 - as above
    """A callback wanted the process to end."""


class ScrapeCallbacks:
    """All scrape callbacks of a store.

    Plain callbacks are called one after the other. Readings run concurrently, each in its own thread, within one common
    time limit; a reading that is still running from the previous scrape is not started again.

    Args:
        store: The store that counts failed reads.

    Attributes:
        seconds: The time limit.
    """

    def __init__(self, store: Store) -> None:
        self.seconds = 1.0
        self._store = store
        self._loop: AbstractEventLoop | None = None
        self._callbacks: list[ScrapeCallback] = []
        self._readings: dict[Hashable, _Run] = {}
        self._lock = threading.Lock()
        self._log_once = LogOnce()

    def attach(self, callback: ScrapeCallback) -> None:
        """Add a callback; equal callbacks are called once."""
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    def watch(self, key: Hashable, reading: Reading) -> bool:
        """Add a reading, and replace the one with the same key.

        Returns:
            False if there are too many readings.
        """
        loop = _running_loop()
        with self._lock:
            if key not in self._readings and len(self._readings) >= MOST_READINGS:
                return False
            self._readings[key] = _Run(reading, loop)
        return True

    def ignore(self, key: Hashable, reading: Reading | None = None) -> None:
        """Remove the reading with this key; if a reading is given, only if it is that one."""
        with self._lock:
            run = self._readings.get(key)
            if run is not None and reading in {None, run.reading}:
                del self._readings[key]

    def begin(self, loop: AbstractEventLoop) -> None:
        """Use this event loop for awaitables; those waiting on a loop that has ended are dropped."""
        with self._lock:
            if loop is not self._loop:
                self._loop = loop
                for run in self._readings.values():
                    run.future = None

    def reset(self) -> None:
        """Drop loops and threads in a forked child, because they belong to the parent."""
        self._lock = threading.Lock()
        self._loop = None
        for run in self._readings.values():
            run.future = run.loop = None

    def collect(self) -> list[Series]:
        """The current series; callbacks that fail or take too long are left out."""
        found = [series for callback in tuple(self._callbacks) for series in self._guarded(callback)]
        if not self._readings:
            return found
        if _running_loop() is not None:
            self._log_once(
                "queues and disks cannot be read in an event loop's thread, because waiting would block the service; "
                "further failures are not logged"
            )
            return found
        return found + [series for run, future in self._side_by_side() for series in self._taken(run, future)]

    def _guarded(self, callback: ScrapeCallback) -> list[Series]:
        try:
            return list(callback.collect())
        except Exception as error:  # noqa: BLE001 - the rest of the page is served after any error
            text = "%s is missing from the metrics page; further failures are not logged"
            self._log_once(text, type(callback).__qualname__, error=error)
            return []

    def _side_by_side(self) -> list[tuple[_Run, Future[Any]]]:
        """Start readings that are not running yet, and wait for all until the time limit."""
        with self._lock:
            runs = [(run, run.begin(self._loop, self.seconds)) for run in self._readings.values()]
            fresh = [future for run, future in runs if run.began + self.seconds > time.monotonic()]
        wait(fresh, timeout=self.seconds)
        return runs

    def _taken(self, run: _Run, future: Future[Any]) -> list[Series]:
        series: list[Series] = []
        failure: BaseException | None = None
        try:
            if not future.done():
                raise TooSlow(f"took longer than {self.seconds:g} s")  # noqa: TRY301 - one place counts all failures
            series = list(run.reading.series(future.result()))
        except BaseException as error:  # noqa: BLE001 - any error of the callback
            failure = error
        run.note(failure)
        add(
            self._store, *run.reading.failures, float(failure is not None)
        )  # also at 0, so that the first failure is an increase
        return series


class _Run:
    """A reading and the state of its last attempt."""

    def __init__(self, reading: Reading, loop: AbstractEventLoop | None) -> None:
        self.reading = reading
        self.loop = loop  # the loop on which it was created: its clients are probably bound to it
        self.future: Future[Any] | None = None
        self.began = 0.0
        self._failed = ""

    def begin(self, loop: AbstractEventLoop | None, seconds: float) -> Future[Any]:
        """Start it unless it is still running."""
        if self.future is None or self.future.done():
            self.future, self.began = Future(), time.monotonic()
            running = next((one for one in (self.loop, loop) if one is not None and one.is_running()), None)
            read = start_thread(self.reading.read, "sidelight-reading")
            read.add_done_callback(partial(_settle, self.future, running, seconds))
        return self.future

    def note(self, failure: BaseException | None) -> None:
        """Log why there is no value, once for each kind of failure in a row."""
        kind = "" if failure is None else type(failure).__qualname__
        if failure is not None and kind != self._failed:
            text = str(failure) if isinstance(failure, TooSlow) else reason(failure)
            _log.warning("%s cannot be read: %s", self.reading.what, text)
        self._failed = kind


def _settle(future: Future[Any], loop: AbstractEventLoop | None, seconds: float, read: Future[Any]) -> None:
    """Pass on what was read; an awaitable is awaited first."""
    try:
        value = read.result()
        if inspect.isawaitable(value):
            _awaited(value, loop, seconds).add_done_callback(partial(_pass_on, future))
        else:
            future.set_result(value)
    except BaseException as error:  # noqa: BLE001 - handled where the result is awaited
        future.set_exception(error)


def _awaited(value: Awaitable[Any], loop: AbstractEventLoop | None, seconds: float) -> Future[Any]:
    if loop is None:
        if inspect.iscoroutine(value):
            value.close()  # otherwise Python warns that it was never awaited
        raise RuntimeError("there is no running event loop to await it on")
    return asyncio.run_coroutine_threadsafe(_within(value, seconds), loop)


async def _within(value: Awaitable[Any], seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await value
    except TimeoutError:
        if limit.expired():
            raise TooSlow(f"took longer than {seconds:g} s") from None
        raise
    except (SystemExit, KeyboardInterrupt) as error:  # which would end the event loop
        raise Ended(reason(error)) from error


def _pass_on(future: Future[Any], ended: Future[Any]) -> None:
    try:
        future.set_result(ended.result())
    except BaseException as error:  # noqa: BLE001 - handled where the result is awaited
        future.set_exception(error)


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
