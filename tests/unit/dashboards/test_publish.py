"""Publishing to a fake Grafana that answers over a real socket, as a real one was measured to."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards.grafana.client import Grafana, PublishError, folder_uid
from dashboards.grafana.plan import Publication
from dashboards.grafana.publish import Mode, publish, publish_from_environment
from instrumentation.settings import Settings, parse_settings
from tests.unit.dashboards.grafana_stand_in import ADMIN, EDITOR, NONE, VIEWER, Answer, StandIn, refusal, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "glsa_seven_three"  # noqa: S105 - of a Grafana in memory
PASSWORD = "seven: three"  # noqa: S105 - of a Grafana in memory
SHOP = {"uid": "shop", "title": "Shop", "tags": ["sidelight"], "panels": []}
STOCK = {"uid": "stock", "title": "Stock", "tags": ["sidelight"], "panels": []}
BOTH = {"shop": SHOP, "stock": STOCK}
FOLDER = "Ops & Shop"
OURS = folder_uid(FOLDER)
BASE_URL = "note: alerts have no link to a dashboard; set dashboards.base_url to {}, and build the alerts again."
TLS = Path(__file__).parent / "tls"
NO_OWNER = (
    "note: the dashboards have no owner, so anyone who publishes to this Grafana without an owner replaces them; set"
    " dashboards.owner or service.name."
)
HTML = "<!doctype html><title>Welcome</title>"


@pytest.fixture
def server() -> Iterator[StandIn]:
    """A Grafana 9.4 that knows TOKEN as an Editor's."""
    with running(StandIn()) as grafana:
        grafana.admit(TOKEN)
        yield grafana


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been slept between attempts."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))  # other threads sleep too
    return slept


def _publish(  # noqa: PLR0913 - each is something that a test changes
    server: StandIn,
    dashboards: Any = BOTH,
    *,
    folder: str = FOLDER,
    owner: str = "",
    mode: Mode | None = None,
    echo: Callable[[str], object] | None = None,
    **changes: Any,
) -> list[str]:
    lines: list[str] = []
    given = {"url": server.url, "token": TOKEN, "transport": httpx.HTTPTransport(verify=False), "sleep": server.sleep}
    publication = Publication(dashboards=dashboards, folder=folder, owner=owner, message="from a test")
    publish(publication, Grafana(**given | changes), echo or lines.append, mode)
    return lines


@contextmanager
def _failing(code: str) -> Iterator[pytest.ExceptionInfo[PublishError]]:
    with pytest.raises(PublishError) as caught:
        yield caught
    assert caught.value.code == code
    assert TOKEN not in f"{caught.value} {caught.value.details} {caught.value!r} {caught.value.__cause__!r}"


# --- The folder -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["9.4.7", "13.2.0"])
@pytest.mark.parametrize("role", [EDITOR, ADMIN])
def test_the_first_publication_creates_the_folder_and_puts_each_dashboard_into_it(
    server: StandIn, role: str, version: str
) -> None:
    server.version = version
    server.admit(TOKEN, role)
    assert _publish(server) == [
        "created the folder 'Ops & Shop'",
        f"published shop: {server.url}/d/shop/shop (uid shop, version 1)",
        f"published stock: {server.url}/d/stock/stock (uid stock, version 1)",
    ]
    assert server.folders[OURS].title == FOLDER
    assert {uid: saved.folder for uid, saved in server.dashboards.items()} == {"shop": OURS, "stock": OURS}
    assert server.dashboards["shop"].messages == ["from a test"]


def test_publishing_again_does_not_create_the_folder_again(server: StandIn) -> None:
    _publish(server)
    _publish(server)
    assert server.seen.count("POST /api/folders") == 1


def test_a_viewer_may_not_create_the_folder_and_the_message_names_the_missing_permission(server: StandIn) -> None:
    server.admit(TOKEN, VIEWER)
    with _failing("grafana_token_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused the folder 'Ops & Shop': You'll need additional permissions to perform this action."
        " Permissions needed: folders:create; the token lacks a permission: give it the role Editor, or the permission Edit on"
        " the folder (403). Nothing was published."
    )


def test_permissions_on_one_folder_are_enough_regardless_of_its_creator(server: StandIn) -> None:
    server.add_folder("Zx7Kq", FOLDER, private=True)
    server.admit(TOKEN, NONE, edits={"Zx7Kq"})
    _publish(server)
    assert {saved.folder for saved in server.dashboards.values()} == {"Zx7Kq"}
    assert "POST /api/folders" not in server.seen


@pytest.mark.parametrize("named", ["Services", "Platform/Services", "Zx7Kq"], ids=["title", "path", "uid"])
def test_a_nested_folder_is_found_by_title_path_or_uid(server: StandIn, named: str) -> None:
    server.add_folder("top", "Platform")
    server.add_folder("Zx7Kq", "Services", parent="top")
    server.add_folder("other", "Shared")
    _publish(server, folder=named)
    assert {saved.folder for saved in server.dashboards.values()} == {"Zx7Kq"}


def test_a_right_on_the_folder_above_is_enough(server: StandIn) -> None:
    server.add_folder("top", "Platform", private=True)
    server.add_folder("Zx7Kq", "Services", parent="top")
    server.admit(TOKEN, NONE, edits={"top"})
    _publish(server, folder="Services")
    assert {saved.folder for saved in server.dashboards.values()} == {"Zx7Kq"}


def test_a_title_that_several_folders_have_is_refused_with_their_places(server: StandIn) -> None:
    server.add_folder("a", "North")
    server.add_folder("b", "Services", parent="a")
    server.add_folder("c", "Services")
    with _failing("folder_ambiguous") as caught:
        _publish(server, folder="Services")
    assert str(caught.value) == (
        "dashboards.folder: got 'Services', which is the title of 2 folders: North/Services (uid b), Services (uid c);"
        " give a path or a uid. Nothing was published."
    )
    assert server.writes == []


def test_a_path_whose_last_folder_is_missing_is_not_taken_for_a_title(server: StandIn) -> None:
    server.add_folder("top", "Platform")
    with _failing("folder_missing") as caught:
        _publish(server, folder="Platform/Services")
    assert "'Platform' contains no such folder; create it in Grafana" in str(caught.value)
    assert server.writes == []


def test_more_folders_than_one_page_of_a_search_holds_are_all_looked_at(server: StandIn) -> None:
    for number in range(1003):
        server.add_folder(f"f{number}", f"Folder {number}")
    _publish(server, folder="Folder 1002")
    assert {saved.folder for saved in server.dashboards.values()} == {"f1002"}


def test_a_renamed_folder_is_still_found(server: StandIn) -> None:
    server.add_folder(OURS, "Operations of the shop")
    _publish(server)
    assert list(server.folders) == [OURS]


@pytest.mark.parametrize("version", ["9.4.7", "13.2.0"])
def test_permissions_of_a_new_folder_that_do_not_count_yet_are_waited_for(server: StandIn, version: str) -> None:
    server.version, server.delay = version, 60
    lines = _publish(server)
    assert lines[1:3] == [
        "waiting until Grafana lets the token use the new folder: 5 of at most 90 s",
        "waiting until Grafana lets the token use the new folder: 10 of at most 90 s",
    ]
    assert [line.split(":")[0] for line in lines[-2:]] == ["published shop", "published stock"]
    assert server.now == 60


@pytest.mark.parametrize(
    ("version", "code", "reason"),
    [
        ("9.4.7", "dashboard_refused", "Error while checking folder ID"),
        ("13.2.0", "grafana_token_refused", "Access denied to save dashboard"),
    ],
)
def test_permissions_that_never_count_end_the_wait(server: StandIn, version: str, code: str, reason: str) -> None:
    server.version, server.delay = version, 3600
    with _failing(code) as caught:
        _publish(server)
    assert reason in str(caught.value)
    assert server.now == 90


def test_a_quota_is_not_waited_for_in_a_new_folder(server: StandIn) -> None:
    server.script["/api/dashboards/db"] = [refusal(403, "Quota reached")]
    with _failing("grafana_quota_reached"):
        _publish(server)
    assert server.now == 0


def test_a_folder_that_was_there_is_not_waited_for(server: StandIn) -> None:
    server.add_folder("Zx7Kq", FOLDER)
    server.admit(TOKEN, VIEWER)
    with _failing("grafana_token_refused"):
        _publish(server)
    assert server.now == 0


def test_a_folder_that_another_publisher_creates_meanwhile_is_used(server: StandIn) -> None:
    server.add_folder(OURS, FOLDER)
    server.script["/api/search"] = [Answer(body="[]")]
    _publish(server)
    assert {saved.folder for saved in server.dashboards.values()} == {OURS}


def test_a_folder_of_the_title_that_the_token_may_not_see_is_named_as_the_cause(server: StandIn) -> None:
    server.add_folder("Zx7Kq", FOLDER, private=True)
    with _failing("folder_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused a folder 'Ops & Shop': a folder or dashboard in the general folder with the same name"
        " already exists; the token may not see the existing folder: give it the role Editor, or the permission Edit on the"
        " folder, or set dashboards.folder; if it was created within the last minute, publish again (409)."
        " Nothing was published."
    )


def test_folders_with_other_titles_have_other_uids_of_legal_characters() -> None:
    assert folder_uid("Team 組") != folder_uid("Team 班")
    assert folder_uid("Team 組").isascii()


# --- What is sent -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["9.4.7", "13.2.0"])
def test_a_dashboard_that_did_not_change_makes_no_new_version(server: StandIn, version: str) -> None:
    server.version = version
    _publish(server)
    server.seen.clear()
    assert _publish(server) == [
        f"unchanged shop: {server.url}/d/shop/shop",
        f"unchanged stock: {server.url}/d/stock/stock",
    ]
    assert server.writes == []
    assert len(server.dashboards["shop"].versions) == 1


def test_a_dashboard_that_changed_is_replaced_and_no_other(server: StandIn) -> None:
    _publish(server)
    lines = _publish(server, {"shop": SHOP, "stock": {**STOCK, "panels": [{"id": 7}]}})
    assert lines == [
        f"unchanged shop: {server.url}/d/shop/shop",
        f"published stock: {server.url}/d/stock/stock (uid stock, version 2)",
    ]
    assert server.dashboards["stock"].data["panels"] == [{"id": 7}]


def test_an_edit_made_in_grafana_is_a_change(server: StandIn) -> None:
    _publish(server)
    server.dashboards["shop"].versions.append({**server.dashboards["shop"].data, "version": 2, "editable": True})
    assert _publish(server)[0] == f"published shop: {server.url}/d/shop/shop (uid shop, version 3)"
    assert "editable" not in server.dashboards["shop"].data


def test_a_dashboard_that_was_moved_away_is_moved_back(server: StandIn) -> None:
    _publish(server)
    server.add_folder("attic", "Attic")
    server.dashboards["shop"].folder = "attic"
    _publish(server)
    assert server.dashboards["shop"].folder == OURS


def test_numbers_in_another_json_notation_are_not_a_change(server: StandIn) -> None:
    _publish(server, {"shop": {**SHOP, "panels": [{"max": 1.0, "sizes": (1, 2)}]}})
    assert _publish(server, {"shop": {**SHOP, "panels": [{"max": 1, "sizes": [1, 2]}]}})[0].startswith("unchanged shop")


# --- What Grafana would refuse is known before anything is sent ---------------------------------------------------------


def _refused(server: StandIn, code: str, dashboards: Any = BOTH, **changes: Any) -> str:
    """The message of a refusal; nothing was sent."""
    server.seen.clear()
    with _failing(code) as caught:
        _publish(server, dashboards, **changes)
    assert server.writes == []
    assert caught.value.details["published"] == ()
    return str(caught.value)


@pytest.mark.parametrize("role", [EDITOR, ADMIN])
def test_a_quota_that_is_too_small_is_reported_before_anything_is_sent(server: StandIn, role: str) -> None:
    server.admit(TOKEN, role)
    server.quota = 1
    assert _refused(server, "grafana_quota_reached") == (
        "Grafana's quota has room for 1 of 2 new dashboards: shop, stock; delete some, or raise it. Nothing was published."
    )


def test_a_quota_that_is_just_large_enough_is_accepted(server: StandIn) -> None:
    server.quota = 2
    _publish(server)
    assert set(server.dashboards) == {"shop", "stock"}


def test_at_the_quota_dashboards_can_still_be_replaced(server: StandIn) -> None:
    _publish(server)
    server.quota = 2
    _publish(server, {"shop": {**SHOP, "panels": [1]}, "stock": STOCK})
    assert server.dashboards["shop"].data["version"] == 2


def test_a_quota_that_is_not_shown_leaves_nothing_half_published(server: StandIn) -> None:
    server.add_folder("Zx7Kq", FOLDER, private=True)
    server.admit(TOKEN, NONE, edits={"Zx7Kq"})  # who has no role may not read quotas
    server.quota = 1
    lines: list[str] = []
    with _failing("grafana_quota_reached") as caught:
        _publish(server, echo=lines.append)
    assert str(caught.value) == (
        f"{server.url} refused the dashboard 'Stock': Quota reached; delete dashboards, or raise Grafana's quota (403)."
        " Nothing was published."
    )
    assert lines[-1] == "deleted shop again, because Grafana refused another one"
    assert server.dashboards == {}


@pytest.mark.parametrize("version", ["9.4.7", "13.2.0"])
def test_a_title_that_another_dashboard_of_the_folder_has_is_refused(server: StandIn, version: str) -> None:
    server.version = version
    server.add_folder(OURS, FOLDER)
    server.add_dashboard({"uid": "byhand", "title": "STOCK", "panels": []}, OURS)
    assert _refused(server, "title_taken") == (
        "stock: its folder contains another dashboard with the title 'STOCK' (uid byhand); rename or delete that one."
        " Nothing was published."
    )


def test_the_same_title_in_another_folder_is_accepted(server: StandIn) -> None:
    server.add_folder("attic", "Attic")
    server.add_dashboard({"uid": "byhand", "title": "Stock", "panels": []}, "attic")
    _publish(server)
    assert set(server.dashboards) == {"byhand", "shop", "stock"}


def test_a_dashboard_that_is_moved_into_the_folder_may_not_meet_its_title_there(server: StandIn) -> None:
    server.add_folder(OURS, FOLDER)
    server.add_folder("attic", "Attic")
    server.add_dashboard(STOCK, "attic")
    server.add_dashboard({"uid": "byhand", "title": "Stock", "panels": []}, OURS)
    assert _refused(server, "title_taken").startswith(
        "stock: its folder contains another dashboard with the title 'Stock'"
    )


def test_a_title_that_is_taken_while_publishing_is_never_overwritten(server: StandIn) -> None:
    server.add_folder(OURS, FOLDER)
    server.add_dashboard({"uid": "byhand", "title": "Stock", "panels": [7]}, OURS)
    server.script["/api/search"] = [Answer(body=f'[{{"uid": "{OURS}", "title": "x"}}]'), Answer(body="[]")]
    with _failing("dashboard_refused") as caught:
        _publish(server)
    assert "A dashboard with the same name in the folder already exists (412). Nothing was published." in str(
        caught.value
    )
    assert list(server.dashboards) == ["byhand"]
    assert server.dashboards["byhand"].data["panels"] == [7]


def test_a_provisioned_dashboard_is_refused_before_anything_is_sent(server: StandIn) -> None:
    server.add_folder("files", "Files")
    server.add_dashboard({**STOCK, "panels": [7]}, "files", provisioned=True)
    assert _refused(server, "dashboard_provisioned") == (
        f"stock: {server.url}/d/stock/stock is a provisioned dashboard, which Grafana does not allow to be saved; change or remove it where it is provisioned. Nothing was published."
    )


def test_a_dashboard_that_the_token_may_not_save_is_refused_before_anything_is_sent(server: StandIn) -> None:
    server.add_folder("Zx7Kq", FOLDER, private=True)
    server.add_folder("attic", "Attic")
    server.add_dashboard(STOCK, "attic")
    server.admit(TOKEN, VIEWER, edits={"Zx7Kq"})
    said = _refused(server, "grafana_token_refused")
    assert said.startswith(
        f"stock: the credentials may not save {server.url}/d/stock/stock (canSave is false); give them"
    )


def test_a_folder_with_a_dashboards_title_is_refused_before_anything_is_sent(server: StandIn) -> None:
    server.add_folder("other", "Stock")
    assert _refused(server, "title_taken") == (
        "stock: a folder has the same title 'Stock' (uid other), which Grafana before 11.3 does not allow; rename"
        " the folder. Nothing was published."
    )


def test_a_folder_with_a_dashboards_title_is_accepted_from_11_3_on(server: StandIn) -> None:
    server.version = "11.3.0"
    server.add_folder("other", "Stock")
    _publish(server)
    assert set(server.dashboards) == {"shop", "stock"}


@pytest.mark.parametrize("page", ["no version", "no page"])
def test_a_grafana_that_hides_its_version_is_taken_for_an_old_one(server: StandIn, page: str) -> None:
    server.add_folder("other", "Stock")
    server.hides_version = page == "no version"
    server.script["/api/health"] = [Answer(status=403, body=HTML)] if page == "no page" else []
    _refused(server, "title_taken")


def test_a_folder_of_that_title_that_the_token_may_not_see_leaves_nothing_half_published(server: StandIn) -> None:
    server.add_folder("other", "Stock", private=True)
    with _failing("dashboard_refused") as caught:
        _publish(server)
    assert "refused the dashboard 'Stock': Dashboard name cannot be the same as folder (400)" in str(caught.value)
    assert server.dashboards == {}


def test_all_problems_are_reported_at_once(server: StandIn) -> None:
    server.quota = 1
    server.add_folder("other", "Shop")
    server.add_dashboard(STOCK | {"panels": [7]}, "other", provisioned=True)
    told = _refused(server, "dashboard_provisioned").splitlines()
    assert [line.split(":")[0] for line in told] == [
        "stock",
        "shop",
        "Grafana's quota has room for 0 of 1 new dashboards",
    ]


def test_a_dashboard_that_somebody_saves_meanwhile_is_not_overwritten(server: StandIn) -> None:
    _publish(server)
    read = Answer(body='{"dashboard": {"id": 2, "version": 1, "tags": ["sidelight"]}, "meta": {}}')
    server.dashboards["stock"].versions.append({**STOCK, "id": 2, "version": 2, "panels": [7]})
    server.script["/api/dashboards/uid/stock"] = [read]
    with _failing("dashboard_changed") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused the dashboard 'Stock': The dashboard has been changed by someone else; somebody has just saved it: publish again (412). Nothing was published."
    )
    assert server.dashboards["stock"].data["panels"] == [7]


@pytest.mark.parametrize("version", ["9.4.7", "13.2.0"])
def test_a_dashboard_that_the_token_may_not_see_is_not_overwritten(server: StandIn, version: str) -> None:
    server.version = version
    server.add_folder("secret", "Secret", private=True)
    server.add_dashboard({**STOCK, "panels": [7]}, "secret")
    with _failing("dashboard_changed") as caught:
        _publish(server)
    assert "the token may not see the dashboard with its uid" in str(caught.value)
    assert set(server.dashboards) == {"stock"}


def test_a_database_that_may_only_be_read_is_named_as_one_cause(server: StandIn) -> None:
    server.read_only = True
    with _failing("folder_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused the folder 'Ops & Shop': Folder API error; see Grafana's log; one possible cause is a read-only database (500). Nothing was published."
    )


def test_a_read_only_database_is_accepted_if_nothing_changes(server: StandIn) -> None:
    _publish(server)
    server.read_only = True
    assert all(line.startswith("unchanged ") for line in _publish(server))


def test_where_a_replacement_is_refused_the_line_says_what_was_published_before(server: StandIn) -> None:
    _publish(server)
    server.script["/api/dashboards/db"] = [Answer(body='{"uid": "shop", "version": 2}'), refusal(422, "no  such.")]
    with _failing("dashboard_refused") as caught:
        _publish(server, {name: {**dashboard, "panels": [7]} for name, dashboard in BOTH.items()})
    assert (
        str(caught.value) == f"{server.url} refused the dashboard 'Stock': no such (422). Published before that: shop."
    )
    assert caught.value.details == {"url": server.url, "status": 422, "published": ("shop",)}


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "replaced"])
def test_a_save_whose_response_was_lost_is_not_taken_for_another_users(
    server: StandIn, pauses: list[float], *, is_new: bool
) -> None:
    if not is_new:
        _publish(server)
    server.loses_answer_of = "POST /api/dashboards/db"
    lines = _publish(server, {"shop": {**SHOP, "panels": [7]}})
    version = 1 if is_new else 2
    assert lines[-1] == f"published shop: {server.url}/d/shop/shop (uid shop, version {version})"
    assert len(server.dashboards["shop"].versions) == version
    assert len(pauses) == 1


def test_a_deletion_whose_answer_was_lost_is_one(server: StandIn, pauses: list[float]) -> None:
    _publish(server, owner="search")
    server.loses_answer_of = "DELETE /api/dashboards/uid/stock"
    assert _publish(server, {"shop": SHOP}, owner="search", mode=Mode(prune=True))[-1].startswith("deleted 'Stock'")
    assert set(server.dashboards) == {"shop"}
    assert len(pauses) == 1


def test_a_failed_search_is_reported_with_grafanas_reason(server: StandIn) -> None:
    server.script["/api/search"] = [refusal(500, "Search failed")]
    with _failing("search_refused") as caught:
        _publish(server)
    assert str(caught.value).startswith(
        f"{server.url} refused to search folders and dashboards: Search failed; see Grafana's log"
    )


def test_a_save_that_grafana_only_forwards_does_not_count(server: StandIn) -> None:
    pending = '{"status": "pending", "message": "changes were broadcast to the gitops listener"}'
    server.script["/api/dashboards/db"] = [Answer(status=202, body=pending)]
    with _failing("dashboard_refused") as caught:
        _publish(server)
    assert "changes were broadcast to the gitops listener (202)" in str(caught.value)


# --- Who asks ---------------------------------------------------------------------------------------------------------


def test_a_wrong_token_gives_one_clear_line(server: StandIn) -> None:
    wrong = "glsa_wrong_token"
    with _failing("grafana_token_refused") as caught:
        _publish(server, token=wrong)
    assert str(caught.value) == (
        f"{server.url} does not accept the token (Invalid API key); use the token of a service account with the role"
        " Editor (401). Nothing was published."
    )
    assert wrong not in repr(caught.value)


def test_a_user_with_a_password_may_publish(server: StandIn) -> None:
    server.admit_user("zoë", PASSWORD)
    _publish(server, token="", user="zoë", password=PASSWORD)
    assert set(server.dashboards) == {"shop", "stock"}


def test_a_wrong_password_is_reported_as_such(server: StandIn) -> None:
    server.admit_user("zoë", PASSWORD)
    with _failing("grafana_token_refused") as caught:
        _publish(server, token="", user="zoe", password=PASSWORD)
    assert "does not accept the user or the password (Invalid API key)" in str(caught.value)


def test_if_basic_auth_is_required_the_variables_are_named(server: StandIn) -> None:
    asked = Answer(status=401, body=HTML, headers={"WWW-Authenticate": 'Basic realm="internal"'})
    server.script["/api/search"] = [asked]
    with _failing("grafana_token_refused") as caught:
        _publish(server)
    assert "requires user and password (no reason given); set GRAFANA_USER and GRAFANA_PASSWORD" in str(caught.value)


@pytest.mark.parametrize("status", [403, 405])
def test_a_proxy_that_lets_nothing_be_written_is_not_taken_for_grafana(server: StandIn, status: int) -> None:
    server.script["/api/folders"] = [Answer(status=status, body=HTML)]
    with _failing("grafana_proxy_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused POST /api/folders before it reached Grafana; a proxy may not allow writing ({status})."
        " Nothing was published."
    )


# --- Several teams ------------------------------------------------------------------------------------------------------


def _of(server: StandIn, owner: str, **more: Any) -> Settings:
    """Settings of a team."""
    return parse_settings({"dashboards": {"owner": owner, "base_url": server.url, **more}})


def test_two_teams_have_dashboards_side_by_side(server: StandIn) -> None:
    _from_environment(server, _of(server, "payments"), GRAFANA_TOKEN=TOKEN)
    _, lines = _from_environment(server, _of(server, "search"), GRAFANA_TOKEN=TOKEN)
    assert lines == [
        "created the folder 'search: Sidelight'",
        *(
            f"published {page}: {server.url}/d/sidelight-search-{page}/search-{page} (uid sidelight-search-{page}, version 1)"
            for page in ("fleet", "operations", "business")
        ),
    ]
    assert {folder.title for folder in server.folders.values()} == {"payments: Sidelight", "search: Sidelight"}
    assert len(server.dashboards) == 6
    assert server.dashboards["sidelight-payments-fleet"].data["tags"] == ["sidelight", "sidelight:payments"]


def test_two_teams_may_share_a_folder(server: StandIn) -> None:
    for owner in ("payments", "search"):
        _from_environment(server, _of(server, owner, folder="Everybody's"), GRAFANA_TOKEN=TOKEN)
    assert len(server.folders) == 1
    assert len(server.dashboards) == 6


def test_the_services_name_is_the_default_owner(server: StandIn) -> None:
    settings = parse_settings({"service": {"name": "billing"}, "dashboards": {"base_url": server.url}})
    _from_environment(server, settings, GRAFANA_TOKEN=TOKEN)
    assert server.dashboards["sidelight-billing-operations"].data["title"] == "billing: Operations"


@pytest.mark.parametrize("owner", ["", "search"], ids=["nobody", "another"])
def test_another_owners_dashboard_is_not_replaced(server: StandIn, owner: str) -> None:
    _publish(server, owner="payments")
    assert _refused(server, "dashboard_held", {"stock": STOCK}, owner=owner) == (
        f"stock: its uid is used by {server.url}/d/stock/stock, which was published for the owner 'payments'; set dashboards.owner to get other uids, or replace that dashboard with --take-over. Nothing was published."
    )


def test_a_dashboard_made_by_hand_is_not_replaced(server: StandIn) -> None:
    server.add_dashboard({"uid": "stock", "title": "Stock", "panels": [7]})
    said = _refused(server, "dashboard_held")
    assert said.startswith(f"stock: its uid is used by {server.url}/d/stock/stock, which Sidelight did not publish;")


def test_another_owners_dashboard_is_replaced_on_request(server: StandIn) -> None:
    _publish(server, owner="payments")
    server.add_dashboard({"uid": "own", "title": "Own"}, OURS)
    own = {"own": {"uid": "own", "title": "Own", "tags": ["mine", "sidelight:payments"]}}
    _publish(server, BOTH | own, owner="search", mode=Mode(take_over=True))
    assert {tuple(saved.data["tags"]) for saved in server.dashboards.values()} == {
        ("sidelight", "sidelight:search"),
        ("mine", "sidelight", "sidelight:search"),
    }


def test_a_dashboard_published_before_owners_existed_is_replaced(server: StandIn) -> None:
    _publish(server)
    _publish(server, owner="search")
    assert server.dashboards["shop"].data["tags"] == ["sidelight", "sidelight:search"]


def test_dashboards_that_are_not_published_any_more_are_deleted_on_request(server: StandIn) -> None:
    _publish(server, owner="search")
    _publish(server, {"other": {"uid": "other", "title": "Other"}}, owner="payments")
    _publish(server, {"nobodys": {"uid": "nobodys", "title": "Nobody's"}})
    server.dashboards["stock"].folder = ""
    lines = _publish(server, {"shop": SHOP}, owner="search", mode=Mode(prune=True))
    assert lines == [
        f"unchanged shop: {server.url}/d/shop/shop",
        f"deleted 'Stock': {server.url}/d/stock/stock (uid stock)",
    ]
    assert set(server.dashboards) == {"shop", "other", "nobodys"}


def test_dashboards_that_are_not_published_any_more_stay_by_default(server: StandIn) -> None:
    _publish(server, owner="search")
    _publish(server, {"shop": SHOP}, owner="search")
    assert set(server.dashboards) == {"shop", "stock"}


def test_without_an_owner_nothing_is_deleted(server: StandIn) -> None:
    with _failing("owner_missing") as caught:
        _publish(server, mode=Mode(prune=True))
    assert str(caught.value).startswith("--prune needs an owner whose dashboards may be deleted; set dashboards.owner")
    assert server.seen == []


# --- What would change --------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_change_and_sends_nothing(server: StandIn) -> None:
    assert _publish(server, owner="search", mode=Mode(dry_run=True)) == [
        "would create the folder 'Ops & Shop'",
        "would create shop (uid shop)",
        "would create stock (uid stock)",
    ]
    assert server.writes == []
    _publish(server, owner="search")
    server.seen.clear()
    changed = {"shop": {**SHOP, "panels": [7]}, "third": {"uid": "third", "title": "Third"}}
    assert _publish(server, changed, owner="search", mode=Mode(dry_run=True, prune=True)) == [
        f"would replace shop: {server.url}/d/shop/shop",
        "would create third (uid third)",
        f"would delete 'Stock': {server.url}/d/stock/stock (uid stock)",
    ]
    assert server.writes == []


def test_a_dry_run_fails_if_publishing_would(server: StandIn) -> None:
    server.quota = 1
    _refused(server, "grafana_quota_reached", mode=Mode(dry_run=True))


@pytest.mark.parametrize("mode", [Mode(diff=True), Mode(diff=True, dry_run=True)], ids=["sent", "dry run"])
def test_differences_of_a_dashboard_are_printed_line_by_line(server: StandIn, mode: Mode) -> None:
    _publish(server)
    told = _publish(server, {"shop": SHOP, "stock": {**STOCK, "title": "Größe"}}, mode=mode)
    assert told[0] == f"unchanged shop: {server.url}/d/shop/shop"
    assert told[1].splitlines() == [
        "--- stock in Grafana",
        "+++ stock",
        "@@ -4,6 +4,6 @@",
        '   "tags": [',
        '     "sidelight"',
        "   ],",
        '-  "title": "Stock",',
        '+  "title": "Größe",',
        '   "uid": "stock"',
        " }",
    ]
    assert len(told) == 3


def test_a_check_exits_with_1_if_grafana_differs(server: StandIn) -> None:
    settings, check = _of(server, "search"), Mode(check=True)
    code, lines = _from_environment(server, settings, check, GRAFANA_TOKEN=TOKEN)
    assert (code, lines[-1]) == (1, "differences: 3")
    assert server.writes == []
    _from_environment(server, settings, GRAFANA_TOKEN=TOKEN)
    assert _from_environment(server, settings, check, GRAFANA_TOKEN=TOKEN)[0] == 0
    server.dashboards["sidelight-search-fleet"].data["refresh"] = "7s"
    assert _from_environment(server, settings, check, GRAFANA_TOKEN=TOKEN)[0] == 1


def test_a_check_that_prunes_sees_what_is_not_published_any_more(server: StandIn) -> None:
    settings = _of(server, "search")
    _from_environment(server, settings, GRAFANA_TOKEN=TOKEN)
    old = {"uid": "old", "title": "Old", "tags": ["sidelight", "sidelight:search"]}
    server.add_dashboard(old)
    assert _from_environment(server, settings, Mode(check=True), GRAFANA_TOKEN=TOKEN)[0] == 0
    assert _from_environment(server, settings, Mode(check=True, prune=True), GRAFANA_TOKEN=TOKEN)[0] == 1
    assert "old" in server.dashboards


@pytest.mark.parametrize("mode", [Mode(check=True), Mode(dry_run=True), Mode(prune=True)], ids=str)
def test_without_an_address_nothing_can_be_compared_and_that_is_a_failure(mode: Mode) -> None:
    with _failing("grafana_url_missing"):
        publish_from_environment(Settings(), {}, str, mode)


# --- The team's own dashboards ------------------------------------------------------------------------------------------


def test_the_teams_own_dashboards_are_published_beside_ours(server: StandIn, tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "queues.json").write_text('{"uid": "queues", "title": "Queues", "tags": ["mail"], "id": 7}')
    (tmp_path / "boards" / "notes.txt").write_text("no dashboard")
    (tmp_path / "mail.json").write_text('{"uid": "mail", "title": "Mail", "version": 12}')
    settings = _of(server, "search", own=[str(tmp_path / "boards"), str(tmp_path / "mail.json")])
    _, lines = _from_environment(server, settings, GRAFANA_TOKEN=TOKEN)
    assert f"published {tmp_path}/mail.json: {server.url}/d/mail/mail (uid mail, version 1)" in lines
    assert server.dashboards["queues"].data["tags"] == ["mail", "sidelight", "sidelight:search"]
    _, lines = _from_environment(server, settings, GRAFANA_TOKEN=TOKEN)
    assert all(line.startswith("unchanged ") for line in lines)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("{", "is not JSON ("),
        ("[]", "contains no dashboard"),
        ('{"__inputs": [{"name": "DS"}]}', "was exported for sharing externally"),
    ],
)
def test_a_file_that_is_not_a_dashboard_is_named(
    server: StandIn, tmp_path: Path, content: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "mail.json").write_text(content)
    with _failing("dashboard_unreadable") as caught:
        _from_environment(server, _of(server, "search", own=[str(tmp_path / "mail.json")]), GRAFANA_TOKEN=TOKEN)
    assert str(caught.value).startswith(f"dashboards.own: {tmp_path}/mail.json {problem}")
    assert server.seen == []


def test_a_folder_without_dashboards_is_named(server: StandIn, tmp_path: Path) -> None:
    with _failing("dashboard_unreadable") as caught:
        _from_environment(server, _of(server, "search", own=[str(tmp_path)]), GRAFANA_TOKEN=TOKEN)
    assert f"{tmp_path} is a folder without .json files" in str(caught.value)


def test_two_dashboards_of_one_uid_are_refused(server: StandIn) -> None:
    with _failing("dashboard_invalid") as caught:
        _publish(server, {"shop": SHOP, "stock": {**STOCK, "uid": "shop"}})
    assert str(caught.value).startswith("The dashboards 'shop' and 'stock' have the same uid 'shop';")
    assert server.seen == []


# --- The network --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_transient_answer_is_tried_again(server: StandIn, pauses: list[float], status: int) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=status, body=HTML)]
    _publish(server)
    assert set(server.dashboards) == {"shop", "stock"}
    assert len(pauses) == 1


def test_the_pause_is_the_one_that_the_server_asks_for(server: StandIn, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=429, headers={"Retry-After": "7"})]
    _publish(server)
    assert pauses == [7.0]


def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(server: StandIn, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": "3600"})]
    with _failing("grafana_unavailable"):
        _publish(server)
    assert pauses == []


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "nan", "-3"])
def test_an_invalid_pause_is_ignored(server: StandIn, pauses: list[float], asked: str) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": asked})]
    _publish(server)
    assert set(server.dashboards) == {"shop", "stock"}
    assert all(0 <= pause < 2 for pause in pauses)


def test_a_server_that_stays_unavailable_gives_one_clear_line(server: StandIn, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503)] * 9
    with _failing("grafana_unavailable") as caught:
        _publish(server, attempts=3)
    assert str(caught.value) == f"{server.url} keeps answering 503; try again later (503). Nothing was published."
    assert len(pauses) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 412, 500])
def test_a_lasting_failure_is_not_tried_again(server: StandIn, pauses: list[float], status: int) -> None:
    server.add_folder("Zx7Kq", FOLDER)
    server.script["/api/dashboards/db"] = [refusal(status, "no")]
    with pytest.raises(PublishError):
        _publish(server)
    assert pauses == []
    assert server.seen.count("POST /api/dashboards/db") == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=HTML),
        Answer(status=404, body=HTML),
        Answer(status=404, body='{"detail": "Not Found"}'),
        Answer(body="{}"),
        Answer(body=""),
    ],
    ids=["a page", "no such page", "another API", "no list", "nothing"],
)
def test_a_server_that_is_not_grafana_gives_one_clear_line(server: StandIn, answer: Answer) -> None:
    server.script["/api/search"] = [answer]
    with _failing("not_grafana") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} does not answer /api/search like Grafana; use the address of Grafana's start page, including its path but without /d/ ({answer.status}). Nothing was published."
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_grafana_names_that_address(server: StandIn, status: int) -> None:
    moved = "https://grafana.example/grafana/api/search?type=dash-folder"
    server.script["/api/search"] = [Answer(status=status, body=HTML, headers={"Location": moved})]
    with _failing("grafana_redirects") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} redirects /api/search to https://grafana.example/grafana/api/search; use https://grafana.example/grafana as the address ({status}). Nothing was published."
    )


def test_a_redirect_to_a_login_page_is_reported_without_its_query(server: StandIn) -> None:
    login = "https://someone:planted@sso.example/login?state=planted"
    server.script["/api/search"] = [Answer(status=302, body=HTML, headers={"Location": login})]
    with _failing("grafana_redirects") as caught:
        _publish(server)
    assert "redirects /api/search to https://sso.example/login; use an address" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("version", ["9.4.7", "13.2.0"])
def test_grafana_may_be_below_a_path(server: StandIn, version: str) -> None:
    server.version, server.sub_path, server.redirects = version, "/grafana", True
    assert f"published shop: {server.origin}/grafana/d/shop/shop (uid shop, version 1)" in _publish(server)
    assert f"unchanged shop: {server.origin}/grafana/d/shop/shop" in _publish(server)


def test_printed_addresses_have_the_sub_path_if_grafanas_responses_do_not(server: StandIn) -> None:
    server.sub_path = "/grafana"
    settings = parse_settings({"service": {"name": "shop"}})
    environ = {"GRAFANA_URL": server.origin, "GRAFANA_TOKEN": TOKEN}
    lines: list[str] = []
    publish_from_environment(settings, environ, lines.append, transport=httpx.HTTPTransport(verify=False))
    page = f"{server.origin}/grafana/d/sidelight-shop-fleet/shop-fleet"
    assert f"published fleet: {page} (uid sidelight-shop-fleet, version 1)" in lines
    assert lines[-2:] == [
        f"note: Grafana's pages are at {page.partition('/d/')[0]}; set GRAFANA_URL to that address.",
        BASE_URL.format(server.url),
    ]


def test_an_address_that_alerts_do_not_link_to_is_reported(server: StandIn) -> None:
    _, lines = _from_environment(server, parse_settings({"service": {"name": "shop"}}), GRAFANA_TOKEN=TOKEN)
    assert lines[-1] == BASE_URL.format(server.url)
    assert _from_environment(server, _of(server, "shop"), GRAFANA_TOKEN=TOKEN)[1][-1].startswith("unchanged ")


def test_a_missing_sub_path_is_named_if_grafana_redirects_to_it(server: StandIn) -> None:
    server.sub_path, server.redirects = "/grafana", True
    with _failing("grafana_redirects") as caught:
        _publish(server, url=server.origin)
    assert f"use {server.origin}/grafana as the address (301)" in str(caught.value)


@pytest.fixture
def secure() -> Iterator[StandIn]:
    """A Grafana whose certificate an internal authority signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")
    with running(StandIn(context=context)) as grafana:
        grafana.admit(TOKEN)
        yield grafana


def test_a_certificate_of_an_internal_authority_is_reported_as_such(secure: StandIn, pauses: list[float]) -> None:
    with _failing("grafana_certificate") as caught:
        _publish(secure, transport=None)
    assert str(caught.value) == (
        f"{secure.url} shows a certificate that is not trusted (unable to get local issuer certificate); if an internal authority signed it, set SSL_CERT_FILE to that authority's certificate. Nothing was published."
    )
    assert pauses == []


def test_the_certificate_of_an_internal_authority_may_be_given(
    secure: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
    _publish(secure, transport=None)
    assert set(secure.dashboards) == {"shop", "stock"}


def test_a_certificate_of_another_host_is_not_taken_for_one_of_an_unknown_authority(
    secure: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
    with _failing("grafana_certificate") as caught:
        _publish(secure, url=secure.url.replace("127.0.0.1", "localhost"), transport=None)
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in str(caught.value)
    assert "SSL_CERT_FILE" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["no file", "no certificate"])
def test_an_invalid_file_of_certificates_is_named(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content:
        (tmp_path / "authority.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with _failing("grafana_certificate") as caught:
        _publish(server, transport=None)
    assert str(caught.value).startswith(f"SSL_CERT_FILE: got '{tmp_path}/authority.pem' (")


@pytest.mark.parametrize(
    "proxy", ["carrier-pigeon://user:planted@proxy", "http://user:planted@proxy:port", "socks5://planted:1"]
)
def test_an_unusable_proxy_is_reported_without_its_address(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with _failing("proxy_invalid") as caught:
        _publish(server, transport=None)
    assert "planted" not in str(caught.value)


def test_a_host_that_does_not_listen_gives_one_clear_line(pauses: list[float]) -> None:
    with StandIn() as gone:
        pass
    with _failing("grafana_unreachable") as caught:
        _publish(gone, attempts=2)
    assert str(caught.value).startswith(f"{gone.url} cannot be reached (")
    assert str(caught.value).endswith("check the address and the network. Nothing was published.")
    assert len(pauses) == 1


def test_a_server_that_does_not_answer_is_not_waited_for(server: StandIn, pauses: list[float]) -> None:
    released = threading.Event()
    server.script["/api/dashboards/db"] = [Answer(wait=released)]
    with _failing("grafana_unreachable") as caught:
        _publish(server, timeout=0.2)
    released.set()
    assert "did not answer within 0.2 s" in str(caught.value)
    assert pauses == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"title": "Stock"}, "has no uid"),
        ({"uid": "stock", "title": ""}, "has no title"),
        ({"uid": "s" * 41, "title": "Stock"}, "has no uid of at most 40 letters, digits, - and _"),
        ({"uid": "stock/1", "title": "Stock"}, "has no uid of at most 40 letters, digits, - and _"),
        ({**STOCK, "panels": float("nan")}, "has no form as JSON"),
        ({**STOCK, "panels": {1}}, "has no form as JSON"),
    ],
)
def test_nothing_is_sent_if_one_dashboard_is_broken(server: StandIn, broken: Any, problem: str) -> None:
    with _failing("dashboard_invalid") as caught:
        _publish(server, {"shop": SHOP, "stock": broken})
    assert problem in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    ["shop.example", "ftp://grafana.example", "http://admin:seven@grafana.example", "http://[", "http://a/?b=c"],
)
def test_an_invalid_address_is_not_repeated_since_it_may_contain_a_password(server: StandIn, url: str) -> None:
    with _failing("grafana_url_invalid") as caught:
        _publish(server, url=url)
    assert url not in str(caught.value)


@pytest.mark.parametrize("token", ["seven\nthree", "seven three", "sëven", "Bearer seven"])
def test_a_token_that_no_header_can_hold_is_not_repeated(server: StandIn, token: str) -> None:
    with _failing("grafana_token_invalid") as caught:
        _publish(server, token=token)
    assert "seven" not in str(caught.value)
    assert server.seen == []


def test_a_token_is_not_in_what_the_process_prints(server: StandIn, capfd: pytest.CaptureFixture[str]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": "0"})]
    _publish(server)
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err


def test_the_repr_of_a_grafana_does_not_contain_its_token() -> None:
    assert TOKEN not in repr(Grafana(url="http://grafana.example", token=TOKEN))


def _from_environment(
    server: StandIn, settings: Settings | None = None, mode: Mode | None = None, **environ: str
) -> tuple[int, list[str]]:
    lines: list[str] = []
    settings = settings or parse_settings({"dashboards": {"folder": "Shop", "base_url": server.url}})
    environ = {"GRAFANA_URL": f"{server.url}/", **environ}
    return publish_from_environment(settings, environ, lines.append, mode, httpx.HTTPTransport(verify=False)), lines


def test_all_dashboards_are_published_from_the_environment(server: StandIn) -> None:
    code, lines = _from_environment(server, GRAFANA_TOKEN=TOKEN)
    assert code == 0
    assert lines == [
        "created the folder 'Shop'",
        f"published fleet: {server.url}/d/sidelight-fleet/fleet (uid sidelight-fleet, version 1)",
        f"published operations: {server.url}/d/sidelight-operations/operations (uid sidelight-operations, version 1)",
        f"published business: {server.url}/d/sidelight-business/business (uid sidelight-business, version 1)",
        NO_OWNER,
    ]
    assert server.folders[folder_uid("Shop")].title == "Shop"
    assert server.dashboards["sidelight-business"].messages[0].startswith("Published by Sidelight ")


def test_user_and_password_may_be_in_the_environment(server: StandIn, tmp_path: Path) -> None:
    server.admit_user("ci", PASSWORD)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    assert _from_environment(server, GRAFANA_USER="ci", GRAFANA_PASSWORD=PASSWORD)[0] == 0
    assert _from_environment(server, GRAFANA_USER="ci", GRAFANA_PASSWORD_FILE=str(tmp_path / "password"))[0] == 0


def test_a_token_and_a_user_are_one_too_many(server: StandIn) -> None:
    with _failing("grafana_credentials_ambiguous") as caught:
        _from_environment(server, GRAFANA_TOKEN=TOKEN, GRAFANA_USER="ci", GRAFANA_PASSWORD=PASSWORD)
    assert str(caught.value) == "GRAFANA_TOKEN and GRAFANA_USER are both set; give one of them."


def test_the_token_may_be_in_a_file_with_a_line_break_at_its_end(server: StandIn, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert _from_environment(server, GRAFANA_TOKEN_FILE=str(tmp_path / "token"))[0] == 0


def test_without_an_address_nothing_is_published_and_the_exit_code_is_0() -> None:
    lines: list[str] = []
    assert publish_from_environment(Settings(), {}, lines.append) == 0
    assert lines == ["GRAFANA_URL is not set, so nothing is published."]


@pytest.mark.parametrize("environ", [{}, {"GRAFANA_TOKEN": " "}], ids=["none", "blank"])
def test_for_an_address_without_a_token_the_message_says_how_to_set_one(
    server: StandIn, environ: dict[str, str]
) -> None:
    with _failing("grafana_token_missing") as caught:
        _from_environment(server, **environ)
    assert str(caught.value) == (
        "GRAFANA_URL is set, but no token; give one in GRAFANA_TOKEN or in the file that GRAFANA_TOKEN_FILE names."
    )
    assert server.seen == []


def test_for_a_user_without_a_password_the_message_says_how_to_set_one(server: StandIn) -> None:
    with _failing("grafana_token_missing") as caught:
        _from_environment(server, GRAFANA_USER="ci")
    assert "GRAFANA_USER is set, but no password; give one in GRAFANA_PASSWORD" in str(caught.value)


@pytest.mark.parametrize("write", [lambda _: None, lambda file: file.write_bytes(b"seven\xff")], ids=["none", "binary"])
def test_a_token_file_that_cannot_be_read_is_named(
    server: StandIn, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    file = tmp_path / "token"
    write(file)
    with _failing("grafana_token_missing") as caught:
        _from_environment(server, GRAFANA_TOKEN_FILE=str(file))
    assert str(file) in str(caught.value)
    assert "seven" not in str(caught.value)
