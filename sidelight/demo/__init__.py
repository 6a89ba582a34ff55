"""``sidelight demo``: a real service fails, alerts and recovers, with a real Prometheus and Alertmanager."""

from __future__ import annotations

from sidelight.demo.errors import DemoError
from sidelight.demo.main import run

__all__ = ["DemoError", "run"]
