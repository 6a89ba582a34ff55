"""Reads metrics pages one after the other, and records counters that go backwards or disappear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

Key: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
CUMULATIVE = {"counter", "histogram", "summary"}
DURATION_COUNT = "http_server_request_duration_seconds_count"
ACTIVE = "http_server_active_requests"
SCRAPE_SECONDS = 10.0


@dataclass(kw_only=True)
class Scrapes:
    """The content of the pages.

    Attributes:
        pages: The number of pages read.
        latest: All series of the last page.
        backwards: The names of counters that decreased or disappeared.
    """

    pages: int = 0
    latest: dict[Key, float] = field(default_factory=dict)
    backwards: list[str] = field(default_factory=list)
    _cumulative: dict[Key, float] = field(default_factory=dict)

    def read(self, page: str) -> None:
        """Add the next page."""
        self.pages += 1
        cumulative: dict[Key, float] = {}
        self.latest = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                self.latest[key] = sample.value
                if family.type in CUMULATIVE:
                    cumulative[key] = sample.value
        self._compare(cumulative)
        self._cumulative |= cumulative

    def _compare(self, cumulative: dict[Key, float]) -> None:
        for key, before in self._cumulative.items():
            now = cumulative.get(key)
            if now is None or now < before:
                self.backwards.append(key[0])

    def counted(self) -> dict[tuple[str, int], float]:
        """Requests by (route, status)."""
        totals: dict[tuple[str, int], float] = {}
        for (name, labels), value in self.latest.items():
            if name == DURATION_COUNT and value:
                by_name = dict(labels)
                key = (by_name["http_route"], int(by_name["http_response_status_code"]))
                totals[key] = totals.get(key, 0.0) + value
        return totals

    def active(self) -> float:
        """Requests in progress."""
        return sum(value for (name, _), value in self.latest.items() if name == ACTIVE)


def fetch(url: str) -> str:
    """The page at a URL.

    Raises:
        OSError: There was no response, or it was incomplete.
    """
    with build_opener(ProxyHandler({})).open(url, timeout=SCRAPE_SECONDS) as response:
        body: bytes = response.read()
        return body.decode()
