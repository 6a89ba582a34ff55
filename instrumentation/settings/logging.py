"""Section ``logging``: log lines and redaction."""

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from instrumentation.redaction import options as redaction
from instrumentation.settings.faults import Allowed
from instrumentation.settings.types import LogFormat, LoggerName, LogLevel, Section, Share, Text, fitting


class Redaction(Section):
    """What is masked in logs in addition to the defaults, and what is not masked."""

    keys: Annotated[
        tuple[Annotated[Text, AfterValidator(partial(fitting, redaction.is_key, redaction.KEY))], ...],
        Field(strict=False),
        Allowed(text="give a list of keys, such as [diagnosis]"),
    ] = ()
    allow: Annotated[
        tuple[Annotated[Text, AfterValidator(partial(fitting, redaction.is_let_through, redaction.LET_THROUGH))], ...],
        Field(strict=False),
        Allowed(text="give a list of keys and patterns that are masked, such as [session_id, email]"),
    ] = ()
    patterns: Annotated[
        tuple[Annotated[Text, AfterValidator(partial(fitting, redaction.is_pattern, redaction.PATTERN))], ...],
        Field(strict=False),
        Allowed(text="give a list of regular expressions, such as ['EMP-[0-9]{6}']"),
    ] = ()


class Logging(Section):
    """Structured logs."""

    enabled: Annotated[bool, Allowed(text="give true or false")] = True  # unless the service configures logging itself
    format: LogFormat = "auto"  # columns in a terminal, otherwise JSON
    level: LogLevel = "info"
    levels: Annotated[
        dict[LoggerName, LogLevel], Allowed(text="give loggers and their levels, such as {sqlalchemy.engine: info}")
    ] = Field(default={})
    access: Annotated[bool, Allowed(text="give true or false")] = True
    access_sample_ratio: Share = 1.0  # of successful requests; failed ones are always logged
    correlation_id: Annotated[bool, Allowed(text="give true or false")] = True
    redaction: Redaction = Redaction.model_construct()
