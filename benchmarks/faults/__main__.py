"""``python -m benchmarks.faults``: breaks things, prints what was lost and who was told, and writes the documentation's page."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.console import say
from benchmarks.faults.latency import WELL, latencies
from benchmarks.faults.scenarios import SCENARIOS
from benchmarks.tables import Column, Table

if TYPE_CHECKING:
    from benchmarks.tables import Row

PAGE = Path(__file__).parents[2] / "docs/reference/collector-faults.md"
HEAD = """\
# When something breaks on the way of the traces

<!-- Written by `python -m benchmarks.faults`; change the code it is made from, not this page. -->

The real collector runs by the generated file of the sidecar; senders send spans by OTLP, a receiver stands for the gateway, and something
is broken. *Taken* are the spans that the sidecar accepted: of these none may be lost, whatever happens. What it cannot
take it refuses, and the sender hears that; services of Sidelight count it in `sidelight_spans_total`. The last column has the
[alerts](../runbooks/README.md) whose condition the sidecar's own metrics met."""


def main() -> None:
    """Break everything, some three minutes; without ``--output`` the documentation's page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the gateway is away")
    options = parser.parse_args()
    tables = (_faults(options.seconds), _latencies())
    for table in tables:
        say(f"{table.as_text()}\n")
    parts = [HEAD, *(table.as_markdown() for table in tables), machine.section()]
    options.output.write_text("\n\n".join(parts) + "\n")


def _faults(seconds: float) -> Table:
    rows: list[Row] = []
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = scenario.play(Path(folder), seconds)
        rows.append(
            {
                "fault": scenario.name,
                "sent": outcome.sent,
                "taken": outcome.accepted,
                "arrived": outcome.arrived,
                "lost": outcome.lost,
                "twice": outcome.twice,
                "refused": outcome.told,
                "fires": ", ".join(sorted(outcome.fires)) or "none",
            }
        )
    counts = ("sent", "taken", "arrived", "lost", "twice", "refused")
    return Table(
        name="faults",
        title="Faults, and what was lost",
        note=f"In spans. The gateway is away for {seconds:g} s. A full disk is a limit of 1 MiB on the size of the queue's file. "
        "The memory limit is one that the program alone exceeds.",
        columns=(
            Column(key="fault", title="fault"),
            *(Column(key=count, title=count, digits=0) for count in counts),
            Column(key="fires", title="alerts"),
        ),
        rows=tuple(rows),
    )


def _latencies() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        found = latencies(Path(folder))
    return Table(
        name="latency",
        title="What the service notices",
        note="The median of a request of one service each, all at once and asked in turn; every request is traced.",
        columns=(
            Column(key="fault", title="fault"),
            Column(key="milliseconds", title="ms a request", digits=2),
            Column(key="ratio", title="of what it is when all is well", digits=2),
        ),
        rows=tuple(
            {"fault": name, "milliseconds": 1000 * seconds, "ratio": seconds / found[WELL]}
            for name, seconds in found.items()
        ),
    )


if __name__ == "__main__":
    main()
