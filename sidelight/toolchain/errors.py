"""The error of the toolchain."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class ToolError(SidelightError):
    """A program is unknown or not available, or a command to get it failed."""
