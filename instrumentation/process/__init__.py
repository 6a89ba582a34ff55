"""Processes without an HTTP app: ``instrument_process()`` gives them what an app gets."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import time
from functools import partial
from multiprocessing import util
from typing import TYPE_CHECKING, NamedTuple, Self

from prometheus_client.registry import REGISTRY, CollectorRegistry

from instrumentation.auditing import auditor_of
from instrumentation.errors import Fault, SettingsError
from instrumentation.exposition.formats import register
from instrumentation.http import left_out, open_metrics_port
from instrumentation.http.features import audit_trail, resource_use, team_signals
from instrumentation.http.lifecycle import Lifecycle, Part
from instrumentation.http.page import metrics_page
from instrumentation.offload import start_thread
from instrumentation.settings import Settings, load_settings, settings_source
from instrumentation.settings.startup_log import log_settings
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore  # noqa: TC001 - for typing.get_type_hints
from instrumentation.store.worker_group import is_being_spawned, is_read_by_parent
from instrumentation.switch import VARIABLE, is_disabled, log_off
from instrumentation.target_info import announce
from instrumentation.tracing import traces_of
from instrumentation.users.active import users_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from instrumentation.process.push import Push

__all__ = ["InstrumentedProcess", "instrument_process"]

_log = logging.getLogger("instrumentation")
_running: dict[int, InstrumentedProcess] = {}


def instrument_process(
    *, settings: Settings | None = None, store: ProcessStore | None = None, registry: CollectorRegistry = REGISTRY
) -> InstrumentedProcess:
    """Give this process what ``instrument()`` gives an app: metrics, logs, traces, an audit trail and a graceful end.

    Call it once, when the process starts, or use it as a context manager. It serves the metrics page on ``metrics.port``, and
    leaves numbers as the section ``process`` of the settings says. Processes that this one starts by fork or with
    multiprocessing count into its numbers; in one of them the call sets up logs, traces and the rest, but no page.

    >>> with instrument_process(settings=Settings(enabled=False)):
    ...     pass

    Args:
        settings: What ``load_settings()`` gives, by default.
        store: Where to count; the process's own store by default.
        registry: The prometheus_client registry whose metrics the page shows.

    Raises:
        SettingsError: The settings cannot be used; every fault is named.
        InstrumentationError: A signal is not declared.
    """
    known = _running.get(os.getpid())
    if known is not None and not known.has_ended:
        return known
    store = store or default_store()
    source = "" if settings else settings_source()
    settings = settings or (None if is_disabled(os.environ) else load_settings())
    lifecycle = Lifecycle()
    process = InstrumentedProcess(lifecycle)
    if settings is None or not settings.enabled or is_disabled(os.environ):
        store.turn(on=False)
        if settings is not None:
            auditor_of(store).settle(settings)
        log_off(f"{VARIABLE}=true" if is_disabled(os.environ) else "enabled: false")
        return process
    store.turn(on=True)
    store.series_limit = settings.metrics.series_limit
    is_child = store.is_inherited or is_being_spawned() or is_read_by_parent()
    if settings.process.textfile is not None and not is_child:
        from instrumentation.process.textfile import folder_of_runs  # noqa: PLC0415 - most processes have no such file

        store.move(folder_of_runs(settings))
    announce(store, settings.service)
    register(store, registry)
    lifecycle.add(*_parts(_Observed(settings, store), registry, source, process, is_child=is_child))
    lifecycle.start()
    _running.clear()  # of a parent
    _running[os.getpid()] = process
    process.begin()
    return process


class _Observed(NamedTuple):
    settings: Settings
    store: ProcessStore


def _parts(
    observed: _Observed, registry: CollectorRegistry, source: str, process: InstrumentedProcess, *, is_child: bool
) -> Iterator[Part]:
    settings, store = observed
    if not is_child and settings.metrics.port is not None:
        page = metrics_page(store, registry, settings, skip=left_out(store))
        yield Part("metrics port", partial(open_metrics_port, page, settings))
        store.is_read = True
    yield Part("child processes", store.open_to_children)
    for make in (resource_use, team_signals, audit_trail):
        feature = make(observed)
        yield Part(make.__name__.replace("_", " "), feature.begin, feature.flush, feature.end, feature.check)
    users_of(store).settle(settings)
    if settings.tracing.endpoint is not None:
        traces = traces_of(store, settings)
        yield Part("tracing", start=traces.begin, flush=traces.end)
    if not is_child:
        yield from _leaving(settings, store)
    yield Part("settings", serve=lambda: log_settings(settings, source))
    yield Part("last line", flush=process.log_end)
    if settings.logging.enabled:
        from instrumentation.logs.configuration import begin, configure_unless_configured, end  # noqa: PLC0415 - structlog

        configure_unless_configured(settings, store)
        yield Part("logs", start=begin, flush=end)


def _leaving(settings: Settings, store: ProcessStore) -> Iterator[Part]:
    """What leaves the numbers of a process that nobody may have read when it ends."""
    if settings.process.textfile is not None:
        from instrumentation.process.textfile import Textfile  # noqa: PLC0415 - most processes have no such file

        textfile = Textfile(settings, store)
        store.is_read = True
        yield Part("textfile", textfile.begin, textfile.end)
    if settings.process.push_endpoint is not None:
        push = _push(settings, store)
        store.is_read = True
        yield Part("push of metrics", push.begin, push.end)


def _push(settings: Settings, store: ProcessStore) -> Push:
    try:
        from instrumentation.process.push import push_of  # noqa: PLC0415 - it loads OpenTelemetry
    except ImportError as error:
        problem = f"pushing metrics needs {error.name}, which is not installed"
        allowed = "install sidelight[tracing], or remove the endpoint"
        fault = Fault(source="settings", path="process.push_endpoint", problem=problem, allowed=allowed)
        raise SettingsError([fault]) from None
    return push_of(settings, store)


class InstrumentedProcess:
    """A process that is instrumented; as a context manager, it ends with the block.

    Otherwise it ends when the process does: when it exits, when it receives SIGTERM unless it handles that itself, or when
    ``end()`` is called.

    Args:
        lifecycle: What starts and stops.

    Attributes:
        has_ended: Whether it has ended.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.has_ended = False
        self._lifecycle = lifecycle
        self._pid = os.getpid()
        self._began = time.monotonic()
        self._why = "exit"

    def begin(self) -> None:
        """End with the process."""
        atexit.register(self.end)
        if multiprocessing.parent_process() is not None:  # such a child ends without atexit, before Python 3.13
            util.Finalize(None, self.end, exitpriority=0)
        try:
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, self._hear)
        except ValueError:  # not the main thread
            _log.info(
                "SIGTERM ends this process at once, because instrument_process() was not called in the main thread"
            )

    def end(self) -> None:
        """Flush and stop everything, and leave the numbers; further calls, and calls in a forked child, do nothing."""
        if not self.has_ended and os.getpid() == self._pid:
            self.has_ended = True
            self._lifecycle.stop()

    def log_end(self) -> None:
        """The last line of the process."""
        seconds = time.monotonic() - self._began
        _log.info("process ends after %.3f s: %s", seconds, self._why, extra={"duration_ms": round(seconds * 1000, 3)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._why = kind.__qualname__
        self.end()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """End in a thread, because this one may hold a lock that the end needs; then let the signal do what it does."""
        del frame
        signal.signal(number, signal.SIG_DFL)
        self._why = signal.Signals(number).name

        def end() -> None:
            try:
                self.end()
            finally:
                os.kill(os.getpid(), number)

        if start_thread(end, "sidelight-end").done():  # no more threads
            end()
