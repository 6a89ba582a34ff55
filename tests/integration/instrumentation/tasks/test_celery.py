"""Tasks of the real Celery on the real Redis: counted once, with the ids of the request that enqueued them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sidelight.demo.spans import receiving
from sidelight.toolchain import processes
from sidelight.toolchain.processes import LOOPBACK
from tests.integration.instrumentation.frameworks.environments import CONSTRAINTS, ROOT, TABLE, environment
from tests.support.task_queues import SECONDS, Page, example, redis, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.demo.spans import Spans
    from sidelight.toolchain.processes import Process

PINS = dict(
    line.split("==") for line in CONSTRAINTS.read_text().splitlines() if line.count("==") == 1 and ";" not in line
)
NEEDED = {name: pin for name, pin in PINS.items() if name.startswith("opentelemetry-") and "grpc" not in name}
(CELERY,) = [row["versions"] for row in TABLE["task_queues"] if row["library"] == "Celery"]
VERSIONS = {**CELERY, **NEEDED}
TASK = "tasks.send_receipt"

MODES = """

import logging, os
from opentelemetry import trace

@app.task(bind=True, max_retries=2)
def odd(self, mode):
    logging.getLogger("shop").info("odd %s", mode)
    if mode == "retry" and self.request.retries < 2:
        raise self.retry(countdown=0)
    if mode == "fail":
        raise ValueError("seven")
    if mode == "die":
        trace.get_tracer_provider().force_flush()  # of the tasks that this process ran before
        os.kill(os.getpid(), 9)
"""

ENQUEUE = """
import sys
from fastapi_free import bound
from tasks import app, odd, send_receipt
import instrumentation
from instrumentation.store import default_store

with instrumentation.instrument_process(), bound("request-7"):
    from opentelemetry import trace
    with trace.get_tracer("test").start_as_current_span("request"):
        send_receipt.delay(7)
    for mode in ("retry", "fail", "die"):
        odd.delay(mode)
    odd.apply_async(("late",), countdown=1)
    odd.apply_async(("expired",), expires=-1)
    for series in default_store().series():
        if series.metric.name == "workflows_created_total":
            print(series.labels[0], series.slots[0])
"""

BOUND = """
from contextlib import contextmanager
from instrumentation.correlation import _current

@contextmanager
def bound(value):
    _current.set(value)
    yield
"""


class Running(NamedTuple):
    """A worker that has run the tasks."""

    page: Page
    created: str
    spans: Spans
    worker: Process

    @property
    def log(self) -> str:
        return self.page.log.read_text()

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        return self.page.samples(name)


@pytest.mark.parametrize(("is_enabled", "whose"), [(True, "[]"), (False, "['StreamHandler']")])
def test_celery_sets_up_its_own_lines_if_sidelight_writes_none(is_enabled: bool, whose: str, tmp_path: Path) -> None:  # noqa: FBT001
    (tmp_path / "sidelight.yaml").write_text(json.dumps({"logging": {"enabled": is_enabled}}))
    program = example("Celery") + (
        "from celery import signals\n"
        "signals.worker_init.send(sender=None)\n"
        "app.log.setup_logging_subsystem()\n"
        "print([type(handler).__name__ for handler in logging.root.handlers])\n"
    )
    argv = (environment(VERSIONS) / "python", "-c", program)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert whose in ended.stdout.splitlines()
    assert ('"event":"process ends' in ended.stdout) is is_enabled


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("celery")
    with ExitStack() as stack:
        broker, spans = stack.enter_context(redis(folder)), stack.enter_context(receiving())
        port = processes.free_port()
        page = Page(f"http://{LOOPBACK}:{port}/metrics", folder / "log")
        bin_ = environment(VERSIONS)
        (folder / "tasks.py").write_text(example("Celery").replace("redis://localhost", broker) + MODES)
        (folder / "fastapi_free.py").write_text(BOUND)
        (folder / "enqueue.py").write_text(ENQUEUE)
        settings = {
            "service": {"name": "worker"},
            "metrics": {"port": port},
            "tracing": {"endpoint": spans.url},
        }
        (folder / "sidelight.yaml").write_text(json.dumps(settings))
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
        before = subprocess.run(
            (bin_ / "python", "enqueue.py"),
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        worker = stack.enter_context(
            processes.start(
                (bin_ / "celery", "-A", "tasks", "worker", "-c", "2", "--without-mingle", "--without-gossip"),
                log=folder / "log",
                ready=f"http://{LOOPBACK}:{port}/metrics",
                env=env,
                cwd=folder,
            )
        )
        running = Running(page, before.stdout, spans, worker)
        until(lambda: sum(page.samples("workflow_executions_total").values()) >= 6)
        yield running


def test_every_task_is_created_once_where_it_is_enqueued(ran: Running) -> None:
    assert "tasks.send_receipt 1.0\n" in ran.created
    assert "tasks.odd 5.0\n" in ran.created
    assert (
        ran.samples("workflows_created_total") == {("tasks.odd",): 2.0} or ran.samples("workflows_created_total") == {}
    )


def test_every_task_ends_once_also_if_its_process_was_killed_or_it_came_too_late(ran: Running) -> None:
    executions = ran.samples("workflow_executions_total")
    assert executions["success", TASK] == 1
    assert {outcome: executions[outcome, "tasks.odd"] for outcome in ("success", "failure", "cancelled")} == {
        "success": 2,
        "failure": 2,
        "cancelled": 1,
    }
    assert ran.samples("retries_total") == {("tasks.odd",): 2.0}
    durations = ran.samples("workflow_duration_seconds_count")
    assert durations["failure", "tasks.odd"] == 1  # nobody knows how long the one ran that was killed


def test_the_waiting_time_ends_with_the_start_and_begins_when_the_task_is_due(ran: Running) -> None:
    assert ran.samples("workflow_wait_seconds_count") == {(TASK,): 1.0, ("tasks.odd",): 6.0}
    assert 0 < ran.samples("workflow_wait_seconds_sum")[(TASK,)] < SECONDS


def test_lines_and_spans_of_a_task_have_the_ids_of_the_request(ran: Running) -> None:
    lines = [json.loads(line) for line in ran.log.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["event"] == "receipt 7"]
    assert line["correlation_id"] == "request-7"
    until(lambda: {"request", TASK} <= {span.name for span in ran.spans})
    by_name = {span.name: span for span in ran.spans}
    assert by_name[TASK].parent_id == by_name["request"].span_id
    assert by_name[TASK].trace_id == by_name["request"].trace_id == line["trace_id"]
    assert by_name[TASK].attributes["correlation_id"] == "request-7"


def test_the_depth_and_the_age_of_the_queue_are_read_without_taking_a_message(ran: Running) -> None:
    assert ran.samples("queue_depth") == {("celery",): 0.0}
    assert not any(ran.samples("queue_read_failures_total").values())


def test_the_worker_ends_gracefully(ran: Running) -> None:
    ran.worker.send(signal.SIGTERM)
    assert ran.worker.wait(SECONDS) == 0
    assert "process ends after" in ran.log
