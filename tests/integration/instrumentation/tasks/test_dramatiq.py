"""Messages of the real Dramatiq on the real Redis, with several processes of workers that count together."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.toolchain import processes
from sidelight.toolchain.processes import LOOPBACK
from tests.integration.instrumentation.frameworks.environments import ROOT, TABLE, environment
from tests.support.task_queues import SECONDS, Page, example, redis, until

if TYPE_CHECKING:
    from collections.abc import Iterator

(VERSIONS,) = [row["versions"] for row in TABLE["task_queues"] if row["library"] == "Dramatiq"]
WORKERS = 2

MODES = """

@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=2)
def odd(mode):
    if mode == "fail":
        raise ValueError("seven")

@dramatiq.actor(max_age=1)
def stale():
    pass
"""

ENQUEUE = """
import time
from tasks import odd, send_receipt, stale
from instrumentation.correlation import _current
from instrumentation.store import default_store

_current.set("request-7")
for number in range(20):
    send_receipt.send(number)
odd.send("fail")
odd.send_with_options(args=("late",), delay=1)
stale.send()
time.sleep(0.01)  # it may be 1 ms old
print({series.labels[0]: series.slots[0] for series in default_store().series() if "created" in series.metric.name})
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("dramatiq")
    port = processes.free_port()
    programs = environment(VERSIONS)
    with redis(folder) as broker:
        (folder / "tasks.py").write_text(example("Dramatiq").replace("redis://localhost", broker) + MODES)
        (folder / "enqueue.py").write_text(ENQUEUE)
        (folder / "sidelight.yaml").write_text(json.dumps({"service": {"name": "worker"}, "metrics": {"port": port}}))
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
        enqueued = subprocess.run(
            (programs / "python", "enqueue.py"),
            cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=True,
        )  # fmt: skip
        assert enqueued.stdout == "{'send_receipt': 20.0, 'odd': 2.0, 'stale': 1.0}\n", enqueued
        argv = (programs / "dramatiq", "tasks", "--processes", str(WORKERS), "--threads", "2")
        page = Page(f"http://{LOOPBACK}:{port}/metrics", folder / "log")
        with processes.start(argv, log=folder / "log", ready=page.url, env=env, cwd=folder):
            until(lambda: sum(page.samples("workflow_executions_total").values()) >= 23)
            yield page


def test_every_message_ends_once_whichever_worker_has_it(ran: Page) -> None:
    executions = ran.samples("workflow_executions_total")
    assert {key: count for key, count in executions.items() if count} == {
        ("success", "send_receipt"): 20,
        ("success", "odd"): 1,
        ("failure", "odd"): 1,
        ("cancelled", "stale"): 1,
    }
    assert ran.samples("retries_total") == {("odd",): 1}
    assert ran.samples("sidelight_workers") == {(): WORKERS}


def test_the_waiting_time_of_a_message_does_not_contain_its_delay(ran: Page) -> None:
    assert ran.samples("workflow_wait_seconds_count")["send_receipt",] == 20
    assert ran.samples("workflow_wait_seconds_count")["odd",] == 3


def test_lines_of_a_message_have_the_id_of_the_request(ran: Page) -> None:
    lines = [json.loads(line) for line in ran.log.read_text().splitlines() if '"receipt 7"' in line]
    assert [line["correlation_id"] for line in lines] == ["request-7"]


def test_the_depth_of_the_queue_is_read(ran: Page) -> None:
    assert ran.samples("queue_depth") == {("default",): 0}
