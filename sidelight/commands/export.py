"""``sidelight export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_ALERTS = "alerts"


def export(
    form: Annotated[str, typer.Argument(help="provisioning, operator, terraform, v2beta1, v2 or alerts")],
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path("grafana"),
    datasource: Annotated[
        str, typer.Option("--datasource", help="For alerts: the uid of the Prometheus data source.")
    ] = "",
) -> None:
    """Write the dashboards, or the rules as Grafana-managed alerts, as files for Grafana."""
    from sidelight.build import write

    settings = load_settings(config)
    if form == _ALERTS:
        files, note = _alert_files(settings, datasource)
    else:
        from dashboards.export import exported, left_out

        files, note = exported(settings, form), left_out(settings, form)
    for change in write(files, output):
        typer.echo(f"{change.verdict} {output / change.path}")
    if note:
        typer.echo(f"note: {note}")


def _alert_files(settings: Settings, datasource: str) -> tuple[dict[str, str], str]:
    from alerts.grafana_managed import provisioning_files
    from instrumentation.errors import SidelightError

    if not datasource:
        problem = "export alerts needs the uid of the Prometheus data source; give it with --datasource."
        raise SidelightError(problem, code="datasource_missing")
    note = (
        "Contact points and routes are not among the files, because Grafana keeps them for all its alerts."
        " Leave out sidelight-recording.yaml if Prometheus itself evaluates rules.yaml."
    )
    return provisioning_files(settings, datasource), note
