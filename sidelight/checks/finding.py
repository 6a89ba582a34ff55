"""Checks and findings."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Severity(StrEnum):
    """The severity of a finding; the values are SARIF's levels.

    ``error``: does not work as intended. ``warning``: likely to cause surprises. ``note``: harder to read or slower than
    necessary.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of the table of checks.

    Attributes:
        name: Its name, which is also used to disable it.
        severity: The severity of its findings.
        finds: What it finds, as the rest of a sentence "It finds ...".
        pint: The check of cloudflare/pint that finds the same; empty if there is none.
        dashboard_linter: The rule of grafana/dashboard-linter that finds the same; empty if there is none.
    """

    name: str
    severity: Severity
    finds: str
    pint: str = ""
    dashboard_linter: str = ""

    @staticmethod
    def known(names: Iterable[str], checks: Iterable[Check], option: str = "--disable") -> frozenset[str]:
        """The names, if each is the name of a check.

        Args:
            names: The names.
            checks: All checks.
            option: The option that gives the names, for the message.

        Raises:
            SidelightError: ``check_unknown``.
        """
        every = {check.name for check in checks}
        for name in names:
            if name not in every:
                near = get_close_matches(name, every, 1)
                meant = f"did you mean {near[0]}? Give" if near else "give"
                raise SidelightError(
                    f"{option}: got {name!r}; {meant} one of {', '.join(sorted(every))}.", code="check_unknown"
                )
        return frozenset(names)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault in a file.

    Attributes:
        check: The check that found it.
        path: The file.
        line: The line, from 1.
        subject: The name of the rule or panel that it is about; may be empty.
        message: What is wrong.
        cure: How to fix it.
        column: The column of the part that is wrong, from 1; 0 if only the line is known.
        end_line: The line on which that part ends.
        end_column: The column after it.
        fix: What to write there instead, if there is only one right answer.
        style: The quote of the string that contains the part; empty if it is plain.
    """

    check: Check
    path: Path
    line: int
    subject: str
    message: str
    cure: str
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    fix: str = ""
    style: str = ""

    @property
    def sentence(self) -> str:
        """Subject, message and cure."""
        subject = f"{self.subject}: " if self.subject else ""
        return f"{subject}{self.message}; {self.cure}."

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.check.severity}: {self.sentence} [{self.check.name}]"
