"""Templates are read as Prometheus reads them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.checks.templates import read

REFUSED = {
    "{{ $value | humanise }}": "calls the function 'humanise', which does not exist",
    "{{ if gt $value 1.0 }}many": "has no {{ end }} for {{ if }}",
    "{{ $label.job }}": "reads the variable $label, which is not defined",
    '{{ range query "up" }}{{ end }}{{ end }}': "has an {{ end }} without a beginning",
    '{{ range $i, $x := query "up" }}{{ end }}{{ $x }}': "reads the variable $x, which is not defined",
    "{{ else }}": "has {{ else }} outside if, range and with",
    "{{ if true }}a{{ else with $value }}b{{ end }}": "has an unexpected 'with' after else",
    '{{ range query "up" }}a{{ else if true }}b{{ end }}': "has an unexpected 'if' after else",
    "{{ break }}": "has {{ break }} outside range",
    "{{ }}": "has an empty {{ }}",
    "{{ $value ": "has an unclosed {{",
    "{{ ($value }}": "has an unclosed '('",
    "{{ $value | | humanize }}": "has a pipe without a function",
    "{{ $value + 1 }}": "has an unexpected '+' in {{ ... }}",
    "{{ if }}a{{ end }}": "has no condition after if",
    "{{ template }}": "needs a name in quotes after template",
    "{{ 'abc' }}": 'has an unexpected "\'" in {{ ... }}',
    "{{ $labels..job }}": "has an unexpected '.' behind $labels",
    "{{ $labels.job. }}": "has an unexpected '.' behind .job",
    '{{ $labels."job" }}': "has an unexpected '.' behind $labels",
    "{{ true.x }}": "has an unexpected '.x' behind true",
    "{{ 5-}}": "has an unexpected '-' in {{ ... }}",
    '{{ tmpl "x" . }}': "calls the function 'tmpl', which does not exist",
    "{{ if true }}a{{ else }}b{{ else }}c{{ end }}": "has a second {{ else }}",
    '{{ if true }}{{ define "x" }}{{ end }}{{ end }}': "has a {{ define }} inside {{ if }}",
    "{{ $a, $b := 5 }}": "declares too many variables",
    '{{ range $a, $b, $c := query "up" }}{{ end }}': "declares too many variables",
}
AT_EVALUATION = {
    "{{ .Foo }}": "reads .Foo, which is not one of .ExternalLabels, .ExternalURL, .Labels, .Value",
    "{{ $.Values.x }}": "reads .Values, which is not one of",
}
ACCEPTED = [
    'fine {{ "}}" }}',
    "}} alone",
    "{{ $value | }}",
    "{{- $x := 1 -}} {{ $x }}",
    "{{ $labels.instance }} {{ .Labels.job }} {{ $.Labels.job }}",
    '{{ printf "%.2f" $value }}',
    "{{/* a comment with $nothing */}}",
    "{{- /* a comment */ -}}",
    "{{ if eq $value 1.0 }}a{{ else if eq $value 2.0 }}b{{ else }}c{{ end }}",
    '{{ range $i, $x := query "up" }}{{ $i }}{{ $x.Labels.job }}{{ break }}{{ end }}',
    '{{ with query "up" }}{{ . | first | value | humanize }}{{ end }}',
    '{{ (query "up" | first).Value }}',
    "{{ humanize (printf `%f` $value) }}",
    "{{ $externalLabels.cluster }}{{ $externalURL }}",
    '{{ define "x" }}{{ .Foo }}{{ end }}{{ template "x" . }}',
    "{{ $value | humanizePercentage }}",
    "{{ 0x1F }}{{ 1e5 }}{{ 1_000 }}{{ .5 }}{{ 0b11 }}{{ 0o7 }}{{ 'a' }}{{ '\\n' }}",
    "{{ with $labels.a }}a{{ else with $value }}b{{ else }}c{{ end }}",
    '{{ reReplaceAll "a.*" "b" $labels.job | toUpper }}',
    "{{ if and (gt $value 1.0) (not (eq $labels.job `a`)) }}b{{ end }}",
]


@pytest.mark.parametrize("text", [*REFUSED, *AT_EVALUATION])
def test_what_prometheus_refuses_is_named(text: str) -> None:
    (fault,) = read(text).faults
    assert fault.message.startswith({**REFUSED, **AT_EVALUATION}[text])
    assert 0 <= fault.start < len(text)


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_prometheus_accepts_has_no_fault(text: str) -> None:
    assert read(text).faults == []


def test_the_labels_of_the_alert_are_found_and_not_those_of_a_query() -> None:
    text = '{{ $labels.a }}{{ .Labels.b }}{{ index $labels "c" }}{{ $.Labels.d }}{{ range query "up" }}{{ .Labels.e }}{{ end }}'
    assert [label for label, _ in read(text).labels] == ["a", "b", "c", "d"]


def test_a_value_is_shown_unless_it_is_only_compared() -> None:
    assert [digits for _, digits in read("{{ $value }} {{ .Value | humanize }}").printed] == [True, False]
    assert read('{{ if gt $value 3.0 }}a{{ end }}{{ range query "up" }}{{ .Value }}{{ end }}').printed == []


def test_queries_are_found_with_their_positions() -> None:
    text = '{{ with query "sum(up{job=\\"a\\"})" }}{{ end }}'
    ((query, start),) = read(text).queries
    assert (query, text[start : start + 3]) == ('sum(up{job="a"})', "sum")


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{{-",
                "-}}",
                "if",
                "else",
                "end",
                "range",
                "with",
                "$x",
                "$value",
                ".Labels",
                ".a",
                ":=",
                "|",
                "(",
                ")",
                '"a"',
                "query",
                "printf",
                "1",
                "/*",
                "*/",
                "é",
            ]
        ),
        max_size=25,
    )
)
def test_no_template_makes_the_reader_fall(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert all(0 <= fault.start <= len(text) for fault in read(text).faults)
