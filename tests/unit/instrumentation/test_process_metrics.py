"""Process metrics equal those of the standard client."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from instrumentation.store.process_metrics import process_values, usage

if TYPE_CHECKING:
    from pathlib import Path


def test_the_values_are_those_of_prometheus_client() -> None:
    # Of a process that waits: the threads of other tests open files in this one between the two readings.
    waits = "print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        theirs = CollectorRegistry()
        ProcessCollector(registry=theirs, pid=lambda: child.pid)
        found = usage(child.pid)
        assert found is not None
        for metric, value in process_values([found]):
            assert value == pytest.approx(theirs.get_sample_value(metric.name), rel=0.05), metric.name
        child.kill()


def test_another_process_can_be_read() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = usage(child.pid)
        assert found is not None
        assert found.open_fds >= 3
        child.kill()


def test_a_process_that_has_ended_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert usage(child.pid) is None


def test_without_proc_there_are_no_values(tmp_path: Path) -> None:
    assert usage(os.getpid(), tmp_path) is None
    assert list(process_values([])) == []
