"""DeploymentCompleted: a service runs another version than a while ago, and nothing but that version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.annotations import urls
from alerts.boundary import service_labels
from alerts.recording import recorded
from alerts.rule_tests import At, Clock, Firing, RuleTest, Series, clock
from alerts.rules import Alert, AlertRule
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

NAME = "DeploymentCompleted"


def deployment_completed(settings: Settings) -> list[AlertRule]:
    """One rule. It is an event: it fires while the version is newer than the lookback, then resolves by itself."""
    of, lookback = recorded(settings), settings.alerting.deployment_lookback
    before = f"{of.versions} offset {lookback}"
    return [
        AlertRule(
            alert=NAME,
            key="info",
            severity="info",
            expr=(
                f"({of.versions} unless {before})\n"
                f"and on ({of.by}) (count by ({of.by}) ({of.versions}) == 1)\n"
                f"and on ({of.by}) count by ({of.by}) ({before})"
            ),
            for_=settings.alerting.for_.info,
            keep_firing_for=None,  # an event ends when it is over
            summary="A new version has replaced the old one.",
            description=(
                "All instances of {{ $labels.job }} run version {{ $labels.service_version }}, "
                f"which none ran {lookback} ago."
            ),
            labels={"kind": "event"},
            urls=urls(settings, NAME),
        )
    ]


def deployment_completed_tests(settings: Settings) -> list[RuleTest]:
    """What is a completed deployment, and what is not."""
    rules = deployment_completed(settings)
    history = _History(settings)
    after = (At(seconds=history.completed, alert=NAME, firing=(history.firing(rules[0]),)),)
    over = (At(seconds=history.forgotten, alert=NAME),)
    silent = (At(seconds=history.completed, alert=NAME),)
    return [
        RuleTest(
            name="the last instance of the old version is gone: fires, and resolves once the lookback has passed",
            series=(history.until_switch("1.0.0", "a"), history.from_switch("1.0.1", "b")),
            alerts=after + over,
        ),
        RuleTest(
            name="an instance of the old version is left: is silent",
            series=(history.always("1.0.0", "a"), history.from_switch("1.0.1", "b")),
            alerts=silent,
        ),
        RuleTest(
            name="the service is installed for the first time: is silent",
            series=(history.from_switch("1.0.0", "a"),),
            alerts=silent,
        ),
        RuleTest(
            name="more instances of the same version: is silent",
            series=(history.always("1.0.0", "a"), history.from_switch("1.0.0", "b")),
            alerts=silent,
        ),
    ]


class _History:
    """A service that runs for longer than the lookback, and a switch of versions."""

    def __init__(self, settings: Settings) -> None:
        self._labels = service_labels(settings)
        self._clock: Clock = clock(settings, deployment_completed(settings))
        lookback = settings.alerting.deployment_lookback.seconds
        self._switch = (lookback + self._clock.grace) // self._clock.step + 1  # samples
        switched = self._switch * self._clock.step
        stale = 300  # seconds for which Prometheus still reads a series' last sample
        self.completed = switched + settings.alerting.for_.info.seconds + self._clock.grace
        self.forgotten = switched + lookback + stale + self._clock.grace
        self._end = self.forgotten // self._clock.step + 1

    def firing(self, rule: AlertRule) -> Firing:
        return Firing(rule=rule, labels={**self._labels, "service_version": "1.0.1"}, value=1)

    def always(self, version: str, instance: str) -> Series:
        return self._series(version, instance, f"1x{self._end}")

    def until_switch(self, version: str, instance: str) -> Series:
        return self._series(version, instance, f"1x{self._switch} stale")

    def from_switch(self, version: str, instance: str) -> Series:
        return self._series(version, instance, f"_x{self._switch} 1x{self._end}")

    def _series(self, version: str, instance: str, values: str) -> Series:
        own: Mapping[str, str] = {"instance": instance, "service_name": "shop", "service_version": version}
        return Series(name=catalog.TARGET_INFO.name, labels={**self._labels, **own}, values=values)


DEPLOYMENT_COMPLETED = Alert(
    name=NAME,
    group="deployment",
    meaning="a new version has replaced the old one everywhere",
    rules=deployment_completed,
    tests=deployment_completed_tests,
)
