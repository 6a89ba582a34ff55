"""The series that each worker makes."""

from __future__ import annotations

import os
import random

from benchmarks.cases import ROUTES, STATUSES


def in_any_order() -> list[tuple[str, str, str, str]]:
    """The labels of a request's duration, in an order of this process's own: that in which its requests came."""
    labels = [("GET", f"/shelf{route}/{{status}}", str(status), "") for route in range(ROUTES) for status in STATUSES]
    random.Random(os.getpid()).shuffle(labels)  # noqa: S311 - no secret
    return labels
