"""Workers find only the other workers of their own server."""

from __future__ import annotations

import multiprocessing
import os
import resource
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from instrumentation.store import worker_group
from instrumentation.store.worker_group import family_folder, identity, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]


def proc(folder: Path, *, namespace: str = "4026531836", **processes: tuple[str, int, str]) -> Path:
    """A /proc with processes of a state, a start and a command."""
    for name, (state, started, command) in processes.items():
        own = folder / name.removeprefix("p")
        own.mkdir(parents=True)
        fields = [state, *["0"] * 18, str(started)]
        (own / "stat").write_text(f"7 (a name) with) brackets) {' '.join(fields)}")
        (own / "cmdline").write_bytes(b"\0".join(word.encode() for word in command.split()))
    (folder / "self/ns").mkdir(parents=True)
    (folder / "self/ns/pid").symlink_to(f"pid:[{namespace}]")
    return folder


def test_a_process_alone_has_no_family() -> None:
    program = "from instrumentation.store.worker_group import family_folder; print(family_folder())"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stdout == "None\n"


def _folder_of_child(answers: multiprocessing.SimpleQueue[tuple[Path | None, str]]) -> None:
    answers.put((family_folder(), identity(os.getpid())))


def test_children_of_multiprocessing_share_a_folder_named_after_their_parent() -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.SimpleQueue[tuple[Path | None, str]] = context.SimpleQueue()
    children = [context.Process(target=_folder_of_child, args=(answers,)) for _ in range(2)]
    for child in children:
        child.start()
    found = [answers.get() for _ in children]
    for child in children:
        child.join(timeout=30)
    folders = {folder for folder, _ in found}
    assert len(folders) == 1
    assert str(folders.pop()).endswith(identity(os.getpid()))
    assert len({name for _, name in found}) == 2


@pytest.mark.parametrize(
    "command",
    ["/venv/bin/python /venv/bin/gunicorn app:app", "python3 -m gunicorn app:app", "gunicorn: master [app:app]"],
)
def test_a_worker_of_gunicorn_knows_its_arbiter(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn.arbiter", sys)
    monkeypatch.setattr(worker_group.os, "getppid", lambda: 70)
    monkeypatch.setattr(worker_group, "_root", lambda: tmp_path)
    folder = family_folder({}, proc(tmp_path / "proc", p70=("S", 700, command)))
    assert folder == tmp_path / "4026531836-70-700"


def test_an_arbiter_that_loads_the_app_itself_is_not_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn.arbiter", sys)
    monkeypatch.setattr(worker_group.os, "getppid", lambda: 70)
    assert family_folder({}, proc(tmp_path / "proc", p70=("S", 700, "bash start.sh gunicorn"))) is None


@pytest.fixture
def of_uwsgi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int, int], str | None]:
    """The name of the folder of a process of uWSGI, by its worker id, its master and the number of workers."""
    monkeypatch.setattr(worker_group, "_root", lambda: tmp_path)
    processes = proc(tmp_path / "proc", p70=("S", 700, "uwsgi"))

    def folder(worker: int, master: int, workers: int) -> str | None:
        uwsgi = SimpleNamespace(worker_id=lambda: worker, masterpid=lambda: master, numproc=workers)
        monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)  # type: ignore[arg-type]
        found = family_folder({}, processes)
        return None if found is None else found.name

    return folder


def test_a_worker_of_uwsgi_knows_its_master(of_uwsgi: Callable[[int, int, int], str | None]) -> None:
    assert of_uwsgi(2, 70, 3) == "4026531836-70-700"


def test_a_uwsgi_without_a_master_has_no_family(of_uwsgi: Callable[[int, int, int], str | None]) -> None:
    assert of_uwsgi(1, 0, 1) is None


def test_an_app_that_is_loaded_in_the_master_of_several_workers_is_warned_about(
    of_uwsgi: Callable[[int, int, int], str | None], caplog: pytest.LogCaptureFixture
) -> None:
    assert (of_uwsgi(0, 70, 1), caplog.messages) == (None, [])
    assert of_uwsgi(0, 70, 3) is None
    assert caplog.messages == [
        "each uWSGI worker counts only its own requests; set lazy-apps = true to count all of them together"
    ]


def test_a_folder_that_is_named_is_taken(tmp_path: Path) -> None:
    assert family_folder({"SIDELIGHT_STORE_DIR": str(tmp_path)}) == tmp_path


def test_a_pid_that_was_given_to_another_process_is_not_alive(tmp_path: Path) -> None:
    machine = proc(tmp_path, p70=("S", 700, "a"), p71=("Z", 710, "b"))
    assert is_alive("70-700", machine)
    assert not is_alive("70-699", machine)
    assert not is_alive("71-710", machine)
    assert not is_alive("72-720", machine)
    assert not is_alive("not a worker", machine)


def test_in_doubt_a_worker_is_alive(tmp_path: Path) -> None:
    """With too many files open nothing can be read, and a worker that is folded although it runs counts twice."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    mine = identity(os.getpid())
    taken = [(tmp_path / "taken").open("w")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0].fileno() + 1, limit[1]))
    try:
        with suppress(OSError):
            while True:
                taken.append((tmp_path / "taken").open())
        answer = is_alive(mine)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        for stream in taken:
            stream.close()
    assert answer


def test_another_users_server_has_a_name_where_processes_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(_: int, __: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(worker_group, "_start", hidden)
    assert identity(70, tmp_path) == "70-"


def test_a_server_whose_start_is_hidden_does_not_sweep_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_group.multiprocessing, "parent_process", lambda: type("Parent", (), {"pid": 72}))
    monkeypatch.setattr(worker_group, "_root", lambda: tmp_path / "root")
    (tmp_path / "root/4026531836-72-").mkdir(parents=True)
    folder = family_folder({}, proc(tmp_path / "proc"))
    assert folder == tmp_path / "root/4026531836-72-"
    assert folder.exists()


def test_this_process_is_alive() -> None:
    assert is_alive(identity(os.getpid()))


def test_leftovers_of_stopped_servers_are_removed_and_other_containers_folders_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_group.multiprocessing, "parent_process", lambda: type("Parent", (), {"pid": 70}))
    monkeypatch.setattr(worker_group, "_root", lambda: tmp_path / "root")
    for name in ("4026531836-70-700", "4026531836-71-710", "4026539999-71-710"):
        (tmp_path / "root" / name).mkdir(parents=True)
    family_folder({}, proc(tmp_path / "proc", p70=("S", 700, "uvicorn")))
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["4026531836-70-700", "4026539999-71-710"]


def test_the_root_is_this_users_alone() -> None:
    status = worker_group._root().lstat()
    assert status.st_uid == os.getuid()
    assert stat.S_IMODE(status.st_mode) == 0o700


def test_a_root_that_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / f"sidelight-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    monkeypatch.setattr(worker_group, "_root_name", lambda: planted.name)
    monkeypatch.setattr(worker_group.os, "access", lambda *_: False)  # nor is anything else writable
    monkeypatch.setattr(worker_group.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.raises(PermissionError):
        worker_group._root()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "sidelight"
    made.mkdir(mode=0o700)
    monkeypatch.setattr(worker_group, "_root", lambda: made)
    return made


def test_children_of_a_process_without_a_group_have_a_folder_that_says_whether_it_is_read(root: Path) -> None:
    folder = worker_group.open_to_children(None, is_read=False, environ={})
    assert folder is not None
    assert folder == worker_group.folder_of_children()
    assert folder.parent == root
    assert not worker_group.is_read(folder)
    assert worker_group.open_to_children(None, is_read=True, environ={}) == folder
    assert worker_group.is_read(folder)


def test_children_of_a_worker_count_in_the_folder_of_its_group(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = root / "0-7-7"
    group.mkdir()
    assert worker_group.open_to_children(group, is_read=False, environ={}) == group
    monkeypatch.setattr(worker_group.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getpid()))
    assert family_folder({}) == group
    worker_group.close_to_children(group, identity(os.getpid()))
    assert family_folder({}) == worker_group.folder_of_children()


def test_what_ended_processes_left_is_removed_also_by_processes_without_a_group(root: Path, tmp_path: Path) -> None:
    namespace = worker_group._namespace(Path("/proc"))
    for folder in (None, tmp_path / "textfile"):
        (root / f"{namespace}-1-0").symlink_to(tmp_path)
        (root / f"{namespace}-1-1").mkdir()
        worker_group.open_to_children(folder, is_read=True, environ={})
        assert [path.name for path in root.iterdir()] == [worker_group.folder_of_children().name]
        worker_group.close_to_children(root / "any", identity(os.getpid()))


def test_a_chosen_folder_needs_no_other_one(root: Path, tmp_path: Path) -> None:
    environ = {"SIDELIGHT_STORE_DIR": str(tmp_path)}
    assert worker_group.open_to_children(tmp_path, is_read=True, environ=environ) == tmp_path
    assert [*root.iterdir()] == []


def test_links_of_dead_processes_are_removed_and_what_they_lead_to_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = worker_group._namespace(Path("/proc"))
    group = root / f"{namespace}-{identity(os.getpid())}"
    group.mkdir()
    (root / f"{namespace}-1-0").symlink_to(group)
    (root / "4-1-0").symlink_to(root / "gone")  # of another container
    monkeypatch.setattr(worker_group.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getpid()))
    assert family_folder({}) == group
    assert [*root.iterdir()] == [group]
