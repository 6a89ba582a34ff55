"""The chart's rules with open places, and the values that fill them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from alerts import ALERTS, groups
from alerts.checking.promql import check
from alerts.checking.series import series
from alerts.model import AlertRule, RecordingRule
from alerts.thresholds import SEVERITIES
from sidelight.chart.values import Block, ChartError, Value, flag, labels, may_be

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alerts.alert import Alert
    from alerts.checking.promql import Labels
    from alerts.model import RuleGroup
    from instrumentation.settings import Settings

_THRESHOLD = "threshold"


def chart_rules(settings: Settings) -> dict[str, object]:
    """What the templates read: every group, the labels that a scope may name, and which warning must not be above which critical.

    An alert rule has its places open, and with it their names, and whether its alerts name a namespace. A recorded series has the alert rules that read it, and
    none where a dashboard does too.
    """
    every = groups(settings)
    rules = [rule for group in every for rule in group.rules]
    known = series(every, settings.alerting.group_by)
    return {
        "groups": [_group(group, rules, known) for group in every],
        "labels": list(settings.alerting.group_by),
        "order": [pair for alert in ALERTS for pair in _order(alert, settings)],
    }


def _group(
    group: RuleGroup, rules: Sequence[RecordingRule | AlertRule], known: Mapping[str, Labels]
) -> dict[str, object]:
    return {
        "key": _key(group),
        "name": group.name,
        "interval": str(group.interval),
        "rules": [_rule(rule, rules, known) for rule in group.rules],
    }


def _key(group: RuleGroup) -> str:
    return group.name.removeprefix("sidelight.")


def _rule(
    rule: RecordingRule | AlertRule, rules: Sequence[RecordingRule | AlertRule], known: Mapping[str, Labels]
) -> dict[str, object]:
    if isinstance(rule, AlertRule):
        places = {"parameters": list(rule.parameters), "on_edge": list(rule.on_edge)}
        namespaced = "namespace" in check(rule.filled(rule.expr), known).labels
        expr = scoped(rule.expr, known)
        return {"key": rule.key, **places, "namespaced": namespaced, **rule.template(), "expr": expr}
    readers = () if _is_shown(rule, rules) else _readers(rule.record, rules)
    return {"record": rule.record, "expr": scoped(rule.expr, known), "readers": list(dict.fromkeys(readers))}


def scoped(expr: str, names: Iterable[str]) -> str:
    """An expression with a place for the scope at every series that it reads; without a scope the places are empty.

    >>> scoped('sum(rate(up{job="a"}[5m])) / group_up + up_total + up', {"up", "up_total"})
    'sum(rate(up{[[scope,]]job="a"}[5m])) / group_up + up_total[[scope]] + up[[scope]]'
    """
    # A place of a number may have the name of a series: [[queue_oldest_age_seconds]].
    series = re.compile(rf"(?<![\w:\[])({'|'.join(map(re.escape, names))})(?![\w:])({{?)")
    return series.sub(lambda found: f"{found[0]}[[scope,]]" if found[2] else f"{found[1]}[[scope]]", expr)


def _readers(record: str, rules: Sequence[RecordingRule | AlertRule]) -> Iterator[str]:
    """Every alert rule that reads a series, also by way of another recorded series."""
    for rule in _reading(record, rules):
        if isinstance(rule, AlertRule):
            yield f"{rule.alert}.{rule.key}"
        else:
            yield from _readers(rule.record, rules)


def _is_shown(rule: RecordingRule | AlertRule, rules: Sequence[RecordingRule | AlertRule]) -> bool:
    """Whether a dashboard reads a series, also by way of another: then it is recorded whatever becomes of the alerts."""
    return isinstance(rule, RecordingRule) and (
        rule.shown or any(_is_shown(reader, rules) for reader in _reading(rule.record, rules))
    )


def _reading(record: str, rules: Sequence[RecordingRule | AlertRule]) -> Iterator[RecordingRule | AlertRule]:
    return (rule for rule in rules if record in re.findall(r"[\w:]+", rule.expr))


def _order(alert: Alert, settings: Settings) -> Iterator[dict[str, str]]:
    """The pairs of warning and critical that judge the same services; an override may set one and leave the other."""
    rules = [rule for rule in alert.rules(settings) if _THRESHOLD in rule.parameters]
    keys = {rule.key for rule in rules}
    for match in dict.fromkeys(rule.key.removeprefix(rule.severity) for rule in rules):
        pair = {severity: severity + match if severity + match in keys else severity for severity in SEVERITIES}
        yield {"alert": alert.name, **pair}


# --- Their values ----------------------------------------------------------------------------------------------------


def rules_values(settings: Settings) -> Block:
    """Which groups there are, and as which object."""
    switches = tuple(flag(_key(group)) for group in groups(settings))
    return Block(
        key="rules",
        note="The rules as one object.",
        members=(
            flag("enabled"),
            Value(
                key="kind",
                default="PrometheusRule",
                schema={"enum": ["PrometheusRule", "ConfigMap"]},
                note="PrometheusRule needs the Prometheus Operator; a ConfigMap is mounted and listed in rule_files.",
            ),
            labels("labels", "Labels on the object; kube-prometheus-stack selects {release: <its release>}."),
            Value(
                key="scope",
                default={},
                schema=may_be("scope"),
                note="Which services this release judges, as labels and their values, such as {job: [shop, search]} or {namespace: [shop]}; by "
                "default all that Prometheus has. Releases with different scopes can share a Prometheus. The labels are those of "
                f"alerting.group_by in sidelight.yaml: {', '.join(settings.alerting.group_by)}. A release with a scope has no Watchdog, unless "
                "alertmanagerConfig.receivers has a watchdog.",
            ),
            Block(
                key="groups",
                members=switches,
                note="A group's alerts and recorded series; what only alerts read that are switched off is not recorded.",
            ),
        ),
    )


def alerts_values(settings: Settings) -> Block:
    """Every number of every alert."""
    return Block(
        key="alerts",
        note="The alerts, each with one rule for every severity and override. labels and annotations go onto the "
        "alert, and win over its own, such as {runbook_url: https://...}. threshold is "
        "the value to exceed: a share from 0 to 1, seconds, items or US dollars; the sentence of the alert follows it. "
        "for is how long that must last, keep_firing_for how long the alert outlives it (null: not at all). "
        "Alertmanager routes by severity. On the command line give numbers with --set-json, since --set makes 0.1 a text.",
        members=tuple(_alert(alert, rules) for alert in ALERTS if (rules := alert.rules(settings))),
    )


def _alert(alert: Alert, rules: Sequence[AlertRule]) -> Block:
    _check_keys(alert, rules)
    return Block(
        key=alert.name,
        note=f"{alert.meaning[0].upper()}{alert.meaning[1:]}.",
        members=(
            flag("enabled"),
            Value(key="labels", default={}, schema=may_be("alertLabels")),
            Value(key="annotations", default={}, schema=may_be("alertAnnotations")),
            *(Block(key=rule.key, members=tuple(_alert_rule(rule))) for rule in rules),
        ),
    )


def _check_keys(alert: Alert, rules: Iterable[AlertRule]) -> None:
    for key, times in Counter(rule.key for rule in rules).items():
        if times > 1:
            raise ChartError(
                f"thresholds.overrides: got {times} matches that the chart's values would all call "
                f"alerts.{alert.name}.{key}; give matches that differ in letters, digits or _.",
                code="chart_values_collide",
                details={"alert": alert.name, "key": key},
            )


def _alert_rule(rule: AlertRule) -> Iterator[Value]:
    yield flag("enabled")
    for place, default in rule.parameters.items():
        yield Value(key=place, default=default, schema=may_be(_kind(rule, place)))
    yield Value(key="for", default=str(rule.for_), schema=may_be("duration"))
    if rule.keep_firing_for:
        kept = str(rule.keep_firing_for)
        yield Value(key="keep_firing_for", default=kept, schema=may_be("duration"), optional=True)
    yield Value(key="severity", default=rule.severity, schema=may_be("text"))


def _kind(rule: AlertRule, place: str) -> str:
    if isinstance(rule.parameters[place], int):
        return "count"
    # What the sentence shows as a percentage is a share; 5 in place of 0.05 would never be exceeded.
    return "share" if f'"[[{place}]]" | humanizePercentage' in rule.description else "positive"


def bucket_edges(settings: Settings) -> Value:
    """Where the services' latencies are exact."""
    return Value(
        key="bucketEdges",
        default=list(settings.duration_edges),
        schema={"type": "array", "minItems": 1, "uniqueItems": True, "items": may_be("positive")},
        note="The services' bucket edges in seconds. A latency threshold must be one of them, and not the highest: "
        "only then is 'the p95 is above it' exact. An edge that only stands here is none: the services take theirs "
        "from sidelight.yaml.",
    )
