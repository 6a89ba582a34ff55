"""``python -m benchmarks.first_run``: runs ``make demo`` as a new user would and writes the documentation page."""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from tests.support.console import say
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from tests.support.tables import Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/first-run.md"
HEAD = """\
# The first `make demo`

<!-- Written by `python -m benchmarks.first_run`; change the code it is made from, not this page. -->

A script clones the repository into an empty folder and runs `make demo` with an empty home directory, an empty
environment and a `PATH` of `/usr/local/bin:/usr/bin:/bin`; then it runs it again. The demo itself takes about two minutes of
this time, most of which it waits for alerts. *CPU* is the time of all processes together. *Disk* is the size of the new
environment, the tools and everything else below the home directory at the end."""
COLUMNS = (
    Column(key="run", title="run"),
    Column(key="seconds", title="seconds", digits=0),
    Column(key="cpu", title="CPU seconds", digits=0),
    Column(key="disk", title="disk MB", digits=0),
)
SECONDS = 3600.0


def main() -> None:
    """Run the demo twice, in up to ten minutes; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_run", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clone, home = Path(name, "sidelight"), Path(name, "home")
        home.mkdir()
        subprocess.run(("git", "clone", "--quiet", ROOT, clone), check=True, timeout=SECONDS)  # noqa: S603, S607
        rows, printed = [], []
        for run in ("first", "second"):
            row, output = _demo(run, clone, home)
            rows.append(row)
            printed.append(output)
    table = Table(name="first-run", title="The first and the second run", columns=COLUMNS, rows=tuple(rows))
    say(f"{table.as_text()}\n")
    parts = (HEAD, table.as_markdown(), _origins(printed[0]), machine.section())
    options.output.write_text("\n\n".join(parts) + "\n")


def _demo(run: str, clone: Path, home: Path) -> tuple[Row, str]:
    """Run the demo once.

    Raises:
        SystemExit: It failed.
    """
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}
    argv = ("make", "demo", f"PYTHON={sys.base_prefix}/bin/python3")
    began, cpu = time.monotonic(), _cpu()
    ended = subprocess.run(  # noqa: S603
        argv,
        cwd=clone,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"{ended.stdout}\nmake demo ended with {ended.returncode}")
    disk = sum(_size(folder) for folder in (home, *clone.glob(".venv*")))
    return {
        "run": run,
        "seconds": time.monotonic() - began,
        "cpu": _cpu() - cpu,
        "disk": disk / 1e6,
    }, ended.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _size(folder: Path) -> int:
    return sum(512 * Path(path, name).lstat().st_blocks for path, _, names in os.walk(folder) for name in names)


def _origins(output: str) -> str:
    """A list of the sources that were tried for each tool, in order."""
    lines = re.findall(r"^(\S+ [\d.]+): (got it from .*|not from .*)$", output, re.MULTILINE)
    return "\n".join(
        ("Where the tools came from in the first run:", "", *(f"- {tool}: {what}" for tool, what in lines))
    )


if __name__ == "__main__":
    main()
