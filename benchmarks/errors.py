"""The error of benchmarks."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class BenchmarkError(SidelightError):
    """A variant cannot be measured."""
