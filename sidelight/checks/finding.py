"""What a check is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Severity(StrEnum):
    """How bad it is; the words are SARIF's levels.

    ``error``: it does not do what it says. ``warning``: it will surprise somebody. ``note``: it reads or runs worse than
    it could.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of the table of checks.

    Attributes:
        name: Its name, as it is written to leave it out.
        severity: How bad what it finds is.
        finds: Half a sentence: it finds ...
        pint: The check of cloudflare/pint that finds the same; empty where it has none.
        dashboard_linter: The rule of grafana/dashboard-linter that finds the same; empty where it has none.
    """

    name: str
    severity: Severity
    finds: str
    pint: str = ""
    dashboard_linter: str = ""

    @staticmethod
    def known(names: Iterable[str], checks: Iterable[Check]) -> frozenset[str]:
        """The names, all of which are those of checks.

        Raises:
            SidelightError: ``check_unknown``.
        """
        every = {check.name for check in checks}
        for name in names:
            if name not in every:
                raise SidelightError(
                    f"check: got {name!r}; give one of {', '.join(sorted(every))}.", code="check_unknown"
                )
        return frozenset(names)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: What found it.
        path: The file.
        line: The line, counted from 1.
        subject: What it is about, such as a rule's or a panel's name; may be empty.
        message: What is wrong.
        cure: What to do.
    """

    check: Check
    path: Path
    line: int
    subject: str
    message: str
    cure: str

    @property
    def sentence(self) -> str:
        """Subject, message and cure."""
        subject = f"{self.subject}: " if self.subject else ""
        return f"{subject}{self.message}; {self.cure}."

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.check.severity}: {self.sentence} [{self.check.name}]"
