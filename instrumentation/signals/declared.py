"""Finds the declaration of each signal: when its handle is created, and again when the service starts."""

from __future__ import annotations

import difflib
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from instrumentation.errors import InstrumentationError
from instrumentation.settings import Settings  # noqa: TC001 - for typing.get_type_hints
from instrumentation.settings.loading import DEFAULT_FILE, FILE_VARIABLE, load_settings
from instrumentation.signals.counters import Counter
from instrumentation.signals.gauges import Gauge
from instrumentation.signals.histograms import Histogram
from instrumentation.signals.jobs import Job
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore  # noqa: TC001 - for typing.get_type_hints

if TYPE_CHECKING:
    from instrumentation.settings.signals import Signal
    from instrumentation.signals.handle import Handle

_H = TypeVar("_H", bound="Handle")

_KINDS: dict[type[Handle], str] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram", Job: "job"}
_lock = threading.Lock()
_handles: weakref.WeakSet[Handle] = weakref.WeakSet()
_with_settings: weakref.WeakSet[Handle] = weakref.WeakSet()
_started: list[Settings] = []  # those of the app that was instrumented last
_read: list[Settings] = []  # those of the settings file


def counter(name: str, *, settings: Settings | None = None, store: ProcessStore | None = None) -> Counter:
    """The counter with this name.

    >>> from instrumentation.settings import parse_settings
    >>> settings = parse_settings({"signals": [{"name": "orders_placed", "kind": "counter", "labels": {"channel": ["web"]}}]})
    >>> ORDERS = counter("orders_placed", settings=settings)
    >>> ORDERS.add(channel="web")

    Args:
        name: Its name under ``signals`` in the settings; without ``_total``.
        settings: The settings that declare it; by default those of the app that is instrumented, and until then the
            settings file.
        store: The store to count in; the process's own by default.

    Raises:
        InstrumentationError: ``signal_undeclared``, ``signal_kind_differs``, ``signal_emitted_by_other``.
        SettingsError: The settings file cannot be used; every fault is named.
    """
    return _handle(Counter, name, settings, store)


def gauge(name: str, *, settings: Settings | None = None, store: ProcessStore | None = None) -> Gauge:
    """The gauge with this name; arguments and errors are those of ``counter``."""
    return _handle(Gauge, name, settings, store)


def histogram(name: str, *, settings: Settings | None = None, store: ProcessStore | None = None) -> Histogram:
    """The histogram with this name; arguments and errors are those of ``counter``."""
    return _handle(Histogram, name, settings, store)


def job(name: str, *, settings: Settings | None = None, store: ProcessStore | None = None) -> Job:
    """The job with this name; arguments and errors are those of ``counter``."""
    return _handle(Job, name, settings, store)


def declare(settings: Settings) -> None:
    """Use these declarations for the handles of this process that were created without settings, also in the future.

    Raises:
        InstrumentationError: Some handles are not declared; all of them are named.
    """
    with _lock:
        _started[:] = [settings]
        handles = sorted(_handles, key=lambda handle: handle.name)
    faults = []
    for handle in handles:
        try:
            _bind(handle, settings)
        except InstrumentationError as error:
            faults.append(error)
    if faults:
        text = "\n".join(error.message for error in faults)
        raise InstrumentationError(text, code=faults[0].code, details=faults[0].details)


def in_use(settings: Settings) -> tuple[Signal, ...]:
    """The signals of an app: those of its settings, and those of handles that were given settings of their own."""
    names = {signal.name for signal in settings.signals}
    with _lock:
        others = {handle.name: handle.signal for handle in _with_settings if handle.signal and handle.name not in names}
    return (*settings.signals, *others.values())


def _handle(kind: type[_H], name: str, settings: Settings | None, store: ProcessStore | None) -> _H:
    handle = kind(name, store or default_store())
    if settings is not None:
        _bind(handle, settings)
        with _lock:
            _with_settings.add(handle)
        return handle
    known = _current()
    if known is not None:
        _bind(handle, known)
    handle.find_declaration = _bind_late
    with _lock:
        _handles.add(handle)
    return handle


def _current() -> Settings | None:
    """The settings of the app, else those of the settings file; None if there is no file yet."""
    with _lock:
        if not _started and not _read and (os.environ.get(FILE_VARIABLE) or Path(DEFAULT_FILE).exists()):
            _read.append(load_settings())
        return next(iter((*_started, *_read)), None)


def _bind_late(handle: Handle) -> None:
    """Find the declaration of a handle that was created before there were settings."""
    known = _current()
    if known is not None:
        _bind(handle, known)


def _bind(handle: Handle, settings: Settings) -> None:
    handle.bind(_declaration(handle, settings))


def _declaration(handle: Handle, settings: Settings) -> Signal:
    name, kind = handle.name, _KINDS[type(handle)]
    found = next((signal for signal in settings.signals if signal.name == name), None)
    if found is None:
        names = [signal.name for signal in settings.signals]
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise InstrumentationError(
            f"{kind} {name!r:.60}: the settings declare no such signal{hint}; add it to signals in {DEFAULT_FILE}.",
            code="signal_undeclared",
            details={"signal": name},
        )
    if found.kind != kind:
        raise InstrumentationError(
            f"{kind} {name!r}: the settings declare a {found.kind}; use {found.kind}({name!r}).",
            code="signal_kind_differs",
            details={"signal": name, "declared": found.kind},
        )
    if found.emitted_by != "sidelight":
        raise InstrumentationError(
            f"{kind} {name!r}: the settings say emitted_by: other; leave that out if this code is to record it.",
            code="signal_emitted_by_other",
            details={"signal": name},
        )
    return found
