"""What an idle session costs in resident memory."""
from statistics import median

from ..lab import ORG
from ..table import Line, count, spread, yes

TITLE = "memory per idle session"

REACH = 2048


def measure(lab):
    sessions = 2000 if lab.quick else 10000
    reference, ours = [], []
    for _ in range(1 if lab.quick else min(lab.rounds, 3)):  # a fresh broker each time: freed memory is kept
        with lab.bare() as bare:
            reference.append(lab.load("idle", bare.port, connections=sessions,
                                      pid=bare.process.pid)["bytes_per_session"])
        with lab.mayday() as mayday:
            people = lab.crowd(mayday.home, [(f"u0:{i}", "u0", "member", f"mayday/v1/{ORG}/user/u0/location")
                                             for i in range(sessions)])
            ours.append(lab.load("idle", mayday.port, connections=sessions, pid=mayday.broker.process.pid,
                                 credentials=people)["bytes_per_session"])
    more = [o - r for o, r in zip(ours, reference)]
    return [Line(f"memory per idle session, {sessions:,} sessions (bytes)", spread(reference, count),
                 spread(ours, count), f"+{spread(more, count)}", "≤ 2 kB more than bare Mosquitto",
                 yes(median(more) <= REACH))]
