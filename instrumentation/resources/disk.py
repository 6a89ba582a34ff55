"""Disks: how much is used of how much, for each path that the settings name."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.store.scrape_callbacks import Reading, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.store import Series


def disk(path: str, statvfs: Callable[[str], os.statvfs_result] = os.statvfs) -> Reading:
    """The file system of a path; a reading, since a network file system whose server is gone hangs.

    Args:
        path: Such as ``/``.
        statvfs: Asks the system.
    """

    def series(found: os.statvfs_result) -> list[Series]:
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        size = used + found.f_bavail * found.f_frsize  # as df reckons: what is kept for root is no room for us
        if not size:
            raise ValueError("its file system has no size; leave it out of resources.disk_paths")
        return [reading(catalog.DISK_USED, used, (path,)), reading(catalog.DISK_SIZE, size, (path,))]

    return Reading(
        what=f"disk of {path!r}",
        read=partial(statvfs, path),
        series=series,
        failures=(catalog.DISK_READ_FAILURES, (path,)),
    )
