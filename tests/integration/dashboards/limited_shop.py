"""The example shop, which finds itself in the recorded container of RECORDED_ROOT: limits are nothing a test can rely on."""

import os
from functools import partial
from pathlib import Path

from instrumentation import resources

resources.Container = partial(resources.Container, Path(os.environ["RECORDED_ROOT"]))  # type: ignore[misc,assignment]

from examples.shop.main import app  # noqa: E402 - which reads it

__all__ = ["app"]
