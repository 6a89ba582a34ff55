"""Generates Alertmanager's configuration from AlertmanagerConfig objects, like the Prometheus Operator.

The original is ``pkg/alertmanager/amcfg.go`` of the operator's 0.85.0: ``getEnforcer``, ``AddAlertmanagerConfigs`` and what they
call. ``recorded/`` contains its results for the cases of these tests; ``recorded/main.go`` creates them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ON_NAMESPACE = "OnNamespace"
EXCEPT_FOR_ALERTMANAGERS = "OnNamespaceExceptForAlertmanagerNamespace"
NONE = "None"


@dataclass(frozen=True, kw_only=True)
class Alertmanager:
    """The operator's Alertmanager object, as far as it shapes the configuration.

    Attributes:
        namespace: Its own.
        strategy: ``spec.alertmanagerConfigMatcherStrategy.type``.
        secrets: Namespace and name of every Secret that is there, to its keys.
    """

    namespace: str = "monitoring"
    strategy: str = ON_NAMESPACE
    secrets: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def configuration(self, base: Mapping[str, Any], *objects: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration: the objects' routes precede those of the base, each with ``continue: true``.

        Raises:
            KeyError: A key of a Secret is missing, for which the operator rejects the object.
        """
        config: dict[str, Any] = json.loads(json.dumps(base))
        by_name = sorted(objects, key=lambda one: f"{one['metadata']['namespace']}/{one['metadata']['name']}")
        routes = [self._added(config, one) for one in by_name]
        config["route"]["routes"] = [*routes, *config["route"].get("routes", [])]
        return config

    def _added(self, config: dict[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
        namespace, spec = one["metadata"]["namespace"], one["spec"]
        prefix = f"{namespace}/{one['metadata']['name']}/"
        only = [f'namespace="{namespace}"'] if self._is_enforced(namespace) else []
        rules = [
            {
                "source_matchers": [*map(_matcher, rule["sourceMatch"]), *only],
                "target_matchers": [*map(_matcher, rule["targetMatch"]), *only],
                "equal": rule["equal"],
            }
            for rule in spec["inhibitRules"]
        ]
        config["inhibit_rules"] = [*config.get("inhibit_rules", []), *rules]
        config["receivers"] = [
            *config["receivers"],
            *(
                {**self._receiver(receiver, namespace), "name": prefix + receiver["name"]}
                for receiver in spec["receivers"]
            ),
        ]
        times = [{**_snake(time), "name": prefix + time["name"]} for time in spec.get("muteTimeIntervals", [])]
        if times:
            config["mute_time_intervals"] = [*config.get("mute_time_intervals", []), *times]
        route = _route(spec["route"], prefix)
        return {**route, "matchers": [*route.get("matchers", []), *only], "continue": True}

    def _is_enforced(self, namespace: str) -> bool:
        if self.strategy == EXCEPT_FOR_ALERTMANAGERS:
            return namespace != self.namespace
        return self.strategy != NONE

    def _receiver(self, receiver: Mapping[str, Any], namespace: str) -> dict[str, Any]:
        return {
            _word(kind): [dict(self._fields(target, namespace)) for target in targets]
            for kind, targets in receiver.items()
            if kind != "name"
        }

    def _fields(self, target: Mapping[str, Any], namespace: str) -> Iterator[tuple[str, Any]]:
        for key, value in target.items():
            if isinstance(value, dict):
                yield _word(key).removesuffix("_secret"), self.secrets[namespace, value["name"]][value["key"]]
            elif isinstance(value, list):
                yield _word(key), {pair["key"]: pair["value"] for pair in value}
            else:
                yield _word(key), value


def _route(route: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    own = {_word(key): value for key, value in route.items()}
    own["receiver"] = prefix + route["receiver"]
    if "matchers" in route:
        own["matchers"] = [*map(_matcher, route["matchers"])]
    if "routes" in route:
        own["routes"] = [_route(inner, prefix) for inner in route["routes"]]
    if "muteTimeIntervals" in route:
        own["mute_time_intervals"] = [prefix + name for name in route["muteTimeIntervals"]]
    return own


def _matcher(matcher: Mapping[str, str]) -> str:
    return f"{matcher['name']}{matcher.get('matchType', '=')}{json.dumps(matcher['value'])}"


def _snake(value: Any) -> Any:
    if isinstance(value, dict):
        return {_word(key): _snake(inner) for key, inner in value.items()}
    return [_snake(one) for one in value] if isinstance(value, list) else value


def _word(key: str) -> str:
    """In Alertmanager's words: ``apiURL`` is ``api_url``, ``requireTLS`` ``require_tls``, ``pagerdutyConfigs`` ``pagerduty_configs``."""
    return re.sub(r"(?<=[a-z0-9])(URL|TLS|[A-Z])", lambda found: f"_{found[0].lower()}", key)
