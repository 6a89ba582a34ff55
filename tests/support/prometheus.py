"""Queries to servers with Prometheus' HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from sidelight.toolchain.processes import Process

SECONDS = 60.0


def asked(prometheus: Process, expression: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{prometheus.url}/api/v1/query", params={"query": expression}, timeout=SECONDS, trust_env=False)
    result: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
    return result
