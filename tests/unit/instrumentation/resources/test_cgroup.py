"""The container's usage and limits are right on every kind of cgroup.

The trees are real readings of Linux 6.1 (user-mode-linux), of a process that held 20 MB and was busy for two seconds in
the cgroups that docker, Kubernetes, systemd and a supervisor inside a container make.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from instrumentation.resources.cgroup import Container, usable_cores

TREES = Path(__file__).parent / "cgroups"
MIB = 2**20
CPU, THROTTLED, CORES = (
    "container_cpu_usage_seconds_total",
    "container_cpu_throttled_seconds_total",
    "container_cpu_limit_cores",
)
MEMORY, MEMORY_LIMIT = "container_memory_working_set_bytes", "container_memory_limit_bytes"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def plant(root: Path, tree: str) -> None:
    """Write the files of a recorded tree."""
    for path, text in re.findall(r"==> (\S+) <==\n(.*?)(?=\n==>|\Z)", (TREES / f"{tree}.txt").read_text(), re.DOTALL):
        write(root, path, text)


def write(root: Path, path: str, text: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def read(root: Path) -> dict[str, float]:
    return {row.metric.name: row.slots[0] for row in Container(root, lambda: 4).collect()}


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ("v2-docker", {CPU: 2.05, THROTTLED: 1.94, CORES: 0.5, MEMORY: 30257152 - 344064, MEMORY_LIMIT: 256 * MIB}),
        ("v2-kubernetes", {CPU: 1.65, THROTTLED: 6.45, CORES: 0.2, MEMORY: 30466048 - 344064, MEMORY_LIMIT: 128 * MIB}),
        # The slice has the CPU limit and the service the memory limit.
        ("v2-systemd", {CPU: 5.23, THROTTLED: 0.0, CORES: 1.5, MEMORY: 30564352 - 344064, MEMORY_LIMIT: 512 * MIB}),
        # The limit is the container's, not the inner cgroup's; no CPU limit, no series.
        ("v2-supervisor", {CPU: 4.48, THROTTLED: 0.0, MEMORY: 30461952 - 344064, MEMORY_LIMIT: 160 * MIB}),
        ("v1-docker", {CPU: 2.18, THROTTLED: 2.07, CORES: 0.5, MEMORY: 30416896 - 344064, MEMORY_LIMIT: 256 * MIB}),
        # Both limits are the pod's.
        ("v1-kubernetes", {CPU: 1.5, THROTTLED: 3.33, CORES: 0.3, MEMORY: 30769152 - 344064, MEMORY_LIMIT: 192 * MIB}),
        ("v2-host", {}),
        ("v1-host", {}),
    ],
)
def test_usage_and_limits_are_those_of_the_tree(root: Path, tree: str, found: dict[str, float]) -> None:
    plant(root, tree)
    assert read(root) == {"cpu_available_cores": found.get(CORES, 4), **found}


def test_without_cgroups_the_cores_are_those_of_the_machine(root: Path) -> None:
    assert read(root) == {"cpu_available_cores": 4}


def test_a_limit_above_the_cores_of_the_machine_gives_no_more_cores(root: Path) -> None:
    plant(root, "v2-docker")
    write(root, "/sys/fs/cgroup/cpu.max", "700000 100000\n")
    assert (read(root)["cpu_available_cores"], read(root)[CORES]) == (4, 7)


def test_of_equal_limits_the_outermost_counts_since_it_holds_more(root: Path) -> None:
    plant(root, "v2-supervisor")
    write(root, "/sys/fs/cgroup/workers/memory.max", f"{160 * MIB}\n")
    write(root, "/sys/fs/cgroup/workers/memory.current", "7000000\n")
    assert read(root)[MEMORY] == 30461952 - 344064


@pytest.mark.parametrize(
    ("path", "text", "gone"),
    [
        ("/sys/fs/cgroup/cpu.max", "max 100000\n", CORES),
        ("/sys/fs/cgroup/memory.max", "max\n", MEMORY_LIMIT),
        ("/sys/fs/cgroup/cpu.max", "", CORES),
        ("/sys/fs/cgroup/memory.current", "", MEMORY),
        ("/sys/fs/cgroup/cpu.stat", "usage_usec 7\n", THROTTLED),
    ],
)
def test_without_a_limit_or_if_unreadable_there_is_no_series_and_the_rest_stays(
    root: Path, path: str, text: str, gone: str
) -> None:
    plant(root, "v2-docker")
    before = read(root)
    write(root, path, text)
    assert before.keys() - read(root).keys() == {gone}


def test_version_1_says_that_there_is_no_limit_with_a_number(root: Path) -> None:
    plant(root, "v1-docker")
    write(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    assert read(root).keys() == {"cpu_available_cores", CPU, THROTTLED, MEMORY}


def test_a_controller_that_is_off_has_no_series(root: Path) -> None:
    plant(root, "v2-docker")
    for file in (root / "sys/fs/cgroup").glob("memory.*"):
        file.unlink()
    assert read(root).keys() == {"cpu_available_cores", CPU, THROTTLED, CORES}


def test_the_working_set_is_never_below_0(root: Path) -> None:
    plant(root, "v2-docker")  # both files are read one after the other
    write(root, "/sys/fs/cgroup/memory.stat", "anon 7\ninactive_file 999999999\n")
    assert read(root)[MEMORY] == 0


def test_the_two_versions_side_by_side_are_each_read_for_what_they_have(root: Path) -> None:
    plant(root, "v1-docker")
    write(root, "/proc/self/cgroup", "3:cpu,cpuacct:/docker/7\n0::/docker/7\n")
    write(
        root,
        "/proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "33 31 0:21 /docker/7 /sys/fs/cgroup/cpu,cpuacct rw shared:7 - cgroup cgroup rw,cpu,cpuacct\n"
        "36 31 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    )
    for file, text in (("events", "populated 1\n"), ("memory.current", "7000\n"), ("memory.max", "9000\n")):
        name = file if "." in file else f"cgroup.{file}"
        write(root, f"/sys/fs/cgroup/unified/docker/7/{name}", text)
    found = read(root)
    assert (found[CPU], found[CORES]) == (2.18, 0.5)
    assert (found[MEMORY], found[MEMORY_LIMIT]) == (7000, 9000)


def test_cpu_and_its_accounting_may_be_mounted_apart(root: Path) -> None:
    plant(root, "v1-docker")
    write(root, "/proc/self/cgroup", "4:cpuacct:/7\n3:cpu:/7\n")
    write(
        root,
        "/proc/self/mountinfo",
        "33 31 0:21 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "34 31 0:22 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n",
    )
    write(root, "/sys/fs/cgroup/cpu/7/cpu.cfs_quota_us", "150000\n")
    write(root, "/sys/fs/cgroup/cpu/7/cpu.cfs_period_us", "100000\n")
    write(root, "/sys/fs/cgroup/cpuacct/7/cpuacct.usage", "3250000000\n")
    assert read(root) == {"cpu_available_cores": 1.5, CPU: 3.25, CORES: 1.5}


@pytest.mark.parametrize(
    ("tree", "path", "seconds"), [("v2-docker", "/../workers", 2.05), ("v2-kubernetes", "/another/container", 1.65)]
)
def test_if_namespaces_hide_the_path_the_mounted_cgroup_is_read(
    root: Path, tree: str, path: str, seconds: float
) -> None:
    plant(root, tree)
    write(root, "/proc/self/cgroup", f"0::{path}\n")
    write(root, "/sys/fs/cgroup/cpu.max", "max 100000\n")  # else its limit would lead there
    write(root, "/sys/fs/cgroup/../workers/cgroup.events", "populated 1\n")
    assert read(root)[CPU] == seconds


def test_the_container_of_this_process_can_be_read_if_there_is_one() -> None:
    found = {row.metric.name: row.slots[0] for row in Container().collect()}
    assert 0 < found["cpu_available_cores"] <= usable_cores()
    assert found.get(MEMORY, MIB) > 7000
