"""Celery: by its signals, which each process that enqueues or runs tasks sends."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from instrumentation.errors import SettingsError
from instrumentation.queues import queue
from instrumentation.settings import load_settings
from instrumentation.switch import is_disabled
from instrumentation.tasks.executions import KEY

if TYPE_CHECKING:
    from instrumentation.tasks.executions import Tasks

_OUTCOMES = {"SUCCESS": "success", "FAILURE": "failure"}


def adapt(app: Any, tasks: Tasks) -> CeleryTasks:
    """Listen to Celery's signals for the tasks of an app."""
    return CeleryTasks(app, tasks)


class CeleryTasks:
    """Listens to Celery's signals."""

    def __init__(self, app: Any, tasks: Tasks) -> None:
        self._app = app
        self._tasks = tasks
        signals: Any = import_module("celery.signals")  # of the app that was given
        signals.before_task_publish.connect(self._published)
        signals.task_prerun.connect(self._started)
        signals.task_postrun.connect(self._ended)
        signals.task_failure.connect(self._failed)
        signals.task_revoked.connect(self._revoked)
        signals.worker_init.connect(self._worker_begins)
        signals.worker_ready.connect(self._worker_is_ready)
        signals.worker_process_shutdown.connect(self._child_ends)
        signals.beat_init.connect(self._worker_begins)
        if _writes_lines():
            signals.setup_logging.connect(self._keep_logging)

    def _published(self, sender: Any = None, headers: dict[str, Any] | None = None, **_: Any) -> None:
        is_retry = bool(headers and headers.get("retries"))
        if headers is not None and (is_retry or KEY not in headers):  # it is there if a process has two apps
            headers[KEY] = self._tasks.created(str(sender), is_retry=is_retry)

    def _started(self, sender: Any = None, task_id: str = "", **_: Any) -> None:
        if not self._has(sender):
            return
        request = sender.request
        sent = getattr(request, KEY, None) or {}
        self._tasks.started(sender.name, task_id, sent, due=_seconds(getattr(request, "eta", None)))

    def _ended(
        self, sender: Any = None, task_id: str = "", state: str | None = None, retval: Any = None, **_: Any
    ) -> None:
        error = retval if isinstance(retval, BaseException) else None
        if not self._has(sender):
            return
        if state == "RETRY":
            self._tasks.retried(sender.name, task_id, error)
        elif state == "REJECTED":  # it is delivered again, or task_failure follows
            self._tasks.left(task_id, error)
        else:
            self._tasks.ended(sender.name, task_id, _OUTCOMES.get(str(state), "cancelled"), error)

    def _failed(self, sender: Any = None, task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
        """The task's process was killed; what fails in its own process is seen by ``task_postrun`` too."""
        if self._has(sender) and not self._tasks.is_running(task_id):
            self._tasks.ended(sender.name, task_id, "failure", exception)

    def _revoked(self, sender: Any = None, request: Any = None, **_: Any) -> None:
        if self._has(sender):
            self._tasks.ended(sender.name, str(getattr(request, "id", "")), "cancelled")

    def _worker_begins(self, **_: Any) -> None:
        from instrumentation.process import instrument_process  # noqa: PLC0415 - a process that enqueues needs none of it

        instrument_process()

    def _worker_is_ready(self, sender: Any = None, **_: Any) -> None:
        if not self._has(sender):
            return
        for name in self._app.amqp.queues.consume_from:
            queue(name, depth=partial(self._depth, name), oldest_age=partial(self._oldest_age, name))

    def _has(self, sender: Any) -> bool:
        """Whether a signal is about this app; all apps of a process share the signals."""
        return getattr(sender, "app", None) is self._app

    def _depth(self, name: str) -> int:
        with self._app.connection_for_read() as connection:
            try:
                return int(connection.default_channel.queue_declare(name, passive=True).message_count)
            except connection.channel_errors:  # there is no such queue: in Redis, an empty one
                return 0

    def _oldest_age(self, name: str) -> float | None:
        """The age of the next message, where the broker can show it without taking it: Redis."""
        with self._app.connection_for_read() as connection:
            client = getattr(connection.default_channel, "client", None)
            if client is None or not hasattr(client, "lindex"):
                return None
            found = client.lindex(name, -1)
            created = json.loads(found)["headers"].get(KEY, {}).get("created") if found else None
            return None if created is None else max(time.time() - created, 0.0)

    def _child_ends(self, **_: Any) -> None:
        """Send the spans of a pool's process, which ends without Python's exit."""
        provider: Any = getattr(sys.modules.get("opentelemetry.trace"), "get_tracer_provider", lambda: None)()
        if hasattr(provider, "force_flush"):
            provider.force_flush(1000)

    def _keep_logging(self, **_: Any) -> None:
        """A listener of this signal keeps Celery from replacing the handlers of the process."""


def _writes_lines() -> bool:
    """Whether Sidelight writes the lines of a worker; otherwise Celery has to set up its own."""
    if is_disabled(os.environ):
        return False
    try:
        settings = load_settings()
    except SettingsError:  # the worker does not start, and says why
        return True
    return settings.enabled and settings.logging.enabled


def _seconds(eta: Any) -> float | None:
    if isinstance(eta, str):
        return datetime.fromisoformat(eta).timestamp()
    return eta.timestamp() if isinstance(eta, datetime) else None
