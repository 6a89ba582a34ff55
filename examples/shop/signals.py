"""The shop's own signals, which signals.yaml declares."""

from pathlib import Path

from instrumentation import counter, gauge, histogram, job, load_settings

# The shop is started with many settings, also with none. If yours include the declarations, counter("orders_placed") is enough.
DECLARED = load_settings(Path(__file__).with_name("signals.yaml"), environ={})

ORDERS = counter("orders_placed", settings=DECLARED)
PAYMENTS = counter("payment_attempts", settings=DECLARED)
BASKETS = histogram("basket_items", settings=DECLARED)
CATALOG = gauge("catalog_items", settings=DECLARED)
PRICES = job("price_update", settings=DECLARED)
