"""The charts in a real control plane of Kubernetes, under the real Prometheus Operator; see ``make cluster``."""
