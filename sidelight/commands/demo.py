"""``sidelight demo``."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print the addresses.")] = False,
) -> None:
    """Watch a real service fail, alert and recover."""
    from sidelight.demo import run

    raise typer.Exit(run(keep=keep))
