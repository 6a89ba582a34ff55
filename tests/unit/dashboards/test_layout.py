"""Panels fill the grid and do not overlap."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from dashboards import panels_of
from dashboards.layout import placed, split
from dashboards.model import Panel, Query, Row, Unit, View


def _row(panels: int, per_line: int = 3, expr: str = "up") -> Row:
    return Row(
        title="A",
        panels=tuple(
            Panel(title=str(number), description="B.", view=View.STAT, unit=Unit.COUNT, queries=(Query(expr=expr),))
            for number in range(panels)
        ),
        per_line=per_line,
        height=7,
    )


def every(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels and the headings of rows."""
    return [*(panel for panel in dashboard["panels"] if panel["type"] == "row"), *panels_of(dashboard)]


def _cells(position: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(position["x"], position["x"] + position["w"])
    return [(x, y) for x in columns for y in range(position["y"], position["y"] + position["h"])]


def test_every_cell_of_the_grid_belongs_to_one_panel(built: dict[str, Any]) -> None:
    for dashboard in built.values():
        cells = Counter(cell for panel in dashboard["panels"] for cell in _cells(panel["gridPos"]))
        height = 1 + max(y for _, y in cells)
        assert set(cells) == {(x, y) for x in range(24) for y in range(height)}
        assert set(cells.values()) == {1}


def test_panel_ids_and_titles_are_unique(built: dict[str, Any]) -> None:
    for dashboard in built.values():
        for key in ("id", "title"):
            values = [panel[key] for panel in every(dashboard)]
            assert len(set(values)) == len(values)


def test_a_panel_keeps_its_id_when_others_come_before_it(built: dict[str, Any]) -> None:
    ids = {panel["title"]: panel["id"] for panel in every(built["operations"])}
    assert ids["Memory"] == 861188


@pytest.mark.parametrize(
    ("panels", "widths"),
    [(1, [24]), (2, [12, 12]), (4, [12, 12, 12, 12]), (7, [8, 8, 8, 12, 12, 12, 12])],
)
def test_panels_share_a_line_evenly(panels: int, widths: list[int]) -> None:
    assert [each.place.w for each in placed([_row(panels)])][1:] == widths


def test_rows_are_below_each_other() -> None:
    places = [each.place for each in placed([_row(2), _row(1)])]
    assert [(place.x, place.y, place.h) for place in places] == [(0, 0, 1), (0, 1, 7), (12, 1, 7), (0, 8, 1), (0, 9, 7)]


def test_panels_of_a_collapsed_row_are_in_it_and_take_no_room() -> None:
    first, second = placed([replace(_row(4), collapsed=True), replace(_row(1), collapsed=True)])
    assert [(each.place.y, each.place.h) for each in (first, second)] == [(0, 1), (1, 1)]
    assert [(each.place.x, each.place.y) for each in first.hidden] == [(0, 1), (12, 1), (0, 8), (12, 8)]


def test_a_row_without_panels_takes_no_place() -> None:
    assert list(placed([_row(0)])) == []


def test_what_does_not_divide_evenly_is_spread_from_the_left() -> None:
    assert split(24, 7) == [4, 4, 4, 3, 3, 3, 3]


NARROW = 1280  # pixels of a small screen
MARGIN, LETTER = (
    40,
    7.6,
)  # pixels: what stands around a title, and a letter of its 14 px font, rather too much than too little


def test_titles_can_be_read_whole_on_a_small_screen(built: dict[str, Any]) -> None:
    column = NARROW / 24
    cut = [
        panel["title"]
        for dashboard in built.values()
        for panel in every(dashboard)
        if panel["gridPos"]["w"] * column - MARGIN < LETTER * len(panel["title"])
    ]
    assert cut == []


def test_no_panel_is_so_narrow_that_its_legend_takes_all(built: dict[str, Any]) -> None:
    for panel in (panel for dashboard in built.values() for panel in every(dashboard)):
        assert panel["gridPos"]["w"] >= (3 if panel["type"] == "stat" else 6), panel["title"]


TWO_SCREENS = 48  # grid units of 38 pixels


def test_the_open_part_of_a_dashboard_is_at_most_two_screens_high(built: dict[str, Any]) -> None:
    for dashboard in built.values():
        assert max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"]) <= TWO_SCREENS


def test_the_first_screen_of_operations_says_what_is_wrong(built: dict[str, Any]) -> None:
    screen = 24  # grid units
    first = [panel["title"] for panel in built["operations"]["panels"] if panel["gridPos"]["y"] < screen]
    assert {"Alerts firing now", "Firing alerts", "Most failing routes", "Last deployment", "Error ratio"} <= set(first)


def test_panels_of_what_a_service_may_lack_are_in_collapsed_rows(built: dict[str, Any]) -> None:
    shown = {panel["title"] for panel in built["operations"]["panels"]}
    assert shown.isdisjoint({"Queue depth", "Active users", "CPU limit", "Active websockets", "Audit entries"})
    rows = [panel for panel in built["operations"]["panels"] if panel["type"] == "row"]
    assert [row["collapsed"] for row in rows] == [bool(row["panels"]) for row in rows]
    assert sum(row["collapsed"] for row in rows) >= 12
