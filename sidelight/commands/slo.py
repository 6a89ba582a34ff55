"""``sidelight slo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config

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
    typer.echo(imported(paths, unit), nl=False)


@app.command()
def rules(paths: Files) -> None:
    """Print a rule file for the objectives with their own PromQL queries."""
    from sidelight.objectives.openslo import rule_file

    typer.echo(rule_file(paths), nl=False)


@app.command()
def export(*, config: Config = None) -> None:
    """Print the section slo of sidelight.yaml as OpenSLO documents."""
    from sidelight.objectives.openslo import exported

    typer.echo(exported(load_settings(config)), nl=False)
