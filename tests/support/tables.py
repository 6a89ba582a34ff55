"""A table of results, as text for a terminal, as Markdown, and as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Cell: TypeAlias = str | float | None
Row: TypeAlias = dict[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        key: Its name in the data.
        title: Its heading.
        digits: Decimal places; None for text.
    """

    key: str
    title: str
    digits: int | None = None

    def text(self, row: Row) -> str:
        """A row's cell; a dash if it is empty.

        >>> Column(key="added", title="added", digits=1).text({"added": 2.34})
        '2.3'
        """
        value = row.get(self.key)
        if value is None:
            return "-"
        return value if isinstance(value, str) else f"{value:,.{self.digits or 0}f}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows with a title.

    Attributes:
        name: Its name in the data.
        title: What was measured, and in which unit.
        note: An explanation; may be empty.
        columns: The columns.
        rows: Column key to cell.
    """

    name: str
    title: str
    note: str = ""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def as_text(self) -> str:
        """The table as text."""
        lines = [[column.title for column in self.columns], *self._cells()]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        body = ("  ".join(map(self._padded, line, widths, self.columns)).rstrip() for line in lines)
        return "\n".join(filter(None, (self.title, *body, self.note)))

    def as_markdown(self) -> str:
        """The table as Markdown."""
        rule = ["---" if column.digits is None else "---:" for column in self.columns]
        lines = ([column.title for column in self.columns], rule, *self._cells())
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(filter(None, (f"## {self.title}", body, self.note)))

    def as_data(self) -> dict[str, object]:
        """The table as data."""
        return {"title": self.title, "note": self.note, "rows": [_rounded(row) for row in self.rows]}

    def _cells(self) -> list[list[str]]:
        return [[column.text(row) for column in self.columns] for row in self.rows]

    @staticmethod
    def _padded(text: str, width: int, column: Column) -> str:
        return text.ljust(width) if column.digits is None else text.rjust(width)


def _rounded(row: Row) -> Row:
    return {key: round(cell, 4) if isinstance(cell, float) else cell for key, cell in row.items()}
