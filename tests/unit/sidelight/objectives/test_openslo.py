"""OpenSLO documents become the section ``slo``, or one sentence explains why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from instrumentation.errors import SettingsError
from instrumentation.settings import Settings, parse_settings
from sidelight.checks import find
from sidelight.cli import app
from sidelight.objectives.openslo import OpenSloError, exported, imported, rule_file

if TYPE_CHECKING:
    from pathlib import Path

CHECKOUT = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout-works}
spec:
  service: checkout
  indicatorRef: {name: checkout-requests}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {displayName: answered, targetPercent: 99.5}
    - {displayName: fast, op: lte, value: 0.3, target: 0.95}
"""
SERVICE = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: checkout}\nspec: {description: pays}\n"


def written(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}.yaml" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_availability_and_latency_of_a_service_become_its_override(tmp_path: Path) -> None:
    found = yaml.safe_load(imported(written(tmp_path, f"{SERVICE}---\n{CHECKOUT}"), "s"))
    assert found == {
        "slo": {
            "overrides": [
                {"match": {"job": "checkout"}, "availability": 0.995, "latency": {"ratio": 0.95, "seconds": 0.3}}
            ],
            "period": "28d",
        }
    }
    assert parse_settings(found).slo.period == "28d"


def test_several_files_are_one_section(tmp_path: Path) -> None:
    other = CHECKOUT.replace("checkout", "search").replace("duration: 4w", "duration: 28d")
    slo = yaml.safe_load(imported(written(tmp_path, CHECKOUT, other), "s"))["slo"]
    assert [override["match"]["job"] for override in slo["overrides"]] == ["checkout", "search"]


def test_objectives_of_one_service_in_two_documents_are_one_override(tmp_path: Path) -> None:
    works = CHECKOUT.replace("    - {displayName: fast, op: lte, value: 0.3, target: 0.95}\n", "")
    fast = CHECKOUT.replace("    - {displayName: answered, targetPercent: 99.5}\n", "")
    both, apart = imported(written(tmp_path, CHECKOUT), "s"), imported(written(tmp_path, works, fast), "s")
    assert yaml.safe_load(both) == yaml.safe_load(apart)


@pytest.mark.parametrize("form", ["list", "List", "stream", "JSON"])
def test_documents_are_read_in_every_form(form: str, tmp_path: Path) -> None:
    documents = [yaml.safe_load(text) for text in (SERVICE, CHECKOUT)]
    path = tmp_path / ("a.json" if form == "JSON" else "a.yaml")
    forms = {"list": documents, "List": {"kind": "List", "items": documents}, "JSON": documents}
    path.write_text(f"{SERVICE}---\n{CHECKOUT}" if form == "stream" else json.dumps(forms[form]))
    assert yaml.safe_load(imported([path], "s"))["slo"]["overrides"][0]["availability"] == 0.995


def latency(query: str, value: float = 500) -> str:
    return f"""\
apiVersion: openslo/v1alpha
kind: SLO
metadata: {{name: fast}}
spec:
  service: search
  indicator: {{thresholdMetric: {{source: elastic, queryType: any, query: {query}}}}}
  timeWindows: [{{count: 1, unit: Month, isRolling: false, calendar: {{startTime: 2022-01-01 12:00:00}}}}]
  budgetingMethod: Occurrences
  objectives: [{{op: lt, value: {value}, target: 0.98}}]
"""


@pytest.mark.parametrize(
    ("query", "value", "unit", "seconds"),
    [
        ("duration_milliseconds", 500, "", 0.5),
        ("requestMsec", 500, "", 0.5),
        ("request_ms", 250, "s", 0.25),
        ("request_duration_seconds", 0.5, "", 0.5),
        ("request_duration", 500, "ms", 0.5),
        ("request_duration", 2, "s", 2.0),
    ],
)
def test_the_unit_is_read_from_the_query_or_given(
    query: str, value: float, unit: str, seconds: float, tmp_path: Path
) -> None:
    text = imported(written(tmp_path, latency(query, value)), unit)
    assert yaml.safe_load(text)["slo"]["overrides"][0]["latency"] == {"ratio": 0.98, "seconds": seconds}
    assert "its calendar window of 1M is kept as a rolling one of 30 days" in text
    assert "its query of elastic is not kept; it applies to all requests of the job search" in text


def test_the_unit_is_never_assumed(tmp_path: Path) -> None:
    with pytest.raises(OpenSloError, match=r"value: got 500\.0; give its unit with --unit s or --unit ms, because"):
        imported(written(tmp_path, latency("request_duration")))


def test_of_several_objectives_of_a_kind_the_strictest_is_kept_and_the_others_are_named(tmp_path: Path) -> None:
    text = imported(written(tmp_path, CHECKOUT.replace("op: lte, value: 0.3, target: 0.95", "target: 0.999")))
    assert yaml.safe_load(text)["slo"]["overrides"] == [{"match": {"job": "checkout"}, "availability": 0.999}]
    assert "checkout has several objectives for availability, and only the strictest is kept" in text


@pytest.mark.parametrize(
    ("was", "becomes", "note"),
    [
        (
            "4w, isRolling: true",
            "4w}]\n  alertPolicies: [{metadata: {name: p}, spec: {conditions: [{metadata: {name: c}, spec: {condition: {threshold: 2}}}]}",
            "its alert policies are not kept: Sidelight's burn-rate alerts take their place",
        ),
        ("Occurrences", "Timeslices", "its method Timeslices is not kept; requests are counted"),
        ("isRolling: true", "isRolling: false", "its calendar window of 4w is kept as a rolling one of 28 days"),
        ("duration: 4w", "duration: 1Q", "its period of 1Q is kept as 90 days"),
        ("duration: 4w", "duration: Quarter", "its period of 1Q is kept as 90 days"),
        ("target: 0.95", "target: 0.95, compositeWeight: 3", "the weights of its objectives are not kept"),
        ("duration: 4w, isRolling: true", "duration: 1m, isRolling: false", "which is minutes, and is read as 1M"),
        ("  objectives:", "  alertPolicies: [burn]\n  objectives:", "its alert policy burn is in none of the files"),
        ("spec:", "spec:", "its indicator checkout-requests is in none of the files"),
    ],
)
def test_what_is_not_kept_is_named_above_the_section(was: str, becomes: str, note: str, tmp_path: Path) -> None:
    assert was in CHECKOUT
    assert note in imported(written(tmp_path, CHECKOUT.replace(was, becomes)), "s")


@pytest.mark.parametrize(
    ("was", "becomes", "sentence"),
    [
        (
            "Occurrences",
            "Sometimes",
            "spec.budgetingMethod: got 'Sometimes'; give one of Occurrences, Timeslices, Ratio",
        ),
        ("4w", "soon", "spec.timeWindow[0].duration: got 'soon'; give a duration such as 28d, 4w, 1M or 1Q."),
        ("targetPercent: 99.5", "targetPercent: 100", "targetPercent: got 100; give a number between 0 and 100."),
        ("target: 0.95", "target: 95", "spec.objectives[1].target: got 95; give a number between 0 and 1."),
        ("target: 0.95", "target: true", "spec.objectives[1].target: got True; give a number"),
        ("lte", "gt", "spec.objectives[1]: op: got 'gt'; give lt or lte"),
        ("lte", "above", "spec.objectives[1].op: got 'above'; give lt, lte, gt or gte"),
        ("value: 0.3", "value: -1", "spec.objectives[1]: value: got -1.0; give a number above 0."),
        ("service: checkout", "service: ''", "spec.service: got ''; give the service's name, which becomes its job."),
        (
            "kind: SLO",
            "kind: Service",
            "the files contain no document of kind SLO, but Service; give at least one.",
        ),
    ],
)
def test_what_cannot_be_converted_is_reported_in_one_sentence(
    tmp_path: Path, was: str, becomes: str, sentence: str
) -> None:
    assert was in CHECKOUT
    with pytest.raises(OpenSloError) as raised:
        imported(written(tmp_path, CHECKOUT.replace(was, becomes)), "s")
    assert sentence in raised.value.message


def test_periods_that_differ_are_named(tmp_path: Path) -> None:
    other = CHECKOUT.replace("checkout", "search").replace("4w", "30d")
    with pytest.raises(
        OpenSloError,
        match=r"checkout-works and .*search-works: spec.timeWindow: got '28d, 30d'; use the same period for every",
    ):
        imported(written(tmp_path, CHECKOUT, other), "s")


def test_a_period_that_objectives_may_not_have_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"slo\.period: got \"1d\""):
        imported(written(tmp_path, CHECKOUT.replace("4w", "1d")), "s")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [", b"x" * (11 << 20)], ids=["binary", "broken", "large"])
def test_a_file_that_is_not_openslo_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(OpenSloError, match=r"x\.yaml(:\d)?: the file: got"):
        imported([tmp_path / "x.yaml"])


# --- Queries of their own --------------------------------------------------------------------------------------------

RATIO = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: answered}
spec:
  ratioMetric:
    counter: true
    good: {metricSource: {type: Prometheus, spec: {query: 'sum(http_requests{code!~"5.."})'}}}
    total: {metricSource: {metricSourceRef: my-prometheus, spec: {query: sum(http_requests)}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: web-answers}
spec:
  service: web
  indicatorRef: answered
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999, timeSliceTarget: 0.95, timeSliceWindow: 5m}]
"""
THRESHOLD = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: lag}
spec:
  service: annotator
  indicator: {spec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: max(lag)}}}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 100, target: 0.99}]
"""
GOOD, ALL = 'sum(increase(http_requests{code!~"5.."}[5m]))', "sum(increase(http_requests[5m]))"
SHARE = f"({GOOD} or 0 * {ALL}) / ({ALL} > 0)"
COUNTED = ('sum_over_time((sum(http_requests{code!~"5.."}))[5m:1m])', "sum_over_time((sum(http_requests))[5m:1m])")
WRITTEN = {
    RATIO: f"1 - ({SHARE})",
    RATIO.replace("counter: true", "counter: false"): f"1 - (({COUNTED[0]} or 0 * {COUNTED[1]}) / ({COUNTED[1]} > 0))",
    RATIO.replace("sum(http_requests)", "'sum(rate(http_requests[{{.window}}]))'"): (
        f"1 - ({SHARE})".replace(ALL, "sum(rate(http_requests[5m]))")
    ),
    RATIO.replace("sum(http_requests", "(http_requests"): f"1 - ({SHARE})".replace(
        "increase(http_requests", "(increase(http_requests"
    ).replace("[5m]))", "[5m])))"),
    RATIO.replace("good: ", "bad: "): f"1 - (1 - {SHARE})",
    RATIO.replace("Occurrences", "RatioTimeslices"): f"1 - avg_over_time(({SHARE})[5m:5m])",
    RATIO.replace("Occurrences", "Timeslices"): f"1 - avg_over_time((({SHARE}) >= bool 0.95)[5m:5m])",
    THRESHOLD: "1 - avg_over_time((((max(lag)) <= bool 100))[5m:1m])",
}


@pytest.mark.parametrize(
    "text", WRITTEN, ids=["ratio", "gauges", "window", "labels", "bad", "mean of slices", "slices", "threshold"]
)
def test_queries_of_prometheus_become_rules_of_their_own(text: str, tmp_path: Path) -> None:
    paths = written(tmp_path, text)
    assert "has PromQL queries of its own; `sidelight slo rules` writes rules for it" in imported(paths)
    (group,) = yaml.safe_load(rule_file(paths))["groups"]
    rules = {rule.get("record", rule.get("alert")): rule for rule in group["rules"]}
    assert rules["slo:bad_events:ratio_5m"]["expr"] == WRITTEN[text]
    (tmp_path / "rules.yaml").write_text(rule_file(paths))
    assert find([tmp_path / "rules.yaml"], Settings()).findings == []


def test_the_rules_of_an_objective_fire_at_the_burn_rates_of_the_workbook(tmp_path: Path) -> None:
    (group,) = yaml.safe_load(rule_file(written(tmp_path, RATIO)))["groups"]
    critical, warning = (rule for rule in group["rules"] if "alert" in rule)
    assert 'ratio_1h{slo="web-answers"} > 14.4 * 0.001' in critical["expr"]
    assert 'ratio_3d{slo="web-answers"} > 1 * 0.001' in warning["expr"]
    assert critical["labels"] == {"severity": "critical", "slo": "web-answers"}


def test_a_query_that_is_not_promql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpenSloError, match=r"query: got 'sum\(http_requests'; give PromQL \(unexpected end of input"):
        rule_file(written(tmp_path, RATIO.replace("query: sum(http_requests)", "query: 'sum(http_requests'")))


POLICY = """\
---
- apiVersion: openslo/v1
  kind: AlertPolicy
  metadata: {name: page-us}
  spec:
    conditions: [{conditionRef: fast-burn}, {conditionRef: elsewhere}]
    notificationTargets: [{targetRef: mail}]
- apiVersion: openslo/v1
  kind: AlertCondition
  metadata: {name: fast-burn}
  spec: {severity: page, condition: {kind: burnrate, op: gte, threshold: 7, lookbackWindow: 3h, alertAfter: 5m}}
"""


def test_alert_policies_become_alerts_beside_those_of_the_workbook(tmp_path: Path) -> None:
    text = rule_file(
        written(tmp_path, RATIO.replace("objectives:", "alertPolicies: [page-us, unknown]\n  objectives:") + POLICY)
    )
    (group,) = yaml.safe_load(text)["groups"]
    (agreed,) = (rule for rule in group["rules"] if rule.get("alert") == "ObjectiveBurnAsAgreed")
    assert agreed["expr"] == 'slo:bad_events:ratio_3h{slo="web-answers"} > 7 * 0.001'
    assert (agreed["for"], agreed["labels"]["severity"]) == ("5m", "page")
    assert "slo:bad_events:ratio_3h" in [rule.get("record") for rule in group["rules"]]
    assert "its alert policy unknown is in none of the files" in text
    assert "the condition elsewhere of its alert policy page-us is in none of the files" in text
    assert "the targets of its alert policy page-us are not kept: Alertmanager decides who is notified" in text


@pytest.mark.parametrize(
    ("was", "becomes", "note"),
    [
        ("op: gte", "op: lte", "op lte of its condition fast-burn is not kept: the alert fires above the threshold"),
        (
            "kind: burnrate",
            "kind: magic",
            "fast-burn of its alert policy page-us is not kept: {file}: web-answers: kind: got 'magic'",
        ),
        (
            "3h",
            "soon",
            "fast-burn of its alert policy page-us is not kept: {file}: web-answers: lookbackWindow: got 'soon'",
        ),
    ],
)
def test_what_of_a_condition_is_not_kept_is_named(was: str, becomes: str, note: str, tmp_path: Path) -> None:
    assert was in POLICY
    document = RATIO.replace("objectives:", "alertPolicies: [page-us]\n  objectives:") + POLICY.replace(was, becomes)
    paths = written(tmp_path, document)
    assert note.format(file=paths[0]) in rule_file(paths)


def test_a_data_source_in_the_files_says_whether_a_query_is_promql(tmp_path: Path) -> None:
    query = RATIO.replace("type: Prometheus", "metricSourceRef: ours").replace("my-prometheus", "ours")
    source = "---\napiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: ours}\nspec: {type: Prometheus}\n"
    assert yaml.safe_load(rule_file(written(tmp_path, query)))["groups"] == []
    (group,) = yaml.safe_load(rule_file(written(tmp_path, query + source)))["groups"]
    assert group["rules"][0]["expr"] == WRITTEN[RATIO]


def test_a_burn_rate_is_not_measured_over_more_than_the_period(tmp_path: Path) -> None:
    text = rule_file(written(tmp_path, RATIO.replace("duration: 30d", "duration: Day")))
    records = [rule["record"] for rule in yaml.safe_load(text)["groups"][0]["rules"] if "record" in rule]
    assert records == [f"slo:bad_events:ratio_{window}" for window in ("5m", "30m", "1h", "2h", "6h", "1d")]


def test_a_name_cannot_leave_its_comment_or_its_selector(tmp_path: Path) -> None:
    name = 'a"} or vector(1) # \ngroups: 7'
    path = tmp_path / "a.json"
    documents = [
        {**each, "metadata": {"name": name}} if each["kind"] == "SLO" else each for each in yaml.safe_load_all(RATIO)
    ]
    path.write_text(json.dumps(documents))
    (group,) = yaml.safe_load(rule_file([path]))["groups"]
    (tmp_path / "rules.yaml").write_text(rule_file([path]))
    assert [each.check.name for each in find([tmp_path / "rules.yaml"], Settings()).findings] == []
    assert group["name"] == f"slo-{name}"
    assert yaml.safe_load(imported([path])) == {"slo": {}}


def test_a_document_with_a_fault_is_left_out_and_named(tmp_path: Path) -> None:
    wrong = CHECKOUT.replace("checkout", "search").replace("target: 0.95", "target: 95")
    paths = written(tmp_path, CHECKOUT, wrong, "a: [")
    done = CliRunner().invoke(app, ["slo", "import", "--unit", "s", *map(str, paths)])
    assert done.exit_code == 1
    assert [each["match"]["job"] for each in yaml.safe_load(done.stdout)["slo"]["overrides"]] == ["checkout"]
    for text in (done.stdout, done.stderr):
        assert f"left out: {paths[1]}: search-works: spec.objectives[1].target: got 95" in text
        assert f"left out: {paths[2]}:" in text


# --- Export ----------------------------------------------------------------------------------------------------------

SECTIONS: list[dict[str, Any]] = [
    {"period": "30d", "overrides": []},
    {"availability": 0.995, "latency": {"ratio": 0.9, "seconds": 0.3}, "period": "28d", "overrides": []},
    {
        "period": "14d",
        "overrides": [
            {"match": {"job": "checkout"}, "availability": 0.9995},
            {"match": {"job": "search", "namespace": "eu"}, "latency": {"seconds": 0.25}},
        ],
    },
]


@pytest.mark.parametrize("section", SECTIONS, ids=["defaults", "other numbers", "overrides"])
def test_what_is_exported_is_imported_again(section: dict[str, Any], tmp_path: Path) -> None:
    group_by = ["job", "namespace"]
    settings = parse_settings({"slo": section, "alerting": {"group_by": group_by}})
    path = tmp_path / "exported.yaml"
    path.write_text(exported(settings))
    again = parse_settings({**yaml.safe_load(imported([path])), "alerting": {"group_by": group_by}})
    assert again.slo.period == settings.slo.period
    assert [again.slo.of(one) for one in again.slo.overrides] == [
        settings.slo.of(one) for one in settings.slo.overrides
    ]
    assert (again.slo.availability, again.slo.latency) == (settings.slo.availability, settings.slo.latency)


def test_the_command_prints_the_section_and_names_a_missing_file(tmp_path: Path) -> None:
    (path,) = written(tmp_path, CHECKOUT)
    assert CliRunner().invoke(app, ["slo", "import", "--unit", "s", str(path)]).stdout == imported([path], "s")
    missing = CliRunner().invoke(app, ["slo", "import", str(path), str(tmp_path / "missing.yaml")])
    assert missing.exit_code == 1
    assert "missing.yaml: the file: got 'No such file or directory'" in missing.stderr
    assert CliRunner().invoke(app, ["slo", "import", "--unit", "min", str(path)]).exit_code == 2
    assert "kind: SLO" in CliRunner().invoke(app, ["slo", "export"]).stdout
