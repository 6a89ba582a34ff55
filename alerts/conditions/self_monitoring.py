"""SeriesLimitReached, ScrapeSlow and StoreDegraded: the metrics of a service are incomplete, or soon will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule, Parameter
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series, Value, clock
from alerts.rule_tests.threshold_tests import Measured, threshold_tests
from alerts.thresholds import Level
from instrumentation import catalog
from instrumentation.catalog import Unit
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

SERIES_LIMIT = "SeriesLimitReached"
SCRAPE_SLOW = "ScrapeSlow"
STORE_DEGRADED_NAME = "StoreDegraded"
_SCRAPE = "scrape_duration_seconds"  # Prometheus' own metric


def series_limit_reached(settings: Settings) -> list[AlertRule]:
    """One rule: a series was folded within the window because the limit was reached."""
    of = recorded(settings)
    folded, window = catalog.SIDELIGHT_SERIES_FOLDED.name, window_of_single_events(settings)
    return [
        watcher_rule(
            settings,
            SERIES_LIMIT,
            expr=f"sum by ({of.by}) (increase({folded}[{window}])) > 0",
            summary="A service has reached its series limit.",
            description=(
                f"In the last {window}, {{{{ $labels.job }}}} counted {{{{ $value | humanize }}}} new series as _OVERFLOW "
                "because metrics.series_limit is reached."
            ),
        )
    ]


def scrape_slow(settings: Settings) -> list[AlertRule]:
    """One rule: scrapes are so slow that they may soon time out."""
    of = recorded(settings)
    by = of.by_with("instance")
    return [
        watcher_rule(
            settings,
            SCRAPE_SLOW,
            expr=(
                f"max by ({by}) (avg_over_time({_SCRAPE}[{settings.alerting.window}])) > [[threshold]]\n"
                f"and on ({of.by}) {of.versions}"
            ),
            parameters={"threshold": Parameter(settings.alerting.slow_scrape_seconds, Unit.SECONDS)},
            summary="Scrapes of an instance are slow.",
            description=(
                "A scrape of {{ $labels.instance }} of {{ $labels.job }} takes {{ $value | humanizeDuration }} "
                '(limit {{ "[[threshold]]" | humanizeDuration }}). Prometheus gives up after its scrape_timeout, 10s by default.'
            ),
        )
    ]


def store_degraded(settings: Settings) -> list[AlertRule]:
    """One rule: the workers of an instance cannot count together."""
    by = recorded(settings).by_with("instance")
    return [
        watcher_rule(
            settings,
            STORE_DEGRADED_NAME,
            expr=f"max by ({by}) ({catalog.SIDELIGHT_STORE_DEGRADED.name}) > 0",
            summary="The workers of an instance cannot count together.",
            description=(
                "The workers of {{ $labels.instance }} of {{ $labels.job }} cannot share files, so only the requests of one "
                "worker are counted. Rates are too low; ratios and latencies are those of that worker."
            ),
        )
    ]


def watcher_rule(  # noqa: PLR0913 - a rule has that many parts
    settings: Settings,
    alert: str,
    *,
    expr: str,
    summary: str,
    description: str,
    parameters: Mapping[str, Parameter] | None = None,
) -> AlertRule:
    """A rule with severity warning; the arguments are as in ``AlertRule``."""
    return AlertRule(
        alert=alert,
        key="warning",
        severity=settings.alerting.severities.warning,
        expr=expr,
        parameters=parameters or {},
        for_=settings.alerting.for_.warning,
        keep_firing_for=settings.alerting.keep_firing_for,
        summary=summary,
        description=description,
        identity=settings.alerting.group_by,
        urls=urls(settings, alert),
    )


def window_of_single_events(settings: Settings) -> Duration:
    """A window so long that a single event is still within it when the alert's ``for`` is over."""
    return Duration.of(settings.alerting.window.seconds + settings.alerting.for_.warning.seconds)


def series_limit_reached_tests(settings: Settings) -> list[RuleTest]:
    """Both instances fold series, then neither does; and a service that never does."""
    (rule,) = rules = series_limit_reached(settings)
    window = window_of_single_events(settings).seconds
    moments = clock(settings, rules, range_=window, memory=window)
    labels = {label: "shop" if label == "job" else f"some_{label}" for label in settings.alerting.group_by}
    firing = Firing(rule=rule, labels=labels, value=2 * 3 * (window // moments.step))
    all_at_once = f"0x{moments.range_ // moments.step} 7x{moments.fires // moments.step}"
    late = moments.range_ + moments.longest_for + moments.grace

    def folded(busy: int) -> tuple[Series, ...]:
        name = catalog.SIDELIGHT_SERIES_FOLDED.name
        return tuple(
            Series(name=name, labels={**labels, "instance": place}, values=moments.counter(busy, 0)) for place in "ab"
        )

    return [
        RuleTest(
            name="new series are folded: fires, and resolves when no more are",
            series=folded(3),
            alerts=(
                At(seconds=moments.fires, alert=SERIES_LIMIT, firing=(firing,)),
                At(seconds=moments.resolved, alert=SERIES_LIMIT),
            ),
        ),
        RuleTest(
            name="series are folded all at once: fires",
            series=(
                Series(
                    name=catalog.SIDELIGHT_SERIES_FOLDED.name, labels={**labels, "instance": "a"}, values=all_at_once
                ),
            ),
            values=(
                Value(
                    seconds=late,
                    expr=f'count(ALERTS{{alertname="{SERIES_LIMIT}", alertstate="firing"}})',
                    labels={},
                    value=1,
                ),
            ),
        ),
        RuleTest(
            name="no series is folded: is silent",
            series=folded(0),
            alerts=(At(seconds=moments.fires, alert=SERIES_LIMIT),),
        ),
    ]


def scrape_slow_tests(settings: Settings) -> list[RuleTest]:
    """Just above and just below the limit; and a job without Sidelight."""
    (rule,) = rules = scrape_slow(settings)
    moments = clock(settings, rules)
    level = Level(severity=rule.level, threshold=settings.alerting.slow_scrape_seconds, match={}, before=())

    def history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        seconds = level.threshold * (1.001 if above else 0.999)
        return Measured(series=(_taken(labels, moments.gauge(seconds, 0.01)), _info(labels, moments)), value=seconds)

    stranger = {"job": "stranger", "instance": "a"}
    return [
        *threshold_tests(settings, [(level, rule)], history, moments=moments, label="instance"),
        RuleTest(
            name="a job that is not instrumented is slow: is silent",
            series=(_taken(stranger, moments.gauge(2 * level.threshold, 0)),),
            alerts=(At(seconds=moments.fires, alert=SCRAPE_SLOW),),
        ),
    ]


def store_degraded_tests(settings: Settings) -> list[RuleTest]:
    """One of two instances is degraded and then recovers; and a healthy one."""
    (rule,) = rules = store_degraded(settings)
    moments = clock(settings, rules)
    labels = {label: "shop" if label == "job" else f"some_{label}" for label in settings.alerting.group_by}
    name, healthy = catalog.SIDELIGHT_STORE_DEGRADED.name, {**labels, "instance": "b"}
    firing = Firing(rule=rule, labels={**labels, "instance": "a"}, value=1)
    return [
        RuleTest(
            name="the workers of one of two instances count apart: fires for it, and resolves",
            series=(
                Series(name=name, labels={**labels, "instance": "a"}, values=moments.gauge(1, 0)),
                Series(name=name, labels=healthy, values=moments.gauge(0, 0)),
            ),
            alerts=(
                At(seconds=moments.fires, alert=STORE_DEGRADED_NAME, firing=(firing,)),
                At(seconds=moments.resolved, alert=STORE_DEGRADED_NAME),
            ),
        ),
        RuleTest(
            name="all workers count together: is silent",
            series=(Series(name=name, labels=healthy, values=moments.gauge(0, 0)),),
            alerts=(At(seconds=moments.fires, alert=STORE_DEGRADED_NAME),),
        ),
    ]


def _taken(labels: Mapping[str, str], values: str) -> Series:
    return Series(name=_SCRAPE, labels=labels, values=values)


def _info(labels: Mapping[str, str], moments: Clock) -> Series:
    own = {**labels, "service_version": "1.7.3"}
    return Series(name=catalog.TARGET_INFO.name, labels=own, values=moments.gauge(1, 1))


SERIES_LIMIT_REACHED = Alert(
    name=SERIES_LIMIT,
    group="watchers",
    meaning="a service has reached metrics.series_limit, so new series lose a label",
    rules=series_limit_reached,
    tests=series_limit_reached_tests,
)
SCRAPES_SLOW = Alert(
    name=SCRAPE_SLOW,
    group="watchers",
    meaning="scrapes of an instance are so slow that Prometheus may give up",
    rules=scrape_slow,
    tests=scrape_slow_tests,
)
STORE_DEGRADED = Alert(
    name=STORE_DEGRADED_NAME,
    group="watchers",
    meaning="the workers of an instance cannot count together, so that only one of them is measured",
    rules=store_degraded,
    tests=store_degraded_tests,
)
