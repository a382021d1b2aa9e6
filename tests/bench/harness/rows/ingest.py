"""QoS 1 locations from 50 clients: authenticated, authorised, validated, journaled, while the writer drains."""
from ..table import Line, count, ratio, spread, yes

WHAT = "QoS 1 location ingest, 50 clients (acknowledged/s)"
REACH = 0.5


def measure(lab):
    bare_rates, our_rates = [], []
    with lab.bare() as bare, lab.mayday() as mayday:
        crowd = lab.field_crowd(mayday.home, 50)
        for _ in range(lab.rounds):
            bare_rates.append(lab.load("publish", bare.port, seconds=lab.seconds)["rate"])
            run = lab.load("publish", mayday.port, seconds=lab.seconds, credentials=crowd)
            our_rates.append(run["rate"])
            mayday.wait_for_rows(run["acked"])  # the same rows, none refused; and the next round starts at rest
            mayday.forget_rows()
    ratios = [ours / bare for ours, bare in zip(our_rates, bare_rates)]
    return [Line(WHAT, f"{spread(bare_rates, count)}", spread(our_rates, count), spread(ratios, ratio),
                 f"≥ {REACH} of bare Mosquitto", yes(sorted(ratios)[len(ratios) // 2] >= REACH))]
