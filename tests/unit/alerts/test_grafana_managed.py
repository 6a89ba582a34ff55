"""Rules as Grafana-managed alerts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from alerts import groups
from alerts.grafana_managed import provisioning_files
from alerts.model import AlertRule, RecordingRule
from instrumentation.settings import Settings, parse_settings
from tests.support.signals import DECLARED

LINKED = {
    "service": {"name": "shop"},
    "alerting": {"runbook_url": "https://wiki.example/{alert}?{labels}"},
    "dashboards": {"base_url": "https://grafana.example"},
}
VARIED: dict[str, dict[str, Any]] = {
    "default": {},
    "links": LINKED,
    "signals": {"signals": DECLARED},
    "overrides": {
        "thresholds": {"overrides": [{"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2}}]}
    },
}
ACTION = re.compile(
    r"(with \.Labels\.\w+|end|\.( \| urlquery)?|(\.Labels\.\w+|\.Values\.query\.Value|\"-?[\d.]+\")( \| (humanize\w*|urlquery|printf \"%\.\df\"))?)"
)


def exported(settings: Settings, name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(
        provisioning_files(settings, "prom")[f"provisioning/alerting/sidelight-{name}.yaml"]
    )
    return document


def rules_of(settings: Settings, name: str) -> list[dict[str, Any]]:
    return [rule for group in exported(settings, name)["groups"] for rule in group["rules"]]


@pytest.fixture(params=VARIED)
def settings(request: pytest.FixtureRequest) -> Settings:
    return parse_settings(VARIED[request.param])


def test_every_rule_is_there_with_its_expression(settings: Settings) -> None:
    made = [rule for group in groups(settings) for rule in group.rules]
    alerts, recorded = rules_of(settings, "alerts"), rules_of(settings, "recording")
    wanted = [(rule.alert, rule.document()["expr"]) for rule in made if isinstance(rule, AlertRule)]
    assert [(one["title"].partition(" ")[0], one["data"][0]["model"]["expr"]) for one in alerts] == wanted
    assert [(one["record"]["metric"], one["data"][0]["model"]["expr"]) for one in recorded] == [
        (rule.record, rule.expr) for rule in made if isinstance(rule, RecordingRule)
    ]
    assert {one["record"]["targetDatasourceUid"] for one in recorded} == {"prom"}


def test_uids_are_valid_and_titles_and_uids_are_unique(settings: Settings) -> None:
    every = [*rules_of(settings, "alerts"), *rules_of(settings, "recording")]
    uids = [rule["uid"] for rule in every]
    titles = [rule["title"] for rule in every]
    assert len(set(uids)) == len(uids)
    assert sorted({title for title in titles if titles.count(title) > 1}) == []
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", uid) for uid in uids)


def test_uids_stay_and_differ_between_owners() -> None:
    shop, search = (parse_settings({"service": {"name": name}}) for name in ("shop", "search"))
    assert rules_of(shop, "alerts") == rules_of(shop, "alerts")
    assert not {rule["uid"] for rule in rules_of(shop, "alerts")} & {rule["uid"] for rule in rules_of(search, "alerts")}


def test_texts_have_only_what_grafana_knows(settings: Settings) -> None:
    for rule in rules_of(settings, "alerts"):
        for text in [*rule["annotations"].values(), *rule["labels"].values()]:
            assert "$" not in text
            assert [action for action in re.findall(r"{{ (.*?) }}", text) if not ACTION.fullmatch(action)] == []


def test_a_limit_that_only_a_query_knows_is_said_to_be_of_the_service() -> None:
    texts = [rule["annotations"]["description"] for rule in rules_of(parse_settings(VARIED["overrides"]), "alerts")]
    assert [text for text in texts if text.endswith("(limit set for this service).")]


def test_a_link_has_the_labels_of_the_alert() -> None:
    link = next(
        rule["annotations"]["runbook_url"]
        for rule in rules_of(parse_settings(LINKED), "alerts")
        if rule["title"] == "QueueBacklogGrowing (warning)"
    )
    assert "{{ with .Labels.queue }}queue={{ . | urlquery }}&{{ end }}" in link
    assert "{{ with .Labels.job }}job={{ . | urlquery }}&{{ end }}" in link


def test_an_alert_ends_as_in_prometheus() -> None:
    rule = rules_of(parse_settings({}), "alerts")[0]
    assert (rule["noDataState"], rule["missing_series_evals_to_resolve"], rule["for"]) == ("OK", 1, "2m")
    assert rule["condition"] == rule["data"][-1]["refId"] == "threshold"
    assert json.dumps(rule["data"][-1]["model"]["conditions"]) == '[{"evaluator": {"type": "gt", "params": [0]}}]'
