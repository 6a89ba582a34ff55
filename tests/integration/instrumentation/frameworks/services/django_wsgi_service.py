"""A Django service over WSGI."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

import instrumentation

settings.configure(
    ROOT_URLCONF="django_urls",
    SECRET_KEY="of a test",  # noqa: S106 - it guards nothing
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup(set_prefix=False)
app = get_wsgi_application()
instrumentation.instrument(app)
instrumentation.instrument(app)
