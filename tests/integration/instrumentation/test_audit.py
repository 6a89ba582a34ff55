"""Real processes write one audit trail concurrently, are killed while writing, and reach a limit of the system."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from instrumentation.auditing.chain import Key
from instrumentation.auditing.trail import read_head, rotated
from instrumentation.auditing.verify import Report, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
KEY = Key(b"the key of the shop, 32 bytes long")
KEYS = {KEY.id: KEY}
SECONDS = 60.0
PROGRAM = """
import sys
from pathlib import Path
from instrumentation.auditing.chain import Key, as_json
from instrumentation.auditing.trail import AuditTrail

path, name, times, largest = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
key = Key(b"the key of the shop, 32 bytes long")
trail = AuditTrail(path, {key.id: key}, max_bytes=largest)
trail.patience = 60.0
for number in range(times):
    try:
        trail.append(as_json(event="e", actor=name, number=number, text="x" * (number % 500)))
    except OSError as error:
        print(error.strerror, flush=True)
        break
    print(number, flush=True)
"""


class Writing(Protocol):
    def __call__(
        self, path: Path, name: str, times: int, largest: int = 1 << 30, before: Callable[[], None] | None = None
    ) -> subprocess.Popen[str]: ...


@pytest.fixture
def writing() -> Iterator[Writing]:
    """Starts processes that write, and say each entry that was accepted."""
    with ExitStack() as stack:

        def start(
            path: Path, name: str, times: int, largest: int = 1 << 30, before: Callable[[], None] | None = None
        ) -> subprocess.Popen[str]:
            argv = [sys.executable, "-c", PROGRAM, str(path), name, str(times), str(largest)]
            popen = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=before)  # noqa: PLW1509 - tests start no threads
            stack.enter_context(popen)
            stack.callback(popen.kill)
            return popen

        yield start


def read(path: Path) -> Report:
    head = read_head(path, KEYS)
    assert head is not None
    return verify([path], KEYS, {head.seq: head.seal})


def entries(path: Path) -> list[str]:
    files = [*(file for _, file in rotated(path)), path]
    return [line for file in files for line in file.read_text().splitlines() if '"event":"e"' in line]


@pytest.mark.parametrize("largest", [1 << 30, 20_000], ids=["one file", "rotated all the time"])
def test_many_processes_at_once_keep_one_chain_and_lose_nothing(largest: int, tmp_path: Path, writing: Writing) -> None:
    path = tmp_path / "audit.log"
    writers = [writing(path, name, 200, largest) for name in "abcdef"]
    assert [len(writer.communicate(timeout=SECONDS)[0].split()) for writer in writers] == [200] * 6
    assert [writer.returncode for writer in writers] == [0] * 6
    report = read(path)
    assert (report.fault, report.notes) == (None, ())
    assert report.lines == 1200 + report.files
    for name in "abcdef":  # each in its own order
        own = [line for line in entries(path) if f'"actor":"{name}"' in line]
        assert [f'"number":{number},' in line for number, line in enumerate(own)] == [True] * 200


def test_kill_9_while_writing_loses_no_accepted_entry(tmp_path: Path, writing: Writing) -> None:
    path = tmp_path / "audit.log"
    accepted = 0
    survivor = writing(path, "survivor", 400, 50_000)
    for turn in range(8):
        victim = writing(path, f"victim{turn}", 1_000_000, 50_000)
        assert victim.stdout is not None
        for _ in range(5 + 7 * turn):
            assert victim.stdout.readline()
            accepted += 1
        victim.send_signal(signal.SIGKILL)
        accepted += len(
            [line for line in victim.communicate(timeout=SECONDS)[0].splitlines(keepends=True) if "\n" in line]
        )
    assert len(survivor.communicate(timeout=SECONDS)[0].split()) == 400
    report = read(path)
    assert report.fault is None
    assert len(entries(path)) >= accepted + 400


def test_a_file_at_its_size_limit_is_refused_and_intact_once_it_may_grow_again(
    tmp_path: Path, writing: Writing
) -> None:
    path = tmp_path / "audit.log"
    limit = 5_000
    limited = writing(path, "a", 100, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    *accepted, refused = limited.communicate(timeout=SECONDS)[0].splitlines()
    assert refused in {"No space left on device", "File too large"}
    assert len(entries(path)) == len(accepted)
    assert writing(path, "b", 1).communicate(timeout=SECONDS)[0] == "0\n"
    report = read(path)
    assert (report.fault, report.lines) == (None, len(accepted) + 2)


def test_a_trail_that_is_rotated_can_be_read_meanwhile(tmp_path: Path, writing: Writing) -> None:
    path = tmp_path / "audit.log"
    writer = writing(path, "a", 2000, 20_000)
    assert writer.stdout is not None
    writer.stdout.readline()
    reads, deadline = 0, time.monotonic() + SECONDS
    while writer.poll() is None and reads < 50:
        assert time.monotonic() < deadline
        assert read(path).fault is None
        reads += 1
    writer.communicate(timeout=SECONDS)
    assert reads
    assert read(path).lines == 2000 + len(rotated(path)) + 1
