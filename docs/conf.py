"""Configures Sphinx, which makes a site of the Markdown files of this repository: `make docs`.

MyST reads the pages as GitHub does. The navigation is what docs/README.md, and the READMEs below it, link to.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "Sidelight"
author = "the Sidelight authors"
version = release = (ROOT / "instrumentation" / "version.py").read_text().split('"')[-2]

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "helm/*/*.md", "benchmarks/results/*.md"]
exclude_patterns = ["**/.*", "**/node_modules"]
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # Pygments does not know all that a console prints

myst_heading_anchors = 4
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"Sidelight {release}"
html_show_sourcelink = html_copy_source = html_show_copyright = False

PROJECT = (
    "CHANGELOG", "CONTRIBUTING", "SECURITY", "docs/README", "helm/sidelight/README", "helm/sidelight/UPGRADING",
    "helm/sidelight-sidecar/README", "benchmarks/results/README",
)  # fmt: skip
PICTURES = "docs/pictures"  # the first page shows some of them by HTML, which Sphinx does not look into


def setup(app: Sphinx) -> None:
    """Add the navigation and the pictures; Sphinx calls this."""
    app.add_lexer("promql", TextLexer)  # Pygments has none
    app.connect("source-read", _navigation)
    app.connect("build-finished", _finish)


def _navigation(_: Sphinx, page: str, source: list[str]) -> None:
    if page == "README":
        source[0] += _contents(ROOT / "docs" / "README.md") + _table("Project", PROJECT)
    elif page in {"docs/runbooks/README", "docs/decisions/README"}:
        source[0] += _table("Pages", re.findall(r"\]\((\w[\w-]*)\.md\)", source[0]))


def _contents(file: Path) -> str:
    sections = re.split(r"^\*\*(?=[A-Z])", file.read_text(), flags=re.MULTILINE)[1:]
    titled = (section.partition("**") for section in sections)
    return "".join(
        _table(title, [f"docs/{page}" for page in re.findall(r"^- \[[^]]+\]\((\w[\w/-]+)\.md\)", text, re.MULTILINE)])
        for title, _, text in titled
    )


def _table(title: str, pages: Iterable[str]) -> str:
    lines = [f":caption: {title}", "", *dict.fromkeys(pages)]
    return "\n\n```{toctree}\n:hidden:\n" + "\n".join(lines) + "\n```\n"


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        out = Path(app.outdir)
        shutil.copytree(ROOT / PICTURES, out / PICTURES, dirs_exist_ok=True)
        shutil.copyfile(out / "README.html", out / "index.html")
