"""Grafana's HTTP API as far as publishing needs it: time limits, retries of what may pass, one clear error."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import httpx
import stamina

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_WAIT = 30.0  # seconds; a server that asks for more is not waited for
_TRANSIENT = frozenset({429, 502, 503, 504})
_TOKEN_REFUSED = frozenset({401, 403})
_EXISTS = frozenset({409, 412})  # another publisher created the folder a moment ago


class PublishError(SidelightError):
    """Dashboards were not published; ``details["published"]`` names those that were before it failed."""


@dataclass(frozen=True, kw_only=True)
class Grafana:
    """A Grafana and how to talk to it.

    Attributes:
        url: Its address, also below a path, without a slash at the end.
        token: A service account's token with the role Editor.
        transport: The HTTP transport; httpx's own by default.
        timeout: Seconds that one request may take to connect, and between two bytes.
        attempts: How often a request is tried in all where the failure may pass.
    """

    url: str
    token: str = field(repr=False)
    transport: httpx.BaseTransport | None = None
    timeout: float = 10.0
    attempts: int = 4


def folder_uid(title: str) -> str:
    """The stable uid of the folder with this title; a hash, since a title may hold letters that a uid may not."""
    return f"sidelight-{blake2b(title.encode(), digest_size=6).hexdigest()}"


class Session:
    """One run against one Grafana; a context manager that closes its connections.

    Every method raises PublishError with the code ``grafana_unreachable``, ``grafana_unavailable``,
    ``grafana_token_refused`` or ``not_grafana``, and with its own where Grafana refuses what it is given.
    """

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana
        self._client = httpx.Client(
            base_url=grafana.url,
            headers={"Authorization": f"Bearer {grafana.token}", "Accept": "application/json"},
            timeout=grafana.timeout,
            transport=grafana.transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ensure_folder(self, title: str) -> str:
        """Create the folder where it is missing; returns its uid.

        Raises:
            PublishError: ``folder_refused``.
        """
        uid = folder_uid(title)
        if self._send("GET", f"/api/folders/{uid}").status_code == HTTPStatus.NOT_FOUND:
            self._create_folder(uid, title)
        return uid

    def upsert(self, name: str, dashboard: Mapping[str, object], folder: str, message: str) -> str:
        """Create or replace a dashboard in the folder with this uid; returns its address.

        Raises:
            PublishError: ``dashboard_refused``.
        """
        body = {"dashboard": {**dashboard, "id": None}, "folderUid": folder, "message": message, "overwrite": True}
        response = self._send("POST", "/api/dashboards/db", body)
        self._require_success(response, f"the dashboard {name!r}", code="dashboard_refused")
        return f"{self._grafana.url}/d/{dashboard['uid']}"

    def _create_folder(self, uid: str, title: str) -> None:
        response = self._send("POST", "/api/folders", {"uid": uid, "title": title})
        if response.status_code in _EXISTS and self._send("GET", f"/api/folders/{uid}").is_success:
            return
        self._require_success(response, f"the folder {title!r}", code="folder_refused")

    def _send(self, method: str, path: str, body: object = None) -> httpx.Response:
        response = self._answer(method, path, body)
        status = response.status_code
        if status in _TOKEN_REFUSED:
            raise self._token_refused(status)
        if status in _TRANSIENT:
            raise self._error(f"answers {status} again and again; try later", "grafana_unavailable", status=status)
        if not isinstance(_json(response), dict):
            raise self._not_grafana(response)
        return response

    def _answer(self, method: str, path: str, body: object) -> httpx.Response:
        try:
            return self._retried(method, path, body)
        except _TransientStatusError as error:
            return error.response
        except httpx.TimeoutException as error:
            problem = f"did not answer within {self._grafana.timeout:g} s"
            raise self._unreachable(problem) from error
        except httpx.HTTPError as error:
            raise self._unreachable(f"cannot be reached ({error})") from error

    def _retried(self, method: str, path: str, body: object) -> httpx.Response:
        retry = stamina.RetryingCaller(attempts=self._grafana.attempts, timeout=None)
        return retry(_pause, self._once, method, path, body)

    def _once(self, method: str, path: str, body: object) -> httpx.Response:
        response = self._client.request(method, path, json=body)
        if response.status_code in _TRANSIENT:
            raise _TransientStatusError(response)
        return response

    def _require_success(self, response: httpx.Response, what: str, *, code: str) -> None:
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise self._not_grafana(response)
        if not response.is_success:
            reason = _json(response).get("message", "no reason given")
            raise self._error(f"refused {what}: {reason}", code, status=response.status_code)

    def _unreachable(self, problem: str) -> PublishError:
        return self._error(f"{problem}; check the address and the network", "grafana_unreachable")

    def _token_refused(self, status: int) -> PublishError:
        problem = "does not know the token" if status == HTTPStatus.UNAUTHORIZED else "does not let the token publish"
        advice = "give the token of a service account with the role Editor"
        return self._error(f"{problem}; {advice}", "grafana_token_refused", status=status)

    def _not_grafana(self, response: httpx.Response) -> PublishError:
        problem = f"does not answer {response.url.path} as a Grafana does"
        advice = "give the address of Grafana's own pages, without /d/ and what follows"
        return self._error(f"{problem}; {advice}", "not_grafana", status=response.status_code)

    def _error(self, problem: str, code: str, *, status: int | None = None) -> PublishError:
        told = "" if status is None else f" ({status})"
        details = {"url": self._grafana.url, "status": status}
        return PublishError(f"{self._grafana.url} {problem}{told}.", code=code, details=details)


class _TransientStatusError(Exception):
    """An answer that a later attempt may not get."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


def _pause(error: Exception) -> bool | float:
    """What stamina asks after a failure: whether to try again, or after how many seconds."""
    if isinstance(error, _TransientStatusError):
        asked = _retry_after(error.response)
        if asked is None:
            return True
        return asked if asked <= _LONGEST_WAIT else False
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _retry_after(response: httpx.Response) -> float | None:
    with suppress(ValueError):  # it may be a date or nonsense: then our own pauses do
        return max(0.0, float(response.headers.get("retry-after", "")))
    return None


def _json(response: httpx.Response) -> Any:
    with suppress(ValueError):
        return response.json()
    return None
