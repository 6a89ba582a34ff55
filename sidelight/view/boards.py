"""The generated dashboards: the JSON that Grafana gets, and its panels by id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dashboards import every_dashboard
from sidelight.view.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        document: Its JSON.
    """

    document: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """Its uid, which links contain."""
        return str(self.document["uid"])

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.document["title"])

    @property
    def default_range(self) -> tuple[str, str]:
        """The start and end of the time range if the reader chooses none."""
        time = self.document.get("time", {})
        return str(time.get("from", "now-6h")), str(time.get("to", "now"))

    @property
    def variables(self) -> list[Any]:
        """Its variables, in their order; a query may use those before it."""
        found: list[Any] = self.document.get("templating", {}).get("list", [])
        return found

    @property
    def annotations(self) -> list[Any]:
        """Its annotations that ask Prometheus."""
        found = self.document.get("annotations", {}).get("list", [])
        return [each for each in found if each.get("target", {}).get("expr") and each.get("enable", True)]

    @cached_property
    def panels(self) -> Mapping[int, Mapping[str, Any]]:
        """All panels by id, also those in collapsed rows."""
        return {panel["id"]: panel for panel in _flat(self.document["panels"]) if panel["type"] != "row"}

    def panel(self, number: int) -> Mapping[str, Any]:
        """The panel with that id.

        Raises:
            NotFoundError: There is none.
        """
        if number not in self.panels:
            raise NotFoundError(f"The dashboard {self.uid} has no panel {number}.", code="view_panel_unknown")
        return self.panels[number]


class Boards:
    """All dashboards of some settings.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        made = [Board(dashboard) for dashboard in every_dashboard(settings).values()]
        self._boards = {board.uid: board for board in made}

    def __iter__(self) -> Iterator[Board]:
        return iter(self._boards.values())

    def board(self, uid: str) -> Board:
        """The dashboard with that uid.

        Raises:
            NotFoundError: There is none.
        """
        if uid not in self._boards:
            message = f"There is no dashboard {uid[:80]!r}; there are {', '.join(self._boards)}."
            raise NotFoundError(message, code="view_dashboard_unknown")
        return self._boards[uid]


def _flat(panels: list[Any]) -> Iterator[Any]:
    for panel in panels:
        yield panel
        yield from _flat(panel.get("panels", []))
