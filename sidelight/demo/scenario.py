"""The scenario: settings with short times, and phases with the alerts that must fire and resolve in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from alerts.conditions.deployment import NAME as DEPLOYMENT_COMPLETED
from alerts.conditions.error_rate import NAME as HIGH_ERROR_RATE
from alerts.conditions.latency import NAME as HIGH_LATENCY_P95
from alerts.conditions.watchdog import NAME as WATCHDOG
from instrumentation.settings import Http
from sidelight.data_files import examples_folder
from sidelight.demo.timeline import Key

SERVICE = "shop"
OLD_VERSION, NEW_VERSION = "1.0.0", "1.1.0"
PHASE_LIMIT = 60.0  # seconds; a phase needs 10 to 40
LIMIT = 225.0  # seconds for all phases, so that the demo takes less than four minutes

ERRORS_WARNING = Key(HIGH_ERROR_RATE, "warning")
ERRORS_CRITICAL = Key(HIGH_ERROR_RATE, "critical")
LATENCY_WARNING = Key(HIGH_LATENCY_P95, "warning")
LATENCY_CRITICAL = Key(HIGH_LATENCY_P95, "critical")
DEPLOYED = Key(DEPLOYMENT_COMPLETED, "info")
ALIVE = Key(WATCHDOG, "none")
DECLINED = Key("PaymentsDeclined", "warning")  # of the shop's own signals


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase in which something happens to the service, and certain alerts must follow.

    Attributes:
        name: A short name.
        happens: A sentence that describes it.
        error_ratio: The share of requests that fail, from 0 to 1.
        latency_seconds: Additional latency of every request.
        declined_ratio: The share of payments that are declined, from 0 to 1.
        version: The version that is rolled out; empty for none.
        seconds: The minimum duration.
        fires: Alerts that must fire and be delivered in this phase and in no other.
        resolves: Alerts that must resolve in this phase and in no other.
    """

    name: str
    happens: str
    error_ratio: float = 0.0
    latency_seconds: float = 0.0
    declined_ratio: float = 0.0
    version: str = ""
    seconds: float = 0.0
    fires: tuple[Key, ...] = ()
    resolves: tuple[Key, ...] = ()


PHASES = (
    Phase(
        name="healthy",
        happens="The shop is healthy. Watchdog shows that alerting works.",
        seconds=15.0,  # a full window: silence only means something once the rules have data
        fires=(ALIVE,),
    ),
    Phase(
        name="2 % errors",
        happens="Every 50th request fails.",
        error_ratio=0.02,
        fires=(ERRORS_WARNING,),
    ),
    Phase(
        name="8 % errors",
        happens="Every 12th or 13th request fails.",
        error_ratio=0.08,
        fires=(ERRORS_CRITICAL,),
    ),
    Phase(
        name="no errors",
        happens="The errors have stopped, so the alerts must resolve.",
        resolves=(ERRORS_CRITICAL, ERRORS_WARNING),
    ),
    Phase(
        name="700 ms",
        happens="Every request takes 700 ms longer.",
        latency_seconds=0.7,
        fires=(LATENCY_WARNING,),
    ),
    Phase(
        name="1.3 s",
        happens="Every request takes 1.3 s longer.",
        latency_seconds=1.3,
        fires=(LATENCY_CRITICAL,),
    ),
    Phase(
        name="fast again",
        happens="The shop is fast again, so the alerts must resolve.",
        resolves=(LATENCY_CRITICAL, LATENCY_WARNING),
    ),
    Phase(
        name="declined payments",
        happens="Two of five payments are declined, which the shop counts itself.",
        declined_ratio=0.4,
        fires=(DECLINED,),
    ),
    Phase(
        name=f"version {NEW_VERSION}",
        happens=f"Payments are accepted again, and version {NEW_VERSION} replaces {OLD_VERSION}.",
        version=NEW_VERSION,
        fires=(DEPLOYED,),
        resolves=(DEPLOYED, DECLINED),
    ),
)
"""The phases of the demo. Watchdog must never resolve."""

AFTERWARDS = Phase(
    name="afterwards", happens="Every 50th request fails, so that the tables have data.", error_ratio=0.02
)
"""What happens after the demo, while it is kept running."""


def document(webhook: str, audit: str, traces: str) -> dict[str, Any]:
    """``sidelight.yaml`` for the demo: shorter times and a webhook, otherwise the defaults.

    Args:
        webhook: The URL that Alertmanager posts to.
        audit: The path of the shop's audit trail.
        traces: The URL that the shop sends its spans to.
    """
    receiver = {"webhook": {"url": webhook}}
    return {
        "signals": yaml.safe_load((examples_folder() / "shop" / "signals.yaml").read_text())["signals"],
        "service": {"name": SERVICE, "version": OLD_VERSION, "environment": "demo"},
        "metrics": {"scrape_interval": "1s"},
        "users": {"window": "2s"},
        "audit": {"path": audit},
        "tracing": {"endpoint": traces},
        "http": {
            "duration_buckets": sorted({*Http().duration_buckets, 1.5}),  # otherwise 1.3 s would be estimated as 2.4 s
            "body_sizes": True,
        },
        # Objectives so low that ErrorBudgetBurn never fires: it uses windows of hours, and the demo lasts minutes.
        "slo": {"availability": 0.1, "latency": {"ratio": 0.1}},
        "budget": {"daily_usd": 1e6},  # so high that the cost is shown, but no alert fires
        "alerting": {
            "window": "10s",
            "evaluation_interval": "1s",
            "for": {"critical": "3s", "warning": "5s", "info": "3s"},
            "keep_firing_for": "2s",
            "deployment_lookback": "20s",  # how long the alert fires
            "notification": {"group_wait": "1s", "group_interval": "1s"},
            "receivers": {"default": receiver, "watchdog": receiver},
        },
    }
