"""Overhead of an audit entry for each ``audit.fsync``, and how fast a trail is verified."""

from __future__ import annotations

import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.auditing import Auditor
from instrumentation.auditing.entry import Given
from instrumentation.auditing.signing_keys import KEY_VARIABLE, audit_keys
from instrumentation.auditing.verify import verify
from instrumentation.settings import Settings, parse_settings
from instrumentation.store import LocalStore
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from benchmarks.effort import Effort
    from tests.support.tables import Row

ENTRIES = {"never": 5_000, "interval": 5_000, "always": 200}
WORKERS = 4
TO_VERIFY = 50_000
ENVIRON = {KEY_VARIABLE: "a key that only benchmarks use, of enough bytes"}
GIVEN = Given("user.login", "7f3c", "success", {"method": "password", "attempts": 1})
MICROSECONDS = 1e6
COLUMNS = (
    Column(key="what", title="what"),
    Column(key="cpu", title="us of CPU", digits=1),
    Column(key="clock", title="us on the clock", digits=1),
    Column(key="speed", title="MB/s", digits=0),
)


class _Cost(NamedTuple):
    cpu: float
    clock: float


def table(effort: Effort) -> Table:
    """Write entries into a temporary folder, with one and several workers, and verify a trail."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.log"
        rows = [
            *(_row(path, policy, workers, effort) for policy in ENTRIES for workers in (1, WORKERS)),
            _verifying(path.with_name("large.log"), effort),
        ]
    return Table(
        name="audit",
        title="Audit trail: one entry, and verifying",
        note="An entry of about 250 bytes, from the call of `audit()` to its return. With several workers, each writes as fast as it can, and the wall-clock time includes waiting for the others. Medians.",
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _row(path: Path, policy: str, workers: int, effort: Effort) -> Row:
    work = (path, policy)
    with get_context("spawn").Pool(workers) as pool:
        costs = [cost for _ in range(effort.repeats) for cost in pool.starmap(_cost, [work] * workers, chunksize=1)]
    name = f"fsync: {policy}" + (f", {workers} workers at once" if workers > 1 else "")
    return {
        "what": name,
        "cpu": statistics.median(cost.cpu for cost in costs),
        "clock": statistics.median(cost.clock for cost in costs),
    }


def _cost(path: Path, policy: str) -> _Cost:
    """Measure in a separate process."""
    auditor, times = _auditor(path, fsync=policy), ENTRIES[policy]
    auditor.write(GIVEN)
    cpu, clock = time.process_time(), time.perf_counter()
    for _ in range(times):
        auditor.write(GIVEN)
    each = MICROSECONDS / times
    cost = _Cost((time.process_time() - cpu) * each, (time.perf_counter() - clock) * each)
    auditor.flush()
    return cost


def _verifying(path: Path, effort: Effort) -> Row:
    auditor = _auditor(path, fsync="never", max_bytes=None)
    for _ in range(TO_VERIFY):
        auditor.write(GIVEN)
    keys = audit_keys(Settings(), ENVIRON)
    megabytes = path.stat().st_size / 1e6
    taken = []
    for _ in range(effort.repeats):
        began = time.process_time()
        verify([path], keys, {})
        taken.append(time.process_time() - began)
    median = statistics.median(taken)
    return {"what": "verify, for each entry", "cpu": median * MICROSECONDS / TO_VERIFY, "speed": megabytes / median}


def _auditor(path: Path, **audit: object) -> Auditor:
    auditor = Auditor(LocalStore())
    auditor.settle(parse_settings({"service": {"name": "shop"}, "audit": {"path": str(path), **audit}}), ENVIRON)
    return auditor
