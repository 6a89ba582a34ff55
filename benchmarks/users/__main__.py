"""``python -m benchmarks.users``: measures, prints the tables, and writes the page of the documentation."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import machine
from benchmarks.console import say
from benchmarks.users import accuracy, cost
from instrumentation.settings import Settings
from tests.support import estimators

PAGE = Path(__file__).parents[2] / "docs/reference/active-users.md"
HEAD = """\
# Active users: how exact, and what they cost

<!-- Written by `python -m benchmarks.users`; change the code it is made from, not this page. -->

How to count them is told in [Count users](../how-to/count-users.md), why it is done this way in
[decision 0009](../decisions/0009-users.md). The first table is made by a real Prometheus with the generated rules, from
histories of services with three pods of two workers each, scraped every 15 s. A third of the users come to two pods;
workers are killed before anybody has scraped what they counted; pods are replaced; and half as many other users came
before the time in question, and must not count."""


def main() -> None:
    """Measure everything; without ``--output`` the documentation's page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.users", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    settings = Settings()
    tables = [
        accuracy.table(settings),
        estimators.table(settings.users.registers),
        cost.service_table(settings),
        cost.rules_table(settings),
    ]
    for table in tables:
        say(f"{table.as_text()}\n")
    parts = [HEAD, *(table.as_markdown() for table in tables), machine.section()]
    options.output.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
