"""The built files of the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "built"


@cache
def asset(name: str) -> str:
    """The text of ``index.html``, ``view.js`` or ``view.css``."""
    return (FOLDER / name).read_text("utf-8")
