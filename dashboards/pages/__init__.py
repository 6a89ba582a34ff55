"""The table of dashboards: what exists, and the text of its files."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from dashboards.frame import framed
from dashboards.pages import business, fleet, operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings import Settings

PAGES = (fleet.PAGE, operations.PAGE, business.PAGE)
"""Every dashboard; adding one is a module and a line."""

DASHBOARDS: Mapping[str, Callable[[Settings], dict[str, object]]] = {
    page.slug: partial(framed, page, pages=PAGES) for page in PAGES
}
"""Name to builder of the dashboard's Grafana JSON."""


def generated(settings: Settings) -> dict[str, str]:
    """File name to text, the same for the same settings."""
    return {
        f"{name}.json": json.dumps(build(settings), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, build in DASHBOARDS.items()
    }
