"""A history of the demo's phases in a real Prometheus: every metric of the catalog, every recorded series, and the alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts import RecordingRule, groups
from instrumentation import catalog
from sidelight.demo.scenario import OLD_VERSION, PHASES, SERVICE
from tests.support.prometheus_history import Prometheus, layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from instrumentation.settings import Settings
    from sidelight.demo.scenario import Phase

START = 1_764_000_000  # a whole minute
SCRAPE = 15  # seconds
PHASE = 120  # seconds
END = START + PHASE * len(PHASES)
REQUESTS = 300  # per scrape

_VALUES = {"http_route": "/orders/{id}", "outcome": "success", "service_name": SERVICE}
_EDGES = (0.1, 0.5, 1.0, 2.5)
_TARGET = {"job": SERVICE, "instance": "10.0.0.1:8000"}


def demo_history(folder: Path, settings: Settings, version: str = "prometheus") -> Prometheus:
    """Store the history.

    Args:
        folder: The folder of Prometheus' data.
        settings: The settings of the rules.
        version: ``prometheus`` or ``prometheus-oldest``.
    """
    prometheus = Prometheus(folder, version)
    prometheus.take(samples())
    recording = [
        rule.document() for group in groups(settings) for rule in group.rules if isinstance(rule, RecordingRule)
    ]
    for layer in layers(recording):  # type: ignore[arg-type]
        prometheus.record(layer, SCRAPE, START, END)
    return prometheus


def samples() -> Iterator[str]:
    """OpenMetrics lines, ordered by series as the format requires."""
    times = range(START, END + 1, SCRAPE)
    phases = [PHASES[min((at - START) // PHASE, len(PHASES) - 1)] for at in times]
    for metric in catalog.METRICS:
        if metric is not catalog.ACTIVE_USER_REGISTER:
            yield from _family(metric, list(times), phases)
    yield from _alerts(list(times), phases)
    yield from (_line("up", _TARGET, at, 1) for at in times)


def _family(metric: catalog.Metric, times: list[int], phases: list[Phase]) -> Iterator[str]:
    if metric is catalog.TARGET_INFO:
        versions = [OLD_VERSION]
        for phase in phases[1:]:
            versions.append(phase.version or versions[-1])
        for version in dict.fromkeys(versions):
            labels = {**_TARGET, "service_name": SERVICE, "service_version": version}
            yield from (
                _line(metric.name, labels, at, 1) for at, each in zip(times, versions, strict=True) if each == version
            )
        return
    labels = {**_TARGET, **{label: _VALUES.get(label, label) for label in metric.labels}}
    if "error_type" not in metric.labels:
        yield from _series(metric, labels, times, [REQUESTS] * len(times), phases)
        return
    failed = [round(REQUESTS * phase.error_ratio) for phase in phases]
    succeeded = [REQUESTS - number for number in failed]
    for status, error, grown in (("200", "", succeeded), ("503", "503", failed)):
        own = {**labels, "http_response_status_code": status, "error_type": error}
        yield from _series(metric, own, times, grown, phases)


def _series(
    metric: catalog.Metric, labels: Mapping[str, str], times: list[int], grown: list[int], phases: list[Phase]
) -> Iterator[str]:
    if metric.kind is catalog.Kind.GAUGE:
        yield from (_line(metric.name, labels, at, 3 + index % 5) for index, at in enumerate(times))
        return
    totals = [sum(grown[: index + 1]) for index in range(len(grown))]
    if metric.kind is catalog.Kind.COUNTER:
        yield from (_line(metric.name, labels, at, total) for at, total in zip(times, totals, strict=True))
        return
    for edge in (*_EDGES, float("inf")):
        fast = [number * (0.05 + phase.latency_seconds <= edge) for number, phase in zip(grown, phases, strict=True)]
        le = "+Inf" if edge == float("inf") else str(edge)
        for index, at in enumerate(times):
            yield _line(f"{metric.name}_bucket", {**labels, "le": le}, at, sum(fast[: index + 1]))
    for suffix in ("sum", "count"):
        yield from (
            _line(f"{metric.name}_{suffix}", labels, at, total) for at, total in zip(times, totals, strict=True)
        )


def _alerts(times: list[int], phases: list[Phase]) -> Iterator[str]:
    firing = {
        key: [key in phase.fires or key.severity == "none" for phase in phases]
        for phase in PHASES
        for key in phase.fires
    }
    for name, value in (("ALERTS", "1"), ("ALERTS_FOR_STATE", str(START))):
        for key, when in firing.items():
            state = {"alertstate": "firing"} if name == "ALERTS" else {}
            kind = {"kind": "event"} if key.severity in {"none", "info"} else {}
            labels = {"alertname": key.alert, "severity": key.severity, **state, **kind}
            if key.severity != "none":
                labels |= {"job": SERVICE}
            yield from (_line(name, labels, at, value) for at, fires in zip(times, when, strict=True) if fires)


def _line(name: str, labels: Mapping[str, str], at: int, value: float | str) -> str:
    inside = ",".join(f'{label}="{each}"' for label, each in labels.items())
    return f"{name}{{{inside}}} {value} {at}\n"
