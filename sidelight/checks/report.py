"""Formats findings as text, or as SARIF for tools that show them beside the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from instrumentation.version import __version__
from sidelight.checks.finding import Severity
from sidelight.checks.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.checks import Report
    from sidelight.checks.finding import Check, Finding

_HOME = "https://sidelight.example"


def as_text(report: Report) -> str:
    """One line per finding and per file that was not checked, and a summary."""
    left = [f"{each.path}: not checked: {each.reason}" for each in report.left]
    worst = min(report.findings, key=lambda finding: finding.check.severity.rank, default=None)
    help_ = [f"`sidelight check --explain {worst.check.name}` says why, and how to disable it."] if worst else []
    return "\n".join([*map(str, report.findings), *left, *help_, _summary(report)])


def _summary(report: Report) -> str:
    """How many files were checked and left, and how many findings there are."""
    checked = ", ".join(kind.counted(number) for kind, number in sorted(report.files.items()))
    unchecked = len(report.left) + report.unread
    left = [f"{unchecked} not checked"] if unchecked else []
    left += [f"{report.others} neither YAML nor JSON"] if report.others else []
    counts = {severity: sum(finding.check.severity is severity for finding in report.findings) for severity in Severity}
    found = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    files = "; ".join([f"{checked or 'no files'} checked", *left])
    return f"{files}: {found or 'no findings'}"


def as_sarif(findings: Iterable[Finding], checks: Iterable[Check]) -> str:
    """One run as SARIF.

    Source: SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/.
    """
    rules = [
        {
            "id": check.name,
            "shortDescription": {"text": f"Finds {check.finds}."},
            "fullDescription": {"text": REASONS[check.name]},
            "help": {"text": f"Run: sidelight check --explain {check.name}"},
            "defaultConfiguration": {"level": check.severity.value},
        }
        for check in checks
    ]
    driver = {"name": "sidelight check", "version": __version__, "informationUri": _HOME, "rules": rules}
    index = {str(rule["id"]): number for number, rule in enumerate(rules)}
    results = [_result(finding, index) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps(
        {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}, indent=2
    )


def as_github(findings: Iterable[Finding]) -> str:
    """One annotation per finding, as GitHub Actions shows them beside a change.

    Source: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
    """
    return "\n".join(map(_annotation, findings))


def _annotation(finding: Finding) -> str:
    level = "notice" if finding.check.severity is Severity.NOTE else finding.check.severity.value
    place = {"file": _relative(finding.path), "line": finding.line}
    if finding.column:
        place |= {"col": finding.column, "endLine": finding.end_line, "endColumn": finding.end_column}
    place |= {"title": finding.check.name}
    properties = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in place.items())
    return f"::{level} {properties}::{_escaped(finding.sentence)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _relative(path: Path) -> str:
    path = path.resolve()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()


def _result(finding: Finding, index: dict[str, int]) -> dict[str, object]:
    relative = _relative(finding.path)
    uri = Path(relative).as_uri() if relative.startswith("/") else quote(relative)
    region = {"startLine": finding.line}
    if finding.column:
        region |= {"startColumn": finding.column, "endLine": finding.end_line, "endColumn": finding.end_column}
    return {
        "ruleId": finding.check.name,
        "ruleIndex": index[finding.check.name],
        "level": finding.check.severity.value,
        "message": {"text": finding.sentence},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
    }
