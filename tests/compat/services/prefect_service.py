"""Prefect's server, with its database in the current folder."""

import os
from pathlib import Path

os.environ["PREFECT_HOME"] = str(Path.cwd())
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

from prefect.server.api.server import create_app

import instrumentation

app = instrumentation.instrument(create_app(webserver_only=True))
