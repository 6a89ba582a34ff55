"""A thousand services with thresholds of their own: the rules load, and each service is judged by its own number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from alerts import groups
from alerts.model import to_rule_file
from instrumentation.settings import parse_settings
from sidelight.toolchain import tool
from tests.integration.alerts.test_rules import run

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = 1000
REQUESTS = 100_000  # of each service within a scrape


def test_a_thousand_services_are_judged_by_a_thousand_thresholds(tmp_path: Path) -> None:
    jobs = {f"service-{number:04}": 6000 + number for number in range(SERVICES)}  # job to failures that are allowed
    overrides = [
        {"match": {"job": job}, "error_ratio": {"critical": allowed / REQUESTS}} for job, allowed in jobs.items()
    ]
    made = groups(parse_settings({"thresholds": {"overrides": overrides}}))
    read = {"sidelight.http", "sidelight.override_error_ratio", "sidelight.overrides"}
    (tmp_path / "rules.yaml").write_text(to_rule_file(group for group in made if group.name in read))
    above = {job for job in jobs if int(job[-1]) < 5}

    def counter(job: str, status: str) -> dict[str, str]:
        failed = jobs[job] + (1 if job in above else -1)
        each = failed if status == "500" else REQUESTS - failed
        labels = f'job="{job}", instance="a", http_response_status_code="{status}"'
        return {"series": f"http_server_request_duration_seconds_count{{{labels}}}", "values": f"0+{each}x10"}

    firing = 'ALERTS{alertname="HighErrorRate", alertstate="firing", severity="critical", override="true"}'
    test = {
        "interval": "1m",
        "input_series": [counter(job, status) for job in jobs for status in ("200", "500")],
        "promql_expr_test": [
            {
                "expr": f"{firing} - 1",
                "eval_time": "10m",
                "exp_samples": [
                    {
                        "labels": f'{{alertname="HighErrorRate", alertstate="firing", job="{job}", override="true", severity="critical"}}',
                        "value": 0,
                    }
                    for job in sorted(above)
                ],
            }
        ],
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    checked = run(tool("promtool"), "check", "rules", "rules.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(tool("promtool"), "test", "rules", "test.yaml", cwd=tmp_path)
    assert tested.returncode == 0, (tested.stdout + tested.stderr)[-2000:]
