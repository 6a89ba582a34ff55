"""A Python module with a typed handle for each signal, so that editors and type checkers know names, labels and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.settings import Settings
    from instrumentation.settings.signals import Signal

_HEAD = '''\
"""Handles of the signals in sidelight.yaml. Written by `sidelight build`; change that file, not this one."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from instrumentation import counter, gauge, histogram, job
'''
_METHODS = {
    "counter": ("def add(self, amount: float = 1.0, /{labels}) -> None: ...",),
    "gauge": (
        "def set(self, value: float, /{labels}) -> None: ...",
        "def add(self, amount: float = 1.0, /{labels}) -> None: ...",
        "def read(self, callback: Callable[[], float | Awaitable[float]], /{labels}) -> None: ...",
    ),
    "histogram": (
        "def observe(self, value: float, /{labels}) -> None: ...",
        "def time(self{labels}) -> AbstractContextManager[None]: ...",
    ),
}


def handles_module(settings: Settings) -> str:
    """The text of the module; signals that others emit have no handle.

    >>> from instrumentation.settings import parse_settings
    >>> declared = parse_settings({"signals": [{"name": "orders", "kind": "counter", "labels": {"channel": ["web", "app"]}}]})
    >>> print(handles_module(declared).partition("class ")[2])
    _Orders(Protocol):
        def add(self, amount: float = 1.0, /, *, channel: Literal['web', 'app']) -> None: ...
    <BLANKLINE>
    <BLANKLINE>
    ORDERS: _Orders = counter("orders")
    <BLANKLINE>
    """
    ours = [signal for signal in settings.signals if signal.emitted_by == "sidelight"]
    protocols = "".join(f"\n\n{text}" for signal in ours for text in _protocol(signal))
    handles = "".join(_handle(signal) for signal in ours)
    return f"{_HEAD}{protocols}\n\n{handles}" if ours else ""


def _protocol(signal: Signal) -> Iterator[str]:
    if signal.kind != "job":
        methods = (f"    {method.format(labels=_labels(signal))}\n" for method in _METHODS[signal.kind])
        yield f"class {_class(signal)}(Protocol):\n{''.join(methods)}"


def _labels(signal: Signal) -> str:
    given = [f"{name}: {_values(signal, name)}" for name in signal.labels]
    return f", *, {', '.join(given)}" if given else ""


def _values(signal: Signal, name: str) -> str:
    return f"Literal[{', '.join(map(repr, signal.closed[name]))}]" if name in signal.closed else "str"


def _handle(signal: Signal) -> str:
    kind = "" if signal.kind == "job" else f": {_class(signal)}"
    return f'{signal.name.upper()}{kind} = {signal.kind}("{signal.name}")\n'


def _class(signal: Signal) -> str:
    return "_" + signal.name.title().replace("_", "")
