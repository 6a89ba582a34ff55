"""The values of the chart's gateway; its configuration is the generated one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.manifest import VERSION
from sidelight.chart.values import Block, Value, annotated, every, flag, labels, may_be

if TYPE_CHECKING:
    from instrumentation.settings import Settings

IMAGE = f"docker.io/otel/opentelemetry-collector-contrib:{VERSION}"


def image() -> Value:
    """Which program collects."""
    return Value(
        key="image",
        default=IMAGE,
        schema=may_be("text"),
        note="Contrib's, or one of collector/generated/builder.yaml.",
    )


def environment() -> Value:
    """What else its container's environment holds."""
    return every("env", "environment", "Further environment, as in a container.")


def scheduling() -> tuple[Value, ...]:
    """The values for the scheduling of pods."""
    return (
        annotated("podAnnotations"),
        labels("nodeSelector"),
        every("tolerations", "toleration"),
        Value(key="affinity", default={}, schema=may_be("affinity")),
        Value(key="priorityClassName", default="", schema={"type": "string"}),
        every("imagePullSecrets", "reference", "Such as [{name: registry}]."),
    )


def gateway_values(settings: Settings) -> Block:
    """How many gateways there are, and what each may use."""
    memory = settings.collector.memory_limit_mib
    return Block(
        key="gateway",
        note="The OpenTelemetry Collector that all sidecars send to, by the configuration of `sidelight build`. Its Service "
        "is called sidelight-gateway where the release is sidelight; collector.gateway_endpoint in sidelight.yaml must be "
        "http://<its name>.<its namespace>:4318, which the notes print.",
        members=(
            flag("enabled", default=False),
            Value(
                key="kind",
                default="Deployment",
                schema={"enum": ["Deployment", "OpenTelemetryCollector"]},
                note="OpenTelemetryCollector leaves pods and Service to the OpenTelemetry Operator, which calls the Service "
                "<name>-collector; networkPolicy and imagePullSecrets are then the operator's business.",
            ),
            labels("labels", "Labels on the objects and the pods."),
            image(),
            Value(
                key="replicas",
                default=1,
                schema=may_be("count"),
                note="Where autoscaling is off.",
            ),
            Block(
                key="autoscaling",
                members=(
                    flag("enabled", default=False),
                    Value(key="minReplicas", default=2, schema=may_be("count")),
                    Value(key="maxReplicas", default=10, schema=may_be("count")),
                    Value(
                        key="cpuUtilization", default=70, schema=may_be("percent"), note="Percent of the requested CPU."
                    ),
                ),
            ),
            Block(
                key="balancer",
                note="With autoscaling or several replicas, balancers in front of the gateways send all spans of a trace to the same one, "
                "because gateways sample whole traces. The image, labels and scheduling are those of the gateway.",
                members=(
                    flag("enabled"),
                    Value(key="replicas", default=2, schema=may_be("count")),
                    Block(
                        key="resources",
                        members=(
                            Value(key="cpuRequest", default="50m", schema=may_be("quantity")),
                            Value(key="memory", default="128Mi", schema=may_be("quantity")),
                        ),
                    ),
                ),
            ),
            Block(
                key="disruptionBudget",
                members=(
                    flag("enabled"),
                    Value(key="maxUnavailable", default=1, schema=may_be("count")),
                ),
            ),
            Block(
                key="networkPolicy",
                note="Lets pods of some namespaces send, anything read the metrics, and the gateway reach anything.",
                members=(
                    flag("enabled"),
                    Value(
                        key="fromNamespaces",
                        default={},
                        schema=may_be("selector"),
                        note="Whose pods may send; by default those of every namespace.",
                    ),
                ),
            ),
            Block(
                key="queue",
                note="Where what is accepted waits on disk. Without a size it is an emptyDir, which outlives the container, not the pod.",
                members=(
                    Value(key="size", default="", schema=may_be("quantity")),
                    Value(key="storageClassName", default="", schema={"type": "string"}),
                ),
            ),
            Block(
                key="resources",
                members=(
                    Value(key="cpuRequest", default="100m", schema=may_be("quantity")),
                    Value(
                        key="memory",
                        default=f"{memory}Mi",
                        schema=may_be("quantity"),
                        note="Request and limit, such as 512Mi or 1.5Gi; by default collector.memory_limit_mib of sidelight.yaml. "
                        "The collector keeps to four fifths of it.",
                    ),
                ),
            ),
            environment(),
            *scheduling(),
        ),
    )
