"""Checks of Grafana dashboards."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alerts.promql import Call, MatrixSelector, Node, PromqlError, Variable, VectorSelector, nodes
from alerts.promql.tree import TooDeepError
from sidelight.checks.expressions import SYNTAX, UNREAD, keeps_name, problems
from sidelight.checks.finding import Check, Severity
from sidelight.checks.grafana_units import meant
from sidelight.checks.trees import is_logql, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.documents import Document
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import KnownSeries
    from sidelight.checks.reading import Place


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
    Severity.NOTE,
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
    Severity.NOTE,
)
DATASOURCE = _check("datasource", "a panel or a query bound to one fixed data source", "panel-datasource-rule")
DESCRIPTION = _check(
    "description", "a panel without title or description", "panel-title-description-rule", Severity.NOTE
)
UNIT = _check("unit", "a panel without a unit for its values", "panel-units-rule", Severity.NOTE)
UNKNOWN_UNIT = _check(
    "unknown-unit", "a unit that Grafana does not know and that is nearly one: numbers are not scaled"
)
NO_TARGETS = _check("no-targets", "a panel without a query", "panel-no-targets-rule")
SCOPE = _check(
    "scope",
    "a selector that is not limited by the variables job and instance, although most others are",
    "target-job-rule, target-instance-rule",
)
RATE_INTERVAL = _check(
    "rate-interval",
    "a rate over a fixed window below 30 minutes in a graph: with a long time range it misses most samples",
    "target-rate-interval-rule",
)
EDITABLE = _check(
    "editable",
    "a dashboard that can be edited in Grafana although its file overwrites it",
    "uneditable-dashboard-rule",
    Severity.NOTE,
)
THRESHOLD = _check(
    "threshold",
    "thresholds that are not numbers in ascending order, such as the string "
    '"null" that grafanalib writes: Grafana then shows 8 % errors in green',
    severity=Severity.ERROR,
)
MERGE = _check(
    "merge",
    "a table that merges rows with different metric names: the name becomes a column, and the rows are not merged",
)
UID = _check("uid", "a dashboard without a uid: links to it break at the next import")

CHECKS = (
    DATASOURCE_VARIABLE, TARGET_VARIABLES, VARIABLE_QUERY, RELOAD, DATASOURCE, DESCRIPTION, UNIT, UNKNOWN_UNIT, NO_TARGETS, SCOPE,
    RATE_INTERVAL, EDITABLE, THRESHOLD, MERGE, UID,
)  # fmt: skip

_WITHOUT_QUERIES = {
    "text", "news", "dashlist", "alertlist", "annolist", "welcome", "row", "pluginlist", "gettingstarted", "canvas",
}  # fmt: skip
_WITHOUT_NUMBERS = _WITHOUT_QUERIES | {"logs", "traces", "nodeGraph", "flamegraph"}
_NO_SOURCES = {"-- Mixed --", "-- Dashboard --", "-- Grafana --", "grafana"}
_OF_ANY = "${datasource}"
_VARIABLE = re.compile(r"\$(?P<name>\w+)|\$\{(?P<braced>\w+)(?::\w+)?\}")
_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<selector>.*),)?\s*(?P<label>[\w$]+|\$\{\w+\})\s*\)", re.DOTALL)
_ON_TIME_CHANGE = 2
_GROUPING = {"job", "instance", "cluster", "namespace"}  # labels that many services share
_GRAPHS = {"timeseries", "graph", "heatmap"}
_MEANT = 1800  # seconds; such a window is meant to smooth


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel, also within a row.

    Attributes:
        place: Its position in the file.
        data: Its content, as in schema v1.
        targets: Its queries, with their positions.
    """

    place: Place
    data: dict[str, Any]
    targets: list[tuple[Place, dict[str, Any]]]

    @property
    def title(self) -> str:
        """Its title, or its id if it has none."""
        return str(self.data.get("title") or f"panel {self.data.get('id', '?')}")

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.data.get("type", ""))


@dataclass(frozen=True, kw_only=True)
class Query:
    """A PromQL query of a panel or an annotation.

    Attributes:
        document: The dashboard's file.
        place: Its position in the file.
        title: The panel's title or the annotation's name.
        expr: PromQL.
        is_certain: Whether its data source is known to be a Prometheus.
        is_graph: Whether it is drawn over time.
    """

    document: Document
    place: Place
    title: str
    expr: str
    is_certain: bool
    is_graph: bool

    def finding(self, check: Check, part: tuple[int, int], message: str, cure: str) -> Finding:
        """A finding about a part of it."""
        found = self.document.finding(check, self.place, self.title, message, cure)
        return self.document.located(found, self.place, part)


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A dashboard.

    Attributes:
        document: Its file.
        panels: Its panels, including those of collapsed rows, without the rows themselves.
        queries: The queries of its panels and annotations.
        variables: Its variables by name.
        inputs: What Grafana asks for when the dashboard is imported, as variables.
    """

    document: Document
    panels: tuple[Panel, ...]
    queries: tuple[Query, ...]
    variables: dict[str, tuple[Place, dict[str, Any]]]
    inputs: dict[str, tuple[Place, dict[str, Any]]]

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.document.data.get("title", "the dashboard"))

    @cached_property
    def scopes(self) -> frozenset[str]:
        """Which of the variables job and instance exist and limit at least half of the selectors that they could limit."""
        found = [node for query in self.queries for node in selectors(query.expr)]
        groups = {"job": found, "instance": [node for node in found if not _is_of_a_service(node)]}
        return frozenset(
            label
            for label, limited in groups.items()
            if label in self.variables and 2 * sum(_is_scoped(node, label) for node in limited) >= len(limited)
        )


def find(document: Document, known: KnownSeries) -> Iterator[Finding]:
    """All findings for a dashboard."""
    dashboard = read(document)
    for of in _EACH:
        document.deadline.check()
        yield from filter(document.suppressions.allow, of(dashboard, known))


def read(document: Document) -> Dashboard:
    """The parts of a dashboard."""
    panels = tuple(_panels_of_v2(document) if "elements" in document.data else _panels(document.data, ()))
    variables, inputs = dict(_variables(document.data)), dict(_inputs(document.data))
    return Dashboard(
        document=document,
        panels=panels,
        queries=tuple(_queries(document, panels, {**inputs, **variables})),
        variables=variables,
        inputs=inputs,
    )


def _each(data: object, place: Place, key: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    items = data.get(key) if isinstance(data, dict) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield (*place, key, index), item


def _inside(data: object, *keys: str) -> Any:
    """What is under some keys; None if one of them is missing."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _panels(data: dict[str, Any], place: Place) -> Iterator[Panel]:
    for at, row in _each(data, place, "rows"):  # before Grafana 5
        yield from _panels(row, at)
    for at, item in _each(data, place, "panels"):
        if item.get("type") == "row":
            yield from _panels(item, at)
        else:
            yield Panel(place=at, data=item, targets=list(_each(item, at, "targets")))


def _panels_of_v2(document: Document) -> Iterator[Panel]:
    """The panels of schema v2, with their content as in schema v1."""
    elements = document.data["elements"]
    for name, element in elements.items() if isinstance(elements, dict) else ():
        spec = _inside(element, "spec")
        if not isinstance(spec, dict) or element.get("kind") != "Panel":
            continue
        place: Place = ("elements", name, "spec")
        config = spec.get("vizConfig")
        queries = _inside(spec, "data", "spec", "queries")
        targets = [
            ((*place, "data", "spec", "queries", index, "spec", "query", "spec"), _target_of_v2(query))
            for index, query in enumerate(queries if isinstance(queries, list) else ())
        ]
        kind = _inside(config, "group") or _inside(config, "kind")
        data = {"title": spec.get("title"), "description": spec.get("description"), "type": kind}
        data |= {"fieldConfig": _inside(config, "spec", "fieldConfig")}
        yield Panel(place=place, data=data, targets=targets)


def _target_of_v2(query: object) -> dict[str, Any]:
    inner = _inside(query, "spec", "query")
    source = _inside(query, "spec", "datasource") or {}
    kind = _inside(inner, "group") or _inside(inner, "kind")
    uid = _inside(inner, "datasource", "name") or _inside(source, "uid")
    spec = _inside(inner, "spec")
    known = {"type": kind} if kind and kind != "DataQuery" else {}
    return {**(spec if isinstance(spec, dict) else {}), "datasource": {**known, **({"uid": uid} if uid else {})}}


def _variables(data: dict[str, Any]) -> Iterator[tuple[str, tuple[Place, dict[str, Any]]]]:
    for place, variable in _each(data.get("templating"), ("templating",), "list"):
        yield str(variable.get("name")), (place, variable)
    for place, variable in _each(data, (), "variables"):  # schema v2
        spec = variable.get("spec")
        if isinstance(spec, dict):
            kind = str(variable.get("kind", "")).removesuffix("Variable").lower()
            query = spec.get("pluginId") if kind == "datasource" else spec.get("query")
            query = _inside(query, "spec") if isinstance(query, dict) and "spec" in query else query
            refresh = {"onTimeRangeChanged": _ON_TIME_CHANGE}.get(str(spec.get("refresh")), 0)
            yield str(spec.get("name")), (
                (*place, "spec"), {**spec, "type": kind, "query": query, "refresh": refresh},
            )  # fmt: skip


def _inputs(data: dict[str, Any]) -> Iterator[tuple[str, tuple[Place, dict[str, Any]]]]:
    """The data sources that an exported dashboard names in ``__inputs``."""
    for place, one in _each(data, (), "__inputs"):
        if one.get("type") == "datasource":
            yield str(one.get("name")), (place, {"type": "datasource", "query": one.get("pluginId")})


_Variables = dict[str, tuple["Place", dict[str, Any]]]


def _queries(document: Document, panels: tuple[Panel, ...], variables: _Variables) -> Iterator[Query]:
    asked: list[tuple[str, Place, Any, Any, bool]] = [
        (panel.title, place, target, target.get("datasource") or panel.data.get("datasource"), panel.type in _GRAPHS)
        for panel in panels
        for place, target in panel.targets
    ]
    for place, annotation in _each(document.data.get("annotations"), ("annotations",), "list"):
        name, source = str(annotation.get("name")), annotation.get("datasource")
        for at, data in ((place, annotation), ((*place, "target"), annotation.get("target"))):
            asked.append((name, at, data, source, False))
    for title, place, data, source, is_graph in asked:
        kind, expr = _source_type(source, variables), _inside(data, "expr")
        if kind in {"prometheus", ""} and isinstance(expr, str) and expr.strip():
            is_certain = kind == "prometheus"
            at = *place, "expr"
            yield Query(document=document, place=at, title=title, expr=expr, is_certain=is_certain, is_graph=is_graph)


def _source_type(source: object, variables: _Variables) -> str:
    """The type of a data source; empty if it is not known."""
    if isinstance(source, dict):
        if kind := source.get("type"):
            return str(kind)
        source = source.get("uid")
    if not isinstance(source, str):
        return ""  # the default data source
    found = _VARIABLE.fullmatch(source)
    if not found:
        return ""
    _, variable = variables.get(found["name"] or found["braced"], ((), {}))
    is_source = variable.get("type") == "datasource" and isinstance(variable.get("query"), str)
    return str(variable["query"]) if is_source else ""


# --- The dashboard as a whole ----------------------------------------------------------------------------------------


def _uid(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    if not dashboard.document.data.get("uid"):
        yield dashboard.document.finding(UID, ("uid",), dashboard.title, "has no uid", "add a stable one")


def _editable(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    if dashboard.document.data.get("editable", True) is not False:
        yield dashboard.document.finding(
            EDITABLE, ("editable",), dashboard.title, "can be edited, and the next publication overwrites the edits",
            'set "editable": false',
        )  # fmt: skip


def _datasource_variable(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    variables = [variable for _, variable in (*dashboard.variables.values(), *dashboard.inputs.values())]
    found = any((each.get("type"), each.get("query")) == ("datasource", "prometheus") for each in variables)
    if dashboard.queries and not found:
        yield dashboard.document.finding(
            DATASOURCE_VARIABLE, ("templating", "list"), dashboard.title, "has no variable for its data source",
            "add a variable of type datasource with the query prometheus",
        )  # fmt: skip


def _target_variables(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
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


def selectors(expr: str) -> list[VectorSelector]:
    """The selectors of an expression; none if it is not valid."""
    try:
        return [node for node, _ in nodes(parsed(expr, variables=True)) if isinstance(node, VectorSelector)]
    except ValueError:
        return []


def _is_of_a_service(selector: VectorSelector) -> bool:
    return selector.name.startswith("ALERTS") or ":" in selector.name


def _variable_queries(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    for name, (place, variable) in dashboard.variables.items():
        if variable.get("type") != "query":
            continue
        text = variable.get("query")
        text = text.get("query", "") if isinstance(text, dict) else text
        source = _source_type(variable.get("datasource"), {**dashboard.inputs, **dashboard.variables})
        if isinstance(text, str) and source in {"prometheus", ""} and (fault := _label_values_fault(text.strip())):
            yield dashboard.document.finding(
                VARIABLE_QUERY, (*place, "query"), f"variable {name}", f"has the query {text}, which {fault}",
                "write label_values(SELECTOR, LABEL)",
            )  # fmt: skip
        if variable.get("refresh") != _ON_TIME_CHANGE:
            yield dashboard.document.finding(
                RELOAD, (*place, "refresh"), f"variable {name}", "is not refreshed when the time range changes",
                'set "refresh": 2',
            )  # fmt: skip


def _label_values_fault(text: str) -> str:
    """What is wrong with a query of the form ``label_values(SELECTOR, LABEL)``; empty if it is another query."""
    if not text.startswith("label_values"):
        return ""
    found = _LABEL_VALUES.fullmatch(text)
    if found is None:
        return "is not label_values(SELECTOR, LABEL)"
    try:
        is_selector = not found["selector"] or isinstance(
            parsed(found["selector"], variables=True), VectorSelector | Variable
        )
    except PromqlError as error:
        return f"has an invalid selector: {error}"
    except TooDeepError:
        return ""
    return "" if is_selector else "has an expression in place of a selector"


# --- Panels ----------------------------------------------------------------------------------------------------------


def _datasources(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    names = {*dashboard.variables, *dashboard.inputs}
    variables = {f"${name}" for name in names} | {f"${{{name}}}" for name in names}
    for panel in dashboard.panels:
        for place, data in [(panel.place, panel.data), *panel.targets]:
            source = data.get("datasource")
            uid = source.get("uid") if isinstance(source, dict) else source
            if uid is not None and uid not in variables | _NO_SOURCES:
                yield dashboard.document.finding(
                    DATASOURCE, (*place, "datasource"), panel.title, f"uses the fixed data source {uid!r}",
                    f'write {{"type": "prometheus", "uid": "{_OF_ANY}"}}',
                )  # fmt: skip


def _descriptions(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    for panel in dashboard.panels:
        for key in ("title", "description"):
            if not panel.data.get(key) and panel.type != "text":
                yield dashboard.document.finding(
                    DESCRIPTION, (*panel.place, key), panel.title, f"has no {key}", "add one that says what it shows"
                )


def _units(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    for panel in dashboard.panels:
        config = panel.data.get("fieldConfig")
        defaults = config.get("defaults") if isinstance(config, dict) else None
        if panel.type not in _WITHOUT_NUMBERS and not (isinstance(defaults, dict) and defaults.get("unit")):
            yield dashboard.document.finding(
                UNIT, (*panel.place, "fieldConfig", "defaults", "unit"), panel.title, "has no unit",
                "set one, such as s, percentunit or short",
            )  # fmt: skip


def _unknown_units(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    for panel in dashboard.panels:
        place: Place = ("fieldConfig", "defaults", "unit")
        unit = _inside(panel.data, *map(str, place))
        if isinstance(unit, str) and (better := meant(unit)):
            document, place = dashboard.document, (*panel.place, *place)
            found = document.finding(UNKNOWN_UNIT, place, panel.title, f"has the unit {unit!r}", f"write {better!r}")
            is_certain = not better.startswith("percent")  # of a hundred, or of one
            yield replace(document.located(found, place, (0, len(unit))), fix=better if is_certain else "")


def _no_targets(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    for panel in dashboard.panels:
        if panel.type not in _WITHOUT_QUERIES and not panel.targets and "libraryPanel" not in panel.data:
            yield dashboard.document.finding(NO_TARGETS, panel.place, panel.title, "has no query", "add one")


def _thresholds(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
    for panel in dashboard.panels:
        for place, steps in _steps(panel.data, panel.place):
            values = [step.get("value") if isinstance(step, dict) else "?" for step in steps]
            numbers = [
                value for value in values if isinstance(value, int | float)
            ]  # the base may be null or any number
            others = [value for value in values if value is not None and not isinstance(value, int | float)]
            if others or numbers[1:] != sorted(numbers[1:]):
                yield dashboard.document.finding(
                    THRESHOLD, place, panel.title, f"has thresholds {', '.join(map(repr, values))}",
                    "start with null, followed by ascending numbers",
                )  # fmt: skip


def _merged(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    del known
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
        return keeps_name(parsed(expr, variables=True))
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


def _expressions(dashboard: Dashboard, known: KnownSeries) -> Iterator[Finding]:
    for query in dashboard.queries:
        dashboard.document.deadline.check()
        try:
            tree = parsed(query.expr, variables=True)
        except ValueError as error:
            yield from _unparsed(dashboard.document, query, error)
            continue
        for problem in dict.fromkeys(problems(tree, known)):
            found = query.finding(problem.check, (problem.start, problem.end), problem.message, problem.cure)
            yield replace(found, fix=problem.fix)
        yield from _scopes(dashboard, query, tree)
        yield from _windows(query, tree)


def _unparsed(document: Document, query: Query, error: ValueError) -> Iterator[Finding]:
    if isinstance(error, PromqlError) and (query.is_certain or not is_logql(query.expr)):
        part = error.start, error.start + 1
        yield query.finding(SYNTAX, part, f"not valid PromQL: {error}", "fix the expression")
    else:
        message = f"the expression {error}" if isinstance(error, TooDeepError) else "the expression is LogQL"
        yield document.finding(
            UNREAD, query.place, query.title, f"{message}, and is not checked", "check it in Grafana"
        )


def _scopes(dashboard: Dashboard, query: Query, tree: Node) -> Iterator[Finding]:
    for node, _ in nodes(tree):
        if not isinstance(node, VectorSelector) or _is_chosen_otherwise(node):
            continue
        of_all = _is_of_a_service(node) or not query.is_graph  # a single number may count all instances
        wanted = ("job",) if of_all else ("job", "instance")
        missing = [label for label in wanted if label in dashboard.scopes and not _is_scoped(node, label)]
        if missing:
            conditions = " and ".join(f'{label}=~"${label}"' for label in missing)
            message = f"reads {node.name or 'series'} without {conditions}"
            yield query.finding(SCOPE, (node.start, node.end), message, f"add {conditions}")


def _is_chosen_otherwise(selector: VectorSelector) -> bool:
    """Whether another variable chooses the series, such as ``node="$node"``, or a variable stands for the conditions."""
    return any("$" in each.value and each.name not in _GROUPING for each in selector.matchers if each.operator) or any(
        not each.operator for each in selector.matchers
    )


def _is_scoped(selector: VectorSelector, label: str) -> bool:
    return any(each.name == label and each.value.strip("${}") == label for each in selector.matchers)


def _windows(query: Query, tree: Node) -> Iterator[Finding]:
    for node, _ in nodes(tree):
        if not isinstance(node, Call) or node.function not in {"rate", "irate"}:
            continue
        window = node.args[0]
        seconds = window.range.seconds if isinstance(window, MatrixSelector) else None
        if query.is_graph and seconds is not None and seconds < _MEANT and isinstance(window, MatrixSelector):
            message, part = f"has a rate over {window.range.text}", (window.start, window.end)
            yield query.finding(RATE_INTERVAL, part, message, "use [$__rate_interval]")


_EACH: tuple[Callable[[Dashboard, KnownSeries], Iterator[Finding]], ...] = (
    _uid,
    _editable,
    _datasource_variable,
    _target_variables,
    _variable_queries,
    _datasources,
    _descriptions,
    _units,
    _unknown_units,
    _no_targets,
    _thresholds,
    _merged,
    _expressions,
)
