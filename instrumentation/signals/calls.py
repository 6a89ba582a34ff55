"""Finds calls of handles with labels that are not declared, when the service starts and before one of them runs."""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from instrumentation.errors import Fault, SettingsError
from instrumentation.signals.handle import Handle

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONE_AT_A_TIME = threading.Lock()
"""Python 3.11 raises SystemError if two threads make syntax trees at once."""

_METHODS = frozenset({"add", "observe", "read", "set", "time"})


def check_calls() -> None:
    """Read the source of each loaded module that has a handle among its global names, and check its calls.

    A handle that is kept elsewhere, such as in an attribute of an object, is not found; a call of it with other labels is
    logged when it runs.

    Raises:
        SettingsError: With one fault for each call whose labels differ from the declared ones.
    """
    faults = [fault for module in [*sys.modules.values()] for fault in _faults(module)]
    if faults:
        raise SettingsError(faults)


def _faults(module: ModuleType) -> Iterator[Fault]:
    names = dict(_handles(module))
    file = getattr(module, "__file__", None)
    if not names or not file or not file.endswith(".py"):
        return
    try:
        with _ONE_AT_A_TIME:
            tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, SystemError):  # the source is not there, or not what was loaded
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            handle = names.get(ast.unparse(node.func.value))
            if handle is not None:
                yield from _of_call(handle, node, f"{file}:{node.lineno}")


def _handles(module: ModuleType) -> Iterator[tuple[str, Handle]]:
    """The handles that a module's code can name, such as ``ORDERS`` or ``metrics.ORDERS``."""
    for name, value in _globals(module):
        if isinstance(value, Handle):
            yield name, value
        elif isinstance(value, ModuleType):
            yield from ((f"{name}.{inner}", held) for inner, held in _globals(value) if isinstance(held, Handle))


def _globals(module: Any) -> list[tuple[str, Any]]:
    return [*getattr(module, "__dict__", {}).items()]


def _of_call(handle: Handle, call: ast.Call, place: str) -> Iterator[Fault]:
    if handle.signal is None:
        return
    declared, given = handle.signal.labels.keys(), {keyword.arg for keyword in call.keywords}
    what, allowed = f"{handle.signal.kind} {handle.name}", f"give {', '.join(declared) or 'no labels'}"
    for label in sorted(given - declared - {None}, key=str):
        yield Fault(source=place, path="", problem=f"{what} got the label {label}", allowed=allowed)
    if None not in given:  # **labels may hold any
        for label in declared - given:
            yield Fault(source=place, path="", problem=f"{what} lacks the label {label}", allowed=allowed)
