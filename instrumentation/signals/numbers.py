"""Validates the numbers that are given to a handle."""

from __future__ import annotations

import math
from decimal import Decimal


def number(given: object) -> float:
    """A finite number as a float; NaN for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        return math.nan
    try:
        value = float(given)
    except (OverflowError, ValueError):  # an int of hundreds of digits, a signalling NaN
        return math.nan
    return value if math.isfinite(value) else math.nan
