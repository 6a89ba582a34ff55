"""The methods that keep their name as a label."""

from __future__ import annotations

METHODS = {
    name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
}
"""The known methods. All others are counted as ``_OTHER``, because clients can make up any number of them."""

OTHER_METHOD = "_OTHER"
