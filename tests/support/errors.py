"""The error of measurements."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class MeasurementError(SidelightError):
    """Something cannot be measured."""
