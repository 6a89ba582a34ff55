"""``sidelight check FILES``: checks rule files, dashboards and collector configurations, generated or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sidelight.checks import collector_files, dashboard_files, dashboard_values, online, rule_files
from sidelight.checks.documents import PARSE, Kind, Left, counted, gather
from sidelight.checks.finding import Check, Finding, Severity
from sidelight.checks.known_series import known_series
from sidelight.checks.reading import Deadline, ReadError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from instrumentation.settings import Settings
    from sidelight.checks.documents import Document, Gathered
    from sidelight.checks.known_series import KnownSeries

__all__ = ["CHECKS", "Check", "Finding", "Report", "Severity", "find"]

SUPPRESSION = Check(
    name="file/suppression",
    severity=Severity.ERROR,
    finds="a comment that disables a check which does not exist, or that cannot be understood",
)
EXPIRED = Check(
    name="file/expired",
    severity=Severity.WARNING,
    finds="a comment whose day has passed, so that it disables nothing any more",
)

_FINDERS = {
    Kind.RULES: (rule_files.find,),
    Kind.DASHBOARD: (dashboard_files.find, dashboard_values.find),
    Kind.COLLECTOR: (collector_files.find,),
}
CHECKS: tuple[Check, ...] = (
    PARSE, SUPPRESSION, EXPIRED, *rule_files.CHECKS, *dashboard_files.CHECKS, *dashboard_values.CHECKS,
    *collector_files.CHECKS, *online.CHECKS,
)  # fmt: skip
"""Every check, in the order of the reference page."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was checked, and what was found.

    Attributes:
        findings: All findings, ordered by file and line.
        files: How many files were read, by kind; a file with several kinds counts for each.
        left: The YAML and JSON files in folders that were not checked, and why.
        others: How many other files are in these folders.
        unread: How many files were not checked because they have the finding file/parse.
    """

    findings: list[Finding]
    files: Counter[Kind]
    left: list[Left]
    others: int
    unread: int = 0


def find(
    paths: Iterable[Path],
    settings: Settings,
    disabled: Iterable[str] = (),
    ask: Callable[[Document, KnownSeries], Iterable[Finding]] | None = None,
) -> Report:
    """Check files.

    Args:
        paths: Files, and folders whose rule files, dashboards and collector configurations are checked.
        settings: The settings: scrape interval, bucket edges and rules.
        disabled: Names of checks that are not run.
        ask: Asks a Prometheus about each document, such as ``online.find``; None to stay offline.

    Raises:
        SidelightError: ``path_missing``, ``check_unknown``, and what ``ask`` raises.
    """
    left_out = Check.known(disabled, CHECKS)
    found = gather(paths)
    known = known_series(found.documents, settings)
    findings = [*found.findings, *_comments(found)]
    for document in found.documents:
        findings += _of_document(document, known)
        findings += ask(document, known) if ask is not None else ()
    lasting = {finding: None for finding in findings if finding.check.name not in left_out}
    return Report(
        findings=sorted(lasting, key=lambda finding: (str(finding.path), finding.line, finding.check.name)),
        files=counted(found.documents),
        left=found.left,
        others=found.others,
        unread=len({each.path for each in found.findings} - {each.path for each in found.documents}),
    )


def _of_document(document: Document, known: KnownSeries) -> Iterator[Finding]:
    """The findings of a document; a fault of a check is a finding too, so that the other files are checked."""
    try:
        document = replace(document, deadline=Deadline())
        for finds in _FINDERS[document.kind]:
            yield from finds(document, known)
    except ReadError as error:
        yield document.finding(PARSE, (), "", error.message, error.cure)
    except Exception as error:  # noqa: BLE001 - one file must not end the run
        reason = f"cannot be checked, because of a fault in sidelight check: {type(error).__name__}: {error}"
        yield document.finding(PARSE, (), "", reason, "report it with the file")


def _comments(found: Gathered) -> Iterator[Finding]:
    """What is wrong with the comments that disable checks."""
    known = {check.name for check in CHECKS}
    today = datetime.now(UTC).date()
    for path in {document.path: None for document in found.documents}:
        suppressions = found.suppressions[path]
        for line, fault in suppressions.faults:
            yield Finding(
                check=SUPPRESSION, path=path, line=line, subject="comment", message=fault,
                cure="write `# sidelight disable CHECK until 2027-03-01 because REASON`; the last two parts may be left out",
            )  # fmt: skip
        for each in suppressions.given:
            for name in sorted(each.names - known):
                near = get_close_matches(name, known, 1)
                yield Finding(
                    check=SUPPRESSION, path=path, line=each.line, subject="comment",
                    message=f"disables {name}, which is not a check",
                    cure=f"write {near[0]} if you meant that" if near else "write the name in brackets behind a finding",
                )  # fmt: skip
            if each.until is not None and each.until < today:
                yield Finding(
                    check=EXPIRED, path=path, line=each.line, subject="comment",
                    message=f"disables {', '.join(sorted(each.names))} until {each.until}, which has passed",
                    cure="fix what it hides, or set a later day",
                )  # fmt: skip
