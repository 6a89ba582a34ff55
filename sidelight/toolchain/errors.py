"""The error of the toolchain."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class ToolError(SidelightError):
    """A program is unknown, could not be had, or a command that should bring it failed."""
