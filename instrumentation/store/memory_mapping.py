"""Maps another file at the same address, so that holders of a view of the memory keep writing, now to the new file."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAP_FIXED = 0x10  # on Linux, macOS and the BSDs; Python's mmap does not define it


def move(memory: mmap.mmap, old: int, new: int) -> None:
    """Map another file at the address of a mapping, with the same content, while other threads write to it.

    A removed file cannot get a name again (linkat(2) refuses it), and a thread in the middle of a request holds the memory.
    So the address stays the same, and the pages behind it become those of the new file.

    Args:
        memory: The mapping, of float64.
        old: The file that is mapped.
        new: The file to map, of the same length.

    Raises:
        OSError: The system refuses it; nothing has changed.
    """
    size = len(memory)
    with mmap.mmap(old, size) as before, mmap.mmap(new, size) as after:
        copy = before[:]
        after[:] = copy
        _replace(memory, new)
        if before[:] != copy:  # a thread wrote to the old file after it had been copied
            with memoryview(memory) as here, here.cast("d") as slots:
                _catch_up(slots, zip(_numbers(copy), _numbers(before[:]), strict=True))


def _replace(memory: mmap.mmap, file: int) -> None:
    import ctypes  # noqa: PLC0415 - rarely needed

    libc = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL, so no thread is between reading a slot and writing it
    libc.mmap.restype = ctypes.c_void_p
    whole = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(whole)
    found = libc.mmap(
        ctypes.c_void_p(address),
        ctypes.c_size_t(len(memory)),
        mmap.PROT_READ | mmap.PROT_WRITE,
        mmap.MAP_SHARED | _MAP_FIXED,
        file,
        ctypes.c_long(0),
    )
    if found != address:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _catch_up(slots: memoryview[float], pairs: Iterable[tuple[float, float]]) -> None:
    for place, (copied, last) in enumerate(pairs):
        if copied != last:
            slots[place] = last if slots[place] == copied else slots[place] + (last - copied)


def _numbers(numbers: bytes) -> memoryview[float]:
    return memoryview(numbers).cast("d")
