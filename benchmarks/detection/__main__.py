"""``python -m benchmarks.detection``: replays histories, prints tables and writes the documentation page."""

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

This page compares the time to detect, the time to resolve and the false-positive rate of the generated alerts with those of
the SRE workbook's multi-window burn rates (Beyer et al., 2018, chapter 5). Both use the same two objectives. The workbook's
rules are written as usual: on the raw histogram, without `for` and without a minimum number of bad requests. Prometheus' own
rule engine evaluates both over the same histories, twice a minute. *Critical* is the workbook's page and *warning* its
ticket. Alerts of the same severity count as one, because the first one already notifies somebody.

Results:

- If all requests fail, the workbook's page comes first, because it has no `for`. `for` delays ours by one and a half minutes,
  and prevents a single bad evaluation from paging anybody.
- If 6 or 10 % of at least one request per second fail, ours comes first. Its warning comes within minutes, whereas the
  workbook's ticket takes an hour.
- The workbook does not detect slow requests: a tenth of the requests above 500 ms, or above one second, spends the budget too
  slowly for its windows. HighLatencyP95 detects them.
- Both keep firing for as long as their windows contain the outage.
- The cost is in the last table: one minute in which a fifth of the requests fails fires a rule with a five-minute window. To
  avoid that, raise `alerting.for` or `alerting.minimum_bad_events`, or let only ErrorBudgetBurn page and disable
  HighErrorRate in the [chart's values](../how-to/install-the-chart.md#change-an-alert)."""


def main() -> None:
    """Replay everything, in about forty minutes on two cores; without ``--output``, the documentation page is replaced."""
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
