"""Measures precision: ``python -m benchmarks.precision FOLDER`` writes docs/reference/check-precision.md.

The folder contains the rule files and dashboards of public projects, one folder for each project. They are not part of this
repository.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from benchmarks.precision import peers
from instrumentation.settings import Settings
from sidelight.checks import CHECKS, Report, Severity, find
from sidelight.checks.documents import Kind, gather
from sidelight.toolchain import tool
from tests.support import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.checks import Finding

PAGE = Path("docs/reference/check-precision.md")
_JUDGEMENTS = Path(__file__).with_name("judgements.yaml")
_REFUSED = {"rule/schema", "promql/syntax", "alert/template"}
_PROJECTS = {
    "kube-prometheus": "https://github.com/prometheus-operator/kube-prometheus",
    "monitoring-mixins": "https://github.com/monitoring-mixins/website",
    "grafana-dashboards-kubernetes": "https://github.com/dotdc/grafana-dashboards-kubernetes",
}


class Judged(NamedTuple):
    """How many findings of one check are right and wrong, and why.

    Attributes:
        right: Findings that are right.
        wrong: Findings that should not have been reported.
        reasons: The reasons, each once.
    """

    right: int
    wrong: int
    reasons: tuple[str, ...]


def judged(findings: Iterable[Finding]) -> dict[str, Judged]:
    """The verdict on the findings, by check.

    Raises:
        LookupError: A finding has no verdict.
    """
    verdicts: dict[str, list[dict[str, Any]]] = yaml.safe_load(_JUDGEMENTS.read_text("utf-8"))
    found: dict[str, Judged] = {}
    for finding in findings:
        text = f"{finding.subject}: {finding.message}"
        entry = next((each for each in verdicts.get(finding.check.name, ()) if re.search(each["pattern"], text)), None)
        if entry is None:
            raise LookupError(f"no verdict for {finding}")
        old = found.get(finding.check.name, Judged(0, 0, ()))
        reasons = tuple(dict.fromkeys([*old.reasons, entry["because"]]))
        found[finding.check.name] = Judged(old.right + entry["right"], old.wrong + (not entry["right"]), reasons)
    return found


def page(folder: Path) -> str:
    """The reference page."""
    report = find([folder], Settings())
    files = ", ".join(kind.counted(number) for kind, number in sorted(report.files.items()))
    projects = [f"- [{name}]({url})" for name, url in _PROJECTS.items() if (folder / name).is_dir()]
    judging = (
        "Every error and every warning was read, and judged right or wrong. The verdicts are in "
        "`benchmarks/precision/judgements.yaml`. A finding is right if following it improves the file in the way it says."
    )
    notes = (
        f"There are also {_count(report, Severity.NOTE)} notes, which are matters of style and are not judged. "
        "Checks without a row found nothing in these files."
    )
    parts = [
        "# Precision of the checks",
        "<!-- Written by `python -m benchmarks.precision FOLDER`; change the code or the verdicts, not this page. -->",
        f"`sidelight check` was run on {files} of public projects, without settings:",
        "\n".join(projects),
        judging,
        _table(report),
        notes,
        "## Beside promtool",
        _beside_promtool(folder, report),
        _beside_promtool_on_cases(),
        "## Beside pint and dashboard-linter",
        (
            "Neither can be installed from the package registries that this project uses, so they were not run on these files. What "
            "they check is from their documentation, in part from memory of it, and the numbers are findings of `sidelight check` on these files. "
            "[Checks](checks.md#checks-of-other-linters-that-are-not-included) lists what is left out."
        ),
        _beside_linters(report),
    ]
    return "\n\n".join(parts) + "\n"


def _count(report: Report, severity: Severity) -> int:
    return sum(finding.check.severity is severity for finding in report.findings)


def _table(report: Report) -> str:
    verdicts = judged(each for each in report.findings if each.check.severity is not Severity.NOTE)
    lines = [
        "| check | severity | findings | right | wrong | precision | why |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for severity in (Severity.ERROR, Severity.WARNING):
        rows = [
            (check.name, verdicts[check.name])
            for check in CHECKS
            if check.severity is severity and check.name in verdicts
        ]
        for name, verdict in rows:
            lines.append(_row(f"`{name}`", severity, verdict, "; ".join(verdict.reasons)))
        total = Judged(sum(each.right for _, each in rows), sum(each.wrong for _, each in rows), ())
        lines.append(_row(f"all {severity}s", severity, total, ""))
    return "\n".join(lines)


def _row(name: str, severity: Severity, verdict: Judged, why: str) -> str:
    number = verdict.right + verdict.wrong
    share = f"{verdict.right / number:.0%}" if number else ""
    return f"| {name} | {severity} | {number} | {verdict.right} | {verdict.wrong} | {share} | {why} |"


def _beside_promtool(folder: Path, report: Report) -> str:
    """What promtool and ``sidelight check`` refuse of each rule file."""
    verdicts: Counter[tuple[bool, bool]] = Counter()
    ours = {
        finding.path
        for finding in report.findings
        if finding.check.name in _REFUSED and "does not return" not in finding.message
    }
    documents = [each for each in gather([folder]).documents if each.kind is Kind.RULES]
    with tempfile.TemporaryDirectory() as scratch:
        for document in documents:
            path = Path(scratch) / "rules.yaml"
            path.write_text(yaml.safe_dump({"groups": document.data.get("groups") or []}), "utf-8")
            ended = subprocess.run(  # noqa: S603 - the pinned promtool
                [tool("promtool"), "check", "rules", path], capture_output=True, check=False
            )
            verdicts[ended.returncode != 0, document.path in ours] += 1
    return (
        f"promtool and `sidelight check` refuse the same files: of {len(documents)} rule files, both accept "
        f"{verdicts[False, False]} and refuse {verdicts[True, True]}; only promtool refuses {verdicts[True, False]}, and only "
        f"`sidelight check` refuses {verdicts[False, True]}. Labels in templates that the expression does not return are not "
        "counted, because promtool does not check them."
    )


def _beside_promtool_on_cases() -> str:
    """What promtool and ``sidelight check`` refuse of small files, one table by check and one of the differences."""
    with tempfile.TemporaryDirectory() as scratch:
        judged_files = refusals.judged(Path(scratch))
    lines = [
        (
            "promtool was also run on small files, each of which has one expression, one template or one key that is right, wrong or odd "
            "(`tests/support/refusals.py`):"
        ),
        "",
        "| check | files | both refuse | both accept | only promtool refuses | only `sidelight check` refuses |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(case.check for case, *_ in judged_files):
        found = Counter((theirs, ours) for case, theirs, ours in judged_files if case.check == name)
        numbers = [found[each] for each in ((True, True), (False, False), (True, False), (False, True))]
        lines.append(f"| `{name}` | {found.total()} | {' | '.join(map(str, numbers))} |")
    lines += ["", "| differs | only refused by | why |", "| --- | --- | --- |"]
    lines += [
        f"| `{case.shown}` | {'promtool' if theirs else '`sidelight check`'} | {refusals.DIFFERENCES[case.shown]} |"
        for case, theirs, ours in judged_files
        if theirs != ours
    ]
    return "\n".join(lines)


def _beside_linters(report: Report) -> str:
    found = Counter(finding.check.name for finding in report.findings)
    lines = ["| rule | linter | check here | findings | difference |", "| --- | --- | --- | --- | --- |"]
    for linter, texts in (("pint", peers.PINT), ("dashboard-linter", peers.DASHBOARD_LINTER)):
        for rule, difference in texts.items():
            here = [check for check in CHECKS if rule in getattr(check, linter.replace("-", "_")).split(", ")]
            names = ", ".join(f"`{check.name}`" for check in here)
            asks = all(check.name.startswith("online/") for check in here)
            number = "asks a Prometheus" if asks else sum(found[check.name] for check in here)
            lines.append(f"| `{rule}` | {linter} | {names} | {number} | {difference} |")
    return "\n".join(lines)


def main() -> None:
    """Write the page for the folder given."""
    PAGE.write_text(page(Path(sys.argv[1])), "utf-8")


if __name__ == "__main__":
    main()
