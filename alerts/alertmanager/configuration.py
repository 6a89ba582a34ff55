"""Alertmanager's configuration: which receiver gets which alert, and which alert inhibits which other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from alerts.alertmanager.inhibition import inhibit_rules
from alerts.alertmanager.messages import FILE, message
from alerts.checking.series import kept_labels
from alerts.conditions.watchdog import NAME as WATCHDOG
from alerts.model import AlertRule, to_yaml
from instrumentation.errors import InstrumentationError
from instrumentation.settings import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from alerts.model import RuleGroup
    from instrumentation.settings import MuteTime, Section, Settings, Team

_SEVERITIES = (
    "info",
    "critical",
    "warning",
)  # alerts with another severity, such as a user's own, go to the default receiver
_EVENTS = {"info"}  # an event is not reported again when it is over


def alertmanager_config(settings: Settings, groups: Iterable[RuleGroup]) -> dict[str, object]:
    """The configuration as data, for Alertmanager 0.25 and later. Its templates are in a file beside it.

    Args:
        settings: The settings.
        groups: All rule groups made from them.

    Raises:
        InstrumentationError: ``team_label_unknown``: no alert has a label that a team matches.
    """
    notification, teams = settings.alerting.notification, settings.alerting.teams
    groups = tuple(groups)
    _check_teams(settings, groups)
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
        "receivers": [_receiver(name, given_receivers(settings)) for name in receiver_names(settings)],
        **_time_intervals(settings),
    }


def to_alertmanager_config(settings: Settings, groups: Iterable[RuleGroup]) -> str:
    """The text of Alertmanager's configuration file; arguments as for ``alertmanager_config``."""
    return to_yaml(alertmanager_config(settings, groups))


# --- Routes ----------------------------------------------------------------------------------------------------------


def _watchdog(settings: Settings) -> dict[str, object]:
    """The route to a dead man's switch, which must get a message every few minutes."""
    interval = str(settings.alerting.notification.watchdog_interval)
    return {
        "receiver": "watchdog",
        "matchers": [f'alertname="{WATCHDOG}"'],
        "group_wait": "0s",
        "group_interval": interval,
        "repeat_interval": interval,
    }


def _check_teams(settings: Settings, groups: Iterable[RuleGroup]) -> None:
    """A route that matches a label of no alert looks right, and nobody is ever called."""
    if not settings.alerting.teams:
        return
    groups = tuple(groups)
    kept = kept_labels(groups, settings.alerting.group_by).values()
    own = (rule.labels for group in groups for rule in group.rules if isinstance(rule, AlertRule))
    known = {"alertname", "severity", *settings.alerting.external_labels}.union(*kept, *own)
    for index, team in enumerate(settings.alerting.teams):
        for label in team.match:
            if label not in known:
                raise InstrumentationError(
                    f"alerting.teams.{index}.match: got the label {label!r}, which no alert has, so the team would never be called; "
                    f"give one of {', '.join(sorted(known))}, or say where the label comes from: alerting.group_by if the targets "
                    "have it, alerting.labels to add it to every alert, alerting.external_labels if Prometheus adds it.",
                    code="team_label_unknown",
                    details={"team": team.name, "label": label},
                )


def _team_route(settings: Settings, team: Team) -> dict[str, object]:
    return {
        "receiver": _of(team, "default"),
        "matchers": [f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in team.match.items()],
        "routes": _by_severity(settings, team),
    }


def _by_severity(settings: Settings, team: Team | None = None) -> list[dict[str, object]]:
    return [
        {
            "receiver": _of(team, severity),
            "matchers": [f'severity="{getattr(settings.alerting.severities, severity)}"'],
            **_muted(settings, severity),
        }
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


def given_receivers(settings: Settings) -> dict[str, Receiver]:
    """The receivers in the settings, including those without targets: they keep an alert from all other receivers."""
    sections: list[tuple[Team | None, Section]] = [(None, settings.alerting.receivers)]
    sections += [(team, team.receivers) for team in settings.alerting.teams]
    return {_of(team, name): one for team, section in sections for name, one in section if one is not None}


def receiver_names(settings: Settings) -> list[str]:
    """The names of all receivers that routes use."""
    teams = (_of(team, name) for team in settings.alerting.teams for name in ("default", *_SEVERITIES))
    return ["default", "watchdog", *_SEVERITIES, *teams]


def stands_in(name: str) -> list[str]:
    """The receivers whose targets a receiver may use; the first one in the settings applies.

    >>> stands_in("critical"), stands_in("search-critical"), stands_in("watchdog")
    (['critical', 'default'], ['search-critical', 'search-default', 'critical', 'default'], ['watchdog'])
    """
    if name == "watchdog":  # Watchdog never stops firing; a pager would show an incident that never ends
        return [name]
    team, _, severity = name.rpartition("-")
    own = [name, f"{team}-default", severity] if team else [name]
    return list(dict.fromkeys([*own, "default"]))


def is_event(name: str) -> bool:
    """Whether a receiver gets only events, which are not reported again when they are over.

    >>> is_event("search-info"), is_event("search-warning")
    (True, False)
    """
    return name.rpartition("-")[2] in _EVENTS


def _of(team: Team | None, name: str) -> str:
    return f"{team.name}-{name}" if team else name


def _receiver(name: str, given: Mapping[str, Receiver]) -> dict[str, object]:
    chosen = next((given[one] for one in stands_in(name) if one in given), Receiver())
    says = {"send_resolved": not is_event(name)}
    configs = {
        f"{kind}_configs": [
            {**target.model_dump(exclude_none=True, by_alias=True), **message(kind), **says} for target in targets
        ]
        for kind, targets in chosen.targets.items()
    }
    return {"name": name, **configs}
