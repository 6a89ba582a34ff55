"""Every audited action is in the trail, and an entry that cannot be written is never lost silently."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation import auditing
from instrumentation.auditing import AuditError, Auditor, auditor
from instrumentation.auditing.chain import Key
from instrumentation.auditing.entry import Given
from instrumentation.auditing.trail import AuditTrail, head_path, read_head
from instrumentation.auditing.verify import verify
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore, default_store
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "the key of the shop, 32 bytes long"  # noqa: S105 - seals nothing but tests
KEY = Key(SECRET.encode())
ENVIRON = {"SIDELIGHT_AUDIT_KEY": SECRET}


class Trail:
    """An auditor with files and a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.log"
        self.store = LocalStore()
        self.auditor = Auditor(self.store, clock=lambda: 1_700_000_000.25)

    def settle(self, **audit: Any) -> None:
        data = {"service": {"name": "shop"}, "audit": {"path": str(self.path), **audit}}
        self.auditor.settle(parse_settings(data), ENVIRON)

    def audit(self, event: str = "user.login", actor: Any = "7f3c", outcome: str = "success", **fields: Any) -> None:
        self.auditor.write(Given(event, actor, outcome, fields))

    async def audit_async(self, event: str = "user.login") -> None:
        await self.auditor.write_async(Given(event, "7f3c", "success", {}))

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()][1:]

    @property
    def counted(self) -> dict[tuple[str, str], float]:
        return {(each.metric.name, each.labels[0]): each.slots[0] for each in self.store.series()}

    @property
    def is_whole(self) -> bool:
        head = read_head(self.path, {KEY.id: KEY})
        return head is not None and verify([self.path], {KEY.id: KEY}, {head.seq: head.seal}).fault is None


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    trail = Trail(tmp_path)
    trail.settle()
    yield trail
    trail.auditor.flush()
    trail.auditor.settle(parse_settings({}))


def refusing(error: OSError) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise error

    return refuse


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_public_functions_write_to_the_trail_of_the_process(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instrumentation.auditing._default_auditor", lambda: trail.auditor)
    auditing.audit("user.login", actor="7f3c", outcome="success", method="password")
    asyncio.run(auditing.audit_async("user.logout", actor="7f3c", outcome="failure"))
    assert auditing.flush(7)
    assert [(entry["event"], entry["outcome"]) for entry in trail.entries] == [
        ("user.login", "success"),
        ("user.logout", "failure"),
    ]


def test_a_shutdown_waits_for_entries_within_a_limit(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float | None] = []
    monkeypatch.setattr(trail.auditor, "flush", waited.append)
    trail.auditor.end()
    assert waited == [auditor.FLUSH_SECONDS]
    monkeypatch.undo()


# --- An entry ---------------------------------------------------------------------------------------------------------


def test_an_entry_says_who_did_what_when_and_how_it_ended(trail: Trail) -> None:
    trail.audit(method="password", attempts=3)
    (entry,) = trail.entries
    assert entry.pop("mac")
    assert entry == {
        "seq": 2,
        "time": "2023-11-14T22:13:20.250000Z",
        "event": "user.login",
        "actor": "7f3c",
        "outcome": "success",
        "service": "shop",
        "fields": {"method": "password", "attempts": 3},
    }
    assert trail.counted == {("audit_events_total", "user.login"): 1.0}
    assert trail.is_whole


def test_secrets_in_fields_are_masked_at_every_depth_and_whose_account_it_was_is_not(trail: Trail) -> None:
    trail.audit(actor="joe@example.com", email="joe@example.com", sent=[{"api_key": "hunter2"}])
    (entry,) = trail.entries
    assert entry["actor"] == "joe@example.com"
    assert entry["fields"] == {"email": "joe@example.com", "sent": [{"api_key": "***"}]}
    assert b"hunter2" not in trail.path.read_bytes()


@pytest.mark.parametrize("actor", ["", "7\n{}", "zoë", 7, UUID(int=7)])
def test_an_actor_is_a_text_a_number_or_a_uuid(actor: Any, trail: Trail) -> None:
    trail.audit(actor=actor)
    assert trail.entries[0]["actor"] == str(actor)


@pytest.mark.parametrize(
    ("given_", "code", "sentence"),
    [
        ({"event": ""}, "audit_event_name_invalid", "audit_event name: got ''; give a string of 1 to 100"),
        ({"event": "sidelight.opened"}, "audit_event_name_invalid", "names that start with sidelight. are reserved"),
        ({"outcome": "a\nb"}, "audit_outcome_name_invalid", "audit_outcome name: got"),
        ({"actor": None}, "audit_actor_invalid", "actor got NoneType; give an id as a string, an integer or a UUID"),
        ({"actor": True}, "audit_actor_invalid", "actor got bool"),
        ({"at": UUID(int=7)}, "audit_fields_invalid", "Object of type UUID is not JSON serializable; give fields of"),
        ({"share": float("nan")}, "audit_fields_invalid", "give fields of strings, finite numbers"),
        ({"keys": {(1, 2): 3}}, "audit_fields_invalid", "give fields of strings"),
        ({"text": "x" * 70_000}, "audit_entry_too_large", "give one of at most 65"),
    ],
)
def test_an_invalid_entry_is_refused_at_the_call(
    given_: dict[str, Any], code: str, sentence: str, trail: Trail
) -> None:
    with pytest.raises(InstrumentationError) as caught:
        trail.audit(**given_)
    assert caught.value.code == code
    assert sentence in str(caught.value)
    assert not trail.path.exists()


def test_a_circle_is_refused(trail: Trail) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InstrumentationError, match="Circular"):
        trail.audit(circle=circle)


@given(fields=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(max_size=20_000), max_size=3))
@tried(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_any_text_is_an_entry_of_one_line_or_refused(fields: dict[str, str], trail: Trail) -> None:
    before = len(trail.entries) if trail.path.exists() else 0
    try:
        trail.audit(**fields)
    except InstrumentationError:
        assert len(json.dumps(fields)) > 60_000
    else:
        assert len(trail.entries) == before + 1
        assert trail.is_whole


def test_a_field_of_an_enum_of_texts_is_its_text(trail: Trail) -> None:
    class Plan(StrEnum):
        PAID = "paid"

    trail.audit(plan=Plan.PAID)
    assert trail.entries[0]["fields"] == {"plan": "paid"}


# --- Without blocking the loop ------------------------------------------------------------------------------------------


def test_the_loop_is_free_while_the_disk_is_waited_for(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    trail.settle(fsync="always")
    synced = threading.Event()
    monkeypatch.setattr(AuditTrail, "sync", lambda _: synced.wait(10))

    async def main() -> bool:
        task = asyncio.create_task(trail.audit_async())
        while not trail.path.exists():  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0)
        was_done = task.done()
        synced.set()
        await task
        return was_done

    assert asyncio.run(main()) is False
    assert len(trail.entries) == 1


def test_a_cancelled_task_loses_no_entry(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write = threading.Event()
    append = AuditTrail.append

    def late(self: AuditTrail, members: bytes) -> Any:
        may_write.wait(10)
        return append(self, members)

    monkeypatch.setattr(AuditTrail, "append", late)

    async def main() -> None:
        tasks = [asyncio.create_task(trail.audit_async()) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert not trail.auditor.flush(0)
    may_write.set()
    assert trail.auditor.flush()
    assert len(trail.entries) == 20
    assert trail.is_whole


def test_a_disk_that_hangs_fills_no_memory(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "_WAITING", 5)
    may_write = threading.Event()
    monkeypatch.setattr(AuditTrail, "append", lambda *_: may_write.wait(10))

    async def main() -> None:
        tasks = [asyncio.create_task(trail.audit_async()) for _ in range(8)]
        while trail.counted.get(("audit_failures_total", "unwritable")) != 3.0:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        may_write.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert trail.counted["audit_events_total", "user.login"] == 5.0


def test_without_asyncio_the_entry_is_written_at_once(trail: Trail) -> None:
    coroutine = trail.audit_async()
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert len(trail.entries) == 1


# --- What the disk has ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "times"), [("always", 3), ("interval", 0), ("never", 0)])
def test_only_always_waits_for_the_disk(policy: str, times: int, trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    trail.settle(fsync=policy)
    for _ in range(3):
        trail.audit()
    assert len(synced) == times


def test_interval_brings_entries_to_the_disk_soon(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "SYNC_SECONDS", 0.01)
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _: synced.set())
    for _ in range(2):
        trail.audit()
        assert synced.wait(10)
        synced.clear()


def test_the_head_is_logged_so_that_it_leaves_the_machine(trail: Trail, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "instrumentation.audit")
    trail.audit()
    trail.auditor.flush()
    assert caplog.messages[-1] == f"audit trail {trail.path}: head 2:{trail.entries[0]['mac']}"


def test_the_number_of_the_last_entry_is_a_metric(trail: Trail) -> None:
    assert trail.auditor.collect() == []
    trail.audit()
    (series,) = trail.auditor.collect()
    assert (series.metric.name, series.slots) == ("audit_entries", (2.0,))


# --- Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [(FULL, "disk_full"), (TimeoutError(errno.ETIMEDOUT, "busy"), "locked"), (OSError(errno.EIO, "I/O"), "unwritable")],
)
def test_a_lost_entry_is_logged_and_counted_and_the_request_continues(
    error: OSError, reason: str, trail: Trail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(AuditTrail, "append", refusing(error))
    trail.audit()
    assert trail.counted == {("audit_failures_total", reason): 1.0}
    assert caplog.records[-1].levelname == "ERROR"
    assert "an entry of 'user.login' is lost" in caplog.text


def test_the_call_fails_if_configured(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    trail.settle(on_failure="raise")
    monkeypatch.setattr(AuditTrail, "append", refusing(FULL))
    with pytest.raises(AuditError, match=r"the entry was not written: No space left on device\.") as caught:
        trail.audit()
    assert caught.value.code == "audit_not_written"
    with pytest.raises(AuditError):
        asyncio.run(trail.audit_async())


def test_a_disk_that_refuses_to_sync_is_logged(
    trail: Trail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trail.audit()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refusing(OSError(errno.EIO, "I/O")))
        trail.auditor.flush()
    assert trail.counted["audit_failures_total", "unwritable"] == 1.0
    assert "the disk may not have the last entries" in caplog.text


def test_a_trail_that_cannot_be_opened_is_logged_at_the_start_and_does_not_stop_it(
    trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    trail.path.mkdir()
    trail.auditor.begin()
    assert "the trail cannot be opened" in caplog.text
    trail.audit()
    assert trail.counted == {
        ("audit_failures_total", "unwritable"): 2.0,
        ("audit_failures_total", "disk_full"): 0.0,  # born before the first, so that rate() sees it
        ("audit_failures_total", "locked"): 0.0,
        ("audit_failures_total", "changed"): 0.0,
    }


def test_without_a_path_it_is_logged_once_and_counted_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trail = Trail(tmp_path)
    trail.auditor.settle(parse_settings({}), {})
    trail.audit()
    trail.audit()
    assert trail.counted == {("audit_failures_total", "no_path"): 2.0}
    assert caplog.messages == ["audit.path is not set, so audit entries are not written"]
    assert trail.auditor.flush()
    trail.auditor.begin()
    assert trail.auditor.collect() == []


# --- Settings and keys --------------------------------------------------------------------------------------------------


def settled(environ: dict[str, str], **audit: Any) -> Auditor:
    made = Auditor(LocalStore())
    made.settle(parse_settings({"audit": {"path": "audit.log", **audit}}), environ)
    return made


@pytest.mark.parametrize(
    ("environ", "audit", "sentence"),
    [
        ({}, {}, "settings: audit.path: there is no key for the audit trail; set SIDELIGHT_AUDIT_KEY or"),
        ({"SIDELIGHT_AUDIT_KEY": "short"}, {}, "SIDELIGHT_AUDIT_KEY: got a key of 5 bytes; give at least 32"),
        ({"SIDELIGHT_AUDIT_KEY": ""}, {}, "SIDELIGHT_AUDIT_KEY: got a key of 0 bytes"),
        ({"SIDELIGHT_AUDIT_KEY": f"{SECRET}\nold"}, {}, "SIDELIGHT_AUDIT_KEY: got a key of 3 bytes"),
        ({"SIDELIGHT_AUDIT_KEY_FILE": "gone"}, {}, "SIDELIGHT_AUDIT_KEY_FILE: gone cannot be read (No such file"),
        ({}, {"key_file": "gone"}, "settings: audit.key_file: gone cannot be read (No such file or directory); give a"),
    ],
)
def test_a_trail_without_a_sound_key_stops_start_up(
    environ: dict[str, str], audit: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settled(environ, **audit)
    assert str(caught.value).startswith(sentence)
    assert "short" not in str(caught.value)


def test_the_environment_wins_over_the_file_and_a_file_may_hold_older_keys(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_text(f"\n{name * 20}\n{SECRET}\n")
    one, other = (list(map(Key, ((name * 20).encode(), SECRET.encode()))) for name in ("one", "other"))
    file = {"SIDELIGHT_AUDIT_KEY_FILE": str(tmp_path / "one")}
    for environ, keys in ((file, one), ({}, other), ({**file, **ENVIRON}, [KEY])):
        made = settled(environ, key_file=str(tmp_path / "other"))
        assert made._trail is not None
        assert list(made._trail._keys) == [key.id for key in keys]


def test_on_failure_needs_a_path() -> None:
    with pytest.raises(SettingsError, match=r'audit\.on_failure: got "raise"; give audit\.path too'):
        parse_settings({"audit": {"on_failure": "raise"}})


# --- In a service -----------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sidelight.yaml").write_text(
        "service: {name: shop}\naudit: {path: audit.log}\nlogging: {enabled: false}"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIDELIGHT_AUDIT_KEY", SECRET)
    return tmp_path


def test_a_request_is_audited_with_its_correlation_id_and_the_metrics_say_how_many(environment: Path) -> None:
    app = FastAPI()
    store = ProcessStore()
    instrumentation.instrument(app, store=store, registry=CollectorRegistry())

    @app.post("/login")
    async def login() -> None:
        await auditor.auditor_of(store).write_async(Given("user.login", "7f3c", "success", {}))

    with TestClient(app) as client:
        assert head_path(environment / "audit.log").exists()
        answer = client.post("/login", headers={"x-correlation-id": "7c1"})
        page = client.get("/metrics").text
    assert answer.status_code == 200
    _, line = (environment / "audit.log").read_text().splitlines()
    assert json.loads(line)["correlation_id"] == "7c1"
    assert 'audit_events_total{event="user.login"} 1.0' in page
    assert "audit_entries 2.0" in page


def test_it_configures_itself_without_instrument(environment: Path) -> None:
    made = Auditor(LocalStore())
    made.write(Given("user.login", "7f3c", "success", {}))
    made.settle(parse_settings({}))
    assert len((environment / "audit.log").read_text().splitlines()) == 2


def test_invalid_settings_are_logged_and_fail_no_request(environment: Path, caplog: pytest.LogCaptureFixture) -> None:
    (environment / "sidelight.yaml").write_text("audit: {pth: audit.log}")
    store = LocalStore()
    Auditor(store).write(Given("user.login", "7f3c", "success", {}))
    assert "sidelight writes no audit trail: sidelight.yaml: audit.pth: is not a key of Sidelight" in caplog.text


def test_a_forked_child_audits_on(trail: Trail) -> None:
    asyncio.run(trail.audit_async())
    child = os.fork()
    if not child:
        asyncio.run(trail.audit_async())
        os._exit(len(trail.entries))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert trail.is_whole


def test_the_public_names_write_to_the_trail_of_the_process() -> None:
    assert auditor.auditor_of(default_store()) is auditor.auditor_of(default_store())
    assert callable(instrumentation.audit)
    assert callable(instrumentation.audit_async)
