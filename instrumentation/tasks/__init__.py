"""Task queues: tasks as executions of workflows, from the request that enqueues them to their end in a worker.

Each library has one module here, which is loaded when something of that library is given, and imports nothing else of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from instrumentation.errors import InstrumentationError
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore  # noqa: TC001 - for typing.get_type_hints
from instrumentation.tasks.executions import Tasks

if TYPE_CHECKING:
    from instrumentation.tasks.executions import Adapter

_T = TypeVar("_T")


class _Module(Protocol):
    def adapt(self, app: object, tasks: Tasks) -> Adapter: ...


ADAPTERS = {"celery": "Celery app", "dramatiq": "Dramatiq broker"}
"""The libraries, and what each of them is observed by."""

_known: dict[int, Adapter] = {}


def instrument_tasks(app: _T, *, store: ProcessStore | None = None) -> _T:
    """Observe the tasks of a queue: created, started, outcome, duration, retries, waiting time; ids of requests and traces.

    Call it where the app of the queue is created, in the module that both the processes that enqueue tasks and the workers
    import. A worker then also calls ``instrument_process()`` when it starts. Twice is once.

    Args:
        app: A Celery app or a Dramatiq broker.
        store: The store to count in; the process's own by default.

    Returns:
        The app.

    Raises:
        InstrumentationError: ``task_queue_unknown``.
    """
    if id(app) not in _known:
        adapter = cast("_Module", import_module(f"{__name__}.{_library(app)}"))
        _known[id(app)] = adapter.adapt(app, Tasks(store or default_store()))
    return app


def _library(app: object) -> str:
    libraries = [kind.__module__.partition(".")[0] for kind in type(app).__mro__]
    found = next((name for name in libraries if name in ADAPTERS), None)
    if found is None:
        raise InstrumentationError(
            f"instrument_tasks: got {type(app).__module__}.{type(app).__qualname__}; give a {' or a '.join(ADAPTERS.values())}.",
            code="task_queue_unknown",
            details={"type": type(app).__qualname__},
        )
    return found
