"""Places panels on Grafana's grid of 24 columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A row's heading or a panel, with its position.

    Attributes:
        item: The row or panel.
        place: Its position.
        hidden: The panels of a collapsed row, at the positions that they have once it is opened.
    """

    item: Row | Panel
    place: Place
    hidden: tuple[Placed, ...] = ()


def split(total: int, parts: int) -> list[int]:
    """Splits an integer into nearly equal parts, larger ones first.

    >>> split(24, 5)
    [5, 5, 5, 5, 4]
    """
    size, rest = divmod(total, parts)
    return [size + (index < rest) for index in range(parts)]


def placed(rows: Sequence[Row]) -> Iterator[Placed]:
    """Every row's heading followed by its panels; those of a collapsed row are in it. A row without panels gets no heading."""
    y = 0
    for row in rows:
        if not row.panels:
            continue
        heading = Place(x=0, y=y, w=COLUMNS, h=_HEADING_HEIGHT)
        y += _HEADING_HEIGHT
        panels = tuple(_below(row, y))
        yield Placed(item=row, place=heading, hidden=panels if row.collapsed else ())
        if not row.collapsed:
            yield from panels
            y = _bottom(panels)


def _bottom(panels: Iterable[Placed]) -> int:
    return max(panel.place.y + panel.place.h for panel in panels)


def _below(row: Row, y: int) -> Iterator[Placed]:
    for number, line in enumerate(_lines(row)):
        yield from _side_by_side(line, y + number * row.height, row.height)


def _lines(row: Row) -> Iterator[Sequence[Panel]]:
    start = 0
    for length in split(len(row.panels), -(-len(row.panels) // row.per_line)):
        yield row.panels[start : start + length]
        start += length


def _side_by_side(line: Sequence[Panel], y: int, height: int) -> Iterator[Placed]:
    x = 0
    for panel, width in zip(line, split(COLUMNS, len(line)), strict=True):
        yield Placed(item=panel, place=Place(x=x, y=y, w=width, h=height))
        x += width
