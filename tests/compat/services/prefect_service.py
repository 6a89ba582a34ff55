"""Prefect's server. Most of its start is spent on the migrations of its database."""

import os
from pathlib import Path

os.environ["PREFECT_HOME"] = str(Path.cwd() / "prefect")
os.environ["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "false"  # saves half a minute
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"

from prefect.server.api.server import create_app

import instrumentation

app = create_app(webserver_only=True)  # without the schedulers
instrumentation.instrument(app)
