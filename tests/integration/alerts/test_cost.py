"""The measured cost of the rules is what Prometheus reports for the generated rules."""

from __future__ import annotations

from instrumentation.settings import parse_settings
from tests.support.fleet import Fleet, series
from tests.support.rule_cost import measured, table
from tests.support.rule_sets import ours


def test_every_rule_is_measured_and_the_buckets_are_read_once() -> None:
    settings, fleet = parse_settings({"slo": {"period": "7d"}}), Fleet(services=3, pods=2, routes=2)
    results = measured(settings, fleet)
    raw = {name: cost.samples for name, cost in results["ours"]}
    edges = len(settings.duration_edges) + 1
    buckets = fleet.services * fleet.pods * fleet.routes * 2 * edges
    assert series(settings, fleet) == 3 * 2 * 2 * 2 * (edges + 1)
    assert raw["job_instance_le:http_server_request_duration_seconds_bucket:sum"] == buckets  # a sample of each
    reading = [rule["expr"].count("(http_server_request_duration_seconds_") for rule in ours(settings)["rules"]]
    assert sum(reading) == 1 + 2  # the buckets, and the count of all and of the failed
    assert all(cost.seconds > 0 and cost.samples > 0 for _, cost in results["ours"])
    rows = table(settings, fleet, results).rows
    assert [row["rule"] for row in rows].count("**all**") == 2
