"""A killed broker with a long backlog and no database: how long until it serves again."""
import signal
from statistics import median

from ..table import Line, micro, spread, yes
from . import backlog

TITLE = "restart with a long backlog"

REACH_US = 2e6


def until_it_serves(lab, broker, **options):
    """Microseconds from the start of the process to the PUBACK of a first message."""
    with lab.load_beside("first", broker.port, patience=120, **options) as first:
        broker.launch()
        return first()["puback_ms"] * 1000


def measure(lab):
    records = 100000 if lab.quick else 1000000
    reference, ours = [], []
    with lab.bare() as bare, lab.mayday() as mayday:
        crowd = backlog.build(lab, mayday, records)
        for _ in range(lab.rounds):
            bare.end(signal.SIGKILL)
            reference.append(until_it_serves(lab, bare))
            mayday.broker.end(signal.SIGKILL)
            ours.append(until_it_serves(lab, mayday.broker, credentials=crowd))
    return [Line(f"restart after SIGKILL with {records:,} records to write, database away: first CONNACK and PUBACK",
                 f"{spread(reference, micro)} (no journal)", spread(ours, micro), "–", "< 2 s",
                 yes(median(ours) < REACH_US))]
