"""A real server with four workers under load, one of them killed again and again: is every request counted once?"""

from __future__ import annotations

WORKER = "x-worker"
"""The header that says which process answered."""
