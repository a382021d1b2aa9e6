"""Alerts beside 5,000 telemetry messages a second: time to the PUBACK and to the dispatcher's screen."""
from statistics import median

from ..lab import ORG
from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes

TITLE = "alert beside 5,000 telemetry msg/s"

PACE = 50
TELEMETRY = 5000
REACH_US = 10000


def crowd(lab, home):
    raiser = ("raiser", "raiser", "member", f"mayday/v1/{ORG}/alert/%s/raise")
    dispatcher = ("dispatcher", "dispatcher", "dispatcher", f"mayday/v1/{ORG}/alert/%s/raise")
    return lab.crowd(home, [raiser, dispatcher])


def one_round(lab, mayday, field, people):
    with lab.load_beside("publish", mayday.port, seconds=lab.seconds + 2, rate=TELEMETRY,
                         credentials=field) as telemetry:
        alerts = lab.load("alert", mayday.port, seconds=lab.seconds, rate=PACE, credentials=people)
        beside = telemetry()
    if beside["rate"] < 0.95 * TELEMETRY:
        raise Broken(f"only {beside['rate']:.0f} telemetry messages/s were acknowledged beside the alerts")
    mayday.wait_for_rows(beside["acked"])
    mayday.wait_for_rows(alerts["alerts"], table="raise")
    mayday.forget_rows()
    return alerts


def measure(lab):
    disk, puback, heard = [], [], []
    with lab.mayday() as mayday:
        field, people = lab.field_crowd(mayday.home, 50), crowd(lab, mayday.home)
        for _ in range(lab.rounds):
            disk.append(lab.fdatasync(int(lab.seconds * PACE), PACE)["p99"])
            alerts = one_round(lab, mayday, field, people)
            puback.append(alerts["puback_us"]["p99"])
            heard.append(alerts["heard_us"]["p99"])
    return [Line(f"alert: publish → {name}, p99, {TELEMETRY:,} telemetry msg/s beside it", spread(disk, micro),
                 spread(ours, micro), spread([o / d for o, d in zip(ours, disk)], ratio), "p99 ≤ 10 ms",
                 yes(median(ours) <= REACH_US))
            for name, ours in (("PUBACK", puback), ("subscriber", heard))]
