"""With many services, a graph shows the worst ones over its whole range; also on the oldest Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dashboards.expressions import RANGE, highest, lowest
from tests.support.prometheus_history import Prometheus

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

START, MINUTES = 1_764_000_000, 60


def value(number: int, minute: int) -> float:
    """Service 7 has one bad minute and one good one; of the others each is a little worse than the one before."""
    return {11: 1.0, 13: -1.0}.get(minute, 0.5) if number == 7 else 0.4 + number / 100


@pytest.fixture(scope="module", params=["prometheus", "prometheus-oldest"])
def of_twelve(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prometheus:
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), request.param)
    lines = (
        f'errors{{job="s{number}"}} {value(number, minute)} {START + 60 * minute}\n'
        for number in range(12)
        for minute in range(MINUTES)
    )
    prometheus.take(lines, "errors")
    return prometheus


def shown(client: httpx.Client, expression: str) -> dict[str, int]:
    """How many points of each service a graph has."""
    times = {"start": START, "end": START + 60 * (MINUTES - 1), "step": 60}
    query = expression.replace(RANGE, f"{MINUTES}m")
    found = client.get("/api/v1/query_range", params={"query": query, **times}).raise_for_status().json()["data"]
    return {series["metric"]["job"]: len(series["values"]) for series in found["result"]}


@pytest.mark.parametrize(("choose", "expected"), [(highest, {"s7", "s10", "s11"}), (lowest, {"s7", "s0", "s1"})])
def test_a_graph_shows_the_worst_from_its_beginning_to_its_end(
    choose: Callable[..., str], expected: set[str], of_twelve: Prometheus
) -> None:
    with of_twelve.running() as client:
        assert shown(client, choose(3, "errors", "job")) == dict.fromkeys(expected, MINUTES)
        assert len(shown(client, choose(20, "errors", "job"))) == 12  # no more than there are
