"""Alerts, services and the values of variables, as Prometheus gives them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.settings import parse_settings
from sidelight.view import overview, variables
from sidelight.view.boards import Boards
from tests.unit.sidelight.view.conftest import Page

if TYPE_CHECKING:
    import httpx

    from tests.unit.sidelight.view.conftest import StandIn


def get(page: Page, path: str, **parameters: Any) -> Any:
    async def run() -> httpx.Response:
        async with page.client() as client:
            return await client.get(f"/api/{path}", params=parameters)

    answer = asyncio.run(run())
    assert answer.status_code == 200, answer.text
    return answer.json()


def rule(name: str, state: str, *states: str) -> dict[str, Any]:
    alerts = [
        {"labels": {}, "annotations": {}, "state": each, "activeAt": "2026-03-05T12:00:00Z", "value": "1"}
        for each in states
    ]
    return {
        "name": name, "state": state, "query": "vector(1)", "labels": {"severity": "warning"}, "alerts": alerts,
        "annotations": {"runbook_url": f"https://sidelight.example/runbooks/{name}.md"},
    }  # fmt: skip


def test_firing_alerts_come_first_with_their_runbooks(page: Page, prometheus: StandIn) -> None:
    rules = [rule("Idle", "inactive"), rule("Soon", "pending", "pending"), rule("Now", "firing", "pending", "firing")]
    prometheus.answers["rules"] = {"groups": [{"name": "sidelight", "rules": rules}]}
    found = get(page, "alerts")
    assert [alert["name"] for alert in found] == ["Now", "Soon", "Idle"]
    assert [each["state"] for each in found[0]["instances"]] == ["firing", "pending"]
    assert found[0]["annotations"]["runbook_url"] == "https://sidelight.example/runbooks/Now.md"
    assert prometheus.asked == [("rules", {"type": "alert"})]


def test_a_rule_that_fires_for_many_says_how_many_are_not_listed(
    page: Page, prometheus: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "MOST_INSTANCES", 3)
    prometheus.answers["rules"] = {"groups": [{"name": "sidelight", "rules": [rule("Now", "firing", *["firing"] * 7)]}]}
    (alert,) = get(page, "alerts")
    assert (len(alert["instances"]), alert["left_out"]) == (3, 4)


def vector(*series: dict[str, str], value: str = "1") -> dict[str, Any]:
    return {"resultType": "vector", "result": [{"metric": each, "value": [1000, value]} for each in series]}


def test_services_are_told_apart_by_cluster_and_namespace(
    page: Page, prometheus: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = {"job": "shop", "namespace": "a"}
    by_query = {
        "up": vector(
            {**shop, "instance": "1"}, {**shop, "instance": "2"}, {"job": "shop", "namespace": "b"}, {"job": "node"}
        ),
        "target_info": vector({**shop, "service_version": "1.4.0"}, {**shop, "service_version": "1.5.0"}),
    }
    by_query["up"]["result"][1]["value"][1] = "0"

    async def instant(_: object, expression: str, at: float) -> dict[str, Any]:
        del at
        return by_query.get(expression, vector({**shop, "alertname": "HighErrorRate", "severity": "critical"}))

    monkeypatch.setattr("sidelight.view.prometheus.Prometheus.instant", instant)
    first, *others = get(page, "services")
    assert first == {
        "identity": shop, "observed": True, "versions": {"1.4.0": 1, "1.5.0": 1}, "up": 1, "targets": 2, "alerts": {"critical": 1},
    }  # fmt: skip
    assert [service["identity"] for service in others] == [{"job": "node"}, {"job": "shop", "namespace": "b"}]
    assert prometheus.asked == []


def test_severities_and_the_identity_of_a_service_are_those_of_the_settings(prometheus: StandIn) -> None:
    alerting = {"severities": {"critical": "page", "none": "heartbeat"}, "group_by": ["region", "job"]}
    page = Page(Boards(parse_settings({"alerting": alerting})), prometheus)
    regions = [{"job": "shop", "region": region, "cluster": "c"} for region in ("eu", "us")]
    prometheus.answers["query"] = vector(*regions)
    assert [service["identity"] for service in get(page, "services")] == [
        {"region": region, "job": "shop"} for region in ("eu", "us")
    ]
    assert 'ALERTS{alertstate="firing",kind!="event",severity!="heartbeat"}' in prometheus.queries
    assert get(page, "dashboards")["severities"] == {
        "page": "critical",
        "warning": "warning",
        "info": "info",
        "heartbeat": "none",
    }


def test_the_values_of_a_variable_depend_on_those_before_it(page: Page, prometheus: StandIn) -> None:
    found = get(page, "dashboards/sidelight-operations/variables", **{"var-job": ["shop", 'a"b']})
    shown = {each["name"]: (each["values"], each["chosen"]) for each in found}
    assert shown["job"] == (["search", "shop"], ["shop", 'a"b'])
    assert shown["instance"] == (["10.0.0.1:8000"], ["$__all"])
    asked = dict(prometheus.asked)["label/instance/values"]
    assert asked["match[]"].endswith('job=~"(shop|a\\"b)"}')


def test_a_variable_with_too_many_values_says_so(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "MOST_OPTIONS", 1)
    found = get(page, "dashboards/sidelight-operations/variables")
    job = next(each for each in found if each["name"] == "job")
    assert (job["values"], job["note"]) == (["search"], "Only the first 1 of 2 values are listed.")


@pytest.mark.parametrize(
    ("variable", "values", "chosen", "query"),
    [
        ({"type": "custom", "query": "5m, 1h", "current": {"value": "1h"}}, ["5m", "1h"], ["1h"], "rate(a[1h])"),
        ({"type": "custom", "query": "5m,1h"}, ["5m", "1h"], ["5m"], "rate(a[5m])"),
        ({"type": "constant", "query": "7m"}, ["7m"], ["7m"], "rate(a[7m])"),
    ],
)
def test_variables_with_fixed_values(  # noqa: PLR0913, PLR0917
    page: Page,
    boards: Boards,
    prometheus: StandIn,
    variable: dict[str, Any],
    values: list[str],
    chosen: list[str],
    query: str,
) -> None:
    document: Any = boards.board("sidelight-fleet").document
    document["templating"]["list"].append({"name": "window", **variable})
    panel = next(iter(boards.board("sidelight-fleet").panels.values()))
    panel["targets"][1:] = []
    panel["targets"][0]["expr"] = "rate(a[$window])"
    found = get(page, "dashboards/sidelight-fleet/variables")[-1]
    assert (found["values"], found["chosen"]) == (values, chosen)
    get(page, f"dashboards/sidelight-fleet/panels/{panel['id']}")
    assert prometheus.queries == [query]


def test_all_without_a_pattern_of_its_own_is_each_value(page: Page, boards: Boards, prometheus: StandIn) -> None:
    document: Any = boards.board("sidelight-fleet").document
    job = next(each for each in document["templating"]["list"] if each["name"] == "job")
    del job["allValue"]
    panel = next(iter(boards.board("sidelight-fleet").panels.values()))
    panel["targets"][1:] = []
    panel["targets"][0]["expr"] = 'up{job=~"$job"}'
    get(page, f"dashboards/sidelight-fleet/panels/{panel['id']}")
    assert prometheus.queries == ['up{job=~"(search|shop)"}']


def test_a_variable_with_a_query_of_another_kind_is_named(page: Page, boards: Boards) -> None:
    document: Any = boards.board("sidelight-fleet").document
    document["templating"]["list"].append({"name": "top", "type": "query", "query": "query_result(topk(5, up))"})
    note = get(page, "dashboards/sidelight-fleet/variables")[-1]["note"]
    assert note == "The query of top is not label_values(...), so its values are not listed."
