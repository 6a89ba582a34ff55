"""Workflows: how often they are created and executed, their outcome, duration and cost."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable  # noqa: TC003 - for typing.get_type_hints
from concurrent.futures import CancelledError
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.log_once import warn_once
from instrumentation.names import checked_name
from instrumentation.store import Store, add, default_store, observe
from instrumentation.wrapping import within

if TYPE_CHECKING:
    from types import TracebackType


_P = ParamSpec("_P")
_R = TypeVar("_R")


def workflow_created(name: str, *, store: Store | None = None) -> None:
    """Count the creation of a workflow.

    Args:
        name: The workflow's name; use few different names, because it becomes a label.
        store: The store to count in; the process's own by default.

    Raises:
        InstrumentationError: ``workflow_name_invalid``.
    """
    add(store or default_store(), catalog.WORKFLOWS_CREATED, (checked_name("workflow", name),), 1.0)


class workflow:  # noqa: N801 - used as `with workflow(...)` and `@workflow(...)`
    """One execution of a workflow, as a context manager; as a decorator, one execution per call.

    An exception makes the outcome ``failure``; a cancelled task or a generator that is closed early makes it ``cancelled``.
    Exceptions are raised as usual. The execution of a decorated generator lasts until the generator ends.

    >>> with workflow("invoice_import") as run:
    ...     run.cost_usd(0.012)

    Args:
        name: The workflow's name; use few different names, because it becomes a label.
        store: The store to count in; the process's own by default.
        clock: Returns seconds.

    Raises:
        InstrumentationError: ``workflow_name_invalid``.
    """

    def __init__(
        self, name: str, *, store: Store | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._name = checked_name("workflow", name)
        self._store = store or default_store()
        self._clock = clock
        self._began: float | None = None
        self._has_failed = False

    def __enter__(self) -> Self:
        if self._began is not None:
            raise InstrumentationError(
                f"workflow {self._name!r}: this execution has not ended; "
                "create another workflow(...) for a concurrent or nested execution.",
                code="workflow_running",
                details={"workflow": self._name},
            )
        for outcome in catalog.OUTCOMES:  # created at 0, so that rate() sees the first failure
            self._store.place(catalog.WORKFLOW_EXECUTIONS, (self._name, outcome))
        self._store.place(catalog.WORKFLOW_COST, (self._name,))
        self._has_failed = False
        self._began = self._clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._began is None:
            return
        seconds, self._began = self._clock() - self._began, None
        outcome = "failure" if self._has_failed else outcome_of(kind)
        add(self._store, catalog.WORKFLOW_EXECUTIONS, (self._name, outcome), 1.0)
        observe(self._store, catalog.WORKFLOW_DURATION, (self._name, outcome), seconds)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def fail(self) -> None:
        """Set the outcome to ``failure`` without raising an exception."""
        self._has_failed = True

    def cost_usd(self, amount: float | Decimal) -> None:
        """Add to the cost of the execution.

        Args:
            amount: US dollars, finite and not below 0. Anything else is logged once and ignored.
        """
        usd = _number(amount)
        if math.isfinite(usd) and usd >= 0:
            add(self._store, catalog.WORKFLOW_COST, (self._name,), usd)
        else:
            warn_once(
                f"workflow {self._name!r}: cost_usd got {_shown(amount)}; give US dollars as a number of at least 0."
            )

    def waited(self, seconds: float) -> None:
        """Record how long the execution waited between the creation of the workflow and its start.

        Args:
            seconds: Finite and not below 0. Anything else is logged once and ignored.
        """
        found = _number(seconds)
        if math.isfinite(found) and found >= 0:
            observe(self._store, catalog.WORKFLOW_WAIT, (self._name,), found)
        else:
            warn_once(f"workflow {self._name!r}: waited got {_shown(seconds)}; give seconds as a number of at least 0.")

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Count every call of a function, coroutine function, generator or async generator as an execution.

        Raises:
            InstrumentationError: ``workflow_function_invalid``.
        """
        if not callable(function):
            raise InstrumentationError(
                f"workflow {self._name!r}: cannot decorate {type(function).__name__}; give a function.",
                code="workflow_function_invalid",
                details={"workflow": self._name},
            )
        return within(partial(workflow, self._name, store=self._store, clock=self._clock), function)


def _shown(amount: object) -> str:
    try:
        return f"{amount!r:.60}"
    except Exception:  # noqa: BLE001 - an int of too many digits to print; a class without a usable repr
        return type(amount).__name__


def _number(amount: object) -> float:
    """An amount as a float; NaN if it is not a valid amount."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | Decimal):
        return math.nan
    try:
        return float(amount)
    except (OverflowError, ValueError):  # an int of hundreds of digits, a signalling NaN
        return math.nan


_CANCELLED = (asyncio.CancelledError, CancelledError, GeneratorExit, KeyboardInterrupt)


def outcome_of(kind: type[BaseException] | None) -> str:
    """How an execution ended that raised an exception of this type, or none."""
    if kind is None:
        return "success"
    return "cancelled" if issubclass(kind, _CANCELLED) else "failure"
