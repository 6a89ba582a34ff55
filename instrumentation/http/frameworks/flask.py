"""Flask: werkzeug leaves the request, with the rule that matched, in the environ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import ENVIRON, UNMATCHED
from instrumentation.http.frameworks.werkzeug import UrlMap

if TYPE_CHECKING:
    from instrumentation.http.frameworks.interface import Respond, Scope


class Flask(UrlMap):
    """A Flask app."""

    def chosen(self, scope: Scope) -> str:
        """The rule that matched, such as ``/items/<int:item>``."""
        request = scope.get(ENVIRON, {}).get("werkzeug.request")
        rule = getattr(request, "url_rule", None)
        return str(rule.rule) if rule is not None and rule.map is self._app.url_map else UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class, unless the app has a handler for it."""

        def answer(error: Any) -> Any:
            document = respond(error)
            return document.body, document.status, document.all_headers

        if kind not in self._app.error_handler_spec[None][None]:
            self._app.register_error_handler(kind, answer)
