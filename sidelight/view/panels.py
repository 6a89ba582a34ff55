"""The data of a panel and of the annotations: what Prometheus answers to their queries."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidelight.view.errors import PrometheusError
from sidelight.view.interpolation import filled
from sidelight.view.steps import step
from sidelight.view.variables import choices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.view.boards import Board
    from sidelight.view.interpolation import Choice
    from sidelight.view.prometheus import Prometheus
    from sidelight.view.ranges import Range
    from sidelight.view.request import DataRequest

MOST_SERIES = 500  # of one query


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Prometheus answers to one query.

    Attributes:
        expression: The PromQL that it was sent.
        kind: ``matrix``, ``vector`` or ``scalar``; empty after an error.
        result: Its result, at most ``MOST_SERIES`` series.
        step: Milliseconds between two points; 0 for an instant query.
        error: One sentence if there is no result.
        left_out: The number of series left out.
    """

    expression: str
    kind: str = ""
    result: Any = ()
    step: int = 0
    error: str = ""
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data of a panel.

    Attributes:
        window: Its time range.
        answers: Query letter to answer.
    """

    window: Range
    answers: Mapping[str, Answer]


async def panel_data(
    board: Board, number: int, request: DataRequest, prometheus: Prometheus, scrape_interval: str
) -> Data:
    """Run the queries of a panel.

    Args:
        board: The dashboard.
        number: The panel's id.
        request: The time range and the values of variables.
        prometheus: Where to ask.
        scrape_interval: A Prometheus duration, the smallest step.

    Raises:
        NotFoundError: The dashboard has no such panel.
        PrometheusError: A variable's values cannot be read. A query that fails is part of the result instead.
        RequestError: A value of a variable cannot be used.
    """
    panel = board.panel(number)
    window = request.range_of(panel.get("timeFrom"))
    chosen = await choices(board, request, prometheus)
    targets = [target for target in panel.get("targets", ()) if target.get("expr") and not target.get("hide")]
    answers = await asyncio.gather(
        *(_answer(target, window, request.points, chosen, prometheus, scrape_interval) for target in targets)
    )
    letters = (target["refId"] for target in targets)
    return Data(window=window, answers=dict(zip(letters, answers, strict=True)))


async def annotation_data(board: Board, request: DataRequest, prometheus: Prometheus, scrape_interval: str) -> Data:
    """Run the queries of a dashboard's annotations; the result is by name.

    Raises:
        PrometheusError: As `panel_data`.
        RequestError: As `panel_data`.
    """
    chosen = await choices(board, request, prometheus)
    found = board.annotations
    answers = await asyncio.gather(
        *(
            _answer(each["target"], request.window, request.points, chosen, prometheus, scrape_interval)
            for each in found
        )
    )
    return Data(window=request.window, answers=dict(zip((each["name"] for each in found), answers, strict=True)))


async def _answer(  # noqa: PLR0913, PLR0917 - private, all required
    target: Mapping[str, Any],
    window: Range,
    points: int,
    chosen: Mapping[str, Choice],
    prometheus: Prometheus,
    scrape_interval: str,
) -> Answer:
    by = step(window, points=points, smallest=target.get("interval") or "", scrape_interval=scrape_interval)
    expression = filled(target["expr"], chosen, by.variables)
    instant = target.get("instant", False)
    try:
        data = await (prometheus.instant(expression, window.end) if instant else prometheus.over(expression, by))
    except PrometheusError as error:
        return Answer(expression=expression, error=error.message)
    kind, result = data["resultType"], data["result"]
    listed = result[:MOST_SERIES] if kind in {"matrix", "vector"} else result
    left_out = len(result) - len(listed)
    return Answer(expression=expression, kind=kind, result=listed, step=0 if instant else by.step, left_out=left_out)
