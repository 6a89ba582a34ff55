"""The programs that read the generated files accept them."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from instrumentation.settings import Settings, parse_settings
from sidelight.toolchain import tool
from tests.support.mutants import passing, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS: dict[str, object] = {
    "labels of requests": {
        "http": {
            "labels": {"tenant": {"header": "x-tenant", "rules": True}, "region": {"state": "region", "rules": True}}
        },
        "alerting": {"group_by": ["job", "namespace"]},
    },
    "a budget": {"budget": {"daily_usd": 10.0}},
    "other thresholds": {
        "thresholds": {
            "error_ratio": {"warning": 0.003, "critical": 0.25},
            "latency_p95_seconds": {"warning": 0.33, "critical": 30.0},
            "cpu_used_ratio": {"warning": 0.3, "critical": 0.31},
            "memory_used_ratio": {"warning": 0.5, "critical": 0.99},
            "disk_used_ratio": {"warning": 0.7, "critical": 0.7},
            "disk_full_ratio": 0.71,
            "queue_depth": {"warning": 1, "critical": 7},
            "queue_oldest_age_seconds": {"warning": 0.5, "critical": 0.7},
            "workflow_failure_ratio": {"warning": 0.3, "critical": 0.9},
        },
        "budget": {"daily_usd": 0.007, "spent_ratio": {"warning": 0.333, "critical": 1.5}},
        "alerting": {"minimum_bad_events": 7},
    },
    "overrides and more labels": {
        "thresholds": {
            "overrides": [
                {
                    "match": {"job": "search"},
                    "latency_p95_seconds": {"critical": 2.2, "warning": 1.3},
                    "daily_usd": 3.5,
                },
                {"match": {"namespace": "batch", "job": "nightly"}, "error_ratio": {"critical": 0.2, "warning": 0.1}},
                {
                    "match": {"job": "search", "queue": "mails"},
                    "queue_depth": {"critical": 5000},
                    "queue_oldest_age_seconds": {"critical": 7200},
                },
                {"match": {"path": "/static"}, "disk_used_ratio": {"warning": 0.98, "critical": 0.99}},
                {"match": {"workflow": "risky"}, "workflow_failure_ratio": {"warning": 0.3, "critical": 0.6}},
                {
                    "match": {"namespace": "batch"},
                    "cpu_used_ratio": {"warning": 0.98, "critical": 0.99},
                    "memory_used_ratio": {"warning": 0.93},
                },
            ]
        },
        "alerting": {"group_by": ["job", "namespace"], "workload_job": "{namespace}/{workload}"},
        "slo": {
            "availability": 0.97,
            "latency": {"ratio": 0.95, "seconds": 1.0},
            "period": "7d",
            "overrides": [
                {"match": {"job": "search"}, "availability": 0.9, "latency": {"seconds": 2.2}},
                {"match": {"namespace": "batch"}, "latency": {"ratio": 0.5}},
            ],
        },
    },
    "other words, labels and links": {
        "alerting": {
            "severities": {"critical": "page", "warning": "ticket", "info": "event", "none": "heartbeat"},
            "labels": {"team": "shop"},
            "runbook_url": "https://wiki.example/{alert}?{labels}",
        },
        "dashboards": {"base_url": "https://grafana.example"},
    },
    "other times": {
        "metrics": {"scrape_interval": "30s"},
        "alerting": {
            "window": "3m",
            "evaluation_interval": "20s",
            "for": {"critical": "1m", "warning": "10m", "info": "3m"},
            "keep_firing_for": "30s",
            "deployment_lookback": "1h",
            "workflow_window": "20m",
            "trend": {
                "window": "20m",
                "queue_drained_within": "30m",
                "memory_full_within": {"warning": "1h", "critical": "40m"},
                "disk_window": "2h",
                "disk_full_within": {"warning": "12h", "critical": "2h"},
            },
        },
        "budget": {"daily_usd": 100.0},
    },
    "the demo's times": {
        "metrics": {"scrape_interval": "1s"},
        "alerting": {
            "window": "10s",
            "evaluation_interval": "1s",
            "for": {"critical": "3s", "warning": "5s", "info": "2s"},
            "keep_firing_for": "2s",
            "deployment_lookback": "25s",
            "workflow_window": "40s",
            "restarts": {"window": "1m", "minimum": 4},
            "trend": {
                "window": "1m",
                "queue_drained_within": "1m",
                "memory_full_within": {"warning": "2m", "critical": "1m"},
                "disk_window": "2m",
                "disk_full_within": {"warning": "3m", "critical": "2m"},
            },
        },
    },
}
OLDEST = [("promtool-oldest", name) for name in ("a budget", "overrides and more labels")]  # each takes long
TESTS = ("rules_test.yaml", "rules_slow_test.yaml", "rules_slo_test.yaml")
BUDGET = parse_settings(SETTINGS["a budget"] | {"alerting": {"group_by": ["job"]}})  # with a budget there is every rule


def run(*argv: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in argv], cwd=cwd, capture_output=True, text=True, timeout=900, check=False
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def test_prometheus_accepts_the_rules_and_their_tests_hold(tmp_path: Path) -> None:
    files = generated(BUDGET)
    write(tmp_path, files)
    tested = run(tool("promtool"), "test", "rules", *TESTS, cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(("promtool", "name"), [*(("promtool", name) for name in SETTINGS), *OLDEST])
def test_prometheus_accepts_the_rules_of_other_settings_too(promtool: str, name: str, tmp_path: Path) -> None:
    files = generated(parse_settings(SETTINGS[name]))
    write(tmp_path, files)
    checked = run(tool(promtool), "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tests = [*each_with_its_groups(tmp_path, files)]
    tested = run(tool(promtool), "test", "rules", *tests, cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def each_with_its_groups(folder: Path, files: dict[str, str]) -> Iterator[str]:
    """Write each test beside the groups of rules that it reads, since promtool evaluates all groups that it is given.

    Returns:
        The names of the test files.
    """
    rules = read(files["rules.yaml"])
    home: dict[str, set[str]] = {}
    for group in rules["groups"]:
        for rule in group["rules"]:
            home.setdefault(rule.get("record") or rule["alert"], set()).add(group["name"])
    reads = {
        group["name"]: set().union(*(_groups_of(rule["expr"], home) for rule in group["rules"]))
        for group in rules["groups"]
    }
    for file in TESTS:
        document = read(files[file])
        sets: dict[frozenset[str], list[Any]] = {}
        for test in document["tests"]:
            expressions = [one["expr"] for one in test.get("promql_expr_test", ())]
            names = [one["alertname"] for one in test.get("alert_rule_test", ())]
            sets.setdefault(_closed(_groups_of(" ".join([*expressions, *names]), home), reads), []).append(test)
        assert sum(map(len, sets.values())) == len(document["tests"])
        for number, (groups, tests) in enumerate(sets.items()):
            name = f"{number}-{file}"
            (folder / f"rules-of-{name}").write_text(
                json.dumps({"groups": [group for group in rules["groups"] if group["name"] in groups]})
            )
            order = [group for group in document["group_eval_order"] if group in groups]
            own = {"rule_files": [f"rules-of-{name}"], "group_eval_order": order, "tests": tests}
            (folder / name).write_text(json.dumps(document | own))
            yield name


def _groups_of(text: str, home: dict[str, set[str]]) -> set[str]:
    return set().union(*(home.get(word, set()) for word in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text)))


def _closed(groups: set[str], reads: dict[str, set[str]]) -> frozenset[str]:
    while more := set().union(*(reads[group] for group in groups)) - groups:
        groups = groups | more
    assert groups, "a test of no rule"
    return frozenset(groups)


def test_alerts_hold_where_groups_read_what_others_recorded_an_evaluation_before(tmp_path: Path) -> None:
    files = generated(Settings())
    order = [group["name"] for group in yaml.safe_load(files["rules.yaml"])["groups"]]
    for name in TESTS:
        files[name] = yaml.safe_dump(yaml.safe_load(files[name]) | {"group_eval_order": order[::-1]})
    write(tmp_path, files)
    # Not the test of rare failures: evaluated every three minutes as it is, one evaluation is more than its incident lasts.
    reading = "ErrorBudgetBurn (fires a|is not)|instance is up|of two is down|ScrapeSlow|ServiceAbsent"
    tested = run(tool("promtool"), "test", "rules", "--run", reading, *TESTS, cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


MANY_OVERRIDES = {
    "thresholds": {
        "overrides": [
            {"match": {"job": f"job-{number}"}, "queue_depth": {"critical": 2000 + number}} for number in range(40)
        ]
    },
    "signals": [
        {
            "name": "orders_placed",
            "kind": "counter",
            "help": "Orders placed.",
            "alerts": [
                {
                    "alert": "OrdersStopped",
                    "rate": {"below": {"warning": 700, "critical": 7}},
                    "overrides": [
                        {"match": {"job": f"job-{number}"}, "warning": 70, "critical": number + 1}
                        for number in range(40)
                    ],
                }
            ],
        }
    ],
}


@pytest.mark.parametrize("name", [*SETTINGS, "many overrides"])
def test_the_files_are_within_the_default_limits_of_mimir(name: str) -> None:
    """Of 3.0: ruler_max_rules_per_rule_group, ruler_max_rule_groups_per_tenant, max_label_names_per_series and others."""
    files = generated(parse_settings({**SETTINGS, "many overrides": MANY_OVERRIDES}[name]))
    written = read(files["rules.yaml"])["groups"]
    assert len(written) <= 70
    assert len({group["name"] for group in written}) == len(written)
    assert max(len(group["rules"]) for group in written) <= 20
    for rule in (rule for group in written for rule in group["rules"]):
        labels = rule.get("labels", {})
        assert len(labels) <= 25  # of 30, with those of the identity
        assert all(len(label) <= 1024 and len(value) <= 2048 for label, value in labels.items())


MUTATIONS = {
    ("http", "HighErrorRate|failed requests"): {
        "the critical threshold moves up": ("ratio_rate5m > 0.05", "ratio_rate5m > 0.0502"),
        "the critical threshold moves down": ("ratio_rate5m > 0.05", "ratio_rate5m > 0.0498"),
        "the warning threshold moves up": ("ratio_rate5m > 0.01", "ratio_rate5m > 0.0102"),
        "one bad event is enough": ("errors:increase5m >= 3", "errors:increase5m >= 1"),
        "one event more is needed": ("errors:increase5m >= 3", "errors:increase5m >= 4"),
        "an alert does not wait": ("for: 2m", "for: 0s"),
        "an alert never ends": ("keep_firing_for: 2m", "keep_firing_for: 2h"),
        "a sentence changes": ("The error ratio of", "The errors of"),
    },
    ("http", "the error ratio"): {
        "errors are absent, not 0": ("\n      or\n      0 * job_instance:http_server_requests:sum", ""),
        "only an error_type is an error": (
            ' or http_server_request_duration_seconds_count{error_type="", http_response_status_code=~"5.."}',
            "",
        ),
        "whatever breaks off is well": ('{error_type!=""}', '{error_type="500"}'),
        "a client's fault is an error": ('=~"5.."', '=~"[45].."'),
        "idle services divide by 0": (
            "(job:http_server_requests:increase5m > 0)",
            "job:http_server_requests:increase5m",
        ),
    },
    ("http", "HighLatencyP95|slow requests|slow start"): {
        "a comparison turns round": ("p95_rate5m > 1\n", "p95_rate5m < 1\n"),
        "the threshold leaves its edge": ("p95_rate5m > 0.5\n", "p95_rate5m > 0.51\n"),
        "a slow start of all instances is a page": (
            "\n      unless on (job) max by (job) (time() - process_start_time_seconds) >= 0 < 420",
            "",
        ),
        "the quantile is another": ("histogram_quantile(0.95", "histogram_quantile(0.9"),
        "one slow request is enough": ("}) >= 3", "}) >= 1"),
        "buckets that are born are lost": (
            "\n        or\n        job_instance_le:http_server_request_duration_seconds_bucket:sum unless",
            "\n        and\n        job_instance_le:http_server_request_duration_seconds_bucket:sum unless",
        ),
    },
    ("http", "failed requests are counted"): {
        "both copies of a pair count": (
            "sum by (job, instance, prometheus_replica, replica, __replica__)",
            "sum by (job, instance)",
        ),
        "whatever an instance shows for the first time counts": (
            " and on (job, instance) process_start_time_seconds > time() - 300",
            "",
        ),
        "a young process counts from its first scrape on alone": ("> time() - 300", "> time() + 300"),
        "an instance has no number before its first request": (
            "\n      or\n      0 * max by (job, instance) (target_info)",
            "",
        ),
        "an instance that is gone is read again": (">= 0 and job_instance:http_server_request_errors:sum\n", ">= 0\n"),
        "what falls counts": (
            ">= 0 and job_instance:http_server_request_errors:sum",
            "> -1e9 and job_instance:http_server_request_errors:sum",
        ),
    },
    ("http", "the p95"): {"an idle p95 is NaN": (" >= 0\n", "\n")},
    ("http slo", "ErrorBudgetBurn"): {
        "a slower pace is enough for a page": (
            "rate6h > 6 and (job_slo:error_budget_burn:ratio_rate30m > 6",
            "rate6h > 5.8 and (job_slo:error_budget_burn:ratio_rate30m > 5.8",
        ),
        "a page needs a faster pace": ("rate6h > 6 ", "rate6h > 6.2 "),
        "an hour needs a faster pace": ("rate1h > 14.4 ", "rate1h > 14.8 "),
        "a slower pace is enough for an hour": (
            "rate1h > 14.4 and (job_slo:error_budget_burn:ratio_rate5m > 14.4",
            "rate1h > 14 and (job_slo:error_budget_burn:ratio_rate5m > 14",
        ),
        "a past outage still fires": (
            " and (job_slo:error_budget_burn:ratio_rate30m > 6 or",
            " and (job_slo:error_budget_burn:ratio_rate30m >= 0 or",
        ),
        "a ticket needs a faster pace": ("rate3d > 1 ", "rate3d > 1.1 "),
        "what is kept is a ticket": (
            "rate3d > 1 and (job_slo:error_budget_burn:ratio_rate6h > 1",
            "rate3d > 0.9 and (job_slo:error_budget_burn:ratio_rate6h > 0.9",
        ),
        "a window without requests is a recovery": (" > 0.9999 unless", " > 1.9999 unless"),
        "slow is not bad": ('"slo", "latency", "", "")\n', '"slo", "availability", "", "")\n'),
        "another objective": ("+ 0.999,", "+ 0.99,"),
        "one incident is two pages": (
            "\n      unless on (job, slo) (\n",
            "\n      unless on (job, slo) (absent(vector(1)) and\n",
        ),
        "one bad request is a page": ("bad:increase[6h]) >= 3", "bad:increase[6h]) >= 1"),
        "one bad request more is needed": ("bad:increase[6h]) >= 3", "bad:increase[6h]) >= 4"),
        "an average stands for a count": (
            "sum_over_time(job_slo:http_server_requests_bad:increase[6h]) >= 3",
            "120 * 6 * avg_over_time(job_slo:http_server_requests_bad:increase[6h]) >= 3",
        ),
    },
    ("deployment", "DeploymentCompleted"): {
        "a rollout counts while the old version runs": (") == 1) + time()", ") >= 1) + time()"),
        "a first install counts": (" and on (job) job:target_info:time_replaced", ""),
        "it never ends": ("\n      unless max_over_time", "\n      or max_over_time"),
        "it lasts longer": ("time_alone[1d] offset 15m", "time_alone[1d] offset 30m"),
        "any version that was alone was replaced": (" unless job_service_version:target_info:count)", ")"),
    },
    ("availability", "instance is up|of two is down|that is not instrumented"): {
        "jobs that are not ours are watched": ("and on (job) max_over_time", "unless on (job) max_over_time"),
        "one instance up of two counts as none": ("sum by (job) (up) == 0", "min by (job) (up) == 0"),
        "a pair counts twice": (
            "count by (job) (max by (job, instance) (up) == 0) > 0",
            "count by (job) (up == 0) > 0",
        ),
    },
    ("queues", "QueueBacklogGrowing"): {
        "the critical threshold moves up": ("depth:max > 1000\n", "depth:max > 1002\n"),
        "the warning threshold moves down": (" > 100\n", " > 98\n"),
        "items that come at once are a backlog": (
            "\n      and predict_linear(job_queue:queue_depth:max[15m] offset 15m, 3600) > 1000",
            "",
        ),
        "a queue that drains is one too": (
            "\n      and predict_linear(job_queue:queue_depth:max[15m], 3600) > 1000",
            "",
        ),
        "nobody looks at the oldest item": ("age_seconds:max > 3600", "age_seconds:max > 36000"),
        "old items that are taken count": (
            "\n      and predict_linear(job_queue:queue_oldest_age_seconds:max[15m], 3600) > 3600",
            "",
        ),
        "each instance's view is added": ("max by (job, queue) (queue_depth)", "sum by (job, queue) (queue_depth)"),
    },
    ("resources", "CPUSaturated"): {
        "the critical threshold moves up": ("ratio_rate5m > 0.95\n", "ratio_rate5m > 0.9502\n"),
        "a peak counts": (
            "\n      and avg_over_time(job_instance:cpu_used_per_available:ratio_rate5m[15m] offset 15m) > 0.8",
            "",
        ),
        "a pause does not count": (
            "\n      and avg_over_time(job_instance:cpu_used_per_available:ratio_rate5m[15m]) > 0.95",
            "",
        ),
        "a young instance is never busy": (" and 0 * job_instance", " and -1 + 0 * job_instance"),
        "without a container nothing is seen": (" or sum by (job, instance) (rate(process_cpu_seconds_total[5m]))", ""),
        "cores are not counted": (" / (sum by (job, instance) (cpu_available_cores) > 0)", ""),
    },
    ("resources", "MemoryNearLimit"): {
        "the warning threshold moves up": ("per_limit:ratio > 0.85", "per_limit:ratio > 0.9"),
        "a step counts": (
            "\n      and predict_linear(job_instance:container_memory_used_per_limit:ratio[15m] offset 15m, 14400) > 1",
            "",
        ),
        "a step counts later": (
            "\n      and predict_linear(job_instance:container_memory_used_per_limit:ratio[15m], 14400) > 1",
            "",
        ),
        "any trend counts": ("offset 15m, 3600) > 1", "offset 15m, 3600) > 0.1"),
    },
    ("resources", "DiskFillingUp"): {
        "the critical threshold moves down": ("per_size:ratio > 0.9\n", "per_size:ratio > 0.8998\n"),
        "a step counts": (
            "\n      and predict_linear(job_instance_path:disk_used_per_size:ratio[3h] offset 3h, 86400) > 1",
            "",
        ),
        "a step counts later": (
            "\n      and predict_linear(job_instance_path:disk_used_per_size:ratio[3h], 14400) > 1",
            "",
        ),
        "a full disk does not fire": ("\n      or\n      job_instance_path:disk_used_per_size:ratio > 0.95", ""),
        "the limit itself counts as full": ("per_size:ratio > 0.95", "per_size:ratio >= 0.95"),
    },
    ("workflows", "WorkflowFailures|nothing fails any more"): {
        "the warning threshold moves up": ("rate1h > 0.05", "rate1h > 0.0502"),
        "one failure is enough": ("workflow_failures:increase1h >= 3", "workflow_failures:increase1h >= 1"),
        "the first failures are lost": (
            "\n        or\n        job_instance_workflow:workflow_failures:sum unless",
            "\n        and\n        job_instance_workflow:workflow_failures:sum unless",
        ),
        "cancelled counts as failed": ('outcome="failure"', 'outcome!="success"'),
        "a past outage still fires": (
            "\n      and job_workflow:workflow_failures_per_executions:ratio_rate30m > 0.2",
            "",
        ),
        "each instance by itself": ("sum by (job, workflow) (\n", "max by (job, workflow) (\n"),
    },
    ("cost", "DailyCostOverBudget"): {
        "the critical threshold moves up": ("increase_today > 10", "increase_today > 10.02"),
        "the warning threshold moves up": ("increase_today > 8", "increase_today > 8.02"),
        "the cost of the first execution is not counted": (
            "\n      or\n      0 * max by (job, instance) (target_info)",
            "",
        ),
        "a restart gives money back": ("(increase(job_instance_day", "(delta(job_instance_day"),
        "all that was ever spent counts": (
            "increase(job_instance_day:workflow_cost_usd_total:sum[1d])",
            "job_instance_day:workflow_cost_usd_total:sum",
        ),
    },
    ("availability", "ServiceAbsent"): {
        "what is there is gone": ("unless on (job) job_service_version:target_info:count", "and on (job) up"),
        "what is down is gone": ("\n      unless on (job) sum by (job) (up) == 0", ""),
        "it must have targets": (
            "unless on (job) job_service_version:target_info:count",
            "unless on (job) up",
        ),
        "what sleeps is gone": (
            "or\n        label_replace(kube_statefulset_replicas",
            "unless\n        (kube_statefulset_replicas",
        ),
        "what should run sleeps": ('(.+)")\n      ) == 0', '(.+)")\n      ) >= 0'),
        "whatever sleeps stands for all": ('"deployment", "(.+)")', '"deployment", "(shop).*")'),
    },
    ("availability", "InstanceRestarting"): {
        "one restart more is needed": (
            ">= 3\n      or max by (job, instance) (resets(up",
            ">= 4\n      or max by (job, instance) (resets(up",
        ),
        "one restart less is enough": (
            ">= 3\n      or max by (job, instance) (resets(up",
            ">= 2\n      or max by (job, instance) (resets(up",
        ),
        "only scrapes count": ("resets(sidelight_scrape_seconds_count[2h]) or changes(", "changes("),
        "another SDK does not count": (" or changes(process_start_time_seconds[2h])", ""),
        "who comes and goes does not count": ("(resets(up[2h])) >= 3", "(resets(up[2h])) >= 300"),
    },
    ("http hanging", "RequestsHanging"): {
        "requests that end hang": ("\n      and job:http_server_requests:increase5m == 0", ""),
        "new requests hang": ("\n      and job:http_server_active_requests:sum offset 5m >= 3", ""),
        "streams hang": ("\n      - (max by", "\n      - 0 * (max by"),
        "one more must hang": (
            "job:http_server_active_requests:sum[5m]) >= 3",
            "job:http_server_active_requests:sum[5m]) >= 4",
        ),
        "one more must hang on an instance": (
            "instance:http_server_active_requests:sum[5m]) >= 3",
            "instance:http_server_active_requests:sum[5m]) >= 4",
        ),
        "requests that end hang on an instance": (
            "changes(job_instance:http_server_requests:sum[5m]) == 0",
            "job_instance:http_server_requests:sum",
        ),
    },
    ("workflows", "WorkflowKeepsFailing"): {
        "a success between does not count": (
            " == sum_over_time(job_workflow:workflow_executions:increase[",
            " <= sum_over_time(job_workflow:workflow_executions:increase[",
        ),
        "one failure less is enough": ("increase[7199999ms])) >= 3", "increase[7199999ms])) >= 2"),
    },
    ("availability", "HealthCheckFailing"): {
        "it must fail everywhere": ("(min by (job, instance, check)", "(max by (job, check)"),
        "what passes fails": ("(health_check_up) == 0) > 0", "(health_check_up) == 1) > 0"),
    },
    ("losses", "QueueReadFailing"): {
        "one failed read is enough": (") >= 3\n", ") >= 1\n"),
        "the first failures are not seen": (
            "\n        or\n        job_instance_queue:queue_read_failures:sum unless",
            "\n        and\n        job_instance_queue:queue_read_failures:sum unless",
        ),
    },
    ("losses", "AuditEntriesLost"): {
        "one lost entry does not count": (
            "audit_failures:increase[599999ms]) >= 1",
            "audit_failures:increase[599999ms]) >= 2",
        ),
        "what was ever lost counts": (
            "sum_over_time(job:audit_failures:increase[599999ms])",
            "sum by (job) (audit_failures_total)",
        ),
    },
    ("losses", "LogLinesLost"): {
        "a loss is forgotten before the alert fires": (
            "log_lines_lost:increase[599999ms]",
            "log_lines_lost:increase[1m]",
        ),
    },
    ("watchers", "series are folded|series is folded"): {
        "one instance counts": ("sum by (job) (increase(sidelight", "max by (job) (increase(sidelight"),
        "it always fires": (
            "(increase(sidelight_series_folded_total[10m])) > 0",
            "(increase(sidelight_series_folded_total[10m])) >= 0",
        ),
    },
    ("watchers", "ScrapeSlow|is slow"): {
        "the threshold moves up": ("[5m])) > 2.5", "[5m])) > 2.51"),
        "the threshold moves down": ("[5m])) > 2.5", "[5m])) > 2.49"),
        "jobs that are not ours are watched": ("\n      and on (job) job_service_version:target_info:count", ""),
    },
    ("watchers", "AuditTrailWentBack|trail"): {
        "a trail that stands still is watched": (
            "(audit_entries[20m]) - audit_entries) > 0",
            "(audit_entries[20m]) - audit_entries) >= 0",
        ),
        "a trail of long ago stands still": (
            "(audit_entries[1d:15m]) - audit_entries) > 0",
            "(audit_entries[1d:15m]) - audit_entries) >= 0",
        ),
        "a trail that was removed is forgotten within an hour": ("(audit_entries[1d:15m])", "(audit_entries[20m:15m])"),
        "instances are not told apart": (
            "max by (job, instance) (max_over_time(audit_entries[20m]",
            "max by (job) (max_over_time(audit_entries[20m]",
        ),
    },
    ("watchers", "StoreDegraded|count apart|count together"): {
        "it must be degraded twice": ("(sidelight_store_degraded) > 0", "(sidelight_store_degraded) > 1"),
        "every instance is degraded": ("(sidelight_store_degraded) > 0", "(sidelight_store_degraded) >= 0"),
        "instances are not told apart": (
            "max by (job, instance) (sidelight_store_degraded)",
            "max by (job) (sidelight_store_degraded)",
        ),
    },
    ("collector", "CollectorDroppingData|spans grows"): {
        "spans that do not fit are not a loss": (
            "(increase(otelcol_exporter_enqueue_failed_spans[10m])) > 0",
            "(increase(otelcol_exporter_enqueue_failed_spans[10m])) > 1e9",
        ),
        "refused spans are not a loss": (
            "(increase(otelcol_receiver_refused_spans[10m])) > 0",
            "(increase(otelcol_receiver_refused_spans[10m])) > 1e9",
        ),
        "what was ever lost counts": (
            "(increase(otelcol_exporter_send_failed_spans[10m])) > 0",
            "(otelcol_exporter_send_failed_spans) > 0",
        ),
    },
    ("collector availability", "CollectorMissing"): {
        "what sleeps is missing": ('"job", "$1-collector", "job", "(.+)")', '"job", "$1-", "job", "(.+)")'),
        "every target is a collector": (
            "\n      and on (job) max_over_time(job:otelcol_exporter_queue_size:count[1d])",
            "",
        ),
        "what is gone is well": (
            " or (max by (job) (max_over_time(job:otelcol_exporter_queue_size:count[1d]))",
            " or (max by (job) (max_over_time(job:otelcol_exporter_queue_size:count[1s]))",
        ),
        "what is down is well": (
            "(count by (job) (max by (job, instance) (up) == 0) or",
            "(count by (job) (max by (job, instance) (up) == 2) or",
        ),
    },
    ("collector", "CollectorQueueFilling"): {
        "the threshold moves up": ("queue_capacity) > 0.5", "queue_capacity) > 0.501"),
        "the threshold moves down": ("queue_capacity) > 0.5", "queue_capacity) > 0.499"),
    },
    ("dependencies", "DependencyFailing|failed calls"): {
        "the critical threshold moves up": ("_requests:ratio_rate5m > 0.5\n", "_requests:ratio_rate5m > 0.5002\n"),
        "the warning threshold moves down": ("_requests:ratio_rate5m > 0.1\n", "_requests:ratio_rate5m > 0.0998\n"),
        "one failed call is enough": (
            "job_server_address:http_client_request_errors:increase5m >= 3",
            "job_server_address:http_client_request_errors:increase5m >= 1",
        ),
        "a wrong call is a failure": ('error_type!="", http_response_status_code!~"4.."', 'error_type!=""'),
        "only an error_type is a failure": (
            ' or http_client_request_duration_seconds_count{error_type="", http_response_status_code=~"5.."}',
            "",
        ),
    },
    ("databases", "ConnectionPoolNearLimit"): {
        "the critical threshold moves up": ("per_max:ratio > 0.95", "per_max:ratio > 0.9502"),
        "the warning threshold moves down": ("per_max:ratio > 0.8\n", "per_max:ratio > 0.7998\n"),
        "idle connections are in use": ('{db_client_connection_state="used"}', ""),
    },
    ("databases", "RepeatedQueriesGrowing"): {
        "the threshold moves up": (") > 1\n      and on (job) time()", ") > 1.0002\n      and on (job) time()"),
        "the threshold moves down": (") > 1\n      and on (job) time()", ") > 0.9998\n      and on (job) time()"),
        "no deployment is needed": ("\n      and on (job) time() - job:target_info:time_replaced < 1800", ""),
        "a new route is left out": (
            " or 0 * job_http_route:db_client_repeated",
            " and 0 * job_http_route:db_client_repeated",
        ),
        "what was before does not matter": ("[1d] offset 30m)", "[1d] offset 30m) * 0"),
    },
    ("meta", "Watchdog"): {"the watchdog sleeps": ("vector(1)", "vector(1) < 1")},
}
"""Changes to the rules, by the groups that the tests need and the tests that must notice the changes."""


@cache
def made() -> tuple[str, dict[str, dict[str, Any]]]:
    """The rules as text, and each file of tests as data."""
    files = generated(BUDGET)
    return files["rules.yaml"], {name: read(files[name]) for name in TESTS}


@pytest.mark.parametrize("place", MUTATIONS, ids=[tests for _, tests in MUTATIONS])
def test_rules_pass_their_tests_and_none_that_is_wrong_does(place: tuple[str, str], tmp_path: Path) -> None:
    text, files = made()
    assert [name for name, (was, _) in MUTATIONS[place].items() if was not in text] == []
    mutants = {name: text.replace(was, becomes) for name, (was, becomes) in MUTATIONS[place].items()}
    rules = {name: needed(place, read(changed)) for name, changed in {"as it is": text, **mutants}.items()}
    # Only these tests with these groups, because promtool evaluates every group at every step.
    chosen = [
        {**file, "tests": tests, "group_eval_order": [group["name"] for group in rules["as it is"]["groups"]]}
        for file in files.values()
        if (tests := [test for test in file["tests"] if re.search(place[1], test["name"])])
    ]
    assert chosen
    assert passing(tmp_path, rules, chosen) == ["as it is"]


def needed(place: tuple[str, str], rules: dict[str, Any]) -> dict[str, Any]:
    names = {"sidelight.deployment", *(f"sidelight.{one}" for one in place[0].split())}
    return {"groups": [group for group in rules["groups"] if group["name"] in names]}


RECEIVERS: dict[str, Any] = {
    "default": {"webhook": {"url": "http://hooks.example/x"}},
    "critical": {
        "pagerduty": {"routing_key_file": "/run/secrets/pagerduty"},
        "slack": {"api_url_file": "/run/secrets/slack", "channel": "#page"},
    },
}


MAIL = {"to": "oncall@shop.example", "from": "alerts@shop.example", "smarthost": "smtp.shop.example:587"}
EVERYTHING: dict[str, Any] = {
    "receivers": {
        **RECEIVERS,
        "warning": {
            "email": {**MAIL, "auth_username": "alerts", "auth_password_file": "/run/secrets/smtp"},
            "opsgenie": {"api_key_file": "/run/secrets/opsgenie", "api_url": "https://api.eu.opsgenie.com/"},
        },
    },
    "teams": [
        {
            "name": "payments",
            "match": {"job": 'check"out\\', "team": "payments"},
            "receivers": {"critical": RECEIVERS["critical"], "info": {}},
        }
    ],
    "labels": {"team": "payments"},
    "mute_times": [
        {"name": "nights", "from": "22:00", "to": "06:30", "location": "Europe/Berlin"},
        {"name": "weekends", "weekdays": ["saturday", "sunday"], "severities": ["warning"]},
    ],
}


@pytest.mark.parametrize(
    "alerting", [{}, {"receivers": RECEIVERS}, EVERYTHING], ids=["none", "three kinds", "everything"]
)
def test_alertmanager_accepts_its_configuration(alerting: object, tmp_path: Path) -> None:
    settings = parse_settings({"alerting": alerting})
    write(tmp_path, generated(settings))
    checked = run(tool("amtool"), "check-config", "alertmanager.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=HighErrorRate", "severity=critical", "job=shop"], "critical"),
        (["alertname=HighErrorRate", "severity=warning", "job=shop"], "warning"),
        (["alertname=DeploymentCompleted", "severity=info", "kind=event", "job=shop"], "info"),
        (["alertname=Watchdog", "severity=none"], "watchdog"),
        (["alertname=SomethingOfTheUsers", "severity=page"], "default"),
    ],
)
def test_an_alert_is_routed_to_its_receiver(labels: list[str], receiver: str, tmp_path: Path) -> None:
    write(tmp_path, generated(Settings()))
    command = (tool("amtool"), "config", "routes", "test", "--config.file=alertmanager.yaml")
    right = run(*command, f"--verify.receivers={receiver}", *labels, cwd=tmp_path)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = run(*command, "--verify.receivers=nobody", *labels, cwd=tmp_path)
    assert wrong.returncode != 0


def test_every_rule_has_a_test_and_every_alert_one_that_fires() -> None:
    files = generated(BUDGET)
    rules = [rule for group in yaml.safe_load(files["rules.yaml"])["groups"] for rule in group["rules"]]
    fired = {
        (check["alertname"], alert["exp_labels"]["severity"])
        for name in TESTS
        for test in yaml.safe_load(files[name])["tests"]
        for check in test.get("alert_rule_test", [])
        for alert in check["exp_alerts"]
    }
    assert fired == {(rule["alert"], rule["labels"]["severity"]) for rule in rules if "alert" in rule}
