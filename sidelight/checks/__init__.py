"""``sidelight check FILES``: checks rule files, dashboards and collector configurations, generated or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.checks import collector_files, dashboard_files, dashboard_values, rule_files
from sidelight.checks.documents import PARSE, Kind, gather
from sidelight.checks.finding import Check, Finding, Severity
from sidelight.checks.known_series import world

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from instrumentation.settings import Settings

__all__ = ["CHECKS", "Check", "Finding", "Severity", "find"]

_FINDERS = {
    Kind.RULES: (rule_files.find,),
    Kind.DASHBOARD: (dashboard_files.find, dashboard_values.find),
    Kind.COLLECTOR: (collector_files.find,),
}
CHECKS: tuple[Check, ...] = (
    PARSE, *rule_files.CHECKS, *dashboard_files.CHECKS, *dashboard_values.CHECKS, *collector_files.CHECKS,
)  # fmt: skip
"""Every check, in the order of the reference page."""


def find(paths: Iterable[Path], settings: Settings, disabled: Iterable[str] = ()) -> tuple[int, list[Finding]]:
    """The number of files checked, and all findings, ordered by file and line.

    Args:
        paths: Files, and folders whose rule files, dashboards and collector configurations are checked.
        settings: The settings: scrape interval, bucket edges and rules.
        disabled: Names of checks that are not run.

    Raises:
        SidelightError: ``path_missing``, ``file_unreadable``, ``check_unknown``.
    """
    left_out = Check.known(disabled, CHECKS)
    documents, findings = gather(paths)
    known = world(documents, settings)
    for document in documents:
        findings += [finding for finds in _FINDERS[document.kind] for finding in finds(document, known)]
    lasting = [finding for finding in findings if finding.check.name not in left_out]
    files = {document.path for document in documents} | {finding.path for finding in findings}
    return len(files), sorted(lasting, key=lambda finding: (str(finding.path), finding.line, finding.check.name))
