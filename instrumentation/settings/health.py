"""Section ``health``: the pages that probes ask."""

from instrumentation.settings.types import NoOrSomeSeconds, Seconds, Section, UrlPath


class Health(Section):
    """The pages that probes ask, and the end of a process."""

    live_path: UrlPath | None = "/health"
    ready_path: UrlPath | None = "/ready"
    check_timeout_seconds: Seconds = 0.8  # Kubernetes' probes wait for 1 s, by default
    cache_seconds: NoOrSomeSeconds = 1.0  # however many probes ask: a check must not load the dependency
    drain_seconds: NoOrSomeSeconds = 0.0  # between SIGTERM and the end, not ready; where a preStop hook waits, 0
