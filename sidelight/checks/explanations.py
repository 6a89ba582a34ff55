"""Explains a check: what it finds, why, an example, how to fix it, and how to disable it."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from sidelight.checks.examples import EXAMPLES
from sidelight.checks.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.checks import Check

_LONGEST_LINE, _MOST_LINES = 160, 14  # characters, lines
_ONLY_BY_OPTION = {"file/parse", "file/suppression", "file/expired"}
_IN_JSON = ("dashboard/",)

FIXABLE = {
    "promql/format": "formats the expression.",
    "promql/regexp": 'writes `=`, `!=` or `!=""`, except for `.*` and anchors.',
    "rule/schema": "writes durations that can only mean one thing, such as `5 minutes` or `30m1h`.",
    "dashboard/unknown-unit": "writes the unit, except for percentages.",
}
"""What `sidelight check --fix` does about a check."""


def explanation(check: Check) -> Iterator[str]:
    """The explanation of a check, in blocks of Markdown."""
    yield f"## {check.name}"
    says = f': "{EXAMPLES[check.name].says}"' if check.name in EXAMPLES else ""
    yield f"It finds {check.finds} ({check.severity}){says}."
    yield f"**Why:** {REASONS[check.name]}"
    if check.name in EXAMPLES:
        yield "\n".join(["```diff", *_changed(check.name), "```"])
    if check.name in FIXABLE:
        yield f"**Fix:** `sidelight check --fix` {FIXABLE[check.name]}"
    yield f"**Disable:** {_how_to_disable(check.name)}"


def _changed(name: str) -> list[str]:
    """The lines that differ between the wrong and the right example."""
    wrong, right, _ = EXAMPLES[name]
    lines = [
        line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
        for line in unified_diff(wrong.splitlines(), right.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    return [*lines[:_MOST_LINES], *(["..."] if len(lines) > _MOST_LINES else [])]


def _how_to_disable(name: str) -> str:
    option = f"`--disable {name}`"
    if name in _ONLY_BY_OPTION or name.startswith(_IN_JSON):
        return f"{option}."
    where = "the rule" if name.startswith(("rule/", "alert/", "promql/", "online/")) else "the key"
    return f"the comment `# sidelight disable {name}` above {where}, `# sidelight file/disable {name}` for the file, or {option}."
