"""Section ``resources``: CPU, memory and disks."""

from typing import Annotated

from pydantic import Field

from instrumentation.settings.faults import Allowed
from instrumentation.settings.types import Folder, Section


class Resources(Section):
    """Which resources of the machine are measured."""

    disk_paths: Annotated[
        tuple[Folder, ...],
        Field(strict=False, max_length=20),
        Allowed(text="give a list of at most 20 absolute paths, such as [/, /var/lib/shop]"),
    ] = ("/",)
