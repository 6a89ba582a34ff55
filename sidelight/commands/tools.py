"""``sidelight tools``."""

from __future__ import annotations

from typing import Annotated

import typer


def tools(
    *,
    clean: Annotated[bool, typer.Option("--clean", help="Empty the cache of tools instead.")] = False,
) -> None:
    """Download the tools that the tests need, print their paths, and list the cache with sources and sizes."""
    from sidelight.toolchain import Toolbox

    toolbox = Toolbox()
    if clean:
        typer.echo(f"{toolbox.cache}: {_megabytes(toolbox.clean())} freed")
        return
    for name, path in toolbox.ensure().items():
        typer.echo(f"{name} {path}")
    contents = toolbox.contents()
    typer.echo(f"\n{toolbox.cache}: {_megabytes(sum(cached.size for cached in contents))}")
    for cached in contents:
        typer.echo(f"  {cached.folder.name:28} {_megabytes(cached.size):>8}  from {cached.source}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
