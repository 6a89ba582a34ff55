"""The runbooks' queries can be copied into Prometheus: each one runs on the oldest and the newest version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from alerts import ALERTS
from sidelight.toolchain import processes, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
QUERIES = {
    (alert.name, number): query
    for alert in ALERTS
    for number, query in enumerate(
        re.findall(r"^ *```promql\n(.*?)^ *```", (RUNBOOKS / f"{alert.name}.md").read_text(), re.MULTILINE | re.DOTALL)
    )
}


@pytest.fixture(scope="module", params=["prometheus", "prometheus-oldest"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("{}\n")
    with (
        processes.prometheus(folder / "prometheus.yml", folder / "data", binary=tool(request.param)) as process,
        httpx.Client(base_url=process.url, timeout=60, trust_env=False) as asking,
    ):
        yield asking


def test_every_query_of_every_runbook_runs(client: httpx.Client) -> None:
    answers = {place: client.get("/api/v1/query", params={"query": query}) for place, query in QUERIES.items()}
    assert {place: answer.text for place, answer in answers.items() if answer.status_code != 200} == {}


def test_every_runbook_but_the_watchdogs_has_some() -> None:
    assert {alert.name for alert in ALERTS} - {name for name, _ in QUERIES} <= {"Watchdog"}


def test_a_query_that_does_not_run_would_be_seen(client: httpx.Client) -> None:
    assert client.get("/api/v1/query", params={"query": "rate(up)"}).status_code == 400
