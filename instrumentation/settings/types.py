"""The types of keys with the values that they allow, and the base class of sections."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


DURATION = "give a duration such as 30s, 5m or 1h30m"
LABEL_NAME = "give a Prometheus label name: letters, digits and _, not starting with a digit"
ADDRESS = "give one e-mail address, such as oncall@example.com"
HOST_AND_PORT = "give host and port, such as smtp.example.com:587"
LABEL_VALUE = "give letters, digits, _, - and ., such as page"
NAME = "give lowercase letters, digits and -, such as payments"
TIME_OF_DAY = 'give a time of day in quotes, from "00:00" to "24:00"'
LOCATION = "give a place of the time zone database, such as Europe/Berlin, or UTC"
RUNBOOK_PATTERN = (
    "give an http:// or https:// address in which {alert} stands for the alert's name, and {labels} for its labels if they "
    "are wanted, such as https://wiki.example/runbooks/{alert}"
)
WORKLOAD_PATTERN = (
    "give a job in which {workload} stands for the name of its Deployment or StatefulSet, and {namespace} for the namespace if it is "
    "wanted, such as {namespace}/{workload}"
)
WEB_ADDRESS = "give an http:// or https:// address without user, password, ? or #"
URL_PATH = "give a path that starts with /, such as /metrics"
ABSOLUTE_PATH = "give an absolute path, such as /var/lib/shop"
INCREASING = "give increasing seconds, each once, such as [0.1, 0.5, 1.0]"


def _duration(value: object) -> Duration:
    if isinstance(value, str) and value and Duration(value).seconds > 0:
        return Duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        raise fault(f"{DURATION}; a number has no unit: {value:g} minutes are {value:g}m, {value:g} seconds {value:g}s")
    raise fault(DURATION)


def _no_percentage(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:  # noqa: PLR2004 - percent
        raise fault(f"give a ratio between 0 and 1; {value:g} % are {round(value / 100, 9):g}")
    return value


def _no_milliseconds(value: float) -> float:
    if value >= 100:  # noqa: PLR2004 - such a value is in milliseconds
        raise fault(f"give seconds below 100; {value:g} ms are {value / 1000:g}")
    return value


def _label_name(value: str) -> str:
    return _matching(value, r"[a-zA-Z_][a-zA-Z0-9_]*", LABEL_NAME)


def _web_address(value: str) -> str:
    return _matching(value, r"https?://[^\s/@]+(/[^\s?#@]*)?", WEB_ADDRESS).rstrip("/")


def _runbook_pattern(value: str) -> str:
    named = set(re.findall(r"\{(\w*)\}", value))
    if not re.fullmatch(r"https?://[^\s/@]+/\S*", value) or not {"alert"} <= named <= {"alert", "labels"}:
        raise fault(RUNBOOK_PATTERN)
    return value


def _workload_pattern(value: str) -> str:
    named = re.findall(r"\{(\w*)\}", value)
    if len(set(named)) < len(named) or not {"workload"} <= set(named) <= {"workload", "namespace"}:
        raise fault(WORKLOAD_PATTERN)
    return value


def _url_path(value: str) -> str:
    return _matching(value, r"/[^\s?#]*", URL_PATH)


def _absolute(value: str) -> str:
    return _matching(value, r"/[^\0]*", ABSOLUTE_PATH)


def check_each_match_once(matches: Sequence[Mapping[str, str]]) -> None:
    """Refuse a match that an earlier override has."""
    for index, match in enumerate(matches):
        if match in matches[:index]:
            raise fault(
                "give each match once, since the first override that matches applies", key=f"overrides.{index}.match"
            )


def fitting(fits: Callable[[object], bool], allowed: str, value: str) -> str:
    """Check a text, and return it.

    Raises:
        PydanticCustomError: The text does not fit.
    """
    if not fits(value):
        raise fault(allowed)
    return value


def _matching(value: str, pattern: str, allowed: str) -> str:
    if not re.fullmatch(pattern, value):
        raise fault(allowed)
    return value


def _no_template(value: str) -> str:
    if "{{" in value:
        raise fault("give the label's value itself; Prometheus fills in no template here")
    return value


def _increasing(edges: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(edges)) != list(edges):
        raise fault(INCREASING)
    return edges


Seconds = Annotated[
    float, Field(gt=0, allow_inf_nan=False), Allowed(text="give seconds as a number above 0, such as 1.0")
]
NoOrSomeSeconds = Annotated[
    float, Field(ge=0, le=600), Allowed(text="give seconds as a number from 0 to 600, such as 5.0")
]
LatencySeconds = Annotated[Seconds, AfterValidator(_no_milliseconds)]
Ratio = Annotated[
    float,
    BeforeValidator(_no_percentage),
    Field(gt=0, lt=1),
    Allowed(text="give a ratio between 0 and 1, such as 0.05"),
]
BudgetRatio = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    Allowed(text="give a share of the budget above 0, such as 0.8; 1.0 is all of it"),
]
Share = Annotated[float, Field(ge=0, le=1), Allowed(text="give a share from 0 to 1, such as 0.1")]
Count = Annotated[int, Field(ge=1), Allowed(text="give a whole number of at least 1")]
Usd = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed(text="give US dollars as a number above 0, or null")]
AttributeName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_.]*$"), Allowed(text="give names such as k8s.cluster.name")
]
ResourceAttribute = Annotated[
    str,
    Field(pattern=r"^[a-zA-Z_][\w.-]*$", max_length=100),
    Allowed(text="give names such as team or service.namespace"),
]
CollectorVersion = Annotated[
    str,
    Field(pattern=r"^0\.(13[89]|1[4-9][0-9]|[2-9][0-9][0-9])\.[0-9]+$"),
    Allowed(text="give a version from 0.138.0 on, such as 0.159.0"),
]
PrometheusDuration = Annotated[Duration, PlainValidator(_duration), Allowed(text=DURATION)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=200),
    Allowed(text="give a text of 1 to 200 characters, in quotes if it looks like a number"),
]
LabelName = Annotated[Text, AfterValidator(_label_name), Allowed(text=LABEL_NAME)]
LabelValue = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[A-Za-z0-9][\w.-]*", allowed=LABEL_VALUE)),
    Allowed(text=LABEL_VALUE),
]
Match = Annotated[
    dict[LabelName, Annotated[Text, AfterValidator(_no_template)]],
    Field(min_length=1),
    Allowed(text="give at least one label and its value, such as {job: search}"),
]
Address = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[^@\s,]+@[^@\s,]+", allowed=ADDRESS)),
    Allowed(text=ADDRESS),
]
HostAndPort = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[^:/\s@]+:[0-9]{1,5}", allowed=HOST_AND_PORT)),
    Allowed(text=HOST_AND_PORT),
]
ObjectName = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", allowed=NAME)),
    Allowed(text=NAME),
]
TimeOfDay = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", allowed=TIME_OF_DAY)),
    Allowed(text=TIME_OF_DAY),
]
Weekday = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    Allowed(text="give a weekday in English and lowercase letters, such as saturday"),
]
Location = Annotated[
    Text,
    AfterValidator(partial(_matching, pattern=r"[A-Z]\w*(/[\w+-]+)*", allowed=LOCATION)),
    Allowed(text=LOCATION),
]
WebAddress = Annotated[Text, AfterValidator(_web_address), Allowed(text=WEB_ADDRESS)]
RunbookPattern = Annotated[Text, AfterValidator(_runbook_pattern), Allowed(text=RUNBOOK_PATTERN)]
WorkloadPattern = Annotated[Text, AfterValidator(_workload_pattern), Allowed(text=WORKLOAD_PATTERN)]
UrlPath = Annotated[Text, AfterValidator(_url_path), Allowed(text=URL_PATH)]
Folder = Annotated[Text, AfterValidator(_absolute), Allowed(text=ABSOLUTE_PATH)]
FilePath = Annotated[Text, Allowed(text="give the path of a file")]
Edges = Annotated[
    tuple[Seconds, ...],
    Field(strict=False, min_length=1),
    AfterValidator(_increasing),
    Allowed(text=INCREASING),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    Allowed(text="give one of debug, info, warning, error, critical"),
]
LogFormat = Annotated[Literal["auto", "json", "console"], Allowed(text="give one of auto, json, console")]
LoggerName = Annotated[Text, Allowed(text="give the name of a logger, such as sqlalchemy.engine")]


class Section(BaseModel):
    """A group of keys. Unknown keys are refused, and values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True)
