"""Everything that the page reads, by path: the server and the snapshot give the same answers."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from instrumentation.version import __version__
from sidelight.view import overview
from sidelight.view.errors import NotFoundError
from sidelight.view.panels import annotation_data, panel_data
from sidelight.view.request import parse_request
from sidelight.view.variables import options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sidelight.view.boards import Board, Boards
    from sidelight.view.prometheus import Prometheus
    from sidelight.view.request import DataRequest

_DAY = ("now-24h", "now")
_PART = re.compile(r"variables|annotations|panels/(\d{1,9})")


class Viewer:
    """Answers what the page asks.

    Args:
        boards: The dashboards.
        prometheus: Where their data is.
        clock: Returns the current time in Unix seconds.
    """

    def __init__(self, boards: Boards, prometheus: Prometheus, clock: Callable[[], float] = time.time) -> None:
        self._boards = boards
        self._prometheus = prometheus
        self._clock = clock

    async def answer(self, path: str, parameters: Iterable[tuple[str, str]]) -> str:
        """The answer to one request as JSON.

        Args:
            path: The path below ``/api/``.
            parameters: Names and values, as `parse_request` describes them.

        Raises:
            NotFoundError: There is no such path, dashboard or panel.
            PrometheusError: Prometheus does not answer.
            RequestError: A parameter is wrong.
        """
        return json.dumps(await self._answer(path, list(parameters)), default=vars, separators=(",", ":"))

    def paths(self, uids: Iterable[str] = ()) -> list[str]:
        """All paths of some dashboards (default: all), so that a page can be stored whole.

        Raises:
            NotFoundError: There is no such dashboard.
        """
        boards = [self._boards.board(uid) for uid in uids] or list(self._boards)
        return [
            *("dashboards", "alerts", "services"),
            *(f"dashboards/{board.uid}{part}" for board in boards for part in _parts(board)),
        ]

    async def _answer(self, path: str, parameters: list[tuple[str, str]]) -> Any:
        match path.split("/", 2):
            case ["dashboards"]:
                return self._about()
            case ["alerts"]:
                return await overview.alerts(self._prometheus)
            case ["services"]:
                given = parse_request(parameters, self._clock, _DAY)
                return await overview.services(given, self._prometheus, self._boards.settings.alerting)
            case ["dashboards", uid]:
                return self._boards.board(uid).document
            case ["dashboards", uid, part] if match := _PART.fullmatch(part):
                board = self._boards.board(uid)
                return await self._part(
                    board, part, match[1], parse_request(parameters, self._clock, board.default_range)
                )
        raise NotFoundError(f"There is nothing at /api/{path[:80]}.", code="view_path_unknown")

    async def _part(self, board: Board, part: str, number: str | None, given: DataRequest) -> Any:
        scrape_interval = self._boards.settings.metrics.scrape_interval
        if number:
            return await panel_data(board, int(number), given, self._prometheus, scrape_interval)
        if part == "variables":
            return await options(board, given, self._prometheus)
        return await annotation_data(board, given, self._prometheus, scrape_interval)

    def _about(self) -> Mapping[str, Any]:
        listed = [
            {"uid": board.uid, "title": board.title, "description": board.document.get("description", "")}
            for board in self._boards
        ]
        return {
            "dashboards": listed,
            "prometheus": self._prometheus.source.shown,
            "version": __version__,
            "severities": {name: meaning for meaning, name in self._boards.settings.alerting.severities},
        }


def _parts(board: Board) -> list[str]:
    return ["", "/variables", "/annotations", *(f"/panels/{number}" for number in board.panels)]
