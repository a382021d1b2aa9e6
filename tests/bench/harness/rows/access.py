"""Deciding a delivery with 10,000 open incidents of five members each, and what such an incident takes in memory."""
from statistics import median

from ..table import Line, count, ratio, spread, yes

TITLE = "READ check with 10,000 open incidents"

INCIDENTS, MEMBERS = 10000, 5
REACH_NS = {"cached": 1000, "cold": 3000}
REACH_BYTES = 1024


def nano(value):
    return f"{value:.0f} ns"


def measure(lab):
    lab.installed()
    calls = 100000 if lab.quick else 1000000
    runs = [lab.access(INCIDENTS, MEMBERS, calls) for _ in range(lab.rounds)]
    table = [r["table_ns"]["p99"] for r in runs]
    lines = []
    for name, words in (("cached", "from cache"), ("cold", "not cached")):
        ours = [r[f"{name}_ns"]["p99"] for r in runs]
        lines.append(Line(f"READ check {words}, {INCIDENTS:,} open incidents × {MEMBERS} members, p99",
                          f"{spread(table, nano)} (one look-up in a hash table)", spread(ours, nano),
                          spread([o / t for o, t in zip(ours, table)], ratio), f"p99 < {REACH_NS[name] // 1000} µs",
                          yes(median(ours) < REACH_NS[name])))
    size = [r["bytes_per_incident"] for r in runs]
    lines.append(Line(f"memory of the broker for an open incident with {MEMBERS} members (bytes)", "–",
                      spread(size, count), "–", "≤ 1 kB", yes(median(size) <= REACH_BYTES)))
    return lines
