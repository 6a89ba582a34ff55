"""A declaration with every form of alert, in every direction, with parts, overrides and windows of its own."""

from __future__ import annotations

import yaml

DECLARED = yaml.safe_load("""
- name: orders_placed
  kind: counter
  labels: {channel: [web, app]}
  alerts:
    - {alert: OrdersStopped, rate: {below: {warning: 10, critical: 1}, per: 30m}, team: shop}
    - alert: OrdersFlood
      rate: {above: {warning: 100, critical: 2000}, per: 10m}
      by: [channel]
      overrides: [{match: {channel: app}, critical: 700}]
- name: payment_attempts
  kind: counter
  labels: {outcome: [accepted, declined, failed], channel: [web, app]}
  alerts:
    - {alert: PaymentsFail, ratio: {of: {outcome: [failed, declined]}, above: {warning: 0.02, critical: 0.1}}}
    - {alert: PaymentsAcceptedLow, ratio: {of: {outcome: accepted}, below: {warning: 0.9, critical: 0.5}}, minimum_events: 7}
    - alert: PaymentsPerOrder
      ratio: {of: {outcome: failed}, to: orders_placed, above: {warning: 0.5}}
      by: [channel]
      window: 15m
- name: quote_seconds
  kind: histogram
  labels: {tenant: {limit: 50}}
  alerts:
    - {alert: QuotesSlow, quantile: {q: 0.99, above: {warning: 0.8, critical: 20}}}
    - alert: QuotesSlowOfTenant
      quantile: {q: 0.5, above: {warning: 0.7}}
      by: [tenant]
      overrides: [{match: {job: search}, warning: 3}]
- name: pool_connections
  kind: gauge
  combine: sum
  alerts:
    - {alert: PoolFull, value: {above: {warning: 80, critical: 95}}}
    - {alert: PoolOdd, value: {outside: {warning: [10, 90], critical: [-5, 95]}}, by: [instance]}
    - {alert: PoolLow, value: {below: {warning: 0}}, for: 3m}
    - {alert: PoolGrows, growth: {above: {warning: 100, critical: 3000}, per: 30m}}
- name: view_depth
  kind: gauge
  combine: max
  labels: {view: [a, b]}
  alerts:
    - {alert: ViewDeep, value: {above: {warning: 300}}, labels: {area: views}}
- name: backup_timestamp_seconds
  kind: gauge
  combine: max
  emitted_by: other
  alerts:
    - {alert: BackupOld, age: {warning: 20m, critical: 25m}}
    - {alert: BackupGone, absent: {warning: 10m, critical: 20m}}
    - alert: BackupOdd
      expr: backup_timestamp_seconds > 2000
      severity: info
      for: 2m
      summary: The backup is odd.
      examples:
        - {series: {'backup_timestamp_seconds{job="x"}': 3000x30}, at: 10m, fires: true}
        - {series: {'backup_timestamp_seconds{job="x"}': 1000x30}, at: 10m, fires: false}
- name: nightly_import
  kind: job
  every: 30m
  alerts:
    - {alert: ImportMissing, late: {warning: 5m, critical: 15m}}
    - {alert: ImportFails, ratio: {of: {outcome: failure}, above: {critical: 0.5}}, minimum_events: 1}
    - {alert: ImportSlow, quantile: {above: {warning: 600}}}
- name: price_refresh
  kind: job
  cron: "*/30 * * * *"
  time_zone: Europe/Berlin
  alerts:
    - {alert: RefreshMissing, late: {warning: 10m, critical: 20m}}
""")
"""What ``signals`` in the settings holds."""
