"""Every panel of every dashboard has data when the example service runs as in the demo, on a real Prometheus."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards import DASHBOARDS
from sidelight.demo.stage import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.demo.stage import Stage

SECONDS = 120.0
FILLED = {
    "$__rate_interval": "10s", "$__range": "60s", "$__interval": "10s", "$job": "shop", "$instance": ".+", "$route": ".*",
}  # fmt: skip
# What a container limits; where nothing does, as on a developer's machine, there is no number, and the panel says so.
LIMITS = {"CPU limit", "CPU throttled", "Memory of limit"}


@contextmanager
def playing(folder: Path) -> Iterator[Stage]:
    """The demo's parts, the shop with errors and slow answers, so that there is something to see."""
    epoch = time.time()
    with running(folder, epoch=epoch, clock=lambda: time.time() - epoch, check=lambda: None) as stage:
        httpx.put(f"{stage.shop.url}/faults", json={"error_ratio": 0.08, "latency_seconds": 0.6}, timeout=10)
        yield stage


def expressions(stage: Stage) -> dict[str, list[str]]:
    """Panel, with its dashboard, to its expressions; annotations too."""
    found: dict[str, list[str]] = {}
    for name, build in DASHBOARDS.items():
        dashboard: Any = build(stage.settings)
        for panel in dashboard["panels"]:
            if panel.get("targets"):
                found[f"{name}: {panel['title']}"] = [filled(target["expr"]) for target in panel["targets"]]
    return found


def filled(expression: str) -> str:
    for variable, value in FILLED.items():
        expression = expression.replace(variable, value)
    return expression


def is_empty(client: httpx.Client, expression: str) -> bool:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    return not answer["data"]["result"]


@pytest.mark.timeout(300)
def test_every_panel_has_data(tmp_path: Path) -> None:
    with playing(tmp_path) as stage, httpx.Client(base_url=stage.prometheus.url, timeout=30, trust_env=False) as client:
        missing = expressions(stage)
        assert len(missing) > 50
        deadline = time.monotonic() + SECONDS
        while missing and time.monotonic() < deadline:
            stage.check()
            httpx.get(f"{stage.shop.url}/ready", timeout=10, trust_env=False)
            missing = {
                panel: left
                for panel, each in missing.items()
                if (left := [one for one in each if is_empty(client, one)])
            }
            if {panel.partition(": ")[2] for panel in missing} <= LIMITS:
                break
            time.sleep(1)
    assert {panel: each for panel, each in missing.items() if panel.partition(": ")[2] not in LIMITS} == {}
