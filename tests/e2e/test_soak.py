"""Four workers under load, one killed every two seconds: every request is counted once, and nothing grows."""

from __future__ import annotations

import pytest

from benchmarks.soak.run import soak
from benchmarks.soak.verdict import checks

SECONDS = 20.0


@pytest.mark.timeout(120)
def test_four_workers_under_load_and_kill_9_count_every_request_once() -> None:
    found = checks(soak(SECONDS, requests=100_000), SECONDS)
    assert [f"{check.what}: {check.seen}" for check in found if not check.holds] == []
    assert len(found) > 10
