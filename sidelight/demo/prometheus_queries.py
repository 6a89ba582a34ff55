"""Queries Prometheus for alerts and measured values."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import httpx

from alerts.recording.services import recorded
from sidelight.demo.errors import DemoError
from sidelight.demo.timeline import Key, Look, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.settings import Settings

HISTORY = "1m"  # more than the longest pause between two polls
LOOK = "2s"  # between two points of a graph


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The values that the rules compare with their thresholds; None without data.

    Attributes:
        requests: Requests per second.
        error_ratio: The share of failed requests, from 0 to 1.
        p95: The p95 latency in seconds.
    """

    requests: float | None = None
    error_ratio: float | None = None
    p95: float | None = None


class Watch:
    """Queries one Prometheus.

    Args:
        client: A client whose base URL is Prometheus.
        settings: The settings of the rules, for the names of recorded series.
        epoch: The start of the demo, in Unix seconds.
        clock: Returns the seconds since then.
    """

    def __init__(self, client: httpx.Client, *, settings: Settings, epoch: float, clock: Callable[[], float]) -> None:
        self._client = client
        self._recorded = recorded(settings)
        self._epoch = epoch
        self._clock = clock

    def look(self) -> Look:
        """Read the alerts: all samples of the last minute, and which alerts are active now.

        Raises:
            DemoError: Prometheus does not answer.
        """
        at = self._clock()
        sightings = (self._sightings(row) for row in self._query(f"ALERTS[{HISTORY}]", at))
        active = frozenset(_key(row) for row in self._query("ALERTS", at))
        return Look(at=at, sightings=tuple(sighting for row in sightings for sighting in row), active=active)

    def measure(self) -> Measured:
        """Read the recorded series.

        Raises:
            DemoError: Prometheus does not answer.
        """
        of = self._recorded
        return Measured(
            requests=self._value(of.request_rate), error_ratio=self._value(of.error_ratio), p95=self._value(of.p95)
        )

    def scrapes(self, instance: str) -> bool | None:
        """Whether the latest scrape of an instance succeeded; None for an instance that is not scraped.

        Raises:
            DemoError: Prometheus does not answer.
        """
        value = self._value(f'up{{instance="{instance}"}}')
        return None if value is None else value == 1

    def shows(self, expression: str, *, now: bool = False) -> bool:
        """Whether an expression returns numbers: now, or otherwise at any time since the demo began.

        Raises:
            DemoError: Prometheus does not answer.
        """
        at = self._clock()
        if now:
            values = [row["value"][1] for row in self._query(expression, at)]
        else:
            span = {"start": f"{self._epoch:.3f}", "end": f"{self._epoch + at:.3f}", "step": LOOK}
            rows = self._ask("query_range", {"query": expression, **span})
            values = [value for row in rows for _, value in row["values"]]
        return any(map(isfinite, map(float, values)))

    def _sightings(self, row: Any) -> list[Sighting]:
        firing = row["metric"]["alertstate"] == "firing"
        return [Sighting(key=_key(row), firing=firing, at=float(at) - self._epoch) for at, _ in row["values"]]

    def _value(self, expression: str) -> float | None:
        rows = self._query(expression, self._clock())
        return float(rows[0]["value"][1]) if rows else None

    def _query(self, expression: str, at: float) -> list[Any]:
        return self._ask("query", {"query": expression, "time": f"{self._epoch + at:.3f}"})

    def _ask(self, how: str, parameters: dict[str, str]) -> list[Any]:
        try:
            response = self._client.get(f"/api/v1/{how}", params=parameters).raise_for_status()
        except httpx.HTTPError as error:
            message = f"Prometheus does not answer the query {parameters['query']}: {error or type(error).__name__}."
            raise DemoError(message, code="demo_prometheus_silent") from error
        result: list[Any] = response.json()["data"]["result"]
        return result


def _key(row: Any) -> Key:
    return Key(row["metric"].get("alertname", ""), row["metric"].get("severity", ""))
