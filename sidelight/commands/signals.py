"""``sidelight signals``."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Your own signals.")


@app.callback()
def signals() -> None:
    """Keep ``from`` a command of its own, although it is the only one."""


@app.command("from")
def from_(
    source: Annotated[str, typer.Argument(help="A metrics page (file or address), or Python code (file or folder).")],
) -> None:
    """Print a first declaration of the metrics on a page, or of those that prometheus_client code defines."""
    from sidelight.signals.first_declaration import signals_from

    typer.echo(signals_from(source), nl=False)
