"""``python -m benchmarks.detection``: replays, prints the tables, and writes the page of the documentation."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.console import say
from benchmarks.detection import tables
from instrumentation.settings import Settings
from tests.support.rule_sets import ours, workbook

PAGE = Path(__file__).parents[2] / "docs/reference/time-to-detect.md"
HEAD = """\
# Time to detect

<!-- Written by `python -m benchmarks.detection`; change the code it is made from, not this page. -->

How soon do the generated alerts say that something is wrong, how soon that it is over, and how often do they speak for
nothing? Beside ours stand the multi-window burn rates of the SRE workbook (Beyer et al., 2018, chapter 5), for the same
two objectives, as rules are usually written from it: on the raw histogram, with no `for` and no least number of bad
requests. Prometheus' own rule engine evaluates both over the same histories, twice a minute. Critical is the
workbook's page, warning its ticket; alerts of one severity count as one, since the one that comes first wakes somebody.

How to read it: where everything fails, the workbook's page comes first, since it waits for nothing; `for` costs ours a minute and a half, and
keeps a single bad evaluation from waking anybody. Where 6 or 10 % fail at a request per second and more, ours comes first, and its warning
comes in minutes where the workbook's ticket takes an hour. Slowness the workbook does not see at all: a tenth of the requests beyond
500 ms, or beyond a second, spends the budget too slowly for its windows, and HighLatencyP95 is what tells. Both go on as long as their
windows remember. The price is in the last table: a minute in which a fifth fails is an alarm to a rule that looks at five minutes.
Who does not want to hear of it raises `alerting.for` or `alerting.minimum_bad_events`, or leaves the page to ErrorBudgetBurn and
disables HighErrorRate in the [chart's values](../how-to/install-the-chart.md#change-an-alert)."""


def main() -> None:
    """Replay everything, some forty minutes on two cores; without ``--output`` the documentation's page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    settings = Settings()
    groups = {"our": ours(settings), "workbook": workbook(settings)}
    parts = [HEAD]
    for make in (tables.detection, tables.quiet_alarms, tables.troubled_alarms):
        table = make(groups)
        say(f"{table.as_text()}\n")
        parts.append(table.as_markdown())
    options.output.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
