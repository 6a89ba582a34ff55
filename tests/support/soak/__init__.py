"""Runs a real server with four workers under load, repeatedly kills one, and checks that each request is counted once."""

from __future__ import annotations

WORKER = "x-worker"
"""The header with the process that answered."""
