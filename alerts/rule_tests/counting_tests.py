"""Tests of exact counting: histories in which counters are easily misread, and the true number of events in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerts.checking.promql import REPLICAS
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series, Value
from alerts.rule_tests.threshold_tests import service_labels
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings


@dataclass(frozen=True, kw_only=True)
class _History:
    """What Prometheus scrapes from one service before and after a change.

    Attributes:
        name: Describes the change; it is also the service's job.
        before: The failed requests of one instance before the change, in promtool's notation; ``_`` if the counter does not exist.
        after: The failed requests from the change on, which has a sample.
        truth: How many requests failed from the change on, as far as scrapes show it.
        info: Whether the instance exists before the change.
        started: Whether its process starts at the change.
        lasts: Whether the instance still exists when its events are counted.
        copies: The number of Prometheus servers that write to the same storage.
    """

    name: str
    before: str
    after: str
    truth: int
    info: bool = True
    started: bool = False
    lasts: bool = True
    copies: int = 1


_HISTORIES = (
    _History(name="counter born with its first events", before="_", after="7", truth=7),
    _History(name="counter that was 0 before", before="0", after="7", truth=7),
    _History(name="nothing new on a counter that is large", before="7000", after="7000", truth=0),
    _History(name="two more on a counter that is large", before="7000", after="7002", truth=2),
    _History(name="instance found with all that it ever counted", before="_", after="7000", info=False, truth=0),
    _History(
        name="instance that fails before it is first scraped", before="_", after="7", info=False, started=True, truth=7
    ),
    _History(name="process restarted", before="7000", after="2", started=True, truth=2),
    _History(name="counter that falls in an old process", before="7000", after="2", truth=0),
    _History(name="instance that is gone after its last events", before="0", after="7", lasts=False, truth=7),
    _History(name="scraped by two Prometheus", before="1", after="3", copies=2, truth=2),
)


def counting_tests(settings: Settings) -> list[RuleTest]:
    """Every event that was scraped is counted, and counted once."""
    moments = Clock(settings=settings, longest_for=0, range_=0, memory=0)
    change = 3 * moments.grace // moments.step
    end = change * moments.step + moments.grace
    errors = recorded(settings).errors
    return [
        RuleTest(
            name="failed requests are counted exactly when counters, processes and scrapes come and go",
            series=tuple(one for history in _HISTORIES for one in _series(moments, history, change)),
            values=tuple(
                Value(
                    seconds=end,
                    expr=f'{errors}{{job="{history.name}"}}',
                    labels={**service_labels(settings), "job": history.name},
                    value=history.truth,
                )
                for history in _HISTORIES
            ),
        )
    ]


def _series(moments: Clock, history: _History, change: int) -> Iterator[Series]:
    labels = {**service_labels(moments.settings), "job": history.name, "instance": "a"}
    rest = moments.grace // moments.step
    once = -(
        -moments.settings.alerting.evaluation_interval.seconds // moments.step
    )  # samples until the next evaluation

    def values(before: object, after: object) -> str:
        earlier = f"_x{change}" if before == "_" else f"{before}x{change - 1}"
        return f"{earlier} {after}x{rest}" if history.lasts else f"{earlier} {after}x{once - 1} stale"

    for copy in range(history.copies):
        own = {**labels, REPLICAS[0]: str(copy)} if history.copies > 1 else labels
        start = change * moments.step if history.started else -1_000_000
        yield Series(name=catalog.TARGET_INFO.name, labels=own, values=values(1 if history.info else "_", 1))
        yield Series(name=catalog.PROCESS_START_TIME.name, labels=own, values=values("_", start))
        yield _count(own, "200", values("_" if history.before == "_" else 100, 100))
        yield _count(own, "503", values(history.before, history.after))


def _count(labels: Mapping[str, str], status: str, values: str) -> Series:
    name = f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count"
    own = {"http_route": "/", "http_response_status_code": status, "error_type": "" if status == "200" else status}
    return Series(name=name, labels={**labels, **own}, values=values)
