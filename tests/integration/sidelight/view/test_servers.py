"""The page reads from the oldest supported Prometheus and from VictoriaMetrics, too."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from instrumentation.settings import Settings
from sidelight.demo.scenario import SERVICE
from sidelight.toolchain import processes, tool
from sidelight.view.boards import Boards
from sidelight.view.prometheus import Prometheus, source
from sidelight.view.viewer import Viewer
from tests.support.demo_history import END, START, demo_history, samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def prometheus_oldest(folder: Path) -> Iterator[str]:
    with demo_history(folder, Settings(), "prometheus-oldest").running() as client:
        yield str(client.base_url)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[str]:
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    options = (f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder / 'data'}", "-retentionPeriod=100y")
    argv = (tool("victoria-metrics"), *options)
    with processes.start(argv, log=folder / "log", ready=f"{url}/health", url=url):
        lines = "".join(f"{line.strip()}000\n" for line in samples())  # its times are milliseconds
        httpx.post(f"{url}/api/v1/import/prometheus", content=lines, timeout=60).raise_for_status()
        httpx.get(f"{url}/internal/force_flush").raise_for_status()  # otherwise queries see it only after seconds
        yield url


async def answers(url: str) -> dict[str, Any]:
    prometheus = Prometheus(source(url))
    viewer = Viewer(Boards(Settings()), prometheus, clock=lambda: END)
    window = [("from", f"{START}000"), ("to", f"{END}000")]
    found = {path: json.loads(await viewer.answer(path, window)) for path in viewer.paths()}
    await prometheus.close()
    return found


@pytest.mark.parametrize("server", [prometheus_oldest, victoria_metrics])
def test_every_query_of_the_page_is_understood(server: Any, tmp_path: Path) -> None:
    with server(tmp_path) as url:
        found = asyncio.run(answers(url))
    panels = {
        path: each["answers"] for path, each in found.items() if "/panels/" in path or path.endswith("/annotations")
    }
    assert len(panels) > 70
    assert [answer["error"] for each in panels.values() for answer in each.values() if answer["error"]] == []
    assert sum(bool(answer["result"]) for each in panels.values() for answer in each.values()) > 50
    assert [service["identity"]["job"] for service in found["services"] if service["observed"]] == [SERVICE]
    assert found["alerts"] == []
