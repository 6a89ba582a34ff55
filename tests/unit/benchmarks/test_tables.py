"""Results as text, Markdown, data and a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from benchmarks.picture import draw
from benchmarks.results import write
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

TABLE = Table(
    name="response",
    title="Microseconds: Response endpoint",
    note="Measured by nobody.",
    columns=(
        Column(key="variant", title="variant"),
        Column(key="added", title="us added", digits=2),
        Column(key="route", title="route label"),
    ),
    rows=(
        {"variant": "bare app", "added": 0.01},
        {"variant": "ours & theirs", "added": 3.14159, "route": "right"},
        {"variant": "a peer", "added": 1234.5, "route": "wrong: /items/7"},
    ),
)


def test_a_terminal_gets_aligned_columns() -> None:
    assert TABLE.as_text().splitlines() == [
        "Microseconds: Response endpoint",
        "variant        us added  route label",
        "bare app           0.01  -",
        "ours & theirs      3.14  right",
        "a peer         1,234.50  wrong: /items/7",
        "Measured by nobody.",
    ]


def test_a_page_gets_a_markdown_table_with_numbers_to_the_right() -> None:
    assert "| --- | ---: | --- |\n| bare app | 0.01 | - |" in TABLE.as_markdown()


def test_data_keeps_four_digits() -> None:
    assert TABLE.as_data()["rows"] == [
        {"variant": "bare app", "added": 0.01},
        {"variant": "ours & theirs", "added": 3.1416, "route": "right"},
        {"variant": "a peer", "added": 1234.5, "route": "wrong: /items/7"},
    ]


def test_the_picture_is_xml_with_a_bar_for_each_variant_but_the_bare_app() -> None:
    picture = ET.fromstring(draw("Added", [TABLE]))  # noqa: S314 - our own text
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["Added", "Response endpoint", "ours & theirs", "3.1", "a peer", "1234.5 wrong route"]


def test_results_are_written_as_data_page_and_picture(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    write(folder, [TABLE], {"Python": "CPython 3.11"})
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "request.svg", "results.json"]
    assert json.loads((folder / "results.json").read_text())["tables"]["response"]["title"] == TABLE.title
    assert "- Python: CPython 3.11" in (folder / "README.md").read_text()
