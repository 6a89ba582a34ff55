"""Small rule files that promtool judges too: what Prometheus refuses, and what it accepts although it looks odd."""

from __future__ import annotations

import json
import subprocess
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.settings import Settings
from sidelight.checks import Severity, find
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from pathlib import Path

_RULE = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    labels: {severity: warning}\n"
EXPRESSIONS = r"""
sum by (job) (up) > 5*1024*1024 | up < time() - 3600 | up / scalar(sum(up)) > 0.5 | up{job=`a\d`} == 0 | 1_000_000 < up | 0x1F < up
-Inf > up | NaN != up | rate(x[5m*2]) | rate(x[(5m)]) | rate(x[2^3]) | rate(x[-5m]) | rate(x[300]) | up offset (1h+5m) | up offset -5m
up @ start() | up </ 5 | up >/ 5 | histogram_quantile(0.95, sum(rate(x[5m]))) | {"my.metric", "my.label"="x"} | sum by ("a.b") (up)
first_over_time(x[5m]) | up[5m] | sum(up[5m]) | rate(up) | rate(sum(up)[5m:]) | {} | {job=""} | {job=~".*"} | {job=~".+"} | up{job="a",}
sum(up,) | sum by (job,) (up) | up and group_left up | up == ignoring (a) group_left (b) up | 1 == 2 | 1 == bool 2 | 1 and 2 | "text"
topk(up, 5) | count_values("1x", up) | label_replace(up, "a b", "$1", "b", "(.*)") | label_replace(up, "a", "$1", "b")
label_replace(up, "", "$1", "b", "(.*)") | label_replace(up, "a", "$1", "b", "(.*") | up{a=~"("} | up{a=~"(?=a)"} | up{a=~"\\d+"}
up{a=~"\d+"} | up{a=~"a{1001}"} | up{a=~"\\p{Greek}"} | up{a=~"\\p{Nope}"} | up{a=~"x++"} | up{a=~"\\Z"} | absent(sum(up)) | time(1)
predict_linear(x[1h], 4*3600) | predict_linear(x[1h], 4h) | round(x, 0.1, 2) | clamp(x, 0) | foo bar | foo{ | sum by job (up) | !up | 2 ** 3
up UNLESS up | RATE(x[5m]) | up offset 5m offset 3m | rate(x[12h1d]) | rate(x[1.5h]) | rate(x[1M]) | x{a="\x"} | x{a="b" or a="c"}
"a"{b="c"} | {__name__="y", __name__=~"z"} | (x | x) | () | x == 0.1.2 | x > 08 | x > 1__0 | x > .5 | x > 1e | x > 1h30m | sum by (1a) (x)
info(up) | a + fill(0) b | limitk(5, x) | mad_over_time(x[5m]) | double_exponential_smoothing(x[5m], 0.5, 0.5) | rate(x[5m] smoothed)
holt_winters(x[5m], 0.5, 0.5)
"""
TEMPLATES = r"""
{{ $labels.job }} | {{ $value | humanise }} | {{ if gt $value 1.0 }}many | {{ else }} | {{ end }} | {{ $label.job }} | {{ $x := 5 }}{{ $x }}
{{ range query "up" }}{{ .Labels.instance }}{{ end }} | {{ range $i, $e := query "up" }}{{ end }}{{ $i }} | {{ "}}" }} | {{/* note */}}
{{ .Foo }} | {{ $.Labels.job }} | {{ $externalLabels.cluster }} | {{ $value > 5 }} | {{ }} | {{ $labels..job }} | {{ $labels."job" }}
{{ job }} | {{ break }} | {{ tmpl "x" . }} | {{ .5 }} | {{ 'abc' }} | {{ true.x }} | {{ (1 }} | {{ 1) }} | {{ $a, $b := 5 }} | {{ template x }}
{{ if true }}a{{ else }}b{{ else }}c{{ end }} | {{ query "sum(rate(foo[5m" }} | {{ with query "up" }}a{{ else }}none{{ end }} | {{ $value
{{ $labels.job }} }} {{ | {{ (query "up" | first).Value }} | {{ printf "%.2f" $value | title }} | {{- $labels.job -}} | {{5-}}
"""
CHANGES = (
    "for: 0", "for: 0s", "for: ''", "for: 5", "for: 5 m", "for: 30m1h", "for: 1M", "for: 100ms", "for: 300y", "for: +5m", "keep_firing_for: 5x",
    "keep_firing_for: 5m", "four: 5m", "annotations: {a: 5, b: true, c: 2024-02-30, d: null}", "annotations: {a: [5]}", "annotations: [a]",
    "annotations: {'a-b': c}", "annotations: {'': c}", "record: b", "expr: up", "? [a]\n    : b", "<<: 5", "<<: {for: 5m}",
)  # fmt: skip
"""Keys that are added to a rule."""


class Case(NamedTuple):
    """One file.

    Attributes:
        check: The check that refuses it, if it is to be refused.
        shown: The part that differs from other files.
        text: The file.
    """

    check: str
    shown: str
    text: str


def cases() -> list[Case]:
    """All files."""
    expressions = [part.strip() for line in EXPRESSIONS.strip().splitlines() for part in line.split(" | ")]
    templates = [part.strip() for line in TEMPLATES.strip().splitlines() for part in _apart(line)]
    return [
        *(Case("promql/syntax", one, _RULE.replace("up == 0", json.dumps(one))) for one in expressions),
        *(Case("alert/template", one, f"{_RULE}    annotations: {{a: {json.dumps(one)}}}\n") for one in templates),
        *(Case("rule/schema", one, f"{_RULE}    {one}\n") for one in CHANGES),
    ]


def _apart(line: str) -> list[str]:
    """The templates of a line; a pipe inside of braces does not separate them."""
    return line.replace(" | {{", "\0{{").split("\0")


EXPERIMENTAL = "Prometheus accepts it with `--enable-feature`, so it is a warning (`promql/features`)"
DIFFERENCES = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "info(up)", "a + fill(0) b", "limitk(5, x)", "mad_over_time(x[5m])", "double_exponential_smoothing(x[5m], 0.5, 0.5)",
                "rate(x[5m] smoothed)",
            ),
            EXPERIMENTAL,
        ),
        "holt_winters(x[5m], 0.5, 0.5)": "Prometheus 2 accepts it, so it is a warning (`promql/features`)",
        'label_replace(up, "", "$1", "b", "(.*)")': "promtool does not read the arguments; each evaluation fails",
        'label_replace(up, "a", "$1", "b", "(.*")': "promtool does not read the arguments; each evaluation fails",
        "{{ .Foo }}": "promtool does not evaluate it; Prometheus then writes an error into the message",
        '{{ query "sum(rate(foo[5m" }}': "promtool does not read queries in templates; each evaluation fails",
    }
)  # fmt: skip
"""Why promtool and ``sidelight check`` judge a file differently."""


def judged(folder: Path) -> list[tuple[Case, bool, bool]]:
    """For each file, whether promtool and whether ``sidelight check`` refuses it."""
    paths = {case: folder / f"{number}.yaml" for number, case in enumerate(cases())}
    for case, path in paths.items():
        path.write_text(case.text, "utf-8")
    ended = subprocess.run(
        [tool("promtool"), "check", "rules", *paths.values()], capture_output=True, text=True, check=False
    )
    refused = {line.partition(": ")[0] for line in ended.stderr.splitlines()}
    ours = {
        path
        for path in paths.values()
        for finding in find([path], Settings()).findings
        if finding.check.severity is Severity.ERROR and "does not return" not in finding.message
    }
    return [(case, str(path) in refused, path in ours) for case, path in paths.items()]
