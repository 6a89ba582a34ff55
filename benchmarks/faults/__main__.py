"""``python -m benchmarks.faults``: lets components fail, prints what was lost, and writes the documentation page."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from tests.support.collector_faults import SCENARIOS
from tests.support.collector_latency import WELL, latencies
from tests.support.console import say
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from tests.support.tables import Row

PAGE = Path(__file__).parents[2] / "docs/reference/collector-faults.md"
HEAD = """\
# Collector faults

<!-- Written by `python -m benchmarks.faults`; change the code it is made from, not this page. -->

A real collector runs with the generated sidecar configuration. Senders send spans over OTLP, a receiver takes the place of the
gateway, and then a component fails. *Taken* are the spans that the sidecar accepted; none of them may be lost. The sidecar
refuses spans that it cannot take and notifies the sender; Sidelight's services count these in `sidelight_spans_total`. The
last column lists the [alerts](../runbooks/README.md) whose condition was met by the sidecar's own metrics."""


def main() -> None:
    """Run all faults, in about three minutes; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the gateway is down")
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
        title="Faults and lost spans",
        note=f"Numbers of spans. The gateway is down for {seconds:g} s. The full disk is simulated by a limit of 1 MiB on the queue's file. "
        "The memory limit is lower than the process itself needs.",
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
        title="Effect on the service",
        note="Median request duration of one service per row. All services run at once and are called in turn; every request is traced.",
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
