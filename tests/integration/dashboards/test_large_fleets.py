"""With a thousand services, the variables of the dashboards have their values at once."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS
from instrumentation.settings import Settings
from tests.support.prometheus_history import Prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

START = 1_764_000_000
SERVICES, CLUSTERS, INSTANCES = 1000, 20, 3
SECONDS = 1.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    history = Prometheus(tmp_path_factory.mktemp("prometheus"))
    history.take(
        (
            f'target_info{{job="s{number}",cluster="c{number % CLUSTERS}",namespace="n{number % 50}",'
            f'environment="production",instance="s{number}-{instance}:8000",service_version="1.7.3"}} 1 {START + 60 * minute}\n'
            for number in range(SERVICES)
            for instance in range(INSTANCES)
            for minute in range(10)
        ),
        "target_info",
    )
    with history.running() as client:
        yield client


def _queries() -> dict[str, tuple[str, str]]:
    """Name of a variable to the label and the selector that it asks for, with everything selected."""
    found = {}
    for build in DASHBOARDS.values():
        dashboard: Any = build(Settings())
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
                assert match, variable["query"]
                found[variable["name"]] = match[2], re.sub(r"\$\w+", ".*", match[1])
    return found


@pytest.mark.parametrize("name", _queries())
def test_a_variable_has_its_values_within_a_second(name: str, fleet: httpx.Client) -> None:
    label, selector = _queries()[name]
    times = {"start": START, "end": START + 600}
    begun = time.perf_counter()
    answer = fleet.get(f"/api/v1/label/{label}/values", params={"match[]": selector, **times}).raise_for_status()
    assert time.perf_counter() - begun < SECONDS
    wanted = {"job": SERVICES, "instance": SERVICES * INSTANCES, "cluster": CLUSTERS, "namespace": 50, "environment": 1}
    assert len(answer.json()["data"]) == wanted[label]
