"""The container's CPU and memory and their limits, read from its cgroup: version 2, version 1, or both side by side.

cgroups(7); docs.kernel.org/admin-guide/cgroup-v2.html; docs.kernel.org/admin-guide/cgroup-v1
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from instrumentation import catalog
from instrumentation.store.scrape_callbacks import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.store import Series

_UNIFIED = ""  # the name of version 2's only hierarchy in /proc/self/cgroup
_NO_LIMIT = 2**60  # bytes; version 1 reports 2**63 minus a page if there is no limit


def usable_cores() -> int:
    """The number of CPUs that this process may run on."""
    with suppress(AttributeError):  # on systems other than Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Container:
    """Usage and limits of the container of this process; outside a container, only the available cores.

    Limits are nested. The smallest limit on the way up applies, and the usage is that of the cgroup with this limit.
    Without a limit, it is the usage of the process's own cgroup.

    Args:
        root: The folder that contains ``proc`` and ``sys``.
        cores: Returns the number of CPUs that this process may run on.
    """

    root: Path = Path("/")
    cores: Callable[[], int] = usable_cores

    def collect(self) -> Iterator[Series]:
        """CPU seconds, throttling, working set and limits, as far as they are known."""
        cgroups = _Cgroups(self.root)
        cpu, cores = _tightest(cgroups.levels("cpu"), _cores)
        memory, largest = _tightest(cgroups.levels("memory"), _memory_limit)
        usage = None if cpu is None else cgroups.levels("cpuacct").get(cpu.name) if cpu.is_v1 else cpu
        for metric, value in (
            (catalog.CPU_AVAILABLE, min(self.cores(), cores or self.cores())),
            (catalog.CONTAINER_CPU_USAGE, usage and _cpu_seconds(usage)),
            (catalog.CONTAINER_CPU_THROTTLED, cpu and _throttled_seconds(cpu)),
            (catalog.CONTAINER_CPU_LIMIT, cores),
            (catalog.CONTAINER_MEMORY_WORKING_SET, memory and _working_set(memory)),
            (catalog.CONTAINER_MEMORY_LIMIT, largest),
        ):
            if value is not None:
                yield reading(metric, value)


class _Level(NamedTuple):
    """A cgroup.

    Attributes:
        name: Its path below the outermost visible cgroup.
        folder: The folder with its files.
        is_v1: Whether it is version 1.
    """

    name: str
    folder: Path
    is_v1: bool

    def text(self, file: str) -> str:
        """The content of a file; empty if it cannot be read."""
        try:
            return (self.folder / file).read_text()
        except OSError:
            return ""

    def number(self, file: str) -> int | None:
        """The number in a file; None for ``max`` and -1, which mean that there is no limit."""
        text = self.text(file).strip()
        return int(text) if text.isdigit() else None

    def keyed(self, file: str, key: str) -> int | None:
        """The number after a key, in a file with ``key number`` lines."""
        pairs = (line.partition(" ") for line in self.text(file).splitlines())
        return next((int(number) for name, _, number in pairs if name == key), None)


class _Cgroups:
    """Locates the cgroups of this process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths = dict(_paths(_read(root / "proc/self/cgroup")))
        self._mounts = dict(_mounts(_read(root / "proc/self/mountinfo")))

    def levels(self, controller: str) -> dict[str, _Level]:
        """The cgroups of a controller by name, the process's own first, without the machine's root."""
        name = controller if controller in self._paths else _UNIFIED
        if name not in self._paths or name not in self._mounts:
            return {}
        mounted, point = self._mounts[name]
        below = _below(self._paths[name], mounted)
        folder = self._root / point.lstrip("/")
        levels = (_Level(str(part), folder / part, name != _UNIFIED) for part in (below, *below.parents))
        return {level.name: level for level in levels if level.folder.is_dir() and not _is_machine(level)}


def _read(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # not on Linux
        return []


def _paths(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Controller and path, from lines such as ``4:cpu,cpuacct:/docker/7f3`` and ``0::/shop.service``."""
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts(lines: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Controller, and the mounted part of its hierarchy with its mount point; later mounts hide earlier ones. proc(5)."""
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        mounted, point = before.split(" ")[3:5]
        if kind == "cgroup2":
            yield _UNIFIED, (mounted, point)
        elif kind == "cgroup":
            for option in options.split(","):
                yield option, (mounted, point)


def _below(path: str, mounted: str) -> PurePosixPath:
    """A cgroup's folder below a mount; the mount itself if namespaces hide the path."""
    own = PurePosixPath(path)
    is_hidden = ".." in own.parts or not own.is_relative_to(mounted)
    return PurePosixPath() if is_hidden else own.relative_to(mounted)


def _is_machine(level: _Level) -> bool:
    """Whether this is the root of all cgroups, judged by its files: a container's root has the same path."""
    if level.is_v1:
        return (level.folder / "cgroup.sane_behavior").exists()
    return not (level.folder / "cgroup.events").exists()


def _tightest(
    levels: dict[str, _Level], limit_of: Callable[[_Level], float | None]
) -> tuple[_Level | None, float | None]:
    """The cgroup with the smallest limit (the outermost of equal ones), and the limit; its own without a limit."""
    own = next(iter(levels.values()), None)
    limits = [(limit, -index, level) for index, level in enumerate(levels.values()) if (limit := limit_of(level))]
    if not limits:
        return own, None
    limit, _, level = min(limits)
    return level, limit


def _cores(level: _Level) -> float | None:
    if level.is_v1:
        quota, period = level.number("cpu.cfs_quota_us"), level.number("cpu.cfs_period_us")
    else:
        quota, period = (int(word) if word.isdigit() else None for word in level.text("cpu.max").split() or ("", ""))
    return quota / period if quota and period else None


def _cpu_seconds(level: _Level) -> float | None:
    if level.is_v1:
        return _scaled(level.number("cpuacct.usage"), 1e9)
    return _scaled(level.keyed("cpu.stat", "usage_usec"), 1e6)


def _throttled_seconds(level: _Level) -> float | None:
    if level.is_v1:
        return _scaled(level.keyed("cpu.stat", "throttled_time"), 1e9)
    return _scaled(level.keyed("cpu.stat", "throttled_usec"), 1e6)


def _scaled(number: int | None, per_second: float) -> float | None:
    return None if number is None else number / per_second


def _memory_limit(level: _Level) -> float | None:
    limit = level.number("memory.limit_in_bytes" if level.is_v1 else "memory.max")
    return None if limit is None or limit >= _NO_LIMIT else limit


def _working_set(level: _Level) -> float | None:
    """The working set as the kubelet computes it: without inactive file pages, which the kernel drops first."""
    used = level.number("memory.usage_in_bytes" if level.is_v1 else "memory.current")
    inactive = level.keyed("memory.stat", "total_inactive_file" if level.is_v1 else "inactive_file")
    return None if used is None else max(used - (inactive or 0), 0)
