"""``sidelight check``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings, settings_source
from sidelight.commands.options import Config


class Format(StrEnum):
    """The output format of findings."""

    TEXT = "text"
    SARIF = "sarif"


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Rule files, dashboards, collector configurations, or folders containing them (default: only sidelight.yaml)."
        ),
    ] = None,
    *,
    config: Config = None,
    disable: Annotated[list[str] | None, typer.Option(help="A check to skip; repeatable.")] = None,
    fail_on: Annotated[
        str, typer.Option(help="Lowest severity that makes the command exit 1: error, warning or note.")
    ] = "note",
    style: Annotated[
        Format, typer.Option("--format", help="Text, or SARIF for tools that show findings beside the code.")
    ] = Format.TEXT,
) -> None:
    """Validate sidelight.yaml and any rule, dashboard or collector files, offline.

    Exits with 0 if there are no findings, 1 if there are, and 2 if the settings or the arguments are wrong.
    """
    settings = load_settings(config)
    source = settings_source(config)
    if not paths and source.startswith("defaults"):
        typer.echo(
            f"There is nothing to check: the settings are the {source}. Give --config, files or folders.", err=True
        )
        raise typer.Exit(2)
    if not paths:
        here = Path.cwd()
        file = Path(source)
        typer.echo(f"{file.relative_to(here) if file.is_relative_to(here) else file}: no findings")
        return
    from sidelight.checks import CHECKS, Severity, find
    from sidelight.checks.report import as_sarif, as_text

    if fail_on not in set(Severity):
        raise typer.BadParameter(f"got {fail_on!r}; give error, warning or note.", param_hint="--fail-on")
    files, findings = find(paths, settings, disable or ())
    typer.echo(as_sarif(findings, CHECKS) if style is Format.SARIF else as_text(files, findings))
    if any(finding.check.severity.rank <= Severity(fail_on).rank for finding in findings):
        raise typer.Exit(1)
