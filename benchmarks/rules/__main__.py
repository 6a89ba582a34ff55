"""``python -m benchmarks.rules``: measures, prints the table and writes the documentation page."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import machine
from instrumentation.settings import Settings
from tests.support.console import say
from tests.support.fleet import Fleet
from tests.support.rule_cost import measured, table

PAGE = Path(__file__).parents[2] / "docs/reference/cost-of-rules.md"
HEAD = """\
# What the rules cost

<!-- Written by `python -m benchmarks.rules`; change the code it is made from, not this page. -->

A real Prometheus evaluates the generated rules over minutes of raw histograms and a month of what the rules recorded, and
says itself how long that took and how many samples it read. Every raw histogram is read once, a sample of each series: its
buckets by one rule, its count by two. Whatever else wants them, alerts, error budgets and dashboards, reads
[what those recorded](../decisions/0022-counting-events.md). Windows of a day and more read sums of quarters of an hour, which one
evaluation in each records."""


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
