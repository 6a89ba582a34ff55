"""What ``sidelight check`` reads, skips and reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from instrumentation.errors import SidelightError
from instrumentation.settings import Settings, parse_settings
from sidelight.build import PARTS
from sidelight.checks import CHECKS, find
from sidelight.checks.other_linters import LEFT
from sidelight.cli import app

if TYPE_CHECKING:
    from pathlib import Path

RULE = """\
groups:
  - name: shop
    rules:
      - record: job:things:rate5m
        expr: |
          sum by (job) (
            rate(foo_total[30s]))
"""
UNLIKE_OURS = parse_settings(
    {
        "alerting": {"group_by": ["job", "namespace"]},
        "budget": {"daily_usd": 7.3},
        "thresholds": {"overrides": [{"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2}}]},
        "metrics": {"scrape_interval": "30s"},
    }
)


def put(folder: Path, text: str, name: str = "rules.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(*paths: Path, settings: Settings | None = None) -> list[str]:
    return [finding.check.name for finding in find(paths, settings or Settings())[1]]


@pytest.mark.parametrize("settings", [Settings(), UNLIKE_OURS], ids=["defaults", "others"])
def test_nothing_is_wrong_with_what_is_generated(settings: Settings, tmp_path: Path) -> None:
    for part in PARTS.values():
        for name, text in part.files(settings).items():
            put(tmp_path, text, name)
    files, findings = find([tmp_path], settings)
    assert findings == []
    assert files >= 6  # rules, dashboards and their copies in the chart, sidecar and gateway


def test_a_finding_names_file_line_and_rule(tmp_path: Path) -> None:
    path = put(tmp_path, RULE)
    (finding,) = find([path], Settings())[1]
    assert str(finding) == (
        f"{path}:5: error: job:things:rate5m: rate() over 30 s covers fewer than 4 scrapes; use 60 s or more. [promql/rate]"
    )


def test_the_scrape_interval_comes_from_the_settings(tmp_path: Path) -> None:
    assert names(put(tmp_path, RULE), settings=parse_settings({"metrics": {"scrape_interval": "5s"}})) == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("groups:", "# sidelight file/disable promql/rate\ngroups:"),
        ("      - record", "      # sidelight disable promql/rate, rule/name\n      - record"),
        ("        expr", "        # sidelight disable promql/rate\n        expr"),
        ("expr: |", "expr: | # sidelight disable promql/rate"),
    ],
    ids=["file", "above the rule", "within it", "behind the line"],
)
def test_a_comment_leaves_a_check_out(was: str, now: str, tmp_path: Path) -> None:
    assert names(put(tmp_path, RULE.replace(was, now, 1))) == []


def test_a_comment_is_about_its_own_rule_alone(tmp_path: Path) -> None:
    other = "      - record: job:others:rate5m\n        expr: sum by (job) (rate(bar_total[20s]))\n"
    text = RULE.replace("      - record", "      # sidelight disable promql/rate\n      - record") + other
    assert [finding.line for finding in find([put(tmp_path, text)], Settings())[1]] == [10]


def test_a_prometheus_rule_of_the_operator_is_read(tmp_path: Path) -> None:
    spec = RULE.replace("\n", "\n  ")
    text = f"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{name: a}}\nspec:\n  {spec}\n"
    assert [finding.line for finding in find([put(tmp_path, text)], Settings())[1]] == [9]


def test_several_documents_may_be_in_one_file(tmp_path: Path) -> None:
    path = put(tmp_path, f"{RULE}---\n{RULE.replace('foo', 'bar')}")
    assert [finding.line for finding in find([path], Settings())[1]] == [5, 13]


def test_of_a_folder_only_what_can_be_checked_is_read(tmp_path: Path) -> None:
    put(tmp_path, RULE, "deep/rules.yml")
    put(tmp_path, "{{- if .Values.a }}\ngroups:\n{{- end }}\n", "templates/rules.yaml")
    put(tmp_path, "# sidelight file/ignore: not whole\n" + RULE, "parts.yaml")
    put(tmp_path, RULE, ".hidden/rules.yaml")
    put(tmp_path, "a: [\n", "other.yaml")
    assert [finding.path.name for finding in find([tmp_path], Settings())[1]] == ["rules.yml"]


def test_a_file_of_another_kind_is_reported_if_it_is_named(tmp_path: Path) -> None:
    (finding,) = find([put(tmp_path, "a: 1\n")], Settings())[1]
    assert finding.sentence == "contains no rules, dashboard or collector configuration; give a file that contains one."


def test_a_duplicate_key_is_reported_with_its_line(tmp_path: Path) -> None:
    path = put(tmp_path, RULE.replace("    rules:", "    interval: 1m\n    interval: 2m\n    rules:"))
    first = find([path], Settings())[1][0]
    assert (first.line, first.message) == (4, "has the key 'interval' twice")


def test_json_with_tabs_and_pictures_is_read(tmp_path: Path) -> None:
    text = '{\n\t"panels": [],\n\t"title": "\\ud83d\\ude00 shop",\n\t"editable": true,\n\t"uid": "a"\n}\n'
    (finding,) = find([put(tmp_path, text, "board.json")], Settings())[1]
    assert (finding.line, finding.subject) == (4, "😀 shop")


@pytest.mark.parametrize(
    ("name", "text", "code"), [("a/b.yaml", None, "path_missing"), ("a.yaml", b"\xff\xfe", "file_unreadable")]
)
def test_what_cannot_be_read_is_refused(name: str, text: bytes | None, code: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SidelightError) as told:
        find([path], Settings())
    assert told.value.code == code
    assert str(path) in told.value.message


def test_an_unknown_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SidelightError, match=r"got 'promql/rates'; give one of alert/absent, "):
        find([put(tmp_path, RULE)], Settings(), ["promql/rates"])


def test_what_others_find_is_found_or_explained_but_not_both() -> None:
    found = {
        "pint": {name for check in CHECKS for name in check.pint.split(", ") if name},
        "dashboard-linter": {name for check in CHECKS for name in check.dashboard_linter.split(", ") if name},
    }
    assert {peer: names & set(LEFT[peer]) for peer, names in found.items()} == {
        "pint": set(),
        "dashboard-linter": set(),
    }
    assert {peer: len(names | set(LEFT[peer])) for peer, names in found.items()} == {"pint": 36, "dashboard-linter": 20}


# --- The command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 1),
        (["--fail-on", "error"], 1),
        (["--disable", "promql/rate"], 0),
        (["--fail-on", "sometimes"], 2),
        (["--format", "xml"], 2),
    ],
)
def test_the_exit_status_is_a_linters(arguments: list[str], status: int, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["check", str(put(tmp_path, RULE)), *arguments]).exit_code == status


def test_mild_findings_need_not_fail(tmp_path: Path) -> None:
    path = put(tmp_path, RULE.replace("job:things:rate5m", "things").replace("30s", "5m"))
    failing = [CliRunner().invoke(app, ["check", str(path), "--fail-on", severity]) for severity in ("note", "warning")]
    assert [ended.exit_code for ended in failing] == [1, 0]
    assert "1 file checked: 1 note" in failing[1].output


def test_sarif_holds_every_check_and_every_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, RULE)
    ended = CliRunner().invoke(app, ["check", "--format", "sarif", "rules.yaml"])
    (run,) = json.loads(ended.stdout)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.name for check in CHECKS]
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "promql/rate"
    (place,) = result["locations"]
    assert place["physicalLocation"] == {"artifactLocation": {"uri": "rules.yaml"}, "region": {"startLine": 5}}
