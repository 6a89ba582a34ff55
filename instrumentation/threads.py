"""The id of the running thread, and never that of a greenlet.

gevent puts its own in the place of ``threading.get_ident``: each greenlet would be a thread of its own, although all of them
run on one, and nobody could tell which of them have ended.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _of_threads() -> Callable[[], int]:
    gevent: Any = sys.modules.get("gevent.monkey")
    return gevent.get_original("_thread", "get_ident") if gevent else threading.get_ident


get_ident = _of_threads()
"""As ``threading.get_ident``, before gevent replaced it."""
