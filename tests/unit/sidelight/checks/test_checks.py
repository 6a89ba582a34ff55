"""What ``sidelight check`` reads, skips and reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from instrumentation.errors import SidelightError
from instrumentation.settings import Settings, parse_settings
from sidelight.build import PARTS
from sidelight.checks import CHECKS, Severity, find
from sidelight.checks.documents import Kind
from sidelight.checks.examples import EXAMPLES
from sidelight.checks.explanations import FIXABLE as FIXABLE_CHECKS
from sidelight.checks.explanations import explanation
from sidelight.checks.other_linters import LEFT
from sidelight.checks.reasons import REASONS
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


def alert(expr: str, labels: str = "severity: warning") -> str:
    return (
        f"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {expr}\n    for: 5m\n    labels: {{{labels}}}\n"
        "    annotations: {summary: s, description: d, runbook_url: r}\n"
    )


UNLIKE_OURS = parse_settings(
    {
        "alerting": {"group_by": ["job", "namespace"]},
        "budget": {"daily_usd": 7.3},
        "thresholds": {"overrides": [{"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2}}]},
        "metrics": {"scrape_interval": "30s"},
    }
)


REGION = {"startLine": 7, "startColumn": 18, "endLine": 7, "endColumn": 32}  # of foo_total[30s]


def put(folder: Path, text: str, name: str = "rules.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(*paths: Path, settings: Settings | None = None) -> list[str]:
    return [finding.check.name for finding in find(paths, settings or Settings()).findings]


@pytest.mark.parametrize("settings", [Settings(), UNLIKE_OURS], ids=["defaults", "others"])
def test_nothing_is_wrong_with_what_is_generated(settings: Settings, tmp_path: Path) -> None:
    for part in PARTS.values():
        for name, text in part.files(settings).items():
            put(tmp_path, text, name)
    report = find([tmp_path], settings)
    assert report.findings == []
    assert set(report.files) == set(Kind)
    assert report.files.total() >= 6  # rules, dashboards and their copies in the chart, sidecar and gateway


def test_a_finding_names_file_line_and_rule(tmp_path: Path) -> None:
    path = put(tmp_path, RULE)
    (finding,) = find([path], Settings()).findings
    assert str(finding) == (
        f"{path}:7: warning: job:things:rate5m: rate() over 30 s covers fewer than 4 scrapes; use 60 s or more. [promql/window]"
    )


def test_the_scrape_interval_comes_from_the_settings(tmp_path: Path) -> None:
    assert names(put(tmp_path, RULE), settings=parse_settings({"metrics": {"scrape_interval": "5s"}})) == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("groups:", "# sidelight file/disable promql/window\ngroups:"),
        ("      - record", "      # sidelight disable promql/window, rule/name\n      - record"),
        ("        expr", "        # sidelight disable promql/window\n        expr"),
        ("expr: |", "expr: | # sidelight disable promql/window"),
    ],
    ids=["file", "above the rule", "within it", "behind the line"],
)
def test_a_comment_leaves_a_check_out(was: str, now: str, tmp_path: Path) -> None:
    assert names(put(tmp_path, RULE.replace(was, now, 1))) == []


def test_a_comment_is_about_its_own_rule_alone(tmp_path: Path) -> None:
    other = "      - record: job:others:rate5m\n        expr: sum by (job) (rate(bar_total[20s]))\n"
    text = RULE.replace("      - record", "      # sidelight disable promql/window\n      - record") + other
    assert [finding.line for finding in find([put(tmp_path, text)], Settings()).findings] == [10]


def test_a_prometheus_rule_of_the_operator_is_read(tmp_path: Path) -> None:
    spec = RULE.replace("\n", "\n  ")
    text = f"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{name: a}}\nspec:\n  {spec}\n"
    assert [finding.line for finding in find([put(tmp_path, text)], Settings()).findings] == [11]


def test_several_documents_may_be_in_one_file(tmp_path: Path) -> None:
    path = put(tmp_path, f"{RULE}---\n{RULE.replace('foo', 'bar')}")
    assert [finding.line for finding in find([path], Settings()).findings] == [7, 15]


def test_every_file_of_a_folder_is_checked_or_named_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, RULE, "deep/rules.yml")
    put(tmp_path, "{{- if .Values.a }}\ngroups:\n{{- end }}\n", "templates/rules.yaml")
    put(tmp_path, "# sidelight file/ignore: not whole\n" + RULE, "parts.yaml")
    put(tmp_path, RULE, ".hidden/rules.yaml")
    put(tmp_path, "a: [\n", "other.yaml")
    put(tmp_path, "apiVersion: apps/v1\nkind: Deployment\n", "shop.yaml")
    put(tmp_path, "tests: []\nrule_files: []\n", "rules_test.yaml")
    put(tmp_path, "", "empty.yaml")
    put(tmp_path, "hello", "README.md")
    report = find([tmp_path], Settings())
    assert [finding.path.name for finding in report.findings] == ["rules.yml"]
    assert {each.path.name: each.reason for each in report.left} == {
        "empty.yaml": "contains no rules, dashboard or collector configuration",
        "other.yaml": "not valid YAML: did not find expected node content",
        "parts.yaml": "it has the comment `sidelight file/ignore`",
        "rules.yaml": "is a template, which can only be read after it is rendered",
        "rules_test.yaml": "is a test of rules, which promtool runs",
        "shop.yaml": "is a Deployment, and contains no rules, dashboard or collector configuration",
    }
    ended = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert f"{tmp_path}/shop.yaml: not checked: is a Deployment" in ended.output
    assert ended.output.endswith("1 rule file checked; 6 not checked; 1 neither YAML nor JSON: 1 warning\n")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", b"a: 1\n", "contains no rules, dashboard or collector configuration; give a file that contains one."),
        ("a.yaml", b"{{- if .Values.a }}\ngroups: []\n", "is a template, which can only be read after it is rendered; "),
        ("a.yaml", b"groups: []\nname: caf\xe9\n", "is not UTF-8: byte 0xe9 at position 20; save it as UTF-8."),
        ("a.yaml", b"\xff\xfea", "is not UTF-8"),
        ("a.json", b'{"panels": [],}', "not valid JSON: a comma is before the end; "),
        ("a.yaml", b"groups: &a [*a]\n", "the alias *a contains itself; "),
        ("a.yaml", b"[" * 3000, "is nested more than 100 levels deep; "),
        ("a.json", b"[" * 3000, "is nested more than 100 levels deep; "),
        ("a.yaml", b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(6)
        ) + b"groups: []\n", "has more than 1,000,000 values, counting each use of an alias; "),
    ],
    ids=["other", "template", "latin-1", "cut UTF-16", "comma", "recursive", "deep", "deep JSON", "aliases"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_finding_and_the_next_is_checked(
    name: str, text: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    first, second = find([path, put(tmp_path, RULE)], Settings()).findings
    assert first.check.severity is Severity.ERROR
    assert first.sentence.startswith(says)
    assert second.check.name == "promql/window"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(RULE.encode(encoding))
    assert names(path) == ["promql/window"]


GROUPS = yaml.safe_load(RULE)
OBJECT = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "spec": GROUPS}
PANEL = {
    "title": "Up",
    "type": "table",
    "datasource": {"type": "prometheus"},
    "targets": [{"expr": "sum(rate(a[30s]))"}],
}
BOARD = {"title": "Shop", "panels": [PANEL]}
V2 = {
    "title": "Shop", "layout": {"kind": "GridLayout"}, "elements": {"panel-1": {"kind": "Panel", "spec": {
        "title": "Up", "vizConfig": {"kind": "table"}, "data": {"kind": "QueryGroup", "spec": {"queries": [
            {"spec": {"query": {"kind": "prometheus", "spec": {"expr": "sum(rate(a[30s]))"}}}}]}}}}},
}  # fmt: skip
WRAPPED: dict[str, Any] = {
    "minified JSON": GROUPS,
    "List": {"apiVersion": "v1", "kind": "List", "items": [OBJECT]},
    "PrometheusRuleList": {"apiVersion": "v1", "kind": "PrometheusRuleList", "items": [OBJECT]},
    "VMRule": {**OBJECT, "kind": "VMRule"},
    "ConfigMap of rules": {"kind": "ConfigMap", "data": {"a.yaml": RULE}},
    "ConfigMap of a dashboard": {"kind": "ConfigMap", "data": {"a.json": json.dumps(BOARD)}},
    "ConfigMap in a List": {
        "kind": "ConfigMapList",
        "items": [{"kind": "ConfigMap", "data": {"a.json": json.dumps(BOARD)}}],
    },
    "dashboard": {"dashboard": BOARD, "meta": {}},
    "kind Dashboard": {"apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard", "spec": BOARD},
    "schema v2": {"apiVersion": "dashboard.grafana.app/v2beta1", "kind": "Dashboard", "spec": V2},
    "schema v2 without a kind": V2,
    "GrafanaDashboard": {"kind": "GrafanaDashboard", "spec": {"json": json.dumps(BOARD)}},
    "old rows": {"title": "Shop", "rows": [{"title": "All", "panels": [PANEL]}]},
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("form", ["a.json", "a.yaml"])
def test_rules_and_dashboards_are_found_in_what_contains_them(name: str, form: str, tmp_path: Path) -> None:
    data = WRAPPED[name]
    path = put(tmp_path, json.dumps(data) if form.endswith("json") else yaml.safe_dump(data), form)
    assert "promql/window" in names(path)


def test_a_finding_in_a_config_map_names_its_own_line(tmp_path: Path) -> None:
    inside = "".join(f"    {line}\n" for line in RULE.splitlines())
    path = put(tmp_path, f"kind: ConfigMap\ndata:\n  rules.yaml: |\n{inside}")
    assert [finding.line for finding in find([path], Settings()).findings] == [8]


TRUSTED = {
    "merge keys": "groups:\n- name: g\n  rules:\n  - &x {for: 5m, labels: {severity: warning}, alert: B, expr: up == 1, "
    "annotations: {summary: s, description: d, runbook_url: r}}\n  - {<<: *x, alert: A, expr: up == 0}\n",
    "a day that does not exist": alert("up == 0", "severity: warning, since: 2024-02-30"),
    "an equals sign": alert("up == 0", "severity: warning, op: ="),
    "numbers as labels": alert("up == 0", "severity: 1"),
    "a computed number": alert("sum by (topic) (size) > 5 * 1024 ^ 3"),
    "time": alert("max by (job) (last_success_seconds) < time() - 3600"),
    "scalar": alert("sum by (mode) (rate(a_total[5m])) / scalar(sum(rate(a_total[5m]))) > 0.5"),
    "a negative number": alert("min by (job) (temperature) < -10"),
    "native histograms": alert(
        "histogram_quantile(0.95, sum by (job) (rate(http_server_request_duration_seconds[5m]))) > 1"
    ),
    "a difference of counters": alert("sum(grpc_started_total) - sum(grpc_handled_total) > 7"),
    "a gauge that counts": alert("max(kube_pod_count) > 7"),
}


@pytest.mark.parametrize("name", TRUSTED)
def test_what_prometheus_understands_is_no_finding(name: str, tmp_path: Path) -> None:
    assert find([put(tmp_path, TRUSTED[name])], Settings()).findings == []


def test_a_duplicate_key_is_reported_with_its_line(tmp_path: Path) -> None:
    path = put(tmp_path, RULE.replace("    rules:", "    interval: 1m\n    interval: 2m\n    rules:"))
    first = find([path], Settings()).findings[0]
    assert (first.line, first.message) == (4, "has the key 'interval' twice")


def test_json_with_tabs_and_pictures_is_read(tmp_path: Path) -> None:
    text = '{\n\t"panels": [],\n\t"title": "\\ud83d\\ude00 shop",\n\t"editable": true,\n\t"uid": "a"\n}\n'
    (finding,) = find([put(tmp_path, text, "board.json")], Settings()).findings
    assert (finding.line, finding.subject) == (4, "😀 shop")


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SidelightError, match=r"b\.yaml: there is no such file or folder\.") as refused:
        find([tmp_path / "a" / "b.yaml"], Settings())
    assert refused.value.code == "path_missing"


def test_an_unknown_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SidelightError, match=r"got 'promql/rates'; did you mean promql/rate\? Give one of alert/absent, "
    ):
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
        (["--fail-on", "warning"], 1),
        (["--fail-on", "error"], 0),
        (["--disable", "promql/window"], 0),
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
    assert "1 rule file checked: 1 note" in failing[1].output


def test_sarif_holds_every_check_and_every_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, RULE)
    ended = CliRunner().invoke(app, ["check", "--format", "sarif", "rules.yaml"])
    (run,) = json.loads(ended.stdout)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.name for check in CHECKS]
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "promql/window"
    (place,) = result["locations"]
    assert place["physicalLocation"] == {"artifactLocation": {"uri": "rules.yaml"}, "region": REGION}


@pytest.mark.parametrize(
    ("expr", "is_found"),
    [("count(up) >= 0", True), ("rate(a_total[5m]) > -1", True), ("count(up) > 0", False), ("sum(up) >= 0", False)],
)
def test_a_condition_that_is_always_true_is_found(expr: str, is_found: bool, tmp_path: Path) -> None:  # noqa: FBT001
    assert ("alert/comparison" in names(put(tmp_path, alert(expr)))) is is_found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"groups": ["a", "b"]}, "contains no rules, dashboard or collector configuration"),
        ({"rows": [{"id": 1}]}, "contains no rules, dashboard or collector configuration"),
        (
            {"apiVersion": 1, "groups": [{"name": "g", "folder": "f", "rules": [{"uid": "a", "title": "A"}]}]},
            "is a provisioning file of Grafana's own alerts, which are not checked",
        ),
        ({"apiVersion": "openslo/v1", "kind": "SLO"}, "is an OpenSLO document, which `sidelight slo import` reads"),
    ],
)
def test_a_file_that_only_looks_alike_is_not_checked(data: dict[str, Any], reason: str, tmp_path: Path) -> None:
    put(tmp_path, yaml.safe_dump(data), "other.yaml")
    report = find([tmp_path], Settings())
    assert ([each.reason for each in report.left], report.findings) == ([reason], [])


LOGQL = 'sum(rate({app="shop"} |= "error" | json [5m]))'


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ({"type": "loki"}, []),
        ({"uid": "$logs"}, []),
        ("${logs}", []),
        ({"uid": "${DS_LOKI}"}, []),
        (None, ["promql/unread"]),
        ("Some name", ["promql/unread"]),
        ({"type": "prometheus"}, ["promql/syntax"]),
    ],
)
def test_queries_of_other_data_sources_are_not_judged_as_promql(
    source: object, names: list[str], tmp_path: Path
) -> None:
    board = {
        "title": "Shop", "uid": "shop",
        "__inputs": [{"name": "DS_LOKI", "type": "datasource", "pluginId": "loki"}],
        "templating": {"list": [{"type": "datasource", "name": "logs", "query": "loki"}]},
        "panels": [{"title": "Errors", "type": "stat", "datasource": source, "targets": [{"expr": LOGQL}, {"expr": ""}]}],
    }  # fmt: skip
    found = find([put(tmp_path, json.dumps(board), "board.json")], Settings()).findings
    assert [each.check.name for each in found if each.check.name.startswith("promql/")] == names


@pytest.mark.parametrize(("expr", "is_found"), [("$fn(x_total[5m])", False), ("${metric}_total", True)])
def test_a_variable_may_be_the_rate_of_a_counter(expr: str, is_found: bool, tmp_path: Path) -> None:  # noqa: FBT001
    board = {"title": "Shop", "panels": [{"type": "stat", "title": "a", "targets": [{"expr": expr}]}]}
    found = find([put(tmp_path, json.dumps(board), "board.json")], Settings()).findings
    assert ("promql/counter" in {each.check.name for each in found}) == is_found


FIXABLE = """\
groups:
  - name: g
    rules:
      - record: job:a:sum
        expr: sum by (job) (up{a=~"b", c =~ '.+', d=~"e|f"})  # plain
      - record: job:b:sum
        expr: |
          sum by (job) (up{
            a!~"b"})
      - record: job:c:sum
        expr: 'sum by (job) (up{a=~"b"})'
      - record: job:d:sum
        expr: "sum by (job) (up{a=~'b'})"
"""
FIXED = """\
groups:
  - name: g
    rules:
      - record: job:a:sum
        expr: sum by (job) (up{a="b",c!="",d=~"e|f"})  # plain
      - record: job:b:sum
        expr: |
          sum by (job) (up{
            a!="b"})
      - record: job:c:sum
        expr: 'sum by (job) (up{a="b"})'
      - record: job:d:sum
        expr: "sum by (job) (up{a=\\"b\\"})"
"""


def test_what_has_one_right_answer_is_fixed_and_the_rest_is_left(tmp_path: Path) -> None:
    path = put(tmp_path, FIXABLE)
    path.chmod(0o640)
    ended = CliRunner().invoke(app, ["check", "--fix", str(path)])
    assert path.read_text() == FIXED
    assert path.stat().st_mode & 0o777 == 0o640
    assert ended.output == "6 findings fixed\n1 rule file checked: no findings\n"
    assert CliRunner().invoke(app, ["check", "--fix", str(path)]).output == "1 rule file checked: no findings\n"
    assert path.read_text() == FIXED


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("for: 5 minutes  # long", "for: 5m  # long"),
        ('for: "30m1h"', 'for: "1h30m"'),
        ("for: 1.5h", "for: 1h30m"),
        ("for: '1 Day and 2 hours'", "for: '1d2h'"),
        ("for: 5M", "for: 5M"),
        ("for: 90", "for: 90"),
        ("for: 5 bananas", "for: 5 bananas"),
        ("for: 1m 2m", "for: 1m 2m"),
    ],
)
def test_a_duration_is_fixed_if_it_can_mean_one_thing(was: str, becomes: str, tmp_path: Path) -> None:
    path = put(tmp_path, f"# ours\n{alert('up == 0')}".replace("for: 5m", was))
    assert was in path.read_text()
    CliRunner().invoke(app, ["check", "--fix", str(path)])
    assert path.read_text() == f"# ours\n{alert('up == 0')}".replace("for: 5m", becomes)


@pytest.mark.parametrize(
    "expr",
    [
        "sum(up)by(job) # by job",
        "sum(\n  up)by(job)",
        '{"x","y"}',
        '{__name__="x",__name__=~"y.*"}',
        "sum(up @ 5)by(job)",
    ],
)
def test_what_promtool_would_write_with_other_words_is_not_formatted(expr: str, tmp_path: Path) -> None:
    path = put(
        tmp_path, json.dumps({"groups": [{"name": "g", "rules": [{"record": "a:b:c", "expr": expr}]}]}), "r.json"
    )
    before = path.read_text()
    CliRunner().invoke(app, ["check", "--fix", str(path)])
    assert path.read_text() == before


def test_units_and_queries_of_a_dashboard_are_fixed_in_its_json(tmp_path: Path) -> None:
    units = ("seconds", "percentage", "cakes")
    panels = [
        {
            "type": "stat",
            "title": unit,
            "fieldConfig": {"defaults": {"unit": unit}},
            "targets": [{"expr": 'up{a=~"b"}'}],
        }
        for unit in units
    ]
    path = put(tmp_path, json.dumps({"title": "é", "panels": panels}, indent=1, ensure_ascii=False), "board.json")
    CliRunner().invoke(app, ["check", "--fix", str(path)])
    fixed = json.loads(path.read_text())["panels"]
    assert [each["fieldConfig"]["defaults"]["unit"] for each in fixed] == ["s", "percentage", "cakes"]
    assert {each["targets"][0]["expr"] for each in fixed} == {'up{a="b"}'}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name in FIXABLE_CHECKS])
def test_the_example_of_a_check_that_can_be_fixed_is_fixed(name: str, tmp_path: Path) -> None:
    wrong, right, _ = EXAMPLES[name]
    if name == "rule/schema":
        wrong, right = (right.replace("for: 2m", written) for written in ("for: 2 min", "for: 2m"))
    path = put(tmp_path, wrong, "example.json" if wrong.startswith("{") else "example.yaml")
    ended = CliRunner().invoke(app, ["check", "--fix", str(path)])
    assert "1 finding fixed" in ended.output
    assert find([path], Settings()).findings == []
    if name != "promql/regexp":  # its example shows another cure
        assert path.read_text() == right


def test_every_check_is_explained() -> None:
    assert set(REASONS) == {check.name for check in CHECKS}
    for check in CHECKS:
        text = "\n".join(explanation(check))
        assert f"## {check.name}" in text
        assert check.finds in text
        assert REASONS[check.name] in text
        assert f"--disable {check.name}" in text


def test_the_command_explains_a_check_and_suggests_a_name() -> None:
    shown = CliRunner().invoke(app, ["check", "--explain", "promql/division"])
    assert shown.exit_code == 0
    assert "**Why:** 0 / 0 is NaN" in shown.output
    assert "avg(a / (b > 0))" in shown.output
    unknown = CliRunner().invoke(app, ["check", "--explain", "promql/divison"])
    assert "did you mean promql/division?" in str(unknown.exception)


def test_findings_name_the_command_that_explains_them(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["check", str(put(tmp_path, FIXABLE))])
    assert "`sidelight check --explain promql/regexp` says why, and how to disable it.\n" in ended.output


def test_the_last_line_counts_files_that_cannot_be_read(tmp_path: Path) -> None:
    put(tmp_path, "groups: [", "a.yaml")
    put(tmp_path, "groups: []", "b.yaml")
    ended = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert ended.output.endswith("1 rule file checked; 1 not checked: 1 error\n")


@pytest.mark.parametrize(
    ("expr", "is_found"),
    [
        ("rate(sum(foo_total)[5m:])", True),
        ("rate(sum by (job) (foo_total)[5m:])", True),
        ("rate(sum by (pod, container) (foo_total)[5m:])", False),
        ("rate(max(foo_total)[5m:])", False),
        ("increase(sum(foo)[5m:])", False),
    ],
)
def test_only_a_sum_of_counters_of_several_instances_hides_resets(expr: str, is_found: bool, tmp_path: Path) -> None:  # noqa: FBT001
    path = put(
        tmp_path, json.dumps({"groups": [{"name": "g", "rules": [{"record": "a:b:c", "expr": expr}]}]}), "r.json"
    )
    assert ("promql/rate" in {each.check.name for each in find([path], Settings()).findings}) == is_found


def test_without_fix_no_file_is_changed(tmp_path: Path) -> None:
    path = put(tmp_path, FIXABLE)
    CliRunner().invoke(app, ["check", str(path)])
    assert path.read_text() == FIXABLE


def test_github_shows_a_finding_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, RULE, "a, b/rules.yaml")
    ended = CliRunner().invoke(app, ["check", "--format", "github", "a, b"])
    assert ended.stdout == (
        "::warning file=a%2C b/rules.yaml,line=7,col=18,endLine=7,endColumn=32,title=promql/window::"
        "job:things:rate5m: rate() over 30 s covers fewer than 4 scrapes; use 60 s or more.\n"
    )
    sarif = json.loads(CliRunner().invoke(app, ["check", "--format", "sarif", "a, b"]).stdout)
    place = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%2C%20b/rules.yaml"
