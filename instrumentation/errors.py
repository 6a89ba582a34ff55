"""The exceptions Sidelight raises: each has a sentence for people, a code for programs, and details for both."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SidelightError(Exception):
    """The root of every exception that Sidelight raises.

    Attributes:
        message: One sentence: what is wrong, where, what was given, what to do.
        code: A stable name for programs, such as ``"settings_invalid"``.
        details: Read-only data behind the sentence.
    """

    def __init__(self, message: str, *, code: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = MappingProxyType(dict(details or {}))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong in the settings, printed as one line.

    Attributes:
        source: The file or the environment variable it was found in.
        path: The key path, such as ``thresholds.error_ratio.warning``; empty for the source as a whole.
        problem: What was given or is missing.
        allowed: What to give instead.
    """

    source: str
    path: str
    problem: str
    allowed: str

    def __str__(self) -> str:
        place = f"{self.source}: {self.path}" if self.path else self.source
        return f"{place}: {self.problem}; {self.allowed}."


class SettingsError(SidelightError):
    """The settings cannot be used; ``faults`` holds every fault found, and the message one line for each."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "\n".join(map(str, self.faults)),
            code="settings_invalid",
            details={"faults": tuple(map(str, self.faults))},
        )


class InstrumentationError(SidelightError):
    """An app cannot be instrumented the way it was asked for."""
