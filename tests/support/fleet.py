"""Histories of a hundred services for the rules: minutes of raw histograms, and a month of recorded series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION, PROCESS_START_TIME, TARGET_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrumentation.settings import Settings

DAY = 86_400  # seconds
PROCESSES = (TARGET_INFO.name, PROCESS_START_TIME.name)
REQUESTS = 30  # per series and interval; the cost does not depend on it


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The size of the fleet.

    Attributes:
        services: Number of services.
        pods: Pods per service.
        routes: Routes per service; each has a series of successes and one of errors.
    """

    services: int = 100
    pods: int = 10
    routes: int = 20

    @property
    def jobs(self) -> list[str]:
        """The services' names."""
        return [f"service-{number}" for number in range(self.services)]

    def __str__(self) -> str:
        """The size as text."""
        return f"{self.services} services x {self.pods} pods x {self.routes} routes"


def scraped(settings: Settings, fleet: Fleet, start: int, end: int) -> Iterator[str]:
    """The samples of the pods, as lines of OpenMetrics."""
    name, interval = HTTP_SERVER_REQUEST_DURATION.name, settings.metrics.scrape_interval.seconds
    edges = edges_of(settings)
    for labels in _labels(fleet):
        starts = [f'{name}_bucket{{{labels},le="{edge}"}}' for edge in edges] + [f"{name}_count{{{labels}}}"]
        each = [REQUESTS * (number + 1) // len(edges) for number in range(len(edges))] + [REQUESTS]
        for step, second in enumerate(range(start, end + 1, interval), 1):
            yield from (f"{series} {step * more} {second}\n" for series, more in zip(starts, each, strict=True))


def processes(settings: Settings, fleet: Fleet, start: int, end: int) -> Iterator[str]:
    """What the pods say about themselves, as lines of OpenMetrics: their version, and when they started."""
    seconds = range(start, end + 1, settings.metrics.scrape_interval.seconds)
    for job in fleet.jobs:
        for pod in range(fleet.pods):
            labels = f'job="{job}",instance="{job}-{pod}:8000"'
            for series, value in (
                (f'{TARGET_INFO.name}{{{labels},service_version="1.7.3"}}', 1),
                (f"{PROCESS_START_TIME.name}{{{labels}}}", start - DAY),
            ):
                yield from (f"{series} {value} {second}\n" for second in seconds)


def edges_of(settings: Settings) -> tuple[str, ...]:
    """The values of ``le``."""
    return (*map(str, settings.duration_edges), "+Inf")


def totals(fleet: Fleet, name: str, edges: Sequence[str], seconds: Sequence[int]) -> Iterator[str]:
    """The recorded series of each pod, or with edges of each of its buckets, as lines of OpenMetrics."""
    for job in fleet.jobs:
        for pod in range(fleet.pods):
            for number, edge in enumerate([f',le="{edge}"' for edge in edges] or [""], 1):
                start = f'{name}{{job="{job}",instance="{job}-{pod}:8000"{edge}}}'
                yield from (f"{start} {step * number} {second}\n" for step, second in enumerate(seconds, 1))


def series(settings: Settings, fleet: Fleet) -> int:
    """The number of scraped series."""
    return fleet.services * fleet.pods * fleet.routes * 2 * (len(settings.duration_edges) + 2)


def recorded(fleet: Fleet, names: Sequence[str], seconds: Sequence[int], edges: Sequence[str] = ()) -> Iterator[str]:
    """The recorded samples: one series per service, and per objective or edge for series with a label ``slo`` or ``le``."""
    for name in names:
        parts = (
            [("slo", slo) for slo in ("availability", "latency")] if "_slo:" in name else [("le", le) for le in edges]
        )
        texts = [f',{label}="{value}"' for label, value in parts] or [""]
        for job in fleet.jobs:
            for number, text in enumerate(texts, 1):
                start = f'{name}{{job="{job}"{text}}}'
                yield from (f"{start} {number * (1 + second % 7)} {second}\n" for second in seconds)


def _labels(fleet: Fleet) -> Iterator[str]:
    for job in fleet.jobs:
        for pod in range(fleet.pods):
            for route in range(fleet.routes):
                for status, error_type in (("200", ""), ("500", "500")):
                    yield (
                        f'job="{job}",instance="{job}-{pod}:8000",http_request_method="GET",http_route="/things/{route}",'
                        f'http_response_status_code="{status}",error_type="{error_type}"'
                    )
