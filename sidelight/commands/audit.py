"""``sidelight audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instrumentation.settings import load_settings
from sidelight.commands.options import Config

app = typer.Typer(no_args_is_help=True, help="The audit trail.")


@app.command()
def verify(  # noqa: PLR0913 - each is an option
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="The trail's file or folder, or all its files, oldest first (default: audit.path)."),
    ] = None,
    *,
    config: Config = None,
    key_file: Annotated[Path | None, typer.Option(help="A file of keys, one per line, newest first.")] = None,
    head: Annotated[list[str] | None, typer.Option(help="A recorded head, as number:seal; repeatable.")] = None,
    heads_from: Annotated[
        list[Path] | None, typer.Option(help="A log file of the service, which contains heads; repeatable.")
    ] = None,
    continues: Annotated[
        bool, typer.Option("--continues", help="The trail continues files that are not given.")
    ] = False,
    without_head: Annotated[
        bool, typer.Option("--without-head", help="Accept a trail without a recorded head.")
    ] = False,
) -> None:
    """Verify an audit trail. Exits with 1 and names the first invalid line if the trail is not intact."""
    from sidelight.audit_verification import Asked, verified

    asked = Asked(
        paths=paths or (),
        key_file=key_file,
        heads=head or (),
        logs=heads_from or (),
        continues=continues,
        without_head=without_head,
    )
    for line in verified(asked, load_settings(config)):
        typer.echo(line)


@app.command()
def digest(
    *,
    config: Config = None,
    key_file: Annotated[Path | None, typer.Option(help="A file of keys, one per line, newest first.")] = None,
) -> None:
    """Print the digest of a text, to find entries in which it was masked. Standard input is the text, without its last line break."""
    from sidelight.audit_verification import digests

    text = typer.get_text_stream("stdin").read().removesuffix("\n")
    for line in digests(text, load_settings(config), key_file=key_file):
        typer.echo(line)
