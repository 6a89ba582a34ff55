"""Section ``audit``: the audit trail."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import FilePath, Section


class Audit(Section):
    """The audit trail. The key that seals it is a secret, so it is in a file or in the environment."""

    path: FilePath | None = None
    key_file: FilePath | None = None
    fsync: Annotated[Literal["always", "interval", "never"], Allowed(text="give always, interval or never")] = (
        "interval"
    )
    max_bytes: Annotated[
        int | None, Field(ge=1 << 20), Allowed(text="give a whole number of bytes of at least 1048576, or null")
    ] = 100 << 20  # verified in a second or two
    on_failure: Annotated[Literal["log", "raise"], Allowed(text="give log or raise")] = "log"

    @model_validator(mode="after")
    def _nothing_is_raised_without_a_path(self) -> Self:
        if self.on_failure == "raise" and self.path is None:
            raise fault("give audit.path too, since without it every entry is lost", key="on_failure")
        return self
