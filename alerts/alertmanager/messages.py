"""The templates of Alertmanager's messages, and where each kind of receiver uses them.

The title of a message names the alert and the service. Each alert has a paragraph with its value, the time, and links to the
dashboard and the runbook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from instrumentation.settings import Settings

FILE = "sidelight.tmpl"
_SHOWN = 10  # alerts in one message; a hundred failing instances do not need a hundred paragraphs

_AROUND = 1_800_000_000_000  # nanoseconds that a dashboard shows before an alert began and after it ended: half an hour
# A dashboard opens at the time of the alert, however late someone reads the message. The address is made in one piece,
# because Go's templates for HTML refuse one whose parts depend on conditions.
_DASHBOARD = (
    '{{ $join := "?" }}{{ if match "[?]" . }}{{ $join = "&" }}{{ end }}'
    '{{ $to := "now" }}{{ if eq $alert.Status "resolved" }}'
    f'{{{{ $to = printf "%d" ($alert.EndsAt.Add {_AROUND}).UnixMilli }}}}{{{{ end }}}}'
    f'{{{{ printf "%s%sfrom=%d&to=%s" . $join ($alert.StartsAt.Add -{_AROUND}).UnixMilli $to }}}}'
)

# One alert; the escaping and the form of a link depend on the receiver.
_PARAGRAPH = """\
{{ if $alert.Annotations.summary }}{{ $alert.Annotations.summary%(safe)s }}{{ else }}{{ $alert.Labels.alertname%(safe)s }}{{ end }}
{{ with $alert.Annotations.description }}{{ .%(safe)s }}
{{ end -}}
{{ if eq $alert.Status "resolved" }}Over: {{ $alert.StartsAt.UTC.Format "2006-01-02 15:04" }} to {{ $alert.EndsAt.UTC.Format "15:04 MST" }}
{{- else }}Since {{ $alert.StartsAt.UTC.Format "2006-01-02 15:04 MST" }}{{ end }}
{{ with $alert.Annotations.dashboard_url }}%(dashboard)s
{{ end -}}
{{ with $alert.Annotations.runbook_url }}%(runbook)s
{{ end }}
"""
_HTML_PARAGRAPH = """\
<h3>{{ if $alert.Annotations.summary }}{{ $alert.Annotations.summary }}{{ else }}{{ $alert.Labels.alertname }}{{ end }}</h3>
<p>{{ $alert.Annotations.description }}</p>
<p>{{ if eq $alert.Status "resolved" }}Over: {{ $alert.StartsAt.UTC.Format "2006-01-02 15:04" }} to {{ $alert.EndsAt.UTC.Format "15:04 MST" }}
{{- else }}Since {{ $alert.StartsAt.UTC.Format "2006-01-02 15:04 MST" }}{{ end }}
{{- with $alert.Annotations.dashboard_url }} · <a href="%(dashboard)s">Dashboard</a>{{ end }}
{{- with $alert.Annotations.runbook_url }} · <a href="{{ . }}">Runbook</a>{{ end }}</p>
"""
# Slack gives &, < and > a meaning of its own.
_SLACK_SAFE = ' | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'


def _each(paragraph: str) -> str:
    return (
        f"{{{{- range $index, $alert := .Alerts }}}}{{{{ if lt $index {_SHOWN} }}}}{paragraph}{{{{ end }}}}{{{{ end -}}}}"
        f"{{{{ if gt (len .Alerts) {_SHOWN} }}}}These are {_SHOWN} of {{{{ len .Alerts }}}} alerts; "
        "all of them: {{ .ExternalURL }}{{ end }}"
    )


IDENTITY = ("cluster", "namespace", "environment")
"""Labels that Prometheus or its operator often adds to all alerts, and that are therefore not in any rule."""


def _title(identity: Iterable[str]) -> str:
    """The alert and its service, such as ``CRITICAL: HighErrorRate of eu/payments/shop (2 alerts)``; resolved alerts are not counted."""
    others = (label for label in dict.fromkeys([*identity, *IDENTITY]) if label != "job")
    named = "".join(f"{{{{ with $.CommonLabels.{label} }}}}{{{{ . }}}}/{{{{ end }}}}" for label in others)
    return (
        '{{ if eq .Status "resolved" }}RESOLVED{{ else if .CommonLabels.severity }}'
        "{{ .CommonLabels.severity | toUpper }}{{ else }}FIRING{{ end }}: {{ .CommonLabels.alertname }}"
        f"{{{{ with .CommonLabels.job }}}} of {named}{{{{ . }}}}{{{{ end }}}}"
        '{{ $counted := .Alerts.Firing }}{{ if eq .Status "resolved" }}{{ $counted = .Alerts.Resolved }}{{ end }}'
        "{{ if gt (len $counted) 1 }} ({{ len $counted }} alerts){{ end }}"
    )


def _by_severity(settings: Settings, given: Mapping[str, str], otherwise: str) -> str:
    """A text for each severity, and one for all others."""
    cases = (
        f'if eq .CommonLabels.severity "{getattr(settings.alerting.severities, name)}" }}}}{text}'
        for name, text in given.items()
    )
    return f"{{{{ {'{{ else '.join(cases)}{{{{ else }}}}{otherwise}{{{{ end }}}}"


def _templates(settings: Settings) -> dict[str, str]:
    text = {"safe": "", "dashboard": f"Dashboard: {_DASHBOARD}", "runbook": "Runbook: {{ . }}"}
    slack = {"safe": _SLACK_SAFE, "dashboard": f"<{_DASHBOARD}|Dashboard>", "runbook": "<{{ . }}|Runbook>"}
    colors = _by_severity(settings, {"critical": "danger", "warning": "warning"}, "#439fe0")
    return {
        "title": _title(settings.alerting.group_by),
        "text": _each(_PARAGRAPH % text),
        "slack": _each(_PARAGRAPH % slack),
        "html": _each(_HTML_PARAGRAPH % {"dashboard": _DASHBOARD}),
        "link": (
            f"{{{{ $alert := index .Alerts 0 }}}}{{{{ with .CommonAnnotations.dashboard_url }}}}{_DASHBOARD}"
            "{{ else }}{{ .ExternalURL }}{{ end }}"
        ),
        # PagerDuty knows these four words only.
        "severity": _by_severity(settings, {name: name for name in ("critical", "warning", "info")}, "error"),
        "color": f'{{{{ if eq .Status "resolved" }}}}good{{{{ else }}}}{colors}{{{{ end }}}}',
        "priority": _by_severity(settings, {"critical": "P1", "warning": "P3"}, "P5"),
    }


def to_template_file(settings: Settings) -> str:
    """The text of Alertmanager's template file."""
    templates = _templates(settings)
    defined = (f'{{{{ define "sidelight.{name}" }}}}{text}{{{{ end }}}}' for name, text in templates.items())
    note = "{{/* Written by `sidelight build`. Each is used by a receiver in alertmanager.yaml. */}}"
    return "\n".join((note, *defined)) + "\n"


def message(kind: str) -> dict[str, Any]:
    """The settings of a kind of receiver that define its messages; a webhook has none and gets all data as JSON."""
    return _message(kind, _use)


def inlined(kind: str, settings: Settings) -> dict[str, Any]:
    """The same without a template file, for configurations that cannot have one."""
    return _message(kind, _templates(settings).__getitem__)


def _message(kind: str, of: Callable[[str], str]) -> dict[str, Any]:
    title, text, link = of("title"), of("text"), of("link")
    messages: dict[str, dict[str, Any]] = {
        "slack": {
            "color": of("color"),
            "title": title,
            "title_link": link,
            "text": of("slack"),
            "fallback": title,
        },
        "pagerduty": {
            "description": title,
            "severity": of("severity"),
            "client": "Sidelight",
            "client_url": link,
            "details": {"text": text, "runbook": "{{ .CommonAnnotations.runbook_url }}"},
        },
        "email": {"headers": {"Subject": title}, "text": text, "html": of("html")},
        "msteamsv2": {"title": title, "text": text},
        "discord": {"title": title, "message": text},
        "telegram": {"message": f"{title}\n{text}"},
        "opsgenie": {"message": title, "description": text, "priority": of("priority"), "source": link},
    }
    return messages.get(kind, {})


def _use(name: str) -> str:
    return f'{{{{ template "sidelight.{name}" . }}}}'
