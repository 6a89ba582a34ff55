"""Datasette with a database in memory."""

from datasette.app import Datasette

import instrumentation

app = instrumentation.instrument(Datasette(memory=True).app())
