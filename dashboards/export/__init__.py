"""Dashboards as files for provisioning, the Grafana Operator, Terraform, and in Grafana's second schema."""

from __future__ import annotations

from dashboards.export.forms import FORMS, exported, left_out

__all__ = ["FORMS", "exported", "left_out"]
