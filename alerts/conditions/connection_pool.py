"""ConnectionPoolNearLimit: nearly all connections of a pool are in use, so requests will soon wait for one, and then fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.recording.databases import POOL, pool_used
from alerts.rule_tests.promtool import RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, Story, story_test, threshold_tests
from alerts.thresholds import level_rule, levels, limits
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "ConnectionPoolNearLimit"

_OWN = {POOL: "db:5432/shop"}


def connection_pool_near_limit(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides. They do not apply to pools without a limit."""
    return [_rule(settings, limit) for limit in limits(settings, "pool_used_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=f"{limit.of(pool_used(settings))} > {limit.than()}",
        summary="A connection pool is nearly exhausted.",
        description=(
            f"{{{{ $labels.instance }}}} of {{{{ $labels.job }}}} uses {{{{ $value | humanizePercentage }}}} of the connections "
            f"of the pool {{{{ $labels.{POOL} }}}} (threshold {limit.said(function='humanizePercentage')}). "
            "Without a free connection, requests wait, and then fail."
        ),
    )


def connection_pool_near_limit_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; a pool that is full for a moment; many idle connections; a pool without a limit."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "pool_used_ratio")]
    moments = clock(settings, [rule for _, rule in level_rules])
    return [
        *threshold_tests(settings, level_rules, _history, moments=moments, label="instance", own=_OWN),
        story_test(settings, level_rules, list(_stories(moments)), moments=moments, label="instance", own=_OWN),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    value = (round(level.threshold * SAMPLES) + (1 if above else -1)) / SAMPLES
    labels = {**_OWN, **labels}
    return Measured(series=(_count(labels, "used", moments.gauge(value, 0)), _most(labels, moments)), value=value)


def _stories(moments: Clock) -> Iterator[Story]:
    steps = moments.fires // moments.step
    blip = max(moments.settings.alerting.evaluation_interval.seconds // moments.step, 1)

    def story(name: str, used: str, idle: str, *, has_limit: bool = True) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            yield _count(labels, "used", used)
            yield _count(labels, "idle", idle)
            if has_limit:
                yield _most(labels, moments)

        return Story(name=name, series=series)

    yield story("full-for-a-moment", f"0x{steps // 2} 1x{blip} 0x{steps}", f"0x{steps}")
    yield story("idle-connections", f"0x{steps}", f"1x{steps}")
    yield story("without-a-limit", f"50x{steps}", f"0x{steps}", has_limit=False)


def _count(labels: Mapping[str, str], state: str, values: str) -> Series:
    own = {**labels, "db_client_connection_state": state}
    return Series(name=catalog.DB_CLIENT_CONNECTION_COUNT.name, labels=own, values=values)


def _most(labels: Mapping[str, str], moments: Clock) -> Series:
    return Series(name=catalog.DB_CLIENT_CONNECTION_MAX.name, labels=labels, values=moments.gauge(1, 1))


CONNECTION_POOL_NEAR_LIMIT = Alert(
    name=NAME,
    group="databases",
    meaning="nearly all connections of a connection pool are in use",
    rules=connection_pool_near_limit,
    tests=connection_pool_near_limit_tests,
)
