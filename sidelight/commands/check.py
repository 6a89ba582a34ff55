"""``sidelight check``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config


class Format(StrEnum):
    """How findings are told."""

    TEXT = "text"
    SARIF = "sarif"


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Rule files, dashboards, collector configurations, or folders with such; by default the settings alone."
        ),
    ] = None,
    *,
    config: Config = None,
    disable: Annotated[list[str] | None, typer.Option(help="A check to leave out; may be given again.")] = None,
    fail_on: Annotated[
        str, typer.Option(help="The mildest finding to exit with 1 for: error, warning or note.")
    ] = "note",
    style: Annotated[
        Format, typer.Option("--format", help="Lines, or SARIF for what shows them beside the code.")
    ] = Format.TEXT,
) -> None:
    """Check the settings, and files that they or others made, without starting anything.

    Exits with 0 where nothing is found, 1 where something is, and 2 where the settings or the arguments are wrong.
    """
    settings = load_settings(config)
    if not paths:
        typer.echo("settings: no fault found")
        return
    from sidelight.checks import CHECKS, Severity, find
    from sidelight.checks.report import as_sarif, as_text

    if fail_on not in set(Severity):
        raise typer.BadParameter(f"got {fail_on!r}; give error, warning or note.", param_hint="--fail-on")
    files, findings = find(paths, settings, disable or ())
    typer.echo(as_sarif(findings, CHECKS) if style is Format.SARIF else as_text(files, findings))
    if any(finding.check.severity.rank <= Severity(fail_on).rank for finding in findings):
        raise typer.Exit(1)
