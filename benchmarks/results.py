"""Writes the results: JSON for programs, a page and a chart for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.support.tables import Table

PICTURED = ("response", "nested")
PICTURE_TITLE = "Microseconds that instrumentation adds to a request"
HOW = """\
Every variant runs in its own process and is called in process, without a socket. The processes take turns, round after round.
In a round each calls the bare app, the variant, the variant and the bare app again, or in the reverse order; the difference
is the overhead of the variant. The tables show the medians of many rounds in several generations of processes, and the
quartiles, which show how noisy the machine was. So does the row of the bare app, which is compared with another bare app.
Times are CPU times. A route label is right if it is the full template with all prefixes, and nothing else.

The pass-through middleware only sees every message, implemented as most middleware is: with a coroutine for each. The least
one returns the result of `send` instead."""


def write(folder: Path, tables: Sequence[Table], machine: Mapping[str, str]) -> None:
    """Write ``results.json``, ``README.md`` and, if its tables were measured, ``request.svg`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictured = [table for table in tables if table.name in PICTURED]
    _replace(folder / "results.json", as_json(tables, machine))
    _replace(folder / "README.md", as_page(tables, machine, has_picture=bool(pictured)))
    if pictured:
        _replace(folder / "request.svg", picture.draw(PICTURE_TITLE, pictured))


def as_json(tables: Sequence[Table], machine: Mapping[str, str]) -> str:
    """The results as JSON."""
    data = {"machine": dict(machine), "tables": {table.name: table.as_data() for table in tables}}
    return f"{json.dumps(data, indent=2)}\n"


def as_page(tables: Sequence[Table], machine: Mapping[str, str], *, has_picture: bool) -> str:
    """For people."""
    image = f"![{PICTURE_TITLE}](request.svg)" if has_picture else ""
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    parts = (
        "# What instrumentation costs",
        "<!-- Made by `make bench`. -->",
        image,
        HOW,
        *(table.as_markdown() for table in tables),
        f"## Measured on\n\n{facts}",
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
