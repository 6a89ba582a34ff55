"""``sidelight audit verify`` reports whether a trail is intact, also by its exit code."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.auditing import AuditError
from instrumentation.auditing.chain import Key, as_json
from instrumentation.auditing.masking import digest
from instrumentation.auditing.trail import AuditTrail, head_path, rotated
from instrumentation.settings import Settings
from sidelight.audit_verification import Asked, verified

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SECRET = "the key of the shop, 32 bytes long"  # noqa: S105 - seals nothing but tests
KEY = Key(SECRET.encode())


def verifying(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sidelight.cli", "audit", "verify", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "SIDELIGHT_AUDIT_KEY": SECRET, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "audit"
    folder.mkdir()
    trail = AuditTrail(folder / "audit.log", {KEY.id: KEY}, max_bytes=1000)
    for number in range(20):
        head = trail.append(as_json(event="e", number=number))
    trail.close()
    (tmp_path / "head").write_text(str(head))
    (tmp_path / "sidelight.yaml").write_text("audit: {path: audit/audit.log}")
    return tmp_path


@pytest.mark.parametrize("named", [(), ("audit",), ("audit/audit.log",)], ids=["settings", "folder", "file"])
def test_an_intact_trail_is_reported_as_intact_with_its_head(named: tuple[str, ...], folder: Path) -> None:
    ended = verifying(*named, cwd=folder)
    head = (folder / "head").read_text()
    lines = 20 + len(rotated(folder / "audit/audit.log")) + 1
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"audit/audit.log: intact: {lines} lines in {lines - 20} files; head {head}\n"


def test_the_first_bad_line_is_named_and_the_command_exits_with_1(folder: Path) -> None:
    (_, first), *_ = rotated(folder / "audit/audit.log")
    first.write_bytes(first.read_bytes().replace(b'"number":2', b'"number":7'))
    ended = verifying(cwd=folder)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "audit/audit.log.000001:4 has been changed.\n"


def test_a_head_that_was_recorded_elsewhere_finds_that_trail_and_head_were_both_put_back(folder: Path) -> None:
    assert verifying("--head", (folder / "head").read_text(), cwd=folder).returncode == 0
    ended = verifying("--head", f"999:{'0' * 64}", cwd=folder)
    assert ended.returncode == 1
    assert "is missing: entry 999 was recorded, but the last one is" in ended.stderr


def test_a_trail_without_its_head_is_intact_only_with_the_option_for_it(folder: Path) -> None:
    head_path(folder / "audit/audit.log").unlink()
    ended = verifying(cwd=folder)
    assert ended.returncode == 1
    assert ended.stderr.startswith("audit/audit.log.head does not exist, so a truncated end would not be detected;")
    assert verifying("--without-head", cwd=folder).returncode == 0
    assert verifying("--head", (folder / "head").read_text(), cwd=folder).returncode == 0


def test_a_changed_head_is_invalid(folder: Path) -> None:
    block = bytearray(head_path(folder / "audit/audit.log").read_bytes())
    block[8] ^= 1
    head_path(folder / "audit/audit.log").write_bytes(block)
    ended = verifying("--without-head", cwd=folder)
    assert ended.returncode == 1
    assert ended.stderr.startswith("audit/audit.log.head has been changed")


def test_archived_files_are_verified_on_their_own(folder: Path) -> None:
    every = [str(file) for _, file in rotated(folder / "audit/audit.log")]
    assert verifying(*every, "--without-head", cwd=folder).returncode == 0
    assert verifying(*every[1:], "--without-head", cwd=folder).returncode == 1
    assert verifying(*every[1:], "--without-head", "--continues", cwd=folder).returncode == 0


def test_what_was_torn_is_shown(folder: Path) -> None:
    path = folder / "audit/audit.log"
    with path.open("ab") as stream:
        stream.write(b'{"seq":')
    ended = verifying(cwd=folder)
    assert ended.returncode == 0
    assert "is an incomplete entry: still being written, or cut short." in ended.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "sentence"),
    [
        (("gone.log", "--without-head"), {}, 1, "audit verify: gone.log: cannot be read (No such file or directory)."),
        ((".",), {}, 1, "audit verify: the folder contains 0 trails; give the file of one."),
        (("--head", "7"), {}, 1, "--head: got '7'; give number:seal, as in the log."),
        (
            ("--key-file", "gone"),
            {},
            2,
            "--key-file: gone cannot be read (No such file or directory); give a file that",
        ),
        ((), {"SIDELIGHT_AUDIT_KEY": "short"}, 2, "SIDELIGHT_AUDIT_KEY: got a key of 5 bytes; give at least 32"),
        ((), {"SIDELIGHT_CONFIG": "other.yaml"}, 1, "audit verify: audit.path is not set; give the file."),
    ],
)
def test_what_cannot_be_verified_is_a_sentence(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, sentence: str, folder: Path
) -> None:
    (folder / "other.yaml").write_text("{}")
    ended = verifying(*arguments, cwd=folder, **environ)
    assert ended.returncode == code
    assert ended.stderr.startswith(sentence)
    assert len(ended.stderr.splitlines()) == 1


def test_a_masked_value_is_found_by_its_digest(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sidelight.cli", "audit", "digest"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "SIDELIGHT_AUDIT_KEY": SECRET},
        input="4539578763621486\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == (f"{digest(KEY, '4539578763621486')}\n", "")


# --- Heads in a log ---------------------------------------------------------------------------------------------------


@pytest.fixture
def log(folder: Path) -> Path:
    """The log of a service that has written some entries; its trail was copied here from there."""
    path = folder / "shop.log"
    head = (folder / "head").read_text()
    path.write_text(f'{{"event":"started"}}\n{{"event":"audit trail /var/lib/shop/audit.log: head {head}"}}\n')
    return path


@pytest.fixture
def result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Verifies in this process; gives the last line, or the error."""
    monkeypatch.setenv("SIDELIGHT_AUDIT_KEY", SECRET)

    def result(**asked: Any) -> str:
        try:
            return verified(Asked(paths=[folder / "audit/audit.log"], **asked), Settings())[-1]
        except AuditError as error:
            return str(error)

    return result


def test_a_trail_is_compared_with_the_heads_in_a_log(folder: Path, log: Path) -> None:
    ended = verifying("--heads-from", str(log), cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_log_may_be_compressed(log: Path, result: Callable[..., str]) -> None:
    zipped = log.with_suffix(".gz")
    zipped.write_bytes(gzip.compress(log.read_bytes()))
    assert ": intact: " in result(logs=[zipped])
    zipped.write_bytes(gzip.compress(log.read_bytes())[:-9])
    assert "shop.gz: cannot be read (Compressed file ended" in result(logs=[zipped])


def test_a_newest_file_that_is_deleted_with_its_head_is_found_by_the_log(
    folder: Path, log: Path, result: Callable[..., str]
) -> None:
    path = folder / "audit/audit.log"
    path.unlink()
    head_path(path).unlink()
    rotated(path)[-1][1].rename(path)
    assert "was recorded, but the last one is" in result(logs=[log])
    assert ": intact: " in result(without_head=True)  # nothing else shows it


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("nothing\n", "--heads-from: the log has no head of a trail named audit.log."),
        (
            f"audit trail /a/audit.log: head 7:{'0' * 64}\naudit trail /a/audit.log: head 7:{'1' * 64}\n",
            "shop.log: has two different heads of entry 7 of /a/audit.log, so the trail was rewritten between them.",
        ),
        (
            f"audit trail /a/audit.log: head 7:{'0' * 64}\naudit trail /b/audit.log: head 7:{'1' * 64}\n",
            "--heads-from: the log has heads of several trails (/a/audit.log, /b/audit.log); give them with --head.",
        ),
    ],
)
def test_a_log_that_says_nothing_certain_is_refused(
    lines: str, sentence: str, log: Path, result: Callable[..., str]
) -> None:
    log.write_text(lines)
    assert result(logs=[log]).endswith(sentence)


def test_the_folder_tells_trails_of_one_name_apart(folder: Path, log: Path, result: Callable[..., str]) -> None:
    head = (folder / "head").read_text()
    ours = folder / "audit/audit.log"
    log.write_text(f"audit trail {ours}: head {head}\naudit trail /b/audit.log: head 999:{'1' * 64}\n")
    assert ": intact: " in result(logs=[log])
