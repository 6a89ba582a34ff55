"""The one place that prints."""

from __future__ import annotations


def say(text: str) -> None:
    """Print to the terminal, at once."""
    print(text, flush=True)  # noqa: T201 - what this is for
