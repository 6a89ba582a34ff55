"""The program ``sidelight``: loads the command line, which takes a moment, so that Ctrl-C during it prints no traceback."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command."""
    try:
        from sidelight.cli import main  # noqa: PLC0415 - the moment in which Ctrl-C may come

        main()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells do for SIGINT
