"""The variables of a dashboard: what can be chosen, and what is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidelight.view.interpolation import Choice, filled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.view.boards import Board
    from sidelight.view.prometheus import Prometheus
    from sidelight.view.request import DataRequest

ALL = "$__all"
MOST_OPTIONS = 2000

_LABEL_VALUES = re.compile(r"label_values\((?:(?P<series>.+),)?\s*(?P<label>\w+)\s*\)", re.DOTALL)
_FIXED = ("custom", "constant", "textbox", "interval")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen of a variable.

    Attributes:
        name: Its name.
        label: Its label on the page.
        values: Its values.
        chosen: The chosen values; ``$__all`` for all.
        several: Whether several can be chosen.
        everything: Whether all can be chosen at once.
        shown: Whether the page shows it.
        note: What the reader must know about it.
    """

    name: str
    label: str
    values: tuple[str, ...]
    chosen: tuple[str, ...]
    several: bool
    everything: bool
    shown: bool = True
    note: str = ""


async def options(board: Board, request: DataRequest, prometheus: Prometheus) -> list[Options]:
    """The options of all variables of a dashboard, except the data source.

    Raises:
        PrometheusError: Prometheus does not answer, or refuses the query.
        RequestError: A chosen value cannot be used.
    """
    found: list[Options] = []
    choices: dict[str, Choice] = {}
    for variable in board.variables:
        if variable["type"] == "datasource":
            continue
        values, note = await _values(variable, choices, request, prometheus)
        chosen = _chosen(variable, request)
        choices[variable["name"]] = _choice(variable, chosen, values)
        found.append(
            Options(
                name=variable["name"],
                label=variable.get("label") or variable["name"],
                values=values,
                chosen=chosen,
                several=variable.get("multi", False),
                everything=variable.get("includeAll", False),
                shown=variable.get("hide", 0) != 2,  # noqa: PLR2004 - Grafana's number for hidden
                note=note,
            )
        )
    return found


async def choices(board: Board, request: DataRequest, prometheus: Prometheus) -> Mapping[str, Choice]:
    """What is chosen of each variable; Prometheus is queried only if the dashboard has no pattern for all.

    Raises:
        PrometheusError: Prometheus does not answer, or refuses the query.
        RequestError: A chosen value cannot be used.
    """
    made: dict[str, Choice] = {"datasource": Choice(values=("prometheus",), several=False)}
    for variable in board.variables:
        if variable["type"] == "datasource":
            continue
        chosen = _chosen(variable, request)
        values: tuple[str, ...] = ()
        if ALL in chosen and not variable.get("allValue"):
            values, _ = await _values(variable, made, request, prometheus)
        made[variable["name"]] = _choice(variable, chosen, values)
    return made


async def _values(
    variable: Mapping[str, Any], before: Mapping[str, Choice], request: DataRequest, prometheus: Prometheus
) -> tuple[tuple[str, ...], str]:
    if variable["type"] in _FIXED:
        return tuple(part.strip() for part in str(variable.get("query", "")).split(",")), ""
    query = variable.get("query", "")
    match = _LABEL_VALUES.fullmatch(str(query.get("query", "") if isinstance(query, dict) else query).strip())
    if not match:
        return (), f"The query of {variable['name']} is not label_values(...), so its values are not listed."
    series = filled(match["series"], before, {}) if match["series"] else None
    values = await prometheus.label_values(match["label"], series, request.window)
    if pattern := variable.get("regex"):
        values = [value for value in values if re.search(pattern.strip("/"), value)]
    note = f"Only the first {MOST_OPTIONS} of {len(values)} values are listed." if len(values) > MOST_OPTIONS else ""
    return tuple(values[:MOST_OPTIONS]), note


def _chosen(variable: Mapping[str, Any], request: DataRequest) -> tuple[str, ...]:
    if given := request.values.get(variable["name"]):
        everything = ALL in given or (variable.get("includeAll", False) and given == ("All",))
        return (ALL,) if everything else given
    current = variable.get("current", {}).get("value", ALL if variable.get("includeAll") else "")
    values = tuple(map(str, current if isinstance(current, list) else [current]))
    fixed = variable["type"] in _FIXED and values == ("",)
    return (str(variable.get("query", "")).split(",")[0].strip(),) if fixed else values


def _choice(variable: Mapping[str, Any], chosen: tuple[str, ...], values: tuple[str, ...]) -> Choice:
    several = bool(variable.get("multi") or variable.get("includeAll"))
    if ALL not in chosen:
        return Choice(values=chosen, several=several)
    everything = variable.get("allValue") or None
    return Choice(values=values, everything=everything, several=several)
