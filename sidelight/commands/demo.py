"""``sidelight demo``."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print the addresses.")] = False,
) -> None:
    """Run a real service that fails, alerts and recovers."""
    from sidelight.demo import run

    raise typer.Exit(run(keep=keep))
