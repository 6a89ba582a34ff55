"""A slow, dead or missing reader of the logs blocks nothing, and lost lines are counted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from instrumentation.logs.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
LINE = b"x" * 299 + b"\n"


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.lost = 0

    def lose(self, lines: int) -> None:
        self.lost += lines

    def read(self, lines: int) -> list[bytes]:
        """As many lines as that, or a few more of those that are there."""
        found = b""
        while found.count(b"\n") < lines:
            found += os.read(self.reader, 4096)
        return found.splitlines(keepends=True)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    found = Pipe()
    yield found
    for descriptor in (found.reader, found.writer):
        with suppress(OSError):
            os.close(descriptor)


def test_lines_arrive_whole_and_in_order(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, pipe.lose)
    lines = [b"%d %s\n" % (number, b"y" * (number * 7 % 5000)) for number in range(200)]
    for line in lines[:7]:
        writer.put(line)
    assert pipe.read(7) == lines[:7]
    for line in lines[7:]:
        writer.put(line)
    assert pipe.read(193) == lines[7:]
    writer.close()


def test_a_reader_who_does_not_read_takes_neither_time_nor_memory(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, pipe.lose, most_bytes=100_000)
    began = time.monotonic()
    for _ in range(10_000):
        writer.put(LINE)
    assert time.monotonic() - began < 2
    assert not writer.flush(0.01)
    # The pipe holds 64 KiB, what waits 100 kB.
    assert 9_000 < pipe.lost < 9_800
    kept = 10_000 - pipe.lost
    assert pipe.read(kept) == [LINE] * kept
    assert writer.flush()


def test_once_the_reader_reads_again_there_is_room_again(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, pipe.lose, most_bytes=100_000)
    for _ in range(1000):
        writer.put(LINE)
    pipe.read(1000 - pipe.lost)
    assert writer.flush()
    lost = pipe.lost
    writer.put(b"again\n")
    assert pipe.read(1) == [b"again\n"]
    assert pipe.lost == lost


def test_a_reader_who_is_always_behind_but_keeps_up_loses_nothing(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, pipe.lose, most_bytes=200_000)
    for _ in range(300):  # more than the pipe holds, so that some wait from now on
        writer.put(LINE)
    for _ in range(20):
        for _ in range(100):
            writer.put(LINE)
        pipe.read(100)
    assert pipe.lost == 0
    os.close(pipe.reader)
    assert writer.flush()  # otherwise the rest goes to the next owner of the descriptor


def test_a_missing_reader_loses_lines_without_an_error(pipe: Pipe) -> None:
    os.close(pipe.reader)
    writer = Writer(pipe.writer, pipe.lose)
    writer.put(LINE)
    assert writer.flush()
    assert pipe.lost == 1


def test_a_full_disk_loses_lines_without_an_error(pipe: Pipe) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = Writer(descriptor, pipe.lose)
    writer.put(LINE)
    assert writer.flush()
    assert pipe.lost == 1
    os.close(descriptor)


def test_a_descriptor_that_does_not_wait_gets_everything(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    writer = Writer(pipe.writer, pipe.lose)
    for _ in range(1000):
        writer.put(LINE)
    assert pipe.read(1000) == [LINE] * 1000
    assert pipe.lost == 0


def test_a_closed_writer_writes_at_once_and_an_opened_one_waits_for_nobody(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, pipe.lose)
    writer.put(LINE)
    writer.close()
    writer.put(b"late\n")
    assert pipe.read(2) == [LINE, b"late\n"]
    writer.open()
    writer.put(b"again\n")
    assert pipe.read(1) == [b"again\n"]


PROGRAM = """
import os, sys
from instrumentation.logs.writer import Writer
writer = Writer(1, print)
for number in range(100):
    writer.put(b"parent %d\\n" % number)
child = os.fork()
if child == 0:
    writer.put(b"child\\n")
    writer.flush()
    os._exit(0)
os.waitpid(child, 0)
writer.flush()
"""


def test_a_forked_child_writes_its_own_lines_and_not_those_of_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, check=True, timeout=30)
    lines = done.stdout.decode().splitlines()
    assert sorted(lines) == sorted([*(f"parent {number}" for number in range(100)), "child"])
    assert done.stderr == b""


ENDING = """
import logging, multiprocessing, sys
import instrumentation

def child():
    logging.getLogger("shop").info("of the child")

if __name__ == "__main__":
    instrumentation.configure_logging()
    for number in range(50):
        logging.getLogger("shop").info("line %d", number)
    if len(sys.argv) > 1:
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
"""


@pytest.mark.parametrize("arguments", [[], ["fork"]])
def test_nothing_is_lost_when_a_process_ends(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(ENDING)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout.count(b'"line ') == 50
    assert done.stdout.count(b"of the child") == len(arguments)
