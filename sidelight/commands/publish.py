"""``sidelight publish``."""

from __future__ import annotations

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config


def publish(config: Config = None) -> None:
    """Publish the dashboards to the Grafana at GRAFANA_URL, with GRAFANA_TOKEN or GRAFANA_TOKEN_FILE."""
    import os

    import stamina.instrumentation

    from dashboards.grafana.publish import publish_from_environment

    stamina.instrumentation.set_on_retry_hooks(())  # otherwise each retry prints a line on stdout
    publish_from_environment(load_settings(config), os.environ, typer.echo)
