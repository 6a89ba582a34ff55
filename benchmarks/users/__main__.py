"""``python -m benchmarks.users``: measures, prints the tables and writes the documentation page."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import machine
from benchmarks.users import cost
from instrumentation.settings import Settings
from tests.support import estimators, user_estimates
from tests.support.console import say

PAGE = Path(__file__).parents[2] / "docs/reference/active-users.md"
HEAD = """\
# Active users: accuracy and cost

<!-- Written by `python -m benchmarks.users`; change the code it is made from, not this page. -->

[Count users](../how-to/count-users.md) describes how to count users, and [decision 0009](../decisions/0009-users.md) why it
works this way. A real Prometheus with the generated rules computed the first table from histories of services with three
pods of two workers each, scraped every 15 s. A third of the users reach two pods, workers are killed before they are scraped,
pods are replaced, and half as many other users came before the time in question and must not be counted."""


def main() -> None:
    """Measure everything; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.users", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    settings = Settings()
    tables = [
        user_estimates.table(settings),
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
