"""Windows of days, read every quarter of an hour, count each event once, at any evaluation interval of the rules."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from alerts.recording.services import recorded
from instrumentation.settings import parse_settings
from sidelight.toolchain import tool
from tests.support.histories import HOUR, MINUTE, SCRAPE, Service, Shares
from tests.support.rule_sets import ours

if TYPE_CHECKING:
    from pathlib import Path

HOURS, BAD_HOURS, SHARE = 4, 2, 0.1  # a tenth fails in the first half


def failed(history: list[dict[str, str]]) -> int:
    """The requests that failed after the first scrape."""
    (counter,) = (one["values"] for one in history if "_count" in one["series"] and 'error_type="500"' in one["series"])
    first, *_, last = map(int, counter.split())
    return last - first


@pytest.mark.parametrize("interval", ["30s", "1m", "2m", "150s"])
@pytest.mark.parametrize("version", ["promtool", "promtool-oldest"])
def test_a_day_remembers_what_its_last_quarter_has_not_seen(version: str, interval: str, tmp_path: Path) -> None:
    settings = parse_settings({"alerting": {"evaluation_interval": interval}})
    group = ours(settings)
    recording = {**group, "rules": [rule for rule in group["rules"] if "record" in rule]}
    service = Service(
        job="shop",
        rate=10.0,
        seconds=HOURS * HOUR + MINUTE,
        shares=lambda second: Shares(failed=SHARE if second < BAD_HOURS * HOUR else 0.0),
    )
    history = list(service.series())
    burn = SHARE * BAD_HOURS / HOURS / (1 - settings.slo.availability)
    quarters = f'sum_over_time({recorded(settings).bad_by_quarter}{{slo="availability"}}[1d])'
    windows = [f'job_slo:error_budget_burn:ratio_rate{window}{{slo="availability"}}' for window in ("1d", "3d", "30d")]
    test = {
        "interval": f"{SCRAPE}s",
        "input_series": history,
        "promql_expr_test": [
            {
                "expr": f"max by (job) ({quarters})",
                "eval_time": f"{HOURS}h",
                "exp_samples": [{"labels": '{job="shop"}', "value": failed(history)}],
            },
            *(
                {
                    "expr": f"count by (job) ({window} > {0.9 * burn} < {1.1 * burn})",
                    "eval_time": f"{HOURS}h",
                    "exp_samples": [{"labels": '{job="shop"}', "value": 1}],
                }
                for window in windows
            ),
        ],
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [recording]}))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": interval, "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [tool(version), "test", "rules", tmp_path / "test.yaml"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
