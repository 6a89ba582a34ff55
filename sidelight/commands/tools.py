"""``sidelight tools``."""

from __future__ import annotations

import typer


def tools() -> None:
    """Bring the tools that tests and demo need into the cache; print where they are."""
    from sidelight.toolchain import ensure

    for name, path in ensure().items():
        typer.echo(f"{name} {path}")
