"""``sidelight init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(folder: Annotated[Path, typer.Argument(help="The repository's root.")] = Path()) -> None:
    """Write a first sidelight.yaml, a Makefile fragment, a step for continuous integration and a values file; overwrite nothing."""
    from sidelight.project_files import init as write

    for made in write(folder):
        typer.echo(f"{made.verdict} {made.path}")
    typer.echo("next: read sidelight.yaml, then run `make -f sidelight.mk observability`")
