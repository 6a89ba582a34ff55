"""The pinned programs used by build, tests and demo, and how to start and stop processes."""

from __future__ import annotations

from sidelight.toolchain.commands import run_command
from sidelight.toolchain.errors import ToolError
from sidelight.toolchain.releases import RELEASES
from sidelight.toolchain.toolbox import Toolbox, ensure, node_modules, tool

__all__ = ["RELEASES", "ToolError", "Toolbox", "ensure", "node_modules", "run_command", "tool"]
