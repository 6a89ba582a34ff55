"""``sidelight build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config


def build(
    parts: Annotated[
        list[str] | None, typer.Argument(help="alerts, dashboards, collector, chart, signals, runbooks")
    ] = None,
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path(),
) -> None:
    """Write the generated files; without a name, all."""
    from sidelight.build import PARTS
    from sidelight.build import build as write

    changes = write(load_settings(config), output, parts or tuple(PARTS))
    for change in changes:
        if change.verdict != "unchanged":
            typer.echo(f"{change.verdict} {change.path}")
    typer.echo(f"{len(changes)} files, {sum(change.verdict != 'unchanged' for change in changes)} changed")
