"""QoS 1 locations from 50 clients: authenticated, authorised, validated, journaled, while the writer drains.

Two references: bare Mosquitto with the socket options that Mayday ships (set_tcp_nodelay), which shows what the plugin
costs, and bare Mosquitto as it comes, whose acknowledgements the kernel joins to larger segments."""
from statistics import median

from ..table import Line, count, ratio, spread, yes

TITLE = "QoS 1 location ingest, 50 clients"
REACH = 0.5


def line(reference, bare_rates, our_rates):
    ratios = [ours / bare for ours, bare in zip(our_rates, bare_rates)]
    return Line(f"{TITLE} (acknowledged/s), {reference}", spread(bare_rates, count), spread(our_rates, count),
                spread(ratios, ratio), f"≥ {REACH} of bare Mosquitto", yes(median(ratios) >= REACH))


def measure(lab):
    same_rates, plain_rates, our_rates = [], [], []
    with lab.bare() as same, lab.bare(nodelay=False) as plain, lab.mayday() as mayday:
        crowd = lab.field_crowd(mayday.home, 50)
        for _ in range(lab.rounds):
            same_rates.append(lab.load("publish", same.port, seconds=lab.seconds)["rate"])
            plain_rates.append(lab.load("publish", plain.port, seconds=lab.seconds)["rate"])
            run = lab.load("publish", mayday.port, seconds=lab.seconds, credentials=crowd)
            our_rates.append(run["rate"])
            mayday.wait_for_rows(run["acked"])  # the same rows, none refused; and the next round starts at rest
            mayday.forget_rows()
    return [line("against the same socket options", same_rates, our_rates),
            line("against Mosquitto as it comes", plain_rates, our_rates)]
