"""Section ``health``: the health pages, which probes request."""

from instrumentation.settings.types import NoOrSomeSeconds, Seconds, Section, UrlPath


class Health(Section):
    """The health pages, which probes request, and the shutdown of a process."""

    live_path: UrlPath | None = "/health"
    ready_path: UrlPath | None = "/ready"
    check_timeout_seconds: Seconds = 0.8  # the default timeout of Kubernetes' probes is 1 s
    cache_seconds: NoOrSomeSeconds = 1.0  # how long a result is reused, so that probes do not load the dependency
    drain_seconds: NoOrSomeSeconds = (
        0.0  # how long a process is not ready between SIGTERM and its end; 0 if a preStop hook waits
    )
