"""Durations as Prometheus reads them in rule files."""

from __future__ import annotations

import re

UNIT_SECONDS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
LONGEST = (2**63 - 1) / 1e9
"""The longest duration in seconds; Prometheus counts nanoseconds in 64 bits."""

_DURATION = re.compile(r"(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?", re.ASCII)


def seconds_of(text: str) -> float | None:
    """A duration in seconds; None if Prometheus refuses it.

    >>> seconds_of("1h30m"), seconds_of("0"), seconds_of("30m1h")
    (5400.0, 0.0, None)
    """
    if text == "0":
        return 0.0
    if not text or not _DURATION.fullmatch(text):
        return None
    seconds = float(sum(int(number) * UNIT_SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[a-z])", text)))
    return seconds if seconds <= LONGEST else None
