"""Every finding in the public files has a verdict, and errors are right.

The files are rule files and dashboards of kube-prometheus, monitoring-mixins and dotdc/grafana-dashboards-kubernetes (all
Apache-2.0). They are not part of this repository; SIDELIGHT_CORPUS names the folder that contains them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.precision.__main__ import PAGE, Judged, judged, page
from benchmarks.precision.peers import DASHBOARD_LINTER, PINT
from instrumentation.settings import Settings
from sidelight.checks import CHECKS, Finding, Severity, find

CORPUS = Path(os.environ.get("SIDELIGHT_CORPUS", "corpus-is-not-set"))
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="SIDELIGHT_CORPUS names no folder of public files")
CHECK = {check.name: check for check in CHECKS}


def finding(name: str, message: str) -> Finding:
    return Finding(check=CHECK[name], path=Path("a.yaml"), line=1, subject="A", message=message, cure="")


def test_findings_are_counted_by_their_verdicts() -> None:
    found = judged([finding("promql/regexp", 'a=~"b" matches only one value')] * 3)
    assert found["promql/regexp"] == Judged(3, 0, ("`=` or `!=` selects the same series, and an index answers it",))


def test_a_finding_without_a_verdict_is_refused() -> None:
    with pytest.raises(LookupError, match=r"no verdict for a\.yaml:1: error: A: has moved"):
        judged([finding("rule/schema", "has moved")])


def test_every_rule_of_another_linter_that_has_a_check_here_has_its_difference() -> None:
    for linter, texts in (("pint", PINT), ("dashboard_linter", DASHBOARD_LINTER)):
        named = {rule for check in CHECKS for rule in getattr(check, linter).split(", ") if rule}
        assert named == set(texts)


@needs_corpus
def test_every_file_is_checked_or_named_and_none_makes_a_check_fall() -> None:
    report = find([CORPUS], Settings())
    named = {each.path for each in report.left} | {each.path for each in report.findings}
    unnamed = {path for path in CORPUS.rglob("*") if path.suffix in {".yaml", ".yml", ".json"}} - named
    assert len(unnamed) <= report.files.total()  # files without findings are only counted
    assert not [each for each in report.findings if each.check.name == "file/parse"]


@needs_corpus
def test_errors_are_always_right_and_warnings_nearly_always() -> None:
    findings = find([CORPUS], Settings()).findings
    for severity, least in ((Severity.ERROR, 1.0), (Severity.WARNING, 0.9)):
        verdicts = judged(each for each in findings if each.check.severity is severity).values()
        right, wrong = sum(each.right for each in verdicts), sum(each.wrong for each in verdicts)
        assert right >= least * (right + wrong)


@needs_corpus
def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(CORPUS)
