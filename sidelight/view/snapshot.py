"""Writes the page with its data into one HTML file, which needs neither a server nor a network."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sidelight.view.assets import asset
from sidelight.view.errors import ViewError
from sidelight.view.prometheus import Prometheus
from sidelight.view.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.view.boards import Boards
    from sidelight.view.prometheus import Source


def write_snapshot(
    file: Path, boards: Boards, source: Source, parameters: Sequence[tuple[str, str]], uids: Sequence[str] = ()
) -> None:
    """Read everything once and write the file.

    Args:
        file: The file; it is replaced once the new one is complete.
        boards: The dashboards.
        source: Where Prometheus is.
        parameters: Time range and values of variables, as `sidelight.view.request.parse_request` describes them.
        uids: The dashboards to include; all by default.

    Raises:
        RequestError: A parameter is wrong, or Prometheus does not answer.
        ViewError: The file cannot be written.
    """
    answers = asyncio.run(_answers(boards, source, parameters, uids))
    _write(file, page({"taken": round(time.time() * 1000), "answers": answers}))


def page(data: object) -> str:
    """The page with data inside; its policy allows its own script and style, and no connection.

    >>> "<" in page({"label": "</script><b>"}).partition('type="application/json">')[2].partition("</script>")[0]
    False
    """
    script, style = asset("view.js"), asset("view.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    inside = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    replacements = (
        ("<!-- policy -->", f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        ('<link rel="stylesheet" href="/assets/view.css">', f"<style>{style}</style>"),
        (
            '<script type="module" src="/assets/view.js"></script>',
            f'<script type="application/json" id="snapshot">{inside}</script>\n<script type="module">{script}</script>',
        ),
    )
    text = asset("index.html")
    for placeholder, replacement in replacements:
        text = text.replace(placeholder, replacement)
    return text


async def _answers(
    boards: Boards, source: Source, parameters: Sequence[tuple[str, str]], uids: Sequence[str]
) -> dict[str, object]:
    prometheus = Prometheus(source)
    now = time.time()
    viewer = Viewer(boards, prometheus, clock=lambda: now)
    try:
        await prometheus.instant("1", now)
        paths = viewer.paths(uids)
        texts = await asyncio.gather(*(viewer.answer(path, parameters) for path in paths))
        return {path: json.loads(text) for path, text in zip(paths, texts, strict=True)}
    finally:
        await prometheus.close()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _write(file: Path, text: str) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(file)
    except OSError as error:
        message = f"{file}: cannot be written ({error.strerror}); give --snapshot another file."
        raise ViewError(message, code="view_snapshot_unwritable") from None
