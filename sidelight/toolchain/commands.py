"""Runs commands and reports what went wrong if they fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sidelight.toolchain.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRANSIENT = re.compile(
    r"time(d )?-?\s?out|temporary failure|connection (reset|refused|aborted|failed)|unexpected eof|could not connect"
    r"|no route to host|network is unreachable|\b(429|50[0234])\b|hash sum mismatch|could not resolve",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a command: its exit status, and stdout and stderr as one text."""

    status: int
    output: str


class Run(Protocol):
    """Runs a command within a time limit in seconds."""

    def __call__(self, argv: Sequence[str], *, timeout: float, cwd: Path | None, environ: Mapping[str, str]) -> Outcome:
        """Return its result, whatever the exit status.

        Raises:
            ToolError: The command does not exist or took too long.
        """


def run_command(argv: Sequence[str], *, timeout: float, cwd: Path | None, environ: Mapping[str, str]) -> Outcome:
    """Run a real command without standard input.

    Raises:
        ToolError: The command does not exist or took longer than the timeout, in seconds.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell, and every argument comes from the table above
            argv,
            cwd=cwd,
            env=dict(environ),
            errors="replace",
            start_new_session=True,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        message = f"{argv[0]} cannot be run: {error.strerror}."
        raise ToolError(message, code="tool_command_missing", details={"argv": tuple(argv)}) from error
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        message = f"{short(argv)} was stopped after {timeout:.0f} s."
        raise ToolError(message, code="tool_command_timeout", details={"argv": tuple(argv)}) from error
    finally:
        _end_group(process)
    return Outcome(status=process.returncode, output=output)


def _end_group(process: subprocess.Popen[str]) -> None:
    """End what is left after a timeout or Ctrl-C, such as compilers and downloaders started by the command."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def short(argv: Sequence[str]) -> str:
    """The program and its first two words, for messages: ``go mod init``."""
    words = [word for word in argv[1:] if re.fullmatch(r"[a-z]+", word)]
    return " ".join((Path(argv[0]).name, *words[:2]))


def failed(argv: Sequence[str], outcome: Outcome) -> ToolError:
    """The error for a command that failed, with its last line of output."""
    lines = [line.strip() for line in outcome.output.splitlines() if line.strip()]
    message = f"{short(argv)} failed with status {outcome.status}: {lines[-1] if lines else 'no output'}"
    details = {
        "argv": tuple(argv),
        "output": "\n".join(lines[-20:]),
        "transient": TRANSIENT.search(outcome.output) is not None,
    }
    return ToolError(message, code="tool_commandfailed", details=details)
