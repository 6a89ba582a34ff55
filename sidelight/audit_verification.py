"""``sidelight audit``: verifies an audit trail, and finds masked values in it."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from instrumentation.auditing import AuditError
from instrumentation.auditing.masking import digest
from instrumentation.auditing.rotated_files import CORRUPT, earlier_files, opened
from instrumentation.auditing.signing_keys import audit_keys
from instrumentation.auditing.trail import head_path, read_head
from instrumentation.auditing.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from instrumentation.auditing.chain import Key
    from instrumentation.settings import Settings

_LOGGED = re.compile(r"audit trail (\S[^:]*): head ([0-9]{1,18}:[0-9a-f]{64})\b")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to verify, and against what.

    Attributes:
        paths: The trail's file, its folder, or all its files, oldest first; empty for ``audit.path``.
        key_file: The keys; takes precedence over settings and environment.
        heads: Heads recorded elsewhere, as ``number:seal``.
        logs: Log files of the service; the heads in them are heads recorded elsewhere.
        continues: Whether the first file may follow one that is not given.
        without_head: Whether to accept a trail without a head.
    """

    paths: Sequence[Path] = ()
    key_file: Path | None = None
    heads: Sequence[str] = ()
    logs: Sequence[Path] = ()
    continues: bool = False
    without_head: bool = False


def verified(asked: Asked, settings: Settings) -> list[str]:
    """Verify a trail and return the lines to print if it is intact.

    Args:
        asked: What to verify, and against what.
        settings: Provide the trail and its key if ``asked`` does not.

    Raises:
        AuditError: ``audit_trail_not_whole``, ``audit_head_invalid``, ``audit_trail_not_found``.
        SettingsError: The key cannot be used.
    """
    files = _files(asked.paths, settings)
    keys = audit_keys(settings, os.environ, file=asked.key_file)
    needed = not (asked.heads or asked.logs or asked.without_head)
    heads = _logged(asked.logs, files[-1]) | dict(map(_recorded, asked.heads)) | _head(files[-1], keys, needed=needed)
    try:
        with _progress(files) as progress:
            report = verify(files, keys, heads, continues=asked.continues, progress=progress)
    except OSError as error:
        raise _not_found(f"{error.filename}: cannot be read ({error.strerror})") from None
    if report.fault:
        raise AuditError(str(report.fault), code="audit_trail_not_whole")
    whole = f"{files[-1]}: intact: {report.lines} lines in {report.files} files; head {report.head}"
    return [*map(str, report.notes), whole]


def digests(text: str, settings: Settings, *, key_file: Path | None = None) -> list[str]:
    """The digests that a masked text has in the trail, one for each key.

    Args:
        text: The text, such as an order number.
        settings: Provide the keys if no file does.
        key_file: The keys; takes precedence over settings and environment.

    Raises:
        SettingsError: The keys cannot be used.
    """
    return [digest(key, text) for key in audit_keys(settings, os.environ, file=key_file).values()]


def _files(paths: Sequence[Path], settings: Settings) -> list[Path]:
    if not paths:
        if settings.audit.path is None:
            raise _not_found("audit.path is not set; give the file")
        paths = [Path(settings.audit.path)]
    if len(paths) == 1 and paths[0].is_dir():
        paths = [head.with_suffix("") for head in sorted(paths[0].glob("*.head"))]
        if len(paths) != 1:
            raise _not_found(f"the folder contains {len(paths)} trails; give the file of one")
    return list(paths)


def _head(file: Path, keys: dict[str, Key], *, needed: bool) -> dict[int, bytes]:
    """The head stored beside the trail."""
    beside = head_path(file)
    if not beside.exists():
        if needed:
            raise AuditError(
                f"{beside} does not exist, so a truncated end would not be detected; give --head with a head that was "
                "recorded elsewhere, or --without-head.",
                code="audit_trail_not_whole",
            )
        return {}
    head = read_head(file, keys)
    if head is None:
        raise AuditError(
            f"{beside} has been changed, or was sealed with a key that is not given.",
            code="audit_trail_not_whole",
        )
    return {head.seq: head.seal} if head.seq else {}


def _recorded(text: str) -> tuple[int, bytes]:
    match = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text)
    if not match:
        raise AuditError(f"--head: got {text!r:.100}; give number:seal, as in the log.", code="audit_head_invalid")
    return int(match[1]), bytes.fromhex(match[2])


def _logged(logs: Sequence[Path], trail: Path) -> dict[int, bytes]:
    """The heads of a trail in log files.

    The trail may have been copied from another machine, so its folder counts only if the logs have several trails of its name.
    """
    by_path: dict[str, dict[int, bytes]] = {}
    for log in logs:
        for path, head in _heads_in(log):
            if Path(path).name != trail.name:
                continue
            number, seal = _recorded(head)
            if by_path.setdefault(path, {}).setdefault(number, seal) != seal:
                raise AuditError(
                    f"{log}: has two different heads of entry {number} of {path}, so the trail was rewritten between them.",
                    code="audit_trail_not_whole",
                )
    if logs and not by_path:
        raise AuditError(f"--heads-from: the log has no head of a trail named {trail.name}.", code="audit_head_invalid")
    if len(by_path) > 1 and str(trail.absolute()) not in by_path:
        names = ", ".join(sorted(by_path))
        raise AuditError(
            f"--heads-from: the log has heads of several trails ({names:.300}); give them with --head.",
            code="audit_head_invalid",
        )
    return by_path.get(str(trail.absolute()), {}) if len(by_path) > 1 else next(iter(by_path.values()), {})


def _heads_in(log: Path) -> Iterator[tuple[str, str]]:
    try:
        with opened(log) as stream:
            for line in stream:
                for match in _LOGGED.finditer(line.decode("utf-8", "replace")):
                    yield match[1], match[2]
    except (OSError, *CORRUPT) as error:
        raise _not_found(f"{log}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _not_found(said: str) -> AuditError:
    return AuditError(f"audit verify: {said}.", code="audit_trail_not_found")


@contextmanager
def _progress(files: Sequence[Path]) -> Iterator[Callable[[int], object]]:
    """A progress bar on a terminal; nothing otherwise."""
    every = files if len(files) > 1 else [*earlier_files(files[0]), files[0]]
    console = Console(stderr=True)
    bar = Progress(
        BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=sum(file.stat().st_size for file in every if file.exists()))
        yield lambda read: bar.advance(task, read)
