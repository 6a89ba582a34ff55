"""``python -m reference``: writes the generated pages of the documentation."""

from __future__ import annotations

from pathlib import Path

from instrumentation.settings import load_settings
from reference.pages import reference_pages
from sidelight.build import write

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Write the pages, and name those that changed."""
    for change in write(reference_pages(load_settings()), DOCS):
        if change.verdict != "unchanged":
            print(change.verdict, f"docs/{change.path}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
