"""Values of a service's request histogram, scrape by scrape, before, during and after an outage."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
SCRAPE = 30  # seconds; promtool reads no more than 10,000 samples of a series at once, and the longest window is 3 days
BEFORE, OUTAGE, AFTER = 3 * DAY, 2 * HOUR, 8 * HOUR
RATES = (0.1, 1.0, 100.0)  # requests per second
FAST = 0.08  # seconds
_EDGES = (0.1, 0.5, 1.0, 2.5)  # seconds
_MANY = 50  # so many events are as good as normally distributed


class Shares(NamedTuple):
    """The shares of requests that fail and that are slow.

    Attributes:
        failed: Share of requests that get an immediate error.
        slow: Share of requests that succeed, but late.
        seconds: Duration of the slow requests.
    """

    failed: float = 0.0
    slow: float = 0.0
    seconds: float = FAST


OUTAGES = {
    "100 % errors": Shares(failed=1.0),
    "10 % errors": Shares(failed=0.1),
    "6 % errors": Shares(failed=0.06),
    "2 % errors": Shares(failed=0.02),
    "p95 of 600 ms": Shares(slow=0.1, seconds=0.6),
    "p95 of 1.2 s": Shares(slow=0.1, seconds=1.2),
}
USUAL = Shares(failed=0.0002, slow=0.002, seconds=0.6)
BLIP = Shares(failed=0.2, slow=0.3, seconds=0.6)
BLIPS = range(
    2 * HOUR, DAY, 6 * HOUR
)  # seconds of the day: together with the usual errors, three quarters of the budget


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service and its faults over time.

    Attributes:
        job: Its name.
        rate: Requests per second.
        steady: Seconds at the start in which it answers without faults, at regular intervals.
        seconds: Seconds of history after that.
        shares: The shares of failed and slow requests for each of these seconds.
    """

    job: str
    rate: float
    steady: int = 0
    seconds: int
    shares: Callable[[int], Shares]

    def series(self) -> Iterator[dict[str, str]]:
        """Its series in the format of promtool's tests."""
        random, requests = Random(self.job), self.rate * SCRAPE
        scrapes = self.steady // SCRAPE
        good = [round(requests * scrapes)] * (
            len(_EDGES) + 1
        )  # cumulative count per bucket edge since the start, and the total
        bad = [0] * len(good)
        rows = []
        for second in range(0, self.seconds, SCRAPE):
            shares = self.shares(second)
            _add(good, FAST, poisson(random, requests * (1 - shares.failed - shares.slow)))
            _add(good, shares.seconds, poisson(random, requests * shares.slow))
            _add(bad, FAST, poisson(random, requests * shares.failed))
            rows.append((list(good), list(bad)))
        for index, (error_type, each) in enumerate((("", requests), ("500", 0))):
            before = f"0+{each:g}x{scrapes - 1} " if scrapes else ""
            yield from self._histogram(error_type, before, [row[index] for row in rows])

    def _histogram(self, error_type: str, before: str, rows: list[list[int]]) -> Iterator[dict[str, str]]:
        labels = f'job="{self.job}", instance="a", http_route="/", error_type="{error_type}"'
        name = HTTP_SERVER_REQUEST_DURATION.name
        for edge, column in zip((*map(str, _EDGES), "+Inf"), zip(*rows, strict=True), strict=True):
            values = before + " ".join(map(str, column))
            yield {"series": f'{name}_bucket{{{labels}, le="{edge}"}}', "values": values}
        yield {"series": f"{name}_count{{{labels}}}", "values": values}


def outages() -> Iterator[Service]:
    """Every outage at every request rate, after days without faults."""

    def shares(outage: Shares) -> Callable[[int], Shares]:
        return lambda second: outage if second < OUTAGE else Shares()

    for name, outage in OUTAGES.items():
        for rate in RATES:
            job = f"{name}|{rate:g}"
            yield Service(job=job, rate=rate, steady=BEFORE, seconds=OUTAGE + AFTER, shares=shares(outage))


def quiet(days: int, services: int) -> Iterator[Service]:
    """Services with random noise: some requests fail and some are slow."""
    yield from _lasting("quiet ", days, services, lambda _: USUAL)


def troubled(days: int, services: int) -> Iterator[Service]:
    """The same with short, everyday faults that together stay within the objectives."""

    def shares(second: int) -> Shares:
        return BLIP if any(0 <= second % DAY - start < MINUTE for start in BLIPS) else USUAL

    yield from _lasting("", days, services, shares)


def _lasting(name: str, days: int, services: int, shares: Callable[[int], Shares]) -> Iterator[Service]:
    for rate in RATES:
        for number in range(services):
            yield Service(job=f"{name}{number}|{rate:g}", rate=rate, seconds=days * DAY, shares=shares)


def poisson(random: Random, mean: float) -> int:
    """The number of rare, independent events that happen.

    >>> [poisson(Random(7), mean) for mean in (0, 1000)]
    [0, 992]
    """
    if mean > _MANY:
        return max(0, round(random.gauss(mean, sqrt(mean))))
    number, left, limit = 0, random.random(), exp(-mean)
    while left > limit:
        number, left = number + 1, left * random.random()
    return number


def _add(within: list[int], seconds: float, number: int) -> None:
    for index, edge in enumerate((*_EDGES, float("inf"))):
        within[index] += number * (seconds <= edge)
