"""Section ``http.labels``: additional labels of request metrics."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.redaction.sensitive_keys import CLEAR, Keys
from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import LabelName, Section, Text

RESERVED = frozenset((*HTTP_SERVER_REQUEST_DURATION.labels, "le", "quantile", "job", "instance"))
"""Label names that request metrics and Prometheus use already."""

MOST_LABELS = 5  # each label multiplies the number of series

_NAME = "give a label name that request metrics and Prometheus do not use, such as tenant"
_HEADER = "give the name of a header that holds no secret, such as x-tenant"


def _label_name(value: str) -> str:
    if value in RESERVED or value.startswith("__"):
        raise fault(_NAME)
    return value


def _header(value: str) -> str:
    if Keys().verdict(value) != CLEAR:
        raise fault(_HEADER)
    return value


Header = Annotated[Text, Field(pattern=r"^[A-Za-z0-9-]+$"), AfterValidator(_header), Allowed(text=_HEADER)]
RequestLabelName = Annotated[LabelName, AfterValidator(_label_name), Allowed(text=_NAME)]


class RequestLabel(Section):
    """The source of a label, its values, and whether dashboards and rules use it."""

    header: Header | None = None
    path_parameter: Text | None = None
    state: Text | None = None  # a key of the ASGI scope's state: request.state in Starlette and FastAPI
    values: Annotated[
        tuple[Text, ...],
        Field(strict=False, max_length=100),
        Allowed(text="give a list of at most 100 texts, such as [eu, us]"),
    ] = ()  # all others are _OTHER
    limit: Annotated[int, Field(ge=1, le=100), Allowed(text="give a whole number from 1 to 100")] = 20  # then _OVERFLOW
    dashboard: Annotated[bool, Allowed(text="give true or false")] = False
    rules: Annotated[bool, Allowed(text="give true or false")] = False

    @property
    def source(self) -> str | None:
        """The name of the key that says where the value comes from; None if a function in the code returns it."""
        return next((name for name in ("header", "path_parameter", "state") if getattr(self, name) is not None), None)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("header", "path_parameter", "state") if getattr(self, name) is not None]
        if len(given) > 1:
            raise fault("give one of header, path_parameter and state", problem=f"got {' and '.join(given)}")
        return self


RequestLabels = Annotated[
    dict[RequestLabelName, RequestLabel],
    Field(max_length=MOST_LABELS),
    Allowed(text=f"give at most {MOST_LABELS} labels, each with its source, such as {{tenant: {{header: x-tenant}}}}"),
]
