"""Uploads the rules to the API of a ruler, such as Mimir's or Cortex's."""

from __future__ import annotations

from alerts.ruler.client import Ruler, RulerError
from alerts.ruler.upload import Mode, upload, upload_from_environment

__all__ = ["Mode", "Ruler", "RulerError", "upload", "upload_from_environment"]
