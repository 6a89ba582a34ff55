"""Rules are derived only from settings and catalog."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import ALERTS, AlertRule, RuleGroup, generated, groups
from alerts.checking.promql import check
from alerts.checking.series import faults, series
from alerts.links import LABELS
from alerts.model import RecordingRule, number, to_rule_file
from alerts.recording.cost import cost_rules
from alerts.rule_tests.promtool import rendered
from instrumentation import catalog
from instrumentation.errors import SettingsError
from instrumentation.settings import Settings, parse_settings
from instrumentation.settings.faults import section_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH_IS_SLOW = parse_settings(
    {
        "thresholds": {
            "overrides": [
                {"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2, "warning": 1.3}},
                {"match": {"namespace": "batch"}, "error_ratio": {"critical": 0.2}},
                {"match": {"queue": "emails"}, "queue_depth": {"critical": 7000}},
                {"match": {"job": "agents"}, "daily_usd": 13.0},
            ]
        },
        "alerting": {"group_by": ["job", "namespace"]},
    }
)
IDENTITY = Settings().alerting.group_by
BUDGET = parse_settings({"budget": {"daily_usd": 7.3}})  # with it there is every rule
BOTH = pytest.mark.parametrize("settings", [BUDGET, SEARCH_IS_SLOW], ids=["defaults", "overrides"])


def alert_rules(settings: Settings) -> list[AlertRule]:
    return [rule for group in groups(settings) for rule in group.rules if isinstance(rule, AlertRule)]


def rule(settings: Settings, alert: str, key: str) -> AlertRule:
    return next(rule for rule in alert_rules(settings) if (rule.alert, rule.key) == (alert, key))


@BOTH
def test_every_rule_reads_only_what_exists(settings: Settings) -> None:
    assert faults(groups(settings), settings.alerting.group_by) == []


def test_renaming_a_row_of_the_catalog_breaks_the_rules_that_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = groups(Settings())
    others = tuple(row for row in catalog.METRICS if row is not catalog.TARGET_INFO)
    renamed = replace(catalog.TARGET_INFO, name="renamed_info")
    monkeypatch.setattr("alerts.checking.promql.METRICS", (*others, renamed))
    told = "job_service_version:target_info:count reads 'target_info', which is in no catalog row and no recording rule"
    assert told in faults(made, IDENTITY)


def test_a_sentence_with_a_label_that_the_rule_drops_is_reported() -> None:
    down = replace(rule(Settings(), "ServiceDown", "critical"), description="{{ $labels.instance }} is down.")
    (deployment,) = (group for group in groups(Settings()) if group.name == "sidelight.deployment")
    group = RuleGroup(name="x", interval=Settings().alerting.window, rules=(*deployment.rules, down))
    assert faults([group], IDENTITY) == [
        "ServiceDown (critical) says $labels.instance, which its expression does not return"
    ]


@BOTH
def test_every_placeholder_has_its_number(settings: Settings) -> None:
    for made in alert_rules(settings):
        places = set(re.findall(r"\[\[(\w+)\]\]", made.expr + made.description))
        assert places == set(made.parameters), made.alert
        assert "[[" not in yaml.safe_dump(made.document())


@pytest.mark.parametrize(
    ("alert", "section"), [("HighErrorRate", "error_ratio"), ("HighLatencyP95", "latency_p95_seconds")]
)
def test_changing_a_threshold_changes_the_expression_and_the_sentence_together(alert: str, section: str) -> None:
    changed = rule(parse_settings({"thresholds": {section: {"critical": 0.73}}}), alert, "critical")
    assert "> 0.73\n" in changed.filled(changed.expr)
    sentence = rendered(changed.filled(changed.description), {"job": "shop"}, 0.9)
    assert {"HighErrorRate": "(limit 73%).", "HighLatencyP95": "(limit 730ms)."}[alert] in sentence


def test_an_override_applies_to_its_service_and_to_no_other() -> None:
    own = rule(SEARCH_IS_SLOW, "HighLatencyP95", "critical_overrides")
    base = rule(SEARCH_IS_SLOW, "HighLatencyP95", "critical")
    p95 = "job:http_server_request_duration_seconds:p95_rate5m"
    recorded = "job:latency_p95_seconds_threshold:critical"
    assert own.expr.startswith(f"{p95} > {recorded}\n")
    assert base.expr.startswith(f"({p95} unless {recorded}) > [[threshold]]\n")
    requests = 'job:http_server_requests:increase5m{job="search"}'
    assert records(SEARCH_IS_SLOW)[recorded] == f"0 * {requests} + 2.2"


def test_an_override_may_name_a_queue() -> None:
    own = rule(SEARCH_IS_SLOW, "QueueBacklogGrowing", "critical_overrides")
    base = rule(SEARCH_IS_SLOW, "QueueBacklogGrowing", "critical")
    depth, recorded = "job_queue:queue_depth:max", "job_queue:queue_depth_threshold:critical"
    assert own.expr.startswith(f"{depth} > {recorded}\n")
    assert "age" not in own.expr
    assert base.expr.startswith(f"({depth} unless {recorded}) > [[threshold]]\n")
    assert records(SEARCH_IS_SLOW)[recorded] == f'0 * {depth}{{queue="emails"}} + 7000'


def test_a_budget_of_one_service_does_not_apply_to_others() -> None:
    keys = [made.key for made in alert_rules(SEARCH_IS_SLOW) if made.alert == "DailyCostOverBudget"]
    assert keys == ["critical_overrides", "warning_overrides"]
    own = records(SEARCH_IS_SLOW)["job:daily_usd_threshold:warning"]
    assert own.endswith('{job="agents"} + 10.4')


def test_of_overrides_the_first_that_matches_counts_and_equal_numbers_are_one_term() -> None:
    overrides = [
        {"match": {"job": "a", "namespace": "x"}, "error_ratio": {"critical": 0.5}},
        {"match": {"job": "a"}, "error_ratio": {"critical": 0.2}},
        {"match": {"job": "b"}, "error_ratio": {"critical": 0.3}},
        {"match": {"job": "c|d"}, "error_ratio": {"critical": 0.2}},
    ]
    settings = parse_settings({"thresholds": {"overrides": overrides}, "alerting": {"group_by": ["job", "namespace"]}})
    own = records(settings)["job:error_ratio_threshold:critical"]
    assert re.findall(r"\{(.*?)\} \+ ([\d.]+)", own) == [
        ('namespace="x", job="a"', "0.5"),
        ('job=~"a|c\\\\|d"', "0.2"),
        ('job="b"', "0.3"),
    ]


def records(settings: Settings) -> dict[str, str]:
    return {
        made.record: made.expr for group in groups(settings) for made in group.rules if isinstance(made, RecordingRule)
    }


@pytest.mark.parametrize("name", ["error_ratio", "queue_depth", "disk_used_ratio"])
def test_the_rules_grow_with_the_overrides_and_not_with_their_square(name: str) -> None:
    def size(count: int) -> int:
        overrides = [
            {"match": {"job": f"service-{number:04}"}, name: {"critical": 2000 + number}}
            if name == "queue_depth"
            else {"match": {"job": f"service-{number:04}"}, name: {"critical": 0.9 + number / 100_000}}
            for number in range(count)
        ]
        return len(to_rule_file(groups(parse_settings({"thresholds": {"overrides": overrides}}))))

    small, medium, large = size(10), size(500), size(1000)
    assert large - medium < 1.1 * (medium - small)
    assert large < 300_000


def test_a_budget_for_all_and_one_of_a_service_are_shares_of_their_own() -> None:
    own = {"match": {"job": "agents"}, "daily_usd": 13.0}
    settings = parse_settings({"budget": {"daily_usd": 7.3}, "thresholds": {"overrides": [own]}})
    records = {rule.record: rule.expr for rule in cost_rules(settings)}
    today = "job:workflow_cost_usd:increase_today"
    own = "job:daily_usd_threshold:critical"
    assert records["job:workflow_cost_usd_per_budget:ratio_today"] == (
        f"({today} unless {own}) / 7.3\nor\n{today} / ({own} / 1)"
    )


def test_without_a_budget_nothing_of_the_cost_is_recorded() -> None:
    assert cost_rules(Settings()) == []


def test_a_disk_that_may_be_fuller_is_full_later_too() -> None:
    static = {"match": {"path": "/static"}, "disk_used_ratio": {"warning": 0.98, "critical": 0.99}}
    settings = parse_settings({"thresholds": {"overrides": [static]}})
    assert records(settings)["job_instance_path:full_ratio_threshold:critical"].endswith('{path="/static"} + 0.99')
    assert rule(settings, "DiskFillingUp", "critical").parameters["full_ratio"].value == 0.95


def test_an_override_without_a_number_changes_no_rule() -> None:
    keys = [made.key for made in alert_rules(SEARCH_IS_SLOW) if made.alert == "HighErrorRate"]
    assert keys == ["critical", "warning", "critical_overrides"]


def test_a_value_in_an_override_cannot_break_out_of_its_quotes() -> None:
    settings = parse_settings(
        {"thresholds": {"overrides": [{"match": {"job": 'a"} or vector(1) #'}, "error_ratio": {"critical": 0.5}}]}}
    )
    assert faults(groups(settings), IDENTITY) == []
    own = records(settings)["job:error_ratio_threshold:critical"]
    assert own.endswith('{job="a\\"} or vector(1) #"} + 0.5')


@BOTH
def test_every_alert_waits_and_every_condition_compares(settings: Settings) -> None:
    for made in alert_rules(settings):
        assert made.for_.seconds > 0
        assert made.alert == "Watchdog" or re.search(r"[<>]=?|==|unless", made.expr)
        assert "bool" not in made.expr


@BOTH
def test_no_two_rules_are_the_same(settings: Settings) -> None:
    rules = alert_rules(settings)
    assert len({(made.alert, made.key) for made in rules}) == len(rules)
    assert len({made.filled(made.expr) for made in rules}) == len(rules)


LINKED = {
    "alerting": {"runbook_url": "https://wiki.example/{alert}?{labels}"},
    "dashboards": {"base_url": "https://grafana.example"},
}


def test_every_alert_links_its_runbook_and_its_dashboard() -> None:
    for made in alert_rules(parse_settings(LINKED | {"budget": {"daily_usd": 7.0}})):
        own = "" if made.alert == "Watchdog" else LABELS
        assert made.urls["runbook_url"] == f"https://wiki.example/{made.alert}?{own}"
        board = (
            "business"
            if made.alert in {"WorkflowFailures", "WorkflowKeepsFailing", "DailyCostOverBudget"}
            else "operations"
        )
        assert made.urls["dashboard_url"].partition("?")[0] == f"https://grafana.example/d/sidelight-{board}"


@BOTH
def test_without_an_address_no_alert_has_a_link(settings: Settings) -> None:
    assert {url for made in alert_rules(settings) for url in made.urls} == set()


@pytest.mark.parametrize(
    "given",
    ["https://wiki.example", "https://wiki.example/{name}", "wiki.example/{alert}", "https://a.example/{alert}?{job}"],
)
def test_a_runbook_address_without_the_alert_or_with_another_place_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"alerting\.runbook_url: got .* in which \{alert\} stands for"):
        parse_settings({"alerting": {"runbook_url": given}})


NAMED = {"severities": {"critical": "page", "warning": "ticket"}}


def test_names_of_severities_are_in_every_rule_its_tests_and_the_series_that_rules_read() -> None:
    files = generated(parse_settings({"alerting": NAMED, "budget": {"daily_usd": 7.0}}))
    rules = [rule for group in yaml.safe_load(files["rules.yaml"])["groups"] for rule in group["rules"]]
    assert {rule["labels"]["severity"] for rule in rules if "alert" in rule} == {"page", "ticket", "info", "none"}
    for name, text in files.items():
        assert not re.search(r"""severity: (critical|warning)|severity\W+(=|eq)\W*"?(critical|warning)""", text), name


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"critical": "warning"}, 'alerting.severities.critical: got "warning" twice; give each severity a value'),
        ({"info": 'a"b'}, r'alerting.severities.info: got "a\"b"; give letters, digits'),
    ],
)
def test_a_severity_that_cannot_be_told_from_another_is_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        parse_settings({"alerting": {"severities": given}})


def test_a_label_of_all_alerts_is_on_every_alert_that_does_not_have_it_itself() -> None:
    made = alert_rules(parse_settings({"alerting": {"labels": {"team": "shop", "kind": "alert"}}}))
    assert {rule.labels["team"] for rule in made} == {"shop"}
    assert {rule.alert for rule in made if rule.labels["kind"] == "event"} == {"DeploymentCompleted"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{{ "0.7" | humanizeDuration }}', "700ms"),
        ('{{ "73" | humanizeDuration }}', "1m 13s"),
        ('{{ "3600" | humanizeDuration }}', "1h 0m 0s"),
        ('{{ "93784" | humanizeDuration }}', "1d 2h 3m 4s"),
        ('{{ $value | printf "%.0f" }}', "12345"),
        ('{{ $value | printf "%.2f" }}', "12345.00"),
    ],
)
def test_a_sentence_reads_as_prometheus_would_write_it(template: str, text: str) -> None:
    assert rendered(template, {}, 12345) == text


@BOTH
def test_the_summary_is_the_same_for_every_service(settings: Settings) -> None:
    assert all("{{" not in made.summary for made in alert_rules(settings))


def test_recorded_series_are_named_level_metric_operations() -> None:
    records = [
        made.record for group in groups(SEARCH_IS_SLOW) for made in group.rules if isinstance(made, RecordingRule)
    ]
    assert records
    assert all(re.fullmatch(r"job(_\w+)?:\w+:\w+", record) for record in records)


@pytest.mark.parametrize("identity", [("cluster", "namespace", "environment", "job"), ("region", "job")])
def test_no_rule_sums_over_a_label_of_the_identity_and_every_alert_names_all(identity: tuple[str, ...]) -> None:
    settings = parse_settings(
        {"budget": {"daily_usd": 7.3}, "alerting": {"group_by": list(identity)}, "dashboards": LINKED["dashboards"]}
    )
    made = groups(settings)
    known = series(made, identity)
    for group in made:
        for one in group.rules:
            kept = check(one.filled(one.expr) if isinstance(one, AlertRule) else one.expr, known).labels
            assert (isinstance(one, AlertRule) and one.alert == "Watchdog") or set(identity) <= set(kept or ()), one
    labels = {label: f"this-{label}" for label in identity}
    for one in alert_rules(settings):
        said, link = (
            rendered(one.filled(one.annotations[name]), {**labels, **OTHERS}, 1)
            for name in ("description", "dashboard_url")
        )
        if one.alert != "Watchdog":
            assert "/".join(labels.values()) in said
            assert all(f"var-{label}=this-{label}" in link for label in identity)


OTHERS = dict.fromkeys(
    ("instance", "path", "queue", "workflow", "slo", "check", "exporter", "service_version"), "something"
)


NUMBERS_THAT_MATTER = [
    ("thresholds.error_ratio.warning", 0.02),
    ("thresholds.error_ratio.critical", 0.1),
    ("thresholds.latency_p95_seconds.warning", 0.7),
    ("thresholds.latency_p95_seconds.critical", 2.0),
    ("thresholds.cpu_used_ratio.warning", 0.6),
    ("thresholds.cpu_used_ratio.critical", 0.9),
    ("thresholds.memory_used_ratio.warning", 0.6),
    ("thresholds.memory_used_ratio.critical", 0.9),
    ("thresholds.disk_used_ratio.warning", 0.6),
    ("thresholds.disk_used_ratio.critical", 0.85),
    ("thresholds.disk_full_ratio", 0.97),
    ("thresholds.queue_depth.warning", 200),
    ("thresholds.queue_depth.critical", 2000),
    ("thresholds.queue_oldest_age_seconds.warning", 1200.0),
    ("thresholds.queue_oldest_age_seconds.critical", 7200.0),
    ("thresholds.workflow_failure_ratio.warning", 0.1),
    ("thresholds.workflow_failure_ratio.critical", 0.4),
    ("thresholds.dependency_error_ratio.warning", 0.2),
    ("thresholds.dependency_error_ratio.critical", 0.8),
    ("thresholds.pool_used_ratio.warning", 0.6),
    ("thresholds.pool_used_ratio.critical", 0.9),
    ("thresholds.repeated_queries_growth", 2),
    ("budget.daily_usd", 14.6),
    ("budget.spent_ratio.warning", 0.4),
    ("budget.spent_ratio.critical", 2.0),
    ("alerting.window", "10m"),
    ("alerting.workflow_window", "2h"),
    ("alerting.trend.window", "1h"),
    ("alerting.trend.queue_drained_within", "2h"),
    ("alerting.trend.memory_full_within.warning", "8h"),
    ("alerting.trend.memory_full_within.critical", "2h"),
    ("alerting.trend.disk_window", "12h"),
    ("alerting.trend.disk_full_within.warning", "2d"),
    ("alerting.trend.disk_full_within.critical", "8h"),
    ("alerting.restarts.window", "4h"),
    ("alerting.restarts.minimum", 6),
    ("alerting.minimum_bad_events", 6),
    ("alerting.for.critical", "4m"),
    ("alerting.for.warning", "10m"),
    ("alerting.for.info", "2m"),
    ("alerting.keep_firing_for", "4m"),
    ("alerting.evaluation_interval", "60s"),
    ("alerting.deployment_lookback", "30m"),
    ("alerting.slow_scrape_seconds", 5.0),
    ("alerting.collector_queue_ratio", 0.8),
    ("alerting.notification.group_wait", "60s"),
    ("alerting.notification.group_interval", "10m"),
    ("alerting.notification.repeat_interval", "8h"),
    ("alerting.notification.watchdog_interval", "2m"),
    ("slo.availability", 0.99),
    ("slo.latency.ratio", 0.95),
    ("slo.latency.seconds", 0.25),
    ("slo.period", "28d"),
]


@pytest.mark.parametrize(("path", "value"), NUMBERS_THAT_MATTER, ids=[path for path, _ in NUMBERS_THAT_MATTER])
def test_every_number_is_used(path: str, value: object) -> None:
    changed: Any = {"budget": {"daily_usd": 7.3}}
    *sections, key = path.split(".")
    place = changed
    for section in sections:
        place = place.setdefault(section, {})
    place[key] = value
    was, now = generated(BUDGET), generated(parse_settings(changed))
    differing = {name for name in was if was[name] != now[name]}
    if path.startswith("alerting.notification"):
        assert differing == {"alertmanager.yaml"}
    else:
        assert "rules.yaml" in differing
        assert differing & {"rules_test.yaml", "rules_slow_test.yaml", "rules_slo_test.yaml"}


def test_no_number_is_left_out() -> None:
    others = {
        "group_by",
        "workload_job",
        "runbook_url",
        "severities",
        "labels",
        "external_labels",
        "receivers",
        "teams",
        "mute_times",
        "overrides",
        "left_out",
    }
    found = {
        key
        for section in ("thresholds", "alerting", "budget", "slo")
        for key in leaves(Settings.model_fields[section].annotation, f"{section}.", others)
    }
    assert found == {path for path, _ in NUMBERS_THAT_MATTER}


def leaves(section: Any, prefix: str, others: set[str]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if name not in others and inner is None:
            yield f"{prefix}{field.alias or name}"
        elif name not in others:
            yield from leaves(inner, f"{prefix}{field.alias or name}.", others)


def test_building_twice_gives_the_same_text() -> None:
    assert generated(SEARCH_IS_SLOW) == generated(SEARCH_IS_SLOW)


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.05, "0.05"), (3, "3"), (0.1 + 0.2, "0.30000000000000004")])
def test_a_number_is_written_the_shortest_way(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_names_every_alert_once() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert set(names) == {made.alert for made in alert_rules(BUDGET)}
