"""The rules as files that provision Grafana-managed alerts.

Grafana evaluates such rules itself, by queries to a Prometheus data source. The three steps of a rule are those into which Grafana
converts a rule of Prometheus that is imported. Sources: ``pkg/services/ngalert/prom`` and
``pkg/services/provisioning/alerting/rules_types.go`` of Grafana, and
https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from alerts import groups
from alerts.links import LABELS
from alerts.model import AlertRule, RecordingRule, to_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.model import RuleGroup
    from instrumentation.settings import Settings

_QUERY, _MATH, _THRESHOLD = "query", "math", "threshold"
_EXPRESSIONS = "__expr__"  # the uid of Grafana's own data source for expressions
_RANGE = {"from": 600, "to": 0}  # seconds; an instant query only uses the end
_PATH = "provisioning/alerting"


def provisioning_files(settings: Settings, datasource: str) -> dict[str, str]:
    """File name to text: one file with the alert rules and one with the recording rules that they read.

    Args:
        settings: The settings.
        datasource: The uid of the Prometheus data source. Grafana also writes what recording rules record to it.
    """
    made = groups(settings)
    return {
        f"{_PATH}/sidelight-{name}.yaml": to_yaml(
            {
                "apiVersion": 1,
                "groups": [
                    _group(group, kept, settings.owner, datasource) for group in made if (kept := select(group))
                ],
            }
        )
        for name, select in (("alerts", _alerts), ("recording", _records))
    }


def _alerts(group: RuleGroup) -> list[AlertRule]:
    return [rule for rule in group.rules if isinstance(rule, AlertRule)]


def _records(group: RuleGroup) -> list[RecordingRule]:
    return [rule for rule in group.rules if isinstance(rule, RecordingRule)]


def _group(group: RuleGroup, kept: Sequence[AlertRule | RecordingRule], owner: str, datasource: str) -> dict[str, Any]:
    rules = [_alert(rule, datasource) if isinstance(rule, AlertRule) else _recording(rule, datasource) for rule in kept]
    return {
        "orgId": 1,
        "name": f"{group.name}{' (recording)' if isinstance(kept[0], RecordingRule) else ''}",
        "folder": ": ".join(filter(None, (owner, "Sidelight alerts"))),
        "interval": str(group.interval),
        "rules": [{"uid": _uid(owner, group.name, rule["title"])} | rule for rule in rules],
    }


def _uid(owner: str, group: str, title: str) -> str:
    """A uid that stays the same, of at most 40 characters."""
    return f"sidelight-{blake2b(f'{owner}/{group}/{title}'.encode(), digest_size=12).hexdigest()}"


def _alert(rule: AlertRule, datasource: str) -> dict[str, Any]:
    document: Mapping[str, Any] = rule.document()
    keep = {"keepFiringFor": document["keep_firing_for"]} if "keep_firing_for" in document else {}
    return {
        "title": f"{rule.alert} ({rule.key})",  # unique in the folder, which Grafana before 12 requires
        "condition": _THRESHOLD,
        "data": [
            _query(document["expr"], datasource),
            _expression(_MATH, "math", f"is_number(${_QUERY}) || is_nan(${_QUERY}) || is_inf(${_QUERY})"),
            _expression(_THRESHOLD, "threshold", _MATH, conditions=[{"evaluator": {"type": "gt", "params": [0]}}]),
        ],
        # As in Prometheus: no series means that all is well, and an alert ends as soon as its series is gone.
        "noDataState": "OK",
        "execErrState": "Error",
        "missing_series_evals_to_resolve": 1,
        "for": document["for"],
        **keep,
        "labels": document["labels"],
        "annotations": _annotations(document["annotations"]),
    }


def _recording(rule: RecordingRule, datasource: str) -> dict[str, Any]:
    return {
        "title": rule.record,
        "condition": _QUERY,
        "data": [_query(rule.expr, datasource)],
        "record": {"metric": rule.record, "from": _QUERY, "targetDatasourceUid": datasource},
    }


def _query(expr: str, datasource: str) -> dict[str, Any]:
    model = {
        "datasource": {"type": "prometheus", "uid": datasource},
        "expr": expr,
        "instant": True,
        "range": False,
        "refId": _QUERY,
    }
    return {"refId": _QUERY, "relativeTimeRange": _RANGE, "datasourceUid": datasource, "model": model}


def _expression(ref: str, kind: str, expression: str, **more: object) -> dict[str, Any]:
    model = {
        "datasource": {"type": _EXPRESSIONS, "uid": _EXPRESSIONS},
        "expression": expression,
        "refId": ref,
        "type": kind,
        **more,
    }
    return {"refId": ref, "queryType": kind, "datasourceUid": _EXPRESSIONS, "model": model}


_QUERIED = re.compile(r"{{ with printf .*? \| query }}.*?{{ else }}.*?{{ end }}")
_WITH = re.compile(r"{{ with or \$labels\.(\w+) \$externalLabels\.\1 }}{{ \. }}")


def _annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """The texts of an alert; a link with all labels gets those that the texts name, because Grafana has no loop without ``$``."""
    named = dict.fromkeys(re.findall(r"\$labels\.(\w+)", " ".join(annotations.values())))
    linked = "".join(f"{{{{ with .Labels.{name} }}}}{name}={{{{ . | urlquery }}}}&{{{{ end }}}}" for name in named)
    return {name: grafana_template(text.replace(LABELS, linked)) for name, text in annotations.items()}


def grafana_template(text: str) -> str:
    """A text of an alert with the variables that Grafana has.

    Grafana has no external labels and no queries in texts, and its files take ``$`` for an environment variable. So a limit that
    an override sets, which Prometheus asks for, is not in the text.

    >>> grafana_template("{{ with or $labels.env $externalLabels.env }}{{ . }}/{{ end }}{{ $labels.job }}: {{ $value | humanize }}")
    '{{ with .Labels.env }}{{ . }}/{{ end }}{{ .Labels.job }}: {{ .Values.query.Value | humanize }}'
    """
    text = _QUERIED.sub("set for this service", text)
    text = _WITH.sub(r"{{ with .Labels.\1 }}{{ . }}", text)
    return text.replace("$labels.", ".Labels.").replace("$value", f".Values.{_QUERY}.Value")
