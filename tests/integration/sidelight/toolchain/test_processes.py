"""The servers of the tests and the demo start, answer and stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

import pytest

from sidelight.toolchain import tool
from sidelight.toolchain.processes import alertmanager, answers, living, prometheus, uvicorn

if TYPE_CHECKING:
    from pathlib import Path

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"up"})
"""


def get(url: str) -> dict[str, dict[str, str]]:
    with build_opener(ProxyHandler({})).open(url, timeout=10) as response:
        answer: dict[str, dict[str, str]] = json.load(response)
        return answer


@pytest.mark.parametrize(("name", "version"), [("prometheus-oldest", "2.42."), ("prometheus", "3.")])
def test_prometheus_serves_and_ends(tmp_path: Path, name: str, version: str) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s}\n")
    with prometheus(config, tmp_path / "data", binary=tool(name)) as server:
        assert get(f"{server.url}/api/v1/status/buildinfo")["data"]["version"].startswith(version)
    assert living(server.pid) == ()


def test_the_current_prometheus_discovers_targets_in_files(tmp_path: Path) -> None:
    targets = tmp_path / "targets.json"
    targets.write_text('[{"targets": ["127.0.0.1:7"], "labels": {"job": "shop"}}]')
    config = tmp_path / "prometheus.yml"
    config.write_text(f"scrape_configs: [{{job_name: files, file_sd_configs: [{{files: [{targets}]}}]}}]\n")
    with prometheus(config, tmp_path / "data") as server:
        assert answers(f"{server.url}/-/ready")
        assert "Unable" not in server.tail()


def test_alertmanager_serves_and_ends(tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    with alertmanager(config, tmp_path / "data") as server:
        assert answers(f"{server.url}/-/healthy")
    assert living(server.pid) == ()


@pytest.mark.parametrize("workers", [1, 2])
def test_uvicorn_serves_with_its_workers_and_all_of_them_end(tmp_path: Path, workers: int) -> None:
    (tmp_path / "plain.py").write_text(APP)
    log = tmp_path / "uvicorn.log"
    with uvicorn("plain:app", log=log, cwd=tmp_path, workers=workers, ready_path="/") as server:
        assert answers(server.url)
        assert len(living(server.pid)) >= workers
    assert living(server.pid) == ()
