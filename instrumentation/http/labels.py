"""Additional labels of request metrics: their values come from headers, path parameters, state or the service's code."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from instrumentation.asgi import Scope
from instrumentation.errors import Fault, InstrumentationError, SettingsError
from instrumentation.log_once import LogOnce
from instrumentation.redaction import Redactor
from instrumentation.settings.request_labels import RESERVED, RequestLabel
from instrumentation.store.interface import OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

FindLabel: TypeAlias = Callable[[Scope], object]

OTHER = "_OTHER"
"""The value for all values that ``values`` does not list."""
LONGEST_VALUE = 100


class RequestLabels:
    """Finds the values of the additional labels of a request, without raising.

    Args:
        labels: The labels.

    Attributes:
        names: Their names.
    """

    def __init__(self, labels: tuple[_Label, ...]) -> None:
        self._labels = labels
        self.names = tuple(label.name for label in labels)

    def __call__(self, scope: Scope) -> tuple[str, ...]:
        """The values for a request."""
        return tuple([label.value(scope) for label in self._labels])


def request_labels(settings: Settings, functions: Mapping[str, FindLabel]) -> RequestLabels | None:
    """The labels that the settings and the code ask for; None without any.

    Args:
        settings: ``http.labels``, and what is redacted.
        functions: Label name to a function of the scope that returns the value; None is an empty value.

    Raises:
        InstrumentationError: ``label_invalid``.
        SettingsError: A label in the settings has neither a source nor a function.
    """
    declared = settings.http.labels
    for name, function in functions.items():
        _check(name, function)
    missing = [name for name, label in declared.items() if label.source is None and name not in functions]
    if missing:
        allowed = "give header, path_parameter or state, or pass a function in instrument(labels=...)"
        faults = [
            Fault(source="settings", path=f"http.labels.{name}", problem="has no source", allowed=allowed)
            for name in missing
        ]
        raise SettingsError(faults)
    masked = settings.logging.redaction
    redactor = Redactor(keys=masked.keys, allow=masked.allow, patterns=masked.patterns)
    labels = tuple(
        _Label(name, functions.get(name) or _source(declared[name]), declared.get(name, RequestLabel()), redactor)
        for name in dict.fromkeys((*declared, *functions))
    )
    return RequestLabels(labels) if labels else None


class _Label:
    """One label.

    Args:
        name: Its name.
        find: Finds its value.
        bounds: Which values it may have.
        redactor: Masks secrets in a value.
    """

    def __init__(self, name: str, find: FindLabel, bounds: RequestLabel, redactor: Redactor) -> None:
        self.name = name
        self._find = find
        self._listed = bounds.values
        self._limit = bounds.limit
        self._redactor = redactor
        self._known: dict[str, str] = dict(zip(bounds.values, bounds.values, strict=True))
        self._log_once = LogOnce()

    def value(self, scope: Scope) -> str:
        """The value for a request."""
        try:
            found = self._find(scope)
            text = "" if found is None else str(found)
            known = self._known.get(text)
            return self._new(text) if known is None and text else known or ""
        except Exception as error:  # noqa: BLE001 - a fault in the service's function must not affect the request
            kind = type(error).__name__  # without the text of the error, which may contain the value
            text = "the label %s is empty because its function raises %s; this is logged once"
            self._log_once(text, self.name, kind, about="label")
            return ""

    def _new(self, text: str) -> str:
        if self._listed:
            return OTHER
        if len(self._known) >= self._limit or len(text) > LONGEST_VALUE:
            return OVERFLOW
        value = self._known[text] = self._redactor.text(text)
        return value


def _source(label: RequestLabel) -> FindLabel:
    if label.header is not None:
        name = label.header.lower().encode()
        return lambda scope: next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
    if label.path_parameter is not None:
        parameter = label.path_parameter
        return lambda scope: scope.get("path_params", {}).get(parameter)
    state = str(label.state)
    return lambda scope: _in_state(scope.get("state"), state)


def _in_state(state: Any, name: str) -> object:
    return state.get(name) if isinstance(state, dict) else getattr(state, name, None)


def _check(name: object, function: object) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name in RESERVED:
        raise InstrumentationError(
            f"instrument(): labels: got the name {name!r:.60}; give a label name that Sidelight and Prometheus do not use.",
            code="label_invalid",
        )
    if not callable(function) or iscoroutinefunction(function):
        given = "an async function" if callable(function) else type(function).__name__
        raise InstrumentationError(
            f"instrument(): labels[{name!r}]: got {given}; give a plain function of the ASGI scope that returns a text.",
            code="label_invalid",
        )
