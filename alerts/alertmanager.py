"""Alertmanager's configuration: who hears which alert, and which alert makes another one needless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts.deployment import NAME as DEPLOYMENT_COMPLETED
from alerts.rules import to_yaml
from alerts.service_down import NAME as SERVICE_DOWN
from alerts.watchdog import NAME as WATCHDOG
from instrumentation.settings import Receiver

if TYPE_CHECKING:
    from instrumentation.settings import Settings

# Receiver to the alerts it hears; the first that matches takes the alert, ``default`` takes the rest.
_ROUTES = {
    "watchdog": f'alertname="{WATCHDOG}"',
    "info": 'severity="info"',
    "critical": 'severity="critical"',
    "warning": 'severity="warning"',
}
_EVENTS = {"info"}  # nobody needs to hear that an event is over


def alertmanager_config(settings: Settings) -> dict[str, object]:
    """The configuration as data, for Alertmanager 0.25 and later."""
    notification = settings.alerting.notification
    return {
        "route": {
            "receiver": "default",
            "group_by": ["alertname", *settings.alerting.group_by],
            "group_wait": str(notification.group_wait),
            "group_interval": str(notification.group_interval),
            "repeat_interval": str(notification.repeat_interval),
            "routes": [_route(settings, name, matcher) for name, matcher in _ROUTES.items()],
        },
        "inhibit_rules": inhibit_rules(settings),
        "receivers": [_receiver(settings, name) for name in ("default", *_ROUTES)],
    }


def inhibit_rules(settings: Settings) -> list[dict[str, object]]:
    """A critical alert silences its own warning; a service that is down silences its other alerts."""
    by = list(settings.alerting.group_by)
    return [
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity="warning"'],
            "equal": ["alertname", *by],
        },
        {
            "source_matchers": [f'alertname="{SERVICE_DOWN}"', 'severity="critical"'],
            "target_matchers": [f'alertname!~"{SERVICE_DOWN}|{DEPLOYMENT_COMPLETED}|{WATCHDOG}"'],
            "equal": by,
        },
    ]


def to_alertmanager_config(settings: Settings) -> str:
    """The text of Alertmanager's configuration file."""
    return to_yaml(alertmanager_config(settings))


def _route(settings: Settings, name: str, matcher: str) -> dict[str, object]:
    own: dict[str, object] = {}
    if name == "watchdog":  # a dead man's switch is fed steadily, and misses a beat within minutes
        interval = str(settings.alerting.notification.watchdog_interval)
        own = {"group_wait": "0s", "group_interval": interval, "repeat_interval": interval}
    return {"receiver": name, "matchers": [matcher], **own}


def _receiver(settings: Settings, name: str) -> dict[str, object]:
    receivers = settings.alerting.receivers
    # Watchdog never stops firing: at a pager it would be an incident without end.
    fallback = Receiver() if name == "watchdog" else receivers.default
    chosen: Receiver = getattr(receivers, name) or fallback
    resolved = {"send_resolved": name not in _EVENTS}
    receiver: dict[str, Any] = {"name": name}
    for kind in type(chosen).model_fields:
        target = getattr(chosen, kind)
        if target is not None:
            receiver[f"{kind}_configs"] = [{**target.model_dump(exclude_none=True), **resolved}]
    return receiver
