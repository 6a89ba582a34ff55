"""Uploading rules to a ruler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stamina
import yaml

from alerts import groups
from alerts.ruler import Mode, RulerError, upload_from_environment
from instrumentation.settings import parse_settings
from tests.unit.alerts.ruler_stand_in import StandIn, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.settings import Settings

SETTINGS = parse_settings({"service": {"name": "shop"}})
PASSWORD = "s3cret-word"  # noqa: S105 - of the stand-in
NAMESPACE = "sidelight-shop"
NAMES = [group.name for group in groups(SETTINGS)]


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Retries do not wait."""
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def ruler() -> Iterator[StandIn]:
    with serving(StandIn()) as stand_in:
        yield stand_in


def uploaded(
    ruler: StandIn, settings: Settings = SETTINGS, mode: Mode | None = None, **environ: str
) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = upload_from_environment(
        settings, {"RULER_URL": ruler.url} | environ, lambda line: lines.append(str(line)), mode
    )
    return code, lines


def failing(ruler: StandIn, **environ: str) -> RulerError:
    with pytest.raises(RulerError) as caught:
        uploaded(ruler, **environ)
    return caught.value


def stored(ruler: StandIn, tenant: str = "") -> dict[str, Any]:
    return ruler.stored.get((tenant, NAMESPACE), {})


@pytest.mark.parametrize("path", ["/prometheus/config/v1/rules", "/api/v1/rules"], ids=["Mimir", "Cortex"])
def test_all_groups_are_created_and_the_next_upload_sends_none(ruler: StandIn, path: str) -> None:
    ruler.path = path
    code, lines = uploaded(ruler)
    assert (code, lines) == (
        0,
        [*(f"created {name}" for name in NAMES), f"differences: {len(NAMES)} (namespace {NAMESPACE})"],
    )
    assert list(stored(ruler).values()) == [group.document() for group in groups(SETTINGS)]
    ruler.requests.clear()
    _, lines = uploaded(ruler)
    assert lines == [*(f"unchanged {name}" for name in NAMES), f"differences: 0 (namespace {NAMESPACE})"]
    assert {request.partition(" ")[0] for request in ruler.requests} == {"GET"}


def test_a_group_is_equal_however_the_ruler_writes_it(ruler: StandIn) -> None:
    uploaded(ruler)
    for group in stored(ruler).values():  # as Prometheus' YAML of a group, which leaves out what is empty
        group["interval"] = {"7d": "1w", "1d": "24h"}.get(group["interval"], group["interval"])
        group["limit"], group["source_tenants"] = None, []
        for rule in group["rules"]:
            rule["expr"] = f"{rule['expr']}\n"
            rule.setdefault("labels", {})
    assert uploaded(ruler, mode=Mode(check=True))[0] == 0


def test_a_check_finds_the_group_that_somebody_changed_and_an_upload_mends_it(ruler: StandIn) -> None:
    uploaded(ruler)
    stored(ruler)["sidelight.http"]["rules"][0]["expr"] = "vector(1)"
    code, lines = uploaded(ruler, mode=Mode(check=True, diff=True))
    assert code == 1
    assert "-  expr: vector(1)" in "\n".join(lines)
    assert "would replace sidelight.http" in lines
    assert stored(ruler)["sidelight.http"]["rules"][0]["expr"] == "vector(1)"
    assert "replaced sidelight.http" in uploaded(ruler)[1]
    assert uploaded(ruler, mode=Mode(check=True))[0] == 0


@pytest.mark.parametrize("wait", ["500ms", "1y", "soon"])
def test_a_changed_duration_is_a_difference(ruler: StandIn, wait: str) -> None:
    uploaded(ruler)
    stored(ruler)["sidelight.meta"]["rules"][0]["for"] = wait
    assert uploaded(ruler, mode=Mode(check=True))[0] == 1


def test_a_dry_run_sends_nothing(ruler: StandIn) -> None:
    code, lines = uploaded(ruler, mode=Mode(dry_run=True))
    assert (code, lines[0], stored(ruler)) == (0, f"would create {NAMES[0]}", {})


def test_only_prune_deletes_groups_that_are_no_longer_generated(ruler: StandIn) -> None:
    uploaded(ruler)
    stored(ruler)["sidelight.signal_orders"] = {"name": "sidelight.signal_orders", "rules": []}
    _, lines = uploaded(ruler)
    assert "note: sidelight.signal_orders is no longer generated; --prune deletes it" in lines
    assert "sidelight.signal_orders" in stored(ruler)
    assert "deleted sidelight.signal_orders" in uploaded(ruler, mode=Mode(prune=True))[1]
    assert list(stored(ruler)) == NAMES


def test_a_refused_group_undoes_the_upload(ruler: StandIn) -> None:
    uploaded(ruler)
    before = yaml.safe_dump(stored(ruler))
    ruler.most_rules = max(len(group.rules) for group in groups(SETTINGS)) - 1
    changed = parse_settings({"service": {"name": "shop"}, "alerting": {"evaluation_interval": "15s"}})
    with pytest.raises(RulerError) as caught:
        uploaded(ruler, changed)
    assert "refused the group sidelight." in str(caught.value)
    assert "per-user rules per rule group limit" in str(caught.value)
    assert str(caught.value).endswith("(400). The other groups are as they were.")
    assert yaml.safe_dump(stored(ruler)) == before


def test_a_refused_first_upload_leaves_nothing(ruler: StandIn) -> None:
    ruler.most_rules = max(len(group.rules) for group in groups(SETTINGS)) - 1
    failing(ruler)
    assert stored(ruler) == {}


def test_a_tenant_is_sent_and_asked_for(ruler: StandIn) -> None:
    ruler.tenants = True
    assert (
        "refused to list the rules of the namespace sidelight-shop: no org id; set RULER_TENANT to your tenant (401)."
        in str(failing(ruler))
    )
    uploaded(ruler, RULER_TENANT="eu")
    assert list(stored(ruler, "eu")) == NAMES


def test_a_namespace_may_contain_a_slash(ruler: StandIn) -> None:
    uploaded(ruler, mode=Mode(namespace="team/shop"))
    assert list(ruler.stored["", "team/shop"]) == NAMES


@pytest.mark.parametrize("path", ["/loki/api/v1/rules", "/graph"])
def test_a_server_without_this_api_is_named(ruler: StandIn, path: str) -> None:
    ruler.path = path
    error = failing(ruler)
    assert error.code == "not_a_ruler"
    assert "give the address of a Mimir or Cortex, without these paths" in str(error)


def test_a_prometheus_is_told_from_a_ruler(ruler: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruler, "answer", lambda *_: (200, '{"status":"success","data":{"groups":[]}}'))
    assert failing(ruler).code == "not_a_ruler"


def test_a_transient_failure_is_retried(ruler: StandIn) -> None:
    ruler.unavailable = 2
    assert uploaded(ruler)[0] == 0
    assert list(stored(ruler)) == NAMES


def test_the_address_is_needed() -> None:
    with pytest.raises(
        RulerError, match="RULER_URL is not set; give the address of a ruler, such as http://mimir:8080"
    ):
        upload_from_environment(SETTINGS, {}, print)


def test_credentials_are_sent_and_not_printed(ruler: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = ruler.answer

    def refusing(*parts: str) -> tuple[int, str]:
        asked.append(parts[1])
        return (401, "unknown") if len(asked) == 1 else answer(*parts)

    monkeypatch.setattr(ruler, "answer", refusing)
    error = failing(ruler, RULER_USER="ci", RULER_PASSWORD=PASSWORD)
    assert "check RULER_TOKEN, or RULER_USER and RULER_PASSWORD, and RULER_TENANT" in str(error)
    assert PASSWORD not in f"{error}{error.details}"
