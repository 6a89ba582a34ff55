"""Signals: the metrics that a team has declared in ``sidelight.yaml``, as handles for its code."""

from __future__ import annotations

from instrumentation.signals.declared import counter, gauge, histogram, job

__all__ = ["counter", "gauge", "histogram", "job"]
