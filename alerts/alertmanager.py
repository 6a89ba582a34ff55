"""Alertmanager's configuration: who hears which alert, and which alert holds back another one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from alerts.inhibition import inhibit_rules
from alerts.messages import FILE, message
from alerts.rules import to_yaml
from alerts.watchdog import NAME as WATCHDOG
from instrumentation.settings import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alerts.rules import RuleGroup
    from instrumentation.settings import MuteTime, Settings, Team

_SEVERITIES = (
    "info",
    "critical",
    "warning",
)  # what has none of these, such as an alert of the user's own, goes to the default
_EVENTS = {"info"}  # nobody needs to hear that an event is over


def alertmanager_config(settings: Settings, groups: Iterable[RuleGroup]) -> dict[str, object]:
    """The configuration as data, for Alertmanager 0.25 and later; its templates lie beside it.

    Args:
        settings: The settings.
        groups: All rule groups made from them.
    """
    notification, teams = settings.alerting.notification, settings.alerting.teams
    return {
        "templates": [FILE],
        "route": {
            "receiver": "default",
            "group_by": ["alertname", *settings.alerting.group_by],
            "group_wait": str(notification.group_wait),
            "group_interval": str(notification.group_interval),
            "repeat_interval": str(notification.repeat_interval),
            "routes": [
                _watchdog(settings),
                *(_team_route(settings, team) for team in teams),
                *_by_severity(settings),
            ],
        },
        "inhibit_rules": inhibit_rules(settings, groups),
        "receivers": [
            *_receivers_of_all(settings),
            *(one for team in teams for one in _receivers_of_team(settings, team)),
        ],
        **_time_intervals(settings),
    }


def to_alertmanager_config(settings: Settings, groups: Iterable[RuleGroup]) -> str:
    """The text of Alertmanager's configuration file; arguments as for ``alertmanager_config``."""
    return to_yaml(alertmanager_config(settings, groups))


# --- Routes ----------------------------------------------------------------------------------------------------------


def _watchdog(settings: Settings) -> dict[str, object]:
    """A dead man's switch is fed steadily, and misses a beat within minutes."""
    interval = str(settings.alerting.notification.watchdog_interval)
    return {
        "receiver": "watchdog",
        "matchers": [f'alertname="{WATCHDOG}"'],
        "group_wait": "0s",
        "group_interval": interval,
        "repeat_interval": interval,
    }


def _team_route(settings: Settings, team: Team) -> dict[str, object]:
    return {
        "receiver": _of(team, "default"),
        "matchers": [f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in team.match.items()],
        "routes": _by_severity(settings, team),
    }


def _by_severity(settings: Settings, team: Team | None = None) -> list[dict[str, object]]:
    return [
        {"receiver": _of(team, severity), "matchers": [f'severity="{severity}"'], **_muted(settings, severity)}
        for severity in _SEVERITIES
    ]


def _muted(settings: Settings, severity: str) -> dict[str, object]:
    names = [time.name for time in settings.alerting.mute_times if severity in time.severities]
    return {"mute_time_intervals": names} if names else {}


def _time_intervals(settings: Settings) -> dict[str, object]:
    times = settings.alerting.mute_times
    return (
        {"time_intervals": [{"name": one.name, "time_intervals": [_interval(one)]} for one in times]} if times else {}
    )


def _interval(time: MuteTime) -> dict[str, object]:
    spans = [(time.start, time.end)] if time.start < time.end else [(time.start, "24:00"), ("00:00", time.end)]
    return {
        "times": [{"start_time": start, "end_time": end} for start, end in spans if start != end],
        **({"weekdays": list(time.weekdays)} if time.weekdays else {}),
        "location": time.location,
    }


# --- Receivers -------------------------------------------------------------------------------------------------------


def _receivers_of_all(settings: Settings) -> Iterator[dict[str, object]]:
    receivers = settings.alerting.receivers
    yield _receiver("default", receivers.default)
    # Watchdog never stops firing: at a pager it would be an incident without end.
    yield _receiver("watchdog", receivers.watchdog or Receiver())
    for severity in _SEVERITIES:
        yield _receiver(severity, getattr(receivers, severity) or receivers.default, severity)


def _receivers_of_team(settings: Settings, team: Team) -> Iterator[dict[str, object]]:
    own, all_ = team.receivers, settings.alerting.receivers
    yield _receiver(_of(team, "default"), own.default or all_.default)
    for severity in _SEVERITIES:
        chosen = getattr(own, severity) or own.default or getattr(all_, severity) or all_.default
        yield _receiver(_of(team, severity), chosen, severity)


def _of(team: Team | None, name: str) -> str:
    return f"{team.name}-{name}" if team else name


def _receiver(name: str, chosen: Receiver, severity: str = "") -> dict[str, object]:
    resolved = {"send_resolved": severity not in _EVENTS}
    receiver: dict[str, Any] = {"name": name}
    for kind in type(chosen).model_fields:
        target = getattr(chosen, kind)
        if target is not None:
            own = target.model_dump(exclude_none=True, by_alias=True)
            receiver[f"{kind}_configs"] = [{**own, **message(kind), **resolved}]
    return receiver
