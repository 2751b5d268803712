"""The options of a client as keyword arguments; `Options` says what each means."""

from typing import TypedDict

from muster.sdk.options import OnOutage


class Limits(TypedDict, total=False):
    """Any of the fields of `Options`."""

    on_outage: OnOutage
    batch_size: int
    interval_s: float
    queue_size: int
    queue_bytes: int
    full_timeout_s: float
    timeout_s: float
    gate_timeout_s: float
    shutdown_timeout_s: float
    retry_initial_s: float
    retry_max_s: float
    max_value_bytes: int
