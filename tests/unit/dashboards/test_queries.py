"""Properties of the generated dashboards beyond those that ``sidelight check`` checks."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from alerts import groups
from alerts.checking.promql import catalog_series, check, faults
from alerts.checking.series import series
from dashboards import DASHBOARDS, panels_of
from instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "s", "percentunit", "reqps", "cps", "bytes", "currencyUSD", "dateTimeFromNow"}
SCOPE = 'job=~"$job",instance=~"$instance"'


def _panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return list(panels_of(dashboard))


def _expressions(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in _panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            yield annotation["name"], annotation["target"]["expr"]


def test_variables_have_the_labels_that_people_read(built: dict[str, Any]) -> None:
    for dashboard in built.values():
        labels = {variable["name"]: variable["label"] for variable in dashboard["templating"]["list"]}
        assert (labels["datasource"], labels["job"]) == ("Data source", "Job")
        assert labels.get("instance", "Instance") == "Instance"


def test_variables_ask_only_for_what_exists(built: dict[str, Any]) -> None:
    known = catalog_series(("cluster", "namespace", "environment", "job"))
    for dashboard in built.values():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                function, _, rest = variable["query"].rstrip(")").partition("(")
                selector, _, label = rest.rpartition(", ")
                found = check(selector, known)
                assert (function, found.faults) == ("label_values", []), variable["name"]
                assert label in found.labels


def test_panels_and_queries_read_the_chosen_data_source(built: dict[str, Any]) -> None:
    places = [place for board in built.values() for panel in _panels(board) for place in (panel, *panel["targets"])]
    assert [place for place in places if place["datasource"] != DATASOURCE] == []


def test_descriptions_are_sentences_and_units_known(built: dict[str, Any]) -> None:
    for panel in (panel for board in built.values() for panel in _panels(board)):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]


def test_every_expression_reads_only_series_and_labels_that_exist(settings: Settings, built: dict[str, Any]) -> None:
    known = series(groups(settings), settings.alerting.group_by)
    for dashboard in built.values():
        for title, expression in _expressions(dashboard):
            assert faults(expression, known) == [], title


@pytest.mark.parametrize("name", DASHBOARDS)
def test_an_expression_with_a_name_that_no_row_has_is_seen(name: str) -> None:
    dashboard: dict[str, Any] = copy.deepcopy(DASHBOARDS[name](Settings()))
    expression = f"sum by (worfklow) (rate(workflows_total{{{SCOPE}}}[$__rate_interval]))"
    _panels(dashboard)[0]["targets"][0]["expr"] = expression
    _, expression = next(_expressions(dashboard))
    assert faults(expression, catalog_series()) == [
        "reads 'workflows_total', which is in no catalog row and no recording rule",
        "aggregates by 'worfklow', which is not a label there",
    ]
