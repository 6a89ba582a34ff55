"""The id of the current thread, never that of a greenlet.

gevent replaces ``threading.get_ident``, so that each greenlet has an id of its own. All greenlets share one thread, though, and
it is not known which of them have ended.
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
"""``threading.get_ident`` as it was before gevent replaced it."""
