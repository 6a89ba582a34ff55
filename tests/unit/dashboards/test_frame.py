"""The parts of a dashboard other than its panels."""

from __future__ import annotations

import re
from typing import Any

import pytest

from alerts import groups
from alerts.links import OPERATIONS_UID
from dashboards import DASHBOARDS
from instrumentation.settings import Settings, parse_settings


def _built(name: str, settings: Settings | None = None) -> dict[str, Any]:
    return dict(DASHBOARDS[name](settings or Settings()))


@pytest.mark.parametrize(
    ("name", "uid", "start"),
    [
        ("operations", "sidelight-operations", "now-1h"),
        ("business", "sidelight-business", "now-24h"),
        ("fleet", "sidelight-fleet", "now-3h"),
    ],
)
def test_a_dashboard_has_a_stable_address_and_opens_on_its_time_range(name: str, uid: str, start: str) -> None:
    dashboard = _built(name)
    assert (dashboard["uid"], dashboard["tags"], dashboard["timezone"]) == (uid, ["sidelight"], "browser")
    assert dashboard["time"] == {"from": start, "to": "now"}
    assert dashboard["graphTooltip"] == 1


def test_the_alerts_link_to_the_operations_dashboard() -> None:
    assert _built("operations")["uid"] == OPERATIONS_UID


@pytest.mark.parametrize(
    ("settings", "titled"),
    [
        ({"dashboards": {"owner": "payments"}}, "payments"),
        ({"service": {"name": "billing"}}, "billing"),
        ({"service": {"name": "billing"}, "dashboards": {"owner": "payments"}}, "payments"),
        ({"dashboards": {"owner": "Größe & Co."}}, "Größe & Co."),
        ({"service": {"name": "a" * 200}}, "a" * 27),
    ],
    ids=["owner", "service", "both", "other letters", "long"],
)
def test_with_an_owner_every_link_leads_to_that_owners_dashboards(settings: dict[str, Any], titled: str) -> None:
    read = parse_settings(settings)
    built = {name: _built(name, read) for name in DASHBOARDS}
    uids = {dashboard["uid"] for dashboard in built.values()}
    assert all(re.fullmatch("sidelight-[a-z0-9-]{1,30}", uid) for uid in uids)
    assert uids.isdisjoint(_built(name)["uid"] for name in DASHBOARDS)
    assert all(dashboard["title"].startswith(titled) for dashboard in built.values())
    rules = [group.document() for group in groups(read)]
    links = re.findall(r"/d/([a-z0-9-]+)", f"{built} {rules}")
    assert set(links) == uids


def test_owners_that_differ_have_other_uids() -> None:
    owners = ("shop", "Shop", "sh-op", "a" * 19, "a" * 20, "a" * 40)
    names = ("a" * 200, "a" * 199 + "b")
    given = [{"dashboards": {"owner": owner}} for owner in owners] + [{"service": {"name": name}} for name in names]
    assert len({_built("fleet", parse_settings(settings))["uid"] for settings in given}) == len(given)


def test_the_page_is_refreshed_as_the_settings_say() -> None:
    assert _built("business", parse_settings({"dashboards": {"refresh": "17s"}}))["refresh"] == "17s"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_links_to_the_others_with_time_and_variables(name: str) -> None:
    *links, alerts = _built(name)["links"]
    assert [link["url"] for link in links] == [f"/d/sidelight-{other}" for other in DASHBOARDS if other != name]
    assert all(link["keepTime"] and link["includeVars"] for link in links)
    assert alerts["url"] == "/alerting/list"


IDENTITY = ("cluster", "namespace", "environment")


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("operations", ["datasource", *IDENTITY, "job", "instance"]),
        ("business", ["datasource", *IDENTITY, "job", "instance"]),
        ("fleet", ["datasource", *IDENTITY, "job"]),
    ],
)
def test_a_dashboard_has_only_variables_that_its_panels_read(name: str, variables: list[str]) -> None:
    assert [variable["name"] for variable in _built(name)["templating"]["list"]] == variables
    assert "$route" not in str(_built(name))


def test_deployments_and_other_alerts_are_annotations_that_need_no_credentials() -> None:
    by_hand, deployments, alerts = _built("operations")["annotations"]["list"]
    assert by_hand["builtIn"] == 1
    selected = 'cluster=~"$cluster",namespace=~"$namespace",environment=~"$environment",job=~"$job"'
    assert deployments["target"]["expr"] == f'ALERTS{{alertstate="firing",{selected},alertname="DeploymentCompleted"}}'
    assert alerts["target"]["expr"] == f'ALERTS{{alertstate="firing",{selected},alertname!="DeploymentCompleted"}}'
    assert deployments["titleFormat"] == "{{job}} now runs {{service_version}}"


def test_every_query_is_limited_to_the_selected_identity_of_a_service() -> None:
    settings = parse_settings({"alerting": {"group_by": ["region", "job"]}})
    for slug in DASHBOARDS:
        board = _built(slug, settings)
        assert [variable["name"] for variable in board["templating"]["list"]][:3] == ["datasource", "region", "job"]
        limited = str(board).count('region=~"$region",job=~"$job"')
        assert limited == str(board).count('job=~"$job"') > 0


def test_panels_that_count_since_midnight_do_not_depend_on_the_time_range() -> None:
    panels = {panel["title"]: panel for panel in _built("business")["panels"]}
    for title in ("Requests today", "Workflows today", "Cost today"):
        assert "midnight UTC" in panels[title]["description"]
        assert "timeFrom" not in panels[title]
        assert "$__" not in panels[title]["targets"][0]["expr"]
    assert "[$__range]" in panels["Cost"]["targets"][0]["expr"]
