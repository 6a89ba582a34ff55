"""The series of each worker."""

from __future__ import annotations

import os
import random

from benchmarks.cases import ROUTES, STATUSES


def in_any_order() -> list[tuple[str, str, str, str]]:
    """The label values of request durations, in an order specific to this process, like the order of its requests."""
    labels = [("GET", f"/shelf{route}/{{status}}", str(status), "") for route in range(ROUTES) for status in STATUSES]
    random.Random(os.getpid()).shuffle(labels)  # noqa: S311 - not a secret
    return labels
