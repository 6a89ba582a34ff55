"""Users are counted once, wherever and however often they appear, and cannot be identified."""

from __future__ import annotations

import logging
import os
import sys
import threading
from array import array
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.registry import CollectorRegistry

from instrumentation import log_once, saw_user
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.exposition.formats import Exposition
from instrumentation.settings import Settings, parse_settings
from instrumentation.store import LocalStore
from instrumentation.store.process_store import ProcessStore
from instrumentation.users import active
from instrumentation.users.active import ActiveUsers, _counter, _keyed, users_of
from instrumentation.users.registers import Home, LocalRegisters, SharedRegisters
from tests.support.estimators import improved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY = {"SIDELIGHT_USERS_KEY": "a secret of the service"}
START = 1_700_000_040.0  # the first second of a window of 60 s
WORKERS = ("7-1", "7-2", "7-3")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def counter(data: object = (), environ: Mapping[str, str] = KEY, **arguments: Any) -> ActiveUsers:
    users = ActiveUsers(**{"clock": Clock(), **arguments})
    users.settle(parse_settings(dict(data)), environ)  # type: ignore[call-overload]
    return users


def ranks(users: ActiveUsers) -> dict[int, float]:
    """Register to rank, of what is on the page; those that are not set left out."""
    return {int(series.labels[0]): series.slots[0] for series in users.collect() if series.slots[0]}


def seen(ids: Iterable[Any], **arguments: Any) -> dict[int, float]:
    users = counter(**arguments)
    for user in ids:
        users.saw(user)
    return ranks(users)


def estimate(found: dict[int, float]) -> float:
    return improved([int(found.get(register, 0)) for register in range(1024)])


# --- Counting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("many", "within"), [(1, 0.05), (30, 0.05), (300, 0.05), (7000, 0.0975), (70_000, 0.0975)])
def test_registers_stand_for_the_number_of_users(many: int, within: float) -> None:
    assert estimate(seen(range(many))) == pytest.approx(many, rel=within)


def test_a_repeated_visit_changes_nothing() -> None:
    assert seen(["ada", "bob"] * 7) == seen(["bob", "ada"])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=60))
def test_it_does_not_matter_who_comes_where_or_in_which_order(visits: list[tuple[int, int]]) -> None:
    places = [seen([user for user, place in visits if place == number]) for number in range(3)]
    merged = {register: max(one.get(register, 0) for one in places) for one in places for register in one}
    assert merged == seen(sorted(user for user, _ in visits))


@pytest.mark.parametrize("form", [7, "7"])
def test_a_number_and_its_text_are_one_user(form: object) -> None:
    assert seen([form, 7]) == seen(["7"])


def test_a_uuid_and_its_text_are_one_user() -> None:
    assert seen([UUID(int=7)]) == seen(["00000000-0000-0000-0000-000000000007"])


def test_an_id_that_is_not_valid_unicode_is_counted() -> None:
    assert len(seen(["\ud800"])) == 1


def test_the_same_user_has_the_same_register_in_every_version_of_this_package() -> None:
    """Else users would be counted twice while a new version is rolled out."""
    assert seen(["ada", "bob", "eve"]) == GOLDEN


GOLDEN = {154: 4.0, 336: 1.0, 435: 2.0}


@pytest.mark.parametrize("size", [16, 256, 16384])
def test_there_are_as_many_registers_as_the_setting_says(size: int) -> None:
    found = seen(range(20 * size if size < 1000 else size), data={"users": {"registers": size}})
    assert max(found) < size
    assert len(found) > size / 2


# --- Windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [0, 7, 59.999])
def test_a_user_is_shown_until_the_next_window_ends(second: float) -> None:
    users = counter(clock=(clock := Clock()))
    clock.now = START + second
    users.saw("ada")
    for later, shown in ((second, 1), (60, 1), (119.999, 1), (120, 0), (180, 0), (100_000, 0)):
        clock.now = START + later
        assert len(ranks(users)) == shown, later


def test_the_larger_rank_of_two_windows_is_shown() -> None:
    by_register: dict[int, dict[float, int]] = {}
    for user in range(3000):
        ((register, rank),) = seen([user]).items()
        by_register.setdefault(register, {})[rank] = user
    register, of_rank = next((place, found) for place, found in by_register.items() if {1.0, 4.0} <= found.keys())
    for first, second in ((1.0, 4.0), (4.0, 1.0)):
        users = counter(clock=(clock := Clock()))
        users.saw(of_rank[first])
        clock.now += 60
        users.saw(of_rank[second])
        assert ranks(users) == {register: 4.0}


def test_a_clock_that_is_set_back_by_a_day_heals_with_the_next_visit() -> None:
    users = counter(clock=(clock := Clock()))
    clock.now += 86_400
    users.saw("ada")
    clock.now -= 86_400
    users.saw("ada")
    assert len(ranks(users)) == 1
    clock.now += 120
    assert ranks(users) == {}


def test_a_service_that_counts_users_shows_that_there_are_none() -> None:
    users = counter(clock=(clock := Clock()))
    users.saw("ada")
    clock.now += 600
    assert [(series.labels, series.slots) for series in users.collect()] == [(("0",), (0.0,))]


def test_a_service_that_counts_none_shows_nothing(tmp_path: Path) -> None:
    assert counter().collect() == []
    assert counter(home=partial(Home, tmp_path, "7-1")).collect() == []
    assert ActiveUsers().collect() == []


# --- Threads, workers, forks -------------------------------------------------------------------------------------------


def test_a_larger_rank_that_another_thread_writes_meanwhile_is_not_lost() -> None:
    """A thread that looked before the other wrote, and writes after it, must not write the smaller number."""

    class Interrupted(array):  # type: ignore[type-arg]
        interrupted = False

        def __getitem__(self, slot: Any) -> Any:
            found = super().__getitem__(slot)
            if not self.interrupted:
                self.interrupted = True
                self[slot] = START // 60 * 64 + 33.0
            return found

    registers = LocalRegisters(2048)
    registers.slots = Interrupted("d", registers.slots)
    _counter(registers, 1024, 60, _keyed("shop", b""), Clock())("ada")
    assert max(registers.slots) % 64 == 33.0


def test_threads_count_together() -> None:
    users = counter()
    barrier = threading.Barrier(4)

    def visit(first: int) -> None:
        barrier.wait()
        for user in range(first, first + 500):
            users.saw(user)

    threads = [threading.Thread(target=visit, args=(first,)) for first in (0, 250, 500, 750)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ranks(users) == seen(range(1250))


def workers(folder: Path, alive: Iterable[str] = WORKERS) -> list[ActiveUsers]:
    return [counter(home=partial(Home, folder, name, frozenset(alive).__contains__)) for name in WORKERS]


def test_any_worker_shows_the_users_of_all(tmp_path: Path) -> None:
    first, second, third = workers(tmp_path)
    for user in range(40):
        (first, second)[user % 2].saw(user)
    assert ranks(first) == ranks(second) == ranks(third) == seen(range(40))


def test_a_worker_that_has_ended_leaves_its_users_to_the_others_and_no_file(tmp_path: Path) -> None:
    everybody = workers(tmp_path)
    for number, users in enumerate(everybody):
        for user in range(20 * number, 20 * number + 20):
            users.saw(user)
    left, *_ = workers(tmp_path, alive=WORKERS[:1])
    assert ranks(left) == seen(range(60))
    assert [path.name for path in tmp_path.iterdir()] == ["7-1.users-1024-60"]
    assert ranks(left) == seen(range(60))


def test_users_of_a_worker_that_has_ended_are_forgotten_with_their_window(tmp_path: Path) -> None:
    _, ended, _ = workers(tmp_path)
    ended.saw("ada")
    clock = Clock()
    left = counter(home=partial(Home, tmp_path, "7-1", lambda _: False), clock=clock)
    assert len(ranks(left)) == 1
    clock.now += 120
    assert ranks(left) == {}


def test_registers_that_mean_something_else_are_not_mixed(tmp_path: Path) -> None:
    """As where a server is told to reload with other settings."""
    old = counter({"users": {"registers": 16}}, home=partial(Home, tmp_path, "7-1", lambda _: True))
    new = counter(home=partial(Home, tmp_path, "7-2", lambda _: True))
    for user in range(300):
        old.saw(user)
    new.saw("ada")
    assert ranks(new) == seen(["ada"])


def test_a_file_that_is_not_yet_whole_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "7-2.users-1024-60").write_bytes(b"\0" * 100)
    users, *_ = workers(tmp_path)
    users.saw("ada")
    assert ranks(users) == seen(["ada"])


def test_a_page_while_a_file_goes_away_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, _ = workers(tmp_path)
    second.saw("bob")
    first.saw("ada")
    found = list(tmp_path.glob("*.users-*"))
    (tmp_path / "7-2.users-1024-60").unlink()
    monkeypatch.setattr(Path, "glob", lambda *_: iter(found))
    assert ranks(first) == seen(["ada"])


def test_if_the_disk_is_full_this_worker_counts_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = counter(home=partial(Home, tmp_path / "gone", "7-1"))
    users.saw("ada")
    assert ranks(users) == seen(["ada"])
    assert "sidelight counts only the users of this worker, because of" in caplog.text


def test_a_forked_child_counts_in_a_file_of_its_own(tmp_path: Path) -> None:
    users = users_of(store := ProcessStore(lambda: tmp_path))
    users.settle(Settings(), KEY)
    users.saw("ada")
    pid = os.fork()
    if not pid:
        users.saw("bob")
        os._exit(0 if len(list(tmp_path.glob("*.users-*"))) == 2 else 7)
    assert os.waitpid(pid, 0)[1] == 0
    assert len([series for series in store.series() if series.metric.name == "active_user_register"]) == 3


# --- On the page -------------------------------------------------------------------------------------------------------


def page(users: ActiveUsers) -> str:
    store = ProcessStore(lambda: None)
    store.series_limit = 100
    store.attach(users)
    return Exposition(store, CollectorRegistry()).page().body.decode()


def test_registers_are_on_the_page_and_count_for_no_series_limit() -> None:
    users = counter()
    for user in range(5000):
        users.saw(user)
    text = page(users)
    assert text.count("\nactive_user_register{") == len(ranks(users)) > 1000
    held = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("sidelight_series "))
    assert held < 20
    assert "sidelight_series_folded_total 0.0" in text


def test_the_process_reports_users_without_configuration() -> None:
    store = ProcessStore(lambda: None)
    users = users_of(store)
    users.settle(Settings(), KEY)
    users.saw("ada")
    users_of(store).saw("ada")
    shown = [series for series in store.series() if series.metric.name == "active_user_register" and series.slots[0]]
    assert len(shown) == 1


def test_a_second_app_of_a_process_changes_nothing_that_was_counted() -> None:
    users = counter()
    users.saw("ada")
    users.settle(Settings(), KEY)
    users.saw("bob")
    assert ranks(users) == seen(["ada", "bob"])


def test_another_number_of_registers_starts_from_zero() -> None:
    users = counter()
    users.saw("ada")
    users.settle(parse_settings({"users": {"registers": 16}}), KEY)
    assert users.collect() == []


def test_a_store_of_tests_counts_users_too() -> None:
    users = users_of(LocalStore())
    users.settle(Settings(), KEY)
    users.saw("ada")
    assert len(ranks(users)) == 1


# --- Nobody can tell who they are --------------------------------------------------------------------------------------


def test_no_id_and_no_hash_is_on_the_page_in_a_file_or_in_memory(tmp_path: Path) -> None:
    name = "ada.lovelace" + "@example.org"
    users, *_ = workers(tmp_path)
    held = sys.getrefcount(name)
    users.saw(name)
    assert sys.getrefcount(name) == held
    assert "ada" not in page(users)
    numbers = array("d", next(tmp_path.iterdir()).read_bytes())
    assert sorted(set(numbers)) == [0.0, START // 60 * 64 + next(iter(ranks(users).values()))]


def test_another_secret_or_another_service_gives_other_registers() -> None:
    ids = range(50)
    mine = seen(ids)
    assert seen(ids) == mine
    for other in (
        seen(ids, environ={"SIDELIGHT_USERS_KEY": "a secret of another one"}),
        seen(ids, environ={}),
        seen(ids, data={"service": {"name": "billing"}}),
    ):
        assert len(mine.items() & other.items()) < 10


def test_version_and_environment_of_a_service_do_not_matter() -> None:
    service = {"service": {"version": "7.3.0", "environment": "production"}}
    assert seen(["ada"], data=service) == seen(["ada"])


def test_a_guessable_key_is_logged_once_if_users_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    for environ, environment in ((KEY, "production"), ({}, "development"), ({}, "production")):
        assert caplog.records == []
        users = counter({"service": {"environment": environment}}, environ)
        assert caplog.records == []  # no warning for a service that counts no users
        users.saw("ada")
        users.reset()
        users.saw("bob")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "set SIDELIGHT_USERS_KEY to the same secret in every pod" in record.getMessage()


@pytest.mark.parametrize("name", ["variable", "file in a variable", "file in the settings"])
def test_the_secret_comes_from_the_environment_or_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY['SIDELIGHT_USERS_KEY']}\n")
    environ = {"variable": KEY, "file in a variable": {"SIDELIGHT_USERS_KEY_FILE": str(file)}}.get(name, {})
    data = {"users": {"key_file": str(file)}} if not environ else {}
    assert seen(["ada"], data=data, environ=environ) == seen(["ada"])


@pytest.mark.parametrize(
    ("environ", "data", "sentence"),
    [
        (
            {"SIDELIGHT_USERS_KEY": " short "},
            {},
            (
                "SIDELIGHT_USERS_KEY: got a key of 5 bytes; give at least 16 random bytes, such as from `openssl rand -hex 32`."
            ),
        ),
        (
            {"SIDELIGHT_USERS_KEY_FILE": "/nowhere"},
            {},
            "SIDELIGHT_USERS_KEY_FILE: /nowhere cannot be read (No such file or directory); give a file that contains the key.",
        ),
        (
            {},
            {"users": {"key_file": "/nowhere"}},
            "settings: users.key_file: /nowhere cannot be read (No such file or directory); give a file that contains the key.",
        ),
    ],
)
def test_a_key_that_cannot_be_used_stops_the_start(environ: dict[str, str], data: object, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        counter(data, environ)
    assert str(caught.value) == sentence


# --- What it must not do -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "given"),
    [(None, "NoneType"), ("", "an empty string"), (True, "bool"), ({"id": 7}, "dict"), (7.0, "float")],
)
def test_an_invalid_id_is_refused_without_repeating_it(wrong: Any, given: str) -> None:
    with pytest.raises(InstrumentationError) as caught:
        counter().saw(wrong)
    assert caught.value.code == "user_id_invalid"
    assert str(caught.value) == (
        f"saw_user() got {given}; give the user's id as a string, an integer or a UUID, and do not call it for visitors without an id."
    )


def test_an_invalid_id_is_logged_once_and_fails_no_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active, "_default_users", counter)
    monkeypatch.setattr(log_once, "_about_calls", log_once.LogOnce())
    for wrong in (None, "", {"id": "ada"}):
        saw_user(wrong)  # type: ignore[arg-type]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{__file__}:")
    assert ": saw_user() got NoneType; give the user's id as a string, an integer or a UUID" in said
    assert "ada" not in said


def test_settings_that_cannot_be_read_fail_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIDELIGHT_CONFIG", str(tmp_path / "gone.yaml"))
    users = ActiveUsers()
    users.saw("ada")
    users.saw("bob")
    assert users.collect() == []
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["sidelight does not count users"]
    assert "ada" not in caplog.text


def test_saw_user_counts_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    users = counter()
    monkeypatch.setattr("instrumentation.users.active._default_users", lambda: users)
    saw_user("ada")
    assert ranks(users) == seen(["ada"])


def test_the_blocks_of_a_file_are_there_before_they_are_written(tmp_path: Path) -> None:
    """A write into a hole of a full disk would kill the process."""
    SharedRegisters(Home(tmp_path, "7-1"), ".users-16-60", 32)
    status = (tmp_path / "7-1.users-16-60").stat()
    assert status.st_blocks * 512 >= status.st_size == 256
    assert status.st_mode & 0o777 == 0o600
