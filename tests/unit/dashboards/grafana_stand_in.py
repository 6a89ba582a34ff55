"""A fake Grafana: its HTTP API over a real socket, with roles, quotas, titles and provisioned dashboards.

Grafana's server is not available as a package for the tests, so this server replaces it. It answers as a Grafana
9.4 was measured to, and for later versions as Grafana's source says: ``pkg/api/folder.go``, ``pkg/api/dashboard.go``,
``pkg/api/apierrors``, ``pkg/services/dashboards/errors.go`` and ``pkg/services/accesscontrol/middleware.go``.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

UNIQUE_TITLES_UNTIL = (11, 3)
HIDES_MISSING_DASHBOARDS_FROM = (11, 0)  # GET of a dashboard is scoped to its uid from about here
TELLS_DENIED_FOLDERS_FROM = (11, 0)  # grafana/grafana#76068: before, saving into them is answered 500
FILTERS_BY_FOLDER_UID_FROM = (10, 0)

ADMIN, EDITOR, VIEWER, NONE = "Admin", "Editor", "Viewer", "None"
_EDIT = frozenset(
    {"folders:read", "folders:write", "dashboards:read", "dashboards:create", "dashboards:write", "dashboards:delete"}
)
_VIEW = frozenset({"folders:read", "dashboards:read"})
_ON_FOLDERS = {EDITOR: _EDIT, VIEWER: _VIEW, NONE: frozenset[str]()}  # what a folder grants by default
_AT_THE_TOP = {
    EDITOR: {"folders:create", "orgs.quotas:read", "dashboards:create", "dashboards:write", "dashboards:delete"},
    VIEWER: {"orgs.quotas:read"},
    NONE: set[str](),
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered: status, body and headers; ``wait`` holds it back."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait: threading.Event | None = None


@dataclass(kw_only=True)
class Account:
    """Who asks: a service account or a user.

    Attributes:
        role: Its role in the organization.
        edits: The folders on which it has the permission Edit, beside what its role gives.
        sees_from: Folder to the time from which the permissions of the folder count for it.
    """

    role: str = EDITOR
    edits: set[str] = field(default_factory=set)
    sees_from: dict[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Folder:
    """A folder; ``private`` ones grant roles nothing."""

    uid: str
    title: str
    parent: str = ""
    private: bool = False


@dataclass(kw_only=True)
class Dashboard:
    """A dashboard with every version that was saved."""

    id: int
    folder: str
    versions: list[dict[str, Any]]
    messages: list[str] = field(default_factory=list)
    provisioned: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """The newest version."""
        return self.versions[-1]


class StandIn(ThreadingHTTPServer):
    """One organization of a Grafana, in memory.

    Attributes:
        version: The version of Grafana that it answers as.
        accounts: What the header Authorization holds, to who that is.
        folders: The folders by uid.
        dashboards: The dashboards by uid.
        quota: How many dashboards it takes, or None.
        sub_path: Grafana's ``root_url`` has this path.
        redirects: Whether requests without the sub-path are redirected, as from Grafana 11 on, or served.
        delay: Seconds after which the permissions of a new folder count.
        now: Its clock, in seconds; ``sleep`` moves it on.
        read_only: Whether its database refuses to be written.
        hides_version: Whether its health page tells the version.
        loses_answer_of: A request that it does once without its answer reaching anybody, as behind a proxy that gives up.
        script: Path to answers that come first, each once.
        seen: Method and path of every request.
    """

    daemon_threads = True

    def __init__(self, version: str = "9.4.7", *, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = version
        self.accounts: dict[str, Account] = {}
        self.folders: dict[str, Folder] = {}
        self.dashboards: dict[str, Dashboard] = {}
        self.quota: int | None = None
        self.sub_path = ""
        self.redirects = False
        self.delay = 0.0
        self.now = 0.0
        self.read_only = False
        self.hides_version = False
        self.loses_answer_of = ""
        self.script: dict[str, list[Answer]] = {}
        self.seen: list[str] = []
        self._scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """Its address, with the sub-path."""
        return f"{self.origin}{self.sub_path}"

    @property
    def origin(self) -> str:
        """Its address, without the sub-path."""
        return f"{self._scheme}://127.0.0.1:{self.server_port}"

    @property
    def writes(self) -> list[str]:
        """The requests that change something."""
        return [request for request in self.seen if not request.startswith("GET ")]

    def admit(self, token: str, role: str = EDITOR, *, edits: set[str] | None = None) -> Account:
        """Let a service account with this token in."""
        self.accounts[f"Bearer {token}"] = Account(role=role, edits=edits or set())
        return self.accounts[f"Bearer {token}"]

    def admit_user(self, user: str, password: str, role: str = EDITOR) -> Account:
        """Let a user with this password in."""
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.accounts[f"Basic {encoded}"] = Account(role=role)
        return self.accounts[f"Basic {encoded}"]

    def add_folder(self, uid: str, title: str, *, parent: str = "", private: bool = False) -> Folder:
        """A folder that somebody made in the pages."""
        self.folders[uid] = Folder(uid=uid, title=title, parent=parent, private=private)
        return self.folders[uid]

    def add_dashboard(self, data: dict[str, Any], folder: str = "", *, provisioned: bool = False) -> Dashboard:
        """A dashboard that somebody saved in the pages, or that Grafana read from a file."""
        number = 1 + max((dashboard.id for dashboard in self.dashboards.values()), default=0)
        saved = {**data, "id": number, "version": 1}
        self.dashboards[data["uid"]] = Dashboard(id=number, folder=folder, versions=[saved], provisioned=provisioned)
        return self.dashboards[data["uid"]]

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    # --- Rights -------------------------------------------------------------------------------------------------------

    def may(self, account: Account, action: str, folder: str = "") -> bool:
        """Whether an account may do something, in a folder or at the top."""
        if account.role == ADMIN:
            return True
        if not folder:
            return action in _AT_THE_TOP[account.role]
        if self.now < account.sees_from.get(folder, 0):
            return False
        lineage = list(self._lineage(folder))
        by_role = not any(self.folders[uid].private for uid in lineage) and action in _ON_FOLDERS[account.role]
        return by_role or (action in _EDIT and not account.edits.isdisjoint(lineage))

    def _lineage(self, folder: str) -> Iterator[str]:
        while folder:
            yield folder
            folder = self.folders[folder].parent

    # --- API ----------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, account: Account, query: dict[str, list[str]], body: Any) -> Answer:
        """What Grafana answers to a request."""
        for pattern, handle in _ROUTES.items():
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return handle(self, account, *match.groups(), query=query, body=body)
        return refusal(404, "Not found")

    def health(self, _: Account, **__: Any) -> Answer:
        told = {"commit": "5ea0b5d", "database": "ok", "version": self.version}
        return ok({"database": "ok"} if self.hides_version else told)

    def search(self, account: Account, *, query: dict[str, list[str]], **_: Any) -> Answer:
        limit, page = int(query.get("limit", ["1000"])[0]), int(query.get("page", ["1"])[0])
        if limit > 5000:
            message = "Limit is above maximum allowed (5000), use page parameter to access hits beyond limit"
            return refusal(422, message)
        wanted = query.get("type", [""])[0]
        hits = [] if wanted == "dash-db" else self._folder_hits(account)
        if wanted != "dash-folder":
            hits += self._dashboard_hits(account, query)
        return ok(hits[(page - 1) * limit : page * limit])

    def _folder_hits(self, account: Account) -> list[dict[str, Any]]:
        return [
            {
                "uid": folder.uid,
                "title": folder.title,
                "type": "dash-folder",
                "url": f"{self.sub_path}/dashboards/f/{folder.uid}/{slug(folder.title)}",
                "tags": [],
                **({"folderUid": folder.parent} if folder.parent else {}),
            }
            for folder in self.folders.values()
            if self.may(account, "folders:read", folder.uid)
        ]

    def _dashboard_hits(self, account: Account, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        folders = query.get("folderUIDs") if self._is(FILTERS_BY_FOLDER_UID_FROM) else None
        return [
            {
                "uid": uid,
                "title": dashboard.data["title"],
                "type": "dash-db",
                "url": self._page(uid),
                "tags": dashboard.data.get("tags", []),
                **({"folderUid": dashboard.folder} if dashboard.folder else {}),
            }
            for uid, dashboard in self.dashboards.items()
            if self._sees(account, dashboard)
            and set(query.get("tag", [])) <= set(dashboard.data.get("tags", []))
            and (folders is None or dashboard.folder in folders)
        ]

    def _sees(self, account: Account, dashboard: Dashboard) -> bool:
        return not dashboard.folder or self.may(account, "dashboards:read", dashboard.folder)

    def folder(self, account: Account, uid: str, **_: Any) -> Answer:
        known = uid in self.folders
        if not (self.may(account, "folders:read", uid) if known else account.role == ADMIN):
            return denied("folders:read")
        if not known:
            return Answer(status=404, body=json.dumps({"status": "not-found", "message": "folder not found"}))
        return ok(self._folder_page(self.folders[uid]))

    def create_folder(self, account: Account, *, body: Any, **_: Any) -> Answer:
        if not self.may(account, "folders:create"):
            return denied("folders:create")
        if body["uid"] in self.folders:
            return refusal(409, "a folder/dashboard with the same uid already exists")
        siblings = {slug(folder.title) for folder in self.folders.values() if not folder.parent}
        if self._has_unique_titles and slug(body["title"]) in siblings:
            message = "a folder or dashboard in the general folder with the same name already exists"
            return refusal(409, message)
        if self.read_only:
            return refusal(500, "Folder API error")
        account.sees_from[body["uid"]] = self.now + self.delay
        return ok(self._folder_page(self.add_folder(body["uid"], body["title"])))

    def _folder_page(self, folder: Folder) -> dict[str, Any]:
        url = f"{self.sub_path}/dashboards/f/{folder.uid}/{slug(folder.title)}"
        return {"uid": folder.uid, "title": folder.title, "url": url, "version": 1}

    def dashboard(self, account: Account, uid: str, **_: Any) -> Answer:
        dashboard = self.dashboards.get(uid)
        if dashboard is None:
            is_hidden = account.role != ADMIN and self._is(HIDES_MISSING_DASHBOARDS_FROM)
            return denied("dashboards:read") if is_hidden else refusal(404, "Dashboard not found")
        if not self._sees(account, dashboard):
            return denied("dashboards:read")
        meta = {
            "url": self._page(uid),
            "version": dashboard.data["version"],
            "folderUid": dashboard.folder,
            "provisioned": dashboard.provisioned,
            "canSave": self.may(account, "dashboards:write", dashboard.folder),
        }
        return ok({"dashboard": dashboard.data, "meta": meta})

    def save(self, account: Account, *, body: Any, **_: Any) -> Answer:
        """POST /api/dashboards/db, with its checks in Grafana's order."""
        data, folder = dict(body["dashboard"]), body.get("folderUid", "")
        if folder and folder not in self.folders:
            return refusal(400, "Folder not found")
        if folder and not self.may(account, "folders:read", folder) and not self._is(TELLS_DENIED_FOLDERS_FROM):
            return refusal(500, "Error while checking folder ID")
        if not data.get("id") and self.quota is not None and len(self.dashboards) >= self.quota:
            return refusal(403, "Quota reached")  # also where the uid exists: Grafana looks at the id alone
        refused, uid = self._target(data, folder, overwrite=body.get("overwrite", False))
        refused = refused or self._unsaved(account, uid, folder)
        if refused:
            return refused
        saved = self._saved({**data, "uid": uid}, folder)
        saved.messages.append(body.get("message", ""))
        answered = {"id": saved.id, "uid": uid, "url": self._page(uid), "status": "success"}
        return ok({**answered, "version": saved.data["version"], "slug": slug(data["title"])})

    def _unsaved(self, account: Account, uid: str, folder: str) -> Answer | None:
        existing = self.dashboards.get(uid)
        if existing and existing.provisioned:
            return refusal(400, "Cannot save provisioned dashboard")
        if not self.may(account, "dashboards:write" if existing else "dashboards:create", folder):
            return refusal(403, "Access denied to save dashboard")
        return refusal(500, "Failed to save dashboard") if self.read_only else None

    def _target(self, data: dict[str, Any], folder: str, *, overwrite: bool) -> tuple[Answer | None, str]:
        """The uid that is written to, which the title decides in old versions."""
        uid, existing = data["uid"], self.dashboards.get(data["uid"])
        if existing and existing.data["version"] != data.get("version") and not overwrite:
            return conflict("version-mismatch", "The dashboard has been changed by someone else"), uid
        if not self._has_unique_titles:
            return None, uid
        same = slug(data["title"])
        if same in {slug(other.title) for other in self.folders.values()}:
            message = "Dashboard name cannot be the same as folder"
            return Answer(status=400, body=json.dumps({"status": "name-match", "message": message})), uid
        for other, dashboard in self.dashboards.items():
            if other != uid and dashboard.folder == folder and slug(dashboard.data["title"]) == same:
                message = "A dashboard with the same name in the folder already exists"
                return (None, other) if overwrite else (conflict("name-exists", message), uid)
        return None, uid

    def _saved(self, data: dict[str, Any], folder: str) -> Dashboard:
        dashboard = self.dashboards.get(data["uid"])
        if dashboard is None:
            return self.add_dashboard(data, folder)
        version = 1 + dashboard.data["version"]
        dashboard.versions.append({**data, "id": dashboard.id, "version": version})
        dashboard.folder = folder
        return dashboard

    def delete(self, account: Account, uid: str, **_: Any) -> Answer:
        dashboard = self.dashboards.get(uid)
        if dashboard is None:
            return refusal(404, "Dashboard not found")
        if not self.may(account, "dashboards:delete", dashboard.folder):
            return denied("dashboards:delete")
        if dashboard.provisioned:
            return refusal(400, "provisioned dashboard cannot be deleted")
        del self.dashboards[uid]
        title = dashboard.data["title"]
        return ok({"title": title, "message": f"Dashboard {title} deleted", "uid": uid})

    def quotas(self, account: Account, **_: Any) -> Answer:
        if not self.may(account, "orgs.quotas:read"):
            return denied("orgs.quotas:read")
        if self.quota is None:
            return refusal(404, "Quotas not enabled")
        used = len(self.dashboards)
        return ok([
            {"org_id": 1, "target": "data_source", "limit": 10, "used": 1},
            {"org_id": 1, "target": "dashboard", "limit": self.quota, "used": used},
        ])  # fmt: skip

    def _page(self, uid: str) -> str:
        return f"{self.sub_path}/d/{uid}/{slug(self.dashboards[uid].data['title'])}"

    @property
    def _has_unique_titles(self) -> bool:
        return not self._is(UNIQUE_TITLES_UNTIL)

    def _is(self, version: tuple[int, int]) -> bool:
        """Whether this is that version or a later one."""
        major, minor = self.version.split(".")[:2]
        return (int(major), int(minor)) >= version


_ROUTES: dict[str, Callable[..., Answer]] = {
    "GET /api/health": StandIn.health,
    "GET /api/search": StandIn.search,
    "POST /api/folders": StandIn.create_folder,
    "GET /api/folders/([^/]+)": StandIn.folder,
    "POST /api/dashboards/db": StandIn.save,
    "GET /api/dashboards/uid/([^/]+)": StandIn.dashboard,
    "DELETE /api/dashboards/uid/([^/]+)": StandIn.delete,
    "GET /api/org/quotas": StandIn.quotas,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def _respond(self) -> None:
        grafana = cast("StandIn", self.server)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        path = urlsplit(self.path).path
        grafana.seen.append(f"{self.command} {path}")
        scripted = grafana.script.get(path)
        answer = scripted.pop(0) if scripted else self._answer(grafana, path, body)
        if f"{self.command} {path}" == grafana.loses_answer_of:
            grafana.loses_answer_of, answer = "", Answer(status=504, body="<h1>Gateway Timeout</h1>")
        self._write(answer)

    def _answer(self, grafana: StandIn, path: str, body: Any) -> Answer:
        if not path.startswith(grafana.sub_path) and grafana.redirects:
            return Answer(
                status=301, headers={"Location": f"{grafana.url}{self.path}"}, body="<a>Moved Permanently</a>"
            )
        api = path.removeprefix(grafana.sub_path)
        account = grafana.accounts.get(self.headers.get("Authorization", ""))
        if api == "/api/health":
            account = Account()
        if account is None:
            return refusal(401, "Invalid API key")
        return grafana.answer(self.command, api, account, parse_qs(urlsplit(self.path).query), body)

    def _write(self, answer: Answer) -> None:
        if answer.wait:
            answer.wait.wait(5)
        kind = "text/html" if answer.body.startswith("<") else "application/json"
        self.send_response(answer.status)
        content = answer.body.encode()
        for name, value in {"Content-Type": kind, **answer.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        with suppress(ConnectionError):  # the client may have disconnected
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silence: the test's output is for the test."""


def ok(data: object) -> Answer:
    """An answer with data."""
    return Answer(body=json.dumps(data))


def refusal(status: int, message: str) -> Answer:
    """An answer as Grafana refuses."""
    return Answer(status=status, body=json.dumps({"message": message}))


def conflict(status: str, message: str) -> Answer:
    """An answer with 412 and Grafana's own word for the reason."""
    return Answer(status=HTTPStatus.PRECONDITION_FAILED, body=json.dumps({"status": status, "message": message}))


def denied(action: str) -> Answer:
    """An answer of Grafana's access control."""
    message = f"You'll need additional permissions to perform this action. Permissions needed: {action}"
    body = {"accessErrorId": "ACE6316938649", "message": message, "title": "Access denied"}
    return Answer(status=403, body=json.dumps(body) + "\n")


def slug(title: str) -> str:
    """A title in the form used in addresses."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@contextmanager
def running(grafana: StandIn) -> Iterator[StandIn]:
    """Let it answer for as long as the block lasts."""
    with grafana:
        thread = threading.Thread(target=grafana.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield grafana
        finally:
            grafana.shutdown()
            thread.join()
