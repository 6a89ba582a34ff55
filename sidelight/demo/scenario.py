"""What is played: the settings at demo speed, and the phases with the alerts that each must cause and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alerts.conditions.deployment import NAME as DEPLOYMENT_COMPLETED
from alerts.conditions.error_rate import NAME as HIGH_ERROR_RATE
from alerts.conditions.latency import NAME as HIGH_LATENCY_P95
from alerts.conditions.watchdog import NAME as WATCHDOG
from instrumentation.settings import Http
from sidelight.demo.timeline import Key

SERVICE = "shop"
OLD_VERSION, NEW_VERSION = "1.0.0", "1.1.0"
PHASE_LIMIT = 60.0  # seconds; a phase needs 10 to 40
LIMIT = 225.0  # seconds for everything, but for the end itself, so that it stays within four minutes

ERRORS_WARNING = Key(HIGH_ERROR_RATE, "warning")
ERRORS_CRITICAL = Key(HIGH_ERROR_RATE, "critical")
LATENCY_WARNING = Key(HIGH_LATENCY_P95, "warning")
LATENCY_CRITICAL = Key(HIGH_LATENCY_P95, "critical")
DEPLOYED = Key(DEPLOYMENT_COMPLETED, "info")
ALIVE = Key(WATCHDOG, "none")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Something happens to the service, and some alerts must follow.

    Attributes:
        name: A few words.
        happens: A sentence.
        error_ratio: The share of requests that fail, 0 to 1.
        latency_seconds: How much longer every request takes.
        version: The version that is rolled out; empty for none.
        seconds: How long it lasts at least.
        fires: The alerts that must fire and be delivered in this phase and in no other.
        resolves: The alerts that must resolve in this phase and in no other.
    """

    name: str
    happens: str
    error_ratio: float = 0.0
    latency_seconds: float = 0.0
    version: str = ""
    seconds: float = 0.0
    fires: tuple[Key, ...] = ()
    resolves: tuple[Key, ...] = ()


PHASES = (
    Phase(
        name="healthy",
        happens="The shop is well. The watchdog tells that alerting works.",
        seconds=15.0,  # a full window: silence counts for something only once the rules had something to read
        fires=(ALIVE,),
    ),
    Phase(
        name="2 % errors",
        happens="Every 50th request is answered with an error.",
        error_ratio=0.02,
        fires=(ERRORS_WARNING,),
    ),
    Phase(
        name="8 % errors",
        happens="Every 12th or 13th request is answered with an error.",
        error_ratio=0.08,
        fires=(ERRORS_CRITICAL,),
    ),
    Phase(
        name="no errors",
        happens="The errors are gone, so the alerts must go too.",
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
        happens="The shop is as fast as before, so the alerts must go too.",
        resolves=(LATENCY_CRITICAL, LATENCY_WARNING),
    ),
    Phase(
        name=f"version {NEW_VERSION}",
        happens=f"Version {NEW_VERSION} replaces {OLD_VERSION}.",
        version=NEW_VERSION,
        fires=(DEPLOYED,),
        resolves=(DEPLOYED,),
    ),
)
"""The demo from beginning to end. Watchdog resolves in no phase: it must never."""

AFTERWARDS = Phase(
    name="afterwards", happens="Every 50th request fails, so that the tables have something too.", error_ratio=0.02
)
"""What happens once the demo has ended, for as long as it is left running."""


def document(webhook: str, audit: str, traces: str) -> dict[str, Any]:
    """``sidelight.yaml`` at demo speed: shorter times, a webhook, and else what every service gets.

    Args:
        webhook: Where Alertmanager posts to.
        audit: Where the shop keeps its audit trail.
        traces: Where the shop sends its spans.
    """
    receiver = {"webhook": {"url": webhook}}
    return {
        "service": {"name": SERVICE, "version": OLD_VERSION, "environment": "demo"},
        "metrics": {"scrape_interval": "1s"},
        "users": {"window": "2s"},
        "audit": {"path": audit},
        "tracing": {"endpoint": traces},
        "http": {
            "duration_buckets": sorted({*Http().duration_buckets, 1.5}),  # 1.3 s shall not read as 2.4 s
            "body_sizes": True,
        },
        # So little is promised that nothing fires: a budget is judged by hours, and the demo lasts for minutes.
        "slo": {"availability": 0.1, "latency": {"ratio": 0.1}},
        "budget": {"daily_usd": 1e6},  # far off: what it costs is shown, and nothing fires
        "alerting": {
            "window": "10s",
            "evaluation_interval": "1s",
            "for": {"critical": "3s", "warning": "5s", "info": "3s"},
            "keep_firing_for": "2s",
            "deployment_lookback": "20s",  # for so long the alert fires
            "notification": {"group_wait": "1s", "group_interval": "1s"},
            "receivers": {"default": receiver, "watchdog": receiver},
        },
    }
