"""Every change of a trail without its key is found, and the first changed line is named."""

from __future__ import annotations

import json
import os
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instrumentation.auditing.chain import HANDED_OVER, OPENED, Batch, Head, Key, as_json
from instrumentation.auditing.trail import AuditTrail, head_path, read_head, rotated
from instrumentation.auditing.verify import Report, verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

KEY, OLDER = Key(b"the key of the shop, 32 bytes long"), Key(b"the key before it, and 32 bytes long")
KEYS = {KEY.id: KEY, OLDER.id: OLDER}
ACTORS = ("7f3c", "9a1e", "7f3c", "41bd", "0c77")


def written(path: Path, actors: Iterable[str] = ACTORS, *, keys: Mapping[str, Key] = KEYS, **arguments: Any) -> Path:
    trail = AuditTrail(path, keys, **arguments)
    for actor in actors:
        trail.append(as_json(event="user.login", actor=actor))
    trail.close()
    return path


def recorded(path: Path) -> dict[int, bytes]:
    head = read_head(path, KEYS)
    assert head is not None
    return {head.seq: head.seal}


def read(path: Path, heads: Mapping[int, bytes] | None = None, **arguments: Any) -> Report:
    return verify([path], KEYS, recorded(path) if heads is None else heads, **arguments)


def first_bad_line(path: Path, text: bytes, heads: Mapping[int, bytes]) -> int | None:
    path.write_bytes(text)
    fault = read(path, heads).fault
    return fault and fault.line


def flipped(path: Path) -> Iterator[int]:
    """Each bit of a file in turn, and back again; gives the place of the byte."""
    text = path.read_bytes()
    with path.open("r+b", buffering=0) as stream:
        for place, byte in enumerate(text):
            for bit in range(8):
                os.pwrite(stream.fileno(), bytes([byte ^ 1 << bit]), place)
                yield place
            os.pwrite(stream.fileno(), bytes([byte]), place)


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    return written(tmp_path / "audit.log")


@pytest.fixture
def lines(trail: Path) -> list[bytes]:
    return trail.read_bytes().splitlines(keepends=True)


@pytest.fixture
def heads(trail: Path) -> dict[int, bytes]:
    return recorded(trail)


def test_an_unchanged_trail_is_intact(trail: Path) -> None:
    report = read(trail)
    assert (report.fault, report.notes, report.lines, report.files) == (None, (), 6, 1)
    assert report.head == str(read_head(trail, KEYS))


def test_flipping_any_bit_of_any_byte_is_found_in_its_line(
    trail: Path, lines: list[bytes], heads: dict[int, bytes]
) -> None:
    numbers = [number for number, line in enumerate(lines, 1) for _ in line]
    flips = 0
    for place in flipped(trail):
        fault = read(trail, heads).fault
        assert fault is not None
        assert fault.line == numbers[place]
        flips += 1
    assert flips == 8 * len(numbers)
    assert read(trail, heads).fault is None


def test_cutting_the_tail_anywhere_is_found_by_the_recorded_head(
    trail: Path, lines: list[bytes], heads: dict[int, bytes]
) -> None:
    text = b"".join(lines)
    for end in range(len(text)):
        assert first_bad_line(trail, text[:end], heads) == text[:end].count(b"\n") + 1


def test_removing_any_lines_is_found(trail: Path, lines: list[bytes], heads: dict[int, bytes]) -> None:
    for first in range(len(lines)):
        for end in range(first + 1, len(lines) + 1):
            left = lines[:first] + lines[end:]
            assert first_bad_line(trail, b"".join(left), heads) == first + 1


def test_swapping_any_two_lines_is_found(trail: Path, lines: list[bytes], heads: dict[int, bytes]) -> None:
    for one, other in combinations(range(len(lines)), 2):
        swapped = [*lines]
        swapped[one], swapped[other] = lines[other], lines[one]
        assert first_bad_line(trail, b"".join(swapped), heads) == one + 1


def test_inserting_any_line_anywhere_is_found(trail: Path, lines: list[bytes], heads: dict[int, bytes]) -> None:
    for place in range(len(lines) + 1):
        for line in (*lines, b"\n", b"{}\n", b'{"seq":7}\n', b"x" * 70_000 + b"\n"):
            if place < len(lines) and line == lines[place]:
                continue  # the same text as where it is inserted behind itself
            inserted = [*lines[:place], line, *lines[place:]]
            assert first_bad_line(trail, b"".join(inserted), heads) == place + 1


def test_a_line_that_is_repeated_is_found(trail: Path, lines: list[bytes], heads: dict[int, bytes]) -> None:
    for place, line in enumerate(lines):
        assert first_bad_line(trail, b"".join([*lines[:place], line, *lines[place:]]), heads) == place + 2


def test_flipping_any_bit_of_the_head_makes_it_none(trail: Path) -> None:
    for _ in flipped(head_path(trail)):
        assert read_head(trail, KEYS) is None
    assert read_head(trail, KEYS) is not None


def test_a_head_is_not_made_of_a_line(trail: Path, lines: list[bytes]) -> None:
    members = json.loads(lines[2])
    forged = {"seq": 3, "last": members["mac"], "bytes": sum(map(len, lines[:3])), "key": KEY.id, "mac": members["mac"]}
    head_path(trail).write_bytes(json.dumps(forged, separators=(",", ":")).encode().ljust(511) + b"\n")
    assert read_head(trail, KEYS) is None


def test_a_head_recorded_elsewhere_finds_another_history_of_the_same_length(tmp_path: Path) -> None:
    ours = recorded(written(tmp_path / "ours.log"))
    other = written(tmp_path / "other.log", ["7f3c", "9a1e", "7f3c", "41bd", "eeee"])
    fault = read(other, ours).fault
    assert str(fault) == f"{other}:6 differs from the recorded entry 6."


def test_an_earlier_head_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log")
    earlier = recorded(path)
    assert read(written(path), earlier).fault is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines[:2], lines[2].replace(b"9a1e", b"7f3c"), *lines[3:]], ":3 has been changed."),
        (lambda lines: [*lines[:1], *lines[3:]], ":2 is entry 4, but entry 2 is expected: entries are missing"),
        (lambda lines: [*lines[:3], b"hello\n", *lines[3:]], ":4 is not an entry."),
        (lambda lines: lines[:4], ":5 is missing: entry 6 was recorded, but the last one is 4."),
        (lambda lines: lines[1:], ":1 is not the first line of an audit file."),
        (lambda lines: [b"[1]\n", *lines], ":1 is not the first line of an audit file."),
        (lambda lines: [b"[" * 60_000 + b"\n", *lines], ":1 is not the first line of an audit file."),
        (
            lambda lines: [lines[0].replace(KEY.id.encode(), b"0" * 16)],
            ":1 was sealed with key 0000000000000000, which",
        ),
    ],
)
def test_a_fault_is_a_sentence(
    change: Any, said: str, trail: Path, lines: list[bytes], heads: dict[int, bytes]
) -> None:
    trail.write_bytes(b"".join(change(lines)))
    assert str(read(trail, heads).fault).startswith(f"{trail}{said}")


# --- Several files, several keys ------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = written(tmp_path / "audit.log", map(str, range(30)), max_bytes=1000)
    assert len(rotated(path)) > 3
    return path


def test_the_chain_continues_through_all_files(many: Path) -> None:
    report = read(many)
    files = len(rotated(many)) + 1
    assert (report.fault, report.files, report.lines) == (None, files, 30 + files)


def test_every_file_that_is_removed_or_renamed_is_found(many: Path) -> None:
    heads = recorded(many)
    for _, file in rotated(many):
        text = file.read_bytes()
        file.unlink()
        assert read(many, heads).fault is not None, file
        file.write_bytes(text)
    (_, one), (_, other) = rotated(many)[1:3]
    one.rename(many.with_name("kept"))
    other.rename(one)
    many.with_name("kept").rename(other)
    assert read(many, heads).fault == (
        one,
        1,
        "starts a file that does not follow entry 8: entries between them are missing",
    )


def test_missing_rotated_files_between_two_files_are_found(many: Path) -> None:
    files, heads = len(rotated(many)), recorded(many)
    many.rename(many.with_name(f"{many.name}.{files + 1:06}"))
    assert read(many, heads).fault is None
    rotated(many)[-1][1].unlink()
    assert "is missing: entry " in str(read(many, heads).fault)
    with pytest.raises(FileNotFoundError):
        verify([rotated(many)[0][1], many], KEYS, heads)


def test_archived_files_are_skipped_only_with_the_option_for_it(many: Path) -> None:
    heads = recorded(many)
    rotated(many)[0][1].unlink()
    assert read(many, heads).fault is not None
    assert read(many, heads, continues=True).fault is None


def test_files_may_be_named_one_by_one(many: Path) -> None:
    every = [*(file for _, file in rotated(many)), many]
    assert verify(every, KEYS, recorded(many)).fault is None
    assert verify(every[::-1], KEYS, {}).fault is not None


def test_a_new_key_begins_a_new_file_and_both_are_verified(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log", keys={OLDER.id: OLDER})
    written(path)
    report = read(path)
    assert (report.fault, report.files, report.lines) == (None, 2, 13)
    fault = verify([path], {KEY.id: KEY}, recorded(path)).fault
    assert fault is not None
    assert f"was sealed with key {OLDER.id}, which is not given" in str(fault)


BACK = {OLDER.id: OLDER, KEY.id: KEY}  # the order before the change


def test_a_change_of_keys_may_be_taken_back_and_made_again_and_each_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log", keys=BACK)
    for keys in (KEYS, BACK, KEYS):
        written(path, keys=keys)
    report = read(path)
    assert (report.fault, report.files) == (None, 4)
    (_, first), (_, second), (_, third) = rotated(path)
    assert [file.read_text().count("sidelight.key_changed") for file in (first, second, third, path)] == [1, 1, 1, 0]
    entry = json.loads(second.read_bytes().splitlines()[-1])["seq"]
    said = f"{third}:1 was sealed with key {OLDER.id}, which is older than {KEY.id}; entry {entry} records the change."
    assert list(map(str, report.notes)) == [said]


def forged(path: Path, head: Head, key: Key, *texts: bytes) -> None:
    """A file as somebody writes it who has a key, and only this one."""
    batch = Batch(key, head)
    batch.add(as_json(time="", event=OPENED, key=key.id, previous=head.seal.hex()))
    for text in texts:
        batch.add(text)
    path.rename(path.with_name(f"{path.name}.000001"))
    path.write_bytes(batch.text)


def test_somebody_who_has_only_the_older_key_cannot_continue_the_trail(trail: Path) -> None:
    head = read_head(trail, KEYS)
    assert head is not None
    forged(trail, head, OLDER, as_json(event="user.login", actor="0000"))
    assert "which is older than the key of the previous file" in str(read(trail, {}).fault)


def test_fields_of_an_entry_do_not_change_the_key(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    writer = AuditTrail(path, KEYS)
    head = writer.append(as_json(event="e", fields={"event": HANDED_OVER, "to": OLDER.id}))
    writer.close()
    forged(path, head, OLDER)
    assert "which is older than the key of the previous file" in str(read(path, {}).fault)


def test_a_change_of_keys_counts_only_as_the_last_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    writer = AuditTrail(path, KEYS)
    writer.append(as_json(event=HANDED_OVER, to=OLDER.id))
    head = writer.append(as_json(event="e"))
    writer.close()
    forged(path, head, OLDER)
    assert "which is older than the key of the previous file" in str(read(path, {}).fault)


def test_workers_with_another_order_of_keys_follow_the_one_that_started_last(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    before, after = AuditTrail(path, BACK), AuditTrail(path, KEYS)
    for _ in range(5):
        before.append(as_json(event="e"))
        after.append(as_json(event="e"))
    report = read(path)
    assert (report.fault, report.files, report.lines) == (None, 2, 10 + 2 + 1)


def test_a_change_of_keys_is_recorded_although_the_file_was_moved_away(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log")
    moved = path.rename(path.with_name("moved"))
    written(path, keys=BACK)
    files = [moved, *(file for _, file in rotated(path)), path]
    report = verify(files, KEYS, recorded(path))
    assert (report.fault, len(report.notes)) == (None, 1)


# --- Cost ---------------------------------------------------------------------------------------------------------------


def test_progress_is_reported_for_every_byte(many: Path) -> None:
    told: list[int] = []
    read(many, progress=told.append)
    assert sum(told) == sum(file.stat().st_size for file in many.parent.glob("audit.log*") if file.suffix != ".head")


def test_a_file_without_lines_takes_no_memory(trail: Path) -> None:
    with trail.open("r+b") as stream:
        stream.truncate(1 << 32)  # a hole of 4 GiB
    fault = read(trail).fault
    assert fault is not None
    assert fault.line == 7


# --- Entries of every kind --------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values=st.lists(JSON, max_size=8), max_bytes=st.none() | st.integers(1, 2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_every_entry_is_read_back(values: list[Any], max_bytes: int | None, tmp_path: Path) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    path = tmp_path / "audit.log"
    trail = AuditTrail(path, KEYS, max_bytes=max_bytes)
    for value in values:
        trail.append(as_json(event="e", value=value))
    trail.open()
    trail.close()
    assert read(path).fault is None
    files = [*(file for _, file in rotated(path)), path]
    entries = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    assert [entry["value"] for entry in entries if entry["event"] == "e"] == values
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
