"""The chart's rules with placeholders, and the values for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alerts import every_alert
from alerts.checking.promql import check
from alerts.checking.series import series
from alerts.links import LABELS
from alerts.model import AlertRule, RecordingRule
from alerts.thresholds import SEVERITIES
from instrumentation.catalog import Unit
from sidelight.chart.values import Block, ChartError, Value, annotated, flag, labels, may_be

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alerts.alert import Alert
    from alerts.checking.promql import Labels
    from alerts.model import Parameter, RuleGroup
    from instrumentation.settings import Settings

_THRESHOLD = "threshold"
_LONGEST = 200_000  # characters of an expression: kubectl apply keeps an object in an annotation of 262,144 bytes


def chart_rules(settings: Settings, every: Sequence[RuleGroup]) -> dict[str, object]:
    """The data for the templates.

    It contains groups, the labels allowed in a scope, the labels of an alert in a link, and which warning must not exceed which
    critical. An alert rule contains placeholders, their names, and whether its alerts have a namespace. A recording rule contains
    the alert rules that read its series, and whether it is recorded even if they are disabled, because a dashboard reads it.

    Args:
        settings: The settings.
        every: Their rule groups.
    """
    rules = [rule for group in every for rule in group.rules]
    known = series(every, settings.alerting.group_by, settings.http.labels)
    _check_sizes(rules)
    return {
        "groups": [_group(group, rules, known) for group in every],
        "labels": list(settings.alerting.group_by),
        "linked": LABELS,
        "order": [pair for alert in every_alert(settings) for pair in _order(alert, settings)],
    }


def _check_sizes(rules: Iterable[RecordingRule | AlertRule]) -> None:
    """Groups and objects are split where they are too large, but a rule cannot be."""
    for rule in rules:
        if isinstance(rule, RecordingRule) and len(rule.expr) > _LONGEST:
            raise ChartError(
                f"overrides: the rule {rule.record} got {len(rule.expr):,} characters from their numbers; an object of Kubernetes "
                f"holds a rule of at most {_LONGEST:,}. Give overrides fewer different numbers: services with the same number share "
                "a term.",
                code="rule_too_large",
                details={"record": rule.record, "characters": len(rule.expr)},
            )


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
        on_edge = [place for place, parameter in rule.parameters.items() if parameter.on_edge]
        places = {"parameters": list(rule.parameters), "on_edge": on_edge}
        namespaced = "namespace" in check(rule.filled(rule.expr), known).labels
        expr = scoped(rule.expr, known)
        return {"key": rule.key, **places, "namespaced": namespaced, **rule.template(), "expr": expr}
    readers = list(dict.fromkeys(_readers(rule.record, rules)))
    shown = _is_shown(rule, rules) or not readers
    return {"record": rule.record, "expr": scoped(rule.expr, known), "readers": readers, "shown": shown}


def scoped(expr: str, names: Iterable[str]) -> str:
    """An expression with a placeholder for the scope at every series that it reads; without a scope it is left empty.

    >>> scoped('sum(rate(up{job="a"}[5m])) / group_up + up_total + up', {"up", "up_total"})
    'sum(rate(up{[[scope,]]job="a"}[5m])) / group_up + up_total[[scope]] + up[[scope]]'
    """
    # A placeholder for a number may have the name of a series: [[queue_oldest_age_seconds]].
    series = re.compile(rf"(?<![\w:\[])({'|'.join(map(re.escape, names))})(?![\w:])({{?)")
    return series.sub(lambda found: f"{found[0]}[[scope,]]" if found[2] else f"{found[1]}[[scope]]", expr)


def _readers(record: str, rules: Sequence[RecordingRule | AlertRule]) -> Iterator[str]:
    """All alert rules that read a series, directly or through other recorded series."""
    for rule in _reading(record, rules):
        if isinstance(rule, AlertRule):
            yield f"{rule.alert}.{rule.key}"
        else:
            yield from _readers(rule.record, rules)


def _is_shown(rule: RecordingRule | AlertRule, rules: Sequence[RecordingRule | AlertRule]) -> bool:
    """Whether a dashboard reads a series, directly or indirectly. Then it is recorded even if alerts are disabled."""
    return isinstance(rule, RecordingRule) and (
        rule.shown or any(_is_shown(reader, rules) for reader in _reading(rule.record, rules))
    )


def _reading(record: str, rules: Sequence[RecordingRule | AlertRule]) -> Iterator[RecordingRule | AlertRule]:
    return (rule for rule in rules if record in re.findall(r"[\w:]+", rule.expr))


def _order(alert: Alert, settings: Settings) -> Iterator[dict[str, str]]:
    """The pairs of warning and critical rules for the same services; an override may set only one of them."""
    rules = [rule for rule in alert.rules(settings) if _THRESHOLD in rule.parameters]
    keys = {rule.key for rule in rules}
    for match in dict.fromkeys(rule.key.removeprefix(rule.level) for rule in rules):
        pair = {severity: severity + match if severity + match in keys else severity for severity in SEVERITIES}
        yield {"alert": alert.name, **pair}


# --- Their values ----------------------------------------------------------------------------------------------------


def rules_values(settings: Settings, every: Sequence[RuleGroup]) -> Block:
    """Values of the rule groups and their object."""
    switches = tuple(flag(_key(group)) for group in every)
    return Block(
        key="rules",
        note="The rules.",
        members=(
            flag("enabled"),
            Value(
                key="kind",
                default="PrometheusRule",
                schema={"enum": ["PrometheusRule", "VMRule", "ConfigMap"]},
                note="PrometheusRule needs the Prometheus Operator, VMRule the operator of VictoriaMetrics. Mount a ConfigMap yourself and list "
                "it in rule_files.",
            ),
            labels("labels", "Labels on the object; kube-prometheus-stack selects {release: <its release>}."),
            annotated("annotations"),
            Value(
                key="alertLabels",
                default={},
                schema=may_be("alertLabels"),
                note="Labels on every alert, such as {team: shop}; labels of a single alert take precedence.",
            ),
            Value(
                key="alertAnnotations",
                default={},
                schema=may_be("alertAnnotations"),
                note="Annotations on every alert; annotations of a single alert take precedence.",
            ),
            Value(
                key="runbookURL",
                default="",
                schema={"type": "string", "pattern": "^(https?://[^ ]*[{]alert[}][^ ]*)?$"},
                note="The address of runbooks with {alert} for the alert's name, and {labels} for its labels if they are wanted, such as "
                "https://wiki.example/runbooks/{alert}; by default "
                f"{settings.alerting.runbook_url or 'alerts have no link to a runbook'}.",
            ),
            Value(
                key="scope",
                default={},
                schema=may_be("scope"),
                note="The services that this release covers, as labels and their values, such as {job: [shop, search]} or "
                "{namespace: [shop]}; by default all in Prometheus. Releases with different scopes can share a Prometheus. "
                f"Possible labels are those of alerting.group_by in sidelight.yaml: {', '.join(settings.alerting.group_by)}. A "
                "release with a scope has no Watchdog, unless alertmanagerConfig.receivers has a watchdog.",
            ),
            Block(
                key="groups",
                members=switches,
                note="The groups of alerts and recording rules. Series that only disabled alerts read are not recorded.",
            ),
        ),
    )


def alerts_values(settings: Settings) -> Block:
    """Values of all alerts."""
    return Block(
        key="alerts",
        note="The alerts, each with one rule per severity, and one for services with thresholds of their own. labels and annotations are added to the alert and "
        "replace its own, such as {runbook_url: https://...}. threshold is the value to exceed: a ratio from 0 to 1, "
        "seconds, items or US dollars; the alert text follows it. for is how long the condition must hold, keep_firing_for "
        "how long the alert keeps firing afterwards (null: not at all). Alertmanager routes by severity. On the command line, "
        "set numbers with --set-json, because --set makes 0.1 a string.",
        members=tuple(_alert(alert, rules) for alert in every_alert(settings) if (rules := alert.rules(settings))),
    )


def _alert(alert: Alert, rules: Sequence[AlertRule]) -> Block:
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


def _alert_rule(rule: AlertRule) -> Iterator[Value]:
    yield flag("enabled")
    for place, parameter in rule.parameters.items():
        yield Value(key=place, default=parameter.value, schema=_schema(parameter))
    yield Value(key="for", default=str(rule.for_), schema=may_be("duration"))
    if rule.keep_firing_for:
        kept = str(rule.keep_firing_for)
        yield Value(key="keep_firing_for", default=kept, schema=may_be("duration"), optional=True)
    yield Value(key="severity", default=rule.severity, schema=may_be("text"))


def _schema(parameter: Parameter) -> Mapping[str, object]:
    if parameter.edges:  # compared with a histogram, so only an edge is exact
        return {"enum": list(parameter.edges)}
    if isinstance(parameter.value, int):
        return may_be("count")
    if parameter.is_signed:
        return may_be("number")
    # 5 instead of 0.05 would never be exceeded.
    return may_be("share" if parameter.unit is Unit.RATIO else "positive")


def bucket_edges(settings: Settings) -> Value:
    """The value with the services' bucket edges."""
    return Value(
        key="bucketEdges",
        default=list(settings.duration_edges),
        schema={"type": "array", "minItems": 1, "uniqueItems": True, "items": may_be("positive")},
        note="The services' bucket edges in seconds. A latency threshold must be one of them, except the highest: only then "
        "is 'p95 is above it' exact. Changing this value does not change the services, which read their edges from "
        "sidelight.yaml.",
    )
