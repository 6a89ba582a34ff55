"""What can keep the demo from being played."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class DemoError(SidelightError):
    """Something the demo needs is missing, or ended while it was needed."""
