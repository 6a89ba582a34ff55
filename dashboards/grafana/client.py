"""A client for the parts of Grafana's HTTP API that publishing needs, with time limits, retries and clear errors.

Statuses and messages come from Grafana's source (``pkg/api/folder.go``, ``pkg/api/dashboard.go``,
``pkg/services/accesscontrol/middleware.go``) and were measured on Grafana 9.4.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from alerts.web_api import Server, WebApi, WebApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    Echo = Callable[[str], object]
    Query = Mapping[str, str | int | Sequence[str]]

_PAUSE = 5.0  # seconds between two checks whether new permissions apply
_PAGE, _PAGES = 1000, 1000  # results per page of a search, and how many searches at most
_EXISTS = frozenset({409, 412})  # by uid or title; the status depends on Grafana's version
_ABSENT = frozenset({403, 404})  # Grafana answers 403 instead of 404, except to Admins
_NOT_YET = frozenset({403, 404, 500})  # for a new folder; before version 11, 500 if it may not be read
_RIGHTS = "give it the role Editor, or the permission Edit on the folder"


class PublishError(WebApiError):
    """Publishing failed; ``details["published"]`` names the dashboards published before the failure."""


@dataclass(frozen=True, kw_only=True)
class Grafana(Server):
    """A Grafana server and how to connect to it.

    Attributes:
        patience: Seconds to wait until the permissions of a newly created folder apply.
        sleep: The sleep function.
    """

    KIND = "grafana"
    ERROR = PublishError
    EXAMPLE = "https://grafana.example"

    patience: float = 90.0  # Grafana caches permissions for up to 60 s
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A folder or a dashboard in the results of Grafana's search.

    Attributes:
        uid: Its uid.
        title: Its title.
        folder: The uid of its folder; empty at the top level.
        tags: A dashboard's tags.
        address: The address of its page.
    """

    uid: str
    title: str
    folder: str
    tags: tuple[str, ...]
    address: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A dashboard stored in Grafana.

    Attributes:
        data: Its JSON, with Grafana's own ``id`` and ``version``.
        folder: The uid of its folder; empty at the top level.
        address: The address of its page.
        provisioned: Whether Grafana provisions it from a file, so that it cannot be saved.
        may_be_saved: Whether the credentials have permission to save it.
    """

    data: Mapping[str, Any]
    folder: str
    address: str
    provisioned: bool = False
    may_be_saved: bool = True


@dataclass(frozen=True, kw_only=True)
class Saved:
    """Grafana's response for a saved dashboard: its uid, the address of its page, and its version."""

    uid: str
    address: str
    version: int


def given(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    """The dashboard's JSON as it was sent to Grafana, which only changes ``id`` and ``version``."""
    return {key: value for key, value in json.loads(json.dumps(dashboard)).items() if key not in {"id", "version"}}


def folder_uid(title: str) -> str:
    """The stable uid for a folder's title: a hash, because a title may contain characters that a uid may not."""
    return f"sidelight-{blake2b(title.encode(), digest_size=6).hexdigest()}"


class Session:
    """A session with a Grafana server; a context manager that closes its connections.

    Every method raises PublishError with the code ``grafana_unreachable``, ``grafana_certificate``,
    ``grafana_unavailable``, ``grafana_redirects``, ``grafana_token_refused`` or ``not_grafana``, or with a code of its own
    if Grafana refuses the request.
    """

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana
        self._api = WebApi(grafana, "application/json")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    # --- Folders ------------------------------------------------------------------------------------------------------

    def folders(self) -> list[Hit]:
        """All folders that the credentials can see, including nested ones."""
        return self._search(type="dash-folder")

    def create_folder(self, title: str) -> str:
        """Create a folder at the top level and return its uid.

        Raises:
            PublishError: ``folder_refused``.
        """
        uid = folder_uid(title)
        response = self._send("POST", "/api/folders", {"uid": uid, "title": title})
        if response.status_code in _EXISTS:  # another publisher may have created it a moment ago
            if self._send("GET", f"/api/folders/{uid}").is_success:
                return uid
            advice = (
                f"the {self._grafana.credentials} may not see the existing folder: {_RIGHTS}, or set dashboards.folder;"
                " if it was created within the last minute, publish again"
            )
            raise self._refused(response, f"a folder {title!r}", code="folder_refused", advice=advice)
        self._require_success(response, f"the folder {title!r}", code="folder_refused")
        return str(_json(response).get("uid", uid))

    # --- Dashboards ---------------------------------------------------------------------------------------------------

    def dashboards(self, folder: str) -> list[Hit]:
        """The visible dashboards in the folder with this uid."""
        # Grafana before version 10 ignores folderUIDs and lists every dashboard.
        return [hit for hit in self._search(type="dash-db", folderUIDs=folder) if hit.folder == folder]

    def tagged(self, tags: Sequence[str]) -> list[Hit]:
        """The visible dashboards with all these tags, in any folder."""
        return self._search(type="dash-db", tag=tags)

    def dashboard(self, uid: str) -> Stored | None:
        """The dashboard with this uid; None if it does not exist or is not visible."""
        response = self._send("GET", f"/api/dashboards/uid/{uid}")
        if response.status_code in _ABSENT:
            return None
        self._require_success(response, f"to show the dashboard {uid!r}", code="dashboard_refused")
        data, meta = _json(response).get("dashboard", {}), _json(response).get("meta", {})
        return Stored(
            data=data,
            folder=str(meta.get("folderUid") or ""),
            address=self._address(meta.get("url") or f"/d/{uid}"),
            provisioned=bool(meta.get("provisioned")),
            may_be_saved=meta.get("canSave", True),
        )

    def save(
        self,
        dashboard: Mapping[str, object],
        stored: Stored | None,
        *,
        folder: str,
        message: str,
        wait: Echo | None = None,
    ) -> Saved:
        """Create a dashboard, or replace the one that was read; Grafana refuses this if that one has changed since.

        Args:
            dashboard: Grafana's JSON.
            stored: The result of ``dashboard`` for its uid.
            folder: The uid of its folder.
            message: The message in the version history.
            wait: If the folder is so new that its permissions may not apply yet: prints progress lines.

        Raises:
            PublishError: ``dashboard_refused``, ``dashboard_changed`` or ``grafana_quota_reached``.
        """
        # Not "overwrite": with it, Grafana before 11.3 replaces another dashboard with the same title. And without the id
        # of the existing dashboard, Grafana counts one more dashboard against the quota.
        was = stored.data if stored else {}
        body = {
            "dashboard": {**dashboard, "id": was.get("id"), "version": was.get("version", 0)},
            "folderUid": folder,
            "message": message,
            "overwrite": False,
        }
        response = self._send("POST", "/api/dashboards/db", body)
        if wait is not None:
            response = self._waited(response, "/api/dashboards/db", body, wait)
        answer = _json(response)
        if response.is_success and "uid" in answer:
            address = self._address(answer.get("url") or f"/d/{answer['uid']}")
            return Saved(uid=answer["uid"], address=address, version=answer.get("version", 0))
        what = f"the dashboard {dashboard['title']!r}"
        if not (isinstance(answer, dict) and answer.get("status") == "version-mismatch"):
            raise self._refused(response, what, code="dashboard_refused")
        found = self.dashboard(str(dashboard["uid"]))
        if found and given(found.data) == given(dashboard):  # saved by an attempt whose response was lost
            return Saved(uid=str(dashboard["uid"]), address=found.address, version=found.data.get("version", 0))
        unseen = f"the {self._grafana.credentials} may not see the dashboard with its uid: {_RIGHTS}"
        advice = "somebody has just saved it: publish again" if found else unseen
        raise self._refused(response, what, code="dashboard_changed", advice=advice)

    def delete(self, uid: str) -> None:
        """Delete the dashboard with this uid.

        Raises:
            PublishError: ``dashboard_refused``.
        """
        response = self._send("DELETE", f"/api/dashboards/uid/{uid}")
        if response.status_code != HTTPStatus.NOT_FOUND:  # deleted by an attempt whose response was lost
            self._require_success(response, f"to delete the dashboard {uid!r}", code="dashboard_refused")

    def _waited(self, response: httpx.Response, path: str, body: object, echo: Echo) -> httpx.Response:
        waited = 0.0
        while response.status_code in _NOT_YET and not _is_over_quota(response) and waited < self._grafana.patience:
            self._grafana.sleep(_PAUSE)
            waited += _PAUSE
            most = f"{waited:g} of at most {self._grafana.patience:g} s"
            echo(f"waiting until Grafana lets the {self._grafana.credentials} use the new folder: {most}")
            response = self._send("POST", path, body)
        return response

    def _address(self, path: str) -> str:
        """The address for a path of Grafana, which contains the sub-path that Grafana is configured with."""
        if path.startswith(("/d/", "/dashboards/")):  # no sub-path; a proxy may still serve Grafana below one
            return self._grafana.url + path
        return urljoin(self._grafana.url, path)

    # --- Grafana itself -----------------------------------------------------------------------------------------------

    def version(self) -> tuple[int, int] | None:
        """Grafana's version, such as (11, 3); None if it is not available."""
        with suppress(PublishError):  # a proxy may block the page
            answer = _json(self._send("GET", "/api/health"))
            found = re.match(r"(\d+)\.(\d+)", str(answer.get("version", "")) if isinstance(answer, dict) else "")
            return (int(found[1]), int(found[2])) if found else None
        return None

    def room(self) -> int | None:
        """The number of further dashboards allowed by the organization's quota; None if it is unlimited or hidden."""
        quotas = _json(self._send("GET", "/api/org/quotas"))
        for quota in quotas if isinstance(quotas, list) else ():
            if quota.get("target") == "dashboard" and quota.get("limit", -1) >= 0:
                return max(0, int(quota["limit"]) - int(quota.get("used", 0)))
        return None

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def _search(self, **query: str | Sequence[str]) -> list[Hit]:
        found: dict[str, Hit] = {}  # a dashboard created in between may move a hit to the next page
        for page in range(1, 1 + _PAGES):
            response = self._send("GET", "/api/search", query={**query, "limit": _PAGE, "page": page})
            hits = _json(response)
            if not isinstance(hits, list):
                raise self._not_searched(response)
            found |= {hit.uid: hit for hit in map(self._hit, hits)}
            if len(hits) < _PAGE:
                break
        return list(found.values())

    def _hit(self, data: Mapping[str, Any]) -> Hit:
        return Hit(
            uid=str(data.get("uid", "")),
            title=str(data.get("title", "")),
            folder=str(data.get("folderUid") or ""),
            tags=tuple(data.get("tags") or ()),
            address=self._address(str(data.get("url") or "")),
        )

    def _send(self, method: str, path: str, body: object = None, query: Query | None = None) -> httpx.Response:
        """Grafana's response; a response that is not from Grafana is an error."""
        response = self._api.send(method, path, json=body, query=query)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise self._unauthorized(response)
        if not isinstance(_json(response), dict | list):
            raise self._not_grafana(response)
        return response

    # --- Errors -------------------------------------------------------------------------------------------------------

    def _require_success(self, response: httpx.Response, what: str, *, code: str) -> None:
        if not response.is_success:
            raise self._refused(response, what, code=code)

    def _refused(self, response: httpx.Response, what: str, *, code: str, advice: str = "") -> WebApiError:
        status, reason = response.status_code, _reason(response)
        if _is_over_quota(response):
            code, advice = "grafana_quota_reached", "delete dashboards, or raise Grafana's quota"
        elif status == HTTPStatus.FORBIDDEN:
            code, advice = "grafana_token_refused", f"the {self._grafana.credentials} lacks a permission: {_RIGHTS}"
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            advice = "see Grafana's log; one possible cause is a read-only database"
        return self._api.refusal(f"refused {what}: {reason}{advice and f'; {advice}'}", code, status=status)

    def _not_searched(self, response: httpx.Response) -> WebApiError:
        if response.is_success or response.status_code == HTTPStatus.NOT_FOUND:
            return self._not_grafana(response)
        return self._refused(response, "to search folders and dashboards", code="search_refused")

    def _unauthorized(self, response: httpx.Response) -> WebApiError:
        status, reason = response.status_code, _reason(response)
        if "basic" in response.headers.get("WWW-Authenticate", "").lower() and not self._grafana.user:
            problem = f"requires user and password ({reason}); set GRAFANA_USER and GRAFANA_PASSWORD"
        elif self._grafana.user:
            problem = f"does not accept the user or the password ({reason})"
        else:
            problem = f"does not accept the token ({reason}); use the token of a service account with the role Editor"
        return self._api.refusal(problem, "grafana_token_refused", status=status)

    def _not_grafana(self, response: httpx.Response) -> WebApiError:
        method, path, status = response.request.method, response.url.path, response.status_code
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED}:
            problem = f"refused {method} {path} before it reached Grafana; a proxy may not allow writing"
            return self._api.refusal(problem, "grafana_proxy_refused", status=status)
        problem = f"does not answer {path} like Grafana"
        advice = "use the address of Grafana's start page, including its path but without /d/"
        return self._api.refusal(f"{problem}; {advice}", "not_grafana", status=status)


def _is_over_quota(response: httpx.Response) -> bool:
    """Whether a quota is reached; only Grafana's message distinguishes this from a missing permission."""
    return response.status_code == HTTPStatus.FORBIDDEN and "quota reached" in _reason(response).lower()


def _reason(response: httpx.Response) -> str:
    """Grafana's message, in one line."""
    data = _json(response)
    message = str(data.get("message") or "") if isinstance(data, dict) else ""
    return re.sub(r"\s+", " ", message).strip(" .") or "no reason given"


def _json(response: httpx.Response) -> Any:
    with suppress(ValueError):
        return response.json()
    return None
