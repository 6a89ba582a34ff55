"""Disks: usage and size of the file system of each path in the settings."""

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
    """A reading of the file system of a path; not a plain callback, because a network file system may hang.

    Args:
        path: A path, such as ``/``.
        statvfs: Queries the system.
    """

    def series(found: os.statvfs_result) -> list[Series]:
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        size = used + found.f_bavail * found.f_frsize  # like df: space reserved for root is not available to us
        if not size:
            raise ValueError("its file system has no size; remove it from resources.disk_paths")
        return [reading(catalog.DISK_USED, used, (path,)), reading(catalog.DISK_SIZE, size, (path,))]

    return Reading(
        what=f"disk of {path!r}",
        read=partial(statvfs, path),
        series=series,
        failures=(catalog.DISK_READ_FAILURES, (path,)),
    )
