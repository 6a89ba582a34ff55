"""``sidelight publish``."""

from __future__ import annotations

from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config


def publish(  # noqa: PLR0913 - each is an option
    *,
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Like --dry-run, but exit with 1 if Grafana differs.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print how each dashboard differs from the one in Grafana.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete dashboards of the same owner that are no longer published.")
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Replace dashboards of other owners, and those that Sidelight did not publish."
        ),
    ] = False,
) -> None:
    """Publish the dashboards to the Grafana at GRAFANA_URL.

    Set GRAFANA_TOKEN or GRAFANA_TOKEN_FILE, or GRAFANA_USER and GRAFANA_PASSWORD.
    """
    import os

    import stamina.instrumentation

    from dashboards.grafana.publish import Mode, publish_from_environment

    stamina.instrumentation.set_on_retry_hooks(())  # otherwise each retry prints a line on stdout
    mode = Mode(dry_run=dry_run, check=check, diff=diff, prune=prune, take_over=take_over)
    raise typer.Exit(publish_from_environment(load_settings(config), os.environ, typer.echo, mode))
