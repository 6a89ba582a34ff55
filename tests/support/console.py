"""Prints to the terminal."""

from __future__ import annotations


def say(text: str) -> None:
    """Print to the terminal without buffering."""
    print(text, flush=True)  # noqa: T201 - the purpose of this function
