"""Checks of Grafana dashboards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import promql_parser as promql

from alerts.checking.promql import nodes
from sidelight.checks.expressions import SYNTAX, keeps_name, parsed, problems
from sidelight.checks.finding import Check, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.documents import Document, Place
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import World


def _check(name: str, finds: str, peer: str = "", severity: Severity = Severity.WARNING) -> Check:
    return Check(name=f"dashboard/{name}", severity=severity, finds=finds, dashboard_linter=peer)


DATASOURCE_VARIABLE = _check(
    "datasource-variable",
    "a dashboard without a variable for its Prometheus: it works in only one Grafana",
    "template-datasource-rule",
)
TARGET_VARIABLES = _check(
    "target-variables",
    "a dashboard without the variable job, or without instance although most panels read series of instances, or with ones"
    " that do not allow several values or all",
    "template-job-rule, template-instance-rule",
)
VARIABLE_QUERY = _check(
    "variable-query",
    "a variable whose query is not valid PromQL",
    "template-label-promql-rule",
    Severity.ERROR,
)
RELOAD = _check(
    "reload",
    "a variable that is not refreshed when the time range changes",
    "template-on-time-change-reload-rule",
)
DATASOURCE = _check("datasource", "a panel or a query bound to one fixed data source", "panel-datasource-rule")
DESCRIPTION = _check("description", "a panel without title or description", "panel-title-description-rule")
UNIT = _check("unit", "a panel without a unit for its values", "panel-units-rule")
NO_TARGETS = _check("no-targets", "a panel without a query", "panel-no-targets-rule", Severity.ERROR)
SCOPE = _check(
    "scope",
    "a selector that is not limited by the variables job and instance",
    "target-job-rule, target-instance-rule",
)
RATE_INTERVAL = _check(
    "rate-interval",
    "a rate over a fixed window: with a long time range it misses most samples",
    "target-rate-interval-rule",
)
EDITABLE = _check(
    "editable", "a dashboard that can be edited in Grafana although its file overwrites it", "uneditable-dashboard-rule"
)
THRESHOLD = _check(
    "threshold",
    "thresholds whose base value is not null, or that are not in ascending order: grafanalib writes the string"
    ' "null", and Grafana then shows 8 % errors in green',
    severity=Severity.ERROR,
)
MERGE = _check(
    "merge",
    "a table that merges rows with different metric names: the name becomes a column, and the rows are not merged",
)
UID = _check("uid", "a dashboard without a uid: links to it break at the next import", severity=Severity.ERROR)

CHECKS = (
    DATASOURCE_VARIABLE, TARGET_VARIABLES, VARIABLE_QUERY, RELOAD, DATASOURCE, DESCRIPTION, UNIT, NO_TARGETS, SCOPE,
    RATE_INTERVAL, EDITABLE, THRESHOLD, MERGE, UID,
)  # fmt: skip

_WITHOUT_NUMBERS = {"text", "news", "dashlist", "alertlist", "logs", "traces", "nodeGraph", "annolist", "welcome"}
_WITHOUT_QUERIES = {"text", "news", "dashlist", "alertlist", "annolist", "welcome"}
_OF_ANY = "${datasource}"
_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<selector>.*),)?\s*(?P<label>\w+)\s*\)", re.DOTALL)
_ON_TIME_CHANGE = 2


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel, also within a row.

    Attributes:
        place: Its position in the file.
        data: Its content.
    """

    place: Place
    data: dict[str, Any]

    @property
    def title(self) -> str:
        """Its title, or its id if it has none."""
        return str(self.data.get("title") or f"panel {self.data.get('id', '?')}")

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.data.get("type", ""))

    @property
    def targets(self) -> list[tuple[Place, dict[str, Any]]]:
        """Its queries."""
        return list(_each(self.data, self.place, "targets"))


@dataclass(frozen=True, kw_only=True)
class Query:
    """A PromQL query of a panel or an annotation.

    Attributes:
        place: Its position in the file.
        title: The panel's title or the annotation's name.
        expr: PromQL.
    """

    place: Place
    title: str
    expr: str


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A dashboard.

    Attributes:
        document: Its file.
        panels: Its panels, including those of collapsed rows, without the rows themselves.
        queries: The queries of its panels and annotations.
        variables: Its variables by name.
    """

    document: Document
    panels: tuple[Panel, ...]
    queries: tuple[Query, ...]
    variables: dict[str, tuple[Place, dict[str, Any]]]

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.document.data.get("title", "the dashboard"))


def find(document: Document, world: World) -> Iterator[Finding]:
    """All findings for a dashboard."""
    dashboard = read(document)
    for of in _EACH:
        yield from of(dashboard, world)


def read(document: Document) -> Dashboard:
    """The parts of a dashboard."""
    panels = tuple(_panels(document.data, ()))
    return Dashboard(
        document=document,
        panels=panels,
        queries=tuple(_queries(document, panels)),
        variables={
            str(variable.get("name")): (place, variable)
            for place, variable in _each(document.data.get("templating"), ("templating",), "list")
        },
    )


def _each(data: object, place: Place, key: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    items = data.get(key) if isinstance(data, dict) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield (*place, key, index), item


def _panels(data: dict[str, Any], place: Place) -> Iterator[Panel]:
    for at, item in _each(data, place, "panels"):
        if item.get("type") == "row":
            yield from _panels(item, at)
        else:
            yield Panel(place=at, data=item)


def _queries(document: Document, panels: tuple[Panel, ...]) -> Iterator[Query]:
    for panel in panels:
        for place, target in panel.targets:
            if _of_prometheus(target, panel) and isinstance(expr := target.get("expr"), str):
                yield Query(place=(*place, "expr"), title=panel.title, expr=expr)
    for place, annotation in _each(document.data.get("annotations"), ("annotations",), "list"):
        asked = annotation.get("target")
        if isinstance(asked, dict) and isinstance(expr := asked.get("expr"), str):
            yield Query(place=(*place, "target", "expr"), title=str(annotation.get("name")), expr=expr)


def _of_prometheus(target: dict[str, Any], panel: Panel) -> bool:
    source = target.get("datasource") or panel.data.get("datasource")
    return not isinstance(source, dict) or source.get("type", "prometheus") == "prometheus"


# --- The dashboard as a whole ----------------------------------------------------------------------------------------


def _uid(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    if not dashboard.document.data.get("uid"):
        yield dashboard.document.finding(UID, ("uid",), dashboard.title, "has no uid", "add a stable one")


def _editable(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    if dashboard.document.data.get("editable", True) is not False:
        yield dashboard.document.finding(
            EDITABLE, ("editable",), dashboard.title, "can be edited, and the next publication overwrites the edits",
            'set "editable": false',
        )  # fmt: skip


def _datasource_variable(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    variables = [variable for _, variable in dashboard.variables.values()]
    found = any((each.get("type"), each.get("query")) == ("datasource", "prometheus") for each in variables)
    if dashboard.queries and not found:
        yield dashboard.document.finding(
            DATASOURCE_VARIABLE, ("templating", "list"), dashboard.title, "has no variable for its data source",
            "add a variable of type datasource with the query prometheus",
        )  # fmt: skip


def _target_variables(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for name in ("job", "instance") if _is_of_instances(dashboard) else ("job",):
        nowhere: tuple[Place, dict[str, Any]] = ("templating", "list"), {}
        place, variable = dashboard.variables.get(name, nowhere)
        wrong = "is missing"
        if variable:
            wanted = {"type": "query", "multi": True, "includeAll": True, "allValue": ".+"}
            wrong = ", ".join(
                f"has {key} {variable.get(key)!r}" for key, value in wanted.items() if variable.get(key) != value
            )
        if wrong and dashboard.queries:
            yield dashboard.document.finding(
                TARGET_VARIABLES, place, f"variable {name}", wrong,
                'set type "query", multi, includeAll, and allValue ".+"',
            )  # fmt: skip


def _is_of_instances(dashboard: Dashboard) -> bool:
    """Whether at least half of the queries read series of instances; those that are recorded are about services."""
    of_instances = [any(not _is_of_a_service(node) for node in selectors(query.expr)) for query in dashboard.queries]
    return 2 * sum(of_instances) >= len(of_instances)


def selectors(expr: str) -> list[Any]:
    """The selectors of an expression; none if it is not valid."""
    try:
        return [node for node, _ in nodes(parsed(expr)) if isinstance(node, promql.VectorSelector)]
    except ValueError:
        return []


def _is_of_a_service(selector: Any) -> bool:
    return (selector.name or "").startswith("ALERTS") or ":" in (selector.name or "")


def _variable_queries(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for name, (place, variable) in dashboard.variables.items():
        if variable.get("type") != "query":
            continue
        text = variable.get("query")
        text = str(text.get("query", "")) if isinstance(text, dict) else str(text or "")
        found = _LABEL_VALUES.fullmatch(text.strip())
        selector = found["selector"] if found else None
        if text.startswith("label_values") and (found is None or (selector and not _is_selector(selector))):
            yield dashboard.document.finding(
                VARIABLE_QUERY, (*place, "query"), f"variable {name}", f"has the query {text}",
                "write label_values(SELECTOR, LABEL)",
            )  # fmt: skip
        if variable.get("refresh") != _ON_TIME_CHANGE:
            yield dashboard.document.finding(
                RELOAD, (*place, "refresh"), f"variable {name}", "is not refreshed when the time range changes",
                'set "refresh": 2',
            )  # fmt: skip


def _is_selector(text: str) -> bool:
    try:
        return isinstance(parsed(text), promql.VectorSelector)
    except ValueError:
        return False


# --- Panels ----------------------------------------------------------------------------------------------------------


def _datasources(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    variables = {f"${name}" for name in dashboard.variables} | {f"${{{name}}}" for name in dashboard.variables}
    for panel in dashboard.panels:
        for place, data in [(panel.place, panel.data), *panel.targets]:
            source = data.get("datasource")
            uid = source.get("uid") if isinstance(source, dict) else source
            if source is not None and uid not in {
                *variables,
                "-- Mixed --",
                "-- Dashboard --",
                "-- Grafana --",
                "grafana",
            }:
                yield dashboard.document.finding(
                    DATASOURCE, (*place, "datasource"), panel.title, f"uses the fixed data source {uid!r}",
                    f'write {{"type": "prometheus", "uid": "{_OF_ANY}"}}',
                )  # fmt: skip


def _descriptions(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for panel in dashboard.panels:
        for key in ("title", "description"):
            if not panel.data.get(key) and panel.type != "text":
                yield dashboard.document.finding(
                    DESCRIPTION, (*panel.place, key), panel.title, f"has no {key}", "add one that says what it shows"
                )


def _units(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for panel in dashboard.panels:
        config = panel.data.get("fieldConfig")
        defaults = config.get("defaults") if isinstance(config, dict) else None
        if panel.type not in _WITHOUT_NUMBERS and not (isinstance(defaults, dict) and defaults.get("unit")):
            yield dashboard.document.finding(
                UNIT, (*panel.place, "fieldConfig", "defaults", "unit"), panel.title, "has no unit",
                "set one, such as s, percentunit or short",
            )  # fmt: skip


def _no_targets(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for panel in dashboard.panels:
        if panel.type not in _WITHOUT_QUERIES and not panel.targets and "libraryPanel" not in panel.data:
            yield dashboard.document.finding(NO_TARGETS, panel.place, panel.title, "has no query", "add one")


def _thresholds(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for panel in dashboard.panels:
        for place, steps in _steps(panel.data, panel.place):
            values = [step.get("value") if isinstance(step, dict) else "?" for step in steps]
            numbers = [value for value in values[1:] if isinstance(value, int | float)]
            if values and (values[0] is not None or len(numbers) < len(values) - 1 or numbers != sorted(numbers)):
                yield dashboard.document.finding(
                    THRESHOLD, place, panel.title, f"has thresholds {', '.join(map(repr, values))}",
                    "start with null, followed by ascending numbers",
                )  # fmt: skip


def _merged(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    del world
    for panel in dashboard.panels:
        merges = any(each.get("id") == "merge" for _, each in _each(panel.data, panel.place, "transformations"))
        tables = [place for place, target in panel.targets if target.get("format") == "table"]
        if not merges or len(tables) < 2:  # noqa: PLR2004 - merging needs two queries
            continue
        for query in dashboard.queries:
            if query.place[:-1] in tables and _keeps_name(query.expr):
                yield dashboard.document.finding(
                    MERGE, query.place, query.title, f"merges {query.expr}, whose rows keep their metric name",
                    "aggregate it, for example with max by (job) (...)",
                )  # fmt: skip


def _keeps_name(expr: str) -> bool:
    try:
        return keeps_name(parsed(expr))
    except ValueError:
        return False


def _steps(data: object, place: Place) -> Iterator[tuple[Place, list[Any]]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "steps" and isinstance(value, list) and place and place[-1] in {"thresholds", "value"}:
                yield (*place, key), value
            elif key != "panels":
                yield from _steps(value, (*place, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _steps(item, (*place, index))


# --- Queries ---------------------------------------------------------------------------------------------------------


def _expressions(dashboard: Dashboard, world: World) -> Iterator[Finding]:
    for query in dashboard.queries:
        try:
            tree = parsed(query.expr)
        except ValueError as error:
            first = str(error).strip().partition("\n")[0]
            yield dashboard.document.finding(
                SYNTAX, query.place, query.title, f"not valid PromQL: {first}", "fix the expression"
            )
            continue
        for problem in dict.fromkeys(problems(tree, world)):
            yield dashboard.document.finding(problem.check, query.place, query.title, problem.message, problem.cure)
        yield from _scopes(dashboard, query, tree)
        yield from _windows(dashboard, query, tree)


def _scopes(dashboard: Dashboard, query: Query, tree: Any) -> Iterator[Finding]:
    for node, _ in nodes(tree):
        if not isinstance(node, promql.VectorSelector):
            continue
        matchers = {(m.name, m.value.strip("${}")) for m in node.matchers.matchers if "Re" in str(m.op)}
        name = node.name or ""
        needs_job_only = _is_of_a_service(node) or "instance" not in dashboard.variables
        missing = [
            label for label in ("job", "instance")[: 1 if needs_job_only else 2] if (label, label) not in matchers
        ]
        if missing:
            wanted = " and ".join(f'{label}=~"${label}"' for label in missing)
            yield dashboard.document.finding(
                SCOPE, query.place, query.title, f"reads {name} without {wanted}", f"add {wanted}"
            )


def _windows(dashboard: Dashboard, query: Query, tree: Any) -> Iterator[Finding]:
    written = iter(re.findall(r"\b(?:rate|irate)\s*\(.*?\[(.*?)\]", query.expr, re.DOTALL))
    rates = [node for node, _ in nodes(tree) if isinstance(node, promql.Call) and node.func.name in {"rate", "irate"}]
    for _, window in zip(rates, written, strict=False):
        if "$" not in window:
            yield dashboard.document.finding(
                RATE_INTERVAL, query.place, query.title, f"has a rate over {window}", "use [$__rate_interval]"
            )


_EACH: tuple[Callable[[Dashboard, World], Iterator[Finding]], ...] = (
    _uid,
    _editable,
    _datasource_variable,
    _target_variables,
    _variable_queries,
    _datasources,
    _descriptions,
    _units,
    _no_targets,
    _thresholds,
    _merged,
    _expressions,
)
