"""The URLconf of the Django services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views.decorators.http import require_GET

import instrumentation

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_GET
def item(_: HttpRequest, item: int, shop: str = "") -> HttpResponse:
    return HttpResponse(f"{shop} {item}")


async def busy(_: HttpRequest) -> HttpResponse:
    return HttpResponse("busy", status=503)


def broken(_: HttpRequest) -> HttpResponse:
    raise RuntimeError("broken")


def conflict(_: HttpRequest) -> HttpResponse:
    raise instrumentation.ConflictError("taken")


def stream(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"part{number} " for number in range(3))


urlpatterns = [
    path("items/<int:item>/", item),
    path("shops/<shop>/", include([re_path(r"^items/(?P<item>\d+)/$", item)])),
    path("busy", busy),
    path("broken", broken),
    path("conflict", conflict),
    path("stream", stream),
]
