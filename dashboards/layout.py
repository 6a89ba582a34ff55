"""Places panels on Grafana's grid of 24 columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dashboards.model import Panel, Row

COLUMNS = 24
_HEADING_HEIGHT = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """The position of a panel: its upper left corner and its size, in Grafana's grid units."""

    x: int
    y: int
    w: int
    h: int


def split(total: int, parts: int) -> list[int]:
    """Splits an integer into nearly equal parts, larger ones first.

    >>> split(24, 5)
    [5, 5, 5, 5, 4]
    """
    size, rest = divmod(total, parts)
    return [size + (index < rest) for index in range(parts)]


def placed(rows: Sequence[Row]) -> Iterator[tuple[Row | Panel, Place]]:
    """Every row's heading followed by its panels, each with its position; a row without panels gets no heading."""
    y = 0
    for row in rows:
        if row.panels:
            yield row, Place(x=0, y=y, w=COLUMNS, h=_HEADING_HEIGHT)
            y += _HEADING_HEIGHT
            for line in _lines(row):
                yield from _side_by_side(line, y, row.height)
                y += row.height


def _lines(row: Row) -> Iterator[Sequence[Panel]]:
    start = 0
    for length in split(len(row.panels), -(-len(row.panels) // row.per_line)):
        yield row.panels[start : start + length]
        start += length


def _side_by_side(line: Sequence[Panel], y: int, height: int) -> Iterator[tuple[Panel, Place]]:
    x = 0
    for panel, width in zip(line, split(COLUMNS, len(line)), strict=True):
        yield panel, Place(x=x, y=y, w=width, h=height)
        x += width
