"""Section ``users``: how active users are estimated."""

from typing import Annotated

from pydantic import AfterValidator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import (
    FilePath,
    PrometheusDuration,
    Section,
)

REGISTERS = "give a power of 2 from 16 to 16384, such as 1024; each of them is a series of each instance"
USERS_WINDOW = "give a duration of at most 4m, since Prometheus forgets a series after 5m"


def _registers(value: int) -> int:
    if not 16 <= value <= 16384 or value & (value - 1):  # noqa: PLR2004 - REGISTERS says them
        raise fault(REGISTERS)
    return value


def _users_window(value: Duration) -> Duration:
    if value.seconds > Duration("4m").seconds:
        raise fault(USERS_WINDOW)
    return value


class Users(Section):
    """How active users are counted."""

    registers: Annotated[int, AfterValidator(_registers), Allowed(text=REGISTERS)] = 1024  # a standard error of 3.25 %
    window: Annotated[PrometheusDuration, AfterValidator(_users_window), Allowed(text=USERS_WINDOW)] = Duration("60s")
    key_file: FilePath | None = None
