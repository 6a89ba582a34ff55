"""``sidelight init``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the service.")] = Path(),
    source: Annotated[
        list[str] | None,
        typer.Option("--from", help="What pip installs for make and CI: a version, a path or a URL. Can be repeated."),
    ] = None,
    index: Annotated[str | None, typer.Option(help="The package index to install from.")] = None,
) -> None:
    """Write a starter sidelight.yaml, a Makefile fragment, a CI step and chart values. Never overwrites a file."""
    from sidelight.project_files import EXAMPLE, SOURCES, found
    from sidelight.project_files import init as write

    sources = [*([f"--index-url {index}"] if index else []), *(source or [])] if source else []
    if index and not source:
        raise typer.BadParameter("--index needs --from, such as --from sidelight-stack==0.1.0.")
    for made in write(folder, sources):
        typer.echo(f"{made.verdict} {made.path}")
    command = "make -f sidelight.mk observability"
    if not found(folder, sources).sources:
        typer.echo(f"{SOURCES}: CI cannot know where to install Sidelight from; name it there, or run `{EXAMPLE}`")
        command += f" SIDELIGHT={Path(sys.argv[0]).resolve()}"
    typer.echo(f"next: read sidelight.yaml, then run `{command}`, and commit all files")
