"""``python -m benchmarks.rules``: measures, prints the table and writes the documentation page."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import machine
from benchmarks.console import say
from benchmarks.rules.cost import measured, table
from benchmarks.rules.fleet import Fleet
from instrumentation.settings import Settings

PAGE = Path(__file__).parents[2] / "docs/reference/cost-of-rules.md"
HEAD = """\
# What the rules cost

<!-- Written by `python -m benchmarks.rules`; change the code it is made from, not this page. -->

A real Prometheus evaluates the generated rules over minutes of raw histograms and a month of recorded series, and reports how
long that took and how many samples it read. Each raw histogram is read only by recording rules: one rule reads its buckets,
two its count. Alerts, error budgets and dashboards read the recorded series. Windows of a day or more read 15-minute
averages, which are recorded only at the last two evaluations of each quarter of an hour. When these were recorded twice a
minute, a month of 100 services took 3.9 s to evaluate."""


def main() -> None:
    """Measure, in about ten minutes; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    parser.add_argument("--services", type=int, default=Fleet.services)
    options = parser.parse_args()
    settings, fleet = Settings(), Fleet(services=options.services)
    results = table(settings, fleet, measured(settings, fleet))
    say(f"{results.as_text()}\n")
    options.output.write_text(f"{HEAD}\n\n{results.as_markdown()}\n\n{machine.section()}\n")


if __name__ == "__main__":
    main()
