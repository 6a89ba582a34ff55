"""Why each check exists: what happens to those who do not follow it."""

from __future__ import annotations

from types import MappingProxyType

REASONS = MappingProxyType(
    {
        "file/parse": "Prometheus, Grafana or the collector refuses such a file, or reads other values than you wrote. If a key occurs twice, "
        "some readers refuse the file and others take the last one.",
        "file/suppression": "A misspelt name disables nothing, so the finding stays, and nobody knows why.",
        "file/expired": "The finding was hidden for a time. That time is over.",
        "rule/schema": "Prometheus refuses the whole file. If it is running, it keeps the old rules, and only its log says so.",
        "rule/name": "The name level:metric:operations says which labels a series has and how it was computed, without a look at the rule.",
        "rule/duplicate": "Both rules write the same series. Prometheus keeps one sample and counts the other as a duplicate.",
        "rule/dependency": "Groups are evaluated independently. A rule reads the value that the other group recorded before, which may be an "
        "interval old. Rules of one group are evaluated in order.",
        "rule/interval": "Prometheus looks back 5 minutes for the last sample. If the next one comes later, the series has gaps, and alerts on "
        "it resolve and fire again.",
        "rule/label": "Alertmanager routes and inhibits by this label. An alert without it goes to the default receiver.",
        "alert/comparison": "An alert fires for every series that its expression returns. Without a condition it fires all the time. `bool` "
        "returns 0 instead of nothing, so it fires too.",
        "alert/for": "A single failed scrape or slow request is enough to page somebody. Most such incidents are over before anybody has looked.",
        "alert/absent": "After a restart, Prometheus has no samples until the first scrape. absent() is then true for a moment.",
        "alert/template": "Prometheus refuses a file with a faulty template. A label that does not exist is empty in the message, so that it "
        "does not say which service is meant.",
        "alert/value": "Labels identify an alert. With another value it is another alert: the old one resolves, and the new one starts to wait.",
        "alert/humanize": "The message says 0.05263157894736842 where 5.263% is meant. It is read at night, on a phone.",
        "alert/annotation": "The person on call sees the annotations first: what is wrong, what it means, and what to do.",
        "rule/unstable": "The order changes with every sample. An alert resolves although its cause is still there, and a recorded series has gaps.",
        "promql/syntax": "Prometheus refuses the file, or Grafana shows an error instead of the panel.",
        "promql/unread": "No check applies to such an expression, so having no other findings says nothing about it.",
        "promql/impossible": "Nothing matches, so the expression returns nothing. An alert on it never fires, and a panel is empty.",
        "promql/series": "A misspelt name selects nothing. Prometheus does not report this, so an alert on it never fires.",
        "promql/regexp": "Prometheus looks up one value in an index, and must try a regular expression on every value. A pattern that matches "
        "everything hides that nothing is selected.",
        "promql/counter": "A counter only rises, until its process starts again. Its value says how old the process is, and its sum over "
        "instances falls when one of them starts again.",
        "promql/rate": "rate() takes every fall for a restart and adds the whole value again. For a gauge or for a sum of counters, the result "
        "is not a rate.",
        "promql/window": "rate() needs two samples in its window. If one scrape fails or is late, there is none, and the panel or alert has a gap.",
        "promql/division": "0 / 0 is NaN, and a sum or an average with a NaN is NaN. NaN > 5 is false, so an alert is silent because one "
        "instance is idle.",
        "promql/fragile": "`without` keeps every label that it does not name. If an exporter adds one, only one side has it, and nothing matches.",
        "promql/edge": "A histogram only knows how many values are below each edge. Between two edges, a percentile is a guess, which may be "
        "on the wrong side of the limit.",
        "promql/features": "A Prometheus without the flag, or of another version, refuses the whole file.",
        "promql/label-replace": "Prometheus accepts the file, and every evaluation fails. Only the metric prometheus_rule_evaluation_failures_total "
        "shows it.",
        "promql/group-reference": "A group that does not exist is replaced by nothing. If the value is then empty, the label is removed.",
        "promql/or-vector": "`or` adds what has no equal on its left. The series of vector(0) has no labels, so it is always added, and the gap "
        "of a service is not filled.",
        "promql/performance": "Prometheus computes the same aggregation twice at each evaluation.",
        "promql/format": "Reviews show only changes that mean something if all expressions are written in the same way.",
        "dashboard/datasource-variable": "The dashboard shows the Prometheus of the Grafana in which it was made. Elsewhere it is empty.",
        "dashboard/target-variables": "An alert is about one service, or one instance. Without the variables, people edit queries to see it.",
        "dashboard/variable-query": "The variable has no values, so every panel that reads it is empty.",
        "dashboard/reload": "The list has the values of the time at which the dashboard was opened, and not those of the range that is shown.",
        "dashboard/datasource": "The data source exists only in one Grafana. Elsewhere the panel shows an error.",
        "dashboard/description": "A number without a description is read differently by everybody.",
        "dashboard/unit": "0.5 may be seconds, percent or requests. With a unit, Grafana scales numbers and labels the axis.",
        "dashboard/unknown-unit": "Grafana writes the text behind the number, and does not scale the number: 1500000 byte.",
        "dashboard/no-targets": "The panel is always empty.",
        "dashboard/scope": "The panel shows all services, although the others show the one that is selected.",
        "dashboard/rate-interval": "If a step is longer than the window, the time between the windows is not shown. A peak of a minute "
        "disappears in a view of a month.",
        "dashboard/editable": "The next import of the file overwrites what somebody has changed in Grafana.",
        "dashboard/threshold": "Grafana compares numbers with text, and every value gets the base color.",
        "dashboard/merge": "Rows are merged if their other columns are equal. With a metric name as a column, they never are.",
        "dashboard/uid": "Grafana chooses another uid at each import, and links from alerts and other dashboards break.",
        "dashboard/per-step": "A longer range shows more requests per point, which looks like more load.",
        "dashboard/time-override": "The panel shows another time than the rest of the dashboard, and Grafana ignores its range after a zoom.",
        "dashboard/cut-below": "Negative values are outside the graph. A budget that is overspent looks like one that is just spent.",
        "dashboard/zero-of-nothing": "0 errors is good. If nothing is scraped, nobody knows the number, and the panel must not be green.",
        "dashboard/unknown-color": "Green without data says that all is well, and nobody knows that.",
        "dashboard/always-red": "If red is always there, nobody looks up when it means something.",
        "dashboard/line-on-top": "A thin red line on top of a stack looks like errors, and there are none.",
        "dashboard/dots": "A line needs two points. A service that is younger than two steps has one.",
        "dashboard/unbounded": "Nobody can tell 200 colors apart, and the browser draws 200 areas.",
        "dashboard/ignored-variable": "A selected value is expected to apply to every panel.",
        "dashboard/cut-columns": "Grafana cuts off what does not fit, often the values.",
        "dashboard/tall": "What is below the second screen is not seen in an incident, and its queries run all the same.",
        "collector/component": "The collector does not start: it refuses a configuration with an unknown component.",
        "collector/reference": "The collector does not start, or starts and fails at the first batch.",
        "collector/unused": "It does nothing. Usually it is missing in a pipeline.",
        "collector/port": "The second listener cannot start, and neither can the collector.",
        "collector/secret": "Everybody who can read the file or the ConfigMap has the secret, and so has the history of the repository.",
        "collector/memory-limiter": "What comes before the limiter already takes memory. The collector is killed instead of refusing data.",
        "collector/metrics-twice": "Every series is stored twice, or samples are refused as duplicates.",
        "collector/queue": "A restart of the collector loses what it had not sent yet.",
        "collector/open": "Everybody who reaches the pod can send data, or read it.",
        "collector/dollar": "The collector replaces the name by the value of an environment variable, which is usually empty. `$$` is one dollar.",
        "online/metric": "The expression returns nothing. An alert on it never fires.",
        "online/label": "A selector with such a label matches nothing, and a sum by it is one series.",
        "online/empty": "The expression returns nothing. An alert on it never fires.",
        "online/edge": "A histogram only knows how many values are below each edge. Between two edges, a percentile is a guess.",
        "online/cost": "A rule is evaluated every minute, or more often. Slow ones delay their group, and may use all memory.",
        "online/fails": "The rule fails at each evaluation, and its alert is silent.",
        "online/retention": "The result is that of the samples that are left, and looks like one of the whole time.",
        "online/external-label": "A label that does not exist is empty in the message. Prometheus adds external labels to what it sends, "
        "and a rule that sets one hides which Prometheus it was.",
        "online/history": "An alert that would have fired ten times in a quiet week will be ignored. One that would not have fired in a week "
        "with incidents misses them.",
    }
)
"""The reason of each check."""
