"""``sidelight view``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config

if TYPE_CHECKING:
    from sidelight.view.boards import Boards

PORT = 9797


def view(  # noqa: PLR0913 - each is an option
    *,
    config: Config = None,
    prometheus: Annotated[
        str, typer.Option(envvar="PROMETHEUS_URL", help="The Prometheus to read from.")
    ] = "http://127.0.0.1:9090",
    header: Annotated[
        list[str] | None, typer.Option(help="A header for Prometheus, such as 'X-Scope-OrgID: team'; repeatable.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to serve on; beyond loopback, a token is required.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to serve on; 0 for a free one.")] = PORT,
    snapshot: Annotated[
        Path | None, typer.Option(help="Write one HTML file that contains its data, instead of serving.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start of the snapshot, such as now-3h.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End of the snapshot.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone in which the snapshot's days begin.")] = None,
    variable: Annotated[
        list[str] | None, typer.Option("--var", help="A variable of the snapshot, such as job=shop; repeatable.")
    ] = None,
    dashboard: Annotated[
        list[str] | None, typer.Option(help="The uid of a dashboard in the snapshot; repeatable (default: all).")
    ] = None,
) -> None:
    """Show the dashboards, alerts and services of a Prometheus in a browser.

    Set PROMETHEUS_TOKEN if Prometheus requires a bearer token, and SIDELIGHT_VIEW_TOKEN to choose the page's own token.
    """
    import os
    from importlib.util import find_spec

    from sidelight.view.boards import Boards
    from sidelight.view.errors import ViewError
    from sidelight.view.prometheus import source

    boards = Boards(load_settings(config))
    where = source(prometheus, header or (), os.environ.get("PROMETHEUS_TOKEN", ""))
    given = [("from", start), ("to", end), ("timezone", timezone), *map(_variable, variable or ())]
    parameters = [(name, value) for name, value in given if value is not None]
    if snapshot:
        from sidelight.view.snapshot import write_snapshot

        _check_variables(boards, parameters)
        write_snapshot(snapshot, boards, where, parameters, dashboard or ())
        typer.echo(f"{snapshot}: written")
        return
    if parameters or dashboard:
        raise typer.BadParameter(
            "--from, --to, --timezone, --var and --dashboard belong to --snapshot; choose on the page."
        )
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            message = f"The page needs {package}, which is not installed; run pip install 'sidelight-stack[view]'."
            raise ViewError(message, code="view_package_missing")
    from sidelight.view.server import Address, serve

    address = Address(host=host, port=port, token=os.environ.get("SIDELIGHT_VIEW_TOKEN", ""))
    serve(boards, where, address, typer.echo)


def _check_variables(boards: Boards, parameters: list[tuple[str, str]]) -> None:
    """Refuse a misspelt variable, which would otherwise show everything."""
    variables = [variable for board in boards for variable in board.variables if variable["type"] != "datasource"]
    known = dict.fromkeys(f"var-{variable['name']}" for variable in variables)
    for name, _ in parameters:
        if name.startswith("var-") and name not in known:
            names = ", ".join(each.removeprefix("var-") for each in known)
            raise typer.BadParameter(f"got {name.removeprefix('var-')!r}; give one of {names}.", param_hint="--var")


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"got {text!r}; give a name and a value, such as job=shop.", param_hint="--var")
    return f"var-{name}", value
