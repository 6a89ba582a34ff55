"""Every panel shows readable data that the example shop produces in the demo."""

from __future__ import annotations

import copy
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS
from instrumentation.settings import parse_settings
from sidelight.demo import panels, services
from sidelight.demo.panels import seen
from sidelight.demo.scenario import NEW_VERSION, Phase
from sidelight.toolchain import processes
from tests.support.pictures.drawing import WIDTHS, Board, asked, draw, opened
from tests.support.pictures.history import DAY, day
from tests.unit.instrumentation.resources.test_cgroup import plant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.demo.services import Services

# The shop, which finds itself in a recorded container: limits are nothing a test can rely on.
LIMITED_SHOP = """
import os
from functools import partial
from pathlib import Path
from instrumentation import resources
resources.Container = partial(resources.Container, Path(os.environ["RECORDED_ROOT"]))
from examples.shop.main import app
"""
BUDGET = parse_settings({"budget": {"daily_usd": 200.0}})
TROUBLE = Phase(name="", happens="", error_ratio=0.08, version=NEW_VERSION)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The demo's parts, with the shop in a container, while another version of it is rolled out, and fails."""
    folder, container = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("container")
    plant(container, "v2-kubernetes")
    (container / "limited_shop.py").write_text(LIMITED_SHOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORDED_ROOT", str(container))
        patch.setattr(services, "examples_folder", lambda: container)
        shop = partial(processes.uvicorn, "limited_shop:app")
        patch.setattr(services.processes, "uvicorn", lambda _, **options: shop(**options))
        epoch = time.time()
        with services.running(folder, epoch=epoch, clock=lambda: time.time() - epoch, check=lambda: None) as played:
            while not played.watch.shows(
                f"target_info offset {played.settings.alerting.deployment_lookback}", now=True
            ):
                played.check()  # a version that was not there for long replaces nothing
                time.sleep(0.1)
            for _ in played.begin(TROUBLE):
                time.sleep(0.1)
            yield played


def test_every_panel_shows_something(played: Services) -> None:
    found = seen(played.watch, played.settings)
    assert found.silent == ()
    assert found.shown > 50


def test_a_panel_without_data_is_named(played: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(panels._FILLED, "$job", "another")
    monkeypatch.setattr(panels, "SECONDS", 0.0)
    found = seen(played.watch, played.settings, pause=lambda _: None)
    assert "The panel operations/Request rate has no data." in found.faults
    assert "The panel business/Cost per execution has no data." in found.faults


# --- On a screen -----------------------------------------------------------------------------------------------------


def unreadable(board: Board) -> Board:
    """A dashboard with a title that is too long for its panel, a time range over a title, and a graph that is too low."""
    dashboard: Any = copy.deepcopy(board.dashboard)
    long, short, *_ = (one for one in dashboard["panels"] if one["type"] == "stat")
    long["title"] = "A title that nobody will ever read to its end"
    short["timeFrom"] = "now/d"
    next(one for one in dashboard["panels"] if one["type"] == "timeseries")["gridPos"]["h"] = 4
    return board._replace(dashboard=dashboard)


def crowded(board: Board) -> Board:
    """A dashboard whose bars are as many as they can be, of names as long as they are in life."""
    names = [f"/catalog/items/{{sku}}/reviews/{letter}" for letter in "abcdefghij"]
    bars = [{"metric": dict.fromkeys(("http_route", "workflow"), name), "value": [board.end, "7"]} for name in names]
    kinds = {panel["id"]: panel["type"] for panel in board.dashboard["panels"]}
    return board._replace(
        answers={
            panel: dict.fromkeys(answers, bars) if kinds[panel] == "bargauge" else answers
            for panel, answers in board.answers.items()
        }
    )


def without_data(board: Board) -> Board:
    """A dashboard of a Prometheus that scrapes nothing."""
    answers = {panel: {query: [] for query in answers} for panel, answers in board.answers.items()}
    return board._replace(answers=answers)


@pytest.fixture(scope="module")
def drawn(played: Services, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    assert seen(played.watch, played.settings).silent == ()
    url, end = played.prometheus.url, time.time()
    fleet, operations = (DASHBOARDS[page](played.settings) for page in ("fleet", "operations"))
    with day(tmp_path_factory.mktemp("day"), BUDGET, end) as history:
        business = asked(DASHBOARDS["business"](BUDGET), history, end - DAY, end)
    boards = {
        "fleet": asked(fleet, url, end - 60, end),
        "operations": asked(operations, url, end - 60, end),
        "every row": asked(opened(operations), url, end - 60, end),
        "business": business,
        "unreadable": unreadable(business),
        "crowded": crowded(business),
        "nothing": without_data(business),
    }
    return draw(boards, tmp_path_factory.mktemp("drawn"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", [*DASHBOARDS, "every row", "crowded", "nothing"])
def test_everything_can_be_read_on_small_screens_and_on_large_ones(
    page: str, width: int, drawn: dict[str, list[str]]
) -> None:
    assert drawn[f"{page} at {width}"] == []


def test_what_is_not_readable_is_reported(drawn: dict[str, list[str]]) -> None:
    small, large = ({fault.partition(":")[0] for fault in drawn[f"unreadable at {width}"]} for width in WIDTHS)
    too_low = "Workflows created per hour"
    assert small == {"A title that nobody will ever read to its end", "Workflows today", too_low}
    assert large == {too_low}
