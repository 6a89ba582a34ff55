"""Fixes what has one right answer, in place: ``sidelight check --fix``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.checks.finding import Finding


def fix(findings: Iterable[Finding]) -> int:
    """Change the files; return how many findings are fixed.

    A finding is fixed if its text is on one line whose columns are known, and if the new text needs no escapes there.
    Only files in UTF-8 are changed.
    """
    by_file: dict[Path, list[Finding]] = {}
    for finding in findings:
        if finding.fix and finding.column and finding.line == finding.end_line:
            by_file.setdefault(finding.path, []).append(finding)
    return sum(_fix_file(path, found) for path, found in by_file.items())


def _fix_file(path: Path, findings: list[Finding]) -> int:
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return 0
    lines = content.split("\n")
    fixed = 0
    for finding in sorted(set(findings), key=lambda each: (each.line, each.column), reverse=True):
        line = lines[finding.line - 1]
        begin, end = finding.column - 1, finding.end_column - 1
        is_json_string = path.suffix.lower() == ".json" or line[:begin].count('"') % 2 == 1
        if not is_json_string:
            lines[finding.line - 1] = line[:begin] + finding.fix + line[end:]
            fixed += 1
    if fixed:
        _write(path, "\n".join(lines))
    return fixed


def _write(path: Path, text: str) -> None:
    """Replace a file at once, with its permissions."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    Path(name).chmod(path.stat().st_mode)
    Path(name).replace(path)
