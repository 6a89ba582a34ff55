"""``sidelight slo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config

if TYPE_CHECKING:
    from sidelight.objectives.openslo import OpenSloError

app = typer.Typer(no_args_is_help=True, help="Service level objectives.")

Files = Annotated[list[Path], typer.Argument(help="Files of OpenSLO documents.")]


@app.command("import")
def import_(
    paths: Files,
    *,
    unit: Annotated[str, typer.Option(help="The unit of values whose query does not name it: s or ms.")] = "",
) -> None:
    """Convert OpenSLO documents to the section slo of sidelight.yaml, and name what is not supported."""
    from sidelight.objectives.openslo import imported

    if unit not in {"", "s", "ms"}:
        raise typer.BadParameter(f"got {unit!r}; give s or ms.", param_hint="--unit")
    faults: list[OpenSloError] = []
    typer.echo(imported(paths, unit, faults), nl=False)
    _end(faults)


@app.command()
def rules(paths: Files) -> None:
    """Print a rule file for the objectives with their own PromQL queries."""
    from sidelight.objectives.openslo import rule_file

    faults: list[OpenSloError] = []
    typer.echo(rule_file(paths, faults), nl=False)
    _end(faults)


def _end(faults: list[OpenSloError]) -> None:
    """Name what was left out because of a fault, and exit with 1 if there is any."""
    for fault in faults:
        typer.echo(f"left out: {fault.message}", err=True)
    if faults:
        raise typer.Exit(1)


@app.command()
def export(*, config: Config = None) -> None:
    """Print the section slo of sidelight.yaml as OpenSLO documents."""
    from sidelight.objectives.openslo import exported

    typer.echo(exported(load_settings(config)), nl=False)
