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
from instrumentation.auditing.rotated_files import earlier_files
from instrumentation.auditing.signing_keys import audit_keys
from instrumentation.auditing.trail import head_path, read_head
from instrumentation.auditing.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from instrumentation.auditing.chain import Key
    from instrumentation.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to verify, and against what.

    Attributes:
        paths: The trail's file, its folder, or all its files, oldest first; empty for ``audit.path``.
        key_file: The keys; takes precedence over settings and environment.
        heads: Heads recorded elsewhere, as ``number:seal``.
        continues: Whether the first file may follow one that is not given.
        without_head: Whether to accept a trail without a head.
    """

    paths: Sequence[Path] = ()
    key_file: Path | None = None
    heads: Sequence[str] = ()
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
    heads = dict(map(_recorded, asked.heads)) | _head(files[-1], keys, needed=not (asked.heads or asked.without_head))
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
