"""``sidelight upload``."""

from __future__ import annotations

from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config


def upload(  # noqa: PLR0913 - each is an option
    *,
    config: Config = None,
    namespace: Annotated[
        str, typer.Option("--namespace", help="The namespace of the groups (default: sidelight-<owner>).")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Like --dry-run, but exit with 1 if the ruler differs.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print how each group differs from the one in the ruler.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete groups of the namespace that are no longer generated.")
    ] = False,
) -> None:
    """Upload the rules to the ruler at RULER_URL: a Mimir, a Cortex, or a Grafana that imports rules.

    Set RULER_TOKEN or RULER_TOKEN_FILE, or RULER_USER and RULER_PASSWORD, and RULER_TENANT, where the ruler asks for them.
    """
    import os

    import stamina.instrumentation

    from alerts.ruler import Mode, upload_from_environment

    stamina.instrumentation.set_on_retry_hooks(())  # otherwise each retry prints a line on stdout
    mode = Mode(namespace=namespace, dry_run=dry_run, check=check, diff=diff, prune=prune)
    raise typer.Exit(upload_from_environment(load_settings(config), os.environ, typer.echo, mode))
