"""``python -m benchmarks.detection``: replays, prints the tables, and writes the page of the documentation."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.console import say
from benchmarks.detection import tables
from benchmarks.detection.rules import ours, workbook
from instrumentation.settings import Settings

PAGE = Path(__file__).parents[2] / "docs/reference/time-to-detect.md"
HEAD = """\
# Time to detect

<!-- Written by `python -m benchmarks.detection`; change the code it is made from, not this page. -->

How soon do the generated alerts say that something is wrong, how soon that it is over, and how often do they speak for
nothing? Beside ours stand the multi-window burn rates of the SRE workbook (Beyer et al., 2018, chapter 5), for the same
two objectives, as rules are usually written from it: on the raw histogram, with no `for` and no least number of bad
requests. Prometheus' own rule engine evaluates both over the same histories, twice a minute. Critical is the
workbook's page, warning its ticket; alerts of one severity count as one, since the one that comes first wakes somebody.

The workbook's rules need an objective and days of history; HighErrorRate and HighLatencyP95 need neither, and say in
minutes what a ticket says in hours. What keeps ours from speaking at the first failed request of a quiet service is
`alerting.minimum_bad_events`, and that costs the minutes until so many have failed."""


def main() -> None:
    """Replay everything, some twenty minutes; without ``--output`` the documentation's page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    settings = Settings()
    groups = {"our": ours(settings), "workbook": workbook(settings)}
    parts = [HEAD]
    for table in (tables.detection(groups), tables.false_alarms(groups)):
        say(f"{table.as_text()}\n")
        parts.append(table.as_markdown())
    options.output.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
