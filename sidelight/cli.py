"""The ``sidelight`` command: its subcommands, and how user errors are reported."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from sidelight.shadowing import hidden_packages

if hidden := hidden_packages():
    sys.exit(hidden)

from instrumentation.errors import SettingsError, SidelightError
from instrumentation.version import __version__
from sidelight.commands import audit, signals, slo
from sidelight.commands.build import build
from sidelight.commands.check import check
from sidelight.commands.demo import demo
from sidelight.commands.export import export
from sidelight.commands.init import init
from sidelight.commands.publish import publish
from sidelight.commands.tools import tools
from sidelight.commands.upload import upload
from sidelight.commands.view import view

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Generate and check alert rules, dashboards, collector configurations and the Helm chart.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"sidelight {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options that belong to no command."""
    del version


for command in (build, check, init, tools, publish, upload, export, view, demo):
    app.command()(command)
app.add_typer(audit.app, name="audit")
app.add_typer(slo.app, name="slo")
app.add_typer(signals.app, name="signals")


_OUTPUT_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


def main() -> None:
    """Run a command. A user error prints a sentence on stderr and exits with 2 for settings, otherwise with 1."""
    try:
        app()
    except OSError as error:
        if error.errno not in _OUTPUT_FAULTS or error.filename is not None:
            raise
        typer.echo(f"sidelight: the output cannot be written ({error.strerror}).", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes what is left at its end
        sys.exit(1)
    except SidelightError as error:
        typer.echo(error.message, err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)


if __name__ == "__main__":
    main()
