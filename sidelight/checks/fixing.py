"""Fixes what has one right answer, in place: ``sidelight check --fix``."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.checks.finding import Finding


def fix(findings: Iterable[Finding]) -> int:
    """Change the files; return how many findings are fixed.

    A finding is fixed if its text is on one line whose columns are known. Of findings that overlap, the shorter is fixed; the
    other is found again in the new text. Only files in UTF-8 are changed.
    """
    by_file: dict[Path, list[Finding]] = {}
    for finding in findings:
        if finding.fix and finding.column and finding.line == finding.end_line:
            by_file.setdefault(finding.path, []).append(finding)
    return sum(_fix_file(path, found) for path, found in by_file.items())


def _fix_file(path: Path, findings: list[Finding]) -> int:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return 0
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(mark).split("\n")
    chosen: list[Finding] = []
    for finding in sorted(set(findings), key=lambda each: (each.end_column - each.column, each.line, each.column)):
        if _quoted(finding) is not None and not any(_overlap(finding, other) for other in chosen):
            chosen.append(finding)
    for finding in sorted(chosen, key=lambda each: each.column, reverse=True):
        line, begin, end = lines[finding.line - 1], finding.column - 1, finding.end_column - 1
        lines[finding.line - 1] = f"{line[:begin]}{_quoted(finding)}{line[end:]}"
    if chosen:
        _write(path, mark + "\n".join(lines))
    return len(chosen)


def _overlap(one: Finding, other: Finding) -> bool:
    return one.line == other.line and one.column < other.end_column and other.column < one.end_column


def _quoted(finding: Finding) -> str | None:
    """The new text as it is written in its string; None if a plain string cannot contain it."""
    match finding.style:
        case '"':
            return json.dumps(finding.fix, ensure_ascii=False)[1:-1]
        case "'":
            return finding.fix.replace("'", "''")
        case "":
            return None if _NOT_PLAIN.search(finding.fix) else finding.fix
        case _:
            return finding.fix


_NOT_PLAIN = re.compile(r": |:$| #|^[\s\[\]{}>|*&!%#`@,?\"']|\n")


def _write(path: Path, text: str) -> None:
    """Replace a file at once, with its permissions."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    Path(name).chmod(path.stat().st_mode)
    Path(name).replace(path)
