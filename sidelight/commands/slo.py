"""``sidelight slo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Service level objectives.")


@app.callback()
def _slo() -> None:
    """Keep `import` a command of its own."""


@app.command("import")
def import_(paths: Annotated[list[Path], typer.Argument(help="Files with OpenSLO documents.")]) -> None:
    """Print the section slo of sidelight.yaml that holds what OpenSLO documents promise."""
    from sidelight.openslo import imported

    typer.echo(imported(paths), nl=False)
