"""Measures one evaluation of every HTTP rule, as reported by Prometheus."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.recording.counting import remembered
from alerts.recording.services import recorded as names_for
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from tests.support.errors import MeasurementError
from tests.support.fleet import DAY, PROCESSES, Fleet, edges_of, processes, recorded, scraped, series, totals
from tests.support.prometheus_history import Cost, Prometheus, cost_of, layers
from tests.support.rule_sets import ours, workbook
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from instrumentation.settings import Settings
    from tests.support.rule_sets import Group
    from tests.support.tables import Row

END = 1_760_000_400  # seconds since 1970
_MINUTES = 60 * 6  # seconds of raw histograms: the window and a little more
_REPEATS = 3
_QUARTER = 15 * 60  # seconds


def measured(settings: Settings, fleet: Fleet, version: str = "prometheus") -> dict[str, list[tuple[str, Cost]]]:
    """The cost of each of our rules, and of the workbook's rules for which these histories are long enough.

    Args:
        settings: The settings.
        fleet: The monitored services.
        version: ``prometheus`` or ``prometheus-oldest``.

    Raises:
        MeasurementError: ``nothing_read``: a rule found no series, so its cost would be that of nothing.
    """
    period, every = settings.slo.period.seconds, settings.alerting.evaluation_interval.seconds
    of = names_for(settings)
    groups = {"ours": ours(settings), "workbook": _within_minutes(workbook(settings))}
    with tempfile.TemporaryDirectory() as folder:
        prometheus = Prometheus(Path(folder), version)
        prometheus.take(scraped(settings, fleet, END - _MINUTES, END), HTTP_SERVER_REQUEST_DURATION.name)
        prometheus.take(processes(settings, fleet, END - _MINUTES, END), *PROCESSES)
        new, quarters = [of.new_bad, of.new_requests], [of.bad_by_quarter, of.requests_by_quarter]
        for start in range(END - period, END, DAY):  # a day at a time: promtool reads the whole file for every block
            seconds = range(start, min(start + DAY, END), every)
            prometheus.take(recorded(fleet, new, seconds), *new)
            prometheus.take(
                recorded(fleet, quarters, [second for second in seconds if second % _QUARTER < every]), *quarters
            )
        minutes, edges = range(END - _MINUTES, END, every), edges_of(settings)
        prometheus.take(recorded(fleet, [of.new_errors], minutes), of.new_errors)
        prometheus.take(recorded(fleet, [of.new_in_buckets], minutes, edges), of.new_in_buckets)
        before = range(END - remembered(settings).seconds, END, every)
        for name, parts in ((of.request_totals, ()), (of.error_totals, ()), (of.bucket_totals, edges)):
            prometheus.take(totals(fleet, name, parts, before), name)
        for group in groups.values():
            recording = [rule for rule in group["rules"] if "record" in rule]
            for layer in layers(recording):
                prometheus.record(
                    layer, every, END - every + 1, END
                )  # one evaluation, at a second that promtool chooses
        with prometheus.running() as client:
            costs = {owner: [_cost(client, rule) for rule in group["rules"]] for owner, group in groups.items()}
    nothing = [name for rules in costs.values() for name, cost in rules if not cost.samples]
    if nothing:
        raise MeasurementError(f"These rules read no samples: {', '.join(nothing)}.", code="nothing_read")
    return costs


def table(settings: Settings, fleet: Fleet, results: Mapping[str, list[tuple[str, Cost]]]) -> Table:
    """The results, as a table."""
    rows: list[Row] = []
    for owner, rules in results.items():
        rows += [_row(owner, name, cost) for name, cost in rules]
        rows.append(_row(owner, "**all**", Cost(sum(c.seconds for _, c in rules), sum(c.samples for _, c in rules))))
    total = sum(cost.seconds for _, cost in results["ours"])
    every = settings.alerting.evaluation_interval
    return Table(
        name="rules",
        title=f"One evaluation of the HTTP rules: {fleet}",
        note=f"{series(settings, fleet):,} series of the histogram. Our {len(results['ours'])} rules keep one core busy for "
        f"{total / every.seconds:.1%} of the time when they are evaluated every {every}. The table contains only the "
        "workbook's rules with the five-minute window; its windows of an hour to three days also read the raw histogram, with "
        "12 to 864 times as many samples.",
        columns=(
            Column(key="owner", title="whose"),
            Column(key="rule", title="rule"),
            Column(key="milliseconds", title="ms", digits=1),
            Column(key="samples", title="samples read", digits=0),
        ),
        rows=tuple(rows),
    )


def _row(owner: str, name: str, cost: Cost) -> Row:
    return {"owner": owner, "rule": name, "milliseconds": 1000 * cost.seconds, "samples": cost.samples}


def _cost(client: httpx.Client, rule: Mapping[str, str]) -> tuple[str, Cost]:
    name = rule.get("record") or f"{rule['alert']} ({rule['labels']['severity']})"  # type: ignore[index]
    return name, min(cost_of(client, rule["expr"], END) for _ in range(_REPEATS))


def _within_minutes(group: Group) -> Group:
    return {**group, "rules": [rule for rule in group["rules"] if rule.get("record", "").endswith("rate5m")]}
