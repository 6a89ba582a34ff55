"""The error of the demo."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class DemoError(SidelightError):
    """Something that the demo needs is missing or stopped unexpectedly."""
