"""Comments that disable checks: ``# sidelight disable promql/rate until 2027-03-01 because ...``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.checks.finding import Finding

_COMMENT = re.compile(r"#\s*sidelight\s+(?P<words>\S.*)")
_DISABLE = re.compile(
    r"(?P<whole>file/)?disable\s+(?P<names>[\w/-]+(?:\s*,\s*[\w/-]+)*)"
    r"(?:\s+until\s+(?P<until>\S+))?(?:\s+because\s+(?P<because>\S.*))?\s*"
)
_ITEM = re.compile(r"^(?P<indent>\s*)-\s")


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """One comment.

    Attributes:
        line: Its line, from 1.
        names: The checks that it disables.
        first: The first line that it is about; 0 for the whole file.
        last: The last line that it is about; 0 for the whole file.
        until: The day on which it ends.
    """

    line: int
    names: frozenset[str]
    first: int
    last: int
    until: date | None = None


@dataclass(frozen=True, kw_only=True)
class Suppressions:
    """The comments of a file.

    Attributes:
        given: The comments that are understood.
        faults: Line and reason of those that are not.
    """

    given: tuple[Suppression, ...] = ()
    faults: tuple[tuple[int, str], ...] = field(default=())

    @classmethod
    def of(cls, text: str) -> Suppressions:
        """The comments in the text of a file.

        A comment at the end of a line is about that line. One on a line of its own is about what follows it: the rest of the
        list item that begins or continues there.
        """
        given: list[Suppression] = []
        faults: list[tuple[int, str]] = []
        if "sidelight" not in text:
            return cls()
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            comment = _COMMENT.search(line)
            if comment is None or comment["words"].startswith(("file/ignore", "check")):
                continue
            found = _DISABLE.fullmatch(comment["words"])
            if found is None:
                if re.match(r"(?:file/)?(?:disable|ignore|enable)\b", comment["words"]):
                    faults.append((number, f"cannot be understood: {comment['words'].strip()}"))
                continue
            until = _day(found["until"])
            if found["until"] and until is None:
                faults.append((number, f"has the day {found['until']}, which is not a date such as 2027-03-01"))
                continue
            if found["whole"]:
                first = last = 0
            elif line.lstrip().startswith("#"):
                first, last = number + 1, _end_of_item(lines, number)
            else:
                first = last = number
            names = frozenset(re.split(r"\s*,\s*", found["names"]))
            given.append(Suppression(line=number, names=names, first=first, last=last, until=until))
        return cls(given=tuple(given), faults=tuple(faults))

    def allow(self, finding: Finding, first: int = 0, last: int = 0, today: date | None = None) -> bool:
        """Whether no comment disables a finding, by its line or by the lines of the rule that it is about."""
        today = today or datetime.now(UTC).date()
        for each in self.given:
            if finding.check.name not in each.names or (each.until is not None and each.until < today):
                continue
            about_line = each.first <= finding.line <= each.last
            about_rule = first <= each.line <= last or (first and each.first == first)
            if each.first == 0 or about_line or about_rule:
                return False
        return True


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _end_of_item(lines: list[str], above: int) -> int:
    """The last line of what follows a comment: of the list item that begins there, or of the key."""
    following = next((number for number in range(above, len(lines)) if lines[number].strip()), above)
    indent = len(lines[following]) - len(lines[following].lstrip()) if following < len(lines) else 0
    if following < len(lines) and lines[following].lstrip().startswith("#"):
        return _end_of_item(lines, following + 1)
    for number in range(following + 1, len(lines)):
        text = lines[number]
        if text.strip() and len(text) - len(text.lstrip()) <= indent:
            return number
    return len(lines)
