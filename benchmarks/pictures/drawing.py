"""Draws dashboards: asks Prometheus what each panel asks, and has a browser draw the answers."""

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
    """A dashboard and what there is to show on it.

    Attributes:
        dashboard: Its JSON.
        answers: What Prometheus answers, by the panel's id and the query's letter.
        start: Where its graphs begin, in Unix seconds.
        end: Where they end.
    """

    dashboard: Mapping[str, Any]
    answers: Mapping[int, Mapping[str, Any]]
    start: float
    end: float


def asked(dashboard: Mapping[str, Any], prometheus: str, start: float, end: float) -> Board:
    """Ask a Prometheus whatever a dashboard asks, as Grafana does."""
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
        folder: An empty folder for the pictures and what they are made with.
        widths: The widths of the screen, in pixels.

    Returns:
        What cannot be read, and what the browser complains of, for each ``<name> at <width>``.

    Raises:
        BenchmarkError: The program that draws fails.
        ToolError: There is no node, or no packages for it.
    """
    for name in _PROGRAMS:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    (folder / "node_modules").symlink_to(node_modules())
    given = {
        name: {"dashboard": each.dashboard, "answers": each.answers, "from": each.start, "to": each.end}
        for name, each in boards.items()
    }
    (folder / "job.json").write_text(json.dumps({"boards": given, "widths": list(widths)}))
    environ = {**os.environ, "TMPDIR": str(folder)}  # where the browser is unpacked
    done = run_command([str(tool("node")), "draw.mjs"], timeout=SECONDS, cwd=folder, environ=environ)
    if done.status:
        raise BenchmarkError(f"node draw.mjs: {done.output.strip()}", code="drawing_failed")
    found: dict[str, list[str]] = json.loads(done.output.splitlines()[-1])
    return found
