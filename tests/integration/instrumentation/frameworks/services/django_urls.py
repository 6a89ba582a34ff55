"""The URLconf of the services of Django."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views.decorators.http import require_GET

import instrumentation


@require_GET
def item(request, item, shop=""):
    del request
    return HttpResponse(f"{shop} {item}")


async def busy(request):
    del request
    return HttpResponse("busy", status=503)


def broken(request):
    del request
    raise RuntimeError("broken")


def conflict(request):
    del request
    raise instrumentation.ConflictError("taken")


def stream(request):
    del request
    return StreamingHttpResponse(f"part{number} " for number in range(3))


urlpatterns = [
    path("items/<int:item>/", item),
    path("shops/<shop>/", include([re_path(r"^items/(?P<item>\d+)/$", item)])),
    path("busy", busy),
    path("broken", broken),
    path("conflict", conflict),
    path("stream", stream),
]
