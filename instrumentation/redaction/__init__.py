"""Keeps secrets out of what is logged, by key and by form, at every depth."""

from __future__ import annotations

from instrumentation.redaction.patterns import MASK
from instrumentation.redaction.redactor import Redactor

__all__ = ["MASK", "Redactor"]
