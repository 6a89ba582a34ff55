"""The committed page is built from its sources."""

from __future__ import annotations

import re

from sidelight.view import bundle
from sidelight.view.assets import FOLDER


def test_the_built_files_are_those_of_the_sources() -> None:
    made = bundle.bundled()
    assert made == {path.name: path.read_text("utf-8") for path in sorted(FOLDER.iterdir())}, "run make page"
    assert f"uPlot {bundle.PLOTTING}" in made["view.js"]


def test_the_built_files_name_no_other_host() -> None:
    """The namespace of SVG is a name that is never fetched, and the licence names its author."""
    text = "".join(path.read_text("utf-8").partition("*/")[2] or path.read_text("utf-8") for path in FOLDER.iterdir())
    assert set(re.findall(r"https?://[\w.]+", text)) == {"http://www.w3.org"}
    assert "@import" not in text
    assert "url(" not in text
