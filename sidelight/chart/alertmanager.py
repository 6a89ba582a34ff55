"""The chart's AlertmanagerConfig: the generated routes in the operator's words, and the receivers that a site's secrets fill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from alerts import groups
from alerts.alertmanager import alertmanager_config
from alerts.messages import inlined
from sidelight.chart.values import Block, Value, flag, labels, may_be

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings

    Config = Mapping[str, Any]

_MATCH_TYPES = ("!~", "=~", "!=", "=")
_UTC = {"UTC", "Etc/UTC"}


def alertmanager_parts(settings: Settings) -> dict[str, object]:
    """What the template reads: the route, inhibitions and mute times of the resource, and what each receiver says.

    A receiver without targets of its own takes those of the next in ``instead``.
    """
    config: Config = alertmanager_config(settings, groups(settings))
    receivers = [receiver["name"] for receiver in config["receivers"]]
    return {
        "route": _route(config["route"]),
        "inhibitRules": [
            {
                "sourceMatch": [_matcher(text) for text in rule["source_matchers"]],
                "targetMatch": [_matcher(text) for text in rule["target_matchers"]],
                "equal": rule["equal"],
            }
            for rule in config["inhibit_rules"]
        ],
        "muteTimeIntervals": [_mute_time(interval) for interval in config.get("time_intervals", [])],
        "receivers": [{"name": name, "instead": _instead(name, receivers)} for name in receivers],
        "messages": {kind: _camel(inlined(kind)) for kind in ("slack", "pagerduty", "email", "opsgenie")},
        "elsewhere": [time.name for time in settings.alerting.mute_times if time.location not in _UTC],
    }


def alertmanager_values(settings: Settings) -> Block:
    """Who hears what, with secrets as keys of Secrets."""
    config: Config = alertmanager_config(settings, groups(settings))
    names = [receiver["name"] for receiver in config["receivers"]]
    return Block(
        key="alertmanagerConfig",
        note="Routes, inhibitions and receivers as an AlertmanagerConfig of the Prometheus Operator. The operator adds the "
        "release's namespace to every matcher unless its Alertmanager has alertmanagerConfigMatcherStrategy None.",
        members=(
            flag("enabled", default=False),
            labels("labels", "Labels on the object; an Alertmanager selects by them."),
            Block(
                key="receivers",
                note="Targets by receiver, such as {slack: {apiURL: {name: slack, key: url}, channel: '#shop'}}; the "
                "kinds are slack, pagerduty, opsgenie, email and webhook. A severity without targets uses default's, watchdog none.",
                members=tuple(Value(key=name, default={}, schema=may_be("targets")) for name in names),
            ),
        ),
    )


def _instead(name: str, receivers: list[str]) -> list[str]:
    """Whose targets serve where it has none, in this order; Watchdog would ring without end."""
    if name == "watchdog":
        return [name]
    team, _, severity = name.rpartition("-")
    tried = [name, f"{team}-default", severity, "default"] if team else [name, "default"]
    return list(dict.fromkeys(one for one in tried if one in receivers))


def _route(route: Config) -> dict[str, object]:
    """A route and those below it."""
    words = {"group_by": "groupBy", "group_wait": "groupWait", "group_interval": "groupInterval",
             "repeat_interval": "repeatInterval", "mute_time_intervals": "muteTimeIntervals", "receiver": "receiver"}  # fmt: skip
    own = {words[key]: value for key, value in route.items() if key in words}
    if "matchers" in route:
        own["matchers"] = [_matcher(text) for text in route["matchers"]]
    if "routes" in route:
        own["routes"] = [_route(inner) for inner in route["routes"]]
    return own


def _matcher(text: str) -> dict[str, str]:
    """A matcher in the operator's form, which takes equality for granted; YAML 1.1 has a meaning of its own for ``=``.

    >>> _matcher('severity="critical"'), _matcher('job!~"a|b"')
    ({'name': 'severity', 'value': 'critical'}, {'name': 'job', 'value': 'a|b', 'matchType': '!~'})
    """
    kind = next(kind for kind in _MATCH_TYPES if kind in text.partition('"')[0])
    name, _, value = text.partition(kind)
    return {"name": name, "value": json.loads(value), **({} if kind == "=" else {"matchType": kind})}


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


def _camel(message: Config) -> dict[str, object]:
    """The keys of a message in the operator's words; what Alertmanager has as a mapping is a list of pairs there."""
    return dict(_renamed(message))


def _renamed(message: Config) -> Iterator[tuple[str, object]]:
    for key, value in message.items():
        first, *rest = key.split("_")
        name = first + "".join("URL" if word == "url" else word.title() for word in rest)
        pairs = [{"key": inner, "value": text} for inner, text in value.items()] if isinstance(value, dict) else value
        yield name, pairs
