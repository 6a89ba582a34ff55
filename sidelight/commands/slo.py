"""``sidelight slo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Service level objectives.")


@app.callback()
def _slo() -> None:
    """Make `import` a subcommand."""


@app.command("import")
def import_(paths: Annotated[list[Path], typer.Argument(help="Files of OpenSLO documents.")]) -> None:
    """Print OpenSLO documents as the section slo of sidelight.yaml."""
    from sidelight.openslo import imported

    typer.echo(imported(paths), nl=False)
