"""Jobs: work that is to succeed at regular times, with its last start, its last success, its duration and its outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from instrumentation.signals.handle import Handle, start
from instrumentation.store import add, observe
from instrumentation.workflows import outcome_of
from instrumentation.wrapping import within

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Job(Handle):
    """A job of the team's own; see ``instrumentation.job``.

    Use it as a decorator, ``@IMPORT``, so that each call of the function is a run, or ``with IMPORT.run():`` for a
    part of a function.
    """

    __slots__ = ()

    def run(self) -> Run:
        """One run, as a context manager; an exception makes its outcome ``failure`` and is raised as usual."""
        return Run(self)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Make each call of a function a run; generators and coroutine functions too."""
        return within(self.run, function)

    def started(self) -> None:
        """Set the time of the last start."""
        if self._metric() is not None and self.signal is not None:
            start((self.signal,), self._store)
            self._set_time(2, time.time())

    def ended(self, outcome: str, seconds: float) -> None:
        """Count the end of a run, and set the time of the last success if it was one."""
        if self.signal is None:
            return
        runs, durations, *_ = self.signal.metrics
        add(self._store, runs, (outcome,), 1.0)
        observe(self._store, durations, (outcome,), seconds)
        if outcome == "success":
            now, schedule = time.time(), self.signal.schedule
            self._set_time(3, now)
            if schedule is not None:
                self._set_time(4, schedule.next_after(now))

    def _set_time(self, row: int, seconds: float) -> None:
        if self.signal is not None:
            with self._store.lock:
                self._store.buffer[self._store.place(self.signal.metrics[row], ())] = seconds


class Run:
    """One run of a job.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._began = 0.0
        self._has_failed = False

    def fail(self) -> None:
        """Set the outcome to ``failure`` without raising an exception."""
        self._has_failed = True

    def __enter__(self) -> Self:
        self._job.started()
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        outcome = "failure" if self._has_failed else outcome_of(kind)
        self._job.ended(outcome, time.perf_counter() - self._began)
