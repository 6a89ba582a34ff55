"""The source of official release archives, checked against pinned SHA-256 sums."""

from __future__ import annotations

import hashlib
import platform
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from sidelight.toolchain.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.toolchain.model import Release, Shell

MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Seconds. A machine that cannot reach the site continues with the next source after `connect`.
TIMEOUTS = httpx.Timeout(connect=3.0, read=10.0, write=10.0, pool=3.0)
MAXIMUM = 300.0  # seconds for a download as a whole
CHUNK = 1 << 16


def this_platform() -> str:
    """The platform as Go's release archives name it, such as ``linux-amd64``."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A release archive that the project publishes, ``<project>-<version>.<platform>.tar.gz``.

    Attributes:
        project: The project's name.
        version: The release's version.
        sums: Platform to the archive's SHA-256. The release's own ``sha256sums.txt`` must say the same.
        site: The URL of the folder with all releases of the project.
    """

    project: str
    version: str
    sums: Mapping[str, str]
    site: str

    def __str__(self) -> str:
        return f"the release archive {self.version}"

    def fetch(self, release: Release, folder: Path, shell: Shell) -> None:
        """Download, compare the sum, unpack the programs.

        Raises:
            ToolError: There is no sum for this platform, the site does not answer in time, the sums differ, or a program
                is not in the archive.
        """
        here = this_platform()
        if here not in self.sums:
            message = (
                f"no checksum of {self.project} {self.version} for {here} is pinned, only for {', '.join(self.sums)}."
            )
            raise ToolError(message, code="tool_platform_unknown", details={"platform": here})
        name = f"{self.project}-{self.version}.{here}.tar.gz"
        base = f"{self.site}/v{self.version}"
        archive = folder / name
        with httpx.Client(timeout=TIMEOUTS, follow_redirects=True) as client, _named(base):
            self._compare(_published(client, f"{base}/sha256sums.txt", name), self.sums[here], f"{base}/sha256sums.txt")
            self._compare(_download(client, f"{base}/{name}", archive, shell), self.sums[here], f"{base}/{name}")
        _unpack(archive, release, folder / "bin")
        archive.unlink()

    def _compare(self, got: str, pinned: str, url: str) -> None:
        if got != pinned:
            message = f"{url}: the SHA-256 is {got}, not the pinned {pinned}; the file is not used."
            raise ToolError(message, code="tool_wrong_checksum", details={"url": url, "got": got, "pinned": pinned})


@contextmanager
def _named(base: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        message = f"{error.request.url}: the answer was {error.response.status_code}."
        raise ToolError(message, code="tool_download_refused", details={"url": str(error.request.url)}) from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ToolError(f"{base}: {reason}.", code="tool_download_failed", details={"url": base}) from error


def _published(client: httpx.Client, url: str, name: str) -> str:
    """The sum of a file in a release's ``sha256sums.txt``; empty if it has none."""
    lines = (line.split() for line in client.get(url).raise_for_status().text.splitlines())
    return next((words[0] for words in lines if words[1:] == [name]), "")


def _download(client: httpx.Client, url: str, to: Path, shell: Shell) -> str:
    """Download a file and return its SHA-256.

    Raises:
        ToolError: It took longer than `MAXIMUM` seconds.
    """
    digest = hashlib.sha256()
    began = shell.now()
    with client.stream("GET", url) as response, to.open("wb") as file:
        response.raise_for_status()
        total = int(response.headers.get("content-length", 0)) or None
        with shell.step(f"downloading {to.name}", total=total) as advance:
            for chunk in response.iter_bytes():
                if shell.now() - began > MAXIMUM:
                    message = f"{url}: stopped after {MAXIMUM:.0f} s with {file.tell() / 1e6:.0f} MB."
                    raise ToolError(message, code="tool_download_slow", details={"url": url})
                digest.update(chunk)
                file.write(chunk)
                advance(len(chunk))
    return digest.hexdigest()


def _unpack(archive: Path, release: Release, to: Path) -> None:
    """Write the release's programs, and nothing else, from an archive into a folder."""
    to.mkdir()
    with tarfile.open(archive) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}
        for program in release.programs:
            file = program.files[0]
            if file not in members:
                message = f"{archive.name}: contains no {file}; correct the row of {release.name} in sidelight/toolchain/releases.py."
                raise ToolError(message, code="tool_missing", details={"archive": archive.name})
            source = tar.extractfile(members[file])
            assert source is not None  # noqa: S101  # it is a file
            with (to / file).open("wb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
            (to / file).chmod(0o755)
