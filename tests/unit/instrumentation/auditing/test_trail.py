"""Whatever happens to the files of a trail, the next entry continues the chain, and changes remain detectable."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.auditing.chain import MENDED, Key, as_json
from instrumentation.auditing.trail import AuditTrail, head_path, read_head, rotated
from instrumentation.auditing.verify import Report, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = Key(b"the key of the shop, 32 bytes long")
KEYS = {KEY.id: KEY}
ENTRY = as_json(event="user.login", actor="7f3c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def trail(path: Path) -> Iterator[AuditTrail]:
    trail = AuditTrail(path, KEYS)
    trail.append(ENTRY)
    trail.append(ENTRY)
    yield trail
    trail.close()


def another(path: Path, **arguments: Any) -> AuditTrail:
    """The same trail as another process sees it."""
    return AuditTrail(path, KEYS, **arguments)


def read(path: Path) -> Report:
    head = read_head(path, KEYS)
    assert head is not None
    return verify([path], KEYS, {head.seq: head.seal})


def said(report: Report) -> list[str]:
    return [f"{note.line} {note.said}" for note in report.notes]


def events(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_bytes().splitlines() if line.endswith(b"}")]


# --- What kill -9 and a full disk leave -------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [1, 7, 100, 183])
def test_a_torn_line_is_repaired_and_reported_and_the_trail_is_intact(torn: int, trail: AuditTrail, path: Path) -> None:
    line = path.read_bytes().splitlines(keepends=True)[-1]
    with path.open("ab") as stream:
        stream.write(line[: min(torn, len(line) - 2)])
    assert said(read(path)) == ["4 is an incomplete entry: still being written, or cut short"]
    other = another(path)
    other.append(ENTRY)
    other.close()
    trail.append(ENTRY)
    report = read(path)
    assert report.fault is None
    assert said(report) == ["4 is an entry that was cut short; entry 4 records that"]
    assert events(path)[-3:] == [MENDED, "user.login", "user.login"]


def test_of_many_repaired_lines_only_the_first_are_reported(
    trail: AuditTrail, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instrumentation.auditing.verify._MOST_NOTES", 2)
    for _ in range(3):
        with path.open("ab") as stream:
            stream.write(b"torn")
        trail.append(ENTRY)
    report = read(path)
    assert (report.fault, len(report.notes)) == (None, 2)


def test_the_lines_of_the_trail_itself_say_when_they_were_written(path: Path) -> None:
    trail = another(path)
    trail.append(ENTRY)
    trail.close()
    opened = json.loads(path.read_bytes().splitlines()[0])
    written = datetime.fromisoformat(opened["time"])
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


def test_a_trail_can_be_used_after_a_fork(trail: AuditTrail, path: Path) -> None:
    trail.reset()
    trail.append(ENTRY)
    assert read(path).lines == 4


def test_repaired_remains_cannot_be_changed_afterwards(trail: AuditTrail, path: Path) -> None:
    whole = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(b'{"seq":4,"ti')
    trail.append(ENTRY)
    for place in range(len(whole), len(whole) + len(b'{"seq":4,"ti')):
        changed = bytearray(path.read_bytes())
        changed[place] ^= 1
        copy = path.with_name("copy")
        copy.write_bytes(changed)
        fault = verify([copy], KEYS, {}).fault
        assert fault is not None
        assert fault.line == 4


def test_added_lines_are_not_removed_by_a_repair(trail: AuditTrail, path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b'{"seq":4,"event":"user.login"}\n' * 2)
    trail.append(ENTRY)
    assert b"\n\n" not in path.read_bytes()
    fault = read(path).fault
    assert fault is not None
    assert fault.line == 4


def test_an_entry_that_was_written_without_its_head_counts(trail: AuditTrail, path: Path) -> None:
    before = head_path(path).read_bytes()
    trail.append(ENTRY)
    with head_path(path).open("r+b") as stream:
        stream.write(before)
    trail.append(ENTRY)
    report = read(path)
    assert (report.fault, report.notes, report.lines) == (None, (), 5)


@pytest.mark.parametrize("left", [0, 1, 50])
def test_a_torn_first_line_is_written_again(left: int, path: Path) -> None:
    first = another(path)
    first.append(ENTRY)
    first.close()
    text = path.read_bytes()
    path.unlink()
    head_path(path).unlink()
    first.open()
    path.write_bytes(text[:left])
    first.append(ENTRY)
    first.close()
    report = read(path)
    assert (report.fault, report.notes, report.lines) == (None, (), 2)


@pytest.mark.parametrize("may_shrink", [True, False], ids=["may shrink", "append only"])
def test_a_disk_that_fills_up_within_a_line_costs_that_line_alone(
    may_shrink: bool,  # noqa: FBT001
    trail: AuditTrail,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "append only")

    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, text: real(fd, text[:60]))
        if not may_shrink:
            patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="No space left") as caught:
            trail.append(ENTRY)
    assert caught.value.errno == errno.ENOSPC
    trail.append(ENTRY)
    report = read(path)
    assert report.fault is None
    assert len(report.notes) == (0 if may_shrink else 1)


# --- What others do to the files --------------------------------------------------------------------------------------


def test_the_end_of_a_line_alone_that_is_cut_off_is_restored(trail: AuditTrail, path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)
    trail.append(ENTRY)
    assert (read(path).fault, read(path).lines) == (None, 4)


@pytest.mark.parametrize("lost", [2, 30, 250])
def test_a_tail_that_is_cut_off_while_the_service_runs_is_found_although_it_writes_on(
    lost: int, trail: AuditTrail, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(path, path.stat().st_size - lost)
    for writer in (trail, another(path)):
        writer.append(ENTRY)
        writer.close()
    fault = read(path).fault
    assert fault is not None
    assert fault.line <= 3
    assert f"{lost} bytes are missing at its end" in caplog.text


@pytest.mark.parametrize("left", [1, 100, 250, 350])
def test_a_head_that_is_taken_away_begins_a_new_trail_and_that_is_found(
    left: int, trail: AuditTrail, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(path, left)
    head_path(path).unlink()
    trail.append(ENTRY)
    assert "its head is missing or was changed" in caplog.text
    assert read(path).fault is not None


@pytest.fixture
def damages() -> list[str]:
    return []


@pytest.fixture
def watched(path: Path, damages: list[str]) -> Iterator[AuditTrail]:
    watched = another(path, damaged=lambda: damages.append("damaged"))
    watched.append(ENTRY)
    yield watched
    watched.close()


def test_a_file_that_is_moved_away_is_no_damage(
    watched: AuditTrail, path: Path, damages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path.rename(path.with_name("audit.log.1"))
    watched.append(ENTRY)
    assert caplog.messages == [
        f"audit trail {path}: the file was moved away, for example by logrotate; a new file continues after entry 2"
    ]
    assert (damages, read(path).fault) == ([], None)


def test_copytruncate_is_reported_and_the_copy_verifies(
    watched: AuditTrail, path: Path, damages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path.with_name("audit.log.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    watched.append(ENTRY)
    assert "copytruncate, which loses entries that are written meanwhile; let it rename the file" in caplog.text
    assert caplog.records[0].levelname == "ERROR"
    assert (damages, read(path).fault) == (["damaged"], None)


def test_an_entry_that_copytruncate_loses_is_found(watched: AuditTrail, path: Path) -> None:
    path.with_name("audit.log.1").write_bytes(path.read_bytes())
    watched.append(ENTRY)
    os.truncate(path, 0)
    watched.append(ENTRY)
    assert "starts a file that does not follow entry 2: entries between them are missing" in str(read(path).fault)


def test_a_newest_file_that_is_deleted_is_reported_and_found(
    watched: AuditTrail, path: Path, damages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    watched.append(ENTRY)
    assert f"audit trail {path}: the file was deleted; a new file continues after entry 2" in caplog.text
    assert damages == ["damaged"]
    assert read(path).fault is not None


def test_a_trail_that_is_deleted_with_its_head_is_reported_if_older_files_remain(
    watched: AuditTrail, path: Path, damages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path.rename(path.with_name("audit.log.000001"))
    head_path(path).unlink()
    watched.append(ENTRY)
    assert "its head is missing or was changed; a new trail begins" in caplog.text
    assert damages == ["damaged"]
    assert read(path).fault is not None


def test_a_process_that_starts_cannot_know_why_a_file_is_missing(
    trail: AuditTrail, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trail.close()
    path.unlink()
    trail.append(ENTRY)
    assert "moved away, for example by logrotate, emptied or deleted while this process did not use it" in caplog.text


# --- logrotate --------------------------------------------------------------------------------------------------------


def logrotated(path: Path, *, keep: int = 100, compressed_from: int = 100) -> None:
    """As logrotate does: each file gets the next number, and the newest is 1."""
    for number in range(keep, 0, -1):
        for file in (path.with_name(f"{path.name}.{number}"), path.with_name(f"{path.name}.{number}.gz")):
            if file.exists():
                file.rename(path.with_name(file.name.replace(f".{number}", f".{number + 1}")))
    path.rename(path.with_name(f"{path.name}.1"))
    older = path.with_name(f"{path.name}.{compressed_from}")
    if older.exists():
        older.with_name(f"{older.name}.gz").write_bytes(gzip.compress(older.read_bytes()))
        older.unlink()


@pytest.mark.parametrize("compressed_from", [100, 2], ids=["plain", "compressed"])
def test_files_that_logrotate_renamed_are_found_and_verified_in_their_order(
    compressed_from: int, trail: AuditTrail, path: Path
) -> None:
    for _ in range(12):
        logrotated(path, compressed_from=compressed_from)
        trail.append(ENTRY)
    report = read(path)
    assert (report.fault, report.files, report.lines) == (None, 13, 14 + 13)
    path.with_name("audit.log.5" + (".gz" if compressed_from < 5 else "")).unlink()
    assert "entries between them are missing" in str(read(path).fault)


def test_files_with_dates_and_our_own_numbers_are_verified_together(trail: AuditTrail, path: Path) -> None:
    for name in ("audit.log-20261130", "audit.log.000001", "audit.log-20261201", "audit.log-2026120213.gz"):
        path.rename(path.with_name(name))
        if name.endswith(".gz"):
            path.with_name(name).write_bytes(gzip.compress(path.with_name(name).read_bytes()))
        trail.append(ENTRY)
    (path.with_name("audit.log.7")).write_text("no audit file\n")
    (path.with_name("audit.log.bak")).write_bytes(path.read_bytes())
    report = read(path)
    assert (report.fault, report.files, report.lines) == (None, 5, 6 + 5)


@pytest.mark.parametrize("change", ["cut", "flip"])
def test_a_compressed_file_that_was_changed_is_named(change: str, trail: AuditTrail, path: Path) -> None:
    file = path.with_name("audit.log.1.gz")
    text = bytearray(gzip.compress(path.read_bytes()))
    if change == "flip":
        text[-6] ^= 1
    file.write_bytes(text[:-9] if change == "cut" else text)
    path.unlink()
    trail.append(ENTRY)
    assert str(read(path).fault).startswith(f"{file}:")


def test_a_number_is_not_used_again_if_a_rotated_file_is_compressed(path: Path) -> None:
    trail = another(path, max_bytes=300)
    for _ in range(4):
        trail.append(ENTRY)
    (_, file) = rotated(path)[-1]
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    for _ in range(4):
        trail.append(ENTRY)
    trail.close()
    report = read(path)
    assert (report.fault, report.lines) == (None, 8 + report.files)


@pytest.mark.parametrize("name", ["audit.log", "audit.log.head"])
def test_a_link_is_not_followed(name: str, tmp_path: Path, path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        another(path).append(ENTRY)
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="it is not a regular file"):
        another(path).append(ENTRY)


def test_nobody_else_may_read_the_files(trail: AuditTrail, path: Path) -> None:
    trail.open()
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_trail_of_a_key_that_is_not_given_is_left_alone(trail: AuditTrail, path: Path) -> None:
    del trail
    before = path.read_bytes()
    key = Key(b"another key, which is 32 bytes long too")
    with pytest.raises(OSError, match=f"sealed with key '{KEY.id}', which is not given"):
        AuditTrail(path, {key.id: key}).append(ENTRY)
    assert path.read_bytes() == before


# --- Others who write -------------------------------------------------------------------------------------------------


def test_a_lock_held_too_long_loses_an_entry_and_does_not_block_the_service(trail: AuditTrail, path: Path) -> None:
    trail.patience = 0.05
    with head_path(path).open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError) as raised:
            trail.append(ENTRY)
    assert raised.value.errno == errno.ETIMEDOUT  # the failure is counted by its number
    trail.append(ENTRY)
    assert read(path).lines == 4


def test_a_forked_child_does_not_share_the_lock_of_its_parent(trail: AuditTrail) -> None:
    go, going = os.pipe()
    child = os.fork()
    if not child:
        os.read(go, 1)
        trail.patience = 0.2
        try:
            trail.append(ENTRY)
        except TimeoutError:
            os._exit(7)
        os._exit(0)
    with trail._turn():
        os.write(going, b"!")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    os.close(go)
    os.close(going)


def test_a_forked_child_writes_on(trail: AuditTrail, path: Path) -> None:
    child = os.fork()
    if not child:
        trail.append(ENTRY)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    trail.append(ENTRY)
    assert (read(path).fault, read(path).lines) == (None, 5)


def test_threads_and_writers_of_a_small_trail_keep_one_chain(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    writers = [another(path, max_bytes=2000), another(path, max_bytes=2000)]

    def write(writer: AuditTrail) -> None:
        for _ in range(50):
            writer.append(ENTRY)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = read(path)
    assert report.fault is None
    assert report.lines == 300 + len(rotated(path)) + 1
    assert caplog.text == ""
    for writer in writers:
        writer.sync()
        writer.close()
        writer.sync()
