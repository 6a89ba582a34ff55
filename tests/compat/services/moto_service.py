"""A stand-in of Amazon S3, made with Flask."""

from moto.server import create_backend_app

import instrumentation

app = instrumentation.instrument(create_backend_app("s3"))
