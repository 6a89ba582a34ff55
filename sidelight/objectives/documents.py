"""Reads OpenSLO documents into objectives.

Source: the OpenSLO specification, https://github.com/OpenSLO/OpenSLO: v1, v1alpha and v2alpha; single documents, streams of
them, lists, and objects of kind List.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from instrumentation.errors import SidelightError
from sidelight.checks.reading import LARGEST_FILE_BYTES, Deadline, ReadError, decoded, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_SHORTHAND = re.compile(r"(\d+)([mhdwMQY])")
_UNITS = {"minute": "m", "hour": "h", "day": "d", "week": "w", "month": "M", "quarter": "Q", "year": "Y"}
_DAYS = {"m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "M": 30, "Q": 90, "Y": 365}
_NOT_KEPT = {
    "AlertNotificationTarget": "Alertmanager decides who is notified",
    "DataSource": "rules are evaluated by the Prometheus that loads them",
    "Service": "only the names of services are read, from the SLOs",
}
_METHODS = ("Occurrences", "Timeslices", "RatioTimeslices")
_UPPER, _LOWER = ("lt", "lte"), ("gt", "gte")
_LATENCY_UNIT = re.compile(
    r"(?P<s>_seconds(?:_(?:bucket|sum|count))?\b)|(?P<ms>_(?:milliseconds|millis|ms)\b|[a-z]M(?:sec|illis)\b)"
)


class OpenSloError(SidelightError):
    """A document that cannot be imported."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query of a document.

    Attributes:
        source: The type of its data source in lower case, such as ``prometheus``; empty if the document does not name it.
        text: The query; empty if the source has none.
    """

    source: str
    text: str

    @property
    def is_promql(self) -> bool:
        """Whether Prometheus can answer it."""
        return self.source in {"prometheus", "promql"} and bool(self.text)


@dataclass(frozen=True, kw_only=True)
class Indicator:
    """What an objective is about.

    Attributes:
        good: The query for good events.
        bad: The query for bad events.
        total: The query for all events.
        threshold: The query for a value.
        raw: The query for a ratio that is computed already.
        raw_is_good: Whether that is the ratio of good events.
        is_counter: Whether the queries for events read counters, which only rise.
    """

    good: Query | None = None
    bad: Query | None = None
    total: Query | None = None
    threshold: Query | None = None
    raw: Query | None = None
    raw_is_good: bool = True
    is_counter: bool = True

    @property
    def queries(self) -> tuple[Query, ...]:
        """All its queries."""
        return tuple(each for each in (self.good, self.bad, self.total, self.threshold, self.raw) if each is not None)

    @property
    def is_promql(self) -> bool:
        """Whether Prometheus can answer all its queries."""
        return bool(self.queries) and all(query.is_promql for query in self.queries)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of an alert policy: a burn rate that is exceeded.

    Attributes:
        name: Its name.
        severity: The severity of the alert.
        threshold: The burn rate.
        window_seconds: The window over which it is measured.
        wait_seconds: For how long it must be exceeded.
    """

    name: str
    severity: str
    threshold: float
    window_seconds: int
    wait_seconds: int


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One objective of a document.

    Attributes:
        where: The file, the document's name and the key, for messages.
        name: The document's name, with a number if it has several objectives.
        service: The service.
        target: The share of good events, from 0 to 1.
        op: The comparison of a value with its limit, such as ``lte``; empty if there is none.
        limit: The limit of a value, in the unit of its query.
        indicator: What it is about; None if the document leaves that to the tool.
        method: ``Occurrences``, ``Timeslices`` or ``RatioTimeslices``.
        slice_seconds: The length of a slice of time.
        slice_target: The share of good events that makes a slice good.
        period_days: The length of its period.
        conditions: The conditions of its alert policies, as far as the files contain them.
        notes: What of the document is not kept, one sentence each.
        own: What Sidelight's own export adds: the labels that are matched, the kind, the seconds.
    """

    where: str
    name: str
    service: str
    target: float
    op: str
    limit: float | None
    indicator: Indicator | None
    method: str
    slice_seconds: float
    slice_target: float | None
    period_days: float
    conditions: tuple[Condition, ...]
    notes: tuple[str, ...]
    own: Mapping[str, str]

    @property
    def unit(self) -> str:
        """The unit of the limit as the query's name says it, ``s`` or ``ms``; empty if it does not."""
        query = self.indicator.threshold if self.indicator else None
        found = _LATENCY_UNIT.search(query.text) if query else None
        return str(found.lastgroup) if found else ""


def objectives(paths: Iterable[Path], faults: list[OpenSloError] | None = None) -> tuple[list[Objective], list[str]]:
    """The objectives in files, and what of the other documents is not kept, one sentence each.

    Args:
        paths: The files.
        faults: Gets the faults of files and documents, which are then left out; None to raise the first.

    Raises:
        OpenSloError: A file cannot be read, or a document contradicts the specification.
    """
    documents: list[tuple[str, dict[str, Any]]] = []
    for path in paths:
        with leaving_out(faults):
            documents += _documents(path)
    others = _Others(documents)
    found: list[Objective] = []
    notes: list[str] = []
    for where, data in documents:
        kind, version = data.get("kind"), str(data.get("apiVersion", ""))
        if not version.startswith("openslo"):
            notes.append(f"{where}: is not an OpenSLO document, and is left out")
        elif kind == "SLO":
            with leaving_out(faults):
                found += list(_objectives(f"{where}: {_name(data)}", data, others))
        elif kind in _NOT_KEPT:
            notes.append(f"{where}: {_name(data)}: {kind} is not kept: {_NOT_KEPT[kind]}")
    if not any(data.get("kind") == "SLO" for _, data in documents):
        kinds = sorted({str(data.get("kind")) for _, data in documents})
        notes.append(f"the files contain no document of kind SLO, but {', '.join(kinds) or 'nothing'}")
    return found, notes


@contextmanager
def leaving_out(faults: list[OpenSloError] | None) -> Iterator[None]:
    """Add the fault of a part to a list, so that the other parts are kept; None to raise it."""
    try:
        yield
    except OpenSloError as error:
        if faults is None:
            raise
        faults.append(error)


class _Others:
    """The documents that an SLO may name.

    Attributes:
        indicators: The indicators by their name.
        sources: The types of data sources by their name.
        policies: The alert policies by their name.
        conditions: The conditions of alerts by their name.
    """

    def __init__(self, documents: Iterable[tuple[str, dict[str, Any]]]) -> None:
        of: dict[str, dict[str, dict[str, Any]]] = {}
        for _, data in documents:
            of.setdefault(str(data.get("kind")), {})[_name(data)] = data
        self.indicators = {name: _mapping(data.get("spec")) for name, data in of.get("SLI", {}).items()}
        self.sources = {
            name: str(_mapping(data.get("spec")).get("type") or "") for name, data in of.get("DataSource", {}).items()
        }
        self.policies = of.get("AlertPolicy", {})
        self.conditions = of.get("AlertCondition", {})


def fault(where: str, key: str, given: object, allowed: str) -> OpenSloError:
    """The error that says what is wrong where, what was given, and what is allowed."""
    return OpenSloError(
        f"{where}: {key}: got {repr(given)[:80]}; {allowed}.",
        code="openslo_not_carried_over",
        details={"where": where, "key": key},
    )


def _documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise fault(str(path), "the file", f"more than {LARGEST_FILE_BYTES >> 20} MiB", "split it")
        sources = read(decoded(content), Deadline(), is_json=path.suffix == ".json")
    except OSError as error:
        raise fault(str(path), "the file", error.strerror, "give a file of OpenSLO documents") from None
    except ReadError as error:
        raise fault(f"{path}:{error.line}", "the file", error.message, error.cure) from None
    for source in sources:
        yield from _inside(str(path), source.data)


def _inside(where: str, data: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents in a list, in an object of kind List, or the document itself."""
    if isinstance(data, list):
        for item in data:
            yield from _inside(where, item)
    elif isinstance(data, dict) and data.get("kind") == "List":
        yield from _inside(where, data.get("items"))
    elif isinstance(data, dict):
        yield where, data


def _name(data: Mapping[str, Any]) -> str:
    return str(_mapping(data.get("metadata")).get("name") or "an object without a name")


def _mapping(data: object) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


def _objectives(where: str, data: Mapping[str, Any], others: _Others) -> Iterator[Objective]:
    spec = data.get("spec")
    if not isinstance(spec, dict):
        raise fault(where, "spec", spec, "give a mapping")
    given = spec.get("objectives")
    if not isinstance(given, list) or not given:
        raise fault(where, "spec.objectives", given, "give at least one")
    service = spec.get("service")
    if not isinstance(service, str) or not service:
        raise fault(where, "spec.service", service, "give the service's name, which becomes its job")
    method = spec.get("budgetingMethod") or "Occurrences"
    if method not in _METHODS:
        raise fault(where, "spec.budgetingMethod", method, f"give one of {', '.join(_METHODS)}")
    days, notes = _period(where, spec)
    conditions, of_policies = _conditions(where, spec, others)
    notes += of_policies
    annotations = _mapping(_mapping(data.get("metadata")).get("annotations"))
    if (named := _unknown_indicator(spec, others.indicators)) is not None:
        notes.append(f"its indicator {named} is in none of the files; it applies to all requests of the job {service}")
    if any(isinstance(each, dict) and "compositeWeight" in each for each in given):
        notes.append("the weights of its objectives are not kept: each objective stands alone")
    for number, objective in enumerate(given):
        key = f"spec.objectives[{number}]"
        if not isinstance(objective, dict):
            raise fault(where, key, objective, "give a mapping")
        slice_target = objective.get("timeSliceTarget")
        yield Objective(
            where=f"{where}: {key}",
            name=_name(data) + (f"-{number + 1}" if len(given) > 1 else ""),
            service=service,
            target=_target(where, key, objective),
            op=_op(where, key, objective),
            limit=_limit(where, key, objective),
            indicator=_indicator(where, spec, objective, others),
            method=method,
            slice_seconds=_slice(where, key, objective) if method != "Occurrences" else 0,
            slice_target=_number(where, f"{key}.timeSliceTarget", slice_target) if slice_target is not None else None,
            period_days=days,
            conditions=conditions,
            notes=tuple(notes),
            own={name.removeprefix("sidelight/"): str(value) for name, value in annotations.items()},
        )


# --- Time ------------------------------------------------------------------------------------------------------------


def _period(where: str, spec: Mapping[str, Any]) -> tuple[float, list[str]]:
    """The length of the period in days, and what of it is not kept."""
    key = "timeWindows" if "timeWindows" in spec else "timeWindow"
    windows = spec.get(key)
    windows = [windows] if isinstance(windows, dict) else windows
    window = windows[0] if isinstance(windows, list) and len(windows) == 1 else None
    if not isinstance(window, dict):
        raise fault(where, f"spec.{key}", windows, "give one window")
    is_calendar = window.get("isRolling") is False or bool(window.get("calendar"))
    if "count" in window:
        unit = _UNITS.get(str(window.get("unit")).lower())
        count = window["count"]
        if unit is None or not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise fault(where, f"spec.{key}[0]", window, "give a count and a unit, such as 30 and Day")
        written = f"{count}{unit}"
    else:
        written = str(window.get("duration"))
        written = f"1{_UNITS[written.lower()]}" if written.lower() in _UNITS else written
    found = _SHORTHAND.fullmatch(written)
    if found is None:
        raise fault(
            where, f"spec.{key}[0].duration", window.get("duration"), "give a duration such as 28d, 4w, 1M or 1Q"
        )
    notes: list[str] = []
    number, unit = int(found[1]), found[2]
    if is_calendar and unit == "m":
        notes.append(f"its calendar window is {written}, which is minutes, and is read as {number}M")
        unit = "M"
    days = number * _DAYS[unit]
    if is_calendar:
        notes.append(f"its calendar window of {number}{unit} is kept as a rolling one of {days:g} days")
    elif unit in "MQY":
        notes.append(f"its period of {number}{unit} is kept as {days:g} days")
    return days, notes


def _slice(where: str, key: str, objective: Mapping[str, Any]) -> float:
    given = objective.get("timeSliceWindow", "1m")
    found = _SHORTHAND.fullmatch(f"{given}m" if isinstance(given, int) else str(given))
    if found is None or found[2] not in "mh":
        raise fault(where, f"{key}.timeSliceWindow", given, "give minutes or hours, such as 1m")
    return int(found[1]) * _DAYS[found[2]] * 86_400


# --- Numbers ---------------------------------------------------------------------------------------------------------


def _target(where: str, key: str, objective: Mapping[str, Any]) -> float:
    percent = "targetPercent" in objective
    name = "targetPercent" if percent else "target"
    target = objective.get(name)
    whole = 100 if percent else 1
    if isinstance(target, bool) or not isinstance(target, (int, float)) or not 0 < target < whole:
        raise fault(where, f"{key}.{name}", target, f"give a number between 0 and {whole}")
    return round(target / whole, 12)


def _op(where: str, key: str, objective: Mapping[str, Any]) -> str:
    op = objective.get("op")
    if op is not None and op not in (*_UPPER, *_LOWER):
        raise fault(where, f"{key}.op", op, "give lt, lte, gt or gte")
    return op or ""


def _limit(where: str, key: str, objective: Mapping[str, Any]) -> float | None:
    value = objective.get("value")
    return None if value is None else _number(where, f"{key}.value", value)


def _number(where: str, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise fault(where, key, value, "give a number")
    return float(value)


# --- Indicators ------------------------------------------------------------------------------------------------------


def _indicator(where: str, spec: Mapping[str, Any], objective: Mapping[str, Any], others: _Others) -> Indicator | None:
    """The indicator: within the objective, within the document, or another document that one of them names."""
    for holder in (objective, spec):
        if isinstance(metrics := holder.get("ratioMetrics") or holder.get("ratioMetric"), dict):
            return _ratio(metrics, others.sources)
        inline = _mapping(holder.get("indicator") or holder.get("sli"))
        if inline:
            return _of_spec(where, _mapping(inline.get("spec")) or inline, others.sources)
        named = holder.get("indicatorRef") or holder.get("sliRef")
        named = named.get("name") if isinstance(named, dict) else named
        if isinstance(named, str) and named in others.indicators:
            return _of_spec(where, others.indicators[named], others.sources)
    return None


def _unknown_indicator(spec: Mapping[str, Any], indicators: Mapping[str, dict[str, Any]]) -> str | None:
    named = spec.get("indicatorRef") or spec.get("sliRef")
    named = named.get("name") if isinstance(named, dict) else named
    return str(named) if named is not None and named not in indicators else None


def _of_spec(where: str, spec: Mapping[str, Any], sources: Mapping[str, str]) -> Indicator:
    if isinstance(threshold := spec.get("thresholdMetric"), dict):
        return Indicator(threshold=_query(threshold, sources))
    if isinstance(ratio := spec.get("ratioMetric") or spec.get("ratioMetrics"), dict):
        return _ratio(ratio, sources)
    raise fault(where, "the indicator", sorted(spec), "give ratioMetric or thresholdMetric")


def _ratio(ratio: Mapping[str, Any], sources: Mapping[str, str]) -> Indicator:
    good, bad, total, raw = (
        _query(ratio[key], sources) if isinstance(ratio.get(key), dict) else None
        for key in ("good", "bad", "total", "raw")
    )
    is_counter = ratio.get("counter", ratio.get("incremental", True)) is not False
    return Indicator(
        good=good, bad=bad, total=total, raw=raw, raw_is_good=ratio.get("rawType") != "failure", is_counter=is_counter
    )


def _query(metric: Mapping[str, Any], sources: Mapping[str, str]) -> Query:
    """A query: of v1 in ``metricSource.spec``, of v2alpha in ``spec``, of v1alpha beside its source.

    Args:
        metric: The metric that contains it.
        sources: The types of the data sources in the files, by name. Of a source that is in none of them, only the name is known.
    """
    source = _mapping(metric.get("metricSource")) or metric
    spec = _mapping(source.get("spec")) or source
    named = str(source.get("metricSourceRef") or source.get("dataSourceRef") or "")
    kind = source.get("type") or source.get("source") or sources.get(named) or named
    name = str(kind).lower()
    return Query(
        source="prometheus" if "prometheus" in name else name, text=str(spec.get("query") or spec.get("promql") or "")
    )


# --- Alert policies --------------------------------------------------------------------------------------------------


def _conditions(where: str, spec: Mapping[str, Any], others: _Others) -> tuple[tuple[Condition, ...], list[str]]:
    """The conditions of the alert policies of an SLO, and what of the policies is not kept."""
    found: list[Condition] = []
    notes: list[str] = []
    given = spec.get("alertPolicies")
    for each in given if isinstance(given, list) else ():
        policy, named = _named(each, ("alertPolicyRef", "policyRef", "name"), others.policies)
        if policy is None:
            notes.append(f"its alert policy {named} is in none of the files")
            continue
        inside = _mapping(policy.get("spec"))
        if inside.get("notificationTargets"):
            notes.append(f"the targets of its alert policy {named} are not kept: Alertmanager decides who is notified")
        if inside.get("alertWhenNoData"):
            notes.append(f"alertWhenNoData of its alert policy {named} is not kept")
        conditions = inside.get("conditions")
        for one in conditions if isinstance(conditions, list) else ():
            condition, name = _named(one, ("conditionRef", "name"), others.conditions)
            if condition is None:
                notes.append(f"the condition {name} of its alert policy {named} is in none of the files")
                continue
            try:
                found.append(_condition(where, name, _mapping(condition.get("spec")), notes))
            except OpenSloError as error:
                notes.append(f"the condition {name} of its alert policy {named} is not kept: {error.message}")
    return tuple(found), notes


def _named(
    each: object, references: tuple[str, ...], of: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any] | None, str]:
    """An object that is written in place or named, None if it is in none of the files; and its name."""
    if isinstance(each, dict) and "spec" in each:
        return each, _name(each)
    name = (
        each
        if isinstance(each, str)
        else next((str(_mapping(each)[key]) for key in references if key in _mapping(each)), str(each))
    )
    return of.get(name), name


def _condition(where: str, name: str, spec: Mapping[str, Any], notes: list[str]) -> Condition:
    given = _mapping(spec.get("condition"))
    kind, op = str(given.get("kind") or "burnrate"), str(given.get("op") or "gt")
    if kind.lower() != "burnrate":
        raise fault(where, "kind", kind, "give burnrate")
    if op not in _LOWER:
        notes.append(f"op {op} of its condition {name} is not kept: the alert fires above the threshold")
    return Condition(
        name=name,
        severity=str(spec.get("severity") or "warning"),
        threshold=_number(where, "threshold", given.get("threshold")),
        window_seconds=_seconds(where, "lookbackWindow", given.get("lookbackWindow") or "1h"),
        wait_seconds=_seconds(where, "alertAfter", given.get("alertAfter") or "0m"),
    )


def _seconds(where: str, key: str, given: object) -> int:
    found = _SHORTHAND.fullmatch(str(given))
    if found is None or found[2] not in "mhdw":
        raise fault(where, key, given, "give a duration such as 5m or 1h")
    return round(int(found[1]) * _DAYS[found[2]] * 86_400)
