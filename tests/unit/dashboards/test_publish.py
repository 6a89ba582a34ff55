"""Publishing, against a stand-in that answers over a real socket as Grafana was measured to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards.grafana.client import Grafana, PublishError, folder_uid
from dashboards.grafana.publish import publish, publish_from_environment
from instrumentation.settings import Settings, parse_settings
from tests.unit.dashboards.grafana_stand_in import ADMIN, EDITOR, NONE, VIEWER, Answer, StandIn, refusal, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "glsa_seven_three"  # noqa: S105 - of a Grafana in memory
PASSWORD = "seven: three"  # noqa: S105 - of a Grafana in memory
SHOP = {"uid": "shop", "title": "Shop", "panels": []}
STOCK = {"uid": "stock", "title": "Stock", "panels": []}
BOTH = {"shop": SHOP, "stock": STOCK}
FOLDER = "Ops & Shop"
OURS = folder_uid(FOLDER)
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
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    return slept


def _publish(server: StandIn, dashboards: Any = BOTH, *, folder: str = FOLDER, **changes: Any) -> list[str]:
    lines: list[str] = []
    given = {"url": server.url, "token": TOKEN, "transport": httpx.HTTPTransport(), "sleep": server.sleep}
    publish(dashboards, Grafana(**given | changes), folder=folder, message="from a test", echo=lines.append)
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
    assert [line.split(":")[0] for line in _publish(server)] == ["published shop", "published stock"]
    assert server.folders[OURS].title == FOLDER
    assert {uid: saved.folder for uid, saved in server.dashboards.items()} == {"shop": OURS, "stock": OURS}
    assert server.dashboards["shop"].messages == ["from a test"]


def test_publishing_again_does_not_create_the_folder_again(server: StandIn) -> None:
    _publish(server)
    _publish(server)
    assert server.seen.count("POST /api/folders") == 1


def test_a_viewer_may_not_create_the_folder_and_hears_which_right_is_missing(server: StandIn) -> None:
    server.admit(TOKEN, VIEWER)
    with _failing("grafana_token_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused the folder 'Ops & Shop': You'll need additional permissions to perform this action."
        " Permissions needed: folders:create; the token lacks a right: give it the role Editor, or the permission Edit on"
        " the folder (403). Nothing was published."
    )


def test_rights_on_one_folder_are_enough_whoever_made_it(server: StandIn) -> None:
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
    assert "'Platform' holds no such folder; create it in Grafana" in str(caught.value)
    assert server.writes == []


def test_more_folders_than_one_page_of_a_search_holds_are_all_looked_at(server: StandIn) -> None:
    for number in range(1003):
        server.add_folder(f"f{number}", f"Folder {number}")
    _publish(server, folder="Folder 1002")
    assert {saved.folder for saved in server.dashboards.values()} == {"f1002"}


def test_a_folder_of_ours_that_was_renamed_is_still_ours(server: StandIn) -> None:
    server.add_folder(OURS, "Operations of the shop")
    _publish(server)
    assert list(server.folders) == [OURS]


def test_permissions_of_a_new_folder_that_do_not_count_yet_are_waited_for(server: StandIn) -> None:
    server.delay = 60
    lines = _publish(server)
    assert lines[:2] == [
        "waiting until Grafana lets the token use the new folder: 5 of at most 90 s",
        "waiting until Grafana lets the token use the new folder: 10 of at most 90 s",
    ]
    assert [line.split(":")[0] for line in lines[-2:]] == ["published shop", "published stock"]
    assert server.now == 60


def test_permissions_that_never_count_end_the_wait(server: StandIn) -> None:
    server.delay = 3600
    with _failing("grafana_token_refused") as caught:
        _publish(server)
    assert "Access denied to save dashboard" in str(caught.value)
    assert server.now == 90


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
        " already exists; one exists that the token may not see: give it the role Editor, or the permission Edit on the"
        " folder, or set dashboards.folder; where it was created within the last minute, publish again (409)."
        " Nothing was published."
    )


def test_folders_with_other_titles_have_other_uids_of_legal_characters() -> None:
    assert folder_uid("Team 組") != folder_uid("Team 班")
    assert folder_uid("Team 組").isascii()


# --- What Grafana refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 412, 422, 500])
def test_a_rejected_dashboard_is_named_with_grafanas_reason_and_with_what_was_published(
    server: StandIn, status: int
) -> None:
    _publish(server, {"shop": SHOP})
    server.script["/api/dashboards/db"] = [Answer(body='{"uid": "shop"}'), refusal(status, "changed by  someone.")]
    with _failing("dashboard_refused") as caught:
        _publish(server, {"shop": {**SHOP, "panels": [1]}, "stock": STOCK})
    assert str(caught.value) == (
        f"{server.url} refused the dashboard 'stock': changed by someone ({status}). Published before that: shop."
    )
    assert caught.value.details == {"url": server.url, "status": status, "published": ("shop",)}


# --- Who asks ---------------------------------------------------------------------------------------------------------


def test_a_wrong_token_gives_one_clear_line(server: StandIn) -> None:
    wrong = "glsa_wrong_token"
    with _failing("grafana_token_refused") as caught:
        _publish(server, token=wrong)
    assert str(caught.value) == (
        f"{server.url} does not know the token (Invalid API key); give the token of a service account with the role"
        " Editor (401). Nothing was published."
    )
    assert wrong not in repr(caught.value)


def test_a_user_with_a_password_may_publish(server: StandIn) -> None:
    server.admit_user("zoë", PASSWORD)
    assert len(_publish(server, token="", user="zoë", password=PASSWORD)) == 2


def test_a_wrong_password_is_told_as_such(server: StandIn) -> None:
    server.admit_user("zoë", PASSWORD)
    with _failing("grafana_token_refused") as caught:
        _publish(server, token="", user="zoe", password=PASSWORD)
    assert "does not know the user or the password (Invalid API key)" in str(caught.value)


def test_where_basic_auth_is_asked_for_the_variables_are_named(server: StandIn) -> None:
    asked = Answer(status=401, body=HTML, headers={"WWW-Authenticate": 'Basic realm="internal"'})
    server.script["/api/search"] = [asked]
    with _failing("grafana_token_refused") as caught:
        _publish(server)
    assert "asks for user and password (no reason given); give them in GRAFANA_USER and GRAFANA_PASSWORD" in str(
        caught.value
    )


@pytest.mark.parametrize("status", [403, 405])
def test_a_proxy_that_lets_nothing_be_written_is_not_taken_for_grafana(server: StandIn, status: int) -> None:
    server.script["/api/folders"] = [Answer(status=status, body=HTML)]
    with _failing("grafana_proxy_refused") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} refused POST /api/folders before it reached Grafana; a proxy may allow no writing ({status})."
        " Nothing was published."
    )


# --- The network --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_transient_answer_is_tried_again(server: StandIn, pauses: list[float], status: int) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=status, body=HTML)]
    assert len(_publish(server)) == 2
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
def test_a_pause_that_is_no_number_of_seconds_does_no_harm(server: StandIn, pauses: list[float], asked: str) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503, headers={"Retry-After": asked})]
    assert len(_publish(server)) == 2
    assert all(0 <= pause < 2 for pause in pauses)


def test_a_server_that_stays_unavailable_gives_one_clear_line(server: StandIn, pauses: list[float]) -> None:
    server.script["/api/dashboards/db"] = [Answer(status=503)] * 9
    with _failing("grafana_unavailable") as caught:
        _publish(server, attempts=3)
    assert str(caught.value) == f"{server.url} answers 503 again and again; try later (503). Nothing was published."
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
def test_what_is_no_grafana_gives_one_clear_line(server: StandIn, answer: Answer) -> None:
    server.script["/api/search"] = [answer]
    with _failing("not_grafana") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} does not answer /api/search as a Grafana does; give the address of Grafana's own pages, with the"
        f" path that it is served under and without /d/ ({answer.status}). Nothing was published."
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_where_grafana_is_names_that_address(server: StandIn, status: int) -> None:
    moved = "https://grafana.example/grafana/api/search?type=dash-folder"
    server.script["/api/search"] = [Answer(status=status, body=HTML, headers={"Location": moved})]
    with _failing("grafana_redirects") as caught:
        _publish(server)
    assert str(caught.value) == (
        f"{server.url} redirects /api/search to https://grafana.example/grafana/api/search; give"
        f" https://grafana.example/grafana as the address ({status}). Nothing was published."
    )


def test_a_redirect_to_a_login_page_is_told_without_its_query(server: StandIn) -> None:
    login = "https://someone:planted@sso.example/login?state=planted"
    server.script["/api/search"] = [Answer(status=302, body=HTML, headers={"Location": login})]
    with _failing("grafana_redirects") as caught:
        _publish(server)
    assert "redirects /api/search to https://sso.example/login; give an address" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_the_sub_path_that_is_missing_is_named_where_grafana_redirects_to_it(server: StandIn) -> None:
    server.sub_path, server.redirects = "/grafana", True
    with _failing("grafana_redirects") as caught:
        _publish(server, url=server.origin)
    assert f"give {server.origin}/grafana as the address (301)" in str(caught.value)


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
        ({"uid": "s" * 41, "title": "Stock"}, "has no uid of at most 40 characters"),
        ({**STOCK, "panels": float("nan")}, "has no form as JSON"),
        ({**STOCK, "panels": {1}}, "has no form as JSON"),
    ],
)
def test_nothing_is_sent_where_one_dashboard_is_broken(server: StandIn, broken: Any, problem: str) -> None:
    with _failing("dashboard_invalid") as caught:
        _publish(server, {"shop": SHOP, "stock": broken})
    assert problem in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    ["shop.example", "ftp://grafana.example", "http://admin:seven@grafana.example", "http://[", "http://a/?b=c"],
)
def test_an_address_that_is_none_is_not_repeated_since_it_may_hold_a_password(server: StandIn, url: str) -> None:
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


def test_a_grafana_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Grafana(url="http://grafana.example", token=TOKEN))


def _from_environment(server: StandIn, **environ: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    transport = httpx.HTTPTransport()
    settings = parse_settings({"dashboards": {"folder": "Shop"}})
    return publish_from_environment(
        settings, {"GRAFANA_URL": f"{server.url}/", **environ}, lines.append, transport
    ), lines


def test_all_dashboards_are_published_from_the_environment(server: StandIn) -> None:
    code, lines = _from_environment(server, GRAFANA_TOKEN=TOKEN)
    assert code == 0
    assert lines == [
        f"published fleet: {server.url}/d/sidelight-fleet",
        f"published operations: {server.url}/d/sidelight-operations",
        f"published business: {server.url}/d/sidelight-business",
    ]
    assert server.folders[folder_uid("Shop")].title == "Shop"
    assert server.dashboards["sidelight-business"].messages[0].startswith("Published by Sidelight ")


def test_user_and_password_may_stand_in_the_environment(server: StandIn, tmp_path: Path) -> None:
    server.admit_user("ci", PASSWORD)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    assert _from_environment(server, GRAFANA_USER="ci", GRAFANA_PASSWORD=PASSWORD)[0] == 0
    assert _from_environment(server, GRAFANA_USER="ci", GRAFANA_PASSWORD_FILE=str(tmp_path / "password"))[0] == 0


def test_a_token_and_a_user_are_one_too_many(server: StandIn) -> None:
    with _failing("grafana_credentials_ambiguous") as caught:
        _from_environment(server, GRAFANA_TOKEN=TOKEN, GRAFANA_USER="ci", GRAFANA_PASSWORD=PASSWORD)
    assert str(caught.value) == "GRAFANA_TOKEN and GRAFANA_USER are both set; give one of them."


def test_the_token_may_stand_in_a_file_with_a_line_break_at_its_end(server: StandIn, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert _from_environment(server, GRAFANA_TOKEN_FILE=str(tmp_path / "token"))[0] == 0


def test_without_an_address_nothing_is_published_and_that_is_no_failure() -> None:
    lines: list[str] = []
    assert publish_from_environment(Settings(), {}, lines.append) == 0
    assert lines == ["GRAFANA_URL is not set, so nothing is published."]


@pytest.mark.parametrize("environ", [{}, {"GRAFANA_TOKEN": " "}], ids=["none", "blank"])
def test_an_address_without_a_token_says_where_to_give_one(server: StandIn, environ: dict[str, str]) -> None:
    with _failing("grafana_token_missing") as caught:
        _from_environment(server, **environ)
    assert str(caught.value) == (
        "GRAFANA_URL is set, but no token; give one in GRAFANA_TOKEN or in the file that GRAFANA_TOKEN_FILE names."
    )
    assert server.seen == []


def test_a_user_without_a_password_is_told_where_to_give_one(server: StandIn) -> None:
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
