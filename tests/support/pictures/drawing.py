"""Draws dashboards: sends each panel's queries to Prometheus, and lets a browser draw the results."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from dashboards.layout import COLUMNS
from instrumentation.settings import Duration
from sidelight.demo.panels import filled
from sidelight.toolchain import node_modules, run_command, tool
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTHS = (1280, 2560)  # pixels, of a small screen and a large one
SECONDS = 300.0
_DEFAULT_INTERVAL = 15.0  # seconds
_NICE = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)

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


def opened(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    """A dashboard after someone opened all of its rows, which moves the rows below down."""
    panels: list[dict[str, Any]] = []
    lower = 0
    for item in dashboard["panels"]:
        panels.append(_moved(item, lower) | ({"collapsed": False, "panels": []} if item["type"] == "row" else {}))
        hidden = item.get("panels", ())
        panels += [_moved(panel, lower) for panel in hidden]
        if hidden:
            lower += max(_bottom(panel) for panel in hidden) - _bottom(item)
    return {**dashboard, "panels": panels}


def _moved(panel: Mapping[str, Any], lower: int) -> dict[str, Any]:
    return {**panel, "gridPos": {**panel["gridPos"], "y": panel["gridPos"]["y"] + lower}}


def _bottom(panel: Mapping[str, Any]) -> int:
    place = panel["gridPos"]
    return int(place["y"]) + int(place["h"])


def asked(dashboard: Mapping[str, Any], prometheus: str, start: float, end: float) -> Board:
    """Send the queries of a dashboard's open panels to Prometheus, with the steps and times that Grafana uses."""
    with httpx.Client(base_url=f"{prometheus}/api/v1", timeout=SECONDS, trust_env=False) as client:

        def answer(target: Mapping[str, Any], points: int) -> Any:
            step, variables = _steps(target, end - start, points)
            query = {"query": filled(target["expr"], {**variables, "$__range": f"{round(end - start)}s"})}
            if target["instant"]:
                response = client.get("/query", params={**query, "time": end})
            else:
                times = {"start": start // step * step, "end": end // step * step}
                response = client.get("/query_range", params={**query, **times, "step": step})
            return response.raise_for_status().json()["data"]["result"]

        answers = {
            panel["id"]: {
                target["refId"]: answer(target, _points(panel["gridPos"]["w"])) for target in panel.get("targets", ())
            }
            for panel in dashboard["panels"]
        }
    return Board(dashboard=dashboard, answers=answers, start=start, end=end)


def _points(width: int) -> int:
    """The number of points that Grafana asks for: one for each pixel of a panel on a small screen."""
    return round(WIDTHS[0] * width / COLUMNS)


def _steps(target: Mapping[str, Any], seconds: float, points: int) -> tuple[float, dict[str, str]]:
    """The step, and the variables that Grafana computes from it.

    ``$__rate_interval`` is at least four times the target's least step, which Grafana takes for the scrape interval.
    """
    least = Duration(target["interval"]).seconds if target["interval"] else _DEFAULT_INTERVAL
    step = max(least, min(_NICE, key=lambda nice: abs(nice - seconds / points)))
    return step, {"$__rate_interval": f"{max(step + least, 4 * least):g}s", "$__interval": f"{step:g}s"}


def draw(boards: Mapping[str, Board], folder: Path, *, widths: Sequence[int] = WIDTHS) -> dict[str, list[str]]:
    """Draw dashboards into ``<name>-<width>.png``.

    Args:
        boards: The dashboards by name.
        folder: An empty folder for the pictures and their sources.
        widths: Screen widths in pixels.

    Returns:
        Unreadable texts and errors of the browser, for each ``<name> at <width>``.

    Raises:
        MeasurementError: The drawing program fails.
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
        raise MeasurementError(f"node draw.mjs: {done.output.strip()}", code="drawing_failed")
    found: dict[str, list[str]] = json.loads(done.output.splitlines()[-1])
    return found
