"""``sidelight check``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instrumentation.errors import InstrumentationError
from instrumentation.settings import load_settings, settings_source
from sidelight.commands.options import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from instrumentation.settings import Settings
    from sidelight.checks import Report
    from sidelight.checks.documents import Document
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import KnownSeries


class Format(StrEnum):
    """The output format of findings."""

    TEXT = "text"
    SARIF = "sarif"
    GITHUB = "github"


def check(  # noqa: PLR0913 - one for each option
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
    prometheus: Annotated[
        str,
        typer.Option(
            metavar="URL", help="A Prometheus to query for the series that exist and the cost of expressions."
        ),
    ] = "",
    history: Annotated[
        str, typer.Option(metavar="DURATION", help="How far back to count firings, such as 7d; needs --prometheus.")
    ] = "",
    fix: Annotated[
        bool, typer.Option("--fix", help="Fix findings that have exactly one fix, then report the others.")
    ] = False,
    explain: Annotated[
        str,
        typer.Option(
            metavar="CHECK", help="Say what a check finds, why, how to fix it and how to disable it, and end."
        ),
    ] = "",
    style: Annotated[
        Format, typer.Option("--format", help="Text; SARIF, or GitHub annotations, to show findings beside the code.")
    ] = Format.TEXT,
) -> None:
    """Validate sidelight.yaml and any rule, dashboard or collector files, offline unless --prometheus is given.

    Exits with 0 if there are no findings, 1 if there are, and 2 if the settings or the arguments are wrong.
    """
    if explain:
        typer.echo(_explanation(explain))
        return
    settings = load_settings(config)
    source = settings_source(config)
    if not paths and source.startswith("defaults"):
        typer.echo(
            f"There is nothing to check: the settings are the {source}. Give --config, files or folders.", err=True
        )
        raise typer.Exit(2)
    for note in _links_missing(settings):
        typer.echo(f"{Path(source).name}: note: {note}", err=True)
    _check_routes(settings, Path(source).name)
    if not paths:
        here = Path.cwd()
        file = Path(source)
        typer.echo(f"{file.relative_to(here) if file.is_relative_to(here) else file}: no findings")
        return
    from sidelight.checks import CHECKS, Severity, find
    from sidelight.checks.report import as_github, as_sarif, as_text

    if fail_on not in set(Severity):
        raise typer.BadParameter(f"got {fail_on!r}; give error, warning or note.", param_hint="--fail-on")
    look = partial(find, paths, settings, disable or (), _asking(prometheus, history))
    report = _fixed(look) if fix else look()
    match style:
        case Format.SARIF:
            typer.echo(as_sarif(report.findings, CHECKS))
        case Format.GITHUB:
            typer.echo(as_github(report.findings))
        case Format.TEXT:
            typer.echo(as_text(report))
    if any(finding.check.severity.rank <= Severity(fail_on).rank for finding in report.findings):
        raise typer.Exit(1)


def _explanation(name: str) -> str:
    from sidelight.checks import CHECKS, Check
    from sidelight.checks.explanations import explanation

    known = Check.known([name], CHECKS, "--explain")
    return "\n\n".join(block for check in CHECKS if check.name in known for block in explanation(check))


def _fixed(look: Callable[[], Report]) -> Report:
    """Fix what can be fixed; return what is left."""
    from sidelight.checks.fixing import fix

    report, fixed = look(), 0
    while number := fix(report.findings):  # an expression is only formatted after what is wrong inside it is fixed
        report, fixed = look(), fixed + number
    if fixed:
        typer.echo(f"{fixed} finding{'s' * (fixed != 1)} fixed", err=True)
    return report


def _links_missing(settings: Settings) -> Iterator[str]:
    """What messages lack, if there is anybody who receives them."""
    from alerts.alertmanager.configuration import given_receivers

    if not any(receiver.targets for receiver in given_receivers(settings).values()):
        return
    if not settings.alerting.runbook_url:
        yield "alerting.runbook_url is not set, so messages have no link to a runbook."
    if not settings.dashboards.base_url:
        yield "dashboards.base_url is not set, so messages have no link to a dashboard."


def _check_routes(settings: Settings, source: str) -> None:
    """Faults that only the rules show, such as a team whose label no alert has."""
    from alerts import groups
    from alerts.alertmanager.configuration import alertmanager_config

    try:
        alertmanager_config(settings, groups(settings))
    except InstrumentationError as error:
        typer.echo(f"{source}: {error}", err=True)
        raise typer.Exit(2) from None


def _asking(url: str, history: str) -> Callable[[Document, KnownSeries], Iterable[Finding]] | None:
    """What asks the Prometheus at an address about a document; None without an address."""
    from alerts.promql.durations import seconds_of
    from sidelight.checks.online import Prometheus, find

    seconds = seconds_of(history) if history else 0
    if seconds is None or (history and not url):
        wanted = "needs --prometheus" if seconds else "give a duration, such as 7d"
        raise typer.BadParameter(f"got {history!r}; {wanted}.", param_hint="--history")
    if not url:
        return None
    return partial(find, prometheus=Prometheus(url), history=seconds)
