"""A service with Django and Channels."""

from __future__ import annotations

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

import instrumentation

settings.configure(
    ROOT_URLCONF="django_urls",
    SECRET_KEY="of a test",  # noqa: S106 - it guards nothing
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup(set_prefix=False)


class Room(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        await self.send(self.scope["url_route"]["kwargs"]["room"])
        await self.close()


app = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("rooms/<room>/", Room.as_asgi())])}
)
instrumentation.instrument(app)
instrumentation.instrument(app)
