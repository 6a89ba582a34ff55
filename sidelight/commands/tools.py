"""``sidelight tools``."""

from __future__ import annotations

import typer


def tools() -> None:
    """Get the tools that tests and demo need, and print their paths."""
    from sidelight.toolchain import ensure

    for name, path in ensure().items():
        typer.echo(f"{name} {path}")
