"""The runbooks as web pages: numbers from the settings, and queries for the service in the page's address."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from alerts import ALERTS
from instrumentation.settings.duration import Duration
from sidelight.data_files import runbooks_folder
from sidelight.signals.pages import signal_pages

if TYPE_CHECKING:
    from pydantic import BaseModel

    from instrumentation.settings import Settings

FOLDER = "runbooks/html"

_SIGNALS = "signals/runbooks/"
_KEY = re.compile(r"`((?:[a-z_0-9]+\.)+[a-z_0-9]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#8881;padding:.75rem;overflow-x:auto}code{font:14px/1.45 ui-monospace,monospace}"
    "table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.25rem .5rem}"
    "#about{border-left:.25rem solid #d44;padding-left:.75rem}:root{color-scheme:light dark}"
)


def runbook_pages(settings: Settings) -> dict[str, str]:
    """Path below the output folder to HTML: a page for each alert, Sidelight's own and those on signals, and an index."""
    folder = runbooks_folder()
    texts = {alert.name: (folder / f"{alert.name}.md").read_text("utf-8") for alert in ALERTS}
    for path, text in signal_pages(settings).items():
        if path.startswith(_SIGNALS):
            texts[path.removeprefix(_SIGNALS).removesuffix(".md")] = text
    index = "# Runbooks\n\n" + "\n".join(f"- [{name}]({name}.md)" for name in sorted(texts))
    pages = {
        **{name: _page(name, text, settings) for name, text in texts.items()},
        "index": _page("Runbooks", index, settings),
    }
    return {f"{FOLDER}/{name}.html": page for name, page in pages.items()}


def _page(title: str, text: str, settings: Settings) -> str:
    parts = _FENCE.split(text)  # every second one is a block of code
    parts[::2] = [_linked(_numbered(part, settings)) for part in parts[::2]]
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render("".join(parts))
    script = files("sidelight.runbooks").joinpath("fill_runbook.js").read_text("utf-8")
    identity = escape(json.dumps([label for label in settings.alerting.group_by if label != "job"]))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<body data-identity="{identity}">\n<p id="about" hidden></p>\n{body}<script>\n{script}</script>\n</body>\n</html>\n'
    )


def _numbered(text: str, settings: Settings) -> str:
    """A text in which each setting is followed by what it is.

    >>> from instrumentation.settings import Settings
    >>> _numbered("above `thresholds.error_ratio.critical` within `alerting.window`, as `logging.level`", Settings())
    'above `thresholds.error_ratio.critical` (0.05) within `alerting.window` (5m), as `logging.level` (info)'
    >>> _numbered("`alerting.receivers` and `a.b`", Settings())
    '`alerting.receivers` and `a.b`'
    """

    def numbered(found: re.Match[str]) -> str:
        value = _value(settings, found[1])
        return found[0] if value is None else f"{found[0]} ({value})"

    return _KEY.sub(numbered, text)


def _value(settings: BaseModel, path: str) -> str | None:
    place: object = settings
    for key in path.split("."):
        names = {field.alias or name: name for name, field in getattr(type(place), "model_fields", {}).items()}
        if key not in names:
            return None
        place = getattr(place, names[key])
    if isinstance(place, bool):
        return "true" if place else "false"
    return f"{place}" if isinstance(place, str | int | float | Duration) else None


def _linked(text: str) -> str:
    """A text whose links lead to other pages of this folder; what is elsewhere in the documentation is named.

    >>> _linked("[ServiceDown](ServiceDown.md), [Logs](../how-to/write-logs.md#a) and [Go](https://go.dev)")
    '[ServiceDown](ServiceDown.html), Logs (docs/how-to/write-logs.md) and [Go](https://go.dev)'
    """

    def linked(found: re.Match[str]) -> str:
        said, target = found[1], found[2]
        if target.startswith(("http://", "https://")):
            return found[0]
        if "/" in target:
            return f"{said} (docs/{target.partition('#')[0].removeprefix('../')})"
        return f"[{said}]({target.replace('.md', '.html')})"

    return _LINK.sub(linked, text)
