"""Dramatiq: by a middleware, which each process that enqueues or runs messages has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from instrumentation.queues import queue
from instrumentation.tasks.executions import KEY

if TYPE_CHECKING:
    from instrumentation.tasks.executions import Tasks


def adapt(broker: Any, tasks: Tasks) -> DramatiqTasks:
    """Add a middleware to a broker: first, so that it hears last what the others, such as Retries, have made of a failure."""
    middleware = DramatiqTasks(tasks)
    broker.middleware.insert(0, middleware)
    return middleware


class DramatiqTasks:
    """Has the methods of ``dramatiq.Middleware`` that it needs, and is deaf to all others."""

    actor_options: frozenset[str] = frozenset()
    forks: tuple[Any, ...] = ()

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
        """A message is enqueued: the first time, or again after a delay or for a retry."""
        del broker, delay
        if KEY not in message.options:
            message.options[KEY] = self._tasks.created(message.actor_name)

    def before_process_message(self, broker: Any, message: Any) -> None:
        """A worker starts a message."""
        del broker
        options = message.options
        due = max(options.get("eta", 0), options.get("requeue_timestamp", 0)) / 1000
        self._tasks.started(message.actor_name, message.message_id, options.get(KEY, {}), due=due)

    def after_process_message(
        self, broker: Any, message: Any, *, result: object = None, exception: BaseException | None = None
    ) -> None:
        """A message has been processed; without an exception it has succeeded, and with one it may come again."""
        del result
        name, identity = message.actor_name, message.message_id
        if exception is None:
            self._tasks.ended(name, identity, "success")
        elif message.failed or not any(type(each).__name__ == "Retries" for each in broker.middleware):
            self._tasks.ended(name, identity, "failure", exception)
        else:
            self._tasks.retried(name, identity, exception)

    def after_skip_message(self, broker: Any, message: Any) -> None:
        """A message is not processed, such as one that is too old."""
        del broker
        self._tasks.ended(message.actor_name, message.message_id, "cancelled")

    def after_process_boot(self, broker: Any) -> None:
        """A process of workers starts."""
        from instrumentation.process import instrument_process  # noqa: PLC0415 - a process that enqueues needs none of it

        instrument_process()
        if hasattr(broker, "do_qsize"):  # Redis
            for name in broker.get_declared_queues():
                queue(name, depth=partial(broker.do_qsize, name))

    def __getattr__(self, name: str) -> Any:
        """The other methods of a middleware, which do nothing."""
        if name.startswith(("before_", "after_")):
            return _nothing
        raise AttributeError(name)


def _nothing(*_: Any, **__: Any) -> None:
    """What a middleware does by default."""
