"""ServiceAbsent: a service has no series although it had some within the last day, and has no target that is down.

A service of which Kubernetes wants no replicas is not absent but asleep; kube-state-metrics tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Story, service_labels, story_test
from alerts.thresholds import Level
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from instrumentation.settings import Settings

NAME = "ServiceAbsent"
_REPLICAS = {"deployment": "kube_deployment_spec_replicas", "statefulset": "kube_statefulset_replicas"}  # wanted ones


def service_absent(settings: Settings) -> list[AlertRule]:
    """One rule. If Prometheus still has targets of the service and can scrape none, ServiceDown fires instead."""
    of = recorded(settings)
    return [
        AlertRule(
            alert=NAME,
            key="warning",
            severity=settings.alerting.severities.warning,
            expr=(
                f"max by ({of.by}) (max_over_time({of.versions}[{MEMORY}])) > 0\n"
                f"unless on ({of.by}) {of.versions}\n"
                f"unless on ({of.by}) sum by ({of.by}) (up) == 0{_asleep(settings)}"
            ),
            for_=settings.alerting.for_.warning,
            keep_firing_for=settings.alerting.keep_firing_for,
            summary="A service has disappeared from Prometheus.",
            description=(
                f"{{{{ $labels.job }}}} had series within the last {MEMORY}. Now it has neither series nor failing targets: "
                "it was removed, or Prometheus no longer discovers it."
            ),
            identity=settings.alerting.group_by,
            urls=urls(settings, NAME),
        )
    ]


def _asleep(settings: Settings) -> str:
    """Leaves out the services whose Deployments and StatefulSets want no replicas; without kube-state-metrics it leaves out none."""
    pattern, by = settings.alerting.workload_job, recorded(settings).by
    if pattern is None:
        return ""
    series = "\n  or\n  ".join(_with_job(metric, kind, pattern) for kind, metric in _REPLICAS.items())
    return f"\nunless on ({by}) sum by ({by}) (\n  {series}\n) == 0"


def _with_job(metric: str, kind: str, pattern: str) -> str:
    """The series of workloads with the label ``job`` that the pattern gives them.

    >>> _with_job("a", "deployment", "{workload}")
    'label_replace(a, "job", "${1}", "deployment", "(.+)")'
    >>> _with_job("a", "deployment", "{namespace}/{workload}")
    'label_replace(label_join(a, "job", "/", "namespace", "deployment"), "job", "${1}/${2}", "job", "(.+)/(.+)")'
    """
    labels = [kind if place == "workload" else place for place in re.findall(r"\{(\w+)\}", pattern)]
    numbers = iter(range(1, len(labels) + 1))
    text = pattern.replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    text = re.sub(r"\{\w+\}", lambda _: f"${{{next(numbers)}}}", text)
    if len(labels) == 1:
        return f'label_replace({metric}, "job", "{text}", "{labels[0]}", "(.+)")'
    # Names in Kubernetes contain no slash.
    sources = ", ".join(f'"{label}"' for label in labels)
    joined = f'label_join({metric}, "job", "/", {sources})'
    return f'label_replace({joined}, "job", "{text}", "job", "(.+)/(.+)")'


def service_absent_tests(settings: Settings) -> list[RuleTest]:
    """Services that are gone, and others that are not; and that the alert resolves once a service is back."""
    (rule,) = service_absent(settings)
    moments = clock(settings, [rule])
    level_rules = [(Level(severity=rule.level, threshold=0, match={}, before=()), rule)]
    stories = list(_stories(moments))
    back = next(story for story in stories if story.name == "gone")
    return [
        story_test(settings, level_rules, stories, moments=moments, label="job"),
        RuleTest(
            name="ServiceAbsent resolves once the service is back",
            series=tuple(
                Series(name=one.name, labels=one.labels, values=f"{one.values} _x{_after(moments)} 1x{_after(moments)}")
                for one in back.series({"job": "back"})
            ),
            alerts=(At(seconds=moments.resolved, alert=NAME),),
        ),
        *_replicas_tests(settings, rule, moments),
    ]


def _replicas_tests(settings: Settings, rule: AlertRule, moments: Clock) -> Iterator[RuleTest]:
    """Services that are scaled to zero, and one of which there should be replicas."""
    pattern, own = settings.alerting.workload_job, service_labels(settings)
    if pattern is None:
        return
    workload, namespace = own["job"], own.get("namespace", "some_namespace")
    own["job"] = pattern.replace("{workload}", workload).replace("{namespace}", namespace)
    end, change = moments.fires // moments.step, moments.range_ // moments.step
    firing = (Firing(rule=rule, labels=own, value=1),)
    series = Series(
        name=catalog.TARGET_INFO.name,
        labels={**own, "instance": "a", "service_version": "1.7.3"},
        values=f"1x{change} stale",
    )
    for kind, metric in _REPLICAS.items():
        labels = {**own, "job": "kube-state-metrics", "instance": "b", "namespace": namespace, kind: workload}
        yield RuleTest(
            name=f"{NAME} leaves out a service whose {kind} is scaled to zero, and fires if it is scaled up and does not come back",
            series=(series, Series(name=metric, labels=labels, values=f"3x{change} 0x{end - change} 3x{end}")),
            alerts=(
                At(seconds=moments.fires, alert=NAME),
                At(seconds=moments.fires + moments.fires, alert=NAME, firing=firing),
            ),
        )
    labels = {
        **own,
        "job": "kube-state-metrics",
        "instance": "b",
        "namespace": namespace,
        "deployment": f"{workload}-worker",
    }
    yield RuleTest(
        name=f"{NAME} fires although another deployment is scaled to zero",
        series=(series, Series(name=_REPLICAS["deployment"], labels=labels, values=f"0x{end}")),
        alerts=(At(seconds=moments.fires, alert=NAME, firing=firing),),
    )


def _after(moments: Clock) -> int:
    """The number of samples after which any alert has fired, or resolved."""
    return (moments.resolved - moments.fires) // moments.step // 2


def _stories(moments: Clock) -> Iterator[Story]:
    end, change = moments.fires // moments.step, moments.range_ // moments.step
    there, gone, down = f"1x{end}", f"1x{change} stale", f"1x{change} 0x{end - change}"

    def story(name: str, info: str | None, up: str | None, *, fires: bool = False) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            own = {**labels, "instance": "a"}
            if info is not None:
                yield Series(name=catalog.TARGET_INFO.name, labels={**own, "service_version": "1.7.3"}, values=info)
            if up is not None:
                yield Series(name="up", labels=own, values=up)

        return Story(name=name, series=series, fires=("warning",) if fires else (), value=1)

    yield story("gone", gone, gone, fires=True)
    yield story("there-without-our-series", gone, there, fires=True)
    yield story("there", there, there)
    yield story("down-which-is-another-alert", gone, down)
    yield story("never-ours", None, gone)


SERVICE_ABSENT = Alert(
    name=NAME,
    group="availability",
    meaning="a service that existed has disappeared from Prometheus",
    rules=service_absent,
    tests=service_absent_tests,
)
