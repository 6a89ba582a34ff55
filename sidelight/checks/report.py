"""Formats findings as text, or as SARIF for tools that show them beside the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from instrumentation.version import __version__
from sidelight.checks.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.checks.finding import Check, Finding

_HOME = "https://sidelight.example"


def as_text(files: int, findings: Sequence[Finding]) -> str:
    """One line per finding, and a summary."""
    checked = f"{files} file{'s' * (files != 1)} checked"
    counts = {severity: sum(finding.check.severity is severity for finding in findings) for severity in Severity}
    told = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    return "\n".join([*map(str, findings), f"{checked}: {told or 'no findings'}"])


def as_sarif(findings: Iterable[Finding], checks: Iterable[Check]) -> str:
    """One run as SARIF.

    Source: SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/.
    """
    rules = [
        {
            "id": check.name,
            "shortDescription": {"text": f"Finds {check.finds}."},
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


def _result(finding: Finding, index: dict[str, int]) -> dict[str, object]:
    path = finding.path.resolve()
    inside = path.is_relative_to(Path.cwd())
    uri = path.relative_to(Path.cwd()).as_posix() if inside else path.as_uri()
    return {
        "ruleId": finding.check.name,
        "ruleIndex": index[finding.check.name],
        "level": finding.check.severity.value,
        "message": {"text": finding.sentence},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": finding.line}}}],
    }
