"""The chart's AlertmanagerConfig: the generated routes and receivers in the operator's words, secrets as keys of Secrets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from alerts.alertmanager.configuration import alertmanager_config, given_receivers, is_event, receiver_names, stands_in
from alerts.alertmanager.messages import inlined
from instrumentation.settings import Receiver
from instrumentation.settings.faults import section_of
from instrumentation.settings.receivers import Discord
from sidelight.chart.secret_keys import secret_key
from sidelight.chart.values import Block, ChartError, Value, flag, labels, may_be

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import BaseModel

    from alerts.model import RuleGroup
    from instrumentation.settings import Section, Settings

    Config = Mapping[str, Any]

STRATEGIES = ("OnNamespace", "OnNamespaceExceptForAlertmanagerNamespace", "None")
SECRET = "sidelight-receivers"  # noqa: S105 - the name of an object
"""The Secret of what lies in no folder of its own."""

NAMESPACE = "[[namespace]]"
"""The place for the name of the alert label that says the service's namespace."""

_MATCH_TYPES = ("!~", "=~", "!=", "=")
_UTC = {"UTC", "Etc/UTC"}


def alertmanager_parts(settings: Settings, made: Iterable[RuleGroup]) -> dict[str, object]:
    """What the template reads: the route, inhibitions and mute times of the resource, and the receivers.

    A receiver's ``targets`` are those of ``alerting.receivers``; a receiver without any takes those of the next in ``instead``.

    Args:
        settings: The settings.
        made: Their rule groups.

    Raises:
        ChartError: Two files of secrets would be the same key of the same Secret.
    """
    config: Config = alertmanager_config(settings, made)
    given = given_receivers(settings)
    _check_secrets(given)
    return {
        "route": _route(config["route"]),
        "inhibitRules": [
            {
                "sourceMatch": [_matcher(text) for text in rule["source_matchers"]],
                "targetMatch": [_matcher(text) for text in rule["target_matchers"]],
                "equal": _labels(rule["equal"]),
            }
            for rule in config["inhibit_rules"]
        ],
        "muteTimeIntervals": [_mute_time(interval) for interval in config.get("time_intervals", [])],
        "receivers": [
            {"name": name, "instead": stands_in(name), "sendResolved": not is_event(name)}
            for name in receiver_names(settings)
        ],
        "targets": {
            name: {kind: [dict(_fields(target)) for target in targets] for kind, targets in receiver.targets.items()}
            for name, receiver in given.items()
        },
        "messages": {kind: dict(_message(inlined(kind, settings))) for kind in Receiver.model_fields},
        "elsewhere": [time.name for time in settings.alerting.mute_times if time.location not in _UTC],
    }


def alertmanager_values(settings: Settings) -> Block:
    """Who hears what, with secrets as keys of Secrets."""
    receivers = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: may_be("targets") for name in receiver_names(settings)},
    }
    return Block(
        key="alertmanagerConfig",
        note="Routes, inhibitions and receivers as an AlertmanagerConfig of the Prometheus Operator. They apply to this release's "
        "alerts only, which carry the label sidelight: <namespace>/<name of the objects>.",
        members=(
            flag("enabled", default=False),
            labels("labels", "Labels on the object; an Alertmanager selects by them."),
            Value(
                key="matcherStrategy",
                default=STRATEGIES[0],
                schema={"enum": list(STRATEGIES)},
                note="The alertmanagerConfigMatcherStrategy of the Alertmanager. Under OnNamespace, the operator's default, an "
                "Alertmanager applies the object only to alerts with its namespace, so the alerts carry the release's namespace "
                "as namespace and that of the service as exported_namespace; they arrive under every strategy. Under the others "
                "namespace stays that of the service; OnNamespaceExceptForAlertmanagerNamespace needs the release in the "
                "Alertmanager's namespace.",
            ),
            Value(
                key="receivers",
                default={},
                schema=receivers,
                note="Targets by receiver, such as {default: {slack: {apiURL: {name: slack, key: url}, channel: '#shop'}}}; each kind "
                f"({', '.join(Receiver.model_fields)}) has one target or a list. "
                f"Receivers are {', '.join(receiver_names(settings))}. A receiver that stands here replaces the one of "
                "alerting.receivers in sidelight.yaml, whose secrets are keys of Secrets: the file .../slack/url is the key url of "
                f"the Secret slack, .../secrets/url that of the Secret {SECRET}. A receiver that is in neither place uses "
                "default's targets, as does null; {} sends nowhere. Watchdog goes to nobody unless watchdog stands here or there.",
            ),
        ),
    )


# --- Receivers -------------------------------------------------------------------------------------------------------


def targets_schema() -> dict[str, object]:
    """What a receiver may hold: each kind with the fields of the settings in the operator's words, as JSON Schema."""
    sections = {kind: section_of(field.annotation) for kind, field in Receiver.model_fields.items()}
    kinds = {kind: _target_schema(section) for kind, section in sections.items() if section}
    return {"type": ["object", "null"], "additionalProperties": False, "properties": kinds}


def _target_schema(section: type[BaseModel]) -> dict[str, object]:
    """One target, or a list of them: the keywords for objects apply only to objects, ``items`` only to lists."""
    fields = section.model_fields
    required = [_key(name, section) for name, one in fields.items() if one.is_required()]
    one: dict[str, object] = {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": {_key(name, section): _field_schema(name, field.annotation) for name, field in fields.items()},
        **({} if required else {"minProperties": 1, "maxProperties": 1}),  # one address or another
    }
    return {**one, "type": ["object", "array"], "items": one}


def _field_schema(name: str, annotation: object) -> Mapping[str, object]:
    if name.endswith("_file"):
        return may_be("secretKey")
    if annotation is int:
        return {"type": "integer"}
    return may_be("flag" if annotation is bool else "text")


def _key(name: str, section: type[BaseModel]) -> str:
    """A field's name in the operator's words; a secret is not told from a plain value by its name, unless there are both."""
    if section is Discord:
        return "apiURL"  # Alertmanager calls it webhook_url
    plain = name.removesuffix("_file")
    both = plain != name and plain in section.model_fields
    return _camel(section.model_fields[name].alias or plain) + ("Secret" if both else "")


def _fields(target: Section) -> Iterator[tuple[str, object]]:
    for name, value in target:
        if value is not None:
            yield _key(name, type(target)), _secret(value) if name.endswith("_file") else value


def _secret(path: str) -> dict[str, str]:
    return secret_key(path, otherwise=SECRET)


def _check_secrets(given: Mapping[str, Receiver]) -> None:
    paths: dict[tuple[str, ...], str] = {}
    for path in _files(given):
        secret = _secret(path)
        first = paths.setdefault(tuple(secret.values()), path)
        if first != path:
            raise ChartError(
                f"alerting.receivers: got the files {first} and {path}, which the chart would both read from the key "
                f"{secret['key']} of the Secret {secret['name']}; give files whose names or folders differ.",
                code="chart_secrets_collide",
                details=secret,
            )


def _files(given: Mapping[str, Receiver]) -> Iterator[str]:
    targets = (target for receiver in given.values() for targets in receiver.targets.values() for target in targets)
    yield from (value for target in targets for name, value in target if name.endswith("_file") and value)


# --- Routes ----------------------------------------------------------------------------------------------------------


def _route(route: Config) -> dict[str, object]:
    """A route and those below it."""
    return {_camel(key): _of_route(key, value) for key, value in route.items()}


def _of_route(key: str, value: Any) -> object:
    if key == "matchers":
        return [_matcher(text) for text in value]
    if key == "routes":
        return [_route(one) for one in value]
    return _labels(value) if key == "group_by" else value


def _labels(names: Iterable[str]) -> list[str]:
    """Names of labels, with the place for the one that says the service's namespace.

    >>> _labels(["alertname", "namespace"])
    ['alertname', '[[namespace]]']
    """
    return [NAMESPACE if name == "namespace" else name for name in names]


def _matcher(text: str) -> dict[str, str]:
    """A matcher in the operator's form, which takes equality for granted; YAML 1.1 has a meaning of its own for ``=``.

    >>> _matcher('severity="critical"'), _matcher('job!~"a|b"')
    ({'name': 'severity', 'value': 'critical'}, {'name': 'job', 'value': 'a|b', 'matchType': '!~'})
    """
    kind = next(kind for kind in _MATCH_TYPES if kind in text.partition('"')[0])
    name, _, value = text.partition(kind)
    return {"name": _labels([name])[0], "value": json.loads(value), **({} if kind == "=" else {"matchType": kind})}


def _mute_time(interval: Config) -> dict[str, object]:
    return {
        "name": interval["name"],
        "timeIntervals": [
            {
                "times": [{"startTime": span["start_time"], "endTime": span["end_time"]} for span in one["times"]],
                **({"weekdays": one["weekdays"]} if "weekdays" in one else {}),
            }
            for one in interval["time_intervals"]
        ],
    }


def _message(message: Config) -> Iterator[tuple[str, object]]:
    """The keys of a message in the operator's words; what Alertmanager has as a mapping is a list of pairs there."""
    for key, value in message.items():
        if isinstance(value, dict):
            yield _camel(key), [{"key": inner, "value": _text(text)} for inner, text in value.items()]
        else:
            yield _camel(key), _text(value)


def _text(template: str) -> str:
    return re.sub(r"(?<=Labels\.)namespace\b", NAMESPACE, template)


def _camel(key: str) -> str:
    """A key in the operator's words.

    >>> _camel("api_url"), _camel("require_tls"), _camel("group_by"), _camel("chat_id")
    ('apiURL', 'requireTLS', 'groupBy', 'chatID')
    """
    first, *rest = key.split("_")
    return first + "".join(word.upper() if word in {"url", "tls", "id"} else word.title() for word in rest)
