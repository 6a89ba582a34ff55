"""grafana/dashboard-linter's rules, and that this copy of them sees a violation."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import promql_parser as promql
import pytest

from alerts import groups
from alerts.linting import series
from alerts.promql import catalog_series, check, faults
from dashboards import DASHBOARDS
from instrumentation import catalog
from instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "s", "percentunit", "reqps", "cps", "bytes", "currencyUSD"}
# Stand-ins of the same length in no other use, so that a window can be told from a number in the source.
WINDOWS = {"$__rate_interval": "61s", "$__range": "71s", "$__interval": "83s"}
COUNTERS = {series for metric in catalog.METRICS if metric.kind is not catalog.Kind.GAUGE for series in metric.series}


def lint(dashboard: dict[str, Any]) -> list[str]:
    """What the linter would complain about, one sentence each."""
    return [fault for rule in RULES for fault in rule(dashboard)]


def _panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _expressions(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in _panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            yield annotation["name"], annotation["target"]["expr"]


def _parsed(expression: str) -> Any:
    for variable, window in WINDOWS.items():
        expression = expression.replace(variable, window)
    return promql.parse(expression)


def _nodes(node: Any, parents: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    yield node, parents
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for child in [*children, *(getattr(node, "args", None) or ())]:
        if child is not None:
            yield from _nodes(child, (*parents, node))


def _selectors(expression: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    return ((node, parents) for node, parents in _nodes(_parsed(expression)) if type(node).__name__ == "VectorSelector")


def has_a_datasource_variable(dashboard: dict[str, Any]) -> Iterator[str]:
    first = dashboard["templating"]["list"][0]
    found = (first["type"], first["name"], first["label"], first["query"])
    if found != ("datasource", "datasource", "Data source", "prometheus"):
        yield f"the first variable is {found}"


def has_job_and_instance(dashboard: dict[str, Any]) -> Iterator[str]:
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    wanted = {"type": "query", "multi": True, "includeAll": True, "allValue": ".+", "datasource": DATASOURCE}
    for name in ("job", "instance"):
        expected = wanted | {"label": name.title()}
        found = {key: variables.get(name, {}).get(key) for key in expected}
        if found != expected:
            yield f"the variable {name} is {found}"


def reloads_variables_on_time_change(dashboard: dict[str, Any]) -> Iterator[str]:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"the variable {variable['name']} is not reloaded"


def has_sound_variable_queries(dashboard: dict[str, Any]) -> Iterator[str]:
    known = catalog_series()
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            function, _, rest = variable["query"].rstrip(")").partition("(")
            selector, _, label = rest.rpartition(", ")
            found = check(selector, known)
            if function != "label_values" or found.faults or label not in found.labels:
                yield f"the variable {variable['name']} asks {variable['query']}"


def uses_the_datasource_variable(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in _panels(dashboard):
        for place in (panel, *panel["targets"]):
            if place["datasource"] != DATASOURCE:
                yield f"{panel['title']}: the data source is {place['datasource']}"


def has_titles_descriptions_and_units(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in _panels(dashboard):
        if not panel["title"] or not panel["description"].endswith("."):
            yield f"{panel['title']}: no title or no description"
        if panel["fieldConfig"]["defaults"]["unit"] not in UNITS:
            yield f"{panel['title']}: no unit"


def has_targets(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in _panels(dashboard):
        if not panel["targets"]:
            yield f"{panel['title']}: no query"


def scopes_every_selector(dashboard: dict[str, Any]) -> Iterator[str]:
    for title, expression in _expressions(dashboard):
        for selector, _ in _selectors(expression):
            matchers = {(matcher.name, str(matcher.op), matcher.value) for matcher in selector.matchers.matchers}
            of_a_service = selector.name == "ALERTS" or ":" in selector.name  # what rules make carries no instance
            for label in ("job",) if of_a_service else ("job", "instance"):
                if not any(name == label and value == f"${label}" and "Re" in op for name, op, value in matchers):
                    yield f'{title}: {selector.name} without {label}=~"${label}"'


def uses_the_rate_interval(dashboard: dict[str, Any]) -> Iterator[str]:
    for title, expression in _expressions(dashboard):
        for node, _ in _nodes(_parsed(expression)):
            is_rate = type(node).__name__ == "Call" and node.func.name in {"rate", "irate"}
            if is_rate and node.args[0].range.total_seconds() != 61:
                yield f"{title}: a rate over another window than $__rate_interval"


def has_counters_in_rate_or_increase(dashboard: dict[str, Any]) -> Iterator[str]:
    for title, expression in _expressions(dashboard):
        for selector, parents in _selectors(expression):
            outer = parents[-2] if len(parents) > 1 else None
            function = outer.func.name if type(outer).__name__ == "Call" else None
            if selector.name in COUNTERS and function not in {"rate", "irate", "increase"}:
                yield f"{title}: the counter {selector.name} stands bare"


def is_not_editable(dashboard: dict[str, Any]) -> Iterator[str]:
    if dashboard["editable"] is not False:
        yield "the dashboard can be edited, and the next build would undo it"


RULES: tuple[Callable[[dict[str, Any]], Iterator[str]], ...] = (
    has_a_datasource_variable,
    has_job_and_instance,
    reloads_variables_on_time_change,
    has_sound_variable_queries,
    uses_the_datasource_variable,
    has_titles_descriptions_and_units,
    has_targets,
    scopes_every_selector,
    uses_the_rate_interval,
    has_counters_in_rate_or_increase,
    is_not_editable,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_dashboard_obeys(rule: Callable[[dict[str, Any]], Iterator[str]], built: dict[str, Any]) -> None:
    assert [fault for dashboard in built.values() for fault in rule(dashboard)] == []


def _set_expr(expression: str) -> Callable[[dict[str, Any]], None]:
    def plant(dashboard: dict[str, Any]) -> None:
        _panels(dashboard)[0]["targets"][0]["expr"] = expression

    return plant


def _variable(name: str, **changes: object) -> Callable[[dict[str, Any]], None]:
    def plant(dashboard: dict[str, Any]) -> None:
        variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
        variables[name].update(changes)

    return plant


def _panel(**changes: object) -> Callable[[dict[str, Any]], None]:
    return lambda dashboard: _panels(dashboard)[0].update(changes)


SCOPE = 'job=~"$job",instance=~"$instance"'
PLANTED = {
    has_a_datasource_variable: _variable("datasource", label="Source"),
    has_job_and_instance: _variable("instance", allValue=".*"),
    reloads_variables_on_time_change: _variable("job", refresh=1),
    has_sound_variable_queries: _variable("job", query="label_values(target_information, job)"),
    uses_the_datasource_variable: _panel(datasource="Prometheus"),
    has_titles_descriptions_and_units: _panel(description=""),
    has_targets: _panel(targets=[]),
    scopes_every_selector: _set_expr('sum(up{job=~"$job"})'),
    uses_the_rate_interval: _set_expr(f"rate(process_cpu_seconds_total{{{SCOPE}}}[5m])"),
    has_counters_in_rate_or_increase: _set_expr(f"sum(workflows_created_total{{{SCOPE}}})"),
    is_not_editable: lambda dashboard: dashboard.update(editable=True),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_planted_fault_is_seen_by_its_rule_alone(rule: Callable[[dict[str, Any]], Iterator[str]]) -> None:
    dashboard: dict[str, Any] = copy.deepcopy(DASHBOARDS["operations"](Settings()))
    PLANTED[rule](dashboard)
    assert len(list(rule(dashboard))) == 1
    assert len(lint(dashboard)) == 1


def test_every_expression_reads_only_series_and_labels_that_exist(settings: Settings, built: dict[str, Any]) -> None:
    known = series(groups(settings), settings.alerting.group_by)
    for dashboard in built.values():
        for title, expression in _expressions(dashboard):
            assert faults(expression, known) == [], title


def test_an_expression_with_a_name_that_no_row_has_is_seen() -> None:
    dashboard: dict[str, Any] = copy.deepcopy(DASHBOARDS["business"](Settings()))
    _set_expr(f"sum by (worfklow) (rate(workflows_total{{{SCOPE}}}[$__rate_interval]))")(dashboard)
    _, expression = next(_expressions(dashboard))
    assert faults(expression, catalog_series()) == [
        "reads 'workflows_total', which is in no catalog row and no recording rule",
        "aggregates by 'worfklow', which is no label there",
    ]
