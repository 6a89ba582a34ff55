"""The list of dashboards, and the text of their files."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from dashboards.frame import framed
from dashboards.pages import business, fleet, operations, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings import Settings

PAGES = (fleet.PAGE, operations.PAGE, business.PAGE)
"""Every dashboard. To add one, add a module and a line here."""

DASHBOARDS: Mapping[str, Callable[[Settings], dict[str, object]]] = {
    page.slug: partial(framed, page, pages=PAGES) for page in PAGES
}
"""Name to builder of the JSON of our own dashboards, without links to those of a team."""


def every_dashboard(settings: Settings) -> dict[str, dict[str, object]]:
    """Name to Grafana JSON of all dashboards: ours, and those that a team has declared."""
    pages = (*PAGES, *signals.own_pages(settings))
    return {page.slug: framed(page, settings, pages=pages) for page in pages}


def generated(settings: Settings) -> dict[str, str]:
    """File name to text; equal settings give equal text."""
    return {
        f"{name}.json": json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, document in every_dashboard(settings).items()
    }
