"""A process runs while its context is open, and is gone with its children afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.toolchain.processes import LOOPBACK, Process, ProcessError, _until, answers, free_port, living, start

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
FAMILY = ("sh", "-c", "sleep 300 & sleep 300 & wait")
STUBBORN = ("sh", "-c", "trap '' TERM; echo up; while :; do read -r line </dev/zero; done")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "process.log"


def gathered(process: Process) -> bool:
    return _until(lambda: len(living(process.pid)) == 3, 30)


def test_a_process_and_its_children_are_gone_after_the_context(log: Path) -> None:
    with start(FAMILY, log=log) as process:
        assert gathered(process)
    assert living(process.pid) == ()
    assert not process.running


def test_they_are_gone_when_the_body_raises_too(log: Path) -> None:
    seen: list[Process] = []

    def body() -> None:
        with start(FAMILY, log=log) as process:
            assert gathered(process)
            seen.append(process)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert living(seen[0].pid) == ()


def test_children_are_gone_when_the_process_itself_ended_first(log: Path) -> None:
    with start(("sh", "-c", "sleep 300 & exit 7"), log=log) as process:
        assert process.wait(30) == 7
    assert living(process.pid) == ()


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(log: Path) -> None:
    with start(STUBBORN, log=log, ready=lambda: "up" in log.read_text(), grace=0.1) as process:
        pass
    assert process.wait(0) == -signal.SIGKILL
    assert living(process.pid) == ()


PARENT = f"""
import os, sys
from pathlib import Path
from sidelight.toolchain.processes import start, living, _until
with start({FAMILY!r}, log=Path(sys.argv[1])) as process:
    _until(lambda: len(living(process.pid)) == 3, 30)
    print(process.pid, flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_parent_ends_by_a_signal(log: Path, number: signal.Signals) -> None:
    argv = (sys.executable, "-c", PARENT, str(log), str(int(number)))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -number
    assert _until(lambda: not living(int(done.stdout)), 30)


def test_a_process_outlives_the_thread_that_started_it(log: Path) -> None:
    with ExitStack() as stack:
        started: list[Process] = []
        thread = threading.Thread(target=lambda: started.append(stack.enter_context(start(FAMILY, log=log))))
        thread.start()
        thread.join(30)
        assert gathered(started[0])
    assert living(started[0].pid) == ()


def test_a_process_that_dies_at_its_start_gives_its_status_and_the_end_of_its_log(log: Path) -> None:
    script = "for i in $(seq 99); do echo line $i; done; echo no such config >&2; exit 7"
    with pytest.raises(ProcessError) as caught, start(("sh", "-c", script), log=log, ready=lambda: False):
        pass
    assert str(caught.value).startswith("sh ended with status 7 before it was ready; the end of its log:\n")
    assert str(caught.value).endswith("line 99\nno such config")
    assert "line 79\n" not in str(caught.value)


def test_a_process_that_is_not_ready_in_time_is_ended(log: Path) -> None:
    with pytest.raises(ProcessError) as caught, start(FAMILY, log=log, ready=lambda: False, timeout=0.1):
        pass
    assert caught.value.code == "process_not_ready"
    assert "was not ready within 0.1 s" in str(caught.value)


def test_a_program_that_does_not_exist_is_named(log: Path) -> None:
    with pytest.raises(ProcessError, match="/no/such/program cannot be started: No such file or directory"):
        start(("/no/such/program",), log=log).__enter__()


def test_the_environment_is_changed_not_replaced(log: Path) -> None:
    with start(("sh", "-c", 'echo "$COLOUR $HOME"'), log=log, env={"COLOUR": "red"}) as process:
        process.wait(30)
    assert process.tail() == f"red {os.environ.get('HOME', '')}"


def test_free_ports_differ_and_can_be_bound_by_a_server() -> None:
    ports = {free_port() for _ in range(7)}
    assert len(ports) == 7
    for port in ports:
        with socket.create_server((LOOPBACK, port)):
            pass


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/up" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer((LOOPBACK, 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()
        thread.join()


def test_only_a_200_counts_as_an_answer(server: str) -> None:
    assert answers(f"{server}/up")
    assert not answers(f"{server}/down")
    assert not answers(f"http://{LOOPBACK}:{free_port()}/up")


def test_a_proxy_in_the_environment_is_ignored(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{LOOPBACK}:{free_port()}")
    assert answers(f"{server}/up")
