"""Tests of counts by a label of ``http.labels``: the first burst of a new value is counted exactly, and other values do not change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series, Value
from alerts.rule_tests.threshold_tests import service_labels
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.settings import Settings

_BEFORE = {"old": (1000, 7), "new": None}  # requests and failed requests of each value until the burst
_BURST = {"old": (0, 0), "new": (10, 3)}


def label_tests(settings: Settings) -> list[RuleTest]:
    """One test for each label that has rules."""
    return [_test(settings, name) for name, label in settings.http.labels.items() if label.rules]


def _test(settings: Settings, label: str) -> RuleTest:
    moments = Clock(settings=settings, longest_for=0, range_=0, memory=0)
    change, rest = 3 * moments.grace // moments.step, moments.grace // moments.step
    end = change * moments.step + moments.grace
    service = {**service_labels(settings), "job": "burst of a new value"}
    of = recorded(settings)
    requests, errors = (name.replace(of.level, f"{of.level}_{label}", 1) for name in (of.requests, of.errors))
    return RuleTest(
        name=f"requests are counted one by one for each {label}",
        series=(
            Series(name=catalog.TARGET_INFO.name, labels={**service, "instance": "a"}, values=f"1x{change + rest}"),
            *_series({**service, "instance": "a"}, label, change, rest),
        ),
        values=tuple(
            Value(seconds=end, expr=f'{name}{{{label}="{value}"}}', labels={**service, label: value}, value=truth)
            for value, burst in _BURST.items()
            for name, truth in zip((requests, errors), burst, strict=True)
        ),
    )


def _series(instance: dict[str, str], label: str, change: int, rest: int) -> Iterator[Series]:
    for value, burst in _BURST.items():
        before = _BEFORE[value]
        for place, status in enumerate(("200", "503")):
            counts = (burst[0] - burst[1], burst[1])
            at_first = None if before is None else (before[0] - before[1], before[1])[place]
            earlier = f"_x{change}" if at_first is None else f"{at_first}x{change - 1}"
            yield Series(
                name=f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count",
                labels={
                    **instance,
                    "http_route": "/",
                    "http_response_status_code": status,
                    "error_type": "" if status == "200" else status,
                    label: value,
                },
                values=f"{earlier} {(at_first or 0) + counts[place]}x{rest}",
            )
