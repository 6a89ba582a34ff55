"""The fake Grafana answers requests as a real Grafana 9.4 did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.unit.dashboards.grafana_stand_in import ADMIN, EDITOR, NONE, VIEWER, StandIn, running

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = {"uid": "ours", "title": "Ours"}


@pytest.fixture
def grafana() -> Iterator[StandIn]:
    with running(StandIn()) as server:
        yield server


def _asked(grafana: StandIn, method: str, path: str, role: str = EDITOR, body: Any = None) -> httpx.Response:
    if "Bearer token" not in grafana.accounts or grafana.accounts["Bearer token"].role != role:
        grafana.admit("token", role)
    headers = {"Authorization": "Bearer token"}
    return httpx.request(method, f"{grafana.url}{path}", headers=headers, json=body, trust_env=False)


def _saved(grafana: StandIn, uid: str, title: str, role: str = EDITOR, **more: Any) -> httpx.Response:
    board = {"uid": uid, "title": title, **more.pop("board", {})}
    return _asked(grafana, "POST", "/api/dashboards/db", role, {"dashboard": board, "folderUid": "ours", **more})


@pytest.mark.parametrize(("role", "status"), [(EDITOR, 403), (VIEWER, 403), (NONE, 403), (ADMIN, 404)])
def test_a_folder_that_does_not_exist_is_404_for_an_admin_alone(grafana: StandIn, role: str, status: int) -> None:
    assert _asked(grafana, "GET", "/api/folders/nowhere", role).status_code == status


def test_an_editor_may_create_a_folder_and_publish_into_it_at_once(grafana: StandIn) -> None:
    assert _asked(grafana, "POST", "/api/folders", body=FOLDER).status_code == 200
    assert _saved(grafana, "shop", "Shop").status_code == 200


@pytest.mark.parametrize("role", [VIEWER, NONE])
def test_nobody_else_may_create_a_folder(grafana: StandIn, role: str) -> None:
    assert _asked(grafana, "POST", "/api/folders", role, FOLDER).status_code == 403


def test_rights_on_one_folder_count_for_that_folder_alone(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours", private=True)
    grafana.add_folder("theirs", "Theirs", private=True)
    grafana.admit("token", NONE, edits={"ours"})
    assert _asked(grafana, "GET", "/api/folders/ours", NONE).status_code == 200
    assert _asked(grafana, "GET", "/api/folders/theirs", NONE).status_code == 403
    assert [hit["uid"] for hit in _asked(grafana, "GET", "/api/search?type=dash-folder", NONE).json()] == ["ours"]


def test_a_folder_whose_title_exists_is_a_conflict_for_an_admin_too(grafana: StandIn) -> None:
    grafana.add_folder("Zx7Kq", "Ours")
    assert _asked(grafana, "POST", "/api/folders", ADMIN, FOLDER).status_code == 409


def test_a_dashboard_may_not_have_the_title_of_any_folder(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    grafana.add_folder("other", "Operations")
    assert _saved(grafana, "sidelight-operations", "Operations", overwrite=True).status_code == 400


def test_with_overwrite_a_title_that_exists_writes_into_the_other_dashboard(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    grafana.add_dashboard({"uid": "other", "title": "Shop"}, "ours")
    answer = _saved(grafana, "shop", "Shop", overwrite=True, board={"panels": [7]})
    assert (answer.status_code, answer.json()["uid"]) == (200, "other")
    assert grafana.dashboards["other"].data["panels"] == [7]
    assert _asked(grafana, "GET", "/api/dashboards/uid/shop").status_code == 404


def test_without_overwrite_a_title_that_exists_is_a_conflict(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    grafana.add_dashboard({"uid": "other", "title": "Shop"}, "ours")
    answer = _saved(grafana, "shop", "Shop")
    assert (answer.status_code, answer.json()["status"]) == (412, "name-exists")


def test_from_11_3_on_titles_are_free(grafana: StandIn) -> None:
    grafana.version = "11.3.0"
    grafana.add_folder("ours", "Ours")
    grafana.add_dashboard({"uid": "other", "title": "Shop"}, "ours")
    assert _saved(grafana, "shop", "Shop").json()["uid"] == "shop"


def test_a_provisioned_dashboard_cannot_be_saved(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    grafana.add_dashboard({"uid": "shop", "title": "Shop"}, "ours", provisioned=True)
    answer = _saved(grafana, "shop", "Shop", overwrite=True)
    assert (answer.status_code, answer.json()["message"]) == (400, "Cannot save provisioned dashboard")


def test_a_version_that_is_not_the_newest_is_a_conflict(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    grafana.add_dashboard({"uid": "shop", "title": "Shop"}, "ours")
    assert _saved(grafana, "shop", "Shop", board={"id": 1, "version": 1}).json()["version"] == 2
    answer = _saved(grafana, "shop", "Shop", board={"id": 1, "version": 1})
    assert (answer.status_code, answer.json()["status"]) == (412, "version-mismatch")


def test_a_quota_is_403_also_for_a_dashboard_that_exists_unless_it_has_its_id(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    grafana.add_dashboard({"uid": "shop", "title": "Shop"}, "ours")
    grafana.quota = 1
    for uid in ("shop", "stock"):
        answer = _saved(grafana, uid, uid, overwrite=True)
        assert (answer.status_code, answer.json()["message"]) == (403, "Quota reached")
    assert _saved(grafana, "shop", "Shop", board={"id": 1, "version": 1}).status_code == 200


def test_what_was_published_differs_by_id_and_version_alone(grafana: StandIn) -> None:
    grafana.add_folder("ours", "Ours")
    _saved(grafana, "shop", "Shop", board={"panels": [7]})
    got = _asked(grafana, "GET", "/api/dashboards/uid/shop").json()["dashboard"]
    assert got == {"uid": "shop", "title": "Shop", "panels": [7], "id": 1, "version": 1}


def test_responses_contain_the_sub_path_also_if_the_request_did_not(grafana: StandIn) -> None:
    grafana.sub_path = "/grafana"
    grafana.add_folder("ours", "Ours")
    grafana.admit("token")
    body = {"dashboard": {"uid": "shop", "title": "Shop"}, "folderUid": "ours"}
    headers = {"Authorization": "Bearer token"}
    answer = httpx.post(f"{grafana.origin}/api/dashboards/db", headers=headers, json=body, trust_env=False)
    assert answer.json()["url"] == "/grafana/d/shop/shop"
