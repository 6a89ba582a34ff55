"""With any fault, accepted spans arrive; lost spans are logged, counted and alerted; the service is not affected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.demo.spans import receiving
from tests.support.collector_faults import SCENARIOS, Scenario
from tests.support.collector_latency import BROKEN, WELL, latencies
from tests.support.collectors import LOOPBACK, running, send, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_accepted_spans_arrive_and_lost_spans_are_reported(scenario: Scenario, tmp_path: Path) -> None:
    outcome = scenario.play(tmp_path, 5.0)
    assert outcome.accepted > 0 or scenario.name == "the memory limit is reached"
    assert (outcome.lost, outcome.twice) == (0, 0)
    assert outcome.fires == scenario.fires
    assert (outcome.told > 0) == (outcome.counted > 0) == bool(scenario.fires)
    assert outcome.counted >= outcome.told or outcome.told == 0


def test_the_latency_of_the_service_does_not_depend_on_its_traces(tmp_path: Path) -> None:
    found = latencies(tmp_path)
    assert set(found) == {WELL, *BROKEN}
    assert {name: seconds for name, seconds in found.items() if seconds > 1.5 * found[WELL]} == {}


def test_a_balancer_brings_traces_to_the_gateways(tmp_path: Path) -> None:
    with (
        receiving() as spans,
        running("gateway", tmp_path / "gateway", spans.url) as gateway,
        running(
            "balancer",
            tmp_path / "balancer",
            "http://unused.example",
            settings={"collector": {"gateways": "localhost"}},
            env={"SIDELIGHT_GATEWAYS_PORT": str(gateway.grpc_port)},
        ) as balancer,
    ):
        assert gateway.http.startswith(f"http://{LOOPBACK}")
        until(lambda: send(balancer.http, 3))
        until(lambda: len({span.trace_id for span in spans}) == 3)
