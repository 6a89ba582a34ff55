"""Keeps secrets out of what is logged, by key and by form, at every depth."""

from __future__ import annotations

from instrumentation.redaction.redactor import Redactor
from instrumentation.redaction.table import MASK

__all__ = ["MASK", "Redactor"]
