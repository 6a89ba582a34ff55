"""The ``sidelight`` command."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from instrumentation.errors import SettingsError, SidelightError
from instrumentation.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Dashboards, alert rules, collector and chart from one catalog and one sidelight.yaml.",
)

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; by default sidelight.yaml where it exists.")
]


@app.command()
def build(
    parts: Annotated[list[str] | None, typer.Argument(help="alerts, dashboards, collector, chart, docs")] = None,
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write below.")] = Path(),
) -> None:
    """Write the generated files; without a name all but docs."""
    from sidelight.build import DEFAULT_PARTS  # noqa: PLC0415 - each command loads what it needs
    from sidelight.build import build as write  # noqa: PLC0415

    changes = write(load_settings(config), output, parts or DEFAULT_PARTS)
    for change in changes:
        if change.verdict != "unchanged":
            typer.echo(f"{change.verdict} {change.path}")
    typer.echo(f"{len(changes)} files, {sum(change.verdict != 'unchanged' for change in changes)} changed")


class Format(StrEnum):
    """How findings are told."""

    TEXT = "text"
    SARIF = "sarif"


@app.command()
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
    from sidelight.checks import CHECKS, Severity, find  # noqa: PLC0415
    from sidelight.checks.report import as_sarif, as_text  # noqa: PLC0415

    if fail_on not in set(Severity):
        raise typer.BadParameter(f"got {fail_on!r}; give error, warning or note.", param_hint="--fail-on")
    files, findings = find(paths, settings, disable or ())
    typer.echo(as_sarif(findings, CHECKS) if style is Format.SARIF else as_text(files, findings))
    if any(finding.check.severity.rank <= Severity(fail_on).rank for finding in findings):
        raise typer.Exit(1)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The repository's root.")] = Path()) -> None:
    """Write a first sidelight.yaml, a Makefile fragment, a step for continuous integration and a values file; overwrite nothing."""
    from sidelight.initial import init as write  # noqa: PLC0415

    for made in write(folder):
        typer.echo(f"{made.verdict} {made.path}")
    typer.echo("next: read sidelight.yaml, then run `make -f sidelight.mk observability`")


@app.command()
def tools() -> None:
    """Bring the tools that tests and demo need into the cache; print where they are."""
    from sidelight.tools import ensure  # noqa: PLC0415

    for name, path in ensure().items():
        typer.echo(f"{name} {path}")


@app.command()
def publish(  # noqa: PLR0913 - each is an option
    *,
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and send nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Send nothing, and exit with 1 if a dashboard in Grafana differs.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show how each dashboard differs from the one in Grafana.")
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

    The token is GRAFANA_TOKEN or stands in GRAFANA_TOKEN_FILE; or give GRAFANA_USER and GRAFANA_PASSWORD.
    """
    import os  # noqa: PLC0415

    import stamina.instrumentation  # noqa: PLC0415

    from dashboards.publish import Mode, publish_from_environment  # noqa: PLC0415

    stamina.instrumentation.set_on_retry_hooks(())  # else each retry is a line of its own on stdout
    mode = Mode(dry_run=dry_run, check=check, diff=diff, prune=prune, take_over=take_over)
    raise typer.Exit(publish_from_environment(load_settings(config), os.environ, typer.echo, mode))


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print the addresses.")] = False,
) -> None:
    """Watch a real service fail, alert and recover."""
    from sidelight.demo import run  # noqa: PLC0415

    raise typer.Exit(run(keep=keep))


audit = typer.Typer(no_args_is_help=True, help="The audit trail.")
app.add_typer(audit, name="audit")


@audit.command()
def verify(  # noqa: PLR0913 - each is an option
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="The trail's file or folder, or all its files, the oldest first; by default audit.path."),
    ] = None,
    *,
    config: Config = None,
    key_file: Annotated[Path | None, typer.Option(help="Keys, one on each line, the newest first.")] = None,
    head: Annotated[list[str] | None, typer.Option(help="A recorded head, as number:seal; may be given again.")] = None,
    continues: Annotated[bool, typer.Option("--continues", help="The files before the first are elsewhere.")] = False,
    without_head: Annotated[
        bool, typer.Option("--without-head", help="Accept that there is no recorded head.")
    ] = False,
) -> None:
    """Read an audit trail to its end; the first line that is not sound is named, and the command exits with 1."""
    from sidelight.audit import Asked, verified  # noqa: PLC0415

    asked = Asked(
        paths=paths or (), key_file=key_file, heads=head or (), continues=continues, without_head=without_head
    )
    for line in verified(asked, load_settings(config)):
        typer.echo(line)


slo = typer.Typer(no_args_is_help=True, help="Service level objectives.")
app.add_typer(slo, name="slo")


@slo.callback()
def _slo() -> None:
    """Keep `import` a command of its own."""


@slo.command("import")
def import_(paths: Annotated[list[Path], typer.Argument(help="Files with OpenSLO documents.")]) -> None:
    """Print the section slo of sidelight.yaml that holds what OpenSLO documents promise."""
    from sidelight.openslo import imported  # noqa: PLC0415

    typer.echo(imported(paths), nl=False)


def main() -> None:
    """Run a command; a fault of the user's is a sentence on stderr, settings faults exit with 2 and others with 1."""
    try:
        app()
    except SidelightError as error:
        typer.echo(error.message, err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)


if __name__ == "__main__":
    main()
