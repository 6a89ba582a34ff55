"""Checks of what a dashboard makes people believe: values that depend on the zoom, and colours that say too much."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alerts.checking.promql import AllBut, check_tree
from alerts.promql import (
    Aggregation,
    BinaryOperation,
    Call,
    Node,
    Parentheses,
    PromqlError,
    Type,
    VectorSelector,
    nodes,
)
from alerts.promql.tree import TooDeepError
from sidelight.checks.dashboard_files import read
from sidelight.checks.finding import Check, Severity
from sidelight.checks.known_series import AnyLabels
from sidelight.checks.trees import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.dashboard_files import Dashboard, Panel
    from sidelight.checks.documents import Document
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import KnownSeries
    from sidelight.checks.reading import Place


def _check(name: str, finds: str, severity: Severity = Severity.WARNING) -> Check:
    return Check(name=f"dashboard/{name}", severity=severity, finds=finds)


PER_STEP = _check(
    "per-step",
    "a graph of an increase over Grafana's step: with a longer time range the steps are longer and the values higher",
)
TIME_OVERRIDE = _check(
    "time-override",
    "a panel with a time range of its own, such as now/d: Grafana ignores it after a zoom and in an absolute time range, and"
    " writes it over short titles",
)
CUT_BELOW = _check(
    "cut-below",
    "a panel whose minimum hides values, such as 0 for a change or for an error budget that may be overspent",
)
ZERO_OF_NOTHING = _check(
    "zero-of-nothing", "a query that returns 0 if nothing is scraped at all, such as one that ends in `or vector(0)`"
)
UNKNOWN_COLOR = _check(
    "unknown-color",
    "a value that is shown in green or red if there is no data: what is unknown is neither good nor bad",
    Severity.NOTE,
)
ALWAYS_RED = _check("always-red", "a panel in which every value is red", Severity.NOTE)
LINE_ON_TOP = _check(
    "line-on-top",
    "a stack with a red series and with lines: at 0, the series draws a red line on top of the others",
    Severity.NOTE,
)
DOTS = _check(
    "dots", "a graph with steps of an hour or more and with lines: a new service has only dots in it", Severity.NOTE
)
UNBOUNDED = _check(
    "unbounded",
    "a stack of one series per service or instance without topk: with 200 of them it has 200 colors",
    Severity.NOTE,
)
IGNORED_VARIABLE = _check("ignored-variable", "a variable that fewer than half of the panels read", Severity.NOTE)
CUT_COLUMNS = _check(
    "cut-columns", "a table whose columns do not fit into its panel on a screen of 1280 pixels", Severity.NOTE
)
TALL = _check(
    "tall", "a dashboard of which more than two screens are open: put details into collapsed rows", Severity.NOTE
)

CHECKS = (
    PER_STEP, TIME_OVERRIDE, CUT_BELOW, ZERO_OF_NOTHING, UNKNOWN_COLOR, ALWAYS_RED, LINE_ON_TOP, DOTS, UNBOUNDED,
    IGNORED_VARIABLE, CUT_COLUMNS, TALL,
)  # fmt: skip

_STEP = re.compile(r"\b(?:increase|delta)\s*\([^\[]*\[\$\{?__(?:interval|rate_interval)(?:_ms)?\b")
_NO_VECTOR = re.compile(r"\bor\s+(?:on\s*\(\s*\)\s*)?vector\s*\(\s*0(?:\.0*)?\s*\)")
_HOURS = re.compile(r"(?:>=?\s*)?\d+(?:h|d|w|M|y)")
_SERVICES = {"job", "instance", "pod", "container", "namespace", "cluster", "service", "service_name"}
_COLORED_BY_VALUE = {"stat", "gauge", "bargauge"}
_CHOOSING = {"topk", "bottomk", "limitk"}
_SCREEN, _COLUMNS, _GAP = 1280, 24, 8  # pixels of a small screen, columns of the grid, pixels
_EDGES = 104  # pixels beside the panels: menu, padding and scroll bar
_DEFAULT_WIDTH = 150  # pixels that Grafana gives a column at least
_TWO_SCREENS = 48  # grid units


def find(document: Document, known: KnownSeries) -> Iterator[Finding]:
    """All findings for a dashboard."""
    dashboard = read(document)
    for of in _EACH_PANEL:
        for panel in dashboard.panels:
            document.deadline.check()
            yield from of(dashboard, panel)
    yield from _ignored_variables(dashboard)
    yield from _height(dashboard)
    del known


def _dict(data: object, *keys: str) -> dict[str, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _defaults(panel: Panel) -> dict[str, Any]:
    return _dict(panel.data, "fieldConfig", "defaults")


def _custom(panel: Panel) -> dict[str, Any]:
    return _dict(_defaults(panel), "custom")


def _properties(panel: Panel) -> Iterator[dict[str, Any]]:
    """The properties of all overrides."""
    for override in _dict(panel.data, "fieldConfig").get("overrides") or ():
        yield from (one for one in _dict(override).get("properties") or () if isinstance(one, dict))


def _expressions(panel: Panel) -> Iterator[tuple[Place, dict[str, Any], str]]:
    for place, target in panel.targets:
        if isinstance(expr := target.get("expr"), str):
            yield (*place, "expr"), target, expr


def _tree(expr: str) -> Node | None:
    try:
        return parsed(expr, variables=True)
    except (PromqlError, TooDeepError):
        return None


def _is_red(color: object) -> bool:
    return isinstance(color, str) and re.fullmatch(r"(?:(?:super-)?(?:light|dark)-|semi-dark-)?red", color) is not None


def _is_green(color: object) -> bool:
    return (
        isinstance(color, str) and re.fullmatch(r"(?:(?:super-)?(?:light|dark)-|semi-dark-)?green", color) is not None
    )


# --- Values ----------------------------------------------------------------------------------------------------------


def _per_step(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    if panel.type in {"heatmap", "histogram"}:  # colours by share
        return
    for place, target, expr in _expressions(panel):
        if target.get("instant") or not _STEP.search(expr) or _is_relative(_tree(expr)):
            continue
        yield dashboard.document.finding(
            PER_STEP, place, panel.title, "shows an increase per step, which grows with the time range",
            "show a rate, for example 3600 * rate(...) per hour",
        )  # fmt: skip


def _is_relative(tree: Node | None) -> bool:
    """Whether a division or a quantile cancels the length of the step."""
    return tree is not None and any(
        (isinstance(node, BinaryOperation) and node.op == "/" and node.rhs.type is not Type.SCALAR)
        or (isinstance(node, Call) and node.function == "histogram_quantile")
        for node, _ in nodes(tree)
    )


def _time_overrides(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    if panel.data.get("timeFrom"):
        yield dashboard.document.finding(
            TIME_OVERRIDE, (*panel.place, "timeFrom"), panel.title, f"has its own time range {panel.data['timeFrom']}",
            "let its query compute the time, and remove timeFrom",
        )  # fmt: skip


def _cut_below(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    lowest = _defaults(panel).get("min")
    if not isinstance(lowest, int | float):
        return
    steps = [
        one.get("value") for one in _dict(_defaults(panel), "thresholds").get("steps") or () if isinstance(one, dict)
    ]
    below = any(isinstance(value, int | float) and value <= lowest for value in steps[1:])
    if below or any(_may_be_negative(expr) for _, _, expr in _expressions(panel)):
        place = (*panel.place, "fieldConfig", "defaults", "min")
        yield dashboard.document.finding(
            CUT_BELOW, place, panel.title, f"has min {lowest:g}, but its values may be lower",
            "remove min, or set custom.axisSoftMin",
        )  # fmt: skip


def _may_be_negative(expr: str) -> bool:
    tree = _tree(expr)
    while isinstance(tree, Parentheses | Aggregation):
        tree = tree.expr
    if isinstance(
        tree, BinaryOperation
    ):  # used = total - free is never negative, and 1 - (a budget that is spent) may be
        return tree.op == "-" and any("budget" in name or "burn" in name for name in _names(tree.rhs))
    changes = {"delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing", "holt_winters"}
    return isinstance(tree, Call) and tree.function in changes


def _names(tree: Node) -> list[str]:
    return [node.name for node, _ in nodes(tree) if isinstance(node, VectorSelector)]


def _zeros(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    for place, _, expr in _expressions(panel):
        if _NO_VECTOR.search(expr):
            yield dashboard.document.finding(
                ZERO_OF_NOTHING, place, panel.title, "returns 0 also if nothing is scraped",
                "write `or 0 * count(...)` of a series that is there while all is well",
            )  # fmt: skip


# --- Colours ---------------------------------------------------------------------------------------------------------


def _unknown_colors(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    defaults = _defaults(panel)
    steps = [step for step in _dict(defaults, "thresholds").get("steps") or () if isinstance(step, dict)]
    if panel.type not in _COLORED_BY_VALUE or _dict(defaults, "color").get("mode", "thresholds") != "thresholds":
        return
    base = steps[0].get("color") if steps else "green"
    if (_is_green(base) or _is_red(base)) and not any(map(_is_about_nothing, defaults.get("mappings") or ())):
        yield dashboard.document.finding(
            UNKNOWN_COLOR, (*panel.place, "fieldConfig", "defaults"), panel.title, f"is {base} if there is no data",
            'add a value mapping of "null+nan" with the colour text',
        )  # fmt: skip


def _is_about_nothing(mapping: object) -> bool:
    options = _dict(mapping, "options")
    color = _dict(options, "result").get("color")
    return options.get("match") in {"null", "null+nan"} and bool(color) and not (_is_green(color) or _is_red(color))


def _always_red(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    defaults = _defaults(panel)
    color = _dict(defaults, "color")
    steps = [_dict(step).get("color") for step in _dict(defaults, "thresholds").get("steps") or ()]
    fixed = color.get("mode") in {"fixed", "shades"} and _is_red(color.get("fixedColor"))
    by_value = color.get("mode", "thresholds") == "thresholds" and panel.type in _COLORED_BY_VALUE
    if fixed or (by_value and steps and all(map(_is_red, steps))):
        yield dashboard.document.finding(
            ALWAYS_RED, (*panel.place, "fieldConfig", "defaults"), panel.title, "is red whatever its values are",
            "keep red for values that are wrong",
        )  # fmt: skip


def _lines_on_top(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    custom = _custom(panel)
    stacked = _dict(custom, "stacking").get("mode") in {"normal", "percent"}
    red = any(_is_red(_dict(one, "value").get("fixedColor")) for one in _properties(panel) if one.get("id") == "color")
    if panel.type == "timeseries" and stacked and red and custom.get("lineWidth", 1) and _draws_lines(custom):
        yield dashboard.document.finding(
            LINE_ON_TOP, (*panel.place, "fieldConfig", "defaults", "custom"), panel.title,
            "draws a red line at the top of its stack while its red series is 0", 'set "lineWidth": 0',
        )  # fmt: skip


def _draws_lines(custom: dict[str, Any]) -> bool:
    return str(custom.get("drawStyle", "line")) == "line"


def _dots(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    if panel.type != "timeseries" or not _draws_lines(_custom(panel)):
        return
    for place, target in panel.targets:
        step = str(target.get("interval") or panel.data.get("interval") or "")
        if _HOURS.fullmatch(step):
            yield dashboard.document.finding(
                DOTS,
                (*place, "interval"),
                panel.title,
                f"draws lines through steps of {step}",
                'set "drawStyle": "bars"',
            )


# --- Sizes -----------------------------------------------------------------------------------------------------------


def _unbounded(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    if panel.type != "timeseries" or _dict(_custom(panel), "stacking").get("mode") not in {"normal", "percent"}:
        return
    for place, _, expr in _expressions(panel):
        tree = _tree(expr)
        aggregates = [node for node, _ in nodes(tree) if isinstance(node, Aggregation)] if tree else []
        labels = check_tree(tree, AnyLabels()).labels if tree else frozenset()
        each = sorted(_SERVICES.intersection(() if isinstance(labels, AllBut) else labels))
        if each and not any(node.op in _CHOOSING for node in aggregates):
            yield dashboard.document.finding(
                UNBOUNDED, place, panel.title, f"stacks a series for each {' and '.join(each)}",
                "keep the highest with topk, or do not stack",
            )  # fmt: skip


def _cut_columns(dashboard: Dashboard, panel: Panel) -> Iterator[Finding]:
    if panel.type != "table":
        return
    expressions = [_tree(expr) for _, _, expr in _expressions(panel)]
    labels = {label for tree in expressions if tree is not None for label in _labels(tree)}
    least = int(_custom(panel).get("minWidth") or _DEFAULT_WIDTH)
    given = [int(one["value"]) for one in _properties(panel) if one.get("id") == "custom.width" and one.get("value")]
    columns = len(labels) + len(expressions)
    needed = sum(given) + least * max(0, columns - len(given))
    column = (_SCREEN - _EDGES + _GAP) / _COLUMNS
    room = round(int(_dict(panel.data, "gridPos").get("w") or _COLUMNS) * column - _GAP)
    if needed > room:
        yield dashboard.document.finding(
            CUT_COLUMNS, panel.place, panel.title, f"has {columns} columns of together {needed} pixels in a panel of {room}",
            "make the panel wider, or set custom.minWidth and custom.width",
        )  # fmt: skip


def _labels(tree: Node) -> frozenset[str]:
    """The labels of a result, as far as they are known."""
    labels = check_tree(tree, AnyLabels()).labels
    return frozenset() if isinstance(labels, AllBut) else labels


def _is_collapsed(item: object) -> bool:
    """Whether an item is the heading of a closed row, which nobody has to scroll past."""
    return isinstance(item, dict) and item.get("collapsed") is True


def _height(dashboard: Dashboard) -> Iterator[Finding]:
    items = dashboard.document.data.get("panels")
    opened = [item for item in items if not _is_collapsed(item)] if isinstance(items, list) else []
    places = [_dict(item, "gridPos") for item in opened]
    bottom = max((int(place.get("y") or 0) + int(place.get("h") or 0) for place in places), default=0)
    if bottom > _TWO_SCREENS:
        yield dashboard.document.finding(
            TALL, ("panels",), dashboard.title, f"is {bottom} grid units high, about {bottom * 38} pixels",
            "collapse the rows of details",
        )  # fmt: skip


def _ignored_variables(dashboard: Dashboard) -> Iterator[Finding]:
    panels = [panel for panel in dashboard.panels if panel.targets]
    texts = [
        [str(place_and_target[1]) + str(panel.data.get("datasource")) for place_and_target in panel.targets]
        for panel in panels
    ]
    for name, (place, variable) in dashboard.variables.items():
        read_by = re.compile(rf"\$(?:{re.escape(name)}\b|\{{{re.escape(name)}[:}}])|\[\[{re.escape(name)}[:\]]")
        readers = sum(any(read_by.search(text) for text in each) for each in texts)
        feeds_another = any(
            read_by.search(str(other.get("query")))
            for another, (_, other) in dashboard.variables.items()
            if another != name
        )
        if 2 * readers < len(panels) and not feeds_another and variable.get("type") != "adhoc":
            yield dashboard.document.finding(
                IGNORED_VARIABLE, place, f"variable {name}", f"is read by {readers} of {len(panels)} panels",
                "use it in the others, or remove it",
            )  # fmt: skip


_EACH_PANEL: tuple[Callable[[Dashboard, Panel], Iterator[Finding]], ...] = (
    _per_step,
    _time_overrides,
    _cut_below,
    _zeros,
    _unknown_colors,
    _always_red,
    _lines_on_top,
    _dots,
    _unbounded,
    _cut_columns,
)
