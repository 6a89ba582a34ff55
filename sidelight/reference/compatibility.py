"""What Sidelight was tried on: frameworks, servers and applications, from ``requirements/frameworks.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
_INTERFACES = {"asgi": "ASGI", "wsgi": "WSGI"}


class Compatibility(NamedTuple):
    """The rows of the tables.

    Attributes:
        frameworks: Framework, versions, interface, template of a path with a parameter, template of a websocket.
        servers: Server, version, interface.
        applications: Application, version, result.
    """

    frameworks: list[tuple[str, ...]]
    servers: list[tuple[str, ...]]
    applications: list[tuple[str, ...]]


def compatibility(folder: Path = REQUIREMENTS) -> Compatibility:
    """Read the tables.

    Raises:
        SidelightError: ``requirements_missing``, where this is not Sidelight's own repository.
    """
    path = folder / "frameworks.toml"
    if not path.exists():
        raise SidelightError(
            f"build docs: {path} is missing; build docs in Sidelight's own repository.", code="requirements_missing"
        )
    table = tomllib.loads(path.read_text("utf-8"))
    pins = dict(
        line.split("==", 1) for line in (folder / "constraints.txt").read_text("utf-8").splitlines() if "==" in line
    )
    return Compatibility([*_frameworks(table)], [*_servers(table, pins)], [*_applications(table)])


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


def _applications(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in table["applications"]:
        yield row["name"], row["version"], row["result"]
