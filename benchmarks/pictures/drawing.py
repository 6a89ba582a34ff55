"""Draws dashboards: sends each panel's queries to Prometheus, and lets a browser draw the results."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from benchmarks.errors import BenchmarkError
from sidelight.demo.panels import filled
from sidelight.toolchain import node_modules, run_command, tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTHS = (1280, 2560)  # pixels, of a small screen and a large one
SECONDS = 300.0
POINTS = 240  # of a graph

_PROGRAMS = ("board.jsx", "draw.mjs")


class Board(NamedTuple):
    """A dashboard and its data.

    Attributes:
        dashboard: Its JSON.
        answers: Prometheus' responses, by panel id and query letter.
        start: The start of its graphs, in Unix seconds.
        end: The end of its graphs, in Unix seconds.
    """

    dashboard: Mapping[str, Any]
    answers: Mapping[int, Mapping[str, Any]]
    start: float
    end: float


def asked(dashboard: Mapping[str, Any], prometheus: str, start: float, end: float) -> Board:
    """Send all queries of a dashboard to Prometheus, as Grafana does."""
    with httpx.Client(base_url=f"{prometheus}/api/v1", timeout=SECONDS, trust_env=False) as client:

        def answer(target: Mapping[str, Any]) -> Any:
            query = {"query": filled(target["expr"])}
            if target["instant"]:
                response = client.get("/query", params={**query, "time": end})
            else:
                step = max(1.0, (end - start) / POINTS)
                response = client.get("/query_range", params={**query, "start": start, "end": end, "step": step})
            return response.raise_for_status().json()["data"]["result"]

        answers = {
            panel["id"]: {target["refId"]: answer(target) for target in panel.get("targets", ())}
            for panel in dashboard["panels"]
        }
    return Board(dashboard=dashboard, answers=answers, start=start, end=end)


def draw(boards: Mapping[str, Board], folder: Path, *, widths: Sequence[int] = WIDTHS) -> dict[str, list[str]]:
    """Draw dashboards into ``<name>-<width>.png``.

    Args:
        boards: The dashboards by name.
        folder: An empty folder for the pictures and their sources.
        widths: Screen widths in pixels.

    Returns:
        Unreadable texts and errors of the browser, for each ``<name> at <width>``.

    Raises:
        BenchmarkError: The drawing program fails.
        ToolError: node or its packages are not available.
    """
    for name in _PROGRAMS:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    (folder / "node_modules").symlink_to(node_modules())
    given = {
        name: {"dashboard": each.dashboard, "answers": each.answers, "from": each.start, "to": each.end}
        for name, each in boards.items()
    }
    (folder / "job.json").write_text(json.dumps({"boards": given, "widths": list(widths)}))
    environ = {**os.environ, "TMPDIR": str(folder)}  # the folder in which the browser is unpacked
    done = run_command([str(tool("node")), "draw.mjs"], timeout=SECONDS, cwd=folder, environ=environ)
    if done.status:
        raise BenchmarkError(f"node draw.mjs: {done.output.strip()}", code="drawing_failed")
    found: dict[str, list[str]] = json.loads(done.output.splitlines()[-1])
    return found
