"""``sidelight init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(folder: Annotated[Path, typer.Argument(help="The root of the repository.")] = Path()) -> None:
    """Write a starter sidelight.yaml, a Makefile fragment, a CI step and chart values. Never overwrites a file."""
    from sidelight.project_files import init as write

    for made in write(folder):
        typer.echo(f"{made.verdict} {made.path}")
    typer.echo("next: read sidelight.yaml, then run `make -f sidelight.mk observability`")
