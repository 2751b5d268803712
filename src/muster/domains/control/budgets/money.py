"""Billionths of a US dollar, in which money is stored and compared."""

NANOS = 1_000_000_000


def nanos_of(dollars: float) -> int:
    """Return an amount of US dollars in billionths."""
    return round(dollars * NANOS)


def dollars_of(nanos: int) -> float:
    """Return billionths as US dollars."""
    return nanos / NANOS


def shown(nanos: int) -> str:
    """Return billionths as people read US dollars: two digits after the point, more if needed."""
    whole, rest = divmod(nanos, NANOS)
    digits = f"{rest:09d}".rstrip("0")
    return f"{whole}.{digits:<02}"
