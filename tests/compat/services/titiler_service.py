"""TiTiler, a server of map tiles."""

from titiler.application.main import app

import instrumentation

instrumentation.instrument(app)
