"""The common part of all handles: the declaration, and the slots of series in the store."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.catalog import OUTCOMES
from instrumentation.log_once import LogOnce
from instrumentation.settings.signals import OTHER
from instrumentation.store import OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from instrumentation.catalog import Metric
    from instrumentation.settings.signals import Signal
    from instrumentation.store import Store
    from instrumentation.store.interface import Buffer
    from instrumentation.store.process_store import ProcessStore


_MOST_PLACES = 5000  # calls with ever new values must not fill the memory
_LONGEST_VALUE = 200

Given = tuple[tuple[str, Any], ...]


class Bound(NamedTuple):
    """Where a handle counts. It is replaced as a whole, so that a thread never uses parts of two.

    Attributes:
        places: The labels of a call, in the order given, to the index of the series in ``buffer``.
        lock: The lock of the store.
        buffer: The slots of the store.
    """

    places: dict[Given, int]
    lock: AbstractContextManager[object]
    buffer: Buffer


_UNBOUND = Bound({}, nullcontext(), [0.0])


class Handle:
    """A signal of the team's own in the code of a service.

    A call never raises. A value that was not declared counts as ``_OTHER``, and so does a label that is left out; values of
    an open label beyond its limit count as ``_OVERFLOW``. Each is logged once.

    Args:
        name: The signal's name.
        store: The store to count in.

    Attributes:
        name: The signal's name.
        find_declaration: Looks for the declaration of a handle that has none yet.
    """

    __slots__ = ("__weakref__", "_bound", "_known", "_log_once", "_store", "find_declaration", "name", "signal")

    def __init__(self, name: str, store: ProcessStore) -> None:
        self.name = name
        self.signal: Signal | None = None
        self.find_declaration: Callable[[Handle], None] = lambda _: None
        self._store = store
        self._bound = _UNBOUND
        self._known: dict[str, set[str]] = {}
        self._log_once = LogOnce()
        store.follow(self)

    def bind(self, signal: Signal) -> None:
        """Use a declaration."""
        self.signal = signal
        self.reset()

    def reset(self) -> None:
        """Drop all places: the declaration or the store has changed."""
        self._known = {}
        self._bound = _UNBOUND

    @property
    def metric(self) -> Metric | None:
        """The row of the catalog that is recorded with the labels of a call; None without a declaration."""
        return self.signal.metrics[0] if self.signal else None

    def _placed(self, labels: Mapping[str, Any]) -> tuple[Bound, int] | None:
        """Where a call with these labels counts; None, and a log line, if the signal is not declared."""
        metric = self._metric()
        if metric is None or self.signal is None:
            return None
        store = self._store
        with store.lock:
            bound = self._bound
            if bound is _UNBOUND or len(bound.places) > _MOST_PLACES:
                self._bound = bound = Bound({}, store.lock, store.buffer)
            place = store.place(metric, self._values(self.signal, labels))
        with suppress(TypeError):  # a value that cannot be hashed
            bound.places[tuple(labels.items())] = place
        return bound, place

    def _metric(self) -> Metric | None:
        if self.signal is None:
            try:
                self.find_declaration(self)
            except Exception as error:  # noqa: BLE001 - a call never raises
                self.say(str(error))
        if self.signal is None:
            self.say("there are no settings that declare it. It is not counted.")
        return self.metric

    def _values(self, signal: Signal, labels: Mapping[str, Any]) -> tuple[str, ...]:
        for name in labels.keys() - signal.labels.keys():
            declared = ", ".join(signal.labels) or "no labels"
            self.say(f"got the label {name!r:.60}; declared: {declared}. It is left out.")
        return tuple(self._value(name, allowed, labels) for name, allowed in signal.labels.items())

    def _value(self, name: str, allowed: tuple[str, ...] | int, labels: Mapping[str, Any]) -> str:
        value = _text(labels[name]) if name in labels else None
        if value is None:
            self.say(f"label {name!r} is missing. It counts as {OTHER}.")
            return OTHER
        if isinstance(allowed, int):
            return self._open(name, allowed, value)
        if value not in allowed:
            self.say(f"label {name!r} got {value!r:.60}; declared: {', '.join(allowed)}. It counts as {OTHER}.", name)
            return OTHER
        return value

    def _open(self, name: str, limit: int, value: str) -> str:
        known = self._known.setdefault(name, set())
        if value not in known and len(known) >= limit:
            self.say(f"label {name!r} has more than {limit} values. Further ones count as {OVERFLOW}.")
            return OVERFLOW
        known.add(value)
        return value

    def say(self, sentence: str, about: str = "") -> None:
        """Log a sentence once, or once for what it is about, with the line of the service's code that called."""
        text = "%s: %s %s: %s This is logged once."
        self._log_once(text, _caller(), *_described(self), sentence, about=about or sentence)


def start(signals: tuple[Signal, ...], store: Store) -> None:
    """Create the series at 0 whose labels are all known, so that rules see the first event."""
    for signal in signals:
        if signal.emitted_by == "sidelight":
            for metric, labels in first_series(signal):
                store.place(metric, labels)


def first_series(signal: Signal) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """The series that exist from the start. A gauge exists once it has a value, because 0 would be one."""
    if signal.kind == "job":
        runs, durations, *times = signal.metrics
        yield from ((metric, (outcome,)) for metric in (runs, durations) for outcome in OUTCOMES)
        yield from ((metric, ()) for metric in times)
    elif signal.kind != "gauge" and not signal.limits:
        yield from ((signal.metrics[0], labels) for labels in product(*signal.closed.values()))


def _text(value: object) -> str | None:
    """A label's value; None if it has no text."""
    try:
        return str(value)[:_LONGEST_VALUE]
    except Exception:  # noqa: BLE001 - the value's own code
        return None


def _described(handle: Handle) -> tuple[str, str]:
    return type(handle).__name__.lower(), repr(handle.name)


def _caller() -> str:
    frame = sys._getframe(1)  # noqa: SLF001 - the one way to the code that called
    while frame.f_back and str(frame.f_globals.get("__name__", "")).startswith("instrumentation."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
