"""The queries of one request: how many there are, and which statement is repeated."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from instrumentation.databases.callers import line_of_service, line_of_task

if TYPE_CHECKING:
    from asyncio import Task

_MOST_STATEMENTS = 1000  # of one request that are distinguished


class Tally:
    """The queries of a request. Threads and tasks of the request share it.

    Two threads that run the same statement at the same moment may count it once; a lock would cost every query more.

    Attributes:
        counts: Statement to how often it ran.
        lines: Statement that is repeated to the line of the service's code that repeats it.
        task: The task of the request, if a library is late.
    """

    __slots__ = ("counts", "lines", "task")

    def __init__(self, task: Task[Any] | None = None) -> None:
        self.task = task
        self.counts: dict[str, int] = {}
        self.lines: dict[str, str] = {}

    def begin(self, statement: str) -> None:
        """Count the first query with a statement."""
        if len(self.counts) < _MOST_STATEMENTS:
            self.counts[statement] = 1

    def repeat(self, statement: str) -> None:
        """Look up which line of code repeats a query; a library that is late has left it, but its task awaits the next one."""
        self.lines[statement] = line_of_service() or (line_of_task(self.task) if self.task is not None else "")


current: ContextVar[Tally | None] = ContextVar("sidelight_queries", default=None)
"""The tally of the current request."""
