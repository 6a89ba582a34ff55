"""Four workers under load, one killed every two seconds: every request is counted once, and nothing grows."""

from __future__ import annotations

import pytest

from tests.support.servers import SERVERS
from tests.support.soak.run import soak
from tests.support.soak.verdict import checks

SECONDS = {"uvicorn": 9.0, "gunicorn": 6.0, "granian": 6.0, "hypercorn": 5.0}  # a minute with all starts and ends


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", SERVERS)
def test_four_workers_under_load_and_kill_9_count_every_request_once(server: str) -> None:
    observed = soak(SECONDS[server], requests=100_000, server=server)
    found = checks(observed, SECONDS[server])
    assert [f"{check.what}: {check.seen}" for check in found if not check.holds] == []
    assert len(found) > 10
    assert bool(observed.killed) == bool(SERVERS[server].victims)
