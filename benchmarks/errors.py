"""What can go wrong with a benchmark."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class BenchmarkError(SidelightError):
    """A variant cannot be measured."""
