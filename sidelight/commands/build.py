"""``sidelight build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config

_MANIFESTS = "manifests"


def build(
    parts: Annotated[
        list[str] | None, typer.Argument(help="alerts, dashboards, collector, chart, signals, runbooks, manifests")
    ] = None,
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path(),
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="For manifests: their namespace.")] = "monitoring",
    values: Annotated[
        list[Path] | None, typer.Option("--values", "-f", help="For manifests: a file with values of the chart.")
    ] = None,
) -> None:
    """Write the generated files; without a name, all except manifests."""
    from sidelight.build import PARTS, build_manifests
    from sidelight.build import build as write

    settings, chosen = load_settings(config), list(parts or PARTS)
    changes = []
    if _MANIFESTS in chosen:
        chosen.remove(_MANIFESTS)
        changes = build_manifests(settings, output, namespace, values or [])
    changes += write(settings, output, chosen)
    for change in changes:
        if change.verdict != "unchanged":
            typer.echo(f"{change.verdict} {change.path}")
    typer.echo(f"{len(changes)} files, {sum(change.verdict != 'unchanged' for change in changes)} changed")
