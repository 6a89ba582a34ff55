"""A bar chart of request tables: a group of horizontal bars per variant, one bar per table."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.tables import Row, Table

WIDTH = 860
LEFT = 270  # pixels for the names
RIGHT = 120  # pixels for the number after the longest bar
BAR = 15
GAP = 16
HEAD = 44
LEGEND_ROW = 20
COLOURS = ("#1f6f8b", "#e07a3f", "#8a8d91")
STYLE = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"


def draw(title: str, tables: Sequence[Table]) -> str:
    """An SVG of the overhead of each variant, without the first row, the bare app."""
    groups = [[_row_of(table, variant) for table in tables] for variant in _variants(tables)]
    top = HEAD + LEGEND_ROW * len(tables) + GAP
    step = BAR * len(tables) + GAP
    longest = max(_added(row) for group in groups for row in group)
    body = [
        _text(20, 28, title, size=17, weight=600),
        *_legend(tables),
        *(line for index, group in enumerate(groups) for line in _group(group, top + index * step, longest)),
    ]
    height = top + step * len(groups) + GAP // 2
    frame = f"viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {frame} role='img' aria-label='{escape(title)}'>"
    back = f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>"
    return "\n".join((head, back, *body, "</svg>\n"))


def _variants(tables: Sequence[Table]) -> list[object]:
    return [row["variant"] for row in tables[0].rows[1:]]


def _row_of(table: Table, variant: object) -> Row:
    return next(row for row in table.rows if row["variant"] == variant)


def _added(row: Row) -> float:
    value = row["added"]
    return max(0.0, value) if isinstance(value, float) else 0.0


def _legend(tables: Sequence[Table]) -> Iterator[str]:
    for index, (table, colour) in enumerate(zip(tables, COLOURS, strict=False)):
        middle = HEAD + index * LEGEND_ROW
        yield f"<rect x='20' y='{middle}' width='12' height='12' rx='2' fill='{colour}'/>"
        yield _text(40, middle + 11, table.title.partition(": ")[2], size=13)


def _group(group: Sequence[Row], top: int, longest: float) -> Iterator[str]:
    middle = top + BAR * len(group) // 2 + 5
    yield _text(LEFT - 12, middle, str(group[0]["variant"]), size=13, anchor="end")
    for index, (row, colour) in enumerate(zip(group, COLOURS, strict=False)):
        length = max(1.0, _added(row) / longest * (WIDTH - LEFT - RIGHT))
        up = top + index * BAR
        yield f"<rect x='{LEFT}' y='{up}' width='{length:.1f}' height='{BAR - 2}' rx='2' fill='{colour}'/>"
        wrong = " wrong route" if str(row.get("route", "")).startswith("wrong") else ""
        yield _text(LEFT + length + 6, up + 11, f"{row['added']:.1f}{wrong}", size=12)


def _text(x: float, y: float, words: str, *, size: int, weight: int = 400, anchor: str = "start") -> str:  # noqa: PLR0913
    return (
        f"<text x='{x:.1f}' y='{y}' {STYLE} font-size='{size}' font-weight='{weight}' text-anchor='{anchor}' "
        f"fill='#22262a'>{escape(words)}</text>"
    )
