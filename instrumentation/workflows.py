"""Workflows: how often each is created and executed, how it ends, how long it takes and what it costs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.store import add, default_store, observe

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from instrumentation.store import Store

_P = ParamSpec("_P")
_R = TypeVar("_R")
_OUTCOMES = ("success", "failure", "cancelled")
_LONGEST_NAME = 100


def workflow_created(name: str, *, store: Store | None = None) -> None:
    """Count a workflow that was created.

    Args:
        name: The workflow's name, one of few: it becomes a label.
        store: Where to count; the process's own store by default.

    Raises:
        InstrumentationError: ``workflow_name_invalid``.
    """
    add(store or default_store(), catalog.WORKFLOWS_CREATED, (_checked(name),), 1.0)


class workflow:  # noqa: N801 - used as `with workflow(...)` and `@workflow(...)`
    """One execution of a workflow, as a context manager; as a decorator, one for every call.

    An exception makes the outcome ``failure``, a cancelled task ``cancelled``; both go on as they were.

    >>> with workflow("invoice_import") as run:
    ...     run.cost_usd(0.012)

    Args:
        name: The workflow's name, one of few: it becomes a label.
        store: Where to count; the process's own store by default.
        clock: Gives seconds.

    Raises:
        InstrumentationError: ``workflow_name_invalid``.
    """

    def __init__(
        self, name: str, *, store: Store | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._name = _checked(name)
        self._store = store or default_store()
        self._clock = clock
        self._began = 0.0

    def __enter__(self) -> Self:
        for outcome in _OUTCOMES:  # born at 0, so that the first failure is not lost to rate()
            self._store.place(catalog.WORKFLOW_EXECUTIONS, (self._name, outcome))
        self._store.place(catalog.WORKFLOW_COST, (self._name,))
        self._began = self._clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        seconds = self._clock() - self._began
        outcome = _outcome(kind)
        add(self._store, catalog.WORKFLOW_EXECUTIONS, (self._name, outcome), 1.0)
        observe(self._store, catalog.WORKFLOW_DURATION, (self._name, outcome), seconds)

    def cost_usd(self, amount: float | Decimal) -> None:
        """Add what the execution cost.

        Args:
            amount: US dollars, finite and not below 0.

        Raises:
            InstrumentationError: ``workflow_cost_invalid``.
        """
        usd = float(amount) if isinstance(amount, int | float | Decimal) and not isinstance(amount, bool) else math.nan
        if not (math.isfinite(usd) and usd >= 0):
            raise InstrumentationError(
                f"workflow {self._name!r}: cost_usd got {amount!r:.60}; give US dollars as a number of at least 0.",
                code="workflow_cost_invalid",
                details={"workflow": self._name},
            )
        add(self._store, catalog.WORKFLOW_COST, (self._name,), usd)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Count every call of a function or of a coroutine function as an execution."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def counted_async(*args: _P.args, **kwargs: _P.kwargs) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return cast("Callable[_P, _R]", counted_async)

        @functools.wraps(function)
        def counted(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with self._again():
                return function(*args, **kwargs)

        return counted

    def _again(self) -> workflow:
        return workflow(self._name, store=self._store, clock=self._clock)


def _checked(name: str) -> str:
    if isinstance(name, str) and 1 <= len(name) <= _LONGEST_NAME:
        return name
    raise InstrumentationError(
        f"workflow name: got {name!r:.60}; give a text of 1 to {_LONGEST_NAME} characters.",
        code="workflow_name_invalid",
    )


def _outcome(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "success"
    return "cancelled" if issubclass(kind, asyncio.CancelledError) else "failure"
