"""The checker knows which series an expression reads and which labels its result has."""

from __future__ import annotations

import pytest

from alerts.checking.promql import catalog_series, check, faults

SERIES = catalog_series(["job", "namespace"])

RETURNED = {
    "up": {"job", "instance", "namespace"},
    "sum by (job) (up)": {"job"},
    "sum(up)": set[str](),
    "topk(3, sum by (job) (up))": {"job"},
    "sum by (job) (rate(process_cpu_seconds_total[$__rate_interval])) * 100": {"job"},
    "histogram_quantile(0.9, sum by (job, le) (rate(http_server_request_duration_seconds_bucket[5m])))": {"job"},
    "up * on (instance) group_left (service_version) target_info": {"job", "instance", "namespace", "service_version"},
    "target_info * on (instance) group_right (service_version) up": {"job", "instance", "namespace", "service_version"},
    "up / on (job) target_info": {"job"},
    "sum by (job) (up) / ignoring (namespace) sum by (job, namespace) (up)": {"job"},
    'label_replace(sum by (job) (up), "team", "$1", "job", "(.*)")': {"job", "team"},
    "max_over_time(sum by (job) (up)[1h:1m])": {"job"},
    "-sum by (job) (up)": {"job"},
    "vector(1)": set[str](),
    'count_values("day", day_of_month())': {"day"},
    'sum by (job) (up) * on () group_left (day) count_values("day", day_of_month())': {"job", "day"},
    "sum by (job) (up) > 3": {"job"},
    "scalar(up) * sum by (job) (up)": {"job"},
    "sum by (job) (up) unless on (job) target_info": {"job"},
}


@pytest.mark.parametrize("expression", RETURNED)
def test_a_valid_expression_is_accepted(expression: str) -> None:
    checked = check(expression, SERIES)
    assert checked.faults == []
    assert checked.labels == RETURNED[expression]


WRONG = {
    "rate(http_requests_total[5m])": "reads 'http_requests_total', which is in no catalog row and no recording rule",
    'up{pod="a"}': "up: matches 'pod', which is not a label there",
    "sum by (route) (up)": "aggregates by 'route', which is not a label there",
    "sum without (job) (up)": "aggregates with 'without'; use 'by', so that a new label changes nothing",
    "up / on (version) target_info": "matches on 'version', which is not a label there",
    "sum by (job) (up) / up": "joins with '/' two sides that never match: only one has instance, namespace",
    "histogram_quantile(0.9, up)": "histogram_quantile needs 'le', which is not a label there",
    "sum by (job) (up": "is not PromQL: ",
}


@pytest.mark.parametrize("expression", WRONG)
def test_an_invalid_expression_is_reported(expression: str) -> None:
    assert faults(expression, SERIES)[0].startswith(WRONG[expression])
