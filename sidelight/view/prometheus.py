"""Reads from one Prometheus: GET only, with limits on time, size and the number of queries at once."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from sidelight.view.errors import PrometheusError, ViewError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.view.ranges import Range
    from sidelight.view.steps import Step

CONNECT = 3.0  # seconds
READ = 30.0  # seconds for a whole response
LARGEST = 32 * 1024 * 1024  # bytes of a response
AT_ONCE = 8  # queries


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where Prometheus is, and what it must be sent.

    Attributes:
        url: Its URL; may have a path, as Mimir's does.
        headers: Headers of each request, such as ``X-Scope-OrgID``.
    """

    url: str
    headers: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        return re.sub(r"//[^/@]*@", "//", self.url)


def source(url: str, headers: Sequence[str] = (), token: str = "") -> Source:
    """Validate where Prometheus is.

    Args:
        url: ``http://`` or ``https://``; may contain user and password.
        headers: ``Name: value`` each.
        token: A bearer token; empty for none.

    Raises:
        ViewError: The URL or a header cannot be used.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        message = (
            f"--prometheus: got {re.sub('//[^/@]*@', '//', url)!r}; give an http:// or https:// address without ? or #."
        )
        raise ViewError(message, code="view_prometheus_invalid")
    given = {"Authorization": f"Bearer {token}"} if token else {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not re.fullmatch(r"[\w-]+", name.strip()) or "\n" in value or "\r" in value:
            message = f"--header: got {name!r}; give a name, a colon and a value, such as X-Scope-OrgID: team."
            raise ViewError(message, code="view_header_invalid")
        given[name.strip()] = value.strip()
    return Source(url=url.rstrip("/"), headers=given)


class Prometheus:
    """One Prometheus, or a server with its query API.

    Args:
        source: Where it is.
        transport: Replaces the network in tests.
    """

    def __init__(self, source: Source, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.source = source
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._client = httpx.AsyncClient(
            base_url=f"{source.url}/api/v1/",
            headers=source.headers,
            timeout=httpx.Timeout(READ, connect=CONNECT),
            trust_env=not _is_loopback(source.url),
            transport=transport,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def instant(self, expression: str, at: float) -> Any:
        """The result of an expression at a time: ``resultType`` and ``result``.

        Raises:
            PrometheusError: Prometheus does not answer, or refuses the query.
        """
        return await self._get("query", {"query": expression, "time": f"{at:.3f}"})

    async def over(self, expression: str, step: Step) -> Any:
        """The result of an expression over a time range.

        Raises:
            PrometheusError: As `instant`.
        """
        start, end = step.aligned
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step.step / 1000:.3f}"}
        return await self._get("query_range", {"query": expression, **times})

    async def label_values(self, label: str, series: str | None, window: Range) -> list[str]:
        """The values of a label, sorted.

        Args:
            label: The label.
            series: Only of series that match this selector; None for all.
            window: Only of series that exist in this time range.

        Raises:
            PrometheusError: As `instant`.
        """
        times = {"start": f"{window.start:.3f}", "end": f"{window.end:.3f}"}
        values = await self._get(f"label/{label}/values", {**times, **({"match[]": series} if series else {})})
        return sorted(map(str, values))

    async def rules(self) -> list[Any]:
        """The groups of alert rules with their states.

        Raises:
            PrometheusError: As `instant`.
        """
        groups: list[Any] = (await self._get("rules", {"type": "alert"}))["groups"]
        return groups

    async def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        async with self._slots:
            try:
                async with asyncio.timeout(READ), self._client.stream("GET", path, params=dict(parameters)) as response:
                    status, body = response.status_code, await _bounded(response)
            except TimeoutError:
                raise self._fault(f"did not answer within {READ:g} s", parameters) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._fault(f"does not answer: {error or type(error).__name__}", parameters) from None
        return self._data(status, body, parameters)

    def _data(self, status: int, body: bytes, parameters: Mapping[str, str]) -> Any:
        try:
            answer = json.loads(body)
            succeeded = answer["status"] == "success"
        except (ValueError, KeyError, TypeError):
            raise self._fault(f"answered {status} without the JSON of Prometheus' API", parameters) from None
        if not succeeded:
            raise self._fault(f"refuses the query: {str(answer.get('error', status))[:500]}", parameters)
        return answer["data"]

    def _fault(self, what: str, parameters: Mapping[str, str]) -> PrometheusError:
        details = {"query": parameters.get("query", "")}
        return PrometheusError(f"Prometheus at {self.source.shown} {what}.", code="view_prometheus", details=details)


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            raise httpx.HTTPError(
                f"the answer is larger than {LARGEST // 2**20} MiB; choose fewer series or a shorter range"
            )
    return bytes(body)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
