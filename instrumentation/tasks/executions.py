"""The common part of all task queues: the headers that a task carries, and the metrics of its execution."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from instrumentation import catalog
from instrumentation.correlation import _current, correlation_id, usable
from instrumentation.errors import InstrumentationError
from instrumentation.log_once import LogOnce
from instrumentation.names import checked_name
from instrumentation.store import add, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from instrumentation.store import Store

KEY = "sidelight"
"""The name under which an adapter puts what travels with a task."""

_CORRELATION, _CREATED = "correlation_id", "created"
_log_once = LogOnce()


class Adapter(Protocol):
    """What an adapter gives back; it is kept for the lifetime of the process, since libraries hold listeners weakly."""


class Tasks:
    """Records tasks. No method raises.

    Args:
        store: The store to count in.
        clock: Returns seconds since 1970, because a task is created in another process.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._running: dict[str, Execution] = {}

    def created(self, name: str, *, is_retry: bool = False) -> dict[str, Any]:
        """Count a task that is about to be enqueued, and return what has to travel with it.

        Args:
            name: The task's name.
            is_retry: Whether it was enqueued before.
        """
        sent: dict[str, Any] = {}
        with _harmless("count a task that is created"):
            if not is_retry:
                add(self._store, catalog.WORKFLOWS_CREATED, (checked_name("workflow", name),), 1.0)
            sent |= {_CORRELATION: correlation_id(), _CREATED: self._clock(), **_injected()}
        return sent

    def started(self, name: str, task_id: str, sent: Mapping[str, Any], *, due: float | None = None) -> None:
        """A worker has started a task: bind its ids, and measure from now.

        Args:
            name: The task's name.
            task_id: Its id, under which it ends.
            sent: What has travelled with it; empty if it comes from a process that is not instrumented.
            due: When it was to start, in seconds since 1970, if not at once.
        """
        with _harmless("record the start of a task"):
            execution = Execution(self._store, checked_name("workflow", name))
            created = sent.get(_CREATED)
            if isinstance(created, int | float):
                waited = self._clock() - max(created, due or 0.0)
                observe(self._store, catalog.WORKFLOW_WAIT, (name,), max(waited, 0.0))
            # A task that its caller runs at once, without a queue, keeps the id of the caller.
            execution.start(_usable_id(sent.get(_CORRELATION)) or correlation_id() or task_id, sent)
            self._running[task_id] = execution

    def ended(self, name: str, task_id: str, outcome: str, error: BaseException | None = None) -> None:
        """A task has ended; one that this process did not start, such as one whose process was killed, has no duration.

        Args:
            name: The task's name.
            task_id: Its id.
            outcome: ``success``, ``failure`` or ``cancelled``.
            error: Why it failed.
        """
        with _harmless("record the end of a task"):
            execution = self._running.pop(task_id, None) or Execution(self._store, checked_name("workflow", name))
            execution.end(outcome, error)

    def retried(self, name: str, task_id: str, error: BaseException | None = None) -> None:
        """A task has failed and is enqueued once more; its execution continues later."""
        with _harmless("record a retry of a task"):
            add(self._store, catalog.RETRIES, (checked_name("workflow", name),), 1.0)
            self.left(task_id, error)

    def left(self, task_id: str, error: BaseException | None = None) -> None:
        """A task is no longer run here, and has not ended."""
        with _harmless("record that a task is left"):
            execution = self._running.pop(task_id, None)
            if execution is not None:
                execution.leave(error)

    def is_running(self, task_id: str) -> bool:
        """Whether this process has started a task that has not ended."""
        return task_id in self._running


class Execution:
    """One task in the worker that runs it."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._began: float | None = None
        self._outer = ""
        self._span: Any = None
        self._attached: Any = None
        for outcome in catalog.OUTCOMES:  # created at 0, so that rules see the first failure
            store.place(catalog.WORKFLOW_EXECUTIONS, (name, outcome))

    def start(self, correlation: str, sent: Mapping[str, Any]) -> None:
        """Bind the correlation id and the span, and measure from now."""
        self._outer = _current.get()
        _current.set(correlation)
        self._span, self._attached = _span(self._name, sent)
        self._began = time.perf_counter()

    def end(self, outcome: str, error: BaseException | None) -> None:
        """Count the outcome; and the duration, if the start was seen."""
        add(self._store, catalog.WORKFLOW_EXECUTIONS, (self._name, outcome), 1.0)
        if self._began is not None:
            observe(self._store, catalog.WORKFLOW_DURATION, (self._name, outcome), time.perf_counter() - self._began)
            self.leave(error)

    def leave(self, error: BaseException | None) -> None:
        """End the span and restore the ids of before."""
        if self._span is not None:
            from opentelemetry.context import detach  # noqa: PLC0415 - there is no span without OpenTelemetry

            if error is not None:
                from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - as above

                self._span.record_exception(error)
                self._span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
            self._span.end()
            detach(self._attached)
        _current.set(self._outer)


def _usable_id(given: object) -> str:
    return given if isinstance(given, str) and usable(given.encode("latin-1", "replace")) else ""


def _injected() -> dict[str, str]:
    """The current span for another process; empty unless tracing is on."""
    carrier: dict[str, str] = {}
    if "opentelemetry.sdk.trace" in sys.modules:
        from opentelemetry import propagate  # noqa: PLC0415 - only with tracing

        propagate.inject(carrier)
    return carrier


def _span(name: str, sent: Mapping[str, Any]) -> tuple[Any, Any]:
    """A span of a task below the one that has enqueued it, made the current one; None unless tracing is on."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return None, None
    from opentelemetry import context, propagate, trace  # noqa: PLC0415 - only with tracing

    carrier = {key: value for key, value in sent.items() if isinstance(value, str)}
    tracer = trace.get_tracer("sidelight")
    span = tracer.start_span(name, context=propagate.extract(carrier), kind=trace.SpanKind.CONSUMER)
    span.set_attribute("correlation_id", correlation_id())
    return span, context.attach(trace.set_span_in_context(span))


@contextmanager
def _harmless(what: str) -> Iterator[None]:
    """Log an error once; a task must not fail because it is observed."""
    try:
        yield
    except InstrumentationError as error:
        _log_once("sidelight cannot %s: %s", what, error, level=logging.WARNING)
    except Exception as error:  # noqa: BLE001 - an error in Sidelight must not become the service's
        _log_once("sidelight cannot %s", what, level=logging.ERROR, error=error)
