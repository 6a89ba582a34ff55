"""``sidelight export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config


def export(
    form: Annotated[str, typer.Argument(help="provisioning, operator, terraform, v2beta1 or v2")],
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path("grafana"),
) -> None:
    """Write the dashboards as files, as an alternative to `sidelight publish`."""
    from dashboards.export import exported, left_out
    from sidelight.build import write

    settings = load_settings(config)
    for change in write(exported(settings, form), output):
        typer.echo(f"{change.verdict} {output / change.path}")
    if note := left_out(settings, form):
        typer.echo(f"note: {note}")
