"""Distress found in simulated people, beside fixed thresholds on the very same readings: what is found, how soon, and how often somebody is
disturbed for nothing; what judging a reading costs, and what a body takes in memory.

The people (tools/people) have the truth beside. Rules were tuned on the seeds from 30001 to 30120; no rule was changed after looking at
these."""
from statistics import median

from ..servers import Broken
from ..table import Line, count, ratio, spread, yes

TITLE = "distress found in simulated people, and false alarms"

FIRST = 40001
COLLAPSES = {"arrest": "the heart stops", "arrhythmia": "the heart races, or is erratic", "slow-heart": "the heart slows down",
             "hypoxia": "oxygen saturation falls", "heat": "heat stroke", "fall": "a fall, unconscious"}
AT_ONCE = 10000  # people at 1 Hz on one core
REACH_BYTES = 8192


def seconds(times):
    return "–" if times is None else f"{times['p50']:.0f} s (p95 {times['p95']:.0f} s)"


def finding(rule):
    anyhow = f" ({count(rule['anyhow'])} of them disturbed then anyway)" if rule["anyhow"] else ""
    return f"{count(rule['found'])} of {count(rule['people'])}{anyhow}, after {seconds(rule['sign_s'])}"


def missed(rule):
    return f"; missed seeds {', '.join(map(str, rule['missed']))}" if rule["missed"] else ""


def usual(fixed):
    """Of the thresholds, the ones usually seen."""
    return fixed[0]


def watches(fixed):
    """Of the thresholds, the most patient ones."""
    return fixed[-1]


def sooner(ours, other):
    if not ours["sign_s"] or not other["sign_s"] or not other["sign_s"]["p50"]:
        return "–"
    return ratio(ours["sign_s"]["p50"] / other["sign_s"]["p50"])


def of_peril(lab, peril, words, people):
    got = lab.vitals(peril, FIRST, people)
    ours, fixed, patient = got["ours"], usual(got["fixed"]), watches(got["fixed"])
    said = f"{finding(ours)}; alarm after {seconds(ours['raised_s'])}{missed(ours)}"
    bar = peril in COLLAPSES
    reference = f"{finding(fixed)} ({fixed['rule']}); as watches: {finding(patient)}"
    return Line(f"{words}, {count(people)} people: found, after how long", reference, said, sooner(ours, fixed), "none missed" if bar else "–",
                yes(ours["found"] == people) if bar else "–")


def of_calm(lab, days):
    got = lab.vitals("calm", FIRST, days)
    ours, lines = got["ours"], []
    for fixed in got["fixed"]:
        times = fixed["false_alarms"] / max(ours["false_alarms"], 1)
        bar = "10 s" in fixed["rule"]  # who waits for a minute or ten finds late what they find; see the lines below
        lines.append(Line(f"false alarms per working day with exercise, {count(days)} days", f"{fixed['false_alarms'] / days:.2f} ({fixed['rule']})",
                          f"{ours['false_alarms'] / days:.2f}", f"1 : {times:.1f}", "≥ 10 times fewer" if bar else "–",
                          yes(times >= 10) if bar else "–"))
    lines.append(Line(f"what dispatch alone is told per working day, {count(days)} days", "–", f"{ours['notes'] / days:.2f}", "–", "–", "–"))
    return lines


def of_cost(lab):
    runs = [lab.vitals("cost", 1000000 if lab.quick else 5000000) for _ in range(lab.rounds)]
    if any(run["ours_ns"] <= 0 for run in runs):
        raise Broken("the clock stood still")
    ours, fixed = [run["ours_ns"] for run in runs], [run["fixed_ns"] for run in runs]
    cores = median(ours) * AT_ONCE / 1e9
    return [Line("judging a reading, 1,000 people in turn, processor time", f"{spread(fixed, nano)} (three comparisons)", spread(ours, nano),
                 spread([o / f for o, f in zip(ours, fixed)], ratio), f"{count(AT_ONCE)} people at 1 Hz on one core: {cores:.1%} of it", yes(cores < 1)),
            Line("memory of a body (bytes)", "–", count(runs[0]["body_bytes"]), "–", "a few kB", yes(runs[0]["body_bytes"] <= REACH_BYTES))]


def nano(value):
    return f"{value:.1f} ns" if value < 10 else f"{value:.0f} ns"


def measure(lab):
    days, people = (30, 50) if lab.quick else (400, 500)
    lines = of_calm(lab, days)
    lines += [of_peril(lab, peril, words, people) for peril, words in COLLAPSES.items()]
    lines.append(of_peril(lab, "fear", "afraid and unable to move", people))
    return lines + of_cost(lab)
