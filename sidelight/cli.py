"""The ``sidelight`` command: which verbs there are, and how a fault of the user's is told."""

from __future__ import annotations

import sys

import typer

from instrumentation.errors import SettingsError, SidelightError
from sidelight.commands import audit, slo
from sidelight.commands.build import build
from sidelight.commands.check import check
from sidelight.commands.demo import demo
from sidelight.commands.init import init
from sidelight.commands.publish import publish
from sidelight.commands.tools import tools

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Dashboards, alert rules, collector and chart from one catalog and one sidelight.yaml.",
)

for command in (build, check, init, tools, publish, demo):
    app.command()(command)
app.add_typer(audit.app, name="audit")
app.add_typer(slo.app, name="slo")


def main() -> None:
    """Run a command; a fault of the user's is a sentence on stderr, settings faults exit with 2 and others with 1."""
    try:
        app()
    except SidelightError as error:
        typer.echo(error.message, err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)


if __name__ == "__main__":
    main()
