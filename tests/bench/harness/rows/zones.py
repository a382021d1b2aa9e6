"""Judging the positions of 10,000 people among 1,000 zones, against a loop that asks every zone."""
from statistics import median

from ..table import Line, count, spread, yes

TITLE = "a position among 1,000 zones"

PEOPLE, ZONES = 10000, 1000


def micro(value):
    return f"{value / 1000:.1f} µs"


def share(value):
    return f"{value * 100:.1f} %"


def measure(lab):
    seconds = 5 if lab.quick else 30
    runs = [lab.zones(PEOPLE, ZONES, seconds) for _ in range(lab.rounds)]
    loop, ours = [r["loop_ns"] for r in runs], [r["fix_ns"] for r in runs]
    cores = [r["fix_ns"] * PEOPLE / 1e9 for r in runs]
    slowest = max(r["slowest_second"] for r in runs)
    return [
        Line(f"a position judged among {ZONES:,} zones, mean of {PEOPLE:,} people walking", f"{spread(loop, micro)} (asking every zone)",
             spread(ours, micro), spread([o / r for o, r in zip(ours, loop)], "{:.4f}".format), "≤ 1/10 of the loop",
             yes(median(ours) <= median(loop) / 10)),
        Line(f"one core's share for {PEOPLE:,} people at 1 Hz (slowest second {slowest * 1000:.0f} ms)", "–", spread(cores, share), "–",
             "every second within 1 s", yes(slowest < 1)),
        Line("memory of a person among zones (bytes)", "–", spread([r["bytes_per_person"] for r in runs], count), "–", "≤ 1 kB",
             yes(median([r["bytes_per_person"] for r in runs]) <= 1024)),
    ]
