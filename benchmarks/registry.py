"""Every benchmark by its name, in the order in which all are run."""

from benchmarks import crews, gate, journal, live, logs, overhead, policies, reading, start, steps
from benchmarks.context import Measure

BENCHMARKS: dict[str, Measure] = {
    "start": start.measure,
    "overhead": overhead.measure,
    "crews": crews.measure,
    "steps": steps.measure,
    "journal": journal.measure,
    "reading": reading.measure,
    "live": live.measure,
    "logs": logs.measure,
    "gate": gate.measure,
    "policies": policies.measure,
}
