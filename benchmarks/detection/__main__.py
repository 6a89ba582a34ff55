"""``python -m benchmarks.detection``: replays histories, prints tables and writes the documentation page."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.detection import tables
from instrumentation.settings import Settings
from tests.support.console import say
from tests.support.rule_sets import every_rule_of_ours, ours, workbook

PAGE = Path(__file__).parents[2] / "docs/reference/time-to-detect.md"
HEAD = """\
# Time to detect

<!-- Written by `python -m benchmarks.detection`; change the code it is made from, not this page. -->

This page compares the time to detect, the time to resolve and the false-positive rate of the generated alerts with those of
the SRE workbook's multi-window burn rates (Beyer et al., 2018, chapter 5). Both use the same two objectives. The workbook's
rules are written as usual: on the raw histogram, without `for` and without a minimum number of bad requests. Prometheus' own
rule engine evaluates both over the same histories, twice a minute. *Critical* is the workbook's page and *warning* its
ticket. Alerts of the same severity count as one, because the first one already notifies somebody. The rules that
[Sloth](https://github.com/slok/sloth) 0.16.0 generates for an objective of 99.9 % have the workbook's windows and factors (14.4 over 5m and 1h, 6 over
30m and 6h, 3 over 2h and 1d, 1 over 6h and 3d) and no `for` either, so its columns would be the same.

Results:

- If all requests fail, the workbook's page comes first, because it has no `for`. `for` delays ours by one and a half minutes,
  and prevents a single bad evaluation from paging anybody.
- If 6 or 10 % of at least one request per second fail, ours comes first. Its warning comes within minutes, whereas the
  workbook's ticket takes an hour.
- The workbook does not detect slow requests: a tenth of the requests above 500 ms, or above one second, spends the budget too
  slowly for its windows. HighLatencyP95 detects them.
- Both keep firing for as long as their windows contain the outage.
- Rules on ratios alone misjudge what is not a plain outage: the second table. One failed request of a service with few requests pages with
  the workbook's rules, and an instance that flaps, or requests that never end, change no ratio.
- The cost is in the last table: one minute in which a fifth of the requests fails fires a rule with a five-minute window. To
  avoid that, raise `alerting.for` or `alerting.minimum_bad_events`, or let only ErrorBudgetBurn page and disable
  HighErrorRate in the [chart's values](../how-to/install-the-chart.md#change-an-alert)."""


TABLES = {
    "detection": tables.detection,
    "troubles": tables.troubled,
    "quiet": tables.quiet_alarms,
    "disturbed": tables.troubled_alarms,
}


def main() -> None:
    """Replay everything, in about forty minutes on two cores; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    parser.add_argument("--only", choices=TABLES, help="replay for this table, and keep the others of the page")
    options = parser.parse_args()
    settings = Settings()
    groups = {"our": ours(settings), "workbook": workbook(settings)}
    kept = _sections(options.output.read_text()) if options.only else {}
    parts = [HEAD]
    for name, make in TABLES.items():
        if options.only in (None, name):
            table = make({**groups, "our": every_rule_of_ours(settings)} if name == "troubles" else groups)
            say(f"{table.as_text()}\n")
            kept[name] = table.as_markdown()
        parts.append(kept[name])
    options.output.write_text("\n\n".join(parts) + "\n")


def _sections(page: str) -> dict[str, str]:
    """The tables of the page as it is, in their order."""
    written = [f"## {section.strip()}" for section in page.split("\n## ")[1:]]
    names = [name for name in TABLES if name != "troubles"] if len(written) < len(TABLES) else list(TABLES)
    return dict(zip(names, written, strict=True))


if __name__ == "__main__":
    main()
