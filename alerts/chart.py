"""The Helm chart's generated files: the rules with open places, the default values, and the schema of all values."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from alerts import ALERTS, groups
from alerts.levels import SEVERITIES
from alerts.rules import AlertRule, RecordingRule, to_yaml
from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alerts.rules import Alert, RuleGroup
    from instrumentation.settings import Settings

DASHBOARDS = "files/dashboards"
CONFIGMAP_BYTES = 1 << 20  # Kubernetes refuses a ConfigMap that holds more

_WIDTH = 110  # characters of a line of comment
_THRESHOLD = "threshold"


class ChartError(SidelightError):
    """The chart cannot hold what it was given."""


def chart_files(settings: Settings) -> dict[str, str]:
    """Path below ``helm/sidelight`` to text, of all that follows from the settings.

    Raises:
        ChartError: Two overrides would have one name in the values.
    """
    values = chart_values(settings)
    return {
        "files/rules.yaml": to_yaml(chart_rules(settings), "sidelight file/ignore: the chart fills the places"),
        "values.yaml": to_values_file(values),
        "values.schema.json": to_schema_file(values),
    }


def dashboard_files(dashboards: Mapping[str, str]) -> dict[str, str]:
    """Path below ``helm/sidelight`` to text, of dashboards given as file name to JSON.

    Raises:
        ChartError: A dashboard is larger than a ConfigMap may be.
    """
    for name, text in dashboards.items():
        size = len(name.encode()) + len(text.encode())
        if size > CONFIGMAP_BYTES:
            raise ChartError(
                f"{name}: is {size} bytes with its name, and a ConfigMap holds {CONFIGMAP_BYTES}; "
                "split the dashboard in two.",
                code="chart_dashboard_too_large",
                details={"name": name, "bytes": size},
            )
    return {f"{DASHBOARDS}/{name}": text for name, text in dashboards.items()}


# --- The rules -------------------------------------------------------------------------------------------------------


def chart_rules(settings: Settings) -> dict[str, object]:
    """What the templates read: every group, and which warning must not be above which critical.

    An alert rule has its places open, and with it their names. A recorded series has the alert rules that read it, and
    none where a dashboard does too.
    """
    every = groups(settings)
    rules = [rule for group in every for rule in group.rules]
    return {
        "groups": [_group(group, rules) for group in every],
        "order": [pair for alert in ALERTS for pair in _order(alert, settings)],
    }


def _group(group: RuleGroup, rules: Sequence[RecordingRule | AlertRule]) -> dict[str, object]:
    return {
        "key": _key(group),
        "name": group.name,
        "interval": str(group.interval),
        "rules": [_rule(rule, rules) for rule in group.rules],
    }


def _key(group: RuleGroup) -> str:
    return group.name.removeprefix("sidelight.")


def _rule(rule: RecordingRule | AlertRule, rules: Sequence[RecordingRule | AlertRule]) -> dict[str, object]:
    if isinstance(rule, AlertRule):
        places = {"parameters": list(rule.parameters), "on_edge": list(rule.on_edge)}
        return {"key": rule.key, **places, **rule.template()}
    readers = () if _is_shown(rule, rules) else _readers(rule.record, rules)
    return {**rule.document(), "readers": list(dict.fromkeys(readers))}


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


# --- The values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value that users may change.

    Attributes:
        key: Its name.
        default: What it is unless changed.
        schema: What it may be, as JSON Schema.
        note: Its comment.
        optional: Whether null may take it away.
    """

    key: str
    default: object
    schema: Mapping[str, object]
    note: str = ""
    optional: bool = False

    def lines(self, indent: str = "") -> Iterator[str]:
        """The lines of values.yaml."""
        yield from _comment(self.note, indent)
        yield f"{indent}{self.key}: {_inline(self.default)}"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Values under one key; no other key is allowed there.

    Attributes:
        key: Its name; empty for the whole file.
        members: What it holds.
        note: Its comment.
        unset: Keys that have no default, with what they may be.
    """

    key: str
    members: tuple[Value | Block, ...]
    note: str = ""
    unset: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    optional = False

    def lines(self, indent: str = "") -> Iterator[str]:
        """The lines of values.yaml."""
        yield from _comment(self.note, indent)
        yield f"{indent}{self.key}:"
        for member in self.members:
            yield from member.lines(f"{indent}  ")

    @property
    def schema(self) -> dict[str, object]:
        """What it may be, as JSON Schema."""
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [member.key for member in self.members if not member.optional],
            "properties": {**self.unset, **{member.key: _described(member) for member in self.members}},
        }


def to_values_file(values: Block) -> str:
    """The text of values.yaml: every default with its comment."""
    paragraphs = ["\n".join(lines) for lines in (_comment(values.note, ""), *(part.lines() for part in values.members))]
    return "\n\n".join(paragraphs) + "\n"


def to_schema_file(values: Block) -> str:
    """The text of values.schema.json."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",  # read by Helm 3 and 4
        "$comment": "Written by `sidelight build` from sidelight.yaml; change that file, not this one.",
        **values.schema,
        "definitions": _DEFINITIONS,
    }
    return json.dumps(schema, indent=2) + "\n"


def _comment(note: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(note, _WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _inline(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("...\n").rstrip("\n")


def _described(member: Value | Block) -> dict[str, object]:
    return {"description": member.note, **member.schema} if member.note else dict(member.schema)


# --- What values may be ----------------------------------------------------------------------------------------------

_LABEL_VALUE = "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
_QUALIFIED_NAME = "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

# Patterns are for Go's regular expressions, which cannot look ahead. patternProperties rather than propertyNames: for
# the latter Helm 4.3 names another path than the one at fault.
_DEFINITIONS: Mapping[str, Mapping[str, object]] = {
    "flag": {"type": "boolean"},
    "text": {"type": "string", "minLength": 1},
    "count": {"type": "integer", "minimum": 1},
    "positive": {"type": "number", "exclusiveMinimum": 0},
    "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "duration": {
        "type": "string",
        "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
        "allOf": [{"pattern": "[1-9]"}],  # neither empty nor 0
    },
    "objectName": {"type": "string", "maxLength": 63, "pattern": "^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"},
    "labelName": {"type": "string", "pattern": _QUALIFIED_NAME},
    "labelValue": {"type": "string", "pattern": _LABEL_VALUE},
    "labels": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {_QUALIFIED_NAME: {"type": "string", "pattern": _LABEL_VALUE}},
    },
    "annotations": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {_QUALIFIED_NAME: {"type": "string"}},
    },
    "alertLabels": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^[a-zA-Z_][a-zA-Z0-9_]*$": {"type": "string", "minLength": 1}},
        "properties": {"alertname": False, "severity": False},  # the first is fixed, the second is a value beside it
    },
    "selector": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "matchLabels": {"$ref": "#/definitions/labels"},
            "matchExpressions": {"type": "array", "items": {"$ref": "#/definitions/matchExpression"}},
        },
    },
    "matchExpression": {
        "type": "object",
        "additionalProperties": False,
        "required": ["key", "operator"],
        "properties": {
            "key": {"$ref": "#/definitions/labelName"},
            "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
            "values": {"type": "array", "items": {"$ref": "#/definitions/labelValue"}},
        },
    },
    "namespaceSelector": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "any": {"type": "boolean"},
            "matchNames": {"type": "array", "items": {"$ref": "#/definitions/text"}},
        },
    },
}


def _is(name: str) -> Mapping[str, object]:
    return {"$ref": f"#/definitions/{name}"}


# --- Settings to values ----------------------------------------------------------------------------------------------


def chart_values(settings: Settings) -> Block:
    """Every value of the chart.

    Raises:
        ChartError: Two overrides would have one name.
    """
    return Block(
        key="",
        note="The defaults, written by `sidelight build` from sidelight.yaml: change them there, "
        "or override them with a values file of your own.",
        members=(
            _rules(settings),
            _alerts(settings),
            _bucket_edges(settings),
            _dashboards(settings),
            _pod_monitor(settings),
            _labels("commonLabels", "Labels on every object, such as {release: monitoring}."),
            Value(key="nameOverride", default="", schema=_is("objectName"), note="Stands for the chart's name."),
            Value(key="fullnameOverride", default="", schema=_is("objectName"), note="Names the objects."),
        ),
        # A parent chart passes these on.
        unset={"global": {"type": "object"}, "enabled": {"type": "boolean"}},
    )


def _rules(settings: Settings) -> Block:
    switches = tuple(_flag(_key(group)) for group in groups(settings))
    return Block(
        key="rules",
        note="The rules as one object.",
        members=(
            _flag("enabled"),
            Value(
                key="kind",
                default="PrometheusRule",
                schema={"enum": ["PrometheusRule", "ConfigMap"]},
                note="PrometheusRule needs the Prometheus Operator; a ConfigMap is mounted and listed in rule_files.",
            ),
            _labels("labels", "Labels on the object; kube-prometheus-stack selects {release: <its release>}."),
            Block(
                key="groups",
                members=switches,
                note="A group's alerts and recorded series; what only alerts read that are switched off is not recorded.",
            ),
        ),
    )


def _alerts(settings: Settings) -> Block:
    return Block(
        key="alerts",
        note="The alerts, each with one rule for every severity and override. labels go onto the alert. threshold is "
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
            _flag("enabled"),
            Value(key="labels", default={}, schema=_is("alertLabels")),
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
    yield _flag("enabled")
    for place, default in rule.parameters.items():
        yield Value(key=place, default=default, schema=_is(_kind(rule, place)))
    yield Value(key="for", default=str(rule.for_), schema=_is("duration"))
    if rule.keep_firing_for:
        kept = str(rule.keep_firing_for)
        yield Value(key="keep_firing_for", default=kept, schema=_is("duration"), optional=True)
    yield Value(key="severity", default=rule.severity, schema=_is("text"))


def _kind(rule: AlertRule, place: str) -> str:
    if isinstance(rule.parameters[place], int):
        return "count"
    # What the sentence shows as a percentage is a share; 5 in place of 0.05 would never be exceeded.
    return "share" if f'"[[{place}]]" | humanizePercentage' in rule.description else "positive"


def _bucket_edges(settings: Settings) -> Value:
    return Value(
        key="bucketEdges",
        default=list(settings.duration_edges),
        schema={"type": "array", "minItems": 1, "uniqueItems": True, "items": _is("positive")},
        note="The services' bucket edges in seconds. A latency threshold must be one of them, and not the highest: "
        "only then is 'the p95 is above it' exact. An edge that only stands here is none: the services take theirs "
        "from sidelight.yaml.",
    )


def _dashboards(settings: Settings) -> Block:
    return Block(
        key="dashboards",
        note="The dashboards, one ConfigMap each, for the sidecar of Grafana's chart.",
        members=(
            _flag("enabled"),
            Value(
                key="label",
                default="grafana_dashboard",
                schema=_is("labelName"),
                note="The label the sidecar looks for (its sidecar.dashboards.label and labelValue).",
            ),
            Value(key="labelValue", default="1", schema=_is("labelValue")),
            Value(
                key="folder",
                default=settings.dashboards.folder,
                schema=_is("text"),
                note="Grafana's folder; the sidecar heeds it with sidecar.dashboards.folderAnnotation set to the "
                "annotation's name and provider.foldersFromFilesStructure to true.",
            ),
            Value(key="folderAnnotation", default="grafana_folder", schema=_is("labelName")),
            _labels("labels"),
            Value(key="annotations", default={}, schema=_is("annotations")),
        ),
    )


def _pod_monitor(settings: Settings) -> Block:
    return Block(
        key="podMonitor",
        note="Scrapes the services' pods by way of the Prometheus Operator.",
        members=(
            _flag("enabled", default=False),
            _labels("labels"),
            Value(
                key="jobLabel",
                default="app.kubernetes.io/name",
                schema=_is("labelName"),
                note="The pods' label that becomes job. Without it all pods would be one service to the rules.",
            ),
            Value(
                key="selector",
                default={},
                schema=_is("selector"),
                note="Which pods, such as {matchLabels: {app.kubernetes.io/part-of: shop}}.",
            ),
            Value(
                key="namespaceSelector",
                default={},
                schema=_is("namespaceSelector"),
                note="In which namespaces, such as {any: true} or {matchNames: [shop]}; by default the release's own.",
            ),
            Value(key="port", default="http", schema=_is("text"), note="The name of the container's port."),
            Value(
                key="path",
                default=settings.metrics.path or "/metrics",
                schema={"type": "string", "pattern": "^/"},
            ),
            Value(
                key="interval",
                default=str(settings.metrics.scrape_interval),
                schema=_is("duration"),
                note=f"At most a quarter of the rules' window, which is {settings.alerting.window}.",
            ),
        ),
    )


def _flag(key: str, *, default: bool = True) -> Value:
    return Value(key=key, default=default, schema=_is("flag"))


def _labels(key: str, note: str = "") -> Value:
    return Value(key=key, default={}, schema=_is("labels"), note=note)
