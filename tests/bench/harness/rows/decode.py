"""Making readings and fixes of what sensors send, against the least that could be done with the same bytes."""
from statistics import median

from ..table import Line, ratio, spread, yes

TITLE = "decoding what sensors send"

PEOPLE = 10000
ROWS = [("a heart rate with its intervals (Bluetooth)", "bytes_ns", "the value's byte alone", "hr_ns"),
        ("a pulse oximeter's values (Bluetooth)", "bytes_ns", "the value's byte alone", "plx_ns"),
        ("a second of NMEA 0183, RMC and GGA", "sscanf_ns", "sscanf, without checksums", "nmea_ns"),
        ("a wearable's JSON, vitals and position", "parse_ns", "parsing it, without looking at it", "wearable_ns")]


def nano(value):
    return f"{value:.0f} ns"


def measure(lab):
    runs = [lab.decode(20_000 if lab.quick else 200_000) for _ in range(lab.rounds)]
    lines = []
    for what, plain, how, ours in ROWS:
        took, least = [r[ours] for r in runs], [r[plain] for r in runs]
        share = median(took) * PEOPLE / 1e7
        lines.append(Line(f"decoding {what}, processor time", f"{spread(least, nano)} ({how})", spread(took, nano),
                          spread([o / r for o, r in zip(took, least)], ratio), f"{PEOPLE:,} people at 1 Hz on one core: {share:.2f}% of it",
                          yes(share < 100)))
    return lines
