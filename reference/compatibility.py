"""What Sidelight was tried on, from ``requirements/frameworks.toml`` and from the results of ``make compat``."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
_INTERFACES = {"asgi": "ASGI", "wsgi": "WSGI", "sanic": "Sanic's own server"}


class Compatibility(NamedTuple):
    """The rows of the tables.

    Attributes:
        frameworks: Framework, versions, interface, template of a path with a parameter, template of a websocket.
        servers: Server, version, interface.
        task_queues: Library, version.
        suites: Project, version, outcomes of its tests plain, with Python and with the compiled layer, differences, date.
        differences: Project, number of tests, reason.
        driven: Application, version, interface, responses by status, templates, lines with a concrete path, date.
        applications: Application, version, result.
    """

    frameworks: list[tuple[str, ...]]
    servers: list[tuple[str, ...]]
    task_queues: list[tuple[str, ...]]
    suites: list[tuple[str, ...]]
    differences: list[tuple[str, ...]]
    driven: list[tuple[str, ...]]
    applications: list[tuple[str, ...]]


def compatibility(folder: Path = REQUIREMENTS) -> Compatibility:
    """Read the tables."""
    table = tomllib.loads((folder / "frameworks.toml").read_text("utf-8"))
    pins = dict(
        line.split("==", 1) for line in (folder / "constraints.txt").read_text("utf-8").splitlines() if "==" in line
    )
    results = json.loads((folder / "compat.json").read_text("utf-8"))
    return Compatibility(
        frameworks=[*_frameworks(table)],
        servers=[*_servers(table, pins)],
        task_queues=[(row["library"], _versions([row["versions"]])) for row in table["task_queues"]],
        suites=[*_suites(results["suites"])],
        differences=[*_differences(results["suites"])],
        driven=[*_driven(results["applications"])],
        applications=[*_applications(table)],
    )


def _frameworks(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in table["suites"]:
        yield row["framework"], _versions(row["versions"]), "ASGI", f"`{row['item']}`", f"`{row['room']}`"
    for row in table["services"]:
        websocket = f"`{row['room'][1]}`" if "room" in row else "none"
        interface = _INTERFACES[row["interface"]]
        yield row["framework"], _versions(row["versions"]), interface, f"`{row['item'][1]}`", websocket


def _versions(sets: Iterable[Mapping[str, str]]) -> str:
    """The versions of the first package of each set, which is the framework."""
    return ", ".join(next(iter(each.values())) for each in sets)


def _servers(table: Mapping[str, Any], pins: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for row in table["workers"]:
        yield row["server"], pins[row["package"]], "ASGI"
    yield "gunicorn, sync and gthread workers", pins["gunicorn"], "WSGI"
    for row in table["wsgi_servers"]:
        yield row["server"], next(iter(row["versions"].values())), "WSGI"


def _suites(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, row in table.items():
        runs = [_counts(row["runs"][layer]) for layer in ("plain", "python", "compiled") if layer in row["runs"]]
        cells = runs or ["the source distribution has no tests", "", ""]
        number = sum(len(tests) for tests in row["differences"].values())
        yield name, row["version"], *cells, str(number) if runs else "", row["date"]


def _counts(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def _differences(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, row in table.items():
        for reason, tests in row["differences"].items():
            yield name, str(len(tests)), reason or f"not explained yet: {', '.join(f'`{test}`' for test in tests)}"


def _driven(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, row in table.items():
        routes = ", ".join(f"`{route}`" if route else '`""`' for route in row["routes"])
        statuses = ", ".join(f"{count} x {status}" for status, count in row["statuses"].items())
        verdict = "as received" if row["is_right"] else "**not** as received"
        interface = _INTERFACES[row["interface"]]
        yield name, row["version"], interface, f"{statuses}, {verdict}", routes, str(row["concrete"]), row["date"]


def _applications(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in table["applications"]:
        yield row["name"], row["version"], row["result"]
